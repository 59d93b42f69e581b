#include <ashlar/testing/snapshot.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>

#include <ashlar/base/error.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/base/time.hpp>
#include <ashlar/base/uuid.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar::testing {
namespace {

using schema::Tree;

constexpr std::size_t kMostCompared = 4'000;  // lines of each side that the smallest difference is looked for in

void mask(Tree& value, const SnapshotMasks& masks) {
  if (value.kind == Tree::Kind::text) {
    // An id has its hyphens and a time its T: digits alone are data.
    const bool is_id = masks.ids && value.text.size() == 36 && Uuid::parse(value.text);
    const bool is_time = masks.times && value.text.size() >= 19 && value.text[10] == 'T' && DateTime::parse(value.text);
    if (is_id || is_time) value.text = "<masked>";
  }
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const bool named = value.kind == Tree::Kind::object && std::ranges::count(masks.members, value.names[i]) != 0;
    if (named) {
      value.items[i] = Tree::of_text("<masked>");
    } else {
      mask(value.items[i], masks);
    }
  }
}

void write(const Tree& value, std::size_t depth, std::string& out) {
  if (value.items.empty()) return value.write(out);
  const bool is_object = value.kind == Tree::Kind::object;
  out += is_object ? '{' : '[';
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    out += i == 0 ? "\n" : ",\n";
    out.append(2 * (depth + 1), ' ');
    if (is_object) {
      schema::append_json_string(value.names[i], out);
      out += ": ";
    }
    write(value.items[i], depth + 1, out);
  }
  out += '\n';
  out.append(2 * depth, ' ');
  out += is_object ? '}' : ']';
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// The longest lines in common stay, with two of them around each change for orientation.
std::string difference(std::string_view before, std::string_view after) {
  auto was = lines_of(before), is = lines_of(after);
  // As diff says it; between two texts that end alike it is no difference.
  const bool was_ended = before.ends_with('\n'), is_ended = after.ends_with('\n');
  if (was_ended != is_ended && !before.empty() && !after.empty())
    (was_ended ? is : was).emplace_back("\\ no newline at the end");
  if (was.size() > kMostCompared || is.size() > kMostCompared)
    return fmt::format("  {} lines were {} lines before\n", is.size(), was.size());
  const std::size_t width = is.size() + 1;
  std::vector<std::uint16_t> common((was.size() + 1) * width);  // in what follows each pair of places
  for (std::size_t i = was.size(); i-- > 0;) {
    for (std::size_t j = is.size(); j-- > 0;) {
      common[i * width + j] = was[i] == is[j] ? static_cast<std::uint16_t>(common[(i + 1) * width + j + 1] + 1)
                                              : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
    }
  }
  struct Line {
    char mark;
    std::string_view text;
  };
  std::vector<Line> all;
  for (std::size_t i = 0, j = 0; i < was.size() || j < is.size();) {
    if (i < was.size() && j < is.size() && was[i] == is[j]) {
      all.push_back({' ', was[i]});
      ++i, ++j;
    } else if (i < was.size() && (j == is.size() || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      all.push_back({'-', was[i++]});
    } else {
      all.push_back({'+', is[j++]});
    }
  }
  std::string out;
  bool skipped = false;
  for (std::size_t k = 0; k < all.size(); ++k) {
    const auto from = all.begin() + static_cast<std::ptrdiff_t>(k - std::min<std::size_t>(k, 2));
    const auto to = all.begin() + static_cast<std::ptrdiff_t>(std::min(k + 3, all.size()));
    const bool near = std::any_of(from, to, [](const Line& line) { return line.mark != ' '; });
    if (!near) {
      skipped = true;
      continue;
    }
    if (skipped) out += "  …\n";
    skipped = false;
    out += fmt::format("{} {}\n", all[k].mark, all[k].text);
  }
  return out;
}

// Build tools name a source file from the folder that they build in, and tests run in any other: it is looked for from
// the folders above the program, too.
std::filesystem::path folder_of(const char* source_file) {
  std::filesystem::path folder = std::filesystem::path(source_file).parent_path();
  std::error_code error;
  if (folder.is_absolute() || std::filesystem::exists(source_file, error)) return folder;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  for (auto above = program.parent_path(); above.has_relative_path(); above = above.parent_path()) {
    if (std::filesystem::exists(above / source_file, error)) return (above / folder).lexically_normal();
  }
  return folder;
}

std::string compare(const std::string& file_name, const std::string& text, const char* source_file) {
  const bool good = !file_name.empty() && file_name.front() != '.' && std::ranges::all_of(file_name, [](char c) {
    return is_alpha_ascii(c) || is_digit_ascii(c) || c == '-' || c == '_' || c == '.';
  });
  if (!good) throw Invalid(fmt::format("a snapshot's name is letters, digits, '-', '_' and '.': {}", file_name));
  const std::filesystem::path folder = folder_of(source_file) / "snapshots";
  const std::filesystem::path path = folder / file_name;
  const char* const update = std::getenv("ASHLAR_UPDATE_SNAPSHOTS");
  std::optional<std::string> before;
  if (std::ifstream file(path, std::ios::binary); file) {
    before.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (file.bad()) throw Unavailable(fmt::format("cannot read {}", path.string()));
  }
  if (before == text) return {};
  if (update != nullptr && std::string_view(update) == "1") {
    std::error_code ignored;  // told when the file cannot be written
    std::filesystem::create_directories(folder, ignored);
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.flush();
    if (!file) throw Unavailable(fmt::format("cannot write {}", path.string()));
    return {};
  }
  return fmt::format("{} {}; ASHLAR_UPDATE_SNAPSHOTS=1 writes it:\n{}", path.string(),
                     before ? "differs" : "is not there", difference(before.value_or(""), text));
}

}  // namespace

std::string snapshot(std::string_view name, std::string_view json, const SnapshotMasks& masks,
                     const char* source_file) {
  auto tree = schema::parse_tree(json);
  if (!tree) throw Invalid(fmt::format("the snapshot {} is of no JSON: {}", name, json.substr(0, 200)));
  mask(*tree, masks);
  std::string text;
  write(*tree, 0, text);
  text += '\n';
  return compare(fmt::format("{}.json", name), text, source_file);
}

std::string text_snapshot(std::string_view name, std::string_view text, const char* source_file) {
  return compare(std::string(name), std::string(text), source_file);
}

}  // namespace ashlar::testing
