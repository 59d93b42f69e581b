#include <ashlar/http/websocket_deflate.hpp>

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

constexpr std::string_view kTail("\0\0\xff\xff", 4);  // of every compressed message, not sent (RFC 7692 §7.2.1)
constexpr std::size_t kPooled = 4;                    // of each kind, a thread
constexpr int kLeastBits = 9;                         // zlib cannot write raw deflate with a window of 256 bytes

// name [= value], the value perhaps quoted.
struct Parameter {
  std::string_view name;
  std::optional<std::string_view> value;
};

Parameter read_parameter(std::string_view text) noexcept {
  Parameter parameter;
  const std::size_t equals = text.find('=');
  parameter.name = detail::trim(text.substr(0, equals));
  if (equals == std::string_view::npos) return parameter;
  std::string_view value = detail::trim(text.substr(equals + 1));
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  parameter.value = value;
  return parameter;
}

// 8–15, without leading zeros (RFC 7692 §7.1.2).
std::optional<int> read_bits(std::optional<std::string_view> value) noexcept {
  if (!value || value->empty() || value->size() > 2) return std::nullopt;
  int bits = 0;
  for (const char c : *value) {
    if (c < '0' || c > '9') return std::nullopt;
    bits = bits * 10 + (c - '0');
  }
  if (bits < 8 || bits > 15 || value->front() == '0') return std::nullopt;
  return bits;
}

struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_bits;
  std::optional<int> client_bits;
  bool client_bits_named = false;
};

// Empty: an unknown, repeated or wrong parameter. `offer`: client_max_window_bits may stand alone.
std::optional<Parameters> read_parameters(std::string_view text, bool offer) noexcept {
  Parameters found;
  while (!text.empty()) {
    const std::size_t semicolon = text.find(';');
    const Parameter parameter = read_parameter(text.substr(0, semicolon));
    text = semicolon == std::string_view::npos ? std::string_view() : text.substr(semicolon + 1);
    if (parameter.name == "server_no_context_takeover") {
      if (found.server_no_context_takeover || parameter.value) return std::nullopt;
      found.server_no_context_takeover = true;
    } else if (parameter.name == "client_no_context_takeover") {
      if (found.client_no_context_takeover || parameter.value) return std::nullopt;
      found.client_no_context_takeover = true;
    } else if (parameter.name == "server_max_window_bits") {
      if (found.server_bits) return std::nullopt;
      found.server_bits = read_bits(parameter.value);
      if (!found.server_bits) return std::nullopt;
    } else if (parameter.name == "client_max_window_bits") {
      if (found.client_bits_named) return std::nullopt;
      found.client_bits_named = true;
      if (parameter.value || !offer) {
        found.client_bits = read_bits(parameter.value);
        if (!found.client_bits) return std::nullopt;
      }
    } else {
      return std::nullopt;
    }
  }
  return found;
}

// The extension's name, and what follows its first semicolon.
std::pair<std::string_view, std::string_view> split_extension(std::string_view element) noexcept {
  const std::size_t semicolon = element.find(';');
  if (semicolon == std::string_view::npos) return {detail::trim(element), {}};
  return {detail::trim(element.substr(0, semicolon)), element.substr(semicolon + 1)};
}

constexpr std::string_view kName = "permessage-deflate";

int own_bits(const WebSocketCompression& options) noexcept { return std::clamp(options.window_bits, kLeastBits, 15); }

}  // namespace

std::optional<DeflateAgreement> accept_deflate(std::string_view offers, const WebSocketCompression& options) {
  std::optional<DeflateAgreement> accepted;
  if (!options.enabled) return accepted;
  detail::for_each_element(offers, [&](std::string_view element) {
    if (accepted) return;
    const auto [name, rest] = split_extension(element);
    if (!equal_ignoring_case(name, kName)) return;
    const auto offered = read_parameters(rest, true);
    if (!offered || offered->server_bits.value_or(15) < kLeastBits) return;
    DeflateAgreement agreement;
    agreement.server_no_context_takeover = offered->server_no_context_takeover || !options.context_takeover;
    agreement.client_no_context_takeover = offered->client_no_context_takeover || !options.context_takeover;
    agreement.server_window_bits = std::min(offered->server_bits.value_or(15), own_bits(options));
    agreement.client_window_bits = offered->client_bits.value_or(15);
    agreement.answer_client_window_bits = offered->client_bits.has_value();
    accepted = agreement;
  });
  return accepted;
}

