#include <ashlar/net/development_certificate.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/certificate.hpp>
#include <ashlar/net/detail/issue.hpp>
#include <ashlar/net/detail/openssl.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::net {
namespace {

using std::chrono::days;

constexpr days kAuthorityLife{3650};
constexpr days kCertificateLife{90};
constexpr days kRenewBefore{30};

[[noreturn]] void cannot_write(const std::string& path, int error) {
  throw Unavailable(
      fmt::format("cannot keep the development certificate in {}: {}; start the program in a folder that "
                  "it may write to, or give certificates of your own",
                  path, std::strerror(error)));
}

// Whole or not at all, and never readable by others in between.
void write_file(const std::string& path, std::string_view text, mode_t mode) {
  const std::string beside = path + ".new";
  ::unlink(beside.c_str());
  {
    const Fd file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) cannot_write(path, errno);
    while (!text.empty()) {
      const ssize_t put = ::write(file.get(), text.data(), text.size());
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) cannot_write(path, errno);
      text.remove_prefix(static_cast<std::size_t>(put));
    }
    if (::fsync(file.get()) != 0) cannot_write(path, errno);
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) cannot_write(path, errno);
}

// The pair, if it is there, belongs together, and is good for a while.
std::optional<detail::IssuedCertificate> usable(const std::string& certificate, const std::string& key, DateTime now) {
  try {
    detail::IssuedCertificate found{detail::read_file("certificate", certificate), detail::read_file("key", key)};
    const auto loaded = detail::load_certificate(certificate, key, {});
    if (loaded.not_after > now + Duration(kRenewBefore)) return found;
  } catch (const Invalid&) {
    // Missing or of no use: made anew.
  }
  return std::nullopt;
}

}  // namespace

DevelopmentCertificate development_certificate(const std::string& folder, DateTime now) {
  DevelopmentCertificate made{folder + "/localhost.pem", folder + "/localhost-key.pem", folder + "/authority.pem"};
  const std::string authority_key = folder + "/authority-key.pem";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) cannot_write(folder, error.value());
  ::chmod(folder.c_str(), 0700);
  const Fd lock(::open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) cannot_write(folder, errno);

  const DateTime from = now - Duration(std::chrono::hours{1});  // clocks of virtual machines and containers differ
  auto authority = usable(made.authority_file, authority_key, now);
  if (!authority) {
    authority = detail::issue({.common_name = "Ashlar development authority of this machine",
                               .not_before = from,
                               .not_after = now + Duration(kAuthorityLife),
                               .authority = true,
                               .permitted = {"DNS:localhost", "IP:127.0.0.0/255.0.0.0",
                                             "IP:0:0:0:0:0:0:0:1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}});
    write_file(authority_key, authority->key, 0600);
    write_file(made.authority_file, authority->certificate, 0644);
    made.made_authority = true;
  }
  const auto current = usable(made.certificate_file, made.key_file, now);
  if (!current || !current->certificate.ends_with(authority->certificate)) {
    const auto own = detail::issue({.common_name = "localhost",
                                    .names = {"DNS:localhost", "IP:127.0.0.1", "IP:::1"},
                                    .not_before = from,
                                    .not_after = now + Duration(kCertificateLife)},
                                   &*authority);
    write_file(made.key_file, own.key, 0600);
    write_file(made.certificate_file, own.certificate + authority->certificate, 0644);
  }
  return made;
}

}  // namespace ashlar::net
