# ashlar_module(NAME [USES module...] [LINKS library...] [LINKS_PRIVATE library...]
#               [TEST_USES module...] [TEST_LINKS library...] [TEST_SHARDS count]
#               [PRECOMPILED target] [TEST_PRECOMPILED target])
#
# Makes the library ashlar::NAME from every *.cpp of the current folder and its detail/, and NAME_test from every
# *_test.cpp beside them, one program from each *_fuzz.cpp, and with ASHLAR_BUILD_BENCHMARKS one from each *_benchmark.cpp.
# USES names the modules below that it may include; tests may use TEST_USES too. PRECOMPILED: the target of
# AshlarPrecompiled.cmake whose headers most sources include.
include(GoogleTest)

# ashlar_add_tests(PROGRAM PREFIX [SHARDS count]): ctest entries of a GoogleTest program. One an entry, each in a process of
# its own; with SHARDS, that many processes, for programs whose tests share something that takes long to start. They begin
# early, by their COST: what takes long must not be the last.
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
    set_tests_properties(${test} PROPERTIES TIMEOUT 600 COST 60
                         ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${shard}")
  endforeach()
endfunction()

# ashlar_add_fuzzer(SOURCE MODULE): the program NAME_fuzz from NAME_fuzz.cpp, with seeds in fuzz_corpus/NAME/ and, where there
# is one, a dictionary in fuzz_corpus/NAME.dict. With ASHLAR_FUZZ libFuzzer drives it (./x fuzz); else tests/fuzz/standalone.cpp
# does, and a short run over the seeds is a test.
function(ashlar_add_fuzzer source module)
  cmake_path(GET source STEM program)
  string(REGEX REPLACE "_fuzz$" "" target ${program})
  add_executable(${program} ${source})
  target_link_libraries(${program} PRIVATE ashlar_options ashlar_standard ashlar::${module})
  if(ASHLAR_FUZZ)
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/fuzz")
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
    return()
  endif()
  if(NOT TARGET ashlar_fuzz_standalone)
    add_library(ashlar_fuzz_standalone OBJECT "${PROJECT_SOURCE_DIR}/tests/fuzz/standalone.cpp")
    target_compile_options(ashlar_fuzz_standalone PRIVATE ${ASHLAR_LANGUAGE})
    target_link_libraries(ashlar_fuzz_standalone PRIVATE ashlar_options)
  endif()
  target_link_libraries(${program} PRIVATE ashlar_fuzz_standalone)
  add_test(NAME ${module}/${program} COMMAND ${program} "${CMAKE_CURRENT_SOURCE_DIR}/fuzz_corpus/${target}")
  set_tests_properties(${module}/${program} PROPERTIES TIMEOUT 120)
endfunction()

function(ashlar_module name)
  cmake_parse_arguments(arg "" "TEST_SHARDS;PRECOMPILED;TEST_PRECOMPILED" "USES;LINKS;LINKS_PRIVATE;TEST_USES;TEST_LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS *.cpp detail/*.cpp)
  set(tests ${sources})
  set(fuzzers ${sources})
  set(benchmarks ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|benchmark|fuzz)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cpp$")
  list(FILTER benchmarks INCLUDE REGEX "_benchmark\\.cpp$")

  if(sources)
    add_library(ashlar_${name} STATIC ${sources})
    set(scope PUBLIC)
    if(NOT arg_PRECOMPILED)
      set(arg_PRECOMPILED ashlar_standard)
    endif()
    target_link_libraries(ashlar_${name} PRIVATE $<BUILD_INTERFACE:ashlar_options> $<BUILD_INTERFACE:${arg_PRECOMPILED}>
                          ${arg_LINKS_PRIVATE})
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
    if(NOT arg_TEST_PRECOMPILED)
      set(arg_TEST_PRECOMPILED ashlar_tests)
    endif()
    target_link_libraries(${name}_test PRIVATE ashlar_options ashlar::${name} ${arg_TEST_LINKS} ${arg_TEST_PRECOMPILED})
    foreach(use ${arg_TEST_USES})
      target_link_libraries(${name}_test PRIVATE ashlar::${use})
    endforeach()
    ashlar_add_tests(${name}_test ${name} SHARDS ${arg_TEST_SHARDS})
  endif()

  if(ASHLAR_BUILD_TESTS)
    foreach(fuzzer ${fuzzers})
      ashlar_add_fuzzer(${fuzzer} ${name})
    endforeach()
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
