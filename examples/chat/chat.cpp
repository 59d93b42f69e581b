#include "chat.hpp"

#include "page.hpp"

namespace chat {

void add_routes(App& app) {
  app.get<"/">(
      [](http::Response& response) -> Html {
        response.header("Content-Security-Policy",
                        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; "
                        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'");
        return {std::string(kPage)};
      },
      {.hidden = true});
  app.get<"/chat.css">([] { return Content{"text/css; charset=utf-8", std::string(kStyle)}; }, {.hidden = true});
  app.get<"/chat.js">([] { return Content{"text/javascript; charset=utf-8", std::string(kScript)}; }, {.hidden = true});

  app.websocket<"/rooms/{room}">(
      [](JsonSocket<Said, Heard>& socket, Path<"room"> room, Query<Guest> guest, Rooms& rooms) -> Task<void> {
        const auto tell = [&](std::string from, std::string text) {
          rooms.publish_json(room, Heard{std::move(from), std::move(text), rooms.members(room)});
        };
        auto member = rooms.join(room, socket.socket());
        tell("", guest.name + " came in");
        while (auto said = co_await socket.receive()) tell(guest.name, said->text);
        member = {};
        tell("", guest.name + " left");
      },
      {.summary = "Talk in a room"});
}

}  // namespace chat
