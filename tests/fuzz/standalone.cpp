// Runs a fuzz target without libFuzzer: over its seeds, and over what a few simple changes make of them, the same in
// every run. What the tests do in every build; ./x fuzz searches further.
//   NAME_fuzz [-runs=N] FILE|FOLDER...      N: of changed inputs (default 20 000, but no more than two seconds); 0:
//   only the files
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#include <sanitizer/common_interface_defs.h>
#define ASHLAR_DIES_BY_SANITIZER 1
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

const std::string* current = nullptr;  // the input that is running
std::string crash_file;

// Only calls that a signal handler may make.
void keep_current() {
  if (current == nullptr) return;
  const int file = ::open(crash_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  const bool kept = ::write(file, current->data(), current->size()) == static_cast<ssize_t>(current->size());
  ::close(file);
  current = nullptr;
  constexpr std::string_view kSaid = "\nThe input that did it is in ";
  constexpr std::string_view kRepeat = "; give that file to this program to repeat it.\n";
  if (!kept) return;
  for (const std::string_view text : {kSaid, std::string_view(crash_file), kRepeat}) {
    if (::write(STDERR_FILENO, text.data(), text.size()) < 0) return;
  }
}

void on_signal(int number) {
  keep_current();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void watch_for_crashes(const char* program) {
  crash_file = std::string(program) + ".crash";
#if defined(ASHLAR_DIES_BY_SANITIZER)
  __sanitizer_set_death_callback(keep_current);
  for (const int number : {SIGABRT, SIGALRM}) std::signal(number, on_signal);
#else
  for (const int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) std::signal(number, on_signal);
#endif
}

void run(const std::string& input) {
  current = &input;
  ::alarm(20);  // a target that hangs is one that fails
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  ::alarm(0);
  current = nullptr;
}

std::vector<std::string> read_all(const std::vector<std::string>& places) {
  std::vector<std::filesystem::path> files;
  for (const std::string& place : places) {
    if (std::filesystem::is_directory(place)) {
      for (const auto& entry : std::filesystem::directory_iterator(place)) files.push_back(entry.path());
    } else {
      files.emplace_back(place);
    }
  }
  std::ranges::sort(files);  // a folder's order is the file system's
  std::vector<std::string> inputs;
  for (const auto& file : files) {
    std::ifstream stream(file, std::ios::binary);
    if (!stream) {
      std::fprintf(stderr, "cannot read %s\n", file.c_str());
      std::exit(2);
    }
    inputs.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return inputs;
}

// SplitMix64: the same numbers everywhere.
class Numbers {
 public:
  std::size_t below(std::size_t bound) noexcept {
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return bound == 0 ? 0 : (x ^ (x >> 31)) % bound;
  }

 private:
  std::uint64_t state_ = 1;
};

// Bytes that grammars of texts turn on, and the edges of number ranges.
constexpr char kTellingBytes[] = "\r\n\0\t :;,=%&+-./?#@[]{}\"\\<>'()0189afAFxXzZ\x1f\x7f\x80\xbf\xc0\xff";
constexpr std::string_view kTelling(kTellingBytes, sizeof kTellingBytes - 1);

void change(std::string& input, const std::vector<std::string>& seeds, Numbers& numbers) {
  const std::size_t at = numbers.below(input.size() + 1);
  switch (numbers.below(7)) {
    case 0:
      input.resize(at);
      return;
    case 1:
      input.insert(at, 1, kTelling[numbers.below(kTelling.size())]);
      return;
    case 2:
      if (at < input.size()) input[at] = kTelling[numbers.below(kTelling.size())];
      return;
    case 3:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << numbers.below(8)));
      return;
    case 4:
      input.erase(at, 1 + numbers.below(8));
      return;
    case 5:  // a piece once more
      input.insert(numbers.below(input.size() + 1), input.substr(at, 1 + numbers.below(32)));
      return;
    default: {  // continued as another seed
      const std::string& other = seeds[numbers.below(seeds.size())];
      input.replace(at, std::string::npos, other, numbers.below(other.size() + 1), std::string::npos);
      return;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t runs = 20'000;
  std::vector<std::string> places;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("-runs=")) {
      runs = std::strtoull(argv[i] + 6, nullptr, 10);
    } else if (argument.starts_with('-')) {
      std::fprintf(stderr, "Usage: %s [-runs=N] FILE|FOLDER...\n", argv[0]);
      return 2;
    } else {
      places.emplace_back(argument);
    }
  }
  const std::vector<std::string> seeds = read_all(places);
  if (seeds.empty()) {
    std::fprintf(stderr, "%s: there are no seeds; put some into fuzz_corpus/\n", argv[0]);
    return 2;
  }
  watch_for_crashes(argv[0]);

  run({});
  for (const std::string& seed : seeds) run(seed);
  Numbers numbers;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{2};
  std::size_t done = 0;
  for (; done < runs && std::chrono::steady_clock::now() < until; ++done) {
    std::string input = seeds[done % seeds.size()];
    for (std::size_t changes = 1 + numbers.below(4); changes > 0; --changes) change(input, seeds, numbers);
    if (input.size() > 64 * 1024) input.resize(64 * 1024);
    run(input);
  }
  std::printf("%zu seeds and %zu changed inputs\n", seeds.size(), done);
  return 0;
}
