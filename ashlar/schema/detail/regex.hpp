// A small regular expression engine for `pattern{…}`: the syntax of ECMA-262 that JSON Schema recommends, without
// look-around and back-references. It simulates the automaton (Thompson 1968,
// https://swtch.com/~rsc/regexp/regexp1.html), so no input can make it slow.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ashlar::schema::detail {

class Regex {
 public:
  /// Throws Internal with the place in the expression when it is wrong or uses what is not supported.
  explicit Regex(std::string_view expression);

  /// True when the expression is found anywhere in the UTF-8 text.
  [[nodiscard]] bool found_in(std::string_view text) const;

 private:
  friend class RegexCompiler;
  friend class RegexSampler;
  struct Set {
    std::array<std::uint64_t, 2> ascii{};
    std::vector<std::pair<char32_t, char32_t>> ranges;  // beyond ASCII
    bool others = false;                                // everything beyond ASCII but the ranges
    [[nodiscard]] bool has(char32_t c) const;
  };
  enum class Op : std::uint8_t { set, split, jump, begin, end, word_boundary, not_word_boundary, match };
  struct Instruction {
    Op op;
    std::uint32_t x = 0, y = 0;  // set: its index; split, jump: where to
  };

  std::vector<Instruction> program_;
  std::vector<Set> sets_;
  bool anchored_ = false;  // begins with ^: no need to try later starts
};

}  // namespace ashlar::schema::detail
