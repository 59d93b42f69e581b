// The code of docs/guide/fuzzing.md and of the factories in testing.md: compiled and run.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/app/app.hpp>
#include <ashlar/app/fuzz.hpp>
#include <ashlar/async/runtime.hpp>
#include <ashlar/testing/client.hpp>
#include <ashlar/testing/factory.hpp>

#include <gtest/gtest.h>

namespace {

using namespace ashlar;

struct NewBook {
  Annotated<std::string, min_length{1}, max_length{200}> title;
  Annotated<int, ge{1450}> year;
};

void add_routes(App& app) {
  app.post<"/books">([](NewBook in) { return in; });
}

// sample: fuzz
TEST(Books, KeepTheirWord) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};

  const FuzzReport report = client.run(fuzz(app, {.cases = 200}));

  for (const FuzzFinding& one : report.findings)
    ADD_FAILURE() << one.operation << ": " << one.message << "\n" << one.curl;
}
// end of sample

// sample: factory
TEST(Books, AreAddedWhateverTheirTitle) {
  App app;
  add_routes(app);
  ashlar::testing::Client client{app};
  ashlar::testing::Factory<NewBook> books;
  books.sequence(&NewBook::title, [](std::size_t n) { return "Volume " + std::to_string(n); });
  books.trait("old", [](NewBook& book) { book.year = 1455; });

  const NewBook book = books.make({"old"});  // valid, and the same in every run
  EXPECT_EQ(client.post("/books").json(book).send().status, 200);

  for (const auto& [json, why] : books.invalid_neighbours())  // "year: below 1450", "title is missing", …
    EXPECT_EQ(client.post("/books").json(json).send().status, 422) << why;
}
// end of sample

}  // namespace
