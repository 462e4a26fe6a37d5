// One netfilter queue (NFQUEUE) over libmnl: many packets a recvmmsg, verdicts packed many to a datagram.
// One that fails open: when it is full, or nobody has bound it, the kernel lets packets pass; and when this process has
// come to a stop (QueueWatchdog). One that fails closed: then the kernel drops them, and holds what this process, while it is
// stopped, has not decided.
//
// A packet stays in the kernel until its verdict; what we hold is a copy in a buffer of ours. Runs of plain
// accepts at the head of the queue take one batch verdict, since that speaks of all packets up to an id.
#pragma once

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "forward/packet_plane.h"
#include "sys/fd.h"

struct nlmsghdr;

namespace netserv::plane {

struct QueueCounters {
  std::uint64_t unseen = 0;            // numbered by the kernel, and passed by: our socket had no room
  std::uint64_t malformed = 0;         // messages that made no sense
  std::uint64_t verdict_errors = 0;    // refused by the kernel, or not sent
  std::uint64_t batch_verdicts = 0, single_verdicts = 0;
  std::uint64_t freed = 0;             // times that the watchdog let everything pass
  std::uint64_t freed_unseen = 0;      // packets among those that were on their way to us
};

// Of the kernel's queue, from /proc. What fails open is in none of its counts.
struct QueueState {
  std::uint64_t queue_dropped = 0;  // the queue was full, and they were dropped
  std::uint64_t user_dropped = 0;   // could not be told to us, and were dropped
  std::uint32_t last_id = 0;
};
QueueState queue_state(std::uint16_t number);
void set_queue_length(int socket, std::uint16_t number, std::uint32_t packets);

class QueueWatchdog;
enum class QueueFails : std::uint8_t { kOpen, kClosed };

class NfQueue {
 public:
  static constexpr std::size_t kBatch = 128;
  // As many as the forwarder keeps in flight and a batch on top: there is always room to read what is there.
  static constexpr std::size_t kBuffers = 4096 + kBatch;

  // Binds queue `number` in this network namespace. Cookies are numbers from `first_cookie` on, kBuffers of them.
  static Result<std::unique_ptr<NfQueue>> open(std::uint16_t number, QueueFails fails = QueueFails::kOpen,
                                               std::uint64_t first_cookie = 0);
  ~NfQueue();

  int fd() const { return socket_.get(); }
  std::span<const forward::Packet> receive(TimePoint now);
  // Until there is something to receive, for a few milliseconds at most; false if there is nothing.
  bool await();
  // Each received packet exactly once. The data of a changed packet is read before return.
  void accept(std::uint64_t cookie);
  void accept_changed(std::uint64_t cookie, ByteSpan bytes);
  void drop(std::uint64_t cookie);
  // Sends what has gathered.
  void flush();

  const QueueCounters& counters() const { return counters_; }
  QueueState kernel_state() const { return queue_state(number_); }
  // Called several times a second, or the watchdog takes this process for stopped.
  void alive(TimePoint now);
  // False if the watchdog has let this packet pass meanwhile.
  bool is_ours(std::uint64_t cookie) const;

 private:
  enum class Order : std::uint8_t { kWaiting, kAccepted, kDone };
  struct Buffer {
    std::uint32_t id = 0;
    std::uint64_t position = 0;  // in order of arrival
  };
  struct Arrival {
    std::uint32_t id = 0;
    Order state = Order::kWaiting;
  };

  NfQueue(std::uint16_t number, QueueFails fails, std::uint64_t first_cookie);
  Status configure();
  Buffer& buffer_of(std::uint64_t cookie) { return buffers_[cookie - first_cookie_]; }
  void free(std::uint64_t cookie) { free_.push_back(static_cast<std::uint32_t>(cookie - first_cookie_)); }
  std::byte* buffer(std::size_t n) { return memory_.get() + n * kBufferBytes; }
  int read(int flags);
  bool decode(std::size_t buffer_number, std::size_t bytes, TimePoint now);
  void verdict(std::uint32_t id, std::uint32_t verdict, bool batch, ByteSpan payload);
  void send_messages();
  void done(std::uint64_t cookie, Order state);
  void take_back();

  // A packet one byte longer than a slot, and what the kernel tells about it. Not a power of two: buffers that lie that
  // far apart would all compete for the same few sets of a cache.
  static constexpr std::size_t kBufferBytes = 2624;
  // Packets between the oldest without a verdict and the newest; as many as come while one is held. Beyond that a
  // packet has no position, and gets a verdict message of its own.
  static constexpr std::size_t kArrivals = 1 << 16;
  static constexpr std::uint64_t kNoPosition = ~std::uint64_t{0};
  static constexpr std::uint64_t kFreed = kNoPosition - 1;  // the watchdog has let it pass
  static constexpr std::size_t kMessageBytes = 64 * 1024;

  const std::uint16_t number_;
  const QueueFails fails_;
  const std::uint64_t first_cookie_;
  sys::UniqueFd socket_;
  std::unique_ptr<std::byte[]> memory_;
  std::vector<Buffer> buffers_;
  std::vector<std::uint32_t> free_;
  std::vector<mmsghdr> headers_;  // made once; recvmmsg() is told where by their vectors_
  std::vector<iovec> vectors_;
  std::array<std::uint32_t, kBatch> reading_{};  // buffers that read() has filled
  int awaited_ = 0;  // of them, by await()
  std::vector<forward::Packet> received_;
  std::uint32_t last_id_ = 0;  // of the kernel's numbers, one for each packet that was to come to us
  std::vector<Arrival> arrivals_;  // a ring, positions head_..tail_
  std::uint64_t head_ = 0, tail_ = 0;
  std::vector<std::uint64_t> accepted_;  // positions since the last flush
  std::unique_ptr<std::byte[]> messages_;
  std::size_t message_bytes_ = 0;
  QueueCounters counters_;
  std::unique_ptr<QueueWatchdog> watchdog_;  // none: it fails closed
};

}  // namespace netserv::plane
