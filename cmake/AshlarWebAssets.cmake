# ashlar_web_assets: Swagger UI and Scalar as read-only data (ashlar/app/detail/assets.hpp). web/embed fetches and writes.
set(web_dir "${PROJECT_SOURCE_DIR}/web")
set(web_build_dir "${PROJECT_BINARY_DIR}/web")

# The stamp is missing after a fetch that failed: the next build tries again. The source stays as it was when nothing
# changed, so nothing is compiled or linked for it.
file(GLOB page_files CONFIGURE_DEPENDS "${web_dir}/page/*")
add_custom_command(
  OUTPUT "${web_build_dir}/fetched.stamp" "${web_build_dir}/web_assets.cpp"
  COMMAND "${web_dir}/embed" "${web_build_dir}"
  DEPENDS "${web_dir}/embed" "${web_dir}/package.json" "${web_dir}/package-lock.json" ${page_files}
  COMMENT "Fetching Swagger UI and Scalar (npm)"
  VERBATIM)

add_library(ashlar_web_assets STATIC "${web_build_dir}/web_assets.cpp")
set_target_properties(ashlar_web_assets PROPERTIES EXPORT_NAME web_assets CXX_CLANG_TIDY "")
target_compile_options(ashlar_web_assets PRIVATE ${ASHLAR_LANGUAGE})
target_include_directories(ashlar_web_assets PRIVATE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
