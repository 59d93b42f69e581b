#include <ashlar/http/websocket_reader.hpp>

#include <gtest/gtest.h>
#include <zlib.h>

#include <memory>
#include <string>
#include <vector>

namespace ashlar::http {
namespace {

using std::string_literals::operator""s;
using Event = WebSocketReader::Event;

struct Frame {
  Opcode opcode = Opcode::text;
  std::string payload;
  bool fin = true;
  bool compressed = false;
};

std::string client_bytes(const std::vector<Frame>& frames) {
  std::string bytes;
  for (const Frame& one : frames) {
    const FrameHead head{.fin = one.fin,
                         .compressed = one.compressed,
                         .opcode = one.opcode,
                         .masked = true,
                         .mask = {0x12, 0x34, 0x56, 0x78},
                         .length = one.payload.size()};
    char place[kMostFrameHead];
    bytes.append(place, write_frame_head(place, head));
    std::string payload = one.payload;
    mask_bytes(payload.data(), payload.size(), head.mask, 0);
    bytes += payload;
  }
  return bytes;
}

// What a reader makes of the bytes, as words; fed in pieces of this size.
std::vector<std::string> read(std::string bytes, std::size_t piece, std::uint64_t max_message = 1 << 20,
                              MessageDeflate* deflate = nullptr) {
  WebSocketReader reader(WebSocketSide::client, max_message, deflate);
  std::vector<std::string> seen;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    std::string part = bytes.substr(at, piece);
    std::span<char> in(part);
    while (!in.empty()) {
      switch (reader.feed(in)) {
        case Event::more:
          break;
        case Event::message: {
          const WebSocketMessage message = reader.take_message();
          seen.push_back((message.text ? "text " : "binary ") + message.data);
          break;
        }
        case Event::ping:
          seen.push_back("ping " + std::string(reader.control()));
          break;
        case Event::pong:
          seen.push_back("pong " + std::string(reader.control()));
          break;
        case Event::close:
          seen.push_back("close " + std::to_string(parse_close_payload(reader.control()).code));
          return seen;
        case Event::fault:
          seen.push_back("fault " + std::to_string(reader.fault().code));
          return seen;
      }
    }
  }
  if (reader.within()) seen.emplace_back("within");
  return seen;
}

void expect(const std::vector<Frame>& frames, const std::vector<std::string>& wanted,
            std::uint64_t max_message = 1 << 20) {
  const std::string bytes = client_bytes(frames);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, bytes.size()}) {
    EXPECT_EQ(read(bytes, piece, max_message), wanted) << "in pieces of " << piece;
  }
}

TEST(WebSocketReader, GivesWholeMessagesInOrder) {
  expect({{Opcode::text, "one"}, {Opcode::binary, "\x00\xff"s}, {Opcode::text, ""}},
         {"text one", "binary \x00\xff"s, "text "});
}

TEST(WebSocketReader, JoinsFragmentsWithControlFramesBetweenThem) {
  expect({{Opcode::text, "fra", false},
          {Opcode::ping, "p"},
          {Opcode::continuation, "gm", false},
          {Opcode::pong, ""},
          {Opcode::continuation, "", false},
          {Opcode::continuation, "ents"}},
         {"ping p", "pong ", "text fragments"});
}

TEST(WebSocketReader, RefusesFragmentsOutOfOrder) {
  expect({{Opcode::continuation, "x"}}, {"fault 1002"});
  expect({{Opcode::text, "x", false}, {Opcode::text, "y"}}, {"fault 1002"});
  expect({{Opcode::text, "x"}, {Opcode::continuation, "y"}}, {"text x", "fault 1002"});
}

TEST(WebSocketReader, TakesACharacterThatIsCutByAFragment) {
  expect({{Opcode::text, "\xe2\x82", false}, {Opcode::continuation, "\xac"}}, {"text \xe2\x82\xac"});
}

