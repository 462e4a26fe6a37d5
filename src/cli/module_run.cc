#include "cli/module_run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <ostream>

#include "cli/desk.h"
#include "cli/exit_codes.h"
#include "cli/files.h"
#include "cli/pcap_file.h"
#include "compile/answer.h"
#include "compile/helper.h"
#include "runtime/wasm/wasm_runtime.h"

namespace netserv::cli {
namespace {

using nlohmann::json;

std::string_view verdict_name(dispatch::Verdict v) {
  switch (v) {
    case dispatch::Verdict::kPass: return "pass";
    case dispatch::Verdict::kDrop: return "drop";
    case dispatch::Verdict::kReply: return "reply";
    case dispatch::Verdict::kSteal: return "steal";
  }
  return "?";
}

std::string protocol_name(std::uint8_t protocol) {
  switch (protocol) {
    case kProtocolTcp: return "tcp";
    case kProtocolUdp: return "udp";
    case kProtocolIcmp: return "icmp";
    case kProtocolIcmp6: return "icmp6";
    default: return std::to_string(protocol);
  }
}

std::string endpoint(const IpAddress& address, bool has_port, std::uint16_t port) {
  if (!has_port) return address.to_string();
  return address.is_v6() ? fmt::format("[{}]:{}", address.to_string(), port) : fmt::format("{}:{}", address.to_string(), port);
}

double seconds(TimePoint time) { return std::chrono::duration<double>(time - Desk::kStart).count(); }

// Takes what the desk says and prints it, at once for people, at the end as JSON.
class Report {
 public:
  Report(const RunOptions& options, std::ostream& out, PcapWriter* writer, const PcapReader& reader)
      : options_(options), out_(out), writer_(writer), reader_(reader) {}

  DeskEvents events() {
    return {[this](const JudgedPacket& p) { packet(p); }, [this](TimePoint t, ByteSpan b) { emitted(t, b); },
            [this](const SentDatagram& d) { datagram(d); },
            [this](TimePoint t, int level, std::string_view text) { log(t, level, text); }};
  }

  void finish(const std::string& module, const Desk& desk, std::uint64_t not_ip, const std::string& trap) {
    const auto counters = desk.counters(), refused = desk.refused();
    summary_["not_ip"] = not_ip;
    if (options_.json) {
      json all = {{"module", module}, {"summary", summary_}, {"datagrams", datagrams_}, {"log", log_}, {"counters", counters},
                  {"refused", refused}};
      if (!options_.summary) all["packets"] = packets_;
      if (!trap.empty()) all["trap"] = trap;
      out_ << all.dump(2, ' ', false, json::error_handler_t::replace) << "\n";
      return;
    }
    out_ << module << ":";
    for (const char* name : {"packets", "pass", "drop", "reply", "steal", "changed", "bypassed", "emitted", "not_ip"})
      out_ << " " << name << " " << summary_[name];
    out_ << "\n";
    for (const auto& [name, value] : counters) out_ << "counter " << name << " " << value << "\n";
    for (const auto& [name, value] : refused) out_ << name << " " << value << "\n";
    if (!trap.empty()) out_ << "TRAP " << trap << "\n";
  }

 private:
  void packet(const JudgedPacket& p) {
    const std::string verdict(p.bypassed ? "bypassed" : verdict_name(p.verdict));
    summary_["packets"]++;
    summary_[verdict]++;
    if (p.changed) summary_["changed"]++;
    if (p.verdict == dispatch::Verdict::kPass || p.verdict == dispatch::Verdict::kReply) capture(p.time, p.bytes);
    if (options_.summary) return;
    std::string from = "?", to = "?", protocol = "?";
    if (p.before) {
      from = endpoint(p.before->source, p.before->has_ports, p.before->source_port);
      to = endpoint(p.before->destination, p.before->has_ports, p.before->destination_port);
      protocol = protocol_name(p.before->protocol);
    }
    if (options_.json) {
      packets_.push_back({{"number", p.number}, {"time", seconds(p.time)}, {"from", from}, {"to", to}, {"protocol", protocol},
                          {"length", p.length}, {"verdict", verdict}, {"changed", p.changed}, {"new_length", p.bytes.size()}});
      return;
    }
    out_ << fmt::format("{:6} {:12.6f}  {:5} {:>5} B  {:8}  {} > {}", p.number, seconds(p.time), protocol, p.length, verdict,
                        from, to);
    if (p.changed) out_ << fmt::format("  changed, {} B", p.bytes.size());
    out_ << "\n";
  }
  void emitted(TimePoint time, ByteSpan bytes) {
    summary_["emitted"]++;
    capture(time, bytes);
    if (!options_.json && !options_.summary)
      out_ << fmt::format("     - {:12.6f}  emitted {} B\n", seconds(time), bytes.size());
  }
  void datagram(const SentDatagram& d) {
    if (options_.json) {
      datagrams_.push_back({{"time", seconds(d.time)}, {"to", d.to.to_string()}, {"port", d.port}, {"text", d.data}});
      return;
    }
    out_ << fmt::format("     - {:12.6f}  datagram to {}, {} B: ", seconds(d.time), endpoint(d.to, true, d.port), d.data.size());
    for (char c : d.data) out_ << (c >= ' ' && c < 0x7f ? c : '.');
    out_ << "\n";
  }
  void log(TimePoint time, int level, std::string_view text) {
    static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
    const char* name = kLevels[level < 0 || level > 3 ? 3 : level];
    if (options_.json)
      log_.push_back({{"time", seconds(time)}, {"level", name}, {"text", std::string(text)}});
    else
      out_ << fmt::format("     - {:12.6f}  log {}: {}\n", seconds(time), name, text);
  }
  void capture(TimePoint time, ByteSpan bytes) {
    if (writer_) writer_->write(reader_.start() + (time - Desk::kStart), bytes);
  }

