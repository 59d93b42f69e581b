// Call: one request on its way through a route. What parameters are read from and answers are written to.
#pragma once

#include <array>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <ashlar/app/description.hpp>
#include <ashlar/app/detail/pattern.hpp>
#include <ashlar/app/responses.hpp>
#include <ashlar/async/task.hpp>
#include <ashlar/http/exchange.hpp>

namespace ashlar {

class App;

namespace detail {

class Core;  // the running application
class Around;
class LoopLoad;
class FormReader;
struct Route;
struct RouteLoad;

/// A value that stands in for a dependency's result in this request: a router's dependency that has run already, or a
/// test's override. Found by the dependency's function, or by the type of its result.
struct SharedValue {
  const void* key = nullptr;
  void* value = nullptr;
  SharedValue* next = nullptr;
};

/// What is done when the answer is on its way: kept values go, background work begins.
struct AfterAnswer {
  void (*run)(AfterAnswer*, bool succeeded) noexcept = nullptr;  ///< runs it and deletes it
  AfterAnswer* next = nullptr;

  // From the pool that coroutines take their frames from: no allocation once it is warm.
  static void* operator new(std::size_t size) { return async::detail::allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { async::detail::free_frame(memory, size); }
  static void* operator new(std::size_t size, std::align_val_t align) { return ::operator new(size, align); }
  static void operator delete(void* memory, std::size_t size, std::align_val_t align) noexcept {
    ::operator delete(memory, size, align);
  }
};

/// Lives in the exchange's scratch memory, so it must not need a destructor.
class Call final : public async::Completion {
 public:
  Call(http::Exchange& the_exchange, Core& the_core) noexcept : exchange(the_exchange), core(the_core) {}

  http::Exchange& exchange;
  Core& core;
  const Route* route = nullptr;
  std::array<std::string_view, kMaxPathParameters> path_values;  ///< decoded, in the order of the pattern
  SharedValue* shared = nullptr;
  AfterAnswer* kept = nullptr;        ///< last in, first out
  AfterAnswer* background = nullptr;  ///< first in, first out
  const FormReader* form = nullptr;   ///< the form of a route that takes files, once it has arrived
  unsigned passed = 0;                ///< middleware whose `before` has run
  LoopLoad* load = nullptr;           ///< counts it as under way; null: nobody does
  RouteLoad* route_load = nullptr;
  http::WebSocket* socket = nullptr;  ///< after the 101 of a WebSocket route

  /// The value of a path parameter.
  [[nodiscard]] std::string_view path_value(std::string_view name) const noexcept;
  /// A provided resource by its number. Never null once the application has started.
  [[nodiscard]] void* resource(unsigned key) const noexcept;
  /// A replaced dependency; null: none.
  [[nodiscard]] void* find_shared(const void* function, const void* type) const noexcept {
    if (shared == nullptr && exchange.context.overrides == nullptr) [[likely]]
      return nullptr;
    return find_shared_slowly(function, type);
  }
  /// Keeps something until the answer is on its way.
  void keep(AfterAnswer& what) noexcept {
    what.next = kept;
    kept = &what;
  }
  /// Begins something when the answer is on its way.
  void begin_later(AfterAnswer& work) noexcept {
    AfterAnswer** tail = &background;
    while (*tail != nullptr) tail = &(*tail)->next;
    *tail = &work;
  }

  void conclude() noexcept;                      ///< what middleware adds to the answer
  void succeed() noexcept;                       ///< the response is filled in
  void fail(std::exception_ptr error) noexcept;  ///< answer with what the error says
  void on_complete(std::exception_ptr error) noexcept override {
    if (error) [[unlikely]]
      return fail(std::move(error));
    succeed();
  }

 private:
  void finish(bool succeeded) noexcept;
  void* find_shared_slowly(const void* function, const void* type) const noexcept;
};

static_assert(std::is_trivially_destructible_v<Call>, "scratch memory runs no destructors");

/// One route as the running program knows it.
struct Route {
  http::Method method = http::Method::get;
  std::string pattern;
  RouteOptions options;
  std::shared_ptr<const void> handler;
  /// Reads the parameters, runs the handler, writes the answer. True: all done. False: a task runs and will tell the
  /// Call.
  bool (*invoke)(Call&) = nullptr;
  void (*describe)(OperationInfo&) = nullptr;
  std::shared_ptr<const http::WebSocketOptions> websocket;  ///< null: an ordinary route
  bool streams_body = false;                                ///< the body is read while it arrives
  bool receives_form = false;                               ///< into a form, before the handler's parameters are read
  std::vector<unsigned> resources;                          ///< numbers of the resources that it needs
  std::vector<Task<void> (*)(Call&)> dependencies;          ///< of the routers and the application around it
  std::vector<void (*)(OperationInfo&)> dependency_descriptions;
  std::vector<std::string> parameter_names;  ///< of the pattern, in order
  std::vector<std::string> scopes;           ///< that it asks for: see SecurityScopes
  std::string name;                          ///< "GET /articles/{slug}"
  struct Metrics;
  std::shared_ptr<Metrics> metrics;
  std::shared_ptr<RouteLoad[]> loads;  ///< by the number of the loop; null: nobody watches
  /// The handler, for what is around it (detail/around.hpp): `handle` is what `invoke` would be without, and `run` the
  /// same as a task; null: the handler never waits.
  bool (*handle)(Call&) = nullptr;
  Task<void> (*run)(Call&) = nullptr;
  std::shared_ptr<const Around> around;
};

}  // namespace detail
}  // namespace ashlar
