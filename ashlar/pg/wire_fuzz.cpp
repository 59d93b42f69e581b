// Any bytes from a server: its messages, the fields of a row, and a value of each type. What is read is either refused
// or is what its bytes say: written again, they are the same.
#include <array>
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/pg/codec.hpp>
#include <ashlar/pg/codec_schema.hpp>
#include <ashlar/pg/detail/numeric.hpp>
#include <ashlar/pg/extra_types.hpp>
#include <ashlar/pg/multirange.hpp>
#include <ashlar/pg/row.hpp>
#include <ashlar/pg/values.hpp>
#include <ashlar/pg/wire.hpp>

namespace {

using namespace ashlar;
using fuzz::require;

enum class Exact : bool { no, yes };

/// The bytes of one value among Params, without its head.
template <class T>
std::string encoded(const T& value) {
  pg::Params params;
  pg::Codec<T>::encode(params, value);
  return std::string(params.view().substr(5));
}

template <class T>
void value(std::string_view bytes, pg::Oid type = 0, Exact exact = Exact::no) {
  T out{};
  try {
    pg::Codec<T>::decode(type, bytes, out);
  } catch (const Error&) {
    return;
  }
  if (exact == Exact::yes) {
    try {
      require(encoded(out) == bytes);
    } catch (const pg::BadArgument&) {
    }
  }
}

template <class T>
void text(std::string_view bytes) {
  const auto value = T::parse(bytes);
  if (!value) return;
  const std::string printed = value->to_string();
  const auto again = T::parse(printed);
  require(again.has_value() && *again == *value);
}

struct Part {
  std::int32_t number;
  std::optional<std::string> label;
  std::vector<double> weights;
};
enum class Mood { sad, ok, happy };

void each_type(std::string_view bytes) {
  value<bool>(bytes);
  value<std::int16_t>(bytes);
  value<std::uint32_t>(bytes, pg::oid::oid);
  value<std::int64_t>(bytes);
  value<float>(bytes);
  value<double>(bytes);
  value<std::string>(bytes, pg::oid::text);
  value<std::string>(bytes, pg::oid::jsonb);
  value<Bytes>(bytes, pg::oid::bytea, Exact::yes);
  value<Uuid>(bytes, pg::oid::uuid, Exact::yes);
  value<Decimal>(bytes);
  value<Date>(bytes, pg::oid::date, Exact::yes);
  value<TimeOfDay>(bytes, pg::oid::time, Exact::yes);
  value<DateTime>(bytes, pg::oid::timestamptz, Exact::yes);
  value<pg::LocalDateTime>(bytes, pg::oid::timestamp, Exact::yes);
  value<pg::Interval>(bytes, pg::oid::interval, Exact::yes);
  value<Duration>(bytes);
  value<IpAddress>(bytes);
  value<pg::MacAddress>(bytes, pg::oid::macaddr, Exact::yes);
  value<pg::MacAddress8>(bytes, pg::oid::macaddr8, Exact::yes);
  value<pg::Point>(bytes, pg::oid::point, Exact::yes);
  value<pg::BitString>(bytes);
  value<pg::Hstore>(bytes);
  value<pg::Vector>(bytes);
  value<pg::TimeWithZone>(bytes);
  value<Mood>(bytes);
  value<Json>(bytes, pg::oid::jsonb);
  value<std::vector<std::int32_t>>(bytes);
  value<std::vector<std::optional<std::string>>>(bytes);
  value<std::vector<Part>>(bytes);
  value<pg::Composite<Part>>(bytes);
  value<pg::Range<std::int32_t>>(bytes, pg::oid::int4range);
  value<pg::Range<Decimal>>(bytes, pg::oid::numrange);
  value<pg::Multirange<DateTime>>(bytes, 4534);
}

void number(std::string_view bytes) {
  std::string printed;
  try {
    printed = pg::detail::numeric_to_text(bytes);
  } catch (const Error&) {
    return;
  }
  pg::detail::Buffer written;
  if (!pg::detail::numeric_from_text(printed, written)) return;  // of more digits than PostgreSQL has
  require(pg::detail::numeric_to_text(written.view()) == printed);
}

void message(const pg::wire::Message& one) {
  static const pg::TypeMap types;
  try {
    switch (one.type) {
      case 'T': {
        const auto fields = pg::wire::row_description(one.body);
        for (const auto& field : fields) require(!pg::suggested_cpp_type(types, field.type).empty());
        break;
      }
      case 't':
        static_cast<void>(pg::wire::parameter_description(one.body));
        break;
      case 'E':
      case 'N': {
        const auto fields = pg::wire::error_fields(one.body);
        static_cast<void>(fields.text());
        static_cast<void>(fields.columns());
        break;
      }
      case 'A':
        static_cast<void>(pg::wire::notification(one.body));
        break;
      case 'C':
        static_cast<void>(pg::wire::affected_rows(pg::wire::Reader(one.body).cstring()));
        break;
      case 'D': {
        if (one.body.size() < 2) break;
        const std::vector<pg::ColumnType> columns(pg::wire::load_be<std::uint16_t>(one.body.data()) % 64,
                                                  {pg::oid::text, false});
        pg::RowReader row(one.body, columns);
        for (std::size_t i = 0; i < columns.size(); ++i) {
          const auto column = row.next();
          if (!column.null) each_type(column.bytes);
        }
        break;
      }
      default:
        break;
    }
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Block block(data, size);
  std::string_view rest = block.view();
  each_type(rest);
  number(rest);
  text<pg::Interval>(rest);
  text<pg::TimeWithZone>(rest);
  text<pg::LocalDateTime>(rest);
  text<pg::MacAddress>(rest);
  text<pg::BitString>(rest);
  try {
    for (;;) {
      std::size_t wanted = 0;
      const auto one = pg::wire::next_message(rest, wanted);
      if (!one) break;
      require(block.holds(one->body) && wanted == one->body.size() + 5);
      message(*one);
      rest.remove_prefix(wanted);
    }
  } catch (const pg::ProtocolError&) {
  }
  return 0;
}
