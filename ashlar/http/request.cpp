#include <ashlar/http/request.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include <ashlar/http/chunked.hpp>

namespace ashlar::http {
namespace {

constexpr std::array<std::string_view, 10> kMethods = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                                       "CONNECT", "OPTIONS", "TRACE", "PATCH", ""};

}  // namespace

Method parse_method(std::string_view text) noexcept {
  const auto check = [&](Method candidate) { return text == to_string(candidate) ? candidate : Method::other; };
  if (text.size() < 3) return Method::other;
  switch (text[0]) {
    case 'G':
      return check(Method::get);
    case 'H':
      return check(Method::head);
    case 'P':
      return text[1] == 'O' ? check(Method::post) : text[1] == 'U' ? check(Method::put) : check(Method::patch);
    case 'D':
      return check(Method::del);
    case 'C':
      return check(Method::connect);
    case 'O':
      return check(Method::options);
    case 'T':
      return check(Method::trace);
    default:
      return Method::other;
  }
}

std::string_view to_string(Method method) noexcept { return kMethods[static_cast<std::size_t>(method)]; }

std::optional<std::string_view> Request::header(std::string_view name) const noexcept {
  if (const KnownHeader known = find_known_header(name); known != KnownHeader::other) return header(known);
  for (const Header& candidate : headers()) {
    if (equal_ignoring_case(candidate.name, name)) return candidate.value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Request::trailer(std::string_view name) const noexcept {
  return find_trailer(trailers, name);
}

void Request::clear() noexcept {
  method = Method::get;
  version = Version::http11;
  keep_alive = true;
  expects_continue = false;
  upgrade = false;
  method_text = target = path = query = authority = body = trailers = {};
  // Exchanges are used again: nobody must be taken for the client before.
  peer = nullptr;
  secure = false;
  client_certificate = nullptr;
  count_ = 0;
  headers_ = own_;
  room_ = own_ != nullptr ? kMaxHeaders : 0;
  first_.fill(0);
}

Request::~Request() { std::free(own_); }

bool Request::make_room() noexcept {
  if (room_ != 0) return false;
  own_ = static_cast<Header*>(std::malloc(kMaxHeaders * sizeof(Header)));  // left uninitialised
  if (own_ == nullptr) return false;
  headers_ = own_;
  room_ = kMaxHeaders;
  return true;
}

void Request::keep_headers_in(Header* place) noexcept {
  std::copy_n(headers_, count_, place);
  std::free(std::exchange(own_, nullptr));
  headers_ = place;
  room_ = count_;
}

void Request::rebase(std::ptrdiff_t distance) noexcept {
  const auto move = [distance](std::string_view& view) {
    if (view.data() != nullptr) view = {view.data() + distance, view.size()};
  };
  for (std::string_view* view : {&method_text, &target, &path, &query, &authority, &body}) move(*view);
  for (std::uint32_t i = 0; i < count_; ++i) {
    move(headers_[i].name);
    move(headers_[i].value);
  }
}

}  // namespace ashlar::http
