// The xdp plane (docs/life-of-a-packet.md): an XDP program on the router's interfaces hands matching frames to
// AF_XDP sockets here; they leave through the socket of the interface that the kernel's FIB named, by the same
// frame. What can't go that way goes to the kernel, through RawSender, and is routed there.
//
// An interface that is removed and made again under the same name is taken up again; all sockets are then opened anew,
// and the kernel forwards meanwhile.
//
// One thread, the forwarder's. A packet's frame is held from receive() to finish(). No call blocks but wait().
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "plane/live_plane.h"
#include "plane/raw_sender.h"
#include "plane/xdp/interface.h"
#include "plane/xdp/program.h"
#include "plane/xdp/umem.h"
#include "plane/xdp/xsk_port.h"
#include "sys/fd.h"

namespace netserv::plane {

struct XdpPlaneOptions {
  std::vector<std::string> interfaces;
  std::uint32_t frames_per_queue = 4096;
  std::uint32_t mark = 0x4e53;            // of packets handed to the kernel
  bool busy_poll = false;
  Duration heartbeat_limit = std::chrono::milliseconds(100);
};

class XdpPlane final : public LivePlane {
 public:
  static Result<std::unique_ptr<XdpPlane>> open(const XdpPlaneOptions& options);
  ~XdpPlane() override;

  std::string name() const override { return "xdp"; }
  // "r0 native copy, 1 queue; r1 ..."
  std::string detail() const override { return description_; }
  int fd() const override { return poll_.get(); }
  bool polls_itself() const override { return polls_itself_; }
  // Taken in turn from all sockets.
  std::span<const forward::Packet> receive(TimePoint now) override;
  void finish(std::span<const forward::Outcome> outcomes) override;
  bool send(ByteSpan packet) override { return kernel_->send(packet); }
  void flush() override;
  Status want(const std::vector<forward::Wanted>& wanted) override { return program_->set_filters(wanted); }
  // When this comes late the program passes all packets to the kernel.
  // Tries again, too, to send what the kernel would not take.
  void alive(TimePoint now) override {
    program_->heartbeat(now);
    look_at_links(now);
    flush();
  }
  void take_copies(const TakeCopies& take) override;
  std::uint64_t copies_lost() override { return program_->copies_lost(); }

  // By name, for ForwarderStats; losses in the kernel's rings among them.
  std::map<std::string, std::uint64_t> counters() override;
  // Frames that are nowhere: not free, not in a ring, not held. Always 0.
  std::size_t missing_frames() const;

 private:
  struct Port;
  struct FrameNote;
  struct Retired;
  struct Interface {
    std::string name;
    unsigned ifindex = 0;  // 0: there is none of that name now
    std::uint32_t queues = 1;
    std::uint32_t mtu = 1500;
    XdpMode mode = XdpMode::kNative;
    VlanStripping vlan_stripping = VlanStripping::kOff;
  };
  XdpPlane() = default;
  Status attach(Interface& interface);
  Status open_sockets(bool zero_copy);
  void look_at_links(TimePoint now);
  void reopen(TimePoint now);
  void finish_retired(const forward::Outcome& outcome);
  Status open_port(const Interface& interface, const XskPort::Options& options);
  FrameNote& note(FrameAddress frame);
  void transmit(std::size_t port, FrameAddress frame, std::uint32_t length);
  enum class Hop : bool { kNone, kOne };
  void to_kernel(FrameAddress frame, std::uint32_t l3_length, Hop hop);
  void forward(FrameAddress frame, std::uint32_t l3_length, bool changed);
  void reply(FrameAddress frame, std::uint32_t l3_length);
  void drop(FrameAddress frame);

  std::unique_ptr<RawSender> kernel_;
  std::unique_ptr<Umem> umem_;  // outlives the sockets
  std::unique_ptr<XdpProgram> program_;
  XdpPlaneOptions options_;
  bool zero_copy_ = false;
  std::unique_ptr<LinkWatch> links_;
  std::vector<Interface> interfaces_;
  std::vector<std::unique_ptr<Port>> ports_;        // one a receive queue
  std::map<unsigned, std::size_t> port_of_egress_;  // ifindex -> its first port
  sys::UniqueFd poll_;  // an epoll set of all sockets
  bool polls_itself_ = false;
  std::array<forward::Packet, 256> batch_;
  std::vector<std::byte> copies_bytes_;
  std::vector<forward::Packet> copies_;
  std::size_t next_port_ = 0;
  std::size_t held_ = 0;
  std::uint64_t era_ = 0;  // of umem_: another each time the sockets are opened
  bool reopen_ = false;    // to be tried again
  std::vector<Retired> retired_;
  std::uint64_t passed_reopening_ = 0;
  std::uint64_t to_kernel_ = 0, to_kernel_failed_ = 0, transmit_full_ = 0, transmitted_ = 0, bad_metadata_ = 0, ttl_ended_ = 0;
  std::string description_;
};

}  // namespace netserv::plane
