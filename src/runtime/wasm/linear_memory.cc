#include "runtime/wasm/linear_memory.h"

#include <cerrno>
#include <sys/mman.h>

namespace netserv::runtime {

LinearMemory::~LinearMemory() {
  if (base_ != nullptr) munmap(base_, kReservation);
}

Status LinearMemory::reserve() {
  void* at = mmap(nullptr, kReservation, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return fail_errno("linear memory", "reserve 8 GiB of addresses", errno);
  base_ = static_cast<std::byte*>(at);
  return {};
}

bool LinearMemory::commit(std::uint32_t pages) {
  if (base_ == nullptr || pages < pages_ || pages > 65535) return false;
  if (pages == pages_) return true;
  if (mprotect(base_ + pages_ * kPage, (pages - pages_) * kPage, PROT_READ | PROT_WRITE) != 0) return false;
  pages_ = pages;
  return true;
}

Status LinearMemory::map_window(int fd, std::size_t file_offset, std::uint32_t at, std::size_t bytes) {
  NETSERV_CHECK(std::size_t{at} + bytes <= this->bytes());
  void* mapped = mmap(base_ + at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
                      static_cast<off_t>(file_offset));
  if (mapped == MAP_FAILED) return fail_errno("packet window", "mmap", errno);
  return {};
}

Status LinearMemory::unmap_window(std::uint32_t at, std::size_t bytes) {
  NETSERV_CHECK(std::size_t{at} + bytes <= this->bytes());
  void* mapped =
      mmap(base_ + at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (mapped == MAP_FAILED) return fail_errno("packet window", "unmap", errno);
  return {};
}

}  // namespace netserv::runtime
