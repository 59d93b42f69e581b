# The standard headers, GoogleTest's and the framework's, precompiled: they are half of what a source costs to compile.
# Linking one of these gives a target the headers of precompiled/:
#   ashlar_standard        sources of the library, and small programs
#   ashlar_pg_headers      sources of pg
#   ashlar_app_headers     sources of app
#   ashlar_services        programs that are services
#   ashlar_tests           GoogleTest, and tests
#   ashlar_pg_tests        GoogleTest, and tests that speak to a database
#   ashlar_service_tests   GoogleTest, and tests that start an application
# That each source includes what it needs itself is proven all the same: tests/repository/includes.py reads it for standard
# headers, and ./x lint, which does without precompiled ones, for ours.
#
# Not target_precompile_headers: one file serves all targets of a kind, its path is relative to the build folder, and ccache
# gets a checksum of what went in, so that objects are shared between clones.
#
# OBJECT: the inline functions and the templates that the headers use are compiled once, to an object that every program
# gets, and not in every source: a third of the time of a small test. For programs only: a library would have to ship it.
function(ashlar_precompile target)  # HEADER file [OBJECT] [FLAGS flag...] [LINKS library...]
  cmake_parse_arguments(arg "OBJECT" "HEADER" "FLAGS;LINKS" ${ARGN})
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
  list(APPEND flags ${options} ${ASHLAR_LANGUAGE} -fPIC)
  set(header_flags ${flags} ${arg_FLAGS} -x c++-header -Xclang -fno-pch-timestamp -fpch-instantiate-templates)
  if(arg_OBJECT)
    list(APPEND header_flags -fpch-codegen)
  endif()
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/precompiled")
  add_custom_command(
    OUTPUT ${file} ${file}.sum
    COMMAND ${CMAKE_CXX_COMPILER} ${header_flags} "${header}" -MD -MF ${file}.d -MT ${file} -o ${file}
    COMMAND "${folder}/checksum" ${file}.sum ${CMAKE_CXX_COMPILER} ${header_flags} "${header}"
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
  if(arg_OBJECT)
    set(object precompiled/${name}.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${CMAKE_CXX_COMPILER} ${flags} -ffunction-sections -c ${file} -o ${object}
      DEPENDS ${file}
      WORKING_DIRECTORY "${PROJECT_BINARY_DIR}"
      COMMENT "Compiling what is inline in ${file}" VERBATIM)
    add_custom_target(ashlar_precompiled_${name}_object DEPENDS ${object})
    add_dependencies(${target} ashlar_precompiled_${name}_object)
    # What nothing calls is left out: some of it calls functions that libstdc++ and GoogleTest keep to themselves.
    target_link_libraries(${target} INTERFACE "${PROJECT_BINARY_DIR}/${object}" -Wl,--gc-sections)
  endif()
endfunction()

ashlar_precompile(ashlar_standard HEADER standard.hpp)
set(framework -DFMT_SHARED -DSIMDJSON_THREADS_ENABLED=1 -I${PROJECT_SOURCE_DIR})
ashlar_precompile(ashlar_pg_headers HEADER pg.hpp FLAGS ${framework})
ashlar_precompile(ashlar_app_headers HEADER app.hpp FLAGS ${framework})
ashlar_precompile(ashlar_services HEADER services.hpp FLAGS ${framework})
if(ASHLAR_BUILD_TESTS)
  ashlar_precompile(ashlar_tests HEADER tests.hpp FLAGS -DGTEST_HAS_PTHREAD=1 LINKS GTest::gmock GTest::gtest_main)
  ashlar_precompile(ashlar_pg_tests HEADER pg_tests.hpp OBJECT FLAGS -DGTEST_HAS_PTHREAD=1 ${framework}
                    LINKS GTest::gmock GTest::gtest_main)
  ashlar_precompile(ashlar_service_tests HEADER service_tests.hpp OBJECT FLAGS -DGTEST_HAS_PTHREAD=1 ${framework}
                    LINKS GTest::gmock GTest::gtest_main ashlar::ashlar ashlar::testing)
endif()
