// multipart/form-data (RFC 7578, RFC 2046 §5.1) as it arrives: strict, and bounded whatever comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ashlar/http/request_parser.hpp>

namespace ashlar::http {

/// The boundary that a Content-Type names: 1 to 70 characters of RFC 2046's bchars. nullopt: the type is not
/// multipart/form-data, or it has no boundary, a malformed one, or two.
[[nodiscard]] std::optional<std::string> multipart_boundary(std::string_view content_type);

struct MultipartLimits {
  std::size_t max_parts = 256;
  std::size_t max_part_head = 8 * 1024;  ///< bytes of a part's headers
  std::size_t max_part_headers = 16;
};

/// What a part says of itself. All text is valid UTF-8 without control characters.
struct MultipartPart {
  std::string name;
  /// Without folders, whichever way the slashes lean. Set, maybe empty: the part is a file.
  std::optional<std::string> filename = {};
  std::string content_type = {};  ///< as sent; empty: none
};

/// Gives parts and their bytes as views into what it is fed; keeps nothing but the head of the part under way. Refused,
/// with 400 (413 for what is too much): parts that do not say form-data and a name, names in another encoding than
/// UTF-8, two of one parameter, nested multiparts, transfer encodings, malformed headers, bare line ends. What stands
/// before the first boundary and behind the last is ignored, as RFC 2046 asks for.
class MultipartParser {
 public:
  explicit MultipartParser(std::string_view boundary, MultipartLimits limits = {});

  enum class Event : std::uint8_t {
    more,      ///< `in` is used up
    part,      ///< a part begins: part()
    data,      ///< some of its bytes: data(), until the next call
    part_end,  ///< it is complete
    end,       ///< the closing boundary was there; what follows is ignored
    refused,   ///< refusal(); stays so
  };
  /// Takes from the front of `in`.
  [[nodiscard]] Event next(std::string_view& in);
  /// Whether the message may end here. False: it was cut off.
  [[nodiscard]] bool complete() const noexcept { return state_ == State::epilogue; }

  [[nodiscard]] const MultipartPart& part() const noexcept { return part_; }
  [[nodiscard]] MultipartPart& part() noexcept { return part_; }
  [[nodiscard]] std::string_view data() const noexcept { return data_; }
  [[nodiscard]] const Refusal& refusal() const noexcept { return refusal_; }

 private:
  enum class State : std::uint8_t { preamble, after_boundary, head, body, epilogue, refused };
  [[nodiscard]] bool find_boundary(std::string_view& in);
  [[nodiscard]] Event refuse(int status, std::string_view detail, std::string_view section) noexcept;
  [[nodiscard]] Event read_head();
  /// False: refused.
  [[nodiscard]] bool read_header(const Header& header, KnownHeader known, bool& disposed);
  [[nodiscard]] bool read_disposition(std::string_view value);

  const MultipartLimits limits_;
  const std::string delimiter_;  // "\r\n--boundary"
  std::size_t matched_ = 2;      // so much of it stood at the end of what came before; the body begins as a line does
  State state_ = State::preamble;
  std::size_t parts_ = 0;
  std::string head_;  // of the part under way, or the two bytes behind a boundary
  MultipartPart part_;
  std::string_view data_;
  Refusal refusal_;
};

}  // namespace ashlar::http
