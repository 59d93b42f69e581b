#include <gmock/gmock.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include <ashlar/base/error.hpp>
#include <ashlar/net/detail/certificate.hpp>
#include <ashlar/net/development_certificate.hpp>
#include <ashlar/net/ticket_keys.hpp>
#include <ashlar/net/tls_test.hpp>

namespace ashlar::net::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

std::string refusal(const TlsServerOptions& options) {
  try {
    static_cast<void>(TlsContext::server(options));
  } catch (const Invalid& error) {
    return error.message();
  }
  return "nothing is wrong";
}

class TlsFiles : public testing::Test {
 protected:
  TestCertificates files_;
  TlsServerOptions options_ = files_.localhost();
};

TEST_F(TlsFiles, NamesAFileThatIsMissing) {
  EXPECT_THAT(refusal({.certificate_file = "/no/such/cert.pem"}),
              AllOf(HasSubstr("cannot read the certificate /no/such/cert.pem"), HasSubstr("is the path right")));
  options_.key_file = "/no/such/key.pem";
  EXPECT_THAT(refusal(options_), HasSubstr("cannot read the key /no/such/key.pem"));
  options_ = files_.localhost();
  options_.client_ca_file = files_.path("");
  EXPECT_THAT(refusal(options_), HasSubstr("Is a directory"));
}

TEST_F(TlsFiles, NamesAFileThatHoldsSomethingElse) {
  options_.certificate_file = files_.write("text.pem", "no certificate\n");
  EXPECT_THAT(refusal(options_),
              AllOf(HasSubstr("text.pem holds no certificate in PEM form"), HasSubstr("-inform der")));
  options_ = files_.localhost();
  options_.key_file = options_.certificate_file;
  EXPECT_THAT(refusal(options_), HasSubstr("holds no private key in PEM form"));
  options_ = files_.localhost();
  std::string cut = files_.read("localhost.pem");
  files_.write("localhost.pem", cut.erase(cut.size() / 4, 7));
  EXPECT_THAT(refusal(options_), HasSubstr("certificate 1 is broken"));
}

TEST_F(TlsFiles, TellsAKeyThatBelongsToAnotherCertificate) {
  options_.key_file = files_.make("other", {}).key_file;
  EXPECT_THAT(refusal(options_), AllOf(HasSubstr("other-key.pem does not belong to"), HasSubstr("localhost.pem")));
}

TEST_F(TlsFiles, TellsAChainInTheWrongOrder) {
  files_.write("localhost.pem", files_.authority().certificate + files_.read("localhost.pem"));
  EXPECT_THAT(refusal(options_), HasSubstr("must come first"));
}

TEST_F(TlsFiles, TellsACertificateThatHasExpiredOrIsNotValidYet) {
  const auto expired = files_.make("expired", {"DNS:localhost"}, -1h);
  EXPECT_THAT(refusal({.certificate_file = expired.certificate_file, .key_file = expired.key_file}),
              AllOf(HasSubstr("expired.pem expired at "), HasSubstr("renew it")));
  const auto early = detail::issue({.common_name = "early",
                                    .not_before = DateTime::now() + Duration(1h),
                                    .not_after = DateTime::now() + Duration(2h)});
  EXPECT_THAT(refusal({.certificate_file = files_.write("early.pem", early.certificate + early.key)}),
              HasSubstr("early.pem is not valid before "));
}

TEST_F(TlsFiles, RefusesAnEncryptedKeyWithoutAskingForThePassPhrase) {
  const std::string command = "openssl pkey -aes128 -passout pass:secret -in " + options_.key_file + " -out " +
                              files_.path("locked.pem") + " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  options_.key_file = files_.path("locked.pem");
  EXPECT_THAT(refusal(options_), AllOf(HasSubstr("locked.pem is encrypted"), HasSubstr("openssl pkey")));
}

TEST_F(TlsFiles, TakesAKeyFromTheCertificatesFile) {
  options_.certificate_file = files_.write("both.pem", files_.read("localhost.pem") + files_.read("localhost-key.pem"));
  options_.key_file.clear();
  EXPECT_EQ(refusal(options_), "nothing is wrong");
}

TEST_F(TlsFiles, RefusesAKeyThatIsTooSmall) {
  const std::string command = "openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -days 1 -keyout " +
                              files_.path("weak-key.pem") + " -out " + files_.path("weak.pem") + " 2>/dev/null";
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_THAT(refusal({.certificate_file = files_.path("weak.pem"), .key_file = files_.path("weak-key.pem")}),
              AllOf(HasSubstr("weak.pem"), HasSubstr("key too small")));
}

// --------------------------------------------------------------------------------------------------------------- OCSP

