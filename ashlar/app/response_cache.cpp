#include <ashlar/app/response_cache.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <limits>
#include <utility>

#include <ashlar/app/detail/cached_route.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/digest.hpp>
#include <ashlar/app/detail/notes.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/conditional.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace detail {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Calls f with each element of a list, and its value after "=".
template <class F>
void for_each_element(std::string_view list, F f) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view element = trim(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 1, list.size()));
    const std::size_t equals = std::min(element.find('='), element.size());
    if (!element.empty()) f(element.substr(0, equals), element.substr(std::min(equals + 1, element.size())));
  }
}

// Calls f with each value of a header, of which there may be several lines.
template <class F>
void for_each_line(std::string_view lines, std::string_view name, F f) {
  while (!lines.empty()) {
    const std::size_t end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 2, lines.size()));
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos && equals_ignore_case(line.substr(0, colon), name))
      f(trim(line.substr(colon + 1)));
  }
}

// Calls f with each part of a tag, and whether it is the name of a parameter: "article:" and {slug}.
template <class F>
void for_each_part(std::string_view tag, F f) {
  while (!tag.empty()) {
    const std::size_t open = std::min(tag.find('{'), tag.size());
    const std::size_t end = std::min(tag.find('}', open), tag.size());
    f(tag.substr(0, open), false);
    if (open < tag.size()) f(tag.substr(open + 1, end - open - 1), true);
    tag.remove_prefix(std::min(end + 1, tag.size()));
  }
}

bool contains(const std::vector<std::string>& names, std::string_view name) noexcept {
  return std::ranges::any_of(names, [&](const std::string& one) { return equals_ignore_case(one, name); });
}

class CachedRoute final : public Around {
 public:
  explicit CachedRoute(std::shared_ptr<const CacheRules> rules) : rules_(std::move(rules)) {
    static std::atomic<std::uint64_t> made{0};
    number_ = std::to_string(++made);
    const CacheOptions& options = rules_->options;
    lines_ = fmt::format(
        "Cache-Control: {}{}\r\n", rules_->scope.is_anyone() ? "" : "private, ",
        options.client_ttl.count() == 0 ? "no-cache" : fmt::format("max-age={}", options.client_ttl.count()));
    if (!options.vary.empty()) vary_ = fmt::format("Vary: {}\r\n", fmt::join(options.vary, ", "));
  }

  bool invoke(Call& call) const override {
    const http::Request& request = call.exchange.request;
    if (rules_->scope.is_anyone() && !rules_->options.ignore_credentials &&
        (request.has(http::KnownHeader::authorization) || request.has(http::KnownHeader::cookie))) {
      cache().count_bypassed();
      return call.route->handle(call);
    }
    std::string key = key_of(call);
    if (const auto answer = cache().find(key)) {
      give(call, answer, true);
      return true;
    }
    async::launch(run(call, {std::move(key), tags_of(call)}), call);
    return false;
  }

 private:
  [[nodiscard]] AnswerCache& cache() const noexcept { return *rules_->cache; }
  [[nodiscard]] std::string key_of(Call& call) const;
  [[nodiscard]] std::vector<std::string> tags_of(const Call& call) const;
  Task<void> run(Call& call, CacheKey key) const;
  Task<void> lead(Call& call, const CacheKey& key, std::shared_ptr<AnswerCache::Flight> flight) const;
  void give(Call& call, const std::shared_ptr<const KeptAnswer>& answer, bool tell_age) const;
  [[nodiscard]] std::shared_ptr<const KeptAnswer> kept_from(http::Response& response, std::size_t mark) const;
  [[nodiscard]] std::optional<milliseconds> time_of(std::string_view lines) const;

  std::shared_ptr<const CacheRules> rules_;
  std::string number_;
  std::string lines_;  // Cache-Control, unless the handler has its own
  std::string vary_;
};

// Parts are apart by a zero byte, which is in none of them: a request with one has been refused. A value has "=" before
// it, so that it cannot be taken for the name of the next one.
std::string CachedRoute::key_of(Call& call) const {
  const http::Request& request = call.exchange.request;
  std::string key(request.path);
  const auto add = [&](std::string_view part) {
    key += '\0';
    key += part;
  };
  add(number_);
  add(request.authority);
  if (!rules_->options.query) {
    add(request.query);
  } else {
    for (const std::string& name : *rules_->options.query) {
      add(name);
      std::string_view rest = request.query;
      while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('&'), rest.size());
        const std::string_view pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        const std::size_t equals = std::min(pair.find('='), pair.size());
        if (percent_decode(pair.substr(0, equals), true) == name) add(pair.substr(equals));
      }
    }
  }
  for (const std::string& name : rules_->options.vary) {
    add(name);
    request.for_each_header([&](std::string_view its, std::string_view value) {
      if (!equals_ignore_case(its, name)) return;
      add("=");
      key += value;
    });
  }
  // Last, and what comes before has no zero byte: a scope's text cannot be taken for another part.
  add(scope_text(rules_->scope, call));
  return key;
}

