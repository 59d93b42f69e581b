// The graph of dependencies as `deps` prints it, and what resolving it costs.
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ashlar/app/app.hpp>
#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/dependency_graph.hpp>
#include <ashlar/testing/client.hpp>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ASHLAR_ALLOCATIONS_UNKNOWN 1  // the sanitizer's own allocator, and coroutine frames straight from it
#endif
#endif

#ifndef ASHLAR_ALLOCATIONS_UNKNOWN
namespace {
thread_local std::size_t allocations = 0;
}
// All forms end here.
void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace graph_test {

using namespace ashlar;

struct Store {
  int value = 3;
};
struct Token {
  std::size_t length;
};
struct Member {
  int id;
};
struct Right {
  int level;
};
Token token(Bearer bearer) { return {bearer.token.size()}; }
Task<Member> member(Depends<token> given, Store& store) {
  co_return Member{store.value + static_cast<int>(given->length)};
}
Right right(Depends<member> who, Depends<token>, Query<Store>) { return {who->id}; }
Right kept(Depends<token> given) { return {static_cast<int>(given->length)}; }
}  // namespace graph_test

template <>
inline constexpr bool ashlar::kCleanUpAfterAnswer<&graph_test::kept> = true;

namespace graph_test {
namespace {

std::string graph(App& app, std::string (*write)(std::span<const detail::RouteGraph>)) {
  (void)app.openapi();
  std::vector<OperationInfo> operations;
  std::vector<detail::RouteGraph> graphs;
  operations.reserve(app.core().routes.size());
  for (const auto& route : app.core().routes) {
    if (route->options.hidden) continue;
    operations.push_back(detail::operation_of(*route));
    graphs.push_back({route->name, &operations.back()});
  }
  return write(graphs);
}

void add_routes(App& app) {
  Router<"/r"> router{{.dependencies = {depends<kept>}}};
  router.get<"/one">([](Depends<right> r, Depends<member>) { return r->level; });
  app.include(std::move(router));
  app.get<"/two">([] { return 2; });
}

TEST(DependencyGraph, IsATreeOfEachRoute) {
  App app;
  Store store;
  app.provide(store);
  add_routes(app);
  EXPECT_EQ(graph(app, &detail::graph_as_text),
            "GET /r/one\n"
            "  ├─ graph_test::kept() -> graph_test::Right  kept until after the answer\n"
            "  │  └─ graph_test::token(Credentials<\"Bearer\">) -> graph_test::Token\n"
            "  ├─ graph_test::right(Query<graph_test::Store>) -> graph_test::Right\n"
            "  │  ├─ graph_test::member(graph_test::Store &) -> graph_test::Member  task\n"
            "  │  │  └─ graph_test::token  again\n"
            "  │  └─ graph_test::token  again\n"
            "  └─ graph_test::member  again\n"
            "GET /two\n");
}

TEST(DependencyGraph, IsJsonForPrograms) {
  App app;
  app.get<"/k">([](Depends<kept> k) { return k->level; });
  const auto json = graph(app, &detail::graph_as_json);
  EXPECT_THAT(json, ::testing::HasSubstr(R"({"route":"GET /k","needs":["graph_test::kept"],)"));
  EXPECT_THAT(json, ::testing::HasSubstr(R"("suspends":false,"cleaned_up":"after the answer"})"));
}

TEST(DependencyGraph, IsAGraphForGraphviz) {
  App app;
  Store store;
  app.provide(store);
  add_routes(app);
  const auto dot = graph(app, &detail::graph_as_dot);
  EXPECT_TRUE(dot.starts_with("digraph dependencies {\n")) << dot;
  EXPECT_THAT(dot, ::testing::HasSubstr("  \"GET /r/one\" -> \""));
  EXPECT_THAT(dot, ::testing::HasSubstr("  \"GET /two\" [shape=box];\n"));
}

#ifndef ASHLAR_ALLOCATIONS_UNKNOWN
// What one request allocates between the handlers' call and ours: the same route with and without dependencies.
std::size_t allocations_of(ashlar::testing::Client& client, const char* target) {
  std::size_t least = static_cast<std::size_t>(-1);
  for (int i = 0; i < 5; ++i) {  // the first ones fill the pools of frames
    const std::size_t before = allocations;
    EXPECT_EQ(client.get(target).bearer("abc").send().status, 204);
    least = std::min(least, allocations - before);
  }
  return least;
}

TEST(Depends, IsResolvedWithoutAnAllocation) {
  App app;
  Store store;
  app.provide(store);
  app.get<"/without">([]() -> Task<NoContent> { co_return NoContent{}; });
  app.get<"/withall">([](Depends<member>, Depends<kept>, Depends<token>) -> Task<NoContent> { co_return NoContent{}; });
  Router<"/r"> router{{.dependencies = {depends<member>, depends<kept>}}};
  router.get<"/routed">([](Depends<member>, Depends<kept>) -> Task<NoContent> { co_return NoContent{}; });
  app.include(std::move(router));
  ashlar::testing::Client client{app};
  const std::size_t floor = allocations_of(client, "/without");
  EXPECT_GT(floor, 0U) << "nothing is counted";
  EXPECT_EQ(allocations_of(client, "/withall"), floor);
  EXPECT_EQ(allocations_of(client, "/r/routed"), floor);
}
#endif

}  // namespace
}  // namespace graph_test
