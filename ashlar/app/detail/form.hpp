// Forms with files, from the body as it arrives to the struct.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/call.hpp>
#include <ashlar/app/uploads.hpp>
#include <ashlar/http/multipart.hpp>
#include <ashlar/net/socket.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {

/// A file of a form, in memory or, when it is larger, in a file without a name.
class SpooledFile {
 public:
  std::string filename;
  std::string content_type;

  /// Appends. Throws a Problem with 507 when the disk is full, Internal when the folder cannot be used.
  Task<void> write(std::string_view bytes, const UploadOptions& options);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] bool in_memory() const noexcept { return !fd_; }
  [[nodiscard]] const std::string& memory() const noexcept { return memory_; }
  /// The whole content, in memory.
  void hold(std::string bytes) noexcept {
    memory_ = std::move(bytes);
    size_ = memory_.size();
  }
  /// Appends a part of what is on disk. Blocks.
  void read(std::uint64_t at, std::size_t size, std::string& out) const;
  /// Blocks.
  void save_as(const std::string& path) const;

 private:
  void spool(std::string_view bytes, const std::string& directory);
  std::string memory_;
  net::Fd fd_;
  std::uint64_t size_ = 0;
};

/// The parts of a request's multipart body. Throws Unsupported for another type of body, Malformed and TooLarge for
/// what the parser refuses and for a body that is cut off.
class PartReader {
 public:
  explicit PartReader(Call& call);
  /// `part`, `data`, `part_end` or `end`; after `end`, `end`.
  Task<http::MultipartParser::Event> next();
  [[nodiscard]] const http::MultipartPart& part() const noexcept { return parser_.part(); }
  [[nodiscard]] http::MultipartPart& part() noexcept { return parser_.part(); }
  [[nodiscard]] std::string_view data() const noexcept { return parser_.data(); }

 private:
  http::RequestBody* body_;
  std::string_view in_;
  http::MultipartParser parser_;
  bool ended_ = false;
};

/// The fields of a form that has arrived; kept until the answer is on its way.
class FormReader final : public AfterAnswer {
 public:
  /// Receives it into memory and files, and leaves it in call.form.
  static Task<void> receive(Call& call);

  void read(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) const;
  /// A field that nobody has sent.
  struct Made {
    std::string name, value;
    bool is_file = false;
  };
  /// Whether a form of these is read into `out`, rules and all: for fuzz(), which makes them.
  static bool takes(const schema::TypeInfo& type, std::vector<Made> fields, void* out);
  /// The file that a value of a pair stands for.
  [[nodiscard]] UploadedFile find(std::string_view place) const noexcept;

 private:
  struct Field {
    std::string name;
    std::string value;                  // of a file: a place that find() knows by its address
    std::shared_ptr<SpooledFile> file;  // null: a text
  };
  Task<void> receive_parts(Call& call);
  bool read_into(const schema::TypeInfo& type, void* out, schema::Errors& errors) const;
  std::deque<Field> fields_;
};

/// A form without files, whose body is complete.
void read_whole_form(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);

}  // namespace ashlar::detail
