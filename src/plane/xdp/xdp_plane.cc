#include <net/if.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "plane/xdp/xdp_plane_parts.h"
#include "sys/fd.h"
#include "wire/ip/packet.h"

namespace netserv::plane {
namespace {

constexpr std::uint32_t kEthernet = 14;
constexpr std::uint32_t kMac = 6;

// Enough to notice that a module changed an address.
std::uint64_t mark_of(const std::byte* address, bool v6) {
  std::uint64_t low = 0, high = 0;
  std::memcpy(&low, address, v6 ? 8 : 4);
  if (v6) std::memcpy(&high, address + 8, 8);
  return low * 0x9e3779b97f4a7c15 ^ high;
}
bool is_v6(const std::byte* l3) { return std::to_integer<unsigned>(l3[0]) >> 4 == 6; }
std::uint64_t source_mark(const std::byte* l3) { return mark_of(l3 + (is_v6(l3) ? 8 : 12), is_v6(l3)); }
std::uint64_t destination_mark(const std::byte* l3) { return mark_of(l3 + (is_v6(l3) ? 24 : 16), is_v6(l3)); }

// The IP header's own idea of the length: a short frame is padded. The program has checked that it fits.
std::uint32_t ip_length(const std::byte* l3, std::uint32_t there) {
  std::size_t at = is_v6(l3) ? 4 : 2;
  std::uint32_t length = std::to_integer<std::uint32_t>(l3[at]) << 8 | std::to_integer<std::uint32_t>(l3[at + 1]);
  return std::min(there, length + (is_v6(l3) ? 40 : 0));
}

}  // namespace

XdpPlane::FrameNote& XdpPlane::note(FrameAddress frame) {
  return *reinterpret_cast<FrameNote*>(
      umem_->bytes(frame - sizeof(nsx_meta) - sizeof(FrameNote), sizeof(FrameNote)).data());
}

Result<std::unique_ptr<XdpPlane>> XdpPlane::open(const XdpPlaneOptions& options) {
  if (options.interfaces.empty())
    return fail(Origin::kOperator, "plane xdp", "names no interfaces");
  std::unique_ptr<XdpPlane> plane(new XdpPlane);
  plane->polls_itself_ = options.busy_poll;
  plane->copies_.reserve(256);
  plane->copies_bytes_.reserve(256 * 1024);
  NETSERV_ASSIGN(plane->kernel_, RawSender::create(options.mark));
  NETSERV_ASSIGN(plane->program_, XdpProgram::load());
  NETSERV_ASSIGN(auto links, LinkWatch::open());  // before anything is looked at
  plane->links_ = std::make_unique<LinkWatch>(std::move(links));
  plane->options_ = options;
  plane->program_->set_heartbeat_limit(options.heartbeat_limit);
  bool all_native = true;
  for (const std::string& interface : options.interfaces) {
    Interface& added = plane->interfaces_.emplace_back();
    added.name = interface;
    NETSERV_TRY(plane->attach(added));
    all_native &= added.mode == XdpMode::kNative;
  }
  // Sockets that share packet memory are all of one kind, and memory that a failed attempt has touched is no good.
  if (all_native && plane->open_sockets(true)) return plane;
  NETSERV_TRY(plane->open_sockets(false));
  return plane;
}

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

Status XdpPlane::open_sockets(bool zero_copy) {
  zero_copy_ = zero_copy;
  ports_.clear();
  port_of_egress_.clear();
  description_.clear();
  if (!poll_) poll_ = sys::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));  // fd() stays; closed sockets have left it
  if (!poll_) return fail_errno("plane xdp", "epoll", errno);
  std::uint32_t queues = 0;
  for (const Interface& interface : interfaces_) queues += interface.ifindex == 0 ? 0 : interface.queues;
  // The old memory goes before new memory is mapped: after a failed attempt libxdp unmaps its rings a second time.
  umem_.reset();
  if (queues == 0) return {};
  NETSERV_ASSIGN(umem_, Umem::create(queues * options_.frames_per_queue, zero_copy ? FrameLayout::kPages : FrameLayout::kDense));
  XskPort::Options socket_options;
  socket_options.busy_poll = options_.busy_poll;
  socket_options.zero_copy = zero_copy;
  for (const Interface& interface : interfaces_)
    if (interface.ifindex != 0) NETSERV_TRY(open_port(interface, socket_options));
  for (const Interface& interface : interfaces_) {
    if (interface.ifindex == 0) continue;
    std::vector<int> fds;
    for (const auto& port : ports_)
      if (port->ifindex == interface.ifindex) fds.push_back(port->socket->fd());
    NETSERV_TRY(program_->set_port(interface.ifindex, fds));
  }
  return {};
}

