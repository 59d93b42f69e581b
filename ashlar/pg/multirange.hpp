// Multirange<T>: several ranges as one value, and its codec. Include it where you use one.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/values.hpp>

namespace ashlar::pg {

/// What PostgreSQL gives is in order, and its ranges neither touch nor overlap; what it is given may be as it likes.
/// (https://www.postgresql.org/docs/current/rangetypes.html; from PostgreSQL 14)
template <class T>
struct Multirange {
  std::vector<Range<T>> ranges;
  bool operator==(const Multirange&) const = default;
};

namespace detail {

struct MultirangeParts {
  Oid range = 0;  ///< type of the ranges; 0: one that is not built in
  std::vector<std::string_view> ranges;
};
/// Takes the binary form apart. Throws BadValue and ProtocolError.
[[nodiscard]] MultirangeParts multirange_parts(Oid type, std::string_view bytes);

}  // namespace detail

template <class T>
struct Codec<Multirange<T>> {
  static bool accepts(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::multirange && Codec<Range<T>>::accepts(types, types.element(type));
  }
  static bool accepts_parameter(const TypeMap& types, Oid type) {
    type = types.base(type);
    return types.kind(type) == TypeKind::multirange && Codec<Range<T>>::accepts_parameter(types, types.element(type));
  }
  static void encode(Params& out, const Multirange<T>& value) {
    out.begin_multirange(static_cast<std::uint32_t>(value.ranges.size()));
    for (const Range<T>& range : value.ranges) Codec<Range<T>>::encode(out, range);
  }
  static void decode(Oid type, std::string_view bytes, Multirange<T>& out) {
    const detail::MultirangeParts parts = detail::multirange_parts(type, bytes);
    out.ranges.clear();
    out.ranges.reserve(parts.ranges.size());
    for (const std::string_view range : parts.ranges)
      Codec<Range<T>>::decode(parts.range, range, out.ranges.emplace_back());
  }
};

}  // namespace ashlar::pg
