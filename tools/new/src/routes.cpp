#include "routes.hpp"

#include <ashlar/ashlar.hpp>
#include <utility>

namespace myapp {

using namespace ashlar;

Greeting Greetings::add(std::string text, std::size_t most) {
  const std::lock_guard lock(mutex_);
  if (greetings_.size() >= most) throw Conflict("there is no room for another greeting");
  return greetings_.emplace_back(static_cast<std::int64_t>(greetings_.size()) + 1, std::move(text));
}

std::vector<Greeting> Greetings::all() const {
  const std::lock_guard lock(mutex_);
  return greetings_;
}

Greeting Greetings::at(std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  if (id < 1 || id > static_cast<std::int64_t>(greetings_.size())) throw NotFound("there is no such greeting");
  return greetings_[static_cast<std::size_t>(id) - 1];
}

void add_routes(App& app) {
  Router<"/greetings"> greetings{{.tags = {"greetings"}}};

  greetings.get<"/">([](Greetings& own) { return own.all(); }, {.summary = "All greetings"});

  greetings.get<"/{id}">([](Path<"id", std::int64_t> id, Greetings& own) { return own.at(id); },
                         {.summary = "One greeting", .errors = {404}});

  greetings.post<"/">(
      [](NewGreeting in, Greetings& own, const Settings& settings) {
        auto made = own.add("Hello, " + in.to + (in.loud ? "!" : "."), settings.most_greetings);
        auto where = "/greetings/" + std::to_string(made.id);
        return Created<Greeting>(std::move(made), std::move(where));
      },
      {.summary = "Greet somebody", .errors = {409}});

  app.include(std::move(greetings));
}

}  // namespace myapp
