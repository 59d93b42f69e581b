// HTTP/1.1 as a client speaks it (RFC 9112): one exchange at a time on a connection.
#pragma once

#include <string>
#include <string_view>

#include <ashlar/http/chunked.hpp>
#include <ashlar/http/detail/client_exchange.hpp>
#include <ashlar/http/detail/client_pool.hpp>

namespace ashlar::http::detail {

class Http1Exchange final : public ClientExchange {
 public:
  Http1Exchange(ClientLease lease, std::string where, std::size_t max_head)
      : ClientExchange(std::move(where)), lease_(std::move(lease)), max_head_(max_head) {}
  ~Http1Exchange() override;

  Task<void> ask(const ClientMessage& message) override;
  Task<void> read_body(std::string& out, std::uint64_t most) override;
  [[nodiscard]] bool global_peer() const noexcept override { return lease_.connection->global_peer; }
  [[nodiscard]] std::string_view version() const noexcept override { return "1.1"; }

 private:
  enum class Sent : bool { cut_short, whole };

  [[nodiscard]] ClientConnection& connection() const noexcept { return *lease_.connection; }
  [[noreturn]] void fail_or_stale(std::string_view why) const;

  Task<Sent> write(std::string_view first, std::string_view second);
  Task<Sent> write_stream(const ClientMessage& message);
  Task<void> wait_for_continue();
  net::Io::State read_some();
  Task<bool> read_more();
  bool take_head();

  ClientLease lease_;
  std::size_t max_head_;
  bool to_head_ = false;
  bool answer_began_ = false;
  bool answered_ = false;  // head_ is the final answer's
  bool told_to_continue_ = false;
  bool peer_ended_ = false;
  bool unsent_ = false;  // some of the request was not sent: the connection cannot be used again
  unsigned interim_ = 0;
  std::uint64_t left_ = 0;
  ChunkedDecoder decoder_;
};

}  // namespace ashlar::http::detail
