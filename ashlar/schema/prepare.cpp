#include <set>

#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/detail/values.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {
namespace {

void prepare_all(const TypeInfo& type, std::set<const TypeInfo*>& seen) {
  if (!seen.insert(&type).second) return;
  if (type.rules) detail::compile_pattern(*type.rules);
  if (type.kind == Kind::value) detail::prepare_value(type);
  if (type.inner) prepare_all(*type.inner, seen);
  if (type.kind == Kind::map) prepare_all(*type.map->key, seen);
  if (type.kind == Kind::tuple || type.kind == Kind::variant) {
    const TypeInfo* const* types = type.kind == Kind::tuple ? type.tuple->types : type.variant->types;
    for (; *types; ++types) prepare_all(**types, seen);
  }
  if (type.kind == Kind::object) {
    (void)detail::object_state_of(type);
    for (std::size_t i = 0; i < type.object->count; ++i) prepare_all(*type.object->members[i].type, seen);
  }
}

}  // namespace

void prepare(const TypeInfo& type) {
  std::set<const TypeInfo*> seen;
  prepare_all(type, seen);
}

}  // namespace ashlar::schema
