#include "plane/xdp/xdp_plane.h"

#include <fmt/format.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/log.h"

namespace netserv::plane {
namespace {
constexpr LogSubject kSubject{.name = "xdp plane"};
constexpr Duration kAttachAgain = std::chrono::seconds(1);
constexpr int kReopensInARow = 10;
}  // namespace

// What the parts are asked to open, and what became of it: written by each part's thread in its own place.
struct XdpPlane::Opening {
  std::vector<XdpInterface> interfaces;
  bool zero_copy = false;
  std::vector<Result<std::vector<XdpPart::Socket>>> sockets;
};

Result<std::unique_ptr<XdpPlane>> XdpPlane::open(const XdpPlaneOptions& options) {
  if (options.interfaces.empty())
    return fail(Origin::kOperator, "plane xdp", "names no interfaces");
  std::unique_ptr<XdpPlane> plane(new XdpPlane(options.keep));
  plane->copies_.reserve(256);
  plane->copies_bytes_.reserve(256 * 1024);
  NETSERV_ASSIGN(plane->program_, XdpProgram::load());
  NETSERV_ASSIGN(auto links, LinkWatch::open());  // before anything is looked at
  plane->links_ = std::make_unique<LinkWatch>(std::move(links));
  NETSERV_ASSIGN(auto neighbours, Neighbours::open());
  plane->neighbours_ = std::make_unique<Neighbours>(std::move(neighbours));
  plane->redirects_ = RedirectWatch::open();
  plane->program_->set_heartbeat_limit(options.heartbeat_limit);
  plane->program_->set_workers(options.workers);
  for (std::uint32_t i = 0; i < options.workers; ++i) {
    XdpPartOptions part;
    part.number = i;
    part.workers = options.workers;
    part.mark = options.mark;
    part.busy_poll = options.busy_poll;
    NETSERV_ASSIGN(auto made, XdpPart::create(*plane->program_, part));
    plane->parts_.push_back(std::move(made));
  }
  bool all_native = true;
  for (const std::string& interface : options.interfaces) {
    Interface& added = plane->interfaces_.emplace_back();
    added.name = interface;
    NETSERV_TRY(plane->attach(added));
    all_native &= added.mode == XdpMode::kNative;
  }
  NETSERV_TRY(plane->look_at_egress());
  // Sockets that share packet memory are all of one kind, and memory that a failed attempt has touched is no good.
  Status opened;
  for (bool zero_copy : {true, false}) {
    if (zero_copy && !all_native) continue;
    plane->zero_copy_ = zero_copy;
    plane->program_->use_lanes(!zero_copy);
    auto opening = plane->prepare_opening();
    for (std::size_t i = 0; i < plane->parts_.size(); ++i)
      opening->sockets[i] = plane->parts_[i]->open(opening->interfaces, zero_copy);
    opened = plane->take_up(*opening);
    if (opened) return plane;
  }
  return fail(opened.error());
}

XdpPlane::~XdpPlane() = default;

Status XdpPlane::attach(Interface& interface) {
  unsigned ifindex = ::if_nametoindex(interface.name.c_str());
  if (ifindex == 0) return fail_errno(interface.name, "no such interface", errno);
  NETSERV_ASSIGN(interface.mode, program_->attach(ifindex, interface.name));
  interface.ifindex = ifindex;
  interface.queues = receive_queues(interface.name);
  interface.mtu = mtu_of(interface.name);
  interface.vlan_stripping = stop_vlan_stripping(interface.name);
  return {};
}

std::shared_ptr<XdpPlane::Opening> XdpPlane::prepare_opening() const {
  auto opening = std::make_shared<Opening>();
  opening->zero_copy = zero_copy_;
  for (const Interface& interface : interfaces_)
    if (interface.ifindex != 0) opening->interfaces.push_back(interface);
  opening->sockets.resize(parts_.size());
  return opening;
}

Status XdpPlane::take_up(const Opening& opening) {
  for (const auto& sockets : opening.sockets)
    if (!sockets) return fail(sockets.error());
  for (const XdpInterface& interface : opening.interfaces) {
    bool there = std::ranges::any_of(interfaces_, [&](const Interface& now) {
      return now.ifindex == interface.ifindex && now.queues == interface.queues;
    });
    if (!there) return fail(Origin::kSystem, interface.name, "has changed again meanwhile");
    std::vector<int> fds(interface.queues, -1);
    for (const auto& sockets : opening.sockets)
      for (const XdpPart::Socket& socket : *sockets)
        if (socket.ifindex == interface.ifindex) fds[socket.queue] = socket.fd;
    NETSERV_TRY(program_->set_port(interface.ifindex, fds));
  }
  for (Interface& interface : interfaces_)
    interface.open = std::ranges::any_of(opening.interfaces, [&](const XdpInterface& o) { return o.ifindex == interface.ifindex; });
  reopen_failures_ = 0;
  not_open_.clear();
  describe();
  return {};
}

// One that has come since is described when it is opened.
void XdpPlane::describe() {
  description_.clear();
  for (const Interface& interface : interfaces_) {
    if (!interface.open && interface.refused.empty()) continue;
    if (!description_.empty()) description_ += "; ";
    if (!interface.open) {
      description_ += fmt::format("{} not used: {}", interface.name, interface.refused);
      continue;
    }
    description_ += fmt::format("{} {} {}, {} {}", interface.name, to_string(interface.mode),
                                zero_copy_ ? "zero-copy" : "copy", interface.queues,
                                interface.queues == 1 ? "queue" : "queues");
    if (interface.vlan_stripping == VlanStripping::kOn) description_ += ", takes VLAN tags off unseen";
  }
  if (!not_open_.empty()) description_ += (description_.empty() ? "" : "; ") + ("no interface in use: " + not_open_);
  if (parts_.size() == 1) return;
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    description_ += fmt::format("; worker {}:", i);
    for (const Interface& interface : interfaces_)
      for (std::size_t queue = i; interface.open && queue < interface.queues; queue += parts_.size())
        description_ += fmt::format(" {}/{}", interface.name, queue);
  }
}

