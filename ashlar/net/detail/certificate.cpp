#include <ashlar/net/detail/certificate.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/identity.hpp>

namespace ashlar::net::detail {
namespace {

constexpr long kClockSkew = 300;  // seconds

// OpenSSL would ask for a pass phrase on the terminal.
int no_pass_phrase(char*, int, int, void* asked) noexcept {
  *static_cast<bool*>(asked) = true;
  return -1;
}

KeyPtr parse_key(std::string_view pem, const std::string& path) {
  const BioPtr source(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  bool encrypted = false;
  ::ERR_clear_error();
  KeyPtr key(::PEM_read_bio_PrivateKey(source.get(), nullptr, &no_pass_phrase, &encrypted));
  if (key) return key;
  if (encrypted) {
    throw Invalid(
        fmt::format("the key {} is encrypted; keep it readable by this program's user only, and take the pass "
                    "phrase off: openssl pkey -in {} -out FILE",
                    path, path));
  }
  throw Invalid(
      fmt::format("{} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----): {}", path, take_reason()));
}

void check_match(const Certificate& certificate, const std::string& key_file) {
  const auto fits = [&](const X509Ptr& one) {
    return ::EVP_PKEY_eq(::X509_get0_pubkey(one.get()), certificate.key.get()) == 1;
  };
  if (fits(certificate.own)) return;
  ::ERR_clear_error();
  if (std::ranges::any_of(certificate.chain, fits)) {
    throw Invalid(
        fmt::format("{}: the key {} belongs to a later certificate of the file; the server's own must come "
                    "first, then its issuers",
                    certificate.file, key_file));
  }
  throw Invalid(fmt::format("the key {} does not belong to the certificate {}; use the two that were made together",
                            key_file, certificate.file));
}

void check_time(const Certificate& certificate) {
  const DateTime now = DateTime::now();
  if (certificate.not_after <= now) {
    throw Invalid(
        fmt::format("the certificate {} expired at {}; renew it", certificate.file, certificate.not_after.to_string()));
  }
  const DateTime from = to_date_time(::X509_get0_notBefore(certificate.own.get()));
  if (from > now + Duration(std::chrono::seconds(kClockSkew))) {
    throw Invalid(fmt::format("the certificate {} is not valid before {}; is the clock of this machine right?",
                              certificate.file, from.to_string()));
  }
}

const X509* issuer_of(const Certificate& certificate) noexcept {
  for (const X509Ptr& one : certificate.chain) {
    if (::X509_check_issued(one.get(), certificate.own.get()) == X509_V_OK) return one.get();
  }
  return nullptr;
}

void load_ocsp(Certificate& certificate, const std::string& path) {
  std::string der = read_file("OCSP answer", path);
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const OcspPtr response(::d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  const OcspBasicPtr basic(response ? ::OCSP_response_get1_basic(response.get()) : nullptr);
  ::ERR_clear_error();
  if (!basic || ::OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    throw Invalid(
        fmt::format("{} is no OCSP answer in DER form, or one that says nothing; get it with: openssl ocsp "
                    "-issuer CHAIN -cert {} -url RESPONDER -respout {}",
                    path, certificate.file, path));
  }
  const X509* const issuer = issuer_of(certificate);
  if (issuer == nullptr) {
    throw Invalid(
        fmt::format("{}: the issuer's certificate must follow the server's own, or the OCSP answer {} cannot "
                    "be checked",
                    certificate.file, path));
  }
  // Responders choose the hash of the id: look for the certificate by its serial number and the issuer by each.
  for (int i = 0; i < ::OCSP_resp_count(basic.get()); ++i) {
    OCSP_SINGLERESP* const single = ::OCSP_resp_get0(basic.get(), i);
    const OCSP_CERTID* const id = ::OCSP_SINGLERESP_get0_id(single);
    ASN1_OBJECT* hash = nullptr;
    ::OCSP_id_get0_info(nullptr, &hash, nullptr, nullptr, const_cast<OCSP_CERTID*>(id));
    const EVP_MD* const digest = ::EVP_get_digestbyobj(hash);
    if (digest == nullptr) continue;
    const OcspIdPtr own(::OCSP_cert_to_id(digest, certificate.own.get(), issuer));
    if (!own || ::OCSP_id_cmp(own.get(), id) != 0) continue;
    ASN1_GENERALIZEDTIME* next_update = nullptr;
    int reason = 0;
    const int status = ::OCSP_single_get0_status(single, &reason, nullptr, nullptr, &next_update);
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
      throw Invalid(fmt::format("the certificate {} is revoked, says {}; replace it", certificate.file, path));
    }
    certificate.ocsp = std::move(der);
    certificate.ocsp_until = next_update != nullptr ? to_date_time(next_update) : certificate.not_after;
    return;
  }
  throw Invalid(fmt::format("the OCSP answer {} is not about the certificate {}", path, certificate.file));
}

STACK_OF(X509) * borrowed(const std::vector<X509Ptr>& chain) {
  STACK_OF(X509)* const stack = sk_X509_new_null();
  for (const X509Ptr& one : chain) sk_X509_push(stack, one.get());
  return stack;
}

}  // namespace

void Certificate::use_in(SSL_CTX* context) const {
  STACK_OF(X509)* const stack = borrowed(chain);
  const int used = ::SSL_CTX_use_cert_and_key(context, own.get(), key.get(), stack, 1);
  sk_X509_free(stack);
  if (used != 1) throw Invalid(fmt::format("cannot use the certificate {}: {}", file, take_reason()));
}

bool Certificate::use_in(SSL* connection) const noexcept {
  STACK_OF(X509)* const stack = borrowed(chain);
  const int used = ::SSL_use_cert_and_key(connection, own.get(), key.get(), stack, 1);
  sk_X509_free(stack);
  return used == 1;
}

Certificate load_certificate(const std::string& certificate_file, const std::string& key_file,
                             const std::string& ocsp_file) {
  Certificate made;
  made.file = certificate_file;
  const std::string pem = read_file("certificate", certificate_file);
  made.chain = parse_certificates(pem, certificate_file);
  made.own = std::move(made.chain.front());
  made.chain.erase(made.chain.begin());
  const bool together = key_file.empty() || key_file == certificate_file;
  made.key = together ? parse_key(pem, certificate_file) : parse_key(read_file("key", key_file), key_file);
  check_match(made, together ? certificate_file : key_file);
  made.host_names = host_names_of(made.own.get());
  made.not_after = to_date_time(::X509_get0_notAfter(made.own.get()));
  check_time(made);
  if (!ocsp_file.empty()) load_ocsp(made, ocsp_file);
  return made;
}

}  // namespace ashlar::net::detail
