// load — a closed-model HTTP/1.1 load generator: N connections, each with D requests in flight, a fixed number of
// requests. Every answer's status is checked; the first body must hold what --expect names, and with --same-length all
// bodies are as long as the first. Connections are kept, or closed after --per-connection requests; with --websocket a
// request is a text message and its answer the next one. With --pid it reads the CPU time of the server (all its
// threads) around the measured part, so that start-up and warm-up do not count. Prints one line of JSON.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  std::string target = "127.0.0.1:8000";
  std::string method = "GET";
  std::string path = "/";
  std::vector<std::string> headers;
  std::string body_file;
  int connections = 64;
  int depth = 1;
  std::int64_t per_connection = 0;
  bool chunked = false;
  bool websocket = false;
  std::int64_t requests = 100'000;
  std::int64_t warm_up = 0;
  int status = 200;
  std::string expect;
  bool same_length = false;
  std::vector<int> pids;
};

[[noreturn]] void fail(const std::string& why) { throw std::runtime_error(why); }
[[noreturn]] void fail_errno(const char* what) { fail(std::string(what) + ": " + std::strerror(errno)); }

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read " + path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// Nanoseconds that all threads of the processes have run. Linux: /proc/PID/task/TID/schedstat, first number.
std::int64_t cpu_nanoseconds(const std::vector<int>& pids) {
  std::int64_t sum = 0;
  for (const int pid : pids) {
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
      std::ifstream in(task.path() / "schedstat");
      std::int64_t ran = 0;
      if (in >> ran) sum += ran;
    }
  }
  return sum;
}

// RFC 6455 §5.2: a whole message from a client, masked with zeros, which leaves its text as it is.
std::string text_message(const std::string& text) {
  std::string frame = "\x81";
  if (text.size() < 126) {
    frame += static_cast<char>(0x80 | text.size());
  } else {
    if (text.size() > 0xffff) fail("messages of more than 64 KiB are not made here");
    frame += static_cast<char>(0x80 | 126);
    frame += static_cast<char>(text.size() >> 8);
    frame += static_cast<char>(text.size() & 0xff);
  }
  return frame + std::string(4, '\0') + text;
}

// Spells the requests out before the clock starts. "/query/{1..1000}" becomes a thousand requests in a scattered order,
// "@file" one for each line of a file.
std::vector<std::string> spell_requests(const Options& options) {
  const std::string body = options.body_file.empty() ? "" : read_file(options.body_file);
  std::vector<std::string> paths;
  const std::size_t open = options.path.find('{');
  const std::size_t dots = options.path.find("..", open == std::string::npos ? 0 : open);
  const std::size_t close = options.path.find('}');
  if (open != std::string::npos && dots != std::string::npos && close != std::string::npos && dots < close) {
    const long first = std::atol(options.path.c_str() + open + 1);
    const long count = std::atol(options.path.c_str() + dots + 2) - first + 1;
    if (count <= 0 || count > 1'000'000) fail("an empty or too large range in --path");
    long at = 0;
    for (long i = 0; i < count; ++i) {
      paths.push_back(options.path.substr(0, open) + std::to_string(first + at) + options.path.substr(close + 1));
      at = (at + 7919) % count;  // a prime, so that every number comes once unless count is a multiple of it
    }
  } else if (options.path.starts_with('@')) {
    std::istringstream lines(read_file(options.path.substr(1)));
    for (std::string line; std::getline(lines, line);) paths.push_back(line);
    if (paths.empty()) fail("no paths in " + options.path.substr(1));
  } else {
    paths.push_back(options.path);
  }
  if (options.websocket) return {text_message(body)};
  std::vector<std::string> requests;
  requests.reserve(paths.size());
  for (const std::string& path : paths) {
    std::string request = options.method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
    for (const std::string& header : options.headers) request += header + "\r\n";
    if (options.chunked) {
      char size[20];
      std::snprintf(size, sizeof size, "%zx\r\n", body.size());
      request += "Transfer-Encoding: chunked\r\n\r\n" + (size + body) + "\r\n0\r\n\r\n";
    } else {
      if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
      request += "\r\n" + body;
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

int connect_to(const std::string& target) {
  if (target.starts_with("unix:")) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (target.size() - 5 >= sizeof address.sun_path) fail("the socket's path is too long");
    std::memcpy(address.sun_path, target.data() + 5, target.size() - 5);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fail_errno("connect");
    return fd;
  }
  const std::size_t colon = target.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(target.c_str() + colon + 1)));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fail_errno("connect");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

struct Answer {
  int status = 0;
  std::size_t size = 0;  // head and body; 0: not whole yet
  std::string_view body;
  std::string chunked;  // the body when it came in chunks; then `body` looks into it
};

// Reads one answer off the front of `in`. Understands Content-Length and chunks: enough for servers that behave.
void parse_answer(std::string_view in, Answer& answer) {
  answer.size = 0;
  const auto* const stop = static_cast<const char*>(memmem(in.data(), in.size(), "\r\n\r\n", 4));
  if (stop == nullptr) return;
  const std::size_t head_size = static_cast<std::size_t>(stop - in.data()) + 4;
  if (head_size < 16 || !in.starts_with("HTTP/1.1 ")) fail("not an HTTP/1.1 answer: " + std::string(in.substr(0, 80)));
  answer.status = (in[9] - '0') * 100 + (in[10] - '0') * 10 + (in[11] - '0');
  std::size_t length = 0;
  bool chunked = false;
  for (std::size_t at = in.find("\r\n") + 2; at < head_size - 2; at = in.find("\r\n", at) + 2) {
    const char* const line = in.data() + at;
    if ((*line | 0x20) == 'c' && strncasecmp(line, "content-length:", 15) == 0)
      length = std::strtoul(line + 15, nullptr, 10);
    if ((*line | 0x20) == 't' && strncasecmp(line, "transfer-encoding: chunked", 26) == 0) chunked = true;
  }
  if (!chunked) {
    if (in.size() < head_size + length) return;
    answer.body = in.substr(head_size, length);
    answer.size = head_size + length;
    return;
  }
  answer.chunked.clear();
  for (std::size_t at = head_size;;) {
    const std::size_t line = in.find("\r\n", at);
    if (line == std::string_view::npos) return;
    const std::size_t size = std::strtoul(in.data() + at, nullptr, 16);
    if (in.size() < line + 2 + size + 2) return;
    answer.chunked.append(in.substr(line + 2, size));
    at = line + 2 + size + 2;
    if (size == 0) {
      answer.body = answer.chunked;
      answer.size = at;
      return;
    }
  }
}

// The same for a WebSocket message: a frame that is whole in itself, not masked. Its status is 200.
void parse_message(std::string_view in, Answer& answer) {
  answer.size = 0;
  if (in.size() < 4) return;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(in[at]); };
  if (byte(0) != 0x81 || byte(1) > 126) fail("not an unmasked text message of at most 64 KiB");
  const std::size_t head = byte(1) < 126 ? 2 : 4;
  const std::size_t length = byte(1) < 126 ? byte(1) : (static_cast<std::size_t>(byte(2)) << 8) + byte(3);
  if (in.size() < head + length) return;
  answer.status = 200;
  answer.body = in.substr(head, length);
  answer.size = head + length;
}

