#include "plane/xdp/wake.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>

namespace netserv::plane {

Result<std::unique_ptr<Wake>> Wake::create() {
  sys::UniqueFd map(bpf_map_create(BPF_MAP_TYPE_RINGBUF, "wake", 0, 0, 4096, nullptr));
  if (!map) return fail_errno("ring buffer", "making one to be woken by", errno);
  std::unique_ptr<Wake> wake(new Wake(std::move(map)));
  wake->records_ = ring_buffer__new(wake->fd(), [](void*, void*, std::size_t) { return 0; }, nullptr, nullptr);
  if (wake->records_ == nullptr) return fail_errno("ring buffer", "mapping the one to be woken by", errno);
  return wake;
}

Wake::~Wake() { ring_buffer__free(records_); }

void Wake::clear() { ring_buffer__consume(records_); }

}  // namespace netserv::plane
