// Files that clients send in forms, and bodies that a handler reads while they arrive.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <ashlar/async/generator.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/request_body.hpp>
#include <ashlar/schema/value_words.hpp>

namespace ashlar {

namespace detail {
class Call;
class SpooledFile;
class FormReader;
}  // namespace detail

/// A file of a form: a member of the struct of a Form<T>, or std::optional, or std::vector of it. It came through
/// memory, or through a file without a name once it was larger than UploadOptions::in_memory, and is gone with its last
/// copy. `Annotated<UploadedFile, max_length{…}>` bounds its bytes.
class UploadedFile {
 public:
  UploadedFile() noexcept = default;

  /// As the client calls it: without folders, but not to be trusted as a name on this machine.
  [[nodiscard]] const std::string& filename() const noexcept;
  /// As the client says; nothing has been looked at.
  [[nodiscard]] const std::string& content_type() const noexcept;
  [[nodiscard]] std::uint64_t size() const noexcept;
  [[nodiscard]] explicit operator bool() const noexcept { return file_ != nullptr; }

  /// The whole content. Throws TooLarge when it is more than `most` bytes.
  [[nodiscard]] Task<std::string> read(std::uint64_t most = 16 * 1024 * 1024) const;
  /// The content in pieces of up to 64 KiB.
  [[nodiscard]] Generator<std::string> pieces() const;
  /// Makes it the file at `path`, in place of one that is there, at once and durably: on the file system of
  /// UploadOptions::directory without a copy. Throws a Problem with 507 when there is no room, and Internal for
  /// anything else; then nothing is left behind.
  Task<void> save_as(std::string path) const;

  /// For the schema: the file that a form's reader has put at this place.
  [[nodiscard]] static std::optional<UploadedFile> parse(std::string_view place) noexcept;
  [[nodiscard]] std::string to_string() const { return filename(); }
  bool operator==(const UploadedFile&) const noexcept = default;

 private:
  friend class detail::FormReader;
  explicit UploadedFile(std::shared_ptr<const detail::SpooledFile> file) noexcept : file_(std::move(file)) {}
  std::shared_ptr<const detail::SpooledFile> file_;
};

template <>
inline constexpr schema::Words schema::kWords<UploadedFile>{"file_type",
                                                            "Input should be a file",
                                                            "file_type",
                                                            "Input should be a file, {error}",
                                                            "sent in a part with a filename",
                                                            "binary"};

/// The body as it comes, in place of waiting until it is complete: a handler's parameter. What the handler leaves is
/// dropped.
class BodyStream {
 public:
  BodyStream() noexcept = default;
  explicit BodyStream(http::RequestBody* body) noexcept : body_(body) {}
  /// See http::RequestBody::next: empty is the end; the view lives until the next call. Throws TooLarge past
  /// RouteOptions::max_body.
  [[nodiscard]] Task<std::string_view> next();
  /// Content-Length, where the client said it; 0 without a body.
  [[nodiscard]] std::optional<std::uint64_t> length() const noexcept;

 private:
  http::RequestBody* body_ = nullptr;
};

/// The parts of a multipart/form-data body as they come, for handlers that keep them nowhere:
/// `while (co_await parts.next()) { parts.name(); while (true) { auto bytes = co_await parts.read(); … } }`.
class MultipartStream {
 public:
  MultipartStream() noexcept;
  explicit MultipartStream(detail::Call& call);
  ~MultipartStream();
  MultipartStream(MultipartStream&&) noexcept;
  MultipartStream& operator=(MultipartStream&&) noexcept;

  /// Goes to the next part, over what is left of this one. False: that was the last. Throws Malformed (400), TooLarge
  /// (413), and what BodyStream::next throws.
  [[nodiscard]] Task<bool> next();
  /// Of the part under way. The views live until next().
  [[nodiscard]] std::string_view name() const noexcept;
  [[nodiscard]] std::optional<std::string_view> filename() const noexcept;  ///< set: it is a file
  [[nodiscard]] std::string_view content_type() const noexcept;
  /// More of its content; empty: that was all. The view lives until the next call.
  [[nodiscard]] Task<std::string_view> read();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ashlar
