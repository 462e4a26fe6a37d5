#include "compile/module_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sys/mount.h>
#include <unistd.h>

#include "support/wat_module.h"

namespace netserv::compile {
namespace {

namespace fs = std::filesystem;

Manifest manifest() {
  Manifest m;
  m.name = "NetMonitor";
  m.version = "1.0.0";
  m.abi = 1;
  m.packet = true;
  m.blocks = {"packet/1"};
  return m;
}

class ModuleCacheTest : public testing::Test {
 protected:
  ModuleCacheTest() {
    std::ofstream(object_) << std::string(100'000, 'o');
    auto opened = ModuleCache::open(folder_.path() + "/cache");
    NETSERV_CHECK(opened.has_value());
    cache_.emplace(*opened);
  }
  std::vector<std::string> files(const std::string& below) {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder_.path() + "/cache/" + below))
      out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }

  test::TemporaryFolder folder_;
  const std::string object_ = folder_.path() + "/built.so";
  const Digest digest_ = digest_of(as_bytes("a module"));
  std::optional<ModuleCache> cache_;
};

TEST(Digest, IsSha256) {
  EXPECT_EQ(to_hex(digest_of(as_bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(ModuleCacheTest, WhatIsAddedIsFoundByContent) {
  EXPECT_FALSE(cache_->find(digest_));
  const auto added = cache_->add(digest_, object_, manifest());
  ASSERT_TRUE(added) << added.error().message();
  const auto found = cache_->find(digest_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->manifest, manifest());
  EXPECT_EQ(fs::file_size(found->object_path), 100'000u);
  EXPECT_FALSE(cache_->find(digest_of(as_bytes("another"))));
}

TEST_F(ModuleCacheTest, APublisherSeesOnlyItsOwn) {
  const auto entry = cache_->add(digest_, object_, manifest());
  ASSERT_TRUE(entry);
  ASSERT_TRUE(cache_->grant(PublisherId("alice"), *entry));
  ASSERT_TRUE(cache_->grant(PublisherId("alice"), *entry));
  ASSERT_TRUE(cache_->publisher_folder(PublisherId("bob")));
  EXPECT_THAT(files("publishers/alice"), testing::ElementsAre(entry->key + ".so"));
  EXPECT_THAT(files("publishers/bob"), testing::IsEmpty());
  ASSERT_TRUE(cache_->remove(entry->key));
  EXPECT_FALSE(cache_->find(digest_));
  EXPECT_EQ(fs::file_size(folder_.path() + "/cache/publishers/alice/" + entry->key + ".so"), 100'000u);
  ASSERT_TRUE(cache_->revoke(PublisherId("alice"), entry->key));
  EXPECT_THAT(files("publishers/alice"), testing::IsEmpty());
}

TEST_F(ModuleCacheTest, APublishersNameIsNoPath) {
  for (const char* name : {"", ".", "..", "a/b", "../x", ".hidden", "a\nb"})
    EXPECT_FALSE(cache_->publisher_folder(PublisherId(name))) << name;
}

TEST_F(ModuleCacheTest, LeftOversOfACrashGo) {
  std::ofstream(folder_.path() + "/cache/objects/.new-abc.so") << "half";
  ASSERT_TRUE(ModuleCache::open(folder_.path() + "/cache"));
  EXPECT_THAT(files("objects"), testing::IsEmpty());
}

TEST_F(ModuleCacheTest, TrimRemovesTheOldestThatNobodyHas) {
  std::vector<Digest> digests;
  for (const char* name : {"kept", "old", "new"}) {
    digests.push_back(digest_of(as_bytes(name)));
    const auto entry = cache_->add(digests.back(), object_, manifest());
    ASSERT_TRUE(entry);
    if (digests.size() == 1) {
      ASSERT_TRUE(cache_->grant(PublisherId("alice"), *entry));
    }
    fs::last_write_time(entry->object_path, fs::file_time_type() + std::chrono::hours(digests.size()));
  }
  cache_->trim(300'000);
  EXPECT_TRUE(cache_->find(digests[1]));
  cache_->trim(200'000);
  EXPECT_FALSE(cache_->find(digests[1]));
  EXPECT_TRUE(cache_->find(digests[2]));
  cache_->trim(0);
  EXPECT_TRUE(cache_->find(digests[0])) << "alice has it";
  EXPECT_FALSE(cache_->find(digests[2]));
}

TEST_F(ModuleCacheTest, AnObjectWithoutItsManifestIsNotThere) {
  const auto entry = cache_->add(digest_, object_, manifest());
  ASSERT_TRUE(entry);
  fs::remove(folder_.path() + "/cache/objects/" + entry->key + ".json");
  EXPECT_FALSE(cache_->find(digest_));
}

TEST_F(ModuleCacheTest, AFullDiskIsAClearErrorAndLeavesNothing) {
  const std::string disk = folder_.path() + "/disk";
  fs::create_directory(disk);
  ASSERT_EQ(mount("none", disk.c_str(), "tmpfs", 0, "size=64k"), 0) << "this test needs root";
  struct Unmount {
    std::string at;
    ~Unmount() { umount2(at.c_str(), MNT_DETACH); }
  } unmount{disk};
  auto small = ModuleCache::open(disk);
  ASSERT_TRUE(small) << small.error().message();
  const auto added = small->add(digest_, object_, manifest());
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().origin, Origin::kSystem);
  EXPECT_THAT(added.error().subject, testing::HasSubstr(disk));
  EXPECT_THAT(added.error().text, testing::HasSubstr("No space left"));
  EXPECT_TRUE(fs::is_empty(disk + "/objects"));
  EXPECT_FALSE(small->find(digest_));
}

TEST_F(ModuleCacheTest, WhatACrashLeftGrantedIsRevoked) {
  auto entry = cache_->add(digest_of(as_bytes("m")), object_, manifest());
  ASSERT_TRUE(entry) << entry.error().message();
  for (const char* publisher : {"alice", "bob"}) ASSERT_TRUE(cache_->grant(PublisherId(publisher), *entry));
  cache_->revoke_unless([&](const PublisherId& publisher, std::string_view object) {
    return publisher == PublisherId("alice") && object == entry->key + ".so";
  });
  EXPECT_EQ(files("publishers/alice"), std::vector<std::string>{entry->key + ".so"});
  EXPECT_TRUE(files("publishers/bob").empty());
  EXPECT_TRUE(cache_->find(digest_of(as_bytes("m"))));
}

}  // namespace
}  // namespace netserv::compile
