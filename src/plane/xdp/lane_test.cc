#include "plane/xdp/lane.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <thread>

namespace netserv::plane {
namespace {

constexpr std::uint32_t kFrames = 4096;

// The other end, as exchange() in xdp.bpf.c is it; a packet is a number here.
class Program {
 public:
  Program(nsx_lane& lane, std::vector<std::uint32_t>& memory) : lane_(lane), memory_(memory) {}
  bool copy_in(std::uint32_t packet) {
    if (left(lane_.free_end, load(lane_.free_next)) <= 0) return false;
    std::uint32_t ticket = std::atomic_ref(lane_.free_next).fetch_add(1), place = ticket & (NSX_LANE - 1);
    bool there = left(lane_.free_end, ticket) > 0;
    if (there) memory_[lane_.free[place]] = packet;
    std::atomic_ref(lane_.arrived[place]).store(there ? 60u : NSX_NOTHING);
    return there;
  }
  // Whether the worker is to be woken.
  bool wakes() {
    std::uint32_t armed = 1;
    return load(lane_.asleep) != 0 && std::atomic_ref(lane_.asleep).compare_exchange_strong(armed, 0);
  }
  std::optional<std::uint32_t> take_out() {
    std::uint32_t ticket = load(lane_.ready_next);
    if (left(lane_.ready_end, ticket) <= 0) return std::nullopt;
    nsx_departure& departure = lane_.ready[ticket & (NSX_READY - 1)];
    std::uint32_t frame = std::atomic_ref(departure.frame).load();
    if (!std::atomic_ref(lane_.ready_next).compare_exchange_strong(ticket, ticket + 1)) return std::nullopt;
    std::uint32_t packet = memory_[frame];
    std::atomic_ref(departure.gone).store(1);
    return packet;
  }

 private:
  static std::uint32_t load(std::uint32_t& field) { return std::atomic_ref(field).load(); }
  static std::int32_t left(std::uint32_t& end, std::uint32_t ticket) { return static_cast<std::int32_t>(load(end) - ticket); }
  nsx_lane& lane_;
  std::vector<std::uint32_t>& memory_;
};

class LaneTest : public ::testing::Test {
 protected:
  std::uint32_t packet(const Lane::Frame& frame) { return memory[frames.number(frame.address)]; }
  std::vector<std::uint32_t> packets(std::span<const Lane::Frame> of) {
    std::vector<std::uint32_t> out;
    for (const Lane::Frame& frame : of) out.push_back(packet(frame));
    return out;
  }
  std::vector<Lane::Frame> receive(std::size_t most = 256) {
    std::vector<Lane::Frame> out(most);
    out.resize(lane.receive(frames, out));
    return out;
  }

