#include <ashlar/ashlar.hpp>

using namespace ashlar;

struct Tone {  // the query string
  Annotated<int, ge{1}, le{10}> times = 1;
  bool loud = false;
};

struct Letter {  // a JSON body: parsed, checked and documented as it stands here
  Annotated<std::string, min_length{1}, max_length{80}> subject;
  Email to;
  std::vector<std::string> lines = {};
};

int main(int argc, char** argv) {
  App app{{.title = "Hello", .version = "1.0.0"}};

  app.get<"/hello/{name}">([](Path<"name"> name, Query<Tone> tone) {
    std::string answer;
    for (int i = 0; i < tone.times; ++i) answer += "Hello, " + name + (tone.loud ? "!\n" : ".\n");
    return answer;
  });

  app.post<"/letters">([](Letter letter) -> Created<Letter> { return letter; }, {.summary = "Write a letter"});

  return run(app, argc, argv);  // ./hello serve, and see http://127.0.0.1:8000/docs
}
