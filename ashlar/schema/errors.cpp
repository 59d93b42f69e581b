#include <ashlar/schema/errors.hpp>

#include <fmt/format.h>

#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

std::string summary(const std::vector<ErrorItem>& errors) {
  std::string out = fmt::format("{} validation error{}", errors.size(), errors.size() == 1 ? "" : "s");
  for (const ErrorItem& e : errors) {
    out += fmt::format("\n  {}: {} [{}]", loc_text(e.loc), e.msg, e.type);
    if (e.line > 0) out += fmt::format(" at line {} column {}", e.line, e.column);
  }
  return out;
}

}  // namespace

void Errors::add(std::string type, std::string msg, Where where) {
  ErrorItem item{.type = std::move(type), .msg = std::move(msg), .loc = {}, .input = {}, .ctx = {}};
  if (!where.in.empty()) item.loc.emplace_back(std::string(where.in));
  if (!where.name.empty()) item.loc.emplace_back(std::string(where.name));
  add(std::move(item));
}

void Errors::append(const Errors& other) {
  for (const ErrorItem& item : other.items_) add(item);
}

ValidationError::ValidationError(std::vector<ErrorItem> errors)
    : Invalid(summary(errors)), errors_(std::move(errors)) {}

std::string loc_text(const std::vector<LocItem>& loc) {
  std::string out;
  for (const LocItem& item : loc) {
    if (const auto* index = std::get_if<std::int64_t>(&item)) {
      out += fmt::format("[{}]", *index);
    } else {
      if (!out.empty()) out += '.';
      out += std::get<std::string>(item);
    }
  }
  return out;
}

void append_errors_json(const std::vector<ErrorItem>& errors, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < errors.size(); ++i) {
    const ErrorItem& e = errors[i];
    out += i == 0 ? "{\"type\":" : ",{\"type\":";
    append_json_string(e.type, out);
    out += ",\"loc\":[";
    for (std::size_t j = 0; j < e.loc.size(); ++j) {
      if (j > 0) out += ',';
      if (const auto* index = std::get_if<std::int64_t>(&e.loc[j])) {
        out += std::to_string(*index);
      } else {
        append_json_string(std::get<std::string>(e.loc[j]), out);
      }
    }
    out += "],\"msg\":";
    append_json_string(e.msg, out);
    if (!e.input.empty()) {
      out += ",\"input\":";
      out += e.input;
    }
    if (!e.ctx.empty()) {
      out += ",\"ctx\":";
      out += e.ctx;
    }
    if (e.line > 0) out += fmt::format(",\"line\":{},\"column\":{}", e.line, e.column);
    out += '}';
  }
  out += ']';
}

}  // namespace ashlar::schema
