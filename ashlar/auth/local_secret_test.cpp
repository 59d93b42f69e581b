#include <ashlar/auth/local_secret.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <ashlar/base/error.hpp>

namespace ashlar::auth {
namespace {

class LocalSecret : public testing::Test {
 protected:
  LocalSecret() {
    std::string text = (std::filesystem::temp_directory_path() / "secret-XXXXXX").string();
    folder_ = ::mkdtemp(text.data());
  }
  ~LocalSecret() override {
    ::unsetenv("TEST_SECRET");
    ::unsetenv("TEST_SECRET_FILE");
    std::filesystem::remove_all(folder_);
  }
  std::filesystem::path folder_;
};

TEST_F(LocalSecret, IsTheEnvironmentsWhenThatHasOne) {
  ::setenv("TEST_SECRET", "from outside", 1);
  EXPECT_EQ(local_secret("TEST_SECRET", folder_).reveal(), "from outside");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "TEST_SECRET"));
  ::setenv("TEST_SECRET", "", 1);
  EXPECT_THROW((void)local_secret("TEST_SECRET", folder_), Invalid);
}

TEST_F(LocalSecret, MayLieInAFileThatTheEnvironmentNames) {
  std::ofstream(folder_ / "mounted") << "from a file\r\n";
  ::setenv("TEST_SECRET_FILE", (folder_ / "mounted").c_str(), 1);
  EXPECT_EQ(local_secret("TEST_SECRET", folder_).reveal(), "from a file");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "TEST_SECRET"));
  ::setenv("TEST_SECRET", "from outside", 1);
  EXPECT_EQ(local_secret("TEST_SECRET", folder_).reveal(), "from outside");
}

TEST_F(LocalSecret, IsNotReplacedByOneOfItsOwnWhenTheNamedFileIsEmptyOrMissing) {
  std::ofstream(folder_ / "empty") << "\n";
  for (const char* name : {"empty", "missing"}) {
    ::setenv("TEST_SECRET_FILE", (folder_ / name).c_str(), 1);
    try {
      (void)local_secret("TEST_SECRET", folder_);
      ADD_FAILURE() << name;
    } catch (const Invalid& error) {
      EXPECT_NE(error.message().find("TEST_SECRET_FILE"), std::string::npos) << error.message();
    }
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "TEST_SECRET"));
}

TEST_F(LocalSecret, IsMadeOnceAndKeptForItsOwnerOnly) {
  const auto secret = local_secret("TEST_SECRET", folder_ / "data");
  EXPECT_EQ(secret.reveal().size(), 43U);
  EXPECT_EQ(local_secret("TEST_SECRET", folder_ / "data").reveal(), secret.reveal());
  struct stat file{};
  ASSERT_EQ(::stat((folder_ / "data" / "TEST_SECRET").c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600U);
}

TEST_F(LocalSecret, IsTheSameForAllThatStartAtOnce) {
  std::vector<std::string> seen(8);
  {
    std::vector<std::jthread> threads;
    for (auto& one : seen) {
      threads.emplace_back([&one, this] { one = local_secret("TEST_SECRET", folder_).reveal(); });
    }
  }
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), 1U);
}

TEST_F(LocalSecret, SaysWhatToDoWhenItCannotBeKept) {
  std::ofstream(folder_ / "file") << "x";
  try {
    (void)local_secret("TEST_SECRET", folder_ / "file" / "below");
    FAIL();
  } catch (const Internal& error) {
    EXPECT_NE(error.message().find("set TEST_SECRET instead"), std::string::npos) << error.message();
  }
}

}  // namespace
}  // namespace ashlar::auth
