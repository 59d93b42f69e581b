#include <ashlar/schema/detail/json_reader.hpp>

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>

#include <ashlar/schema/detail/values.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::schema {

bool read_json(const TypeInfo& type, std::string_view json, void* into, Errors& errors, Where where) {
  return detail::JsonReader(json, errors, where).run(type, into);
}

namespace detail {
namespace {

constexpr std::size_t kLongestInput = 200;

// Most documents are, and it is quicker to see than that they are UTF-8.
bool is_ascii(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
#if defined(__SSE2__)
  const auto load = [](const char* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); };
  for (; end - at >= 64; at += 64) {
    const __m128i all = _mm_or_si128(_mm_or_si128(load(at), load(at + 16)), _mm_or_si128(load(at + 32), load(at + 48)));
    if (_mm_movemask_epi8(all) != 0) return false;
  }
  for (; end - at >= 16; at += 16) {
    if (_mm_movemask_epi8(load(at)) != 0) return false;
  }
#endif
  return std::none_of(at, end, [](char c) { return static_cast<signed char>(c) < 0; });
}

void* at_offset(void* base, std::size_t offset) { return static_cast<std::byte*>(base) + offset; }

}  // namespace

bool JsonReader::run(const TypeInfo& type, void* into) {
  const std::size_t before = errors_->size();
  const auto invalid = [&](std::string_view why, const char* at) {
    errors_->truncate(before);
    const Place place = place_of(document_, at);
    report({"json_invalid", fmt::format("Invalid JSON: {} at line {} column {}", why, place.line, place.column), ""},
           {}, at, {});
    return false;
  };
  if (!is_ascii(document_) && !simdjson::validate_utf8(document_.data(), document_.size())) {
    return invalid("invalid UTF-8", document_.data());
  }
  scan_.skip_space();
  if (!read(type, into, {}) || !scan_.finish()) return invalid(scan_.problem, scan_.problem_at);
  return errors_->size() == before;
}

// Nothing but a jump: every case is a tail call.
bool JsonReader::read(const TypeInfo& type, void* into, const Path& path) {
  if (scan_.p == scan_.end) return scan_.fail_value();
  switch (type.kind) {
    case Kind::string:
      return read_string(type, *static_cast<std::string*>(into), path);
    case Kind::integer:
    case Kind::number:
      return read_number(type, into, path);
    case Kind::boolean:
      return read_boolean(type, into, path);
    case Kind::enumeration:
    case Kind::value:
    case Kind::literal:
      return read_text(type, into, path);
    case Kind::object:
      return read_object(type, into, path);
    case Kind::list:
      return read_list(type, into, path);
    case Kind::array:
    case Kind::tuple:
      return read_fixed(type, into, path);
    case Kind::map:
      return read_map(type, into, path);
    case Kind::variant:
      return read_variant(type, into, path);
    case Kind::optional:
    case Kind::patch:
      return read_optional(type, into, path);
    case Kind::secret:
      return read_secret(type, into, path);
    case Kind::json:
      return read_any(type, into, path);
    case Kind::null:
      return *scan_.p == 'n' ? scan_.read_word("null") : refuse_kind(type, path);
    case Kind::string_view:
      break;
  }
  return refuse_kind(type, path);
}

bool JsonReader::read_optional(const TypeInfo& type, void* into, const Path& path) {
  // A null that is refused is the wrong type for what is inside.
  if (*scan_.p == 'n' && !(type.rules != nullptr && type.rules->not_null)) {
    type.optional->reset(into);
    return scan_.read_word("null");
  }
  return read(*type.inner, type.optional->emplace(into), path);
}

bool JsonReader::read_secret(const TypeInfo& type, void* into, const Path& path) {
  ++secret_;
  const bool valid = read(*type.inner, type.optional->emplace(into), path);
  --secret_;
  return valid;
}

