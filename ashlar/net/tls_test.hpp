// Certificates in a folder of their own, made for a test.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <ashlar/net/detail/issue.hpp>
#include <ashlar/net/tls_context.hpp>

namespace ashlar::net::test {

class TestCertificates {
 public:
  TestCertificates() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    authority_ = detail::issue({.common_name = "Test authority",
                                .not_before = now() - Duration(std::chrono::hours{1}),
                                .not_after = now() + Duration(std::chrono::hours{24 * 30}),
                                .authority = true});
    write("ca.pem", authority_.certificate);
  }
  ~TestCertificates() { std::filesystem::remove_all(folder_); }
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  [[nodiscard]] static DateTime now() { return DateTime::now(); }
  [[nodiscard]] const detail::IssuedCertificate& authority() const { return authority_; }
  [[nodiscard]] std::string path(const std::string& name) const { return folder_ + "/" + name; }
  [[nodiscard]] std::string ca() const { return path("ca.pem"); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::trunc) << text;
    return path(name);
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream file(path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  /// Signed by the authority, as NAME.pem (with the authority behind it) and NAME-key.pem.
  CertificateFiles make(const std::string& name, std::vector<std::string> names,
                        Duration lives = std::chrono::hours{24}) const {
    return make({.common_name = name, .names = std::move(names), .not_after = now() + lives}, name);
  }
  CertificateFiles make(detail::CertificateRequest request, const std::string& name) const {
    request.not_before = now() - Duration(std::chrono::hours{48});
    const auto issued = detail::issue(request, &authority_);
    return {write(name + ".pem", issued.certificate + authority_.certificate), write(name + "-key.pem", issued.key)};
  }

  /// A server's options with a certificate for localhost and 127.0.0.1.
  TlsServerOptions localhost() const {
    const auto files = make("localhost", {"DNS:localhost", "IP:127.0.0.1", "IP:::1"});
    return {.certificate_file = files.certificate_file, .key_file = files.key_file};
  }

 private:
  std::string folder_ = "/tmp/ashlar-tls-XXXXXX";
  detail::IssuedCertificate authority_;
};

}  // namespace ashlar::net::test
