#include <ashlar/http/multipart.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include <ashlar/base/text.hpp>
#include <ashlar/http/detail/characters.hpp>
#include <ashlar/http/detail/fields.hpp>
#include <ashlar/http/known_header.hpp>

namespace ashlar::http {
namespace {

bool is_boundary(std::string_view text) noexcept {
  constexpr std::string_view kOthers = "'()+_,-./:=? ";
  if (text.empty() || text.size() > 70 || text.back() == ' ') return false;
  return std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

/// "; name=value; name="quoted"" from the front. Gives false at the end, or where it is malformed.
class Parameters {
 public:
  explicit Parameters(std::string_view text) noexcept : rest_(detail::trim(text)) {}

  bool next() {
    if (rest_.empty()) return false;
    malformed_ = true;
    if (rest_.front() != ';') return false;
    rest_ = detail::trim(rest_.substr(1));
    if (rest_.empty()) return malformed_ = false;  // a last semicolon
    const std::size_t equals = rest_.find('=');
    if (equals == std::string_view::npos) return false;
    name_ = rest_.substr(0, equals);
    if (name_.empty() || !detail::all(name_, detail::kToken)) return false;
    rest_.remove_prefix(equals + 1);
    if (!(rest_.starts_with('"') ? quoted() : token())) return false;
    rest_ = detail::trim(rest_);
    malformed_ = !rest_.empty() && rest_.front() != ';';
    return !malformed_;
  }
  [[nodiscard]] bool malformed() const noexcept { return malformed_; }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::string& value() noexcept { return value_; }

 private:
  bool token() {
    const std::string_view text = rest_.substr(0, rest_.find_first_of("; \t"));
    value_ = text;
    rest_.remove_prefix(text.size());
    return !text.empty() && detail::all(text, detail::kToken);
  }
  // A backslash quotes a quote or a backslash; before anything else it is itself, as in C:\file.
  bool quoted() {
    value_.clear();
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return true;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size() && (rest_[i + 1] == '"' || rest_[i + 1] == '\\')) ++i;
      value_ += rest_[i];
    }
    return false;
  }

