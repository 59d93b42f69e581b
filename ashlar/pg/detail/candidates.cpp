#include <ashlar/pg/detail/candidates.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <span>
#include <utility>

#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {
namespace {

using Kind = Condition::Kind;

constexpr std::size_t kMost = 16;
constexpr std::size_t kMostKeys = 4;
// An index that also holds columns is larger, and written more often: only for little, that seldom changes.
constexpr std::size_t kMostIncluded = 3;
constexpr double kMostIncludedBytes = 32;  // of the average row
constexpr std::int64_t kLongestIncluded = 256;
constexpr std::int64_t kReadsForAnUpdate = 10;
constexpr std::size_t kMostCovering = 3;
// BRIN keeps one range of values for 128 pages: there must be many of those, in the order of the column.
constexpr std::int64_t kBrinPages = 32 * 128;
constexpr double kBrinCorrelation = 0.95;
constexpr double kBrinMoved = 0.1;        // rows that were updated to another place or deleted, as a share of all
constexpr std::size_t kLongestName = 63;  // NAMEDATALEN - 1

/// Types that are not sorted, or whose order nobody asks for.
bool has_btree(const CatalogColumn& column) {
  constexpr auto kNone = std::to_array<std::string_view>({"json", "jsonb", "xml", "tsvector", "tsquery", "hstore"});
  return column.category != 'G' && std::ranges::find(kNone, column.type) == kNone.end();
}

class Candidates {
 public:
  Candidates(const Access& access, const std::set<std::string>& updated)
      : access_(access), table_(*access.table), updated_(updated) {}

  std::vector<IndexSpec> run() {
    sort_out();
    btree();
    inverted();
    expressions();
    block_ranges();
    covering();
    return std::move(out_);
  }

 private:
  struct Key {
    std::string text;
    double distinct = 0;
    bool operator==(const Key& other) const { return text == other.text; }
  };

  const CatalogColumn* column(const std::string& name) const {
    const auto it = table_.columns.find(name);
    return it == table_.columns.end() ? nullptr : &it->second;
  }

  static void add_once(std::vector<Key>& keys, Key key) {
    if (std::ranges::find(keys, key) == keys.end()) keys.push_back(std::move(key));
  }

  void sort_out() {
    std::vector<const Condition*> all;
    for (const Condition& condition : access_.served) all.push_back(&condition);
    for (const Condition& condition : access_.unserved) all.push_back(&condition);
    for (const Condition* condition : all) {
      if (condition->alias != access_.alias) {
        continue;
      }
      if (condition->constant && !condition->predicate.empty()) predicates_.push_back(condition->predicate);
      const CatalogColumn* const at = column(condition->column);
      if (at == nullptr || !has_btree(*at)) continue;
      const Key key{identifier(at->name), at->distinct};
      if (condition->is_join()) {
        if (condition->kind == Kind::equal) add_once(joins_, key);
      } else if (condition->kind == Kind::equal) {
        if (condition->constant) constants_.push_back(key.text);
        if (!condition->boolean) add_once(equal_, key);
      } else if (condition->kind == Kind::range) {
        add_once(range_, key);
      }
    }
    for (const Condition& condition : access_.joins) {
      const CatalogColumn* const at = column(condition.column);
      if (at != nullptr && has_btree(*at)) add_once(joins_, {identifier(at->name), at->distinct});
    }
    // The most selective first: of equalities the order decides only what else the index is good for.
    const auto by_distinct = [](const Key& a, const Key& b) {
      return a.distinct != b.distinct ? a.distinct > b.distinct : a.text < b.text;
    };
    std::ranges::sort(equal_, by_distinct);
    std::ranges::sort(joins_, by_distinct);
    sort_keys();
  }

