// The runtime with good modules; tests/modules/attacks has the bad ones.
#include "runtime/wasm/wasm_runtime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netserv/abi.h"
#include "support/module_fixture.h"

namespace netserv::runtime {
namespace {

using test::packet_module;
using test::RuntimeFixture;
using WasmRuntimeTest = RuntimeFixture;

// Marks each packet of the batch: drops those whose first byte is 0x46, else adds one to the first byte.
constexpr std::string_view kMark = R"(
  (func (export "netserv_process") (param $n i32) (local $p i32) (local $d i32)
    (local.set $p (i32.const 4096))
    (block $done (loop $next
      (br_if $done (i32.eqz (local.get $n)))
      (local.set $d (i32.load (local.get $p)))
      (if (i32.eq (i32.load8_u (local.get $d)) (i32.const 0x46))
        (then (i32.store8 offset=36 (local.get $p) (i32.const 1)))
        (else (i32.store8 (local.get $d) (i32.add (i32.load8_u (local.get $d)) (i32.const 1)))
              (i32.store8 offset=37 (local.get $p) (i32.const 1))))
      (local.set $p (i32.add (local.get $p) (i32.const 48)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $next)))))";

TEST_F(WasmRuntimeTest, ABatchIsWorkedOnInPlace) {
  auto module = load(packet_module(kMark));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_TRUE((*module)->handles_packets());
  auto batch = packets({0x45, 0x46, 0x60});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(batch[0].verdict, dispatch::Verdict::kPass);
  EXPECT_TRUE(batch[0].changed);
  EXPECT_EQ(batch[1].verdict, dispatch::Verdict::kDrop);
  EXPECT_FALSE(batch[1].changed);
  EXPECT_EQ(window()[0], std::byte{0x46});
  EXPECT_EQ(window()[NETSERV_SLOT_BYTES], std::byte{0x46});
  EXPECT_EQ(window()[2 * NETSERV_SLOT_BYTES], std::byte{0x61});
}

TEST_F(WasmRuntimeTest, TwoModulesSeeTheSameBytes) {
  auto first = load(packet_module(kMark), "first");
  auto second = load(packet_module(kMark), "second");
  ASSERT_TRUE(first && second);
  auto batch = packets({0x44});
  ASSERT_TRUE((*first)->process(batch));
  ASSERT_TRUE((*second)->process(batch));
  EXPECT_EQ(window()[0], std::byte{0x46});
}

TEST_F(WasmRuntimeTest, TwoInstancesOfOneObjectKeepTheirState) {
  const std::string counting = packet_module(R"(
    (global $n (mut i32) (i32.const 0)) (type $t (func (param i32) (result i32))) (table 1 1 funcref)
    (elem (i32.const 0) $add) (func $add (type $t) (i32.add (local.get 0) (global.get $n)))
    (func (export "netserv_process") (param i32)
      (global.set $n (call_indirect (type $t) (local.get 0) (i32.const 0)))
      (i32.store (i32.const 65536) (global.get $n))))");
  auto first = load(counting, "one");
  ASSERT_TRUE(first) << first.error().message();
  auto second = load_object(object_path(), "two");
  ASSERT_TRUE(second) << second.error().message();
  auto batch = packets({1, 2, 3});
  ASSERT_TRUE((*first)->process(batch));
  ASSERT_TRUE((*first)->process(batch));
  EXPECT_EQ(window()[0], std::byte{6});
  ASSERT_TRUE((*second)->process(batch));
  EXPECT_EQ(window()[0], std::byte{3});
  first->reset();
  ASSERT_TRUE((*second)->process(batch));
  EXPECT_EQ(window()[0], std::byte{6});
}

TEST_F(WasmRuntimeTest, ANewWindowReplacesTheOldOneUnderRunningModules) {
  auto module = load(packet_module(kMark));
  ASSERT_TRUE(module);
  auto batch = packets({0x10});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(window()[0], std::byte{0x11});
  std::byte* old = window();
  make_window();
  batch = packets({0x20});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(window()[0], std::byte{0x21});
  EXPECT_EQ(old[0], std::byte{0x11});
}

TEST_F(WasmRuntimeTest, VerdictsOutOfRangeAreHarmless) {
  auto module = load(packet_module(R"(
    (func (export "netserv_process") (param i32)
      (i32.store8 offset=36 (i32.const 4096) (i32.const 77))
      (i32.store8 offset=37 (i32.const 4096) (i32.const 1))
      (i32.store offset=32 (i32.const 4096) (i32.const 100000))))"));
  ASSERT_TRUE(module);
  auto batch = packets({0x45});
  ASSERT_TRUE((*module)->process(batch));
  EXPECT_EQ(batch[0].verdict, dispatch::Verdict::kPass);
  EXPECT_FALSE(batch[0].changed);
  EXPECT_EQ(batch[0].new_length, batch[0].length);
}

TEST_F(WasmRuntimeTest, BuildingBlocksReachTheHost) {
  auto module = load(packet_module(R"(
    (data (i32.const 16) "hello") (data (i32.const 32) "colour") (data (i32.const 48) "packets")
    (func (export "netserv_start") (result i32)
      (call $log (i32.const 1) (i32.const 16) (i32.const 5))
      (call $log (i32.const 2) (i32.const 1024)
        (call $get (i32.const 32) (i32.const 6) (i32.const 1024) (i32.const 64)))
      (drop (call $set (i32.const 7) (i64.const 5000000) (i64.const 0)))
      (drop (call $count (i32.const 48) (i32.const 7) (i64.const 3)))
      (i32.add (call $get (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 0)) (i32.const 2)))
    (func (export "netserv_timer") (param i32) (drop (call $emit (i32.const 16) (i32.const 5))))
    (func (export "netserv_process") (param i32)))", R"(
    (import "log/1" "write" (func $log (param i32 i32 i32)))
    (import "properties/1" "get" (func $get (param i32 i32 i32 i32) (result i32)))
    (import "timer/1" "set" (func $set (param i32 i64 i64) (result i32)))
    (import "packet/1" "emit" (func $emit (param i32 i32) (result i32)))
    (import "counters/1" "add" (func $count (param i32 i32 i64) (result i32))))"));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_THAT(host().lines, testing::ElementsAre("1 hello", "2 blue"));
  EXPECT_EQ(host().timers.at(7), std::chrono::milliseconds(5));
  EXPECT_EQ(host().counters.at("packets"), 3u);
  ASSERT_TRUE((*module)->timer(7));
  EXPECT_THAT(host().emitted, testing::ElementsAre("hello"));
}

TEST_F(WasmRuntimeTest, AFailingStartNamesTheModuleAndItsCode) {
  auto module = load(packet_module(R"((func (export "netserv_start") (result i32) (i32.const -7))
                                      (func (export "netserv_process") (param i32)))"), "starter");
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().subject, "starter");
  EXPECT_THAT(module.error().text, testing::HasSubstr("-7"));
}

TEST_F(WasmRuntimeTest, ABlockThatIsNotGrantedIsRefused) {
  const std::string path = compile_or_die(packet_module(R"((func (export "netserv_process") (param i32)))"));
  dispatch::ModuleSpec module_spec = spec(path, "poor");
  module_spec.blocks = {"packet/1"};
  auto module = runtime().load(module_spec, host());
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().origin, Origin::kOperator);
  EXPECT_THAT(module.error().text, testing::HasSubstr("timer/1"));
}

TEST_F(WasmRuntimeTest, WasiPrintsToTheLogAndExitEndsTheModule) {
  auto module = load(packet_module(R"(
    (data (i32.const 16) "one\ntwo\nthree") (data (i32.const 64) "\10\00\00\00\0d\00\00\00")
    (func (export "_initialize")
      (drop (call $write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 128)))
      (if (i32.ne (i32.load (i32.const 128)) (i32.const 13)) (then unreachable))
      (if (call $random (i32.const 256) (i32.const 32)) (then unreachable))
      (if (i64.eqz (i64.load (i32.const 256))) (then unreachable))
      (if (i32.ne (call $open (i32.const 3) (i32.const 0)) (i32.const 8)) (then unreachable)))
    (func (export "netserv_process") (param i32) (call $exit (i32.const 3))))", R"(
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $open (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))))"));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_THAT(host().lines, testing::ElementsAre("1 one", "1 two"));
  auto batch = packets({1});
  const auto run = (*module)->process(batch);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().kind, dispatch::Trap::Kind::kExit);
}

