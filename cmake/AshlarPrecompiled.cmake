# The standard headers, GoogleTest's and the framework's, precompiled: they are half of what a source costs to compile.
# Linking one of these gives a target the headers of precompiled/:
#   ashlar_standard        sources of the library, and programs
#   ashlar_tests           GoogleTest, and tests
#   ashlar_service_tests   GoogleTest, and tests that start an application
# That each source includes what it needs itself is proven all the same: tests/repository/includes.py reads it.
#
# Not target_precompile_headers: one file serves all targets of a kind, its path is relative to the build folder, and ccache
# gets a checksum of what went in, so that objects are shared between clones.
function(ashlar_precompile target)  # HEADER file [FLAGS flag...] [LINKS library...]
  cmake_parse_arguments(arg "" "HEADER" "FLAGS;LINKS" ${ARGN})
  set(folder "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/precompiled")
  set(header "${folder}/${arg_HEADER}")
  cmake_path(GET arg_HEADER STEM name)
  set(file precompiled/${name}.pch)
  # Compilers run in the outermost build folder, which is another one in a project that builds Ashlar along.
  cmake_path(RELATIVE_PATH PROJECT_BINARY_DIR BASE_DIRECTORY "${CMAKE_BINARY_DIR}" OUTPUT_VARIABLE from_outermost)
  cmake_path(APPEND from_outermost ${file} OUTPUT_VARIABLE included)
  cmake_path(NORMAL_PATH included)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${build_type}}")
  get_directory_property(options COMPILE_OPTIONS)  # sanitizers
  list(APPEND flags ${options} ${ASHLAR_LANGUAGE} -fPIC ${arg_FLAGS}
       -x c++-header -Xclang -fno-pch-timestamp -fpch-instantiate-templates)
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/precompiled")
  add_custom_command(
    OUTPUT ${file} ${file}.sum
    COMMAND ${CMAKE_CXX_COMPILER} ${flags} "${header}" -MD -MF ${file}.d -MT ${file} -o ${file}
    COMMAND "${folder}/checksum" ${file}.sum ${CMAKE_CXX_COMPILER} ${flags} "${header}"
    DEPENDS "${header}" "${folder}/checksum"
    DEPFILE ${file}.d
    WORKING_DIRECTORY "${PROJECT_BINARY_DIR}"
    COMMENT "Precompiling ${file}" VERBATIM)
  add_custom_target(ashlar_precompiled_${name} DEPENDS ${file})
  add_library(${target} INTERFACE)
  # -fPIC for programs too: a precompiled header serves one kind of code.
  target_compile_options(${target} INTERFACE -fPIC "SHELL:-include-pch ${included}")
  target_link_libraries(${target} INTERFACE ${arg_LINKS})
  add_dependencies(${target} ashlar_precompiled_${name})
endfunction()

ashlar_precompile(ashlar_standard HEADER standard.hpp)
if(ASHLAR_BUILD_TESTS)
  ashlar_precompile(ashlar_tests HEADER tests.hpp FLAGS -DGTEST_HAS_PTHREAD=1 LINKS GTest::gmock GTest::gtest_main)
  ashlar_precompile(ashlar_service_tests HEADER service_tests.hpp
                    FLAGS -DGTEST_HAS_PTHREAD=1 -DFMT_SHARED -DSIMDJSON_THREADS_ENABLED=1 -I${PROJECT_SOURCE_DIR}
                    LINKS GTest::gmock GTest::gtest_main)
endif()
