#include <ashlar/app/detail/fuzz_accounts.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

bool same_scheme(const SecurityInfo& one, const SecurityInfo& other) {
  return one.scheme == other.scheme && one.detail == other.detail && one.in == other.in;
}

// "id=4711; Path=/; HttpOnly"
std::string cookie_of(const FuzzAnswer& answer, std::string_view name) {
  for (std::string_view line : answer.cookies) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trim(line.substr(0, equals)) != name) continue;
    return std::string(trim(line.substr(equals + 1, line.find(';') - equals - 1)));
  }
  return {};
}

std::string member_of(const FuzzAnswer& answer, const std::vector<std::string>& members) {
  const Tree* at = answer.tree();
  for (const auto& name : members) {
    if (at != nullptr) at = at->find(name);
  }
  return at != nullptr && at->kind == Tree::Kind::text ? at->text : std::string();
}

std::string shown(std::size_t account) { return account == 0 ? "$AUTH" : fmt::format("$AUTH{}", account + 1); }

}  // namespace

bool FuzzAccounts::take(std::size_t account, const FuzzOperation& operation, const FuzzAnswer& answer,
                        const std::string& commands) {
  bool taken = false;
  for (const FuzzGrant& grant : operation.grants) {
    const bool is_cookie = grant.members.empty();
    std::string value = is_cookie ? cookie_of(answer, grant.scheme.detail) : member_of(answer, grant.members);
    // What cannot be in a header is no credentials.
    if (value.empty() || !std::ranges::all_of(value, [](char c) { return c > ' ' && c < 0x7F; })) continue;
    std::string place = is_cookie ? fmt::format("the cookie {}", grant.scheme.detail) : std::string();
    for (const auto& name : grant.members) place += "." + name;
    std::string word;
    if (equals_ignore_case(grant.scheme.detail, "Authorization") || grant.scheme.kind == "http") {
      value = grant.scheme.scheme + " " + value;
      word = fmt::format("\"{} \" and ", grant.scheme.scheme);
    }
    std::string told = fmt::format("# {}: {}{} in the answer to the last of\n", shown(account), word, place);
    for (std::string_view rest = commands; !rest.empty();) {
      const auto end = std::min(rest.find('\n'), rest.size());
      told += fmt::format("#   {}\n", rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    std::erase_if(sessions_, [&](const Session& old) {
      return old.account == account && old.core == operation.core && same_scheme(old.scheme, grant.scheme);
    });
    sessions_.push_back({account, operation.core, grant.scheme, std::move(value), std::move(told)});
    taken = true;
  }
  return taken;
}

const FuzzAccounts::Session* FuzzAccounts::find(std::size_t account, const FuzzOperation& operation,
                                                const SecurityInfo& scheme) const {
  const Session* found = nullptr;
  for (const Session& one : sessions_) {
    if (one.account != account || !same_scheme(one.scheme, scheme)) continue;
    if (found == nullptr || one.core == operation.core) found = &one;
  }
  return found;
}

bool FuzzAccounts::has(std::size_t account) const noexcept {
  return std::ranges::count(sessions_, account, &Session::account) != 0;
}

bool FuzzAccounts::open(std::size_t account, const FuzzOperation& operation) const {
  return std::ranges::all_of(operation.info.security, [&](const SecurityInfo& one) {
    return one.optional || find(account, operation, one) != nullptr;
  });
}

void FuzzAccounts::add(std::size_t account, const FuzzOperation& operation, FuzzRequest& request) const {
  std::vector<const Session*> added;  // two dependencies may read the same
  for (const SecurityInfo& one : operation.info.security) {
    const Session* const session = find(account, operation, one);
    if (session == nullptr || std::ranges::count(added, session) != 0) continue;
    added.push_back(session);
    add_fuzz_credentials(session->scheme, session->value, shown(account), request);
  }
}

std::string FuzzAccounts::told(std::size_t account, const FuzzOperation& operation) const {
  std::string out;
  for (const SecurityInfo& one : operation.info.security) {
    const Session* const session = find(account, operation, one);
    if (session != nullptr && out.find(session->told) == std::string::npos) out += session->told;
  }
  return out;
}

void add_fuzz_credentials(const SecurityInfo& scheme, const std::string& value, const std::string& shown,
                          FuzzRequest& request) {
  const bool is_key = scheme.kind == "apiKey" && !equals_ignore_case(scheme.detail, "Authorization");
  if (is_key && scheme.in == In::query) {
    request.target += request.target.find('?') == std::string::npos ? '?' : '&';
    request.target += percent_encode(scheme.detail) + "=" + percent_encode(value);
    return;
  }
  const bool is_cookie = is_key && scheme.in == In::cookie;
  const std::string name = is_cookie ? "Cookie" : is_key ? scheme.detail : "Authorization";
  const std::string before = is_cookie ? scheme.detail + "=" : std::string();
  const auto same = std::ranges::find(request.headers, name, &FuzzHeader::name);
  if (!is_cookie || same == request.headers.end()) {
    request.headers.push_back({name, before + value, shown.empty() ? shown : before + shown});
    return;
  }
  // A request has one header of cookies.
  if (!shown.empty() || !same->shown.empty())
    same->shown =
        fmt::format("{}; {}{}", same->shown.empty() ? same->value : same->shown, before, shown.empty() ? value : shown);
  same->value += "; " + before + value;
}

}  // namespace ashlar::detail
