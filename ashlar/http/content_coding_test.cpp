#include <ashlar/http/content_coding.hpp>

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <thread>
#include <vector>

#include <ashlar/base/error.hpp>

namespace ashlar::http {
namespace {

using State = Decoder::State;
using enum ContentCoding;

constexpr std::array kAll = {identity, gzip, deflate, br, zstd};
constexpr std::array kCompressed = {gzip, deflate, br, zstd};

// Texts and noise of some length, the same each time.
std::string sample(std::size_t size) {
  std::string text;
  std::uint64_t seed = 88172645463325252;
  while (text.size() < size) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    text += seed % 5 == 0 ? std::string(reinterpret_cast<const char*>(&seed), sizeof seed)
                          : R"({"id": )" + std::to_string(seed % 10'000) + R"(, "name": "somebody"},)";
  }
  text.resize(size);
  return text;
}

std::string decode_in_pieces(Decoder& decoder, std::string_view encoded, std::size_t piece) {
  std::string out;
  for (std::size_t at = 0; at < encoded.size(); at += piece) {
    std::string_view in = encoded.substr(at, piece);
    EXPECT_EQ(decoder.decode(in, out, 100'000'000), State::more) << decoder.refusal().detail;
    EXPECT_TRUE(in.empty());
  }
  return out;
}

// What the libraries' own one-shot functions say.
std::string oracle_decode(ContentCoding coding, std::string_view encoded, std::size_t size) {
  std::string out(size + 1, 0);
  std::size_t made = out.size();
  auto* const to = reinterpret_cast<std::uint8_t*>(out.data());
  const auto* const from = reinterpret_cast<const std::uint8_t*>(encoded.data());
  if (coding == br) {
    EXPECT_EQ(BrotliDecoderDecompress(encoded.size(), from, &made, to), BROTLI_DECODER_RESULT_SUCCESS);
  } else if (coding == zstd) {
    made = ZSTD_decompress(to, made, from, encoded.size());
    EXPECT_FALSE(ZSTD_isError(made)) << ZSTD_getErrorName(made);
  } else {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, coding == gzip ? 31 : 15), Z_OK);
    stream.next_in = const_cast<Bytef*>(from);
    stream.avail_in = static_cast<uInt>(encoded.size());
    stream.next_out = to;
    stream.avail_out = static_cast<uInt>(made);
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    EXPECT_EQ(stream.avail_in, 0u);
    made = stream.total_out;
    inflateEnd(&stream);
  }
  out.resize(made);
  return out;
}

std::string oracle_encode(ContentCoding coding, std::string_view content, int level, int window = 0) {
  std::string out(content.size() + content.size() / 8 + 1024, 0);
  std::size_t made = out.size();
  auto* const to = reinterpret_cast<std::uint8_t*>(out.data());
  const auto* const from = reinterpret_cast<const std::uint8_t*>(content.data());
  if (coding == br) {
    EXPECT_TRUE(BrotliEncoderCompress(level, 24, BROTLI_MODE_TEXT, content.size(), from, &made, to));
  } else if (coding == zstd) {
    made = ZSTD_compress(to, made, from, content.size(), level);
  } else {
    z_stream stream{};
    EXPECT_EQ(deflateInit2(&stream, level, Z_DEFLATED, window != 0 ? window : (coding == gzip ? 31 : 15), 8,
                           Z_DEFAULT_STRATEGY),
              Z_OK);
    stream.next_in = const_cast<Bytef*>(from);
    stream.avail_in = static_cast<uInt>(content.size());
    stream.next_out = to;
    stream.avail_out = static_cast<uInt>(made);
    EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
    made = stream.total_out;
    deflateEnd(&stream);
  }
  out.resize(made);
  return out;
}

std::string refusal_of(ContentCoding coding, std::string_view encoded) {
  Decoder decoder(coding);
  std::string out;
  if (decoder.decode(encoded, out, 1'000'000) == State::refused) return std::string(decoder.refusal().detail);
  return decoder.complete() ? "" : "cut off";
}

