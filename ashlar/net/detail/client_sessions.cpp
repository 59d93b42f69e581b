#include <ashlar/net/detail/client_sessions.hpp>

#include <ctime>
#include <new>
#include <utility>

namespace ashlar::net::detail {
namespace {

int sessions_index() noexcept {
  static const int kIndex = ::SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return kIndex;
}

int server_index() noexcept {
  static const int kIndex = ::SSL_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* server, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<std::string*>(server); });
  return kIndex;
}

bool is_usable(const SSL_SESSION* session) noexcept {
  return ::SSL_SESSION_is_resumable(session) == 1 &&
         ::SSL_SESSION_get_time(session) + ::SSL_SESSION_get_timeout(session) > static_cast<long>(std::time(nullptr));
}

}  // namespace

void ClientSessions::attach(SSL_CTX* context) {
  ::SSL_CTX_set_ex_data(context, sessions_index(), this);
  ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  ::SSL_CTX_sess_set_new_cb(context, &on_new);
}

void ClientSessions::begin(SSL* ssl, std::string server) {
  if (const SessionPtr session = take(server)) ::SSL_set_session(ssl, session.get());
  ::SSL_set_ex_data(ssl, server_index(), new std::string(std::move(server)));
}

// 1: the session is ours now.
int ClientSessions::on_new(SSL* ssl, SSL_SESSION* session) noexcept {
  const auto* const server = static_cast<const std::string*>(::SSL_get_ex_data(ssl, server_index()));
  auto* const self = static_cast<ClientSessions*>(::SSL_CTX_get_ex_data(::SSL_get_SSL_CTX(ssl), sessions_index()));
  if (server == nullptr || self == nullptr) return 0;
  SessionPtr owned(session);
  try {
    self->put(*server, std::move(owned));
    return 1;
  } catch (const std::bad_alloc&) {
    return 1;  // freed on the way
  }
}

void ClientSessions::put(const std::string& server, SessionPtr session) {
  const std::lock_guard lock(mutex_);
  if (by_server_.size() >= kMostServers && !by_server_.contains(server)) by_server_.erase(by_server_.begin());
  auto& sessions = by_server_[server];
  if (sessions.size() >= kMostOfOne) sessions.erase(sessions.begin());
  sessions.push_back(std::move(session));
}

SessionPtr ClientSessions::take(const std::string& server) {
  const std::lock_guard lock(mutex_);
  const auto found = by_server_.find(server);
  if (found == by_server_.end()) return nullptr;
  auto& sessions = found->second;
  while (!sessions.empty()) {
    SessionPtr session = std::move(sessions.back());
    sessions.pop_back();
    if (!is_usable(session.get())) continue;
    // A ticket of TLS 1.3 is used once, so that nobody can tell that two connections are one client's (RFC 8446 §C.4).
    if (::SSL_SESSION_get_protocol_version(session.get()) < TLS1_3_VERSION) {
      ::SSL_SESSION_up_ref(session.get());
      sessions.emplace_back(session.get());
    }
    return session;
  }
  by_server_.erase(found);
  return nullptr;
}

}  // namespace ashlar::net::detail