bool JsonReader::read_any(const TypeInfo& type, void* into, const Path& path) {
  const char* start = scan_.p;
  if (!scan_.skip_value(depth_)) return false;
  type.json->assign(into, {start, static_cast<std::size_t>(scan_.p - start)});
  check(type, into, path, start);
  return true;
}

bool JsonReader::read_string(const TypeInfo& type, std::string& into, const Path& path) {
  const char* const start = scan_.p;
  const char* after = scan_.take_short_string(start, into);
  if (after == nullptr) after = scan_.take_medium_string(start, into);
  if (after == nullptr) return read_long_string(type, into, path);
  scan_.p = after;
  if (type.rules != nullptr && !passes_plainly(*type.rules, into)) [[unlikely]]
    check_slow(type, &into, path, start);
  return true;
}

bool JsonReader::read_long_string(const TypeInfo& type, std::string& into, const Path& path) {
  const char* start = scan_.p;
  if (*start != '"') return refuse_kind(type, path);
  RawString raw;
  if (!scan_.read_string(raw)) return false;
  if (!raw.escaped) {
    // string::assign takes more instructions: it must expect that the two overlap. libstdc++ 12 hands the function the
    // string's new capacity in place of the size that was asked for, so that argument is of no use.
    into.resize_and_overwrite(raw.text.size(), [&](char* to, std::size_t) {
      std::memcpy(to, raw.text.data(), raw.text.size());
      return raw.text.size();
    });
  } else {
    unescape(raw.text, into);
  }
  if (type.rules != nullptr && !passes_plainly(*type.rules, into)) check_slow(type, &into, path, start);
  return true;
}

bool JsonReader::read_number(const TypeInfo& type, void* into, const Path& path) {
  const char* start = scan_.p;
  if (*start != '-' && (*start < '0' || *start > '9')) return read_lax(type, into, path);
  Number number;
  if (const PlainNumber plain = scan_.plain_number(start); plain.end != nullptr) {
    number = {{start, static_cast<std::size_t>(plain.end - start)},
              plain.digits,
              -static_cast<std::int32_t>(plain.decimals),
              plain.negative,
              plain.whole,
              false};
    scan_.p = plain.end;
  } else if (!scan_.read_number(number)) {
    return false;
  }
  if (type.kind == Kind::integer && number.whole && !number.large &&
      store_if_it_fits(type, number.negative, number.digits, into)) [[likely]] {
    check(type, into, path, start);
  } else if (const double real = number.to_double();
             type.kind == Kind::number && type.size == sizeof real && std::isfinite(real)) {
    std::memcpy(into, &real, sizeof real);
    check(type, into, path, start);
  } else if (auto failure = store_number(type, number, into, is_strict(type))) {
    report(std::move(*failure), path, start, number.text);
  } else {
    check(type, into, path, start);
  }
  return true;
}

bool JsonReader::read_boolean(const TypeInfo& type, void* into, const Path& path) {
  const char* start = scan_.p;
  if (*start == 't' || *start == 'f') {
    *static_cast<bool*>(into) = *start == 't';
    if (!(*start == 't' ? scan_.read_word("true") : scan_.read_word("false"))) return false;
    check(type, into, path, start);
    return true;
  }
  return read_lax(type, into, path);
}

bool JsonReader::read_lax(const TypeInfo& type, void* into, const Path& path) {
  const char* start = scan_.p;
  const bool number_for_boolean = type.kind == Kind::boolean && (*start == '-' || (*start >= '0' && *start <= '9'));
  if (is_strict(type) || (*start != '"' && !number_for_boolean)) return refuse_kind(type, path);
  std::string buffer;
  std::string_view text;
  if (number_for_boolean) {
    Number number;
    if (!scan_.read_number(number)) return false;
    const double value = number.to_double();
    if (value != std::trunc(value)) {
      report(type_failure(type), path, start, number.text);
      return true;
    }
    text = value == 0 ? "0" : value == 1 ? "1" : number.text;
  } else if (!take_text(text, buffer)) {
    return false;
  }
  if (auto failure = parse_scalar(type, text, into)) {
    report(std::move(*failure), path, start, {start, static_cast<std::size_t>(scan_.p - start)});
  } else {
    check(type, into, path, start);
  }
  return true;
}

