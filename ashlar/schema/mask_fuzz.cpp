// Any bytes as JSON and as a form that are to be shown: what is shown of them holds no value whose name is
// secret, and what is no JSON is not shown.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/secret.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/json_tree.hpp>
#include <ashlar/schema/mask.hpp>

namespace {

using namespace ashlar;
using fuzz::require;

bool is_secret(std::string_view name) { return name == "pin" || name.find("token") != std::string_view::npos; }

void check_tree(const schema::Tree& shown) {
  for (std::size_t i = 0; i < shown.items.size(); ++i) {
    if (i < shown.names.size() && is_secret(shown.names[i])) {
      require(shown.items[i] == schema::Tree::of_text(std::string(Secret<>::kMask)));
    } else {
      check_tree(shown.items[i]);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::Block block(data, size);
  const std::string_view input = block.view();
  const auto tree = schema::parse_tree(input);
  const auto whole = schema::mask_json(input, is_secret, 10 * size + 100);
  if (tree) require(whole.has_value());
  if (whole) {
    const auto shown = schema::parse_tree(*whole);
    require(shown.has_value());
    check_tree(*shown);
    const auto part = schema::mask_json(input, is_secret, size / 2);
    require(part.has_value() && is_utf8(*part) && part->size() <= size / 2 + 3);
  }
  const std::string form = schema::mask_form(input, is_secret, size / 2);
  require(form.size() <= size / 2 + 3);
  return 0;
}