struct Connection {
  int fd = -1;
  std::string in;
  std::vector<Clock::time_point> sent_at;  // ring of `depth`, oldest at `head`
  std::size_t head = 0;
  std::size_t in_flight = 0;
  std::int64_t left = 0;  // requests it may still send, with --per-connection
};

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), requests_(spell_requests(options_)) {}

  void run() {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    connections_.resize(static_cast<std::size_t>(options_.connections));
    for (Connection& connection : connections_) {
      connection.sent_at.resize(static_cast<std::size_t>(options_.depth));
      open(connection);
    }
    if (options_.warm_up > 0) send_all(options_.warm_up);
    latencies_.clear();
    latencies_.reserve(static_cast<std::size_t>(options_.requests));
    const std::int64_t cpu_before = cpu_nanoseconds(options_.pids);
    const auto before = Clock::now();
    send_all(options_.requests);
    const double seconds = std::chrono::duration<double>(Clock::now() - before).count();
    const std::int64_t cpu = cpu_nanoseconds(options_.pids) - cpu_before;
    report(seconds, cpu);
  }

 private:
  void open(Connection& connection) {
    connection.fd = connect_to(options_.target);
    connection.left = options_.per_connection > 0 ? options_.per_connection : INT64_MAX;
    if (options_.websocket) upgrade(connection);
    epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) < 0) fail_errno("epoll_ctl");
  }

  void upgrade(const Connection& connection) {
    const std::string request = "GET " + options_.path +
                                " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (send(connection.fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) fail_errno("send");
    std::string answer;
    while (!answer.ends_with("\r\n\r\n")) {
      char byte = 0;
      if (recv(connection.fd, &byte, 1, 0) != 1) fail("no answer to the upgrade");
      answer += byte;
    }
    if (!answer.starts_with("HTTP/1.1 101 ")) fail("no WebSocket there: " + answer.substr(0, 500));
  }

  void send_all(std::int64_t count) {
    to_send_ = to_receive_ = count;
    for (Connection& connection : connections_) refill(connection);
    epoll_event events[512];
    while (to_receive_ > 0) {
      const int ready = epoll_wait(epoll_, events, 512, 20'000);
      if (ready == 0) fail("no answer for 20 s");
      for (int i = 0; i < ready; ++i) receive(*static_cast<Connection*>(events[i].data.ptr));
    }
  }

  void refill(Connection& connection) {
    out_.clear();
    const auto now = Clock::now();
    while (to_send_ > 0 && connection.left > 0 && connection.in_flight < connection.sent_at.size()) {
      out_ += requests_[next_];
      next_ = next_ + 1 == requests_.size() ? 0 : next_ + 1;
      connection.sent_at[(connection.head + connection.in_flight) % connection.sent_at.size()] = now;
      ++connection.in_flight;
      --to_send_;
      --connection.left;
    }
    for (std::string_view rest = out_; !rest.empty();) {  // a blocking socket: what is in flight fits its buffers
      const ssize_t sent = send(connection.fd, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0) fail_errno("send");
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  void receive(Connection& connection) {
    char buffer[64 * 1024];
    const ssize_t got = recv(connection.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) fail("the server closed a connection");
    connection.in.append(buffer, static_cast<std::size_t>(got));
    const auto now = Clock::now();
    std::size_t at = 0;
    while (at < connection.in.size()) {
      const std::string_view rest = std::string_view(connection.in).substr(at);
      options_.websocket ? parse_message(rest, answer_) : parse_answer(rest, answer_);
      if (answer_.size == 0) break;
      verify();
      at += answer_.size;
      if (connection.in_flight == 0) fail("an answer without a request");
      const auto took = now - connection.sent_at[connection.head];
      latencies_.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(took.count(), UINT32_MAX)));
      connection.head = (connection.head + 1) % connection.sent_at.size();
      --connection.in_flight;
      --to_receive_;
    }
    connection.in.erase(0, at);
    if (connection.left == 0 && connection.in_flight == 0) {
      close(connection.fd);
      open(connection);
    }
    // Half of the depth at once: refilling after each single answer would undo the pipelining.
    if (connection.in_flight * 2 <= connection.sent_at.size()) refill(connection);
  }

  void verify() {
    if (answer_.status != options_.status) {
      fail("status " + std::to_string(answer_.status) + " instead of " + std::to_string(options_.status) + ": " +
           std::string(answer_.body.substr(0, 500)));
    }
    if (!seen_first_) {
      seen_first_ = true;
      first_body_ = answer_.body;
      if (answer_.body.find(options_.expect) == std::string_view::npos) {
        fail("the first body has no " + options_.expect + ": " + std::string(answer_.body.substr(0, 500)));
      }
    } else if (options_.same_length && answer_.body.size() != first_body_.size()) {
      fail("a body of another length: " + std::string(answer_.body.substr(0, 500)));
    }
  }

  [[nodiscard]] double percentile(double share) {
    if (latencies_.empty()) return 0;
    const auto at = static_cast<std::size_t>(share * static_cast<double>(latencies_.size() - 1));
    std::nth_element(latencies_.begin(), latencies_.begin() + static_cast<std::ptrdiff_t>(at), latencies_.end());
    return static_cast<double>(latencies_[at]) / 1000.0;
  }

  void report(double seconds, std::int64_t cpu) {
    const auto count = static_cast<double>(options_.requests);
    std::printf(
        "{\"requests\": %lld, \"seconds\": %.4f, \"requests_per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"cpu_us\": %.4f, \"body_bytes\": %zu}\n",
        static_cast<long long>(options_.requests), seconds, count / seconds, percentile(0.5), percentile(0.99),
        static_cast<double>(cpu) / 1000.0 / count, first_body_.size());
  }

  Options options_;
  std::vector<std::string> requests_;
  std::vector<Connection> connections_;
  std::vector<std::uint32_t> latencies_;  // nanoseconds
  std::string out_;
  std::string first_body_;
  Answer answer_;
  std::size_t next_ = 0;
  std::int64_t to_send_ = 0;
  std::int64_t to_receive_ = 0;
  int epoll_ = -1;
  bool seen_first_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App cli{"Closed-model HTTP/1.1 load generator; prints one line of JSON."};
  cli.add_option("target", options.target, "127.0.0.1:PORT or unix:/path")->required();
  cli.add_option("path", options.path, "Path with query; {1..1000} stands for a thousand paths, @FILE for those in it")
      ->required();
  cli.add_option("--method", options.method, "Method");
  cli.add_option("--header", options.headers, "Header line, may be repeated");
  cli.add_option("--body", options.body_file, "File with the body");
  cli.add_option("--connections", options.connections, "Keep-alive connections")->check(CLI::Range(1, 100'000));
  cli.add_option("--depth", options.depth, "Requests in flight on each connection")->check(CLI::Range(1, 256));
  cli.add_option("--per-connection", options.per_connection, "Close a connection after so many requests (0: keep it)");
  cli.add_flag("--chunked", options.chunked, "Send the body as one chunk, without Content-Length");
  cli.add_flag("--websocket", options.websocket, "Send the body as WebSocket text messages");
  cli.add_option("--requests", options.requests, "Requests to measure")->check(CLI::PositiveNumber);
  cli.add_option("--warm-up", options.warm_up, "Requests before them");
  cli.add_option("--status", options.status, "Status that every answer must have");
  cli.add_option("--expect", options.expect, "Text that the first body must hold");
  cli.add_flag("--same-length", options.same_length, "All bodies must be as long as the first");
  cli.add_option("--pid", options.pids, "Process whose CPU time to report, may be repeated");
  CLI11_PARSE(cli, argc, argv);
  try {
    Load(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "load: %s\n", error.what());
    return 1;
  }
}
