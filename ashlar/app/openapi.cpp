#include <ashlar/app/openapi.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <set>

#include <ashlar/app/detail/described_problem.hpp>
#include <ashlar/app/detail/openapi_headers.hpp>
#include <ashlar/app/detail/openapi_names.hpp>
#include <ashlar/app/detail/openapi_security.hpp>
#include <ashlar/app/detail/openapi_writer.hpp>
#include <ashlar/base/text.hpp>
#include <ashlar/http/response.hpp>
#include <ashlar/schema/input_form.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/json_schema.hpp>
#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar::detail {

namespace {

using schema::Mode;
using schema::SchemaSet;
using Property = SchemaSet::Property;

// ---- what an operation is in the document --------------------------------------------------------------------------

constexpr std::array kMethods = {http::Method::get,     http::Method::put,  http::Method::post,  http::Method::del,
                                 http::Method::options, http::Method::head, http::Method::patch, http::Method::trace};

constexpr std::string_view kAuthenticate =
    R"({"WWW-Authenticate":{"description":"The scheme to use: RFC 9110, 11.6.1","schema":{"type":"string"}}})";

std::string_view place_of(In in) {
  constexpr std::array<std::string_view, 4> names = {"path", "query", "header", "cookie"};
  return names[static_cast<std::size_t>(in)];
}

struct Parameter {
  std::string name;
  In in = In::query;
  Property property;
};

struct Described {
  const Operation* source;
  std::string id = {};
  std::string path = {};                // of one that the service sends: its name
  std::vector<std::string> names = {};  // of the path's parameters as the document calls them
  std::string_view url = {};            // of a callback
  bool sent = false;                    // by the service: what it takes and what it gives change places
  std::vector<Described> callbacks = {};

  [[nodiscard]] Mode request() const { return sent ? Mode::output : Mode::input; }
  [[nodiscard]] Mode answer() const { return sent ? Mode::input : Mode::output; }
};

RouteOptions options_of(const OutgoingOptions& sent) {
  return {.summary = sent.summary,
          .description = sent.description,
          .tags = sent.tags,
          .operation_id = sent.operation_id,
          .deprecated = sent.deprecated,
          .external_docs = sent.external_docs,
          .examples = sent.examples,
          .answers = sent.answers};
}

std::string media_type(std::string_view content_type) {
  return std::string(trim(content_type.substr(0, content_type.find(';'))));
}
std::string media_type(const ErrorFormat& errors) {
  return errors.content_type.empty() ? "application/problem+json" : media_type(errors.content_type);
}

// RFC 9110 §15.5.21 has the present name.
std::string_view status_text(int status) {
  if (status == 422) return "Unprocessable Content";
  const auto phrase = http::reason_phrase(status);
  return phrase == "Unknown" && status >= 400 ? "Error" : phrase;
}

std::string error_component(int status) {
  std::string key = component_key(status_text(status));
  return key == "Error" ? fmt::format("Error{}", status) : key;
}

class Document {
 public:
  Document(const ApiInfo& info, std::span<const Operation> operations, const ErrorFormat& errors)
      : info_(info), errors_(errors), error_type_(errors.type ? *errors.type : problem_type()) {
    choose(operations);
    for (const auto& webhook : info.webhooks) webhooks_.push_back(describe_sent(webhook, "webhook"));
  }

  std::string write() {
    for (const auto& one : described_) collect_schemas(one);
    for (const auto& one : webhooks_) collect_schemas(one);
    for (const auto& one : described_) {
      security_.add(one.source->info);
      for (const auto& callback : one.callbacks) security_.add(callback.source->info);
    }
    for (const auto& one : webhooks_) security_.add(one.source->info);
    if (!described_.empty()) schemas_.add(error_type_, Mode::output);
    out_.open('{').member("openapi", "3.1.0");
    write_info();
    write_servers();
    out_.key("security").raw("[]");  // an operation that names none needs none
    write_paths();
    write_webhooks();
    write_components();
    write_tags();
    write_external_docs(info_.external_docs);
    out_.close('}');
    return out_.take();
  }

