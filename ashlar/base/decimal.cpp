#include <ashlar/base/decimal.hpp>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <ashlar/base/text.hpp>

namespace ashlar {
namespace {

constexpr std::int64_t kMaxDigits = 16384;

void strip_zeros(std::string& digits) {
  const auto first = digits.find_first_not_of('0');
  if (first == std::string::npos) {
    digits = "0";
  } else if (first > 0) {
    digits.erase(0, first);
  }
}

// Both without leading zeros.
std::strong_ordering compare_digits(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::string add_digits(std::string_view a, std::string_view b) {
  if (a.size() < b.size()) std::swap(a, b);
  std::string sum(a.size() + 1, '0');
  int carry = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const int digit = a[a.size() - 1 - i] - '0' + (i < b.size() ? b[b.size() - 1 - i] - '0' : 0) + carry;
    sum[sum.size() - 1 - i] = static_cast<char>('0' + digit % 10);
    carry = digit / 10;
  }
  sum[0] = static_cast<char>('0' + carry);
  strip_zeros(sum);
  return sum;
}

// a ≥ b.
std::string subtract_digits(std::string_view a, std::string_view b) {
  std::string difference(a);
  int borrow = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    int digit = a[a.size() - 1 - i] - '0' - borrow - (i < b.size() ? b[b.size() - 1 - i] - '0' : 0);
    borrow = digit < 0;
    if (digit < 0) digit += 10;
    difference[a.size() - 1 - i] = static_cast<char>('0' + digit);
  }
  strip_zeros(difference);
  return difference;
}

std::string scaled(const std::string& digits, std::int32_t by) {
  std::string out = digits;
  if (out != "0") out.append(static_cast<std::size_t>(by), '0');
  return out;
}

}  // namespace

Decimal::Decimal(bool negative, std::string digits, std::int32_t scale)
    : digits_(std::move(digits)), scale_(scale), negative_(negative) {
  strip_zeros(digits_);
  if (is_zero()) negative_ = false;
}

Decimal::Decimal(std::int64_t value)
    : digits_(std::to_string(value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value))),
      negative_(value < 0) {}

std::optional<Decimal> Decimal::parse(std::string_view text) {
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  std::int64_t exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view tail = text.substr(e + 1);
    text = text.substr(0, e);
    bool minus = false;
    if (!tail.empty() && (tail[0] == '-' || tail[0] == '+')) {
      minus = tail[0] == '-';
      tail.remove_prefix(1);
    }
    if (tail.empty() || tail.size() > 6) return std::nullopt;
    for (const char c : tail) {
      if (!is_digit_ascii(c)) return std::nullopt;
      exponent = exponent * 10 + (c - '0');
    }
    if (minus) exponent = -exponent;
  }
  std::string digits;
  std::int64_t scale = 0;
  bool point = false;
  if (text.size() > static_cast<std::size_t>(2 * kMaxDigits + 1)) return std::nullopt;
  digits.reserve(text.size());
  for (const char c : text) {
    if (c == '.' && !point) {
      point = true;
    } else if (is_digit_ascii(c)) {
      digits += c;
      scale += point;
    } else {
      return std::nullopt;
    }
  }
  if (digits.empty()) return std::nullopt;
  scale -= exponent;
  if (scale > kMaxDigits) return std::nullopt;
  if (scale < 0) {
    if (static_cast<std::int64_t>(digits.size()) - scale > kMaxDigits) return std::nullopt;
    digits.append(static_cast<std::size_t>(-scale), '0');
    scale = 0;
  }
  return Decimal(negative, std::move(digits), static_cast<std::int32_t>(scale));
}

std::string Decimal::to_string() const {
  std::string out = digits_;
  if (scale_ > 0) {
    const auto scale = static_cast<std::size_t>(scale_);
    if (out.size() <= scale) out.insert(0, scale + 1 - out.size(), '0');
    out.insert(out.size() - scale, 1, '.');
  }
  if (negative_) out.insert(0, 1, '-');
  return out;
}