TEST(WebSocketReader, RefusesTextThatIsNoUtf8) {
  expect({{Opcode::text, "a\xff"}}, {"fault 1007"});
  expect({{Opcode::text, "\xe2\x82"}}, {"fault 1007"});                                  // cut at the end
  expect({{Opcode::text, "\xe2", false}, {Opcode::continuation, "x"}}, {"fault 1007"});  // cut by a fragment
  expect({{Opcode::text, "\xf4\x90", false}}, {"fault 1007"});                           // before the message ends
  expect({{Opcode::binary, "\xff\xfe"}}, {"binary \xff\xfe"});
}

TEST(WebSocketReader, RefusesAMessageAboveTheLimitBeforeItsPayload) {
  const std::string head = client_bytes({{Opcode::binary, std::string(11, 'x')}}).substr(0, 6);
  EXPECT_EQ(read(head, 100, 10), (std::vector<std::string>{"fault 1009"}));
  expect({{Opcode::binary, "123456", false}, {Opcode::continuation, "7890"}}, {"binary 1234567890"}, 10);
  expect({{Opcode::binary, "123456", false}, {Opcode::continuation, "78901"}}, {"fault 1009"}, 10);
}

TEST(WebSocketReader, RefusesALengthThatWouldWrapAround) {
  const std::string huge =
      "\x02\x81"s
      "\x11\x22\x33\x44"
      "\x00"s  // a fragment of one byte, then 2^63-1
      "\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
      "\x11\x22\x33\x44"s;
  EXPECT_EQ(read(huge, 1), (std::vector<std::string>{"fault 1009"}));
}

TEST(WebSocketReader, EndsWithAClose) { expect({{Opcode::close, "\x03\xe8"}, {Opcode::text, "late"}}, {"close 1000"}); }

TEST(WebSocketReader, KnowsThatItIsWithinSomething) {
  EXPECT_EQ(read(client_bytes({{Opcode::text, "x", false}}), 100), (std::vector<std::string>{"within"}));
  EXPECT_EQ(read("\x81", 1), (std::vector<std::string>{"within"}));
}

// -------------------------------------------------------------------------------------------------------- compression

const DeflateAgreement kNoTakeover{.server_no_context_takeover = true, .client_no_context_takeover = true};
const WebSocketCompression kAll{.threshold = 0};

std::string compressed(MessageDeflate& deflate, std::string_view message) {
  std::string out;
  EXPECT_TRUE(deflate.compress(message, out));
  return out;
}
std::string decompressed(MessageDeflate& deflate, std::string_view bytes) {
  std::string out;
  EXPECT_EQ(deflate.decompress(bytes, out, 1 << 24), MessageDeflate::Result::done);
  return out;
}
std::string repeated(std::string_view word, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += word;
  return text;
}