 private:
  // Which operations are shown, under which path, and with which id.
  void choose(std::span<const Operation> operations) {
    std::map<std::string, std::size_t> shapes;  // "/articles/{}" → the first path of this shape
    std::set<std::pair<std::string, http::Method>> taken;
    for (const auto& operation : operations) {
      if (operation.options->hidden || !std::ranges::count(kMethods, operation.method)) continue;
      const Pattern pattern = read_pattern(operation.pattern);
      if (!taken.emplace(pattern.shape, operation.method).second) continue;
      // Two paths that differ only in the names of their parameters are one path to OpenAPI: the first names hold.
      const auto [at, added] = shapes.try_emplace(pattern.shape, described_.size());
      Described one{&operation, {}, pattern.path, pattern.names};
      if (!added) {
        one.path = described_[at->second].path;
        one.names = described_[at->second].names;
      } else {
        paths_.push_back(one.path);
      }
      const std::string wanted = operation.options->operation_id.empty()
                                     ? operation_id(operation.method, operation.pattern)
                                     : operation.options->operation_id;
      one.id = new_id(wanted);
      described_.push_back(std::move(one));
    }
    // Their names come after those of all routes, which stay when a callback is added.
    for (auto& one : described_) {
      for (const auto& callback : one.source->options->callbacks) {
        one.callbacks.push_back(describe_sent(callback, one.id));
      }
    }
  }

  std::string new_id(const std::string& wanted) {
    std::string id = wanted;
    for (int i = 2; !ids_.insert(id).second; ++i) id = fmt::format("{}_{}", wanted, i);
    return id;
  }

  Described describe_sent(const OutgoingRequest& request, std::string_view within) {
    const RouteOptions& options = sent_options_.emplace_back(options_of(request.options));
    Operation& operation = sent_operations_.emplace_back(Operation{request.options.method, {}, &options, {}});
    request.describe(operation.info);
    const std::string wanted =
        options.operation_id.empty() ? operation_id_of_sent(within, request.name) : options.operation_id;
    return {.source = &operation, .id = new_id(wanted), .path = request.name, .url = request.url, .sent = true};
  }

  // So that every reference knows whether its type has an input form of its own: see SchemaSet.
  void collect_schemas(const Described& one) {
    const OperationInfo& info = one.source->info;
    parameters_of(one);
    if (info.body && info.body->type) schemas_.add(*info.body->type, one.request());
    if (info.websocket && info.websocket->receives) schemas_.add(*info.websocket->receives, Mode::input);
    if (info.websocket && info.websocket->sends) schemas_.add(*info.websocket->sends, Mode::output);
    for (const auto& response : info.responses) {
      if (response.type) schemas_.add(*response.type, one.answer());
      for (const auto& part : response.parts) {
        if (part.type) static_cast<void>(schemas_.parameters(*part.type));
      }
    }
    for (const auto& callback : one.callbacks) collect_schemas(callback);
  }

  std::vector<Parameter> parameters_of(const Described& one) {
    const Pattern pattern = read_pattern(one.source->pattern);
    std::vector<Parameter> all;
    for (std::size_t i = 0; i < pattern.names.size(); ++i) {
      Parameter& parameter = all.emplace_back(one.names[i], In::path, Property{});
      parameter.property.schema = "{\"type\":\"string\"}";
      parameter.property.required = true;
      const auto same = [&](const ParameterInfo& p) { return p.in == In::path && p.name == pattern.names[i]; };
      const auto known = std::ranges::find_if(one.source->info.parameters, same);
      if (known != one.source->info.parameters.end() && known->type) {
        parameter.property = schemas_.parameter(*known->type);
        parameter.property.required = true;
      }
    }
    for (const auto& p : one.source->info.parameters) {
      if (p.in == In::path) continue;
      Property property = p.type ? schemas_.parameter(*p.type) : Property{.schema = "{\"type\":\"string\"}"};
      property.required = p.required;
      add(all, {p.name, p.in, std::move(property)});
    }
    for (const auto& model : one.source->info.parameter_models) {
      for (auto& property : schemas_.parameters(*model.type)) {
        std::string name = model.in == In::header ? header_name(property.name) : property.name;
        add(all, {std::move(name), model.in, std::move(property)});
      }
    }
    return all;
  }