std::string deflate_answer(const DeflateAgreement& agreement) {
  std::string answer(kName);
  if (agreement.server_no_context_takeover) answer += "; server_no_context_takeover";
  if (agreement.client_no_context_takeover) answer += "; client_no_context_takeover";
  if (agreement.server_window_bits != 15)
    answer += fmt::format("; server_max_window_bits={}", agreement.server_window_bits);
  if (agreement.answer_client_window_bits) {
    answer += fmt::format("; client_max_window_bits={}", agreement.client_window_bits);
  }
  return answer;
}

std::string deflate_offer(const WebSocketCompression& options) {
  std::string offer(kName);
  if (!options.context_takeover) offer += "; server_no_context_takeover; client_no_context_takeover";
  offer += own_bits(options) == 15 ? std::string("; client_max_window_bits")
                                   : fmt::format("; client_max_window_bits={}", own_bits(options));
  return offer;
}

std::optional<DeflateAgreement> read_deflate_answer(std::string_view answer, const WebSocketCompression& options) {
  const auto [name, rest] = split_extension(answer);
  if (!options.enabled || !equal_ignoring_case(name, kName)) return std::nullopt;
  const auto answered = read_parameters(rest, false);
  if (!answered) return std::nullopt;
  // What we have asked for must be there (RFC 7692 §7.1.1.1).
  if (!options.context_takeover && !answered->server_no_context_takeover) return std::nullopt;
  DeflateAgreement agreement;
  agreement.server_no_context_takeover = answered->server_no_context_takeover;
  agreement.client_no_context_takeover = answered->client_no_context_takeover || !options.context_takeover;
  agreement.server_window_bits = answered->server_bits.value_or(15);
  agreement.client_window_bits = std::min(answered->client_bits.value_or(15), own_bits(options));
  if (agreement.client_window_bits < kLeastBits) return std::nullopt;  // we could not keep it
  return agreement;
}

// ---------------------------------------------------------------------------------------------------------- messages

