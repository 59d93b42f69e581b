// Any bytes as JSON: agrees with simdjson on what it is, and what was read and written reads the same again.
#include <simdjson.h>

#include <array>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include <ashlar/base/decimal.hpp>
#include <ashlar/base/email.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/ip_address.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/url.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/text_io.hpp>

namespace {

using namespace ashlar;
using fuzz::require;

enum class Color { red, green, blue };
struct Cat {
  Literal<"cat"> kind;
  int lives = 9;
};
struct Dog {
  std::string name;
  static constexpr SchemaOptions schema{.tag = "dog"};
};
struct All {
  std::int8_t a = 0;
  std::uint64_t b = 0;
  double c = 0;
  float d = 0;
  bool e = false;
  Annotated<std::string, strip{}, to_lower{}, min_length{1}, max_length{20}, pattern{"^[a-zä]+(x|\\d{2,3})*$"}> f;
  Color g = Color::red;
  std::optional<std::int32_t> h;
  std::vector<std::string> i;
  std::set<int> j;
  std::map<std::string, std::vector<bool>> k;
  std::map<int, double> l;
  std::array<int, 2> m{};
  std::tuple<bool, std::string> n;
  Annotated<std::variant<Cat, Dog>, discriminator{"kind"}> o;
  std::variant<int, std::string, std::vector<int>, Cat> p;
  std::unique_ptr<All> q;
  std::vector<All> r;
  Json s;
  Patch<std::string> t;
  Secret<> u;
  DateTime v;
  Uuid w;
  Decimal x;
  Url y;
  Email z;
  Duration aa;
  IpAddress bb;
  Date cc;
  TimeOfDay dd;
  Bytes ee;
  Annotated<Decimal, max_digits{6}, decimal_places{2}> ff;
  Annotated<Url, schemes{"http", "https"}, max_length{40}> gg;
  Annotated<Uuid, uuid_version{4}> hh;
  Annotated<DateTime, with_offset{}, past{}, not_before{"1900-01-01"}> ii;
  Annotated<std::string, also{"older", "oldest"}, transform{+[](std::string& s) { std::erase(s, ' '); }}> jj;
  Annotated<int, strict{}> kk = 0;
  std::variant<std::monostate, Date, double, std::pair<int, std::string>> ll;
  Annotated<std::map<std::string, Json>, rest{}> mm;
  static constexpr SchemaOptions schema{.extra = Extra::ignore};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Block block(data, size);
  const std::string_view text = block.view();
  schema::Errors errors;
  Json any;
  const bool is_json = schema::parse_json(text, any, errors);
  simdjson::dom::parser parser;
  const auto oracle = parser.parse(simdjson::padded_string(text)).error();
  // simdjson refuses integers beyond 64 bits and numbers beyond double; we nest 64 deep at most.
  if (is_json) require(oracle == simdjson::SUCCESS || oracle == simdjson::NUMBER_ERROR);
  const bool too_deep = !errors.empty() && errors.items()[0].msg.find("recursion") != std::string::npos;
  if (oracle == simdjson::SUCCESS) require(is_json || too_deep);

  All value;
  errors.clear();
  if (schema::parse_json(text, value, errors)) {
    const std::string once = schema::to_json(value);
    All again;
    schema::Errors none;
    value.u = Secret<>();
    if (schema::parse_json(once, again, none)) require(schema::to_json(again) == once);
  } else {
    std::string report;
    schema::append_errors_json(errors.items(), report);
    Json reported;
    schema::Errors none;
    require(schema::parse_json(report, reported, none));
    require(errors.size() <= schema::Errors::kLimit);
  }
  if (size < 4096) {
    schema::Pair pairs[] = {{"a", text},  {"c", text},  {"f", text},  {"v", text},  {"x", text},
                            {"y", text},  {"aa", text}, {"i", text},  {"j", text},  {"p", text},
                            {"cc", text}, {"dd", text}, {"ee", text}, {"ff", text}, {"gg", text},
                            {"hh", text}, {"ii", text}, {"ll", text}, {"new", text}};
    All form;
    schema::Errors wrong;
    schema::parse_pairs(pairs, form, wrong);
  }
  return 0;
}