  // Two dependencies may read the same parameter.
  static void add(std::vector<Parameter>& all, Parameter parameter) {
    // The specification has other places for these three, and ignores them as parameters.
    constexpr std::array<std::string_view, 3> elsewhere = {"Accept", "Content-Type", "Authorization"};
    const auto is_name = [&](std::string_view name) { return equals_ignore_case(name, parameter.name); };
    if (parameter.in == In::header && std::ranges::any_of(elsewhere, is_name)) return;
    const auto same = [&](const Parameter& p) { return p.in == parameter.in && p.name == parameter.name; };
    const auto known = std::ranges::find_if(all, same);
    if (known == all.end()) return all.push_back(std::move(parameter));
    known->property.required = known->property.required || parameter.property.required;
  }

  // ---- info, servers, tags -----------------------------------------------------------------------------------------

  void write_info() {
    out_.key("info").open('{').member("title", info_.title).member_if("summary", info_.summary);
    out_.member_if("description", info_.description).member_if("termsOfService", info_.terms_of_service);
    if (!info_.contact_name.empty() || !info_.contact_url.empty() || !info_.contact_email.empty()) {
      out_.key("contact").open('{').member_if("name", info_.contact_name).member_if("url", info_.contact_url);
      out_.member_if("email", info_.contact_email).close('}');
    }
    if (!info_.license_name.empty()) {
      out_.key("license").open('{').member("name", info_.license_name).member_if("url", info_.license_url).close('}');
    }
    out_.member("version", info_.version).close('}');
  }

  void write_servers() {
    out_.key("servers").open('[');
    for (const auto& [url, description] : info_.servers) {
      out_.open('{').member("url", url).member_if("description", description).close('}');
    }
    if (info_.servers.empty()) out_.open('{').member("url", "/").close('}');
    out_.close(']');
  }

  void write_tags() {
    std::vector<ApiTag> tags = info_.tags;
    const auto add_tags_of = [&](const Described& one) {
      for (const auto& name : one.source->options->tags) {
        if (!std::ranges::count(tags, name, &ApiTag::name)) tags.push_back({name});
      }
    };
    for (const auto& one : described_) {
      add_tags_of(one);
      std::ranges::for_each(one.callbacks, add_tags_of);
    }
    std::ranges::for_each(webhooks_, add_tags_of);
    if (tags.empty()) return;
    out_.key("tags").open('[');
    for (const auto& tag : tags) {
      out_.open('{').member("name", tag.name).member_if("description", tag.description);
      write_external_docs(tag.external_docs);
      out_.close('}');
    }
    out_.close(']');
  }

  void write_external_docs(const ExternalDocs& docs) {
    if (docs.url.empty()) return;
    out_.key("externalDocs").open('{').member_if("description", docs.description).member("url", docs.url).close('}');
  }

  // ---- paths -------------------------------------------------------------------------------------------------------

  void write_paths() {
    out_.key("paths").open('{');
    for (const auto& path : paths_) {
      out_.key(path).open('{');
      for (const auto method : kMethods) {
        for (const auto& one : described_) {
          if (one.path == path && one.source->method == method) write_operation(one);
        }
      }
      out_.close('}');
    }
    out_.close('}');
  }

