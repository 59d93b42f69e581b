#include <ashlar/pg/detail/accesses.hpp>

#include <algorithm>
#include <array>

#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg::detail {
namespace {

void append(std::vector<Condition>& to, std::vector<Condition> more) {
  for (Condition& one : more) to.push_back(std::move(one));
}

class Walk {
 public:
  Walk(const Catalog& catalog, std::vector<Access>& out) : catalog_(catalog), out_(out) {}

  struct Above {
    std::vector<SortKey> sort;
    bool limited = false;
    bool sort_limited = false;
  };

  void node(const PlanNode& node, Above above) {
    if (node.type == "Limit") {
      above.limited = true;
    } else if (node.type == "Sort" || node.type == "Incremental Sort") {
      above.sort.clear();
      for (const std::string& key : node.sort_keys) above.sort.push_back(sort_key_of(key));
      above.sort_limited = above.limited;
    } else if (node.type != "Nested Loop" && node.type != "Hash Join" && node.type != "Merge Join" &&
               node.relation.empty() && node.type != "LockRows" && node.type != "Result") {
      above = {};  // an aggregate, a set operation: what is sorted above is not the table's rows
    }
    joins(node);
    if (!node.relation.empty() && node.type != "ModifyTable") {
      if (const CatalogTable* table = catalog_.find(node.schema, node.relation)) access(node, *table, above);
    }
    // Only the outer side of a join keeps its order.
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      if (node.children[i].type == "Bitmap Index Scan" || node.children[i].type == "BitmapAnd" ||
          node.children[i].type == "BitmapOr")
        continue;
      this->node(node.children[i], above);
    }
  }

  void finish() {
    for (const Condition& join : joins_) {
      for (const Condition& side : {join, join.turned()}) {
        for (Access& access : out_) {
          if (access.alias == side.alias && !side.column.empty()) access.joins.push_back(side);
        }
      }
    }
    for (Access& access : out_) {
      // What a scan on the inner side of a nested loop filters by the outer row.
      std::erase_if(access.unserved, [&](const Condition& condition) {
        if (!condition.is_join()) return false;
        if (condition.kind == Condition::Kind::equal && condition.alias == access.alias)
          access.joins.push_back(condition);
        if (condition.kind == Condition::Kind::equal && condition.other_alias == access.alias)
          access.joins.push_back(condition.turned());
        return true;
      });
    }
  }

 private:
  void joins(const PlanNode& node) {
    for (const std::string* text : {&node.join_condition, &node.join_filter}) {
      for (Condition& condition : conditions_of(*text)) {
        if (condition.is_join() && condition.kind == Condition::Kind::equal) joins_.push_back(std::move(condition));
      }
    }
  }

  void bitmap(const PlanNode& node, Access& access) {
    for (const PlanNode& child : node.children) {
      if (child.type == "Bitmap Index Scan") {
        access.indexes.push_back(child.index);
        append(access.served, conditions_of(child.index_condition));
      } else if (child.type == "BitmapAnd" || child.type == "BitmapOr") {
        bitmap(child, access);
      }
    }
  }

  void access(const PlanNode& node, const CatalogTable& table, const Above& above) {
    Access access;
    access.table = &table;
    access.alias = node.alias;
    access.rows = node.rows;
    append(access.unserved, conditions_of(node.filter));
    if (node.is_index()) {
      access.indexes.push_back(node.index);
      append(access.served, conditions_of(node.index_condition));
      access.how = access.served.empty() ? Access::How::walk : Access::How::index;
    } else if (node.type == "Bitmap Heap Scan") {
      bitmap(node, access);
      const auto partial = [&](const std::string& name) { return is_partial(table, name); };
      access.how = access.served.empty() && !std::ranges::any_of(access.indexes, partial) ? Access::How::walk
                                                                                          : Access::How::index;
    } else if (node.type == "Tid Scan" || node.type == "Tid Range Scan") {
      access.how = Access::How::index;
    }
    if (access.how == Access::How::walk && is_partial(table, node.index)) access.how = Access::How::index;
    const bool ours = !above.sort.empty() && std::ranges::all_of(above.sort, [&](const SortKey& key) {
      return key.alias == node.alias && !key.column.empty();
    });
    if (ours) {
      access.sort = above.sort;
      access.limited = above.sort_limited;
    }
    out_.push_back(std::move(access));
  }

