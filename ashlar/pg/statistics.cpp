#include <ashlar/pg/statistics.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include <ashlar/pg/detail/statistics_reader.hpp>
#include <ashlar/pg/detail/statistics_views.hpp>

namespace ashlar::pg {

std::string_view StatisticsTable::text(std::size_t row, std::string_view column) const noexcept {
  const auto it = std::ranges::find(columns, column, &StatisticsColumn::name);
  if (it == columns.end() || row >= rows.size()) return {};
  const auto& cell = rows[row][static_cast<std::size_t>(it - columns.begin())];
  return cell ? std::string_view(*cell) : std::string_view();
}

std::optional<double> StatisticsTable::number(std::size_t row, std::string_view column) const noexcept {
  const std::string_view cell = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (cell.empty() || error != std::errc{} || end != cell.data() + cell.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::vector<std::string_view> statistics_views() {
  std::vector<std::string_view> out;
  for (const detail::TableSource& source : detail::table_sources()) {
    if (std::ranges::find(out, source.view) == out.end()) out.push_back(source.view);
  }
  return out;
}

Task<Statistics> statistics(Db& db, std::string view, StatisticsOptions options) {
  detail::StatisticsReader reader(db, std::move(options));
  co_return co_await reader.read(std::move(view));
}

}  // namespace ashlar::pg
