// Open files, kept for a moment, so that one that many ask for costs no call that could block.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <ashlar/async/context.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/http/representation.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::http {

/// A file as it was when it was looked at.
struct OpenFile {
  enum class Kind : std::uint8_t { absent, file, directory };
  Kind kind = Kind::absent;
  std::shared_ptr<const net::Fd> fd = {};  ///< null when the bytes are in memory
  std::string bytes = {};                  ///< of a small file
  std::uint64_t size = 0;
  timespec modified = {};
  timespec changed = {};
  std::uint64_t inode = 0;
  std::string etag = {};  ///< strong: of size and modification time
};

/// A file with its siblings that hold the same content encoded: FILE.br, FILE.zst, FILE.gz. One that is older than the
/// file itself is as if it were not there.
struct FileSet {
  OpenFile plain = {};
  std::array<std::pair<ContentCoding, OpenFile>, 3> encoded = {
      std::pair{ContentCoding::br, OpenFile{}}, {ContentCoding::zstd, OpenFile{}}, {ContentCoding::gzip, OpenFile{}}};
};

/// What is to be looked at.
struct FilePlace {
  /// Set: `path` is taken from this folder, and neither "..", nor an absolute path, nor a symbolic link leads out of it
  /// (openat2(2); on kernels without it no symbolic link is followed at all). Empty: `path` is taken as it is.
  std::string root = {};
  std::string path = {};
  bool siblings = false;  ///< look for encoded ones too
};

struct FileCacheOptions {
  std::size_t entries = 1024;                            ///< files, absent ones too; the least recently used goes
  std::size_t small_file = 64 * 1024;                    ///< bytes; such a file is kept in memory
  std::size_t memory = 32 * 1024 * 1024;                 ///< bytes of them altogether
  bool follow_links = true;                              ///< below a root; false: no symbolic link at all
  async::Nanoseconds recheck = std::chrono::seconds{1};  ///< how long a file is believed to be as it was
};

/// Thread-safe. Only regular files and folders are opened: no devices, pipes or sockets.
class FileCache {
 public:
  explicit FileCache(FileCacheOptions options = {}) : options_(options) {}
  FileCache(const FileCache&) = delete;
  FileCache& operator=(const FileCache&) = delete;

  /// The process's own.
  static FileCache& shared();

  /// What is there, when it has been looked at lately enough for somebody who asked at `asked`; null: call find().
  [[nodiscard]] std::shared_ptr<const FileSet> known(const FilePlace& place, async::TimePoint asked);
  /// Looks, off the loop, when known() gives nothing. Never null: a file that is absent, or that may not be read, is
  /// OpenFile::Kind::absent. Throws Unavailable when descriptors or memory run out.
  [[nodiscard]] Task<std::shared_ptr<const FileSet>> find(FilePlace place);
  void clear();
  /// Entries now, and bytes in memory.
  [[nodiscard]] std::pair<std::size_t, std::size_t> size() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const FileSet> files;
    async::TimePoint checked;
    std::size_t memory;
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  void keep(std::string key, std::shared_ptr<const FileSet> files, async::TimePoint checked);
  [[nodiscard]] FileSet look(const FilePlace& place, const FileSet* before) const;

  const FileCacheOptions options_;
  mutable std::mutex mutex_;
  std::list<Entry> entries_;  // the one used last at the front
  std::unordered_map<std::string_view, std::list<Entry>::iterator, Hash, std::equal_to<>> by_key_;
  std::size_t memory_ = 0;
};

/// The representation of a file, or of one of its encoded siblings. It keeps the set alive.
[[nodiscard]] Representation represent(const std::shared_ptr<const FileSet>& files, const OpenFile& which,
                                       std::string_view content_type);

}  // namespace ashlar::http
