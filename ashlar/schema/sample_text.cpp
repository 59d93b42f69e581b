// Texts of patterns and formats.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::schema {
namespace detail {

// A walk through the automaton: by chance while the text is short, then the shortest way to its end.
class RegexSampler {
 public:
  RegexSampler(const Regex& regex, Random& random) : regex_(regex), random_(random) { measure(); }

  std::optional<std::string> run(std::size_t most) {
    std::string out;
    std::size_t characters = 0;
    std::uint32_t at = 0;
    for (int steps = 0; steps < 100'000; ++steps) {
      const Regex::Instruction& in = regex_.program_[at];
      switch (in.op) {
        case Regex::Op::match:
          return out;
        case Regex::Op::set: {
          const auto c = one_of(regex_.sets_[in.x]);
          if (!c) return std::nullopt;
          append_utf8(out, *c);
          ++characters;
          ++at;
          break;
        }
        case Regex::Op::jump:
          at = in.x;
          break;
        case Regex::Op::split: {
          const bool must_end = characters + std::max(cost_[in.x], cost_[in.y]) >= most;
          at = (must_end ? cost_[in.x] <= cost_[in.y] : random_.one_in(2)) ? in.x : in.y;
          break;
        }
        default:  // an assertion: found_in() tells whether it holds
          ++at;
      }
    }
    return std::nullopt;
  }

 private:
  static constexpr std::uint32_t kFar = std::numeric_limits<std::uint32_t>::max() / 2;

  // How many characters it is from each instruction to the end, at least.
  void measure() {
    const auto& program = regex_.program_;
    cost_.assign(program.size(), kFar);
    for (bool changed = true; changed;) {
      changed = false;
      for (std::size_t i = program.size(); i-- > 0;) {
        const Regex::Instruction& in = program[i];
        std::uint32_t cost = kFar;
        if (in.op == Regex::Op::match) {
          cost = 0;
        } else if (in.op == Regex::Op::split) {
          cost = std::min(cost_[in.x], cost_[in.y]);
        } else if (in.op == Regex::Op::jump) {
          cost = cost_[in.x];
        } else {
          cost = cost_[i + 1] + (in.op == Regex::Op::set ? 1 : 0);
        }
        if (cost < cost_[i]) {
          cost_[i] = cost;
          changed = true;
        }
      }
    }
  }

  std::optional<char32_t> one_of(const Regex::Set& set) {
    for (int i = 0; i < 24; ++i) {  // most sets hold something printable
      const auto c = static_cast<char32_t>(0x20 + random_.below(0x5F));
      if (set.has(c)) return c;
    }
    if (!set.ranges.empty() && !set.others) {
      const auto& [low, high] = set.ranges[random_.below(set.ranges.size())];
      const auto c = static_cast<char32_t>(low + random_.below(std::uint64_t{high} - low + 1));
      return c >= 0xD800 && c <= 0xDFFF ? low : c;
    }
    for (char32_t c = 0x7E; c != 0; --c) {
      if (set.has(c)) return c;
    }
    if (set.others) return set.has(U'é') ? U'é' : U'漢';
    return set.has(0) ? std::optional<char32_t>(0) : std::nullopt;
  }

  const Regex& regex_;
  Random& random_;
  std::vector<std::uint32_t> cost_;
};

}  // namespace detail

std::optional<std::string> sample_pattern(const detail::Regex& regex, Random& random, std::size_t most) {
  detail::RegexSampler sampler(regex, random);
  for (int i = 0; i < 8; ++i) {
    auto text = sampler.run(most);
    if (text && regex.found_in(*text)) return text;
  }
  return std::nullopt;
}

namespace {

std::string digits(Random& random, std::size_t count) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += static_cast<char>('0' + random.below(10));
  return out;
}
std::string word(Random& random) {
  std::string out;
  const auto size = 1 + random.below(8);
  for (std::uint64_t i = 0; i < size; ++i) out += static_cast<char>('a' + random.below(26));
  return out;
}
std::string date(Random& random) {
  if (random.one_in(8)) return random.one_in(2) ? "2024-02-29" : "1970-01-01";
  return fmt::format("{:04}-{:02}-{:02}", 1970 + random.below(130), 1 + random.below(12), 1 + random.below(28));
}
std::string time_of_day(Random& random) {
  if (random.one_in(8)) return random.one_in(2) ? "00:00:00" : "23:59:59";
  return fmt::format("{:02}:{:02}:{:02}", random.below(24), random.below(60), random.below(60));
}

}  // namespace

std::optional<std::string> sample_format(std::string_view format, Random& random) {
  if (format == "uuid") {
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}", random.below(1ULL << 32), random.below(1 << 16),
                       random.below(1 << 12), 0x8000 + random.below(0x4000), random.below(1ULL << 48));
  }
  if (format == "date-time") {
    constexpr std::string_view zones[] = {"Z", "+00:00", "+02:00", "-11:30"};
    const std::string_view fraction = random.one_in(4) ? ".123456" : "";
    return fmt::format("{}T{}{}{}", date(random), time_of_day(random), fraction, zones[random.below(4)]);
  }
  if (format == "date") return date(random);
  if (format == "time") return time_of_day(random);
  if (format == "duration") return fmt::format("PT{}H{}M", random.below(48), random.below(60));
  if (format == "decimal") return fmt::format("{}.{}", random.below(100'000), digits(random, 1 + random.below(2)));
  if (format == "email") return fmt::format("{}@{}.example.com", word(random), word(random));
  if (format == "uri" || format == "url") return fmt::format("https://{}.example.com/{}", word(random), word(random));
  if (format == "uri-reference") return "/" + word(random);
  if (format == "hostname") return word(random) + ".example.com";
  if (format == "ipv6") return fmt::format("2001:db8::{:x}", random.below(0x10000));
  if (format == "ip" || format == "ipv4") return fmt::format("192.0.2.{}", random.below(256));
  if (format == "byte") {
    std::string bytes;
    for (auto left = random.below(24); left > 0; --left) bytes += static_cast<char>(random.below(256));
    return base64_encode(bytes);
  }
  return std::nullopt;
}

}  // namespace ashlar::schema
