#include <ashlar/http/content_coding.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/compression.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

constexpr std::size_t kCodings = 5;
constexpr std::array<std::string_view, kCodings> kNames = {"identity", "gzip", "deflate", "br", "zstd"};

struct Levels {
  int lowest, cheap, highest;
};
constexpr std::array<Levels, kCodings> kLevels = {{{0, 0, 0}, {1, 4, 9}, {1, 4, 9}, {0, 3, 11}, {1, 3, 19}}};

constexpr std::size_t index(ContentCoding coding) noexcept { return static_cast<std::size_t>(coding); }

int checked_level(ContentCoding coding, int level) {
  const Levels& levels = kLevels[index(coding)];
  if (level == Encoder::kCheap) return levels.cheap;
  if (level < levels.lowest || level > levels.highest) {
    throw Invalid(fmt::format("{} has levels from {} to {}; {} is none", to_string(coding), levels.lowest,
                              levels.highest, level));
  }
  return level;
}

/// States that a thread keeps for the next use: at most kKept of a kind, none larger than kLargest.
template <class T>
class Pool {
 public:
  static constexpr std::size_t kKept = 16;
  static constexpr std::size_t kLargest = std::size_t{2} * 1024 * 1024;

  /// This thread's; null while the thread ends.
  static Pool* mine() noexcept {
    thread_local Pool pool;
    return gone ? nullptr : &pool;
  }

  template <class F>
  std::unique_ptr<T> take(F&& wanted) noexcept {
    for (std::size_t i = 0; i < count_; ++i) {
      if (!wanted(*kept_[i])) continue;
      std::unique_ptr<T> state = std::move(kept_[i]);
      kept_[i] = std::move(kept_[--count_]);
      return state;
    }
    return nullptr;
  }
  void give(std::unique_ptr<T> state) noexcept {
    if (count_ < kKept && state->size() <= kLargest && state->reset()) kept_[count_++] = std::move(state);
  }

 private:
  Pool() = default;
  ~Pool() { gone = true; }
  static thread_local bool gone;
  std::array<std::unique_ptr<T>, kKept> kept_;
  std::size_t count_ = 0;
};
template <class T>
thread_local bool Pool<T>::gone = false;

using Compressors = Pool<detail::Compressor>;
using Decompressors = Pool<detail::Decompressor>;

// What follows the name: nothing, or ";q=0.5".
std::optional<int> parse_parameters(std::string_view text) noexcept {
  if (text.empty()) return 1000;
  text = detail::trim(text.substr(1));
  if (text.size() < 2 || (text[0] | 0x20) != 'q' || text[1] != '=') return std::nullopt;
  return parse_weight(text.substr(2));
}

}  // namespace

