// What the TLS code of this module shares: OpenSSL's objects with an owner, and its errors in words.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/base/time.hpp>

namespace ashlar::net::detail {

template <auto Function>
struct Freed {
  template <class T>
  void operator()(T* object) const noexcept {
    Function(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Freed<&::BIO_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, Freed<&::SSL_CTX_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<&::X509_EXTENSION_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<&::EVP_PKEY_free>>;
using OcspPtr = std::unique_ptr<OCSP_RESPONSE, Freed<&::OCSP_RESPONSE_free>>;
using OcspBasicPtr = std::unique_ptr<OCSP_BASICRESP, Freed<&::OCSP_BASICRESP_free>>;
using OcspIdPtr = std::unique_ptr<OCSP_CERTID, Freed<&::OCSP_CERTID_free>>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Freed<&::SSL_SESSION_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<&::X509_free>>;

/// The reason of an error code: "no shared cipher". 0: "the connection was closed".
[[nodiscard]] std::string reason_of(unsigned long code);
/// The reason of this thread's oldest error; forgets all of them.
[[nodiscard]] std::string take_reason();

/// The whole file. Throws Invalid that begins with `what` and the path: "cannot read the certificate /x: Permission
/// denied; …". Files over 1 MiB are refused: they are none of ours.
[[nodiscard]] std::string read_file(std::string_view what, const std::string& path);

/// All certificates of a PEM text, in order. `path` is for messages. Throws Invalid when there is none or one is
/// broken.
[[nodiscard]] std::vector<X509Ptr> parse_certificates(std::string_view pem, const std::string& path);

[[nodiscard]] DateTime to_date_time(const ASN1_TIME* time);
/// Of the certificate's DER form.
[[nodiscard]] std::string sha256_of(const X509* certificate);
[[nodiscard]] std::string_view view_of(const ASN1_STRING* text) noexcept;

}  // namespace ashlar::net::detail
