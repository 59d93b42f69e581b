// What tests that speak to a database include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include "tests.hpp"

#include <ashlar/pg/db.hpp>
