#include <ashlar/net/detail/openssl.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include <ashlar/base/error.hpp>
#include <ashlar/net/socket.hpp>

namespace ashlar::net::detail {
namespace {

constexpr std::size_t kMostBytes = 1024 * 1024;

[[noreturn]] void cannot_read(std::string_view what, const std::string& path, int error) {
  const char* hint = error == ENOENT   ? "; is the path right, and seen from the working directory?"
                     : error == EACCES ? "; let the user that runs this program read it"
                                       : "";
  throw Invalid(fmt::format("cannot read the {} {}: {}{}", what, path, std::strerror(error), hint));
}

}  // namespace

std::string reason_of(unsigned long code) {
  if (code == 0) return "the connection was closed";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  if (const char* reason = ::ERR_reason_error_string(code); reason != nullptr) return reason;
  std::array<char, 256> text{};
  ::ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

std::string take_reason() {
  std::string reason = reason_of(::ERR_get_error());
  ::ERR_clear_error();
  return reason;
}

std::string read_file(std::string_view what, const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) cannot_read(what, path, errno);
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) cannot_read(what, path, errno);
  if (S_ISDIR(about.st_mode)) cannot_read(what, path, EISDIR);
  std::string text;
  std::array<char, 16 * 1024> piece;
  for (;;) {
    const ssize_t got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) cannot_read(what, path, errno);
    if (got == 0) return text;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > kMostBytes) throw Invalid(fmt::format("the {} {} is larger than 1 MiB", what, path));
  }
}

std::vector<X509Ptr> parse_certificates(std::string_view pem, const std::string& path) {
  const BioPtr source(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<X509Ptr> found;
  ::ERR_clear_error();
  while (X509* one = ::PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr)) found.emplace_back(one);
  // The end of the text is an error, too: no further line begins a certificate.
  const unsigned long error = ::ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!ended) {
    throw Invalid(fmt::format("{}: certificate {} is broken: {}", path, found.size() + 1, take_reason()));
  }
  ::ERR_clear_error();
  if (found.empty()) {
    throw Invalid(
        fmt::format("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); to convert one in "
                    "DER form: openssl x509 -inform der -in {} -out FILE",
                    path, path));
  }
  return found;
}

DateTime to_date_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ::ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000};
}

std::string sha256_of(const X509* certificate) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  if (::X509_digest(certificate, ::EVP_sha256(), reinterpret_cast<unsigned char*>(digest.data()), &size) != 1) size = 0;
  digest.resize(size);
  return digest;
}

std::string_view view_of(const ASN1_STRING* text) noexcept {
  return {reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(::ASN1_STRING_length(text))};
}

}  // namespace ashlar::net::detail
