#include <ashlar/pg/extra_types.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <limits>

#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/wire.hpp>

namespace ashlar::pg {
namespace {

int hex(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <std::size_t N>
bool parse_hardware(std::string_view text, std::array<std::uint8_t, N>& out) {
  if (text.size() != 3 * N - 1) return false;
  for (std::size_t i = 0; i < N; ++i) {
    const int high = hex(text[3 * i]);
    const int low = hex(text[3 * i + 1]);
    if (high < 0 || low < 0) return false;
    if (i + 1 < N && text[3 * i + 2] != text[2]) return false;
    out[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return text[2] == ':' || text[2] == '-';
}

template <std::size_t N>
void load_hardware(std::string_view bytes, std::array<std::uint8_t, N>& out) {
  if (bytes.size() != N) detail::bad_length(bytes, N);
  std::ranges::copy(bytes, out.begin());
}

std::string print_hardware(const std::uint8_t* bytes, std::size_t size) {
  return fmt::format("{:02x}", fmt::join(bytes, bytes + size, ":"));
}

void put_text(detail::Buffer& out, std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    throw BadArgument("an hstore holds a NUL character, which PostgreSQL's text types cannot");
  wire::put(out, static_cast<std::uint32_t>(text.size()));
  out.append(text);
}

void send(Params& out, const detail::Buffer& bytes) { out.bytes(bytes.data(), bytes.size()); }

}  // namespace

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress out;
  return parse_hardware(text, out.bytes) ? std::optional(out) : std::nullopt;
}
std::string MacAddress::to_string() const { return print_hardware(bytes.data(), bytes.size()); }
void Codec<MacAddress>::decode(Oid, std::string_view bytes, MacAddress& out) { load_hardware(bytes, out.bytes); }

std::optional<MacAddress8> MacAddress8::parse(std::string_view text) {
  MacAddress8 out;
  return parse_hardware(text, out.bytes) ? std::optional(out) : std::nullopt;
}
std::string MacAddress8::to_string() const { return print_hardware(bytes.data(), bytes.size()); }
void Codec<MacAddress8>::decode(Oid, std::string_view bytes, MacAddress8& out) { load_hardware(bytes, out.bytes); }

std::optional<BitString> BitString::parse(std::string_view text) {
  BitString out(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '0' && text[i] != '1') return std::nullopt;
    if (text[i] == '1') out.set(i, true);
  }
  return out;
}
std::string BitString::to_string() const {
  std::string out(size_, '0');
  for (std::size_t i = 0; i < size_; ++i) {
    if ((*this)[i]) out[i] = '1';
  }
  return out;
}
void BitString::set(std::size_t index, bool value) noexcept {
  const auto bit = static_cast<std::uint8_t>(0x80U >> (index % 8));
  auto& byte = bytes_[index / 8];
  byte = static_cast<std::uint8_t>(value ? byte | bit : byte & ~bit);
}

// The number of bits, then the bytes: varbit_send of src/backend/utils/adt/varbit.c
void Codec<BitString>::encode(Params& out, const BitString& value) {
  if (value.size() > std::numeric_limits<std::int32_t>::max()) throw BadArgument("a bit string of more than 2^31 bits");
  detail::Buffer bytes;
  wire::put(bytes, static_cast<std::int32_t>(value.size()));
  bytes.append(value.bytes());
  send(out, bytes);
}
void Codec<BitString>::decode(Oid, std::string_view bytes, BitString& out) {
  wire::Reader in(bytes);
  const auto size = in.get<std::int32_t>();
  if (size < 0 || in.left() != (static_cast<std::size_t>(size) + 7) / 8) detail::bad_value("a bit string cut short");
  out = BitString(static_cast<std::size_t>(size));
  const std::string_view packed = in.rest();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if ((static_cast<std::uint8_t>(packed[i / 8]) & (0x80U >> (i % 8))) != 0) out.set(i, true);
  }
}

void Codec<Point>::encode(Params& out, Point value) {
  char bytes[16];
  wire::store_be(bytes, std::bit_cast<std::uint64_t>(value.x));
  wire::store_be(bytes + 8, std::bit_cast<std::uint64_t>(value.y));
  out.bytes(bytes, sizeof bytes);
}
void Codec<Point>::decode(Oid, std::string_view bytes, Point& out) {
  if (bytes.size() != 16) detail::bad_length(bytes, 16);
  out.x = std::bit_cast<double>(wire::load_be<std::uint64_t>(bytes.data()));
  out.y = std::bit_cast<double>(wire::load_be<std::uint64_t>(bytes.data() + 8));
}

// The number of pairs, then each key and value with its length, -1 for NULL: hstore_send of contrib/hstore/hstore_io.c
void Codec<Hstore>::encode(Params& out, const Hstore& value) {
  detail::Buffer bytes;
  wire::put(bytes, static_cast<std::int32_t>(value.values.size()));
  for (const auto& [key, text] : value.values) {
    put_text(bytes, key);
    if (text) {
      put_text(bytes, *text);
    } else {
      wire::put<std::int32_t>(bytes, -1);
    }
  }
  send(out, bytes);
}
void Codec<Hstore>::decode(Oid, std::string_view bytes, Hstore& out) {
  wire::Reader in(bytes);
  out.values.clear();
  for (auto left = in.get<std::int32_t>(); left > 0; --left) {
    const std::string key(in.bytes(in.get<std::uint32_t>()));
    auto& text = out.values[key];
    text.reset();
    if (const auto length = in.get<std::int32_t>(); length >= 0) text = in.bytes(static_cast<std::size_t>(length));
  }
}

// The number of dimensions, two bytes that are zero, then the numbers: vector_send of pgvector's src/vector.c
void Codec<Vector>::encode(Params& out, const Vector& value) {
  if (value.values.size() > 16'000) throw BadArgument("a vector of more than 16000 dimensions");
  detail::Buffer bytes;
  wire::put(bytes, static_cast<std::int16_t>(value.values.size()));
  wire::put<std::int16_t>(bytes, 0);
  for (const float number : value.values) wire::put(bytes, std::bit_cast<std::uint32_t>(number));
  send(out, bytes);
}
void Codec<Vector>::decode(Oid, std::string_view bytes, Vector& out) {
  wire::Reader in(bytes);
  const auto size = in.get<std::uint16_t>();
  in.get<std::int16_t>();
  if (in.left() != std::size_t{size} * 4) detail::bad_value("a vector cut short");
  out.values.resize(size);
  for (float& number : out.values) number = std::bit_cast<float>(in.get<std::uint32_t>());
}

}  // namespace ashlar::pg
