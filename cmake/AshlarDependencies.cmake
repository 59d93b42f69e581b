# ashlar_dependency(NAME [VERSION])       find_package now, and again in a program that uses the installed library
# ashlar_pkg_dependency(TARGET MODULE)    the same through pkg-config: PkgConfig::TARGET
macro(ashlar_dependency)
  find_package(${ARGN} REQUIRED)
  string(REPLACE ";" " " ashlar_dependency_words "${ARGN}")
  set_property(GLOBAL APPEND PROPERTY ASHLAR_DEPENDENCIES "find_dependency(${ashlar_dependency_words})")
endmacro()

macro(ashlar_pkg_dependency target module)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(${target} REQUIRED IMPORTED_TARGET ${module})
  set_property(GLOBAL APPEND PROPERTY ASHLAR_DEPENDENCIES
    "find_dependency(PkgConfig)" "pkg_check_modules(${target} REQUIRED QUIET IMPORTED_TARGET ${module})")
endmacro()
