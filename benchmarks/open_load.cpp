// open_load — an open-model HTTP/1.1 load generator: requests begin at a given rate at random times (Poisson), whether
// the answers to earlier ones have come or not, as those of many independent users do. Each request takes an idle
// keep-alive connection or makes a new one, and is given up after --patience: its connection is closed, as impatient
// clients do. Times count from when a request was due, so a slow server cannot slow the measuring down. Prints one line
// of JSON: what came in time (200), was refused (503), given up.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
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
#include <deque>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

struct Options {
  int port = 8000;
  std::string path = "/";
  double rate = 1000;
  double seconds = 5;
  double warm_up = 3;
  double patience = 1;
  int connections = 4000;
  std::vector<int> pids;
};

[[noreturn]] void fail_errno(const char* what) {
  throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

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

struct Connection {
  int fd = -1;
  bool busy = false;
  bool connecting = false;
  Clock::time_point due;
  std::uint64_t request = 0;  // which one; tells a stale entry of the deadlines
  std::string in;
};

struct Counts {
  std::int64_t due = 0;
  std::int64_t good = 0;
  std::int64_t refused = 0;
  std::int64_t given_up = 0;
  std::int64_t broken = 0;
  std::vector<float> took;          // of the good, ms
  std::vector<float> refused_took;  // ms
};

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)),
        request_("GET " + options_.path + " HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        connections_(static_cast<std::size_t>(options_.connections)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    for (Connection& one : connections_) free_.push_back(&one);  // not connected yet
  }

  void run() {
    const auto began = Clock::now();
    const auto measure = began + std::chrono::duration_cast<Clock::duration>(Seconds(options_.warm_up));
    const auto end = measure + std::chrono::duration_cast<Clock::duration>(Seconds(options_.seconds));
    std::exponential_distribution<double> gap(options_.rate);
    auto next = began;
    bool measuring = false;
    std::int64_t cpu = 0;
    for (;;) {
      const auto now = Clock::now();
      if (!measuring && now >= measure) {
        measuring = true;
        counts_ = {};
        cpu = cpu_nanoseconds(options_.pids);
      }
      if (now >= end) break;
      while (next <= now) {
        ++counts_.due;
        waiting_.push_back(next);
        next += std::chrono::duration_cast<Clock::duration>(Seconds(gap(random_)));
      }
      give_up(now);
      send_waiting(now);
      const auto pause = std::chrono::duration_cast<std::chrono::microseconds>(next - Clock::now());
      receive(pause.count() > 1500 ? 1 : 0);
    }
    report(cpu_nanoseconds(options_.pids) - cpu);
  }

 private:
  void send_waiting(Clock::time_point now) {
    while (!waiting_.empty()) {
      Connection* connection = nullptr;
      if (!idle_.empty()) {
        connection = idle_.back();
        idle_.pop_back();
      } else if (!free_.empty()) {
        connection = free_.back();
        free_.pop_back();
        connect(*connection);
      } else {
        return;
      }
      connection->busy = true;
      connection->due = waiting_.front();
      connection->request = ++numbers_;
      deadlines_.push_back({connection->due + patience(), connection, connection->request});
      waiting_.pop_front();
      if (!connection->connecting) send_request(*connection);
    }
    static_cast<void>(now);
  }

  [[nodiscard]] Clock::duration patience() const {
    return std::chrono::duration_cast<Clock::duration>(Seconds(options_.patience));
  }

  void give_up(Clock::time_point now) {
    while (!waiting_.empty() && now - waiting_.front() > patience()) {
      ++counts_.given_up;
      waiting_.pop_front();
    }
    while (!deadlines_.empty() && deadlines_.front().at <= now) {
      const Deadline deadline = deadlines_.front();
      deadlines_.pop_front();
      if (!deadline.connection->busy || deadline.connection->request != deadline.request) continue;
      ++counts_.given_up;
      close_connection(*deadline.connection);
    }
  }

  void connect(Connection& connection) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connection.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection.fd < 0) fail_errno("socket");
    const int on = 1;
    setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const int done = ::connect(connection.fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    if (done < 0 && errno != EINPROGRESS) fail_errno("connect");
    connection.connecting = done < 0;
    connection.in.clear();
    epoll_event event{.events = EPOLLIN | (connection.connecting ? std::uint32_t{EPOLLOUT} : 0U),
                      .data = {.ptr = &connection}};
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, connection.fd, &event) < 0) fail_errno("epoll_ctl");
  }

  void close_connection(Connection& connection) {
    ::close(connection.fd);
    connection.fd = -1;
    if (!connection.busy) std::erase(idle_, &connection);
    connection.busy = connection.connecting = false;
    free_.push_back(&connection);
  }

  void send_request(Connection& connection) {
    if (send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL) < 0) {
      ++counts_.broken;
      close_connection(connection);
    }
  }

  void receive(int timeout) {
    epoll_event events[512];
    const int ready = epoll_wait(epoll_, events, 512, timeout);
    for (int i = 0; i < ready; ++i) {
      Connection& connection = *static_cast<Connection*>(events[i].data.ptr);
      if (connection.fd < 0) continue;
      if (connection.connecting) {
        connection.connecting = false;
        epoll_event event{.events = EPOLLIN, .data = {.ptr = &connection}};
        epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
        if (connection.busy) send_request(connection);
        continue;
      }
      read(connection);
    }
  }

  void read(Connection& connection) {
    char buffer[16 * 1024];
    const ssize_t got = recv(connection.fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) {
      if (connection.busy) ++counts_.broken;
      return close_connection(connection);
    }
    connection.in.append(buffer, static_cast<std::size_t>(got));
    const std::size_t head = connection.in.find("\r\n\r\n");
    if (head == std::string::npos) return;
    const std::size_t field = connection.in.find("Content-Length: ");
    const std::size_t length = field < head ? std::strtoul(connection.in.c_str() + field + 16, nullptr, 10) : 0;
    if (connection.in.size() < head + 4 + length) return;
    const auto took =
        static_cast<float>(std::chrono::duration<double, std::milli>(Clock::now() - connection.due).count());
    if (connection.in.starts_with("HTTP/1.1 200")) {
      ++counts_.good;
      counts_.took.push_back(took);
    } else if (connection.in.starts_with("HTTP/1.1 503")) {
      ++counts_.refused;
      counts_.refused_took.push_back(took);
    } else {
      throw std::runtime_error("an unexpected answer: " + connection.in.substr(0, 200));
    }
    const bool closes = connection.in.find("Connection: close") < head;
    connection.in.clear();
    if (closes) return close_connection(connection);
    connection.busy = false;
    idle_.push_back(&connection);
  }

  static double percentile(std::vector<float>& values, double share) {
    if (values.empty()) return 0;
    const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + at, values.end());
    return static_cast<double>(values[static_cast<std::size_t>(at)]);
  }

  void report(std::int64_t cpu) {
    std::printf(
        "{\"rate\": %.0f, \"good_per_second\": %.1f, \"refused_per_second\": %.1f, \"given_up_per_second\": %.1f, "
        "\"broken_per_second\": %.1f, \"p50_ms\": %.2f, \"p99_ms\": %.2f, \"refused_p99_ms\": %.2f, "
        "\"cpu_share\": %.3f}\n",
        static_cast<double>(counts_.due) / options_.seconds, static_cast<double>(counts_.good) / options_.seconds,
        static_cast<double>(counts_.refused) / options_.seconds,
        static_cast<double>(counts_.given_up) / options_.seconds,
        static_cast<double>(counts_.broken) / options_.seconds, percentile(counts_.took, 0.5),
        percentile(counts_.took, 0.99), percentile(counts_.refused_took, 0.99),
        static_cast<double>(cpu) * 1e-9 / options_.seconds);
  }

  struct Deadline {
    Clock::time_point at;
    Connection* connection;
    std::uint64_t request;
  };

  Options options_;
  std::string request_;
  std::vector<Connection> connections_;
  std::vector<Connection*> idle_;
  std::vector<Connection*> free_;
  std::deque<Clock::time_point> waiting_;
  std::deque<Deadline> deadlines_;
  std::uint64_t numbers_ = 0;
  Counts counts_;
  std::mt19937_64 random_{42};
  int epoll_ = -1;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App cli{"Open-model HTTP/1.1 load generator; prints one line of JSON."};
  cli.add_option("port", options.port, "On 127.0.0.1")->required();
  cli.add_option("path", options.path, "Path with query")->required();
  cli.add_option("--rate", options.rate, "Requests a second")->check(CLI::PositiveNumber);
  cli.add_option("--seconds", options.seconds, "How long to measure")->check(CLI::PositiveNumber);
  cli.add_option("--warm-up", options.warm_up, "Seconds of the same load before");
  cli.add_option("--patience", options.patience, "Seconds until a request is given up")->check(CLI::PositiveNumber);
  cli.add_option("--connections", options.connections, "Most connections at once")->check(CLI::Range(1, 30'000));
  cli.add_option("--pid", options.pids, "Process whose CPU time to report, may be repeated");
  CLI11_PARSE(cli, argc, argv);
  try {
    Load(options).run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "open_load: %s\n", error.what());
    return 1;
  }
}
