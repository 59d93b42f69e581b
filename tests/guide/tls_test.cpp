// The code of docs/guide/tls.md.
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/client.hpp>
#include <ashlar/http/server_options.hpp>
#include <ashlar/net/tls_test.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;

struct Service {
  std::string name;
};

// sample: who
Service calling_service(ClientCertificate who) {
  constexpr std::string_view kOurs = "spiffe://example.org/";
  for (const std::string& uri : who->uris) {
    if (uri.starts_with(kOurs)) return {uri.substr(kOurs.size())};
  }
  throw Forbidden("this certificate names no service of ours");
}
// end of sample

TEST(GuideTls, KnowsServicesByTheirCertificates) {
  App app;
  // sample: route
  app.get<"/invoices">([](Depends<calling_service> caller) { return "invoices for " + caller->name; });
  // end of sample
  ashlar::testing::Client client{app};
  // sample: test
  const net::PeerIdentity billing{.uris = {"spiffe://example.org/billing"}};
  EXPECT_EQ(client.get("/invoices").client_certificate(billing).send().body, "invoices for billing");
  EXPECT_EQ(client.get("/invoices").client_certificate({.uris = {"spiffe://elsewhere/x"}}).send().status, 403);
  EXPECT_EQ(client.get("/invoices").send().status, 403);
  // end of sample
}

// sample: client
http::ClientOptions as_billing(const std::string& folder) {
  return {.tls = net::TlsContext::client({
              .ca_file = folder + "/ca.pem",  // whom to trust; without it the system's authorities
              .certificate_file = folder + "/billing.pem",
              .key_file = folder + "/billing-key.pem",
          })};
}
// end of sample

// sample: server
http::ServerOptions https(const std::string& folder) {
  return {.listen = {"0.0.0.0:8443"},
          .tls = net::TlsContext::server({
              .certificate_file = folder + "/localhost.pem",
              .key_file = folder + "/localhost-key.pem",
              .more_certificates = {{folder + "/billing.pem", folder + "/billing-key.pem"}},
              .min_version = net::TlsVersion::tls13,
          })};
}
// end of sample

TEST(GuideTls, MakesContextsForServersAndClients) {
  const net::test::TestCertificates files;
  static_cast<void>(files.localhost());
  static_cast<void>(files.make("billing", {"DNS:billing.example.org"}));
  EXPECT_EQ(https(files.path("")).tls->certificates().size(), 2U);
  EXPECT_FALSE(as_billing(files.path("")).tls->is_server());
}

}  // namespace