Status XdpPlane::open_port(const Interface& interface, const XskPort::Options& options) {
  port_of_egress_[interface.ifindex] = ports_.size();
  for (std::uint32_t queue = 0; queue < interface.queues; ++queue) {
    auto port = std::make_unique<Port>();
    port->ifindex = interface.ifindex;
    port->mtu = interface.mtu;
    NETSERV_ASSIGN(port->socket, XskPort::open(*umem_, interface.name, queue, options));
    epoll_event event{EPOLLIN, {}};
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, port->socket->fd(), &event) != 0)
      return fail_errno(interface.name, "epoll", errno);
    ports_.push_back(std::move(port));
  }
  if (!description_.empty()) description_ += "; ";
  description_ += interface.name + " " + std::string(to_string(interface.mode)) +
                  (options.zero_copy ? " zero-copy, " : " copy, ") + std::to_string(interface.queues) +
                  (interface.queues == 1 ? " queue" : " queues");
  if (interface.vlan_stripping == VlanStripping::kOn) description_ += ", takes VLAN tags off unseen";
  return {};
}

XdpPlane::~XdpPlane() {
  ports_.clear();  // the sockets before their packet memory
}

std::span<const forward::Packet> XdpPlane::receive(TimePoint now) {
  program_->heartbeat(now);
  std::span<forward::Packet> out = batch_;
  std::size_t count = 0;
  for (std::size_t turn = 0; turn < ports_.size() && count < out.size(); ++turn) {
    std::size_t at = (next_port_ + turn) % ports_.size();
    xdp_desc frames[256];
    std::size_t room = std::min(out.size() - count, std::size(frames));
    std::uint32_t n = ports_[at]->socket->receive({frames, room});
    for (std::uint32_t i = 0; i < n; ++i) {
      nsx_meta meta;
      std::memcpy(&meta, umem_->bytes(frames[i].addr - sizeof meta, sizeof meta).data(), sizeof meta);
      if (meta.magic != NSX_META_MAGIC || frames[i].len < kEthernet + 20 ||
          (is_v6(umem_->bytes(frames[i].addr + kEthernet, 1).data()) && frames[i].len < kEthernet + 40)) {
        ++bad_metadata_;
        umem_->give(frames[i].addr);
        continue;
      }
      forward::Packet& packet = out[count++];
      packet = forward::Packet{};
      packet.cookie = era_ << kEraShift | frames[i].addr;
      packet.data = umem_->bytes(frames[i].addr + kEthernet, 0).data();
      packet.length = packet.original_length = ip_length(packet.data, frames[i].len - kEthernet);
      packet.capacity = umem_->room(frames[i].addr) - kEthernet;
      packet.ingress = static_cast<std::uint16_t>(ports_[at]->ifindex);
      packet.received_ns = meta.received_ns;
      note(frames[i].addr) = {source_mark(packet.data), destination_mark(packet.data), static_cast<std::uint32_t>(at),
                              packet.length};
      ++held_;
    }
  }
  next_port_ = ports_.empty() ? 0 : (next_port_ + 1) % ports_.size();
  return out.first(count);
}

void XdpPlane::drop(FrameAddress frame) {
  umem_->give(frame);
  --held_;
}

void XdpPlane::transmit(std::size_t port, FrameAddress frame, std::uint32_t length) {
  xdp_desc descriptor{};
  descriptor.addr = frame;
  descriptor.len = length;
  ports_[port]->queued.push_back(descriptor);
  --held_;
}

void XdpPlane::to_kernel(FrameAddress frame, std::uint32_t l3_length, Hop hop) {
  auto packet = umem_->bytes(frame + kEthernet, l3_length);
  ++to_kernel_;
  if ((hop == Hop::kOne && !decrement_ttl(packet)) || !kernel_->send(packet)) ++to_kernel_failed_;
  drop(frame);
}

