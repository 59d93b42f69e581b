// What most sources of pg include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include "standard.hpp"

#include <fmt/format.h>

#include <ashlar/pg/db.hpp>
