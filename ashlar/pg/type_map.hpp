// TypeMap: what the numbers of PostgreSQL's types mean. The built-in ones are known; enums, composites, domains and
// their arrays are looked up once a connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace ashlar::pg {

using Oid = std::uint32_t;

/// Numbers of the built-in types, fixed for ever by src/include/catalog/pg_type.dat.
namespace oid {
inline constexpr Oid boolean = 16, bytea = 17, character = 18, name = 19, int8 = 20, int2 = 21, int4 = 23, text = 25,
                     oid = 26, json = 114, xml = 142, point = 600, cidr = 650, float4 = 700, float8 = 701,
                     unknown = 705, macaddr8 = 774, macaddr = 829, inet = 869, bpchar = 1042, varchar = 1043,
                     date = 1082, time = 1083, timestamp = 1114, timestamptz = 1184, interval = 1186, timetz = 1266,
                     bit = 1560, varbit = 1562, numeric = 1700, record = 2249, void_type = 2278, uuid = 2950,
                     jsonb = 3802, int4range = 3904, numrange = 3906, tsrange = 3908, tstzrange = 3910,
                     daterange = 3912, int8range = 3926, record_array = 2287;
}  // namespace oid

enum class TypeKind : char {
  base = 'b',
  composite = 'c',
  domain = 'd',
  enumeration = 'e',
  pseudo = 'p',
  range = 'r',
  multirange = 'm',
  array = 'a'
};

struct TypeEntry {
  Oid id = 0;
  TypeKind kind = TypeKind::base;
  std::string name;
  Oid element = 0;              ///< of an array, or a range; the range of a multirange; the base of a domain
  std::vector<Oid> attributes;  ///< of a composite
};

class TypeMap {
 public:
  /// nullptr: not known (yet).
  [[nodiscard]] const TypeEntry* find(Oid id) const noexcept;
  /// The type itself, or what a domain is made of.
  [[nodiscard]] Oid base(Oid id) const noexcept;
  /// Element type of an array or range, the range of a multirange; 0 if it is none of them.
  [[nodiscard]] Oid element(Oid id) const noexcept;
  [[nodiscard]] TypeKind kind(Oid id) const noexcept;
  /// As PostgreSQL prints it: "int8", "text[]", "mood".
  [[nodiscard]] std::string name(Oid id) const;
  void add(TypeEntry entry);

 private:
  std::unordered_map<Oid, TypeEntry> own_;
};

/// The C++ type to use for a PostgreSQL type, for messages: "std::int64_t".
[[nodiscard]] std::string suggested_cpp_type(const TypeMap& types, Oid id);

}  // namespace ashlar::pg
