#include <ashlar/http/websocket.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <ashlar/base/error.hpp>

namespace ashlar::http {
namespace {

void require_utf8(std::string_view text) {
  Utf8Check utf8;
  if (!utf8.feed(text) || !utf8.complete()) {
    throw Invalid("a text message must be UTF-8: send other bytes with send_binary");
  }
}

std::string server_frame(std::string_view payload, bool text, bool compressed, std::size_t& head_size) {
  char head[kMostFrameHead];
  const char* const end = write_frame_head(
      head, {.compressed = compressed, .opcode = text ? Opcode::text : Opcode::binary, .length = payload.size()});
  head_size = static_cast<std::size_t>(end - head);
  std::string frame;
  frame.reserve(head_size + payload.size());
  frame.append(head, head_size).append(payload);
  return frame;
}

}  // namespace

SharedMessage::SharedMessage(std::string data, bool text, const WebSocketCompression& compression)
    : text_(text), compression_(compression) {
  if (text) require_utf8(data);
  plain_ = server_frame(data, text, false, head_);
}

const std::string& SharedMessage::compressed() const {
  std::call_once(once_, [&] {
    if (!compression_.enabled || data().size() < compression_.threshold) return;
    WebSocketCompression options = compression_;
    options.context_takeover = false;
    MessageDeflate deflate(WebSocketSide::server,
                           {.server_no_context_takeover = true, .client_no_context_takeover = true}, options);
    std::string payload;
    if (!deflate.compress(data(), payload)) return;
    std::size_t head = 0;
    compressed_ = server_frame(payload, text_, true, head);
  });
  return compressed_.empty() ? plain_ : compressed_;
}

// ---------------------------------------------------------------------------------------------------------- receiving

bool WebSocket::Receive::await_ready() noexcept {
  if (cancelled_already()) [[unlikely]] {
    mark_cancelled();
    return true;
  }
  return socket_.unread() != 0 || socket_.ended_;
}

void WebSocket::Receive::await_suspend(std::coroutine_handle<> handle) noexcept {
  suspend(handle);
  socket_.receiver_ = this;
}

std::optional<WebSocketMessage> WebSocket::Receive::await_resume() {
  check_cancelled();
  if (socket_.unread() == 0) return std::nullopt;
  std::optional<WebSocketMessage> message(std::move(socket_.inbox_[socket_.first_++]));
  socket_.sent_in_vain_ = 0;
  socket_.unread_bytes_ -= message->data.size();
  if (socket_.first_ == socket_.inbox_.size()) {
    socket_.inbox_.clear();
    if (socket_.inbox_.capacity() > 4) socket_.inbox_.shrink_to_fit();  // most sockets are idle most of the time
    socket_.first_ = 0;
  }
  socket_.on_taken();
  return message;
}

void WebSocket::Receive::on_cancel() noexcept {
  if (socket_.receiver_ != this) return;
  socket_.receiver_ = nullptr;
  mark_cancelled();
  wake();
}

void WebSocket::wake_receiver() noexcept {
  if (Receive* const waiting = std::exchange(receiver_, nullptr)) waiting->wake();
}

void WebSocket::deliver(WebSocketMessage message) {
  unread_bytes_ += message.data.size();
  inbox_.push_back(std::move(message));
  wake_receiver();
}

void WebSocket::end_input(std::uint16_t code, std::string_view reason) {
  if (!peer_code_) {
    peer_code_ = code;
    peer_reason_ = reason;
  }
  ended_ = true;
  wake_receiver();
}

void WebSocket::drop_unread() noexcept {
  inbox_.clear();
  inbox_.shrink_to_fit();
  first_ = 0;
  unread_bytes_ = 0;
}

// ------------------------------------------------------------------------------------------------------------ sending

bool WebSocket::Sent::await_ready() noexcept {
  if (cancelled_already()) [[unlikely]] {
    mark_cancelled();
    return true;
  }
  return !socket_->congested();
}

void WebSocket::Sent::await_suspend(std::coroutine_handle<> handle) noexcept {
  suspend(handle);
  next_ = std::exchange(socket_->senders_, this);
}

void WebSocket::Sent::on_cancel() noexcept {
  for (Sent** at = &socket_->senders_; *at != nullptr; at = &(*at)->next_) {
    if (*at != this) continue;
    *at = next_;
    mark_cancelled();
    return wake();
  }
}

void WebSocket::wake_senders() noexcept {
  while (senders_ != nullptr) std::exchange(senders_, senders_->next_)->wake();
}

// A handler that answers messages must come to those that are still unread, although nobody hears its answers; one that
// only sends must end.
bool WebSocket::may_send() {
  constexpr int kPatience = 64;
  if (!closing_) return true;
  if (closed_here_ || ++sent_in_vain_ >= kPatience) throw Cancelled("the WebSocket is closed");
  return false;
}

WebSocket::Sent WebSocket::send(std::string_view text) {
  require_utf8(text);
  if (may_send()) transmit(text, true);
  return Sent{*this};
}

WebSocket::Sent WebSocket::send_binary(std::string_view bytes) {
  if (may_send()) transmit(bytes, false);
  return Sent{*this};
}

bool WebSocket::send_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy) {
  return !closing_ && transmit_shared(message, policy);
}

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (code != close_code::none && !valid_close_code(code)) {
    throw Invalid(
        fmt::format("a WebSocket cannot be closed with code {}: use 1000, or 4000 to 4999 for your own", code));
  }
  if (closing_) return;
  closing_ = closed_here_ = true;
  begin_close(code, reason);
  // What is still unread stays unread: who closes does not listen any more.
  ended_ = true;
  drop_unread();
  wake_receiver();
  wake_senders();
}

