// How each kind of handler parameter is read, passed and described. The one place to touch for a new kind.
#pragma once

#include <optional>
#include <type_traits>

#include <ashlar/app/background.hpp>
#include <ashlar/app/detail/read.hpp>
#include <ashlar/app/detail/traits.hpp>
#include <ashlar/app/parameters.hpp>
#include <ashlar/app/resources.hpp>
#include <ashlar/app/uploads.hpp>
#include <ashlar/app/websocket.hpp>
#include <ashlar/schema/json.hpp>

namespace ashlar::detail {

enum class Source { path, outside, body, form, stream, dependency, resource, request, websocket, scopes };

// An extractor has: Slot (what is kept while the handler runs), kSource, read(call, slot, errors), pass(slot), and
// describe(info).
template <class P>
struct Extractor;

template <class P>
concept Extractable = requires { Extractor<P>::kSource; };

// ---- parameters outside of the body

template <FixedString Name, class T>
struct Extractor<Path<Name, T>> {
  using Slot = Path<Name, T>;
  static constexpr Source kSource = Source::path;
  static constexpr std::string_view kName = Name.view();
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_path(call, kName, schema::type_info<T>(), &slot.get(), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) {
    info.parameters.push_back({std::string(kName), In::path, true, &schema::type_info<T>()});
  }
};

template <class Model, In Where, void (*Read)(Call&, const schema::TypeInfo&, void*, schema::Errors&)>
struct ModelExtractor {
  using T = typename Model::value_type;
  using Slot = Model;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    Read(call, schema::type_info<T>(), static_cast<T*>(&slot), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.parameter_models.push_back({Where, &schema::type_info<T>()}); }
};
template <class T>
  requires(!NoStruct<T>)
struct Extractor<Query<T>> : ModelExtractor<Query<T>, In::query, &read_query> {};
template <class T>
  requires(!NoStruct<T>)
struct Extractor<Header<T>> : ModelExtractor<Header<T>, In::header, &read_headers> {};
template <class T>
  requires(!NoStruct<T>)
struct Extractor<Cookie<T>> : ModelExtractor<Cookie<T>, In::cookie, &read_cookies> {};

// ---- bodies

template <class T>
struct Extractor<Body<T>> {
  using Slot = Body<T>;
  static constexpr Source kSource = Source::body;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_json(call, schema::type_info<T>(), &slot.get(), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.body = BodyInfo{"application/json", &schema::type_info<T>(), true}; }
};

template <class T>
  requires(!NoStruct<T>)
struct Extractor<Form<T>> {
  using Slot = Form<T>;
  static constexpr Source kSource = Source::form;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_form(call, schema::type_info<T>(), static_cast<T*>(&slot), errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) {
    const schema::TypeInfo& type = schema::type_info<T>();
    info.body =
        BodyInfo{form_has_files(type) ? "multipart/form-data" : "application/x-www-form-urlencoded", &type, true};
  }
  // Whether it is received as it arrives.
  static bool streams() { return form_has_files(schema::type_info<T>()); }
};

template <>
struct Extractor<BodyStream> {
  using Slot = BodyStream;
  static constexpr Source kSource = Source::stream;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot = BodyStream(call.exchange.body); }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.body = BodyInfo{"application/octet-stream", nullptr, true}; }
  static bool streams() { return true; }
};
template <>
struct Extractor<MultipartStream> {
  using Slot = MultipartStream;
  static constexpr Source kSource = Source::stream;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot = MultipartStream(call); }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.body = BodyInfo{"multipart/form-data", nullptr, true}; }
  static bool streams() { return true; }
};

// A plain struct by value is the JSON body.
template <schema::Reflected T>
struct Extractor<T> {
  using Slot = T;
  static constexpr Source kSource = Source::body;
  static void read(Call& call, Slot& slot, schema::Errors& errors) {
    read_json(call, schema::type_info<T>(), &slot, errors);
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) { info.body = BodyInfo{"application/json", &schema::type_info<T>(), true}; }
};

// ---- credentials

inline SecurityInfo security_of(std::string_view scheme, bool optional) {
  if (scheme == "Bearer") return {"Bearer", "http", "bearer", {}, optional};
  if (scheme == "Basic") return {"Basic", "http", "basic", {}, optional};
  return {std::string(scheme), "apiKey", "Authorization", {}, optional};
}

template <FixedString Scheme>
struct Extractor<Credentials<Scheme>> {
  using Slot = Credentials<Scheme>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    slot.token = read_credentials(call, Scheme.view());
    if (slot.token.data() == nullptr) throw_missing_credentials(Scheme.view());
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) { info.security.push_back(security_of(Scheme.view(), false)); }
};

template <FixedString Scheme>
struct Extractor<std::optional<Credentials<Scheme>>> {
  using Slot = std::optional<Credentials<Scheme>>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    const auto token = read_credentials(call, Scheme.view());
    if (token.data() != nullptr) slot.emplace(token);
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) { info.security.push_back(security_of(Scheme.view(), true)); }
};

// A key in the path is in every log: check_parameter says so.
template <In Where, FixedString Name>
  requires(Where != In::path)
