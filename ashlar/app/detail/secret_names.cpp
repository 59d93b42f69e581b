#include <ashlar/app/detail/secret_names.hpp>

#include <algorithm>

#include <ashlar/base/secret.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/schema/mask.hpp>
#include <ashlar/telemetry/log.hpp>

namespace ashlar::detail {
namespace {

// The next segment, up to a slash, which goes with it.
std::string_view take_segment(std::string_view& path) noexcept {
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(std::min(segment.size() + 1, path.size()));
  return segment;
}

}  // namespace

void SecretNames::add(std::string_view name) {
  if (!name.empty()) names_.insert(to_lower_ascii(name));
}

void SecretNames::add_secrets_of(const schema::TypeInfo& type) {
  for (const std::string& name : schema::secret_names(type)) add(name);
}

bool SecretNames::contains(std::string_view name) const {
  return log::is_sensitive(name) || (!names_.empty() && names_.contains(to_lower_ascii(name)));
}

std::string mask_path(std::string_view path, std::string_view pattern, const SecretNames& secret) {
  std::string out;
  while (!path.empty()) {
    const std::string_view left = path;
    std::string_view segment = take_segment(path);
    std::string_view name = take_segment(pattern);
    bool separated = segment.size() < left.size();
    if (name.starts_with('{') && name.ends_with('}')) {
      name = name.substr(1, name.size() - 2);
      if (name.ends_with(":path")) {
        name.remove_suffix(5);
        segment = left;
        path = {};
        separated = false;
      }
      if (secret.contains(name)) segment = Secret<>::kMask;
    }
    out += segment;
    if (separated) out += '/';
  }
  return out;
}

}  // namespace ashlar::detail
