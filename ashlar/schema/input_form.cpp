#include <ashlar/schema/input_form.hpp>

#include <algorithm>
#include <utility>

#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::schema {
namespace {

void drop_what_is_not_sent(Tree& value, const TypeInfo& type) {
  switch (type.kind) {
    case Kind::optional:
    case Kind::patch:
      return drop_what_is_not_sent(value, *type.inner);
    case Kind::list:
    case Kind::array:
    case Kind::map:
      for (Tree& item : value.items) drop_what_is_not_sent(item, *type.inner);
      return;
    case Kind::tuple:
      for (std::size_t i = 0; i < std::min<std::size_t>(value.items.size(), type.count); ++i)
        drop_what_is_not_sent(value.items[i], *type.tuple->types[i]);
      return;
    case Kind::object:
      break;
    default:
      return;
  }
  if (value.kind != Tree::Kind::object) return;
  Tree kept = Tree::object();
  const auto& members = detail::object_state_of(type).members;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const auto member = std::ranges::find(members, value.names[i], &detail::MemberState::wire);
    if (member != members.end()) {
      if (!member->readable) continue;
      drop_what_is_not_sent(value.items[i], *member->type);
    }
    kept.add(std::move(value.names[i]), std::move(value.items[i]));
  }
  value = std::move(kept);
}

}  // namespace

std::string input_form(std::string_view json, const TypeInfo& type) {
  auto tree = parse_tree(json);
  if (!tree) return std::string(json);
  drop_what_is_not_sent(*tree, type);
  return tree->json();
}

}  // namespace ashlar::schema
