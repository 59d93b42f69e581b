// E-mail addresses.
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace ashlar {

/// An address that mail can be sent to: `local@domain` with a dot in the domain (RFC 5321 and 6531; no quoted local
/// parts, no address literals, no display names). The domain is lower case, the local part stays as written.
class Email {
 public:
  Email() = default;

  [[nodiscard]] static std::optional<Email> parse(std::string_view text);
  [[nodiscard]] const std::string& to_string() const noexcept { return text_; }
  [[nodiscard]] std::string_view local() const noexcept { return std::string_view(text_).substr(0, text_.rfind('@')); }
  [[nodiscard]] std::string_view domain() const noexcept {
    return std::string_view(text_).substr(text_.empty() ? 0 : text_.rfind('@') + 1);
  }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }

  friend bool operator==(const Email&, const Email&) = default;
  friend auto operator<=>(const Email& a, const Email& b) noexcept { return a.text_ <=> b.text_; }

 private:
  std::string text_;
};

}  // namespace ashlar
