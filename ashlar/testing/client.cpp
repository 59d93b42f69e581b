#include <ashlar/testing/client.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/cookie_jar.hpp>
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

Client& Client::keep_cookies() {
  if (cookies_ == nullptr) cookies_ = std::make_unique<http::CookieJar>();
  return *this;
}

void Client::add_cookies(const std::string& url, std::vector<std::pair<std::string, std::string>>& headers) {
  if (cookies_ == nullptr) return;
  if (std::ranges::any_of(headers, [](const auto& own) { return equals_ignore_case(own.first, "Cookie"); })) return;
  std::string all = cookies_->header(url);
  if (!all.empty()) headers.emplace_back("Cookie", std::move(all));
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

std::vector<Answer> Client::send_all(std::vector<Request> requests) {
  std::vector<Task<Answer>> tasks;
  tasks.reserve(requests.size());
  for (auto& request : requests) tasks.push_back(exchange(std::move(request)));
  return run(async::all(std::move(tasks)));
}

}  // namespace ashlar::testing
