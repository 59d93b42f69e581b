// What fuzz() knows about a service: its operations as the OpenAPI document describes them, with the routes behind
// them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::detail {

using schema::SchemaNode;
using schema::Tree;

enum class FuzzPlace : std::uint8_t { path, query, header, cookie, form };

struct FuzzParameter {
  std::string name;
  FuzzPlace in = FuzzPlace::query;
  bool required = false;
  const SchemaNode* node = nullptr;
  const schema::TypeInfo* type = nullptr;  // null: of a model, or not known
  bool is_file = false;                    // of a form
  /// Where a value for a parameter of the path comes from: the answer of another operation.
  struct Source {
    std::size_t operation;
    std::vector<std::string> members;  // "article", "slug"
  };
  std::vector<Source> sources;  // the best first
};

struct FuzzBody {
  std::string media_type;
  const SchemaNode* node = nullptr;  // null: any bytes
  const schema::TypeInfo* type = nullptr;
  bool required = false;
};

/// A value that a request takes.
struct FuzzField {
  std::optional<std::size_t> parameter;  // nullopt: a member of the body
  std::vector<std::string> members;      // "user", "email"
};

/// Values that another operation was given, for places of the same name.
struct FuzzReuse {
  std::size_t operation;
  std::vector<std::pair<FuzzField, FuzzField>> fields;  // there, and here
};

/// Where the answer of an operation holds credentials for others.
struct FuzzGrant {
  SecurityInfo scheme;
  std::vector<std::string> members;  // empty: it is the cookie of the scheme's name
};

struct FuzzOperation {
  Core* core = nullptr;
  const Route* route = nullptr;
  http::Method method = http::Method::get;
  std::string name;                       // "GET /articles/{slug}"
  std::string id;                         // operationId
  std::string prefix;                     // of the mounted application
  std::string host;                       // of the application; empty: any
  std::string path;                       // the pattern, with the prefix
  std::vector<FuzzParameter> parameters;  // those of the path first, in its order
  std::size_t path_parameters = 0;
  std::optional<FuzzBody> body;
  bool has_form = false;
  bool has_files = false;
  std::map<int, std::map<std::string, const SchemaNode*>> answers;  // by status and media type; null: any body
  std::map<std::string, const SchemaNode*> other_answers;           // `default`
  OperationInfo info;
  std::vector<FuzzReuse> reuses;  // the best first
  std::vector<FuzzGrant> grants;  // of one that wants no credentials itself
  bool excluded = false;          // never sent, as a part of a chain neither
  bool secured = false;           // credentials must be there
  bool closed = false;            // and there are none
  std::uint32_t methods = 0;      // of the same path, a bit each
};

class FuzzService {
 public:
  explicit FuzzService(App& app);

  std::vector<FuzzOperation> operations;
  std::vector<std::string> notes;
  bool has_others = false;  // more than one account is logged in

  /// The operation with this method at the same path; null: none.
  [[nodiscard]] const FuzzOperation* at_same_path(const FuzzOperation& operation, http::Method method) const;

 private:
  void add(Core& core, const std::string& prefix, const std::string& host);
  void read(schema::SchemaDocument& document, const Tree& description, FuzzOperation& operation);
  /// Which answers hold what a path needs.
  void link();
  /// Which requests hold what others take again, and which answers hold credentials: a log-in is the one that does
  /// both.
  void link_values();

  std::vector<std::unique_ptr<schema::SchemaDocument>> documents_;
};

/// The media type of a Content-Type, in lower case and without parameters.
std::string media_type_of(std::string_view content_type);

}  // namespace ashlar::detail
