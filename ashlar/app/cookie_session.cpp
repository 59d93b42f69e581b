#include <ashlar/app/cookie_session.hpp>

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include <ashlar/app/detail/notes.hpp>
#include <ashlar/app/detail/read.hpp>
#include <ashlar/app/detail/seal.hpp>
#include <ashlar/app/response_parts.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/clock.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

constexpr std::string_view kPurpose = "ashlar session 1";
constexpr std::size_t kRandom = 16;      // bytes: the same session is another cookie each time
constexpr std::size_t kMostJson = 2900;  // what browsers keep is 4096 bytes in base64, with the cookie's name

std::int64_t now() noexcept {
  return std::chrono::duration_cast<std::chrono::seconds>(SystemClock::now().time_since_epoch()).count();
}

}  // namespace

struct CookieSessions::State {
  CookieSessionOptions options;
  std::string secure_cookie;
  std::vector<Secret<>> keys;  // the one that seals first

  [[nodiscard]] const std::string& cookie(const http::Request& request) const noexcept {
    return request.secure ? secure_cookie : options.cookie;
  }
};

namespace detail {

struct SessionNote final : http::Exchange::Note {
  const CookieSessions::State* state = nullptr;
  std::string_view json;    // what is in the cookie, or was left by who had it last; empty: nothing
  std::string_view as_new;  // what a new one is
  SessionLink* alive = nullptr;
  bool is_taken = false, is_changed = false, is_to_be_renewed = false, is_answered = false;
  bool had_cookie = false;  // good or not
};

namespace {

constexpr char kKey = 0;

// A cookie holds 16 random bytes, when it ends, a space, and JSON.
struct Opened {
  std::int64_t ends = 0;
  std::string json;
  bool with_earlier_key = false;
};
std::optional<Opened> open(const CookieSessions::State& state, std::string_view cookie) {
  for (std::size_t i = 0; i < state.keys.size(); ++i) {
    auto bytes = base64url_decode(cookie);
    if (!bytes) return std::nullopt;
    const auto text = unseal(state.keys[i], kPurpose, std::move(*bytes));
    if (!text || text->size() <= kRandom) continue;
    Opened out;
    const char* const end = text->data() + text->size();
    const auto [after, error] = std::from_chars(text->data() + kRandom, end, out.ends);
    if (error != std::errc() || after == end || *after != ' ' || out.ends <= now()) return std::nullopt;
    out.json.assign(after + 1, end);
    out.with_earlier_key = i > 0;
    return out;
  }
  return std::nullopt;
}

// The first time that a request's session is taken.
void begin_note(Call& call, SessionNote& note) {
  note.is_taken = true;
  add_note<http::Exchange::Note>(call.exchange, &kPersonalNote);
  const std::string_view cookie = read_api_key(call, In::cookie, note.state->cookie(call.exchange.request));
  if (cookie.empty()) return;
  note.had_cookie = true;
  const auto opened = open(*note.state, cookie);
  if (!opened) return;
  note.json = call.exchange.scratch.copy(opened->json);
  note.is_to_be_renewed = opened->with_earlier_key || opened->ends - now() < note.state->options.lifetime.count() / 2;
}

}  // namespace

bool SessionLink::begin(Call& call, const schema::TypeInfo& type, void* own, Write write) {
  auto* const note = find_note<SessionNote>(call.exchange, &kKey);
  if (note == nullptr) throw Internal("a handler takes a CookieSession: add app.use(CookieSessions{{.secret = …}})");
  type_ = &type;
  if (note->alive != nullptr) {
    if (note->alive->type_ != &type) throw Internal("the session of one request is taken as two types");
    value_ = note->alive->value_;
    return true;
  }
  if (!note->is_taken) begin_note(call, *note);
  exchange_ = &call.exchange;
  note_ = note;
  value_ = own;
  write_ = write;
  note->alive = this;
  if (note->as_new.empty()) note->as_new = call.exchange.scratch.copy(write(own));
  if (note->json.empty()) {
    note->json = note->as_new;
    return true;
  }
  schema::Errors errors;
  return schema::read_json(type, note->json, own, errors);
}

SessionLink::~SessionLink() {
  if (exchange_ == nullptr) return;
  note_->alive = nullptr;
  try {
    const std::string json = write_(value_);
    if (json == note_->json) return;
    if (note_->is_answered) {
      log::warn("a session was changed after its answer had gone: the change is lost", {});
      return;
    }
    note_->json = exchange_->scratch.copy(json);
    note_->is_changed = true;
  } catch (const std::exception& error) {
    log::error("a session could not be kept", {{"error.message", std::string_view(error.what())}});
  }
}

}  // namespace detail

CookieSessions::CookieSessions(CookieSessionOptions options) {
  if (options.lifetime.count() <= 0) throw Invalid("a session lives longer than not at all");
  http::Response probe;
  const std::string secure_cookie = "__Host-" + options.cookie;
  try {
    set_cookie(probe, secure_cookie, "x");
  } catch (const Error& error) {
    throw Invalid(fmt::format("the cookie of sessions cannot be '{}': {}", options.cookie, error.message()));
  }
  std::vector<Secret<>> keys{detail::sealing_key(options.secret, kPurpose, "sessions")};
  for (const auto& secret : options.earlier) keys.push_back(detail::sealing_key(secret, kPurpose, "earlier sessions"));
  state_ = std::make_shared<const State>(State{std::move(options), secure_cookie, std::move(keys)});
}

bool CookieSessions::before(http::Exchange& exchange) {
  detail::add_note<detail::SessionNote>(exchange, &detail::kKey).state = state_.get();
  return true;
}

void CookieSessions::after(http::Exchange& exchange) noexcept {
  auto* const note = detail::find_note<detail::SessionNote>(exchange, &detail::kKey);
  if (note == nullptr || !note->is_taken) return;
  note->is_answered = true;
  try {
    const std::string& cookie = state_->cookie(exchange.request);
    CookieOptions options{.max_age = state_->options.lifetime, .secure = exchange.request.secure};
    if (note->json == note->as_new) {
      if (note->had_cookie) remove_cookie(exchange.response, cookie, options);
    } else if (note->json.size() > kMostJson) {
      throw Internal(fmt::format("it has {} bytes, and a cookie holds {}", note->json.size(), kMostJson));
    } else if (note->is_changed || note->is_to_be_renewed) {
      const auto text =
          fmt::format("{}{} {}", random_bytes(kRandom), now() + state_->options.lifetime.count(), note->json);
      set_cookie(exchange.response, cookie, base64url_encode(detail::seal(state_->keys.front(), kPurpose, text)),
                 options);
    }
    exchange.response.append_header_lines("Vary: Cookie\r\n");
  } catch (const std::exception& error) {  // what the handler has answered may not be so
    log::error("a session could not be kept", {{"error.message", std::string_view(error.what())}});
    exchange.response.clear();
    refuse(exchange, Problem{.status = 500});
  }
}

}  // namespace ashlar
