// What an error looks like that no error format of the application has changed, as a type.
#pragma once

#include <ashlar/schema/type_info.hpp>

namespace ashlar::detail {

[[nodiscard]] const schema::TypeInfo& problem_type() noexcept;

}  // namespace ashlar::detail