struct MessageDeflate::Deflater {
  z_stream stream{};
  Deflater(int bits, int level) {
    if (::deflateInit2(&stream, level, Z_DEFLATED, -bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  ~Deflater() { ::deflateEnd(&stream); }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
};

struct MessageDeflate::Inflater {
  z_stream stream{};
  explicit Inflater(int bits) {
    if (::inflateInit2(&stream, -bits) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { ::inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

namespace {

// Of one thread: a compressor is large and slow to make, and only needed for as long as a message takes.
template <class Stream>
struct Pool {
  std::vector<std::unique_ptr<Stream>> free;
  static Pool& mine() {
    thread_local Pool pool;
    return pool;
  }
};

template <class Stream>
std::unique_ptr<Stream> take_pooled() {
  auto& free = Pool<Stream>::mine().free;
  if (free.empty()) return nullptr;
  auto stream = std::move(free.back());
  free.pop_back();
  return stream;
}

template <class Stream>
void give_pooled(std::unique_ptr<Stream> stream) {
  auto& free = Pool<Stream>::mine().free;
  if (free.size() < kPooled) free.push_back(std::move(stream));
}

}  // namespace

MessageDeflate::MessageDeflate(WebSocketSide side, const DeflateAgreement& agreement,
                               const WebSocketCompression& options)
    : options_(options) {
  const bool server = side == WebSocketSide::server;
  our_bits_ = server ? agreement.server_window_bits : agreement.client_window_bits;
  their_bits_ = server ? agreement.client_window_bits : agreement.server_window_bits;
  keeps_ours_ = !(server ? agreement.server_no_context_takeover : agreement.client_no_context_takeover);
  keeps_theirs_ = !(server ? agreement.client_no_context_takeover : agreement.server_no_context_takeover);
}

MessageDeflate::~MessageDeflate() = default;

bool MessageDeflate::compress(std::string_view message, std::string& out) {
  if (message.empty()) {  // zlib has nothing to say to a flush without input; an empty block is one zero byte
    out += '\0';
    return true;
  }
  // The pool is for full windows at one level; connections with a smaller one are rare, and make theirs each time.
  const bool pooled = !keeps_ours_ && our_bits_ == 15 && options_.level == WebSocketCompression{}.level;
  std::unique_ptr<Deflater> borrowed;
  if (!keeps_ours_) {
    if (pooled) borrowed = take_pooled<Deflater>();
    if (!borrowed) borrowed = std::make_unique<Deflater>(our_bits_, options_.level);
  } else if (!deflater_) {
    deflater_ = std::make_unique<Deflater>(our_bits_, options_.level);
  }
  z_stream& stream = (keeps_ours_ ? deflater_ : borrowed)->stream;
  const std::size_t before = out.size();
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(message.data()));
  std::size_t left = message.size();
  std::size_t step = ::deflateBound(&stream, static_cast<uLong>(std::min<std::size_t>(left, 256 * 1024))) + 16;
  do {
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(left, 1U << 30));
    left -= stream.avail_in;
    do {
      const std::size_t had = out.size();
      out.resize_and_overwrite(had + step, [&](char* data, std::size_t) {
        stream.next_out = reinterpret_cast<Bytef*>(data + had);
        stream.avail_out = static_cast<uInt>(step);
        ::deflate(&stream, left == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH);
        return had + step - stream.avail_out;
      });
    } while (stream.avail_out == 0);
  } while (left != 0);
  if (std::string_view(out).substr(before).ends_with(kTail)) out.resize(out.size() - kTail.size());
  if (!keeps_ours_) {
    if (pooled) {
      ::deflateReset(&stream);
      give_pooled(std::move(borrowed));
    }
    if (out.size() - before >= message.size()) {
      out.resize(before);
      return false;
    }
  }
  return true;
}

MessageDeflate::Result MessageDeflate::decompress(std::string_view compressed, std::string& out, std::uint64_t limit) {
  std::unique_ptr<Inflater> borrowed;
  if (!keeps_theirs_) {
    borrowed = take_pooled<Inflater>();  // its full window takes streams of any
    if (!borrowed) borrowed = std::make_unique<Inflater>(15);
  } else if (!inflater_) {
    inflater_ = std::make_unique<Inflater>(their_bits_);
  }
  z_stream& stream = (keeps_theirs_ ? inflater_ : borrowed)->stream;
  const std::size_t before = out.size();
  Result result = Result::done;
  limit = std::min<std::uint64_t>(limit, std::uint64_t{1} << 48);
  std::size_t step = std::clamp<std::size_t>(compressed.size() * 4, 512, 64 * 1024);
  for (const std::string_view part : {compressed, kTail}) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
    stream.avail_in = static_cast<uInt>(part.size());
    do {
      const std::size_t had = out.size();
      // One byte more than allowed shows that there is more.
      const std::uint64_t room = limit - (had - before) + 1;
      int state = Z_OK;
      const std::size_t most = had + std::min<std::uint64_t>(step, room);
      out.resize_and_overwrite(most, [&](char* data, std::size_t) {
        stream.next_out = reinterpret_cast<Bytef*>(data + had);
        stream.avail_out = static_cast<uInt>(most - had);
        state = ::inflate(&stream, Z_SYNC_FLUSH);
        return most - stream.avail_out;
      });
      if (out.size() - before > limit) {
        result = Result::too_large;
        break;
      }
      // A last block may be followed by others, which may refer to what was before it (RFC 7692 §7.2.3.4).
      if (state == Z_STREAM_END) state = ::inflateResetKeep(&stream);
      if (state == Z_BUF_ERROR && stream.avail_out != 0) break;  // it wants more input
      if (state != Z_OK && state != Z_BUF_ERROR) {
        result = Result::broken;
        break;
      }
      step = std::min<std::size_t>(step * 2, 1024UL * 1024);
    } while (stream.avail_in != 0 || stream.avail_out == 0);
    if (result != Result::done) break;
  }
  constexpr int kBetweenBlocks = 128;  // a message ends with a whole block
  if (result == Result::done && (stream.data_type & kBetweenBlocks) == 0) result = Result::broken;
  if (!keeps_theirs_) {
    ::inflateReset(&stream);
    give_pooled(std::move(borrowed));
  }
  return result;
}

}  // namespace ashlar::http
