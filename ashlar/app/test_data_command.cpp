#include <ashlar/app/detail/test_data_command.hpp>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/sample.hpp>
#include <ashlar/schema/schema_node.hpp>

namespace ashlar::detail {
namespace {

using schema::SchemaDocument;

constexpr const char* kHelp =
    R"(Print values that the service takes, made from its schemas by chance, one JSON value a line

  test-data                      lists what there is
  test-data NewArticle -n 100    a schema of the OpenAPI document, by its name
  test-data "POST /articles"     the body of an operation; its own rules (check, validate) hold, too
  test-data User --csv           with a line of names: for copy … from, or a spreadsheet
  test-data User --invalid       values that are refused for one reason each, with the reason

The same --seed gives the same values. Nothing is started, and nothing is sent.)";

// A component, or the body of an operation.
struct Found {
  const SchemaNode* node = nullptr;
  const FuzzOperation* operation = nullptr;  // whose types read it; null: the schema alone judges
};

// What the body of an operation is called, if it has a name.
std::string body_schema_name(const SchemaDocument& document, const FuzzOperation& operation) {
  const Tree* at = document.root().find("paths");
  const std::string path = operation.name.substr(operation.name.find(' ') + 1);
  for (const std::string& step : {path, to_lower_ascii(http::to_string(operation.method)), std::string("requestBody"),
                                  std::string("content"), std::string("application/json"), std::string("schema")}) {
    if (at == nullptr) return {};
    at = at->find(step);
  }
  constexpr std::string_view kPrefix = "#/components/schemas/";
  const std::string_view reference = at == nullptr ? std::string_view() : at->text_of("$ref");
  return reference.starts_with(kPrefix) ? std::string(reference.substr(kPrefix.size())) : std::string();
}

bool has_json_body(const FuzzOperation& operation) {
  return operation.body && operation.body->node != nullptr && operation.body->media_type.ends_with("json");
}

void list(const SchemaDocument& document, const FuzzService& service) {
  fmt::print("# schemas\n");
  const Tree* const components = document.root().find("components");
  const Tree* const schemas = components == nullptr ? nullptr : components->find("schemas");
  if (schemas != nullptr) {
    for (const std::string& name : schemas->names) fmt::print("{}\n", name);
  }
  fmt::print("\n# operations with a JSON body\n");
  for (const FuzzOperation& operation : service.operations) {
    if (!has_json_body(operation)) continue;
    const std::string name = body_schema_name(document, operation);
    fmt::print("{}{}\n", operation.name, name.empty() ? "" : "  (" + name + ")");
  }
}

std::optional<Found> find(SchemaDocument& document, const FuzzService& service, std::string_view what) {
  for (const FuzzOperation& operation : service.operations) {
    if ((operation.name == what || operation.id == what) && has_json_body(operation))
      return Found{operation.body->node, &operation};
  }
  const Tree* const components = document.root().find("components");
  const Tree* const schemas = components == nullptr ? nullptr : components->find("schemas");
  const Tree* const schema = schemas == nullptr ? nullptr : schemas->find(what);
  if (schema == nullptr) return std::nullopt;
  // An operation that takes it knows the rules that no schema can say.
  for (const FuzzOperation& operation : service.operations) {
    if (has_json_body(operation) && body_schema_name(document, operation) == what)
      return Found{operation.body->node, &operation};
  }
  return Found{&document.schema(*schema), nullptr};
}

bool is_taken(const Found& found, const Tree& value) {
  if (!schema::fits_schema(*found.node, value)) return false;
  if (found.operation == nullptr) return true;
  FuzzOperation body_alone = *found.operation;
  body_alone.parameters.clear();
  body_alone.info.parameters.clear();
  body_alone.info.parameter_models.clear();
  FuzzStep step;
  step.operation = &body_alone;
  step.method = body_alone.method;
  step.body = value;
  return fuzz_is_read(step).value_or(true);
}

Tree make(const Found& found, schema::Random& random, schema::Letters letters) {
  constexpr int kTries = 500;
  for (int i = 0; i < kTries; ++i) {
    Tree value = schema::sample(*found.node, random, letters);
    if (is_taken(found, value)) return value;
  }
  throw Invalid(
      fmt::format("chance made no value in {} tries; give an example{{…}} to the member that refuses them", kTries));
}

// RFC 4180. Null is nothing, as copy … with (format csv) reads it.
std::string csv_field(const Tree* value) {
  if (value == nullptr || value->kind == Tree::Kind::null) return {};
  std::string text = value->plain();
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

void print_csv(const Found& found, const std::vector<Tree>& values) {
  std::vector<std::string> names;
  for (const auto& member : found.node->members) names.push_back(member.name);
  if (names.empty()) throw Invalid("only an object has columns; leave out --csv");
  fmt::print("{}\n", fmt::join(names, ","));
  for (const Tree& value : values) {
    std::string line;
    for (std::size_t i = 0; i < names.size(); ++i) line += (i == 0 ? "" : ",") + csv_field(value.find(names[i]));
    fmt::print("{}\n", line);
  }
}

void print_invalid(const Found& found, const std::vector<Tree>& values) {
  std::set<std::string> seen;
  for (const Tree& value : values) {
    for (const schema::Change& change : schema::neighbours(*found.node, value)) {
      if (seen.contains(change.why)) continue;
      Tree changed = value;
      change.apply(changed);
      if (is_taken(found, changed)) continue;  // readers are kinder than schemas: "5" is 5
      seen.insert(change.why);
      Tree line = Tree::object();
      line.add("why", Tree::of_text(change.why));
      line.add("value", std::move(changed));
      fmt::print("{}\n", line.json());
    }
  }
}

}  // namespace

CLI::App* add_test_data_command(CLI::App& cli, TestDataCommand& command) {
  auto* sub = cli.add_subcommand("test-data", kHelp);
  sub->add_option("what", command.what, "A schema, or an operation: \"POST /articles\"")->type_name("NAME");
  constexpr std::size_t kMost = 1'000'000;
  sub->add_option("-n,--count", command.count, "How many")
      ->capture_default_str()
      ->check(CLI::Range(std::size_t{1}, kMost));
  sub->add_option("--seed", command.seed, "The same seed: the same values")->capture_default_str();
  sub->add_flag("--wild", command.wild, "All of Unicode and all bounds, in place of values for people to read");
  auto* csv = sub->add_flag("--csv", command.csv, "As CSV; members that are lists or objects as JSON");
  sub->add_flag("--invalid", command.invalid, "Values that are refused, and why")->excludes(csv);
  return sub;
}

int run_test_data(App& app, const TestDataCommand& command) {
  SchemaDocument document(app.openapi());
  const FuzzService service(app);
  if (command.what.empty()) {
    list(document, service);
    return 0;
  }
  const auto found = find(document, service, command.what);
  if (!found) {
    fmt::print(stderr,
               "there is no schema and no operation with a JSON body that is called '{}'; `test-data` lists them\n",
               command.what);
    return 2;
  }
  schema::Random random(command.seed);
  std::vector<Tree> values;
  // An optional member is there in one value and not in another; a few show all constraints.
  const std::size_t count = command.invalid ? std::min<std::size_t>(command.count, 8) : command.count;
  for (std::size_t i = 0; i < count; ++i) {
    values.push_back(make(*found, random, command.wild ? schema::Letters::any : schema::Letters::tame));
    if (command.csv || command.invalid) continue;
    fmt::print("{}\n", values.back().json());
    values.pop_back();
  }
  if (command.csv) print_csv(*found, values);
  if (command.invalid) print_invalid(*found, values);
  return 0;
}

}  // namespace ashlar::detail
