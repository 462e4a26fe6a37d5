#include "plane/xdp/xdp_part.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "plane/xdp/xdp_part_records.h"
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

XdpPart::FrameNote& XdpPart::note(FrameAddress frame) {
  return *reinterpret_cast<FrameNote*>(
      umem_->bytes(frame - sizeof(nsx_meta) - sizeof(FrameNote), sizeof(FrameNote)).data());
}

nsx_meta XdpPart::meta(FrameAddress frame) const {
  nsx_meta meta;
  std::memcpy(&meta, umem_->bytes(frame - sizeof meta, sizeof meta).data(), sizeof meta);
  return meta;
}

XdpPart::XdpPart(XdpProgram& program, const XdpPartOptions& options) : program_(program), options_(options) {}

Result<std::unique_ptr<XdpPart>> XdpPart::create(XdpProgram& program, const XdpPartOptions& options) {
  std::unique_ptr<XdpPart> part(new XdpPart(program, options));
  NETSERV_ASSIGN(part->kernel_, RawSender::create(options.mark));
  part->poll_ = sys::UniqueFd(::epoll_create1(EPOLL_CLOEXEC));  // fd() stays; closed sockets leave it
  if (!part->poll_) return fail_errno("plane xdp", "epoll", errno);
  return part;
}

Result<std::vector<XdpPart::Socket>> XdpPart::open(const std::vector<XdpInterface>& interfaces, bool zero_copy) {
  ports_.clear();
  port_of_egress_.clear();
  std::uint32_t mine = 0;
  for (const XdpInterface& interface : interfaces)
    for (std::uint32_t queue = options_.number; queue < interface.queues; queue += options_.workers) ++mine;
  umem_.reset();
  if (mine == 0) return std::vector<Socket>{};
  NETSERV_ASSIGN(umem_, Umem::create(mine * options_.frames_per_queue, zero_copy ? FrameLayout::kPages : FrameLayout::kDense));
  if (!zero_copy) NETSERV_TRY(open_lane());
  XskPort::Options socket_options;
  socket_options.busy_poll = options_.busy_poll;
  socket_options.zero_copy = zero_copy;
  for (const XdpInterface& interface : interfaces)
    for (std::uint32_t queue = options_.number; queue < interface.queues; queue += options_.workers)
      NETSERV_TRY(open_port(interface, queue, socket_options));
  std::vector<Socket> out;
  for (const auto& port : ports_) out.push_back({port->ifindex, port->queue, port->socket->fd()});
  return out;
}

Status XdpPart::open_lane() {
  NETSERV_TRY(program_.set_packet_memory(options_.number, umem_->map_fd()));
  if (!lane_) {
    NETSERV_ASSIGN(wake_, Wake::create());
    NETSERV_TRY(program_.set_wake(options_.number, wake_->fd()));
    epoll_event event{EPOLLIN, {}};
    if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, wake_->fd(), &event) != 0) return fail_errno("plane xdp", "epoll", errno);
    lane_ = std::make_unique<Lane>(program_.lane(options_.number));
  }
  lane_->refill(*umem_);
  lane_->arm();
  return {};
}

Status XdpPart::open_port(const XdpInterface& interface, std::uint32_t queue, const XskPort::Options& options) {
  auto port = std::make_unique<Port>();
  port->ifindex = interface.ifindex;
  port->queue = queue;
  port->mtu = interface.mtu;
  port->exchanges = lane_ && program_.leaves_by(interface.ifindex);
  NETSERV_ASSIGN(port->socket, XskPort::open(*umem_, interface.name, queue, options));
  epoll_event event{EPOLLIN, {}};
  if (::epoll_ctl(poll_.get(), EPOLL_CTL_ADD, port->socket->fd(), &event) != 0)
    return fail_errno(interface.name, "epoll", errno);
  port_of_egress_.emplace(interface.ifindex, ports_.size());
  ports_.push_back(std::move(port));
  return {};
}

void XdpPart::close(TimePoint now) {
  if (lane_) program_.set_packet_memory(options_.number, -1);
  for (auto batch = receive(now); !batch.empty(); batch = receive(now)) {  // what was on its way passes by
    std::vector<forward::Outcome> outcomes;
    for (const forward::Packet& p : batch) {
      const bool closed = meta(p.cookie & kAddressMask).fail_closed != 0;
      ++(closed ? dropped_reopening_ : passed_reopening_);
      outcomes.push_back({p.cookie, closed ? forward::Fate::kDrop : forward::Fate::kPass, p.data, p.length});
    }
    finish(outcomes);
  }
  let_go();
  flush();
  if (lane_ && umem_) lane_->empty(*umem_);
  ports_.clear();
  port_of_egress_.clear();
  if (umem_ && held_ > 0) {
    umem_->unregister();
    retired_.push_back({era_, std::move(umem_), held_});
  }
  umem_.reset();
  era_ = (era_ + 1) & 0xffff;
  held_ = 0;
}

