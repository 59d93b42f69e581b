// BinaryRows: rows to the binary format of COPY, straight into the piece that is sent.
// Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
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
#include <ashlar/pg/detail/copy_text.hpp>
#include <ashlar/pg/params.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {

class BinaryRows {
 public:
  /// How a column is written for the C++ types that most of them have. `other`: by Params, which takes any.
  enum class Form : std::uint8_t {
    other,
    boolean,
    int2,
    int4,
    int8,
    float4,
    float8,
    text,
    uuid,
    timestamptz,
    timestamp
  };

  BinaryRows(CopyIn& copy, const TypeMap& types, std::span<const wire::Field> columns);

  /// All of the row or, when a value does not fit its column, nothing: BadArgument names row and column. False: the
  /// piece is to be sent, CopyIn::room().
  template <class Row>
  bool write(const Row& row) {
    ++row_;
    return schema::visit_members(row, [this](const auto&... m) {
      if (fit_ == Fit::yes) [[likely]] {
        char* const start = copy_.begin_bytes(longest(m...));
        if (char* const end = write_fitting(start, m...); end != nullptr) [[likely]]
          return copy_.end_bytes(end);
      }
      return this->write_any(m...);
    });
  }
  void write_end();
  [[nodiscard]] CopyIn& copy() noexcept { return copy_; }

 private:
  struct Column {
    Form form;
    Oid type;
    std::string_view name;
  };
  template <class M>
  using Bare = std::remove_cvref_t<decltype(schema::unannotated(std::declval<const M&>()))>;
  template <class T>
  static constexpr bool kIsText = std::same_as<T, std::string> || std::same_as<T, std::string_view>;

  /// The form of a column that holds just the values of M: nothing about it needs to be looked at again in each row.
  template <class M>
  static consteval Form form_of() {
    using T = Bare<M>;
    if constexpr (kIsOptional<T>) {
      return form_of<typename T::value_type>();
    } else if constexpr (std::same_as<T, bool>) {
      return Form::boolean;
    } else if constexpr (std::signed_integral<T> && !std::same_as<T, char>) {
      return sizeof(T) == 8 ? Form::int8 : sizeof(T) == 4 ? Form::int4 : sizeof(T) == 2 ? Form::int2 : Form::other;
    } else if constexpr (std::same_as<T, float>) {
      return Form::float4;
    } else if constexpr (std::same_as<T, double>) {
      return Form::float8;
    } else if constexpr (kIsText<T>) {
      return Form::text;
    } else if constexpr (std::same_as<T, Uuid>) {
      return Form::uuid;
    } else if constexpr (std::same_as<T, DateTime>) {
      return Form::timestamptz;
    } else if constexpr (std::same_as<T, LocalDateTime>) {
      return Form::timestamp;
    } else {
      return Form::other;
    }
  }

  /// What a value of M takes at most, but for a text's bytes and what `other` writes.
  template <class M>
  static consteval std::size_t size_of() {
    constexpr Form form = form_of<M>();
    if constexpr (form == Form::uuid) return 4 + 16;
    if constexpr (form == Form::text) return 4;
    return 4 + 8;
  }
  template <class M>
  static std::size_t text_size(const M& member) noexcept {
    const auto& bare = schema::unannotated(member);
    if constexpr (form_of<M>() != Form::text) {
      return 0;
    } else if constexpr (kIsOptional<Bare<M>>) {
      return bare ? text_size(*bare) : 0;
    } else {
      return bare.size();
    }
  }
  template <class... M>
  static std::size_t longest(const M&... m) noexcept {
    return 2 + (... + size_of<M>()) + (... + text_size(m));
  }

