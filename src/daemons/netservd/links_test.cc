// netservd's side of a container's control channel, against a container played by the test; the launcher is a
// script that writes down what it is asked for.
#include "daemons/netservd/links.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

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
    char path[] = "/tmp/netserv-links.XXXXXX";
    folder_ = ::mkdtemp(path);
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
  ~LinksTest() override { std::filesystem::remove_all(folder_); }

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

  sys::EventLoop loop_;
  std::string folder_;
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
