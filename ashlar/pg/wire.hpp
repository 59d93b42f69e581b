// The PostgreSQL frontend/backend protocol 3.0: messages to bytes and back. No I/O, no state.
// Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/pg/detail/buffer.hpp>
#include <ashlar/pg/error.hpp>

namespace ashlar::pg::wire {

using detail::Buffer;

template <class Int>
inline Int load_be(const char* p) noexcept {
  Int value;
  std::memcpy(&value, p, sizeof value);
  if constexpr (sizeof(Int) > 1) value = std::byteswap(value);
  return value;
}
template <class Int>
inline void store_be(char* p, Int value) noexcept {
  if constexpr (sizeof(Int) > 1) value = std::byteswap(value);
  std::memcpy(p, &value, sizeof value);
}
template <class Int>
inline void put(Buffer& out, Int value) {
  store_be(out.reserve(sizeof value), value);
  out.commit(sizeof value);
}
inline void put_cstring(Buffer& out, std::string_view text) {
  char* p = out.reserve(text.size() + 1);
  if (!text.empty()) std::memcpy(p, text.data(), text.size());
  p[text.size()] = 0;
  out.commit(text.size() + 1);
}

/// Reads fields of a message body; every read checks the length and throws ProtocolError.
class Reader {
 public:
  explicit Reader(std::string_view body) noexcept : p_(body.data()), end_(body.data() + body.size()) {}
  template <class Int>
  Int get() {
    need(sizeof(Int));
    const Int value = load_be<Int>(p_);
    p_ += sizeof(Int);
    return value;
  }
  std::string_view bytes(std::size_t n) {
    need(n);
    const std::string_view out(p_, n);
    p_ += n;
    return out;
  }
  std::string_view cstring();
  std::string_view rest() noexcept {
    const std::string_view out(p_, left());
    p_ = end_;
    return out;
  }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - p_); }
  [[nodiscard]] bool done() const noexcept { return p_ == end_; }

 private:
  void need(std::size_t n) const {
    if (left() < n) [[unlikely]]
      short_message();
  }
  [[noreturn]] static void short_message();
  const char* p_;
  const char* end_;
};

/// A message of the server inside the receive buffer.
struct Message {
  char type;
  std::string_view body;
};

/// Longest message taken from a server: a row cannot be longer than 1 GiB (MaxAllocSize).
inline constexpr std::uint32_t kMaxMessage = 1U << 30;

/// The next whole message, or nullopt: read more (`wanted` is then the size of the whole message if known, else 0).
/// Throws ProtocolError on an impossible length.
std::optional<Message> next_message(std::string_view buffer, std::size_t& wanted);

struct Field {
  std::string name;
  std::uint32_t table = 0;     ///< pg_class oid, 0 for an expression
  std::int16_t attribute = 0;  ///< column number in that table
  std::uint32_t type = 0;
  std::int16_t size = 0;
  std::int32_t modifier = -1;
  std::int16_t format = 0;
};

ErrorFields error_fields(std::string_view body);
std::vector<Field> row_description(std::string_view body);
std::vector<std::uint32_t> parameter_description(std::string_view body);
/// Rows affected, from a CommandComplete tag such as "INSERT 0 5" or "SELECT 3"; 0 when the tag has no count.
std::uint64_t affected_rows(std::string_view command_tag) noexcept;

struct Notification {
  std::int32_t pid;
  std::string_view channel;
  std::string_view payload;
};
Notification notification(std::string_view body);

// Messages to the server, appended to `out`.
using Parameter = std::pair<std::string_view, std::string_view>;
void startup(Buffer& out, std::span<const Parameter> parameters);
void ssl_request(Buffer& out);
void cancel_request(Buffer& out, std::int32_t pid, std::int32_t key);
void password(Buffer& out, std::string_view text);
void sasl_initial(Buffer& out, std::string_view mechanism, std::string_view response);
void sasl_response(Buffer& out, std::string_view response);
void parse(Buffer& out, std::string_view name, std::string_view sql);
void parse(Buffer& out, std::string_view name, std::string_view sql, std::span<const std::uint32_t> parameter_types);
void describe_statement(Buffer& out, std::string_view name);
void describe_portal(Buffer& out);  ///< the unnamed one
void close_statement(Buffer& out, std::string_view name);
void execute(Buffer& out, std::int32_t max_rows = 0);  ///< the unnamed portal
void sync(Buffer& out);
void flush(Buffer& out);
void query(Buffer& out, std::string_view sql);
void terminate(Buffer& out);
void copy_data(Buffer& out, std::string_view bytes);
/// Begins a CopyData message, as the first of an empty buffer; end_copy_data() knows its length.
void begin_copy_data(Buffer& out);
void end_copy_data(Buffer& out) noexcept;
void copy_done(Buffer& out);
void copy_fail(Buffer& out, std::string_view reason);

/// Begins a message whose length is not known yet; finish() writes it.
class Open {
 public:
  Open(Buffer& out, char type) : out_(out), start_(out.size()) {
    char* p = out.reserve(5);
    p[0] = type;
    out.commit(5);
  }
  void finish() noexcept { store_be(out_.data() + start_ + 1, static_cast<std::uint32_t>(out_.size() - start_ - 1)); }
  /// Takes the unfinished message back.
  void abandon() noexcept { out_.truncate(start_); }

 private:
  Buffer& out_;
  std::size_t start_;
};

}  // namespace ashlar::pg::wire
