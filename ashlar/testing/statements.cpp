#include <ashlar/testing/statements.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::testing {
namespace {

// "begin; set local statement_timeout = 29987; set local lock_timeout = 26988": what is left of the request's time.
std::string without_time_left(std::string_view sql) {
  const std::size_t at = sql.find("; set local statement_timeout = ");
  if (at == std::string_view::npos) return std::string(sql);
  std::string_view rest = sql.substr(at);
  for (const std::string_view limit : {"; set local statement_timeout = ", "; set local lock_timeout = "}) {
    if (!rest.starts_with(limit)) continue;
    rest.remove_prefix(limit.size());
    while (!rest.empty() && is_digit_ascii(rest.front())) rest.remove_prefix(1);
  }
  return fmt::format("{}{}", sql.substr(0, at), rest);
}

bool is_place(std::string_view name) { return name.find(':') != std::string_view::npos; }

std::string times(std::size_t count) { return fmt::format("{} time{}", count, count == 1 ? "" : "s"); }

}  // namespace

Statements::Statements() {
  if (pg::statement_observer != nullptr) throw Invalid("the statements of this thread are noted already");
  pg::statement_observer = this;
}

Statements::~Statements() { pg::statement_observer = nullptr; }

void Statements::on_statement(const pg::Statement* statement, std::string_view sql) noexcept {
  std::string name = statement != nullptr ? statement->name() : std::string();
  std::string text = statement != nullptr ? std::string(sql) : without_time_left(sql);
  ++count_;
  const auto known =
      std::ranges::find_if(all_, [&](const Statement& one) { return one.sql == text && one.name == name; });
  if (known != all_.end()) {
    ++known->times;
  } else {
    all_.push_back({std::move(name), std::move(text), 1});
  }
}

std::string Statements::text() const {
  std::string out;
  for (const Statement& one : all_) {
    const bool named = !one.name.empty() && !is_place(one.name);
    out += fmt::format("{}-- {}{}\n{}\n", out.empty() ? "" : "\n", named ? one.name + ", " : "", times(one.times),
                       one.sql);
  }
  return out;
}

void Statements::clear() noexcept {
  all_.clear();
  count_ = 0;
}

}  // namespace ashlar::testing
