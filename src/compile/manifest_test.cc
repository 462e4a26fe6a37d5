#include "compile/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/wat_module.h"

namespace netserv::compile {
namespace {

using testing::HasSubstr;

constexpr const char* kGood =
    R"({"name":"NetServ.apps.KeepAlive","version":"1.0.0","abi":1,"kind":["packet","server"],
        "blocks":["packet/1","timer/1"],"observer":true,"memory_pages":64,"unknown":{"later":[1]}})";

TEST(Manifest, AllKeysAreReadAndWrittenBack) {
  const auto read = decode_manifest(kGood);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->name, "NetServ.apps.KeepAlive");
  EXPECT_TRUE(read->packet && read->server && read->observer);
  EXPECT_THAT(read->blocks, testing::ElementsAre("packet/1", "timer/1"));
  EXPECT_EQ(read->memory_pages, 64u);
  EXPECT_EQ(decode_manifest(encode_manifest(*read)), read);
}

TEST(Manifest, AnotherAbiIsRefusedWithBothNumbers) {
  const auto read = decode_manifest(R"({"name":"a","version":"1","abi":7,"kind":["packet"]})");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().subject, "manifest abi");
  EXPECT_THAT(read.error().text, testing::AllOf(HasSubstr("ABI 7"), HasSubstr("ABI 1")));
}

TEST(Manifest, MalformedOnesNameTheKey) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "manifest"},
      {"[]", "manifest"},
      {"{", "manifest"},
      {R"({"version":"1","abi":1,"kind":["packet"]})", "manifest name"},
      {R"({"name":"a b","version":"1","abi":1,"kind":["packet"]})", "manifest name"},
      {R"({"name":"*/ x","version":"1","abi":1,"kind":["packet"]})", "manifest name"},
      {R"({"name":"a","abi":1,"kind":["packet"]})", "manifest version"},
      {R"({"name":".a","version":"1","abi":1,"kind":["packet"]})", "manifest name"},
      {R"({"name":"a","version":"x1","abi":1,"kind":["packet"]})", "manifest version"},
      {R"({"name":"a","version":"1_2","abi":1,"kind":["packet"]})", "manifest version"},
      {R"({"name":"a","version":"1","kind":["packet"]})", "manifest abi"},
      {R"({"name":"a","version":"1","abi":"1","kind":["packet"]})", "manifest abi"},
      {R"({"name":"a","version":"1","abi":-1,"kind":["packet"]})", "manifest abi"},
      {R"({"name":"a","version":"1","abi":1})", "manifest kind"},
      {R"({"name":"a","version":"1","abi":1,"kind":["tank"]})", "manifest kind"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet","packet"]})", "manifest kind"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet"],"blocks":"x"})", "manifest blocks"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet"],"blocks":["x","x"]})", "manifest blocks"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet"],"blocks":["\u0000"]})", "manifest blocks"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet"],"observer":1})", "manifest observer"},
      {R"({"name":"a","version":"1","abi":1,"kind":["packet"],"memory_pages":65536})", "manifest memory_pages"},
  };
  for (const auto& [text, subject] : rows) {
    const auto read = decode_manifest(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().subject, subject) << text;
    EXPECT_EQ(read.error().origin, Origin::kPublisher);
  }
  EXPECT_FALSE(decode_manifest(std::string(4000, '[')));
  EXPECT_FALSE(decode_manifest(std::string(5000, ' ')));
}

TEST(SplitFile, CustomSectionsAreTakenOut) {
  const Bytes plain = test::assemble("(module (func $secret))");
  const Bytes wasm = test::with_section(test::with_section(plain, "name", "xx"), "netserv.manifest", kGood);
  const auto split = split_file(wasm);
  ASSERT_TRUE(split);
  EXPECT_EQ(split->manifest, kGood);
  EXPECT_EQ(split->code, plain);
  EXPECT_FALSE(split_file(plain));
  EXPECT_FALSE(split_file(test::with_section(wasm, "netserv.manifest", kGood)));
}

}  // namespace
}  // namespace netserv::compile
