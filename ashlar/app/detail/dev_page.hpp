// DevPage: while a program is being worked on (`ashlar dev`), the page with what is broken, in place of the program's
// own.
#pragma once

#include <memory>
#include <string>

#include <ashlar/app/middleware.hpp>

namespace ashlar::detail {

/// While there is a file, requests of browsers for a page are answered with it (503); everything else goes to the
/// program, whose last good version serves on. The file is read for each, and one that cannot be read is as good as
/// none: it is for one developer's machine.
class DevPage final : public Middleware {
 public:
  explicit DevPage(std::string file) : file_(std::move(file)) {}
  /// Of the file that ASHLAR_DEV_PAGE names; null when it is not set.
  [[nodiscard]] static std::shared_ptr<DevPage> from_environment();
  bool before(http::Exchange& exchange) override;

 private:
  std::string file_;
};

}  // namespace ashlar::detail
