# ashlar_module(NAME [USES module...] [LINKS library...] [LINKS_PRIVATE library...]
#               [TEST_USES module...] [TEST_LINKS library...] [TEST_SHARDS count])
#
# Makes the library ashlar::NAME from every *.cpp of the current folder and its detail/, and NAME_test from every
# *_test.cpp beside them, and with ASHLAR_BUILD_BENCHMARKS one program from each *_benchmark.cpp. USES names the modules
# below that it may include; tests may use TEST_USES too.
include(GoogleTest)

# ashlar_add_tests(PROGRAM PREFIX [SHARDS count]): ctest entries of a GoogleTest program. One an entry, each in a process of
# its own; with SHARDS, that many processes, for programs whose tests share something that takes long to start.
function(ashlar_add_tests program prefix)
  cmake_parse_arguments(arg "" "SHARDS" "" ${ARGN})
  if(NOT arg_SHARDS)
    gtest_discover_tests(${program} TEST_PREFIX "${prefix}/" NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60 PROPERTIES TIMEOUT 120)
    return()
  endif()
  math(EXPR last "${arg_SHARDS} - 1")
  foreach(shard RANGE ${last})
    math(EXPR number "${shard} + 1")
    set(test "${prefix}/${number}-of-${arg_SHARDS}")
    add_test(NAME ${test} COMMAND ${program} --gtest_brief=1)
    set_tests_properties(${test} PROPERTIES TIMEOUT 600
                         ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()

function(ashlar_module name)
  cmake_parse_arguments(arg "" "TEST_SHARDS" "USES;LINKS;LINKS_PRIVATE;TEST_USES;TEST_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp detail/*.cpp)
  set(tests ${sources})
  set(benchmarks ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|benchmark|fuzz)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER benchmarks INCLUDE REGEX "_benchmark\\.cpp$")

  if(sources)
    add_library(ashlar_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(ashlar_${name} PRIVATE $<BUILD_INTERFACE:ashlar_options> ${arg_LINKS_PRIVATE})
  else()
    add_library(ashlar_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(ashlar::${name} ALIAS ashlar_${name})
  set_target_properties(ashlar_${name} PROPERTIES EXPORT_NAME ${name})
  set_property(GLOBAL APPEND PROPERTY ASHLAR_MODULES ${name})
  target_compile_options(ashlar_${name} ${scope} ${ASHLAR_LANGUAGE})
  target_include_directories(ashlar_${name} ${scope}
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
  foreach(use ${arg_USES})
    target_link_libraries(ashlar_${name} ${scope} ashlar::${use})
  endforeach()
  target_link_libraries(ashlar_${name} ${scope} ${arg_LINKS})

  if(ASHLAR_BUILD_TESTS AND tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ashlar_options ashlar::${name} ${arg_TEST_LINKS} GTest::gmock GTest::gtest_main)
    foreach(use ${arg_TEST_USES})
      target_link_libraries(${name}_test PRIVATE ashlar::${use})
    endforeach()
    ashlar_add_tests(${name}_test ${name} SHARDS ${arg_TEST_SHARDS})
  endif()

  if(ASHLAR_BUILD_BENCHMARKS)
    foreach(benchmark ${benchmarks})
      cmake_path(GET benchmark STEM program)
      add_executable(${program} ${benchmark})
      target_link_libraries(${program} PRIVATE ashlar_options ashlar::${name})
      set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/benchmarks")
    endforeach()
  endif()
endfunction()
