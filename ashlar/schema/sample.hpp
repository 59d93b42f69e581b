// Values of a schema made by chance, and those just outside of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/schema_node.hpp>

namespace ashlar::schema {

/// SplitMix64 (Steele, Lea and Flood 2014): the same numbers for the same seed on every machine.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    state_ += 0x9E3779B97F4A7C15;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  /// 0 … n - 1; `n` is not 0.
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }
  template <class T>
  const T& pick(const std::vector<T>& from) noexcept {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

/// What texts are made of.
enum class Letters : std::uint8_t {
  any,    ///< all of Unicode, the awkward ones more often than by chance
  plain,  ///< printable ASCII, no space at the ends: what a header may hold
  tame,   ///< lower case and digits: for people to read
};

/// A value that fits, boundaries more often than by chance. Where a schema asks for what cannot be made by chance (a
/// pattern together with a length that hardly goes with it) it may not fit: check_schema() tells.
[[nodiscard]] Tree sample(const SchemaNode& node, Random& random, Letters letters = Letters::any);

/// One with all in it that may be there: every member, an item in each list, and null only where nothing else fits.
/// Each constraint of the schema has something that it is about.
[[nodiscard]] Tree sample_whole(const SchemaNode& node, Random& random, Letters letters = Letters::any);

/// As JSON writes it.
[[nodiscard]] std::string number_text(long double value);

/// A text that the expression is found in, of about this many characters at most; nullopt when chance did not find one.
[[nodiscard]] std::optional<std::string> sample_pattern(const detail::Regex& regex, Random& random, std::size_t most);

/// One of the kind that `format` names; nullopt for a format that says nothing about the text.
[[nodiscard]] std::optional<std::string> sample_format(std::string_view format, Random& random);

/// A change that makes a fitting value unfit in one place.
struct Change {
  enum class Kind : std::uint8_t { replace, remove, add };
  Kind kind = Kind::replace;
  std::vector<std::uint32_t> path;  // positions of elements and members
  std::string name;                 // add: of the member
  Tree value;                       // replace, add
  std::string why;                  // "user.email: longer than 254"
  bool certain = true;              // false: only the schema's `format` is against it, which need not be checked

  void apply(Tree& whole) const;
};

/// All the invalid neighbours of a value that fits, in the order of the value: for each constraint the value just
/// outside. Each, applied, does not fit.
[[nodiscard]] std::vector<Change> neighbours(const SchemaNode& node, const Tree& value);

/// The same, but those that are `certain` may fit after all: whoever takes a few of many asks of those alone.
[[nodiscard]] std::vector<Change> likely_neighbours(const SchemaNode& node, const Tree& value);

/// Values that fit and lie on the bounds: for each place and each end one.
[[nodiscard]] std::vector<Change> boundaries(const SchemaNode& node, const Tree& value);

/// Simpler values to try in place of one that fails. With `within` each fits.
[[nodiscard]] std::vector<Change> simpler(const SchemaNode& node, const Tree& value, bool within);

}  // namespace ashlar::schema
