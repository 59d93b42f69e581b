#include <ashlar/app/versions.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/versions.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/http/date.hpp>
#include <ashlar/http/response.hpp>

namespace ashlar::detail {
namespace {

constexpr std::string_view kPlace = "{version}";

bool is_name(std::string_view name) noexcept {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || c == '.' || c == '-' || c == '_';
  });
}

// Cuts off what comes before a separator that is in no quotes.
std::string_view cut(std::string_view& rest, char separator) noexcept {
  bool quoted = false;
  std::size_t at = 0;
  for (; at < rest.size() && (quoted || rest[at] != separator); ++at) {
    if (rest[at] == '"') quoted = !quoted;
    if (quoted && rest[at] == '\\' && at + 1 < rest.size()) ++at;
  }
  const std::string_view first = rest.substr(0, at);
  rest.remove_prefix(std::min(at + 1, rest.size()));
  return trim(first);
}

// The value of a parameter behind a media type; no data: it has none.
std::string_view parameter(std::string_view range, std::string_view name) noexcept {
  static_cast<void>(cut(range, ';'));
  while (!range.empty()) {
    const std::string_view one = cut(range, ';');
    const auto equals = one.find('=');
    if (equals == std::string_view::npos || !equals_ignore_case(trim(one.substr(0, equals)), name)) continue;
    std::string_view value = trim(one.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return value;
  }
  return {};
}

// What is malformed is not wanted.
int weight_of(std::string_view range) noexcept {
  const std::string_view text = parameter(range, "q");
  return text.data() == nullptr ? 1000 : http::parse_weight(text).value_or(0);
}

class VersionHeaders final : public Middleware {
 public:
  explicit VersionHeaders(std::string lines) : lines_(std::move(lines)) {}
  void after(http::Exchange& exchange) noexcept override {
    try {
      exchange.response.append_header_lines(lines_);
    } catch (...) {  // NOLINT: out of memory; the answer is right without
    }
  }

 private:
  const std::string lines_;
};

}  // namespace

std::shared_ptr<Middleware> headers_of_version(const VersionOptions& options, const ApiVersion& version) {
  std::string lines;
  std::string vary;
  if (!options.header.empty()) {
    lines += fmt::format("{}: {}\r\n", options.header, version.name);
    vary = options.header;
  }
  if (!options.media_type.empty()) vary += vary.empty() ? "Accept" : ", Accept";
  if (!vary.empty()) lines += fmt::format("Vary: {}\r\n", vary);
  if (version.deprecated) lines += fmt::format("Deprecation: @{}\r\n", version.deprecated->time_since_epoch().count());
  if (version.sunset) {
    lines +=
        fmt::format("Sunset: {}\r\n", http::format_http_date(std::chrono::system_clock::to_time_t(*version.sunset)));
  }
  return std::make_shared<VersionHeaders>(std::move(lines));
}

Versions::Versions(VersionOptions options, std::vector<ApiVersion> versions)
    : options_(std::move(options)), versions_(std::move(versions)) {
  if (versions_.empty()) throw Invalid("an API with versions has at least one");
  for (const ApiVersion& one : versions_) {
    if (!is_name(one.name)) {
      throw Invalid(fmt::format("'{}' is no name of a version: letters, digits, '.', '-' and '_'", one.name));
    }
    if (find(one.name) != &one) throw Invalid(fmt::format("there are two versions '{}'", one.name));
    const auto same = std::ranges::find(versions_, &one.app, [](const ApiVersion& other) { return &other.app; });
    if (&*same != &one) {
      throw Invalid(fmt::format("the versions '{}' and '{}' are one application", same->name, one.name));
    }
  }
  if (!options_.path.empty() &&
      (options_.path.front() != '/' || options_.path.find_first_of("{}?#%") != std::string::npos)) {
    throw Invalid(fmt::format("the path of versions is plain and starts with '/': '{}'", options_.path));
  }
  if (!options_.header.empty()) {
    try {
      http::Response().header(options_.header, {});
    } catch (const Error& error) {
      throw Invalid(fmt::format("the header of versions cannot be '{}': {}", options_.header, error.message()));
    }
  }
  if (!options_.media_type.empty()) {
    const auto place = options_.media_type.find(kPlace);
    media_begin_ = options_.media_type.substr(0, place);
    if (place != std::string::npos) media_end_ = options_.media_type.substr(place + kPlace.size());
    if (options_.media_type.find('/') == std::string::npos ||
        options_.media_type.find_first_of(" ;,\"") != std::string::npos) {
      throw Invalid(fmt::format("the media type of versions is one without parameters: '{}'", options_.media_type));
    }
  }
  if (!options_.fallback.empty()) {
    fallback_ = find(options_.fallback);
    if (fallback_ == nullptr) {
      throw Invalid(fmt::format("the version of who names none is '{}', which there is not", options_.fallback));
    }
  }
}