  const RunOptions& options_;
  std::ostream& out_;
  PcapWriter* writer_;
  const PcapReader& reader_;
  std::map<std::string, std::uint64_t> summary_;
  json packets_ = json::array(), datagrams_ = json::array(), log_ = json::array();
};

// In the confined helper process, as a node does it.
Result<compile::HelperResult> compile_to(const std::string& wasm, const std::string& object) {
  if (isatty(STDERR_FILENO)) std::fprintf(stderr, "compiling %s ...\n", wasm.c_str());
  compile::HelperJob job;
  job.input = wasm;
  job.output = object;
  if (getuid() != 0) job.identity = {getuid(), getgid()};
  auto result = compile::decode_answer(compile::run_helper(job).json);
  if (!result && result.error().code == 0)
    result.error().code = result.error().origin == Origin::kPublisher ? kExitRefused : kExitUnavailable;
  return result;
}

Error with_code(Error error, int code) {
  if (error.code == 0) error.code = code;
  return error;
}

}  // namespace

Result<bool> run_module(const RunOptions& options, std::ostream& out) {
  auto reader = PcapReader::open(options.pcap);
  if (!reader) return fail(with_code(reader.error(), kExitUnavailable));
  std::unique_ptr<PcapWriter> writer;
  if (!options.out.empty()) {
    auto made = PcapWriter::create(options.out);
    if (!made) return fail(with_code(made.error(), kExitUnavailable));
    writer = *std::move(made);
  }
  NETSERV_ASSIGN(TemporaryFolder folder, TemporaryFolder::make());
  const std::string object = folder.path() + "/module.so";
  NETSERV_ASSIGN(compile::HelperResult compiled, compile_to(options.wasm, object));

  const std::string id = compiled.manifest.name + "_" + compiled.manifest.version;
  Report report(options, out, writer.get(), **reader);
  NETSERV_ASSIGN(auto runtime, runtime::make_wasm_runtime());
  dispatch::ModuleSpec spec{ModuleId(id), ModuleSlot(0), object, options.properties, compiled.manifest.blocks,
                            compiled.manifest.memory_pages ? compiled.manifest.memory_pages : 1024};
  auto desk = Desk::open(*runtime, spec, options.batch, report.events());
  if (!desk) return fail(with_code(desk.error(), kExitRefused));

  TimePoint last = Desk::kStart;
  std::uint64_t not_ip = 0;
  bool module_failed = false;
  auto step = [&](Status status) {
    module_failed = module_failed || !status;
    return status;
  };
  Status fed = (*reader)->each(
      [&](const CapturedPacket& p) {
        last = std::max(last, Desk::kStart + p.time);
        return step((*desk)->packet(Desk::kStart + p.time, p.bytes, p.original_length, p.vlan));
      },
      not_ip);
  if (fed) fed = step((*desk)->advance(last + std::chrono::milliseconds(options.after_ms)));
  if (fed) fed = step((*desk)->stop());
  if (!fed && !module_failed) return fail(with_code(fed.error(), kExitUnavailable));
  report.finish(id, **desk, not_ip, fed ? "" : fed.error().message());
  if (writer) {
    Status closed = writer->close();
    if (!closed) return fail(with_code(closed.error(), kExitFailed));
  }
  return fed.has_value();
}

}  // namespace netserv::cli
