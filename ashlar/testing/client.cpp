#include <ashlar/testing/client.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/async/sync.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/testing/detail/sending.hpp>

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

Request& Request::from(std::string_view ip) {
  peer_ = net::Address::ip(ip, 40'000);
  if (!peer_) throw Invalid("a request comes from an IP address, not from \"" + std::string(ip) + "\"");
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

Client::Client(App& app) : app_(app) { async::run(loop_, app_.start()); }

Client::~Client() {
  connection_.clear();
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
  ashlar::detail::SharedValue* next = nullptr;
  for (auto& one : overrides_) {
    one->shared.next = next;
    next = &one->shared;
  }
}

void Client::add_default_headers(std::vector<std::pair<std::string, std::string>>& headers) const {
  for (const auto& one : default_headers_) {
    const bool given =
        std::ranges::any_of(headers, [&](const auto& own) { return equals_ignore_case(own.first, one.first); });
    if (!given) headers.push_back(one);
  }
}

// `target` and `headers` must outlive the exchange.
void Client::fill(Sending& sending, http::Method method, std::string_view target,
                  const std::vector<std::pair<std::string, std::string>>& headers) {
  sending.connection = &connection_;
  auto& request = sending.request;
  request.clear();
  request.method = method;
  request.method_text = http::to_string(method);
  request.target = target;
  const auto question = std::min(target.find('?'), target.size());
  request.path = request.target.substr(0, question);
  request.query = request.target.substr(std::min(question + 1, target.size()));
  request.authority = "testserver";
  for (const auto& [name, value] : headers) {
    if (!request.add_header(name, value)) throw Invalid("a request has too many headers");
  }
  sending.context.scope = &sending.scope;
  sending.context.overrides = overrides_.empty() ? nullptr : &overrides_.back()->shared;
  sending.started = async::Clock::now();
}

Answer head_of(const http::Response& response) {
  Answer answer;
  answer.status = response.status;
  if (!response.content_type.empty()) answer.headers.emplace_back("Content-Type", response.content_type);
  std::string_view lines = response.header_lines();
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const auto colon = line.find(':');
    answer.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return answer;
}

Task<Answer> Client::exchange(Request sent) {
  sent.encode_form();
  add_default_headers(sent.headers_);
  Sending sending;
  auto& request = sending.request;
  fill(sending, sent.method_, sent.target_, sent.headers_);
  if (sent.secure_host_) request.authority = *sent.secure_host_;
  request.secure = sent.secure_host_.has_value();
  request.peer = sent.peer_ ? &*sent.peer_ : nullptr;
  request.client_certificate = sent.client_certificate_ ? &*sent.client_certificate_ : nullptr;
  if (!sent.body_.empty()) {
    const http::BodyPlan plan = app_.handler().plan_body(request, http::ServerOptions{}.max_body);
    if (plan.stream) {
      sending.whole.hold(sent.body_, plan.limit);
      sending.body = &sending.whole;
    } else {
      request.body = sent.body_;
    }
  }
  app_.handler().handle(sending);
  co_await sending.done.wait();

  Answer answer = head_of(sending.response);
  auto& response = sending.response;
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
