// numeric on the wire (base 10000 digits) to decimal text and back, exactly.
// Source: numeric_send/numeric_recv in src/backend/utils/adt/numeric.c.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/pg/detail/buffer.hpp>

namespace ashlar::pg::detail {

/// "-123.4500", "NaN", "Infinity", "-Infinity". Throws ProtocolError.
std::string numeric_to_text(std::string_view wire);
/// Appends the binary form. False when the text is not a decimal number (digits, one '.', optional sign and exponent).
bool numeric_from_text(std::string_view text, Buffer& out);

}  // namespace ashlar::pg::detail
