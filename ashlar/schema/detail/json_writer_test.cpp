#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>

#include <ashlar/schema/json.hpp>

namespace ashlar::schema {
namespace {

std::string plainly_written(double number) {
  char buffer[64];
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, number).ptr);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

TEST(JsonWriter, WritesShortDecimalsAsTheGeneralWayDoes) {
  for (int i = -200'000; i <= 200'000; ++i) {
    const double number = i / 1000.0;
    ASSERT_EQ(to_json(number), plainly_written(number));
  }
  for (const double number :
       {0.0, -0.0, 99999.0, 99999.999, 100000.0, 100000.5, 1e5 - 0.001, 0.0005, 1e-4, 0.1 + 0.2, 1284.5, 1e22,
        4503599627370497.5, std::numeric_limits<double>::min(), std::numeric_limits<double>::max(),
        std::numeric_limits<double>::denorm_min(), std::nextafter(0.125, 1.0), std::nextafter(18.25, 0.0)}) {
    EXPECT_EQ(to_json(number), plainly_written(number));
  }
  std::mt19937_64 random(20);
  for (int i = 0; i < 200'000; ++i) {
    const double number = std::ldexp(static_cast<double>(random() >> 11), -static_cast<int>(random() % 70));
    ASSERT_EQ(to_json(number), plainly_written(number));
  }
}

std::string escaped(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += std::string("\\u00") + kHex[c >> 4] + kHex[c & 15];
        } else {
          out += c;
        }
    }
  }
  return out + '"';
}

TEST(JsonWriter, EscapesAtEveryPlaceOfTextOfEveryLength) {
  for (std::size_t size = 0; size < 40; ++size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += static_cast<char>(i % 2 == 0 ? ' ' : '\x7F');
    ASSERT_EQ(to_json(text), escaped(text));
    for (std::size_t at = 0; at < size; ++at) {
      for (int c = 0; c < 128; ++c) {
        std::string changed = text;
        changed[at] = static_cast<char>(c);
        ASSERT_EQ(to_json(changed), escaped(changed)) << "size " << size << ", byte " << c << " at " << at;
      }
    }
  }
}

TEST(JsonWriter, KeepsWellFormedUtf8AndReplacesTheRestAtEveryPlace) {
  for (std::size_t before = 0; before < 20; ++before) {
    for (std::size_t after = 0; after < 20; ++after) {
      const std::string head(before, 'a');
      const std::string tail(after, 'b');
      EXPECT_EQ(to_json(head + "é" + tail), '"' + head + "é" + tail + '"');
      EXPECT_EQ(to_json(head + "\xFF" + tail), '"' + head + "\xEF\xBF\xBD" + tail + '"');
    }
  }
}

}  // namespace
}  // namespace ashlar::schema
