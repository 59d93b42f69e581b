// MergePatch<T>: a partial update as application/merge-patch+json (RFC 7396).
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/schema/patch.hpp>
#include <ashlar/schema/reflect.hpp>

namespace ashlar {

namespace detail {

template <class M>
inline constexpr bool kIsPatch = schema::detail::kIs<schema::unannotated_t<M>, Patch>;
template <class... M>
consteval bool all_patches(schema::detail::TypeList<M...>) {
  return (kIsPatch<M> && ...);
}

template <class T, class Target>
consteval bool has_members_of() {
  for (const std::string_view name : schema::kMemberNames<T>) {
    bool found = false;
    for (const std::string_view other : schema::kMemberNames<Target>) found = found || other == name;
    if (!found) return false;
  }
  return true;
}

}  // namespace detail

/// The body of a PATCH: a struct of Patch members, `struct BookPatch { Patch<std::string> note;
/// Annotated<Patch<Decimal>, not_null{}> price; };`. What is absent stays, null clears it; where there is nothing to
/// clear, not_null{} refuses null. Read as application/json, too: clients that send that mean the same.
template <schema::Reflected T>
struct MergePatch : T {
  static_assert(detail::all_patches(schema::detail::MemberTypes<T>{}),
                "every member of a merge patch is a Patch<…>: any other could not be told from one that was not sent");
  using value_type = T;

  /// Writes what was sent into the members of the same names.
  template <class Target>
  void apply_to(Target& target) const {
    static_assert(detail::has_members_of<T, Target>(), "a member of the patch is named like none of its target");
    schema::for_each_member(static_cast<const T&>(*this), [&target](std::string_view name, const auto& patch) {
      bool known = false;
      schema::for_each_member(target, [&](std::string_view other, auto& member) {
        using Value = typename schema::unannotated_t<std::remove_cvref_t<decltype(patch)>>::value_type;
        if constexpr (requires { schema::unannotated(member) = std::declval<const Value&>(); }) {
          if (name == other) {
            schema::unannotated(patch).apply_to(schema::unannotated(member));
            known = true;
          }
        }
      });
      if (!known) throw_other_type(name);
    });
  }

 private:
  [[noreturn]] static void throw_other_type(std::string_view name) {
    throw Internal("the member '" + std::string(name) + "' of a patch is of another type in its target");
  }
};

namespace detail {

template <class T>
struct Extractor<MergePatch<T>> {
  using Slot = MergePatch<T>;
  static constexpr Source kSource = Source::body;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_json(call, schema::type_info<T>(), static_cast<T*>(&slot), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) {
    info.body = BodyInfo{"application/merge-patch+json", &schema::type_info<T>(), true};
  }
};

}  // namespace detail
}  // namespace ashlar
