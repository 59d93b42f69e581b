#include <ashlar/http/file_cache.hpp>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <ashlar/async/runtime.hpp>

namespace ashlar::http {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class FileCacheTest : public testing::Test {
 protected:
  FileCacheTest() {
    std::string name = (fs::temp_directory_path() / "ashlar-files-XXXXXX").string();
    outer_ = ::mkdtemp(name.data());
    root_ = outer_ / "root";
    fs::create_directory(root_);
  }
  ~FileCacheTest() override { fs::remove_all(outer_); }

  void write(const fs::path& path, std::string_view content) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::trunc) << content;
  }
  std::shared_ptr<const FileSet> find(FileCache& cache, std::string path, bool siblings = false) {
    return async::run(loop_, cache.find({.root = root_, .path = std::move(path), .siblings = siblings}));
  }
  OpenFile::Kind kind(std::string path) {
    FileCache cache;
    return find(cache, std::move(path))->plain.kind;
  }

  fs::path outer_;
  fs::path root_;
  async::Loop loop_;
};

using Kind = OpenFile::Kind;

TEST_F(FileCacheTest, KeepsSmallFilesInMemory) {
  write("a.txt", "hello");
  write("b.bin", std::string(100'000, 'b'));
  FileCache cache;
  const auto small = find(cache, "a.txt");
  EXPECT_EQ(small->plain.bytes, "hello");
  EXPECT_EQ(small->plain.fd, nullptr);
  const auto large = find(cache, "b.bin");
  EXPECT_EQ(large->plain.bytes, "");
  EXPECT_EQ(large->plain.size, 100'000U);
  ASSERT_NE(large->plain.fd, nullptr);
  EXPECT_EQ(cache.size(), (std::pair<std::size_t, std::size_t>(2, 5)));
}

TEST_F(FileCacheTest, KnowsAFileUntilItIsTimeToLookAgain) {
  write("a.txt", "hello");
  FileCache cache({.recheck = 1h});
  const FilePlace place{.root = root_, .path = "a.txt"};
  EXPECT_EQ(cache.known(place, async::Clock::now()), nullptr);
  const auto first = find(cache, "a.txt");
  EXPECT_EQ(cache.known(place, async::Clock::now()), first);
  EXPECT_EQ(cache.known(place, async::Clock::now() + 2h), nullptr);
}

TEST_F(FileCacheTest, SeesThatAFileHasChanged) {
  write("a.txt", "hello");
  FileCache cache({.recheck = 0ns});
  const std::string before = find(cache, "a.txt")->plain.etag;
  EXPECT_EQ(find(cache, "a.txt")->plain.etag, before);
  write("a.txt", "goodbye");
  const auto after = find(cache, "a.txt");
  EXPECT_EQ(after->plain.bytes, "goodbye");
  EXPECT_NE(after->plain.etag, before);
  fs::remove(root_ / "a.txt");
  EXPECT_EQ(find(cache, "a.txt")->plain.kind, Kind::absent);
}

TEST_F(FileCacheTest, LetsNothingOutOfTheFolder) {
  std::ofstream(outer_ / "secret") << "secret";
  write("sub/a.txt", "a");
  fs::create_symlink(outer_ / "secret", root_ / "absolute");
  fs::create_symlink("../secret", root_ / "relative");
  fs::create_symlink("..", root_ / "up");
  fs::create_symlink("sub/a.txt", root_ / "within");
  EXPECT_EQ(kind("../secret"), Kind::absent);
  EXPECT_EQ(kind("sub/../../secret"), Kind::absent);
  EXPECT_EQ(kind((outer_ / "secret").string()), Kind::absent);
  EXPECT_EQ(kind("absolute"), Kind::absent);
  EXPECT_EQ(kind("relative"), Kind::absent);
  EXPECT_EQ(kind("up/secret"), Kind::absent);
  EXPECT_EQ(kind("within"), Kind::file);
  EXPECT_EQ(kind("sub/a.txt"), Kind::file);
  EXPECT_EQ(kind("sub"), Kind::directory);
  EXPECT_EQ(kind(std::string("sub/a.txt\0.png", 14)), Kind::absent);
}

TEST_F(FileCacheTest, FollowsNoLinkWhenToldSo) {
  write("sub/a.txt", "a");
  fs::create_symlink("sub/a.txt", root_ / "within");
  fs::create_symlink("sub", root_ / "folder");
  FileCache cache({.follow_links = false});
  EXPECT_EQ(find(cache, "sub/a.txt")->plain.kind, Kind::file);
  EXPECT_EQ(find(cache, "sub")->plain.kind, Kind::directory);
  for (const char* path :
       {"within", "folder/a.txt", "../root/sub/a.txt", "sub/../sub/a.txt", "/etc/passwd", "sub//a.txt"}) {
    EXPECT_EQ(find(cache, path)->plain.kind, Kind::absent) << path;
  }
}

TEST_F(FileCacheTest, OpensNothingButFiles) {
  ASSERT_EQ(::mkfifo((root_ / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(kind("pipe"), Kind::absent);  // and does not wait for a writer
}

TEST_F(FileCacheTest, FindsEncodedSiblings) {
  write("a.js", "plain");
  write("a.js.br", "br");
  write("a.js.gz", "gz");
  FileCache cache({.recheck = 0ns});
  const auto coding = [](const FileSet& files, ContentCoding wanted) {
    for (const auto& [one, file] : files.encoded) {
      if (one == wanted) return file.bytes;
    }
    return std::string();
  };
  const auto files = find(cache, "a.js", true);
  EXPECT_EQ(coding(*files, ContentCoding::br), "br");
  EXPECT_EQ(coding(*files, ContentCoding::gzip), "gz");
  EXPECT_EQ(coding(*files, ContentCoding::zstd), "");
  fs::last_write_time(root_ / "a.js.br", fs::last_write_time(root_ / "a.js") - 1s);
  EXPECT_EQ(coding(*find(cache, "a.js", true), ContentCoding::br), "");  // of an older a.js
}

TEST_F(FileCacheTest, HasABound) {
  FileCache cache({.entries = 4, .memory = 10, .recheck = 1h});
  for (int i = 0; i < 9; ++i) static_cast<void>(find(cache, "absent" + std::to_string(i)));
  EXPECT_EQ(cache.size().first, 4U);
  write("a", "12345678");
  write("b", "12345678");
  static_cast<void>(find(cache, "a"));
  static_cast<void>(find(cache, "b"));
  EXPECT_EQ(cache.size().second, 8U);
  EXPECT_EQ(cache.known({.root = root_, .path = "a"}, async::Clock::now()), nullptr);
  EXPECT_NE(cache.known({.root = root_, .path = "b"}, async::Clock::now()), nullptr);
}

}  // namespace
}  // namespace ashlar::http
