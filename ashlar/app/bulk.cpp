#include <ashlar/app/bulk.hpp>

#include <fmt/format.h>

#include <ashlar/app/detail/core.hpp>
#include <ashlar/app/detail/read.hpp>
#include <ashlar/base/error.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_value.hpp>

namespace ashlar::detail {

void read_bulk(Call& call, std::size_t most, BulkSlot& slot, schema::Errors& errors) {
  slot.call = &call;
  Json body;
  const std::size_t before = errors.size();
  read_json(call, schema::type_info<Json>(), &body, errors);
  if (errors.size() != before) return;
  if (body.kind() != Json::Kind::array) return errors.add("list_type", "Input should be a valid list", {"body", {}});
  const auto items = body.elements();
  if (items.empty() || items.size() > most) {
    const bool few = items.empty();
    return errors.add(few ? "too_short" : "too_long",
                      fmt::format("List should have at {} {} item{} after validation, not {}", few ? "least" : "most",
                                  few ? 1 : most, few || most == 1 ? "" : "s", items.size()),
                      {"body", {}});
  }
  slot.texts.reserve(items.size());
  for (const Json& item : items) slot.texts.push_back(item.text());
}

std::optional<std::vector<schema::ErrorItem>> read_bulk_item(const BulkSlot& slot, std::size_t at,
                                                             const schema::TypeInfo& type, void* into) {
  schema::Errors errors;
  if (schema::read_json(type, slot.texts[at], into, errors)) return std::nullopt;
  auto items = errors.take();
  for (schema::ErrorItem& item : items) {
    item.loc.insert(item.loc.begin(), {schema::LocItem("body"), schema::LocItem(static_cast<std::int64_t>(at))});
    item.line = item.column = 0;  // those of the item alone
  }
  return items;
}

Problem bulk_problem(const Call& call, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Cancelled&) {
    throw;
  } catch (...) {
    return call.core.problem_of(error);
  }
}

BulkError bulk_error(const Problem& problem) {
  BulkError out;
  out.title = problem.title.empty() ? std::string(http::reason_phrase(problem.status)) : problem.title;
  if (!problem.detail.empty()) out.detail = problem.detail;
  for (const schema::ErrorItem& item : problem.errors) out.errors.push_back({item.type, item.loc, item.msg});
  return out;
}

}  // namespace ashlar::detail