void XdpPart::set_mtu(unsigned ifindex, std::uint32_t mtu) {
  for (auto& port : ports_)
    if (port->ifindex == ifindex) port->mtu = mtu;
}

XdpPart::~XdpPart() {
  ports_.clear();  // the sockets before their packet memory
}

std::span<const forward::Packet> XdpPart::receive(TimePoint now) {
  program_.heartbeat(options_.number, now);
  now_ = now;
  std::span<forward::Packet> out = batch_;
  std::size_t count = 0;
  if (options_.busy_poll)
    for (auto& port : ports_) port->socket->drive();
  if (!lane_) return out.first(receive_from_sockets());
  if (!umem_) return {};
  lane_->disarm();
  wake_->clear();
  std::array<Lane::Frame, std::tuple_size_v<decltype(batch_)>> frames;
  std::uint32_t came = lane_->receive(*umem_, frames);
  for (const Lane::Frame& frame : std::span(frames).first(came)) count += take_in(frame.address, frame.length, out[count]);
  lane_->refill(*umem_);
  way_out_.came(count);
  // A thread that never lets frames gather is as busy as its batches are full.
  if (options_.busy_poll) worked(static_cast<double>(count) / static_cast<double>(batch_.size()));
  return out.first(count);
}

// Zero-copy.
std::size_t XdpPart::receive_from_sockets() {
  std::size_t count = 0;
  for (std::size_t turn = 0; turn < ports_.size() && count < batch_.size(); ++turn) {
    std::array<xdp_desc, std::tuple_size_v<decltype(batch_)>> frames;
    XskPort& socket = *ports_[(next_port_ + turn) % ports_.size()]->socket;
    std::uint32_t came = socket.receive(std::span(frames).first(batch_.size() - count));
    for (const xdp_desc& frame : std::span(frames).first(came)) count += take_in(frame.addr, frame.len, batch_[count]);
  }
  next_port_ = ports_.empty() ? 0 : (next_port_ + 1) % ports_.size();
  return count;
}

// False, and the frame is free again, if it makes no sense.
bool XdpPart::take_in(FrameAddress frame, std::uint32_t length, forward::Packet& packet) {
  const nsx_meta meta = this->meta(frame);
  auto port = port_of_egress_.find(meta.ingress);
  if (meta.magic != NSX_META_MAGIC || port == port_of_egress_.end() || length < kEthernet + 20 ||
      (is_v6(umem_->bytes(frame + kEthernet, 1).data()) && length < kEthernet + 40)) {
    ++bad_metadata_;
    umem_->give(frame);
    return false;
  }
  packet = forward::Packet{};
  packet.cookie = era_ << kEraShift | frame;
  packet.data = umem_->bytes(frame + kEthernet, 0).data();
  packet.length = packet.original_length = ip_length(packet.data, length - kEthernet);
  packet.capacity = umem_->room(frame) - kEthernet;
  packet.ingress = static_cast<std::uint16_t>(meta.ingress);
  packet.received_ns = static_cast<std::uint64_t>(now_.time_since_epoch().count());
  note(frame) = {source_mark(packet.data), destination_mark(packet.data), static_cast<std::uint32_t>(port->second),
                 packet.length};
  ++held_;
  return true;
}

void XdpPart::worked(double share) {
  way_out_.worked(share);
  if (!way_out_.exchanging()) let_go();
}

void XdpPart::drop(FrameAddress frame) {
  umem_->give(frame);
  --held_;
}

void XdpPart::transmit(std::size_t port, FrameAddress frame, std::uint32_t length) {
  xdp_desc descriptor{};
  descriptor.addr = frame;
  descriptor.len = length;
  ports_[port]->queued.push_back(descriptor);
  --held_;
}

void XdpPart::to_kernel(FrameAddress frame, std::uint32_t l3_length, Hop hop) {
  auto packet = umem_->bytes(frame + kEthernet, l3_length);
  ++to_kernel_;
  if ((hop == Hop::kOne && !decrement_ttl(packet)) || !kernel_->send(packet)) ++to_kernel_failed_;
  drop(frame);
}

