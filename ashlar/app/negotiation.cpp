#include <ashlar/app/negotiation.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include <ashlar/base/text.hpp>
#include <ashlar/http/content_coding.hpp>
#include <ashlar/http/request.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::detail {
namespace {

using schema::TypeInfo;

std::string_view media_type(std::string_view type) { return trim(type.substr(0, type.find(';'))); }

// One of Accept's ranges: how much it is wanted, in thousandths; what is no weight is a wish all the same.
struct Range {
  std::string_view type, subtype;
  int weight = 1000;
};

std::string_view cut(std::string_view& text, char at) {
  const std::size_t end = std::min(text.find(at), text.size());
  const std::string_view part = trim(text.substr(0, end));
  text.remove_prefix(std::min(end + 1, text.size()));
  return part;
}

std::vector<Range> ranges_of(std::string_view accept) {
  std::vector<Range> out;
  constexpr std::size_t kMost = 32;  // more than any browser sends
  while (!accept.empty() && out.size() < kMost) {
    std::string_view rest = cut(accept, ',');
    std::string_view type = cut(rest, ';');
    Range range;
    range.type = cut(type, '/');
    range.subtype = type;
    while (!rest.empty()) {
      std::string_view parameter = cut(rest, ';');
      if (equals_ignore_case(cut(parameter, '='), "q")) range.weight = http::parse_weight(parameter).value_or(1000);
    }
    if (!range.type.empty() && !range.subtype.empty()) out.push_back(range);
  }
  return out;
}

// The most specific range counts, not the kindest (RFC 9110 §12.5.1). 0: it is not taken.
int wish_for(std::string_view type, const std::vector<Range>& ranges) {
  const std::string_view subtype = type.substr(std::min(type.find('/') + 1, type.size()));
  const std::string_view main = type.substr(0, type.find('/'));
  int best = -1, weight = 0;
  for (const Range& range : ranges) {
    const bool any = range.subtype == "*";
    if (range.type != "*" && !equals_ignore_case(range.type, main)) continue;
    if (range.type == "*" && !any) continue;
    if (!any && !equals_ignore_case(range.subtype, subtype)) continue;
    const int specific = range.type == "*" ? 0 : any ? 1 : 2;
    if (specific <= best) continue;
    best = specific;
    weight = range.weight;
  }
  return weight;
}

struct Lines {
  const TypeInfo* element;
  std::string* out;
};

}  // namespace

const AnswerForm* choose_form(std::string_view accept, std::span<const AnswerForm> forms) {
  const auto ranges = ranges_of(accept);
  if (ranges.empty()) return &forms.front();
  const AnswerForm* best = nullptr;
  int wish = 0;
  for (const AnswerForm& form : forms) {
    const int weight = wish_for(media_type(form.type), ranges);
    if (weight > wish) {
      wish = weight;
      best = &form;
    }
  }
  return best;
}

void respond_negotiated(Call& call, std::span<const AnswerForm> forms, const TypeInfo& type, const void* value) {
  std::string accept;
  call.exchange.request.for_each_header([&](std::string_view name, std::string_view text) {
    if (equals_ignore_case(name, "Accept")) accept += fmt::format("{}{}", accept.empty() ? "" : ",", text);
  });
  const AnswerForm* const form = choose_form(accept, forms);
  if (form == nullptr) {
    std::string there_is;
    for (const AnswerForm& one : forms)
      there_is += fmt::format("{}{}", there_is.empty() ? "" : ", ", media_type(one.type));
    throw Problem{
        .status = 406, .detail = fmt::format("this is to be had as {}", there_is), .headers = {{"Vary", "Accept"}}};
  }
  set_status(call, 200);
  auto& response = call.exchange.response;
  response.header("Vary", "Accept");
  response.content_type = form->type;
  form->write(type, value, response.body);
}

void describe_negotiated(OperationInfo& info, std::span<const AnswerForm> forms, const TypeInfo& type) {
  for (const AnswerForm& form : forms) {
    const std::string_view media = media_type(form.type);
    const bool lines = media == media_type(AsJsonLines::kType);
    const bool json = media.ends_with("json");
    info.responses.push_back({200, {}, std::string(media), lines ? type.inner : json ? &type : nullptr, false, lines});
  }
  info.responses.push_back({406, {}, {}, nullptr, true});
}

void write_json_lines(const TypeInfo& list, const void* value, std::string& out) {
  Lines lines{list.inner, &out};
  list.list->each(value, &lines, [](void* context, const void* element) {
    const auto& [type, into] = *static_cast<const Lines*>(context);
    schema::write_json(*type, element, *into);
    *into += '\n';
  });
}

}  // namespace ashlar::detail