  static bool is_partial(const CatalogTable& table, const std::string& name) {
    return std::ranges::any_of(
        table.indexes, [&](const CatalogIndex& index) { return index.name == name && !index.predicate.empty(); });
  }

  const Catalog& catalog_;
  std::vector<Access>& out_;
  std::vector<Condition> joins_;
};

// https://www.postgresql.org/docs/current/ddl-system-columns.html
constexpr auto kSystemColumns = std::to_array<std::string_view>({"ctid", "tableoid", "xmin", "cmin", "xmax", "cmax"});

/// A scan often hands up whole rows, because that is cheaper than to pick columns: what is needed, those above name.
std::optional<std::set<std::string>> columns_needed(const PlanNode& root, const Access& access) {
  std::optional out = std::set<std::string>{};
  const auto look = [&](const std::string& text) {
    const auto columns = columns_of(text, access.alias);
    if (!columns) out.reset();
    for (std::size_t i = 0; out && i < columns->size(); ++i) {
      const std::string& name = (*columns)[i];
      if (access.table->columns.contains(name)) {
        out->insert(name);
      } else if (std::ranges::find(kSystemColumns, name) != kSystemColumns.end()) {
        out.reset();  // of a row that is locked or changed, for one
      }
    }
  };
  for_each_node(root, [&](const PlanNode& node) {
    for (const std::string* text : {&node.filter, &node.index_condition, &node.join_condition, &node.join_filter}) {
      if (out) look(*text);
    }
    if (node.alias == access.alias && &node != &root) return;
    for (const std::vector<std::string>* texts : {&node.output, &node.sort_keys}) {
      for (const std::string& text : *texts) {
        if (out) look(text);
      }
    }
  });
  return out;
}

}  // namespace

std::string_view to_string(Access::How how) noexcept {
  switch (how) {
    case Access::How::index:
      return "index";
    case Access::How::walk:
      return "whole index";
    case Access::How::sequential:
      return "whole table";
  }
  return "?";
}

TableRead Access::summary() const {
  TableRead out{.table = table->qualified(), .alias = alias, .how = std::string(to_string(how)), .indexes = indexes};
  for (const Condition& condition : served) out.served.push_back(condition.text);
  for (const Condition& condition : unserved) out.filtered.push_back(condition.text);
  std::ranges::sort(out.served);
  std::ranges::sort(out.filtered);
  return out;
}

std::vector<Access> accesses_of(const Plan& plan, const Catalog& catalog) {
  std::vector<Access> out;
  Walk walk(catalog, out);
  walk.node(plan.root, {});
  walk.finish();
  for (Access& access : out) access.columns = columns_needed(plan.root, access);
  return out;
}

std::vector<const CatalogTable*> written_by(const Plan& plan, const Catalog& catalog) {
  std::vector<const CatalogTable*> out;
  for_each_node(plan.root, [&](const PlanNode& node) {
    if (node.type != "ModifyTable") return;
    const CatalogTable* const table = catalog.find(node.schema, node.relation);
    if (table != nullptr && std::ranges::find(out, table) == out.end()) out.push_back(table);
  });
  return out;
}

std::set<std::string> columns_set_by(std::string_view sql) {
  std::set<std::string> out;
  const auto tokens = sql_tokens(sql);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!tokens[i].is("set")) continue;
    const std::uint32_t depth = tokens[i].depth;
    bool begins = true;  // a column or (columns), before its =
    for (std::size_t at = i + 1; at < tokens.size() && tokens[at].depth >= depth; ++at) {
      const SqlToken& token = tokens[at];
      if (token.depth == depth && (token.is("where") || token.is("from") || token.is("returning"))) break;
      if (begins && token.is_name()) out.insert(name_of(token));
      if (token.depth == depth && token.text == "=") begins = false;
      if (token.depth == depth && token.kind == SqlToken::Kind::comma) begins = true;
    }
  }
  return out;
}

}  // namespace ashlar::pg::detail
