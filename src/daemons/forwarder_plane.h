// The forwarder's choice of a plane, carried out: probes the router, opens what was chosen, and with `auto` falls
// back to netfilter where xdp does not work.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "plane/choice/choice.h"
#include "plane/live_plane.h"
#include "plane/netfilter/rules.h"
#include "plane/xdp/kept_links.h"

namespace netserv::daemons {

struct PlaneOptions {
  plane::PlaneWish wish;
  plane::RuleOptions rules;  // their queues are the workers'
  std::uint32_t workers = 1;
  bool busy_poll = false;
  Duration heartbeat_limit = std::chrono::milliseconds(100);  // xdp
  plane::KeepWhere keep;                                      // xdp
};

struct OpenedPlane {
  std::unique_ptr<plane::LivePlane> plane;
  std::string reason;
};

// Gives up the rights that the plane opened does not need.
Result<OpenedPlane> open_plane(const PlaneOptions& options);

}  // namespace netserv::daemons
