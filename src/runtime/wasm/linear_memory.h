// A module's linear memory and tables: what one instance owns outside its struct, freed all at once.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "runtime/wasm/object.h"

namespace netserv::runtime {

// 8 GiB reserved (any 32-bit address plus any 32-bit offset) and a guard for the width of one access. Pages
// become readable and writable as the memory grows; nothing is ever executable.
class LinearMemory {
 public:
  static constexpr std::size_t kPage = 65536;
  static constexpr std::size_t kReservation = (std::size_t{8} << 30) + 16 * kPage;

  LinearMemory() = default;
  ~LinearMemory();
  LinearMemory(const LinearMemory&) = delete;
  LinearMemory& operator=(const LinearMemory&) = delete;

  Status reserve();
  bool reserved() const { return base_ != nullptr; }
  std::byte* base() const { return base_; }
  const std::byte* end() const { return base_ + kReservation; }
  std::size_t bytes() const { return pages_ * kPage; }
  std::uint32_t pages() const { return static_cast<std::uint32_t>(pages_); }
  // False if the kernel refuses. `pages` never shrinks.
  bool commit(std::uint32_t pages);
  // File bytes over [at, at + bytes), which lies within what is committed and is page-aligned.
  Status map_window(int fd, std::size_t file_offset, std::uint32_t at, std::size_t bytes);
  // Fresh zeroed private memory in the window's place.
  Status unmap_window(std::uint32_t at, std::size_t bytes);

 private:
  std::byte* base_ = nullptr;
  std::size_t pages_ = 0;
};

}  // namespace netserv::runtime
