// How a line looks, in both forms, and what must not show in it.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <ctime>
#include <iterator>
#include <mutex>

#include <ashlar/base/secret.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::log {
namespace {

// ---- sensitive keys ----

constexpr std::string_view kSensitiveWords[] = {
    "password",   "passwd", "passphrase", "pwd",       "secret", "token", "authorization", "cookie",
    "credential", "apikey", "privatekey", "sessionid", "jwt",    "cvv",   "cardnumber",    "creditcard",
};

struct Words {
  std::vector<std::string> all{std::begin(kSensitiveWords), std::end(kSensitiveWords)};
  std::uint32_t first_letters = 0;
  Words() { index(); }
  void index() {
    for (const std::string& word : all) first_letters |= letter_bit(word.front());
  }
  static std::uint32_t letter_bit(char c) { return std::uint32_t{1} << (static_cast<unsigned char>(c) & 31); }
};

struct WordLists {
  std::mutex mutex;
  std::vector<std::unique_ptr<const Words>> all;  // readers take no lock, so old ones are kept
  std::atomic<const Words*> current;
  WordLists() {
    all.push_back(std::make_unique<const Words>());
    current = all.back().get();
  }
};
WordLists& word_lists() {
  static auto* lists = new WordLists;
  return *lists;
}

// Lower case, without separators; what does not fit is cut at the front: the telling word comes last.
std::string_view squeezed(std::string_view key, std::span<char> buffer) {
  if (key.size() > buffer.size()) key.remove_prefix(key.size() - buffer.size());
  std::size_t size = 0;
  for (char c : key) {
    if (c == '_' || c == '-' || c == '.' || c == ' ') continue;
    buffer[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return {buffer.data(), size};
}

// ---- text ----

// Bytes of the valid UTF-8 sequence at the front, 0 when there is none. https://www.unicode.org/versions/latest (table
// 3-7)
std::size_t utf8_length(std::string_view text) {
  auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto tail = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return tail(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!tail(1) || !tail(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return 4;
  }
  return 0;
}

// Escapes what could end the line, drive a terminal (C0, DEL, C1) or reorder what is read (bidirectional controls).
void append_escaped(std::string_view text, bool json, std::string& out) {
  std::size_t clean = 0;
  auto put_clean = [&](std::size_t end) { out.append(text, clean, end - clean); };
  for (std::size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\') {
      ++i;
      continue;
    }
    std::size_t length = utf8_length(text.substr(i));
    std::uint32_t code = c;
    if (length == 2) code = (c & 0x1fu) << 6 | (static_cast<unsigned char>(text[i + 1]) & 0x3fu);
    if (length == 3) {
      code = (c & 0x0fu) << 12 | (static_cast<unsigned char>(text[i + 1]) & 0x3fu) << 6 |
             (static_cast<unsigned char>(text[i + 2]) & 0x3fu);
    }
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
                   (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    if (length >= 2 && !control) {
      i += length;
      continue;
    }
    put_clean(i);
    if (length == 0) {
      out += json ? "\\ufffd" : "\xef\xbf\xbd";
      length = 1;
    } else if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", code);
    }
    i += length;
    clean = i;
  }
  put_clean(text.size());
}

// postgres://user:password@host → postgres://user:***@host
void append_masked(std::string_view text, std::string& out) {
  for (std::size_t scheme = text.find("://"); scheme != text.npos; scheme = text.find("://")) {
    std::size_t start = scheme + 3;
    std::size_t end = std::min(text.find_first_of("/?# \t\r\n\"'<>", start), text.size());
    std::size_t at = text.substr(0, end).rfind('@');
    std::size_t colon = text.find(':', start);
    if (at != text.npos && at >= start && colon < at) {
      out += text.substr(0, colon + 1);
      out += "***";
      text.remove_prefix(at);
    } else {
      out += text.substr(0, start);
      text.remove_prefix(start);
    }
  }
  out += text;
}

std::string& scratch() {
  thread_local std::string buffer;
  buffer.clear();
  if (buffer.capacity() > 64 * 1024) buffer.shrink_to_fit();
  return buffer;
}

// The text of a value that is text, ready to be escaped. May be in scratch().
std::string_view shown_text(const Value& value) {
  if (value.kind() == Value::Kind::text && value.text().find("://") == std::string_view::npos) return value.text();
  std::string& buffer = scratch();
  value.append_to(buffer);
  return buffer;
}

// ---- time ----

struct SecondText {
  std::int64_t second = -1;
  char text[24];
  std::size_t size = 0;
};

std::string_view utc_second(std::int64_t second) {
  thread_local SecondText cache;
  if (cache.second != second) {
    std::tm parts{};
    auto time = static_cast<std::time_t>(second);
    ::gmtime_r(&time, &parts);
    cache.size = std::strftime(cache.text, sizeof cache.text, "%Y-%m-%dT%H:%M:%S", &parts);
    cache.second = second;
  }
  return {cache.text, cache.size};
}

std::string_view local_second(std::int64_t second) {
  thread_local SecondText cache;
  if (cache.second != second) {
    std::tm parts{};
    auto time = static_cast<std::time_t>(second);
    ::localtime_r(&time, &parts);
    cache.size = std::strftime(cache.text, sizeof cache.text, "%H:%M:%S", &parts);
    cache.second = second;
  }
  return {cache.text, cache.size};
}

struct SplitTime {
  std::int64_t second;
  std::int64_t micros;
};
SplitTime split(std::chrono::system_clock::time_point time) {
  std::int64_t micros = std::chrono::floor<std::chrono::microseconds>(time.time_since_epoch()).count();
  std::int64_t second = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  return {second, micros - second * 1'000'000};
}

void append_digits(std::int64_t value, int digits, std::string& out) {
  char text[8];
  for (int i = digits; i-- > 0; value /= 10) text[i] = static_cast<char>('0' + value % 10);
  out.append(text, static_cast<std::size_t>(digits));
}

void append_real(double value, std::string& out) {
  char buffer[32];
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

// ---- the two forms ----

// Keys that the line has already, or ECS reserves for something else than a scalar.
bool is_reserved(std::string_view key) {
  constexpr std::string_view kReserved[] = {"@timestamp",   "log.level", "message", "log.logger", "ecs.version",
                                            "service.name", "trace.id",  "span.id", "http.route", "http.request.id"};
  return std::ranges::find(kReserved, key) != std::end(kReserved);
}

void append_json_member(std::string_view key, const Value& value, std::string& out, bool own = false) {
  out += ",\"";
  if (!own && is_reserved(key)) out += "labels.";
  append_escaped(key, true, out);
  out += "\":";
  switch (value.kind()) {
    case Value::Kind::null:
      out += "null";
      return;
    case Value::Kind::boolean:
      out += value.boolean() ? "true" : "false";
      return;
    case Value::Kind::integer:
    case Value::Kind::natural:
      value.append_to(out);
      return;
    case Value::Kind::real:
      if (std::isfinite(value.real())) {
        append_real(value.real(), out);
      } else {
        out.push_back('"');
        append_real(value.real(), out);
        out.push_back('"');
      }
      return;
    case Value::Kind::text:
    case Value::Kind::object:
    case Value::Kind::secret:
      out.push_back('"');
      append_escaped(shown_text(value), true, out);
      out.push_back('"');
  }
}

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kDim = "\x1b[2m";

std::string_view level_color(Level level) {
  switch (level) {
    case Level::trace:
      return "\x1b[2m";
    case Level::debug:
      return "\x1b[34m";
    case Level::info:
      return "\x1b[32m";
    case Level::warn:
      return "\x1b[33m";
    case Level::error:
    case Level::off:
      break;
  }
  return "\x1b[1;31m";
}

std::string_view level_word(Level level) {
  constexpr std::string_view kWords[] = {"TRACE", "DEBUG", "INFO ", "WARN ", "ERROR", "OFF  "};
  return kWords[static_cast<std::size_t>(level)];
}

void append_human_field(std::string_view key, const Value& value, bool color, std::string& out) {
  out.push_back(' ');
  if (color) out += kDim;
  append_escaped(key, false, out);
  out.push_back('=');
  if (color) out += kReset;
  std::string_view text = shown_text(value);
  bool quote = text.empty() || std::ranges::any_of(text, [](char c) {
                 return c == ' ' || c == '=' || c == '"' || c == '\\' || (static_cast<unsigned char>(c) < 0x20);
               });
  bool words = value.kind() == Value::Kind::text || value.kind() == Value::Kind::object;
  if (quote && words) out.push_back('"');
  append_escaped(text, false, out);
  if (quote && words) out.push_back('"');
}

}  // namespace

std::string_view to_string(Level level) noexcept {
  constexpr std::string_view kNames[] = {"trace", "debug", "info", "warn", "error", "off"};
  return kNames[static_cast<std::size_t>(level)];
}

std::optional<Level> parse_level(std::string_view text) noexcept {
  for (Level level : {Level::trace, Level::debug, Level::info, Level::warn, Level::error, Level::off}) {
    if (std::ranges::equal(text, to_string(level), [](char a, char b) { return (a | 32) == b; })) return level;
  }
  return std::nullopt;
}

bool is_sensitive(std::string_view key) noexcept {
  const Words& words = *word_lists().current.load(std::memory_order_acquire);
  char buffer[96];
  std::string_view name = squeezed(key, buffer);
  for (; !name.empty(); name.remove_prefix(1)) {
    if ((words.first_letters & Words::letter_bit(name.front())) == 0) continue;
    for (const std::string& word : words.all) {
      if (name.starts_with(word)) return true;
    }
  }
  return false;
}

void redact(std::string_view word) {
  char buffer[96];
  std::string_view name = squeezed(word, buffer);
  if (name.empty()) return;
  WordLists& lists = word_lists();
  std::lock_guard lock(lists.mutex);
  Words words = *lists.current.load(std::memory_order_relaxed);
  words.all.emplace_back(name);
  words.index();
  lists.all.push_back(std::make_unique<const Words>(std::move(words)));
  lists.current.store(lists.all.back().get(), std::memory_order_release);
}

void Value::append_to(std::string& out) const {
  char buffer[24];
  switch (kind_) {
    case Kind::null:
      out += "null";
      return;
    case Kind::boolean:
      out += boolean() ? "true" : "false";
      return;
    case Kind::integer:
      out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, integer_).ptr);
      return;
    case Kind::natural:
      out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, natural_).ptr);
      return;
    case Kind::real:
      append_real(real_, out);
      return;
    case Kind::text:
      append_masked(text_, out);
      return;
    case Kind::object: {
      std::string text;
      object_.append(object_.object, text);
      append_masked(text, out);
      return;
    }
    case Kind::secret:
      out += Secret<>::kMask;
      return;
  }
}

