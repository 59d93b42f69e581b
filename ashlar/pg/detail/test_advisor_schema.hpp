// What the tests of the advisor and of explain share.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <ashlar/async/runtime.hpp>
#include <ashlar/pg/advisor.hpp>
#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg::test {

template <class F>
auto with(const std::string& url, F function, Options options = {}) {
  options.url = url;
  options.check_queries = false;  // those of the other tests have no tables here
  std::optional<typename decltype(function(std::declval<Db&>()))::value_type> result;
  async::run([](Options settings, F& f, auto& out) -> Task<void> {
    Db db(std::move(settings));
    out = co_await f(db);
    co_await db.stop();
  }(std::move(options), function, result));
  return std::move(*result);
}

inline Advice advise_on(const std::string& url, AdviseOptions options = {}) {
  return with(url, [options](Db& db) { return advise(db, options); });
}

/// A folder of migrations of the test's own.
class Folder {
 public:
  Folder() {
    static std::atomic<unsigned> counter{0};
    path_ = std::filesystem::temp_directory_path() / fmt::format("ashlar_advisor_{}_{}", ::getpid(), ++counter);
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Schema {
 public:
  explicit Schema(const std::string& sql) : database_(test::server(), "template1") {
    test::server()->run_sql(database_.name(), sql);
  }
  [[nodiscard]] Advice advise(AdviseOptions options = {}) const { return advise_on(database_.url(), options); }
  [[nodiscard]] std::vector<ExplainedQuery> explain(Explain how = Explain::plan, std::string only = {}) const {
    return with(database_.url(), [&](Db& db) { return explain_queries(db, how, only); });
  }
  void run(const std::string& sql) const { test::server()->run_sql(database_.name(), sql); }
  [[nodiscard]] std::string url() const { return database_.url(); }
  [[nodiscard]] std::string name() const { return database_.name(); }

 private:
  TestDatabase database_;
};

}  // namespace ashlar::pg::test
