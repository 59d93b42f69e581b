// All of the pg module that programs use.
#pragma once

#include <ashlar/pg/copy.hpp>            // IWYU pragma: export
#include <ashlar/pg/db.hpp>              // IWYU pragma: export
#include <ashlar/pg/error.hpp>           // IWYU pragma: export
#include <ashlar/pg/private_server.hpp>  // IWYU pragma: export
#include <ashlar/pg/query.hpp>           // IWYU pragma: export
#include <ashlar/pg/transaction.hpp>     // IWYU pragma: export
#include <ashlar/pg/values.hpp>          // IWYU pragma: export
