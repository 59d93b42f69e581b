// The OpenAPI document that the service makes of its code, against the public contract (contract.json: the RealWorld
// project's openapi.yml, MIT, as JSON). Paths of the contract begin below /api. Constraints may be tighter than the
// contract's.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <ashlar/schema/json_tree.hpp>

#include "realworld_test.hpp"

namespace conduit {
namespace {

using ashlar::schema::Tree;

// A value of a document; null when there is none.
class Node {
 public:
  explicit Node(const Tree* tree = nullptr) : tree_(tree) {}
  [[nodiscard]] Node find(std::string_view key) const { return Node(tree_ != nullptr ? tree_->find(key) : nullptr); }
  [[nodiscard]] bool is_null() const { return tree_ == nullptr || tree_->kind == Tree::Kind::null; }
  [[nodiscard]] bool is_list() const { return tree_ != nullptr && tree_->kind == Tree::Kind::list; }
  [[nodiscard]] bool is_text() const { return tree_ != nullptr && tree_->kind == Tree::Kind::text; }
  [[nodiscard]] std::string text() const { return is_text() ? tree_->text : std::string(); }
  [[nodiscard]] std::string json() const { return tree_ != nullptr ? tree_->json() : std::string(); }
  [[nodiscard]] bool is_true() const { return tree_ != nullptr && tree_->boolean; }
  [[nodiscard]] std::vector<std::string> keys() const {
    return tree_ != nullptr ? tree_->names : std::vector<std::string>();
  }
  [[nodiscard]] std::vector<Node> elements() const {
    std::vector<Node> out;
    for (std::size_t i = 0; is_list() && i < tree_->items.size(); ++i) out.emplace_back(&tree_->items[i]);
    return out;
  }

 private:
  const Tree* tree_;
};

// A document whose references are followed.
class Document {
 public:
  explicit Document(std::string_view text) : root_(ashlar::schema::parse_tree(text).value()) {}

  [[nodiscard]] Node at(const std::vector<std::string>& path) const {
    Node here(&root_);
    for (const auto& key : path) here = member(here, key);
    return here;
  }
  [[nodiscard]] Node member(const Node& of, std::string_view key) const { return resolved(resolved(of).find(key)); }
  [[nodiscard]] Node resolved(Node value) const {
    for (Node reference = value.find("$ref"); reference.is_text(); reference = value.find("$ref")) {
      std::string rest = reference.text().substr(2);  // "#/components/schemas/User"
      value = Node(&root_);
      while (!rest.empty()) {
        const auto end = rest.find('/');
        value = value.find(rest.substr(0, end));
        rest = end == std::string::npos ? std::string() : rest.substr(end + 1);
      }
    }
    return value;
  }

 private:
  const Tree root_;
};

std::string text(const Node& node) { return node.text(); }
std::set<std::string> texts(const Node& array) {
  std::set<std::string> out;
  for (const auto& one : array.elements()) out.insert(text(one));
  return out;
}
std::set<std::string> keys(const Node& object) {
  const auto all = object.keys();
  return {all.begin(), all.end()};
}

// {"string", "null"}
std::set<std::string> types(const Document& document, const Node& schema) {
  const Node type = document.member(schema, "type");
  if (type.is_list()) return texts(type);
  if (type.is_text()) return {text(type)};
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
    const Node their_paths = theirs.at({"paths"});
    const Node our_paths = ours->at({"paths"});
    for (const auto& path : their_paths.keys()) {
      const Node their_path = theirs.member(their_paths, path);
      const Node our_path = ours->member(our_paths, "/api" + path);
      for (const auto& method : their_path.keys()) {
        f(theirs.member(their_path, method), ours->member(our_path, method), method + " " + path);
      }
    }
  }

