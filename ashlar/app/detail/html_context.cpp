#include <ashlar/app/detail/html_context.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

template <std::size_t N>
bool is_one_of(std::string_view name, const std::string_view (&names)[N]) {
  return std::ranges::find(names, name) != std::end(names);
}

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

constexpr std::string_view kRaw[] = {"script",  "style",    "iframe",    "xmp",
                                     "noembed", "noframes", "plaintext", "noscript"};
constexpr std::string_view kEscapable[] = {"title", "textarea"};
constexpr std::string_view kUrls[] = {"href", "src",        "action",   "formaction", "cite",     "poster", "data",
                                      "ping", "background", "manifest", "xlink:href", "longdesc", "usemap", "profile"};
// A URL of these says which code runs, or where all others lead.
constexpr std::string_view kCode[] = {"script", "link", "object", "embed", "iframe", "frame", "base", "applet", "use"};
constexpr std::string_view kAnimations[] = {"animate", "animatemotion", "animatetransform", "set"};
constexpr std::string_view kAnimated[] = {"to", "from", "by", "values"};
constexpr std::string_view kSchemes[] = {"http", "https", "mailto", "tel"};

// RFC 3986: a scheme is what stands before the first ':' when none of "/?#" comes earlier. Browsers drop tabs, line
// ends and leading control characters, so none may be there.
bool is_harmless_url(std::string_view url) {
  if (std::ranges::any_of(url, [](char c) { return static_cast<unsigned char>(c) < ' '; })) return false;
  url = trim(url);
  const std::size_t end = url.find_first_of(":/?#");
  if (end == std::string_view::npos || url[end] != ':') return true;
  return is_one_of(to_lower_ascii(url.substr(0, end)), kSchemes);
}

// The same of what a template says itself, where a reference might hide a ':'.
bool is_harmless_start(std::string_view literal) {
  const std::size_t end = literal.find_first_of(":/?#");
  return literal.substr(0, end).find('&') == std::string_view::npos && is_harmless_url(literal);
}

}  // namespace

HtmlContext::Attribute HtmlContext::kind_of(std::string_view attribute) const {
  // Scripts, styles, and documents in a value: no escaping makes them safe.
  if (attribute.starts_with("on") || attribute == "style" || attribute == "srcdoc" || attribute == "srcset" ||
      attribute == "imagesrcset")
    return Attribute::refused;
  // SVG's animations may set any attribute.
  if (is_one_of(element_, kAnimations) && is_one_of(attribute, kAnimated)) return Attribute::refused;
  if (!is_one_of(attribute, kUrls)) return Attribute::plain;
  return is_one_of(element_, kCode) ? Attribute::code_url : Attribute::url;
}

void HtmlContext::open_value() {
  started_ = mixed_ = open_start_ = false;
  value_.clear();
  attribute_kind_ = kind_of(attribute_);
}

void HtmlContext::end_value() {
  if (element_ == "script" && attribute_ == "type" && !has_type_) {
    has_type_ = true;
    data_block_ = equals_ignore_case(value_, "application/json") || equals_ignore_case(value_, "application/ld+json");
  }
  if (element_ == "meta" && attribute_ == "http-equiv") refresh_ = true;
  attribute_.clear();
  value_.clear();
  attribute_kind_ = Attribute::plain;
  started_ = mixed_ = open_start_ = false;
  state_ = State::before_name;
}

// Behind the '>' of a tag.
std::string HtmlContext::close_tag() {
  if (refresh_ && dynamic_content_) return "a <meta http-equiv> with a value in it may send browsers anywhere";
  state_ = State::text;
  if (!end_tag_ && is_one_of(element_, kRaw)) state_ = State::raw;
  if (!end_tag_ && is_one_of(element_, kEscapable)) state_ = State::escapable;
  if (state_ == State::text) element_.clear();
  attribute_.clear();
  value_.clear();
  attribute_kind_ = Attribute::plain;
  end_tag_ = started_ = mixed_ = open_start_ = refresh_ = dynamic_content_ = has_type_ = false;
  if (state_ != State::raw) data_block_ = false;
  return {};
}

bool HtmlContext::ends_raw(std::string_view text, std::size_t at) const {
  if (element_ == "plaintext" || text.size() - at < element_.size() + 2 || text[at] != '<' || text[at + 1] != '/')
    return false;
  if (!equals_ignore_case(text.substr(at + 2, element_.size()), element_)) return false;
  const std::size_t end = at + 2 + element_.size();
  return end == text.size() || is_space(text[end]) || text[end] == '/' || text[end] == '>';
}

std::string HtmlContext::read(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    if (std::string wrong = step(text, at); !wrong.empty()) return wrong;
  }
  return {};
}

