// netservd's side of a container's control channel, against a container played by the test; the launcher is a
// script that writes down what it is asked for.
#include "daemons/netservd/links.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "daemons/netservd/container_words.h"
#include "support/temporary_folder.h"
#include "wire/ipc/archive.h"

namespace netserv::daemon {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

class LinksTest : public ::testing::Test {
 protected:
  LinksTest() {
    std::ofstream script(folder_ + "/launch");
    script << "#!/bin/sh\n{ echo \"$@\"; cat; echo; } >> " << folder_ << "/asked\n"
           << "while [ -e " << folder_ << "/hold ]; do sleep 0.01; done; echo ended >> " << folder_ << "/asked\n";
    script.close();
    ::chmod((folder_ + "/launch").c_str(), 0755);
    host_ = std::make_unique<lxc::ContainerHost>(loop_, folder_ + "/launch", folder_ + "/state");
    links_ = std::make_unique<ContainerLinks>(
        loop_, *host_, [this](const node::ContainerRecord&) -> Result<lxc::LaunchSpec> { return spec_; },
        [this](ContainerId) { return folder_; }, [](ContainerId) { return std::string("c-1"); },
        [this](node::Event event) {
          if (auto* gone = std::get_if<node::ContainerGone>(&event)) {
            gone_ = gone->reason;
            gone_lives_.push_back(gone->life);
          }
          if (std::holds_alternative<node::ContainerUp>(event)) loop_.post([this] { said_when_others_had_their_turn_ = said_; });
          said_ += std::holds_alternative<node::ContainerSaid>(event);
        });
    listener_ = *sys::listen_seqpacket(lxc::control_socket(folder_), 0600);
    record_.id = ContainerId(1);
    links_->start(record_, 1);
    container_ = sys::Channel(*sys::accept_connection(listener_.get()));
  }

  void welcome() { ASSERT_TRUE(container_.send(ipc::encode<ipc::FromContainer>(ipc::Welcome{}))); }
  // Once a test: an event loop that has stopped does not run again. A condition that never comes true ends in the
  // test's time limit.
  void run_until(std::function<bool()> condition) {
    auto each = loop_.every(std::chrono::milliseconds(1), [&] {
      if (condition()) loop_.stop();
    });
    loop_.run();
  }
  std::string asked() { return text_of(folder_ + "/asked"); }

