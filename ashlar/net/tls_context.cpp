#include <ashlar/net/tls_context.hpp>

#include <fmt/format.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <atomic>
#include <mutex>
#include <utility>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/certificate.hpp>
#include <ashlar/net/detail/client_sessions.hpp>
#include <ashlar/net/detail/context.hpp>
#include <ashlar/net/detail/server_context.hpp>

namespace ashlar::net {
namespace {

using detail::ContextPtr;

/// What a file looks like from outside: another one after every change that matters.
struct FileMark {
  std::uint64_t device = 0, inode = 0, size = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileMark&) const = default;
};

// Follows links: a renewed secret of Kubernetes is a link that points elsewhere.
FileMark mark_of(const std::string& path) noexcept {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return {};
  return {about.st_dev, about.st_ino, static_cast<std::uint64_t>(about.st_size),
          about.st_mtim.tv_sec * std::int64_t{1'000'000'000} + about.st_mtim.tv_nsec};
}

ContextPtr make_client(const TlsClientOptions& options) {
  ContextPtr context = detail::make_context(::TLS_client_method());
  if (options.verify == TlsClientOptions::Verify::none) {
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  } else {
    ::SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (options.ca_file.empty()) {
      if (::SSL_CTX_set_default_verify_paths(context.get()) != 1) {
        throw Invalid(fmt::format("cannot use the system's certificate authorities: {}", detail::take_reason()));
      }
    } else {
      const std::string pem = detail::read_file("certificate authorities", options.ca_file);
      X509_STORE* const store = ::SSL_CTX_get_cert_store(context.get());
      for (const auto& authority : detail::parse_certificates(pem, options.ca_file)) {
        if (::X509_STORE_add_cert(store, authority.get()) == 1) continue;
        throw Invalid(
            fmt::format("cannot use the certificate authorities in {}: {}", options.ca_file, detail::take_reason()));
      }
    }
  }
  if (!options.certificate_file.empty()) {
    detail::load_certificate(options.certificate_file, options.key_file, {}).use_in(context.get());
  }
  if (!options.alpn.empty()) {
    const std::string wire = detail::alpn_wire(options.alpn);
    ::SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                              static_cast<unsigned>(wire.size()));
  }
  return context;
}

}  // namespace

struct TlsContext::Impl {
  bool is_server = false;
  TlsClientOptions client{};
  TlsServerOptions server{};
  std::shared_ptr<detail::ServerShared> shared{};
  detail::ClientSessions sessions{};  // before the context, which refers to it
  mutable std::mutex mutex{};
  ContextPtr context{};  // replaced by reload(); connections count their own
  std::vector<FileMark> loaded{};
  std::vector<FileMark> seen{};    // by the last look
  std::vector<FileMark> failed{};  // those that could not be used

  std::atomic<std::uint64_t> tls12{0}, tls13{0}, resumed{0}, reloads{0}, failed_reloads{0};
  std::array<std::atomic<std::uint64_t>, kTlsFailures> failures{};

  [[nodiscard]] std::vector<FileMark> marks() const {
    std::vector<FileMark> marks;
    const auto add = [&](const std::string& path) {
      if (!path.empty()) marks.push_back(mark_of(path));
    };
    if (is_server) {
      for (const auto* path : {&server.certificate_file, &server.key_file, &server.ocsp_file, &server.client_ca_file}) {
        add(*path);
      }
      for (const auto& files : server.more_certificates) {
        for (const auto* path : {&files.certificate_file, &files.key_file, &files.ocsp_file}) add(*path);
      }
    } else {
      for (const auto* path : {&client.ca_file, &client.certificate_file, &client.key_file}) add(*path);
    }
    return marks;
  }

