// Receives forms: application/x-www-form-urlencoded and multipart/form-data, whole or as they arrive.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include <ashlar/app/detail/form.hpp>
#include <ashlar/app/detail/read.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

using Event = http::MultipartParser::Event;

std::string_view content_type_of(const Call& call) {
  return call.exchange.request.header(http::KnownHeader::content_type).value_or(std::string_view());
}
bool is_multipart(std::string_view type) noexcept {
  return equals_ignore_case(trim(type.substr(0, type.find(';'))), "multipart/form-data");
}

std::string boundary_of(const Call& call) {
  const std::string_view type = content_type_of(call);
  if (!is_multipart(type)) throw Unsupported("this takes a form with files: send Content-Type: multipart/form-data");
  auto boundary = http::multipart_boundary(type);
  if (!boundary)
    throw Malformed("the Content-Type multipart/form-data has no boundary, or one that is not well-formed");
  return std::move(*boundary);
}

[[noreturn]] void throw_refusal(const http::Refusal& refusal) {
  if (refusal.status == 413) throw TooLarge(std::string(refusal.detail));
  throw Malformed(std::string(refusal.detail));
}

constexpr std::string_view kCutOff = "The form is cut off: its closing boundary is missing.";

// Texts are UTF-8 (RFC 7578 §5.1.2).
void check_text(const std::string& name, const std::string& value) {
  if (!is_utf8(value)) throw Malformed(fmt::format("the field '{}' of the form is no text in UTF-8", name));
}
void check_charset(const http::MultipartPart& part) {
  const auto at = part.content_type.find("charset=");
  if (at == std::string::npos) return;
  std::string_view charset = std::string_view(part.content_type).substr(at + 8);
  charset = trim(charset.substr(0, charset.find(';')));
  if (charset.size() >= 2 && charset.front() == '"') charset = charset.substr(1, charset.size() - 2);
  if (!equals_ignore_case(charset, "utf-8") && !equals_ignore_case(charset, "us-ascii")) {
    throw Unsupported(fmt::format("the field '{}' of the form is in {}; send it in UTF-8", part.name, charset));
  }
}
void check_field(const std::string& name, std::size_t size, const UploadOptions& options) {
  if (size > options.max_field) {
    throw TooLarge(fmt::format("the field '{}' of the form is larger than {} bytes", name, options.max_field));
  }
}

const schema::TypeInfo* bare(const schema::TypeInfo* type) noexcept {
  while (type->kind == schema::Kind::optional || type->kind == schema::Kind::patch ||
         type->kind == schema::Kind::list) {
    type = type->inner;
  }
  return type;
}
bool is_file(const schema::TypeInfo& type) noexcept {
  const schema::TypeInfo* const inner = bare(&type);
  return inner->kind == schema::Kind::value && inner->value->parse == schema::type_info<UploadedFile>().value->parse;
}

// What a file is to members that are none: no text, because it is no UTF-8.
constexpr std::string_view kFileText = "\xff(a file)";

// Whose files UploadedFile::parse looks for.
thread_local const FormReader* reading = nullptr;

}  // namespace

bool form_has_files(const schema::TypeInfo& type) noexcept {
  if (type.kind != schema::Kind::object) return false;
  return std::any_of(type.object->members, type.object->members + type.object->count,
                     [](const schema::Member& member) { return is_file(*member.type); });
}

// ---- parts

PartReader::PartReader(Call& call)
    : body_(call.exchange.body), in_(call.exchange.request.body), parser_(boundary_of(call)) {}

Task<Event> PartReader::next() {
  while (!ended_) {
    const Event event = parser_.next(in_);
    if (event == Event::refused) throw_refusal(parser_.refusal());
    if (event == Event::end) break;
    if (event != Event::more) co_return event;
    in_ = body_ != nullptr ? co_await body_->next() : std::string_view();
    if (in_.empty()) throw Malformed(std::string(kCutOff));
  }
  // What stands behind the closing boundary is read too, so that the connection can go on.
  if (!std::exchange(ended_, true)) {
    while (body_ != nullptr && !(co_await body_->next()).empty()) {
    }
  }
  co_return Event::end;
}

// ---- forms

Task<void> FormReader::receive(Call& call) {
  auto* form = new FormReader;
  form->run = [](AfterAnswer* self, bool) noexcept { delete static_cast<FormReader*>(self); };
  call.keep(*form);
  if (is_multipart(content_type_of(call)) || !is_form_type(content_type_of(call))) {
    co_await form->receive_parts(call);  // or says what it takes
  } else {
    std::string text(call.exchange.request.body);
    while (call.exchange.body != nullptr) {
      const std::string_view piece = co_await call.exchange.body->next();
      if (piece.empty()) break;
      text += piece;
    }
    for (const auto& [name, value] : form_fields(text, call.exchange.scratch)) {
      form->fields_.push_back({std::string(name), std::string(value), nullptr});
    }
  }
  call.form = form;
}

