// Requests of fuzz(): from parameters to bytes, through the application, and as a command line.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/async/combinators.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/http/whole_body.hpp>

namespace ashlar::detail {
namespace {

constexpr std::string_view kBoundary = "ashlar-fuzz-boundary";

// What the server's connection is to a real request.
class FuzzExchange final : public http::Exchange {
 public:
  FuzzRequest sent;  // what the views of the request are of
  http::WholeBody whole;
  bool handed = false;  // to a handler
  bool finished = false;
  bool forsaken = false;  // nobody waits any more: it goes with its handler
  async::Event done;

 private:
  void on_finish() noexcept override {
    if (forsaken) {
      delete this;
      return;
    }
    finished = true;
    done.set();
  }
};

// When whoever waits is cancelled, the handler is not at its end yet.
struct Leave {
  void operator()(FuzzExchange* exchange) const {
    if (exchange->handed && !exchange->finished) exchange->scope.cancel();
    if (exchange->handed && !exchange->finished) {
      exchange->forsaken = true;
    } else {
      delete exchange;
    }
  }
};

Task<void> wait_for(async::Event& event) { co_await event.wait(); }

void append_pair(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += '&';
  out += percent_encode(name);
  out += '=';
  out += percent_encode(value);
}

// A list is as many values of one name.
template <class F>
void each_value(const Tree& value, F&& f) {
  if (value.kind != Tree::Kind::list) return f(value);
  for (const Tree& item : value.items) f(item);
}

std::string encode_rest(std::string_view text) {
  std::string out;
  for (;;) {
    const auto slash = text.find('/');
    out += percent_encode(text.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    out += '/';
    text.remove_prefix(slash + 1);
  }
}

// All of it but the closing boundary.
std::string parts_of(const FuzzStep& step) {
  std::string out;
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    const FuzzParameter& parameter = step.operation->parameters[i];
    if (parameter.in != FuzzPlace::form || !step.values[i]) continue;
    each_value(*step.values[i], [&](const Tree& one) {
      out += fmt::format("--{}\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n", kBoundary, parameter.name,
                         parameter.is_file ? "; filename=\"a.bin\"\r\nContent-Type: application/octet-stream" : "");
      out += one.plain();
      out += "\r\n";
    });
  }
  return out;
}

// A word of the shell; bytes that it would not keep are written as $'…' has them.
std::string shell_word(std::string_view text) {
  const bool bytes = !is_utf8(text);
  const auto is_odd = [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F || (bytes && byte >= 0x80);
  };
  const bool plain = std::ranges::none_of(text, is_odd);
  std::string out = plain ? "'" : "$'";
  for (const char c : text) {
    if (c == '\'') {
      out += plain ? "'\\''" : "\\'";
    } else if (is_odd(c)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else if (!plain && c == '\\') {
      out += "\\\\";
    } else {
      out += c;
    }
  }
  return out + "'";
}

const SecurityInfo* first_scheme(const FuzzOperation& operation) {
  for (const auto& one : operation.info.security) {
    if (one.kind != "mutualTLS") return &one;
  }
  return nullptr;
}

void add_wrong_credentials(const FuzzOperation& operation, FuzzRequest& out) {
  const SecurityInfo* const scheme = first_scheme(operation);
  if (scheme == nullptr) return;
  const bool is_key = scheme->kind == "apiKey" && !equals_ignore_case(scheme->detail, "Authorization");
  const bool is_basic = scheme->kind == "http" && scheme->detail == "basic";
  add_fuzz_credentials(*scheme,
                       is_key     ? "not-a-key"
                       : is_basic ? "Basic bm9ib2R5Om5vdGhpbmc="  // nobody:nothing
                                  : scheme->scheme + " not-a-token",
                       {}, out);
}

// Another letter in them, near the end, where what is signed has its signature; the very last may have bits that say
// nothing. False: no header has any.
bool change_credentials(FuzzRequest& out) {
  constexpr std::size_t kFromEnd = 10;
  bool changed = false;
  for (FuzzHeader& one : out.headers) {
    if (one.shown.empty() || one.value.empty()) continue;
    const std::size_t begin = one.value.find_last_of(" =") + 1;
    const std::size_t length = one.value.size() - begin;
    if (length == 0) continue;
    const std::size_t from_end = std::min(length, kFromEnd);
    char& letter = one.value[one.value.size() - from_end];
    letter = letter == 'a' ? 'b' : 'a';
    // "$AUTH2" as a shell changes it.
    const std::size_t name = one.shown.rfind('$');
    if (name == std::string::npos) continue;
    const std::string variable = one.shown.substr(name + 1);
    one.shown.replace(name, std::string::npos,
                      fmt::format("${{{0}::-{1}}}{2}{3}", variable, from_end, letter,
                                  from_end == 1 ? "" : fmt::format("${{{}: -{}}}", variable, from_end - 1)));
    changed = true;
  }
  return changed;
}

std::vector<std::string> cookies_of(std::string_view lines) {
  std::vector<std::string> out;
  while (!lines.empty()) {
    const auto end = std::min(lines.find("\r\n"), lines.size());
    const std::string_view line = lines.substr(0, end), name = line.substr(0, line.find(':'));
    if (equals_ignore_case(name, "Set-Cookie"))
      out.emplace_back(trim(line.substr(std::min(name.size() + 1, line.size()))));
    lines.remove_prefix(std::min(end + 2, lines.size()));
  }
  return out;
}

// Within double quotes.
std::string shell_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\' || c == '`') out += '\\';
    out += c;
  }
  return out;
}

Tree* find_value(FuzzStep& step, const FuzzField& field) {
  if (field.parameter) return step.values[*field.parameter] ? &*step.values[*field.parameter] : nullptr;
  Tree* at = step.body ? &*step.body : nullptr;
  for (const auto& name : field.members) {
    if (at != nullptr) at = at->find(name);
  }
  return at;
}

}  // namespace

std::string FuzzSender::cut_off_form(const FuzzStep& step) { return parts_of(step); }

const Tree* FuzzAnswer::tree() const {
  if (!is_read_) tree_ = schema::parse_tree(body);
  is_read_ = true;
  return tree_ ? &*tree_ : nullptr;
}

bool FuzzSender::bind(FuzzStep& step, const FuzzAnswers& earlier) {
  for (const auto& binding : step.bindings) {
    const Tree* at = earlier[binding.step]->tree();
    for (const std::string& name : binding.members) {
      if (at != nullptr) at = at->find(name);
    }
    if (at == nullptr || (at->kind != Tree::Kind::text && at->kind != Tree::Kind::number)) return false;
    step.values[binding.parameter] = *at;
  }
  return true;
}

void FuzzSender::take_again(FuzzStep& step, const std::vector<FuzzStep>& earlier, bool all) {
  for (const auto& [from, reuse] : step.again) {
    for (const auto& [there, here] : reuse->fields) {
      const Tree* const value = find_value(const_cast<FuzzStep&>(earlier[from]), there);
      if (value == nullptr || value->kind == Tree::Kind::null) continue;
      if (Tree* const place = find_value(step, here)) {
        *place = *value;
      } else if (all && here.parameter) {
        step.values[*here.parameter] = *value;
      }
    }
  }
}

std::optional<std::string> FuzzSender::target(const FuzzStep& step) {
  const FuzzOperation& operation = *step.operation;
  std::string path;
  std::size_t parameter = 0;
  const std::string& pattern = operation.path;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] != '{') {
      path += pattern[at++];
      continue;
    }
    const std::size_t end = pattern.find('}', at);
    const bool rest = std::string_view(pattern).substr(at, end - at).ends_with(":path");
    if (parameter >= step.values.size() || !step.values[parameter]) return std::nullopt;
    const std::string text = step.values[parameter++]->plain();
    if (text.empty() || text == "." || text == "..") return std::nullopt;
    path += rest ? encode_rest(text) : percent_encode(text);
    at = end + 1;
  }
  if (path.empty()) path = "/";
  // A value may be the name of another route: "feed" where there is /articles/feed.
  std::array<std::string_view, kMaxPathParameters> values;
  std::string_view own = std::string_view(path).substr(operation.prefix.size());
  if (own.empty()) own = "/";
  const auto match = operation.core->tree.find(step.method, own, values);
  if (step.method == operation.method ? match.route != operation.route : match.route != nullptr) return std::nullopt;
  std::string query;
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    const FuzzParameter& one = operation.parameters[i];
    if (one.in != FuzzPlace::query || !step.values[i]) continue;
    each_value(*step.values[i], [&](const Tree& value) { append_pair(query, one.name, value.plain()); });
  }
  return query.empty() ? path : path + "?" + query;
}

FuzzRequest FuzzSender::compose(const FuzzStep& step) const {
  const FuzzOperation& operation = *step.operation;
  FuzzRequest out;
  out.target = target(step).value_or("/");
  std::string cookies;
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    const FuzzParameter& one = operation.parameters[i];
    if (!step.values[i]) continue;
    if (one.in == FuzzPlace::header) {
      each_value(*step.values[i], [&](const Tree& value) { out.headers.push_back({one.name, value.plain(), {}}); });
    } else if (one.in == FuzzPlace::cookie) {
      cookies += fmt::format("{}{}={}", cookies.empty() ? "" : "; ", one.name, step.values[i]->plain());
    } else if (one.in == FuzzPlace::form && !operation.has_files) {
      each_value(*step.values[i], [&](const Tree& value) { append_pair(out.body, one.name, value.plain()); });
    }
  }
  if (!cookies.empty()) out.headers.push_back({"Cookie", std::move(cookies), {}});
  const bool given = step.credentials == FuzzCredentials::given || step.credentials == FuzzCredentials::changed;
  if (given && !options_.authorization.empty()) {
    out.headers.push_back({"Authorization", options_.authorization, "$AUTH"});
  } else if (given && accounts_ != nullptr) {
    accounts_->add(step.account, operation, out);
  }
  // Where they are no header there is nothing to change, and they are added to what was given.
  const bool unchanged = step.credentials == FuzzCredentials::changed && !change_credentials(out);
  if (step.credentials == FuzzCredentials::wrong || unchanged) {
    if (unchanged) out.target = target(step).value_or("/");
    add_wrong_credentials(operation, out);
  }
  if (!operation.body || step.method != operation.method) return out;
  std::string type = step.media_type.empty() ? operation.body->media_type : std::string(step.media_type);
  if (step.bytes) {
    out.body = *step.bytes;
  } else if (step.body) {
    step.body->write(out.body);
  } else if (operation.has_form && operation.has_files) {
    out.body = fmt::format("{}--{}--\r\n", parts_of(step), kBoundary);
  } else if (!operation.has_form) {
    return out;
  }
  if (type == "multipart/form-data") type += fmt::format("; boundary={}", kBoundary);
  out.has_body = true;
  out.headers.push_back({"Content-Type", std::move(type), {}});
  return out;
}

Task<void> FuzzSender::send(const FuzzStep& step, FuzzAnswer& answer) {
  const std::unique_ptr<FuzzExchange, Leave> exchange(new FuzzExchange);
  const FuzzRequest& sent = exchange->sent = compose(step);
  auto& request = exchange->request;
  request.method = step.method;
  request.method_text = http::to_string(step.method);
  request.target = sent.target;
  const auto question = std::min(sent.target.find('?'), sent.target.size());
  request.path = request.target.substr(0, question);
  request.query = request.target.substr(std::min(question + 1, sent.target.size()));
  request.authority = step.operation->host.empty() ? std::string_view("localhost") : step.operation->host;
  for (const auto& one : sent.headers) request.add_header(one.name, one.value);
  exchange->context.scope = &exchange->scope;
  exchange->started = async::Clock::now();
  if (sent.has_body) {
    const http::BodyPlan plan = app_.handler().plan_body(request, http::ServerOptions{}.max_body);
    if (plan.stream) {
      exchange->whole.hold(sent.body, plan.limit);
      exchange->body = &exchange->whole;
    } else {
      request.body = sent.body;
    }
  }
  exchange->handed = true;
  app_.handler().handle(*exchange);
  answer = {};
  if (!exchange->finished) {
    try {
      co_await async::timeout(options_.patience, wait_for(exchange->done));
    } catch (const DeadlineExceeded&) {
      exchange->scope.cancel();
    }
    if (!exchange->finished) {
      try {
        co_await async::timeout(options_.grace, wait_for(exchange->done));
      } catch (const DeadlineExceeded&) {
        throw Unavailable(fmt::format("{} gives no answer, and does not end when it is cancelled either:\n{}",
                                      step.operation->name, curl(step)));
      }
      exchange->response.clear();
      co_return;
    }
  }
  answer.came = true;
  auto& response = exchange->response;
  answer.status = response.status;
  answer.content_type = response.content_type;
  if (const auto allow = response.find_header("Allow")) answer.allow = *allow;
  if (!step.operation->grants.empty()) answer.cookies = cookies_of(response.header_lines());
  answer.streams = response.streaming() || response.file_body() != nullptr;
  if (!answer.streams && response.status != 204 && response.status != 304) answer.body = response.body_bytes();
  // As a client that leaves when it has seen the head.
  exchange->scope.cancel();
  response.clear();
}

std::string FuzzSender::curl(const FuzzStep& step) const {
  const FuzzRequest sent = compose(step);
  std::string out = "curl -i";
  if (step.method != http::Method::get || sent.has_body) out += fmt::format(" -X {}", http::to_string(step.method));
  const std::string host = step.operation->host.empty() ? "127.0.0.1:8000" : step.operation->host;
  out += fmt::format(" {}", shell_word(fmt::format("http://{}{}", host, sent.target)));
  for (const auto& one : sent.headers) {
    out += one.shown.empty() ? fmt::format(" -H {}", shell_word(fmt::format("{}: {}", one.name, one.value)))
                             : fmt::format(" -H \"{}: {}\"", one.name, shell_text(one.shown));
  }
  if (sent.has_body) out += fmt::format(" --data-binary {}", shell_word(sent.body));
  return out;
}

}  // namespace ashlar::detail
