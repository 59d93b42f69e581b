// JsonCursor: walks a JSON document token by token, once, without a tree and without copying.
//
// The tokens are found by stage 1 of simdjson (SIMD chosen at run time; it also checks UTF-8, control characters and
// that strings are closed). The grammar (RFC 8259) is checked here, on the way: whoever has read the whole document to
// finish() has seen valid JSON. Stage 2 of simdjson (its DOM) costs as much again as reading straight into the target,
// and its On-Demand interface has no choice of instruction set at run time.
//
//   JsonCursor json(text);
//   if (json.kind() == JsonKind::object) {
//     for (bool more = json.begin_object(); more; more = json.next_member()) {
//       std::string_view name = json.key();
//       json.skip();                                   // or read it by its kind
//     }
//   }
//   if (!json.finish()) report(json.problem());
//
// Errors are sticky: after the first one every call gives nothing (false, empty, null) and kind() is `invalid`.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ashlar::schema::detail {

enum class JsonKind : std::uint8_t { invalid, object, array, string, number, boolean, null };

struct JsonNumber {
  enum class Kind : std::uint8_t {
    negative,  ///< an integer of std::int64_t, below zero
    natural,   ///< an integer of std::uint64_t
    big,       ///< an integer that fits neither
    real,      ///< with a fraction or an exponent
  };
  Kind kind = Kind::natural;
  std::int64_t negative = 0;
  std::uint64_t natural = 0;
  std::string_view text{};  ///< as written

  /// The nearest double; infinite when it is too large for one.
  [[nodiscard]] double to_double() const noexcept;
};

/// What is wrong with a document, and where: bytes from its start.
struct JsonProblem {
  std::string_view message{};  ///< static storage; empty: nothing
  std::size_t offset = 0;
};

class JsonCursor {
 public:
  static constexpr unsigned kMaxDepth = 512;  ///< of skip(); readers bound their own recursion

  /// `json` must outlive the cursor and all views it gives; it needs no padding.
  explicit JsonCursor(std::string_view json);
  ~JsonCursor();
  JsonCursor(const JsonCursor&) = delete;
  JsonCursor& operator=(const JsonCursor&) = delete;

  /// The kind of the value that comes next, by its first character; `invalid` when no value can begin here.
  [[nodiscard]] JsonKind kind() const noexcept { return kKinds[static_cast<unsigned char>(first())]; }
  /// Where the next token begins, in bytes.
  [[nodiscard]] std::size_t offset() const noexcept { return *token_; }

  /// Enters an object. True: a member comes, read its key. False: it was empty (or malformed) and is behind us.
  bool begin_object() noexcept {
    ++token_;
    if (first() == '"') [[likely]]
      return true;
    if (first() == '}') {
      ++token_;
      return false;
    }
    return fail("expected a member name in double quotes or '}'");
  }
  /// After a member's value. True: another one comes.
  bool next_member() noexcept {
    const char c = first();
    if (c == ',') [[likely]] {
      ++token_;
      if (first() == '"') [[likely]]
        return true;
      return fail("expected a member name in double quotes");
    }
    if (c == '}') {
      ++token_;
      return false;
    }
    return fail("expected ',' or '}'");
  }
  /// The member's name; the cursor is then at its value. Lives until the next key() with an escape in it.
  std::string_view key() {
    const std::string_view name = read_string(key_scratch_);
    if (first() != ':') [[unlikely]] {
      fail("expected ':'");
      return {};
    }
    ++token_;
    return name;
  }

  /// Enters an array. True: an element comes.
  bool begin_array() noexcept {
    ++token_;
    if (first() != ']') [[likely]]
      return true;
    ++token_;
    return false;
  }
  /// After an element. True: another one comes.
  bool next_element() noexcept {
    const char c = first();
    if (c == ',') [[likely]] {
      ++token_;
      return true;
    }
    if (c == ']') {
      ++token_;
      return false;
    }
    return fail("expected ',' or ']'");
  }

  /// Precondition of each: kind() says so.
  /// The text with its escapes decoded; a view into the document, or into `scratch` when there were escapes.
  std::string_view string(std::string& scratch) { return read_string(scratch); }
  JsonNumber number() noexcept;
  bool boolean() noexcept;
  void null() noexcept;

  /// Passes over the next value, whatever it is, checking it; gives its text as written (no white space around it).
  std::string_view skip();
  /// For a value that is not of the kind asked for: fails unless a value begins here at all.
  bool expect_value() noexcept { return kind() != JsonKind::invalid || fail("expected a value"); }

  /// True when the document was valid and nothing is left.
  [[nodiscard]] bool finish() noexcept {
    if (token_ != end_) fail("expected the end of the document");
    return problem_.message.empty();
  }
  [[nodiscard]] bool failed() const noexcept { return !problem_.message.empty(); }
  [[nodiscard]] const JsonProblem& problem() const noexcept { return problem_; }

  /// Refuses the document for a reason of the reader's (too deep). `message` in static storage.
  bool fail(std::string_view message) noexcept;

 private:
  struct Index;
  struct Pool;

  static constexpr std::array<JsonKind, 256> kKinds = [] {
    std::array<JsonKind, 256> kinds{};
    kinds['{'] = JsonKind::object;
    kinds['['] = JsonKind::array;
    kinds['"'] = JsonKind::string;
    kinds['t'] = kinds['f'] = JsonKind::boolean;
    kinds['n'] = JsonKind::null;
    kinds['-'] = JsonKind::number;
    for (char digit = '0'; digit <= '9'; ++digit) kinds[static_cast<unsigned char>(digit)] = JsonKind::number;
    return kinds;
  }();

  [[nodiscard]] char first() const noexcept { return *token_ < size_ ? bytes_[*token_] : '\0'; }
  // Where the token that starts at *token_ ends at the latest: white space may be before it.
  [[nodiscard]] const char* token_limit() const noexcept { return bytes_ + token_[1]; }
  std::string_view read_string(std::string& scratch) {
    const char* const begin = bytes_ + *token_ + 1;
    const char* end = bytes_ + token_[1] - 1;  // between a string and the next token there is only white space
    while (*end != '"') --end;
    const std::string_view raw(begin, static_cast<std::size_t>(end - begin));
    if (has_escapes_) [[unlikely]]
      return unescape(raw, scratch);
    ++token_;
    return raw;
  }
  std::string_view unescape(std::string_view raw, std::string& scratch);
  bool literal(std::string_view word) noexcept;
  void refuse(int simdjson_error) noexcept;

  const char* bytes_;
  std::size_t size_;
  const std::uint32_t* token_;  // offsets of the tokens; after the last one come two entries that hold size_
  const std::uint32_t* end_;
  bool has_escapes_ = false;
  std::unique_ptr<Index> index_;
  std::string key_scratch_;
  JsonProblem problem_;
};

/// Line and column (in code points, both from 1) of an offset.
struct JsonPlace {
  std::size_t line = 1;
  std::size_t column = 1;
};
[[nodiscard]] JsonPlace locate(std::string_view json, std::size_t offset) noexcept;

}  // namespace ashlar::schema::detail
