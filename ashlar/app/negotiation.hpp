// Negotiated<T, Forms...>: one value in the form that the client asks for (Accept: RFC 9110 §12.5.1).
//
//   app.get<"/books">([](pg::Db& db) -> Task<Negotiated<std::vector<Book>, AsCsv, AsJsonLines>> {
//     co_return co_await db.all(all_books);
//   });
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ashlar/app/detail/respond.hpp>
#include <ashlar/schema/csv.hpp>
#include <ashlar/schema/json.hpp>
#include <ashlar/schema/reflect.hpp>
#include <ashlar/schema/type_of.hpp>

namespace ashlar {

namespace detail {

template <class T>
concept ListOfStructs = schema::detail::ListLike<T> && schema::Reflected<schema::unannotated_t<typename T::value_type>>;

void write_json_lines(const schema::TypeInfo& list, const void* value, std::string& out);

}  // namespace detail

/// A form is a type like these, with `kType` (a Content-Type; the part before ';' is what Accept is held against) and
/// `write`, which appends. Yours works, too.
struct AsJson {
  static constexpr std::string_view kType = detail::kJson;
  static void write(const schema::TypeInfo& type, const void* value, std::string& out) {
    schema::write_json(type, value, out);
  }
};
/// A list of structs with a line of names (RFC 4180). Lists and structs in it are JSON; null is nothing. A text that
/// begins with =, +, - or @ is a formula to a spreadsheet: data for people may want a form of your own that marks it.
struct AsCsv {
  static constexpr std::string_view kType = "text/csv; charset=utf-8; header=present";
  static void write(const schema::TypeInfo& type, const void* value, std::string& out) {
    schema::write_csv(type, value, out);
  }
};
/// A JSON value a line.
struct AsJsonLines {
  static constexpr std::string_view kType = "application/jsonl";
  static void write(const schema::TypeInfo& type, const void* value, std::string& out) {
    detail::write_json_lines(type, value, out);
  }
};

/// JSON, or one of Forms when the client prefers it; of equal wishes the first one here. None that it takes: 406, with
/// what there is. All of them are in OpenAPI, and the answer varies by Accept.
template <class T, class... Forms>
struct Negotiated {
  static_assert(sizeof...(Forms) > 0, "JSON alone needs no negotiation: return the value");
  static_assert(detail::ListOfStructs<T> || !(std::is_same_v<Forms, AsCsv> || ...), "only a list of structs is CSV");
  static_assert(schema::detail::ListLike<T> || !(std::is_same_v<Forms, AsJsonLines> || ...),
                "only a list is JSON Lines");
  using value_type = T;
  T value;
  Negotiated(T v) : value(std::move(v)) {}  // NOLINT: meant to be implicit
};

namespace detail {

struct AnswerForm {
  std::string_view type;
  void (*write)(const schema::TypeInfo&, const void*, std::string&);
};
/// The form that Accept prefers; null: it takes none. No Accept: the first.
const AnswerForm* choose_form(std::string_view accept, std::span<const AnswerForm> forms);
void respond_negotiated(Call& call, std::span<const AnswerForm> forms, const schema::TypeInfo& type, const void* value);
void describe_negotiated(OperationInfo& info, std::span<const AnswerForm> forms, const schema::TypeInfo& type);

template <class... Forms>
inline constexpr std::array<AnswerForm, sizeof...(Forms)> kAnswerForms{AnswerForm{Forms::kType, &Forms::write}...};

template <class T, class... Forms>
struct Respond<Negotiated<T, Forms...>> {
  static void write(Call& call, const Negotiated<T, Forms...>& answer) {
    respond_negotiated(call, kAnswerForms<AsJson, Forms...>, schema::type_info<T>(), &answer.value);
  }
  static void describe(OperationInfo& info) {
    describe_negotiated(info, kAnswerForms<AsJson, Forms...>, schema::type_info<T>());
  }
};

}  // namespace detail
}  // namespace ashlar
