#include <ashlar/app/detail/openapi_headers.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ashlar/app/openapi.hpp>
#include <ashlar/base/text.hpp>

namespace ashlar::detail {
namespace {

using Property = schema::SchemaSet::Property;

class Headers {
 public:
  explicit Headers(schema::SchemaSet& schemas) : schemas_(schemas) {}

  void begin_response() { ++response_; }

  void add(const ResponsePartInfo& part) {
    if (part.type != nullptr) {
      for (auto& property : schemas_.parameters(*part.type)) {
        property.name = header_name(property.name);
        property.required = property.required && part.required;
        add(std::move(property));
      }
    } else if (part.in == In::cookie) {
      // All cookies are in headers of one name.
      add({.name = "Set-Cookie",
           .schema = R"({"type":"string"})",
           .description = "Sets the cookie " + part.name,
           .required = part.required});
    } else {
      add({.name = part.name, .schema = R"({"type":"string"})", .required = part.required});
    }
  }
  void add_location(std::string description, bool required) {
    add({.name = "Location",
         .schema = R"({"type":"string","format":"uri-reference"})",
         .description = std::move(description),
         .required = required});
  }

  void write(JsonWriter& out) const {
    if (all_.empty()) return;
    out.key("headers").open('{');
    for (const auto& [header, responses, last] : all_) {
      out.key(header.name).open('{').member_if("description", header.description);
      if (header.required && responses == response_) out.flag("required");
      if (header.deprecated) out.flag("deprecated");
      out.key("schema").raw(header.schema);
      if (!header.example.empty()) out.key("example").raw(header.example);
      out.close('}');
    }
    out.close('}');
  }

 private:
  struct Known {
    Property header;
    std::size_t responses;  // that have it
    std::size_t last;       // of them
  };

  void add(Property header) {
    const auto same = [&](const Known& one) { return equals_ignore_case(one.header.name, header.name); };
    const auto known = std::ranges::find_if(all_, same);
    if (known == all_.end()) return all_.push_back({std::move(header), 1, response_});
    Property& first = known->header;
    if (first.description.find(header.description) == std::string::npos) first.description += "; " + header.description;
    if (known->last == response_) {
      first.required = first.required || header.required;
    } else {
      first.required = first.required && header.required;
      ++known->responses;
      known->last = response_;
    }
  }

  schema::SchemaSet& schemas_;
  std::vector<Known> all_;
  std::size_t response_ = 0;
};

}  // namespace

void write_response_headers(JsonWriter& out, schema::SchemaSet& schemas,
                            const std::vector<const ResponseInfo*>& responses, bool redirects) {
  Headers headers(schemas);
  for (const ResponseInfo* response : responses) {
    headers.begin_response();
    if (redirects) headers.add_location("Where to go", true);
    for (const ResponsePartInfo& part : response->parts) {
      if (part.name == "Location" && part.in == In::header) {
        headers.add_location("Where it is", part.required);
      } else {
        headers.add(part);
      }
    }
  }
  headers.write(out);
}

std::vector<std::string> response_header_names(const schema::TypeInfo& type) {
  std::vector<std::string> names;
  schema::SchemaSet schemas;
  for (const auto& property : schemas.parameters(type)) names.push_back(header_name(property.name));
  return names;
}

}  // namespace ashlar::detail
