#include <ashlar/app/detail/route_tree.hpp>

#include <fmt/format.h>

#include <ashlar/base/error.hpp>

namespace ashlar::detail {

struct RouteTree::Node {
  std::string segment;                          // of a static node
  std::vector<std::unique_ptr<Node>> children;  // static ones
  std::unique_ptr<Node> parameter;
  std::unique_ptr<Node> rest;
  std::array<const Route*, 10> routes{};  // by method
  std::uint32_t methods = 0;
};

RouteTree::RouteTree() : root_(std::make_unique<Node>()) {}
RouteTree::~RouteTree() = default;
RouteTree::RouteTree(RouteTree&&) noexcept = default;
RouteTree& RouteTree::operator=(RouteTree&&) noexcept = default;

void RouteTree::add(const Route& route) {
  Node* node = root_.get();
  std::string_view rest = route.pattern;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // '/'
    const auto end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    rest.remove_prefix(end);
    std::unique_ptr<Node>* next = nullptr;
    if (segment.starts_with('{')) {
      next = segment.ends_with(":path}") ? &node->rest : &node->parameter;
    } else {
      for (auto& child : node->children) {
        if (child->segment == segment) next = &child;
      }
      if (next == nullptr) {
        next = &node->children.emplace_back(std::make_unique<Node>());
        (*next)->segment = segment;
      }
    }
    if (*next == nullptr) *next = std::make_unique<Node>();
    node = next->get();
  }
  const Route*& place = node->routes[static_cast<std::size_t>(route.method)];
  if (place != nullptr) {
    throw Invalid(fmt::format("two routes answer {}: the other one is {}; remove one or change its path", route.name,
                              place->name));
  }
  place = &route;
  node->methods |= 1U << static_cast<unsigned>(route.method);
}

const RouteTree::Node* RouteTree::walk(const Node& node, std::string_view rest,
                                       std::array<std::string_view, kMaxPathParameters>& values,
                                       std::uint32_t& count) noexcept {
  if (rest.empty()) return node.methods != 0 ? &node : nullptr;
  rest.remove_prefix(1);
  const auto end = std::min(rest.find('/'), rest.size());
  const std::string_view segment = rest.substr(0, end);
  const std::string_view after = rest.substr(end);
  for (const auto& child : node.children) {
    if (child->segment == segment) {
      if (const Node* found = walk(*child, after, values, count)) return found;
      break;
    }
  }
  if (node.parameter != nullptr && !segment.empty()) {
    const std::uint32_t mark = count;
    values[count++] = segment;
    if (const Node* found = walk(*node.parameter, after, values, count)) return found;
    count = mark;
  }
  if (node.rest != nullptr && !rest.empty()) {
    values[count++] = rest;
    return node.rest.get();
  }
  return nullptr;
}

RouteTree::Match RouteTree::find(http::Method method, std::string_view path,
                                 std::array<std::string_view, kMaxPathParameters>& values) const noexcept {
  Match match;
  if (path.empty() || path.front() != '/') return match;
  const Node* node = walk(*root_, path, values, match.values);
  if (node == nullptr) return match;
  match.allowed = node->methods;
  match.route = node->routes[static_cast<std::size_t>(method)];
  // A GET answers HEAD too; the server sends no body for it (RFC 9110, 9.3.2).
  if (match.route == nullptr && method == http::Method::head) {
    match.route = node->routes[static_cast<std::size_t>(http::Method::get)];
  }
  return match;
}

std::string allow_text(std::uint32_t methods) {
  if ((methods & (1U << static_cast<unsigned>(http::Method::get))) != 0) {
    methods |= 1U << static_cast<unsigned>(http::Method::head);
  }
  methods |= 1U << static_cast<unsigned>(http::Method::options);
  std::string text;
  for (unsigned i = 0; i < 9; ++i) {
    if ((methods & (1U << i)) == 0) continue;
    if (!text.empty()) text += ", ";
    text += http::to_string(static_cast<http::Method>(i));
  }
  return text;
}

}  // namespace ashlar::detail
