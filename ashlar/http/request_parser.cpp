#include <ashlar/http/request_parser.hpp>

#include <algorithm>
#include <array>
#include <cstring>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/fields.hpp>
#include <ashlar/http/detail/framing.hpp>

namespace ashlar::http {
namespace {

// Walks the head once, front to back. Each step returns false when it has set the result (refused or incomplete).
class HeadParser {
 public:
  HeadParser(std::string_view bytes, const HeadLimits& limits, Request& request) noexcept
      : start_(bytes.data()),
        at_(bytes.data()),
        end_(bytes.data() + std::min(bytes.size(), limits.max_head)),
        cut_(bytes.size() > limits.max_head),
        limits_(limits),
        request_(request) {}

  HeadResult run() noexcept {
    request_.clear();
    if (skip_empty_line() && request_line() && fields() && check_host() && framing()) {
      result_.state = HeadResult::State::complete;
      result_.head_size = static_cast<std::size_t>(at_ - start_);
    }
    return result_;
  }

 private:
  bool refuse(int status, std::string_view detail, std::string_view section) noexcept {
    result_.state = HeadResult::State::refused;
    result_.refusal = {status, detail, section};
    return false;
  }

  // The bytes end here: wait for more, unless the head is already at its limit.
  bool need_more() noexcept {
    if (cut_ || static_cast<std::size_t>(end_ - start_) == limits_.max_head) {
      return refuse(431, "The request head is larger than this server allows.", "RFC 6585 §5");
    }
    result_.state = HeadResult::State::incomplete;
    return false;
  }

  // One empty line before the request line is ignored: old clients send it after a body (RFC 9112 §2.2).
  bool skip_empty_line() noexcept {
    if (at_ == end_) return need_more();
    if (*at_ != '\r') return true;
    if (end_ - at_ < 2) return need_more();
    if (at_[1] != '\n') return refuse(400, "A CR without a LF is not allowed.", "RFC 9112 §2.2");
    at_ += 2;
    return at_ != end_ || need_more();
  }

  bool request_line() noexcept {
    const char* const method = at_;
    at_ = detail::skip(at_, end_, detail::kToken);
    if (at_ == end_) return need_more();
    if (at_ == method || *at_ != ' ') return refuse(400, "The request method is malformed.", "RFC 9112 §3.1");
    request_.method_text = {method, at_};
    request_.method = parse_method(request_.method_text);
    ++at_;

    const char* const target = at_;
    const char* const target_end = target + std::min<std::size_t>(limits_.max_target, end_ - target);
    at_ = detail::line_scan().target(target, start_, target_end);
    if (at_ == end_) {
      if (static_cast<std::size_t>(at_ - target) >= limits_.max_target) return target_too_long();
      return need_more();
    }
    if (at_ == target_end && *at_ != ' ') return target_too_long();
    if (at_ == target || *at_ != ' ') return refuse(400, "The request target is malformed.", "RFC 9112 §3.2");
    request_.target = {target, at_};
    ++at_;
    return version() && split_target();
  }

  bool target_too_long() noexcept {
    return refuse(414, "The request target is longer than this server allows.", "RFC 9112 §3");
  }

  bool version() noexcept {
    constexpr std::string_view kUsual = "HTTP/1.1\r\n";
    if (end_ - at_ >= 10 && std::memcmp(at_, kUsual.data(), kUsual.size()) == 0) [[likely]] {
      at_ += kUsual.size();
      return true;  // version and keep_alive are as clear() left them
    }
    constexpr std::string_view kName = "HTTP/";
    const std::size_t there = std::min<std::size_t>(end_ - at_, kName.size());
    if (std::memcmp(at_, kName.data(), there) != 0) {
      return refuse(400, "The HTTP version is malformed.", "RFC 9112 §2.3");
    }
    if (end_ - at_ < 10) return need_more();
    const char major = at_[5];
    const char minor = at_[7];
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!digit(major) || at_[6] != '.' || !digit(minor)) {
      return refuse(400, "The HTTP version is malformed.", "RFC 9112 §2.3");
    }
    if (at_[8] != '\r' || at_[9] != '\n') {
      return refuse(400, "The request line must end with CR LF after the version.", "RFC 9112 §3");
    }
    if (major != '1') return refuse(505, "This server speaks HTTP/1.1 and HTTP/1.0 here.", "RFC 9110 §15.6.6");
    // A higher minor version is served as the highest we know (RFC 9110 §2.5).
    request_.version = minor == '0' ? Version::http10 : Version::http11;
    request_.keep_alive = minor != '0';
    at_ += 10;
    return true;
  }

  bool split_target() noexcept {
    std::string_view rest = request_.target;
    if (request_.method == Method::connect) return refuse(501, "CONNECT is not supported.", "RFC 9110 §9.3.6");
    if (rest[0] == '*') {
      if (rest.size() != 1 || request_.method != Method::options) {
        return refuse(400, "Only OPTIONS may have the target *.", "RFC 9112 §3.2.4");
      }
      request_.path = rest;
      return true;
    }
    if (rest[0] != '/' && !absolute_form(rest)) return false;
    if (const std::size_t question = rest.find('?'); question != std::string_view::npos) {
      request_.query = rest.substr(question + 1);
      rest = rest.substr(0, question);
    }
    // An absolute form without a path has the path "/" (RFC 9110 §4.2.3). The slash before its host is one, and moves
    // with the bytes as every other view does.
    request_.path = rest.empty() ? std::string_view(request_.authority.data() - 1, 1) : rest;
    return true;
  }

