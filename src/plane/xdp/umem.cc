#include "plane/xdp/umem.h"

#include <sys/mman.h>

#include <cerrno>

namespace netserv::plane {

Result<std::unique_ptr<Umem>> Umem::create(std::uint32_t frames, FrameLayout layout) {
  std::unique_ptr<Umem> umem(new Umem(layout));
  std::size_t bytes = umem->area_bytes(frames);
  void* area = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (area == MAP_FAILED) return fail_errno("packet memory", "mmap of " + std::to_string(bytes) + " bytes", errno);
  umem->area_ = static_cast<std::byte*>(area);
  umem->frames_ = frames;
  for (std::uint32_t i = frames; i > 0; --i) umem->free_.push_back(FrameAddress{i - 1} * umem->frame_bytes());

  xsk_umem_config config{};
  config.fill_size = XSK_RING_PROD__DEFAULT_NUM_DESCS;
  config.comp_size = XSK_RING_CONS__DEFAULT_NUM_DESCS;
  config.frame_size = umem->frame_bytes();
  if (layout == FrameLayout::kDense) config.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  int error = xsk_umem__create(&umem->umem_, area, bytes, &umem->first_.fill, &umem->first_.completion, &config);
  if (error != 0) return fail_errno("packet memory", "registering it for AF_XDP", -error);
  return umem;
}

void Umem::unregister() {
  if (umem_ != nullptr) xsk_umem__delete(umem_);
  umem_ = nullptr;
}

Umem::~Umem() {
  unregister();
  if (area_ != nullptr) ::munmap(area_, area_bytes(frames_));
}

bool Umem::take(FrameAddress& frame) {
  if (free_.empty()) return false;
  frame = free_.back();
  free_.pop_back();
  return true;
}

}  // namespace netserv::plane
