// What is wrong with an input: every error at once, each with a stable type, a place and a message.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/schema/options.hpp>

namespace ashlar::schema {

/// Types and messages are those of Pydantic 2 (docs/guide/schema.md lists them).
struct ErrorItem {
  std::string type;          // "string_too_short"
  std::string msg;           // "String should have at least 1 character"
  std::vector<LocItem> loc;  // ["body", "tags", 2]
  std::string input = {};    // the scalar that was given, as JSON; empty for containers, and always for secrets
  std::string ctx = {};      // the numbers of the message as a JSON object, {"min_length":1}; or empty
  std::uint32_t line = 0;    // of the JSON document, from 1; 0 when there is none
  std::uint32_t column = 0;  // in bytes, from 1
};

/// The first part of every `loc`, and a name below it: {"body"}, {"query", "limit"}, {"path", "slug"}.
struct Where {
  std::string_view in = {};
  std::string_view name = {};
};

/// The list of errors of one input. After `kLimit` it keeps no more, so that a hostile input gets no large answer.
class Errors {
 public:
  static constexpr std::size_t kLimit = 100;

  [[nodiscard]] bool empty() const noexcept { return items_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] bool full() const noexcept { return items_.size() >= kLimit; }
  [[nodiscard]] const std::vector<ErrorItem>& items() const noexcept { return items_; }
  [[nodiscard]] std::vector<ErrorItem> take() noexcept { return std::move(items_); }
  void add(ErrorItem item) {
    if (!full()) items_.push_back(std::move(item));
  }
  void add(std::string type, std::string msg, Where where);
  void append(const Errors& other);
  void truncate(std::size_t size) { items_.resize(std::min(size, items_.size())); }
  void clear() noexcept { items_.clear(); }

 private:
  std::vector<ErrorItem> items_;
};

/// Thrown when an input does not fit its type. Its message names every error in one line each.
class ValidationError : public Invalid {
 public:
  explicit ValidationError(std::vector<ErrorItem> errors);
  explicit ValidationError(Errors errors) : ValidationError(errors.take()) {}
  [[nodiscard]] const std::vector<ErrorItem>& errors() const noexcept { return errors_; }

 private:
  std::vector<ErrorItem> errors_;
};

/// Appends the errors as a JSON array of objects: type, loc, msg, and input, ctx, line, column where there are such.
void append_errors_json(const std::vector<ErrorItem>& errors, std::string& out);

/// "body.tags[2]".
[[nodiscard]] std::string loc_text(const std::vector<LocItem>& loc);

}  // namespace ashlar::schema
