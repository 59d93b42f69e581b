#include <ashlar/app/idempotency.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/digest.hpp>
#include <ashlar/app/detail/handler.hpp>
#include <ashlar/app/detail/idempotent_route.hpp>
#include <ashlar/app/local_idempotency_store.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace detail {
namespace {

using async::IdempotencyStore;
using std::chrono::milliseconds;

// So that an attempt does not lose its lease while its last answer is on the way to the store.
constexpr milliseconds kMargin = std::chrono::seconds{5};

Problem problem_with(int status, std::string detail) {
  Problem problem;
  problem.status = status;
  problem.detail = std::move(detail);
  return problem;
}

// Answers that say: not now, or not you. The request has not been done.
bool says_not_done(int status) noexcept { return status == 401 || status == 408 || status == 425 || status == 429; }

std::string key_of(const http::Request& request) {
  std::size_t count = 0;
  request.for_each_header([&](std::string_view name, std::string_view) {
    if (equals_ignore_case(name, "Idempotency-Key")) ++count;
  });
  auto key = count == 1 ? parse_idempotency_key(*request.header(http::KnownHeader::idempotency_key)) : std::nullopt;
  if (!key) throw problem_with(400, "Idempotency-Key is one key of 1 to 255 visible characters of ASCII");
  return *std::move(key);
}

std::string fingerprint_of(const http::Request& request) {
  return hex_encode(
      sha256_of({request.method_text, request.target,
                 request.header(http::KnownHeader::content_type).value_or(std::string_view()), request.body}));
}

milliseconds lease_of(const http::Exchange& exchange, milliseconds least) {
  const async::TimePoint deadline = exchange.context.deadline;
  if (deadline == async::TimePoint::max()) return least;
  return std::max(least, std::chrono::ceil<milliseconds>(deadline - async::Clock::now()) + kMargin);
}

IdempotencyStore::Answer answer_of(const http::Response& response, std::size_t mark, std::size_t most) {
  Captured captured = capture(response, mark);
  if (!captured.whole || captured.headers.size() + response.body_bytes().size() > most) return {.status = 0};
  return {response.status, std::move(captured.headers), std::string(response.body_bytes())};
}

void replay(http::Exchange& exchange, IdempotencyStore::Answer answer) {
  if (answer.status == 0) {
    throw problem_with(409,
                       "this request has been done; what it answered was too large, or a stream, and cannot be given "
                       "again");
  }
  http::Response& response = exchange.response;
  response.status = answer.status;
  response.append_header_lines(answer.headers);
  response.append_header_lines("Idempotency-Replayed: true\r\n");
  response.body = std::move(answer.body);
}

class IdempotentRoute final : public Around {
 public:
  explicit IdempotentRoute(const IdempotencyRules& rules) noexcept : rules_(rules) {}

  bool invoke(Call& call) const override {
    if (!call.exchange.request.has(http::KnownHeader::idempotency_key)) {
      if (rules_.options.required) {
        throw problem_with(400, "send an Idempotency-Key, made anew for each thing that is to be done");
      }
      return call.route->handle(call);
    }
    IdempotencyStore::Attempt attempt;
    attempt.key =
        hex_encode(sha256_of({rules_.options.name, scope_text(rules_.scope, call), key_of(call.exchange.request)}));
    attempt.fingerprint = fingerprint_of(call.exchange.request);
    attempt.id = Uuid::v7();
    attempt.lease = lease_of(call.exchange, rules_.options.lease);
    // A key that is forgotten while its request runs would let it run once more.
    attempt.keep = std::max(rules_.options.keep, std::chrono::ceil<std::chrono::seconds>(attempt.lease));
    async::launch(run(call, std::move(attempt)), call);
    return false;
  }

 private:
  Task<void> run(Call& call, IdempotencyStore::Attempt attempt) const;
  Task<void> end(Call& call, std::string key, Uuid id, const Problem* problem, std::size_t mark) const;

