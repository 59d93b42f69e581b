// The scans of LineScan, for one instruction set: line_scan.cpp includes this once for each, in a namespace of its own
// that defines Block and load(). A mask has one bit for each of 64 bytes, the first byte's lowest.

/// The masks of 64 bytes at a time. What stops a scan is found in bits, not in bytes: where the next line begins then
/// depends on a shift and a count, not on a load, which would have to be waited for.
class Window {
 public:
  Window(const char* at, const char* begin, const char* end) noexcept : start_(at), begin_(begin), end_(end) { fill(); }

  /// The first byte from `at` on that is set in what `mask` names; the end if there is none. `at` never goes back.
  template <class Mask>
  [[nodiscard]] const char* find(const char* at, Mask mask) noexcept {
    while (at - start_ >= kWindow) [[unlikely]] {
      if (!next()) return end_;
    }
    std::uint64_t left = mask(masks_) >> (at - start_);
    if (left != 0) [[likely]]
      return at + __builtin_ctzll(left);
    do {
      if (!next()) return end_;
      left = mask(masks_);
    } while (left == 0);
    return start_ + __builtin_ctzll(left);
  }

 private:
  bool next() noexcept {
    if (end_ - start_ <= kWindow) return false;
    start_ += kWindow;
    fill();
    return true;
  }

  void fill() noexcept {
    const std::ptrdiff_t left = end_ - start_;
    if (left >= kWindow) [[likely]] {
      masks_ = load(start_);
      return;
    }
    if (left <= 0) {
      masks_ = {};
      return;
    }
    if (end_ - begin_ >= kWindow) {  // the last 64 bytes of the buffer, without those before
      masks_ = load(end_ - kWindow);
      masks_.no_token >>= kWindow - left;
      masks_.no_value >>= kWindow - left;
      return;
    }
    char copy[kWindow];
    std::memset(copy, 'x', sizeof copy);  // stops nothing
    std::memcpy(copy, start_, static_cast<std::size_t>(left));
    masks_ = load(copy);
  }

  const char* start_;
  const char* const begin_;
  const char* const end_;
  Masks masks_;
};

const char* scan_target(const char* at, const char* begin, const char* end) noexcept {
  for (; end - at >= Block::kWidth; at += Block::kWidth) {
    if (const std::uint32_t stops = Block(at).no_target(); stops != 0) return at + __builtin_ctz(stops);
  }
  if (end - begin >= Block::kWidth) {  // the last block of the buffer, without those of its bytes that are before `at`
    const char* const last = end - Block::kWidth;
    const std::uint64_t stops = std::uint64_t{Block(last).no_target()} >> (at - last);
    return stops != 0 ? at + __builtin_ctzll(stops) : end;
  }
  return skip(at, end, kTargetChar);
}

FieldsEnd scan_fields(const char* at, const char* begin, const char* end, Header* lines, std::size_t room) noexcept {
  using Why = FieldsEnd::Why;
  Window window(at, begin, end);
  std::size_t count = 0;
  while (true) {
    const char* const line = at;
    const char* colon = window.find(line, [](const Masks& masks) { return masks.no_token; });
    if (colon == end) [[unlikely]]
      return {Why::more, count, line, line};
    if (*colon != ':' || colon == line) [[unlikely]] {
      // The masks may know the usual characters of names only.
      colon = skip(colon, end, kToken);
      if (colon == end) return {Why::more, count, line, line};
      if (colon == line && *colon == '\r') {
        if (end - colon < 2) return {Why::more, count, line, line};
        if (colon[1] == '\n') return {Why::end, count, colon + 2, line};
      }
      if (*colon != ':' || colon == line) return {Why::name, count, colon, line};
    }
    const char* stop = window.find(colon + 1, [](const Masks& masks) { return masks.no_value; });
    if (end - stop < 2) [[unlikely]] {
      if (stop == end || *stop == '\r') return {Why::more, count, line, line};
      return {Why::value, count, stop, line};
    }
    if (stop[0] != '\r' || stop[1] != '\n') [[unlikely]]
      return {Why::value, count, stop, line};
    if (count == room) [[unlikely]]
      return {Why::full, count, line, line};
    at = stop + 2;
    // No byte of a value is below the space but the tab; the colon is above it.
    while (static_cast<unsigned char>(stop[-1]) <= ' ') [[unlikely]]
      --stop;
    const char* value = colon + 1;
    while (value != stop && static_cast<unsigned char>(*value) <= ' ') ++value;
    lines[count++] = {{line, colon}, {value, stop}};
  }
}