  // Leaves the part from the path on in `rest`.
  bool absolute_form(std::string_view& rest) noexcept {
    std::size_t scheme = 0;
    if (rest.size() > 7 && equal_ignoring_case(rest.substr(0, 7), "http://")) scheme = 7;
    if (rest.size() > 8 && equal_ignoring_case(rest.substr(0, 8), "https://")) scheme = 8;
    if (scheme == 0) {
      return refuse(400, "The request target must be a path or an http URL.", "RFC 9112 §3.2.2");
    }
    rest.remove_prefix(scheme);
    const std::size_t size = std::min(rest.find_first_of("/?"), rest.size());
    const std::string_view authority = rest.substr(0, size);
    if (!detail::valid_host(authority)) {
      return refuse(400, "The host in the request target is malformed.", "RFC 9110 §4.2.1");
    }
    request_.authority = authority;
    rest.remove_prefix(size);
    return true;
  }

  bool fields() noexcept {
    union Lines {  // left uninitialised: the scan fills it
      Lines() noexcept {}
      std::array<Header, 16> filled;
    } lines;
    const auto take = [this](const Header& line, KnownHeader known) {
      if (request_.headers().size() >= limits_.max_headers) [[unlikely]] {
        return refuse(431, "The request has more headers than this server allows.", "RFC 6585 §5");
      }
      return note(line.name, line.value, known);
    };
    switch (detail::read_fields(at_, start_, end_, result_.refusal, lines.filled, take)) {
      case detail::FieldsStep::end:
        return true;
      case detail::FieldsStep::more:
        return need_more();
      case detail::FieldsStep::refused:
        break;
    }
    result_.state = HeadResult::State::refused;
    return false;
  }

  bool note(std::string_view name, std::string_view value, KnownHeader known) noexcept {
    const bool again = known != KnownHeader::other && request_.has(known);
    request_.add_header(name, value, known);
    switch (known) {
      case KnownHeader::host:
        if (again) return refuse(400, "The request has more than one Host header.", "RFC 9112 §3.2");
        if (!detail::valid_host(value)) return refuse(400, "The Host header is malformed.", "RFC 9112 §3.2");
        if (request_.authority.data() == nullptr) request_.authority = value;
        return true;
      case KnownHeader::content_length:
        if (again) return refuse(400, "The request has more than one Content-Length.", "RFC 9112 §6.3");
        if (const Refusal refusal = detail::parse_length(value, result_.content_length); !refusal.detail.empty()) {
          return refuse(refusal.status, refusal.detail, refusal.section);
        }
        result_.body_kind = BodyKind::length;
        return true;
      case KnownHeader::transfer_encoding:
        codings_.add(value);
        return true;
      case KnownHeader::connection:
        connection(value);
        return true;
      case KnownHeader::expect:
        // 417 for an expectation that is not known (RFC 9110 §10.1.1).
        if (!equal_ignoring_case(value, "100-continue")) {
          return refuse(417, "The only expectation supported is 100-continue.", "RFC 9110 §10.1.1");
        }
        request_.expects_continue = request_.version == Version::http11;
        return true;
      default:
        return true;
    }
  }

  void connection(std::string_view value) noexcept {
    if (value == "keep-alive") {  // what browsers send
      asks_to_keep_ = true;
      return;
    }
    detail::for_each_element(value, [&](std::string_view token) {
      if (equal_ignoring_case(token, "close")) close_ = true;
      if (equal_ignoring_case(token, "keep-alive")) asks_to_keep_ = true;
      if (equal_ignoring_case(token, "upgrade")) request_.upgrade = true;
    });
  }

  bool check_host() noexcept {
    if (!request_.has(KnownHeader::host) && request_.version == Version::http11) {
      return refuse(400, "The request has no Host header.", "RFC 9112 §3.2");
    }
    return true;
  }

  bool framing() noexcept {
    request_.keep_alive = !close_ && (request_.keep_alive || asks_to_keep_);
    // An Upgrade in HTTP/1.0 is ignored (RFC 9110 §7.8).
    request_.upgrade = request_.upgrade && request_.has(KnownHeader::upgrade) && request_.version == Version::http11;
    if (!request_.has(KnownHeader::transfer_encoding)) return true;
    if (request_.version == Version::http10) {
      return refuse(400, "Transfer-Encoding is not allowed in HTTP/1.0.", "RFC 9112 §6.1");
    }
    if (request_.has(KnownHeader::content_length)) {
      return refuse(400, "Content-Length and Transfer-Encoding exclude each other.", "RFC 9112 §6.1");
    }
    if (const Refusal refusal = codings_.check(); !refusal.detail.empty()) {
      return refuse(refusal.status, refusal.detail, refusal.section);
    }
    result_.body_kind = BodyKind::chunked;
    return true;
  }

  const char* const start_;
  const char* at_;
  const char* const end_;
  const bool cut_;
  const HeadLimits& limits_;
  Request& request_;
  HeadResult result_;
  detail::TransferCodings codings_;
  bool close_ = false;
  bool asks_to_keep_ = false;
};

}  // namespace

HeadResult parse_request_head(std::string_view bytes, const HeadLimits& limits, Request& request) noexcept {
  return HeadParser(bytes, limits, request).run();
}

bool HeadScanner::worth_parsing(std::string_view bytes) noexcept {
  // An end seen so far may have been cut within its CR LF CR LF: look at the last three bytes again.
  std::size_t at = seen_ > 3 ? seen_ - 3 : 0;
  seen_ = bytes.size();
  while (true) {
    const std::size_t lf = bytes.find('\n', at);
    if (lf == std::string_view::npos) return false;
    if (lf == 0 || bytes[lf - 1] != '\r') return true;
    if (lf >= 3 && bytes[lf - 2] == '\n') return true;
    at = lf + 1;
  }
}

}  // namespace ashlar::http