  void sort_keys() {
    if (access_.sort.empty()) return;
    const bool same = std::ranges::all_of(access_.sort, [&](const SortKey& key) {
      return key.descending == access_.sort.front().descending && key.nulls_first == key.descending;
    });
    for (const SortKey& key : access_.sort) {
      const CatalogColumn* const at = column(key.column);
      if (at == nullptr || !has_btree(*at)) return sort_.clear();
      std::string text = identifier(at->name);
      if (!same) {
        if (key.descending) text += " desc";
        if (key.nulls_first != key.descending) text += key.nulls_first ? " nulls first" : " nulls last";
      }
      add_once(sort_, {std::move(text), at->distinct});
    }
  }

  void add(std::vector<Key> keys, std::string predicate, std::string_view rule) {
    if (keys.empty() || out_.size() >= kMost) return;
    IndexSpec spec;
    spec.schema = table_.schema;
    spec.table = table_.name;
    for (const Key& key : keys) {
      if (spec.keys.size() < kMostKeys) spec.keys.push_back(key.text);
    }
    spec.predicate = std::move(predicate);
    spec.rule = rule;
    add(std::move(spec));
  }
  void add(IndexSpec spec) {
    spec.on = table_.qualified();
    if (out_.size() < kMost && std::ranges::find(out_, spec) == out_.end() && !has_index(table_, spec))
      out_.push_back(std::move(spec));
  }

  static std::vector<Key> joined(std::vector<Key> a, const std::vector<Key>& b) {
    for (const Key& key : b) add_once(a, key);
    return a;
  }

  void btree() {
    const std::string_view rule = access_.how == Access::How::index ? "wider-index" : "missing-index";
    for (const Key& range : range_) {
      if (!equal_.empty()) add(joined(equal_, {range}), {}, rule);
    }
    if (!sort_.empty()) add(joined(equal_, sort_), {}, equal_.empty() ? "sort-without-index" : rule);
    add(equal_, {}, rule);
    for (const Key& join : joins_) {
      add(joined({join}, equal_), {}, rule);
      add(joined(equal_, {join}), {}, rule);
      add({join}, {}, rule);
      if (!sort_.empty()) add(joined(joined({join}, equal_), sort_), {}, rule);
    }
    if (!sort_.empty() && !equal_.empty()) add(sort_, {}, "sort-without-index");
    for (const Key& range : range_) add({range}, {}, rule);
    partial(rule);
  }

  /// Conditions with literals move out of the keys, into the index's own condition.
  void partial(std::string_view) {
    if (predicates_.empty()) return;
    const std::string predicate = fmt::format("{}", fmt::join(predicates_, " and "));
    std::vector<Key> rest;
    for (const Key& key : equal_) {
      if (std::ranges::find(constants_, key.text) == constants_.end()) rest.push_back(key);
    }
    const bool only_constants = rest.empty();
    for (const Key& range : range_) add(joined(rest, {range}), predicate, "partial-index");
    if (!sort_.empty()) add(joined(rest, sort_), predicate, "partial-index");
    if (!only_constants) add(rest, predicate, "partial-index");
    for (const Key& join : joins_) add(joined({join}, rest), predicate, "partial-index");
    if (only_constants) {
      for (const CatalogIndex& index : table_.indexes) {  // what it is found by otherwise
        if (index.constraint && index.unique && index.keys.size() == 1 && index.predicate.empty())
          return add({{index.keys.front(), 0}}, predicate, "partial-index");
      }
    }
  }

  void inverted() {
    for (const Condition& condition : access_.unserved) {
      if (condition.alias != access_.alias) continue;
      const CatalogColumn* const at = column(condition.column);
      IndexSpec spec;
      spec.schema = table_.schema;
      spec.table = table_.name;
      spec.method = "gin";
      spec.rule = "missing-gin-index";
      const std::string key = at != nullptr ? identifier(at->name) : "(" + condition.expression + ")";
      if (condition.kind == Kind::match && (at != nullptr || !condition.expression.empty())) {
        spec.keys = {key};
      } else if (condition.kind == Kind::contains && at != nullptr) {
        if (at->type == "jsonb") {
          spec.keys = {condition.operation == "@>" ? key + " jsonb_path_ops" : key};
        } else {
          if (at->category != 'A' && at->type != "tsvector") spec.method = "gist";
          spec.keys = {key};
          spec.rule = spec.method == "gist" ? "missing-gist-index" : spec.rule;
        }
      } else if (condition.kind == Kind::pattern &&
                 (at == nullptr ? !condition.expression.empty() : at->category == 'S')) {
        spec.keys = {key + " gin_trgm_ops"};
        spec.extension = "pg_trgm";
        spec.rule = "missing-trigram-index";
      } else {
        continue;
      }
      add(std::move(spec));
    }
  }

