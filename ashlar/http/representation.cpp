#include <ashlar/http/representation.hpp>

#include <fmt/format.h>

#include <random>
#include <utility>
#include <vector>

#include <ashlar/http/date.hpp>
#include <ashlar/http/detail/response_writer.hpp>
#include <ashlar/http/ranges.hpp>

namespace ashlar::http {
namespace {

void problem(Response& response, int status, std::string_view text) {
  response.remove_body();
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = detail::problem_json(status, text);
}

void set_content(Response& response, const Representation& what, std::uint64_t first, std::uint64_t length) {
  if (what.file) {
    response.file(what.file->part(first, length));
  } else {
    response.remove_body();
    response.shared_body(what.owner, what.bytes.substr(first, length));
  }
}

struct Part {
  std::string head;
  ByteRange range;
};

Generator<std::string> part_pieces(Representation what, std::vector<Part> parts, std::string end) {
  for (Part& part : parts) {
    co_yield std::move(part.head);
    if (!what.file) {
      co_yield std::string(what.bytes.substr(part.range.first, part.range.length));
      continue;
    }
    auto pieces = what.file->part(part.range.first, part.range.length).pieces();
    while (auto piece = co_await pieces.next()) co_yield std::move(*piece);
  }
  co_yield std::move(end);
}

// Nobody who writes a file must know it beforehand.
std::string make_boundary() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{:016x}{:016x}", random(), random());
}

void set_parts(Response& response, Representation what, const std::vector<ByteRange>& ranges) {
  const std::string boundary = make_boundary();
  std::string type(what.content_type);
  if (type.empty()) type = response.find_header("Content-Type").value_or("application/octet-stream");
  std::vector<Part> parts;
  std::string end = fmt::format("\r\n--{}--\r\n", boundary);
  std::uint64_t length = end.size();
  for (const ByteRange& range : ranges) {
    parts.push_back({fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", parts.empty() ? "" : "\r\n",
                                 boundary, type, content_range(range, what.size())),
                     range});
    length += parts.back().head.size() + range.length;
  }
  response.replace_header("Content-Type", "multipart/byteranges; boundary=" + boundary);
  response.stream(part_pieces(std::move(what), std::move(parts), std::move(end)), length);
}

}  // namespace

void respond_with(const Request& request, Response& response, Representation what) {
  if (!what.content_type.empty()) response.content_type = what.content_type;
  if (!what.etag.empty()) response.header("ETag", what.etag);
  if (what.last_modified) response.header("Last-Modified", format_http_date(*what.last_modified));
  const Validators validators{.etag = what.etag, .last_modified = what.last_modified};
  switch (check_conditions(request, validators)) {
    case Condition::proceed:
      break;
    case Condition::not_modified:
      response.remove_body();
      response.status = 304;
      response.content_type = {};
      return;
    case Condition::failed:
      return problem(response, 412, "The resource is not as the request expects it to be.");
  }
  response.header("Accept-Ranges", "bytes");
  const std::uint64_t size = what.size();
  // Ranges are defined for GET alone (RFC 9110 §14.2).
  const auto range = request.method == Method::get ? request.header(KnownHeader::range) : std::nullopt;
  if (range && range_is_wanted(request, validators)) {
    const RangeChoice choice = choose_ranges(*range, size);
    if (choice.kind == RangeChoice::Kind::unsatisfiable) {
      response.header("Content-Range", fmt::format("bytes */{}", size));
      return problem(response, 416, "None of the ranges lies within the content.");
    }
    if (choice.kind == RangeChoice::Kind::parts) {
      response.status = 206;
      if (choice.ranges.size() > 1) return set_parts(response, std::move(what), choice.ranges);
      const ByteRange& only = choice.ranges.front();
      response.header("Content-Range", content_range(only, size));
      return set_content(response, what, only.first, only.length);
    }
  }
  response.status = 200;
  set_content(response, what, 0, size);
}

}  // namespace ashlar::http