Task<void> FormReader::receive_parts(Call& call) {
  const UploadOptions& options = call.route->options.uploads;
  PartReader reader(call);
  std::size_t files = 0;
  for (Event event = co_await reader.next(); event != Event::end; event = co_await reader.next()) {
    if (event == Event::part) {
      http::MultipartPart& part = reader.part();
      Field& field = fields_.emplace_back();
      field.name = part.name;
      if (!part.filename) {
        check_charset(part);
        continue;
      }
      if (++files > options.max_files) {
        throw TooLarge(fmt::format("the form has more than {} files", options.max_files));
      }
      field.file = std::make_shared<SpooledFile>();
      field.file->filename = std::move(*part.filename);
      field.file->content_type = std::move(part.content_type);
      field.value = kFileText;
    } else if (event == Event::data) {
      Field& field = fields_.back();
      const std::string_view bytes = reader.data();
      if (field.file == nullptr) {
        check_field(field.name, field.value.size() + bytes.size(), options);
        field.value += bytes;
        continue;
      }
      if (options.max_file != 0 && field.file->size() + bytes.size() > options.max_file) {
        throw TooLarge(fmt::format("the file of the field '{}' is larger than {} bytes", field.name, options.max_file));
      }
      co_await field.file->write(bytes, options);
    } else if (const Field& field = fields_.back(); field.file == nullptr) {
      check_text(field.name, field.value);
    } else if (field.file->filename.empty() && field.file->size() == 0) {
      fields_.pop_back();  // what browsers send for a file that nobody chose
    }
  }
}

UploadedFile FormReader::find(std::string_view place) const noexcept {
  for (const Field& field : fields_) {
    if (field.file != nullptr && field.value.data() == place.data()) return UploadedFile(field.file);
  }
  return {};
}

bool FormReader::read_into(const schema::TypeInfo& type, void* out, schema::Errors& errors) const {
  std::vector<schema::Pair> pairs;
  for (const Field& field : fields_) pairs.push_back({field.name, field.value});
  struct Reading {
    explicit Reading(const FormReader* form) noexcept { reading = form; }
    ~Reading() { reading = nullptr; }
  } const guard(this);
  return schema::read_pairs(type, pairs, out, errors, {"body", {}});
}

void FormReader::read(Call&, const schema::TypeInfo& type, void* out, schema::Errors& errors) const {
  read_into(type, out, errors);
}

bool FormReader::takes(const schema::TypeInfo& type, std::vector<Made> fields, void* out) {
  FormReader form;
  for (Made& one : fields) {
    Field& field = form.fields_.emplace_back();
    field.name = std::move(one.name);
    field.value = std::move(one.value);
    if (!one.is_file) continue;
    field.file = std::make_shared<SpooledFile>();
    field.file->hold(std::exchange(field.value, std::string(kFileText)));
  }
  schema::Errors errors;
  return form.read_into(type, out, errors);
}

Task<void> receive_form(Call& call) { return FormReader::receive(call); }

void read_whole_form(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  std::deque<std::pair<std::string, std::string>> fields;
  std::vector<schema::Pair> pairs;
  http::MultipartParser parser(boundary_of(call));
  std::string_view in = call.exchange.request.body;
  bool file = false;
  for (Event event = parser.next(in); event != Event::end; event = parser.next(in)) {
    if (event == Event::refused) throw_refusal(parser.refusal());
    if (event == Event::more) throw Malformed(std::string(kCutOff));
    if (event == Event::part) {
      file = parser.part().filename.has_value();
      if (!file) {
        check_charset(parser.part());
        fields.emplace_back(std::move(parser.part().name), "");
      }
    } else if (event == Event::data && !file) {
      check_field(fields.back().first, fields.back().second.size() + parser.data().size(), call.route->options.uploads);
      fields.back().second += parser.data();
    } else if (event == Event::part_end && !file) {
      check_text(fields.back().first, fields.back().second);
    }
  }
  for (const auto& [name, value] : fields) pairs.push_back({name, value});
  schema::read_pairs(type, pairs, out, errors, {"body", {}});
}

}  // namespace ashlar::detail

namespace ashlar {

std::optional<UploadedFile> UploadedFile::parse(std::string_view place) noexcept {
  UploadedFile file = detail::reading != nullptr ? detail::reading->find(place) : UploadedFile();
  return file ? std::optional(std::move(file)) : std::nullopt;
}

}  // namespace ashlar