  void write_webhooks() {
    if (webhooks_.empty()) return;
    out_.key("webhooks").open('{');
    write_grouped(webhooks_, &Described::path, [&](const std::vector<Described>& methods) {
      for (const auto& one : methods) write_operation(one);
    });
    out_.close('}');
  }

  void write_callbacks(const std::vector<Described>& callbacks) {
    if (callbacks.empty()) return;
    out_.key("callbacks").open('{');
    write_grouped(callbacks, &Described::path, [&](const std::vector<Described>& urls) {
      write_grouped(urls, &Described::url, [&](const std::vector<Described>& methods) {
        for (const auto& one : methods) write_operation(one);
      });
    });
    out_.close('}');
  }

  // An object for each value of the member, in the order in which they come first.
  template <class Member, class F>
  void write_grouped(const std::vector<Described>& all, Member member, F write_group) {
    std::vector<std::string_view> seen;
    for (const auto& one : all) {
      const std::string_view name = one.*member;
      if (std::ranges::count(seen, name)) continue;
      seen.push_back(name);
      std::vector<Described> group;
      std::ranges::copy_if(all, std::back_inserter(group),
                           [&](const Described& other) { return other.*member == name; });
      out_.key(name).open('{');
      write_group(group);
      out_.close('}');
    }
  }

  void write_operation(const Described& one) {
    const RouteOptions& options = *one.source->options;
    const OperationInfo& info = one.source->info;
    out_.key(to_lower_ascii(http::to_string(one.source->method))).open('{');
    if (!options.tags.empty()) {
      out_.key("tags").open('[');
      for (const auto& tag : options.tags) out_.text(tag);
      out_.close(']');
    }
    out_.member("summary", options.summary.empty() ? summary_of(one.sent ? one.path : one.id) : options.summary);
    out_.member_if("description", options.description);
    write_external_docs(options.external_docs);
    out_.member("operationId", one.id);
    const auto parameters = parameters_of(one);
    if (!parameters.empty()) {
      out_.key("parameters").open('[');
      for (const auto& parameter : parameters) write_parameter(parameter);
      out_.close(']');
    }
    if (info.body) write_body(*info.body, one);
    write_responses(one, !parameters.empty());
    write_callbacks(one.callbacks);
    if (options.deprecated) out_.flag("deprecated");
    security_.write_security(out_, info);
    if (info.websocket) write_websocket(*info.websocket);
    for (const auto& [name, value] : options.extensions) out_.key(name).raw(value.text());
    out_.close('}');
  }

  // OpenAPI has no words for what comes after the 101.
  void write_websocket(const WebSocketInfo& socket) {
    out_.key("x-websocket").open('{');
    if (socket.receives) out_.key("receives").raw(schemas_.schema(*socket.receives, Mode::input));
    if (socket.sends) out_.key("sends").raw(schemas_.schema(*socket.sends, Mode::output));
    out_.close('}');
  }

  void write_parameter(const Parameter& parameter) {
    const Property& p = parameter.property;
    out_.open('{').member("name", parameter.name).member("in", place_of(parameter.in));
    if (p.required) out_.flag("required");
    out_.member_if("description", p.description);
    if (p.deprecated) out_.flag("deprecated");
    out_.key("schema").raw(p.schema);
    if (!p.example.empty()) out_.key("example").raw(p.example);
    out_.close('}');
  }

  void write_body(const BodyInfo& body, const Described& one) {
    out_.key("requestBody").open('{').key("content").open('{').key(media_type(body.content_type)).open('{');
    if (body.type) {
      out_.key("schema").raw(schemas_.schema(*body.type, one.request()));
    } else if (body.content_type == "multipart/form-data") {
      out_.key("schema").raw("{\"type\":\"object\"}");
    }
    write_examples(one.source->options->examples, [&](const ApiExample& example) {
      return body.type && !one.sent ? schema::input_form(example.value.json(), *body.type) : example.value.json();
    });
    out_.close('}').close('}');
    if (body.required) out_.flag("required");
    out_.close('}');
  }