bool JsonReader::read_text(const TypeInfo& type, void* into, const Path& path) {
  const char* start = scan_.p;
  std::string buffer;
  std::string_view text;
  if (*start == '"') {
    if (!take_text(text, buffer)) return false;
  } else if (type.kind == Kind::value && reads_numbers(type, is_strict(type)) &&
             (*start == '-' || (*start >= '0' && *start <= '9'))) {
    Number number;
    if (!scan_.read_number(number)) return false;
    text = number.text;
  } else {
    return refuse_kind(type, path);
  }
  if (auto failure = parse_scalar(type, text, into, is_strict(type))) {
    report(std::move(*failure), path, start, {start, static_cast<std::size_t>(scan_.p - start)});
  } else {
    check(type, into, path, start);
  }
  return true;
}

bool JsonReader::take_text(std::string_view& text, std::string& buffer) {
  RawString raw;
  if (!scan_.read_string(raw)) return false;
  text = raw.text;
  if (raw.escaped) {
    unescape(raw.text, buffer);
    text = buffer;
  }
  return true;
}

bool JsonReader::read_list(const TypeInfo& type, void* into, const Path& path) {
  if (*scan_.p != '[') return refuse_kind(type, path);
  if (depth_ >= kMaxDepth) return scan_.fail("recursion limit exceeded");
  const ListOps& list = *type.list;
  const char* start = scan_.p++;
  const std::size_t errors_before = errors_->size();
  list.clear(into);
  ++depth_;
  scan_.skip_space();
  Path child{&path, {}, 0};
  const bool any_text = type.inner->kind == Kind::string && type.inner->rules == nullptr;
  for (bool more = !scan_.take(']'); more; ++child.index) {
    void* element = list.append(into);
    const char* const after =
        any_text ? scan_.take_short_string(scan_.p, *static_cast<std::string*>(element)) : nullptr;
    const bool valid = after != nullptr || read(*type.inner, element, child);
    if (after != nullptr) scan_.p = after;
    if (list.commit) list.commit(into, element);
    if (!valid || !scan_.next_item(']', more)) return false;
  }
  --depth_;
  if (errors_->size() != errors_before) return true;
  check(type, into, path, start);
  return true;
}

bool JsonReader::read_fixed(const TypeInfo& type, void* into, const Path& path) {
  if (*scan_.p != '[') return refuse_kind(type, path);
  if (depth_ >= kMaxDepth) return scan_.fail("recursion limit exceeded");
  const char* start = scan_.p++;
  const std::size_t errors_before = errors_->size();
  ++depth_;
  scan_.skip_space();
  Path child{&path, {}, 0};
  for (bool more = !scan_.take(']'); more; ++child.index) {
    const auto i = static_cast<std::size_t>(child.index);
    bool valid;
    if (i >= type.count) {
      valid = scan_.skip_value(depth_);
    } else if (type.kind == Kind::array) {
      valid = read(*type.inner, at_offset(into, i * type.inner->size), child);
    } else {
      valid = read(*type.tuple->types[i], type.tuple->at(into, i), child);
    }
    if (!valid || !scan_.next_item(']', more)) return false;
  }
  --depth_;
  const auto size = static_cast<std::size_t>(child.index);
  if (size < type.count && type.kind == Kind::tuple) {  // its places are like members: each of its own type
    for (; static_cast<std::size_t>(child.index) < type.count; ++child.index) {
      report({"missing", "Field required", ""}, child, start, {});
    }
  } else if (size != type.count) {
    const bool few = size < type.count;
    const std::string_view what = type.kind == Kind::tuple ? "Tuple" : "List";
    report({few ? "too_short" : "too_long",
            fmt::format("{} should have at {} {} item{} after validation, not {}", what, few ? "least" : "most",
                        type.count, type.count == 1 ? "" : "s", size),
            fmt::format("{{\"field_type\":\"{}\",\"{}_length\":{},\"actual_length\":{}}}", what, few ? "min" : "max",
                        type.count, size)},
           path, start, {});
  }
  if (errors_->size() == errors_before) check(type, into, path, start);
  return true;
}

