#include <ashlar/testing/transfer.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/cookie_jar.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/testing/detail/flight.hpp>

namespace ashlar::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};
constexpr std::size_t kMostPieces = 64;
constexpr std::size_t kMostBytes = 64 * 1024;

}  // namespace

// ---- what happens on the loop

Client::Flight::Flight(Client& client, Request request) : client_(client), request_(std::move(request)) {
  request_.encode_form();
  client_.add_default_headers(request_.headers_);
  url_ = (request_.secure_host_ ? "https://" + *request_.secure_host_ : "http://testserver") + request_.target_;
  client_.add_cookies(url_, request_.headers_);
  client_.fill(sending_, request_.method_, request_.target_, request_.headers_);
  auto& sent = sending_.request;
  if (request_.secure_host_) sent.authority = *request_.secure_host_;
  sent.secure = request_.secure_host_.has_value();
  sent.peer = request_.peer_ ? &*request_.peer_ : nullptr;
  sent.client_certificate = request_.client_certificate_ ? &*request_.client_certificate_ : nullptr;
}

void Client::Flight::start() {
  http::Handler& handler = client_.app_.handler();
  if (!request_.body_.empty()) {
    const http::BodyPlan plan = handler.plan_body(sending_.request, http::ServerOptions{}.max_body);
    if (plan.stream) {
      sending_.whole.hold(request_.body_, plan.limit);
      sending_.body = &sending_.whole;
    } else {
      sending_.request.body = request_.body_;
    }
  }
  sending_.started = async::Clock::now();
  sending_.context.deadline = sending_.started + http::ServerOptions{}.request_timeout;
  handler.handle(sending_);
  if (!sending_.done.is_set()) Timer::arm_at(async::Loop::current(), sending_.context.deadline);
  const async::ContextGuard guard(nullptr);
  async::launch(wait_for_handler(), waiting_);
}

void Client::Flight::on_timer() noexcept { sending_.scope.cancel(async::CancelReason::deadline); }

Task<void> Client::Flight::wait_for_handler() { co_await sending_.done.wait(); }

void Client::Flight::Waiting::on_complete(std::exception_ptr error) noexcept {
  if (error) return flight_.end(std::move(error));
  try {
    flight_.begin_body();
  } catch (...) {
    flight_.end(std::current_exception());
  }
}

void Client::Flight::begin_body() {
  Timer::cancel();
  http::Response& response = sending_.response;
  answer_ = head_of(response);
  if (client_.cookies_ != nullptr) {
    for (const auto& [name, value] : answer_.headers) {
      if (equals_ignore_case(name, "Set-Cookie")) client_.cookies_->store(url_, value);
    }
  }
  answered_ = true;
  changed_.set();
  const bool no_body = request_.method_ == http::Method::head || response.status == 204 || response.status == 304;
  if (no_body) return end(nullptr);
  if (response.file_body() != nullptr) response.stream_file();
  if (!response.streaming()) {
    if (!response.body_bytes().empty()) pieces_.emplace_back(response.body_bytes());
    return end(nullptr);
  }
  sending_.context.deadline = async::TimePoint::max();
  const async::ContextGuard guard(&sending_.context);
  async::launch(pump(response.take_stream()), *this);
}

Task<void> Client::Flight::pump(Generator<std::string> stream) {
  while (auto piece = co_await stream.next()) {
    if (piece->empty()) continue;
    bytes_ += piece->size();
    pieces_.push_back(std::move(*piece));
    changed_.set();
    while (bytes_ >= kMostBytes || pieces_.size() >= kMostPieces) {
      taken_.reset();
      co_await taken_.wait();
    }
  }
}

void Client::Flight::end(std::exception_ptr error) noexcept {
  error_ = std::move(error);
  over_ = true;
  changed_.set();
}

Task<void> Client::Flight::until_answered() {
  while (!answered_ && !over_) {
    changed_.reset();
    co_await changed_.wait();
  }
  if (!answered_) std::rethrow_exception(error_);
}

Task<std::optional<std::string>> Client::Flight::piece() {
  while (pieces_.empty() && !over_) {
    changed_.reset();
    co_await changed_.wait();
  }
  if (!pieces_.empty()) {
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    bytes_ -= std::min(bytes_, piece.size());
    taken_.set();
    co_return piece;
  }
  if (error_) std::rethrow_exception(error_);
  co_return std::nullopt;
}

