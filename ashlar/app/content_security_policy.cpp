#include <ashlar/app/content_security_policy.hpp>

#include <algorithm>
#include <exception>
#include <utility>

#include <ashlar/app/detail/notes.hpp>
#include <ashlar/base/bytes.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar {
namespace {

struct NonceNote final : http::Exchange::Note {
  std::string_view nonce;
};

std::string new_nonce() { return base64_encode(random_bytes(16)); }

}  // namespace

std::string_view detail::csp_nonce_of(http::Exchange& exchange) {
  auto* note = find_note<NonceNote>(exchange, &kNonceNote);
  if (note == nullptr) {
    note = &add_note<NonceNote>(exchange, &kNonceNote);
    note->nonce = exchange.scratch.copy(new_nonce());
  }
  return note->nonce;
}

ContentSecurityPolicy::ContentSecurityPolicy(ContentSecurityPolicyOptions options)
    : name_(options.report_only ? "Content-Security-Policy-Report-Only" : "Content-Security-Policy") {
  std::string_view rest = options.policy;
  if (rest.empty() || std::ranges::any_of(rest, [](char c) { return c < ' ' || c > '~'; })) {
    throw Invalid("a Content-Security-Policy is one line of ASCII");
  }
  constexpr std::string_view place = "{nonce}";
  for (auto at = rest.find(place); at != std::string_view::npos; at = rest.find(place)) {
    parts_.emplace_back(rest.substr(0, at));
    rest.remove_prefix(at + place.size());
  }
  parts_.emplace_back(rest);
}

void ContentSecurityPolicy::after(http::Exchange& exchange) noexcept {
  http::Response& response = exchange.response;
  std::string_view type = response.content_type;
  if (type.empty()) type = response.find_header("Content-Type").value_or(std::string_view());
  if (!equals_ignore_case(trim(type.substr(0, type.find(';'))), "text/html") || response.find_header(name_)) return;
  try {
    const auto* const note = detail::find_note<NonceNote>(exchange, &detail::kNonceNote);
    const std::string nonce = note != nullptr ? std::string(note->nonce) : new_nonce();
    std::string line = name_ + ": " + parts_.front();
    for (auto part = parts_.begin() + 1; part != parts_.end(); ++part) line += nonce + *part;
    response.append_header_lines(line + "\r\n");
  } catch (const std::exception& error) {  // no page without its policy
    response.clear();
    response.status = 500;
    log::error("an answer could not be given its Content-Security-Policy",
               {{"error.message", std::string_view(error.what())}});
  }
}

}  // namespace ashlar
