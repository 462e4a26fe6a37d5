// The xdp plane (docs/life-of-a-packet.md): an XDP program on the router's interfaces hands matching frames to
// AF_XDP sockets here; they leave through the socket of the interface that the kernel's FIB named, by the same
// frame. What can't go that way goes to the kernel, through RawSender, and is routed there.
//
// One thread, the forwarder's. A packet's frame is held from receive() to finish(). No call blocks but wait().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "forward/packet_plane.h"
#include "plane/xdp/program.h"
#include "plane/xdp/umem.h"
#include "plane/xdp/xsk_port.h"

namespace netserv::plane {

// Gives the kernel a whole IP packet to route; the packet is not classified again.
class KernelSender {
 public:
  virtual ~KernelSender() = default;
  virtual bool send(ByteSpan packet) = 0;
};

struct XdpPlaneOptions {
  std::vector<std::string> interfaces;
  std::uint32_t frames_per_queue = 4096;  // of 4 KiB
  bool busy_poll = false;
  Duration heartbeat_limit = std::chrono::milliseconds(100);
};

class XdpPlane final : public forward::PacketPlane {
 public:
  // `kernel` outlives the plane.
  static Result<std::unique_ptr<XdpPlane>> open(const XdpPlaneOptions& options, KernelSender& kernel);
  ~XdpPlane() override;

  // For people: "r0 native copy, 1 queue; r1 ...".
  const std::string& description() const { return description_; }
  // Sockets to wait for; readable when there is something to receive.
  std::vector<int> fds() const;

  // Up to out.size() packets, taken in turn from all sockets.
  std::size_t receive(std::span<forward::Packet> out);
  void finish(std::span<const forward::Outcome> outcomes) override;
  bool send(ByteSpan packet) override { return kernel_.send(packet); }
  void flush() override;

  Status set_filters(std::span<const KernelFilter> filters) { return program_->set_filters(filters); }
  void set_draining(bool draining) { program_->set_draining(draining); }
  // To be called in every round; the program passes all packets to the kernel when it is late.
  void heartbeat(TimePoint now) { program_->heartbeat(now); }
  // Copies for observers, of packets that the program forwarded itself. `sampled_one_in` is done already.
  using EachCopy = std::function<void(const forward::Packet& copy, std::uint32_t sampled_one_in)>;
  std::size_t take_copies(const EachCopy& each);

  // By name, for ForwarderStats; losses in the kernel's rings among them.
  std::map<std::string, std::uint64_t> counters() const;
  // Frames that are nowhere: not free, not in a ring, not held. Always 0.
  std::size_t missing_frames() const;

 private:
  struct Port;
  struct FrameNote;
  XdpPlane(KernelSender& kernel) : kernel_(kernel) {}
  Status open_port(const std::string& interface, const XdpPlaneOptions& options);
  FrameNote& note(FrameAddress frame);
  void transmit(std::size_t port, FrameAddress frame, std::uint32_t length);
  void to_kernel(FrameAddress frame, std::uint32_t l3_length);
  void forward(FrameAddress frame, std::uint32_t l3_length, bool changed);
  void reply(FrameAddress frame, std::uint32_t l3_length);
  void drop(FrameAddress frame);

  KernelSender& kernel_;
  std::unique_ptr<Umem> umem_;  // outlives the sockets
  std::unique_ptr<XdpProgram> program_;
  std::vector<std::unique_ptr<Port>> ports_;      // one a receive queue
  std::map<unsigned, std::size_t> port_of_egress_;  // ifindex -> its first port
  std::size_t next_port_ = 0;
  std::size_t held_ = 0;
  std::uint64_t to_kernel_ = 0, to_kernel_failed_ = 0, transmit_full_ = 0, transmitted_ = 0, bad_metadata_ = 0;
  std::string description_;
};

}  // namespace netserv::plane
