#include <ashlar/pg/detail/backup_piece.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string_view>
#include <vector>

#include <ashlar/base/error.hpp>

namespace fs = std::filesystem;

namespace ashlar::pg::detail {
namespace {

// PostgreSQL's access/xlog_internal.h and access/xlogrecord.h: the same in all versions since 9.5.
constexpr std::size_t kShortHeader = 24;
constexpr std::size_t kLongHeader = 40;  // of the first page
constexpr std::size_t kRecordHeader = 24;
constexpr std::size_t kRecordSum = 20;
constexpr std::uint16_t kContinuesRecord = 1;
constexpr std::uint16_t kOverwritesRecord = 8;  // after a crash: what began on the page before never ends
constexpr std::size_t kUsualPage = 8192;

struct PageHeader {
  std::uint16_t magic = 0, flags = 0;
  std::uint32_t timeline = 0;
  std::uint64_t address = 0;
  std::uint32_t remaining = 0;  // of the record that goes on here
};

template <class T>
T load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? value >> 1 ^ 0x82F63B78U : value >> 1;
    table[i] = value;
  }
  return table;
}();

std::uint32_t crc32c(std::uint32_t sum, std::string_view bytes) {
  for (const char c : bytes) sum = kCrcTable[(sum ^ static_cast<unsigned char>(c)) & 0xff] ^ sum >> 8;
  return sum;
}

