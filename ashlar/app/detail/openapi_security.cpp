#include <ashlar/app/detail/openapi_security.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <optional>
#include <set>
#include <utility>

#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

// The parts of a security requirement that all have to be there.
struct Requirement {
  std::vector<SecurityInfo> always, maybe;
};

bool same_scheme(const SecurityInfo& one, const SecurityInfo& other) {
  return one.scheme == other.scheme && one.kind == other.kind && one.detail == other.detail && one.in == other.in;
}

bool has_scheme(const std::vector<SecurityInfo>& all, const SecurityInfo& scheme) {
  return std::ranges::any_of(all, [&](const SecurityInfo& one) { return same_scheme(one, scheme); });
}

// Two dependencies may read the same credentials: then all their scopes are asked for.
void merge(std::vector<SecurityInfo>& into, const SecurityInfo& one) {
  const auto same = std::ranges::find_if(into, [&](const SecurityInfo& other) { return same_scheme(one, other); });
  if (same == into.end()) return into.push_back(one);
  for (const auto& scope : one.scopes) {
    if (!std::ranges::count(same->scopes, scope)) same->scopes.push_back(scope);
  }
}

Requirement requirement_of(const OperationInfo& info) {
  Requirement found;
  for (const auto& one : info.security) {
    if (!one.optional) merge(found.always, one);
  }
  for (const auto& one : info.security) {
    if (!one.optional) continue;
    merge(has_scheme(found.always, one) ? found.always : found.maybe, one);
  }
  return found;
}

struct NamedFlow {
  std::string_view name;
  const std::optional<OAuthFlow>* flow;
};
std::array<NamedFlow, 4> flows_of(const SecurityScheme& scheme) {
  return {{{"authorizationCode", &scheme.authorization_code},
           {"clientCredentials", &scheme.client_credentials},
           {"password", &scheme.password},
           {"implicit", &scheme.implicit}}};
}
bool is_oauth2(const SecurityScheme& scheme) {
  return std::ranges::any_of(flows_of(scheme), [](const NamedFlow& one) { return one.flow->has_value(); });
}

void write_flows(JsonWriter& out, const SecurityScheme& scheme) {
  out.key("flows").open('{');
  for (const auto& [name, flow] : flows_of(scheme)) {
    if (!*flow) continue;
    out.key(name).open('{').member_if("authorizationUrl", (*flow)->authorization_url);
    out.member_if("tokenUrl", (*flow)->token_url).member_if("refreshUrl", (*flow)->refresh_url);
    out.key("scopes").open('{');
    for (const auto& [scope, description] : (*flow)->scopes) out.member(scope, description);
    out.close('}').close('}');
  }
  out.close('}');
}

constexpr std::array<std::string_view, 4> kPlaces = {"path", "query", "header", "cookie"};

void write_kind(JsonWriter& out, const SecurityInfo& scheme, const SecurityScheme* described) {
  if (described != nullptr && is_oauth2(*described)) {
    out.member("type", "oauth2");
    return write_flows(out, *described);
  }
  if (described != nullptr && !described->open_id_connect_url.empty()) {
    out.member("type", "openIdConnect").member("openIdConnectUrl", described->open_id_connect_url);
    return;
  }
  out.member("type", scheme.kind);
  if (scheme.kind == "http") {
    out.member("scheme", scheme.detail);
    if (described != nullptr) out.member_if("bearerFormat", described->bearer_format);
  } else if (scheme.kind == "apiKey") {
    if (equals_ignore_case(scheme.detail, "Authorization") &&
        (described == nullptr || described->description.empty())) {
      out.member("description", fmt::format("The word `{0}`, a space, and the credentials: `{0} …`", scheme.scheme));
    }
    out.member("name", scheme.detail).member("in", kPlaces[static_cast<std::size_t>(scheme.in)]);
  }
}

}  // namespace

std::string component_key(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (is_alpha_ascii(c) || is_digit_ascii(c) || c == '.' || c == '-' || c == '_') out += c;
  }
  return out.empty() ? "Scheme" : out;
}