// RFC 7692 §7.2.3.1 and .4.
TEST(MessageDeflate, DecompressesTheExamplesOfTheStandard) {
  MessageDeflate deflate(WebSocketSide::server, kNoTakeover, kAll);
  EXPECT_EQ(decompressed(deflate, "\xf2\x48\xcd\xc9\xc9\x07\x00"s), "Hello");
  EXPECT_EQ(decompressed(deflate, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"s), "Hello");          // not compressed
  EXPECT_EQ(decompressed(deflate, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"s), "Hello");                      // a last block
  EXPECT_EQ(decompressed(deflate, "\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"s), "Hello");  // two blocks
}

TEST(MessageDeflate, RefersToEarlierMessagesOnlyWithAContextTakeover) {
  const WebSocketCompression keeps{.threshold = 0, .context_takeover = true};
  for (const bool takeover : {false, true}) {
    const DeflateAgreement agreement{.server_no_context_takeover = !takeover, .client_no_context_takeover = !takeover};
    MessageDeflate server(WebSocketSide::server, agreement, keeps);
    MessageDeflate client(WebSocketSide::client, agreement, keeps);
    const std::string message = repeated("The quick brown fox. ", 10);
    const std::string first = compressed(server, message);
    const std::string second = compressed(server, message);
    if (takeover) {
      EXPECT_LT(second.size(), first.size());
    } else {
      EXPECT_EQ(second, first);
    }
    EXPECT_EQ(decompressed(client, first), message);
    EXPECT_EQ(decompressed(client, second), message);
  }
}

TEST(MessageDeflate, CarriesEmptyAndLargeMessagesInEveryWindow) {
  std::string large;
  for (int i = 0; large.size() < 300'000; ++i) large += std::to_string(i * 7919) + ",";
  for (int bits = 9; bits <= 15; ++bits) {
    for (const bool takeover : {false, true}) {
      const DeflateAgreement agreement{.server_no_context_takeover = !takeover,
                                       .client_no_context_takeover = !takeover,
                                       .server_window_bits = bits,
                                       .client_window_bits = bits};
      MessageDeflate server(WebSocketSide::server, agreement, kAll);
      MessageDeflate client(WebSocketSide::client, agreement, kAll);
      for (const std::string& message : {large, std::string(), std::string(), large, std::string("\0", 1) + large}) {
        EXPECT_EQ(decompressed(server, compressed(client, message)), message);
        EXPECT_EQ(decompressed(client, compressed(server, message)), message);
      }
    }
  }
}

TEST(MessageDeflate, SendsWhatDoesNotShrinkAsItIs) {
  MessageDeflate deflate(WebSocketSide::server, kNoTakeover, kAll);
  std::string out = "before";
  EXPECT_FALSE(deflate.compress("q8", out));
  EXPECT_EQ(out, "before");
}

TEST(MessageDeflate, StopsABombAtTheLimit) {
  MessageDeflate deflate(WebSocketSide::server, kNoTakeover, kAll);
  const std::string bomb = compressed(deflate, std::string(8'000'000, '\0'));
  EXPECT_LT(bomb.size(), 20'000U);
  std::string out;
  EXPECT_EQ(deflate.decompress(bomb, out, 1'000'000), MessageDeflate::Result::too_large);
  EXPECT_LE(out.size(), 1'000'001U);
  EXPECT_EQ(decompressed(deflate, compressed(deflate, std::string(1000, 'x'))), std::string(1000, 'x'));
}

TEST(MessageDeflate, TakesAMessageOfExactlyTheLimit) {
  MessageDeflate deflate(WebSocketSide::server, kNoTakeover, kAll);
  std::string out;
  EXPECT_EQ(deflate.decompress(compressed(deflate, std::string(1000, 'x')), out, 1000), MessageDeflate::Result::done);
  out.clear();
  EXPECT_EQ(deflate.decompress(compressed(deflate, std::string(1001, 'x')), out, 1000),
            MessageDeflate::Result::too_large);
}

TEST(MessageDeflate, RefusesWhatIsNoDeflateAndWhatIsCut) {
  MessageDeflate deflate(WebSocketSide::server, kNoTakeover, kAll);
  std::string out;
  EXPECT_EQ(deflate.decompress("\xff\xff\xff", out, 1000), MessageDeflate::Result::broken);
  const std::string whole = compressed(deflate, repeated("some words to compress ", 20));
  EXPECT_EQ(deflate.decompress(std::string_view(whole).substr(0, whole.size() / 2), out, 1 << 20),
            MessageDeflate::Result::broken);
}

TEST(WebSocketReader, DecompressesMessagesAndChecksThemAfterwards) {
  MessageDeflate server(WebSocketSide::server, kNoTakeover, kAll);
  MessageDeflate client(WebSocketSide::client, kNoTakeover, kAll);
  const std::string text = repeated("h\xc3\xa9llo ", 100);
  const std::string packed = compressed(client, text);
  const std::string bytes = client_bytes({{Opcode::text, packed.substr(0, 5), false, true},
                                          {Opcode::ping, "!"},
                                          {Opcode::continuation, packed.substr(5)},
                                          {Opcode::text, compressed(client, std::string(100, '\xff')), true, true}});
  for (const std::size_t piece : {std::size_t{1}, std::size_t{5}, bytes.size()}) {
    EXPECT_EQ(read(bytes, piece, 1 << 20, &server), (std::vector<std::string>{"ping !", "text " + text, "fault 1007"}));
  }
}

TEST(WebSocketReader, RefusesADecompressionBomb) {
  MessageDeflate server(WebSocketSide::server, kNoTakeover, kAll);
  MessageDeflate client(WebSocketSide::client, kNoTakeover, kAll);
  const std::string bytes =
      client_bytes({{Opcode::binary, compressed(client, std::string(1'000'000, 'a')), true, true}});
  EXPECT_EQ(read(bytes, bytes.size(), 100'000, &server), (std::vector<std::string>{"fault 1009"}));
}

// -------------------------------------------------------------------------------------------------------- negotiation

TEST(DeflateNegotiation, AcceptsTheFirstOfferItCanKeep) {
  const WebSocketCompression standard;
  const auto answer = [&](std::string_view offers, const WebSocketCompression& options) -> std::string {
    const auto agreement = accept_deflate(offers, options);
    return agreement ? deflate_answer(*agreement) : "declined";
  };
  EXPECT_EQ(answer("permessage-deflate", standard),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
  const WebSocketCompression keeps{.context_takeover = true};
  EXPECT_EQ(answer("permessage-deflate", keeps), "permessage-deflate");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", keeps), "permessage-deflate");
  EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=10; server_max_window_bits=\"9\"", keeps),
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=10");
  EXPECT_EQ(answer("permessage-deflate; server_no_context_takeover", keeps),
            "permessage-deflate; server_no_context_takeover");
  EXPECT_EQ(answer("x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, permessage-deflate", keeps),
            "permessage-deflate");
}

TEST(DeflateNegotiation, DeclinesWhatItDoesNotKnow) {
  for (const std::string_view offer :
       {"", "permessage-bzip2", "permessage-deflate; x", "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover"}) {
    EXPECT_FALSE(accept_deflate(offer, {})) << offer;
  }
  EXPECT_FALSE(accept_deflate("permessage-deflate", {.enabled = false}));
}

TEST(DeflateNegotiation, HoldsAServerToWhatWasOffered) {
  const WebSocketCompression keeps{.context_takeover = true};
  EXPECT_TRUE(read_deflate_answer("permessage-deflate", keeps));
  EXPECT_EQ(read_deflate_answer("permessage-deflate; server_max_window_bits=10", keeps)->server_window_bits, 10);
  EXPECT_FALSE(read_deflate_answer("permessage-deflate", {}));  // server_no_context_takeover was asked for
  EXPECT_FALSE(read_deflate_answer("permessage-deflate; client_max_window_bits", keeps));
  EXPECT_FALSE(read_deflate_answer("permessage-deflate; other", keeps));
  EXPECT_FALSE(read_deflate_answer("other", keeps));
}

TEST(DeflateNegotiation, EndsInTheSameAgreementOnBothSides) {
  for (const bool takeover : {false, true}) {
    for (const int bits : {9, 15}) {
      const WebSocketCompression options{.context_takeover = takeover, .window_bits = bits};
      const auto server = accept_deflate(deflate_offer(options), options);
      ASSERT_TRUE(server);
      const auto client = read_deflate_answer(deflate_answer(*server), options);
      ASSERT_TRUE(client);
      EXPECT_EQ(client->server_no_context_takeover, server->server_no_context_takeover);
      EXPECT_EQ(client->client_no_context_takeover, server->client_no_context_takeover);
      EXPECT_EQ(client->server_window_bits, server->server_window_bits);
      EXPECT_EQ(client->client_window_bits, server->client_window_bits);
    }
  }
}

}  // namespace
}  // namespace ashlar::http
