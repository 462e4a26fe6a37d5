// Packets of a capture file, from their IP headers on, and the way back into one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"

namespace netserv::cli {

struct CapturedPacket {
  Duration time{};            // since the first packet of the file
  ByteSpan bytes;             // from the IP header on; gone after the call
  std::uint32_t original_length = 0;
  std::uint16_t vlan = 0xffff;  // of the outermost tag, or NETSERV_NO_VLAN
};

// Reads Ethernet (802.1Q and 802.1ad tags too), raw IP, Linux cooked and loopback captures, pcap or pcapng.
class PcapReader {
 public:
  static Result<std::unique_ptr<PcapReader>> open(const std::string& path);
  virtual ~PcapReader() = default;
  // Calls `packet` for each IP packet; `skipped` counts the frames that hold none. An error if the file is broken
  // off or `packet` returns one.
  virtual Status each(const std::function<Status(const CapturedPacket&)>& packet, std::uint64_t& skipped) = 0;
  // Wall-clock time of the first packet, once each() has seen it.
  virtual WallTime start() const = 0;
};

// Writes raw-IP captures with nanosecond times.
class PcapWriter {
 public:
  static Result<std::unique_ptr<PcapWriter>> create(const std::string& path);
  virtual ~PcapWriter() = default;
  virtual void write(WallTime time, ByteSpan ip_packet) = 0;
  // An error if any write failed.
  virtual Status close() = 0;
};

}  // namespace netserv::cli