std::string ocsp_answer(const TestCertificates& files, const std::string& name, int status, long seconds) {
  const auto pem = [&](const std::string& text) {
    const detail::BioPtr source(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    return detail::X509Ptr(::PEM_read_bio_X509(source.get(), nullptr, nullptr, nullptr));
  };
  const auto authority = pem(files.authority().certificate);
  const auto own = pem(files.read(name + ".pem"));
  const detail::BioPtr key_source(
      ::BIO_new_mem_buf(files.authority().key.data(), static_cast<int>(files.authority().key.size())));
  const detail::KeyPtr key(::PEM_read_bio_PrivateKey(key_source.get(), nullptr, nullptr, nullptr));
  const detail::OcspBasicPtr basic(::OCSP_BASICRESP_new());
  const detail::OcspIdPtr id(::OCSP_cert_to_id(nullptr, own.get(), authority.get()));
  ASN1_TIME* const from = ::X509_gmtime_adj(nullptr, -60);
  ASN1_TIME* const until = ::X509_gmtime_adj(nullptr, seconds);
  ::OCSP_basic_add1_status(basic.get(), id.get(), status, OCSP_REVOKED_STATUS_KEYCOMPROMISE, from, from, until);
  ::ASN1_TIME_free(from);
  ::ASN1_TIME_free(until);
  ::OCSP_basic_sign(basic.get(), authority.get(), key.get(), ::EVP_sha256(), nullptr, 0);
  const detail::OcspPtr response(::OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  unsigned char* der = nullptr;
  const int size = ::i2d_OCSP_RESPONSE(response.get(), &der);
  std::string text(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  ::OPENSSL_free(der);
  return text;
}

TEST_F(TlsFiles, TakesAnOcspAnswerThatIsAboutItsCertificate) {
  options_.ocsp_file = files_.write("good.der", ocsp_answer(files_, "localhost", V_OCSP_CERTSTATUS_GOOD, 3600));
  EXPECT_EQ(refusal(options_), "nothing is wrong");
  const auto loaded = detail::load_certificate(options_.certificate_file, options_.key_file, options_.ocsp_file);
  EXPECT_FALSE(loaded.ocsp.empty());
  EXPECT_GT(loaded.ocsp_until, DateTime::now() + Duration(50min));
}

TEST_F(TlsFiles, RefusesAnOcspAnswerOfNoUse) {
  options_.ocsp_file = files_.write("text.der", "good, I swear");
  EXPECT_THAT(refusal(options_), HasSubstr("text.der is no OCSP answer in DER form"));
  static_cast<void>(files_.make("other", {}));
  options_.ocsp_file = files_.write("other.der", ocsp_answer(files_, "other", V_OCSP_CERTSTATUS_GOOD, 3600));
  EXPECT_THAT(refusal(options_),
              AllOf(HasSubstr("other.der is not about the certificate"), HasSubstr("localhost.pem")));
  options_.ocsp_file = files_.write("bad.der", ocsp_answer(files_, "localhost", V_OCSP_CERTSTATUS_REVOKED, 3600));
  EXPECT_THAT(refusal(options_), HasSubstr("localhost.pem is revoked"));
}

// ------------------------------------------------------------------------------------------------------------ tickets

TEST(TicketKeys, MakeTicketsForOneLifetimeAndReadThemForOneMore) {
  const auto start = TicketKeys::Clock::now();
  TicketKeys keys(60s, start);
  const auto first = keys.current(start);
  EXPECT_EQ(keys.current(start + 59s).name, first.name);
  const auto second = keys.current(start + 61s);
  EXPECT_NE(second.name, first.name);
  EXPECT_NE(second.cipher, first.cipher);
  EXPECT_TRUE(keys.find(first.name.data(), start + 119s));
  EXPECT_TRUE(keys.find(second.name.data(), start + 119s));
  EXPECT_FALSE(keys.find(first.name.data(), start + 121s));
  EXPECT_FALSE(keys.find(second.name.data(), start + 10min));
}

TEST(TicketKeys, OfOneSeedAreTheSameForEver) {
  const auto start = TicketKeys::Clock::now();
  TicketKeys first(60s, start - 90s);
  const auto old = first.current(start - 80s);
  TicketKeys second(first.seed(start));
  EXPECT_EQ(second.lifetime(), 60s);
  EXPECT_TRUE(second.find(old.name.data(), start));
  for (const auto later : {0s, 59s, 60s, 3600s}) {
    const auto made = first.current(start + later);
    const auto found = second.find(made.name.data(), start + later);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->cipher, made.cipher);
    EXPECT_EQ(found->mac, made.mac);
    EXPECT_EQ(second.current(start + later).name, made.name);
  }
  EXPECT_FALSE(second.find(old.name.data(), start + 3600s));
}

TEST(TicketKeys, OfALaterSeedDoNotKnowWhatWasErasedBefore) {
  const auto start = TicketKeys::Clock::now();
  TicketKeys keys(60s, start - 200s);
  const auto erased = keys.current(start - 200s);
  TicketKeys later(keys.seed(start));
  EXPECT_FALSE(later.find(erased.name.data(), start));
  EXPECT_NE(TicketKeys(60s).current(start).name, TicketKeys(60s).current(start).name);
}

TEST(TicketKeys, RefuseWhatIsNoSeed) {
  const auto now = TicketKeys::Clock::now();
  const std::string good = TicketKeys(60s, now).seed(now);
  EXPECT_NO_THROW(TicketKeys{good});
  const std::string of_the_future = TicketKeys(60s, now + 1h).seed(now);
  for (const std::string& bad : {std::string(), std::string("short"), good + "x", good.substr(1), std::string(48, '\0'),
                                 std::string(48, '\xff'), of_the_future}) {
    EXPECT_THROW(TicketKeys{bad}, Invalid) << bad.size();
  }
}

TEST(TicketKeys, AreSharedByThreads) {
  TicketKeys keys(1s);
  const auto start = TicketKeys::Clock::now();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const auto now = start + std::chrono::milliseconds{i * 10};
        const auto key = keys.current(now);
        static_cast<void>(keys.find(key.name.data(), now));
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// -------------------------------------------------------------------------------------------------------- development

class Development : public testing::Test {
 protected:
  [[nodiscard]] DevelopmentCertificate make(DateTime now = DateTime::now()) const {
    return development_certificate(files_.path("tls"), now);
  }
  [[nodiscard]] std::string text(const std::string& path) const {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  TestCertificates files_;
};

TEST_F(Development, MakesACertificateThatAClientOfItsAuthorityTrusts) {
  const auto made = make();
  EXPECT_TRUE(made.made_authority);
  EXPECT_EQ(refusal({.certificate_file = made.certificate_file, .key_file = made.key_file}), "nothing is wrong");
  const std::string verify = "openssl verify -x509_strict -CAfile " + made.authority_file +
                             " -verify_hostname localhost " + made.certificate_file + " >/dev/null 2>&1";
  EXPECT_EQ(std::system(verify.c_str()), 0);
}

TEST_F(Development, KeepsKeysToTheirOwner) {
  const auto made = make();
  for (const std::string& key : {made.key_file, files_.path("tls/authority-key.pem")}) {
    struct stat about{};
    ASSERT_EQ(::stat(key.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0777U, 0600U) << key;
  }
}

TEST_F(Development, ItsAuthorityVouchesForNoOtherMachine) {
  const auto made = make();
  const detail::IssuedCertificate authority{text(made.authority_file), text(files_.path("tls/authority-key.pem"))};
  const auto forged = detail::issue({.common_name = "bank",
                                     .names = {"DNS:bank.example.com"},
                                     .not_before = DateTime::now() - Duration(1h),
                                     .not_after = DateTime::now() + Duration(1h)},
                                    &authority);
  const std::string verify = "openssl verify -CAfile " + made.authority_file + " " +
                             files_.write("forged.pem", forged.certificate) + " 2>&1 | grep -q 'permitted subtree'";
  EXPECT_EQ(std::system(verify.c_str()), 0);
}

TEST_F(Development, StaysUntilItsTimeRunsOut) {
  const std::string first = text(make().certificate_file);
  EXPECT_FALSE(make().made_authority);
  EXPECT_EQ(text(make().certificate_file), first);
  const auto later = make(DateTime::now() + Duration(std::chrono::days{61}));
  EXPECT_FALSE(later.made_authority);
  EXPECT_NE(text(later.certificate_file), first);
}

TEST_F(Development, IsMadeAnewWhenSomethingIsMissingOrBroken) {
  const auto made = make();
  ::unlink(made.key_file.c_str());
  EXPECT_FALSE(make().made_authority);
  std::ofstream(made.authority_file, std::ios::trunc) << "gone";
  EXPECT_TRUE(make().made_authority);
  EXPECT_THAT(text(made.certificate_file), testing::EndsWith(text(made.authority_file)));
}

TEST_F(Development, IsMadeOnceByManyAtATime) {
  std::vector<std::thread> threads;
  std::atomic<int> authorities{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (make().made_authority) ++authorities;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(authorities, 1);
  const auto made = make();
  EXPECT_EQ(refusal({.certificate_file = made.certificate_file, .key_file = made.key_file}), "nothing is wrong");
}

TEST_F(Development, SaysWhereItCannotBeKept) {
  try {
    static_cast<void>(development_certificate("/proc/ashlar-tls"));
    ADD_FAILURE();
  } catch (const Unavailable& error) {
    EXPECT_THAT(error.message(), HasSubstr("/proc/ashlar-tls"));
  }
}

}  // namespace
}  // namespace ashlar::net::test