TEST_F(WasmRuntimeTest, ReplacedPropertiesAreSeen) {
  auto module = load(packet_module(R"(
    (data (i32.const 32) "colour")
    (func (export "netserv_properties") (drop (call $get (i32.const 32) (i32.const 6) (i32.const 65536) (i32.const 64))))
    (func (export "netserv_process") (param i32)))", R"(
    (import "properties/1" "get" (func $get (param i32 i32 i32 i32) (result i32))))"));
  ASSERT_TRUE(module) << module.error().message();
  ASSERT_TRUE((*module)->replace_properties({{"colour", "green"}}));
  EXPECT_EQ(std::memcmp(window(), "green", 5), 0);
}

TEST_F(WasmRuntimeTest, StartFunctionAndImportsThroughTablesWork) {
  auto module = load(packet_module(R"(
    (data (i32.const 16) "table")
    (type $log (func (param i32 i32 i32)))
    (table 2 2 funcref) (elem (i32.const 1) $log_write)
    (func $begin (call_indirect (type $log) (i32.const 1) (i32.const 16) (i32.const 5) (i32.const 1)))
    (start $begin)
    (func (export "netserv_process") (param i32)))",
    R"((import "log/1" "write" (func $log_write (param i32 i32 i32))))"));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_THAT(host().lines, testing::ElementsAre("1 table"));
}

}  // namespace
}  // namespace netserv::runtime