  template <class F>
  void write_examples(const std::vector<ApiExample>& examples, F json_of) {
    if (examples.empty()) return;
    out_.key("examples").open('{');
    for (const auto& one : examples) {
      out_.key(one.name).open('{').member_if("summary", one.summary).member_if("description", one.description);
      out_.key("value").raw(json_of(one)).close('}');
    }
    out_.close('}');
  }

  // ---- responses ---------------------------------------------------------------------------------------------------

  void write_responses(const Described& one, bool reads_parameters) {
    const RouteOptions& options = *one.source->options;
    const OperationInfo& info = one.source->info;
    std::map<int, std::vector<const ResponseInfo*>> by_status;
    std::set<int> errors(options.errors.begin(), options.errors.end());
    for (const auto& response : info.responses) {
      const bool chosen = options.status != 0 && !response.error && response.status < 400;
      const int status = chosen ? options.status : response.status;
      by_status[status].push_back(&response);
      errors.erase(status);
    }
    if (!one.sent) {
      if (reads_parameters || info.body) errors.insert(422);
      for (const auto& security : info.security) errors.insert(security.kind == "mutualTLS" ? 403 : 401);
    }
    for (const auto& answer : options.answers) {
      if (answer.status >= 400) errors.insert(answer.status);
    }
    for (const int status : errors) by_status.try_emplace(status);

    ResponseInfo error;  // no type says it, but what an error of ours looks like is known
    error.error = true;
    out_.key("responses").open('{');
    for (auto& [status, responses] : by_status) {
      out_.key(fmt::format("{}", status));
      const auto said = std::ranges::find(options.answers, status, &ApiAnswer::status);
      const bool is_said = said != options.answers.end();
      const bool plain_error =
          std::ranges::all_of(responses, [](const ResponseInfo* r) { return r->error && r->description.empty(); });
      if (plain_error && !is_said && !one.sent) {
        shown_errors_.insert(status);
        out_.reference("#/components/responses/" + error_component(status));
      } else {
        if (responses.empty() && !one.sent) responses.push_back(&error);
        write_response(status, responses, is_said ? *said : ApiAnswer{}, one.answer());
      }
    }
    // Everything else that may go wrong, from an unknown path to a full server, has the same shape.
    if (!one.sent) out_.key("default").reference("#/components/responses/Error");
    out_.close('}');
  }

  void write_response(int status, const std::vector<const ResponseInfo*>& responses, const ApiAnswer& said, Mode mode) {
    std::string description = said.description;
    std::vector<std::pair<std::string, std::vector<std::string>>> contents;  // schemas by media type
    std::set<std::string> sequences;                                         // media types that are many items
    for (const auto* response : responses) {
      const bool is_new = said.description.empty() && description.find(response->description) == std::string::npos;
      if (!response->description.empty() && is_new) {
        description += (description.empty() ? "" : "; ") + response->description;
      }
      const std::string type = response->error ? media_type(errors_) : media_type(response->content_type);
      if (type.empty()) continue;
      auto at = std::ranges::find(contents, type, &std::pair<std::string, std::vector<std::string>>::first);
      if (at == contents.end()) at = contents.insert(contents.end(), {type, {}});
      const schema::TypeInfo* described = response->error ? &error_type_ : response->type;
      if (!described) continue;
      if (response->sequence) sequences.insert(type);
      std::string json = schemas_.schema(*described, response->error ? Mode::output : mode);
      if (!std::ranges::count(at->second, json)) at->second.push_back(std::move(json));
    }
    out_.open('{').member("description", description.empty() ? status_text(status) : description);
    const bool says_parts = std::ranges::any_of(responses, [](const ResponseInfo* r) { return !r->parts.empty(); });
    if (status == 401 && mode == Mode::output && !says_parts) {
      out_.key("headers").raw(kAuthenticate);
    } else {
      write_response_headers(out_, schemas_, responses, status >= 300 && status < 400 && status != 304);
    }
    if (!contents.empty()) {
      out_.key("content").open('{');
      for (const auto& [type, schemas] : contents) {
        std::vector<ApiExample> examples;
        std::ranges::copy_if(said.examples, std::back_inserter(examples), [&](const ApiExample& example) {
          return (example.media_type.empty() ? contents.front().first : example.media_type) == type;
        });
        write_content(type, schemas, sequences.contains(type), examples);
      }
      out_.close('}');
    }
    out_.close('}');
  }

