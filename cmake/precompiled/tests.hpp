// What most tests include, read once: see AshlarPrecompiled.cmake.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "standard.hpp"
