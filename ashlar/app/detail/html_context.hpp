// HtmlContext: where in HTML a place of a template is, and how a value must be written there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ashlar::detail {

/// How a value is written.
enum class HtmlEscape : std::uint8_t {
  text,      ///< between tags, and in attributes: & < > " ' as references
  url,       ///< a whole URL, of a scheme that runs nothing; else about:invalid
  url_part,  ///< a part of one: percent-encoded
  json,      ///< JSON within <script type="application/json">: < > & as \u003c
};

/// Follows the text of a template as a browser reads it (WHATWG HTML 13.2.5), as far as a template needs it. Copied
/// for each branch; equal contexts read the same.
class HtmlContext {
 public:
  /// Reads literal text. Gives what is wrong with it, or "".
  [[nodiscard]] std::string read(std::string_view text);
  /// A {% statement %} stands here: names end, so that no branch changes what the text before it means.
  [[nodiscard]] std::string at_statement();
  /// A value stands here. Gives how it is written in `escape`, or why it must not.
  [[nodiscard]] std::string at_value(HtmlEscape& escape);
  /// The end of the page. Gives what is still open, or "".
  [[nodiscard]] std::string at_end() const;
  /// The context after two branches. False: they end in different places.
  [[nodiscard]] bool join(const HtmlContext& other);
  /// Whether a loop's body that begins here and ends in `end` may come again: a URL begins once.
  [[nodiscard]] bool repeats_from(const HtmlContext& end) const noexcept;
  /// Between tags: where includes and blocks may stand.
  [[nodiscard]] bool in_text() const noexcept { return state_ == State::text; }
  /// "within the tag <a>" for messages.
  [[nodiscard]] std::string describe() const;

 private:
  enum class State : std::uint8_t {
    text,
    tag_open,       // behind '<'
    tag_name,       // in "<a"
    before_name,    // within a tag, before an attribute
    name,           // in an attribute's name
    after_name,     // behind it and a space
    name_end,       // a statement has ended a name
    before_value,   // behind '='
    double_quoted,  // in a value
    single_quoted,
    unquoted,
    declaration,  // "<!doctype", "<?": until '>'
    comment,
    raw,        // <script>, <style>, …: until their end tag
    escapable,  // <title>, <textarea>: the same, but values may stand there
  };
  enum class Attribute : std::uint8_t { plain, url, code_url, refused };

  std::string step(std::string_view text, std::size_t& at);
  void open_value();
  void end_value();
  std::string close_tag();
  [[nodiscard]] bool ends_raw(std::string_view text, std::size_t at) const;
  [[nodiscard]] Attribute kind_of(std::string_view attribute) const;

  State state_ = State::text;
  std::string element_;    // of the tag that is open, or of raw
  std::string attribute_;  // whose value comes
  std::string value_;      // as far as it is literal, of attributes that decide (type, http-equiv)
  Attribute attribute_kind_ = Attribute::plain;
  bool end_tag_ = false;
  bool started_ = false;     // the value has something before this place
  bool mixed_ = false;       // … in one branch and not in the other
  bool open_start_ = false;  // a value begins the URL, and what comes behind it could make a scheme of it
  bool refresh_ = false;     // <meta http-equiv>
  bool dynamic_content_ = false;
  bool data_block_ = false;  // <script type="application/json">
  bool has_type_ = false;    // the first one counts
};

/// Appends.
void write_escaped(std::string_view value, HtmlEscape escape, std::string& out);

}  // namespace ashlar::detail
