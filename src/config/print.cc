#include <fmt/format.h>

#include "config/config.h"

namespace netserv::config {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    else
      out += c;
  }
  return out + '"';
}
std::string value(const std::string& v) { return quoted(v); }
std::string value(bool v) { return v ? "true" : "false"; }
std::string value(const Prefix& v) { return quoted(v.to_string()); }
std::string value(const Port& v) { return quoted(fmt::format("{}/{}", v.protocol, v.port)); }
template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>)
std::string value(T v) { return fmt::format("{}", v); }
template <class T>
std::string value(const std::vector<T>& list) {
  std::string out = "[";
  for (const T& v : list) out += (out.size() > 1 ? ", " : "") + value(v);
  return out + "]";
}
template <class T>
void line(std::string& out, const char* key, const T& v) { out += fmt::format("{} = {}\n", key, value(v)); }

std::string_view level(LogLevel l) {
  switch (l) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "info";
}

}  // namespace

std::string print(const Config& c) {
  std::string o = "[node]\n";
  line(o, "address", c.node.address.to_string());
  line(o, "state_folder", c.node.state_folder);
  line(o, "run_folder", c.node.run_folder);
  line(o, "cache_folder", c.node.cache_folder);
  line(o, "program_folder", c.node.program_folder);
  line(o, "management", c.node.management);
  line(o, "withhold", c.node.withhold);
  o += "\n[ncm]\n";
  line(o, "socket", c.ncm.socket);
  o += fmt::format("mode = 0o{:o}\n", c.ncm.mode);
  line(o, "require_digest", c.ncm.require_digest);
  line(o, "require_nonce", c.ncm.require_nonce);
  o += "\n[admin]\n";
  line(o, "socket", c.admin.socket);
  o += fmt::format("mode = 0o{:o}\n", c.admin.mode);
  o += "\n[forwarder]\n";
  line(o, "socket", c.forwarder.socket);
  line(o, "plane", c.forwarder.plane);
  line(o, "interfaces", c.forwarder.interfaces);
  line(o, "bypass", c.forwarder.bypass);
  line(o, "busy_poll", c.forwarder.busy_poll);
  line(o, "workers", c.forwarder.workers);
  line(o, "worker_cores", c.forwarder.worker_cores);
  o += "\n[containers]\n";
  line(o, "pool4", c.containers.pool4);
  if (c.containers.pool6) line(o, "pool6", *c.containers.pool6);
  line(o, "id_base", c.containers.id_base);
  line(o, "idle_seconds", c.containers.idle_seconds);
  line(o, "spin_us", c.containers.spin_us);
  o += "\n[helpers]\n";
  line(o, "parallel", c.helpers.parallel);
  line(o, "fetch_seconds", c.helpers.fetch_seconds);
  line(o, "compile_seconds", c.helpers.compile_seconds);
  line(o, "module_bytes", c.helpers.module_bytes);
  line(o, "private_ranges", c.helpers.private_ranges);
  line(o, "user_id", c.helpers.user_id);
  o += "\n[metrics]\n";
  if (const auto& l = c.metrics.listen)
    line(o, "listen", l->address.find(':') == std::string::npos ? fmt::format("{}:{}", l->address, l->port)
                                                                : fmt::format("[{}]:{}", l->address, l->port));
  line(o, "refresh_ms", c.metrics.refresh_ms);
  o += "\n[log]\n";
  line(o, "level", std::string(level(c.log_level)));
  for (const Publisher& p : c.publishers) {
    o += "\n[[publisher]]\n";
    line(o, "name", p.name);
    line(o, "key", p.key);
    line(o, "destinations", p.destinations);
    line(o, "ports", p.ports);
    line(o, "listen", p.listen);
    line(o, "egress", p.egress);
    line(o, "blocks", p.blocks);
    line(o, "priority", p.priority);
    line(o, "fail_closed", p.fail_closed);
    line(o, "max_modules", p.max_modules);
    line(o, "max_ttl_seconds", p.max_ttl_seconds);
    line(o, "module_memory_mb", p.module_memory_mb);
    line(o, "emit_packets_per_second", p.emit_packets_per_second);
    line(o, "bandwidth_kbit", p.bandwidth_kbit);
    line(o, "memory_mb", p.memory_mb);
    line(o, "cpu_percent", p.cpu_percent);
    line(o, "processes", p.processes);
  }
  return o;
}

}  // namespace netserv::config
