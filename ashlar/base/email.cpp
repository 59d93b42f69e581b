#include <ashlar/base/email.hpp>

#include <ashlar/base/text.hpp>

namespace ashlar {
namespace {

bool is_local(std::string_view local) {
  constexpr std::string_view kSpecials = "!#$%&'*+-/=?^_`{|}~.";
  if (local.empty() || local.size() > 64 || local.front() == '.' || local.back() == '.') return false;
  if (local.find("..") != std::string_view::npos) return false;
  for (const char c : local) {
    if (static_cast<unsigned char>(c) >= 0x80 || is_alpha_ascii(c) || is_digit_ascii(c)) continue;
    if (kSpecials.find(c) == std::string_view::npos) return false;
  }
  return true;
}

bool is_domain(std::string_view domain) {
  if (domain.empty() || domain.size() > 253 || domain.find('.') == std::string_view::npos) return false;
  std::size_t label = 0;
  bool only_digits = true;
  for (std::size_t i = 0; i < domain.size(); ++i) {
    const char c = domain[i];
    if (c == '.') {
      if (label == 0 || domain[i - 1] == '-') return false;
      label = 0;
      only_digits = true;
      continue;
    }
    const bool beyond_ascii = static_cast<unsigned char>(c) >= 0x80;
    if (!beyond_ascii && !is_alpha_ascii(c) && !is_digit_ascii(c) && (c != '-' || label == 0)) return false;
    if (!is_digit_ascii(c)) only_digits = false;
    if (++label > 63) return false;
  }
  return label > 0 && domain.back() != '-' && !only_digits;
}

}  // namespace

std::optional<Email> Email::parse(std::string_view text) {
  const auto at = text.rfind('@');
  if (at == std::string_view::npos || text.size() > 254 || !is_utf8(text)) return std::nullopt;
  if (!is_local(text.substr(0, at)) || !is_domain(text.substr(at + 1))) return std::nullopt;
  Email email;
  email.text_.reserve(text.size());
  email.text_ += text.substr(0, at + 1);
  email.text_ += to_lower_ascii(text.substr(at + 1));
  return email;
}

}  // namespace ashlar
