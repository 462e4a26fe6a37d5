// The front end with good modules and plain mistakes; tests/modules/attacks has the malicious ones.
#include "compile/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/wat_module.h"

namespace netserv::compile {
namespace {

using test::kPacketManifest;
using test::packet_module;
using test::with_manifest;
using testing::HasSubstr;

constexpr std::string_view kProcess = R"((func (export "netserv_process") (param i32)))";

TEST(Check, AModuleIsTakenWithItsImportsAndExports) {
  const auto module = check_module(with_manifest(packet_module(
      kProcess, R"((import "timer/1" "now" (func (result i64))) (import "wasi_snapshot_preview1" "proc_exit" (func (param i32))))")));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_EQ(module->memory_pages, 33u);
  EXPECT_THAT(module->imports, testing::ElementsAre("timer/1 now", "wasi_snapshot_preview1 proc_exit"));
  EXPECT_THAT(module->exports, testing::ElementsAre("memory", "netserv_batch", "netserv_process", "netserv_window"));
}

TEST(Check, OtherExportsAreDropped) {
  const auto module = check_module(with_manifest(packet_module(
      R"((func (export "netserv_process") (param i32)) (func (export "malloc") (param i32) (result i32) (local.get 0)))")));
  ASSERT_TRUE(module);
  EXPECT_EQ(module->c_source.find("malloc("), std::string::npos);
}

TEST(Check, TheNamesReservedForStateHandOverAreTakenAndNotCalled) {
  for (const char* names : {R"((func (export "netserv_save_state") (param i32 i32) (result i32) (i32.const 4242)))",
                            R"((func (export "netserv_load_state") (param i32 i32) (i32.store (i32.const 0) (i32.const 4242))))",
                            R"((global (export "netserv_save_state") i32 (i32.const 4242)))"}) {
    const auto module = check_module(with_manifest(packet_module(std::string(kProcess) + names)));
    ASSERT_TRUE(module) << names << module.error().message();
    EXPECT_THAT(module->exports, testing::ElementsAre("memory", "netserv_batch", "netserv_process", "netserv_window"));
    EXPECT_THAT(module->c_source, testing::AllOf(testing::Not(HasSubstr("save_state")), testing::Not(HasSubstr("load_state"))));
  }
}

struct Row {
  const char* what;
  std::string wat;
  const char* subject;
  const char* text;
};

TEST(Check, MistakesAreNamed) {
  const std::string memory = R"((memory (export "memory") 33))";
  const std::string batch = R"((global (export "netserv_batch") i32 (i32.const 4096)))";
  auto with_window = [&](const std::string& window) { return "(module " + memory + batch + window + std::string(kProcess) + ")"; };
  const Row rows[] = {
      {"no memory", "(module)", "export memory", "missing"},
      {"no process", "(module (memory (export \"memory\") 1))", "export netserv_process", "missing"},
      {"no window", with_window(""), "export netserv_window", "missing"},
      {"misaligned window", with_window(R"((global (export "netserv_window") i32 (i32.const 65540)))"),
       "export netserv_window", "aligned"},
      {"window past the end", with_window(R"((global (export "netserv_window") i32 (i32.const 2097152)))"),
       "export netserv_window", "within the memory"},
      {"window at the top of all", with_window(R"((global (export "netserv_window") i32 (i32.const 0xffff0000)))"),
       "export netserv_window", "within the memory"},
      {"mutable window", with_window(R"((global (export "netserv_window") (mut i32) (i32.const 65536)))"),
       "export netserv_window", "immutable"},
      {"overlap", "(module " + memory + R"((global (export "netserv_window") i32 (i32.const 65536))
         (global (export "netserv_batch") i32 (i32.const 65600)))" + std::string(kProcess) + ")",
       "export netserv_batch", "overlaps"},
      {"wrong process", packet_module(R"((func (export "netserv_process")))"), "export netserv_process", "(i32) -> ()"},
      {"process is a memory", R"((module (memory (export "netserv_process") 1)))", "export netserv_process", "kind"},
      {"unknown import", packet_module(kProcess, R"((import "env" "system" (func (param i32))))"), "import env system",
       "building block"},
      {"wrong signature", packet_module(kProcess, R"((import "timer/1" "now" (func (param i64))))"), "import timer/1 now",
       "() -> (i64)"},
      {"imported memory", packet_module(kProcess, R"((import "env" "table" (table 1 funcref)))"), "import env table",
       "no function"},
  };
  for (const Row& row : rows) {
    const auto module = check_module(with_manifest(row.wat));
    ASSERT_FALSE(module) << row.what;
    EXPECT_EQ(module.error().subject, row.subject) << row.what;
    EXPECT_THAT(module.error().text, HasSubstr(row.text)) << row.what;
    EXPECT_EQ(module.error().origin, Origin::kPublisher);
  }
}

TEST(Check, ABlockMustBeInTheManifest) {
  const auto module = check_module(with_manifest(packet_module(kProcess, R"((import "timer/1" "now" (func (result i64))))"),
                                                 R"({"name":"a","version":"1","abi":1,"kind":["packet"],"blocks":["log/1"]})"));
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().subject, "import timer/1 now");
}

TEST(Check, AServerModuleNeedsNoWindow) {
  const auto module = check_module(with_manifest(R"((module (memory (export "memory") 1)))",
                                                 R"({"name":"a","version":"1","abi":1,"kind":["server"]})"));
  ASSERT_TRUE(module) << module.error().message();
}

}  // namespace
}  // namespace netserv::compile
