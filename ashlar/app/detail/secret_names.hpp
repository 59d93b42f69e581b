// SecretNames: what is never shown of a request and its answer, by name.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include <ashlar/schema/type_info.hpp>

namespace ashlar::detail {

/// Names whose values never show: those of log::is_sensitive(), and those that are added here. Case does not matter.
class SecretNames {
 public:
  void add(std::string_view name);
  /// All members of a type, and of what is in it, that are a Secret<T>.
  void add_secrets_of(const schema::TypeInfo& type);
  [[nodiscard]] bool contains(std::string_view name) const;
  bool operator()(std::string_view name) const { return contains(name); }

 private:
  std::set<std::string, std::less<>> names_;  // lower case
};

/// A path without what stands for the secret parameters of its route's pattern, "/reset/{token}".
[[nodiscard]] std::string mask_path(std::string_view path, std::string_view pattern, const SecretNames& secret);

}  // namespace ashlar::detail
