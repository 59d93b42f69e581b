// The code of docs/guide/running.md that closes a service.
#include <gtest/gtest.h>

#include <chrono>

#include <ashlar/app/app.hpp>
#include <ashlar/app/maintenance.hpp>
#include <ashlar/testing/client.hpp>

namespace {

using namespace ashlar;
using namespace std::chrono_literals;

Checked operator_only() { return {}; }

TEST(RunningGuide, ClosesForMaintenance) {
  App app;
  // sample: maintenance
  Maintenance maintenance{{.open_to = {"10.0.0.0/8"}}};
  app.use(maintenance);

  app.post<"/admin/close">([maintenance](Depends<operator_only>) { maintenance.begin(15min); });
  app.post<"/admin/open">([maintenance](Depends<operator_only>) { maintenance.end(); });
  // end of sample
  app.get<"/">([] { return Text{"hello"}; });
  ashlar::testing::Client client{app};
  EXPECT_EQ(client.get("/").send().status, 200);
  EXPECT_EQ(client.post("/admin/close").send().status, 204);
  EXPECT_EQ(client.get("/").send().status, 503);
  EXPECT_EQ(client.get("/health/live").send().status, 200);
}

}  // namespace
