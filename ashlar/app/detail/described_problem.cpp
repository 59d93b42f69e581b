#include <ashlar/app/detail/described_problem.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <ashlar/schema/json_value.hpp>
#include <ashlar/schema/schema.hpp>

namespace ashlar::detail {

// RFC 9457, as Core::write_problem writes it.
struct DescribedProblemItem {
  Annotated<std::string, description{"What is wrong, in a stable word"}, example{"string_too_short"}> type;
  Annotated<std::vector<std::variant<std::string, std::int64_t>>,
            description{"Where: the part of the request, then names and positions"}, example{R"(["body","title"])"}>
      loc;
  Annotated<std::string, description{"What is wrong, in a sentence"},
            example{"String should have at least 1 character"}>
      msg;
  Annotated<std::optional<Json>, description{"The value that was sent"}> input;
  Annotated<std::optional<std::map<std::string, Json>>, description{"The limits that the message names"}> ctx;
  Annotated<std::optional<std::uint32_t>, description{"Of the JSON document, from 1"}> line;
  Annotated<std::optional<std::uint32_t>, description{"In bytes, from 1"}> column;
  static constexpr SchemaOptions schema{.name = "ProblemItem", .omit_null = true};
};
struct DescribedProblem {
  Annotated<std::string, format{"uri-reference"}, description{"The kind of problem"}, example{"about:blank"}> type;
  Annotated<std::string, description{"The kind of problem, for people"}, example{"Unprocessable Content"}> title;
  Annotated<std::int32_t, ge{400}, le{599}, description{"The status code of the answer"}, example{"422"}> status;
  Annotated<std::optional<std::string>, description{"What happened this time"}> detail;
  Annotated<std::string, format{"uri-reference"}, description{"The path of the request"}> instance;
  Annotated<std::optional<std::string>, description{"Names the request in the service's logs"}> request_id;
  Annotated<std::optional<std::vector<DescribedProblemItem>>, description{"Everything that is wrong with the request"}>
      errors;
  static constexpr SchemaOptions schema{
      .name = "Problem", .description = "What went wrong (RFC 9457)", .omit_null = true};
};

const schema::TypeInfo& problem_type() noexcept { return schema::type_info<DescribedProblem>(); }

}  // namespace ashlar::detail