  void expressions() {
    for (const Condition& condition : access_.unserved) {
      if (condition.alias != access_.alias || condition.expression.empty() || condition.is_join()) continue;
      if (condition.kind != Kind::equal && condition.kind != Kind::range) continue;
      add({{fmt::format("({})", condition.expression), 0}}, {}, "function-on-column");
    }
  }

  void block_ranges() {
    const auto moved = static_cast<double>(table_.updates - table_.hot_updates + table_.deletes);
    if (table_.pages_now < kBrinPages || moved > kBrinMoved * std::max(table_.rows_now(), 1.0)) return;
    for (const Condition& condition : access_.unserved) {
      const CatalogColumn* const at = condition.alias == access_.alias ? column(condition.column) : nullptr;
      if (at == nullptr || condition.kind != Kind::range || condition.is_join() || !has_btree(*at) ||
          std::abs(at->correlation) < kBrinCorrelation || updated_.contains(at->name))
        continue;
      IndexSpec spec;
      spec.schema = table_.schema;
      spec.table = table_.name;
      spec.method = "brin";
      spec.keys = {identifier(at->name)};
      spec.rule = "missing-brin-index";
      add(std::move(spec));
    }
  }

  /// The columns that the query needs beside the keys, if they are few and small.
  std::vector<std::string> included(const std::vector<std::string>& keys) const {
    std::vector<std::string> out;
    double bytes = 0;
    for (const std::string& name : *access_.columns) {
      const std::string text = identifier(name);
      if (std::ranges::any_of(keys, [&](const std::string& key) { return key == text || key.starts_with(text + " "); }))
        continue;
      const CatalogColumn& at = table_.columns.at(name);
      const bool is_quiet =
          !updated_.contains(name) || (table_.updates > 0 && table_.scans >= kReadsForAnUpdate * table_.updates);
      if (at.most_bytes == 0 || at.most_bytes > kLongestIncluded || !is_quiet) return {};
      bytes += at.width > 0 ? at.width : static_cast<double>(at.most_bytes);
      out.push_back(text);
    }
    return out.size() <= kMostIncluded && bytes <= kMostIncludedBytes ? out : std::vector<std::string>();
  }

  /// The index that serves it today, and those proposed, with all that is read: the table need not be looked at.
  void covering() {
    if (!access_.columns || table_.is_small()) return;
    std::vector<IndexSpec> bases;
    for (const CatalogIndex& index : table_.indexes) {
      if (access_.indexes.size() != 1 || index.name != access_.indexes.front() || index.method != "btree" ||
          index.constraint || index.unique || !index.predicate.empty())
        continue;
      bases.push_back({.schema = table_.schema, .table = table_.name, .keys = index.full_keys});
    }
    for (const IndexSpec& spec : out_) {
      if (spec.method == "btree" && spec.predicate.empty() && spec.rule != "function-on-column") bases.push_back(spec);
    }
    for (std::size_t i = 0; i < bases.size() && i < kMostCovering; ++i) {
      IndexSpec spec = bases[i];
      spec.on = table_.qualified();
      spec.include = included(spec.keys);
      spec.rule = "covering-index";
      if (!spec.include.empty() && std::ranges::find(out_, spec) == out_.end() && !has_index(table_, spec))
        out_.push_back(std::move(spec));
    }
  }

