// Rows to structs. Columns go to members in order:
//   - a member with a codec takes one column; std::optional<T> takes NULL;
//   - a nested struct takes as many consecutive columns as it has members, or one column that is json, jsonb, a record
//   or
//     a composite type; std::optional<struct> is empty when all its columns are NULL;
//   - std::vector<struct> takes one column: a json/jsonb array, or an array of a composite type.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/type_map.hpp>
#include <ashlar/pg/wire.hpp>
#include <ashlar/schema/reflect.hpp>

namespace ashlar::pg {

struct ColumnType {
  Oid type = 0;
  bool holds_struct = false;  ///< json, jsonb, record, composite
};

/// A DataRow message, column by column. Views into the receive buffer.
class RowReader {
 public:
  RowReader(std::string_view body, std::span<const ColumnType> columns);

  struct Column {
    Oid type;
    bool null;
    std::string_view bytes;
  };
  Column next();
  [[nodiscard]] bool at_struct() const noexcept { return index_ < columns_.size() && columns_[index_].holds_struct; }
  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  /// Moves past `n` columns if all of them are NULL.
  bool skip_nulls(std::size_t n);
  [[noreturn]] static void unexpected_null();

 private:
  const char* p_;
  const char* end_;
  std::span<const ColumnType> columns_;
  std::size_t index_ = 0;
};

/// Compares a query's columns with a row type, one call of column() a member.
class RowVerifier {
 public:
  enum class Null : std::uint8_t {
    unknown,
    never,
    possible,
    outer,  ///< never in its table, which is on the far side of an outer join
  };

  RowVerifier(const TypeMap& types, std::span<const wire::Field> fields, std::span<const Null> nulls)
      : types_(types), fields_(fields), nulls_(nulls) {}

  using Accepts = bool (*)(const TypeMap&, Oid);
  void column(const std::string& path, bool nullable, Accepts accepts, const std::string& cpp_type);
  [[nodiscard]] bool at_struct() const;
  /// One that a member is written into.
  void written_column(std::string_view member, Accepts accepts, const std::string& cpp_type);
  /// One column for a whole struct: its name is checked.
  void struct_column(const std::string& path, bool nullable);
  /// Between them are the members of a std::optional<struct>, which is absent when the join found nothing.
  void enter_optional() noexcept { ++optional_; }
  void leave_optional() noexcept { --optional_; }
  void finish(const std::string& row_type);
  [[nodiscard]] std::vector<std::string>& problems() noexcept { return problems_; }

