// What services include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include "standard.hpp"

#include <ashlar/ashlar.hpp>
