# ashlar::ashlar, everything a program runs on, and what `cmake --install` copies: libraries, headers, CMake package.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(modules GLOBAL PROPERTY ASHLAR_MODULES)

add_library(ashlar INTERFACE)
add_library(ashlar::ashlar ALIAS ashlar)
set(targets ashlar ashlar_web_assets)
foreach(module ${modules})
  list(APPEND targets ashlar_${module})
  if(NOT module STREQUAL "testing")  # for test programs only: they name it
    target_link_libraries(ashlar INTERFACE ashlar_${module})
  endif()
endforeach()

install(TARGETS ${targets} EXPORT ashlarTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY "${PROJECT_SOURCE_DIR}/ashlar" DESTINATION include
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*_test.hpp" EXCLUDE PATTERN "test_*.hpp" EXCLUDE PATTERN "*_benchmark.hpp" EXCLUDE
        PATTERN "*_fuzz.hpp" EXCLUDE)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ashlar")
install(EXPORT ashlarTargets NAMESPACE ashlar:: DESTINATION ${package_dir})
get_property(dependencies GLOBAL PROPERTY ASHLAR_DEPENDENCIES)
list(REMOVE_DUPLICATES dependencies)
list(JOIN dependencies "\n" ASHLAR_FIND_DEPENDENCIES)
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/ashlarConfig.cmake.in" "${PROJECT_BINARY_DIR}/ashlarConfig.cmake"
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file("${PROJECT_BINARY_DIR}/ashlarConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/ashlarConfig.cmake" "${PROJECT_BINARY_DIR}/ashlarConfigVersion.cmake"
        DESTINATION ${package_dir})

# The tool `ashlar`: new projects, and `dev`.
install(PROGRAMS "${PROJECT_SOURCE_DIR}/tools/ashlar.py" DESTINATION ${CMAKE_INSTALL_BINDIR} RENAME ashlar)
install(FILES "${PROJECT_SOURCE_DIR}/tools/ashlar_dev.py" "${PROJECT_SOURCE_DIR}/tools/ashlar_dev_page.py"
        DESTINATION share/ashlar)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/tools/new" DESTINATION share/ashlar USE_SOURCE_PERMISSIONS)

install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION ${CMAKE_INSTALL_DOCDIR})
