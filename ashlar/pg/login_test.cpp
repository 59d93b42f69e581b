// Authentication and TLS against a real server that listens on TCP.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <ashlar/pg/db.hpp>
#include <ashlar/pg/detail/test_server.hpp>

namespace ashlar::pg {
namespace {

using ::testing::HasSubstr;

const Query<bool()> encrypted{"select ssl from pg_stat_ssl where pid = pg_backend_pid()"};

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(fd);
  return ntohs(address.sin_port);
}

class Login : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    port_ = std::to_string(free_port());
    server_ = PrivateServer::start({.settings = {{"listen_addresses", "127.0.0.1"}, {"port", port_}}});
    const std::string data = server_->data().string();
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout " +
        data + "/server.key -out " + data + "/server.crt 2>/dev/null && chown --reference=" + data + " " + data +
        "/server.key " + data + "/server.crt && chmod 600 " + data + "/server.key";
    ASSERT_EQ(std::system(command.c_str()), 0);
    std::ofstream(data + "/pg_hba.conf") << "local all all trust\n"
                                            "host all old 127.0.0.1/32 md5\n"
                                            "host all clear 127.0.0.1/32 password\n"
                                            "hostssl all only_tls 127.0.0.1/32 scram-sha-256\n"
                                            "host all modern 127.0.0.1/32 scram-sha-256\n";
    server_->run_sql("postgres",
                     "set password_encryption = 'md5'; create role old login password 'pw-old';"
                     "set password_encryption = 'scram-sha-256'; create role modern login password 'pw modern';"
                     "create role clear login password 'pw-clear'; create role only_tls login password 'pw-tls'");
    server_->run_sql("postgres", "alter system set ssl = on");
    server_->run_sql("postgres", "select pg_reload_conf()");
    while (server_->run_sql("postgres", "show ssl") != "on") {
    }
  }
  static void TearDownTestSuite() { server_.reset(); }

  static std::string url(const std::string& user, const std::string& password, const std::string& query) {
    return "postgresql://" + user + ":" + password + "@localhost:" + port_ + "/ashlar?" + query;
  }
  /// Whether the connection is encrypted; or what went wrong.
  static std::string connect(const std::string& to) {
    try {
      return async::run([](std::string where) -> Task<bool> {
        Db db({.url = where, .check_queries = false});
        co_await db.start();
        co_await db.start_loop(async::Loop::current());
        const bool result = co_await db.one(encrypted);
        co_await db.stop_loop(async::Loop::current());
        co_return result;
      }(to))
                 ? "encrypted"
                 : "clear";
    } catch (const Error& error) {
      return error.message();
    }
  }
  static std::string ca() { return "&sslrootcert=" + server_->data().string() + "/server.crt"; }

  static inline std::shared_ptr<PrivateServer> server_;
  static inline std::string port_;
};

TEST_F(Login, WithScramAndMd5) {
  EXPECT_EQ(connect(url("modern", "pw%20modern", "sslmode=disable")), "clear");
  EXPECT_EQ(connect(url("old", "pw-old", "sslmode=disable")), "clear");
}

TEST_F(Login, WithTlsAndChannelBinding) {
  EXPECT_EQ(connect(url("modern", "pw%20modern", "sslmode=prefer")), "encrypted");
  EXPECT_EQ(connect(url("only_tls", "pw-tls", "sslmode=require")), "encrypted");
  EXPECT_EQ(connect(url("only_tls", "pw-tls", "sslmode=verify-full" + ca())), "encrypted");
  EXPECT_EQ(connect(url("clear", "pw-clear", "sslmode=require")), "encrypted");
}

TEST_F(Login, RefusesWhatIsNotSafe) {
  EXPECT_THAT(connect(url("clear", "pw-clear", "sslmode=disable")), HasSubstr("refused without TLS"));
  EXPECT_THAT(connect(url("only_tls", "pw-tls", "sslmode=verify-full")), HasSubstr("certificate"));
  EXPECT_THAT(connect("postgresql://modern:pw%20modern@127.0.0.1:" + port_ + "/ashlar?sslmode=verify-full" + ca()),
              HasSubstr("address mismatch"));
}

TEST_F(Login, SaysWhyItFailedWithoutThePassword) {
  const std::string wrong = connect(url("modern", "not-it", "sslmode=disable"));
  EXPECT_THAT(wrong, HasSubstr("28P01"));
  EXPECT_THAT(wrong, ::testing::Not(HasSubstr("not-it")));
  EXPECT_THAT(connect("postgresql://modern@localhost:" + port_ + "/ashlar?sslmode=disable"),
              HasSubstr("password of modern"));
}

TEST_F(Login, TriesTheHostsInOrder) {
  const std::string several = "postgresql://modern:pw%20modern@localhost:1,localhost:" + port_ +
                              "/ashlar?sslmode=disable&target_session_attrs=read-write";
  EXPECT_EQ(connect(several), "clear");
  EXPECT_THAT(connect(several + "&target_session_attrs=standby"), HasSubstr("not a standby"));
}

}  // namespace
}  // namespace ashlar::pg
