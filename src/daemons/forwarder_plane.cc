#include "daemons/forwarder_plane.h"

#include <fmt/format.h>

#include "base/log.h"
#include "plane/choice/probe.h"
#include "plane/netfilter/netfilter_plane.h"
#include "plane/xdp/interface.h"
#include "plane/xdp/xdp_plane.h"
#include "ring/layout.h"
#include "sys/capabilities.h"

namespace netserv::daemons {
namespace {

static_assert(ring::kMostParts <= NSX_MAX_WORKERS);

Result<std::unique_ptr<plane::LivePlane>> open_xdp(const PlaneOptions& options, const plane::PlaneChoice& choice) {
  plane::XdpPlaneOptions xdp;
  xdp.interfaces = choice.interfaces;
  xdp.workers = options.workers;
  xdp.busy_poll = options.busy_poll;
  xdp.mark = options.rules.mark;
  xdp.heartbeat_limit = options.heartbeat_limit;
  xdp.keep = options.keep;
  NETSERV_ASSIGN(std::unique_ptr<plane::LivePlane> made, plane::XdpPlane::open(xdp));
  return made;
}

// A worker without a queue on some interface would have to hand what leaves there to the kernel, packet by packet.
Status check_queues(const plane::PlaneChoice& choice, std::uint32_t workers) {
  for (const std::string& interface : choice.interfaces)
    if (std::uint32_t queues = plane::receive_queues(interface); queues < workers)
      return fail(Origin::kOperator, "workers",
                  fmt::format("{} of them need as many receive queues, and {} has {} (ethtool -L)", workers, interface, queues));
  return {};
}

}  // namespace

Result<OpenedPlane> open_plane(const PlaneOptions& options) {
  const std::vector<cap_value_t> rights{CAP_NET_ADMIN, CAP_NET_RAW};
  // The XDP program; and packet memory shared with the kernel, which is locked.
  const std::vector<cap_value_t> more{CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON, CAP_IPC_LOCK};
  NETSERV_TRY(sys::keep_capabilities(options.wish.plane == plane::PlaneKind::kNetfilter ? rights : more));
  plane::KeptLinks(options.keep).release();
  // Its rules, should a killed forwarder have left some, would queue packets past the xdp plane.
  if (auto cleaned = plane::Xtables(options.rules).clean(); !cleaned)
    log_warning({.name = "forwarder"}, "old rules: {}", cleaned.error().message());

  plane::HostFacts facts;
  if (options.wish.plane != plane::PlaneKind::kNetfilter) facts = plane::probe_host();
  NETSERV_ASSIGN(plane::PlaneChoice choice, plane::choose_plane(options.wish, facts));
  if (choice.plane == plane::PlaneKind::kXdp) {
    NETSERV_TRY(check_queues(choice, options.workers));
    auto made = open_xdp(options, choice);
    if (made) return OpenedPlane{std::move(*made), choice.reason};
    facts.xdp_problem = made.error().message();
    NETSERV_ASSIGN(choice, plane::choose_plane(options.wish, facts));
  }
  NETSERV_TRY(sys::keep_capabilities(rights));
  auto made = plane::NetfilterPlane::create(options.rules);
  if (!made) return fail(made.error().origin, made.error().subject, made.error().text + " (" + choice.reason + ")");
  return OpenedPlane{std::move(*made), choice.reason};
}

}  // namespace netserv::daemons
