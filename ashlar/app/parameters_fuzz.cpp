// Any bytes as query string, form, cookies, header values and credentials: read or refused with an error that is JSON.
#include <exception>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/read.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/schema/json.hpp>

namespace {

using namespace ashlar;
using fuzz::require;

enum class Color { red, green };
struct Parameters {
  std::string a;
  std::optional<int> b;
  std::vector<std::string> c;
  std::set<int> d;
  Color e = Color::red;
  bool f = false;
  double g = 0;
  DateTime h;
  Annotated<std::string, min_length{1}, max_length{8}, pattern{"^[a-z]+$"}> i;
  static constexpr SchemaOptions schema{.extra = Extra::ignore};
};

class FuzzExchange final : public http::Exchange {
 private:
  void on_finish() noexcept override {}
};

template <class Read>
void try_reading(Read&& read) {
  Parameters values;
  schema::Errors errors;
  try {
    read(schema::type_info<Parameters>(), &values, errors);
  } catch (const Error&) {  // 400: a broken percent sign; 415: another type
    return;
  } catch (const Problem&) {
    return;
  }
  std::string report;
  schema::append_errors_json(errors.items(), report);
  Json parsed;
  schema::Errors none;
  require(schema::parse_json(report, parsed, none));
  require(errors.size() <= schema::Errors::kLimit);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static detail::Core core{AppOptions{}};
  const fuzz::Block block(data, size);
  FuzzExchange exchange;
  detail::Call call(exchange, core);
  http::Request& request = exchange.request;
  request.clear();
  request.query = request.body = block.view();
  request.add_header("Cookie", block.view());
  request.add_header("Authorization", block.view());
  request.add_header("C", block.view());
  request.add_header("I", block.view());
  request.add_header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");

  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_query(call, type, out, errors); });
  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_form(call, type, out, errors); });
  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_cookies(call, type, out, errors); });
  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_headers(call, type, out, errors); });
  require(block.holds(detail::read_credentials(call, "Bearer")));

  request.clear();
  request.body = block.view();
  request.add_header("Content-Type", block.view());
  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_json(call, type, out, errors); });
  try_reading([&](auto& type, void* out, schema::Errors& errors) { detail::read_form(call, type, out, errors); });
  return 0;
}
