// Capture files that a publisher gives to `netserv module run`: libpcap's reader and ours, through a file in memory. Every
// byte of every packet is there.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "cli/pcap_file.h"

using namespace netserv;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int fd = ::memfd_create("capture", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(fd);
  NETSERV_CHECK(::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
  auto reader = cli::PcapReader::open(path);
  if (!reader) return 0;
  std::uint64_t skipped = 0, bytes = 0;
  (void)(*reader)->each([&](const cli::CapturedPacket& packet) -> Status {
    NETSERV_CHECK(!packet.bytes.empty());
    for (std::byte b : packet.bytes) bytes += std::to_integer<std::uint64_t>(b);  // each is there
    return {};
  }, skipped);
  volatile std::uint64_t read = bytes;
  (void)read;
  return 0;
}
