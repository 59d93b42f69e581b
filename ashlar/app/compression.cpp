#include <ashlar/app/compression.hpp>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <ashlar/async/offload.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/media_type.hpp>

namespace ashlar {
namespace {

// 64 KiB of JSON cost 0.1 ms (zstd) to 0.4 ms (gzip): what a loop may take at once.
constexpr std::size_t kAtOnce = 64 * 1024;

/// A whole body that goes through an encoder piece by piece. It holds what the bytes live in.
Generator<std::string> encode_body(http::Encoder encoder, std::string body, std::shared_ptr<const void> owner,
                                   std::string_view bytes) {
  static_cast<void>(owner);
  std::string_view rest = bytes.data() == nullptr ? std::string_view(body) : bytes;
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, kAtOnce);
    rest.remove_prefix(piece.size());
    std::string out;
    co_await async::offload([&] {
      encoder.encode(piece, out);
      if (rest.empty()) encoder.finish(out);
    });
    if (!out.empty()) co_yield std::move(out);
  }
}

Generator<std::string> encode_pieces(http::Encoder encoder, Generator<std::string> pieces, bool flush_each) {
  while (std::optional<std::string> piece = co_await pieces.next()) {
    std::string out;
    const auto encode = [&] {
      encoder.encode(*piece, out);
      if (flush_each) encoder.flush(out);
    };
    if (piece->size() >= kAtOnce) {
      co_await async::offload(encode);
    } else {
      encode();
    }
    if (!out.empty()) co_yield std::move(out);
  }
  std::string last;
  encoder.finish(last);
  co_yield std::move(last);
}

Generator<std::string> nothing() { co_return; }

bool has_word(std::optional<std::string_view> list, std::string_view word) noexcept {
  while (list && !list->empty()) {
    const std::size_t comma = std::min(list->find(','), list->size());
    if (equals_ignore_case(trim(list->substr(0, comma)), word)) return true;
    list->remove_prefix(std::min(comma + 1, list->size()));
  }
  return false;
}

void add_vary(http::Response& response) {
  const auto vary = response.find_header("Vary");
  if (!has_word(vary, "Accept-Encoding") && !has_word(vary, "*")) {
    response.append_header_lines("Vary: Accept-Encoding\r\n");
  }
}

// Known lengths alone can be too small.
bool large_enough(const http::Response& response, std::size_t least) noexcept {
  if (response.streaming()) return response.stream_length().value_or(least) >= least;
  if (const auto* file = response.file_body()) return file->length() >= least;
  return response.body_bytes().size() >= least;
}

bool may_be_compressed(const http::Response& response, std::size_t least) {
  switch (response.status) {
    case 101:
    case 204:
    case 205:
    case 206:
    case 304:
      return false;
    default:
      break;
  }
  if (!large_enough(response, least)) return false;
  if (response.streaming() && response.stream_options().heartbeat.count() != 0) return false;
  std::string_view type = response.content_type;
  if (!response.header_lines().empty()) {
    if (response.find_header("Content-Encoding") || response.find_header("Content-Range")) return false;
    if (has_word(response.find_header("Cache-Control"), "no-transform")) return false;
    if (type.empty()) type = response.find_header("Content-Type").value_or(std::string_view());
  }
  return http::is_compressible(type) && !equals_ignore_case(type.substr(0, type.find(';')), "text/event-stream");
}

void compress(const http::Request& request, http::Response& response, http::ContentCoding coding, int level) {
  if (request.method == http::Method::head) {  // its length is not known, and the body not sent
    return response.stream(nothing(), http::StreamOptions{});
  }
  http::Encoder encoder(coding, level);
  if (response.file_body() != nullptr) response.stream_file();
  if (response.streaming()) {
    const bool whole = response.stream_length().has_value();  // nothing waits for its next piece
    const bool open_ended = response.stream_options().open_ended;
    auto pieces = response.take_stream();
    return response.stream(encode_pieces(std::move(encoder), std::move(pieces), !whole), {.open_ended = open_ended});
  }
  const std::string_view bytes = response.body_bytes();
  if (bytes.size() <= kAtOnce) {
    std::string out;
    encoder.encode(bytes, out);
    encoder.finish(out);
    response.remove_body();
    response.body = std::move(out);
    return;
  }
  const bool own = bytes.data() == response.body.data();
  std::shared_ptr<const void> owner = response.body_owner();
  std::string body = own ? std::move(response.body) : std::string();
  response.stream(encode_body(std::move(encoder), std::move(body), std::move(owner), own ? std::string_view() : bytes),
                  http::StreamOptions{});
}

}  // namespace

Compression::Compression(CompressionOptions options) : options_(std::move(options)) {
  for (const auto coding : options_.codings) http::Encoder{coding, options_.level};  // a level that is none throws now
}

void Compression::apply(http::Exchange& exchange) const {
  http::Response& response = exchange.response;
  if (response.status == 304) return add_vary(response);  // as the whole answer would (RFC 9110 §15.4.5)
  if (!may_be_compressed(response, options_.min_size)) return;
  add_vary(response);
  const http::Request& request = exchange.request;
  const auto accepted = request.header(http::KnownHeader::accept_encoding);
  if (!accepted) return;
  const auto coding = http::negotiate(*accepted, options_.codings);
  if (!coding || *coding == http::ContentCoding::identity) return;
  compress(request, response, *coding, options_.level);
  response.header("Content-Encoding", http::to_string(*coding));
  response.remove_header("Accept-Ranges");
  if (const auto tag = response.find_header("ETag"); tag && !tag->starts_with("W/")) {
    response.replace_header("ETag", "W/" + std::string(*tag));
  }
}

void Compression::after(http::Exchange& exchange) noexcept {
  try {
    apply(exchange);
  } catch (const std::exception&) {  // no memory: the answer is as good without
  }
}

}  // namespace ashlar
