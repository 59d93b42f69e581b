#include <ashlar/pg/detail/numeric.hpp>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <vector>

#include <ashlar/pg/error.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {
namespace {
constexpr std::uint16_t kPositive = 0x0000;
constexpr std::uint16_t kNegative = 0x4000;
constexpr std::uint16_t kNaN = 0xC000;
constexpr std::uint16_t kInfinity = 0xD000;
constexpr std::uint16_t kMinusInfinity = 0xF000;
}  // namespace

std::string numeric_to_text(std::string_view wire) {
  wire::Reader in(wire);
  const auto digits = in.get<std::uint16_t>();
  const auto weight = in.get<std::int16_t>();  // of the first digit, as a power of 10000
  const auto sign = in.get<std::uint16_t>();
  const auto scale = in.get<std::uint16_t>();  // decimal digits after the point
  if (sign == kNaN) return "NaN";
  if (sign == kInfinity) return "Infinity";
  if (sign == kMinusInfinity) return "-Infinity";
  if (sign != kPositive && sign != kNegative) throw ProtocolError("a numeric with an impossible sign");
  std::vector<std::uint16_t> values(digits);
  for (auto& value : values) {
    value = in.get<std::uint16_t>();
    if (value > 9999) throw ProtocolError("a numeric with an impossible digit");
  }
  std::string out;
  const auto group = [&](int index) -> unsigned {
    return index >= 0 && index < digits ? values[static_cast<std::size_t>(index)] : 0U;
  };
  if (weight < 0) {
    out += '0';
  } else {
    int first = 0;  // PostgreSQL itself sends no leading zeros
    while (first < weight && group(first) == 0) ++first;
    out += std::to_string(group(first));
    for (int i = first + 1; i <= weight; ++i) {
      const std::string part = std::to_string(group(i));
      out.append(4 - part.size(), '0');
      out += part;
    }
  }
  if (scale > 0) {
    out += '.';
    const std::size_t start = out.size();
    for (int i = weight + 1; out.size() - start < scale; ++i) {
      const std::string part = std::to_string(group(i));
      out.append(4 - part.size(), '0');
      out += part;
    }
    out.resize(start + scale);
  }
  if (sign == kNegative && out.find_first_not_of("0.") != std::string::npos) out.insert(out.begin(), '-');
  return out;
}

bool numeric_from_text(std::string_view text, Buffer& out) {
  const auto special = [&](std::uint16_t sign) {
    wire::put<std::uint16_t>(out, 0);
    wire::put<std::int16_t>(out, 0);
    wire::put(out, sign);
    wire::put<std::uint16_t>(out, 0);
    return true;
  };
  if (text == "NaN") return special(kNaN);
  if (text == "Infinity") return special(kInfinity);
  if (text == "-Infinity") return special(kMinusInfinity);

  std::uint16_t sign = kPositive;
  if (text.starts_with('-')) sign = kNegative;
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  std::string digits;  // without the point
  int point = -1;      // digits before the point
  std::size_t i = 0;
  for (; i < text.size(); ++i) {
    if (text[i] == '.') {
      if (point >= 0) return false;
      point = static_cast<int>(digits.size());
    } else if (text[i] >= '0' && text[i] <= '9') {
      digits += text[i];
    } else {
      break;
    }
  }
  if (digits.empty()) return false;
  if (point < 0) point = static_cast<int>(digits.size());
  int exponent = 0;
  if (i < text.size()) {
    if (text[i] != 'e' && text[i] != 'E') return false;
    std::string_view rest = text.substr(i + 1);
    if (rest.starts_with('+')) rest.remove_prefix(1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), exponent);
    if (error != std::errc{} || end != rest.data() + rest.size() || exponent > 131072 || exponent < -16383)
      return false;
  }
  point += exponent;
  const int scale = std::max(0, static_cast<int>(digits.size()) - point);
  if (point <= 0) {
    digits.insert(0, static_cast<std::size_t>(-point), '0');
    point = 0;
  } else if (static_cast<std::size_t>(point) > digits.size()) {
    digits.append(static_cast<std::size_t>(point) - digits.size(), '0');
  }
  if (scale > 16383 || point > 131072) return false;
  // Groups of four, aligned at the point.
  const std::size_t lead = static_cast<std::size_t>((4 - point % 4) % 4);
  digits.insert(0, lead, '0');
  const int before = (point + static_cast<int>(lead)) / 4;
  digits.append((4 - digits.size() % 4) % 4, '0');
  std::vector<std::uint16_t> groups;
  for (std::size_t at = 0; at < digits.size(); at += 4) {
    groups.push_back(static_cast<std::uint16_t>((digits[at] - '0') * 1000 + (digits[at + 1] - '0') * 100 +
                                                (digits[at + 2] - '0') * 10 + (digits[at + 3] - '0')));
  }
  std::size_t first = 0;
  while (first < groups.size() && groups[first] == 0) ++first;
  std::size_t last = groups.size();
  while (last > first && groups[last - 1] == 0) --last;
  const bool zero = first == last;
  wire::put(out, static_cast<std::uint16_t>(last - first));
  wire::put(out, static_cast<std::int16_t>(zero ? 0 : before - 1 - static_cast<int>(first)));
  wire::put(out, zero ? kPositive : sign);
  wire::put(out, static_cast<std::uint16_t>(scale));
  for (std::size_t at = first; at < last; ++at) wire::put(out, groups[at]);
  return true;
}

}  // namespace ashlar::pg::detail