void SecurityKeys::add(const OperationInfo& info) {
  for (const SecurityInfo& one : info.security) {
    const std::string name = component_key(one.scheme);
    std::string key = name;
    for (int i = 0;; ++i) {
      const auto [at, added] = schemes_.try_emplace(key, one);
      if (added || same_scheme(at->second, one)) break;
      key = fmt::format("{}-{}", name, kPlaces[static_cast<std::size_t>(one.in)]);
      if (i > 0) key += fmt::format("-{}", i + 1);
    }
  }
}

const std::string& SecurityKeys::key_of(const SecurityInfo& scheme) const {
  return std::ranges::find_if(schemes_, [&](const auto& one) { return same_scheme(one.second, scheme); })->first;
}

void SecurityKeys::write_requirement(JsonWriter& out, const std::vector<SecurityInfo>& schemes) const {
  out.open('{');
  for (const auto& one : schemes) {
    out.key(key_of(one)).open('[');
    for (const auto& scope : one.scopes) out.text(scope);
    out.close(']');
  }
  out.close('}');
}

void SecurityKeys::write_security(JsonWriter& out, const OperationInfo& info) const {
  if (info.security.empty()) return;
  const auto [always, maybe] = requirement_of(info);
  // None, each alone, … all of them; of very many only none, each, and all.
  constexpr std::size_t kChoices = 4;
  const std::size_t count = maybe.size(), all = (std::size_t{1} << count) - 1;
  std::vector<std::size_t> choices;
  for (std::size_t chosen = 0; count <= kChoices && chosen <= all; ++chosen) choices.push_back(chosen);
  if (count > kChoices) {
    choices = {0, all};
    for (std::size_t i = 0; i < count; ++i) choices.push_back(std::size_t{1} << i);
  }
  std::ranges::sort(choices, {}, [](std::size_t chosen) { return std::pair{std::popcount(chosen), chosen}; });
  out.key("security").open('[');
  for (const std::size_t chosen : choices) {
    std::vector<SecurityInfo> schemes = always;
    for (std::size_t i = 0; i < count; ++i) {
      if ((chosen >> i & 1) != 0) schemes.push_back(maybe[i]);
    }
    write_requirement(out, schemes);
  }
  out.close(']');
}

void SecurityKeys::write_schemes(JsonWriter& out, const std::map<std::string, SecurityScheme>& described) const {
  if (schemes_.empty()) return;
  out.key("securitySchemes").open('{');
  for (const auto& [key, scheme] : schemes_) {
    const auto known = described.find(scheme.scheme);
    const SecurityScheme* const description = known == described.end() ? nullptr : &known->second;
    out.key(key).open('{');
    if (description != nullptr) out.member_if("description", description->description);
    write_kind(out, scheme, description);
    out.close('}');
  }
  out.close('}');
}

std::vector<std::string> security_problems(std::span<const std::pair<std::string, const OperationInfo*>> operations,
                                           const std::map<std::string, SecurityScheme>& described) {
  std::vector<std::string> problems;
  std::set<std::string> used;
  for (const auto& [route, info] : operations) {
    for (const auto& security : info->security) {
      used.insert(security.scheme);
      const auto known = described.find(security.scheme);
      if (known == described.end() || !is_oauth2(known->second)) continue;
      for (const auto& scope : security.scopes) {
        const auto has = [&](const NamedFlow& one) {
          return *one.flow &&
                 std::ranges::count((*one.flow)->scopes, scope, &std::pair<std::string, std::string>::first);
        };
        if (std::ranges::any_of(flows_of(known->second), has)) continue;
        problems.push_back(
            fmt::format("{} asks for the scope '{}', which no flow of the security scheme {} has; add it there, or "
                        "correct its name",
                        route, scope, security.scheme));
      }
    }
  }
  for (const auto& [name, scheme] : described) {
    if (used.contains(name)) continue;
    problems.push_back(
        fmt::format("the security scheme {} is described, but no route reads it; take Credentials<\"{}\"> "
                    "in a dependency, or remove the description",
                    name, name));
  }
  return problems;
}

}  // namespace ashlar::detail
