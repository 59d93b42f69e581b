// What a token costs: run with --preset release.
#include <fmt/core.h>

#include <chrono>

#include <ashlar/auth/jwt.hpp>

int main() {
  using namespace ashlar;
  for (auth::Algorithm algorithm :
       {auth::Algorithm::hs256, auth::Algorithm::rs256, auth::Algorithm::es256, auth::Algorithm::eddsa}) {
    auth::Tokens tokens({.keys = {auth::Key::generate(algorithm, "k")}, .issuer = "bench", .audience = "bench"});
    std::string token =
        tokens.issue_json(R"({"sub":"0190c6b4-4f1c-7c4e-8b1a-2f6d1f0d9f3a","roles":["user"]})", std::chrono::hours(1));
    auto measure = [](int runs, auto&& f) {
      auto start = std::chrono::steady_clock::now();
      for (int i = 0; i < runs; ++i) f();
      return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / runs;
    };
    std::size_t size = 0;
    double verify = measure(algorithm == auth::Algorithm::hs256 ? 200'000 : 5'000,
                            [&] { size += tokens.verify_json(token).size(); });
    double issue = measure(algorithm == auth::Algorithm::hs256 ? 200'000 : 500,
                           [&] { size += tokens.issue_json("{}", std::chrono::hours(1)).size(); });
    fmt::print("{:<6} verify {:>8.2f} us, issue {:>8.2f} us\n", to_string(algorithm), verify, issue);
    if (size == 0) return 1;
  }
}
