#include "plane/xdp/umem.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cerrno>

namespace netserv::plane {

Result<std::unique_ptr<Umem>> Umem::create(std::uint32_t frames, FrameLayout layout) {
  std::unique_ptr<Umem> umem(new Umem(frames, layout));
  int kind = MAP_PRIVATE | MAP_ANONYMOUS;
  if (layout == FrameLayout::kDense) {
    LIBBPF_OPTS(bpf_map_create_opts, options);
    options.map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP;
    umem->map_ = sys::UniqueFd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "packet_memory", sizeof(std::uint32_t),
                                              umem->frame_bytes(), frames, &options));
    if (!umem->map_) return fail_errno("packet memory", "a BPF array of " + std::to_string(frames) + " frames", errno);
    kind = MAP_SHARED;
  }
  std::size_t bytes = umem->area_bytes();
  void* area = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind | MAP_POPULATE, umem->map_.get(), 0);
  if (area == MAP_FAILED) return fail_errno("packet memory", "mmap of " + std::to_string(bytes) + " bytes", errno);
  umem->area_ = static_cast<std::byte*>(area);

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
  if (area_ != nullptr) ::munmap(area_, area_bytes());
}

}  // namespace netserv::plane
