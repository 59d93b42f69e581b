# GoogleTest and the standard headers, precompiled for the tests: they are half of what a test costs to compile. Linking
# ashlar_tests brings them. Only tests: the library proves at each build that its headers include what they need.
#
# Not target_precompile_headers: one file serves all tests, its path is relative to the build folder, and ccache gets a
# checksum of what went in, so that objects are shared between clones.
add_library(ashlar_tests INTERFACE)
target_link_libraries(ashlar_tests INTERFACE GTest::gmock GTest::gtest_main)

string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
get_directory_property(options COMPILE_OPTIONS)  # sanitizers
list(APPEND flags ${options} ${ASHLAR_LANGUAGE} -fPIE -DGTEST_HAS_PTHREAD=1 -x c++-header -Xclang -fno-pch-timestamp)

set(folder "${CMAKE_CURRENT_LIST_DIR}/precompiled")
set(file precompiled/tests.pch)
file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/precompiled")
add_custom_command(
  OUTPUT ${file} ${file}.sum
  COMMAND ${CMAKE_CXX_COMPILER} ${flags} "${folder}/tests.hpp" -MD -MF ${file}.d -MT ${file} -o ${file}
  COMMAND "${folder}/checksum" ${file}.sum ${CMAKE_CXX_COMPILER} ${flags} "${folder}/tests.hpp"
  DEPENDS "${folder}/tests.hpp" "${folder}/checksum"
  DEPFILE ${file}.d
  COMMENT "Precompiling ${file}" VERBATIM)
add_custom_target(ashlar_precompiled_tests DEPENDS ${file})
target_compile_options(ashlar_tests INTERFACE "SHELL:-include-pch ${file}")
add_dependencies(ashlar_tests ashlar_precompiled_tests)
