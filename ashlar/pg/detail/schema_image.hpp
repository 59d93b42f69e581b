// What a database is made of: tables, types, constraints, indexes, views, functions, triggers, by their definitions as
// PostgreSQL prints them; and the difference between two.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/async/task.hpp>
#include <ashlar/pg/connection.hpp>
#include <ashlar/pg/drift.hpp>

namespace ashlar::pg::detail {

struct ImageColumn {
  std::string name;  ///< with quotes where it needs them
  std::string type;  ///< "character varying(20)"
  bool not_null = false;
  std::string default_value;  ///< SQL; the expression of a generated one
  std::string identity;       ///< always, by default; empty: none
  bool generated = false;
  std::string collation;  ///< when it is not the type's
  std::uint32_t type_id = 0;
};

struct ImageTable {
  std::vector<ImageColumn> columns;
  std::string partition_key;  ///< "RANGE (day)"
  bool row_security = false, row_security_forced = false, unlogged = false;

  [[nodiscard]] const ImageColumn* find(std::string_view column) const noexcept;
};

/// Anything else that has a name and a definition.
struct ImageItem {
  std::string table;       ///< that it belongs to; empty: none
  std::string definition;  ///< what is compared
  std::string create;      ///< SQL without the semicolon; empty: it cannot be made by itself
  std::string drop;
  bool valid = true;  ///< of an index; of a constraint: the rows have been looked at
};

/// In the order in which they can be made.
enum class ImageKind : std::uint8_t {
  extension,
  schema,
  domain,
  composite,
  sequence,
  function,
  constraint,
  index,
  view,
  trigger,
  policy
};
[[nodiscard]] std::string_view to_string(ImageKind kind) noexcept;

/// Names have their schema in front where it is not public, and quotes where they need them.
struct Image {
  std::map<std::string, ImageTable> tables;
  std::map<std::string, std::vector<std::string>> enums;
  std::map<std::pair<ImageKind, std::string>, ImageItem> items;  ///< of a table: "table.name"
};

/// Objects of extensions, partitions (their parent stands for them), and the record of migrations are left out. Sets
/// the session's search_path.
[[nodiscard]] Task<Image> load_image(Connection& connection);

/// "name text not null default 'x'", as in `create table`.
[[nodiscard]] std::string column_sql(const ImageColumn& column);

/// What makes `live` like `wanted`, in an order that works.
[[nodiscard]] std::vector<SchemaDifference> compare_images(const Image& live, const Image& wanted);

}  // namespace ashlar::pg::detail
