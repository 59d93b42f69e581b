// The command `db`.
#pragma once

#include <vector>

#include <ashlar/async/component.hpp>

namespace ashlar::pg {
class Db;
}

namespace ashlar::pg::detail {

[[nodiscard]] std::vector<async::Command> statistics_commands(Db& db);

}  // namespace ashlar::pg::detail
