// End hosts that have lately said, by ICMP, that nobody speaks GIST between this node and them. Kernels send few such
// errors (Linux about one a second to each sender), so that of many sessions towards one host only some are told. The
// others still send their Query, since a node may have come on the path meanwhile, but wait for its Response only a few
// times as long as the host's answer took, instead of through the back-off.
#pragma once

#include <algorithm>
#include <list>
#include <map>
#include <optional>

#include "base/time.h"
#include "gist/environment.h"

namespace netserv::gist {

class EndHosts {
 public:
  // An answer counts for `memory`; zero: none does. Of more than `capacity` the oldest is forgotten.
  EndHosts(Duration memory, std::size_t capacity) : memory_(memory), capacity_(capacity) {}

  // `took`: from the Query to its answer.
  void answered(const IpAddress& host, const Egress& egress, Duration took, TimePoint now) {
    forget(host);
    if (capacity_ == 0) return;
    if (hosts_.size() >= capacity_) hosts_.erase(oldest_.front()), oldest_.pop_front();
    oldest_.push_back(host);
    hosts_[host] = {egress, took, now + memory_, std::prev(oldest_.end())};
  }
  // How long to wait for somebody else than the host; empty if it is not known as one, by this way out.
  std::optional<Duration> patience(const IpAddress& host, const Egress& egress, TimePoint now) const {
    const auto it = hosts_.find(host);
    if (it == hosts_.end() || it->second.until <= now || !(it->second.egress == egress)) return std::nullopt;
    return std::max(kLeastPatience, kFactor * it->second.took);
  }
  // Somebody speaks GIST there after all, or the route changed.
  void forget(const IpAddress& host) {
    const auto it = hosts_.find(host);
    if (it != hosts_.end()) forget(it);
  }
  void forget(const Prefix& hosts) {
    for (auto it = hosts_.begin(); it != hosts_.end();) it = hosts.contains(it->first) ? forget(it) : std::next(it);
  }

 private:
  // A Response takes longer than an ICMP error: an application is asked.
  static constexpr int kFactor = 4;
  static constexpr Duration kLeastPatience = std::chrono::milliseconds(10);
  struct Host {
    Egress egress;
    Duration took{};
    TimePoint until{};
    std::list<IpAddress>::iterator age;
  };
  using Hosts = std::map<IpAddress, Host>;

  Hosts::iterator forget(Hosts::iterator it) {
    oldest_.erase(it->second.age);
    return hosts_.erase(it);
  }

  Duration memory_;
  std::size_t capacity_;
  Hosts hosts_;
  std::list<IpAddress> oldest_;  // first
};

}  // namespace netserv::gist