const ApiVersion* Versions::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(versions_, name, &ApiVersion::name);
  return found == versions_.end() ? nullptr : &*found;
}

std::string_view Versions::version_of(std::string_view range) const noexcept {
  std::string_view rest = range;
  const std::string_view type = cut(rest, ';');
  if (media_end_.empty() && media_begin_.size() == options_.media_type.size()) {
    return equals_ignore_case(type, media_begin_) ? parameter(range, "version") : std::string_view();
  }
  const std::size_t around = media_begin_.size() + media_end_.size();
  if (type.size() <= around || !equals_ignore_case(type.substr(0, media_begin_.size()), media_begin_) ||
      !equals_ignore_case(type.substr(type.size() - media_end_.size()), media_end_)) {
    return {};
  }
  return type.substr(media_begin_.size(), type.size() - around);
}

App* Versions::choose(const http::Request& request) const noexcept {
  if (!options_.header.empty()) {
    if (const auto named = request.header(options_.header)) {
      const ApiVersion* const found = find(*named);
      return found != nullptr ? &found->app : nullptr;
    }
  }
  if (!options_.media_type.empty()) {
    const ApiVersion* best = nullptr;
    int best_weight = 0;
    bool unknown = false;  // a version is asked for that there is not
    bool others = false;   // and so is what has no version
    std::string_view rest = request.header(http::KnownHeader::accept).value_or(std::string_view());
    while (!rest.empty()) {
      const std::string_view range = cut(rest, ',');
      const int weight = weight_of(range);
      if (range.empty() || weight == 0) continue;
      const std::string_view name = version_of(range);
      if (name.data() == nullptr) {
        others = true;
      } else if (const ApiVersion* const found = find(name); found == nullptr) {
        unknown = true;
      } else if (weight > best_weight) {
        best = found;
        best_weight = weight;
      }
    }
    if (best != nullptr) return &best->app;
    if (unknown && !others) return nullptr;
  }
  return fallback_ != nullptr ? &fallback_->app : nullptr;
}

Problem Versions::refusal(const http::Request& request) const {
  std::string known;
  for (const ApiVersion& one : versions_) known += (known.empty() ? "" : ", ") + one.name;
  Problem problem;
  problem.status = 400;
  if (const auto named = options_.header.empty() ? std::nullopt : request.header(options_.header)) {
    problem.detail = fmt::format("there is no version '{}' of this API; there are: {}", *named, known);
  } else if (fallback_ != nullptr) {
    problem.status = 406;
    problem.detail = fmt::format("there is no version of this API that Accept allows; there are: {}", known);
  } else {
    std::string how;
    if (!options_.path.empty()) how = fmt::format("a path that begins with {}{}", options_.path, versions_.back().name);
    if (!options_.header.empty()) how += fmt::format("{}the header {}", how.empty() ? "" : ", or ", options_.header);
    if (!options_.media_type.empty()) {
      how += fmt::format("{}Accept: {}", how.empty() ? "" : ", or ", options_.media_type);
    }
    problem.detail = fmt::format("say which version of this API you want, by {}; there are: {}", how, known);
  }
  return problem;
}

}  // namespace ashlar::detail

namespace ashlar {

App& App::versions(VersionOptions options, std::vector<ApiVersion> versions) {
  if (core_->versions != nullptr) throw Invalid("an application has versions once");
  for (const ApiVersion& one : versions) {
    if (&one.app == this)
      throw Invalid(fmt::format("version '{}' is the application that it is a version of", one.name));
  }
  core_->versions = std::make_unique<const detail::Versions>(std::move(options), std::move(versions));
  const VersionOptions& kept = core_->versions->options();
  for (const ApiVersion& one : core_->versions->all()) {
    if (!kept.path.empty()) mount(kept.path + one.name, one.app);
    one.app.add_middleware(detail::headers_of_version(kept, one));
    one.app.core_->version_header = kept.header;
  }
  return *this;
}

}  // namespace ashlar
