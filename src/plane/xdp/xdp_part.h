// A worker's part of the xdp plane: its receive queues, with packet memory of its own. Frames come by the part's lane, or
// where the driver does zero-copy by AF_XDP sockets. They leave by the interface that the kernel's FIB named, under load
// by the lane too, else through the part's own socket there; what can't go that way goes to the kernel, through RawSender,
// and is routed there.
//
// One thread, the worker's. A packet's frame is held from receive() to finish(). No call blocks but open() and close().
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
#include "plane/xdp/lane.h"
#include "plane/xdp/program.h"
#include "plane/xdp/umem.h"
#include "plane/xdp/wake.h"
#include "plane/xdp/way_out.h"
#include "plane/xdp/xsk_port.h"
#include "sys/fd.h"

namespace netserv::plane {

struct XdpPartOptions {
  std::uint32_t number = 0;  // serves the receive queues number, number + workers, number + 2 * workers ...
  std::uint32_t workers = 1;
  std::uint32_t frames_per_queue = 4096;
  std::uint32_t mark = 0x4e53;            // of packets handed to the kernel
  bool busy_poll = false;
};

// An interface that the plane works on, as the kernel has it now.
struct XdpInterface {
  std::string name;
  unsigned ifindex = 0;
  std::uint32_t queues = 1;
  std::uint32_t mtu = 1500;
};

class XdpPart final : public PlanePart {
 public:
  // Without sockets yet. `program` outlives it.
  static Result<std::unique_ptr<XdpPart>> create(XdpProgram& program, const XdpPartOptions& options);
  ~XdpPart() override;

  // An AF_XDP socket on each of its queues.
  struct Socket {
    unsigned ifindex = 0;
    std::uint32_t queue = 0;
    int fd = -1;
  };
  Result<std::vector<Socket>> open(const std::vector<XdpInterface>& interfaces, bool zero_copy);
  // Packets that have come and nobody has seen pass by; those that are held are kept until they are finished.
  void close(TimePoint now);
  void set_mtu(unsigned ifindex, std::uint32_t mtu);
  // By which interfaces the program sends may have changed.
  void look_at_egress();
  std::size_t sockets() const { return ports_.size(); }

  int fd() const override { return poll_.get(); }
  bool polls_itself() const override { return options_.busy_poll; }
  // Zero-copy: taken in turn from all sockets.
  std::span<const forward::Packet> receive(TimePoint now) override;
  bool holds() const override { return lane_ && lane_->ready() > 0; }
  void let_go() override;
  void worked(double share) override;
  bool arm() override { return !lane_ || lane_->arm(); }
  void finish(std::span<const forward::Outcome> outcomes) override;
  bool send(ByteSpan packet) override { return kernel_->send(packet); }
  void flush() override;
  // When this comes late the program passes this part's packets to the kernel.
  // Tries again, too, to send what the kernel would not take.
  void alive(TimePoint now) override {
    program_.heartbeat(options_.number, now);
    flush();
  }
  // Losses in the kernel's rings among them.
  std::map<std::string, std::uint64_t> counters() override;

 private:
  struct Port;
  struct FrameNote;
  struct Retired;
  XdpPart(XdpProgram& program, const XdpPartOptions& options);
  Status open_lane();
  Status open_port(const XdpInterface& interface, std::uint32_t queue, const XskPort::Options& options);
  // Frames that are nowhere: not free, not in a ring, not held. Always 0.
  std::size_t missing_frames() const;
  void finish_retired(const forward::Outcome& outcome);
  FrameNote& note(FrameAddress frame);
  nsx_meta meta(FrameAddress frame) const;
  void transmit(std::size_t port, FrameAddress frame, std::uint32_t length);
  enum class Hop : bool { kNone, kOne };
  void to_kernel(FrameAddress frame, std::uint32_t l3_length, Hop hop);
  void forward(FrameAddress frame, std::uint32_t l3_length, bool changed);
  void reply(FrameAddress frame, std::uint32_t l3_length);
  std::size_t receive_from_sockets();
  bool take_in(FrameAddress frame, std::uint32_t length, forward::Packet& packet);
  void drop(FrameAddress frame);
  void put_on_lane();
  void send_by_socket(Port& port);

  XdpProgram& program_;
  const XdpPartOptions options_;
  std::unique_ptr<RawSender> kernel_;
  std::unique_ptr<Umem> umem_;  // outlives the sockets
  std::unique_ptr<Lane> lane_;  // none with zero-copy, where the kernel receives into packet memory; nor before open()
  std::unique_ptr<Wake> wake_;
  std::vector<std::unique_ptr<Port>> ports_;        // one a receive queue
  std::map<unsigned, std::size_t> port_of_egress_;  // ifindex -> its first port
  sys::UniqueFd poll_;  // an epoll set of all sockets
  std::array<forward::Packet, 256> batch_;
  TimePoint now_{};
  WayOut way_out_;
  std::size_t next_port_ = 0;
  std::size_t held_ = 0;
  std::uint64_t era_ = 0;  // of umem_: another each time the sockets are opened
  std::vector<Retired> retired_;
  std::uint64_t passed_reopening_ = 0;
  std::uint64_t dropped_reopening_ = 0;
  std::uint64_t to_kernel_ = 0, to_kernel_failed_ = 0, transmit_full_ = 0, transmitted_ = 0, bad_metadata_ = 0, ttl_ended_ = 0;
};

}  // namespace netserv::plane
