#include <ashlar/net/detail/issue.hpp>

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/openssl.hpp>

namespace ashlar::net::detail {
namespace {

void require(bool done, std::string_view what) {
  if (!done) throw Internal(fmt::format("cannot make a certificate: {}: {}", what, take_reason()));
}

void set_time(ASN1_TIME* to, DateTime time) {
  require(::ASN1_TIME_set(to, static_cast<time_t>(time.micros / 1'000'000)) != nullptr, "its time");
}

void add_name(X509_NAME* to, const char* field, const std::string& text) {
  if (text.empty()) return;
  require(::X509_NAME_add_entry_by_txt(to, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()), -1, 0) == 1,
          text);
}

void add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  ::X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  const ExtensionPtr extension(::X509V3_EXT_nconf_nid(nullptr, &context, kind, value.c_str()));
  require(extension != nullptr && ::X509_add_ext(to, extension.get(), -1) == 1, value);
}

void set_serial(X509* certificate) {
  const std::unique_ptr<BIGNUM, Freed<&::BN_free>> number(::BN_new());
  require(number != nullptr && ::BN_rand(number.get(), 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              ::BN_to_ASN1_INTEGER(number.get(), ::X509_get_serialNumber(certificate)) != nullptr,
          "its serial number");
}

std::string text_of(const BioPtr& memory) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string permitted_list(const std::vector<std::string>& names) {
  std::string list = "critical";
  for (const std::string& name : names) list += ",permitted;" + name;
  return list;
}

}  // namespace

IssuedCertificate issue(const CertificateRequest& request, const IssuedCertificate* issuer) {
  const KeyPtr key(::EVP_EC_gen("P-256"));
  const X509Ptr made(::X509_new());
  require(key != nullptr && made != nullptr, "its key");
  X509Ptr issuer_certificate;
  KeyPtr issuer_key;
  if (issuer != nullptr) {
    const BioPtr certificate_text(
        ::BIO_new_mem_buf(issuer->certificate.data(), static_cast<int>(issuer->certificate.size())));
    const BioPtr key_text(::BIO_new_mem_buf(issuer->key.data(), static_cast<int>(issuer->key.size())));
    issuer_certificate.reset(::PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
    issuer_key.reset(::PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
    require(issuer_certificate != nullptr && issuer_key != nullptr, "its issuer");
  }
  X509* const signer = issuer_certificate ? issuer_certificate.get() : made.get();

  require(::X509_set_version(made.get(), X509_VERSION_3) == 1, "its version");
  set_serial(made.get());
  set_time(::X509_getm_notBefore(made.get()), request.not_before);
  set_time(::X509_getm_notAfter(made.get()), request.not_after);
  X509_NAME* const subject = ::X509_get_subject_name(made.get());
  add_name(subject, "O", request.organization);
  add_name(subject, "CN", request.common_name);
  require(::X509_set_issuer_name(made.get(), ::X509_get_subject_name(signer)) == 1 &&
              ::X509_set_pubkey(made.get(), key.get()) == 1,
          "its names");

  add_extension(made.get(), signer, NID_basic_constraints,
                request.authority ? "critical,CA:TRUE,pathlen:0" : "CA:FALSE");
  add_extension(made.get(), signer, NID_key_usage,
                request.authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  if (!request.authority) add_extension(made.get(), signer, NID_ext_key_usage, "serverAuth,clientAuth");
  add_extension(made.get(), signer, NID_subject_key_identifier, "hash");
  if (issuer != nullptr) add_extension(made.get(), signer, NID_authority_key_identifier, "keyid");
  if (!request.names.empty()) {
    add_extension(made.get(), signer, NID_subject_alt_name, fmt::format("{}", fmt::join(request.names, ",")));
  }
  if (!request.permitted.empty()) {
    add_extension(made.get(), signer, NID_name_constraints, permitted_list(request.permitted));
  }
  require(::X509_sign(made.get(), issuer_key ? issuer_key.get() : key.get(), ::EVP_sha256()) > 0, "its signature");

  const BioPtr certificate_text(::BIO_new(::BIO_s_mem()));
  const BioPtr key_text(::BIO_new(::BIO_s_mem()));
  require(::PEM_write_bio_X509(certificate_text.get(), made.get()) == 1 &&
              ::PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
          "its text");
  return {text_of(certificate_text), text_of(key_text)};
}

}  // namespace ashlar::net::detail
