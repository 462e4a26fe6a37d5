// The xdp plane (docs/life-of-a-packet.md): an XDP program on the router's interfaces hands matching frames to
// AF_XDP sockets, each of which belongs to one worker's part (xdp_part.h). Receive queue q of every interface is worker
// q mod n's.
//
// An interface that is removed and made again under the same name is taken up again; all sockets are then opened anew,
// and the kernel forwards meanwhile.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "plane/live_plane.h"
#include "plane/xdp/interface.h"
#include "plane/xdp/kept_links.h"
#include "plane/xdp/neighbours.h"
#include "plane/xdp/program.h"
#include "plane/xdp/redirect_target.h"
#include "plane/xdp/xdp_part.h"

namespace netserv::plane {

struct XdpPlaneOptions {
  std::vector<std::string> interfaces;  // each has as many receive queues as there are workers, or more
  std::uint32_t workers = 1;
  std::uint32_t mark = 0x4e53;  // of packets handed to the kernel
  bool busy_poll = false;
  Duration heartbeat_limit = std::chrono::milliseconds(100);
  KeepWhere keep;
};

class XdpPlane final : public LivePlane {
 public:
  static Result<std::unique_ptr<XdpPlane>> open(const XdpPlaneOptions& options);
  ~XdpPlane() override;

  std::string name() const override { return "xdp"; }
  // "r0 native copy, 1 queue; r1 not used: another XDP program is attached ..."
  std::string detail() const override { return not_kept_.empty() ? description_ : description_ + "; " + not_kept_; }
  std::size_t parts() const override { return parts_.size(); }
  PlanePart& part(std::size_t number) override { return *parts_[number]; }
  Duration gather() const override { return std::chrono::microseconds(150); }
  Status want(const std::vector<forward::Wanted>& wanted) override;
  void look_around(TimePoint now) override;
  std::size_t take_copies(std::size_t most, const TakeCopies& take) override;
  std::uint64_t copies_lost() override { return program_->copies_lost(); }
  std::map<std::string, std::uint64_t> counters() override { return program_->counters(); }

 private:
  struct Interface : XdpInterface {  // ifindex 0: there is none of that name now
    XdpMode mode = XdpMode::kNative;
    VlanStripping vlan_stripping = VlanStripping::kOff;
    bool open = false;    // its sockets are
    std::string refused;  // why the program could not be attached the last time
  };
  struct Opening;
  explicit XdpPlane(const KeepWhere& where) : kept_(where) {}
  Status attach(Interface& interface);
  std::shared_ptr<Opening> prepare_opening() const;
  Status take_up(const Opening& opening);
  void describe();
  void reopen(TimePoint now);
  void not_opened(const std::string& why, TimePoint now);
  Status look_at_egress();
  void keep_links();
  void keep_neighbours(TimePoint now);

  KeptLinks kept_;
  std::unique_ptr<XdpProgram> program_;
  std::vector<std::unique_ptr<XdpPart>> parts_;
  bool zero_copy_ = false;
  std::unique_ptr<LinkWatch> links_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<RedirectWatch> redirects_;  // none on a kernel that does not tell
  std::vector<Interface> interfaces_;
  std::optional<TimePoint> attach_again_;
  bool reopen_ = false;     // to be tried again
  bool reopening_ = false;  // the parts are at it
  int reopen_failures_ = 0;  // in a row
  TimePoint reopen_not_before_{};
  std::string not_open_;  // why, if it does not look as if it could be at once
  std::vector<std::byte> copies_bytes_;
  std::vector<forward::Packet> copies_;
  std::string description_;
  bool fail_closed_ = false;  // some filter asks for it
  std::string not_kept_;      // what prevents that it outlives this process
};

}  // namespace netserv::plane