void XdpPart::forward(FrameAddress frame, std::uint32_t l3_length, bool changed) {
  const nsx_meta meta = this->meta(frame);
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

void XdpPart::reply(FrameAddress frame, std::uint32_t l3_length) {
  std::byte* ethernet = umem_->bytes(frame, kEthernet).data();
  // Back the way it came if it is for whom it came from; else, and if it is too long, the kernel routes it.
  bool to_sender = destination_mark(ethernet + kEthernet) == note(frame).source;
  if (!to_sender || l3_length > ports_[note(frame).port]->mtu) return to_kernel(frame, l3_length, Hop::kNone);
  std::swap_ranges(ethernet, ethernet + kMac, ethernet + kMac);
  transmit(note(frame).port, frame, kEthernet + l3_length);
}

void XdpPart::finish(std::span<const forward::Outcome> outcomes) {
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

void XdpPart::look_at_egress() {
  for (auto& port : ports_) port->exchanges = lane_ && program_.leaves_by(port->ifindex);
}

// Not what would overtake earlier frames that a socket still has.
void XdpPart::put_on_lane() {
  lane_->reap(*umem_);
  if (!way_out_.exchanging()) return;
  for (auto& port : ports_) {
    if (!port->exchanges || port->socket->unsent() > 0) continue;
    auto left = std::ranges::find_if_not(port->queued, [&](const xdp_desc& frame) {
      return lane_->put(*umem_, {frame.addr, frame.len, port->ifindex});
    });
    port->queued.erase(port->queued.begin(), left);
  }
}

// By the sockets, before what was queued since.
void XdpPart::let_go() {
  way_out_.rest();
  if (!holds()) return;
  std::vector<std::vector<xdp_desc>> later(ports_.size());
  for (std::size_t i = 0; i < ports_.size(); ++i) later[i].swap(ports_[i]->queued);
  for (const Lane::Frame& frame : lane_->take_back(*umem_)) {
    xdp_desc descriptor{};
    descriptor.addr = frame.address;
    descriptor.len = frame.length;
    ports_[port_of_egress_.at(frame.egress)]->queued.push_back(descriptor);
  }
  for (std::size_t i = 0; i < ports_.size(); ++i)
    ports_[i]->queued.insert(ports_[i]->queued.end(), later[i].begin(), later[i].end());
  flush();
}

void XdpPart::send_by_socket(Port& port) {
  port.socket->reclaim();
  std::uint32_t taken = port.socket->transmit(port.queued);
  transmitted_ += taken;
  // A full transmit ring is the egress link's congestion: tail drop, as a router's queue does.
  for (std::size_t i = taken; i < port.queued.size(); ++i) {
    umem_->give(port.queued[i].addr);
    ++transmit_full_;
  }
  port.queued.clear();
  port.socket->flush();
}

void XdpPart::flush() {
  if (lane_ && umem_) put_on_lane();
  for (auto& port : ports_) send_by_socket(*port);
  for (auto& port : ports_) {
    port->socket->reclaim();
    if (!lane_) port->socket->refill();
  }
  kernel_->flush();
}

void XdpPart::finish_retired(const forward::Outcome& outcome) {
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

std::size_t XdpPart::missing_frames() const {
  if (!umem_) return 0;
  std::size_t known = umem_->free_frames() + held_ + (lane_ ? lane_->frames() : 0);
  for (const auto& port : ports_) known += port->socket->in_rings() + port->queued.size();
  return umem_->frames() - known;
}

std::map<std::string, std::uint64_t> XdpPart::counters() {
  std::map<std::string, std::uint64_t> out;
  out["xdp_transmitted"] = transmitted_;
  out["xdp_transmit_ring_full"] = transmit_full_;
  out["xdp_to_kernel"] = to_kernel_;
  out["xdp_to_kernel_failed"] = to_kernel_failed_;
  out["xdp_ttl_ended"] = ttl_ended_;
  out["raw_sent"] = kernel_->sent();
  out["raw_send_failed"] = kernel_->failed();
  out["xdp_bad_metadata"] = bad_metadata_;
  out["xdp_passed_reopening"] = passed_reopening_;
  out["xdp_dropped_reopening"] = dropped_reopening_;
  out["xdp_frames_missing"] = missing_frames();
  std::size_t held = held_;
  for (const Retired& old : retired_) held += old.held;
  out["xdp_frames_held"] = held;
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