  void load() {
    std::vector<FileMark> before = marks();  // first: what changes meanwhile is a change
    ContextPtr made = is_server ? detail::ServerContext::make(server, shared) : make_client(client);
    if (!is_server) sessions.attach(made.get());
    const std::lock_guard lock(mutex);
    std::swap(context, made);
    loaded = std::move(before);
  }
};

TlsContext::TlsContext(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
TlsContext::~TlsContext() = default;

std::shared_ptr<TlsContext> TlsContext::client(TlsClientOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->client = std::move(options);
  impl->load();
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

std::shared_ptr<TlsContext> TlsContext::server(TlsServerOptions options) {
  auto impl = std::make_unique<Impl>();
  impl->is_server = true;
  impl->shared = std::make_shared<detail::ServerShared>(
      options.ticket_keys != nullptr ? options.ticket_keys : std::make_shared<TicketKeys>(options.session_lifetime));
  impl->shared->alpn = detail::alpn_wire(options.alpn);
  impl->server = std::move(options);
  impl->load();
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(impl)));
}

void TlsContext::reload() {
  try {
    impl_->load();
  } catch (...) {
    impl_->failed_reloads.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
  impl_->reloads.fetch_add(1, std::memory_order_relaxed);
}

TlsContext::Changes TlsContext::reload_if_changed() {
  Impl& impl = *impl_;
  std::vector<FileMark> now = impl.marks();
  const bool settled = now == std::exchange(impl.seen, now);
  if (now == impl.loaded || now == impl.failed) return Changes::none;
  // A certificate and its key are written one after the other.
  if (!settled) return Changes::settling;
  try {
    reload();
  } catch (...) {
    impl.failed = std::move(now);
    throw;
  }
  impl.failed.clear();
  return Changes::reloaded;
}

void TlsContext::offer_alpn(std::vector<std::string> protocols) {
  if (!impl_->is_server || !impl_->server.alpn.empty()) return;
  std::string wire = detail::alpn_wire(protocols);
  const std::lock_guard lock(impl_->shared->mutex);
  impl_->shared->alpn = std::move(wire);
}

bool TlsContext::is_server() const noexcept { return impl_->is_server; }

bool TlsContext::asks_for_client_certificate() const noexcept {
  return impl_->is_server && !impl_->server.client_ca_file.empty();
}

TlsClientOptions::Verify TlsContext::verify() const noexcept { return impl_->client.verify; }

bool TlsContext::names_protocols() const noexcept {
  return !(impl_->is_server ? impl_->server.alpn : impl_->client.alpn).empty();
}

ssl_ctx_st* TlsContext::acquire() const {
  const std::lock_guard lock(impl_->mutex);
  ::SSL_CTX_up_ref(impl_->context.get());
  return impl_->context.get();
}

void TlsContext::begin_session(ssl_st* connection, std::string server) {
  impl_->sessions.begin(connection, std::move(server));
}

void TlsContext::count_handshake(int version, bool resumed) noexcept {
  (version >= TLS1_3_VERSION ? impl_->tls13 : impl_->tls12).fetch_add(1, std::memory_order_relaxed);
  if (resumed) impl_->resumed.fetch_add(1, std::memory_order_relaxed);
}

void TlsContext::count_failure(TlsFailure failure) noexcept {
  impl_->failures[static_cast<std::size_t>(failure)].fetch_add(1, std::memory_order_relaxed);
}

TlsStats TlsContext::stats() const {
  const auto of = [](const std::atomic<std::uint64_t>& number) { return number.load(std::memory_order_relaxed); };
  TlsStats stats{of(impl_->tls12),   of(impl_->tls13),         of(impl_->resumed), {},
                 of(impl_->reloads), of(impl_->failed_reloads)};
  for (std::size_t i = 0; i < kTlsFailures; ++i) stats.failed[i] = of(impl_->failures[i]);
  return stats;
}

std::vector<TlsCertificateInfo> TlsContext::certificates() const {
  std::vector<TlsCertificateInfo> all;
  if (!impl_->is_server) return all;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& one : detail::ServerContext::of(impl_->context.get()).certificates()) {
    const std::string* const file = all.empty() ? &impl_->server.certificate_file
                                                : &impl_->server.more_certificates[all.size() - 1].certificate_file;
    all.push_back({*file, one.not_after});
  }
  return all;
}

std::string_view to_string(TlsFailure failure) noexcept {
  switch (failure) {
    case TlsFailure::none:
      return "none";
    case TlsFailure::plain_http:
      return "plain_http";
    case TlsFailure::version:
      return "version";
    case TlsFailure::cipher:
      return "cipher";
    case TlsFailure::application_protocol:
      return "application_protocol";
    case TlsFailure::certificate:
      return "certificate";
    case TlsFailure::refused_by_peer:
      return "refused_by_peer";
    case TlsFailure::peer_gone:
      return "peer_gone";
    case TlsFailure::cancelled:
      return "cancelled";
    case TlsFailure::malformed:
      return "malformed";
  }
  return "malformed";
}

}  // namespace ashlar::net
