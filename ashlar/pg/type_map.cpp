#include <ashlar/pg/type_map.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace ashlar::pg {
namespace {

struct BuiltIn {
  Oid id;
  Oid array;
  TypeKind kind;
  const char* name;
  Oid element;
  const char* cpp;
};

constexpr BuiltIn kBuiltIn[] = {
    {16, 1000, TypeKind::base, "bool", 0, "bool"},
    {17, 1001, TypeKind::base, "bytea", 0, "ashlar::Bytes"},
    {18, 1002, TypeKind::base, "char", 0, "std::string"},
    {19, 1003, TypeKind::base, "name", 0, "std::string"},
    {20, 1016, TypeKind::base, "int8", 0, "std::int64_t"},
    {21, 1005, TypeKind::base, "int2", 0, "std::int16_t"},
    {23, 1007, TypeKind::base, "int4", 0, "std::int32_t"},
    {24, 1008, TypeKind::base, "regproc", 0, "std::string, casting with ::text"},
    {25, 1009, TypeKind::base, "text", 0, "std::string"},
    {26, 1028, TypeKind::base, "oid", 0, "std::uint32_t"},
    {114, 199, TypeKind::base, "json", 0, "a struct, or schema::Json"},
    {142, 143, TypeKind::base, "xml", 0, "std::string"},
    {600, 1017, TypeKind::base, "point", 0, "pg::Point"},
    {650, 651, TypeKind::base, "cidr", 0, "ashlar::IpAddress"},
    {700, 1021, TypeKind::base, "float4", 0, "float"},
    {701, 1022, TypeKind::base, "float8", 0, "double"},
    {705, 0, TypeKind::pseudo, "unknown", 0, "std::string"},
    {790, 791, TypeKind::base, "money", 0, "ashlar::Decimal, casting with ::numeric"},
    {774, 775, TypeKind::base, "macaddr8", 0, "pg::MacAddress8"},
    {829, 1040, TypeKind::base, "macaddr", 0, "pg::MacAddress"},
    {869, 1041, TypeKind::base, "inet", 0, "ashlar::IpAddress"},
    {1042, 1014, TypeKind::base, "bpchar", 0, "std::string"},
    {1043, 1015, TypeKind::base, "varchar", 0, "std::string"},
    {1082, 1182, TypeKind::base, "date", 0, "ashlar::Date"},
    {1083, 1183, TypeKind::base, "time", 0, "ashlar::TimeOfDay"},
    {1114, 1115, TypeKind::base, "timestamp", 0,
     "pg::LocalDateTime (or make the column timestamptz: ashlar::DateTime)"},
    {1184, 1185, TypeKind::base, "timestamptz", 0, "ashlar::DateTime"},
    {1186, 1187, TypeKind::base, "interval", 0, "pg::Interval"},
    {1266, 1270, TypeKind::base, "timetz", 0, "pg::TimeWithZone"},
    {1560, 1561, TypeKind::base, "bit", 0, "pg::BitString"},
    {1562, 1563, TypeKind::base, "varbit", 0, "pg::BitString"},
    {1700, 1231, TypeKind::base, "numeric", 0, "ashlar::Decimal"},
    {2205, 2210, TypeKind::base, "regclass", 0, "std::string, casting with ::text"},
    {2206, 2211, TypeKind::base, "regtype", 0, "std::string, casting with ::text"},
    {2249, 2287, TypeKind::pseudo, "record", 0, "a struct"},
    {2278, 0, TypeKind::pseudo, "void", 0, "void"},
    {2950, 2951, TypeKind::base, "uuid", 0, "ashlar::Uuid"},
    {3220, 3221, TypeKind::base, "pg_lsn", 0, "std::string, casting with ::text"},
    {3614, 3643, TypeKind::base, "tsvector", 0, "std::string, casting with ::text"},
    {3615, 3645, TypeKind::base, "tsquery", 0, "std::string, casting with ::text"},
    {3802, 3807, TypeKind::base, "jsonb", 0, "a struct, or schema::Json"},
    {3904, 3905, TypeKind::range, "int4range", 23, "pg::Range<std::int32_t>"},
    {3906, 3907, TypeKind::range, "numrange", 1700, "pg::Range<ashlar::Decimal>"},
    {3908, 3909, TypeKind::range, "tsrange", 1114, "pg::Range<pg::LocalDateTime>"},
    {3910, 3911, TypeKind::range, "tstzrange", 1184, "pg::Range<ashlar::DateTime>"},
    {3912, 3913, TypeKind::range, "daterange", 1082, "pg::Range<ashlar::Date>"},
    {3926, 3927, TypeKind::range, "int8range", 20, "pg::Range<std::int64_t>"},
    {4451, 6150, TypeKind::multirange, "int4multirange", 3904, "pg::Multirange<std::int32_t>"},
    {4532, 6151, TypeKind::multirange, "nummultirange", 3906, "pg::Multirange<ashlar::Decimal>"},
    {4533, 6152, TypeKind::multirange, "tsmultirange", 3908, "pg::Multirange<pg::LocalDateTime>"},
    {4534, 6153, TypeKind::multirange, "tstzmultirange", 3910, "pg::Multirange<ashlar::DateTime>"},
    {4535, 6155, TypeKind::multirange, "datemultirange", 3912, "pg::Multirange<ashlar::Date>"},
    {4536, 6157, TypeKind::multirange, "int8multirange", 3926, "pg::Multirange<std::int64_t>"},
};

struct BuiltInMap {
  std::unordered_map<Oid, TypeEntry> entries;
  std::unordered_map<Oid, const char*> cpp;
  BuiltInMap() {
    for (const BuiltIn& type : kBuiltIn) {
      entries[type.id] = {type.id, type.kind, type.name, type.element, {}};
      cpp[type.id] = type.cpp;
      if (type.array != 0)
        entries[type.array] = {type.array, TypeKind::array, std::string(type.name) + "[]", type.id, {}};
    }
  }
};

const BuiltInMap& built_in() {
  static const BuiltInMap map;
  return map;
}

}  // namespace

