#include <ashlar/http/websocket_frame.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <ashlar/base/text.hpp>

namespace ashlar::http {
namespace {

using State = FrameHeadResult::State;
using std::string_literals::operator""s;

FrameHeadResult from_client(const std::string& bytes, bool compression = false) {
  return parse_frame_head(bytes, WebSocketSide::client, compression);
}

TEST(FrameHead, IsReadInEachOfTheThreeLengths) {
  const struct {
    std::string bytes;
    std::uint64_t length;
  } cases[] = {{"\x81\x85"s, 5},
               {"\x81\xfe\x00\x7e"s, 126},
               {"\x81\xfe\xff\xff"s, 65535},
               {"\x81\xff\x00\x00\x00\x00\x00\x01\x00\x00"s, 65536},
               {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"s, 0x7fffffffffffffffULL}};
  for (const auto& one : cases) {
    const std::string whole = one.bytes + "abcd";
    for (std::size_t cut = 0; cut < whole.size(); ++cut) {
      EXPECT_EQ(from_client(whole.substr(0, cut)).state, State::incomplete) << one.length << " at " << cut;
    }
    const auto result = from_client(whole + "payload");
    ASSERT_EQ(result.state, State::complete);
    EXPECT_EQ(result.size, whole.size());
    EXPECT_EQ(result.head.length, one.length);
    EXPECT_TRUE(result.head.fin);
    EXPECT_EQ(result.head.opcode, Opcode::text);
    EXPECT_EQ(result.head.mask, (std::array<std::uint8_t, 4>{'a', 'b', 'c', 'd'}));
  }
}

TEST(FrameHead, IsRefusedAtItsFirstWrongByte) {
  const struct {
    std::string bytes;
    std::string_view section;
  } cases[] = {
      {"\x83"s, "RFC 6455 §5.2"},                                      // reserved data opcodes
      {"\x87"s, "RFC 6455 §5.2"},                                      //
      {"\x8b"s, "RFC 6455 §5.2"},                                      // reserved control opcodes
      {"\x8f"s, "RFC 6455 §5.2"},                                      //
      {"\x91"s, "RFC 6455 §5.2"},                                      // RSV3
      {"\xa1"s, "RFC 6455 §5.2"},                                      // RSV2
      {"\xc1"s, "RFC 7692 §6.1"},                                      // RSV1 without an agreement
      {"\x09"s, "RFC 6455 §5.5"},                                      // a fragmented ping
      {"\x08"s, "RFC 6455 §5.5"},                                      // a fragmented Close
      {"\x81\x05"s, "RFC 6455 §5.1"},                                  // no mask
      {"\x89\xfe"s, "RFC 6455 §5.5"},                                  // a ping of 126 bytes
      {"\x88\xff"s, "RFC 6455 §5.5"},                                  // a Close with a 64-bit length
      {"\x81\xff\x80"s, "RFC 6455 §5.2"},                              // the highest bit
      {"\x81\xfe\x00\x7d"s, "RFC 6455 §5.2"},                          // 125 in 16 bits
      {"\x81\xff\x00\x00\x00\x00\x00\x00\xff\xff"s, "RFC 6455 §5.2"},  // 65535 in 64
  };
  for (const auto& one : cases) {
    const auto result = from_client(one.bytes);
    ASSERT_EQ(result.state, State::refused) << one.section;
    EXPECT_EQ(result.fault.code, close_code::protocol_error);
    EXPECT_EQ(result.fault.section, one.section);
  }
}

TEST(FrameHead, OfAServerMustNotBeMasked) {
  EXPECT_EQ(parse_frame_head("\x81\x85", WebSocketSide::server, false).state, State::refused);
  EXPECT_EQ(parse_frame_head("\x81\x05", WebSocketSide::server, false).state, State::complete);
}

TEST(FrameHead, MayBeMarkedAsCompressedOnlyAtTheStartOfADataMessage) {
  EXPECT_EQ(from_client("\xc1\x80WXYZ"s, true).state, State::complete);
  EXPECT_TRUE(from_client("\xc2\x80WXYZ"s, true).head.compressed);
  EXPECT_EQ(from_client("\xc0"s, true).state, State::refused);  // a continuation
  EXPECT_EQ(from_client("\xc9"s, true).state, State::refused);  // a ping
}

TEST(FrameHead, IsWrittenAsItIsRead) {
  for (const std::uint64_t length : {0ULL, 1ULL, 125ULL, 126ULL, 65535ULL, 65536ULL, 1ULL << 40}) {
    for (const bool masked : {false, true}) {
      const FrameHead head{.fin = length != 1,
                           .compressed = true,
                           .opcode = Opcode::binary,
                           .masked = masked,
                           .mask = {1, 2, 3, 4},
                           .length = length};
      char bytes[kMostFrameHead];
      const char* const end = write_frame_head(bytes, head);
      const auto read = parse_frame_head({bytes, end}, masked ? WebSocketSide::client : WebSocketSide::server, true);
      ASSERT_EQ(read.state, State::complete);
      EXPECT_EQ(read.size, static_cast<std::size_t>(end - bytes));
      EXPECT_EQ(read.head.length, length);
      EXPECT_EQ(read.head.fin, length != 1);
      EXPECT_TRUE(read.head.compressed);
      EXPECT_EQ(read.head.opcode, Opcode::binary);
      if (masked) EXPECT_EQ(read.head.mask, head.mask);
    }
  }
}

TEST(Mask, GivesTheSameWhateverPiecesItIsAppliedTo) {
  std::mt19937 random(7);
  std::string plain(1000, '\0');
  for (char& c : plain) c = static_cast<char>(random());
  const std::array<std::uint8_t, 4> mask{0x37, 0xfa, 0x21, 0x3d};
  std::string expected = plain;
  for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = static_cast<char>(expected[i] ^ mask[i % 4]);
  for (int round = 0; round < 50; ++round) {
    std::string bytes = plain;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t piece = std::min<std::size_t>(random() % 70, bytes.size() - at);
      mask_bytes(bytes.data() + at, piece, mask, at);
      at += piece;
    }
    ASSERT_EQ(bytes, expected);
  }
}

// Hello, masked, of RFC 6455 §5.7.
TEST(Mask, UnmasksTheExampleOfTheStandard) {
  std::string bytes("\x7f\x9f\x4d\x51\x58");
  mask_bytes(bytes.data(), bytes.size(), {0x37, 0xfa, 0x21, 0x3d}, 0);
  EXPECT_EQ(bytes, "Hello");
}

bool valid(std::string_view text) {
  Utf8Check check;
  return check.feed(text) && check.complete();
}

// The strings of the Autobahn test suite's section 6, and the borders of every range.
TEST(Utf8, AcceptsWhatIsWellFormedInAnyPieces) {
  for (const std::string& text :
       {""s, "a"s, "0123456789abcdefghij"s, "\x00"s, "\x7f"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s,
        "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xef\xbf\xbf"s, "\xef\xbf\xbd"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s,
        "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"s, "sixteen bytes of ascii \xe2\x82\xac and more than that"s}) {
    EXPECT_TRUE(valid(text)) << text;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      Utf8Check check;
      EXPECT_TRUE(check.feed(std::string_view(text).substr(0, cut)));
      EXPECT_TRUE(check.feed(std::string_view(text).substr(cut)));
      EXPECT_TRUE(check.complete());
    }
  }
}

TEST(Utf8, RefusesWhatIsNotInAnyPieces) {
  for (const std::string& text : {"\x80"s,
                                  "\xbf"s,
                                  "\xc0\xaf"s,
                                  "\xc1\xbf"s,
                                  "\xc2"s,
                                  "\xc2\x41"s,
                                  "\xe0\x80\xaf"s,
                                  "\xe0\x9f\xbf"s,
                                  "\xe2\x82"s,
                                  "\xed\xa0\x80"s,
                                  "\xed\xbf\xbf"s,
                                  "\xf0\x80\x80\xaf"s,
                                  "\xf0\x8f\xbf\xbf"s,
                                  "\xf4\x90\x80\x80"s,
                                  "\xf5\x80\x80\x80"s,
                                  "\xf8\x88\x80\x80\x80"s,
                                  "\xfe"s,
                                  "\xff"s,
                                  "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65"s,
                                  "plenty of ascii text before \xff"s}) {
    EXPECT_FALSE(valid(text)) << text;
    EXPECT_FALSE(is_utf8(text)) << "the two checks disagree";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      Utf8Check check;
      EXPECT_FALSE(check.feed(std::string_view(text).substr(0, cut)) &&
                   check.feed(std::string_view(text).substr(cut)) && check.complete());
    }
  }
}

TEST(Utf8, FindsAWrongByteBeforeTheRestOfTheCharacter) {
  Utf8Check check;
  EXPECT_FALSE(check.feed("\xf4\x90"));  // Autobahn 6.4: fails fast
}

TEST(Utf8, IsFreshAfterAReset) {
  Utf8Check check;
  EXPECT_TRUE(check.feed("\xe0"));
  check.reset();
  EXPECT_TRUE(check.feed("\xc2\x80") && check.complete());
}

TEST(CloseCode, MayBeSentAsTheStandardAndTheRegistrySay) {
  for (const std::uint16_t code :
       {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999}) {
    EXPECT_TRUE(valid_close_code(code)) << code;
  }
  for (const std::uint16_t code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
    EXPECT_FALSE(valid_close_code(code)) << code;
  }
}

TEST(ClosePayload, IsReadAndWritten) {
  EXPECT_EQ(close_payload(1000, "bye"),
            "\x03\xe8"
            "bye");
  EXPECT_EQ(close_payload(close_code::none, ""), "");
  const ClosePayload read = parse_close_payload(
      "\x03\xe8"
      "bye");
  EXPECT_EQ(read.code, 1000);
  EXPECT_EQ(read.reason, "bye");
  EXPECT_FALSE(read.fault);
  EXPECT_EQ(parse_close_payload("").code, close_code::none);
}

TEST(ClosePayload, IsCutBetweenCharacters) {
  std::string reason(122, 'a');
  reason += "\xc3\xa9";  // bytes 122 and 123: one fits
  EXPECT_EQ(close_payload(1000, reason), "\x03\xe8" + std::string(122, 'a'));
}

TEST(ClosePayload, IsRefusedWhenItBreaksTheRules) {
  EXPECT_EQ(parse_close_payload("\x03").fault.code, close_code::protocol_error);
  EXPECT_EQ(parse_close_payload("\x03\xed"s).fault.code, close_code::protocol_error);        // 1005
  EXPECT_EQ(parse_close_payload("\x03\xe8\xff"s).fault.code, close_code::bad_data);          // no UTF-8
  EXPECT_EQ(parse_close_payload("\x03\xe8\xce\xba\xe1"s).fault.code, close_code::bad_data);  // cut
}

}  // namespace
}  // namespace ashlar::http