double Decimal::to_double() const { return std::strtod(to_string().c_str(), nullptr); }

Decimal Decimal::rounded(std::int32_t scale) const {
  if (scale >= scale_) return Decimal(negative_, scaled(digits_, scale - scale_), scale);
  const auto drop = static_cast<std::size_t>(scale_ - scale);
  std::string digits = digits_;
  if (digits.size() <= drop) digits.insert(0, drop + 1 - digits.size(), '0');
  const std::string tail = digits.substr(digits.size() - drop);
  digits.resize(digits.size() - drop);
  const bool above_half = tail[0] > '5' || (tail[0] == '5' && tail.find_first_not_of('0', 1) != std::string::npos);
  const bool half = tail[0] == '5' && !above_half;
  if (above_half || (half && (digits.back() - '0') % 2 == 1)) digits = add_digits(digits, "1");
  return Decimal(negative_, std::move(digits), scale);
}

bool Decimal::is_multiple_of(const Decimal& step) const {
  const std::int32_t scale = std::max(scale_, step.scale_);
  const std::string number = scaled(digits_, scale - scale_);
  const std::string divisor = scaled(step.digits_, scale - step.scale_);
  std::string rest = "0";
  for (const char c : number) {  // long division, keeping only the rest
    rest += c;
    strip_zeros(rest);
    while (compare_digits(rest, divisor) >= 0) rest = subtract_digits(rest, divisor);
  }
  return rest == "0";
}

Decimal operator-(Decimal a) {
  if (!a.is_zero()) a.negative_ = !a.negative_;
  return a;
}

Decimal operator+(const Decimal& a, const Decimal& b) {
  const std::int32_t scale = std::max(a.scale_, b.scale_);
  const std::string left = scaled(a.digits_, scale - a.scale_), right = scaled(b.digits_, scale - b.scale_);
  if (a.negative_ == b.negative_) return {a.negative_, add_digits(left, right), scale};
  if (compare_digits(left, right) >= 0) return {a.negative_, subtract_digits(left, right), scale};
  return {b.negative_, subtract_digits(right, left), scale};
}

Decimal operator-(const Decimal& a, const Decimal& b) { return a + -b; }

Decimal operator*(const Decimal& a, const Decimal& b) {
  std::string product(a.digits_.size() + b.digits_.size(), '0');
  for (std::size_t i = a.digits_.size(); i-- > 0;) {
    int carry = 0;
    for (std::size_t j = b.digits_.size(); j-- > 0;) {
      const int digit = product[i + j + 1] - '0' + (a.digits_[i] - '0') * (b.digits_[j] - '0') + carry;
      product[i + j + 1] = static_cast<char>('0' + digit % 10);
      carry = digit / 10;
    }
    product[i] = static_cast<char>(product[i] + carry);
  }
  return {a.negative_ != b.negative_, std::move(product), a.scale_ + b.scale_};
}

std::strong_ordering operator<=>(const Decimal& a, const Decimal& b) noexcept {
  if (a.negative_ != b.negative_) return a.negative_ ? std::strong_ordering::less : std::strong_ordering::greater;
  std::strong_ordering order = std::strong_ordering::equal;
  const auto before_point = [](const Decimal& d) {
    return d.is_zero() ? std::int64_t{-kMaxDigits * 2} : static_cast<std::int64_t>(d.digits_.size()) - d.scale_;
  };
  if (const auto x = before_point(a), y = before_point(b); x != y) {
    order = x <=> y;
  } else {
    const std::size_t size = std::max(a.digits_.size(), b.digits_.size());
    for (std::size_t i = 0; i < size && order == 0; ++i) {
      const char left = i < a.digits_.size() ? a.digits_[i] : '0';
      const char right = i < b.digits_.size() ? b.digits_[i] : '0';
      order = left <=> right;
    }
  }
  return a.negative_ ? 0 <=> order : order;
}

}  // namespace ashlar
