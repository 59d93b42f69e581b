#include <ashlar/app/list_query.hpp>

#include <algorithm>
#include <vector>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/read.hpp>

namespace ashlar::detail {
namespace {

// Whether another parameter of the route has this name: a key in the query, another struct of a dependency.
bool is_read_by_others(const OperationInfo& info, std::string_view name) {
  const auto is_parameter = [&](const ParameterInfo& p) { return p.in == In::query && p.name == name; };
  const auto is_key = [&](const SecurityInfo& s) {
    return s.kind == "apiKey" && s.in == In::query && s.detail == name;
  };
  const auto is_member = [&](const ParameterModelInfo& model) {
    return model.in == In::query && schema::reads_parameter(*model.type, name);
  };
  return std::ranges::any_of(info.parameters, is_parameter) || std::ranges::any_of(info.security, is_key) ||
         std::ranges::any_of(info.parameter_models, is_member);
}

}  // namespace

void read_list_query(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors) {
  auto pairs = form_fields(call.exchange.request.query, call.exchange.scratch);
  const auto is_unknown = [&](const schema::Pair& pair) { return !schema::reads_parameter(type, pair.name); };
  if (std::ranges::any_of(pairs, is_unknown)) [[unlikely]] {
    const OperationInfo info = operation_of(*call.route);
    std::erase_if(pairs,
                  [&](const schema::Pair& pair) { return is_unknown(pair) && is_read_by_others(info, pair.name); });
  }
  schema::read_pairs(type, pairs, out, errors, {"query", {}});
}

}  // namespace ashlar::detail
