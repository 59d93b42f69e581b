// How errors look on the wire: {"errors": {"<field>": ["<message>"]}}.
#include <map>
#include <string>
#include <variant>
#include <vector>

#include <ashlar/auth/jwt.hpp>
#include <ashlar/pg/error.hpp>

#include "routes.hpp"
#include "services.hpp"

namespace conduit {
namespace {

struct GenericErrorModel {
  std::map<std::string, std::vector<std::string>> errors;
};

// The member or parameter that is meant: the last name in ["body", "article", "tagList", 2].
std::string field_of(const schema::ErrorItem& error) {
  for (auto part = error.loc.rbegin(); part != error.loc.rend(); ++part) {
    if (const auto* name = std::get_if<std::string>(&*part)) return *name;
  }
  return "request";
}

std::string message_of(const schema::ErrorItem& error) {
  const bool nothing = error.input.empty() || error.input == "null" || error.input == "\"\"";
  if (error.type == "missing" || error.type == "string_pattern_mismatch") return "can't be blank";
  if (nothing && (error.type == "string_type" || error.type == "string_too_short")) return "can't be blank";
  return error.msg;
}

GenericErrorModel to_contract(const Problem& problem) {
  GenericErrorModel out;
  for (const auto& error : problem.errors) out.errors[field_of(error)].push_back(message_of(error));
  if (!out.errors.empty()) return out;
  if (problem.status == 401) return {{{"token", {"is missing"}}}};
  return {{{"request", {problem.detail.empty() ? problem.title : problem.detail}}}};
}

}  // namespace

void add_error_format(App& app) {
  app.error_format<GenericErrorModel>(to_contract);
  app.on_error<auth::TokenError>([](const auto&) { return refusal(401, "token", "is invalid"); });
  // sample: taken
  app.on_error<pg::UniqueViolation>([](const pg::UniqueViolation& error) {
    const std::string& name = error.constraint();  // users_email_key: the e-mail
    return refusal(409, name.substr(0, name.rfind('_')).substr(name.find('_') + 1), "has already been taken");
  });
  // end of sample
  app.on_error<pg::ForeignKeyViolation>([](const pg::ForeignKeyViolation& error) {
    const std::string& name = error.constraint();
    // The token is genuine, but its user is gone.
    if (name.ends_with("_me_fkey")) return refusal(401, "token", "is invalid");
    // Deleted after the statement had seen it: the same as before.
    return refusal(404, name.starts_with("follows") ? "profile" : "article", "not found");
  });
}

}  // namespace conduit
