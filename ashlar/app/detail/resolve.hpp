// The dependency graph of a handler, resolved while the program compiles, and the code that runs it.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <ashlar/app/depends.hpp>
#include <ashlar/app/detail/extract.hpp>
#include <ashlar/http/connection_values.hpp>

namespace ashlar::detail {

template <class P>
struct DependencyOf {
  static constexpr bool value = false;
};
template <auto F>
struct DependencyOf<Depends<F>> {
  static constexpr bool value = true;
  static constexpr auto function = F;
  using type = Depends<F>;
};
// The same dependency, in the same place of the frame.
template <auto F, FixedString... Scopes>
struct DependencyOf<Security<F, Scopes...>> : DependencyOf<Depends<F>> {};

template <class P>
using dependency_t = typename DependencyOf<std::remove_cvref_t<P>>::type;

// ---- order: every dependency once, after those it needs

// A circle cannot be written: a dependency names those it needs in its own declaration, so one of two that need each
// other would have to be declared before itself. The compiler then says that it is not declared
// (tests/misuse/dependency_cycle.cpp).
template <class Done, class Pending>
struct Collect {
  using type = Done;
};

template <class Done, class P, class... Rest>
struct Collect<Done, List<P, Rest...>> {
  static consteval auto step() {
    if constexpr (!DependencyOf<std::remove_cvref_t<P>>::value) {
      return std::type_identity<Done>{};
    } else if constexpr (kContains<dependency_t<P>, Done>) {
      return std::type_identity<Done>{};
    } else {
      using D = dependency_t<P>;
      using Inner = typename Signature<std::remove_const_t<decltype(DependencyOf<D>::function)>>::Parameters;
      return std::type_identity<typename AppendTo<typename Collect<Done, Inner>::type, D>::type>{};
    }
  }
  using type = typename Collect<typename decltype(step())::type, List<Rest...>>::type;
};

template <class Parameters>
using dependencies_t = typename Collect<List<>, Parameters>::type;

// ---- values ------------------------------------------------------------------------------------------------------

template <class T>
inline constexpr char kTypeKey = 0;
template <auto F>
inline constexpr char kFunctionKey = 0;

template <class T>
struct OfConnection final : http::ConnectionValues::Value {
  T value;
  explicit OfConnection(T&& made) : value(std::move(made)) {
    destroy = [](Value* self) noexcept { delete static_cast<OfConnection*>(self); };
  }
};

// The value is kept in the frame, or is one that stands in for it (see Call::find_shared), or waits for after the
// answer.
template <class D>
struct DependencyValue {
  using T = typename D::value_type;
  static constexpr auto kFunction = DependencyOf<D>::function;
  static constexpr bool kConnection = kOncePerConnection<kFunction>;
  static constexpr bool kAfter = kCleanUpAfterAnswer<kFunction> || kConnection;
  std::optional<T> own;
  T* value = nullptr;

  // Made by an earlier request of the connection?
  bool find_of_connection(Call& call) noexcept {
    auto* const values = call.exchange.connection_values();
    auto* const known = values != nullptr ? values->find(&kFunctionKey<kFunction>) : nullptr;
    if (known == nullptr) return false;
    value = &static_cast<OfConnection<T>*>(known)->value;
    return true;
  }

