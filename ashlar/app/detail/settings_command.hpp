// What a program tells about its settings: the command `settings`, and variables that nobody reads.
#pragma once

#include <ashlar/app/serve.hpp>

namespace ashlar::detail {

class Core;
struct ServeSettingsOrigins;

/// Every setting with its value, secrets hidden, and where it came from. Gives the exit code.
int print_settings(Core& core, const ServeSettings& settings, const ServeSettingsOrigins& origins);

/// A line in the log for each variable that has a prefix of ours and is no setting: it was meant to be one.
void warn_of_unknown_variables(Core& core);

}  // namespace ashlar::detail
