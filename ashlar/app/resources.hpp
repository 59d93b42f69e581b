// Resources: objects that live as long as the application, handed to handlers by reference.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include <ashlar/app/detail/message.hpp>
#include <ashlar/async/component.hpp>

namespace ashlar::detail {

/// What is known about a resource type.
struct ResourceType {
  std::string name;
  std::shared_ptr<void> (*make_default)() = nullptr;   ///< T::make_default(), when there is one
  async::Component* (*as_component)(void*) = nullptr;  ///< when T has a life of its own
};

unsigned add_resource_type(ResourceType type);
const ResourceType& resource_type(unsigned key);

template <class T>
unsigned make_resource_key() {
  ResourceType type{std::string(type_name<T>()), nullptr, nullptr};
  if constexpr (requires { T::make_default(); }) {
    type.make_default = [] { return std::shared_ptr<void>(std::shared_ptr<T>(T::make_default())); };
  }
  if constexpr (std::is_base_of_v<async::Component, T>) {
    type.as_component = [](void* object) { return static_cast<async::Component*>(static_cast<T*>(object)); };
  }
  return add_resource_type(std::move(type));
}

/// A number for each type that is used as a resource anywhere in the program.
template <class T>
inline const unsigned kResourceKey = make_resource_key<T>();

}  // namespace ashlar::detail
