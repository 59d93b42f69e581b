#include <ashlar/testing/client.hpp>

#include <algorithm>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/exchange.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/server_options.hpp>

namespace ashlar::testing {

std::optional<std::string> Answer::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (equals_ignore_case(key, name)) return value;
  }
  return std::nullopt;
}

Request& Request::form(std::vector<std::pair<std::string, std::string>> fields) {
  fields_ = std::move(fields);
  return *this;
}

void Request::encode_form() {
  if (files_.empty()) {
    if (fields_.empty()) return;
    std::string text;
    for (const auto& [name, value] : fields_) {
      if (!text.empty()) text += '&';
      text += percent_encode(name) + '=' + percent_encode(value);
    }
    header("Content-Type", "application/x-www-form-urlencoded");
    body_ = std::move(text);
    return;
  }
  const std::string line = "--the-boundary-of-a-test";
  std::string text;
  for (const auto& [name, value] : fields_) {
    text += line + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
  }
  for (const File& file : files_) {
    text += line + "\r\nContent-Disposition: form-data; name=\"" + file.name + "\"; filename=\"" + file.filename +
            "\"\r\nContent-Type: " + file.type + "\r\n\r\n" + file.bytes + "\r\n";
  }
  text += line + "--\r\n";
  header("Content-Type", "multipart/form-data; boundary=the-boundary-of-a-test");
  body_ = std::move(text);
}

Answer Request::send() { return client_.run(client_.exchange(std::move(*this))); }

// What the server's connection is to a real request.
struct Client::Sending final : http::Exchange {
  // A body that has arrived in one piece.
  struct Whole final : http::RequestBody {
    std::string_view rest;
    std::uint64_t limit = 0;
    Task<std::string_view> next() override {
      if (rest.size() > limit) throw TooLarge("The body is larger than this server allows.");
      co_return std::exchange(rest, {});
    }
    void hold(std::string_view bytes, std::uint64_t most) {
      rest = bytes;
      limit = most;
      length_ = bytes.size();
    }
  };
  Whole whole;
  async::Event done;

 private:
  void on_finish() noexcept override { done.set(); }
};

Client::Client(App& app) : app_(app) { async::run(loop_, app_.start()); }

Client::~Client() {
  try {
    async::run(loop_, app_.stop());
  } catch (...) {  // NOLINT: a destructor; what failed has been logged
  }
}

Client& Client::default_header(std::string name, std::string value) {
  std::erase_if(default_headers_, [&](const auto& one) { return equals_ignore_case(one.first, name); });
  if (!value.empty()) default_headers_.emplace_back(std::move(name), std::move(value));
  return *this;
}

void Client::remove_override(const void* key) {
  // The newest one of this key: scopes end in the reverse order of their beginnings.
  const auto found =
      std::find_if(overrides_.rbegin(), overrides_.rend(), [&](const auto& one) { return one->shared.key == key; });
  if (found != overrides_.rend()) overrides_.erase(std::next(found).base());
  link_overrides();
}

void Client::link_overrides() {
  detail::SharedValue* next = nullptr;
  for (auto& one : overrides_) {
    one->shared.next = next;
    next = &one->shared;
  }
}

Task<Answer> Client::exchange(Request sent) {
  sent.encode_form();
  for (const auto& one : default_headers_) {
    const bool given =
        std::ranges::any_of(sent.headers_, [&](const auto& own) { return equals_ignore_case(own.first, one.first); });
    if (!given) sent.headers_.push_back(one);
  }
  Sending sending;
  auto& request = sending.request;
  request.clear();
  request.method = sent.method_;
  request.method_text = http::to_string(sent.method_);
  request.target = sent.target_;
  const auto question = std::min(sent.target_.find('?'), sent.target_.size());
  request.path = request.target.substr(0, question);
  request.query = request.target.substr(std::min(question + 1, sent.target_.size()));
  request.authority = sent.secure_host_ ? std::string_view(*sent.secure_host_) : "testserver";
  request.secure = sent.secure_host_.has_value();
  request.client_certificate = sent.client_certificate_ ? &*sent.client_certificate_ : nullptr;
  for (const auto& [name, value] : sent.headers_) {
    if (!request.add_header(name, value)) throw Invalid("a request has too many headers");
  }
  if (!sent.body_.empty()) {
    const http::BodyPlan plan = app_.handler().plan_body(request, http::ServerOptions{}.max_body);
    if (plan.stream) {
      sending.whole.hold(sent.body_, plan.limit);
      sending.body = &sending.whole;
    } else {
      request.body = sent.body_;
    }
  }
  sending.context.scope = &sending.scope;
  sending.context.overrides = overrides_.empty() ? nullptr : &overrides_.back()->shared;
  sending.started = async::Clock::now();
  app_.handler().handle(sending);
  co_await sending.done.wait();

  Answer answer;
  auto& response = sending.response;
  answer.status = response.status;
  if (!response.content_type.empty()) answer.headers.emplace_back("Content-Type", response.content_type);
  std::string_view lines = response.header_lines();
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const auto colon = line.find(':');
    answer.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  const bool no_body = sent.method_ == http::Method::head || response.status == 204 || response.status == 304;
  if (!no_body && response.file_body() != nullptr) response.stream_file();
  if (response.streaming()) {
    auto stream = response.take_stream();
    while (!no_body) {
      const auto piece = co_await stream.next();
      if (!piece) break;
      answer.body += *piece;
    }
  } else if (!no_body) {
    answer.body = response.body_bytes();
  }
  co_return answer;
}

std::vector<Answer> Client::send_all(std::vector<Request> requests) {
  std::vector<Task<Answer>> tasks;
  tasks.reserve(requests.size());
  for (auto& request : requests) tasks.push_back(exchange(std::move(request)));
  return run(async::all(std::move(tasks)));
}

}  // namespace ashlar::testing
