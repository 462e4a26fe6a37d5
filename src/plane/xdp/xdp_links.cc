// The xdp plane when interfaces come, go and change: the same name again is the same interface.
#include <net/if.h>

#include <algorithm>

#include "base/log.h"
#include "plane/xdp/xdp_plane_parts.h"
#include "wire/ip/packet.h"

namespace netserv::plane {
namespace {
constexpr LogSubject kSubject{.name = "xdp plane"};
}  // namespace

void XdpPlane::look_at_links(TimePoint now) {
  LinkWatch::News news = links_->read();
  if (!news.any && !reopen_) return;
  for (Interface& interface : interfaces_) {
    unsigned ifindex = ::if_nametoindex(interface.name.c_str());
    bool same = ifindex != 0 && ifindex == interface.ifindex && !news.gone.contains(ifindex);
    if (!same) {
      if (interface.ifindex != 0) {
        log_warning(kSubject, "{} is gone", interface.name);
        program_->detach(interface.ifindex);
        reopen_ = true;
      }
      interface.ifindex = 0;
      if (ifindex == 0) continue;
      Status attached = attach(interface);
      if (!attached) log_warning(kSubject, "{}", attached.error().message());
      reopen_ |= attached.has_value();
      continue;
    }
    reopen_ |= interface.queues != receive_queues(interface.name);
    interface.queues = receive_queues(interface.name);
    interface.mtu = mtu_of(interface.name);
    for (auto& port : ports_)
      if (port->ifindex == ifindex) port->mtu = interface.mtu;
    if (Status read = program_->read_address(ifindex, interface.name); !read)
      log_warning(kSubject, "{}", read.error().message());
  }
  if (reopen_) reopen(now);
}

// The kernel forwards meanwhile. A socket's place is free again only some time after it was closed: if opening fails
// it is tried again the next time.
void XdpPlane::reopen(TimePoint now) {
  for (const Interface& interface : interfaces_) program_->clear_port(interface.ifindex);
  for (auto batch = receive(now); !batch.empty(); batch = receive(now)) {  // what was on its way passes by
    std::vector<forward::Outcome> pass;
    for (const forward::Packet& p : batch) pass.push_back({p.cookie, forward::Fate::kPass, p.data, p.length});
    passed_reopening_ += pass.size();
    finish(pass);
  }
  flush();
  ports_.clear();
  if (umem_ && held_ > 0) {
    umem_->unregister();
    retired_.push_back({era_, std::move(umem_), held_});
  }
  era_ = (era_ + 1) & 0xffff;
  held_ = 0;
  Status opened = open_sockets(zero_copy_);
  reopen_ = !opened;
  if (opened) log_info(kSubject, "interfaces have changed: {}", description_);
}

void XdpPlane::finish_retired(const forward::Outcome& outcome) {
  auto old = std::ranges::find(retired_, outcome.cookie >> kEraShift, &Retired::era);
  if (old == retired_.end()) return;
  std::span<std::byte> packet(outcome.data, outcome.length);
  bool onward = outcome.fate == forward::Fate::kPass || outcome.fate == forward::Fate::kPassChanged;
  if (outcome.fate != forward::Fate::kDrop) {
    ++to_kernel_;
    if ((onward && !decrement_ttl(packet)) || !kernel_->send(packet)) ++to_kernel_failed_;
  }
  if (--old->held == 0) retired_.erase(old);
}

}  // namespace netserv::plane
