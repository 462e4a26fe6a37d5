// netservd's notifier against a helper that the test holds up: a script in its place writes down its URL and waits.
#include "daemons/netservd/notifier.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_folder.h"

namespace netserv::daemon {
namespace {

const PublisherId kAlice{"alice"}, kBob{"bob"};

class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() {
    const std::string program = folder_ + "/netserv-notify";
    std::ofstream script(program);
    script << "#!/bin/sh\nread job; echo \"$job\" >> " << folder_ << "/asked\n"
           << "while [ -e " << folder_ << "/hold ]; do sleep 0.01; done\n"
           << "echo '{\"posted\": 1, \"dropped\": 0}'\n";
    script.close();
    ::chmod(program.c_str(), 0755);
    std::ofstream(folder_ + "/hold").close();
    notifier_ = std::make_unique<Notifier>(loop_, config_, folder_);
  }

  // How many helpers have been started for URLs that hold `word`.
  int asked(const std::string& word) {
    std::ifstream in(folder_ + "/asked");
    int n = 0;
    for (std::string line; std::getline(in, line);) n += line.find(word) != std::string::npos;
    return n;
  }
  void release() { std::filesystem::remove(folder_ + "/hold"); }
  // Once a test; a condition that never comes true ends in the test's time limit.
  void run_until(std::function<bool()> condition) {
    auto each = loop_.every(std::chrono::milliseconds(1), [&] {
      if (condition()) loop_.stop();
    });
    loop_.run();
  }

  test::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  sys::EventLoop loop_;
  config::Config config_;
  std::unique_ptr<Notifier> notifier_;
};

TEST_F(NotifierTest, APublishersUrlsShareItsHelpersAndHoldUpNobodyElse) {
  for (int n = 0; n < 20; ++n) notifier_->post(kAlice, "http://a" + std::to_string(n) + ".example/", "{}");
  EXPECT_EQ(notifier_->dropped(), 4u) << "more URLs than a publisher has";
  notifier_->post(kBob, "http://b.example/", "{}");
  int at_once = -1;
  run_until([&] {
    if (at_once < 0 && asked("b.example") == 1 && asked("http://a") >= 2) {
      at_once = asked("http://a");
      release();
    }
    return notifier_->sent() == 17;
  });
  EXPECT_EQ(at_once, 2);
  EXPECT_EQ(asked("http://a"), 16);
  EXPECT_EQ(notifier_->dropped(), 4u);
}

TEST_F(NotifierTest, OneUrlOfTwoPublishersIsTwo) {
  notifier_->post(kAlice, "http://shared.example/", "{}");
  notifier_->post(kBob, "http://shared.example/", "{}");
  run_until([&] {
    if (asked("shared") == 2) release();
    return notifier_->sent() == 2;
  });
}

}  // namespace
}  // namespace netserv::daemon
