// Structured logs: a message that never varies, and fields that do.
//
//   log::info("order paid", {{"order", order.id}, {"amount", order.total}, {"took", elapsed}});
//
// A line goes to standard output through a bounded queue and a writer thread: logging never blocks. When the reader of
// standard output cannot keep up, lines are dropped, counted and reported. On a terminal lines are for people,
// elsewhere they are JSON with the field names of ECS
// (https://www.elastic.co/guide/en/ecs-logging/overview/current/intro.html). The ids of the current trace and request
// and the route are added by themselves. Fields with telling names (password, token, authorization, cookie, ...),
// Secret<T> values and passwords inside URLs never show. Control characters are escaped in both forms, so input cannot
// forge a line or drive a terminal.
//
// Every function: any thread, never throws unless it says so.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ashlar::log {

enum class Level : std::uint8_t { trace, debug, info, warn, error, off };
[[nodiscard]] std::string_view to_string(Level level) noexcept;
[[nodiscard]] std::optional<Level> parse_level(std::string_view text) noexcept;

// The value of a field. Borrows text and objects: they must live until the logging call returns, which temporaries in
// the call do. Nothing is copied or formatted unless the line is written.
class Value {
 public:
  enum class Kind : std::uint8_t { null, boolean, integer, natural, real, text, object, secret };

  Value() noexcept : integer_(0) {}
  template <std::same_as<bool> T>
  Value(T value) noexcept : kind_(Kind::boolean), integer_(value) {}
  template <std::signed_integral T>
  Value(T value) noexcept : kind_(Kind::integer), integer_(value) {}
  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  Value(T value) noexcept : kind_(Kind::natural), natural_(value) {}
  template <std::floating_point T>
  Value(T value) noexcept : kind_(Kind::real), real_(static_cast<double>(value)) {}
  // In seconds.
  template <class Rep, class Period>
  Value(std::chrono::duration<Rep, Period> value) noexcept
      : kind_(Kind::real), real_(std::chrono::duration<double>(value).count()) {}
  Value(const char* text) noexcept : Value(std::string_view(text != nullptr ? text : "")) {}
  template <class T>
    requires std::convertible_to<const T&, std::string_view> && (!std::convertible_to<const T&, const char*>)
  Value(const T& text) noexcept : kind_(Kind::text), text_(static_cast<std::string_view>(text)) {}
  Value(const std::exception& error) noexcept : Value(error.what()) {}
  // Anything with to_string(): Uuid, DateTime, Decimal, ...
  template <class T>
    requires(!std::convertible_to<const T&, std::string_view> && !requires(const T& value) { value.reveal(); }) &&
                requires(const T& value) {
                  { value.to_string() } -> std::convertible_to<std::string_view>;
                }
  Value(const T& value) noexcept
      : kind_(Kind::object), object_{&value, [](const void* object, std::string& out) {
                                       out += static_cast<const T*>(object)->to_string();
                                     }} {}
  // Enums and others with a to_string(value) beside them.
  template <class T>
    requires std::is_enum_v<T> && requires(T value) {
      { to_string(value) } -> std::same_as<std::string_view>;
    }
  Value(T value) noexcept : kind_(Kind::text), text_(to_string(value)) {}
  template <class T>
  Value(const std::optional<T>& value) noexcept : Value() {
    if (value) *this = Value(*value);
  }
  // A number with annotations: Annotated<int, ge{1}>.
  template <class T>
    requires requires(const T& number) {
      requires std::is_arithmetic_v<std::remove_cvref_t<decltype(number.value)>>;
      requires std::is_convertible_v<const T&, std::remove_cvref_t<decltype(number.value)>>;
    }
  Value(const T& number) noexcept : Value(number.value) {}
  // Secret<T> and whatever else must be asked to reveal itself.
  template <class T>
    requires requires(const T& value) { value.reveal(); }
  Value(const T&) noexcept : kind_(Kind::secret), integer_(0) {}

