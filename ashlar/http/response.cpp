#include <ashlar/http/response.hpp>

#include <fmt/core.h>

#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

constexpr std::size_t kKeptBody = 64 * 1024;
constexpr std::size_t kKeptHeaders = 4 * 1024;

// Calls f(begin, end, name) for each line until it returns true; gives whether one did.
template <class F>
bool any_line(std::string_view lines, F&& f) {
  for (std::size_t begin = 0; begin < lines.size();) {
    const std::size_t end = lines.find("\r\n", begin) + 2;
    const std::string_view line = lines.substr(begin, end - begin);
    if (f(begin, end, line.substr(0, line.find(':')))) return true;
    begin = end;
  }
  return false;
}

}  // namespace

Response::Response() noexcept = default;
Response::~Response() = default;

void Response::header(std::string_view name, std::string_view value) {
  if (name.empty() || !detail::all(name, detail::kToken)) {
    throw Internal(fmt::format("response header: '{}' is not a header name", name));
  }
  const char* const end = value.data() + value.size();
  if (!value.empty() && detail::skip_field_chars(value.data(), end) != end) {
    throw Internal(fmt::format("response header {}: its value has a control character", name));
  }
  switch (find_known_header(name)) {
    case KnownHeader::content_length:
    case KnownHeader::transfer_encoding:
    case KnownHeader::connection:
    case KnownHeader::date:
      throw Internal(fmt::format("response header {}: the server writes this one itself", name));
    case KnownHeader::content_type:
      content_type = {};
      break;
    default:
      break;
  }
  headers_.reserve(headers_.size() + name.size() + value.size() + 4);
  headers_.append(name).append(": ").append(value).append("\r\n");
}

void Response::replace_header(std::string_view name, std::string_view value) {
  remove_header(name);
  header(name, value);
}

void Response::remove_header(std::string_view name) noexcept {
  const auto erase_one = [&](std::size_t begin, std::size_t end, std::string_view candidate) {
    if (!equal_ignoring_case(candidate, name)) return false;
    headers_.erase(begin, end - begin);
    return true;
  };
  while (any_line(headers_, erase_one)) {
  }
}

std::optional<std::string_view> Response::find_header(std::string_view name) const noexcept {
  std::optional<std::string_view> value;
  any_line(headers_, [&](std::size_t begin, std::size_t end, std::string_view candidate) {
    if (!equal_ignoring_case(candidate, name)) return false;
    const std::size_t at = begin + candidate.size() + 1;
    value = detail::trim(std::string_view(headers_).substr(at, end - 2 - at));
    return true;
  });
  return value;
}

void Response::stream(Generator<std::string> generator, std::optional<std::uint64_t> length) {
  stream(std::move(generator), StreamOptions{.length = length});
}

void Response::stream(Generator<std::string> generator, StreamOptions options) {
  remove_body();
  stream_ = std::move(generator);
  stream_options_ = options;
}

Generator<std::string> Response::take_stream() {
  Generator<std::string> taken = std::move(*stream_);
  stream_.reset();
  return taken;
}

void Response::file(FileBody file) {
  remove_body();
  file_ = std::make_unique<FileBody>(std::move(file));
}

FileBody Response::take_file() {
  FileBody taken = std::move(*file_);
  file_.reset();
  return taken;
}

void Response::stream_file() {
  const FileBody taken = take_file();
  stream(taken.pieces(), taken.length());
}

void Response::remove_body() noexcept {
  body.clear();
  static_body_ = {};
  has_static_body_ = false;
  stream_.reset();
  stream_options_ = {};
  file_.reset();
  body_owner_.reset();
}

void Response::clear() noexcept {
  status = 200;
  content_type = {};
  close_connection = false;
  body.clear();
  headers_.clear();
  static_body_ = {};
  has_static_body_ = false;
  if (stream_ || file_ || body_owner_) [[unlikely]]
    remove_body();
  stream_options_ = {};
  if (body.capacity() > kKeptBody) [[unlikely]]
    body.shrink_to_fit();
  if (headers_.capacity() > kKeptHeaders) [[unlikely]]
    headers_.shrink_to_fit();
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 103:
      return "Early Hints";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 203:
      return "Non-Authoritative Information";
    case 204:
      return "No Content";
    case 205:
      return "Reset Content";
    case 206:
      return "Partial Content";
    case 207:
      return "Multi-Status";
    case 208:
      return "Already Reported";
    case 226:
      return "IM Used";
    case 300:
      return "Multiple Choices";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 402:
      return "Payment Required";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 407:
      return "Proxy Authentication Required";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 423:
      return "Locked";
    case 424:
      return "Failed Dependency";
    case 425:
      return "Too Early";
    case 426:
      return "Upgrade Required";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 451:
      return "Unavailable For Legal Reasons";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    case 506:
      return "Variant Also Negotiates";
    case 507:
      return "Insufficient Storage";
    case 508:
      return "Loop Detected";
    case 511:
      return "Network Authentication Required";
    default:
      return "Unknown";
  }
}

}  // namespace ashlar::http