  std::string_view rest_;
  std::string_view name_;
  std::string value_;
  bool malformed_ = false;
};

// UTF-8''na%C3%AFve (RFC 8187 §3.2.1).
std::optional<std::string> extended_value(std::string_view text) {
  const std::size_t first = text.find('\'');
  const std::size_t second = first == std::string_view::npos ? first : text.find('\'', first + 1);
  if (second == std::string_view::npos || !equal_ignoring_case(text.substr(0, first), "UTF-8")) return std::nullopt;
  return percent_decode(text.substr(second + 1));
}

bool is_clean(std::string_view text) noexcept {
  return is_utf8(text) &&
         std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string_view without_folders(std::string_view name) noexcept {
  const std::size_t slash = name.find_last_of("/\\");
  return slash == std::string_view::npos ? name : name.substr(slash + 1);
}

}  // namespace

std::optional<std::string> multipart_boundary(std::string_view content_type) {
  const std::size_t semicolon = std::min(content_type.find(';'), content_type.size());
  if (!equal_ignoring_case(detail::trim(content_type.substr(0, semicolon)), "multipart/form-data")) return std::nullopt;
  std::optional<std::string> boundary;
  Parameters parameters(content_type.substr(semicolon));
  while (parameters.next()) {
    if (!equal_ignoring_case(parameters.name(), "boundary")) continue;
    if (boundary || !is_boundary(parameters.value())) return std::nullopt;
    boundary = parameters.value();
  }
  return parameters.malformed() ? std::nullopt : boundary;
}

MultipartParser::MultipartParser(std::string_view boundary, MultipartLimits limits)
    : limits_(limits), delimiter_("\r\n--" + std::string(boundary)) {}

MultipartParser::Event MultipartParser::refuse(int status, std::string_view detail, std::string_view section) noexcept {
  state_ = State::refused;
  refusal_ = {status, detail, section};
  return Event::refused;
}

// Takes from `in` up to the end of the next delimiter, and leaves in data_ what stood before it. True: it is there;
// false: `in` is used up, or data_ must be taken away first. A delimiter has one CR, at its front, so that one which
// turns out not to be it hides no other.
bool MultipartParser::find_boundary(std::string_view& in) {
  const std::string_view delimiter = delimiter_;
  if (matched_ != 0) {
    const std::string_view rest = delimiter.substr(matched_);
    const std::size_t common = std::min(rest.size(), in.size());
    if (in.substr(0, common) == rest.substr(0, common)) {
      in.remove_prefix(common);
      matched_ += common;
      data_ = {};
      return matched_ == delimiter.size();
    }
    data_ = delimiter.substr(0, std::exchange(matched_, 0));  // it was content
    return false;
  }
  std::size_t at = 0;
  while (at < in.size()) {
    const void* const found = std::memchr(in.data() + at, '\r', in.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const char*>(found) - in.data());
    const std::size_t common = std::min(delimiter.size(), in.size() - at);
    if (std::memcmp(in.data() + at, delimiter.data(), common) == 0) {
      data_ = in.substr(0, at);
      in.remove_prefix(at + common);
      matched_ = common;
      return common == delimiter.size();
    }
    ++at;
  }
  data_ = std::exchange(in, {});
  return false;
}

MultipartParser::Event MultipartParser::next(std::string_view& in) {
  while (true) {
    switch (state_) {
      case State::refused:
        return Event::refused;
      case State::epilogue:
        in = {};
        return Event::more;
      case State::preamble:
        while (!find_boundary(in)) {
          if (in.empty()) return Event::more;
        }
        matched_ = 0;
        head_.clear();
        state_ = State::after_boundary;
        break;
      case State::body: {
        const bool found = find_boundary(in);
        if (!found && data_.empty() && in.empty()) return Event::more;
        if (!found && !data_.empty()) return Event::data;
        if (!found) break;
        if (!data_.empty()) return Event::data;  // matched_ says that the delimiter is complete: it is met again below
        matched_ = 0;
        head_.clear();
        state_ = State::after_boundary;
        return Event::part_end;
      }
      case State::after_boundary:
        if (in.empty()) return Event::more;
        head_ += in.front();
        in.remove_prefix(1);
        if (head_ == "\r" || head_ == "-") break;
        if (head_ == "--") {
          state_ = State::epilogue;
          return Event::end;
        }
        if (head_ != "\r\n")
          return refuse(400, "A boundary is not followed by the end of its line.", "RFC 2046 §5.1.1");
        if (++parts_ > limits_.max_parts) return refuse(413, "The form has too many parts.", "RFC 7578 §4");
        head_.clear();
        state_ = State::head;
        break;
      case State::head: {
        if (in.empty()) return Event::more;
        const std::size_t had = head_.size();
        head_.append(in.substr(0, limits_.max_part_head + 1 - std::min(limits_.max_part_head, had)));
        // Without a header the empty line stands at once.
        const std::size_t end = head_.starts_with("\r\n") ? 0 : head_.find("\r\n\r\n", had < 3 ? 0 : had - 3);
        if (end == std::string::npos) {
          if (head_.size() > limits_.max_part_head) {
            return refuse(413, "The headers of a part are larger than this server allows.", "RFC 7578 §4");
          }
          in = {};
          return Event::more;
        }
        const std::size_t size = end + (end == 0 ? 2 : 4);
        in.remove_prefix(size - had);
        head_.resize(size);
        return read_head();
      }
    }
  }
}

MultipartParser::Event MultipartParser::read_head() {
  part_ = {};
  bool disposed = false;
  std::size_t count = 0;
  const char* at = head_.data();
  std::array<Header, 8> lines;
  const auto take = [&](const Header& header, KnownHeader known) {
    if (++count <= limits_.max_part_headers) return read_header(header, known, disposed);
    static_cast<void>(refuse(413, "A part has too many headers.", "RFC 7578 §4"));
    return false;
  };
  refusal_ = {};
  if (detail::read_fields(at, at, at + head_.size(), refusal_, lines, take) != detail::FieldsStep::end) {
    if (state_ == State::refused) return Event::refused;
    return refuse(400, "A header of a part is malformed.", "RFC 2046 §5.1");
  }
  if (!disposed) return refuse(400, "A part has no Content-Disposition.", "RFC 7578 §4.2");
  state_ = State::body;
  return Event::part;
}

bool MultipartParser::read_header(const Header& header, KnownHeader known, bool& disposed) {
  const auto fail = [this](std::string_view detail, std::string_view section) {
    static_cast<void>(refuse(400, detail, section));
    return false;
  };
  if (equal_ignoring_case(header.name, "content-disposition")) {
    if (std::exchange(disposed, true) || !read_disposition(header.value)) {
      return fail("The Content-Disposition of a part is malformed, or is not form-data with one name in UTF-8.",
                  "RFC 7578 §4.2");
    }
  } else if (known == KnownHeader::content_type) {
    if (!part_.content_type.empty()) return fail("A part has two content types.", "RFC 7578 §4.4");
    constexpr std::string_view kMultipart = "multipart/";
    if (equal_ignoring_case(header.value.substr(0, kMultipart.size()), kMultipart)) {
      return fail("A part is a multipart itself; send each file as a part of the form.", "RFC 7578 §4.3");
    }
    if (!is_clean(header.value)) return fail("The content type of a part is no text.", "RFC 7578 §4.4");
    part_.content_type = header.value;
  } else if (equal_ignoring_case(header.name, "content-transfer-encoding")) {
    if (!equal_ignoring_case(header.value, "binary") && !equal_ignoring_case(header.value, "8bit") &&
        !equal_ignoring_case(header.value, "7bit")) {
      return fail("A part has a transfer encoding; send its bytes as they are.", "RFC 7578 §4.7");
    }
  }
  return true;
}

bool MultipartParser::read_disposition(std::string_view value) {
  const std::size_t semicolon = std::min(value.find(';'), value.size());
  if (!equal_ignoring_case(detail::trim(value.substr(0, semicolon)), "form-data")) return false;
  bool named = false;
  std::optional<std::string> plain;
  std::optional<std::string> extended;
  Parameters parameters(value.substr(semicolon));
  while (parameters.next()) {
    const std::string_view name = parameters.name();
    if (equal_ignoring_case(name, "name")) {
      if (std::exchange(named, true)) return false;
      part_.name = std::move(parameters.value());
    } else if (equal_ignoring_case(name, "filename")) {
      if (plain) return false;
      plain = std::move(parameters.value());
    } else if (equal_ignoring_case(name, "filename*")) {
      if (extended) return false;
      extended = extended_value(parameters.value());
      if (!extended) return false;
    }
  }
  if (parameters.malformed() || !named) return false;
  if (extended) plain = std::move(extended);  // the more exact one (RFC 6266 §4.3)
  if (plain) part_.filename = without_folders(*plain);
  return is_clean(part_.name) && (!part_.filename || is_clean(*part_.filename));
}

}  // namespace ashlar::http