Status XdpPlane::want(const std::vector<forward::Wanted>& wanted) {
  NETSERV_TRY(program_->set_filters(wanted));
  fail_closed_ = std::ranges::any_of(wanted, &forward::Wanted::fail_closed);
  keep_links();
  return {};
}

void XdpPlane::keep_links() {
  Status kept = kept_.keep(fail_closed_ ? program_->links() : std::vector<int>());
  const std::string before = std::exchange(not_kept_, kept ? "" : "fail-closed ends with the forwarder: " + kept.error().message());
  if (!kept && not_kept_ != before) log_warning(kSubject, "{}", not_kept_);
}

Status XdpPlane::look_at_egress() {
  Status chosen = program_->choose_egress();
  on_parts([this](std::size_t i) { parts_[i]->look_at_egress(); }, [] {});
  return chosen;
}

void XdpPlane::keep_neighbours(TimePoint now) {
  std::set<unsigned> ifindexes;
  for (const Interface& interface : interfaces_)
    if (interface.open) ifindexes.insert(interface.ifindex);
  neighbours_->keep(program_->next_hops(), ifindexes, now);
}

// The same name again is the same interface. One that the program can't be attached to (another holds its place) is tried
// again by time, since nothing tells when it can.
void XdpPlane::look_around(TimePoint now) {
  keep_neighbours(now);
  LinkWatch::News news = links_->read();
  bool egress = (redirects_ && redirects_->anything()) || news.any;
  const bool again = attach_again_ && now >= *attach_again_;
  if (!egress && !reopen_ && !again) return;
  if (again) attach_again_.reset();
  egress |= again;  // no news came of what can be attached to now
  for (Interface& interface : interfaces_) {
    unsigned ifindex = ::if_nametoindex(interface.name.c_str());
    bool same = ifindex != 0 && ifindex == interface.ifindex && !news.gone.contains(ifindex);
    // A driver may run the program on those queues only that there were when it was attached (veth does).
    bool other_queues = same && interface.queues != receive_queues(interface.name);
    if (!same || other_queues) {
      if (interface.ifindex != 0) {
        if (!same) log_warning(kSubject, "{} is gone", interface.name);
        program_->detach(interface.ifindex);
        reopen_ = true;
      }
      interface.ifindex = 0;
      interface.open = false;
      const std::string refused = std::exchange(interface.refused, {});
      if (ifindex == 0) continue;
      if (Status attached = attach(interface); attached) {
        reopen_ = true;
        keep_links();  // at once: this process may be killed
      } else {
        interface.refused = attached.error().text;
        attach_again_ = now + kAttachAgain;
        if (interface.refused != refused) log_warning(kSubject, "{}; tried again every second", attached.error().message());
        describe();
      }
      continue;
    }
    if (std::uint32_t mtu = mtu_of(interface.name); mtu != interface.mtu) {
      interface.mtu = mtu;
      on_parts([this, ifindex, mtu](std::size_t i) { parts_[i]->set_mtu(ifindex, mtu); }, [] {});
    }
    if (Status read = program_->read_address(ifindex, interface.name); !read)
      log_warning(kSubject, "{}", read.error().message());
  }
  if (egress)  // after the interfaces: one may be new
    if (Status looked = look_at_egress(); !looked) log_warning(kSubject, "{}", looked.error().message());
  if (reopen_) keep_links();
  if (reopen_ && !reopening_ && now >= reopen_not_before_) reopen(now);
}