std::vector<std::string> CachedRoute::tags_of(const Call& call) const {
  std::vector<std::string> tags;
  for (const std::string& pattern : rules_->options.tags) {
    std::string& tag = tags.emplace_back();
    for_each_part(pattern, [&](std::string_view part, bool is_name) { tag += is_name ? call.path_value(part) : part; });
  }
  return tags;
}

Task<void> CachedRoute::run(Call& call, CacheKey key) const {
  for (;;) {
    AnswerCache::Turn turn = cache().take_turn(key);
    if (turn.answer != nullptr) co_return give(call, turn.answer, true);
    if (turn.leads) {
      co_await lead(call, key, std::move(turn.flight));
      co_return;
    }
    co_await turn.flight->ended.wait();
    if (turn.flight->again) continue;
    if (turn.flight->answer != nullptr) co_return give(call, turn.flight->answer, true);
    if (turn.flight->problem) throw Problem(*turn.flight->problem);
    co_return co_await run_handler(call);
  }
}

Task<void> CachedRoute::lead(Call& call, const CacheKey& key, std::shared_ptr<AnswerCache::Flight> flight) const {
  // However it ends, nobody waits for ever.
  struct Landing {
    AnswerCache& cache;
    const CacheKey& key;
    const std::shared_ptr<AnswerCache::Flight>& flight;
    ~Landing() { cache.land(key, flight); }
  };
  const std::size_t mark = call.exchange.response.header_lines().size();
  std::optional<Problem> problem;
  {
    const Landing landing{cache(), key, flight};
    flight->again = true;
    try {
      co_await run_handler(call);
      flight->again = false;
      if (!is_for_one_request(call.exchange)) flight->answer = kept_from(call.exchange.response, mark);
    } catch (const Cancelled&) {
      throw;
    } catch (const DeadlineExceeded&) {
      throw;
    } catch (...) {
      problem = call.core.problem_of(std::current_exception());
      flight->again = false;
      // What is wrong here is wrong for all; what is wrong with a request may be its own.
      if (problem->status >= 500) flight->problem = problem;
    }
  }
  if (problem) throw *std::move(problem);
  if (flight->answer == nullptr) co_return cache().count_not_kept();
  http::Response& response = call.exchange.response;
  const std::string before(response.header_lines().substr(0, std::min(mark, response.header_lines().size())));
  response.clear();
  response.append_header_lines(before);
  give(call, flight->answer, false);
}

void CachedRoute::give(Call& call, const std::shared_ptr<const KeptAnswer>& answer, bool tell_age) const {
  http::Response& response = call.exchange.response;
  const http::Condition condition = http::check_conditions(call.exchange.request, {.etag = answer->etag});
  if (condition == http::Condition::failed) throw PreconditionFailed("this is not what If-Match names");
  response.append_header_lines(answer->headers);
  if (tell_age) {  // RFC 9111 §5.1
    const auto age = std::chrono::duration_cast<seconds>(cache().options().now() - answer->made).count();
    response.append_header_lines(fmt::format("Age: {}\r\n", std::max<std::int64_t>(age, 0)));
  }
  if (condition == http::Condition::not_modified) {
    response.status = 304;
    return;
  }
  response.content_type = answer->content_type;
  response.shared_body(answer, answer->body);
}

// How long the handler lets it be kept; nullopt: not at all (RFC 9111 §3, §5.2.2).
std::optional<milliseconds> CachedRoute::time_of(std::string_view lines) const {
  milliseconds time = rules_->options.ttl;
  std::optional<milliseconds> max_age;
  std::optional<milliseconds> shared_age;
  bool may = true;
  for_each_line(lines, "Cache-Control", [&](std::string_view value) {
    for_each_element(value, [&](std::string_view directive, std::string_view argument) {
      if (equals_ignore_case(directive, "no-store") || equals_ignore_case(directive, "no-cache")) may = false;
      if (equals_ignore_case(directive, "private") && rules_->scope.is_anyone()) may = false;
      const bool is_shared = equals_ignore_case(directive, "s-maxage");
      if (!is_shared && !equals_ignore_case(directive, "max-age")) return;
      std::int32_t number = 0;
      const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), number);
      if (error == std::errc::result_out_of_range && !argument.starts_with('-')) {
        number = std::numeric_limits<std::int32_t>::max();  // RFC 9111 §1.2.2
      } else if (error != std::errc{} || number < 0) {
        number = 0;  // RFC 9111 §4.2.1: what cannot be read is stale
      }
      (is_shared ? shared_age : max_age) = seconds{number};
    });
  });
  if (shared_age && rules_->scope.is_anyone()) max_age = shared_age;
  if (max_age) time = std::min(time, *max_age);
  for_each_line(lines, "Vary", [&](std::string_view value) {
    for_each_element(
        value, [&](std::string_view name, std::string_view) { may = may && contains(rules_->options.vary, name); });
  });
  for_each_line(lines, "Set-Cookie", [&](std::string_view) { may = false; });
  if (!may || time.count() <= 0) return std::nullopt;
  return time;
}

