// Absolute URLs with an authority (RFC 3986): links, endpoints, redirect targets.
#pragma once

#include <compare>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// A checked URL. Scheme and host are lower case, http(s) without a path has the path `/`, everything else stays as
/// written. Host names beyond ASCII must come as punycode. The views live as long as the Url.
class Url {
 public:
  Url() = default;

  [[nodiscard]] static std::optional<Url> parse(std::string_view text);
  /// The value, or why the text is none, in the words of a validation error.
  [[nodiscard]] static std::expected<Url, std::string_view> parse_or_reason(std::string_view text);
  [[nodiscard]] const std::string& to_string() const noexcept { return text_; }

  [[nodiscard]] std::string_view scheme() const noexcept { return part(0, scheme_end_); }
  /// `user:password`, still percent-encoded; empty when there is none.
  [[nodiscard]] std::string_view userinfo() const noexcept { return part(scheme_end_ + 3, userinfo_end_); }
  /// Without the brackets of an IPv6 address.
  [[nodiscard]] std::string_view host() const noexcept;
  /// As written; else the default of http, https, ws, wss; else 0.
  [[nodiscard]] std::uint16_t port() const noexcept;
  [[nodiscard]] std::string_view path() const noexcept { return part(authority_end_, path_end_); }
  /// Without the `?`.
  [[nodiscard]] std::string_view query() const noexcept;
  /// Without the `#`.
  [[nodiscard]] std::string_view fragment() const noexcept;
  /// Path and query as they stand in a request line.
  [[nodiscard]] std::string_view target() const noexcept { return part(authority_end_, query_end_); }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  friend bool operator==(const Url& a, const Url& b) noexcept { return a.text_ == b.text_; }
  friend auto operator<=>(const Url& a, const Url& b) noexcept { return a.text_ <=> b.text_; }

 private:
  [[nodiscard]] std::string_view part(std::uint32_t begin, std::uint32_t end) const noexcept {
    return begin >= end ? std::string_view{} : std::string_view(text_).substr(begin, end - begin);
  }

  std::string text_;
  std::uint32_t scheme_end_ = 0, userinfo_end_ = 0, host_begin_ = 0, host_end_ = 0, authority_end_ = 0, path_end_ = 0,
                query_end_ = 0;
  std::uint16_t port_ = 0;
};

}  // namespace ashlar
