#include <ashlar/pg/listing.hpp>

#include <fmt/format.h>

#include <cstddef>
#include <deque>
#include <map>
#include <mutex>

#include <ashlar/schema/json_value.hpp>

namespace ashlar::pg::detail {
namespace {

// Prepared statements of one list; more are made for one run each, so that no client fills the servers' memory.
constexpr std::size_t kKept = 64;

constexpr ParameterSpec kNumber{&accepts_argument<std::int64_t>, &cpp_type_name<std::int64_t>};

// Where a page begins.
struct Position {
  std::string order;
  bool backward = false;
  std::vector<Json> values;
};

Position read_position(const std::string& text) {
  Position position;
  schema::Errors errors;
  if (!schema::parse_json(text, position, errors)) throw BadPosition("this is no position in a list");
  return position;
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out += '"';
}

// Puts the text of a statement together, and the descriptions of its parameters.
class Composer {
 public:
  Composer(std::string_view sql, const ListSpec& spec, std::string_view select) : spec_(spec) {
    parameters_.assign(spec.arguments.begin(), spec.arguments.end());
    // The line's end closes a comment that the SQL may end with.
    sql_ = fmt::format("select {} from ({}\n) list", select, sql);
  }

  [[nodiscard]] const ListColumn& column(std::size_t i) const { return spec_.columns[i]; }
  std::string parameter(const ParameterSpec& spec) {
    parameters_.push_back(spec);
    return fmt::format("${}", parameters_.size());
  }
  void where(std::string_view condition) {
    sql_ += filtered_ ? " and " : " where ";
    sql_ += condition;
    filtered_ = true;
  }
  void where(const ListCondition& condition, bool null) {
    const ListColumn& field = column(condition.column);
    const std::string name = quoted(field.name);
    switch (condition.op) {
      case FilterOp::eq:
        return where(fmt::format("{} = {}", name, parameter(condition.parameter)));
      case FilterOp::ne:  // a row without a value has another one
        return where(
            fmt::format("{} {} {}", name, field.nullable ? "is distinct from" : "<>", parameter(condition.parameter)));
      case FilterOp::lt:
        return where(fmt::format("{} < {}", name, parameter(condition.parameter)));
      case FilterOp::lte:
        return where(fmt::format("{} <= {}", name, parameter(condition.parameter)));
      case FilterOp::gt:
        return where(fmt::format("{} > {}", name, parameter(condition.parameter)));
      case FilterOp::gte:
        return where(fmt::format("{} >= {}", name, parameter(condition.parameter)));
      case FilterOp::in:
        return where(fmt::format("{} = any({})", name, parameter(condition.parameter)));
      case FilterOp::contains:
      case FilterOp::starts_with:
        return where(fmt::format("{} ilike {}", name, parameter(condition.parameter)));
      case FilterOp::null:
        return where(fmt::format("{} is {}null", name, null ? "" : "not "));
    }
  }
  void add(std::string_view text) { sql_ += text; }

  [[nodiscard]] std::string& sql() noexcept { return sql_; }
  [[nodiscard]] std::vector<ParameterSpec>& parameters() noexcept { return parameters_; }