/// Offsets are from the beginning of the piece.
class Piece {
 public:
  Piece(const fs::path& file, const LogPiece& piece, std::int64_t segment_bytes)
      : file_(file),
        fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)),
        timeline_(piece.timeline),
        bytes_(static_cast<std::uint64_t>(segment_bytes)),
        begin_(piece.number * bytes_),
        received_(file.extension() == ".partial") {
    if (fd_ < 0) fail();
  }
  ~Piece() { ::close(fd_); }
  Piece(const Piece&) = delete;
  Piece& operator=(const Piece&) = delete;

  std::string damage() {
    find_page_size();
    find_last_page();
    if (!last_ && !broken_) return {};
    const bool whole = !broken_ || *broken_ > 0;
    if (broken_) last_ = *broken_ == 0 ? 0 : std::min(last_.value_or(*broken_ - 1), *broken_ - 1);
    const bool damaged = whole && walk();
    if (!damaged && !broken_) return {};
    return fmt::format("{} is damaged at {}{}, and PostgreSQL would take that for the end of the log", file_.string(),
                       lsn(at_),
                       previous_ ? fmt::format(" (the last record before it is at {})", lsn(*previous_)) : "");
  }

 private:
  [[noreturn]] void fail() const {
    throw Internal(fmt::format("{} cannot be read: {}", file_.string(), std::strerror(errno)));
  }
  [[nodiscard]] std::string lsn(std::uint64_t offset) const {
    return fmt::format("{:X}/{:X}", (begin_ + offset) >> 32, (begin_ + offset) & 0xffffffffU);
  }
  [[nodiscard]] std::uint64_t page_of(std::uint64_t offset) const { return offset / page_.size(); }
  [[nodiscard]] std::size_t header_bytes(std::uint64_t page) const { return page == 0 ? kLongHeader : kShortHeader; }

  // What is beyond the file's end is not written yet: zeros.
  void read(std::uint64_t offset, char* to, std::size_t size) const {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = ::pread(fd_, to + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail();
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    std::memset(to + done, 0, size - done);
  }
  void go_to(std::uint64_t page) {
    if (here_ == page) return;
    read(page * page_.size(), page_.data(), page_.size());
    here_ = page;
  }
  [[nodiscard]] PageHeader header() const {
    const char* const at = page_.data();
    return {load<std::uint16_t>(at), load<std::uint16_t>(at + 2), load<std::uint32_t>(at + 4),
            load<std::uint64_t>(at + 8), load<std::uint32_t>(at + 16)};
  }

  void find_page_size() {
    std::array<char, kLongHeader> first{};
    read(0, first.data(), first.size());
    const auto size = load<std::uint32_t>(first.data() + 36);
    const bool sane =
        load<std::uint64_t>(first.data() + 8) == begin_ && std::has_single_bit(size) && size >= 1024 && size <= 65536;
    page_.resize(sane ? size : kUsualPage);
  }

  // From behind: while somebody writes, what is before a page that is there has been written, too.
  void find_last_page() {
    std::uint16_t magic = 0;
    for (std::uint64_t page = bytes_ / page_.size(); page-- > 0;) {
      go_to(page);
      const PageHeader found = header();
      const std::uint64_t address = begin_ + page * page_.size();
      const bool fits = found.address == address && found.timeline != 0 && found.timeline <= timeline_ &&
                        (magic == 0 || found.magic == magic);
      if (fits && !last_) {
        last_ = page;
        magic = found.magic;
        const auto used = std::find_if(page_.rbegin(), page_.rend(), [](char c) { return c != 0; });
        // A server writes its last page while records are put into it, in any order.
        written_ = page * page_.size() + (received_ ? static_cast<std::uint64_t>(page_.rend() - used) : 1);
      } else if (!fits && (last_ || !is_unused(found, address))) {
        broken_ = page;
      }
    }
  }
  /// Zeros (behind a header that is cut off, perhaps), or a page of the older piece whose file a server has used again.
  [[nodiscard]] bool is_unused(const PageHeader& found, std::uint64_t address) const {
    if (found.address != 0 && found.address < address && (address - found.address) % bytes_ == 0) return true;
    return std::all_of(page_.begin() + kShortHeader, page_.end(), [](char c) { return c == 0; });
  }

  enum class Step : std::uint8_t { whole, cut, overwritten, broken };
  /// Bytes of a record from `at_` on, over headers of pages. Overwritten: `at_` is where log goes on.
  template <class F>
  Step take(std::uint64_t size, std::uint64_t rest, F sink) {
    while (size > 0) {
      if (at_ % page_.size() == 0) {
        const std::uint64_t page = page_of(at_);
        if (page > *last_ || (received_ && written_ <= at_ + kShortHeader)) return Step::cut;
        go_to(page);
        const PageHeader found = header();
        if ((found.flags & kOverwritesRecord) != 0) return Step::overwritten;
        if ((found.flags & kContinuesRecord) == 0 || found.remaining != rest) return Step::broken;
        at_ += header_bytes(page);
      }
      go_to(page_of(at_));
      const std::size_t from = at_ % page_.size();
      const std::size_t some = std::min<std::uint64_t>(size, page_.size() - from);
      sink(std::string_view(page_.data() + from, some));
      at_ += some;
      size -= some;
      rest -= some;
    }
    return Step::whole;
  }

  /// From record to record. True: `at_` is where one cannot be read, and something is written behind it.
  bool walk() {
    go_to(0);
    const PageHeader first = header();
    at_ = kLongHeader;
    if ((first.flags & kContinuesRecord) != 0) {
      const Step step = take(first.remaining, first.remaining, [](std::string_view) {});
      if (step == Step::cut) return false;
      if (step == Step::broken) return true;
    }
    for (;;) {
      at_ = (at_ + 7) / 8 * 8;
      if (at_ % page_.size() == 0) {
        if (page_of(at_) > *last_) return false;
        go_to(page_of(at_));
        if ((header().flags & kContinuesRecord) != 0) return true;
        at_ += header_bytes(page_of(at_));
      }
      if (at_ >= written_) return false;
      go_to(page_of(at_));
      const std::uint64_t begin = at_;
      const auto total = load<std::uint32_t>(page_.data() + at_ % page_.size());
      if (total < kRecordHeader) return written_ > begin + sizeof total;

      std::string head;
      std::uint32_t sum = ~std::uint32_t{0};
      Step step = take(kRecordHeader, total, [&](std::string_view bytes) { head += bytes; });
      if (step == Step::whole)
        step = take(total - kRecordHeader, total - kRecordHeader,
                    [&](std::string_view bytes) { sum = crc32c(sum, bytes); });
      if (step == Step::overwritten) continue;
      const std::uint64_t end = at_;
      if (step != Step::whole) {
        at_ = begin;
        return step == Step::broken;
      }
      sum = ~crc32c(sum, std::string_view(head).substr(0, kRecordSum));
      if (sum != load<std::uint32_t>(head.data() + kRecordSum)) {
        at_ = begin;
        return end < written_;
      }
      previous_ = begin;
      const bool is_switch = head[17] == 0 && (static_cast<unsigned char>(head[16]) & 0xf0) == 0x40;
      if (is_switch) return false;  // the rest of the piece is not used
    }
  }

  fs::path file_;
  int fd_;
  std::uint32_t timeline_;
  std::uint64_t bytes_, begin_;
  bool received_;
  std::vector<char> page_;
  std::optional<std::uint64_t> here_;      // the page in page_
  std::optional<std::uint64_t> last_;      // page that is log of this piece
  std::optional<std::uint64_t> broken_;    // the first page that is no log, and should be
  std::uint64_t written_ = 0;              // all before this was written
  std::uint64_t at_ = 0;                   // of walk()
  std::optional<std::uint64_t> previous_;  // the record before it
};

}  // namespace

std::string damage_of_piece(const fs::path& file, const LogPiece& piece, std::int64_t segment_bytes) {
  // A page that was just being written is whole the second time.
  if (Piece(file, piece, segment_bytes).damage().empty()) return {};
  return Piece(file, piece, segment_bytes).damage();
}

}  // namespace ashlar::pg::detail
