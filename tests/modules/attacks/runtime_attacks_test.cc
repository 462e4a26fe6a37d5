// Modules that attack the node from within: each ends as a trap of its own, and its neighbours run on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "netserv/abi.h"
#include "runtime/wasm/guest_call.h"
#include "support/module_fixture.h"

namespace netserv {
namespace {

using dispatch::Trap;
using test::packet_module;
using testing::HasSubstr;

std::string process(std::string_view body, std::string_view imports = "", std::string_view more = "") {
  return packet_module(std::string(more) + "(func $p (export \"netserv_process\") (param i32) " + std::string(body) + ")", imports);
}

class Attack : public test::RuntimeFixture {
 protected:
  using RuntimeFixture::RuntimeFixture;

  // Address ranges mapped in this process, in bytes.
  static std::size_t mapped() {
    std::ifstream status("/proc/self/statm");
    std::size_t pages = 0;
    status >> pages;
    return pages * 4096;
  }

  // Loads the attacker beside a good module, expects its batch to end in `kind`, twice, and the good one to go on.
  void expect_trap(std::string_view attacker_wat, Trap::Kind kind) {
    auto good = load(process("(i32.store8 (i32.const 65536) (i32.add (i32.const 1) (i32.load8_u (i32.const 65536))))"), "good");
    ASSERT_TRUE(good) << good.error().message();
    auto attacker = load(attacker_wat, "attacker");
    ASSERT_TRUE(attacker) << attacker.error().message();
    auto batch = packets({7});
    ASSERT_TRUE((*good)->process(batch));
    for (int i = 0; i < 2; ++i) {
      const auto run = (*attacker)->process(batch);
      ASSERT_FALSE(run);
      EXPECT_EQ(run.error().kind, kind) << run.error().text;
      EXPECT_FALSE(run.error().text.empty());
      batch = packets({7});
      ASSERT_TRUE((*good)->process(batch));
      EXPECT_EQ(window()[0], std::byte{8});
    }
    // A fresh instance of the attacker is none the worse for the one before.
    attacker->reset();
    auto again = load_object(object_path(), "again");
    ASSERT_TRUE(again) << again.error().message();
    EXPECT_FALSE((*again)->process(batch));
  }
};

// Under the time limit that a container gives its modules.
class EndlessAttack : public Attack {
 protected:
  EndlessAttack() : Attack(runtime::WasmOptions{}.call_limit) {}
};

TEST_F(Attack, LoadBeyondMemory) { expect_trap(process("(drop (i32.load (i32.const 0x7ffffff0)))"), Trap::Kind::kOutOfBounds); }
TEST_F(Attack, LoadJustBeyondMemory) {
  expect_trap(process("(drop (i32.load8_u (i32.const 2162688)))"), Trap::Kind::kOutOfBounds);
}
TEST_F(Attack, LoadAcrossTheEnd) { expect_trap(process("(drop (i64.load (i32.const 2162684)))"), Trap::Kind::kOutOfBounds); }
TEST_F(Attack, StoreAtTheHighestAddress) {
  expect_trap(process("(i64.store offset=0xffffffff (i32.const -1) (i64.const -1))"), Trap::Kind::kOutOfBounds);
}
TEST_F(Attack, BulkCopyBeyondMemory) {
  expect_trap(process("(memory.copy (i32.const 0) (i32.const -4096) (i32.const 8192))"), Trap::Kind::kOutOfBounds);
}
TEST_F(Attack, HostCallWithAWildPointer) {
  expect_trap(process("(drop (call $emit (i32.const -16) (i32.const 64)))",
                      R"((import "packet/1" "emit" (func $emit (param i32 i32) (result i32))))"),
              Trap::Kind::kOutOfBounds);
}
TEST_F(Attack, HostCallsWithLengthsThatWrapAround) {
  struct { const char *import, *call; } const kCalls[] = {
      {R"((import "packet/1" "emit" (func $f (param i32 i32) (result i32))))", "(drop (call $f (i32.const -16) (i32.const 32)))"},
      {R"((import "log/1" "write" (func $f (param i32 i32 i32))))", "(call $f (i32.const 1) (i32.const 16) (i32.const -1))"},
      {R"((import "counters/1" "add" (func $f (param i32 i32 i64) (result i32))))", "(drop (call $f (i32.const -1) (i32.const 1) (i64.const 1)))"},
      {R"((import "properties/1" "get" (func $f (param i32 i32 i32 i32) (result i32))))",
       "(drop (call $f (i32.const 0) (i32.const 1) (i32.const 2162687) (i32.const 2)))"},
      {R"((import "udp/1" "receive" (func $f (param i32 i32 i32 i32) (result i32))))",
       "(drop (call $f (i32.const 0) (i32.const -19) (i32.const 0) (i32.const 4)))"},
      {R"((import "wasi_snapshot_preview1" "fd_write" (func $f (param i32 i32 i32 i32) (result i32))))",
       "(drop (call $f (i32.const 1) (i32.const -8) (i32.const 0x20000001) (i32.const 0)))"},
      {R"((import "wasi_snapshot_preview1" "random_get" (func $f (param i32 i32) (result i32))))",
       "(drop (call $f (i32.const -4) (i32.const 8)))"},
  };
  for (const auto& [import, call] : kCalls) {
    SCOPED_TRACE(call);
    expect_trap(process(call, import), Trap::Kind::kOutOfBounds);
  }
}
TEST_F(Attack, APropertysNameOfAMegabyteIsNoName) {
  auto module = load(process(
      "(i32.store8 (i32.const 65536) (i32.eq (call $f (i32.const 0) (i32.const 1000000) (i32.const 0) (i32.const 0)) (i32.const -2)))",
      R"((import "properties/1" "get" (func $f (param i32 i32 i32 i32) (result i32))))"));
  ASSERT_TRUE(module) << module.error().message();
  auto batch = packets({7});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(window()[0], std::byte{1});
}
TEST_F(Attack, MemoryGrownWhilePacketsAreLookedAtLeavesWindowAndVerdictsInPlace) {
  auto module = load(process(
      "(drop (memory.grow (i32.const 4))) (i32.store8 (i32.const 65536) (i32.const 9))"
      "(i32.store8 (i32.const 2162688) (i32.const 1)) (i32.store8 offset=36 (i32.const 4096) (i32.const 1))"));
  ASSERT_TRUE(module) << module.error().message();
  auto batch = packets({7});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(window()[0], std::byte{9});
  EXPECT_EQ(batch[0].verdict, dispatch::Verdict::kDrop);
}
TEST_F(Attack, Unreachable) { expect_trap(process("unreachable"), Trap::Kind::kUnreachable); }
TEST_F(Attack, DivisionByZero) { expect_trap(process("(drop (i32.div_u (i32.const 1) (i32.sub (local.get 0) (local.get 0))))"), Trap::Kind::kDivision); }
TEST_F(Attack, DivisionOverflow) {
  expect_trap(process("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"), Trap::Kind::kBadConversion);
}
TEST_F(Attack, ConversionOfNaN) { expect_trap(process("(drop (i32.trunc_f64_s (f64.const nan)))"), Trap::Kind::kBadConversion); }
TEST_F(Attack, IndirectCallOfTheWrongType) {
  expect_trap(process("(call_indirect (type $other) (i64.const 1) (i32.const 0))", "",
                      "(type $other (func (param i64))) (table 1 funcref) (elem (i32.const 0) $p)"),
              Trap::Kind::kIndirectCall);
}
TEST_F(Attack, IndirectCallBeyondTheTable) {
  expect_trap(process("(call_indirect (i32.const 100))", "", "(table 1 funcref)"), Trap::Kind::kIndirectCall);
}
TEST_F(Attack, IndirectCallOfNull) {
  expect_trap(process("(call_indirect (i32.const 0))", "", "(table 1 funcref)"), Trap::Kind::kIndirectCall);
}

TEST_F(EndlessAttack, EndlessLoop) { expect_trap(process("(loop (br 0))"), Trap::Kind::kTimeLimit); }
TEST_F(EndlessAttack, EndlessLoopOfHostCalls) {
  expect_trap(process("(loop (drop (call $now)) (br 0))", R"((import "timer/1" "now" (func $now (result i64))))"),
              Trap::Kind::kTimeLimit);
}
TEST_F(EndlessAttack, EndlessLoopOfBigCopies) {
  expect_trap(process("(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))"), Trap::Kind::kTimeLimit);
}

TEST_F(Attack, DeepRecursion) { expect_trap(process("(call $p (i32.add (local.get 0) (i32.const 1)))"), Trap::Kind::kStackExhausted); }
TEST_F(Attack, DeepRecursionWithBigFrames) {
  std::string locals, uses;
  for (int i = 1; i <= 1000; ++i) {
    locals += " i64";
    uses += "(local.set " + std::to_string(i) + " (i64.load offset=" + std::to_string(8 * i) + " (local.get 0)))";
  }
  std::string sums;
  for (int i = 1; i <= 1000; ++i) sums += "(i64.store offset=" + std::to_string(8 * i) + " (i32.const 65536) (local.get " + std::to_string(i) + "))";
  expect_trap(process("(local" + locals + ")" + uses + "(call $p (local.get 0))" + sums), Trap::Kind::kStackExhausted);
}
// The module leaves the host as little stack as it can.
TEST_F(Attack, DeepRecursionIntoTheHost) {
  expect_trap(process("(drop (call $count (i32.const 0) (i32.const 8) (i64.const 1))) (call $p (local.get 0))",
                      R"((import "counters/1" "add" (func $count (param i32 i32 i64) (result i32))))"),
              Trap::Kind::kStackExhausted);
}

TEST_F(Attack, MemoryGrowsToItsCapAndNoFurther) {
  auto module = load(process(R"(
      (block $full (loop $more
        (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))
        (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1))
        (br $more)))
      (if (i32.ne (memory.grow (i32.const 0x10000)) (i32.const -1)) (then unreachable))
      (if (i32.ne (memory.grow (i32.const -1)) (i32.const -1)) (then unreachable))
      (i32.store (i32.const 65536) (memory.size)))"));
  ASSERT_TRUE(module) << module.error().message();
  auto batch = packets({0});
  const auto run = (*module)->process(batch);
  ASSERT_TRUE(run) << run.error().text;
  EXPECT_EQ(window()[0], std::byte{64});  // the fixture's ModuleSpec.memory_pages
}

TEST_F(Attack, MoreMemoryAtStartThanGrantedIsRefused) {
  auto module = load(R"((module (memory (export "memory") 65)))", "big", R"({"name":"a","version":"1","abi":1,"kind":["server"]})");
  ASSERT_FALSE(module);
  EXPECT_THAT(module.error().text, HasSubstr("more than its limit"));
}

TEST_F(Attack, DataOutOfBoundsFailsTheStart) {
  auto module = load(process("", "", "(data (i32.const 2162687) \"xx\")"));
  ASSERT_FALSE(module);
  EXPECT_THAT(module.error().text, HasSubstr("out-of-bounds"));
}

TEST_F(EndlessAttack, EndlessStartIsStopped) {
  auto module = load(process("", "", "(func (export \"_initialize\") (loop (br 0)))"));
  ASSERT_FALSE(module);
  EXPECT_THAT(module.error().text, HasSubstr("CPU time limit"));
}

TEST_F(Attack, TableGrowsToItsCapAndNoFurther) {
  auto module = load(process(R"(
      (loop (br_if 0 (i32.ne (table.grow 0 (ref.null func) (i32.const 1000)) (i32.const -1))))
      (i32.store (i32.const 65536) (table.size 0)))", "", "(table 1 funcref)"));
  ASSERT_TRUE(module) << module.error().message();
  auto batch = packets({0});
  ASSERT_TRUE((*module)->process(batch));
  std::uint32_t size = 0;
  std::memcpy(&size, window(), 4);
  EXPECT_LE(size, 65536u);
}

TEST_F(Attack, ADiscardedModuleGivesBackAllItsAddresses) {
  auto first = load(process("unreachable"), "first");
  ASSERT_TRUE(first);
  auto batch = packets({1});
  (void)(*first)->process(batch);
  first->reset();
  const std::size_t before = mapped();
  for (int i = 0; i < 20; ++i) {
    auto module = load_object(object_path(), "again");
    ASSERT_TRUE(module);
    (void)(*module)->process(batch);
  }
  EXPECT_LT(mapped(), before + (64u << 20));
}

// A fault in the host's own code is never taken for a module's.
TEST_F(Attack, AFaultOfOurOwnStillKills) {
  auto module = load(process(""));
  ASSERT_TRUE(module);
  EXPECT_DEATH(
      {
        volatile std::uintptr_t address = 8;
        *reinterpret_cast<volatile int*>(address) = 1;
      },
      "");
}

// Not even in a host function that a module has called, at an address where the module's own fault would be a trap.
TEST_F(Attack, AFaultOfAHostFunctionStillKills) {
  struct FaultyHost : test::RememberingHost {
    void log(ModuleSlot, int, std::string_view) override {
      *const_cast<volatile std::byte*>(runtime::g_guest.memory_high - 8) = std::byte{1};
    }
  } faulty;
  const std::string object = compile_or_die(process("(call $log (i32.const 1) (i32.const 16) (i32.const 1))",
                                                    R"((import "log/1" "write" (func $log (param i32 i32 i32))))"));
  auto module = runtime().load(spec(object, "module"), faulty);
  ASSERT_TRUE(module) << module.error().message();
  auto batch = packets({1});
  constexpr int kSurvived = 7;
  EXPECT_EXIT(
      {
        (void)(*module)->process(batch);
        _exit(kSurvived);
      },
      [](int status) { return !(WIFEXITED(status) && WEXITSTATUS(status) == kSurvived); }, "");
}

}  // namespace
}  // namespace netserv
