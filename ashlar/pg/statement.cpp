#include <ashlar/pg/statement.hpp>

#include <fmt/format.h>

#include <map>
#include <mutex>

#include <ashlar/pg/detail/sql_tokens.hpp>

namespace ashlar::pg {
namespace {

struct Registry {
  std::mutex mutex;
  Statement* first = nullptr;
  // For ever, of texts that may not be there as long: those of a library that is unloaded.
  std::map<std::pair<std::string, const StatementSpec*>, std::uint32_t> ids;
};

Registry& registry() {
  static auto* instance = new Registry;  // statements are globals too: it must outlive them
  return *instance;
}

}  // namespace

Statement::Statement(std::string_view sql, const StatementSpec& spec, QueryOptions options, std::source_location where,
                     Registered registered)
    : sql_(sql), spec_(&spec), options_(options), where_(where) {
  if (registered == Registered::no) return;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  id_ = all.ids.try_emplace({std::string(sql_), spec_}, static_cast<std::uint32_t>(all.ids.size() + 1)).first->second;
  next_ = all.first;
  link_ = &all.first;
  if (next_ != nullptr) next_->link_ = &next_;
  all.first = this;
}

Statement::~Statement() {
  if (id_ == 0) return;  // not registered
  const std::lock_guard lock(registry().mutex);
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
}

void Statement::for_each(const std::function<void(const Statement&)>& f) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const Statement* statement = all.first; statement != nullptr; statement = statement->next_) f(*statement);
}

std::string Statement::name() const {
  if (options_.name != nullptr) return options_.name;
  const std::string_view path = where_.file_name();
  return fmt::format("{}:{}", path.substr(path.rfind('/') + 1), where_.line());
}

std::string Statement::describe() const {
  if (options_.name != nullptr) return fmt::format("query {} ({}:{})", options_.name, file(), line());
  // Its first words name it: a query is a literal, so there is no secret in it.
  constexpr std::size_t kWords = 48;
  std::string words;
  for (const char c : sql_.substr(0, kWords + 1)) {
    const bool space = c == ' ' || c == '\n' || c == '\t';
    if (!space || (!words.empty() && words.back() != ' ')) words += space ? ' ' : c;
  }
  if (sql_.size() > kWords) words += "…";
  return fmt::format("query \"{}\" ({}:{})", words, file(), line());
}

namespace detail {

std::vector<std::string> verify(const StatementSpec& spec, const TypeMap& types, std::span<const Oid> parameters,
                                std::span<const wire::Field> fields, std::span<const RowVerifier::Null> nulls) {
  std::vector<std::string> problems;
  const auto specs = spec.parameters;
  if (specs.size() != parameters.size()) {
    problems.push_back(
        fmt::format("the SQL has {} parameters, but the C++ type takes {} arguments", parameters.size(), specs.size()));
  } else {
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].accepts(types, parameters[i])) continue;
      problems.push_back(fmt::format(
          "parameter ${} is {} in PostgreSQL, but its argument is {}: use {}, or cast it in the SQL (${}::…)", i + 1,
          types.name(parameters[i]), specs[i].cpp_type(), suggested_cpp_type(types, parameters[i]), i + 1));
    }
  }
  if (spec.verify_row != nullptr) {
    RowVerifier row(types, fields, nulls);
    spec.verify_row(row);
    problems.insert(problems.end(), row.problems().begin(), row.problems().end());
  }
  return problems;
}

bool is_copy(std::string_view sql) {
  const auto tokens = sql_tokens(sql);
  return !tokens.empty() && tokens.front().is("copy");
}

std::string mismatch_message(const Statement& statement, std::span<const std::string> problems) {
  std::string out = fmt::format("{} does not fit the database:", statement.describe());
  for (const std::string& problem : problems) out += "\n  - " + problem;
  return out;
}

}  // namespace detail
}  // namespace ashlar::pg
