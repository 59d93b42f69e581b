#include <ashlar/http/detail/output_queue.hpp>

#include <algorithm>
#include <utility>

namespace ashlar::http::detail {

void OutputQueue::push_copy(std::string_view text) {
  constexpr std::size_t kJoin = 64 * 1024;
  if (text.empty()) return;
  bytes_ += text.size();
  if (first_ != segments_.size()) {
    Segment& last = segments_.back();
    if (last.fixed.data() == nullptr && !last.file && last.owned.size() + text.size() <= kJoin) {
      last.owned.append(text);
      return;
    }
  }
  segments_.emplace_back().owned = text;
}

void OutputQueue::push_owned(std::string&& text, std::size_t skip) {
  if (text.size() == skip) return;
  bytes_ += text.size() - skip;
  Segment& segment = segments_.emplace_back();
  segment.owned = std::move(text);
  segment.skip = skip;
}

void OutputQueue::push_static(std::string_view text) {
  if (text.empty()) return;
  bytes_ += text.size();
  segments_.emplace_back().fixed = text;
}

void OutputQueue::push_shared(std::string_view text, std::shared_ptr<const void> owner) {
  push_static(text);
  if (!text.empty()) segments_.back().owner = std::move(owner);
}

void OutputQueue::push_file(FileBody file) {
  if (file.length() == 0) return;
  bytes_ += file.length();
  segments_.emplace_back().file = std::move(file);
}

std::optional<FileBody> OutputQueue::front_file() const noexcept {
  if (first_ == segments_.size() || !segments_[first_].file) return std::nullopt;
  const Segment& segment = segments_[first_];
  return segment.file->part(segment.skip, segment.left());
}

std::span<const iovec> OutputQueue::front(iovec (&parts)[kMostParts]) const noexcept {
  const std::size_t most = std::min(kMostParts, segments_.size() - first_);
  std::size_t count = 0;
  for (; count < most && !segments_[first_ + count].file; ++count) {
    const std::string_view rest = segments_[first_ + count].rest();
    parts[count] = {const_cast<char*>(rest.data()), rest.size()};
  }
  return {parts, count};
}

void OutputQueue::pop(std::size_t bytes) noexcept {
  bytes_ -= bytes;
  while (bytes != 0) {
    Segment& segment = segments_[first_];
    const std::size_t rest = segment.left();
    if (bytes < rest) {
      segment.skip += bytes;
      return;
    }
    bytes -= rest;
    segment = Segment();
    ++first_;
  }
  if (first_ == segments_.size()) clear();
}

void OutputQueue::clear() noexcept {
  std::vector<Segment>().swap(segments_);
  first_ = 0;
  bytes_ = 0;
}

}  // namespace ashlar::http::detail
