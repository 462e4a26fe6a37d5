// Posts a module's life-cycle events to the URL of its `notification` header, through the confined helper
// netserv-notify. Bounded queue for each URL, back-off, drops counted. A publisher has so many URLs, and so many helpers
// at a time; its other URLs wait their turn, and those of other publishers don't.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/ids.h"
#include "config/config.h"
#include "daemons/netservd/helper_process.h"

namespace netserv::daemon {

class Notifier {
 public:
  Notifier(sys::EventLoop& loop, const config::Config& config, std::string programs)
      : loop_(loop), config_(config), programs_(std::move(programs)) {}
  // `line` is one line of JSON.
  void post(const PublisherId& publisher, const std::string& url, const std::string& line);
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t sent() const { return sent_; }

 private:
  static constexpr std::size_t kMostLines = 64, kMostUrls = 256;
  static constexpr std::size_t kMostUrlsOfOne = 16, kMostHelpersOfOne = 2;  // of a publisher
  static constexpr int kMostTries = 5;
  using Key = std::pair<PublisherId, std::string>;
  struct Target {
    std::deque<std::string> lines;
    std::size_t in_flight = 0;
    int tries = 0;
    std::unique_ptr<HelperProcess> process;
    sys::EventHandle wait;
    bool queued = false;  // for its publisher's next helper
  };
  void send(const Key& key);
  void run(const Key& key, Target& target);
  void done(const Key& key, bool ok);
  void next(const PublisherId& publisher);

  sys::EventLoop& loop_;
  const config::Config& config_;
  std::string programs_;
  std::map<Key, std::shared_ptr<Target>> targets_;
  std::map<PublisherId, std::deque<std::string>> queued_;  // URLs
  std::uint64_t dropped_ = 0, sent_ = 0;
};

}  // namespace netserv::daemon
