// The OpenAPI document that the service makes of its code, against the public contract (contract.json: the RealWorld
// project's openapi.yml, MIT, as JSON). Paths of the contract begin below /api. Constraints may be tighter than the
// contract's.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include <ashlar/schema/json_value.hpp>

#include "realworld_test.hpp"

namespace conduit {
namespace {

using ashlar::Json;

// A document whose references are followed.
class Document {
 public:
  explicit Document(std::string_view text) : root_(text) {}

  [[nodiscard]] Json at(const std::vector<std::string>& path) const {
    Json here = root_;
    for (const auto& key : path) here = member(here, key);
    return here;
  }
  // null when there is none
  [[nodiscard]] Json member(const Json& of, std::string_view key) const {
    const auto found = resolved(of).find(key);
    return found ? resolved(*found) : Json();
  }
  [[nodiscard]] Json resolved(Json value) const {
    while (value.kind() == Json::Kind::object) {
      const auto reference = value.find("$ref");
      if (!reference) break;
      std::string rest = reference->as_string()->substr(2);  // "#/components/schemas/User"
      value = root_;
      while (!rest.empty()) {
        const auto end = rest.find('/');
        value = value.find(rest.substr(0, end)).value_or(Json());
        rest = end == std::string::npos ? std::string() : rest.substr(end + 1);
      }
    }
    return value;
  }

 private:
  Json root_;
};

std::string text(const Json& json) { return json.as_string().value_or(""); }
std::set<std::string> texts(const Json& array) {
  std::set<std::string> out;
  for (const auto& one : array.elements()) out.insert(text(one));
  return out;
}
std::set<std::string> keys(const Json& object) {
  const auto all = object.keys();
  return {all.begin(), all.end()};
}

// {"string", "null"}
std::set<std::string> types(const Document& document, const Json& schema) {
  const Json type = document.member(schema, "type");
  if (type.kind() == Json::Kind::array) return texts(type);
  if (type.kind() == Json::Kind::string) return {text(type)};
  std::set<std::string> out;
  for (const auto& choice : document.member(schema, "anyOf").elements()) out.merge(types(document, choice));
  return out;
}

struct Contract : ::testing::Test {
  Contract() {
    app.provide(db).provide(passwords).provide(tokens);
    add_conduit(app);
    ours.emplace(app.openapi());
  }

  ashlar::App app;
  ashlar::pg::Db db;  // never started
  ashlar::auth::Passwords passwords;
  ashlar::auth::Tokens tokens{{.keys = {ashlar::auth::Key::generate(ashlar::auth::Algorithm::hs256)}}};
  Document theirs{[] {
    std::ifstream file(CONDUIT_CONTRACT);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }()};
  std::optional<Document> ours;

  // Calls f(contract's operation, our operation, name) for each.
  template <class F>
  void each_operation(F f) {
    const Json their_paths = theirs.at({"paths"});
    const Json our_paths = ours->at({"paths"});
    for (const auto& path : their_paths.keys()) {
      const Json their_path = theirs.member(their_paths, path);
      const Json our_path = ours->member(our_paths, "/api" + path);
      for (const auto& method : their_path.keys()) {
        f(theirs.member(their_path, method), ours->member(our_path, method), method + " " + path);
      }
    }
  }

  void expect_same_shape(const Json& their_schema, const Json& our_schema, const std::string& where) {
    EXPECT_EQ(types(theirs, their_schema), types(*ours, our_schema)) << where << our_schema.text();
    if (const auto format = text(theirs.member(their_schema, "format")); !format.empty()) {
      EXPECT_EQ(format, text(ours->member(our_schema, "format"))) << where;
    }
    EXPECT_EQ(texts(theirs.member(their_schema, "required")), texts(ours->member(our_schema, "required"))) << where;
    const Json members = theirs.member(their_schema, "properties");
    EXPECT_EQ(keys(members), keys(ours->member(our_schema, "properties"))) << where;
    for (const auto& name : members.keys()) {
      expect_same_shape(theirs.member(members, name), ours->member(ours->member(our_schema, "properties"), name),
                        where + "." + name);
    }
    if (const Json items = theirs.member(their_schema, "items"); !items.is_null()) {
      expect_same_shape(items, ours->member(our_schema, "items"), where + "[]");
    }
  }