void append_json(const Record& record, std::string_view service, std::string& out) {
  auto [second, micros] = split(record.time);
  out += "{\"@timestamp\":\"";
  out += utc_second(second);
  out.push_back('.');
  append_digits(micros, 6, out);
  out += "Z\",\"log.level\":\"";
  out += to_string(record.level);
  out += "\",\"message\":\"";
  append_escaped(record.message, true, out);
  out += "\",\"ecs.version\":\"8.11.0\"";
  if (!service.empty()) append_json_member("service.name", service, out, true);
  if (!record.logger.empty()) append_json_member("log.logger", record.logger, out, true);
  for (const Field& field : record.context) append_json_member(field.key, field.value, out, true);
  record.for_each_field([&](std::string_view key, const Value& value) { append_json_member(key, value, out); });
  out.push_back('}');
}

void append_human(const Record& record, bool color, std::string& out) {
  auto [second, micros] = split(record.time);
  if (color) out += kDim;
  out += local_second(second);
  out.push_back('.');
  append_digits(micros / 1000, 3, out);
  if (color) out += kReset;
  out.push_back(' ');
  if (color) out += level_color(record.level);
  out += level_word(record.level);
  if (color) out += kReset;
  out.push_back(' ');
  std::size_t start = out.size();
  if (!record.logger.empty()) {
    append_escaped(record.logger, false, out);
    out += ": ";
  }
  append_escaped(record.message, false, out);
  bool fields = false;
  auto align = [&] {
    constexpr std::size_t kMessageWidth = 32;
    if (!fields) out.append(kMessageWidth - std::min(kMessageWidth, out.size() - start), ' ');
    fields = true;
  };
  record.for_each_field([&](std::string_view key, const Value& value) {
    align();
    append_human_field(key, value, color, out);
  });
  for (const Field& field : record.context) {
    if (field.key == "span.id") continue;  // the trace is enough for people
    align();
    append_human_field(field.key, field.value, color, out);
  }
}

}  // namespace ashlar::log
