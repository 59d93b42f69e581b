// BinaryRows: rows to the binary format of COPY, straight into the piece that is sent.
// Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/detail/copy_in.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {

class BinaryRows {
 public:
  /// How a column is written for the C++ types that most of them have. `other`: by Params, which takes any.
  enum class Form : std::uint8_t { other, int2, int4, int8, float8, text };

  BinaryRows(CopyIn& copy, const TypeMap& types, std::span<const wire::Field> columns);

  /// All of the row or, when a value does not fit its column, nothing: BadArgument names row and column.
  template <class Row>
  void write(const Row& row) {
    Buffer& out = copy_.piece();
    const std::size_t start = out.size();
    ++row_;
    try {
      schema::visit_members(row, [&](const auto&... m) {
        const std::size_t most = 2 + (... + longest(m));
        char* to = out.reserve(most);
        wire::store_be(to, static_cast<std::uint16_t>(sizeof...(m)));
        to += 2;
        const Column* column = columns_.data();
        ((to = value(out, to, *column++, m, most)), ...);
        out.commit(static_cast<std::size_t>(to - (out.data() + out.size())));
      });
    } catch (...) {
      out.truncate(start);
      throw;
    }
  }
  void write_end();
  [[nodiscard]] CopyIn& copy() noexcept { return copy_; }

 private:
  struct Column {
    Form form;
    Oid type;
    std::string_view name;
  };

  /// What value() writes at most, but for what `other` writes.
  template <class M>
  static std::size_t longest(const M& member) noexcept {
    const auto& bare = schema::unannotated(member);
    using T = std::remove_cvref_t<decltype(bare)>;
    if constexpr (kIsOptional<T>) {
      return bare ? longest(*bare) : 4;
    } else if constexpr (kIsText<T>) {
      return 4 + bare.size();
    } else {
      return 12;
    }
  }
  /// Where the next one goes: there is room for `most` from the start of the row on.
  template <class M>
  char* value(Buffer& out, char* to, const Column& column, const M& member, std::size_t most) {
    const auto& bare = schema::unannotated(member);
    using T = std::remove_cvref_t<decltype(bare)>;
    if constexpr (kIsOptional<T>) {
      if (bare) return value(out, to, column, *bare, most);
      wire::store_be<std::int32_t>(to, -1);
      return to + 4;
    } else {
      if constexpr (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) {
        if (column.form == Form::int8 && std::in_range<std::int64_t>(bare))
          return fixed(to, static_cast<std::int64_t>(bare));
        if (column.form == Form::int4 && std::in_range<std::int32_t>(bare))
          return fixed(to, static_cast<std::int32_t>(bare));
        if (column.form == Form::int2 && std::in_range<std::int16_t>(bare))
          return fixed(to, static_cast<std::int16_t>(bare));
      } else if constexpr (std::floating_point<T>) {
        if (column.form == Form::float8) return fixed(to, std::bit_cast<std::uint64_t>(static_cast<double>(bare)));
      } else if constexpr (kIsText<T>) {
        const std::string_view text = bare;
        if (column.form == Form::text && text.size() <= kLongText && text.find('\0') == std::string_view::npos) {
          wire::store_be(to, static_cast<std::uint32_t>(text.size()));
          if (!text.empty()) std::memcpy(to + 4, text.data(), text.size());
          return to + 4 + text.size();
        }
      }
      return other(out, to, column, member, most);
    }
  }
  // Apart, so that what is short can be inlined.
  template <class M>
  [[gnu::noinline]] char* other(Buffer& out, const char* to, const Column& column, const M& member, std::size_t most) {
    scratch_.clear();
    encode_value(scratch_, member);
    return write_scratch(out, to, column, most);
  }
  template <class T>
  static constexpr bool kIsText = std::same_as<T, std::string> || std::same_as<T, std::string_view>;
  static constexpr std::size_t kLongText = 1U << 29;  // what is longer is not worth a short way
  template <class Int>
  static char* fixed(char* to, Int value) noexcept {
    wire::store_be<std::uint32_t>(to, sizeof value);
    wire::store_be(to + 4, value);
    return to + 4 + sizeof value;
  }
  char* write_scratch(Buffer& out, const char* to, const Column& column, std::size_t most);

  CopyIn& copy_;
  const TypeMap& types_;
  std::vector<Column> columns_;
  Params scratch_;
  std::uint64_t row_ = 0;
};

}  // namespace ashlar::pg::detail
