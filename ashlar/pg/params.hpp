// Params: the arguments of one query, encoded before the types of the parameters are known to this connection.
//
// Each value is kept in one canonical form a family (every integer in 8 bytes, every JSON as its text, …) and takes the
// parameter's real type when it is copied into the send buffer: an `int` fits an int8 parameter, and text a jsonb one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/type_map.hpp>

namespace ashlar::pg {

enum class ParamKind : std::uint8_t {
  null,
  bytes,       ///< already in PostgreSQL's binary format
  text,        ///< UTF-8 text: text types, enums, json, jsonb, xml
  integer,     ///< int64 → int2, int4, int8, oid, numeric, float
  real,        ///< double → float4, float8
  numeric,     ///< decimal text → numeric, money is refused
  array,       ///< u32 count, then that many values
  composite,   ///< u32 count, then that many values
  range,       ///< u8 flags, then the finite bounds
  multirange,  ///< u32 count, then that many ranges
};

class Params {
 public:
  Params() = default;
  Params(Params&& other) noexcept { take(other); }
  Params& operator=(Params&& other) noexcept {
    take(other);
    return *this;
  }

  void null() { put_head(ParamKind::null, 0); }
  void bytes(const void* data, std::size_t size) { put(ParamKind::bytes, data, size); }
  void text(std::string_view text) { put(ParamKind::text, text.data(), text.size()); }
  void numeric(std::string_view text) { put(ParamKind::numeric, text.data(), text.size()); }
  void integer(std::int64_t value) { put(ParamKind::integer, &value, sizeof value); }
  void real(double value) { put(ParamKind::real, &value, sizeof value); }
  /// Followed by `count` values.
  void begin_array(std::uint32_t count) { put(ParamKind::array, &count, sizeof count); }
  void begin_composite(std::uint32_t count) { put(ParamKind::composite, &count, sizeof count); }
  /// Followed by the bounds that `flags` says are finite (bits as in PostgreSQL's rangetypes.h).
  void begin_range(std::uint8_t flags) { put(ParamKind::range, &flags, sizeof flags); }
  void begin_multirange(std::uint32_t count) { put(ParamKind::multirange, &count, sizeof count); }

  [[nodiscard]] std::string_view view() const noexcept { return {data(), size_}; }
  /// For other arguments, in the same memory.
  void clear() noexcept { size_ = 0; }

 private:
  static constexpr std::size_t kInline = 120;
  static constexpr std::size_t kHead = 5;

  [[nodiscard]] const char* data() const noexcept { return heap_ ? heap_.get() : inline_.data(); }
  void take(Params& other) noexcept {
    heap_ = std::move(other.heap_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, kInline);
    if (!heap_) std::memcpy(inline_.data(), other.inline_.data(), size_);
  }
  char* room(std::size_t n) {
    if (capacity_ - size_ < n) [[unlikely]]
      grow(n);
    return (heap_ ? heap_.get() : inline_.data()) + size_;
  }
  void grow(std::size_t n);
  void put_head(ParamKind kind, std::size_t size) {
    char* p = room(kHead + size);
    p[0] = static_cast<char>(kind);
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(p + 1, &length, sizeof length);
    size_ += kHead;
  }
  void put(ParamKind kind, const void* bytes, std::size_t size) {
    put_head(kind, size);
    if (size != 0) std::memcpy(room(size), bytes, size);
    size_ += size;
  }

  std::unique_ptr<char[]> heap_;
  std::size_t size_ = 0;
  std::size_t capacity_ = kInline;
  std::array<char, kInline> inline_;
};

namespace detail {
/// Appends the parameters of a Bind message: count, then length and bytes each, as the types ask. Throws BadArgument
/// naming the parameter's number when a value does not fit its type.
void write_params(Buffer& out, const TypeMap& types, const Oid* parameter_types, std::size_t count,
                  const Params& params);
/// Length and bytes of one value. Throws BadArgument when it does not fit the type.
void write_param(Buffer& out, const TypeMap& types, Oid type, const Params& value);
}  // namespace detail

}  // namespace ashlar::pg