  void expect_same_shape(const Node& their_schema, const Node& our_schema, const std::string& where) {
    EXPECT_EQ(types(theirs, their_schema), types(*ours, our_schema)) << where << our_schema.json();
    if (const auto format = text(theirs.member(their_schema, "format")); !format.empty()) {
      EXPECT_EQ(format, text(ours->member(our_schema, "format"))) << where;
    }
    EXPECT_EQ(texts(theirs.member(their_schema, "required")), texts(ours->member(our_schema, "required"))) << where;
    const Node members = theirs.member(their_schema, "properties");
    EXPECT_EQ(keys(members), keys(ours->member(our_schema, "properties"))) << where;
    for (const auto& name : members.keys()) {
      expect_same_shape(theirs.member(members, name), ours->member(ours->member(our_schema, "properties"), name),
                        where + "." + name);
    }
    if (const Node items = theirs.member(their_schema, "items"); !items.is_null()) {
      expect_same_shape(items, ours->member(our_schema, "items"), where + "[]");
    }
  }

  static Node body_of(const Document& document, const Node& message) {
    const Node content = document.member(message, "content");
    return document.member(document.member(content, "application/json"), "schema");
  }
};

TEST_F(Contract, HasTheSameOperations) {
  int count = 0;
  each_operation([&](const Node& their, const Node& our, const std::string& name) {
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
  each_operation([&](const Node& their, const Node& our, const std::string& name) {
    const auto outline = [](const Document& document, const Node& operation) {
      std::set<std::string> out;
      for (const auto& one : document.member(operation, "parameters").elements()) {
        std::string line = text(document.member(one, "in")) + " " + text(document.member(one, "name"));
        for (const auto& type : types(document, document.member(one, "schema"))) line += " " + type;
        if (document.member(one, "required").is_true()) line += " required";
        out.insert(line);
      }
      return out;
    };
    EXPECT_EQ(outline(theirs, their), outline(*ours, our)) << name;
  });
}

TEST_F(Contract, TakesTheSameBodies) {
  each_operation([&](const Node& their, const Node& our, const std::string& name) {
    const Node their_body = body_of(theirs, theirs.member(their, "requestBody"));
    const Node our_body = body_of(*ours, ours->member(our, "requestBody"));
    EXPECT_EQ(their_body.is_null(), our_body.is_null()) << name;
    if (!their_body.is_null()) expect_same_shape(their_body, our_body, name);
  });
}

TEST_F(Contract, GivesTheSameAnswers) {
  each_operation([&](const Node& their, const Node& our, const std::string& name) {
    const Node their_answers = theirs.member(their, "responses");
    const Node our_answers = ours->member(our, "responses");
    for (const auto& status : their_answers.keys()) {
      const std::string where = name + " " + status;
      const Node answer = ours->member(our_answers, status);
      // What cannot be wrong with a request (it has no body and no parameter) is not in our document.
      if (status == "422" && ours->member(our, "parameters").elements().empty() &&
          ours->member(our, "requestBody").is_null()) {
        continue;
      }
      EXPECT_FALSE(answer.is_null()) << where;
      const Node their_body = body_of(theirs, theirs.member(their_answers, status));
      EXPECT_EQ(their_body.is_null(), body_of(*ours, answer).is_null()) << where;
      if (!their_body.is_null()) expect_same_shape(their_body, body_of(*ours, answer), where);
    }
  });
}

TEST_F(Contract, AsksForTokensInTheSamePlaces) {
  const Node scheme = ours->at({"components", "securitySchemes", "Token"});
  EXPECT_EQ(text(ours->member(scheme, "type")), "apiKey");
  EXPECT_EQ(text(ours->member(scheme, "in")), "header");
  EXPECT_EQ(text(ours->member(scheme, "name")), "Authorization");
  each_operation([&](const Node& their, const Node& our, const std::string& name) {
    const auto demands = [](const Document& document, const Node& operation) {
      const auto all = document.member(operation, "security").elements();
      return !all.empty() && std::ranges::all_of(all, [](const Node& one) { return !one.find("Token").is_null(); });
    };
    EXPECT_EQ(demands(theirs, their), demands(*ours, our)) << name;
  });
}

}  // namespace
}  // namespace conduit
