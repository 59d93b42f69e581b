// The secret that a program signs with: set where it is deployed, made by itself on a developer's machine.
#pragma once

#include <filesystem>
#include <string>

#include <ashlar/base/secret.hpp>

namespace ashlar::auth {

// The environment variable `variable`, else what the file holds that `variable`_FILE names, as Docker and Kubernetes
// hand out secrets, without the line breaks at its end. When neither is set: 32 random bytes in base64url, made once
// and kept in `folder`/`variable`, readable by nobody else, so that tokens outlive a restart; a warning in the log says
// so when it is made. `folder` empty: ASHLAR_DATA_DIR, or .ashlar. Several programs that start at once agree on one.
// Throws Invalid when the variable is set to nothing, or …_FILE to a file that is empty or cannot be read; Internal
// when the file of its own cannot be made or read.
[[nodiscard]] Secret<> local_secret(const std::string& variable, std::filesystem::path folder = {});

}  // namespace ashlar::auth