TEST(ContentCoding, DecodesWhatItEncodedInAnyPieces) {
  for (const std::size_t size : {0u, 1u, 100u, 16'384u, 300'000u}) {
    const std::string content = sample(size);
    for (const ContentCoding coding : kAll) {
      for (const std::size_t piece : {1u, 7u, 4'096u, 1'000'000u}) {
        if (size > 1'000 && piece < 100) continue;
        Encoder encoder(coding);
        std::string encoded;
        for (std::size_t at = 0; at < size; at += piece) {
          encoder.encode(std::string_view(content).substr(at, piece), encoded);
        }
        encoder.finish(encoded);
        Decoder decoder(coding);
        EXPECT_EQ(decode_in_pieces(decoder, encoded, piece), content) << to_string(coding) << size << " " << piece;
        EXPECT_TRUE(decoder.complete()) << to_string(coding) << size << " " << piece;
      }
    }
  }
}

TEST(ContentCoding, AgreesWithTheLibrariesOneShotFunctionsAtEveryLevel) {
  const std::string content = sample(60'000);
  for (int level = 0; level <= 19; ++level) {
    for (const ContentCoding coding : kCompressed) {
      if (level > (coding == zstd ? 19 : coding == br ? 11 : 9) || (coding != br && level == 0)) continue;
      EXPECT_EQ(oracle_decode(coding, encode(coding, content, level), content.size()), content)
          << to_string(coding) << level;
      EXPECT_EQ(decode(coding, oracle_encode(coding, content, level), content.size()), content)
          << to_string(coding) << level;
    }
  }
}

TEST(ContentCoding, AFlushLetsTheOtherSideReadEverythingSoFar) {
  for (const ContentCoding coding : kAll) {
    for (const int level : {Encoder::kCheap, 1, 9}) {
      if (coding == identity && level != Encoder::kCheap) continue;
      Encoder encoder(coding, level);
      Decoder decoder(coding);
      std::string all;
      std::string decoded;
      for (const std::size_t size : {1u, 30u, 0u, 200'000u, 5u}) {
        std::string piece;
        encoder.encode(sample(size), piece);
        encoder.flush(piece);
        all += sample(size);
        std::string_view in = piece;
        EXPECT_EQ(decoder.decode(in, decoded, 1'000'000), State::more);
        EXPECT_EQ(decoded, all) << to_string(coding) << level << " " << size;
      }
      std::string end;
      encoder.finish(end);
      std::string_view in = end;
      EXPECT_EQ(decoder.decode(in, decoded, 1'000'000), State::more);
      EXPECT_TRUE(decoder.complete()) << to_string(coding);
      EXPECT_EQ(decoded, all);
    }
  }
}

TEST(ContentCoding, IsUsedAgainAfterAReset) {
  const std::string content = sample(5'000);
  for (const ContentCoding coding : kAll) {
    Encoder encoder(coding);
    std::string half;
    encoder.encode(content, half);
    encoder.flush(half);
    Decoder decoder(coding);
    std::string out;
    std::string_view in = half;
    EXPECT_EQ(decoder.decode(in, out, 10), State::full);
    encoder.reset();
    decoder.reset();
    std::string whole;
    encoder.encode(content, whole);
    encoder.finish(whole);
    EXPECT_EQ(whole, encode(coding, content)) << to_string(coding);
    EXPECT_EQ(decode_in_pieces(decoder, whole, 100), content);
    EXPECT_TRUE(decoder.complete());
    EXPECT_THROW(encoder.encode("x", whole), Internal);
    EXPECT_THROW(encoder.finish(whole), Internal);
  }
}

TEST(ContentCoding, StatesTravelBetweenThreadsAndOutliveThem) {
  const std::string content = sample(5'000);
  std::vector<Encoder> encoders;
  std::thread([&] {
    for (int i = 0; i < 40; ++i) encoders.emplace_back(kCompressed[static_cast<std::size_t>(i) % kCompressed.size()]);
  }).join();
  std::thread([&] {
    for (Encoder& encoder : encoders) {
      std::string out;
      encoder.encode(content, out);
      encoder.finish(out);
    }
    encoders.clear();
  }).join();
  EXPECT_EQ(decode(gzip, encode(gzip, content), 5'000), content);
}

TEST(ContentCoding, StopsWhenTheOutputIsFullAndGoesOnWhereItStopped) {
  const std::string content = sample(50'000);
  for (const ContentCoding coding : kAll) {
    const std::string encoded = encode(coding, content);
    Decoder decoder(coding);
    std::string_view in = encoded;
    std::string all;
    State state = State::full;
    while (state == State::full) {
      std::string out;
      state = decoder.decode(in, out, 1'000);
      EXPECT_LE(out.size(), 1'000u);
      all += out;
    }
    EXPECT_EQ(state, State::more) << to_string(coding);
    EXPECT_EQ(all, content) << to_string(coding);
    EXPECT_TRUE(decoder.complete());
  }
}

TEST(ContentCoding, ContentOfExactlyTheLimitFits) {
  for (const ContentCoding coding : kAll) {
    const std::string encoded = encode(coding, sample(1'000));
    EXPECT_EQ(decode(coding, encoded, 1'000), sample(1'000)) << to_string(coding);
    EXPECT_THROW(static_cast<void>(decode(coding, encoded, 999)), TooLarge) << to_string(coding);
    EXPECT_EQ(decode(coding, encode(coding, ""), 0), "") << to_string(coding);
    EXPECT_THROW(static_cast<void>(decode(coding, encode(coding, "x"), 0)), TooLarge) << to_string(coding);
  }
}

TEST(ContentCoding, ABombIsRefusedWhileItGrows) {
  const std::string zeros(64 * 1024 * 1024, '\0');
  for (const ContentCoding coding : kCompressed) {
    const std::string bomb = encode(coding, zeros);
    Decoder decoder(coding);
    std::string out;
    std::string_view in = bomb;
    const State state = decoder.decode(in, out, zeros.size());
    EXPECT_EQ(state, State::refused) << to_string(coding) << bomb.size();
    EXPECT_EQ(decoder.refusal().status, 413) << to_string(coding);
    EXPECT_LE(out.size(), Decoder::kUnchecked + bomb.size() * 512 + 100'000) << to_string(coding);
    EXPECT_EQ(decoder.decode(in, out, zeros.size()), State::refused) << "and stays refused";
    EXPECT_FALSE(decoder.complete());
    EXPECT_THROW(static_cast<void>(decode(coding, bomb, zeros.size())), TooLarge);
  }
}

TEST(ContentCoding, SaysWhenContentIsCutOffAnywhere) {
  for (const ContentCoding coding : kCompressed) {
    const std::string encoded = encode(coding, "hello, hello, hello");
    for (std::size_t size = 0; size < encoded.size(); ++size) {
      EXPECT_EQ(refusal_of(coding, std::string_view(encoded).substr(0, size)), "cut off") << to_string(coding) << size;
    }
    EXPECT_EQ(refusal_of(coding, encoded), "");
    EXPECT_THROW(static_cast<void>(decode(coding, encoded.substr(1, 2), 100)), Invalid) << to_string(coding);
  }
}

TEST(ContentCoding, RefusesWhatFollowsTheEnd) {
  for (const ContentCoding coding : kCompressed) {
    const std::string encoded = encode(coding, "hello");
    for (const std::string_view behind : {std::string_view("x"), std::string_view("\0", 1), std::string_view("\x1f x"),
                                          std::string_view("garbage of some length")}) {
      EXPECT_NE(refusal_of(coding, encoded + std::string(behind)), "") << to_string(coding);
      Decoder decoder(coding);
      std::string out;
      std::string_view in = encoded;
      EXPECT_EQ(decoder.decode(in, out, 100), State::more);
      in = behind;
      const State state = decoder.decode(in, out, 100);
      EXPECT_TRUE(state == State::refused || !decoder.complete()) << to_string(coding);
      EXPECT_EQ(out, "hello");
    }
  }
}

TEST(ContentCoding, RefusesOtherFormatsAndDamage) {
  for (const ContentCoding coding : kCompressed) {
    EXPECT_NE(refusal_of(coding, "<!doctype html><html lang=en>"), "") << to_string(coding);
  }
  EXPECT_EQ(refusal_of(gzip, encode(zstd, "x")), "The content is malformed.");
  EXPECT_EQ(refusal_of(gzip, encode(deflate, "x")), "The content is malformed.");
  for (const ContentCoding coding : {gzip, deflate}) {  // those that have a checksum
    std::string damaged = encode(coding, "hello, hello");
    damaged[damaged.size() - 3] ^= 1;
    EXPECT_EQ(refusal_of(coding, damaged), "The content is malformed.") << to_string(coding);
  }
}

TEST(ContentCoding, MembersAndFramesInARowAreOneContent) {
  for (const ContentCoding coding : {gzip, zstd}) {
    const std::string encoded = encode(coding, "one ") + encode(coding, "") + encode(coding, "two");
    EXPECT_EQ(decode(coding, encoded, 100), "one two");
    for (std::size_t piece = 1; piece < encoded.size(); ++piece) {
      Decoder decoder(coding);
      EXPECT_EQ(decode_in_pieces(decoder, encoded, piece), "one two");
      EXPECT_TRUE(decoder.complete());
    }
  }
}

TEST(ContentCoding, ReadsDeflateWithAndWithoutItsHeader) {
  const std::string content = sample(2'000);
  for (const int window : {15, 9, -15, -9}) {
    for (const int level : {0, 1, 9}) {
      const std::string encoded = oracle_encode(deflate, content, level, window);
      EXPECT_EQ(decode(deflate, encoded, 2'000), content) << window << " " << level;
      Decoder decoder(deflate);
      EXPECT_EQ(decode_in_pieces(decoder, encoded, 1), content) << window << " " << level;
      EXPECT_TRUE(decoder.complete());
    }
  }
}

TEST(ContentCoding, AskingAgainForNothingChangesNothing) {
  for (const ContentCoding coding : kCompressed) {
    const std::string encoded = encode(coding, "hello");
    Decoder decoder(coding);
    std::string out;
    std::string_view in = std::string_view(encoded).substr(0, encoded.size() - 1);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(decoder.decode(in, out, 100), State::more) << to_string(coding);
    in = std::string_view(encoded).substr(encoded.size() - 1);
    for (int i = 0; i < 50; ++i) EXPECT_EQ(decoder.decode(in, out, 100), State::more) << to_string(coding);
    EXPECT_TRUE(decoder.complete());
    EXPECT_EQ(out, "hello");
  }
}

TEST(ContentCoding, LevelsThatAreNoneAreRefused) {
  EXPECT_THROW(Encoder(gzip, 0), Invalid);
  EXPECT_THROW(Encoder(gzip, 10), Invalid);
  EXPECT_THROW(Encoder(br, 12), Invalid);
  EXPECT_THROW(Encoder(br, -1), Invalid);
  EXPECT_THROW(Encoder(zstd, 20), Invalid);
  EXPECT_THROW(Encoder(identity, 1), Invalid);
}

TEST(ContentCoding, HasNames) {
  for (const ContentCoding coding : kAll) EXPECT_EQ(find_content_coding(to_string(coding)), coding);
  EXPECT_EQ(find_content_coding("GZip"), gzip);
  EXPECT_EQ(find_content_coding("x-gzip"), gzip);
  EXPECT_EQ(find_content_coding("compress"), std::nullopt);
  EXPECT_EQ(find_content_coding(""), std::nullopt);
}

TEST(Negotiate, TakesWhatTheClientWantsMostThenWhatTheServerPrefers) {
  EXPECT_EQ(negotiate("gzip, deflate, br, zstd"), zstd);
  EXPECT_EQ(negotiate("gzip, deflate, br"), br);
  EXPECT_EQ(negotiate("gzip"), gzip);
  EXPECT_EQ(negotiate("x-gzip"), gzip);
  EXPECT_EQ(negotiate("GZIP;Q=0.5 , BR ; q=0.8"), br);
  EXPECT_EQ(negotiate("br;q=0.8, gzip;q=0.801"), gzip);
  EXPECT_EQ(negotiate("gzip;q=1.000, br;q=0.999, zstd;q=0"), gzip);
  EXPECT_EQ(negotiate("gzip, br", std::array{gzip, br}), gzip);
  EXPECT_EQ(negotiate("*"), zstd);
  EXPECT_EQ(negotiate("gzip;q=0.5, *;q=0.8, zstd;q=0.1"), br);
}

TEST(Negotiate, SendsTheContentAsItIsWhenNothingElseFits) {
  EXPECT_EQ(negotiate(""), identity);
  EXPECT_EQ(negotiate("deflate, compress"), identity);
  EXPECT_EQ(negotiate("gzip;q=0, br;q=0.0, zstd;q=0.000"), identity);
  EXPECT_EQ(negotiate("*;q=0, identity"), identity);
  EXPECT_EQ(negotiate("gzip", {}), identity);
  EXPECT_EQ(negotiate("identity;q=1, gzip;q=0.5"), identity);
  EXPECT_EQ(negotiate("identity;q=0.1, gzip;q=0.5"), gzip);
  EXPECT_EQ(negotiate("identity, gzip"), gzip);
}

TEST(Negotiate, SaysWhenTheClientRefusesEverything) {
  EXPECT_EQ(negotiate("identity;q=0"), std::nullopt);
  EXPECT_EQ(negotiate("*;q=0"), std::nullopt);
  EXPECT_EQ(negotiate("compress, *;q=0"), std::nullopt);
  EXPECT_EQ(negotiate("identity;q=0, gzip;q=0.1"), gzip);
  EXPECT_EQ(negotiate("*;q=0, gzip;q=0.1"), gzip);
}

TEST(Negotiate, LeavesOutWhatIsMalformed) {
  for (const std::string_view bad : {"gzip;q=2", "gzip;q=0.1234", "gzip;q=1.1", "gzip;q=-1", "gzip;q=", "gzip;q",
                                     "gzip;", "gzip;level=1", "gzip;q=.5", "gzip;q=1;q=1", "gz ip", ";q=1", ",,,"}) {
    EXPECT_EQ(negotiate(bad), identity) << bad;
    EXPECT_EQ(negotiate(std::string(bad) + ", br;q=0.3"), br) << bad;
  }
}

}  // namespace
}  // namespace ashlar::http
