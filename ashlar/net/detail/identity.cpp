#include <ashlar/net/detail/identity.hpp>

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include <utility>

#include <ashlar/base/bytes.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::net::detail {
namespace {

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<&::GENERAL_NAMES_free>>;

std::string text_of(const X509_NAME* name) {
  const BioPtr out(::BIO_new(::BIO_s_mem()));
  // UTF-8 as it is; control characters and what separates parts stay escaped.
  ::X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

std::string common_name_of(const X509_NAME* name) {
  int at = -1;
  for (int next = -1; (next = ::X509_NAME_get_index_by_NID(name, NID_commonName, next)) >= 0;) at = next;
  if (at < 0) return {};
  unsigned char* text = nullptr;
  const int size = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at)));
  if (size < 0) return {};
  std::string result(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
  ::OPENSSL_free(text);
  // A NUL inside is an old trick to be taken for the name before it.
  return result.find('\0') == std::string::npos ? result : std::string();
}

std::string serial_of(const X509* certificate) {
  const std::unique_ptr<BIGNUM, Freed<&::BN_free>> number(
      ::ASN1_INTEGER_to_BN(::X509_get0_serialNumber(certificate), nullptr));
  if (!number) return {};
  std::string bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
  ::BN_bn2bin(number.get(), reinterpret_cast<unsigned char*>(bytes.data()));
  return bytes.empty() ? "00" : hex_encode(bytes);
}

template <class F>
void for_each_name(const X509* certificate, F&& f) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    void* const value = ::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type);
    if (type != GEN_DNS && type != GEN_URI && type != GEN_EMAIL) continue;
    const std::string_view text = view_of(static_cast<const ASN1_STRING*>(value));
    if (text.find('\0') == std::string_view::npos) f(type, text);
  }
}

}  // namespace

PeerIdentity identity_of(const X509* certificate) {
  PeerIdentity identity;
  const X509_NAME* const subject = ::X509_get_subject_name(certificate);
  identity.subject = text_of(subject);
  identity.common_name = common_name_of(subject);
  identity.issuer = text_of(::X509_get_issuer_name(certificate));
  for_each_name(certificate, [&](int type, std::string_view text) {
    auto& list = type == GEN_DNS ? identity.dns_names : type == GEN_URI ? identity.uris : identity.emails;
    list.emplace_back(text);
  });
  identity.fingerprint = hex_encode(sha256_of(certificate));
  identity.serial = serial_of(certificate);
  identity.not_after = to_date_time(::X509_get0_notAfter(certificate));
  return identity;
}

std::vector<std::string> host_names_of(const X509* certificate) {
  std::vector<std::string> names;
  for_each_name(certificate, [&](int type, std::string_view text) {
    if (type == GEN_DNS) names.push_back(to_lower_ascii(text));
  });
  return names;
}

}  // namespace ashlar::net::detail
