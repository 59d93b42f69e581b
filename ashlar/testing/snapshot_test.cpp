#include <ashlar/testing/snapshot.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include <ashlar/base/error.hpp>

namespace ashlar::testing {
namespace {

// As if the calling source were in a folder of the test's own.
class Snapshots : public ::testing::Test {
 protected:
  Snapshots() {
    std::string name = (std::filesystem::temp_directory_path() / "ashlar-snapshots-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    source_ = (folder_ / "x_test.cpp").string();
    ::unsetenv("ASHLAR_UPDATE_SNAPSHOTS");
  }
  ~Snapshots() override {
    ::unsetenv("ASHLAR_UPDATE_SNAPSHOTS");
    std::filesystem::remove_all(folder_);
  }
  void put(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories(folder_ / "snapshots");
    std::ofstream(folder_ / "snapshots" / name) << text;
  }
  const char* source() const { return source_.c_str(); }
  std::string file(std::string_view name) const {
    std::ifstream in(folder_ / "snapshots" / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::filesystem::path folder_;
  std::string source_;
};

TEST_F(Snapshots, OfWhatIsNotThereYetSaysHowToWriteIt) {
  const std::string said = snapshot("new", R"({"a":1})", {}, source());
  EXPECT_NE(said.find("new.json is not there; ASHLAR_UPDATE_SNAPSHOTS=1 writes it:\n+ {\n+   \"a\": 1\n+ }\n"),
            std::string::npos)
      << said;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "snapshots"));
}

TEST_F(Snapshots, AreWrittenWhenTheEnvironmentSaysSoAndEqualAfterwards) {
  ::setenv("ASHLAR_UPDATE_SNAPSHOTS", "1", 1);
  EXPECT_EQ(snapshot("one", R"({"a":[1,"x",{}],"b":null})", {}, source()), "");
  ::unsetenv("ASHLAR_UPDATE_SNAPSHOTS");
  EXPECT_EQ(file("one.json"), "{\n  \"a\": [\n    1,\n    \"x\",\n    {}\n  ],\n  \"b\": null\n}\n");
  EXPECT_EQ(snapshot("one", R"({ "a": [1, "x", {}], "b": null })", {}, source()), "");
}

TEST_F(Snapshots, AreBesideTheirSourceWhereverTheTestRuns) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path("/");
  const std::string said = snapshot("nowhere", "1");
  std::filesystem::current_path(before);
  const std::filesystem::path file = said.substr(0, said.find(" is not there"));
  EXPECT_TRUE(file.is_absolute()) << said;
  EXPECT_TRUE(std::filesystem::exists(file.parent_path().parent_path() / "snapshot_test.cpp")) << said;
}

TEST_F(Snapshots, ShowTheLinesThatDiffer) {
  put("list.json", "[\n  1,\n  2,\n  3,\n  4,\n  5,\n  6,\n  7\n]\n");
  const std::string said = snapshot("list", "[1,2,3,4,5,60,7]", {}, source());
  EXPECT_NE(said.find("differs"), std::string::npos);
  EXPECT_NE(said.find("\n  …\n    4,\n    5,\n-   6,\n+   60,\n    7\n  ]\n"), std::string::npos) << said;
}

TEST_F(Snapshots, MaskWhatDiffersFromRunToRun) {
  put("masked.json",
      "{\n  \"id\": \"<masked>\",\n  \"at\": \"<masked>\",\n  \"token\": \"<masked>\",\n  \"day\": "
      "\"2026-01-31\"\n}\n");
  const std::string json = R"({"id":"785c2727-c32a-419f-8dfc-bdea2638a6a3","at":"2026-01-31T12:00:00Z","token":[1,2],)"
                           R"("day":"2026-01-31"})";
  EXPECT_EQ(snapshot("masked", json, {.members = {"token"}}, source()), "");
  EXPECT_NE(snapshot("masked", json, {.members = {"token"}, .ids = false}, source()), "");
  EXPECT_NE(snapshot("masked", json, {.members = {"token"}, .times = false}, source()), "");
  EXPECT_NE(snapshot("masked", json, {}, source()), "");
}

TEST_F(Snapshots, TakeAnyTextAsItIs) {
  put("query.sql", "SELECT id\n FROM books");
  EXPECT_EQ(text_snapshot("query.sql", "SELECT id\n FROM books", source()), "");
  EXPECT_NE(
      text_snapshot("query.sql", "SELECT id, title\n FROM books", source()).find("- SELECT id\n+ SELECT id, title\n"),
      std::string::npos);
}

TEST_F(Snapshots, ShowThatOnlyTheLastNewlineDiffers) {
  put("query.sql", "SELECT id\n FROM books");
  EXPECT_THAT(text_snapshot("query.sql", "SELECT id\n FROM books\n", source()),
              ::testing::EndsWith(":\n  SELECT id\n   FROM books\n- \\ no newline at the end\n"));
  put("query.sql", "SELECT id\n FROM books\n");
  EXPECT_THAT(text_snapshot("query.sql", "SELECT id\n FROM books", source()),
              ::testing::EndsWith(":\n  SELECT id\n   FROM books\n+ \\ no newline at the end\n"));
}

TEST_F(Snapshots, RefuseWhatIsNoJsonAndNamesThatLeadElsewhere) {
  EXPECT_THROW((void)snapshot("one", "{", {}, source()), Invalid);
  EXPECT_THROW((void)snapshot("../one", "{}", {}, source()), Invalid);
  EXPECT_THROW((void)text_snapshot("", "x", source()), Invalid);
}

}  // namespace
}  // namespace ashlar::testing
