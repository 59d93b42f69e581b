#include <ashlar/schema/filter.hpp>

#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <memory>

#include <ashlar/base/error.hpp>
#include <ashlar/schema/detail/object_state.hpp>

namespace ashlar::schema {

std::string_view suffix_of(FilterOp op) noexcept {
  constexpr std::array<std::string_view, 10> suffixes = {"",      "__ne", "__lt",       "__lte",         "__gt",
                                                         "__gte", "__in", "__contains", "__starts_with", "__null"};
  return suffixes[static_cast<std::size_t>(op)];
}

bool reads_parameter(const TypeInfo& object, std::string_view name) {
  const ObjectState& state = detail::object_state_of(object);
  return state.rest != nullptr || state.find(name) != state.members.size();
}

namespace detail {
namespace {

// The struct that a list's parameters are read into, and all that its description points to. Never freed: descriptions
// have static storage.
struct ListType {
  std::deque<std::string> texts;
  std::deque<Rules> rules;
  std::deque<TypeInfo> types;
  std::vector<Member> members;
  ObjectOps object{};
  std::atomic<const ObjectState*> state{nullptr};
  TypeInfo type{};

  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
  const TypeInfo& described(const TypeInfo& of, std::string text, auto&& change) {
    Rules& mine = rules.emplace_back(of.rules != nullptr ? *of.rules : Rules{});
    mine.description = keep(std::move(text));
    mine.alias = {};  // the name is made already
    change(mine);
    TypeInfo& copy = types.emplace_back(of);
    copy.rules = &mine;
    return copy;
  }
};

std::string what_it_asks(std::string_view field, FilterOp op) {
  constexpr std::array<std::string_view, 10> texts = {"is this",
                                                      "is anything but this",
                                                      "is less than this",
                                                      "is this or less",
                                                      "is more than this",
                                                      "is this or more",
                                                      "is one of these",
                                                      "contains this, in any case",
                                                      "begins with this, in any case",
                                                      "is not set (true), or is (false)"};
  return fmt::format("Only where `{}` {}", field, texts[static_cast<std::size_t>(op)]);
}

std::string list_of(std::span<const std::string_view> names, std::string_view last) {
  std::string out;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) out += i + 1 == names.size() ? last : std::string_view(", ");
    out += fmt::format("'{}'", names[i]);
  }
  return out;
}

std::string sort_pattern(std::span<const std::string_view> fields) {
  std::string one;
  for (const std::string_view field : fields) one += (one.empty() ? "" : "|") + std::string(field);
  return fmt::format("^-?({0})(,-?({0}))*$", one);
}

}  // namespace

std::string unknown_sort(std::span<const std::string_view> fields) {
  return fmt::format("fields are {}, with '-' before one for descending order and ',' between two",
                     list_of(fields, " and "));
}

std::string sort_text(std::span<const SortKey> keys, std::span<const std::string_view> fields) {
  std::string out;
  for (const SortKey key : keys) {
    out += out.empty() ? "" : ",";
    out += key.descending ? "-" : "";
    out += fields[key.field];
  }
  return out;
}

const TypeInfo& make_list_type(const TypeInfo& type, std::span<const ListPart> parts) {
  const ObjectState& names = object_state_of(type);
  if (names.rest != nullptr)
    throw Internal(fmt::format("{}: a list refuses what it does not know, so no member can be rest{{}}", type.name));
  auto made = std::make_unique<ListType>();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const MemberState& member = names.members[i];
    const ListPart& part = parts[i];
    for (const FilterOp op : part.ops) {
      const Member& into = part.parts[static_cast<std::size_t>(op)];
      std::string text = what_it_asks(member.wire, op);
      if (member.rules != nullptr && !member.rules->description.empty())
        text = fmt::format("{}. {}", member.rules->description, text);
      const TypeInfo& as = made->described(*into.type, std::move(text), [&](Rules& rules) {
        rules.deprecated = rules.deprecated || (member.rules != nullptr && member.rules->deprecated);
      });
      made->members.push_back(
          {made->keep(fmt::format("{}{}", member.wire, suffix_of(op))), member.offset + into.offset, &as});
    }
    if (!part.fields.empty()) {
      const TypeInfo& as =
          made->described(*member.type, "The order: fields with ',' between them, '-' before one for descending order",
                          [&](Rules& rules) {
                            rules.pattern = made->keep(sort_pattern(part.fields));
                            rules.defaulted = true;
                          });
      made->members.push_back({made->keep(std::string(member.wire)), member.offset, &as});
    } else if (part.ops.empty()) {
      made->members.push_back({made->keep(std::string(member.wire)), member.offset, member.type});
    }
  }
  constexpr std::size_t kMost = 128;  // members of a struct
  if (made->members.size() > kMost) {
    throw Internal(
        fmt::format("{} has {} parameters, more than {}; name the comparisons that are wanted: "
                    "FilterBy<T, FilterOp::eq>",
                    type.name, made->members.size(), kMost));
  }
  made->object.members = made->members.data();
  made->object.count = made->members.size();
  made->object.options = type.object->options;
  made->object.options.naming = Naming::as_written;
  made->object.options.extra = Extra::forbid;
  made->object.create = type.object->create;
  made->object.create_uninitialised = type.object->create_uninitialised;
  made->object.destroy = type.object->destroy;
  made->object.validate = type.object->validate;
  made->object.state = &made->state;
  made->type = type;
  made->type.object = &made->object;
  (void)object_state_of(made->type);  // two parameters of one name are told now
  return made.release()->type;
}

}  // namespace detail
}  // namespace ashlar::schema
