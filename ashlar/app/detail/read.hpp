// Reading parameters by their type descriptions: the part of binding that is not a template.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <ashlar/app/call.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/text_io.hpp>

namespace ashlar::detail {

// Each appends what is wrong to `errors`, with `loc` beginning with where it stood, and leaves `out` valid.
void read_path(Call& call, std::string_view name, const schema::TypeInfo& type, void* out, schema::Errors& errors);
void read_query(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);
void read_headers(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);
void read_cookies(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);
void read_form(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);
void read_json(Call& call, const schema::TypeInfo& type, void* out, schema::Errors& errors);
/// Whether a member of the struct is a file.
[[nodiscard]] bool form_has_files(const schema::TypeInfo& type) noexcept;
/// Receives the form of a route that takes files; read_form finds it there.
Task<void> receive_form(Call& call);
[[nodiscard]] bool is_form_type(std::string_view content_type) noexcept;
/// The fields of an application/x-www-form-urlencoded text: views into it, or into `scratch`.
[[nodiscard]] std::vector<schema::Pair> form_fields(std::string_view text, http::Scratch& scratch);
/// The token after `Authorization: <scheme> `; data() is null when there is none.
std::string_view read_credentials(Call& call, std::string_view scheme) noexcept;
/// Empty when there is none. In scratch memory where it had to be decoded.
std::string_view read_api_key(Call& call, In in, std::string_view name);
void describe_api_key(OperationInfo& info, In in, std::string_view name, bool optional);
/// Adds it to the operation, once.
void add_dependency(OperationInfo& info, DependencyInfo one);
/// Adds scopes, each once, to the operation and to those of its security that `schemes` names.
void add_scopes(OperationInfo& info, std::span<const std::string_view> scopes,
                const std::vector<SecurityInfo>& schemes);
[[noreturn]] void throw_missing_api_key(In in, std::string_view name);
[[noreturn]] void throw_missing_credentials(std::string_view scheme);
[[noreturn]] void throw_missing_client_certificate();
[[noreturn]] void throw_invalid(schema::Errors& errors);

}  // namespace ashlar::detail
