// The two text formats of Registry::expose().
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <map>

#include <ashlar/telemetry/metric.hpp>

namespace ashlar::metrics {
namespace {

std::string_view unit_suffix(std::string_view unit, Kind kind) {
  if (unit == "s") return "seconds";
  if (unit == "ms") return "milliseconds";
  if (unit == "By") return "bytes";
  if (unit == "1") return kind == Kind::gauge ? "ratio" : "";
  if (unit == "%") return "percent";
  return "";  // annotations such as {request} are no part of the name
}

void append_name(std::string_view name, std::string& out) {
  for (char c : name) out.push_back(c == '.' || c == '-' ? '_' : c);
}

void append_escaped(std::string_view text, bool quotes, std::string& out) {
  for (char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out.push_back(c);
    }
  }
}

void append_number(double value, std::string& out) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else if (value == std::trunc(value) && std::abs(value) < 1e15) {
    fmt::format_to(std::back_inserter(out), "{}", static_cast<std::int64_t>(value));
  } else {
    char buffer[32];
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }
}

struct Writer {
  Exposition exposition;
  Labels more = {};
  std::string out = {};

  bool openmetrics() const { return exposition == Exposition::openmetrics; }

  void labels(const Series& series, const double* bound) {
    if (series.labels.empty() && more.size() == 0 && bound == nullptr) return;
    char separator = '{';
    const auto label = [&](std::string_view name, std::string_view value) {
      out.push_back(separator);
      append_name(name, out);
      out += "=\"";
      append_escaped(value, true, out);
      out.push_back('"');
      separator = ',';
    };
    for (const auto& [name, value] : series.labels) label(name, value);
    for (const auto& [name, value] : more) {
      const auto same = [&](const auto& one) { return one.first == name; };
      if (std::ranges::none_of(series.labels, same)) label(name, value);
    }
    if (bound != nullptr) {
      out.push_back(separator);
      out += "le=\"";
      append_number(*bound, out);
      // OpenMetrics: "le" in canonical form, "1.0" and not "1".
      if (openmetrics() && *bound == std::trunc(*bound) && !std::isinf(*bound)) out += ".0";
      out.push_back('"');
    }
    out.push_back('}');
  }
  void sample(std::string_view name, std::string_view suffix, const Series& series, double value,
              const double* bound = nullptr) {
    out += name;
    out += suffix;
    labels(series, bound);
    out.push_back(' ');
    append_number(value, out);
    out.push_back('\n');
  }
  void header(std::string_view word, std::string_view name, std::string_view text) {
    out += "# ";
    out += word;
    out.push_back(' ');
    out += name;
    out.push_back(' ');
    append_escaped(text, openmetrics(), out);
    out.push_back('\n');
  }
  void family(const Family& family) {
    std::string name = prometheus_name(family.name, family.unit, family.kind);
    // OpenMetrics names the family of a counter without the _total of its samples.
    std::string_view family_name = name;
    if (openmetrics() && family.kind == Kind::counter) family_name.remove_suffix(std::string_view("_total").size());
    if (!family.help.empty()) header("HELP", family_name, family.help);
    constexpr std::string_view kTypes[] = {"counter", "gauge", "histogram"};
    header("TYPE", family_name, kTypes[static_cast<std::size_t>(family.kind)]);
    if (openmetrics()) {
      std::string_view unit = unit_suffix(family.unit, family.kind);
      if (!unit.empty()) header("UNIT", family_name, unit);
    }
    for (const Series& series : family.series) {
      if (family.kind != Kind::histogram) {
        sample(name, "", series, series.value);
        continue;
      }
      std::uint64_t count = 0;
      for (std::size_t i = 0; i < series.buckets.size(); ++i) {
        count += series.buckets[i];
        double bound = i < family.bounds.size() ? family.bounds[i] : INFINITY;
        sample(name, "_bucket", series, static_cast<double>(count), &bound);
      }
      sample(name, "_sum", series, series.sum);
      sample(name, "_count", series, static_cast<double>(count));
    }
  }
};

bool ends_with_word(std::string_view name, std::string_view word) {
  return name == word || (name.ends_with(word) && name[name.size() - word.size() - 1] == '_');
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

std::string prometheus_name(std::string_view name, std::string_view unit, Kind kind) {
  std::string result;
  append_name(name, result);
  std::string_view total = "_total";
  if (kind == Kind::counter && result.ends_with(total)) result.resize(result.size() - total.size());
  std::string_view suffix = unit_suffix(unit, kind);
  if (!suffix.empty() && !ends_with_word(result, suffix)) {
    result.push_back('_');
    result += suffix;
  }
  if (kind == Kind::counter) result += total;
  return result;
}

Exposition negotiate(std::string_view accept) noexcept {
  double openmetrics = 0;
  double text = 0;
  while (!accept.empty()) {
    std::size_t comma = accept.find(',');
    std::string_view range = accept.substr(0, comma);
    accept.remove_prefix(comma == accept.npos ? accept.size() : comma + 1);
    std::size_t semicolon = range.find(';');
    std::string_view type = trimmed(range.substr(0, semicolon));
    double quality = 1;
    while (semicolon != range.npos) {
      range.remove_prefix(semicolon + 1);
      semicolon = range.find(';');
      std::string_view parameter = trimmed(range.substr(0, semicolon));
      if (parameter.starts_with("q=")) {
        std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), quality);
      }
    }
    if (type == "application/openmetrics-text") openmetrics = std::max(openmetrics, quality);
    if (type == "text/plain") text = std::max(text, quality);
  }
  return openmetrics > 0 && openmetrics >= text ? Exposition::openmetrics : Exposition::prometheus;
}

std::string_view content_type(Exposition exposition) noexcept {
  return exposition == Exposition::openmetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                               : "text/plain; version=0.0.4; charset=utf-8";
}

std::string Registry::expose(Exposition exposition, Labels more) const {
  Writer writer{.exposition = exposition, .more = more};
  for (const Family& family : snapshot()) writer.family(family);
  if (exposition == Exposition::openmetrics) writer.out += "# EOF\n";
  return std::move(writer.out);
}

std::string merge_expositions(std::span<const std::string> texts, Exposition exposition) {
  struct Block {
    std::string_view header;  // of the first text that has the family
    std::string samples;
  };
  std::map<std::string_view, Block> families;
  for (std::string_view text : texts) {
    Block* block = nullptr;
    std::string_view family;
    bool first = false;
    while (!text.empty()) {
      const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
      text.remove_prefix(line.size());
      if (!line.starts_with("# ")) {
        if (block != nullptr) block->samples += line;
        continue;
      }
      const std::size_t name = line.find(' ', 2);
      if (name == line.npos) continue;  // # EOF
      const std::string_view named = line.substr(name + 1, line.find_first_of(" \n", name + 1) - name - 1);
      if (block == nullptr || named != family) {
        family = named;
        const auto [at, added] = families.try_emplace(named);
        block = &at->second;
        first = added;
        if (first) block->header = line;
      } else if (first) {
        block->header = {block->header.data(),
                         static_cast<std::size_t>(line.data() + line.size() - block->header.data())};
      }
    }
  }
  std::string out;
  for (const auto& [name, block] : families) {
    out += block.header;
    out += block.samples;
  }
  if (exposition == Exposition::openmetrics) out += "# EOF\n";
  return out;
}

}  // namespace ashlar::metrics
