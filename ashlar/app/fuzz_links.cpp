// How the operations that fuzz() tries belong together: what one was given or has answered is what another takes.
#include <algorithm>
#include <array>
#include <utility>

#include <ashlar/app/detail/fuzz_service.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

constexpr std::size_t kSources = 3;  // of one parameter
constexpr std::size_t kReuses = 2;   // of one operation
constexpr int kDeepAnswer = 2, kDeepBody = 3;

std::string squeezed(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_alpha_ascii(c) || is_digit_ascii(c)) out += to_lower_ascii(c);
  }
  return out;
}

// May the one's values stand in the place of the other?
bool may_be(const SchemaNode& value, const SchemaNode& parameter) {
  if (parameter.takes(SchemaNode::kText)) return (value.types & (SchemaNode::kText | SchemaNode::kInteger)) != 0;
  return (value.types & parameter.types) != 0;
}

// The member of an answer that is the one, by its squeezed name and its schema; of several, the one that lies highest.
template <class Is>
bool find_member(const SchemaNode& node, const Is& is, int depth, std::vector<std::string>& path) {
  for (const auto& member : node.members) {
    if (!is(squeezed(member.name), *member.node)) continue;
    path.push_back(member.name);
    return true;
  }
  for (const SchemaNode* part : node.all_of) {
    if (find_member(*part, is, depth, path)) return true;
  }
  if (depth == 0) return false;
  for (const auto& member : node.members) {
    path.push_back(member.name);
    if (find_member(*member.node, is, depth - 1, path)) return true;
    path.pop_back();
  }
  return false;
}

const SchemaNode* success_of(const FuzzOperation& operation) {
  for (const auto& [status, contents] : operation.answers) {
    if (status < 200 || status > 299) continue;
    for (const auto& [type, node] : contents) {
      if (type.ends_with("json") && node != nullptr) return node;
    }
  }
  return nullptr;
}

std::string path_before(std::string_view path, std::string_view parameter) {
  std::string_view before = path.substr(0, path.find("{" + std::string(parameter)));
  while (before.ends_with('/')) before.remove_suffix(1);
  return std::string(before);
}

// ---- values that are taken again

struct Field {
  FuzzField place;
  std::string name;
  std::uint8_t types;
  bool required;
};

// A text or a number, of which there are many: an enumeration's values are found without help.
std::uint8_t reusable_types(const SchemaNode& node) {
  const auto types = static_cast<std::uint8_t>(node.types & ~SchemaNode::kNull);
  const bool plain = types == SchemaNode::kText || types == SchemaNode::kInteger;
  return plain && node.values.empty() ? types : 0;
}

void add_members(const SchemaNode& node, bool required, std::vector<std::string>& path, std::vector<Field>& out) {
  for (const SchemaNode* part : node.all_of) add_members(*part, required, path, out);
  if (path.size() == kDeepBody) return;
  for (const auto& member : node.members) {
    path.push_back(member.name);
    const bool needed = required && member.required;
    if (const auto types = reusable_types(*member.node))
      out.push_back({{std::nullopt, path}, squeezed(member.name), types, needed});
    add_members(*member.node, needed, path, out);
    path.pop_back();
  }
}

// Those of the path are what answers are for.
std::vector<Field> fields_of(const FuzzOperation& operation) {
  std::vector<Field> out;
  for (std::size_t i = 0; i < operation.parameters.size(); ++i) {
    const FuzzParameter& one = operation.parameters[i];
    const bool taken = one.in == FuzzPlace::query || one.in == FuzzPlace::form;
    if (const std::uint8_t types = taken && !one.is_file ? reusable_types(*one.node) : std::uint8_t{0})
      out.push_back({{i, {}}, squeezed(one.name), types, one.required});
  }
  std::vector<std::string> path;
  if (operation.body && !operation.has_form && operation.body->node != nullptr)
    add_members(*operation.body->node, operation.body->required, path, out);
  return out;
}

const Field* find_same(const std::vector<Field>& fields, const Field& wanted) {
  const auto same = [&](const Field& one) { return one.name == wanted.name && one.types == wanted.types; };
  const auto found = std::ranges::find_if(fields, same);
  return found == fields.end() ? nullptr : &*found;
}

FuzzReuse reuse_of(std::size_t operation, const std::vector<Field>& given, const std::vector<Field>& taken) {
  FuzzReuse out{operation, {}};
  for (const Field& here : taken) {
    if (const Field* const there = find_same(given, here)) out.fields.emplace_back(there->place, here.place);
  }
  return out;
}

// ---- credentials

bool same_scheme(const SecurityInfo& one, const SecurityInfo& other) {
  return one.scheme == other.scheme && one.detail == other.detail && one.in == other.in;
}

bool is_key(const SecurityInfo& scheme) {
  return scheme.kind == "apiKey" && !equals_ignore_case(scheme.detail, "Authorization");
}

