// The chat: structs of its messages, and its routes.
#pragma once

#include <ashlar/ashlar.hpp>

namespace chat {

using namespace ashlar;

struct Guest {  // the query string
  Annotated<std::string, min_length{1}, max_length{20}> name;
};
struct Said {
  Annotated<std::string, min_length{1}, max_length{500}> text;
};
struct Heard {
  std::string from, text;
  std::size_t here;  // members of the room
};

void add_routes(App& app);

}  // namespace chat
