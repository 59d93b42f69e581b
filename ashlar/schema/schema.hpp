// All of the schema module.
#pragma once

#include <ashlar/schema/annotated.hpp>   // IWYU pragma: export
#include <ashlar/schema/json.hpp>        // IWYU pragma: export
#include <ashlar/schema/json_value.hpp>  // IWYU pragma: export
#include <ashlar/schema/options.hpp>     // IWYU pragma: export
#include <ashlar/schema/patch.hpp>       // IWYU pragma: export
