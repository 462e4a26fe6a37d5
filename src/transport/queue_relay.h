// The netfilter queue takes rights that whoever reads strangers' packets should not have: a verdict needs
// CAP_NET_ADMIN. So one process holds the queue and looks into no packet, and another without any rights decides; a
// seqpacket pair is between them. No answer in time, or no room on the pair, lets the packet pass.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "plane/netfilter/nfqueue.h"
#include "sys/event_loop.h"
#include "sys/seqpacket.h"

namespace netserv::transport {

enum class QueueVerdict : std::uint8_t { kAccept, kReplace, kDrop };

// The side with rights. One thread.
class QueueKeeper {
 public:
  // `queue` may be null: then it only tells when the other side should end, and notices that it did.
  QueueKeeper(sys::EventLoop& loop, std::unique_ptr<plane::NfQueue> queue, sys::Channel reader);
  // Ends the other side: it sees the channel closed. What is in its hands passes.
  void close();

 private:
  // A packet in the other side's hands.
  struct Lent {
    std::uint64_t cookie;  // or kPassed
    TimePoint since;
  };
  static constexpr std::uint64_t kPassed = ~std::uint64_t{0};
  void on_packets();
  void on_verdicts();
  void on_beat();
  void forget_before(std::uint64_t number);
  std::unique_ptr<plane::NfQueue> queue_;
  sys::Channel reader_;
  std::map<std::uint64_t, Lent> lent_;  // by number, so oldest first; cookies are used again, numbers never
  std::uint64_t last_number_ = 0;
  bool stalled_ = false;  // packets passed for want of an answer, which is still due
  sys::EventHandle packets_, verdicts_, beat_;
};

// The side without.
class QueueReader {
 public:
  struct Answer {
    QueueVerdict verdict = QueueVerdict::kAccept;
    Bytes packet;  // with kReplace
  };
  using Decide = std::function<Answer(ByteSpan packet, std::uint32_t interface)>;
  QueueReader(sys::EventLoop& loop, sys::Channel keeper, Decide decide, std::function<void()> closed);

 private:
  void on_readable();
  sys::Channel keeper_;
  Decide decide_;
  std::function<void()> closed_;
  sys::EventHandle readable_;
};

}  // namespace netserv::transport
