// Every set of scans against one written byte by byte, on buffers of exactly their size: asan finds a read outside.
#include <ashlar/http/detail/line_scan.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/http/detail/characters.hpp>

namespace ashlar::http::detail {
namespace {

using Why = FieldsEnd::Why;

struct Found {
  Why why = Why::more;
  std::size_t at = 0;
  std::size_t line = 0;
  std::vector<std::pair<std::string, std::string>> lines;
  friend bool operator==(const Found&, const Found&) = default;
};

std::ostream& operator<<(std::ostream& out, const Found& found) {
  out << "why " << static_cast<int>(found.why) << " at " << found.at << " line " << found.line;
  for (const auto& [name, value] : found.lines) out << " [" << name << "|" << value << "]";
  return out;
}

// RFC 9112 §5, one byte after the other.
Found expected_fields(std::string_view bytes, std::size_t at, std::size_t room) {
  Found found;
  while (true) {
    const std::size_t line = at;
    const auto stop = [&](Why why, std::size_t where) {
      found.why = why;
      found.at = where;
      found.line = line;
      return found;
    };
    while (at < bytes.size() && is(bytes[at], kToken)) ++at;
    if (at == bytes.size()) return stop(Why::more, line);
    if (at == line && bytes[at] == '\r') {
      if (at + 1 == bytes.size()) return stop(Why::more, line);
      return bytes[at + 1] == '\n' ? stop(Why::end, at + 2) : stop(Why::name, at);
    }
    if (at == line || bytes[at] != ':') return stop(Why::name, at);
    const std::string_view name = bytes.substr(line, at - line);
    const std::size_t value = ++at;
    while (at < bytes.size() && is(bytes[at], kFieldChar)) ++at;
    if (at == bytes.size() || (at + 1 == bytes.size() && bytes[at] == '\r')) return stop(Why::more, line);
    if (bytes[at] != '\r' || bytes[at + 1] != '\n') return stop(Why::value, at);
    if (found.lines.size() == room) return stop(Why::full, line);
    found.lines.emplace_back(name, trim(bytes.substr(value, at - value)));
    at += 2;
  }
}

Found fields(const LineScan& scan, std::string_view bytes, std::size_t at, std::size_t room) {
  const auto block = std::make_unique<char[]>(bytes.size());
  std::ranges::copy(bytes, block.get());
  const auto lines = std::make_unique<Header[]>(room);
  const char* const begin = block.get();
  const FieldsEnd end = scan.fields(begin + at, begin, begin + bytes.size(), lines.get(), room);
  Found found{end.why, static_cast<std::size_t>(end.at - begin), static_cast<std::size_t>(end.line - begin), {}};
  for (std::size_t i = 0; i < end.lines; ++i) found.lines.emplace_back(lines[i].name, lines[i].value);
  return found;
}

std::size_t target(const LineScan& scan, std::string_view bytes, std::size_t at) {
  const auto block = std::make_unique<char[]>(bytes.size());
  std::ranges::copy(bytes, block.get());
  return static_cast<std::size_t>(scan.target(block.get() + at, block.get(), block.get() + bytes.size()) - block.get());
}

class LineScanTest : public testing::TestWithParam<LineScan> {};

TEST_P(LineScanTest, FindsTheEndOfATargetWhereverItIs) {
  for (std::size_t size = 0; size <= 100; ++size) {
    for (std::size_t at = 0; at <= size; at += 1 + size / 8) {
      std::string bytes(size, 'x');
      ASSERT_EQ(target(GetParam(), bytes, at), size);
      for (std::size_t stop = 0; stop < size; ++stop) {
        bytes[stop] = ' ';
        ASSERT_EQ(target(GetParam(), bytes, at), stop < at ? size : stop) << size << " " << at << " " << stop;
        bytes[stop] = 'x';
      }
    }
  }
}

TEST_P(LineScanTest, KnowsEveryByteOfATarget) {
  for (int c = 0; c < 256; ++c) {
    for (const std::size_t where : {0, 15, 31, 70, 98}) {
      std::string bytes(99, 'x');
      bytes[where] = static_cast<char>(c);
      ASSERT_EQ(target(GetParam(), bytes, 0), is(bytes[where], kTargetChar) ? 99 : where) << c << " " << where;
    }
  }
}

TEST_P(LineScanTest, KnowsEveryByteAtEveryPlaceOfALine) {
  const std::string good =
      "Host: a\r\nSec-Ch-Ua-Mobile_x:\t \"Chromium\";v=130, \"Not?A_Brand\";v=\"99\" \t\r\nX:\r\nEnd: z\r\n\r\n";
  for (std::size_t where = 0; where < good.size(); ++where) {
    std::string bytes = good;
    for (int c = 0; c < 256; ++c) {
      bytes[where] = static_cast<char>(c);
      ASSERT_EQ(fields(GetParam(), bytes, 0, 9), expected_fields(bytes, 0, 9)) << c << " at " << where;
    }
  }
}

TEST_P(LineScanTest, WaitsForTheRestOfEveryCutHead) {
  const std::string good =
      "Host: example.org\r\nAccept: " + std::string(150, 'v') + "\r\n" + std::string(70, 'n') + ": x\r\n\r\n";
  for (std::size_t size = 0; size <= good.size(); ++size) {
    for (const std::size_t at : {std::size_t{0}, std::min<std::size_t>(size, 19)}) {
      const std::string_view bytes = std::string_view(good).substr(0, size);
      ASSERT_EQ(fields(GetParam(), bytes, at, 9), expected_fields(bytes, at, 9)) << size << " " << at;
    }
  }
}

TEST_P(LineScanTest, StopsWhereThereIsNoRoom) {
  const std::string bytes = "A: 1\r\nB: 2\r\nC: 3\r\n\r\n";
  for (std::size_t room = 0; room < 5; ++room) {
    EXPECT_EQ(fields(GetParam(), bytes, 0, room), expected_fields(bytes, 0, room)) << room;
  }
}

TEST_P(LineScanTest, AgreesOnWhateverComes) {
  constexpr std::string_view kPieces[] = {"A",
                                          "Content-Length",
                                          ":",
                                          " ",
                                          "\t",
                                          "\r\n",
                                          "\r",
                                          "\n",
                                          "\r\n\r\n",
                                          "x_y",
                                          "~!",
                                          ": value\r\n",
                                          "\x7f",
                                          "\x80",
                                          "\x1f",
                                          "(",
                                          "%",
                                          "\xff",
                                          "0123456789abcdef0123456789abcdef"};
  std::minstd_rand numbers(1);  // NOLINT: the same each time
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (std::size_t pieces = numbers() % 24; pieces > 0; --pieces) {
      bytes += kPieces[numbers() % std::size(kPieces)];
      if (numbers() % 3 == 0) bytes += ": v\r\n";
      if (numbers() % 40 == 0) bytes += '\0';
    }
    const std::size_t at = numbers() % 4 == 0 ? numbers() % (bytes.size() + 1) : 0;
    const std::size_t room = numbers() % 8;
    ASSERT_EQ(fields(GetParam(), bytes, at, room), expected_fields(bytes, at, room))
        << testing::PrintToString(bytes) << at;
  }
}

INSTANTIATE_TEST_SUITE_P(All, LineScanTest, testing::ValuesIn(line_scans().begin(), line_scans().end()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace ashlar::http::detail