  template <class U>
  void set(Call& call, U&& result) {
    if constexpr (kConnection) {
      if (auto* const values = call.exchange.connection_values()) {
        auto* const kept = new OfConnection<T>(std::forward<U>(result));
        kept->key = &kFunctionKey<kFunction>;
        values->keep(*kept);
        value = &kept->value;
        return;
      }
    }
    if constexpr (kAfter) {
      struct Kept final : AfterAnswer {
        T value;
        explicit Kept(U&& v) : value(std::forward<U>(v)) {}
      };
      auto* kept = new Kept(std::forward<U>(result));
      kept->run = [](AfterAnswer* self, bool) noexcept { delete static_cast<Kept*>(self); };
      call.keep(*kept);
      value = &kept->value;
    } else if constexpr (std::is_lvalue_reference_v<typename D::Result>) {
      value = const_cast<T*>(&result);
    } else {
      own.emplace(std::forward<U>(result));
      value = &*own;
    }
  }
};

template <class Dependencies>
struct Frame;
template <class... D>
struct Frame<List<D...>> : DependencyValue<D>... {
  template <class Which>
  [[nodiscard]] DependencyValue<Which>& of() noexcept {
    return *this;
  }
};

// ---- arguments -----------------------------------------------------------------------------------------------------

template <unsigned I, class P>
struct Argument {
  typename Extractor<parameter_t<P>>::Slot slot{};
};
template <unsigned I, auto F>
struct Argument<I, Depends<F>> {};
template <unsigned I, auto F, FixedString... Scopes>
struct Argument<I, Security<F, Scopes...>> {};

template <class P>
inline constexpr bool kIsDependency = DependencyOf<std::remove_cvref_t<P>>::value;

template <class Indices, class Parameters>
struct Arguments;
template <std::size_t... I, class... P>
struct Arguments<std::index_sequence<I...>, List<P...>>
    : Argument<I, std::conditional_t<kIsDependency<P>, std::remove_cvref_t<P>, P>>... {
  static constexpr bool kReads = (!kIsDependency<P> || ...);

  void read(Call& call, schema::Errors& errors) { (read_one<I, P>(call, errors), ...); }

  template <class F, class FrameType>
  decltype(auto) apply(F& function, FrameType& frame) {
    return function(pass_one<I, P>(frame)...);
  }

 private:
  template <std::size_t At, class Q>
  void read_one(Call& call, schema::Errors& errors) {
    if constexpr (!kIsDependency<Q>) {
      Extractor<parameter_t<Q>>::read(call, static_cast<Argument<At, Q>*>(this)->slot, errors);
    }
  }
  template <std::size_t At, class Q, class FrameType>
  decltype(auto) pass_one(FrameType& frame) {
    if constexpr (kIsDependency<Q>) {
      return std::remove_cvref_t<Q>{*frame.template of<dependency_t<Q>>().value};
    } else {
      return Extractor<parameter_t<Q>>::pass(static_cast<Argument<At, Q>*>(this)->slot);
    }
  }
};

template <class Parameters>
using arguments_t = Arguments<std::make_index_sequence<Parameters::size>, Parameters>;

// ---- running

template <class D>
using dependency_signature = Signature<std::remove_const_t<decltype(DependencyOf<D>::function)>>;
template <class D>
inline constexpr bool kIsAsync = async::is_task<typename dependency_signature<D>::Result>;

template <class P>
consteval bool parameter_is_of_connection() {
  if constexpr (kIsDependency<P>) {
    return kOncePerConnection<DependencyOf<std::remove_cvref_t<P>>::function>;
  } else if constexpr (Extractable<parameter_t<P>>) {
    using Parameter = parameter_t<P>;
    return Extractor<Parameter>::kSource == Source::resource || std::is_same_v<Parameter, ClientCertificate> ||
           std::is_same_v<Parameter, std::optional<ClientCertificate>>;
  }
  return true;  // said elsewhere
}

// What a dependency of the connection may take. Written with the function, so that the message shows it.
template <auto Function, class P>
inline constexpr bool kIsOfConnection = parameter_is_of_connection<P>();

template <class D, class P>
consteval void check_of_connection() {
  static_assert(
      kIsOfConnection<DependencyOf<D>::function, P>,
      "a dependency that is made once a connection takes nothing of a request, for others may come on the same "
      "connection: it takes resources, ClientCertificate, and dependencies that are kOncePerConnection too");
}
template <class D, class... P>
consteval void check_connection_scope(List<P...>) {
  (check_of_connection<D, P>(), ...);
  static_assert(!std::is_reference_v<typename D::Result>,
                "a dependency that is made once a connection gives what it makes, no reference");
}

// True: a value stands in for this dependency, it is not called.
template <class D>
bool take_shared(Call& call, DependencyValue<D>& value) {
  constexpr auto function = DependencyOf<D>::function;
  void* shared = call.find_shared(&kFunctionKey<function>, &kTypeKey<typename D::value_type>);
  if (shared == nullptr) [[likely]]
    return false;
  value.value = static_cast<typename D::value_type*>(shared);
  return true;
}

// Once something is wrong with the request, the parameters of further dependencies are still read, so that all errors
// come at once, but the dependencies are not called.
template <class D, class FrameType>
void resolve_now(Call& call, FrameType& frame, schema::Errors& errors) {
  auto& value = frame.template of<D>();
  if (take_shared<D>(call, value)) return;
  if constexpr (kOncePerConnection<DependencyOf<D>::function>) {
    check_connection_scope<D>(typename dependency_signature<D>::Parameters{});
    if (value.find_of_connection(call)) return;
  }
  constexpr auto function = DependencyOf<D>::function;
  arguments_t<typename dependency_signature<D>::Parameters> arguments;
  if constexpr (decltype(arguments)::kReads) arguments.read(call, errors);
  if (!errors.empty()) [[unlikely]]
    return;
  value.set(call, arguments.apply(*function, frame));
}

template <class D, class FrameType>
Task<void> resolve_later(Call& call, FrameType& frame, schema::Errors& errors) {
  auto& value = frame.template of<D>();
  if (take_shared<D>(call, value)) co_return;
  constexpr auto function = DependencyOf<D>::function;
  arguments_t<typename dependency_signature<D>::Parameters> arguments;
  if constexpr (decltype(arguments)::kReads) arguments.read(call, errors);
  if (!errors.empty()) [[unlikely]]
    co_return;
  value.set(call, co_await arguments.apply(*function, frame));
}

struct Ready {
  [[nodiscard]] static constexpr bool await_ready() noexcept { return true; }
  static constexpr void await_suspend(std::coroutine_handle<>) noexcept {}
  static constexpr void await_resume() noexcept {}
};

template <class D, class FrameType>
auto resolve(Call& call, FrameType& frame, schema::Errors& errors) {
  if constexpr (kIsAsync<D>) {
    static_assert(!kOncePerConnection<DependencyOf<D>::function>,
                  "a dependency that is made once a connection is no task: another request would have to wait for it");
    return resolve_later<D>(call, frame, errors);
  } else {
    resolve_now<D>(call, frame, errors);
    return Ready{};
  }
}

// ---- description

// "current_user" out of the pretty function's "… [F = &(anonymous namespace)::current_user]".
template <auto F>
consteval std::string_view function_name() {
  constexpr std::string_view pretty = __PRETTY_FUNCTION__;
  constexpr auto begin = pretty.find("F = ") + 4;
  constexpr std::string_view name = pretty.substr(begin, pretty.rfind(']') - begin);
  return name.starts_with('&') ? name.substr(1) : name;
}

template <class... D>
void describe_dependencies(OperationInfo& info, List<D...>);

// The scopes go to the credentials that the dependency and those that it needs read.
template <auto F, FixedString... Scopes>
void describe_scopes(OperationInfo& info) {
  OperationInfo own;
  describe_dependencies(own, dependencies_t<List<Depends<F>>>{});
  constexpr std::array<std::string_view, sizeof...(Scopes)> scopes = {Scopes.view()...};
  add_scopes(info, scopes, own.security);
}
template <class P>
struct DescribeScopes {
  static void add(OperationInfo&) {}
};
template <auto F, FixedString... Scopes>
struct DescribeScopes<Security<F, Scopes...>> {
  static void add(OperationInfo& info) { describe_scopes<F, Scopes...>(info); }
};

template <class P>
void describe_one(OperationInfo& info) {
  if constexpr (kIsDependency<P>) {
    DescribeScopes<std::remove_cvref_t<P>>::add(info);
  } else {
    Extractor<parameter_t<P>>::describe(info);
  }
}
template <class P>
void name_one(std::vector<std::string>& takes, std::vector<std::string>& needs) {
  if constexpr (kIsDependency<P>) {
    needs.emplace_back(function_name<DependencyOf<std::remove_cvref_t<P>>::function>());
  } else {
    takes.emplace_back(type_name<P>());
  }
}
template <class... P>
void describe_all(OperationInfo& info, List<P...>) {
  (describe_one<P>(info), ...);
}
template <class... P>
void name_all(std::vector<std::string>& takes, std::vector<std::string>& needs, List<P...>) {
  (name_one<P>(takes, needs), ...);
}
template <class D>
void describe_dependency(OperationInfo& info) {
  using Parameters = typename dependency_signature<D>::Parameters;
  constexpr auto function = DependencyOf<D>::function;
  describe_all(info, Parameters{});
  DependencyInfo one{std::string(function_name<function>()),
                     std::string(type_name<typename D::Result>()),
                     {},
                     {},
                     kIsAsync<D>,
                     kCleanUpAfterAnswer<function>,
                     kOncePerConnection<function>};
  name_all(one.takes, one.needs, Parameters{});
  add_dependency(info, std::move(one));
}
template <class... D>
void describe_dependencies(OperationInfo& info, List<D...>) {
  (describe_dependency<D>(info), ...);
}

template <class P>
void add_resource(std::vector<unsigned>& keys) {
  if constexpr (!kIsDependency<P>) {
    if constexpr (Extractor<parameter_t<P>>::kSource == Source::resource) {
      keys.push_back(kResourceKey<typename Extractor<parameter_t<P>>::Resource>);
    }
  }
}
template <class... P>
void add_resources(std::vector<unsigned>& keys, List<P...>) {
  (add_resource<P>(keys), ...);
}
template <class... D>
void add_dependency_resources(std::vector<unsigned>& keys, List<D...>) {
  (add_resources(keys, typename dependency_signature<D>::Parameters{}), ...);
}

}  // namespace ashlar::detail
