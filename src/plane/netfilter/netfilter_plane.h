// The paper's forwarding plane: xtables rules pick candidates, an NFQUEUE delivers them, verdicts go back, replies
// and emitted packets leave by marked raw sockets. Packets that are only watched are copied to an NFLOG group and never
// wait for anyone (a kernel without NFLOG queues them too). Works on any Linux router.
//
// With several workers there are as many queues, one after the other; the kernel's NFQUEUE target balances flows over
// them, so that the packets of one flow keep their order. Behind them are as many again for fail-closed.
//
// Queued packets go on behind our rule, at the end of PREROUTING's mangle chain: the operator's mangle rules that
// come before it have seen them, routing, filter and NAT are still to come.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "plane/live_plane.h"
#include "plane/netfilter/nflog.h"
#include "plane/netfilter/nfqueue.h"
#include "plane/netfilter/xtables.h"
#include "plane/raw_sender.h"
#include "sys/fd.h"

namespace netserv::plane {

// Two queues: of packets that pass by where there can be no verdict, and of those whose publisher asked for fail-closed.
class NetfilterPart final : public PlanePart {
 public:
  static Result<std::unique_ptr<NetfilterPart>> open(std::uint16_t queue, std::uint16_t closed_queue, std::uint32_t mark);

  // Of the set only once it is needed: the kernel calls into it for every packet.
  int fd() const override { return closed_used() ? both_.get() : open_->fd(); }
  std::span<const forward::Packet> receive(TimePoint now) override;
  bool await() override;
  void alive(TimePoint now) override { open_->alive(now); }
  std::map<std::string, std::uint64_t> counters() override;
  void finish(std::span<const forward::Outcome> outcomes) override;
  bool send(ByteSpan packet) override { return sender_->send(packet); }
  void flush() override;

  // Packets may come by the second queue from now on. From the plane's thread.
  Status use_closed();

 private:
  NetfilterPart() = default;
  bool closed_used() const { return closed_used_.load(std::memory_order_acquire); }
  NfQueue& queue_of(std::uint64_t cookie) { return cookie < NfQueue::kBuffers ? *open_ : *closed_; }

  std::unique_ptr<NfQueue> open_, closed_;
  sys::UniqueFd both_;  // an epoll set, of both once the second is used
  std::atomic<bool> closed_used_ = false;
  bool closed_next_ = false;  // which of them is asked first: neither keeps the other waiting
  std::unique_ptr<RawSender> sender_;
  std::uint64_t replies_failed_ = 0;
};

class NetfilterPlane final : public LivePlane {
 public:
  // Cleans what an earlier run has left, binds the queues, places chain and jump. Works on the calling thread's
  // network namespace.
  static Result<std::unique_ptr<NetfilterPlane>> create(const RuleOptions& options);
  // Takes the rules away.
  ~NetfilterPlane() override;

  std::string name() const override { return "netfilter"; }
  std::string detail() const override;
  std::size_t parts() const override { return parts_.size(); }
  PlanePart& part(std::size_t number) override { return *parts_[number]; }
  Status want(const std::vector<forward::Wanted>& wanted) override;
  std::size_t take_copies(std::size_t most, const TakeCopies& take) override;
  std::uint64_t copies_lost() override { return log_ ? log_->counters().lost : 0; }
  std::map<std::string, std::uint64_t> counters() override;

 private:
  explicit NetfilterPlane(const RuleOptions& options) : options_(options), rules_(options) {}
  RuleOptions options_;
  Xtables rules_;
  std::vector<std::unique_ptr<NetfilterPart>> parts_;
  std::unique_ptr<NfLog> log_;  // none: observers' packets are queued
};

}  // namespace netserv::plane
