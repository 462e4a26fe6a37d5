// Modules that attack the compile pipeline: design's known holes 1 to 4, and files that are no modules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "compile/answer.h"
#include "compile/check.h"
#include "compile/compiler.h"
#include "compile/helper.h"
#include "support/wat_module.h"

namespace netserv::compile {
namespace {

namespace fs = std::filesystem;
using test::packet_module;
using test::with_manifest;
using test::with_section;
using testing::HasSubstr;

constexpr std::string_view kProcess = R"((func (export "netserv_process") (param i32)))";

Error refusal(std::string_view wat) {
  const auto module = check_module(with_manifest(wat));
  EXPECT_FALSE(module);
  return module ? Error{} : module.error();
}

// Hole 1. Code that would run when the object is loaded, if a name got into the C text as it is.
const std::string kInjection = "*/ __attribute__((constructor)) void evil(void) { __builtin_trap(); } /*";

TEST(CInjection, ThroughAnExportsName) {
  const auto module = check_module(with_manifest(
      packet_module(std::string(kProcess) + "(func (export \"" + kInjection + "\"))")));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_EQ((module->c_source + module->c_header).find("evil"), std::string::npos);
}

TEST(CInjection, ThroughAnImportsNames) {
  const Error field = refusal(packet_module(kProcess, "(import \"timer/1\" \"" + kInjection + "\" (func))"));
  EXPECT_THAT(field.subject, HasSubstr("import timer/1"));
  const Error module = refusal(packet_module(kProcess, "(import \"" + kInjection + "\" \"now\" (func (result i64)))"));
  EXPECT_THAT(module.text, HasSubstr("building block"));
}

TEST(CInjection, ThroughDebugNames) {
  // A name section: the module, function 0 and its local are all called like the attack.
  auto sub = [](char id, const std::string& body) { return std::string(1, id) + static_cast<char>(body.size()) + body; };
  const std::string name = static_cast<char>(kInjection.size()) + kInjection;
  const std::string names = sub(0, name) + sub(1, std::string("\1\0", 2) + name);
  const auto module = check_module(with_section(with_manifest(packet_module(kProcess)), "name", names));
  ASSERT_TRUE(module) << module.error().message();
  EXPECT_EQ((module->c_source + module->c_header).find("evil"), std::string::npos);
}

TEST(CInjection, ThroughTheManifest) {
  const auto module = check_module(with_manifest(packet_module(kProcess),
      R"({"name":"x\"; int evil; //","version":"1","abi":1,"kind":["packet"]})"));
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().subject, "manifest name");
}

TEST(CInjection, NamesInRefusalsAreFitForALog) {
  const Error error = refusal(packet_module(kProcess, "(import \"a\\0a\\1b[31m\" \"\\07\\7f\\00\" (func))"));
  for (char c : error.message()) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << error.message();
}

// Hole 2.
std::string locals(int n) {
  std::string text = R"((func (export "netserv_process") (param i32) (local)";
  for (int i = 0; i < n; ++i) text += " i64";
  return packet_module(text + "))");
}

TEST(Limits, ThousandsOfLocals) {
  const Error error = refusal(locals(5000));
  EXPECT_EQ(error.subject, "function 0");
  EXPECT_THAT(error.text, HasSubstr("5000 locals, at most 2048"));
  EXPECT_TRUE(check_module(with_manifest(locals(2048))));
}

TEST(Limits, BillionsOfLocalsInTenBytes) {
  // (func (local i64 x 0xfffffff0)): a code section by hand, as libwabt's writer would need the locals.
  const Bytes wasm = with_section([] {
    const unsigned char bytes[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0,
                                   10, 10, 1, 8, 1, 0xf0, 0xff, 0xff, 0xff, 0x0f, 0x7e, 0x0b};
    const auto* begin = reinterpret_cast<const std::byte*>(bytes);
    return Bytes(begin, begin + sizeof bytes);
  }(), "netserv.manifest", test::kPacketManifest);
  const auto module = check_module(wasm);
  ASSERT_FALSE(module);
  EXPECT_THAT(module.error().text, HasSubstr("locals"));
}

TEST(Limits, DeepNesting) {
  // The text parser would recurse; the binary is made by hand: block (0x02 0x40) and end (0x0b).
  std::string body = std::string("\0", 1);
  for (int i = 0; i < 50'000; ++i) body += std::string("\x02\x40", 2);
  for (int i = 0; i < 50'001; ++i) body += "\x0b";
  auto leb = [](std::size_t n) {
    std::string out;
    do {
      out += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
      n >>= 7;
    } while (n != 0);
    return out;
  };
  const std::string function = leb(body.size()) + body;
  const std::string section = "\1" + function;
  const std::string wasm = std::string("\0asm\1\0\0\0\1\4\1\x60\0\0\3\2\1\0\x0a", 19) + leb(section.size()) + section;
  CheckLimits limits;
  limits.function_bytes = 1 << 20;
  const auto module = check_module(
      with_section(Bytes(as_bytes(wasm).begin(), as_bytes(wasm).end()), "netserv.manifest", test::kPacketManifest), limits);
  ASSERT_FALSE(module);
  EXPECT_THAT(module.error().text, HasSubstr("blocks within each other"));
}

TEST(Limits, HugeTablesMemoriesAndData) {
  EXPECT_THAT(refusal(packet_module(std::string(kProcess) + "(table 4000000000 funcref)")).text, HasSubstr("table elements"));
  EXPECT_THAT(refusal(packet_module(std::string(kProcess) + "(table 10000 funcref) (table 10000 funcref)")).text,
              HasSubstr("table elements"));
  EXPECT_THAT(refusal(R"((module (memory (export "memory") 65536)))").text, HasSubstr("pages of memory"));
  EXPECT_THAT(refusal(packet_module(std::string(kProcess) + "(data (i32.const 0) \"" + std::string(1'100'000, 'x') + "\")")).text,
              HasSubstr("bytes of data"));
  std::string targets;
  for (int i = 0; i < 5000; ++i) targets += " 0";
  EXPECT_THAT(refusal(packet_module("(func (export \"netserv_process\") (param i32) (block (br_table" + targets +
                                    " 0 (local.get 0))))")).text,
              HasSubstr("br_table"));
  std::string functions;
  for (int i = 0; i < 9000; ++i) functions += "(func)";
  EXPECT_THAT(refusal(packet_module(std::string(kProcess) + functions)).text, HasSubstr("functions"));
}

// Hole 4, and the other features that the C writer can't do.
TEST(Features, WhatTheWriterCannotDoIsRefusedBeforeIt) {
  for (const char* body : {
           "(drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))",
           "(drop (i32.atomic.load (i32.const 0)))",
           "(return_call $f)",
           "(try (do) (catch_all))",
       }) {
    const Error error = refusal(packet_module("(func $f (export \"netserv_process\") (param i32) " +
                                              std::string(body[1] == 'r' ? "(local.get 0)" : "") + body + ")"));
    EXPECT_EQ(error.origin, Origin::kPublisher) << body;
  }
  EXPECT_EQ(refusal(packet_module(std::string(kProcess) + "(global v128 (v128.const i64x2 0 0))")).origin, Origin::kPublisher);
}

TEST(Files, WhatIsNoModuleIsRefused) {
  for (std::string_view text : {std::string_view(), std::string_view("\0asm", 4), std::string_view("\0asm\2\0\0\0", 8),
                                std::string_view("\x7f" "ELF and more of it"), std::string_view("(module)")}) {
    const auto module = check_module(as_bytes(text));
    ASSERT_FALSE(module);
    EXPECT_THAT(module.error().text, HasSubstr("not a WebAssembly file"));
  }
}

TEST(Files, AnAbiFromTheFutureIsRefusedByName) {
  const auto module = check_module(with_manifest(packet_module(kProcess), R"({"name":"a","version":"1","abi":2,"kind":["packet"]})"));
  ASSERT_FALSE(module);
  EXPECT_EQ(module.error().subject, "manifest abi");
}

TEST(Files, TruncatedAtEveryLength) {
  const Bytes whole = with_manifest(packet_module(R"(
      (type $t (func (param i32) (result i32))) (table 1 1 funcref) (elem (i32.const 0) $add) (data (i32.const 8) "data")
      (func $add (type $t) (block (br_table 0 0 (local.get 0))) (loop (br_if 0 (i32.const 0))) (i32.const 5))
      (func (export "netserv_process") (param i32) (drop (call_indirect (type $t) (local.get 0) (i32.const 0)))))",
      R"((import "timer/1" "now" (func (result i64))))"));
  ASSERT_TRUE(check_module(whole));
  for (std::size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(check_module(ByteSpan(whole).first(n))) << n;
}

// The manifest first, so that what is cut is the code.
TEST(Files, TruncatedAfterTheManifest) {
  Bytes head(test::assemble("(module)"));
  head = with_section(head, "netserv.manifest", test::kPacketManifest);
  const Bytes code = test::assemble(packet_module(kProcess));
  Bytes whole = head;
  whole.insert(whole.end(), code.begin() + 8, code.end());
  ASSERT_TRUE(check_module(whole));
  for (std::size_t n = head.size(); n < whole.size(); ++n) EXPECT_FALSE(check_module(ByteSpan(whole).first(n))) << n;
}

TEST(Files, EveryByteChangedIsTakenOrRefusedButHarmless) {
  const Bytes whole = with_manifest(packet_module(R"(
      (global $g (mut i32) (i32.const 5))
      (func (export "netserv_process") (param i32) (global.set $g (i32.load offset=4 (local.get 0)))))"));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned change : {0x01u, 0x80u, 0xffu}) {
      Bytes bent = whole;
      bent[at] ^= static_cast<std::byte>(change);
      const auto module = check_module(bent);
      if (!module) {
        EXPECT_FALSE(module.error().message().empty());
      }
    }
  }
}

// Hole 3: a module within all the front end's limits that makes gcc burn. 200 loops within each other around 6000
// dependent additions.
std::string compile_bomb() {
  std::string text = R"((func (export "netserv_process") (param i32) (local)";
  for (int i = 0; i < 200; ++i) text += " i32";
  text += ")";
  for (int i = 0; i < 200; ++i) text += "(loop ";
  auto local = [](int i) { return "(local.get " + std::to_string(1 + i % 200) + ")"; };
  for (int i = 0; i < 6000; ++i)
    text += "(local.set " + std::to_string(1 + i % 200) + " (i32.add " + local(i * 7) + "(i32.load " + local(i * 13) + ")))";
  for (int i = 0; i < 200; ++i) text += "(br_if 0 (i32.load " + local(i) + ")))";
  return packet_module(text + ")");
}

class CompileBomb : public testing::Test {
 protected:
  HelperAnswer compile(const Bytes& wasm) {
    HelperJob job;
    job.input = folder_.path() + "/in.wasm";
    job.output = folder_.path() + "/out.so";
    job.memory_bytes = kMemory;
    std::ofstream(job.input, std::ios::binary).write(as_text(wasm).data(), static_cast<std::streamsize>(wasm.size()));
    return run_helper(job);
  }
  static constexpr std::uint64_t kMemory = 85u << 20;
  test::TemporaryFolder folder_;
};

TEST_F(CompileBomb, EndsAtTheMemoryLimitWithAClearRefusal) {
  ASSERT_TRUE(compile(with_manifest(packet_module(kProcess))).ok);
  const HelperAnswer answer = compile(with_manifest(compile_bomb()));
  const auto result = decode_answer(answer.json);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().origin, Origin::kPublisher) << result.error().message();
  EXPECT_THAT(result.error().text, HasSubstr("too much to compile"));
  EXPECT_FALSE(fs::exists(folder_.path() + "/out.so"));
}

}  // namespace
}  // namespace netserv::compile
