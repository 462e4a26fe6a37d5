// Posts a module's life-cycle events to the URL of its `notification` header, through the confined helper
// netserv-notify. Bounded queue for each URL, back-off, drops counted.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "config/config.h"
#include "daemons/netservd/helper_process.h"

namespace netserv::daemon {

class Notifier {
 public:
  Notifier(sys::EventLoop& loop, const config::Config& config, std::string programs)
      : loop_(loop), config_(config), programs_(std::move(programs)) {}
  // `line` is one line of JSON.
  void post(const std::string& url, const std::string& line);
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t sent() const { return sent_; }

 private:
  static constexpr std::size_t kMostLines = 64, kMostUrls = 256;
  static constexpr int kMostTries = 5;
  struct Target {
    std::deque<std::string> lines;
    std::size_t in_flight = 0;
    int tries = 0;
    std::unique_ptr<HelperProcess> process;
    sys::EventHandle wait;
  };
  void send(const std::string& url);
  void done(const std::string& url, bool ok);

  sys::EventLoop& loop_;
  const config::Config& config_;
  std::string programs_;
  std::map<std::string, std::shared_ptr<Target>> targets_;
  std::uint64_t dropped_ = 0, sent_ = 0;
};

}  // namespace netserv::daemon