bool sets_cookie(const FuzzOperation& operation, std::string_view name) {
  return std::ranges::any_of(operation.info.responses, [&](const ResponseInfo& response) {
    return response.status < 300 &&
           std::ranges::any_of(
               response.parts,
               [&](const ResponsePartInfo& part) { return part.in == In::cookie && part.name == name; });
  });
}

std::optional<FuzzGrant> grant_of(const FuzzOperation& operation, const SecurityInfo& scheme) {
  if (scheme.in == In::cookie && sets_cookie(operation, scheme.detail)) return FuzzGrant{scheme, {}};
  const SchemaNode* const success = success_of(operation);
  if (success == nullptr) return std::nullopt;
  // Other tokens ("refresh_token", "csrf_token", "next_page_token") open nothing.
  static constexpr std::array<std::string_view, 6> kTokens = {"token",       "accesstoken",  "authtoken",
                                                              "bearertoken", "sessiontoken", "jwt"};
  const std::string key = squeezed(scheme.detail);
  const auto is = [&](std::string_view name, const SchemaNode& node) {
    if (!node.takes(SchemaNode::kText)) return false;
    return is_key(scheme) ? name == key || name == "apikey" : std::ranges::count(kTokens, name) != 0;
  };
  FuzzGrant out{scheme, {}};
  if (!find_member(*success, is, kDeepAnswer, out.members)) return std::nullopt;
  return out;
}

}  // namespace

// By the name and the type of the member, first of what is made one level above ("POST /articles" for
// "/articles/{slug}"), then of whatever is made.
void FuzzService::link() {
  for (auto& operation : operations) {
    for (std::size_t p = 0; p < operation.path_parameters; ++p) {
      FuzzParameter& parameter = operation.parameters[p];
      const std::string above = path_before(operation.path, parameter.name);
      const std::string name = squeezed(parameter.name);
      for (const bool near : {true, false}) {
        for (std::size_t i = 0; i < operations.size() && parameter.sources.size() < kSources; ++i) {
          const FuzzOperation& maker = operations[i];
          const bool makes = maker.method == http::Method::post || (near && maker.method == http::Method::put);
          if (!makes || &maker == &operation || maker.core != operation.core) continue;
          std::string_view place = maker.path;
          while (place.ends_with('/')) place.remove_suffix(1);
          if ((place == above) != near) continue;
          const SchemaNode* const success = success_of(maker);
          if (success == nullptr) continue;
          const auto called = [&](std::string_view wanted) {
            return [wanted, &parameter](std::string_view member, const SchemaNode& node) {
              return member == wanted && may_be(node, *parameter.node);
            };
          };
          std::vector<std::string> members;
          bool found = false;
          if (near || name != "id") found = find_member(*success, called(name), kDeepAnswer, members);
          if (!found && near && name.ends_with("id")) found = find_member(*success, called("id"), kDeepAnswer, members);
          if (found) parameter.sources.push_back({i, std::move(members)});
        }
      }
    }
  }
}

void FuzzService::link_values() {
  std::vector<SecurityInfo> schemes;
  for (const auto& operation : operations) {
    for (const auto& one : operation.info.security) {
      const bool basic = one.kind == "http" && one.detail != "bearer";
      const bool known = std::ranges::any_of(schemes, [&](const auto& other) { return same_scheme(one, other); });
      if (!known && !basic && one.kind != "mutualTLS") schemes.push_back(one);
    }
  }
  std::vector<std::vector<Field>> fields;
  for (auto& operation : operations) {
    fields.push_back(fields_of(operation));
    if (operation.method != http::Method::post || operation.secured) continue;
    for (const auto& scheme : schemes) {
      if (auto grant = grant_of(operation, scheme)) operation.grants.push_back(std::move(*grant));
    }
  }
  for (std::size_t o = 0; o < operations.size(); ++o) {
    FuzzOperation& operation = operations[o];
    for (std::size_t m = 0; m < operations.size(); ++m) {
      const FuzzOperation& maker = operations[m];
      if (m == o || maker.method != http::Method::post || maker.core != operation.core) continue;
      FuzzReuse reuse = reuse_of(m, fields[m], fields[o]);
      // Half of an e-mail address and a password lets nobody in.
      const bool enough = operation.grants.empty() || std::ranges::all_of(fields[o], [&](const Field& one) {
                            return !one.required || find_same(fields[m], one) != nullptr;
                          });
      if (!reuse.fields.empty() && enough) operation.reuses.push_back(std::move(reuse));
    }
    std::ranges::sort(operation.reuses, std::greater(),
                      [](const auto& one) { return std::pair{one.fields.size(), ~one.operation}; });
    if (operation.reuses.size() > kReuses) operation.reuses.resize(kReuses);
  }
}

}  // namespace ashlar::detail