// The kernel forwards meanwhile. No socket is opened before all parts have closed theirs, since a queue has one owner. A
// socket's place is free again only some time after it was closed: if opening fails it is tried again the next time, and
// every second if that does not help.
void XdpPlane::reopen(TimePoint now) {
  for (const Interface& interface : interfaces_) program_->clear_port(interface.ifindex);
  reopening_ = true;
  on_parts([this, now](std::size_t i) { parts_[i]->close(now); }, [this, now] {
    reopen_ = false;  // what has changed up to here is taken up
    auto opening = prepare_opening();
    on_parts(
        [this, opening](std::size_t i) {
          opening->sockets[i] = parts_[i]->open(opening->interfaces, opening->zero_copy);
        },
        [this, opening, now] {
          reopening_ = false;
          Status opened = take_up(*opening);
          if (!opened) return not_opened(opened.error().message(), now);
          log_info(kSubject, "interfaces have changed: {}", description_);
        });
  });
}

void XdpPlane::not_opened(const std::string& why, TimePoint now) {
  reopen_ = true;
  if (++reopen_failures_ < kReopensInARow) return;
  reopen_not_before_ = now + kAttachAgain;
  for (Interface& interface : interfaces_) interface.open = false;
  if (not_open_ != why) log_warning(kSubject, "no interface is in use: {}; tried again every second", why);
  not_open_ = why;
  describe();
}

// Gathers what the ring buffer holds into batches; a record's bytes are good only while it is looked at.
std::size_t XdpPlane::take_copies(std::size_t most, const TakeCopies& take) {
  std::uint32_t sampled = 1;
  auto hand_over = [&] {
    if (copies_.empty()) return;
    take(copies_, sampled);
    copies_.clear();
    copies_bytes_.clear();
  };
  const std::size_t taken = program_->take_copies(most, [&](const nsx_copy& copy, std::span<const std::byte> bytes) {
    bool full = copies_.size() == copies_.capacity() || copies_bytes_.size() + bytes.size() > copies_bytes_.capacity();
    if (full || copy.sampled_one_in != sampled) hand_over();
    sampled = copy.sampled_one_in;
    forward::Packet& packet = copies_.emplace_back();
    packet.data = copies_bytes_.data() + copies_bytes_.size();
    copies_bytes_.insert(copies_bytes_.end(), bytes.begin(), bytes.end());
    packet.length = packet.capacity = static_cast<std::uint32_t>(bytes.size());
    packet.original_length = copy.original_length;
    packet.ingress = static_cast<std::uint16_t>(copy.ingress);
    packet.received_ns = copy.received_ns;
  });
  hand_over();
  return taken;
}

}  // namespace netserv::plane
