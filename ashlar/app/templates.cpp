#include <ashlar/app/templates.hpp>

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include <ashlar/app/detail/template_program.hpp>
#include <ashlar/base/error.hpp>

namespace ashlar {

namespace fs = std::filesystem;

namespace detail {

struct TemplateState {
  std::string name;
  const schema::TypeInfo* type = nullptr;
  fs::path folder;
  bool reload = false;

  std::mutex mutex;                                // of what follows, when it is reloaded; it is constant otherwise
  std::shared_ptr<const TemplateProgram> program;  // null: see problem
  std::string problem;
  std::vector<std::pair<fs::path, std::optional<fs::file_time_type>>> files;  // that it was made of

  void compile();
  [[nodiscard]] bool is_stale() const;
};

namespace {

constexpr std::uintmax_t kLargest = 1 << 20;  // bytes of one template

std::optional<fs::file_time_type> time_of(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  return error ? std::nullopt : std::optional(time);
}

std::string read_file(const fs::path& folder, const std::string& name) {
  const fs::path relative = fs::path(name).lexically_normal();
  if (name.empty() || relative.is_absolute() || relative.begin()->string() == "..")
    throw NotFound(fmt::format("'{}' leads out of the templates in {}", name, folder.string()));
  const fs::path path = folder / relative;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw NotFound(fmt::format("there is no template {}", path.string()));
  if (fs::file_size(path, error) > kLargest || error)
    throw NotFound(fmt::format("the template {} has more than {} bytes", path.string(), kLargest));
  std::ifstream in(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (in.bad() || !in.is_open()) throw NotFound(fmt::format("the template {} cannot be read", path.string()));
  return text;
}

}  // namespace

void TemplateState::compile() {
  files.clear();
  problem.clear();
  try {
    const auto read = [this](const std::string& which) {
      const fs::path path = folder / which;
      files.emplace_back(path, time_of(path));  // before it is read: what comes later is a change
      return read_file(folder, which);
    };
    program = std::make_shared<const TemplateProgram>(TemplateProgram::compile(name, *type, read));
  } catch (const Error& error) {
    program = nullptr;
    problem = error.message();
    if (error.kind() == ErrorKind::invalid && !problem.starts_with("there is") && !problem.starts_with("the template"))
      problem = fmt::format("{}/{}", folder.string(), problem);
  }
}

bool TemplateState::is_stale() const {
  return std::ranges::any_of(files, [](const auto& file) { return time_of(file.first) != file.second; });
}

}  // namespace detail

Templates::Templates(fs::path folder, TemplatesOptions options)
    : folder_(std::move(folder)),
      reload_(options.reload == TemplatesOptions::Reload::always ||
              (options.reload == TemplatesOptions::Reload::in_development && ::getenv("ASHLAR_DEV_PAGE") != nullptr)) {}

Templates::~Templates() = default;

std::shared_ptr<detail::TemplateState> Templates::add(std::string name, const schema::TypeInfo& type) {
  auto state = std::make_shared<detail::TemplateState>();
  state->name = std::move(name);
  state->type = &type;
  state->folder = folder_;
  state->reload = reload_;
  state->compile();
  const std::lock_guard lock(mutex_);
  pages_.push_back(state);
  return state;
}

Task<std::vector<std::string>> Templates::check() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> problems;
  for (const auto& page : pages_) {
    const std::lock_guard page_lock(page->mutex);
    if (page->program == nullptr) problems.push_back(page->problem);
  }
  co_return problems;
}

Task<void> Templates::start() {
  if (reload_) co_return;  // a page that is wrong shows it, and is mended while the others serve
  const auto problems = co_await check();
  if (!problems.empty()) throw Invalid(fmt::format("{}", fmt::join(problems, "\n")));
}

void Templates::render(detail::TemplateState& state, const void* data, std::string& out) {
  if (!state.reload) {
    if (state.program == nullptr) throw Internal(state.problem);
    return state.program->write(data, out);
  }
  std::shared_ptr<const detail::TemplateProgram> program;
  {
    const std::lock_guard lock(state.mutex);
    if (state.is_stale()) state.compile();
    if (state.program == nullptr) throw Problem{.status = 500, .detail = state.problem};
    program = state.program;
  }
  program->write(data, out);
}

}  // namespace ashlar
