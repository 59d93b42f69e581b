// The command `migrate` and its verbs.
#pragma once

#include <vector>

#include <ashlar/async/component.hpp>

namespace ashlar::pg {
class Db;
}

namespace ashlar::pg::detail {

[[nodiscard]] std::vector<async::Command> migrate_commands(Db& db);

}  // namespace ashlar::pg::detail