Task<void> Client::Flight::until_over() {
  while (!over_) {
    changed_.reset();
    co_await changed_.wait();
  }
}

Task<Answer> Client::exchange(Request request) {
  Flight flight(*this, std::move(request));
  flight.start();
  co_await flight.until_answered();
  Answer answer = flight.answer();
  while (auto piece = co_await flight.piece()) answer.body += *piece;
  co_return answer;
}

// ---- the test's side

struct Transfer::Impl {
  Impl(Client& owner, Request request) : client(owner), flight(owner, std::move(request)) {}
  ~Impl() { leave(); }

  template <class T>
  T run(Task<T> task) {
    return client.run(async::timeout(kPatience, std::move(task)));
  }
  void leave() {
    if (flight.over()) return;
    flight.cancel();
    client.run(flight.until_over());
  }
  // More of the body, behind what is there. False: that was all.
  bool read_on() {
    auto piece = run(flight.piece());
    if (!piece) return false;
    text += *piece;
    return true;
  }

  Client& client;
  Client::Flight flight;
  std::string text;  // read, and not yet given
  std::string last_id;
};

Transfer Request::begin() {
  auto impl = std::make_unique<Transfer::Impl>(client_, std::move(*this));
  Client& client = impl->client;
  client.run([](Client::Flight& flight) -> Task<void> {
    flight.start();
    co_return;
  }(impl->flight));
  return Transfer(std::move(impl));
}

Transfer::Transfer(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Transfer::Transfer(Transfer&&) noexcept = default;
Transfer& Transfer::operator=(Transfer&&) noexcept = default;
Transfer::~Transfer() = default;

bool Transfer::answered() const noexcept { return impl_->flight.answered(); }

const Answer& Transfer::head() {
  impl_->run(impl_->flight.until_answered());
  return impl_->flight.answer();
}

Answer Transfer::answer() {
  Answer answer = head();
  while (auto next = piece()) answer.body += *next;
  return answer;
}

std::optional<std::string> Transfer::piece() {
  if (!impl_->text.empty()) return std::exchange(impl_->text, {});
  return impl_->run(impl_->flight.piece());
}

std::optional<std::string> Transfer::line() {
  std::string& text = impl_->text;
  // CR, LF and CRLF end a line; a CR at the end of what has come may be the half of one.
  std::size_t end = 0;
  for (;;) {
    end = text.find_first_of("\r\n", end);
    const bool half = end != std::string::npos && text[end] == '\r' && end + 1 == text.size();
    if (end != std::string::npos && !half) break;
    const std::size_t looked_at = half ? end : text.size();
    if (!impl_->read_on()) {
      if (text.empty()) return std::nullopt;
      end = half ? end : text.size();
      break;
    }
    end = looked_at;
  }
  std::string line = text.substr(0, end);
  const bool both = std::string_view(text).substr(end).starts_with("\r\n");
  text.erase(0, std::min(end + (both ? 2 : 1), text.size()));
  return line;
}

std::optional<ServerEvent> Transfer::event() {
  ServerEvent event;
  bool has_data = false;
  while (const auto text = line()) {
    if (text->empty()) {
      if (!has_data) {
        event = {};  // of a comment, or a new `retry`, alone
        continue;
      }
      event.data.pop_back();  // its last line's end
      event.id = impl_->last_id;
      return event;
    }
    const std::size_t colon = std::min(text->find(':'), text->size());
    const std::string_view name = std::string_view(*text).substr(0, colon);
    std::string_view value = std::string_view(*text).substr(std::min(colon + 1, text->size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "data") {
      has_data = true;
      event.data.append(value).push_back('\n');
    } else if (name == "event") {
      event.event = value.empty() ? "message" : std::string(value);
    } else if (name == "id") {
      if (value.find('\0') == std::string_view::npos) impl_->last_id = value;
    } else if (name == "retry") {
      std::int64_t milliseconds = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
      if (error == std::errc{} && end == value.data() + value.size() && milliseconds >= 0)
        event.retry = std::chrono::milliseconds{milliseconds};
    }
  }
  return std::nullopt;
}

void Transfer::leave() { impl_->leave(); }

}  // namespace ashlar::testing