std::optional<int> parse_weight(std::string_view text) noexcept {
  if (text.empty() || (text[0] != '0' && text[0] != '1') || text.size() > 5) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  int unit = 100;
  for (const char c : text.substr(std::min<std::size_t>(2, text.size()))) {
    if (c < '0' || c > '9') return std::nullopt;
    weight += (c - '0') * unit;
    unit /= 10;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

std::string_view to_string(ContentCoding coding) noexcept { return kNames[index(coding)]; }

std::optional<ContentCoding> find_content_coding(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kCodings; ++i) {
    if (equal_ignoring_case(name, kNames[i])) return static_cast<ContentCoding>(i);
  }
  if (equal_ignoring_case(name, "x-gzip")) return ContentCoding::gzip;
  return std::nullopt;
}

std::optional<ContentCoding> negotiate(std::string_view accept_encoding,
                                       std::span<const ContentCoding> available) noexcept {
  constexpr int kUnlisted = -1;
  std::array<int, kCodings> weights;
  weights.fill(kUnlisted);
  int others = kUnlisted;
  detail::for_each_element(accept_encoding, [&](std::string_view element) {
    const std::size_t semicolon = std::min(element.find(';'), element.size());
    const std::string_view name = detail::trim(element.substr(0, semicolon));
    const std::optional<int> weight = parse_parameters(element.substr(semicolon));
    if (!weight) return;
    if (name == "*") {
      others = *weight;
    } else if (const auto coding = find_content_coding(name)) {
      weights[index(*coding)] = std::max(weights[index(*coding)], *weight);  // x-gzip and gzip are one
    }
  });
  const auto weight_of = [&](ContentCoding coding) {
    const int own = weights[index(coding)];
    return own != kUnlisted ? own : others;
  };
  std::optional<ContentCoding> best;
  int most = 0;
  for (const ContentCoding coding : available) {
    if (coding != ContentCoding::identity && weight_of(coding) > most) {
      best = coding;
      most = weight_of(coding);
    }
  }
  // Unlisted, identity is acceptable, but less than whatever the client asked for by name.
  const int identity = weight_of(ContentCoding::identity);
  if (identity > most || (!best && identity != 0)) return ContentCoding::identity;
  return best;
}

void detail::ReturnCompressor::operator()(Compressor* compressor) const noexcept {
  std::unique_ptr<Compressor> owned(compressor);
  if (Compressors* const pool = Compressors::mine()) pool->give(std::move(owned));
}

void detail::ReturnDecompressor::operator()(Decompressor* decompressor) const noexcept {
  std::unique_ptr<Decompressor> owned(decompressor);
  if (Decompressors* const pool = Decompressors::mine()) pool->give(std::move(owned));
}

Encoder::Encoder(ContentCoding coding, int level) {
  level = checked_level(coding, level);
  std::unique_ptr<detail::Compressor> state;
  if (Compressors* const pool = Compressors::mine()) {
    state = pool->take([&](const detail::Compressor& one) { return one.coding == coding && one.level == level; });
  }
  if (!state) state = detail::make_compressor(coding, level);
  compressor_.reset(state.release());
}

Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

void Encoder::run(std::string_view in, int how, std::string& out) {
  if (finished_) throw Internal("an Encoder was used after finish(); reset() begins another content");
  compressor_->run(in, static_cast<detail::Flush>(how), out);
}

void Encoder::encode(std::string_view in, std::string& out) {
  if (!in.empty()) run(in, static_cast<int>(detail::Flush::none), out);
}

void Encoder::flush(std::string& out) { run({}, static_cast<int>(detail::Flush::sync), out); }

void Encoder::finish(std::string& out) {
  run({}, static_cast<int>(detail::Flush::end), out);
  finished_ = true;
}

void Encoder::reset() {
  if (!compressor_->reset()) throw Internal("an Encoder could not be reset");
  finished_ = false;
}

std::string encode(ContentCoding coding, std::string_view content, int level) {
  Encoder encoder(coding, level);
  std::string out;
  encoder.encode(content, out);
  encoder.finish(out);
  return out;
}

Decoder::Decoder(ContentCoding coding, unsigned max_ratio) : max_ratio_(max_ratio) {
  std::unique_ptr<detail::Decompressor> state;
  if (Decompressors* const pool = Decompressors::mine()) {
    state = pool->take([&](const detail::Decompressor& one) { return one.coding == coding; });
  }
  if (!state) state = detail::make_decompressor(coding);
  decompressor_.reset(state.release());
}

Decoder::~Decoder() = default;
Decoder::Decoder(Decoder&&) noexcept = default;
Decoder& Decoder::operator=(Decoder&&) noexcept = default;

Decoder::State Decoder::refuse(int status, std::string_view detail, std::string_view section) noexcept {
  refusal_ = {status, detail, section};
  return State::refused;
}

Decoder::State Decoder::decode(std::string_view& in, std::string& out, std::uint64_t max_out) {
  constexpr std::size_t kStep = 16 * 1024;
  if (!refusal_.detail.empty()) return State::refused;
  for (;;) {
    const std::size_t had = out.size();
    const std::size_t space = had >= max_out ? 0 : std::min<std::uint64_t>(kStep, max_out - had);
    if (spilled_) {
      if (space == 0) return State::full;
      out.push_back(spill_);
      spilled_ = false;
      continue;
    }
    // Without space, one byte decides whether there is more.
    const std::size_t room = std::max<std::size_t>(space, 1);
    const std::size_t given = in.size();
    detail::Decompressor::Step step{};
    if (space == 0) {
      step = decompressor_->run(in, &spill_, room);
      spilled_ = step.made == 1;
    } else {
      out.resize_and_overwrite(had + space, [&](char* data, std::size_t) {
        step = decompressor_->run(in, data + had, room);
        return had + step.made;
      });
    }
    in_total_ += given - in.size();
    out_total_ += step.made;
    if (step.out_of_memory) throw std::bad_alloc();
    if (!step.error.empty()) return refuse(400, step.error, "RFC 9110 §8.4.1");
    if (out_total_ > kUnchecked && (out_total_ - kUnchecked) / max_ratio_ > in_total_) {
      return refuse(413, "The content grows beyond all measure when it is decoded.", "RFC 9110 §15.5.14");
    }
    if (step.made < room) return State::more;
  }
}

bool Decoder::complete() const noexcept { return refusal_.detail.empty() && !spilled_ && decompressor_->complete(); }

void Decoder::reset() {
  if (!decompressor_->reset()) throw Internal("a Decoder could not be reset");
  in_total_ = out_total_ = 0;
  spilled_ = false;
  refusal_ = {};
}

std::string decode(ContentCoding coding, std::string_view content, std::uint64_t max_out) {
  Decoder decoder(coding);
  std::string out;
  switch (decoder.decode(content, out, max_out)) {
    case Decoder::State::refused:
      if (decoder.refusal().status == 413) throw TooLarge(std::string(decoder.refusal().detail));
      throw Invalid(std::string(decoder.refusal().detail));
    case Decoder::State::full:
      throw TooLarge(fmt::format("The content is larger than {} bytes when it is decoded.", max_out));
    case Decoder::State::more:
      break;
  }
  if (!decoder.complete()) throw Invalid("The content is cut off.");
  return out;
}

}  // namespace ashlar::http
