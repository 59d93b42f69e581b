// The ways in which a request that fits can be made wrong: each constraint of each parameter and member alone, and what
// is around them, the type of the body and the credentials.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ashlar/app/detail/fuzz_case.hpp>
#include <ashlar/schema/sample.hpp>

namespace ashlar::detail {

struct FuzzWrong {
  enum class What : std::uint8_t {
    parameter,  // `change` of `value`
    missing_parameter,
    body,  // `change`
    missing_body,
    no_json,
    other_type,
    cut_off_form
  };
  What what;
  std::size_t parameter = 0;
  Tree value = {};
  schema::Change change = {};
};

/// Some may turn out not to be wrong: spoil() tells.
std::vector<FuzzWrong> ways_to_be_wrong(const FuzzStep& right, schema::Random& random);

/// Makes the one thing wrong and says what. False: its reader takes more than the description says, or it cannot be
/// sent; the step is not to be used then.
bool spoil(FuzzStep& step, const FuzzWrong& way, std::string& why);

/// Credentials that must be refused.
std::vector<FuzzCredentials> wrong_credentials(const FuzzStep& right);

bool takes_json(const FuzzBody& body);
/// A text that has to be there becomes what its reader makes of it: "7" is the number for who wants one.
Tree as_read(const SchemaNode& node, const Tree& value);
/// Can it be sent there?
bool may_be_sent(FuzzPlace place, const Tree& value);

}  // namespace ashlar::detail