  const IdempotencyRules& rules_;
};

Task<void> IdempotentRoute::run(Call& call, IdempotencyStore::Attempt attempt) const {
  const std::string key = attempt.key;
  const Uuid id = attempt.id;
  // A client that leaves meanwhile must not leave an attempt behind that nobody ends.
  IdempotencyStore::Found found = co_await async::shield(rules_.store->begin(std::move(attempt)));
  switch (found.state) {
    case IdempotencyStore::State::begun:
      rules_.first.add();
      break;
    case IdempotencyStore::State::running: {
      rules_.running.add();
      Problem problem = problem_with(409, "a request with this Idempotency-Key is being done now");
      problem.headers.emplace_back("Retry-After", "1");
      throw problem;
    }
    case IdempotencyStore::State::other_request:
      rules_.other_request.add();
      throw problem_with(422, "this Idempotency-Key has been used for another request; make a new one for this");
    case IdempotencyStore::State::answered:
      rules_.replayed.add();
      replay(call.exchange, std::move(found.answer));
      co_return;
  }
  const std::size_t mark = call.exchange.response.header_lines().size();
  std::optional<Problem> problem;
  try {
    co_await run_handler(call);
  } catch (...) {
    problem = call.core.problem_of(std::current_exception());
  }
  co_await async::shield(end(call, key, id, problem ? &*problem : nullptr, mark));
  if (problem) throw *std::move(problem);
}

// What has been done stays done when it cannot be written down: the client gets its answer all the same.
Task<void> IdempotentRoute::end(Call& call, std::string key, Uuid id, const Problem* problem, std::size_t mark) const {
  http::Response& response = call.exchange.response;
  if (problem != nullptr) {
    call.core.write_problem(call.exchange, *problem);
    mark = 0;
  }
  try {
    const bool failed = response.status >= 500;  // or its client has left, or its time was over
    if (says_not_done(response.status) || (failed && !rules_.options.repeat_failures)) {
      rules_.freed.add();
      co_await rules_.store->abandon(key, id);
      co_return;
    }
    if (co_await rules_.store->complete(key, id, answer_of(response, mark, rules_.options.max_answer))) co_return;
    rules_.lost.add();
    log::warn("a request took longer than the lease of its idempotency key: it may have been done twice",
              {{"http.route", std::string_view(call.route->name)}});
  } catch (const std::exception& failure) {
    rules_.lost.add();
    log::error(
        "the answer to an idempotency key could not be kept",
        {{"http.route", std::string_view(call.route->name)}, {"error.message", std::string_view(failure.what())}});
  }
}

void describe_key(OperationInfo& info, bool required) {
  info.parameters.push_back({"Idempotency-Key", In::header, required, &schema::type_info<std::string>()});
}

}  // namespace

std::optional<std::string> parse_idempotency_key(std::string_view field) {
  std::string key;
  const bool quoted = field.starts_with('"');
  if (quoted) {
    field.remove_prefix(1);
    while (!field.empty() && field.front() != '"') {
      if (field.front() == '\\') {
        field.remove_prefix(1);
        if (field.empty() || (field.front() != '"' && field.front() != '\\')) return std::nullopt;
      }
      key += field.front();
      field.remove_prefix(1);
    }
    if (field != "\"") return std::nullopt;  // no end, or parameters after it, of which the draft defines none
  } else {
    key = field;
  }
  const char least = quoted ? ' ' : '!';
  const bool visible = std::ranges::all_of(key, [&](char c) { return c >= least && c <= '~'; });
  if (key.empty() || key.size() > 255 || !visible) return std::nullopt;
  return key;
}

std::shared_ptr<const Around> make_idempotent(Route& route, const Idempotency& idempotency) {
  if (!takes_body(route.method)) {
    throw Invalid(fmt::format("{}: idempotency keys are for POST, PUT, PATCH and DELETE", route.name));
  }
  if (route.streams_body) {
    throw Invalid(fmt::format("{} reads its body while it arrives: idempotency keys need the whole of it", route.name));
  }
  const IdempotencyRules& rules = idempotency.rules();
  const auto names = names_read(operation_of(route), In::header);
  const auto is_key = [](const std::string& name) { return equals_ignore_case(name, "Idempotency-Key"); };
  if (std::ranges::none_of(names, is_key)) {
    route.dependency_descriptions.push_back(rules.options.required
                                                ? [](OperationInfo& info) { describe_key(info, true); }
                                                : [](OperationInfo& info) { describe_key(info, false); });
  }
  for (const int status : {400, 409, 422}) route.options.errors.push_back(status);
  return std::make_shared<IdempotentRoute>(rules);
}

}  // namespace detail

namespace {

std::shared_ptr<detail::IdempotencyRules> make_rules(Scope of, IdempotencyOptions options) {
  if (options.keep.count() <= 0 || options.lease.count() <= 0 || options.max_answer == 0) {
    throw Invalid(fmt::format("idempotency '{}': keep, lease and max_answer are above 0", options.name));
  }
  auto rules = std::make_shared<detail::IdempotencyRules>();
  auto& registry = metrics::default_registry();
  const auto counter = [&](std::string_view outcome) {
    return registry.counter({.name = "ashlar.idempotency.requests", .help = "Requests with an Idempotency-Key."},
                            {{"keys", options.name}, {"outcome", outcome}});
  };
  rules->first = counter("first");
  rules->replayed = counter("replayed");
  rules->running = counter("running");
  rules->other_request = counter("other_request");
  rules->freed = counter("freed");
  rules->lost = counter("lost");
  rules->scope = of;
  rules->options = std::move(options);
  return rules;
}

}  // namespace

Idempotency::Idempotency(Scope of, IdempotencyOptions options) {
  auto rules = make_rules(of, std::move(options));
  rules->own = std::make_unique<LocalIdempotencyStore>();
  rules->store = rules->own.get();
  rules_ = std::move(rules);
}

Idempotency::Idempotency(Scope of, async::IdempotencyStore& store, IdempotencyOptions options) {
  auto rules = make_rules(of, std::move(options));
  rules->store = &store;
  rules_ = std::move(rules);
}

}  // namespace ashlar
