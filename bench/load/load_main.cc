// netserv-load: offers UDP frames at an exact rate, and counts what arrives, in the network namespace it is
// started in. The lab and the benches drive it.
//
//   netserv-load send --interface IF --to-mac M --from-mac M --source A --destination B --port P
//                     --rate PPS --seconds S [--size BYTES] [--payload FILE] [--flows N]
//   netserv-load sink --interface IF --port P     a line on stdin: "read" prints, "reset" zeroes, EOF ends
//   netserv-load pass --interface IF              keeps an XDP_PASS program attached until EOF on stdin
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/result.h"
#include "load.h"
#include "load_bpf.skel.h"
#include "wire/ip/packet.h"

namespace netserv {
namespace {

using nlohmann::json;

struct Skeleton {
  ~Skeleton() {
    if (bpf != nullptr) load_bpf::destroy(bpf);
  }
  load_bpf* bpf = nullptr;
};

Status load(Skeleton& skeleton, std::uint16_t sink_port) {
  skeleton.bpf = load_bpf::open();
  if (skeleton.bpf == nullptr) return fail_errno("BPF object", "open", errno);
  skeleton.bpf->rodata->sink_port = htons(sink_port);
  int error = load_bpf::load(skeleton.bpf);
  if (error != 0) return fail_errno("BPF object", "load (root and kernel 5.18 needed)", -error);
  return {};
}

struct FrameSpec {
  std::string to_mac, from_mac, source, destination, payload_file;
  std::uint16_t port = 5060;
  std::uint32_t size = 64;  // on the wire, with the FCS that veth does not carry
};

Result<Bytes> parse_mac(const std::string& text) {
  std::string digits = text;
  digits.erase(std::remove(digits.begin(), digits.end(), ':'), digits.end());
  Bytes mac;
  if (!from_hex(digits, mac) || mac.size() != 6)
    return fail(Origin::kOperator, text, "not a MAC address; write it as 02:00:00:00:00:01");
  return mac;
}

// A UDP frame of the size asked for: its payload is the file, which has a place for the stamp, or zeros.
Result<Bytes> build_frame(const FrameSpec& spec) {
  NETSERV_ASSIGN(Bytes to, parse_mac(spec.to_mac));
  NETSERV_ASSIGN(Bytes from, parse_mac(spec.from_mac));
  NETSERV_ASSIGN(IpAddress source, IpAddress::parse(spec.source));
  NETSERV_ASSIGN(IpAddress destination, IpAddress::parse(spec.destination));
  if (!source.is_v4() || !destination.is_v4()) return fail(Origin::kOperator, spec.source, "IPv4 only");
  Bytes payload;
  if (!spec.payload_file.empty()) {
    std::ifstream file(spec.payload_file, std::ios::binary);
    if (!file) return fail(Origin::kOperator, spec.payload_file, "can't be read");
    std::string text((std::istreambuf_iterator<char>(file)), {});
    if (text.size() < LOAD_STAMP_FROM_END || text.compare(text.size() - LOAD_STAMP_FROM_END, LOAD_STAMP_BYTES, "AAAAAAAA") != 0)
      return fail(Origin::kOperator, spec.payload_file, "has no place for the sending time: AAAAAAAA, four bytes before its end");
    payload.assign(as_bytes(text).begin(), as_bytes(text).end());
  }
  constexpr std::size_t kHeaders = 14 + 20 + 8, kFcs = 4;
  const std::size_t length = spec.size - kFcs;
  if (length > LOAD_FRAME_MAX) return fail(Origin::kOperator, "size", "frame is longer than 1536 bytes");
  if (!payload.empty() && payload.size() != length - kHeaders)
    return fail(Origin::kOperator, spec.payload_file,
                "has " + std::to_string(payload.size()) + " bytes; a frame of the size asked for takes " + std::to_string(length - kHeaders));
  payload.resize(length - kHeaders);

  ByteWriter w;
  w.bytes(to);
  w.bytes(from);
  w.u16(0x0800);
  w.u16(0x4500);
  w.u16(static_cast<std::uint16_t>(length - 14));
  w.u32(0x00004000);  // don't fragment
  w.u16(0x4011);      // TTL 64, UDP
  w.u16(0);
  w.bytes(source.bytes());
  w.bytes(destination.bytes());
  w.u16(20000);
  w.u16(spec.port);
  w.u16(static_cast<std::uint16_t>(length - 34));
  w.u16(0);  // no UDP checksum: the payload changes with every frame
  w.bytes(payload);
  Bytes frame = w.take();
  std::uint16_t sum = internet_checksum(ByteSpan(frame).subspan(14, 20));
  frame[24] = std::byte(sum >> 8);
  frame[25] = std::byte(sum & 0xff);
  return frame;
}

Status send(const std::string& interface, const FrameSpec& spec, double rate, double seconds,
            std::uint32_t flows, std::uint32_t ports) {
  unsigned ifindex = if_nametoindex(interface.c_str());
  if (ifindex == 0) return fail_errno(interface, "no such interface", errno);
  NETSERV_ASSIGN(Bytes frame, build_frame(spec));
  Skeleton skeleton;
  NETSERV_TRY(load(skeleton, spec.port));

  load_plan plan{};
  plan.interval_ps = rate > 0 ? static_cast<__u64>(1e12 / rate) : 0;
  plan.egress = ifindex;
  plan.length = static_cast<__u32>(frame.size());
  plan.flows = flows;
  plan.ports = ports;
  plan.first_port = spec.port;
  plan.source_port_offset = 34;
  std::memcpy(plan.frame, frame.data(), frame.size());
  __u32 zero = 0;
  int map = bpf_map__fd(skeleton.bpf->maps.plan);
  if (bpf_map_update_elem(map, &zero, &plan, BPF_ANY) != 0) return fail_errno("plan", "map update", errno);

  // At low rates small batches: frames leave only when a batch is complete.
  LIBBPF_OPTS(bpf_test_run_opts, options);
  options.data_in = frame.data();
  options.data_size_in = static_cast<__u32>(frame.size());
  options.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
  options.batch_size = rate > 0 ? static_cast<__u32>(std::clamp(rate / 10000, 1.0, 64.0)) : 64;
  std::uint64_t wanted = rate > 0 ? static_cast<std::uint64_t>(rate * seconds) : UINT64_MAX;
  // One run: the kernel takes some 25 ms to end one, in which nothing is sent. An alarm ends it if the rate can't be had.
  ::signal(SIGALRM, [](int) {});
  const double limit = seconds * 1.05 + 0.1;
  itimerval alarm{};
  alarm.it_value = {static_cast<time_t>(limit), static_cast<suseconds_t>(std::fmod(limit, 1) * 1e6)};
  ::setitimer(ITIMER_REAL, &alarm, nullptr);
  options.repeat = static_cast<int>(std::min<std::uint64_t>(wanted, INT_MAX));
  int error = bpf_prog_test_run_opts(bpf_program__fd(skeleton.bpf->progs.load_generate), &options);
  if (error != 0 && error != -EINTR) return fail_errno("generator", "BPF_PROG_TEST_RUN", -error);
  load_plan sent = plan;
  if (bpf_map_lookup_elem(map, &zero, &sent) != 0) return fail_errno("plan", "map look-up", errno);
  if (sent.sent < 2) return fail(Origin::kOperator, "generator", "sent fewer than two frames: offer more, or for longer");
  double between = static_cast<double>(sent.last_ns - sent.first_ns) / 1e9 / static_cast<double>(sent.sent - 1);
  std::cout << json{{"sent", sent.sent}, {"seconds", between * static_cast<double>(sent.sent)}, {"rate", 1 / between}} << "\n";
  return {};
}

struct Counts {
  std::uint64_t received = 0, bytes = 0;
  std::vector<std::uint64_t> buckets = std::vector<std::uint64_t>(LOAD_LATENCY_BUCKETS);
};

Result<Counts> read_counts(load_bpf& bpf) {
  Counts counts;
  int cpus = libbpf_num_possible_cpus();
  std::vector<load_sink> per_cpu(static_cast<std::size_t>(cpus));
  __u32 zero = 0;
  if (bpf_map_lookup_elem(bpf_map__fd(bpf.maps.received), &zero, per_cpu.data()) != 0)
    return fail_errno("sink", "map look-up", errno);
  for (const load_sink& c : per_cpu) {
    counts.received += c.received;
    counts.bytes += c.bytes;
  }
  // In one call: one for each bucket takes longer than a trial.
  std::vector<__u32> keys(LOAD_LATENCY_BUCKETS);
  std::vector<std::uint64_t> values(keys.size() * per_cpu.size());
  __u32 next = 0, count = LOAD_LATENCY_BUCKETS;
  int error = bpf_map_lookup_batch(bpf_map__fd(bpf.maps.latencies), nullptr, &next, keys.data(), values.data(), &count, nullptr);
  if (error != 0 && error != -ENOENT) return fail_errno("sink", "map look-up", -error);
  for (std::size_t i = 0; i < count * per_cpu.size(); ++i) counts.buckets[keys[i / per_cpu.size()]] += values[i];
  return counts;
}

// The bucket's upper edge, microseconds, under which the given share of the difference lies.
double percentile(const Counts& now, const Counts& before, double share) {
  std::uint64_t total = 0, seen = 0;
  for (std::size_t i = 0; i < now.buckets.size(); ++i) total += now.buckets[i] - before.buckets[i];
  if (total == 0) return 0;
  for (std::size_t i = 0; i < now.buckets.size(); ++i) {
    seen += now.buckets[i] - before.buckets[i];
    if (static_cast<double>(seen) >= share * static_cast<double>(total))
      return static_cast<double>(i + 1) * LOAD_BUCKET_NS / 1000;
  }
  return 0;
}

Status attach_until_eof(const std::string& interface, std::uint16_t port, const std::string& command) {
  unsigned ifindex = if_nametoindex(interface.c_str());
  if (ifindex == 0) return fail_errno(interface, "no such interface", errno);
  Skeleton skeleton;
  NETSERV_TRY(load(skeleton, port));
  auto& programs = skeleton.bpf->progs;
  bpf_program* program = command == "sink"    ? programs.load_sink
                         : command == "route" ? programs.load_route
                                              : programs.load_pass;
  // A link goes with this process, however it ends.
  bpf_link* link = bpf_program__attach_xdp(program, static_cast<int>(ifindex));
  if (link == nullptr) return fail_errno(interface, "attaching the XDP program", errno);
  std::cout << json{{"ready", true}} << std::endl;
  Counts before;
  for (std::string line; std::getline(std::cin, line);) {
    auto now = read_counts(*skeleton.bpf);
    if (!now) return fail(now.error());
    if (line == "reset") before = *now;
    std::cout << json{{"received", now->received - before.received},
                      {"bytes", now->bytes - before.bytes},
                      {"p50_us", percentile(*now, before, 0.5)},
                      {"p99_us", percentile(*now, before, 0.99)}}
              << std::endl;
  }
  bpf_link__destroy(link);
  return {};
}

}  // namespace
}  // namespace netserv

