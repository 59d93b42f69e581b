#include <ashlar/base/small_file.hpp>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <ashlar/base/error.hpp>

namespace ashlar {
namespace {

class SmallFile : public testing::Test {
 protected:
  SmallFile() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~SmallFile() override { std::filesystem::remove_all(folder_); }
  std::string problem(const std::string& path, std::size_t limit = 1024) const {
    try {
      (void)read_small_file(path, "BLOG_KEY_FILE", limit);
      return "none";
    } catch (const Invalid& error) {
      return error.message();
    }
  }
  std::string folder_ = "/tmp/ashlar-small-file-XXXXXX";
};

TEST_F(SmallFile, IsReadWhole) {
  const std::string text(10'000, 'x');
  std::ofstream(folder_ + "/file") << text << '\0' << "\n";
  EXPECT_EQ(read_small_file(folder_ + "/file", "settings"), text + '\0' + "\n");
}

TEST_F(SmallFile, ThatCannotBeReadIsToldWithWhyAndWhatFor) {
  EXPECT_EQ(problem(folder_ + "/none"), "BLOG_KEY_FILE: cannot read " + folder_ + "/none: No such file or directory");
  EXPECT_EQ(problem(folder_), "BLOG_KEY_FILE: cannot read " + folder_ + ": Is a directory");
}

TEST_F(SmallFile, HasALimit) {
  EXPECT_EQ(problem("/dev/zero", 5000), "BLOG_KEY_FILE: cannot read /dev/zero: it has more than 5000 bytes");
}

}  // namespace
}  // namespace ashlar