// One character, or a few that belong together.
std::string HtmlContext::step(std::string_view text, std::size_t& at) {
  const char c = text[at];
  const auto begin_name = [&] {
    attribute_.assign(1, to_lower_ascii(c));
    state_ = State::name;
  };
  ++at;
  switch (state_) {
    case State::text:
      if (c == '<') state_ = State::tag_open;
      break;
    case State::tag_open:
      if (c == '!' && text.substr(at).starts_with("--")) {
        at += 2;
        state_ = State::comment;
      } else if (c == '!' || c == '?') {
        state_ = State::declaration;
      } else if (c == '/' && !end_tag_) {
        end_tag_ = true;
      } else if (is_alpha_ascii(c)) {
        element_.assign(1, to_lower_ascii(c));
        state_ = State::tag_name;
      } else {  // a '<' that is text
        end_tag_ = false;
        state_ = State::text;
      }
      break;
    case State::tag_name:
      if (c == '>') return close_tag();
      if (is_space(c) || c == '/') {
        state_ = State::before_name;
      } else {
        element_ += to_lower_ascii(c);
      }
      break;
    case State::before_name:
      if (c == '>') return close_tag();
      if (!is_space(c) && c != '/') begin_name();
      break;
    case State::name_end:
      if (c == '>') return close_tag();
      if (!is_space(c) && c != '/')
        return "a name goes on behind a {% statement %}; put a space between them, or write the whole name twice";
      state_ = State::before_name;
      break;
    case State::name:
      if (c == '>') return close_tag();
      if (c == '=') {
        state_ = State::before_value;
      } else if (is_space(c)) {
        state_ = State::after_name;
      } else if (c == '/') {
        state_ = State::before_name;
      } else {
        attribute_ += to_lower_ascii(c);
      }
      break;
    case State::after_name:
      if (c == '>') return close_tag();
      if (c == '=') {
        state_ = State::before_value;
      } else if (c == '/') {
        state_ = State::before_name;
      } else if (!is_space(c)) {
        begin_name();
      }
      break;
    case State::before_value:
      if (is_space(c)) break;
      if (c == '>') return close_tag();
      open_value();
      state_ = c == '"' ? State::double_quoted : c == '\'' ? State::single_quoted : State::unquoted;
      if (state_ == State::unquoted) {
        value_.assign(1, c);
        started_ = true;
      }
      break;
    case State::double_quoted:
    case State::single_quoted:
      if (c == (state_ == State::double_quoted ? '"' : '\'')) {
        end_value();
      } else {
        if (open_start_ && c != '/' && c != '?' && c != '#')
          return "text right behind a value that begins a URL; it goes on with '/', '?' or '#'";
        open_start_ = false;
        started_ = started_ || !is_space(c);
        value_ += c;
      }
      break;
    case State::unquoted:
      if (c == '>') {
        end_value();
        return close_tag();
      }
      if (is_space(c)) {
        end_value();
      } else {
        value_ += c;
      }
      break;
    case State::declaration:
      if (c == '>') state_ = State::text;
      break;
    case State::comment:
      if (c == '-' && text.substr(at).starts_with("->")) {
        at += 2;
        state_ = State::text;
      }
      break;
    case State::raw:
    case State::escapable:
      // Behind it, </script> does not always end a script.
      if (element_ == "script" && c == '<' && text.substr(at).starts_with("!--")) return "'<!--' within <script>";
      if (ends_raw(text, at - 1)) {
        at += 1 + element_.size();
        end_tag_ = true;
        state_ = State::tag_name;
      }
      break;
  }
  return {};
}

std::string HtmlContext::at_statement() {
  if (state_ == State::tag_open) return "a {% statement %} stands right behind a '<'";
  if (state_ == State::name || state_ == State::after_name || state_ == State::tag_name) {
    attribute_.clear();
    state_ = State::name_end;
  }
  if (state_ == State::before_value) return "a value without quotes; write name=\"…\"";
  return {};
}