int main(int argc, char** argv) {
  using namespace netserv;
  CLI::App app{"Offers UDP frames at an exact rate, or counts what arrives. Example:\n"
               "  netserv-load send --interface g0 --to-mac 02:00:00:00:00:01 --from-mac 02:00:00:00:00:02 \\\n"
               "    --source 10.0.1.2 --destination 10.0.2.2 --port 5060 --rate 20000 --seconds 2"};
  app.require_subcommand(1);
  std::string interface;
  FrameSpec spec;
  double rate = 0, seconds = 1;
  std::uint32_t flows = 1, ports = 1;
  auto* send_command = app.add_subcommand("send", "send frames; rate 0 is as fast as it goes");
  send_command->add_option("--interface", interface)->required();
  send_command->add_option("--to-mac", spec.to_mac)->required();
  send_command->add_option("--from-mac", spec.from_mac)->required();
  send_command->add_option("--source", spec.source)->required();
  send_command->add_option("--destination", spec.destination)->required();
  send_command->add_option("--port", spec.port);
  send_command->add_option("--size", spec.size, "bytes on the wire, FCS included")->check(CLI::Range(64, 1540));
  send_command->add_option("--payload", spec.payload_file);
  send_command->add_option("--rate", rate, "frames a second");
  send_command->add_option("--seconds", seconds);
  send_command->add_option("--flows", flows, "source ports used in turn")->check(CLI::Range(1, 40000));
  send_command->add_option("--ports", ports, "destination ports used in turn, from --port on")->check(CLI::Range(1, 1000));
  auto* sink_command = app.add_subcommand("sink", "count UDP frames and their delay");
  sink_command->add_option("--interface", interface)->required();
  sink_command->add_option("--port", spec.port, "0: any");
  auto* pass_command = app.add_subcommand("pass", "keep an XDP_PASS program attached");
  pass_command->add_option("--interface", interface)->required();
  auto* route_command = app.add_subcommand("route", "forward IPv4 in XDP by the kernel's own routes");
  route_command->add_option("--interface", interface)->required();
  CLI11_PARSE(app, argc, argv);

  Status status = send_command->parsed() ? send(interface, spec, rate, seconds, flows, ports)
                                         : attach_until_eof(interface, spec.port, app.get_subcommands().front()->get_name());
  if (!status) {
    std::cerr << "netserv-load: " << status.error().message() << "\n";
    return 1;
  }
  return 0;
}
