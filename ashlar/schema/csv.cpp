#include <ashlar/schema/csv.hpp>

#include <cstddef>
#include <string_view>

#include <ashlar/base/error.hpp>
#include <ashlar/schema/detail/object_state.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::schema {
namespace {

void append_csv(std::string_view text, std::string& out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

// Nothing is null, and "" the empty text.
void append_csv_value(const TypeInfo& type, const void* at, std::string& out) {
  if (type.kind == Kind::optional || type.kind == Kind::patch) {
    const void* const inner = type.optional->get(at);
    if (inner != nullptr) append_csv_value(*type.inner, inner, out);
    return;
  }
  std::string text;
  if (type.kind == Kind::string_view) {
    text = *static_cast<const std::string_view*>(at);
  } else {
    write_text(type, at, text);
  }
  if (text.empty()) {
    out += "\"\"";
  } else {
    append_csv(text, out);
  }
}

struct Lines {
  const TypeInfo* element;
  std::string* out;
};

}  // namespace

void write_csv(const TypeInfo& list, const void* value, std::string& out) {
  if (list.kind != Kind::list || list.inner->kind != Kind::object)
    throw Internal("CSV is written of a list of structs");
  const ObjectState& state = detail::object_state_of(*list.inner);
  bool first = true;
  for (const auto& member : state.members) {
    if (!member.writable) continue;
    if (!first) out += ',';
    first = false;
    append_csv(member.wire, out);
  }
  out += "\r\n";
  Lines lines{list.inner, &out};
  list.list->each(value, &lines, [](void* context, const void* element) {
    const auto& [type, into] = *static_cast<const Lines*>(context);
    bool first_field = true;
    for (const auto& member : detail::object_state_of(*type).members) {
      if (!member.writable) continue;
      if (!first_field) *into += ',';
      first_field = false;
      append_csv_value(*member.type, static_cast<const std::byte*>(element) + member.offset, *into);
    }
    *into += "\r\n";
  });
}

}  // namespace ashlar::schema