std::string HtmlContext::at_value(HtmlEscape& escape) {
  escape = HtmlEscape::text;
  switch (state_) {
    case State::text:
    case State::escapable:
      return {};
    case State::double_quoted:
    case State::single_quoted:
      break;
    case State::raw:
      if (data_block_) {
        escape = HtmlEscape::json;
        return {};
      }
      return fmt::format("a value within <{}>, where no escaping makes it safe{}", element_,
                         element_ == "script" ? "; put data into <script type=\"application/json\"> as "
                                                "{{ value | json }}, or into a data-… attribute"
                                              : "");
    case State::comment:
      return "a value within a comment";
    case State::unquoted:
    case State::before_value:
      return "a value without quotes around it; write name=\"{{ … }}\"";
    default:
      return fmt::format("a value {}, where names stand; values go between tags and into quotes", describe());
  }
  if (element_ == "meta" && attribute_ == "content") dynamic_content_ = true;
  if (attribute_kind_ == Attribute::refused)
    return fmt::format("a value in the attribute {}, where no escaping makes it safe", attribute_);
  if (element_ == "script" && attribute_ == "type")
    return "a value in the type of a <script>, which says whether it runs";
  if (element_ == "meta" && attribute_ == "http-equiv") return "a value in http-equiv, which says what a page does";
  if (attribute_kind_ != Attribute::plain) {
    if (mixed_) return "a value in a URL whose beginning depends on a {% statement %}; begin all branches with a path";
    if (!started_ && attribute_kind_ == Attribute::code_url)
      return fmt::format("a value at the beginning of {} of <{}>, which says what code runs; begin with a fixed path",
                         attribute_, element_);
    if (started_ && !is_harmless_start(value_))
      return fmt::format(
          "a value in a URL that begins with '{}'; it may begin with http:, https:, mailto:, tel: or a path", value_);
    escape = started_ ? HtmlEscape::url_part : HtmlEscape::url;
    open_start_ = open_start_ || !started_;
  }
  started_ = true;
  return {};
}

std::string HtmlContext::at_end() const {
  if (state_ == State::text) return {};
  return fmt::format("the page ends {}", describe());
}

bool HtmlContext::join(const HtmlContext& other) {
  const auto is_between = [](State s) {
    return s == State::before_name || s == State::name_end || s == State::name || s == State::after_name;
  };
  if (state_ != other.state_) {
    // <option {% if … %}selected{% endif %}>: names end with the statement.
    if (!is_between(state_) || !is_between(other.state_) || element_ != other.element_) return false;
    state_ = State::name_end;
    attribute_.clear();
  }
  refresh_ = refresh_ || other.refresh_;
  dynamic_content_ = dynamic_content_ || other.dynamic_content_;
  if (state_ == State::double_quoted || state_ == State::single_quoted) {
    mixed_ = mixed_ || other.mixed_ || started_ != other.started_;
    started_ = started_ || other.started_;
    open_start_ = open_start_ || other.open_start_;
    if (attribute_ != other.attribute_) return false;
    if (value_ != other.value_) {
      // Of a URL, both must have said already where it leads; what else decides is compared as a whole.
      const auto is_decided = [](std::string_view v) {
        return v.find_first_of(":/?#") != std::string_view::npos && is_harmless_start(v);
      };
      if (!is_decided(value_) || !is_decided(other.value_)) mixed_ = true;
      value_ = "?";
    }
  }
  return element_ == other.element_ && end_tag_ == other.end_tag_ && data_block_ == other.data_block_;
}

bool HtmlContext::repeats_from(const HtmlContext& end) const noexcept {
  const bool in_value = state_ == State::double_quoted || state_ == State::single_quoted;
  return !in_value || attribute_kind_ == Attribute::plain || (started_ == end.started_ && mixed_ == end.mixed_);
}

std::string HtmlContext::describe() const {
  switch (state_) {
    case State::text:
      return "between tags";
    case State::double_quoted:
    case State::single_quoted:
    case State::unquoted:
    case State::before_value:
      return fmt::format("in the attribute {} of <{}>", attribute_, element_);
    case State::comment:
      return "within a comment";
    case State::declaration:
      return "within <!…>";
    case State::raw:
    case State::escapable:
      return fmt::format("within <{}>", element_);
    case State::tag_open:
      return "right behind a '<'";
    default:
      return fmt::format("within the tag <{}{}>", end_tag_ ? "/" : "", element_);
  }
}

void write_escaped(std::string_view value, HtmlEscape escape, std::string& out) {
  if (escape == HtmlEscape::url_part) {
    out += percent_encode(value);
    return;
  }
  if (escape == HtmlEscape::url && !is_harmless_url(value)) value = "about:invalid";
  if (escape == HtmlEscape::json) {
    for (const char c : value) {
      if (c == '<' || c == '>' || c == '&') {
        out += c == '<' ? "\\u003c" : c == '>' ? "\\u003e" : "\\u0026";
      } else {
        out += c;
      }
    }
    return;
  }
  for (std::size_t start = 0; start < value.size();) {
    const std::size_t end = std::min(value.find_first_of("&<>\"'", start), value.size());
    out += value.substr(start, end - start);
    if (end == value.size()) break;
    switch (value[end]) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += "&#39;";
    }
    start = end + 1;
  }
}

}  // namespace ashlar::detail
