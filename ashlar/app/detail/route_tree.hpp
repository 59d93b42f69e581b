// Finds the route of a path. Built once, then read by all loops.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/app/call.hpp>

namespace ashlar::detail {

/// A tree of path segments. A static segment wins over a parameter, a parameter over the rest of the path; a branch
/// that leads nowhere is left again.
class RouteTree {
 public:
  RouteTree();
  ~RouteTree();
  RouteTree(RouteTree&&) noexcept;
  RouteTree& operator=(RouteTree&&) noexcept;

  /// Throws Invalid when the method and an equal pattern are there already, or one with another parameter name in the
  /// same place.
  void add(const Route& route);

  struct Match {
    const Route* route = nullptr;  ///< null: see `allowed`
    std::uint32_t allowed = 0;     ///< the path is known: its methods, a bit each by http::Method; 0: unknown path
    std::uint32_t values = 0;      ///< how many path values were found
  };
  /// `values` get the raw (still percent-encoded) parameters, in order.
  [[nodiscard]] Match find(http::Method method, std::string_view path,
                           std::array<std::string_view, kMaxPathParameters>& values) const noexcept;

 private:
  struct Node;
  static const Node* walk(const Node& node, std::string_view rest,
                          std::array<std::string_view, kMaxPathParameters>& values, std::uint32_t& count) noexcept;
  std::unique_ptr<Node> root_;
};

/// "GET, HEAD, POST" of a bit set, for Allow.
std::string allow_text(std::uint32_t methods);

}  // namespace ashlar::detail