 private:
  const ListSpec& spec_;
  std::string sql_;
  std::vector<ParameterSpec> parameters_;
  bool filtered_ = false;
};

struct OrderKey {
  std::uint8_t column;
  bool descending;
};

// What is asked for, then the key: in the direction of the last one, so that an index over all of them serves both
// ways.
std::vector<OrderKey> order_of(const ListSpec& spec, std::span<const SortKey> sort) {
  std::vector<OrderKey> out;
  for (const SortKey key : sort) out.push_back({spec.sorts[key.field], key.descending});
  for (const std::uint8_t column : spec.key) {
    const bool known = std::ranges::any_of(out, [&](const OrderKey& one) { return one.column == column; });
    if (!known) out.push_back({column, !out.empty() && out.back().descending});
  }
  return out;
}

std::string order_text(const ListSpec& spec, std::span<const OrderKey> order) {
  std::string out;
  for (const OrderKey key : order)
    out += fmt::format("{}{}{}", out.empty() ? "" : ",", key.descending ? "-" : "", spec.columns[key.column].name);
  return out;
}

void order_by(Composer& into, std::span<const OrderKey> order, bool backward) {
  std::string text;
  for (const OrderKey key : order) {
    const ListColumn& column = into.column(key.column);
    text += fmt::format("{}{}{}{}", text.empty() ? " order by " : ", ", quoted(column.name),
                        key.descending != backward ? " desc" : "", column.nullable ? " nulls last" : "");
  }
  into.add(text);
}

// The rows behind a position. One direction: rows are compared as PostgreSQL compares them, by the index. Several: what
// the first field says is said alone, too, for the index.
void where_after(Composer& into, std::span<const OrderKey> order, bool backward) {
  std::vector<std::string> names, values;
  bool one_direction = true;
  for (const OrderKey key : order) {
    names.push_back(quoted(into.column(key.column).name));
    values.push_back(into.parameter(into.column(key.column).parameter));
    one_direction = one_direction && key.descending == order.front().descending;
  }
  const auto sign = [&](const OrderKey& key) { return key.descending != backward ? "<" : ">"; };
  if (one_direction) {
    return into.where(
        fmt::format("({}) {} ({})", fmt::join(names, ", "), sign(order.front()), fmt::join(values, ", ")));
  }
  std::string any;
  std::string equal;
  for (std::size_t i = 0; i < order.size(); ++i) {
    any += fmt::format("{}({}{} {} {})", i == 0 ? "" : " or ", equal, names[i], sign(order[i]), values[i]);
    equal += fmt::format("{} = {} and ", names[i], values[i]);
  }
  into.where(fmt::format("{} {}= {} and ({})", names[0], sign(order[0]), values[0], any));
}

}  // namespace

// A statement and all that it refers to.
struct ListShape {
  std::string sql;
  std::vector<ParameterSpec> parameters;
  StatementSpec spec{};
  std::unique_ptr<ListStatement> statement;
};

struct ListCore::Shapes {
  std::mutex mutex;
  std::map<std::string, std::shared_ptr<const ListShape>, std::less<>> kept;
  std::shared_ptr<const ListShape> widest;
};

namespace {

std::shared_ptr<const ListShape> make_shape(Composer composer, void (*verify)(RowVerifier&), QueryOptions options,
                                            std::source_location where, bool registered) {
  auto shape = std::make_shared<ListShape>();
  shape->sql = std::move(composer.sql());
  shape->parameters = std::move(composer.parameters());
  shape->spec = {verify, shape->parameters};
  shape->statement = std::make_unique<ListStatement>(shape->sql, shape->spec, options, where, registered);
  return shape;
}

// All filters, all orders: what start-up compares with the schema.
Composer widest(std::string_view sql, const ListSpec& spec) {
  Composer all(sql, spec, "*");
  for (const ListCondition& condition : spec.conditions) all.where(condition, true);
  std::vector<SortKey> sort;
  for (std::size_t i = 0; i < spec.sorts.size(); ++i) sort.push_back({static_cast<std::uint8_t>(i), false});
  const auto order = order_of(spec, sort);
  if (spec.has_cursor) where_after(all, order, false);
  order_by(all, order, false);
  all.add(fmt::format(" limit {}", all.parameter(kNumber)));
  if (spec.has_offset) all.add(fmt::format(" offset {}", all.parameter(kNumber)));
  return all;
}

}  // namespace

ListCore::ListCore(std::string_view sql, const ListSpec& spec, QueryOptions options, std::source_location where)
    : sql_(sql), spec_(spec), options_(options), where_(where), shapes_(new Shapes) {
  shapes_->widest = make_shape(widest(sql, spec), spec.verify_row, options, where, true);
}

ListQuery ListCore::make(ListPart part, const Asked& asked, Params params) const {
  const bool rows = part == ListPart::rows;
  Composer composer(sql_, spec_, rows ? "*" : "count(*)");
  for (const ListCondition& condition : spec_.conditions) {
    const void* const at = static_cast<const std::byte*>(asked.model) + condition.offset;
    if (!condition.is_set(at)) continue;
    composer.where(condition, condition.op == FilterOp::null && **static_cast<const std::optional<bool>*>(at));
    if (condition.encode != nullptr) condition.encode(params, at);
  }
  if (rows) {
    const auto order = order_of(spec_, asked.sort);
    bool backward = false;
    if (asked.position != nullptr) {
      const Position position = read_position(*asked.position);
      backward = position.backward;
      if (position.order != order_text(spec_, order) || position.values.size() != order.size())
        throw BadPosition("this position is one of a list in another order");
      where_after(composer, order, backward);
      for (std::size_t i = 0; i < order.size(); ++i) {
        if (!spec_.columns[order[i].column].encode_json(params, position.values[i].text()))
          throw BadPosition("this position is one of another list");
      }
    }
    order_by(composer, order, backward);
    composer.add(fmt::format(" limit {}", composer.parameter(kNumber)));
    params.integer(asked.keyset ? asked.limit + 1 : asked.limit);
    if (!asked.keyset) {
      composer.add(fmt::format(" offset {}", composer.parameter(kNumber)));
      params.integer(asked.offset);
    }
  }

  void (*const verify)(RowVerifier&) = rows ? spec_.verify_row : &verify_row<std::int64_t>;
  const std::lock_guard lock(shapes_->mutex);
  if (const auto at = shapes_->kept.find(composer.sql()); at != shapes_->kept.end())
    return {at->second->statement.get(), nullptr, std::move(params)};
  const bool keep = shapes_->kept.size() < kKept;
  auto shape = make_shape(std::move(composer), verify, options_, where_, keep);
  const Statement* const statement = shape->statement.get();
  if (!keep) return {statement, std::move(shape), std::move(params)};
  shapes_->kept.emplace(shape->sql, shape);
  return {statement, nullptr, std::move(params)};
}

bool ListCore::is_backward(const std::string* position) {
  return position != nullptr && read_position(*position).backward;
}

std::string ListCore::position_of(const void* row, std::span<const SortKey> sort, bool backward) const {
  const auto order = order_of(spec_, sort);
  Position position{order_text(spec_, order), backward, {}};
  for (const OrderKey key : order) {
    const ListColumn& column = spec_.columns[key.column];
    std::string json;
    schema::write_json(*column.type, static_cast<const std::byte*>(row) + column.offset, json);
    position.values.push_back(Json::trusted(std::move(json)));
  }
  return schema::to_json(position);
}

ListCore& make_list_core(std::string_view sql, const ListSpec& spec, QueryOptions options, std::source_location where) {
  static std::mutex mutex;
  static auto* const all = new std::deque<ListCore>;  // queries are globals too: it must outlive them
  const std::lock_guard lock(mutex);
  return all->emplace_back(sql, spec, options, where);
}

std::string like_pattern(std::string_view text, bool anywhere) {
  std::string out = anywhere ? "%" : "";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c;
  }
  return out += '%';
}

}  // namespace ashlar::pg::detail
