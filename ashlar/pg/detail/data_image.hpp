// Images: data folders as initdb leaves them, kept for later throwaway servers. To copy one takes a tenth of the time.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <ashlar/pg/detail/process.hpp>

namespace ashlar::pg::detail {

/// Where the image of what this command makes is, or would be: below ASHLAR_CACHE_DIR, else XDG_CACHE_HOME/ashlar, else
/// ~/.cache/ashlar. The name says the program (its file's size and time) and its arguments, so that another version has
/// another image. Empty: there is no such folder that is ours alone, or ASHLAR_CACHE_DIR is empty.
std::filesystem::path image_of(const std::filesystem::path& binaries, const std::vector<std::string>& arguments);

/// Copies the image into the folder, for `user`. False: there is none, or it cannot be copied; the folder is empty
/// then.
bool copy_image(const std::filesystem::path& image, const std::filesystem::path& data, const std::optional<User>& user);

/// Makes the image from the folder, unless another program has meanwhile, and removes those that nobody has used for a
/// month. What fails is left out: an image saves time, and no more.
void keep_image(const std::filesystem::path& image, const std::filesystem::path& data) noexcept;

/// For one that has turned out to be broken.
void drop_image(const std::filesystem::path& image) noexcept;

}  // namespace ashlar::pg::detail