 private:
  void check_name(const std::string& path);
  void check_null(const std::string& path, bool nullable, const std::string& cpp_type);
  const TypeMap& types_;
  std::span<const wire::Field> fields_;
  std::span<const Null> nulls_;
  std::size_t index_ = 0;
  std::size_t missing_ = 0;
  std::size_t optional_ = 0;
  std::vector<std::string> problems_;
};

namespace detail {

/// "std::vector<std::string>" from what the compiler prints.
std::string tidy_type_name(std::string_view pretty_function);
template <class T>
std::string cpp_type_name() {
  return tidy_type_name(__PRETTY_FUNCTION__);
}

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
consteval bool first_takes_json();
template <class T>
consteval bool first_takes_json() {
  if constexpr (HasCodec<T>) {
    return kTakesJson<T>;
  } else if constexpr (kIsOptional<T>) {
    return first_takes_json<typename T::value_type>();
  } else {
    using First = decltype(schema::visit_members(std::declval<T&>(), [](auto& first, auto&...) {
      return static_cast<std::remove_reference_t<decltype(first)>*>(nullptr);
    }));
    return first_takes_json<std::remove_pointer_t<First>>();
  }
}

template <class T>
void read(RowReader& in, T& out);

/// Columns a flat struct takes.
template <class T>
consteval std::size_t flat_columns() {
  if constexpr (HasCodec<T>) {
    return 1;
  } else if constexpr (kIsOptional<T>) {
    return flat_columns<typename T::value_type>();
  } else {
    return decltype(schema::visit_members(std::declval<T&>(), [](auto&... m) {
      return std::integral_constant<std::size_t, (flat_columns<std::remove_reference_t<decltype(m)>>() + ... + 0)>{};
    }))::value;
  }
}

template <class T>
void read(RowReader& in, T& out) {
  if constexpr (kIsOptional<T>) {
    using Inner = typename T::value_type;
    if constexpr (HasCodec<Inner>) {
      const RowReader::Column column = in.next();
      if (column.null) {
        out.reset();
      } else {
        Codec<Inner>::decode(column.type, column.bytes, out.emplace());
      }
    } else if (in.at_struct() && !first_takes_json<Inner>()) {
      const RowReader::Column column = in.next();
      if (column.null) {
        out.reset();
      } else {
        StructColumn<Inner>::decode(column.type, column.bytes, out.emplace());
      }
    } else if (in.skip_nulls(flat_columns<Inner>())) {
      out.reset();
    } else {
      read(in, out.emplace());
    }
  } else if constexpr (HasCodec<T>) {
    const RowReader::Column column = in.next();
    if (column.null) [[unlikely]]
      RowReader::unexpected_null();
    Codec<T>::decode(column.type, column.bytes, out);
  } else {
    static_assert(schema::Reflected<T>,
                  "this type is neither a struct nor has it a pg::Codec: see ashlar/pg/codec.hpp");
    if (in.at_struct() && !first_takes_json<T>()) {
      const RowReader::Column column = in.next();
      if (column.null) [[unlikely]]
        RowReader::unexpected_null();
      StructColumn<T>::decode(column.type, column.bytes, out);
    } else {
      schema::visit_members(out, [&in](auto&... m) { (read(in, m), ...); });
    }
  }
}

/// The row itself is never one struct column: `select row_to_json(a)` into a struct is a nested member's business.
template <class T>
void read_row(RowReader& in, T& out) {
  if constexpr (kIsOptional<T> || HasCodec<T>) {
    read(in, out);
  } else {
    schema::visit_members(out, [&in](auto&... m) { (read(in, m), ...); });
  }
}

template <class T>
void verify_members(RowVerifier& in, const std::string& path, bool nullable);

template <class T>
void verify_any(RowVerifier& in, const std::string& path, bool nullable) {
  if constexpr (kIsOptional<T>) {
    verify_any<typename T::value_type>(in, path, true);
  } else if constexpr (HasCodec<T>) {
    in.column(path, nullable, &Codec<T>::accepts, cpp_type_name<T>());
  } else {
    if (!path.empty() && in.at_struct() && !first_takes_json<T>()) {
      in.struct_column(path, nullable);
    } else {
      // An optional struct is absent when all its columns are NULL; when it is there, its members hold to their types.
      if (nullable) in.enter_optional();
      verify_members<T>(in, path, false);
      if (nullable) in.leave_optional();
    }
  }
}

template <class T, class... M>
void verify_each(RowVerifier& in, const std::string& path, bool nullable) {
  std::size_t i = 0;
  (verify_any<M>(in, (path.empty() ? path : path + ".") + std::string(schema::member_name<T>(i++)), nullable), ...);
}
template <class... M>
struct Pack {};
template <class T, class... M>
void verify_pack(RowVerifier& in, const std::string& path, bool nullable, Pack<M...>*) {
  verify_each<T, M...>(in, path, nullable);
}
template <class T>
using MembersOf = decltype(schema::visit_members(std::declval<T&>(), [](auto&... m) {
  return static_cast<Pack<std::remove_reference_t<decltype(m)>...>*>(nullptr);
}));
template <class T>
void verify_members(RowVerifier& in, const std::string& path, bool nullable) {
  verify_pack<T>(in, path, nullable, MembersOf<T>{});
}

template <class T>
void verify_row(RowVerifier& in) {
  verify_any<T>(in, {}, false);
  in.finish(cpp_type_name<T>());
}

}  // namespace detail
}  // namespace ashlar::pg