  void write_content(std::string_view type, const std::vector<std::string>& schemas, bool sequence,
                     const std::vector<ApiExample>& examples) {
    out_.key(type).open('{');
    if (sequence) {
      // As OpenAPI 3.2 says it in itemSchema, which 3.1 does not know.
      out_.key("schema").raw("{\"type\":\"string\"}").key("x-itemSchema");
      if (type == "text/event-stream") {
        write_event(schemas);
      } else {
        write_schemas(schemas);
      }
    } else if (!schemas.empty()) {
      out_.key("schema");
      write_schemas(schemas);
    } else if (type.starts_with("text/")) {
      out_.key("schema").raw("{\"type\":\"string\"}");
    }
    write_examples(examples, [](const ApiExample& example) { return example.value.json(); });
    out_.close('}');
  }

  void write_schemas(const std::vector<std::string>& schemas) {
    if (schemas.size() == 1) {
      out_.raw(schemas.front());
      return;
    }
    out_.open('{').key("anyOf").open('[');
    for (const auto& one : schemas) out_.raw(one);
    out_.close(']').close('}');
  }

  void write_event(const std::vector<std::string>& data) {
    out_.open('{').member("type", "object").key("properties").open('{');
    out_.key("data").open('{').member("type", "string").member("contentMediaType", "application/json");
    out_.key("contentSchema");
    write_schemas(data);
    out_.close('}');
    out_.key("event").raw(R"({"type":"string"})").key("id").raw(R"({"type":"string"})");
    out_.key("retry").raw(R"({"type":"integer","minimum":0})");
    out_.close('}').close('}');
  }

  // ---- components --------------------------------------------------------------------------------------------------

  void write_components() {
    if (described_.empty() && webhooks_.empty()) return;
    out_.key("components").open('{').key("schemas").raw(schemas_.components());
    if (!described_.empty()) write_errors();
    security_.write_schemes(out_, info_.security_schemes);
    out_.close('}');
  }

  void write_errors() {
    std::map<std::string, std::pair<int, std::string_view>> responses;
    for (const int status : shown_errors_) responses[error_component(status)] = {status, status_text(status)};
    responses["Error"] = {0, "Any other error"};
    out_.key("responses").open('{');
    for (const auto& [key, response] : responses) {
      out_.key(key).open('{').member("description", response.second);
      if (response.first == 401) {
        out_.key("headers").raw(kAuthenticate);
      }
      out_.key("content").open('{').key(media_type(errors_)).open('{');
      out_.key("schema").raw(schemas_.schema(error_type_, Mode::output)).close('}').close('}').close('}');
    }
    out_.close('}');
  }

  const ApiInfo& info_;
  const ErrorFormat& errors_;
  const schema::TypeInfo& error_type_;
  SchemaSet schemas_;
  std::vector<Described> described_, webhooks_;
  std::deque<RouteOptions> sent_options_;  // of the requests that the service sends
  std::deque<Operation> sent_operations_;
  std::set<std::string> ids_;
  std::vector<std::string> paths_;
  std::set<int> shown_errors_;
  SecurityKeys security_;
  JsonWriter out_;
};

}  // namespace

std::string make_openapi(const ApiInfo& info, std::span<const Operation> operations, const ErrorFormat& errors) {
  return Document(info, operations, errors).write();
}

}  // namespace ashlar::detail
