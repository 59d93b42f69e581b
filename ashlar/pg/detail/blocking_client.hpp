// A small blocking client over a unix socket with trust authentication: enough to look after a private server.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/pg/detail/buffer.hpp>

namespace ashlar::pg::detail {

class BlockingClient {
 public:
  /// Throws ConnectionLost when nobody listens, the server's own error when it refuses.
  BlockingClient(const std::string& socket_path, std::string_view user, std::string_view database,
                 std::chrono::milliseconds timeout = std::chrono::seconds{30});
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  using Row = std::vector<std::optional<std::string>>;
  /// Simple query; rows as text. Throws the server's error.
  std::vector<Row> query(std::string_view sql);
  /// Ends the session and waits until the server has forgotten it.
  void finish();

 private:
  void send_all();
  void receive();

  int fd_ = -1;
  Buffer in_;
  Buffer out_;
};

/// "name" with its quotes doubled, for SQL identifiers.
std::string quote_identifier(std::string_view name);
/// 'text' as an SQL literal.
std::string quote_literal(std::string_view text);

}  // namespace ashlar::pg::detail
