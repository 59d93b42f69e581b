#include <ashlar/testing/factory.hpp>

#include <fmt/format.h>

#include <set>

#include <ashlar/schema/sample.hpp>

namespace ashlar::testing::detail {

using schema::Letters;
using schema::Random;
using schema::SchemaDocument;
using schema::Tree;

struct JsonFactory::Impl {
  SchemaDocument document;
  const schema::SchemaNode& node;
  Read read;
  Random random;
  Letters letters;

  Impl(const std::string& schema, Read the_read, const FactoryOptions& options)
      : document(schema),
        node(document.schema(document.root())),
        read(the_read),
        random(options.seed),
        letters(options.wild ? Letters::any : Letters::tame) {}

  Tree make() {
    constexpr int kTries = 500;
    std::string why;
    for (int i = 0; i < kTries; ++i) {
      Tree value = sample(node, random, letters);
      why = read(value.json());
      if (why.empty()) return value;
    }
    throw Invalid(
        fmt::format("chance made no value in {} tries; give an example{{…}} to what refuses them:\n{}", kTries, why));
  }
};

JsonFactory::JsonFactory(const std::string& schema, Read read, const FactoryOptions& options)
    : impl_(std::make_unique<Impl>(schema, read, options)) {}
JsonFactory::~JsonFactory() = default;

std::string JsonFactory::make() { return impl_->make().json(); }

std::vector<InvalidJson> JsonFactory::neighbours() {
  std::vector<InvalidJson> all;
  std::set<std::string> seen;
  // An optional member is there in one value and not in another; a few show all constraints.
  for (int i = 0; i < 8; ++i) {
    const Tree value = impl_->make();
    for (const auto& change : schema::neighbours(impl_->node, value)) {
      if (seen.contains(change.why)) continue;
      Tree changed = value;
      change.apply(changed);
      std::string json = changed.json();
      if (impl_->read(json).empty()) continue;  // the reader is kinder than the schema: "5" is 5
      seen.insert(change.why);
      all.push_back({std::move(json), change.why});
    }
  }
  return all;
}

}  // namespace ashlar::testing::detail