bool JsonReader::read_map(const TypeInfo& type, void* into, const Path& path) {
  if (*scan_.p != '{') return refuse_kind(type, path);
  if (depth_ >= kMaxDepth) return scan_.fail("recursion limit exceeded");
  const char* start = scan_.p++;
  const std::size_t errors_before = errors_->size();
  type.map->clear(into);
  ++depth_;
  scan_.skip_space();
  std::string buffer;
  for (bool more = !scan_.take('}'); more;) {
    if (scan_.peek() != '"')
      return scan_.fail(scan_.p == scan_.end ? "EOF while parsing an object" : "key must be a string");
    const char* key_at = scan_.p;
    std::string_view key;
    if (!take_text(key, buffer)) return false;
    const std::string_view key_text(key_at, static_cast<std::size_t>(scan_.p - key_at));
    if (!scan_.read_colon()) return false;
    bool valid = false;
    void* place = type.map->insert(into, key, valid);
    const Path child{&path, key, -1};
    if (place) {
      if (!read(*type.inner, place, child)) return false;
    } else if (valid) {
      return scan_.fail("duplicate key", key_at);
    } else {
      std::byte none[16];
      auto failure = type.map->key->kind == Kind::integer ? parse_scalar(*type.map->key, "x", none) : std::nullopt;
      report(failure ? std::move(*failure) : type_failure(*type.map->key), {&child, "[key]", -1}, key_at, key_text);
      if (!scan_.skip_value(depth_)) return false;
    }
    if (!scan_.next_item('}', more)) return false;
  }
  --depth_;
  if (errors_->size() == errors_before) check(type, into, path, start);
  return true;
}

bool JsonReader::refuse_kind(const TypeInfo& type, const Path& path) { return refuse(type_failure(type), path); }

bool JsonReader::refuse(Failure failure, const Path& path) {
  const char* start = scan_.p;
  if (!scan_.skip_value(depth_)) return false;
  report(std::move(failure), path, start, {start, static_cast<std::size_t>(scan_.p - start)});
  return true;
}

void JsonReader::check_slow(const TypeInfo& type, void* value, const Path& path, const char* at) {
  auto failure = check_rules(type, value);
  if (!failure) return;
  // Only scalars are echoed: the text from the value's start to where the scanner stands.
  report(std::move(*failure), path, at, {at, static_cast<std::size_t>(scan_.p - at)});
}

void JsonReader::report(Failure failure, const Path& path, const char* at, std::string_view input,
                        std::span<const LocItem> below) {
  if (errors_->full()) return;
  if (secret_ > 0) hide_input(failure);
  ErrorItem item;
  item.type = std::move(failure.type);
  item.msg = std::move(failure.msg);
  item.ctx = std::move(failure.ctx);
  for (const Path* p = &path; p && (p->parent || !p->name.empty() || p->index >= 0); p = p->parent) {
    if (p->index >= 0) {
      item.loc.emplace_back(p->index);
    } else {
      item.loc.emplace_back(std::string(p->name));
    }
  }
  if (!where_.name.empty()) item.loc.emplace_back(std::string(where_.name));
  if (!where_.in.empty()) item.loc.emplace_back(std::string(where_.in));
  std::reverse(item.loc.begin(), item.loc.end());
  item.loc.insert(item.loc.end(), below.begin(), below.end());
  if (secret_ == 0 && !input.empty() && input.size() <= kLongestInput && input[0] != '{' && input[0] != '[') {
    item.input = input;
  }
  const Place place = place_of(document_, at);
  item.line = place.line;
  item.column = place.column;
  errors_->add(std::move(item));
}

}  // namespace detail
}  // namespace ashlar::schema
