// How fast heads are parsed. Run: build/release/benchmarks/request_parser_benchmark
//
// Instructions: valgrind --tool=callgrind request_parser_benchmark NAME 1000, less those of 0 times. NAME is service,
// browser, or a set of scans (plain, sse2, avx2) for the lines of the browser's head.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/http/detail/line_scan.hpp>
#include <ashlar/http/request_parser.hpp>

namespace {

using namespace ashlar::http;

// What load generators and other services send.
constexpr std::string_view kService =
    "GET /plaintext HTTP/1.1\r\nHost: api.internal\r\nUser-Agent: "
    "load/1.0\r\nAccept: */*\r\n\r\n";

// What a browser sends to a page of its own origin.
constexpr std::string_view kBrowser =
    "GET /api/articles?limit=20&offset=40&tag=architecture HTTP/1.1\r\n"
    "Host: www.example.org\r\n"
    "Connection: keep-alive\r\n"
    "sec-ch-ua: \"Chromium\";v=\"130\", \"Google Chrome\";v=\"130\", "
    "\"Not?A_Brand\";v=\"99\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, "
    "like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Referer: https://www.example.org/articles/building-with-cut-stone\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=0192d4e07b5a7c3d8e4f1a2b3c4d5e6f.XyZ0pQ; theme=dark; "
    "consent=2026-01-02T03:04:05Z\r\n"
    "If-None-Match: W/\"5f3c-18f0e2a7b40\"\r\n\r\n";

std::vector<std::string> same(std::string_view head) { return std::vector<std::string>(64, std::string(head)); }

// The same head with values of other lengths, so that the processor cannot learn where each line ends.
std::vector<std::string> variations(std::string_view head) {
  std::vector<std::string> made(64, std::string(head));
  std::minstd_rand numbers(1);  // NOLINT: the same each time
  for (std::string& one : made) {
    for (std::size_t at = one.find("\r\n");
         (at = one.find("\r\n", at + 2)) != std::string::npos && at + 4 < one.size();) {
      if (one.compare(at - 2, 2, "\r\n") != 0) one.insert(at, numbers() % 24, '0');
      at = one.find("\r\n", at);
    }
  }
  return made;
}

void parse(std::string_view bytes) {
  static Request request;
  if (parse_request_head(bytes, {}, request).state != HeadResult::State::complete) std::abort();
}

void scan_fields(const detail::LineScan& scan, std::string_view bytes) {
  static std::array<Header, 32> lines;
  const char* const fields = bytes.data() + bytes.find("\r\n") + 2;
  const auto end = scan.fields(fields, bytes.data(), bytes.data() + bytes.size(), lines.data(), lines.size());
  if (end.why != detail::FieldsEnd::Why::end) std::abort();
}

// Nanoseconds a head, the best of many short runs.
template <class F>
double measure(const std::vector<std::string>& heads, F&& f) {
  double best = 1e18;
  for (int round = 0; round < 400; ++round) {
    constexpr int kTurns = 20;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kTurns; ++i) {
      for (const std::string& head : heads) f(head);
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count() / (kTurns * static_cast<double>(heads.size())));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::pair<std::string_view, std::string_view> heads[] = {{"service", kService}, {"browser", kBrowser}};
  if (argc == 3) {
    for (long left = std::strtol(argv[2], nullptr, 10); left > 0; --left) {
      for (const auto& [name, bytes] : heads) {
        if (name == argv[1]) parse(bytes);
      }
      for (const auto& scan : detail::line_scans()) {
        if (scan.name == argv[1]) scan_fields(scan, kBrowser);
      }
    }
    return 0;
  }
  for (const auto& [name, bytes] : heads) {
    std::printf("%s, %zu bytes: %.1f ns; of other lengths each time: %.1f ns\n", name.data(), bytes.size(),
                measure(same(bytes), parse), measure(variations(bytes), parse));
  }
  for (const auto& scan : detail::line_scans()) {
    const auto run = [&](std::string_view bytes) { scan_fields(scan, bytes); };
    std::printf("browser's lines by %s: %.1f ns; of other lengths each time: %.1f ns\n", scan.name.data(),
                measure(same(kBrowser), run), measure(variations(kBrowser), run));
  }
  return 0;
}
