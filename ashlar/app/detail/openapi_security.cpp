#include <ashlar/app/detail/openapi_security.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
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

// Two dependencies may read the same credentials: then all their scopes are asked for.
void merge(std::vector<SecurityInfo>& into, const SecurityInfo& one) {
  const auto same = std::ranges::find(into, one.scheme, &SecurityInfo::scheme);
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
    const bool known = std::ranges::count(found.always, one.scheme, &SecurityInfo::scheme) != 0;
    merge(known ? found.always : found.maybe, one);
  }
  return found;
}

void write_requirement(JsonWriter& out, const std::vector<SecurityInfo>& schemes) {
  out.open('{');
  for (const auto& one : schemes) {
    out.key(component_key(one.scheme)).open('[');
    for (const auto& scope : one.scopes) out.text(scope);
    out.close(']');
  }
  out.close('}');
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
    constexpr std::array<std::string_view, 4> places = {"path", "query", "header", "cookie"};
    if (equals_ignore_case(scheme.detail, "Authorization") &&
        (described == nullptr || described->description.empty())) {
      out.member("description", fmt::format("The word `{0}`, a space, and the credentials: `{0} …`", scheme.scheme));
    }
    out.member("name", scheme.detail).member("in", places[static_cast<std::size_t>(scheme.in)]);
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

void write_security(JsonWriter& out, const OperationInfo& info) {
  if (info.security.empty()) return;
  const auto [always, maybe] = requirement_of(info);
  std::vector<SecurityInfo> all = always;
  all.insert(all.end(), maybe.begin(), maybe.end());
  out.key("security").open('[');
  if (!maybe.empty()) write_requirement(out, always);
  write_requirement(out, all);
  out.close(']');
}

void write_security_schemes(JsonWriter& out, std::span<const OperationInfo* const> operations,
                            const std::map<std::string, SecurityScheme>& described) {
  std::map<std::string, const SecurityInfo*> schemes;
  for (const OperationInfo* one : operations) {
    for (const auto& scheme : one->security) schemes.try_emplace(component_key(scheme.scheme), &scheme);
  }
  if (schemes.empty()) return;
  out.key("securitySchemes").open('{');
  for (const auto& [key, scheme] : schemes) {
    const auto known = described.find(scheme->scheme);
    const SecurityScheme* const description = known == described.end() ? nullptr : &known->second;
    out.key(key).open('{');
    if (description != nullptr) out.member_if("description", description->description);
    write_kind(out, *scheme, description);
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
