// Factory<T>: values of a struct that its own rules take, and those that they just refuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <ashlar/base/error.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_schema.hpp>

namespace ashlar::testing {

struct FactoryOptions {
  std::uint64_t seed = 1;  ///< the same seed: the same values in the same order
  /// All of Unicode, and boundaries; without it values are small and made of letters and digits, for people to read.
  bool wild = false;
};

/// Data that a type refuses for one reason.
struct InvalidJson {
  std::string json;
  std::string why;  ///< "title: longer than 40"
};

namespace detail {

/// JSON that a type reads, made from its schema.
class JsonFactory {
 public:
  /// What is wrong with the JSON; empty: nothing.
  using Read = std::string (*)(std::string_view json);
  JsonFactory(const std::string& schema, Read read, const FactoryOptions& options);
  ~JsonFactory();
  JsonFactory(const JsonFactory&) = delete;
  JsonFactory& operator=(const JsonFactory&) = delete;

  std::string make();
  std::vector<InvalidJson> neighbours();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace detail

/// `Factory<NewUser> users; users.sequence(&NewUser::email, [](std::size_t n) { return fmt::format("u{}@x.org", n); });
/// NewUser user = users.make();` Every value is made from the constraints of T and read as JSON is, so rules of your
/// own (check{…}, validate()) hold as well; where chance does not meet them, give the member a sequence, or an
/// example{…}. Members that only the server sets keep the value of T{}. Not thread-safe.
template <class T>
class Factory {
 public:
  using Change = std::function<void(T&)>;

  explicit Factory(FactoryOptions options = {})
      : json_(std::make_shared<detail::JsonFactory>(schema::json_schema<T>(schema::Mode::input), &read, options)) {}

  /// Every value from now on has this in the member: a value, or what a function of the number of the value (from 1)
  /// gives. It is taken as it is, valid or not.
  template <class M, class V>
  Factory& sequence(M T::* member, V value) {
    changes_.push_back([member, value = std::move(value)](T& into, std::size_t number) {
      if constexpr (std::is_invocable_v<const V&, std::size_t>) {
        into.*member = value(number);
      } else {
        into.*member = value;
      }
    });
    return *this;
  }
  /// A member that another factory makes.
  template <class M, class U>
  Factory& sub(M T::* member, Factory<U>& factory) {
    changes_.push_back([member, &factory](T& into, std::size_t) { into.*member = factory.make(); });
    return *this;
  }
  /// A kind of T with a name: `users.trait("admin", [](NewUser& u) { u.role = Role::admin; })`.
  Factory& trait(std::string name, Change change) {
    traits_.emplace_back(std::move(name), std::move(change));
    return *this;
  }

  /// The next one, with what its traits and then `change` say. Throws NotFound for a trait that nobody has named,
  /// Invalid, with the reason, when chance finds no value.
  T make(std::vector<std::string_view> traits, const Change& change = {}) {
    T value = schema::parse_json<T>(json_->make());
    ++made_;
    for (const auto& one : changes_) one(value, made_);
    for (const std::string_view name : traits) trait_called(name)(value);
    if (change) change(value);
    return value;
  }
  T make(const Change& change = {}) { return make({}, change); }
  std::vector<T> make_many(std::size_t count, const Change& change = {}) {
    std::vector<T> all;
    all.reserve(count);
    while (all.size() < count) all.push_back(make(change));
    return all;
  }

  /// Bodies that T refuses, one for each of its constraints, each with the rest valid: for a test that each is 422.
  std::vector<InvalidJson> invalid_neighbours() { return json_->neighbours(); }

 private:
  static std::string read(std::string_view json) {
    T value{};
    schema::Errors errors;
    if (schema::parse_json(json, value, errors)) return {};
    return schema::ValidationError(std::move(errors)).what();
  }
  const Change& trait_called(std::string_view name) const {
    for (const auto& [known, change] : traits_) {
      if (known == name) return change;
    }
    throw NotFound("this factory has no trait \"" + std::string(name) + "\"");
  }

  std::shared_ptr<detail::JsonFactory> json_;
  std::vector<std::function<void(T&, std::size_t)>> changes_;
  std::vector<std::pair<std::string, Change>> traits_;
  std::size_t made_ = 0;
};

}  // namespace ashlar::testing
