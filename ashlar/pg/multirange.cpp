#include <ashlar/pg/multirange.hpp>

#include <ashlar/pg/wire.hpp>

namespace ashlar::pg::detail {

// count, then length and bytes of each range: multirange_send of src/backend/utils/adt/multirangetypes.c
MultirangeParts multirange_parts(Oid type, std::string_view bytes) {
  static const TypeMap built_in;
  MultirangeParts out;
  out.range = built_in.element(type);
  wire::Reader in(bytes);
  const auto count = in.get<std::uint32_t>();
  if (count > in.left() / 5) bad_value("a multirange that is shorter than its count");
  out.ranges.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) out.ranges.push_back(in.bytes(in.get<std::uint32_t>()));
  if (!in.done()) bad_value("a multirange that is longer than its count");
  return out;
}

}  // namespace ashlar::pg::detail
