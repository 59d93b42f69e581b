#include <ashlar/schema/detail/scalar.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar::schema {

bool parse_key(const TypeInfo& type, std::string_view text, void* into) {
  return !detail::parse_scalar(type, text, into) && !detail::check_rules(type, into);
}

void append_key(const TypeInfo& type, const void* key, std::string& out) { detail::append_scalar(type, key, out); }

}  // namespace ashlar::schema
