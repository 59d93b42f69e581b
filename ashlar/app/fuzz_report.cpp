// What fuzz() has found, for machines.
#include <fmt/format.h>

#include <chrono>
#include <utility>

#include <ashlar/app/fuzz.hpp>
#include <ashlar/schema/json_tree.hpp>

namespace ashlar {

std::string FuzzReport::json() const {
  using schema::Tree;
  const auto number = [](auto value) { return Tree::of_number(fmt::format("{}", value)); };
  Tree out = Tree::object();
  out.add("seed", number(seed));
  out.add("cases", number(cases));
  out.add("requests", number(requests));
  Tree about = Tree::object();
  about.add("alone", number(kinds.alone));
  about.add("sequences", number(kinds.sequences));
  about.add("invalid", number(kinds.invalid));
  about.add("credentials", number(kinds.credentials));
  about.add("methods", number(kinds.methods));
  out.add("kinds", std::move(about));
  out.add("seconds", number(std::chrono::duration<double>(duration).count()));
  Tree all = Tree::list();
  for (const auto& one : findings) {
    Tree finding = Tree::object();
    finding.add("check", Tree::of_text(one.check));
    finding.add("operation", Tree::of_text(one.operation));
    finding.add("message", Tree::of_text(one.message));
    finding.add("status", number(one.status));
    finding.add("curl", Tree::of_text(one.curl));
    finding.add("answer", Tree::of_text(one.answer));
    finding.add("times", number(one.times));
    all.items.push_back(std::move(finding));
  }
  out.add("findings", std::move(all));
  Tree tried = Tree::list();
  for (const auto& one : operations) {
    Tree operation = Tree::object();
    operation.add("operation", Tree::of_text(one.operation));
    operation.add("requests", number(one.requests));
    operation.add("successes", number(one.successes));
    tried.items.push_back(std::move(operation));
  }
  out.add("operations", std::move(tried));
  Tree remarks = Tree::list();
  for (const auto& one : notes) remarks.items.push_back(Tree::of_text(one));
  out.add("notes", std::move(remarks));
  return out.json();
}

}  // namespace ashlar
