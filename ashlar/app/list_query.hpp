// ListQuery<T>: filters, order and page of a list, from the query string.
#pragma once

#include <ashlar/app/detail/extract.hpp>
#include <ashlar/schema/filter.hpp>

namespace ashlar {

/// The query string as a struct with FilterBy and SortBy members (schema/filter.hpp): `ListQuery<ProductList> query`.
/// Each comparison is a parameter of its own, in OpenAPI too. A parameter that neither it nor anything else of the
/// route reads is refused with 422 (extra_forbidden): a misspelt filter would otherwise give the whole list.
template <schema::ListModel T>
struct ListQuery : T {
  using value_type = T;
};

namespace detail {

void read_list_query(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);

template <class T>
struct Extractor<ListQuery<T>> {
  using Slot = ListQuery<T>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_list_query(call, schema::list_type<T>(), static_cast<T*>(&slot), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.parameter_models.push_back({In::query, &schema::list_type<T>()}); }
};

}  // namespace detail
}  // namespace ashlar
