#include "plane/xdp/way_out.h"

#include <gtest/gtest.h>

namespace netserv::plane {
namespace {

void round(WayOut& way, std::size_t frames, double share) {
  way.came(frames);
  way.worked(share);
}
void rounds(WayOut& way, int count, std::size_t frames, double share) {
  for (int i = 0; i < count; ++i) round(way, frames, share);
}

TEST(WayOut, IsByTheSocketsAtFirstAndUnderALightLoad) {
  WayOut way;
  EXPECT_FALSE(way.exchanging());
  rounds(way, 100, 159, 0.39);
  EXPECT_FALSE(way.exchanging());
}

TEST(WayOut, ExchangesFromTheFirstBusyRound) {
  WayOut way;
  round(way, 32, 0.4);
  EXPECT_TRUE(way.exchanging());
}

TEST(WayOut, ExchangesAtOnceWhenManyComeTogether) {
  WayOut way;
  way.came(159);
  EXPECT_FALSE(way.exchanging());
  way.came(160);
  EXPECT_TRUE(way.exchanging());
}

TEST(WayOut, ALonelyBurstIsFollowedBySockets) {
  WayOut way;
  round(way, 200, 0.05);
  EXPECT_TRUE(way.exchanging());
  rounds(way, 16, 20, 0.05);
  EXPECT_FALSE(way.exchanging());
}

// Whose receive work is slow: few frames come at a time, and the sockets' work keeps it from bringing more.
TEST(WayOut, ExchangesWithFewFramesWhereTheWorkerIsBusy) {
  WayOut way;
  rounds(way, 100, 75, 0.66);
  EXPECT_TRUE(way.exchanging());
}

TEST(WayOut, NeverExchangesAHandfulOfFrames) {
  WayOut way;
  rounds(way, 100, 31, 0.9);
  EXPECT_FALSE(way.exchanging());
}

TEST(WayOut, GoesOnWithTheHalfOfTheWorkThatIsLeft) {
  WayOut way;
  round(way, 100, 0.4);
  rounds(way, 100, 60, 0.16);
  EXPECT_TRUE(way.exchanging());
}

TEST(WayOut, EndsAfterSomeIdleRoundsAndNotAfterOne) {
  WayOut way;
  rounds(way, 8, 100, 0.4);
  round(way, 20, 0.02);
  EXPECT_TRUE(way.exchanging());
  rounds(way, 16, 20, 0.02);
  EXPECT_FALSE(way.exchanging());
}

TEST(WayOut, ARoundWithoutFramesSaysNothing) {
  WayOut way;
  rounds(way, 8, 100, 0.4);
  rounds(way, 100, 0, 0.0);
  EXPECT_TRUE(way.exchanging());
}

TEST(WayOut, EndsAtRest) {
  WayOut way;
  round(way, 100, 0.9);
  way.rest();
  EXPECT_FALSE(way.exchanging());
}

}  // namespace
}  // namespace netserv::plane
