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

/// The member `security` of an operation; nothing when it requires none.
void write_security(JsonWriter& out, const OperationInfo& info);

/// The member `securitySchemes` of the components: those that the operations name, as the program describes them.
void write_security_schemes(JsonWriter& out, std::span<const OperationInfo* const> operations,
                            const std::map<std::string, SecurityScheme>& described);

/// What the operations and the descriptions of the schemes have to say of each other and do not: a description that no
/// operation uses, a scope that no flow has. Each names its route.
[[nodiscard]] std::vector<std::string> security_problems(
    std::span<const std::pair<std::string, const OperationInfo*>> operations,
    const std::map<std::string, SecurityScheme>& described);

}  // namespace ashlar::detail
