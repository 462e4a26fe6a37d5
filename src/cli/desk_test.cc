#include "cli/desk.h"

#include <gtest/gtest.h>

#include "support/module_fixture.h"

namespace netserv::cli {
namespace {

using namespace std::chrono_literals;
using dispatch::Verdict;

Bytes udp_packet(unsigned char marker) {
  const unsigned char bytes[] = {0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1,
                                 198, 51, 100, 7, 0, 9, 0, 9, 0, 9, 0, 0, marker};
  const auto* from = reinterpret_cast<const std::byte*>(bytes);
  return Bytes(from, from + sizeof bytes);
}

// Verdict of each packet is the byte behind its UDP header; 9 there traps. Timer 0, started at load, counts.
constexpr const char* kFunctions = R"(
  (func (export "netserv_start") (result i32)
    (drop (call $set (i32.const 0) (i64.const 500000000) (i64.const 500000000))) (i32.const 0))
  (func (export "netserv_timer") (param i32)
    (drop (call $add (i32.const 1024) (i32.const 4) (i64.const 1))))
  (data (i32.const 1024) "tick")
  (func (export "netserv_process") (param $n i32) (local $i i32) (local $p i32) (local $v i32)
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (local.get $n)))
      (local.set $p (i32.add (i32.const 4096) (i32.mul (local.get $i) (i32.const 48))))
      (local.set $v (i32.load8_u offset=28 (i32.load (local.get $p))))
      (if (i32.eq (local.get $v) (i32.const 9)) (then unreachable))
      (i32.store8 offset=36 (local.get $p) (local.get $v))
      (i32.store8 offset=37 (local.get $p) (i32.eq (local.get $v) (i32.const 2)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next)))))";
constexpr const char* kImports = R"(
  (import "timer/1" "set" (func $set (param i32 i64 i64) (result i32)))
  (import "counters/1" "add" (func $add (param i32 i32 i64) (result i32))))";

class DeskTest : public test::RuntimeFixture {
 protected:
  std::unique_ptr<Desk> open(std::uint32_t batch) {
    std::string object = compile_or_die(test::packet_module(kFunctions, kImports));
    DeskEvents events;
    events.packet = [this](const JudgedPacket& p) {
      seen += p.bypassed ? 'b' : "pdrs"[static_cast<int>(p.verdict)];
      if (p.changed) changed.assign(p.bytes.begin(), p.bytes.end());
    };
    auto desk = Desk::open(runtime(), spec(object, "desk"), batch, events);
    EXPECT_TRUE(desk) << (desk ? "" : desk.error().message());
    return desk ? *std::move(desk) : nullptr;
  }
  Status feed(Desk& desk, Duration at, unsigned char marker) {
    return desk.packet(Desk::kStart + at, udp_packet(marker), 29, NETSERV_NO_VLAN);
  }
  std::string seen;
  Bytes changed;
};

TEST_F(DeskTest, VerdictsComeInOrderOncePerBatch) {
  auto desk = open(3);
  ASSERT_TRUE(desk);
  for (unsigned char v : {0, 1, 2, 3}) ASSERT_TRUE(feed(*desk, 1ms, v));
  EXPECT_EQ(seen, "pdr");
  ASSERT_TRUE(desk->stop());
  EXPECT_EQ(seen, "pdrs");
  ASSERT_EQ(changed.size(), 29u);
  EXPECT_NE(changed[10], std::byte{0});  // the checksum was made
}

TEST_F(DeskTest, TimersFireOnTheWayAndJudgeWhatCameBefore) {
  auto desk = open(64);
  ASSERT_TRUE(desk);
  ASSERT_TRUE(feed(*desk, 0ms, 0));
  EXPECT_EQ(seen, "");
  ASSERT_TRUE(feed(*desk, 1700ms, 1));
  EXPECT_EQ(seen, "p");
  EXPECT_EQ(desk->counters().at("tick"), 3u);
  ASSERT_TRUE(desk->advance(Desk::kStart + 2000ms));
  EXPECT_EQ(desk->counters().at("tick"), 4u);
  EXPECT_EQ(seen, "pd");
}

TEST_F(DeskTest, FragmentsAndOversizePassBy) {
  auto desk = open(1);
  ASSERT_TRUE(desk);
  Bytes fragment = udp_packet(1);
  fragment[6] = std::byte{0x20};
  ASSERT_TRUE(desk->packet(Desk::kStart, fragment, 29, NETSERV_NO_VLAN));
  ASSERT_TRUE(desk->packet(Desk::kStart, Bytes(NETSERV_SLOT_BYTES + 1), NETSERV_SLOT_BYTES + 1, NETSERV_NO_VLAN));
  EXPECT_EQ(seen, "bb");
}

TEST_F(DeskTest, ATrapEndsTheRunAndSaysWhere) {
  auto desk = open(1);
  ASSERT_TRUE(desk);
  ASSERT_TRUE(feed(*desk, 0ms, 0));
  Status trapped = feed(*desk, 1ms, 9);
  ASSERT_FALSE(trapped);
  EXPECT_NE(trapped.error().text.find("netserv_process"), std::string::npos) << trapped.error().message();
  EXPECT_FALSE(feed(*desk, 2ms, 0));
  EXPECT_EQ(seen, "pb");  // its packet went on without it
}

}  // namespace
}  // namespace netserv::cli
