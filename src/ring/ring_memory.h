// The ring file and its mappings: made by the forwarder, mapped by both sides (ring/layout.h).
//
// The file lies on a tmpfs that the caller has mounted nosuid,nodev,noexec and has no name: it is gone when
// both sides have closed it. Its blocks are allocated at once, so that a full tmpfs is an error here and never
// a fault later. The container holds a writable descriptor; should it cut the file short in spite of its
// seccomp filter, an access by the forwarder raises SIGBUS. A guarded mapping survives that: the handler puts
// zeroed private memory in place of the whole mapping and sets faulted(); the owner then cuts the container off.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "ring/layout.h"
#include "sys/fd.h"

namespace netserv::ring {

// A zeroed, allocated, unnamed file of file_bytes(slots) in `directory`.
Result<sys::UniqueFd> create_ring_file(const std::string& directory, std::uint32_t slots = kSlots);

enum class Guard : bool { kNone, kSurviveSigbus };

// A whole ring file, shared. Any thread. At most kMaxGuarded guarded mappings live at once.
class RingMapping {
 public:
  static constexpr std::size_t kMaxGuarded = 8192;
  // Refuses a file of a size that no ring has.
  static Result<std::unique_ptr<RingMapping>> map(int fd, Guard guard);
  ~RingMapping();
  RingMapping(const RingMapping&) = delete;
  RingMapping& operator=(const RingMapping&) = delete;

  std::uint32_t slots() const { return slots_; }
  // A SIGBUS happened: the contents are zeros that nobody else sees.
  bool faulted() const;

  RingHeader& header() { return *reinterpret_cast<RingHeader*>(base_); }
  const RingHeader& header() const { return *reinterpret_cast<const RingHeader*>(base_); }
  SubmitDescriptor* submit() { return reinterpret_cast<SubmitDescriptor*>(base_ + kSubmitOffset); }
  Completion* complete() { return reinterpret_cast<Completion*>(base_ + kCompleteOffset); }
  EmitDescriptor* emit() { return reinterpret_cast<EmitDescriptor*>(base_ + kEmitOffset); }
  std::byte* emit_slot(std::uint32_t slot) { return base_ + kEmitDataOffset + std::size_t{slot} * kSlotBytes; }
  std::byte* window_slot(std::uint32_t slot) { return base_ + kWindowOffset + std::size_t{slot} * kSlotBytes; }
  const std::byte* window_slot(std::uint32_t slot) const {
    return base_ + kWindowOffset + std::size_t{slot} * kSlotBytes;
  }
  std::span<std::byte> bytes() { return {base_, file_bytes(slots_)}; }

 private:
  RingMapping(std::byte* base, std::uint32_t slots, int guard) : base_(base), slots_(slots), guard_(guard) {}
  std::byte* base_;
  std::uint32_t slots_;
  int guard_;  // place in the table of guarded mappings, or -1
};

// Non-blocking, close-on-exec.
Result<sys::UniqueFd> make_event_fd();
void signal_event_fd(int fd);
// Never blocks, however the descriptor's flags are.
void drain_event_fd(int fd);
// Readable after each signal to `event_fd` until drain_waiting_fd(); gives no other hold on the event.
Result<sys::UniqueFd> make_waiting_fd(int event_fd);
void drain_waiting_fd(int fd);

// This thread's core as RingHeader has it.
std::uint32_t core_here();

}  // namespace netserv::ring
