#include "store/sqlite_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <csignal>
#include <sys/resource.h>

namespace netserv::store {
namespace {

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/netserv-store-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    folder = name;
    path = folder + "/state.db";
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  static node::ModuleRecord record(std::uint64_t sequence = 7) {
    node::ModuleRecord m;
    m.key = {PublisherId("alice"), ModuleId("Mon_1." + std::to_string(sequence))};
    m.sequence = sequence;
    m.spec.url = "http://x/";
    m.spec.properties = {{"a", "b,c"}};
    m.spec.options.mode = node::ModuleOptions::Mode::kObserve;
    Filter f;
    f.protocol = 17;
    f.destination = *Prefix::parse("2001:db8::/32");
    m.spec.filters = {f};
    m.accepted = WallTime(std::chrono::seconds(1700000000));
    m.expires = WallTime(std::chrono::seconds(1700000300));
    m.container = ContainerId(3);
    m.slot = ModuleSlot(5);
    m.confirmed = true;
    m.failure = node::StoredFailure{523, "x", "start returned 7"};
    return m;
  }
  std::string folder, path;
};

TEST_F(SqliteStoreTest, WhatIsCommittedIsThereAfterReopening) {
  {
    auto store = SqliteStore::open(path);
    ASSERT_TRUE(store) << store.error().message();
    node::Switches switches{true, {PublisherId("bob")}};
    std::vector<node::StoreChange> changes = {
        node::PutModule{record()}, node::PutContainer{{ContainerId(3), PublisherId("alice"), "wasm"}},
        node::PutNonce{{PublisherId("alice"), "n1"}, {"f", WallTime(std::chrono::seconds(9)), 7}}, node::PutSwitches{switches}};
    ASSERT_TRUE((*store)->commit(changes));
  }
  auto snapshot = (*SqliteStore::open(path))->load();
  ASSERT_TRUE(snapshot);
  ASSERT_EQ(snapshot->modules.size(), 1u);
  EXPECT_EQ(snapshot->modules[0], record());
  EXPECT_EQ(snapshot->containers.size(), 1u);
  EXPECT_EQ(snapshot->nonces.size(), 1u);
  EXPECT_TRUE(snapshot->switches.draining);
  EXPECT_EQ(snapshot->switches.disabled.count(PublisherId("bob")), 1u);
  EXPECT_EQ(snapshot->next_sequence, 8u);
  EXPECT_EQ(snapshot->next_container, 4u);
}

TEST_F(SqliteStoreTest, ContainerNumbersAreNeverUsedAgain) {
  auto store = *SqliteStore::open(path);
  std::vector<node::StoreChange> changes = {node::PutContainer{{ContainerId(9), PublisherId("a"), "wasm"}},
                                            node::DeleteContainer{ContainerId(9)}};
  ASSERT_TRUE(store->commit(changes));
  EXPECT_EQ(store->load()->next_container, 10u);
}

TEST_F(SqliteStoreTest, ALaterSchemaIsRefused) {
  { ASSERT_TRUE(SqliteStore::open(path)); }
  ASSERT_EQ(std::system(("python3 -c 'import sqlite3; sqlite3.connect(\"" + path + "\").execute(\"PRAGMA user_version=99\")'").c_str()), 0);
  auto again = SqliteStore::open(path);
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message().find("later version"), std::string::npos);
}

// The file may not grow any more, as on a full disk, in a child whose limit nothing else shares.
TEST_F(SqliteStoreTest, AFullDiskIsAnErrorAndLeavesWhatWasThere) {
  auto store = *SqliteStore::open(path);
  std::vector<node::StoreChange> first = {node::PutModule{record(1)}};
  ASSERT_TRUE(store->commit(first));
  store.reset();
  pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    auto inner = SqliteStore::open(path);
    rlimit limit{8192, 8192};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    std::vector<node::StoreChange> many;
    for (std::uint64_t n = 2; n < 500; ++n) many.push_back(node::PutModule{record(n)});
    ::_exit(inner && !(*inner)->commit(many) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  auto snapshot = (*SqliteStore::open(path))->load();
  ASSERT_TRUE(snapshot);
  EXPECT_EQ(snapshot->modules.size(), 1u);
  EXPECT_EQ(snapshot->next_sequence, 2u);
}

}  // namespace
}  // namespace netserv::store
