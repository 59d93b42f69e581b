#include <ashlar/app/body_log.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/path_list.hpp>
#include <ashlar/app/detail/secret_names.hpp>
#include <ashlar/async/context.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/schema/mask.hpp>

namespace ashlar {
namespace {

const log::Logger logger{"http.body"};

constexpr std::size_t kMostHeaders = 64;
constexpr std::size_t kMostOfHeader = 256;  // bytes of its value

// "application/problem+json; charset=utf-8" → "application/problem+json", in lower case.
std::string media_type_of(std::string_view content_type) {
  return to_lower_ascii(trim(content_type.substr(0, content_type.find(';'))));
}

// What a body is shown as: its text, or why there is none.
struct Body {
  std::optional<std::string> content;
  std::string_view omitted = {};
};

Body show(std::string_view bytes, std::string_view content_type, bool encoded, const detail::SecretNames& secret,
          std::size_t most) {
  if (encoded) return {{}, "compressed"};
  const std::string type = media_type_of(content_type);
  if (type == "application/json" || type.ends_with("+json")) {
    auto text = schema::mask_json(bytes, secret, most);
    if (text) return {std::move(text)};
    return {{}, "no JSON"};
  }
  if (type == "application/x-www-form-urlencoded") return {schema::mask_form(bytes, secret, most)};
  return {{}, "neither JSON nor a form"};
}

// Fields whose keys and values were made here.
class Fields {
 public:
  void add(std::string_view key, log::Value value) { fields_.push_back({key, value}); }
  void add_text(std::string_view key, std::string text) { add(key, keep(std::move(text))); }
  void add_body(std::string_view side, std::size_t size, Body body) {
    add(keep(fmt::format("http.{}.body.bytes", side)), size);
    if (body.content) {
      add_text(keep(fmt::format("http.{}.body.content", side)), std::move(*body.content));
    } else {
      add(keep(fmt::format("http.{}.body.omitted", side)), body.omitted);
    }
  }
  void add_header(std::string_view side, std::string_view name, std::string_view value,
                  const detail::SecretNames& secret) {
    if (headers_++ >= kMostHeaders) return;
    const std::string_view key = keep(fmt::format("http.{}.header.{}", side, to_lower_ascii(name)));
    if (secret.contains(name)) return add(key, log::Value::redacted());
    if (value.size() <= kMostOfHeader) return add(key, value);
    add_text(key, fmt::format("{}…", value.substr(0, kMostOfHeader)));
  }
  [[nodiscard]] log::Fields view() const noexcept { return {std::span<const log::Field>(fields_)}; }

 private:
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  std::vector<log::Field> fields_;
  std::deque<std::string> kept_;
  std::size_t headers_ = 0;
};

}  // namespace

struct BodyLog::State {
  BodyLogOptions options;
  std::once_flag collected;
  detail::SecretNames secret;

  // What the routes say is secret. Once, as the first line is written: their types are known then.
  void collect(const detail::Core* core) {
    for (const std::string& name : options.mask) secret.add(name);
    if (core == nullptr) return;  // not App::use()d: by hand, in a test
    for (const auto& route : core->routes) {
      const OperationInfo info = detail::operation_of(*route);
      for (const auto& parameter : info.parameters) {
        if (parameter.type != nullptr && parameter.type->kind == schema::Kind::secret) secret.add(parameter.name);
      }
      for (const auto& one : info.security) {
        if (one.kind == "apiKey") secret.add(one.detail);
      }
      for (const auto& model : info.parameter_models) secret.add_secrets_of(*model.type);
      if (info.body && info.body->type != nullptr) secret.add_secrets_of(*info.body->type);
      for (const auto& response : info.responses) {
        if (response.type != nullptr) secret.add_secrets_of(*response.type);
      }
    }
  }
};

BodyLog::BodyLog(BodyLogOptions options) : state_(std::make_shared<State>()) {
  for (const auto* paths : {&options.paths, &options.except}) {
    for (const std::string& path : *paths) {
      if (!path.starts_with('/')) throw Invalid(fmt::format("'{}' is no path to log bodies of", path));
    }
  }
  if (options.sample_one_in == 0) throw Invalid("a sample of bodies is one in 1 at most");
  state_->options = std::move(options);
}

void BodyLog::after(http::Exchange& exchange) noexcept {
  const BodyLogOptions& options = state_->options;
  if (!logger.enabled(options.level)) return;
  if (exchange.response.status < options.from_status) return;
  const std::string_view path = exchange.request.path;
  if (detail::is_among(options.except, path) || (!options.paths.empty() && !detail::is_among(options.paths, path)))
    return;
  if (options.sample_one_in > 1) {
    thread_local std::uint32_t count = 0;
    if (count++ % options.sample_one_in != 0) return;
  }
  try {
    write(exchange);
  } catch (const std::exception& error) {  // out of memory
    logger.warn("a body could not be logged", {{"error", error}});
  }
}

void BodyLog::write(const http::Exchange& exchange) const {
  State& state = *state_;
  std::call_once(state.collected, [&] { state.collect(core()); });
  const auto& request = exchange.request;
  const auto& response = exchange.response;
  const std::size_t most = state.options.max_bytes;

  Fields fields;
  const std::string_view route = exchange.context.route != nullptr ? exchange.context.route : "";
  const std::string_view pattern = route.substr(std::min(route.find('/'), route.size()));
  fields.add("http.request.method", request.method_text);
  fields.add_text("url.path", detail::mask_path(request.path, pattern, state.secret));
  if (!request.query.empty()) fields.add_text("url.query", schema::mask_form(request.query, state.secret, most));
  if (state.options.headers) {
    request.for_each_header([&](std::string_view name, std::string_view value) {
      fields.add_header("request", name, value, state.secret);
    });
  }
  if (exchange.body != nullptr) {
    fields.add("http.request.body.omitted", "a stream");
  } else if (!request.body.empty()) {
    fields.add_body("request", request.body.size(),
                    show(request.body, request.header(http::KnownHeader::content_type).value_or(""),
                         request.header("content-encoding").has_value(), state.secret, most));
  }

  fields.add("http.response.status_code", response.status);
  if (state.options.headers) {
    for (std::string_view lines = response.header_lines(); !lines.empty();) {
      const std::string_view line = lines.substr(0, lines.find("\r\n"));
      lines.remove_prefix(std::min(line.size() + 2, lines.size()));
      const std::size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      fields.add_header("response", line.substr(0, colon), trim(line.substr(colon + 1)), state.secret);
    }
  }
  if (response.streaming()) {
    fields.add("http.response.body.omitted", "a stream");
  } else if (response.file_body() != nullptr) {
    fields.add("http.response.body.omitted", "a file");
  } else if (!response.body_bytes().empty()) {
    fields.add_body("response", response.body_bytes().size(),
                    show(response.body_bytes(), response.content_type,
                         response.find_header("Content-Encoding").has_value(), state.secret, most));
  }
  fields.add("took", async::Clock::now() - exchange.started);
  logger.write(state.options.level, "request and answer", fields.view());
}

}  // namespace ashlar