  static Json body_of(const Document& document, const Json& message) {
    const Json content = document.member(message, "content");
    return document.member(document.member(content, "application/json"), "schema");
  }
};

TEST_F(Contract, HasTheSameOperations) {
  int count = 0;
  each_operation([&](const Json& their, const Json& our, const std::string& name) {
    ++count;
    EXPECT_EQ(text(theirs.member(their, "operationId")), text(ours->member(our, "operationId"))) << name;
    EXPECT_EQ(texts(theirs.member(their, "tags")), texts(ours->member(our, "tags"))) << name;
  });
  EXPECT_EQ(count, 19);
  for (const auto& path : ours->at({"paths"}).keys()) {
    EXPECT_FALSE(theirs.at({"paths", path.substr(4)}).is_null()) << path << " is not in the contract";
    EXPECT_EQ(keys(ours->at({"paths", path})), keys(theirs.at({"paths", path.substr(4)}))) << path;
  }
}

TEST_F(Contract, TakesTheSameParameters) {
  each_operation([&](const Json& their, const Json& our, const std::string& name) {
    const auto outline = [](const Document& document, const Json& operation) {
      std::set<std::string> out;
      for (const auto& one : document.member(operation, "parameters").elements()) {
        std::string line = text(document.member(one, "in")) + " " + text(document.member(one, "name"));
        for (const auto& type : types(document, document.member(one, "schema"))) line += " " + type;
        if (document.member(one, "required").as_bool().value_or(false)) line += " required";
        out.insert(line);
      }
      return out;
    };
    EXPECT_EQ(outline(theirs, their), outline(*ours, our)) << name;
  });
}

TEST_F(Contract, TakesTheSameBodies) {
  each_operation([&](const Json& their, const Json& our, const std::string& name) {
    const Json their_body = body_of(theirs, theirs.member(their, "requestBody"));
    const Json our_body = body_of(*ours, ours->member(our, "requestBody"));
    EXPECT_EQ(their_body.is_null(), our_body.is_null()) << name;
    if (!their_body.is_null()) expect_same_shape(their_body, our_body, name);
  });
}

TEST_F(Contract, GivesTheSameAnswers) {
  each_operation([&](const Json& their, const Json& our, const std::string& name) {
    const Json their_answers = theirs.member(their, "responses");
    const Json our_answers = ours->member(our, "responses");
    for (const auto& status : their_answers.keys()) {
      const std::string where = name + " " + status;
      const Json answer = ours->member(our_answers, status);
      // What cannot be wrong with a request (it has no body and no parameter) is not in our document.
      if (status == "422" && ours->member(our, "parameters").elements().empty() &&
          ours->member(our, "requestBody").is_null()) {
        continue;
      }
      EXPECT_FALSE(answer.is_null()) << where;
      const Json their_body = body_of(theirs, theirs.member(their_answers, status));
      EXPECT_EQ(their_body.is_null(), body_of(*ours, answer).is_null()) << where;
      if (!their_body.is_null()) expect_same_shape(their_body, body_of(*ours, answer), where);
    }
  });
}

TEST_F(Contract, AsksForTokensInTheSamePlaces) {
  const Json scheme = ours->at({"components", "securitySchemes", "Token"});
  EXPECT_EQ(text(ours->member(scheme, "type")), "apiKey");
  EXPECT_EQ(text(ours->member(scheme, "in")), "header");
  EXPECT_EQ(text(ours->member(scheme, "name")), "Authorization");
  each_operation([&](const Json& their, const Json& our, const std::string& name) {
    const auto demands = [](const Document& document, const Json& operation) {
      const auto all = document.member(operation, "security").elements();
      return !all.empty() && std::ranges::all_of(all, [](const Json& one) { return one.find("Token").has_value(); });
    };
    EXPECT_EQ(demands(theirs, their), demands(*ours, our)) << name;
  });
}

}  // namespace
}  // namespace conduit
