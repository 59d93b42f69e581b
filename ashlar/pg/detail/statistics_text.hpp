// Numbers as people read them.
#pragma once

#include <string>

#include <ashlar/pg/detail/statement_names.hpp>
#include <ashlar/pg/statistics.hpp>

namespace ashlar::pg::detail {

/// "12.3 ms", "4.1 GB", "93.1 %", "12.3 M".
[[nodiscard]] std::string format_measure(Measure measure, double value);

}  // namespace ashlar::pg::detail
