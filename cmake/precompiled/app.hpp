// What most sources of app include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include "standard.hpp"

#include <fmt/format.h>

#include <ashlar/app/app.hpp>