// --------------------------------------------------------------------------------------------------------- in memory

class WebSocketPair::End final : public WebSocket {
 public:
  End(std::string subprotocol, const WebSocketLimits& limits) : WebSocket(std::move(subprotocol)), limits_(limits) {}
  End* other = nullptr;

  [[nodiscard]] std::size_t unsent() const noexcept override { return other->unread_bytes(); }
  void cut() noexcept {
    stop_sending();
    end_input(close_code::abnormal, {});
    wake_senders();
  }

 private:
  void transmit(std::string_view data, bool text) override {
    if (other->closed()) return;
    if (data.size() > limits_.max_message) {
      other->close(close_code::too_large, "the message is longer than is allowed here");
      return;
    }
    other->deliver({std::string(data), text});
  }
  bool transmit_shared(const std::shared_ptr<const SharedMessage>& message, SlowMember policy) override {
    if (unsent() + message->data().size() > limits_.max_unsent) {
      if (policy == SlowMember::close) close(close_code::policy, "too slow");
      return false;
    }
    transmit(message->data(), message->text());
    return true;
  }
  void begin_close(std::uint16_t code, std::string_view reason) override {
    other->stop_sending();
    other->end_input(code, reason);
    other->wake_senders();
    end_input(code, {});  // the answer repeats the code
  }
  [[nodiscard]] bool congested() const noexcept override {
    return !closed() && (unsent() > limits_.output_high_water || other->unread() > limits_.max_unread);
  }
  void on_taken() noexcept override {
    if (!other->congested()) other->wake_senders();
  }

  WebSocketLimits limits_;
};

WebSocketPair::WebSocketPair(std::string subprotocol, WebSocketLimits limits) {
  ends_[0] = std::make_unique<End>(subprotocol, limits);
  ends_[1] = std::make_unique<End>(std::move(subprotocol), limits);
  ends_[0]->other = ends_[1].get();
  ends_[1]->other = ends_[0].get();
}

WebSocketPair::~WebSocketPair() = default;

WebSocket& WebSocketPair::server() noexcept { return *ends_[0]; }
WebSocket& WebSocketPair::client() noexcept { return *ends_[1]; }

void WebSocketPair::cut() noexcept {
  ends_[0]->cut();
  ends_[1]->cut();
}

}  // namespace ashlar::http
