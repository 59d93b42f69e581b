#include <ashlar/net/detail/context.hpp>

#include <openssl/err.h>

#include <ashlar/base/error.hpp>

namespace ashlar::net::detail {
namespace {

int ended_index() noexcept {
  static const int kIndex = ::SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

void on_info(const SSL* ssl, int where, int alert) noexcept {
  if (where == SSL_CB_READ_ALERT && (alert & 0xff) == SSL_AD_CLOSE_NOTIFY) {
    static char ended;
    ::SSL_set_ex_data(const_cast<SSL*>(ssl), ended_index(), &ended);
  }
}

}  // namespace

ContextPtr make_context(const SSL_METHOD* method) {
  ContextPtr context(::SSL_CTX_new(method));
  if (!context) throw Internal("OpenSSL gives no context: " + take_reason());
  ::SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  ::SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // Without IGNORE_UNEXPECTED_EOF a peer that ends its side of the socket without a word would make it an error to
  // write, too. on_info() tells the two ends apart.
  ::SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // A record in one system call, in place of one for its head and one for the rest.
  ::SSL_CTX_set_read_ahead(context.get(), 1);
  ::SSL_CTX_set_info_callback(context.get(), &on_info);
  return context;
}

bool has_ended_in_order(const SSL* ssl) noexcept { return ::SSL_get_ex_data(ssl, ended_index()) != nullptr; }

}  // namespace ashlar::net::detail
