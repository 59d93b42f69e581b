// Snapshots: what an answer was when somebody last looked at it, kept in a file beside the test.
#pragma once

#include <source_location>
#include <string>
#include <string_view>
#include <vector>

namespace ashlar::testing {

/// What differs from run to run and is written as "<masked>" in the file.
struct SnapshotMasks {
  std::vector<std::string> members = {};  ///< by name, wherever they are: "token"
  bool ids = true;                        ///< texts that are UUIDs
  bool times = true;                      ///< texts that are points in time: "2026-01-31T12:00:00Z"
};

/// `EXPECT_EQ(snapshot("article", answer.body), "");` Compares JSON with the file snapshots/NAME.json beside the source
/// file that calls: each member on a line, in the order of the text. Gives what differs, line by line, with what to do;
/// empty: nothing. With ASHLAR_UPDATE_SNAPSHOTS=1 in the environment the file is written in place of that, and the
/// difference of the repository is what to review. A file that is not there is a difference. Throws Invalid for text
/// that is no JSON and for a name with anything but letters, digits, '-', '_' and '.'; Unavailable when a file cannot
/// be read or written.
[[nodiscard]] std::string snapshot(std::string_view name, std::string_view json, const SnapshotMasks& masks = {},
                                   const char* source_file = std::source_location::current().file_name());

/// The same for any text, as it is: SQL, a page. The file is snapshots/NAME.
[[nodiscard]] std::string text_snapshot(std::string_view name, std::string_view text,
                                        const char* source_file = std::source_location::current().file_name());

}  // namespace ashlar::testing
