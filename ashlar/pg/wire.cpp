#include <ashlar/pg/wire.hpp>

#include <fmt/format.h>

#include <charconv>

namespace ashlar::pg::wire {

void Reader::short_message() { throw ProtocolError("PostgreSQL sent a message that is shorter than its content"); }

std::string_view Reader::cstring() {
  const void* zero = left() == 0 ? nullptr : std::memchr(p_, 0, left());
  if (zero == nullptr) throw ProtocolError("PostgreSQL sent a text without its end");
  const std::string_view out(p_, static_cast<std::size_t>(static_cast<const char*>(zero) - p_));
  p_ += out.size() + 1;
  return out;
}

std::optional<Message> next_message(std::string_view buffer, std::size_t& wanted) {
  wanted = 0;
  if (buffer.size() < 5) return std::nullopt;
  const auto length = load_be<std::uint32_t>(buffer.data() + 1);
  if (length < 4 || length > kMaxMessage) [[unlikely]]
    throw ProtocolError(fmt::format("PostgreSQL sent a message of type {:#04x} with the impossible length {}",
                                    static_cast<unsigned char>(buffer[0]), length));
  wanted = static_cast<std::size_t>(length) + 1;
  if (buffer.size() < wanted) return std::nullopt;
  return Message{buffer[0], buffer.substr(5, length - 4)};
}

ErrorFields error_fields(std::string_view body) {
  ErrorFields out;
  Reader in(body);
  while (!in.done()) {
    const char field = in.get<char>();
    if (field == 0) break;
    const std::string_view text = in.cstring();
    switch (field) {
      case 'S':
        if (out.severity.empty()) out.severity = text;
        break;
      case 'V':
        out.severity = text;
        break;  // never translated
      case 'C':
        out.code = text;
        break;
      case 'M':
        out.primary = text;
        break;
      case 'D':
        out.detail = text;
        break;
      case 'H':
        out.hint = text;
        break;
      case 'P':
        std::from_chars(text.data(), text.data() + text.size(), out.position);
        break;
      case 'W':
        out.context = text;
        break;
      case 's':
        out.schema_name = text;
        break;
      case 't':
        out.table_name = text;
        break;
      case 'c':
        out.column_name = text;
        break;
      case 'd':
        out.type_name = text;
        break;
      case 'n':
        out.constraint_name = text;
        break;
      case 'R':
        out.routine = text;
        break;
      default:
        break;  // file and line of the server; fields of newer servers
    }
  }
  return out;
}

std::vector<Field> row_description(std::string_view body) {
  Reader in(body);
  const auto count = in.get<std::uint16_t>();
  std::vector<Field> out;
  out.reserve(count);
  for (unsigned i = 0; i < count; ++i) {
    Field& field = out.emplace_back();
    field.name = in.cstring();
    field.table = in.get<std::uint32_t>();
    field.attribute = in.get<std::int16_t>();
    field.type = in.get<std::uint32_t>();
    field.size = in.get<std::int16_t>();
    field.modifier = in.get<std::int32_t>();
    field.format = in.get<std::int16_t>();
  }
  return out;
}

std::vector<std::uint32_t> parameter_description(std::string_view body) {
  Reader in(body);
  const auto count = in.get<std::uint16_t>();
  std::vector<std::uint32_t> out;
  out.reserve(count);
  for (unsigned i = 0; i < count; ++i) out.push_back(in.get<std::uint32_t>());
  return out;
}

std::uint64_t affected_rows(std::string_view tag) noexcept {
  const std::size_t space = tag.rfind(' ');
  if (space == std::string_view::npos) return 0;
  std::uint64_t rows = 0;
  std::from_chars(tag.data() + space + 1, tag.data() + tag.size(), rows);
  return rows;
}

Notification notification(std::string_view body) {
  Reader in(body);
  Notification out{};
  out.pid = in.get<std::int32_t>();
  out.channel = in.cstring();
  out.payload = in.cstring();
  return out;
}

namespace {
void short_message(Buffer& out, char type) {
  Open message(out, type);
  message.finish();
}
}  // namespace

void startup(Buffer& out, std::span<const Parameter> parameters) {
  const std::size_t start = out.size();
  put<std::uint32_t>(out, 0);
  put<std::uint32_t>(out, 196608);  // protocol 3.0
  for (const auto& [name, value] : parameters) {
    put_cstring(out, name);
    put_cstring(out, value);
  }
  put<char>(out, 0);
  store_be(out.data() + start, static_cast<std::uint32_t>(out.size() - start));
}

void ssl_request(Buffer& out) {
  put<std::uint32_t>(out, 8);
  put<std::uint32_t>(out, 80877103);
}

void cancel_request(Buffer& out, std::int32_t pid, std::int32_t key) {
  put<std::uint32_t>(out, 16);
  put<std::uint32_t>(out, 80877102);
  put(out, pid);
  put(out, key);
}

void password(Buffer& out, std::string_view text) {
  Open message(out, 'p');
  put_cstring(out, text);
  message.finish();
}

void sasl_initial(Buffer& out, std::string_view mechanism, std::string_view response) {
  Open message(out, 'p');
  put_cstring(out, mechanism);
  put(out, static_cast<std::uint32_t>(response.size()));
  out.append(response);
  message.finish();
}

void sasl_response(Buffer& out, std::string_view response) {
  Open message(out, 'p');
  out.append(response);
  message.finish();
}

void parse(Buffer& out, std::string_view name, std::string_view sql) {
  Open message(out, 'P');
  put_cstring(out, name);
  put_cstring(out, sql);
  put<std::uint16_t>(out, 0);  // the server infers the types of the parameters
  message.finish();
}

void parse(Buffer& out, std::string_view name, std::string_view sql, std::span<const std::uint32_t> parameter_types) {
  Open message(out, 'P');
  put_cstring(out, name);
  put_cstring(out, sql);
  put(out, static_cast<std::uint16_t>(parameter_types.size()));
  for (const std::uint32_t type : parameter_types) put(out, type);
  message.finish();
}

void describe_statement(Buffer& out, std::string_view name) {
  Open message(out, 'D');
  put(out, 'S');
  put_cstring(out, name);
  message.finish();
}

void describe_portal(Buffer& out) {
  Open message(out, 'D');
  put(out, 'P');
  put(out, '\0');
  message.finish();
}

void close_statement(Buffer& out, std::string_view name) {
  Open message(out, 'C');
  put(out, 'S');
  put_cstring(out, name);
  message.finish();
}

void execute(Buffer& out, std::int32_t max_rows) {
  Open message(out, 'E');
  put(out, '\0');
  put(out, max_rows);
  message.finish();
}

void sync(Buffer& out) { short_message(out, 'S'); }
void flush(Buffer& out) { short_message(out, 'H'); }
void terminate(Buffer& out) { short_message(out, 'X'); }
void copy_done(Buffer& out) { short_message(out, 'c'); }

void query(Buffer& out, std::string_view sql) {
  Open message(out, 'Q');
  put_cstring(out, sql);
  message.finish();
}

void copy_data(Buffer& out, std::string_view bytes) {
  Open message(out, 'd');
  out.append(bytes);
  message.finish();
}

void begin_copy_data(Buffer& out) { out.append("d\0\0\0\0", 5); }
void end_copy_data(Buffer& out) noexcept { store_be(out.data() + 1, static_cast<std::uint32_t>(out.size() - 1)); }

void copy_fail(Buffer& out, std::string_view reason) {
  Open message(out, 'f');
  put_cstring(out, reason);
  message.finish();
}

}  // namespace ashlar::pg::wire