const TypeEntry* TypeMap::find(Oid id) const noexcept {
  const auto& known = built_in().entries;
  if (const auto it = known.find(id); it != known.end()) return &it->second;
  const auto it = own_.find(id);
  return it == own_.end() ? nullptr : &it->second;
}

Oid TypeMap::base(Oid id) const noexcept {
  for (int depth = 0; depth < 16; ++depth) {
    const TypeEntry* entry = find(id);
    if (entry == nullptr || entry->kind != TypeKind::domain) return id;
    id = entry->element;
  }
  return id;
}

Oid TypeMap::element(Oid id) const noexcept {
  const TypeEntry* entry = find(id);
  const TypeKind kind = entry == nullptr ? TypeKind::base : entry->kind;
  return kind == TypeKind::array || kind == TypeKind::range || kind == TypeKind::multirange ? entry->element : 0;
}

TypeKind TypeMap::kind(Oid id) const noexcept {
  const TypeEntry* entry = find(id);
  return entry == nullptr ? TypeKind::base : entry->kind;
}

std::string TypeMap::name(Oid id) const {
  const TypeEntry* entry = find(id);
  if (entry == nullptr) return fmt::format("type {}", id);
  if (entry->kind == TypeKind::array && own_.contains(id)) return name(entry->element) + "[]";
  return entry->name;
}

void TypeMap::add(TypeEntry entry) {
  const Oid id = entry.id;
  own_.insert_or_assign(id, std::move(entry));
}

std::string suggested_cpp_type(const TypeMap& types, Oid id) {
  id = types.base(id);
  const auto& cpp = built_in().cpp;
  if (const auto it = cpp.find(id); it != cpp.end()) return it->second;
  switch (types.kind(id)) {
    case TypeKind::array:
      return fmt::format("std::vector<{}>", suggested_cpp_type(types, types.element(id)));
    case TypeKind::range:
      return fmt::format("pg::Range<{}>", suggested_cpp_type(types, types.element(id)));
    case TypeKind::multirange:
      return fmt::format("pg::Multirange<{}>", suggested_cpp_type(types, types.element(types.element(id))));
    case TypeKind::enumeration:
      return "an enum class with the same names, or std::string";
    case TypeKind::composite:
      return "a struct with the same fields";
    default: {
      const std::string name = types.name(id);
      if (name == "hstore") return "pg::Hstore";
      if (name == "vector") return "pg::Vector";
      return name == "citext" ? "std::string" : "std::string, casting with ::text";
    }
  }
}

}  // namespace ashlar::pg
