#include <ashlar/telemetry/trace.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ashlar::trace {
namespace {

constexpr std::string_view kExample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(Traceparent, IsReadAndWrittenBack) {
  auto context = parse_traceparent(kExample);
  ASSERT_TRUE(context);
  EXPECT_EQ(std::string_view(to_traceparent(*context)), kExample);
  EXPECT_EQ(std::string_view(trace_id(*context)), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(std::string_view(span_id(*context)), "00f067aa0ba902b7");
  EXPECT_EQ(context->flags, kSampled);
}

TEST(Traceparent, OfALaterVersionGivesItsKnownPart) {
  EXPECT_TRUE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-brings"));
  EXPECT_TRUE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
  EXPECT_FALSE(parse_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what"));
}

TEST(Traceparent, IsRefusedWhenNotValid) {
  for (std::string_view bad : {
           std::string_view(""),
           std::string_view("00"),
           std::string_view("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
           std::string_view("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"),
           std::string_view("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"),
           std::string_view("00-00000000000000000000000000000000-00f067aa0ba902b7-01"),
           std::string_view("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"),
           std::string_view("00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
           std::string_view("00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01"),
           std::string_view("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x"),
       }) {
    EXPECT_FALSE(parse_traceparent(bad)) << bad;
  }
}

TEST(TraceIds, AreNewForEveryTraceAndSpan) {
  std::set<std::string> seen;
  TraceContext root = start();
  for (int i = 0; i < 1000; ++i) {
    EXPECT_TRUE(seen.insert(std::string(std::string_view(trace_id(start())))).second);
    TraceContext child = child_of(root);
    EXPECT_EQ(child.trace_id, root.trace_id);
    EXPECT_TRUE(seen.insert(std::string(std::string_view(span_id(child)))).second);
  }
  EXPECT_TRUE(child_of({}).valid());
  EXPECT_EQ(start(false).flags, 0);
}

}  // namespace
}  // namespace ashlar::trace