  [[nodiscard]] static Value redacted() noexcept {
    Value value;
    value.kind_ = Kind::secret;
    return value;
  }

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  [[nodiscard]] bool boolean() const noexcept { return integer_ != 0; }
  [[nodiscard]] std::int64_t integer() const noexcept { return integer_; }
  [[nodiscard]] std::uint64_t natural() const noexcept { return natural_; }
  [[nodiscard]] double real() const noexcept { return real_; }
  [[nodiscard]] std::string_view text() const noexcept { return text_; }
  // As plain text, whatever the kind.
  void append_to(std::string& out) const;

 private:
  struct Object {
    const void* object;
    void (*append)(const void*, std::string&);
  };
  Kind kind_ = Kind::null;
  union {
    std::int64_t integer_;
    std::uint64_t natural_;
    double real_;
    std::string_view text_;
    Object object_;
  };
};

struct Field {
  std::string_view key;
  Value value;
};

// A view of fields; lives as long as the call.
class Fields {
 public:
  Fields() = default;
  Fields(std::initializer_list<Field> fields) noexcept : fields_(fields.begin(), fields.size()) {}
  Fields(std::span<const Field> fields) noexcept : fields_(fields) {}
  [[nodiscard]] std::span<const Field> span() const noexcept { return fields_; }

 private:
  std::span<const Field> fields_;
};

// Whether the value of a key is never shown. Case and separators do not matter: "X-Api-Key", "api_key", "apiKey".
[[nodiscard]] bool is_sensitive(std::string_view key) noexcept;
// Adds a word that makes a key sensitive wherever it occurs in it, for example "iban".
void redact(std::string_view word);

namespace detail {
struct LoggerState {
  std::atomic<Level> level{Level::info};
  std::string_view name;
};
inline constinit LoggerState root;
void write(Level level, std::string_view logger, std::string_view message, Fields fields) noexcept;
}  // namespace detail

[[nodiscard]] inline bool enabled(Level level) noexcept {
  return level >= detail::root.level.load(std::memory_order_relaxed);
}
inline void write(Level level, std::string_view message, Fields fields = {}) noexcept {
  if (enabled(level)) detail::write(level, {}, message, fields);
}
inline void trace(std::string_view message, Fields fields = {}) noexcept { write(Level::trace, message, fields); }
inline void debug(std::string_view message, Fields fields = {}) noexcept { write(Level::debug, message, fields); }
inline void info(std::string_view message, Fields fields = {}) noexcept { write(Level::info, message, fields); }
inline void warn(std::string_view message, Fields fields = {}) noexcept { write(Level::warn, message, fields); }
inline void error(std::string_view message, Fields fields = {}) noexcept { write(Level::error, message, fields); }

// A part of the program with a name and a level of its own: `const log::Logger logger{"pg.pool"};` in a .cpp.
class Logger {
 public:
  explicit Logger(std::string_view name);  // of static storage
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  [[nodiscard]] std::string_view name() const noexcept { return state_.name; }
  [[nodiscard]] bool enabled(Level level) const noexcept {
    return level >= state_.level.load(std::memory_order_relaxed);
  }
  void write(Level level, std::string_view message, Fields fields = {}) const noexcept {
    if (enabled(level)) detail::write(level, state_.name, message, fields);
  }
  void trace(std::string_view message, Fields fields = {}) const noexcept { write(Level::trace, message, fields); }
  void debug(std::string_view message, Fields fields = {}) const noexcept { write(Level::debug, message, fields); }
  void info(std::string_view message, Fields fields = {}) const noexcept { write(Level::info, message, fields); }
  void warn(std::string_view message, Fields fields = {}) const noexcept { write(Level::warn, message, fields); }
  void error(std::string_view message, Fields fields = {}) const noexcept { write(Level::error, message, fields); }

 private:
  detail::LoggerState state_;
};

