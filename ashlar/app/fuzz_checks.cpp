// What must be true of every answer, and of the one that a case is about.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include <ashlar/app/detail/form.hpp>
#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {
namespace {

using schema::Kind;

// The server says these by itself to whatever it cannot take: `default` describes them.
constexpr std::array kOfTheServer = {405, 413, 414, 415, 429, 431};

bool has(const auto& all, int status) { return std::ranges::find(all, status) != std::ranges::end(all); }

bool is_json(std::string_view media_type) { return media_type == "application/json" || media_type.ends_with("+json"); }

FuzzFailure failure(std::string_view check, std::string message, std::string_view key = {}) {
  FuzzFailure out{std::string(check), std::move(message), {}};
  out.key = fmt::format("{} {}", check, key.empty() ? std::string_view(out.message) : key);
  return out;
}

std::string names_of(const std::map<std::string, const SchemaNode*>& contents) {
  std::string out;
  for (const auto& [type, _] : contents) out += (out.empty() ? "" : ", ") + type;
  return out.empty() ? "no body" : out;
}

// A struct in memory of its own, as long as it is read into.
class Place {
 public:
  explicit Place(const schema::TypeInfo& type)
      : type_(type), memory_(::operator new(type.size, std::align_val_t{type.align})) {
    type_.object->create(memory_);
  }
  ~Place() {
    type_.object->destroy(memory_);
    ::operator delete(memory_, std::align_val_t{type_.align});
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  void* get() const { return memory_; }

 private:
  const schema::TypeInfo& type_;
  void* memory_;
};

bool is_makeable(const schema::TypeInfo& type) { return type.kind == Kind::object && type.object->create != nullptr; }

const schema::TypeInfo& behind(const schema::TypeInfo& type) {
  const schema::TypeInfo* at = &type;
  while (at->kind == Kind::optional || at->kind == Kind::patch || at->kind == Kind::secret) at = at->inner;
  return *at;
}

// One value of a path, query, header or cookie. nullopt: its type cannot be made here.
std::optional<bool> is_read(const schema::TypeInfo& whole, const Tree& value) {
  const schema::TypeInfo& type = behind(whole);
  schema::Errors errors;
  switch (type.kind) {
    case Kind::string: {
      std::string text;
      return schema::read_text(type, value.plain(), &text, errors);
    }
    case Kind::boolean:
    case Kind::integer:
    case Kind::number:
    case Kind::enumeration: {
      alignas(16) std::byte room[16]{};
      if (type.size > sizeof room) return std::nullopt;
      return schema::read_text(type, value.plain(), room, errors);
    }
    default:
      return std::nullopt;
  }
}

// Has it rules that the description does not show?
bool is_opaque(const schema::TypeInfo& whole) {
  const schema::Rules* const r = behind(whole).rules;
  return r != nullptr &&
         (r->check_count + r->transform_count > 0 || r->past || r->future || r->with_offset || !r->not_before.empty() ||
          !r->not_after.empty() || r->max_digits >= 0 || r->decimal_places >= 0 || r->uuid_version >= 0 || r->strip);
}

}  // namespace

std::optional<bool> fuzz_is_read(const FuzzStep& step) {
  const FuzzOperation& operation = *step.operation;
  bool known = true;
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    const FuzzParameter& parameter = operation.parameters[i];
    if (!step.values[i]) {
      if (parameter.required) return false;
      continue;
    }
    if (parameter.type == nullptr) continue;
    const auto read = is_read(*parameter.type, *step.values[i]);
    if (read && !*read) return false;
    if (!read && is_opaque(*parameter.type)) known = false;
  }
  const auto model = [&](const schema::TypeInfo& type, FuzzPlace place, schema::Names names) -> bool {
    std::vector<std::pair<std::string, std::string>> texts;
    for (std::size_t i = 0; i < step.values.size(); ++i) {
      const FuzzParameter& parameter = operation.parameters[i];
      if (parameter.in != place || !step.values[i]) continue;
      const Tree& value = *step.values[i];
      if (value.kind != Tree::Kind::list) texts.emplace_back(parameter.name, value.plain());
      for (const Tree& item : value.items) texts.emplace_back(parameter.name, item.plain());
    }
    std::vector<schema::Pair> pairs;
    for (const auto& [name, value] : texts) pairs.push_back({name, value});
    const Place into(type);
    schema::Errors errors;
    return schema::read_pairs(type, pairs, into.get(), errors, {}, names);
  };
  for (const auto& one : operation.info.parameter_models) {
    if (!is_makeable(*one.type)) continue;
    const auto names = one.in == In::header ? schema::Names::header : schema::Names::exact;
    if (!model(*one.type, static_cast<FuzzPlace>(one.in), names)) return false;
  }
  if (!operation.body || operation.body->type == nullptr) return known ? std::optional(true) : std::nullopt;
  const schema::TypeInfo& type = *operation.body->type;
  if (step.bytes) return false;
  if (!is_makeable(type)) return std::nullopt;
  if (operation.has_files) {
    std::vector<FormReader::Made> fields;
    for (std::size_t i = 0; i < step.values.size(); ++i) {
      const FuzzParameter& parameter = operation.parameters[i];
      if (parameter.in != FuzzPlace::form || !step.values[i]) continue;
      const Tree& value = *step.values[i];
      if (value.kind != Tree::Kind::list) fields.push_back({parameter.name, value.plain(), parameter.is_file});
      for (const Tree& item : value.items) fields.push_back({parameter.name, item.plain(), parameter.is_file});
    }
    const Place into(type);
    if (!FormReader::takes(type, std::move(fields), into.get())) return false;
  } else if (operation.has_form) {
    if (!model(type, FuzzPlace::form, schema::Names::exact)) return false;
  } else if (!step.body) {
    if (operation.body->required) return false;
  } else {
    const Place into(type);
    schema::Errors errors;
    if (!schema::read_json(type, step.body->json(), into.get(), errors)) return false;
  }
  return known ? std::optional(true) : std::nullopt;
}

