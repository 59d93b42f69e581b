// What tests that start an application include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include "tests.hpp"

#include <ashlar/ashlar.hpp>
#include <ashlar/testing/client.hpp>