void XdpPlane::forward(FrameAddress frame, std::uint32_t l3_length, bool changed) {
  nsx_meta meta;
  std::memcpy(&meta, umem_->bytes(frame - sizeof meta, sizeof meta).data(), sizeof meta);
  auto ethernet = umem_->bytes(frame, kEthernet + l3_length);
  auto packet = ethernet.subspan(kEthernet);
  auto egress = port_of_egress_.find(meta.egress);
  // The FIB answered for the destination and length as received.
  bool answer_holds = !changed || (l3_length <= note(frame).l3_length &&
                                   destination_mark(packet.data()) == note(frame).destination);
  if (egress == port_of_egress_.end() || !answer_holds) return to_kernel(frame, l3_length, Hop::kOne);
  if (!decrement_ttl(packet)) {  // a module set it
    ++ttl_ended_;
    return drop(frame);
  }
  std::memcpy(ethernet.data(), meta.destination_mac, kMac);
  std::memcpy(ethernet.data() + kMac, meta.source_mac, kMac);
  transmit(egress->second, frame, kEthernet + l3_length);
}

void XdpPlane::reply(FrameAddress frame, std::uint32_t l3_length) {
  std::byte* ethernet = umem_->bytes(frame, kEthernet).data();
  // Back the way it came if it is for whom it came from; else, and if it is too long, the kernel routes it.
  bool to_sender = destination_mark(ethernet + kEthernet) == note(frame).source;
  if (!to_sender || l3_length > ports_[note(frame).port]->mtu) return to_kernel(frame, l3_length, Hop::kNone);
  std::swap_ranges(ethernet, ethernet + kMac, ethernet + kMac);
  transmit(note(frame).port, frame, kEthernet + l3_length);
}

void XdpPlane::finish(std::span<const forward::Outcome> outcomes) {
  for (const forward::Outcome& outcome : outcomes) {
    if (outcome.cookie >> kEraShift != era_) {
      finish_retired(outcome);
      continue;
    }
    FrameAddress frame = outcome.cookie & kAddressMask;
    switch (outcome.fate) {
      case forward::Fate::kPass: forward(frame, note(frame).l3_length, false); break;
      case forward::Fate::kPassChanged: forward(frame, outcome.length, true); break;
      case forward::Fate::kReply: reply(frame, outcome.length); break;
      case forward::Fate::kDrop: drop(frame); break;
    }
  }
}

void XdpPlane::flush() {
  for (auto& port : ports_) {
    port->socket->reclaim();
    std::uint32_t taken = port->socket->transmit(port->queued);
    transmitted_ += taken;
    // A full transmit ring is the egress link's congestion: tail drop, as a router's queue does.
    for (std::size_t i = taken; i < port->queued.size(); ++i) {
      umem_->give(port->queued[i].addr);
      ++transmit_full_;
    }
    port->queued.clear();
    port->socket->flush();
  }
  for (auto& port : ports_) {
    port->socket->reclaim();
    port->socket->refill();
  }
  kernel_->flush();
}

// Gathers what the ring buffer holds into batches; a record's bytes are good only while it is looked at.
void XdpPlane::take_copies(const TakeCopies& take) {
  std::uint32_t sampled = 1;
  auto hand_over = [&] {
    if (copies_.empty()) return;
    take(copies_, sampled);
    copies_.clear();
    copies_bytes_.clear();
  };
  program_->take_copies([&](const nsx_copy& copy, std::span<const std::byte> bytes) {
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
}

std::size_t XdpPlane::missing_frames() const {
  if (!umem_) return 0;
  std::size_t known = umem_->free_frames() + held_;
  for (const auto& port : ports_) known += port->socket->in_rings() + port->queued.size();
  return umem_->frames() - known;
}

std::map<std::string, std::uint64_t> XdpPlane::counters() {
  auto out = program_->counters();
  out["xdp_transmitted"] = transmitted_;
  out["xdp_transmit_ring_full"] = transmit_full_;
  out["xdp_to_kernel"] = to_kernel_;
  out["xdp_to_kernel_failed"] = to_kernel_failed_;
  out["xdp_ttl_ended"] = ttl_ended_;
  out["raw_sent"] = kernel_->sent();
  out["raw_send_failed"] = kernel_->failed();
  out["xdp_bad_metadata"] = bad_metadata_;
  out["xdp_passed_reopening"] = passed_reopening_;
  out["xdp_frames_missing"] = missing_frames();
  for (const auto& port : ports_) {
    auto losses = port->socket->losses();
    out["xdp_receive_dropped"] += losses.rx_dropped;
    out["xdp_receive_ring_full"] += losses.rx_ring_full;
    out["xdp_fill_ring_empty"] += losses.fill_ring_empty;
    out["xdp_invalid_descriptors"] += losses.invalid;
  }
  return out;
}

}  // namespace netserv::plane