bool fuzz_fits(const FuzzStep& step) {
  const FuzzOperation& operation = *step.operation;
  for (std::size_t i = 0; i < step.values.size(); ++i) {
    const FuzzParameter& parameter = operation.parameters[i];
    if (step.values[i] ? !fits_schema(*parameter.node, *step.values[i]) : parameter.required) return false;
  }
  if (!operation.body || operation.has_form || operation.body->node == nullptr) return true;
  if (step.bytes) return false;
  return step.body ? fits_schema(*operation.body->node, *step.body) : !operation.body->required;
}

std::optional<FuzzFailure> judge_answer(const FuzzStep& step, const FuzzAnswer& answer, bool may_be_malformed) {
  const FuzzOperation& operation = *step.operation;
  if (!answer.came) return failure("no-answer", "no answer came in time");
  const int status = answer.status;
  const auto known = operation.answers.find(status);
  const bool documented = known != operation.answers.end() && step.method == operation.method;
  const bool wanted = has(operation.route->options.errors, status);
  if (status >= 500 && !wanted) return failure("server-error", fmt::format("the service failed: {}", status));
  const bool by_server =
      has(kOfTheServer, status) || (status == 400 && may_be_malformed) || step.method != operation.method;
  if (!documented && !by_server) {
    return failure("undocumented-status",
                   fmt::format("{} is not among the documented answers{}", status,
                               status >= 400 ? fmt::format(": say `.errors = {{{}}}` in the route's options", status)
                                             : std::string()));
  }
  const auto& contents = documented ? known->second : operation.other_answers;
  const std::string type = media_type_of(answer.content_type);
  if (answer.body.empty() && !answer.streams) return std::nullopt;
  // A handler that chooses the type itself is documented as bytes.
  if (contents.contains("application/octet-stream")) return std::nullopt;
  const auto content = contents.find(type);
  if (content == contents.end()) {
    return failure("undocumented-content-type",
                   fmt::format("{} with {} is not documented; documented: {}", status,
                               type.empty() ? "no Content-Type" : type, names_of(contents)));
  }
  if (content->second == nullptr || answer.streams || !is_json(type)) return std::nullopt;
  const Tree* const tree = answer.tree();
  if (tree == nullptr) return failure("response-schema", fmt::format("the body of {} is no JSON", status));
  auto misfit = check_schema(*content->second, *tree);
  if (!misfit) return std::nullopt;
  const std::string place = misfit->substr(0, misfit->find(": "));
  return failure("response-schema", fmt::format("the body of {} does not fit its schema: {}", status, *misfit),
                 fmt::format("{} {}", status, place));
}

std::optional<FuzzFailure> judge_case(const FuzzCase& one, const FuzzAnswer& answer) {
  const FuzzStep& step = one.steps.back();
  const FuzzOperation& operation = *step.operation;
  const int status = answer.status;
  switch (one.intent) {
    case FuzzCase::Intent::anything:
      return std::nullopt;
    case FuzzCase::Intent::fits:
      if ((status != 422 && status != 400) || has(operation.route->options.errors, status)) return std::nullopt;
      return failure("valid-refused",
                     fmt::format("a request that fits the description is refused with {0}; when the handler refuses it "
                                 "for reasons of its own, say `.errors = {{{0}}}` in the route's options",
                                 status),
                     "fits");
    case FuzzCase::Intent::unfit:
      if (status >= 400 || status == 207) return std::nullopt;  // 207: item by item (Bulk)
      return failure("invalid-accepted", fmt::format("{} is answered with {}", one.why, status), "unfit");
    case FuzzCase::Intent::no_credentials:
      if (status >= 400) return std::nullopt;
      return failure("auth-ignored", fmt::format("answered with {} {}", status,
                                                 step.credentials == FuzzCredentials::none ? "without credentials"
                                                 : step.credentials == FuzzCredentials::wrong
                                                     ? "to wrong credentials"
                                                     : "to credentials with a letter changed"));
    case FuzzCase::Intent::other_method: {
      const auto name = http::to_string(step.method);
      if (status != 405)
        return failure("unsupported-method",
                       fmt::format("{} is not documented here and is answered with {}, not 405", name, status));
      for (unsigned m = 0; m < 9; ++m) {
        const auto method = http::to_string(static_cast<http::Method>(m));
        if ((operation.methods >> m & 1) != 0 && answer.allow.find(method) == std::string::npos)
          return failure("unsupported-method", fmt::format("the 405 to {} does not say {} in Allow", name, method));
      }
      return std::nullopt;
    }
    case FuzzCase::Intent::use_what_is_new:
      if (status != 404 && status != 410) return std::nullopt;
      return failure("new-is-missing", fmt::format("what has just been made is answered with {}", status));
    case FuzzCase::Intent::use_what_is_gone:
      if (status >= 400) return std::nullopt;
      return failure("use-after-delete", fmt::format("what has just been deleted is answered with {}", status));
  }
  return std::nullopt;
}

}  // namespace ashlar::detail
