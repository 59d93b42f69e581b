// A folder of a test's own.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include <ashlar/base/error.hpp>

namespace ashlar::pg::test {

/// A new one, which other users may enter: in memory where there is some, for servers and their tools sync to the disk.
inline std::filesystem::path make_test_folder() {
  std::string folder = (::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") + std::string("/ashlar-test-XXXXXX");
  if (::mkdtemp(folder.data()) == nullptr) throw Internal("cannot make a folder for a test");
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all | std::filesystem::perms::others_exec);
  return folder;
}

}  // namespace ashlar::pg::test