  test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  sys::EventLoop loop_;
  lxc::LaunchSpec spec_;
  std::unique_ptr<lxc::ContainerHost> host_;
  std::unique_ptr<ContainerLinks> links_;
  sys::UniqueFd listener_;
  sys::Channel container_;
  node::ContainerRecord record_;
  std::string gone_;
  std::vector<std::uint64_t> gone_lives_;
  int said_ = 0;
  std::optional<int> said_when_others_had_their_turn_;
};

TEST_F(LinksTest, AContainerThatTalksNonsenseIsEndedNotAdoptedAgain) {
  Bytes nonsense(3, std::byte{0xff});
  ASSERT_TRUE(container_.send(nonsense));
  run_until([this] { return !gone_.empty(); });
  EXPECT_NE(asked().find("--stop c-1"), std::string::npos) << asked();
}

TEST_F(LinksTest, AContainerThatSaysWelcomeAgainIsEnded) {
  welcome();
  welcome();
  run_until([this] { return !gone_.empty(); });
  EXPECT_EQ(gone_, "it says welcome again");
}

TEST_F(LinksTest, AContainerThatSpeaksTheProtocolVersionBeforeIsAdopted) {
  static_assert(ipc::kOldestContainerProtocol == ipc::kContainerProtocol - 1);
  ASSERT_TRUE(container_.send(ipc::encode<ipc::FromContainer>(ipc::Welcome{ipc::kOldestContainerProtocol, "wasm", 0, {}})));
  run_until([this] { return said_when_others_had_their_turn_ || !gone_.empty(); });
  EXPECT_EQ(gone_, "");
}

TEST_F(LinksTest, AContainerThatSpeaksAnOlderProtocolIsEnded) {
  ASSERT_TRUE(container_.send(ipc::encode<ipc::FromContainer>(ipc::Welcome{ipc::kOldestContainerProtocol - 1, "wasm", 0, {}})));
  run_until([this] { return !gone_.empty(); });
  EXPECT_EQ(gone_, "it speaks version 1 of the control protocol, not 2 to 3");
  EXPECT_NE(asked().find("--stop c-1"), std::string::npos) << asked();
}

TEST_F(LinksTest, AContainerThatSpeaksALaterProtocolIsEnded) {
  ASSERT_TRUE(container_.send(ipc::encode<ipc::FromContainer>(ipc::Welcome{ipc::kContainerProtocol + 1, "wasm", 0, {}})));
  run_until([this] { return !gone_.empty(); });
  EXPECT_EQ(gone_, "it speaks version 4 of the control protocol, not 2 to 3");
}

TEST_F(LinksTest, AContainerWithAModuleThatCannotBeIsEnded) {
  ipc::ModuleStatus status;
  status.module = ModuleId("\xff\n_1");
  ASSERT_TRUE(container_.send(ipc::encode<ipc::FromContainer>(ipc::Welcome{1, "wasm", 0, {status}})));
  run_until([this] { return !gone_.empty(); });
  EXPECT_NE(gone_.find("names a module that can't be"), std::string::npos) << gone_;
}

TEST(ContainerWords, WhatCannotBeIsRefused) {
  auto refused = [](std::vector<ipc::ModuleStatus> modules) {
    ipc::FromContainer welcome = ipc::Welcome{1, "wasm", 0, modules};
    ipc::FromContainer status = ipc::ContainerStatus{0, 0, {}, modules};
    EXPECT_EQ(!hold_to_shape(welcome), !hold_to_shape(status));
    return !hold_to_shape(welcome);
  };
  ipc::ModuleStatus good{ModuleId("apps.Mon_1.0"), ModuleSlot(63), "ab.so"}, other = good;
  good.counters["hits"] = 1;
  EXPECT_FALSE(refused({good}));
  EXPECT_TRUE(refused({good, good})) << "twice";
  other.module = ModuleId("apps.Mon_2.0");
  EXPECT_TRUE(refused({good, other})) << "two in a slot";
  for (const char* id : {"", "Mon", "../x_1", "\xff_1", "a\nb_1"}) {
    other.module = ModuleId(id);
    other.slot = ModuleSlot(1);
    EXPECT_TRUE(refused({other})) << id;
  }
  other = good;
  other.slot = ModuleSlot(64);
  EXPECT_TRUE(refused({other}));
  other = good;
  other.counters["line\nbreak"] = 1;
  EXPECT_TRUE(refused({other}));
  std::vector<ipc::ModuleStatus> many;
  for (unsigned n = 0; n < 65; ++n) {
    many.push_back({ModuleId("m_" + std::to_string(n)), ModuleSlot(static_cast<std::uint8_t>(n)), "ab.so"});
  }
  EXPECT_TRUE(refused(many));
}

TEST(ContainerWords, TextsAreCutAndLoseTheirControlCharacters) {
  ipc::FromContainer log = ipc::ModuleLog{ModuleId("m_1"), 1, "a\nerror: b\x1b[2J" + std::string(100'000, 'x')};
  ASSERT_TRUE(hold_to_shape(log));
  const std::string& text = std::get<ipc::ModuleLog>(log).text;
  EXPECT_EQ(text.size(), kMostWords);
  EXPECT_EQ(text.substr(0, 16), "a error: b [2Jxx");
}

TEST_F(LinksTest, AStopWaitsForTheStartThatIsUnderWayAndIsDoneOnce) {
  spec_.run_folder = spec_.module_folder = folder_;
  links_->stop(record_, 1);
  links_->stop(record_, 1);
  listener_.reset();
  std::filesystem::remove(lxc::control_socket(folder_));
  bool started = false, stopped = false;
  run_until([&] {
    if (!started && !gone_lives_.empty()) {
      started = true;
      std::filesystem::remove(folder_ + "/asked");
      std::ofstream(folder_ + "/hold").close();
      links_->start(record_, 2);
    }
    if (started && !stopped && !asked().empty()) {  // the launcher is at it
      stopped = true;
      links_->stop(record_, 2);
      std::filesystem::remove(folder_ + "/hold");
    }
    return gone_lives_.size() >= 2;
  });
  EXPECT_EQ(gone_lives_, (std::vector<std::uint64_t>{1, 2}));
  const std::string text = asked();
  ASSERT_NE(text.find("--stop c-1"), std::string::npos) << text;
  EXPECT_LT(text.find("ended"), text.find("--stop c-1")) << text;
}

TEST_F(LinksTest, AnAdoptedContainerGetsTheNetworkGrantsOfNow) {
  spec_.network.listen = {{17, 5060}};
  welcome();
  run_until([this] { return asked().find("5060") != std::string::npos; });
  EXPECT_NE(asked().find("--network c-1"), std::string::npos) << asked();
}

TEST_F(LinksTest, AReloadBringsNewGrantsToARunningContainer) {
  welcome();
  bool reloaded = false;
  run_until([&] {
    if (!reloaded && asked().find("--network c-1") != std::string::npos) {
      reloaded = true;
      spec_.network.egress = {{*Prefix::parse("192.0.2.0/24"), std::nullopt, std::nullopt}};
      links_->renew_grants();
    }
    return asked().find("192.0.2.0/24") != std::string::npos;
  });
}

TEST_F(LinksTest, OneThatNeverStopsTalkingLeavesTheLoopToOthers) {
  welcome();
  int sent = 0;
  while (container_.send(ipc::encode<ipc::FromContainer>(ipc::ModuleLog{ModuleId("m_1"), 1, "x"}))) ++sent;
  ASSERT_GT(sent, 100);
  run_until([this] { return said_when_others_had_their_turn_.has_value(); });
  EXPECT_LT(*said_when_others_had_their_turn_, sent / 2);
}

TEST_F(LinksTest, OneThatTalksTooMuchIsNotListenedToForAWhile) {
  welcome();
  const Bytes line = ipc::encode<ipc::FromContainer>(ipc::ModuleLog{ModuleId("m_1"), 1, "x"});
  int heard_before = 0;
  run_until([&] {
    while (container_.send(line)) {
    }
    // Nobody has read since the last look, though there is as much to read as fits.
    return std::exchange(heard_before, said_) == said_ && said_ > 400;
  });
}

}  // namespace
}  // namespace netserv::daemon
