// The HTTP side of the service: the operations of the contract, and what errors look like.
#pragma once

#include <ashlar/app/app.hpp>

namespace conduit {

/// Adds the operations and what they need, which in turn needs pg::Db, auth::Passwords and auth::Tokens to be provided.
void add_conduit(ashlar::App& app);
/// Makes every error of the application one of the contract's.
void add_error_format(ashlar::App& app);

}  // namespace conduit