  /// A row whose columns fit its members. Its end; null: a value must be looked at.
  template <class... M>
  [[gnu::always_inline]] static char* write_fitting(char* to, const M&... m) noexcept {
    if constexpr ((... || (form_of<M>() == Form::other))) {
      return nullptr;
    } else {
      wire::store_be(to, static_cast<std::uint16_t>(sizeof...(m)));
      to += 2;
      static_cast<void>(((to = fitting(to, m), to != nullptr) && ...));
      return to;
    }
  }
  /// A value whose column holds just such. Where the next one goes; null: `other` knows whether it can be written.
  template <class M>
  [[gnu::always_inline]] static char* fitting(char* to, const M& member) noexcept {
    const auto& bare = schema::unannotated(member);
    using T = Bare<M>;
    constexpr Form form = form_of<T>();
    if constexpr (kIsOptional<T>) {
      if (bare) return fitting(to, *bare);
      wire::store_be<std::int32_t>(to, -1);
      return to + 4;
    } else if constexpr (form == Form::text) {
      const std::string_view text = bare;
      wire::store_be(to, static_cast<std::uint32_t>(text.size()));
      if (text.size() > kLongText || !copy_text(to + 4, text.data(), text.size())) [[unlikely]]
        return nullptr;
      return to + 4 + text.size();
    } else if constexpr (form == Form::uuid) {
      wire::store_be<std::uint32_t>(to, 16);
      std::memcpy(to + 4, bare.bytes.data(), 16);
      return to + 4 + 16;
    } else if constexpr (form == Form::timestamptz || form == Form::timestamp) {
      // Infinities are the ends of the range.
      using Limits = std::numeric_limits<std::int64_t>;
      if (bare.micros < Limits::min() + kPgEpochMicros || bare.micros == Limits::max()) [[unlikely]]
        return nullptr;
      return fixed(to, bare.micros - kPgEpochMicros);
    } else if constexpr (form == Form::boolean) {
      return fixed(to, static_cast<std::uint8_t>(bare ? 1 : 0));
    } else if constexpr (form == Form::float4) {
      return fixed(to, std::bit_cast<std::uint32_t>(bare));
    } else if constexpr (form == Form::float8) {
      return fixed(to, std::bit_cast<std::uint64_t>(bare));
    } else {
      return fixed(to, bare);
    }
  }

  template <class... M>
  bool write_any(const M&... m) {
    if (fit_ == Fit::unknown) fit_ = columns_fit({form_of<M>()...}) ? Fit::yes : Fit::no;
    Buffer& out = copy_.piece();
    const std::size_t start = out.size();
    try {
      const std::size_t most = longest(m...);
      char* to = out.reserve(most);
      wire::store_be(to, static_cast<std::uint16_t>(sizeof...(m)));
      to += 2;
      const Column* column = columns_.data();
      ((to = value(out, to, *column++, m, most)), ...);
      out.commit(static_cast<std::size_t>(to - (out.data() + out.size())));
    } catch (...) {
      out.truncate(start);
      throw;
    }
    return out.size() < CopyIn::kPiece;
  }
  /// Where the next one goes: there is room for `most` from the start of the row on.
  template <class M>
  char* value(Buffer& out, char* to, const Column& column, const M& member, std::size_t most) {
    const auto& bare = schema::unannotated(member);
    using T = Bare<M>;
    if constexpr (kIsOptional<T>) {
      if (bare) return value(out, to, column, *bare, most);
      wire::store_be<std::int32_t>(to, -1);
      return to + 4;
    } else {
      if constexpr (form_of<T>() != Form::other) {
        if (column.form == form_of<T>()) {
          if (char* const end = fitting(to, bare); end != nullptr) return end;
          return other(out, to, column, &encode<M>, &member, most);
        }
      }
      if constexpr (std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char>) {
        if (column.form == Form::int8 && std::in_range<std::int64_t>(bare))
          return fixed(to, static_cast<std::int64_t>(bare));
        if (column.form == Form::int4 && std::in_range<std::int32_t>(bare))
          return fixed(to, static_cast<std::int32_t>(bare));
        if (column.form == Form::int2 && std::in_range<std::int16_t>(bare))
          return fixed(to, static_cast<std::int16_t>(bare));
      } else if constexpr (std::floating_point<T>) {
        if (column.form == Form::float8) return fixed(to, std::bit_cast<std::uint64_t>(static_cast<double>(bare)));
      }
      return other(out, to, column, &encode<M>, &member, most);
    }
  }
  template <class Int>
  static char* fixed(char* to, Int value) noexcept {
    wire::store_be<std::uint32_t>(to, sizeof value);
    wire::store_be(to + 4, value);
    return to + 4 + sizeof value;
  }
  template <class M>
  static void encode(Params& out, const void* member) {
    encode_value(out, *static_cast<const M*>(member));
  }
  char* other(Buffer& out, const char* to, const Column& column, void (*encode)(Params&, const void*),
              const void* member, std::size_t most);
  [[nodiscard]] bool columns_fit(std::initializer_list<Form> members) const noexcept;

  enum class Fit : std::uint8_t { unknown, yes, no };
  static constexpr std::size_t kLongText = 1U << 29;  // what is longer is not worth a short way

  CopyIn& copy_;
  const TypeMap& types_;
  std::vector<Column> columns_;
  Params scratch_;
  std::uint64_t row_ = 0;
  Fit fit_ = Fit::unknown;
};

}  // namespace ashlar::pg::detail
