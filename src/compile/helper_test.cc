#include "compile/answer.h"
#include "compile/helper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "support/wat_module.h"

namespace netserv::compile {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class HelperTest : public testing::Test {
 protected:
  HelperTest() {
    job_.input = folder_.path() + "/in.wasm";
    job_.output = folder_.path() + "/out.so";
    job_.manifest_output = folder_.path() + "/manifest.json";
    scratch_ = folder_.path() + "/scratch";
    fs::create_directory(scratch_);
    fs::permissions(folder_.path(), fs::perms::others_exec, fs::perm_options::add);
    job_.scratch_parent = scratch_;
  }
  void write_input(ByteSpan bytes) {
    std::ofstream(job_.input, std::ios::binary).write(as_text(bytes).data(), static_cast<std::streamsize>(bytes.size()));
    fs::permissions(job_.input, fs::perms::owner_read);
  }

  test::TemporaryFolder folder_;
  std::string scratch_;
  HelperJob job_;
};

const std::string kModule = test::packet_module(R"((func (export "netserv_process") (param i32)))");

TEST_F(HelperTest, CompilesConfined) {
  write_input(test::with_manifest(kModule));
  const HelperAnswer answer = run_helper(job_);
  ASSERT_TRUE(answer.ok) << answer.json;
  const auto result = decode_answer(answer.json);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->manifest.name, "test");
  EXPECT_EQ(result->memory_pages, 33u);
  EXPECT_GT(fs::file_size(job_.output), 1000u);
  EXPECT_TRUE(fs::exists(job_.manifest_output));
  EXPECT_TRUE(fs::is_empty(scratch_));
}

TEST_F(HelperTest, ARefusalIsAnErrorOfThePublisherAndLeavesNothing) {
  write_input(as_bytes("not WebAssembly at all"));
  const HelperAnswer answer = run_helper(job_);
  EXPECT_FALSE(answer.ok);
  const auto result = decode_answer(answer.json);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().origin, Origin::kPublisher);
  EXPECT_THAT(result.error().text, HasSubstr("not a WebAssembly file"));
  EXPECT_FALSE(fs::exists(job_.output));
  EXPECT_FALSE(fs::exists(job_.manifest_output));
  EXPECT_TRUE(fs::is_empty(scratch_));
}

TEST_F(HelperTest, TheCompilerGivesWayToPackets) {
  write_input(test::with_manifest(kModule));
  job_.compiler = folder_.path() + "/compiler";
  std::ofstream(job_.compiler) << "#!/bin/sh\nnice > module.so\n";
  fs::permissions(job_.compiler, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const HelperAnswer answer = run_helper(job_);
  ASSERT_TRUE(answer.ok) << answer.json;
  std::ifstream object(job_.output);
  int niceness = 0;
  ASSERT_TRUE(object >> niceness);
  errno = 0;
  EXPECT_GE(niceness, std::min(nice(0) + 10, 19));
}

// What is too much for -O2 is compiled with -O1.
TEST_F(HelperTest, LessOptimisationIsTriedBeforeAModuleIsRefused) {
  write_input(test::with_manifest(kModule));
  job_.compiler = folder_.path() + "/compiler";
  std::ofstream(job_.compiler) << "#!/bin/sh\ncase \"$1\" in -O2) echo 'cc1: out of memory' >&2; exit 1;; esac\necho \"$1\" > module.so\n";
  fs::permissions(job_.compiler, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const HelperAnswer answer = run_helper(job_);
  ASSERT_TRUE(answer.ok) << answer.json;
  std::ifstream object(job_.output);
  std::string level;
  ASSERT_TRUE(object >> level);
  EXPECT_EQ(level, "-O1");
}

// What no module that compiles within the limits could show: a frame larger than the stack's guard is probed page by page.
TEST_F(HelperTest, TheStackIsProbedWhateverIsOptimised) {
  write_input(test::with_manifest(kModule));
  job_.compiler = folder_.path() + "/compiler";
  std::ofstream(job_.compiler) << "#!/bin/sh\necho \"$*\" >> asked\ncp asked module.so\n[ $1 = -O1 ] || { echo out of memory >&2; exit 1; }\n";
  fs::permissions(job_.compiler, fs::perms::owner_all | fs::perms::others_read | fs::perms::others_exec);
  const HelperAnswer answer = run_helper(job_);
  ASSERT_TRUE(answer.ok) << answer.json;
  std::ifstream object(job_.output);
  std::string with_O2, with_O1;
  ASSERT_TRUE(std::getline(object, with_O2) && std::getline(object, with_O1));
  for (const std::string& line : {with_O2, with_O1}) {
    EXPECT_THAT(line, HasSubstr(" -fstack-clash-protection "));
    EXPECT_THAT(line, HasSubstr(" -fno-optimize-sibling-calls "));
  }
}

TEST_F(HelperTest, AMissingInputIsNamed) {
  const auto result = decode_answer(run_helper(job_).json);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().subject, job_.input);
}

// A "compiler" that tries what the sandbox forbids, and tells by the object that it writes.
TEST_F(HelperTest, WhatTheCompilerStartsIsConfinedToo) {
  const std::string compiler = folder_.path() + "/cc";
  const std::string outside = folder_.path() + "/outside";
  fs::create_directory(outside);
  fs::permissions(outside, fs::perms::all);
  std::ofstream(compiler) << "#!/bin/sh\n"
                             "while [ \"$1\" != -o ]; do shift; done\nout=$2\n{ id -u\n"
                             "cat /etc/hostname 2>/dev/null && echo read-etc\n"
                             "echo x > " + outside + "/f 2>/dev/null && echo wrote-outside\n"
                             "grep -c : /proc/net/dev 2>/dev/null\necho done; } > $out 2>/dev/null\nexit 0\n";
  fs::permissions(compiler, fs::perms::all);
  job_.compiler = compiler;
  write_input(test::with_manifest(kModule));
  const HelperAnswer answer = run_helper(job_);
  ASSERT_TRUE(answer.ok) << answer.json;
  std::ifstream said(job_.output);
  const std::string text{std::istreambuf_iterator<char>(said), std::istreambuf_iterator<char>()};
  EXPECT_EQ(text, "65534\ndone\n");
}

TEST_F(HelperTest, AHangingCompilerMeetsTheDeadline) {
  const std::string compiler = folder_.path() + "/cc";
  std::ofstream(compiler) << "#!/bin/sh\nexec sleep 1000\n";
  fs::permissions(compiler, fs::perms::all);
  job_.compiler = compiler;
  job_.deadline = std::chrono::milliseconds(400);
  write_input(test::with_manifest(kModule));
  const auto result = decode_answer(run_helper(job_).json);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().origin, Origin::kPublisher);
  EXPECT_THAT(result.error().text, HasSubstr("too long"));
  EXPECT_TRUE(fs::is_empty(scratch_));
}

TEST_F(HelperTest, AFullDiskIsTheSystemsFault) {
  ASSERT_EQ(mount("none", scratch_.c_str(), "tmpfs", 0, "size=48k,mode=777"), 0) << "this test needs root";
  write_input(test::with_manifest(kModule));
  const auto result = decode_answer(run_helper(job_).json);
  umount2(scratch_.c_str(), MNT_DETACH);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().origin, Origin::kSystem) << result.error().message();
  EXPECT_FALSE(fs::exists(job_.output));
}

}  // namespace
}  // namespace netserv::compile
