#include <ashlar/pg/row.hpp>

#include <fmt/format.h>

#include <array>

namespace ashlar::pg {

RowReader::RowReader(std::string_view body, std::span<const ColumnType> columns)
    : p_(body.data()), end_(body.data() + body.size()), columns_(columns) {
  if (body.size() < 2 || wire::load_be<std::uint16_t>(p_) != columns.size()) [[unlikely]]
    throw ProtocolError("PostgreSQL sent a row with another number of columns than it described");
  p_ += 2;
}

RowReader::Column RowReader::next() {
  if (index_ >= columns_.size() || end_ - p_ < 4) [[unlikely]]
    throw ProtocolError("PostgreSQL sent a row that is shorter than its columns");
  const auto length = wire::load_be<std::int32_t>(p_);
  p_ += 4;
  Column out{columns_[index_++].type, length < 0, {}};
  if (length > 0) {
    if (end_ - p_ < length) [[unlikely]]
      throw ProtocolError("PostgreSQL sent a row that is shorter than its columns");
    out.bytes = {p_, static_cast<std::size_t>(length)};
    p_ += length;
  }
  return out;
}

bool RowReader::skip_nulls(std::size_t n) {
  RowReader ahead = *this;
  for (std::size_t i = 0; i < n; ++i) {
    if (!ahead.next().null) return false;
  }
  *this = ahead;
  return true;
}

void RowReader::unexpected_null() { throw BadValue("NULL, but the C++ type is not std::optional"); }

bool RowVerifier::at_struct() const {
  if (index_ >= fields_.size()) return false;
  const Oid type = types_.base(fields_[index_].type);
  return detail::is_json(type) || type == oid::record || types_.kind(type) == TypeKind::composite;
}

void RowVerifier::check_name(const std::string& path) {
  if (path.empty()) return;  // a row of one value
  std::string_view name = fields_[index_].name;
  if (name.ends_with('!') || name.ends_with('?')) name.remove_suffix(1);
  const std::string_view last = std::string_view(path).substr(path.rfind('.') + 1);
  if (name == last || name == path) return;
  std::string joined = path;
  for (char& c : joined) {
    if (c == '.') c = '_';
  }
  if (name == joined) return;
  const std::string wanted =
      path.find('.') == std::string::npos ? std::string(last) : fmt::format("{} or {}", joined, last);
  problems_.push_back(
      fmt::format("column {} is called `{}`, but goes to the member `{}`: put the columns in the order of "
                  "the members, or write `… as {}`",
                  index_ + 1, name, path, path.find('.') == std::string::npos ? wanted : joined));
}

void RowVerifier::check_null(const std::string& path, bool nullable, const std::string& cpp_type) {
  const wire::Field& field = fields_[index_];
  if (nullable || field.name.ends_with('!')) return;
  const bool marked = field.name.ends_with('?') && field.name != "?column?";
  const Null null = index_ < nulls_.size() ? nulls_[index_] : Null::unknown;
  if (null == Null::outer && !marked && optional_ == 0) {
    problems_.push_back(fmt::format(
        "column {} `{}` is on the far side of an outer join, so it may be NULL, but {} is {}: make it "
        "std::optional<{}>, or the struct that it is in, join without `outer`, use coalesce(…), or write `… as "
        "\"{}!\"` if you know better",
        index_ + 1, field.name, path.empty() ? "the row" : "the member `" + path + "`", cpp_type, cpp_type,
        field.name));
    return;
  }
  if (!marked && null != Null::possible) return;
  problems_.push_back(fmt::format(
      "column {} `{}` may be NULL, but {} is {}: make it std::optional<{}>, declare the column NOT "
      "NULL, use coalesce(…), or write `… as \"{}!\"` if you know better",
      index_ + 1, field.name, path.empty() ? "the row" : "the member `" + path + "`", cpp_type, cpp_type, field.name));
}

void RowVerifier::column(const std::string& path, bool nullable, Accepts accepts, const std::string& cpp_type) {
  if (index_ >= fields_.size()) {
    ++missing_;
    return;
  }
  const wire::Field& field = fields_[index_];
  check_name(path);
  if (!accepts(types_, field.type)) {
    problems_.push_back(fmt::format("column {} `{}` is {} in PostgreSQL, but {} is {}: use {}, or cast the column",
                                    index_ + 1, field.name, types_.name(field.type),
                                    path.empty() ? "the row" : "the member `" + path + "`", cpp_type,
                                    suggested_cpp_type(types_, field.type)));
  } else {
    check_null(path, nullable, cpp_type);
  }
  ++index_;
}

void RowVerifier::written_column(std::string_view member, Accepts accepts, const std::string& cpp_type) {
  const std::size_t at = index_++;
  if (at >= fields_.size() || accepts(types_, fields_[at].type)) return;
  problems_.push_back(fmt::format("column {} `{}` is {} in PostgreSQL, but the member `{}` is {}: use {}", at + 1,
                                  fields_[at].name, types_.name(fields_[at].type), member, cpp_type,
                                  suggested_cpp_type(types_, fields_[at].type)));
}

void RowVerifier::struct_column(const std::string& path, bool nullable) {
  check_name(path);
  check_null(path, nullable, "a struct");
  ++index_;
}

void RowVerifier::finish(const std::string& row_type) {
  if (missing_ == 0 && index_ == fields_.size()) return;
  std::string names;
  for (const wire::Field& field : fields_) names += fmt::format("{}{}", names.empty() ? "" : ", ", field.name);
  problems_.insert(problems_.begin(), fmt::format("the query gives {} columns ({}), but {} takes {}", fields_.size(),
                                                  fields_.empty() ? "none" : names, row_type, index_ + missing_));
}

namespace detail {

std::string tidy_type_name(std::string_view pretty) {
  // "std::string ashlar::pg::detail::cpp_type_name() [T = std::basic_string<char>]"
  const std::size_t start = pretty.find("[T = ");
  if (start == std::string_view::npos) return std::string(pretty);
  std::string out(pretty.substr(start + 5, pretty.rfind(']') - start - 5));
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kNicer{
      {{"std::basic_string<char>", "std::string"},
       {"std::__cxx11::", "std::"},
       {"std::basic_string_view<char>", "std::string_view"},
       {"(anonymous namespace)::", ""},
       {"unsigned int", "std::uint32_t"},
       {"unsigned long", "std::uint64_t"},
       {"short", "std::int16_t"},
       {"int", "std::int32_t"},
       {"long", "std::int64_t"}}};
  const auto part_of_name = [](char c) {
    return c == '_' || c == ':' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  for (const auto& [from, to] : kNicer) {
    const bool word = from.find_first_of(":<(") == std::string_view::npos;
    std::size_t at = 0;
    while ((at = out.find(from, at)) != std::string::npos) {
      const bool inside = word && ((at > 0 && part_of_name(out[at - 1])) ||
                                   (at + from.size() < out.size() && part_of_name(out[at + from.size()])));
      if (!inside) out.replace(at, from.size(), to);
      at += inside ? from.size() : to.size();
    }
  }
  return out;
}

}  // namespace detail
}  // namespace ashlar::pg
