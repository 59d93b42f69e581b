// The service: what it is set to, what it keeps, and its routes.
#pragma once

#include <ashlar/app/app.hpp>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace myapp {

// MYAPP_MOST_GREETINGS=10, or most_greetings = 10 in myapp.toml, or --set most_greetings=10
struct Settings {
  ashlar::Annotated<std::uint32_t, ashlar::ge{1}, ashlar::description{"Greetings that are kept"}> most_greetings = 1000;
};

struct NewGreeting {
  ashlar::Annotated<std::string, ashlar::strip{}, ashlar::min_length{1}, ashlar::max_length{100}> to;
  bool loud = false;
};

struct Greeting {
  std::int64_t id;
  std::string text;
};

// In memory: gone at the end, and each worker process has its own. See the tutorial's page on databases for a real one.
class Greetings {
 public:
  Greeting add(std::string text, std::size_t most);
  [[nodiscard]] std::vector<Greeting> all() const;
  [[nodiscard]] Greeting at(std::int64_t id) const;  // throws NotFound

 private:
  mutable std::mutex mutex_;  // handlers run on every loop
  std::vector<Greeting> greetings_;
};

void add_routes(ashlar::App& app);

}  // namespace myapp
