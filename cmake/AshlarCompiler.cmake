# One language level and one set of warnings for the whole tree.
# The code is C++23. It is compiled as C++26 where Clang has it, for one thing: static_assert messages that name the route and
# the parameter (P2741). By option, because CMake 3.25 does not know the name; a program that sets C++23 gets plain messages.
set(ASHLAR_LANGUAGE -std=c++26)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang" OR CMAKE_CXX_COMPILER_VERSION VERSION_LESS 19)
  message(FATAL_ERROR
    "Ashlar is built and tested with Clang 19; this is ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}.\n"
    "Install clang-19 and configure with a preset (cmake --preset dev) or -DCMAKE_CXX_COMPILER=clang++-19.")
endif()

set(ASHLAR_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, for example address,undefined")
option(ASHLAR_COVERAGE "Instrument for llvm-cov" OFF)
option(ASHLAR_FUZZ "Instrument for libFuzzer, and link the *_fuzz programs with it" OFF)

add_library(ashlar_options INTERFACE)
target_compile_options(ashlar_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Wno-missing-field-initializers -Wno-missing-designated-field-initializers)
if(ASHLAR_SANITIZE)
  add_compile_options(-fsanitize=${ASHLAR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ASHLAR_SANITIZE})
endif()
if(ASHLAR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(ASHLAR_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

find_program(ASHLAR_LLD ld.lld-19)
if(ASHLAR_LLD)
  add_link_options(-fuse-ld=${ASHLAR_LLD})
endif()
find_program(ASHLAR_CCACHE ccache)
if(ASHLAR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # It must be told that precompiled headers may be trusted. A script named ccache, because clang's tools look through that name.
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/ccache" @ONLY CONTENT [[#!/bin/sh
CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_PCH_EXTSUM=1 exec @ASHLAR_CCACHE@ "$@"
]])
  file(CHMOD "${PROJECT_BINARY_DIR}/ccache" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${PROJECT_BINARY_DIR}/ccache")
endif()