std::shared_ptr<const KeptAnswer> CachedRoute::kept_from(http::Response& response, std::size_t mark) const {
  if (response.status != 200 || response.streaming() || response.file_body() != nullptr) return nullptr;
  const std::string_view lines = response.header_lines().substr(std::min(mark, response.header_lines().size()));
  const auto time = time_of(lines);
  if (!time || lines.size() + response.body_bytes().size() > cache().options().max_answer) return nullptr;
  auto answer = std::make_shared<KeptAnswer>();
  answer->content_type = response.content_type;
  answer->headers = lines;
  answer->body = response.body_bytes();
  for_each_line(lines, "ETag", [&](std::string_view tag) { answer->etag = tag; });
  if (answer->etag.empty()) {
    answer->etag =
        fmt::format("\"{}\"", base64url_encode(sha256_of({answer->content_type, answer->body}).substr(0, 16)));
    answer->headers += fmt::format("ETag: {}\r\n", answer->etag);
  }
  bool has_policy = false;
  for_each_line(lines, "Cache-Control", [&](std::string_view) { has_policy = true; });
  if (!has_policy) answer->headers += lines_;
  answer->headers += vary_;  // beside what the handler says, which may be less
  answer->made = cache().options().now();
  answer->stale = answer->made + *time;
  return answer;
}

void refuse_what_is_not_known(const Route& route, const CacheRules& rules) {
  OperationInfo of_scope;
  if (!rules.scope.is_anyone()) rules.scope.describe(of_scope);
  const OperationInfo info = operation_of(route);
  if (rules.scope.is_anyone() && !rules.options.ignore_credentials && !info.security.empty()) {
    throw Invalid(
        fmt::format("{} takes credentials, and its cache gives one answer to all: say whose answers they are, "
                    "pages.keep(per<…>, …), or that they are everybody's, .ignore_credentials = true",
                    route.name));
  }
  for (const auto [where, what] : {std::pair{In::header, "header"}, std::pair{In::cookie, "cookie"}}) {
    const auto known = names_read(of_scope, where);
    for (const std::string& name : names_read(info, where)) {
      if (where == In::cookie && rules.options.ignore_credentials) continue;
      if (contains(known, name) || (where == In::header && contains(rules.options.vary, name))) continue;
      throw Invalid(
          fmt::format("{} reads the {} {}, of which its cache does not know: name it in .vary, or ask for it "
                      "in the dependency of pages.keep(per<…>, …)",
                      route.name, what, name));
    }
  }
}

void refuse_unknown_names(const Route& route, const CacheRules& rules) {
  if (rules.options.query) {
    for (const std::string& name : names_read(operation_of(route), In::query)) {
      if (std::ranges::find(*rules.options.query, name) != rules.options.query->end()) continue;
      throw Invalid(
          fmt::format("{} reads the query parameter {}, which is not in .query of its cache", route.name, name));
    }
  }
  for (const std::string& tag : rules.options.tags) {
    if (std::ranges::count(tag, '{') != std::ranges::count(tag, '}')) {
      throw Invalid(fmt::format("{}: the tag '{}' has a brace without its other one", route.name, tag));
    }
    for_each_part(tag, [&](std::string_view part, bool is_name) {
      if (!is_name || std::ranges::find(route.parameter_names, part) != route.parameter_names.end()) return;
      throw Invalid(fmt::format("{}: the tag '{}' names a parameter that is not in the path", route.name, tag));
    });
  }
}

}  // namespace

std::shared_ptr<const Around> make_cached(Route& route, const CachedAnswers& answers) {
  if (route.method != http::Method::get) throw Invalid(fmt::format("{}: only answers of GET are kept", route.name));
  refuse_what_is_not_known(route, *answers.rules());
  refuse_unknown_names(route, *answers.rules());
  return std::make_shared<CachedRoute>(answers.rules());
}

}  // namespace detail

ResponseCache::ResponseCache(ResponseCacheOptions options)
    : cache_(std::make_shared<detail::AnswerCache>(std::move(options))) {}

CachedAnswers ResponseCache::keep(Scope of, CacheOptions options) const {
  if (options.ttl.count() <= 0 || options.client_ttl.count() < 0) {
    throw Invalid(fmt::format("response cache '{}': a ttl is above 0", cache_->options().name));
  }
  return CachedAnswers(std::make_shared<const detail::CacheRules>(detail::CacheRules{cache_, of, std::move(options)}));
}

std::size_t ResponseCache::invalidate_tag(std::string_view tag) const { return cache_->invalidate_tag(tag); }
std::size_t ResponseCache::invalidate_prefix(std::string_view path) const { return cache_->invalidate_prefix(path); }
void ResponseCache::clear() const { cache_->invalidate_prefix({}); }
ResponseCacheStats ResponseCache::stats() const { return cache_->stats(); }

}  // namespace ashlar
