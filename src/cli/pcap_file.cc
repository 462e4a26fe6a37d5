#include "cli/pcap_file.h"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <optional>

namespace netserv::cli {
namespace {

constexpr std::uint16_t kIpv4 = 0x0800, kIpv6 = 0x86dd, kVlan = 0x8100, kServiceVlan = 0x88a8;

constexpr std::int64_t kLastSecond = 9'000'000'000;  // in the year 2255; 64-bit nanoseconds end 7 years later

// What comes before the IP header. Empty if the frame holds no IP packet.
struct Inner {
  std::size_t offset = 0;
  std::uint16_t vlan = 0xffff;
};

std::optional<Inner> after_ether_type(ByteReader& reader) {
  Inner inner;
  std::uint16_t type = reader.u16();
  while (reader.ok() && (type == kVlan || type == kServiceVlan)) {
    std::uint16_t tag = reader.u16();
    if (inner.vlan == 0xffff) inner.vlan = tag & 0x0fff;
    type = reader.u16();
  }
  if (!reader.ok() || (type != kIpv4 && type != kIpv6)) return std::nullopt;
  inner.offset = reader.position();
  return inner;
}

std::optional<Inner> find_ip(int link_type, ByteSpan frame) {
  ByteReader reader(frame);
  switch (link_type) {
    case DLT_EN10MB:
      reader.skip(12);
      return after_ether_type(reader);
    case DLT_LINUX_SLL:
      reader.skip(14);
      return after_ether_type(reader);
    case DLT_LINUX_SLL2: {
      std::uint16_t type = reader.u16();
      if (type != kIpv4 && type != kIpv6) return std::nullopt;
      return Inner{20, 0xffff};
    }
    case DLT_NULL:
    case DLT_LOOP: return Inner{4, 0xffff};
    default: return Inner{};
  }
}

bool is_known(int link_type) {
  switch (link_type) {
    case DLT_EN10MB: case DLT_LINUX_SLL: case DLT_LINUX_SLL2: case DLT_NULL: case DLT_LOOP: case DLT_RAW:
    case DLT_IPV4: case DLT_IPV6: return true;
    default: return false;
  }
}

class Reader final : public PcapReader {
 public:
  Reader(pcap_t* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  ~Reader() override { pcap_close(handle_); }

  Status each(const std::function<Status(const CapturedPacket&)>& packet, std::uint64_t& skipped) override {
    const int link_type = pcap_datalink(handle_);
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    bool first = true;
    for (;;) {
      int got = pcap_next_ex(handle_, &header, &data);
      if (got == PCAP_ERROR_BREAK) return {};
      if (got != 1) return fail(Origin::kOperator, path_, pcap_geterr(handle_));
      const ByteSpan frame = std::as_bytes(std::span(data, header->caplen));
      auto inner = find_ip(link_type, frame);
      if (!inner || inner->offset >= frame.size() || header->len < inner->offset) {
        skipped++;
        continue;
      }
      // Opened with nanosecond precision: tv_usec holds nanoseconds. A file may name times that a clock can't.
      WallTime time(std::chrono::seconds(std::clamp<std::int64_t>(header->ts.tv_sec, 0, kLastSecond)) +
                    Duration(std::clamp<std::int64_t>(header->ts.tv_usec, 0, 999'999'999)));
      if (first) start_ = time;
      first = false;
      NETSERV_TRY(packet({time - start_, frame.subspan(inner->offset),
                          static_cast<std::uint32_t>(header->len - inner->offset), inner->vlan}));
    }
  }
  WallTime start() const override { return start_; }

 private:
  pcap_t* handle_;
  std::string path_;
  WallTime start_{};
};

class Writer final : public PcapWriter {
 public:
  Writer(pcap_t* handle, pcap_dumper_t* dumper, std::string path)
      : handle_(handle), dumper_(dumper), path_(std::move(path)) {}
  ~Writer() override {
    if (dumper_) pcap_dump_close(dumper_);
    pcap_close(handle_);
  }
  void write(WallTime time, ByteSpan ip_packet) override {
    pcap_pkthdr header{};
    auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    header.ts.tv_sec = seconds.time_since_epoch().count();
    header.ts.tv_usec = (time - seconds).count();
    header.caplen = header.len = static_cast<bpf_u_int32>(ip_packet.size());
    pcap_dump(reinterpret_cast<u_char*>(dumper_), &header, reinterpret_cast<const u_char*>(ip_packet.data()));
  }
  Status close() override {
    int flushed = pcap_dump_flush(dumper_);
    pcap_dump_close(dumper_);
    dumper_ = nullptr;
    if (flushed != 0) return fail(Origin::kSystem, path_, "cannot write all of it; is the disk full?");
    return {};
  }

 private:
  pcap_t* handle_;
  pcap_dumper_t* dumper_;
  std::string path_;
};

}  // namespace

Result<std::unique_ptr<PcapReader>> PcapReader::open(const std::string& path) {
  char error[PCAP_ERRBUF_SIZE] = "";
  pcap_t* handle = pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error);
  if (!handle) {
    std::string text = error;  // libpcap may have put the path in front
    if (text.rfind(path + ": ", 0) == 0) text.erase(0, path.size() + 2);
    return fail(Origin::kOperator, path, text);
  }
  const int link_type = pcap_datalink(handle);
  if (!is_known(link_type)) {
    const char* name = pcap_datalink_val_to_name(link_type);
    pcap_close(handle);
    return fail(Origin::kOperator, path, fmt::format("link type {} is not read; use Ethernet, raw IP or Linux cooked",
                                                     name ? name : std::to_string(link_type).c_str()));
  }
  return std::make_unique<Reader>(handle, path);
}

Result<std::unique_ptr<PcapWriter>> PcapWriter::create(const std::string& path) {
  pcap_t* handle = pcap_open_dead_with_tstamp_precision(DLT_RAW, 65535, PCAP_TSTAMP_PRECISION_NANO);
  if (!handle) return fail(Origin::kSystem, path, "no memory for a capture");
  pcap_dumper_t* dumper = pcap_dump_open(handle, path.c_str());
  if (!dumper) {
    std::string text = pcap_geterr(handle);
    pcap_close(handle);
    return fail(Origin::kOperator, path, text);
  }
  return std::make_unique<Writer>(handle, dumper, path);
}

}  // namespace netserv::cli
