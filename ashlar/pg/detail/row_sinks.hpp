// What the rows of one query become: one, one or none, all of them, or their number.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/statement.hpp>

namespace ashlar::pg::detail {

[[noreturn]] void throw_no_row(const Statement& statement);
[[noreturn]] void throw_too_many(const Statement& statement);

template <class R>
class OneSink final : public RowSink {
 public:
  using Result = R;
  Result finish(const Statement& statement, std::uint64_t) {
    if (!row_) throw_no_row(statement);
    if (many_) throw_too_many(statement);
    return std::move(*row_);
  }
  void on_row(RowReader& in) override {
    if (row_) {
      many_ = true;
    } else {
      read_row(in, row_.emplace());
    }
  }

 private:
  std::optional<R> row_;
  bool many_ = false;
};

template <class R>
class MaybeSink final : public RowSink {
 public:
  using Result = std::optional<R>;
  Result finish(const Statement& statement, std::uint64_t) {
    if (many_) throw_too_many(statement);
    return std::move(row_);
  }
  void on_row(RowReader& in) override {
    if (row_) {
      many_ = true;
    } else {
      read_row(in, row_.emplace());
    }
  }

 private:
  std::optional<R> row_;
  bool many_ = false;
};

template <class R>
class AllSink final : public RowSink {
 public:
  using Result = std::vector<R>;
  Result finish(const Statement&, std::uint64_t) { return std::move(rows_); }
  void on_row(RowReader& in) override {
    // Growing from one by doubling moves the first rows over and over.
    if (rows_.capacity() == 0) rows_.reserve(std::clamp<std::size_t>(4096 / sizeof(R), 1, 32));
    if constexpr (std::is_same_v<R, bool>) {  // a vector of them has no place of its own for each
      bool value = false;
      read_row(in, value);
      rows_.push_back(value);
    } else {
      read_row(in, rows_.emplace_back());
    }
  }

 private:
  std::vector<R> rows_;
};

class ExecSink final : public RowSink {
 public:
  using Result = std::uint64_t;
  Result finish(const Statement&, std::uint64_t affected) const noexcept { return affected; }
  void on_row(RowReader&) override {}
};

}  // namespace ashlar::pg::detail