// Levels change while the program runs. "pg" rules "pg.pool" too, unless that has a rule of its own.
void set_level(Level level);
void set_level(std::string_view logger, Level level);
// All rules at once: "info,pg=debug,http.access=off". Throws Invalid, and changes nothing, when it cannot read them.
void set_levels(std::string_view rules);
[[nodiscard]] std::string levels();

enum class Format : std::uint8_t { automatic, human, json };
enum class Color : std::uint8_t { automatic, never, always };

struct Options {
  Format format = Format::automatic;    // human on a terminal, else JSON
  Color color = Color::automatic;       // on a terminal, unless NO_COLOR is set (https://no-color.org)
  std::string service = {};             // service.name of every JSON line
  std::optional<unsigned> worker = {};  // `worker` of every line
  int fd = 1;                           // a command whose standard output is its result logs to 2
  std::size_t queue_bytes = 1 << 20;    // lines waiting beyond this are dropped
  // Of the lines below `warn` that belong to a trace, those of one trace in this many are written.
  std::uint32_t sample_one_in = 1;
};
void configure(Options options);

// Waits until the lines logged so far are written; false when that took longer. Happens by itself at exit.
bool flush(std::chrono::milliseconds timeout = std::chrono::seconds(2)) noexcept;

struct Stats {
  std::uint64_t written = 0;  // lines
  std::uint64_t dropped = 0;
};
[[nodiscard]] Stats stats() noexcept;

// Keeps a line that could repeat endlessly to one a period:
//   static log::RateLimit limit{std::chrono::seconds(1)};
//   if (auto suppressed = limit.pass()) log::warn("peer sends garbage", {{"suppressed", *suppressed}});
class RateLimit {
 public:
  explicit RateLimit(std::chrono::nanoseconds period) noexcept : period_(period.count()) {}
  // How many were held back since the last that passed; nothing: hold this one back.
  std::optional<std::uint64_t> pass() noexcept;

 private:
  std::int64_t period_;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint64_t> suppressed_{0};
};

// One line, as sinks see it. Valid during the call.
class Record {
 public:
  Level level = Level::info;
  std::chrono::system_clock::time_point time;
  std::string_view logger;   // empty: none
  std::string_view message;  // passwords in URLs are masked
  std::span<const Field> context;

  // The fields with what is sensitive masked, in order: f(std::string_view key, const Value&).
  template <class F>
  void for_each_field(F&& f) const {
    for (const Field& field : fields_.span()) {
      f(field.key,
        is_sensitive(field.key) && field.value.kind() != Value::Kind::boolean ? Value::redacted() : field.value);
    }
  }

 private:
  friend void detail::write(Level, std::string_view, std::string_view, Fields) noexcept;
  Fields fields_;
};

// The line in ECS form, without the newline.
void append_json(const Record& record, std::string_view service, std::string& out);
// The line for people, without the newline.
void append_human(const Record& record, bool color, std::string& out);

// Sees every line at once, on the thread that logs it: it must be quick, must not block and must not log.
class Sink {
 public:
  virtual void on_record(const Record& record) noexcept = 0;

 protected:
  ~Sink() = default;
};
void add_sink(Sink& sink);
// After it returns, the sink is not called any more.
void remove_sink(Sink& sink) noexcept;

// For tests: while it lives, lines are kept here and not written; `level` is the level of everything.
class Capture final : Sink {
 public:
  struct Line {
    Level level;
    std::string logger;
    std::string message;
    std::vector<std::pair<std::string, std::string>> fields;  // with those of the context
    std::string json;
    // Empty when the line has no such field.
    [[nodiscard]] std::string field(std::string_view key) const;
  };
  explicit Capture(Level level = Level::trace);
  ~Capture();
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;

  [[nodiscard]] std::vector<Line> lines() const;
  // The first line with this message.
  [[nodiscard]] std::optional<Line> find(std::string_view message) const;

 private:
  void on_record(const Record& record) noexcept override;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ashlar::log
