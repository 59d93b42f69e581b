// What the kernel knows of this process: proc(5), getrlimit(2).
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>

#include <ashlar/telemetry/log.hpp>
#include <ashlar/telemetry/metric.hpp>

namespace ashlar::metrics {
namespace {

std::string read_file(const char* path) {
  std::string text;
  int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<std::size_t>(n));
  ::close(fd);
  return text;
}

double number(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Field numbers of proc_pid_stat(5), from 3 on: the program's name, field 2, may hold anything up to its last ')'.
double stat_field(std::string_view stat, int field) {
  std::size_t end = stat.rfind(')');
  if (end == stat.npos) return 0;
  stat.remove_prefix(std::min(end + 2, stat.size()));
  for (int i = 3; i < field; ++i) stat.remove_prefix(std::min(stat.find(' '), stat.size() - 1) + 1);
  return number(stat);
}

double boot_time() {
  std::string stat = read_file("/proc/stat");
  std::size_t at = stat.find("\nbtime ");
  return at == stat.npos ? 0 : number(std::string_view(stat).substr(at + 7));
}

double open_fds() {
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int count = 0;
  while (const dirent* entry = ::readdir(directory)) count += entry->d_name[0] != '.';
  ::closedir(directory);
  return count - 1;  // the directory's own
}

void collect_process_values(Collector& out) {
  std::string stat = read_file("/proc/self/stat");
  double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  if (!stat.empty()) {
    static const double boot = boot_time();
    out.gauge({.name = "process.start_time", .help = "Start of the process, since 1970.", .unit = "s"},
              boot + stat_field(stat, 22) / ticks);
    out.gauge({.name = "process.threads", .help = "Threads of the process."}, stat_field(stat, 20));
    out.gauge({.name = "process.virtual_memory", .help = "Size of the address space.", .unit = "By"},
              stat_field(stat, 23));
    out.gauge({.name = "process.resident_memory", .help = "Memory in RAM.", .unit = "By"},
              stat_field(stat, 24) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  }
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
    };
    out.counter({.name = "process.cpu", .help = "User and system CPU time.", .unit = "s"},
                seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  out.gauge({.name = "process.open_fds", .help = "Open file descriptors."}, open_fds());
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    out.gauge({.name = "process.max_fds", .help = "File descriptors the process may open."},
              static_cast<double>(limit.rlim_cur));
  }
  out.counter({.name = "ashlar.log.lines_dropped", .help = "Log lines lost: standard output could not keep up."},
              static_cast<double>(log::stats().dropped));
}

}  // namespace

Registry::Collection collect_process(Registry& registry) { return registry.collect(collect_process_values); }

}  // namespace ashlar::metrics
