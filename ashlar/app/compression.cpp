#include <ashlar/app/compression.hpp>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <ashlar/app/detail/encoded_copies.hpp>
#include <ashlar/async/offload.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/file_body.hpp>
#include <ashlar/http/media_type.hpp>

namespace ashlar {
namespace {

// 64 KiB of JSON cost 0.1 ms (zstd) to 0.4 ms (gzip): what a loop may take at once.
constexpr std::size_t kAtOnce = 64 * 1024;

// So much content may be encoded once for all who come; what is larger goes out without being held in memory.
constexpr std::uint64_t kMostShared = 4 * 1024 * 1024;

/// Where the encoded form of a body is kept, when others share the body.
struct Keeper {
  std::shared_ptr<detail::EncodedCopies> copies;
  detail::EncodedCopies::Key key{};
  std::shared_ptr<const void> owner;

  explicit operator bool() const noexcept { return copies != nullptr; }
  void keep(std::string encoded) const { copies->keep(key, owner, std::move(encoded)); }
};

/// A whole body that goes through an encoder piece by piece. It holds what the bytes live in.
Generator<std::string> encode_body(http::Encoder encoder, std::string body, std::shared_ptr<const void> owner,
                                   std::string_view bytes, Keeper keeper) {
  static_cast<void>(owner);
  std::string_view rest = bytes.data() == nullptr ? std::string_view(body) : bytes;
  std::string all;
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, kAtOnce);
    rest.remove_prefix(piece.size());
    std::string out;
    co_await async::offload([&] {
      encoder.encode(piece, out);
      if (rest.empty()) encoder.finish(out);
    });
    if (keeper) all += out;
    if (!out.empty()) co_yield std::move(out);
  }
  if (keeper) keeper.keep(std::move(all));
}

Generator<std::string> encode_pieces(http::Encoder encoder, Generator<std::string> pieces, bool flush_each,
                                     Keeper keeper) {
  std::string all;
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
    if (keeper) all += out;
    if (!out.empty()) co_yield std::move(out);
  }
  std::string last;
  encoder.finish(last);
  if (keeper) keeper.keep(std::move(all += last));
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

/// Empty for a body that this answer alone has: nobody would ask for its encoded form again.
Keeper keeper_of(const http::Response& response, http::ContentCoding coding,
                 const std::shared_ptr<detail::EncodedCopies>& copies) {
  Keeper keeper;
  if (copies == nullptr) return keeper;
  if (const auto* file = response.file_body()) {
    if (file->length() > kMostShared || file->file().use_count() < 2) return keeper;
    keeper.key = {file->file().get(), file->offset(), file->length(), coding};
    keeper.owner = file->file();
  } else {
    const std::string_view bytes = response.body_bytes();
    const auto& owner = response.body_owner();
    if (response.streaming() || bytes.data() == response.body.data() || bytes.size() > kMostShared) return keeper;
    if (owner != nullptr && owner.use_count() < 2) return keeper;
    keeper.key = {bytes.data(), 0, bytes.size(), coding};
    keeper.owner = owner;
  }
  keeper.copies = copies;
  return keeper;
}

void compress(http::Response& response, http::Encoder encoder, Keeper keeper) {
  if (response.file_body() != nullptr) response.stream_file();
  if (response.streaming()) {
    const bool whole = response.stream_length().has_value();  // nothing waits for its next piece
    const bool open_ended = response.stream_options().open_ended;
    auto pieces = response.take_stream();
    return response.stream(encode_pieces(std::move(encoder), std::move(pieces), !whole, std::move(keeper)),
                           {.open_ended = open_ended});
  }
  const std::string_view bytes = response.body_bytes();
  if (bytes.size() <= kAtOnce) {
    std::string out;
    encoder.encode(bytes, out);
    encoder.finish(out);
    if (keeper) keeper.keep(out);
    response.remove_body();
    response.body = std::move(out);
    return;
  }
  const bool own = bytes.data() == response.body.data();
  std::shared_ptr<const void> owner = response.body_owner();
  std::string body = own ? std::move(response.body) : std::string();
  response.stream(encode_body(std::move(encoder), std::move(body), std::move(owner), own ? std::string_view() : bytes,
                              std::move(keeper)),
                  http::StreamOptions{});
}

}  // namespace

Compression::Compression(CompressionOptions options) : options_(std::move(options)) {
  for (const auto coding : options_.codings) http::Encoder{coding, options_.level};  // a level that is none throws now
  if (options_.memory != 0) copies_ = std::make_shared<detail::EncodedCopies>(options_.memory);
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
  Keeper keeper = keeper_of(response, *coding, copies_);
  if (const auto copy = keeper ? keeper.copies->find(keeper.key) : nullptr) {
    response.remove_body();
    response.shared_body(copy, *copy);
  } else if (request.method == http::Method::head) {  // its length is not known, and the body not sent
    response.stream(nothing(), http::StreamOptions{});
  } else {
    compress(response, http::Encoder(*coding, options_.level), std::move(keeper));
  }
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