  std::unique_ptr<nsx_lane> shared = std::make_unique<nsx_lane>();
  std::vector<std::uint32_t> memory = std::vector<std::uint32_t>(kFrames);
  FramePool frames{kFrames, FrameLayout::kDense};
  Lane lane{*shared};
  Program program{*shared, memory};
};

TEST_F(LaneTest, WhatComesIsReceivedAndLeavesInWhatComesNext) {
  EXPECT_FALSE(program.copy_in(1)) << "no frame is laid out";
  lane.refill(frames);
  EXPECT_EQ(lane.frames(), Lane::kAhead);
  for (std::uint32_t p : {1, 2, 3}) EXPECT_TRUE(program.copy_in(p));
  EXPECT_EQ(program.take_out(), std::nullopt);
  auto came = receive();
  EXPECT_EQ(packets(came), (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(came[0].length, 60u);
  EXPECT_EQ(came[0].address % NSX_FRAME_BYTES, FramePool::kHeadroom);
  for (Lane::Frame& frame : came) {
    frame.egress = 7;
    EXPECT_TRUE(lane.put(frames, frame));
  }
  EXPECT_EQ(lane.ready(), 3u);
  EXPECT_EQ(program.take_out(), 1u);
  EXPECT_EQ(lane.ready(), 2u);
  auto back = lane.take_back(frames);
  EXPECT_EQ(packets(back), (std::vector<std::uint32_t>{2, 3})) << "oldest first";
  EXPECT_EQ(back[0].egress, 7u);
  EXPECT_EQ(back[0].length, 60u);
  EXPECT_EQ(program.take_out(), std::nullopt);
  for (const Lane::Frame& frame : back) frames.give(frame.address);
  lane.empty(frames);
  EXPECT_EQ(frames.free_frames(), kFrames);
}

TEST_F(LaneTest, FullLanesTakeNoMore) {
  lane.refill(frames);
  for (std::uint32_t i = 0; i < Lane::kAhead; ++i) ASSERT_TRUE(program.copy_in(i));
  EXPECT_FALSE(program.copy_in(0));
  EXPECT_EQ(receive(16).size(), 16u);
  EXPECT_FALSE(program.copy_in(0)) << "not before new frames are laid out";
  lane.refill(frames);
  EXPECT_TRUE(program.copy_in(0));

  Lane::Frame frame{FramePool::kHeadroom, 60, 1};
  for (std::uint32_t i = 0; i < NSX_READY; ++i) ASSERT_TRUE(lane.put(frames, frame));
  EXPECT_FALSE(lane.put(frames, frame));
  program.take_out();
  EXPECT_FALSE(lane.put(frames, frame)) << "its frame is not reaped yet";
  lane.reap(frames);
  EXPECT_TRUE(lane.put(frames, frame));
}

// Two CPUs see the last frame; the later one's ticket is for a frame that is laid out only afterwards.
TEST_F(LaneTest, ATicketTooManyHoldsNothing) {
  lane.refill(frames);
  for (std::uint32_t i = 0; i < Lane::kAhead; ++i) ASSERT_TRUE(program.copy_in(i));
  std::uint32_t ticket = shared->free_next++;
  shared->arrived[ticket & (NSX_LANE - 1)] = NSX_NOTHING;
  EXPECT_EQ(receive(4096).size(), Lane::kAhead);
  lane.refill(frames);
  ASSERT_TRUE(program.copy_in(5000));
  EXPECT_EQ(packets(receive()), std::vector<std::uint32_t>{5000});
}

// Opened again, the same shared memory goes on where it was, with other packet memory.
TEST_F(LaneTest, AnEmptiedLaneIsTakenUpAgain) {
  lane.refill(frames);
  program.copy_in(1);
  program.copy_in(2);
  for (const Lane::Frame& frame : receive()) frames.give(frame.address);
  shared->arrived[shared->free_next++ & (NSX_LANE - 1)] = NSX_NOTHING;
  lane.empty(frames);
  EXPECT_EQ(frames.free_frames(), kFrames);
  EXPECT_FALSE(program.copy_in(3));
  FramePool others(kFrames, FrameLayout::kDense);
  Lane again(*shared);
  again.refill(others);
  EXPECT_TRUE(program.copy_in(4));
  std::array<Lane::Frame, 4> came;
  ASSERT_EQ(again.receive(others, came), 1u);
  EXPECT_EQ(packet(came[0]), 4u);
}

TEST_F(LaneTest, ArmedItIsWokenOnce) {
  lane.refill(frames);
  EXPECT_TRUE(lane.arm());
  program.copy_in(1);
  EXPECT_TRUE(program.wakes());
  program.copy_in(2);
  EXPECT_FALSE(program.wakes());
  EXPECT_FALSE(lane.arm()) << "something is there already";
  receive();
  EXPECT_TRUE(lane.arm());
  lane.disarm();
  program.copy_in(3);
  EXPECT_FALSE(program.wakes());
}

// Two CPUs and the worker, all at once: every packet that was taken in goes out once, by the program or taken back, and no
// frame is lost. The worker sleeps when there is nothing, and is always woken.
TEST_F(LaneTest, NothingIsLostBetweenThreads) {
  constexpr std::uint32_t kPackets = 100'000;
  std::atomic<std::uint32_t> next = 1;
  std::atomic<int> wakes = 0, running = 2;
  std::array<std::vector<std::uint32_t>, 2> left;
  auto cpu = [&](std::size_t number) {
    for (std::uint32_t packet; (packet = next.fetch_add(1)) <= kPackets;) {
      while (!program.copy_in(packet)) std::this_thread::yield();
      if (program.wakes()) wakes.fetch_add(1), wakes.notify_one();
      if (auto out = program.take_out()) left[number].push_back(*out);
    }
    running.fetch_sub(1);
    wakes.fetch_add(1), wakes.notify_one();
  };
  lane.refill(frames);
  std::thread first(cpu, 0), second(cpu, 1);
  std::map<std::uint32_t, int> seen;
  std::mt19937 random(1);
  std::uint32_t received = 0;
  auto free_all = [&](const std::vector<Lane::Frame>& of) {
    for (const Lane::Frame& frame : of) ++seen[packet(frame)], frames.give(frame.address);
  };
  while (received < kPackets) {
    int before = wakes.load();
    lane.disarm();
    auto came = receive(1 + random() % 256);
    received += static_cast<std::uint32_t>(came.size());
    for (const Lane::Frame& frame : came)
      if (!lane.put(frames, frame)) ++seen[packet(frame)], frames.give(frame.address);
    lane.reap(frames);
    lane.refill(frames);
    if (random() % 16 == 0) free_all(lane.take_back(frames));
    if (came.empty() && lane.arm() && running.load() > 0) wakes.wait(before);
  }
  first.join();
  second.join();
  free_all(lane.take_back(frames));
  EXPECT_TRUE(receive().empty());
  for (const auto& out : left)
    for (std::uint32_t packet : out) ++seen[packet];
  EXPECT_EQ(seen.size(), kPackets);
  for (const auto& [packet, times] : seen) ASSERT_EQ(times, 1) << packet;
  EXPECT_GT(left[0].size() + left[1].size(), 0u);
  lane.empty(frames);
  EXPECT_EQ(frames.free_frames(), kFrames);
}

}  // namespace
}  // namespace netserv::plane
