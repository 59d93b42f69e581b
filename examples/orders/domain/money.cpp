#include "domain/money.hpp"

#include <algorithm>
#include <utility>

#include <ashlar/base/error.hpp>

namespace orders::domain {
namespace {

[[noreturn]] void too_much() { throw ashlar::Invalid("this is more money than there is"); }

}  // namespace

Money::Money(std::int64_t cents, std::string currency) : cents_(cents), currency_(std::move(currency)) {
  const bool letters = std::ranges::all_of(currency_, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (currency_.size() != 3 || !letters) throw ashlar::Invalid("a currency has three capital letters, as EUR");
}

Money Money::plus(const Money& other) const {
  if (other.currency_ != currency_) throw ashlar::Invalid("an order has one currency: " + currency_);
  std::int64_t sum = 0;
  if (__builtin_add_overflow(cents_, other.cents_, &sum)) too_much();
  return {sum, currency_};
}
Money Money::minus(const Money& other) const { return plus(other.times(-1)); }

Money Money::times(std::int64_t factor) const {
  std::int64_t product = 0;
  if (__builtin_mul_overflow(cents_, factor, &product)) too_much();
  return {product, currency_};
}
Money Money::percent(int rate) const { return {times(rate).cents_ / 100, currency_}; }

}  // namespace orders::domain
