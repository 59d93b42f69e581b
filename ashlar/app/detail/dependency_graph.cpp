#include <ashlar/app/detail/dependency_graph.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <string_view>

#include <ashlar/app/detail/openapi_writer.hpp>

namespace ashlar::detail {
namespace {

const DependencyInfo* find(const OperationInfo& operation, std::string_view name) {
  const auto at = std::ranges::find(operation.dependencies, name, &DependencyInfo::name);
  return at == operation.dependencies.end() ? nullptr : &*at;
}

// "ashlar::" and how texts are template arguments go without saying.
std::string short_name(std::string_view name) {
  std::string out(name);
  for (std::size_t at = out.find("ashlar::"); at != std::string::npos; at = out.find("ashlar::", at)) out.erase(at, 8);
  for (std::size_t at = out.find("FixedString<"); at != std::string::npos; at = out.find("FixedString<", at)) {
    const std::size_t open = out.find('{', at), close = out.find('}', at);
    if (open == std::string::npos || close == std::string::npos) break;
    out.erase(close, 1).erase(at, open + 1 - at);
  }
  return out;
}

std::string line_of(const DependencyInfo& one) {
  std::vector<std::string> takes;
  for (const auto& type : one.takes) takes.push_back(short_name(type));
  std::string line = fmt::format("{}({}) -> {}", one.name, fmt::join(takes, ", "), short_name(one.result));
  if (one.suspends) line += "  task";
  if (one.cleaned_up_after_answer) line += "  kept until after the answer";
  if (one.once_per_connection) line += "  once a connection";
  return line;
}

class Tree {
 public:
  explicit Tree(const OperationInfo& operation) : operation_(operation) {}

  std::string write() {
    add(operation_.needs, "  ");
    return std::move(out_);
  }

 private:
  void add(const std::vector<std::string>& names, const std::string& indent) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const bool last = i + 1 == names.size();
      const DependencyInfo* const one = find(operation_, names[i]);
      if (one == nullptr) continue;
      const bool again = !shown_.insert(one->name).second;
      out_ += fmt::format("{}{} {}\n", indent, last ? "└─" : "├─", again ? one->name + "  again" : line_of(*one));
      if (!again) add(one->needs, indent + (last ? "   " : "│  "));
    }
  }

  const OperationInfo& operation_;
  std::set<std::string> shown_;
  std::string out_;
};

void write_list(JsonWriter& out, std::string_view name, const std::vector<std::string>& texts) {
  out.key(name).open('[');
  for (const auto& text : texts) out.text(text);
  out.close(']');
}

std::string dot_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

}  // namespace

std::string graph_as_text(std::span<const RouteGraph> routes) {
  std::string out;
  for (const auto& [route, operation] : routes) {
    out += route;
    if (!operation->scopes.empty()) out += fmt::format("  [{}]", fmt::join(operation->scopes, ", "));
    out += '\n';
    out += Tree(*operation).write();
  }
  return out;
}

std::string graph_as_json(std::span<const RouteGraph> routes) {
  JsonWriter out;
  out.open('[');
  for (const auto& [route, operation] : routes) {
    out.open('{').member("route", route);
    write_list(out, "needs", operation->needs);
    write_list(out, "scopes", operation->scopes);
    write_list(out, "resources", operation->resources);
    out.key("dependencies").open('[');
    for (const auto& one : operation->dependencies) {
      out.open('{').member("name", one.name).member("result", one.result);
      write_list(out, "takes", one.takes);
      write_list(out, "needs", one.needs);
      out.key("suspends").raw(one.suspends ? "true" : "false");
      const std::string_view until = one.once_per_connection       ? "with the connection"
                                     : one.cleaned_up_after_answer ? "after the answer"
                                                                   : "before the answer";
      out.member("cleaned_up", until).close('}');
    }
    out.close(']').close('}');
  }
  out.close(']');
  return out.take() + '\n';
}

std::string graph_as_dot(std::span<const RouteGraph> routes) {
  std::set<std::string> nodes, edges;  // a dependency that several routes share is one node
  for (const auto& [route, operation] : routes) {
    nodes.insert(fmt::format("  {} [shape=box];\n", dot_text(route)));
    for (const auto& name : operation->needs)
      edges.insert(fmt::format("  {} -> {};\n", dot_text(route), dot_text(name)));
    for (const auto& one : operation->dependencies) {
      nodes.insert(fmt::format("  {};\n", dot_text(one.name)));
      for (const auto& name : one.needs) edges.insert(fmt::format("  {} -> {};\n", dot_text(one.name), dot_text(name)));
    }
  }
  std::string out = "digraph dependencies {\n  rankdir=LR;\n";
  for (const auto& node : nodes) out += node;
  for (const auto& edge : edges) out += edge;
  return out + "}\n";
}

}  // namespace ashlar::detail
