// Any bytes as what a WebSocket peer sends: the same messages, control frames and faults however they are cut, nothing
// above the limit, and no text that is no UTF-8. The first byte says who sends it and what was agreed on.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/input_fuzz.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/websocket_deflate.hpp>
#include <ashlar/http/websocket_frame.hpp>
#include <ashlar/http/websocket_reader.hpp>

namespace {

using namespace ashlar::http;
using Event = WebSocketReader::Event;

constexpr std::uint64_t kMaxMessage = 64 * 1024;

struct Setting {
  WebSocketSide from = WebSocketSide::client;
  std::optional<DeflateAgreement> deflate;
};

std::vector<std::string> read(std::string_view bytes, std::size_t step, const Setting& setting) {
  const WebSocketSide ours = setting.from == WebSocketSide::client ? WebSocketSide::server : WebSocketSide::client;
  std::optional<MessageDeflate> deflate;
  if (setting.deflate) deflate.emplace(ours, *setting.deflate, WebSocketCompression{.context_takeover = true});
  WebSocketReader reader(setting.from, kMaxMessage, deflate ? &*deflate : nullptr);
  std::vector<std::string> seen;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    std::string piece(bytes.substr(at, step));
    std::span<char> in(piece);
    while (!in.empty()) {
      const std::size_t had = in.size();
      const Event event = reader.feed(in);
      if (event == Event::more) {
        ashlar::fuzz::require(in.empty());
      } else if (event == Event::message) {
        const WebSocketMessage message = reader.take_message();
        ashlar::fuzz::require(message.data.size() <= kMaxMessage);
        ashlar::fuzz::require(!message.text || ashlar::is_utf8(message.data));
        seen.push_back((message.text ? "t" : "b") + message.data);
      } else if (event == Event::fault) {
        ashlar::fuzz::require(valid_close_code(reader.fault().code) && !reader.fault().reason.empty());
        seen.push_back("f" + std::to_string(reader.fault().code));
        return seen;
      } else {
        ashlar::fuzz::require(reader.control().size() <= kMostControlPayload);
        seen.push_back("c" + std::string(reader.control()));
        if (event == Event::close) {
          const ClosePayload close = parse_close_payload(reader.control());
          ashlar::fuzz::require(close.fault || close.code == close_code::none || valid_close_code(close.code));
          ashlar::fuzz::require(close.fault || ashlar::is_utf8(close.reason));
          return seen;
        }
      }
      ashlar::fuzz::require(event == Event::more || in.size() < had || seen.size() < bytes.size());
    }
  }
  return seen;
}

void check_head(std::string_view bytes, const Setting& setting) {
  const auto result = parse_frame_head(bytes, setting.from, setting.deflate.has_value());
  if (result.state != FrameHeadResult::State::complete) return;
  ashlar::fuzz::require(result.size <= bytes.size() && result.size <= kMostFrameHead);
  char written[kMostFrameHead];
  const char* const end = write_frame_head(written, result.head);
  ashlar::fuzz::require(std::string_view(written, end) == bytes.substr(0, result.size));
}

void check_negotiation(std::string_view offers) {
  const auto agreement = accept_deflate(offers, {.context_takeover = true});
  if (!agreement) return;
  ashlar::fuzz::require(agreement->server_window_bits >= 9 && agreement->server_window_bits <= 15);
  ashlar::fuzz::require(accept_deflate(deflate_answer(*agreement), {.context_takeover = true}).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Setting setting;
  if ((data[0] & 1) != 0) setting.from = WebSocketSide::server;
  if ((data[0] & 2) != 0) {
    const bool fresh = (data[0] & 4) != 0;
    setting.deflate = DeflateAgreement{.server_no_context_takeover = fresh, .client_no_context_takeover = fresh};
  }
  check_head(bytes, setting);
  check_negotiation(bytes);
  const auto whole = read(bytes, bytes.size() + 1, setting);
  if (bytes.size() < 2048) ashlar::fuzz::require(read(bytes, 1, setting) == whole);
  ashlar::fuzz::require(read(bytes, 7, setting) == whole);
  return 0;
}
