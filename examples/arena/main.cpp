#include "arena.hpp"
#include "database.hpp"

int main(int argc, char** argv) {
  ashlar::App app{{.title = "Arena"}};
  const auto settings = app.settings<arena::Settings>("ARENA");
  arena::add_routes(app, settings);
  const auto db = arena::make_database(settings);
  if (db != nullptr) app.provide(*db);
  if (db != nullptr && settings.rows > 0)
    app.on_start([rows = settings.rows](ashlar::pg::Db& own) { return arena::seed(own, rows); });
  arena::add_database_routes(app, db.get());
  return run(app, argc, argv);
}
