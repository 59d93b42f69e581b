// The security of an OpenAPI document: what each operation requires, and what the schemes are.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/description.hpp>
#include <ashlar/app/detail/openapi_writer.hpp>

namespace ashlar::detail {

/// The name of a component: only letters, digits, '.', '-' and '_'.
[[nodiscard]] std::string component_key(std::string_view text);

/// Where the schemes of all operations are in the components.
class SecurityKeys {
 public:
  /// Keys of one name in several places (a header, the query, a cookie) are several schemes: the first of them has the
  /// name, the others have their place behind it. Once for each operation, in their order, before anything is written.
  void add(const OperationInfo& info);

  /// The member `security` of an operation; nothing when it requires none. Of credentials that may be missing there is
  /// any choice.
  void write_security(JsonWriter& out, const OperationInfo& info) const;
  /// The member `securitySchemes` of the components, as the program describes them.
  void write_schemes(JsonWriter& out, const std::map<std::string, SecurityScheme>& described) const;

 private:
  [[nodiscard]] const std::string& key_of(const SecurityInfo& scheme) const;
  void write_requirement(JsonWriter& out, const std::vector<SecurityInfo>& schemes) const;

  std::map<std::string, SecurityInfo> schemes_;
};

/// What the operations and the descriptions of the schemes have to say of each other and do not: a description that no
/// operation uses, a scope that no flow has. Each names its route.
[[nodiscard]] std::vector<std::string> security_problems(
    std::span<const std::pair<std::string, const OperationInfo*>> operations,
    const std::map<std::string, SecurityScheme>& described);

}  // namespace ashlar::detail