struct Extractor<ApiKey<Where, Name>> {
  using Slot = ApiKey<Where, Name>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    slot.value = read_api_key(call, Where, Name.view());
    if (slot.value.empty()) throw_missing_api_key(Where, Name.view());
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) { describe_api_key(info, Where, Name.view(), false); }
};

template <In Where, FixedString Name>
  requires(Where != In::path)
struct Extractor<std::optional<ApiKey<Where, Name>>> {
  using Slot = std::optional<ApiKey<Where, Name>>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    const auto key = read_api_key(call, Where, Name.view());
    if (!key.empty()) slot.emplace(key);
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) { describe_api_key(info, Where, Name.view(), true); }
};

template <>
struct Extractor<SecurityScopes> {
  using Slot = SecurityScopes;
  static constexpr Source kSource = Source::scopes;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.names = call.route->scopes; }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo&) {}
};

template <>
struct Extractor<ClientCertificate> {
  using Slot = ClientCertificate;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    slot.identity = call.exchange.request.client_certificate;
    if (slot.identity == nullptr) throw_missing_client_certificate();
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) {
    info.security.push_back({"ClientCertificate", "mutualTLS", {}, {}, false});
  }
};

template <>
struct Extractor<std::optional<ClientCertificate>> {
  using Slot = std::optional<ClientCertificate>;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    const auto* const identity = call.exchange.request.client_certificate;
    if (identity != nullptr) slot.emplace(identity);
  }
  static Slot pass(const Slot& slot) { return slot; }
  static void describe(OperationInfo& info) {
    info.security.push_back({"ClientCertificate", "mutualTLS", {}, {}, true});
  }
};

template <>
struct Extractor<LastEventId> {
  using Slot = LastEventId;
  static constexpr Source kSource = Source::outside;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    slot.assign(call.exchange.request.header(http::KnownHeader::last_event_id).value_or(std::string_view()));
  }
  static Slot&& pass(Slot& slot) { return std::move(slot); }
  static void describe(OperationInfo& info) {
    info.parameters.push_back({"Last-Event-ID", In::header, false, &schema::type_info<std::string>()});
  }
};

// ---- the request itself, and what belongs to it

template <class T>
struct PointerSlot {
  T* pointer = nullptr;
};

template <>
struct Extractor<const http::Request&> {
  using Slot = PointerSlot<const http::Request>;
  static constexpr Source kSource = Source::request;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.pointer = &call.exchange.request; }
  static const http::Request& pass(Slot& slot) { return *slot.pointer; }
  static void describe(OperationInfo&) {}
};
template <>
struct Extractor<http::Request&> : Extractor<const http::Request&> {
  using Slot = PointerSlot<http::Request>;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.pointer = &call.exchange.request; }
  static http::Request& pass(Slot& slot) { return *slot.pointer; }
};
template <>
struct Extractor<http::Response&> {
  using Slot = PointerSlot<http::Response>;
  static constexpr Source kSource = Source::request;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.pointer = &call.exchange.response; }
  static http::Response& pass(Slot& slot) { return *slot.pointer; }
  static void describe(OperationInfo&) {}
};
template <>
struct Extractor<Background> {
  using Slot = PointerSlot<Call>;
  static constexpr Source kSource = Source::request;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.pointer = &call; }
  static Background pass(Slot& slot) { return Background{*slot.pointer}; }
  static void describe(OperationInfo&) {}
};

// There once the request has become a WebSocket, which is when the arguments are passed.
template <>
struct Extractor<http::WebSocket&> {
  using Slot = PointerSlot<Call>;
  static constexpr Source kSource = Source::websocket;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.pointer = &call; }
  static http::WebSocket& pass(Slot& slot) { return *slot.pointer->socket; }
  static void describe(OperationInfo& info) { info.websocket.emplace(); }
};
template <class In, class Out>
struct Extractor<JsonSocket<In, Out>&> {
  struct Slot {
    Call* call = nullptr;
    std::optional<JsonSocket<In, Out>> socket;
  };
  static constexpr Source kSource = Source::websocket;
  static void read(Call& call, Slot& slot, schema::Errors&) { slot.call = &call; }
  static JsonSocket<In, Out>& pass(Slot& slot) { return slot.socket.emplace(*slot.call->socket); }
  static void describe(OperationInfo& info) {
    info.websocket = WebSocketInfo{&schema::type_info<In>(), &schema::type_info<Out>()};
  }
};

// Any other reference is a resource that the program has provided.
template <class T>
  requires std::is_class_v<T>
struct Extractor<T&> {
  using Slot = PointerSlot<T>;
  using Resource = std::remove_const_t<T>;
  static constexpr Source kSource = Source::resource;
  static void read(Call& call, Slot& slot, schema::Errors&) {
    slot.pointer = static_cast<T*>(call.resource(kResourceKey<Resource>));
  }
  static T& pass(Slot& slot) { return *slot.pointer; }
  static void describe(OperationInfo& info) { info.resources.emplace_back(type_name<Resource>()); }
};

// `const NewArticle in` and `NewArticle&& in` are read as `NewArticle in`.
template <class P>
using parameter_t = std::conditional_t<std::is_lvalue_reference_v<P>, P, std::remove_cvref_t<P>>;

}  // namespace ashlar::detail
