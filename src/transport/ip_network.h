// The kernel's addresses and routes as the GIST core asks for them, over rtnetlink. Answers are cached and the cache
// falls with every change that the kernel reports. One thread. Needs no rights.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/result.h"
#include "gist/environment.h"
#include "sys/fd.h"

struct nlmsghdr;

namespace netserv::transport {

class IpNetwork final : public gist::Network {
 public:
  struct Options {
    bool ingress_check = false;  // refuse flow sources that the kernel would not route out of that interface
  };
  static Result<std::unique_ptr<IpNetwork>> open(Options options);

  // Readable when something changed: then call changes(), which says which destinations' routes did.
  int fd() const { return events_.get(); }
  std::vector<Prefix> changes();

  bool is_local(const IpAddress& address) const override;
  std::optional<gist::Egress> route(const IpAddress& destination, const IpAddress& source) const override;
  bool ingress_allowed(const Prefix& source, std::uint32_t interface) const override;
  std::optional<std::uint16_t> path_mtu(const IpAddress&) const override { return std::nullopt; }

 private:
  explicit IpNetwork(Options options) : options_(options) {}
  Status load();
  Status dump(std::uint16_t type);
  void note(const nlmsghdr& message, std::vector<Prefix>& changed);
  std::optional<gist::Egress> ask(const IpAddress& destination, const IpAddress& source) const;

  Options options_;
  sys::UniqueFd events_;
  sys::UniqueFd requests_;
  std::set<IpAddress> addresses_;
  std::map<std::uint32_t, std::uint16_t> mtu_;  // by interface
  using Ends = std::pair<IpAddress, IpAddress>;  // destination, source
  mutable std::map<Ends, std::optional<gist::Egress>> routes_;
  mutable std::deque<Ends> oldest_;  // first, of `routes_`
};

}  // namespace netserv::transport
