#include <ashlar/app/principal_limit.hpp>
#include <ashlar/app/rate_limit.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include <ashlar/app/detail/around.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/rate_table.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/net/ip.hpp>

namespace ashlar {
namespace detail {
namespace {

using std::chrono::nanoseconds;

constexpr char kNoteKey = 0;  // its address

struct RateNote final : http::Exchange::Note {
  const RateTable* table = nullptr;
  RateDecision decision;
};

std::uint32_t burst_of(const RateLimitOptions& options) {
  return options.burst != 0 ? options.burst : options.requests;
}

std::int64_t seconds_up(nanoseconds time) { return std::chrono::ceil<std::chrono::seconds>(time).count(); }

RateNote* next_note(http::Exchange::Note* note) noexcept {
  while (note != nullptr && note->key != &kNoteKey) note = note->next;
  return static_cast<RateNote*>(note);
}

// A name is told once: the tightest of those that have it.
void remember(http::Exchange& exchange, const RateTable& table, const RateDecision& decision) {
  RateNote* note = next_note(exchange.notes);
  while (note != nullptr && note->table->item() != table.item()) note = next_note(note->next);
  if (note == nullptr) {
    note = new (exchange.scratch.allocate(sizeof(RateNote), alignof(RateNote))) RateNote;
    note->key = &kNoteKey;
    note->next = exchange.notes;
    exchange.notes = note;
  } else if (decision.allowed && note->decision.remaining <= decision.remaining) {
    return;
  }
  note->table = &table;
  note->decision = decision;
}

// A String (RFC 9651 §3.3.3).
std::string string_item(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c < ' ' || c > '~') throw Invalid(fmt::format("rate limit '{}': a name is ASCII that prints", name));
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// Nullopt: go on.
std::optional<Problem> ask(RateTable& table, http::Exchange& exchange, std::string_view key) {
  if (key.empty()) return std::nullopt;
  const RateDecision decision = table.take(key, exchange.started);
  remember(exchange, table, decision);
  if (decision.allowed) return std::nullopt;
  table.count_refused();
  Problem problem;
  problem.status = 429;
  problem.detail =
      fmt::format("more than {} requests in {} s", table.options().requests, seconds_up(table.options().per));
  problem.headers.emplace_back("Retry-After", std::to_string(seconds_up(decision.one_more)));
  return problem;
}

}  // namespace

RateTable::RateTable(RateLimitOptions options) : options_(std::move(options)) {
  if (options_.requests == 0 || options_.per.count() < options_.requests) {
    throw Invalid(
        fmt::format("rate limit '{}': at least one request in a time, at most one a nanosecond", options_.name));
  }
  if (!options_.key) throw Invalid(fmt::format("rate limit '{}' has no key", options_.name));
  if (options_.max_keys == 0 || options_.max_keys > (std::size_t{1} << 28)) {
    throw Invalid(fmt::format("rate limit '{}': max_keys is from 1 to 2^28", options_.name));
  }
  item_ = string_item(options_.name);
  policy_ = fmt::format("{};q={};w={}", item_, options_.requests, std::max<std::int64_t>(1, seconds_up(options_.per)));
  interval_ = options_.per.count() / options_.requests;
  depth_ = interval_ * burst_of(options_);
  sets_.resize(std::bit_ceil((options_.max_keys + kWays - 1) / kWays));
  locks_ = std::make_unique<std::array<Lock, kLocks>>();
  auto& registry = metrics::default_registry();
  const metrics::Label label{"limit", options_.name};
  refused_ =
      registry.counter({.name = "ashlar.rate_limit.refused", .help = "Requests over a rate limit: 429."}, {label});
  forgotten_ = registry.counter({.name = "ashlar.rate_limit.forgotten",
                                 .help = "Clients forgotten before their limit was whole again: max_keys."},
                                {label});
}

RateDecision RateTable::take(std::string_view key, async::TimePoint at) noexcept {
  const std::uint64_t hash = hash_(key) | 1;  // 0: an empty place
  const std::size_t number = (hash >> 1) & (sets_.size() - 1);
  Set& set = sets_[number];
  const std::int64_t now = std::chrono::duration_cast<nanoseconds>(at.time_since_epoch()).count();

  const std::lock_guard guard((*locks_)[number % kLocks].mutex);
  std::size_t place = 0;
  for (std::size_t i = 0; i < kWays; ++i) {
    if (set.hashes[i] == hash) {
      place = i;
      break;
    }
    if (set.used_until[i] < set.used_until[place]) place = i;  // the one whose loss gives least away
  }
  if (set.hashes[place] != hash) {
    if (set.used_until[place] > now) forgotten_.add();
    set.hashes[place] = hash;
    set.used_until[place] = 0;
  }
  const std::int64_t next = std::max(set.used_until[place], now) + interval_;
  RateDecision decision;
  if (next - now > depth_) {
    decision.allowed = false;
    decision.one_more = nanoseconds(next - now - depth_);
    return decision;
  }
  set.used_until[place] = next;
  const std::int64_t left = depth_ - (next - now);
  decision.remaining = static_cast<std::uint32_t>(left / interval_);
  decision.one_more = nanoseconds(interval_ - left % interval_);
  return decision;
}

void write_rate_limit_headers(http::Exchange& exchange) noexcept {
  const auto write = [&](std::string_view name, const auto& append) {
    std::string_view before = name;
    for (RateNote* note = next_note(exchange.notes); note != nullptr; note = next_note(note->next)) {
      exchange.response.append_header_lines(before);
      append(*note);
      before = ", ";
    }
    exchange.response.append_header_lines("\r\n");
  };
  if (next_note(exchange.notes) == nullptr) return;
  write("RateLimit-Policy: ",
        [&](const RateNote& note) { exchange.response.append_header_lines(note.table->policy()); });
  write("RateLimit: ", [&](const RateNote& note) {
    char text[64];
    const auto end =
        fmt::format_to_n(text, sizeof text, ";r={};t={}", note.decision.remaining, seconds_up(note.decision.one_more));
    exchange.response.append_header_lines(note.table->item());
    exchange.response.append_header_lines({text, end.size});
  });
}

}  // namespace detail

RateLimitKey by_peer() {
  return [](http::Exchange& exchange) -> std::string_view {
    if (exchange.request.peer == nullptr) return {};
    const auto address = net::ip_of(*exchange.request.peer);
    if (!address) return {};
    const std::size_t size = address->family == IpAddress::Family::v4 ? 4 : 8;
    return exchange.scratch.copy({reinterpret_cast<const char*>(address->bytes.data()), size});
  };
}

RateLimitKey by_header(std::string name) {
  return [name = std::move(name), peer = by_peer()](http::Exchange& exchange) -> std::string_view {
    const auto value = exchange.request.header(name);
    if (!value || value->empty()) return peer(exchange);
    // Not to be mixed up with an address.
    auto* const bytes = static_cast<char*>(exchange.scratch.allocate(value->size() + 9, 1));
    std::memcpy(bytes, "header   ", 9);
    std::memcpy(bytes + 9, value->data(), value->size());
    return {bytes, value->size() + 9};
  };
}

RateLimit::RateLimit(RateLimitOptions options) : table_(std::make_shared<detail::RateTable>(std::move(options))) {}

bool RateLimit::before(http::Exchange& exchange) {
  const auto problem = detail::ask(*table_, exchange, table_->options().key(exchange));
  return !problem || refuse(exchange, *problem);
}

bool detail::ask_rate_limit(const RateLimit& limit, const Core& core, http::Exchange& exchange) {
  const auto problem = ask(*limit.table_, exchange, limit.table_->options().key(exchange));
  if (problem) core.write_problem(exchange, *problem);
  return !problem;
}

PrincipalLimit::PrincipalLimit(Scope of, PrincipalLimitOptions options)
    : scope_(of),
      table_(std::make_shared<detail::RateTable>(RateLimitOptions{.requests = options.requests,
                                                                  .per = options.per,
                                                                  .burst = options.burst,
                                                                  .name = std::move(options.name),
                                                                  .max_keys = options.max_keys})) {
  if (of.is_anyone()) {
    throw Invalid(fmt::format("principal limit '{}': anyone is no principal; use RateLimit", table_->options().name));
  }
}

bool detail::ask_principal_limit(const PrincipalLimit& limit, Call& call) {
  // Not empty, which is nobody to a RateLimit.
  const auto problem = ask(*limit.table_, call.exchange, "=" + scope_text(limit.scope_, call));
  if (problem) call.core.write_problem(call.exchange, *problem);
  return !problem;
}

}  // namespace ashlar