  const Access& access_;
  const CatalogTable& table_;
  const std::set<std::string>& updated_;
  std::vector<Key> equal_, range_, joins_, sort_;
  std::vector<std::string> constants_, predicates_;
  std::vector<IndexSpec> out_;
};

/// `created_at DESC` and `created_at desc`, `(lower(email))` and `lower(email)` are the same.
bool same_key(std::string_view a, std::string_view b) {
  const auto of_a = sql_tokens(a), of_b = sql_tokens(b);
  const SqlTokens one = without_parentheses(of_a), other = without_parentheses(of_b);
  return std::ranges::equal(one, other, [](const SqlToken& x, const SqlToken& y) {
    return x.is_name() && y.is_name() ? name_of(x) == name_of(y) : x.text == y.text;
  });
}

/// Without the operator class: `(lower(title)) gin_trgm_ops` is `(lower(title))`. A key of several words is in
/// parentheses, a name with spaces in quotes.
std::string_view without_class(std::string_view key) {
  for (const std::string_view name : {" gin_trgm_ops", " jsonb_path_ops"}) {
    if (key.ends_with(name)) return key.substr(0, key.size() - name.size());
  }
  return key;
}

}  // namespace

std::vector<IndexSpec> candidates_for(const Access& access, const std::set<std::string>& updated) {
  return Candidates(access, updated).run();
}

bool is_beginning(const std::vector<std::string>& shorter, const std::vector<std::string>& shorter_included,
                  const std::vector<std::string>& longer, const std::vector<std::string>& longer_included) {
  if (shorter.size() > longer.size() || !std::ranges::equal(shorter, std::span(longer).first(shorter.size()), same_key))
    return false;
  return std::ranges::all_of(shorter_included, [&](const std::string& column) {
    const auto is_it = [&](const std::string& other) { return same_key(column, other); };
    return std::ranges::any_of(longer_included, is_it) || std::ranges::any_of(longer, is_it);
  });
}

bool has_index(const CatalogTable& table, const IndexSpec& spec) {
  return std::ranges::any_of(table.indexes, [&](const CatalogIndex& index) {
    if (!index.valid || index.method != spec.method || index.keys.size() < spec.keys.size()) return false;
    if (!index.predicate.empty() && index.predicate != spec.predicate && index.predicate != "(" + spec.predicate + ")")
      return false;
    if (spec.method == "btree") return is_beginning(spec.keys, spec.include, index.full_keys, index.included);
    for (std::size_t i = 0; i < spec.keys.size(); ++i) {
      if (!same_key(index.keys[i], without_class(spec.keys[i]))) return false;
    }
    return true;
  });
}

std::string IndexSpec::name(const Catalog& catalog) const {
  std::string base = table;
  std::vector<std::string> parts = keys;
  parts.insert(parts.end(), include.begin(), include.end());
  for (const std::string& key : parts) {
    base += '_';
    for (const SqlToken& token : sql_tokens(key)) {
      if (!token.is_name() || token.is("desc") || token.is("nulls") || token.is("gin_trgm_ops") ||
          token.is("jsonb_path_ops"))
        continue;
      if (base.back() != '_') base += '_';
      base += name_of(token);
    }
  }
  if (!predicate.empty()) base += "_partial";
  std::set<std::string> taken;
  for (const auto& [id, other] : catalog.tables) {
    if (other.schema != schema) continue;
    taken.insert(other.name);
    for (const CatalogIndex& index : other.indexes) taken.insert(index.name);
  }
  for (unsigned number = 1;; ++number) {
    const std::string suffix = number == 1 ? "_idx" : fmt::format("_idx{}", number);
    std::size_t room = std::min(base.size(), kLongestName - suffix.size());
    while (room > 0 && room < base.size() && (static_cast<unsigned char>(base[room]) & 0xC0) == 0x80) --room;
    std::string name = base.substr(0, room) + suffix;
    if (!taken.contains(name)) return name;
  }
}

std::string IndexSpec::sql(std::string_view index_name, std::string_view words) const {
  return fmt::format("create {} {} on {}{} ({}){}{}", words, identifier(index_name), on,
                     method == "btree" ? "" : " using " + method, fmt::join(keys, ", "),
                     include.empty() ? "" : fmt::format(" include ({})", fmt::join(include, ", ")),
                     predicate.empty() ? "" : " where " + predicate);
}

}  // namespace ashlar::pg::detail
