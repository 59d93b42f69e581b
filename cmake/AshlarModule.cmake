# ashlar_module(NAME [USES module...] [LINKS library...] [LINKS_PRIVATE library...])
#
# Makes the library ashlar::NAME from every *.cpp of the current folder and its detail/, and NAME_test from every
# *_test.cpp beside them, and with ASHLAR_BUILD_BENCHMARKS one program from each *_benchmark.cpp. USES names the modules
# below that it may include; tests may use TEST_USES too.
include(GoogleTest)

function(ashlar_module name)
  cmake_parse_arguments(arg "" "" "USES;LINKS;LINKS_PRIVATE;TEST_USES;TEST_LINKS" ${ARGN})
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
  target_compile_features(ashlar_${name} ${scope} cxx_std_23)
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
    gtest_discover_tests(${name}_test TEST_PREFIX "${name}/" NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
                         PROPERTIES TIMEOUT 120)
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
