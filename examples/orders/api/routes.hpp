// HTTP: paths, what travels, and ETags. Calls the use cases, and knows neither the database nor the rules.
#pragma once

#include <ashlar/app/app.hpp>

namespace orders::api {

/// Needs an application::OrderService.
void add_routes(ashlar::App& app);

}  // namespace orders::api
