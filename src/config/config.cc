#include "config/config.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/section.h"

namespace netserv::config {
namespace {

constexpr std::int64_t kMode = 0777;

Result<Listen> parse_listen(std::string_view text) {
  auto colon = text.rfind(':');
  auto no = [&] { return fail(Origin::kOperator, {}, fmt::format("\"{}\" is not ADDRESS:PORT", text)); };
  if (colon == std::string_view::npos) return no();
  Listen out;
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!IpAddress::parse(host)) return no();
  out.address = host;
  unsigned port = 0;
  for (char c : text.substr(colon + 1)) {
    if (c < '0' || c > '9' || port > 65535) return no();
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  if (port == 0 || port > 65535) return no();
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

Result<Port> parse_port(std::string_view text) {
  auto slash = text.find('/');
  Port out;
  unsigned port = 0;
  if (slash != std::string_view::npos)
    for (char c : text.substr(slash + 1)) port = c < '0' || c > '9' || port > 65535 ? 70000 : port * 10 + static_cast<unsigned>(c - '0');
  out.protocol = text.substr(0, slash);
  if ((out.protocol != "udp" && out.protocol != "tcp") || port == 0 || port > 65535)
    return fail(Origin::kOperator, {}, fmt::format("\"{}\" is not udp/PORT or tcp/PORT", text));
  out.port = static_cast<std::uint16_t>(port);
  return out;
}

Result<LogLevel> parse_level(std::string_view text) {
  if (text == "debug") return LogLevel::kDebug;
  if (text == "info") return LogLevel::kInfo;
  if (text == "warning") return LogLevel::kWarning;
  if (text == "error") return LogLevel::kError;
  return fail(Origin::kOperator, {}, fmt::format("\"{}\" is not debug, info, warning or error", text));
}

void read_node(Section& s, Config::Node& n) {
  s.require("address");
  s.parsed("address", n.address, &IpAddress::parse);
  s.text("state_folder", n.state_folder);
  s.text("run_folder", n.run_folder);
  s.text("cache_folder", n.cache_folder);
  s.text("program_folder", n.program_folder);
  s.prefixes("management", n.management);
  s.texts("withhold", n.withhold);
  if (s.has("address") && (n.address.is_unspecified() || n.address.is_multicast()))
    s.problem("address", "must be an address of this node");
  for (auto [key, folder] : {std::pair{"state_folder", &n.state_folder}, {"run_folder", &n.run_folder}, {"cache_folder", &n.cache_folder}})
    if (!folder->starts_with('/')) s.problem(key, "must be an absolute path");
  if (n.state_folder == n.run_folder) s.problem("run_folder", "must differ from state_folder");
  if (n.cache_folder == n.run_folder || n.cache_folder == n.state_folder)
    s.problem("cache_folder", "must differ from state_folder and run_folder");
}

void read_forwarder(Section& s, Config::Forwarder& f) {
  s.text("socket", f.socket);
  s.text("plane", f.plane);
  s.texts("interfaces", f.interfaces);
  s.boolean("bypass", f.bypass);
  s.boolean("busy_poll", f.busy_poll);
  s.number("workers", f.workers, 1, 16);
  s.numbers("worker_cores", f.worker_cores, 0, 1023);
  if (!f.worker_cores.empty() && f.worker_cores.size() != f.workers)
    s.problem("worker_cores", "must name a core for each worker, or none");
  if (f.plane != "auto" && f.plane != "xdp" && f.plane != "netfilter") s.problem("plane", "must be auto, xdp or netfilter");
}

void read_containers(Section& s, Config::Containers& c) {
  s.parsed("pool4", c.pool4, &Prefix::parse);
  Prefix six;
  s.parsed("pool6", six, &Prefix::parse);
  if (s.has("pool6")) c.pool6 = six;
  s.number("id_base", c.id_base, 65536, 0x7fff0000);
  s.number("idle_seconds", c.idle_seconds, 1, 86400);
  s.number("spin_us", c.spin_us, 0, 100000);
  if (!c.pool4.address().is_v4() || c.pool4.length() > 30) s.problem("pool4", "must be an IPv4 prefix of at most 30 bits");
  if (c.pool6 && (!c.pool6->address().is_v6() || c.pool6->length() > 126)) s.problem("pool6", "must be an IPv6 prefix of at most 126 bits");
}

void read_helpers(Section& s, Config::Helpers& h) {
  s.number("parallel", h.parallel, 1, 64);
  s.number("fetch_seconds", h.fetch_seconds, 1, 600);
  s.number("compile_seconds", h.compile_seconds, 1, 600);
  s.number("module_bytes", h.module_bytes, 1024, 64 << 20);
  s.prefixes("private_ranges", h.private_ranges);
  s.number("user_id", h.user_id);
}

void read_publisher(Section& s, Publisher& p) {
  s.require("name");
  s.require("key");
  s.text("name", p.name);
  s.text("key", p.key);
  s.prefixes("destinations", p.destinations);
  s.list<std::uint16_t>("ports", p.ports, [&](const toml::node& n, std::uint16_t& v) { s.number_of(n, "ports", v, 1, 65535); });
  s.list<Port>("listen", p.listen, [&](const toml::node& n, Port& v) { s.parsed_of(n, "listen", v, &parse_port); });
  s.prefixes("egress", p.egress);
  s.texts("blocks", p.blocks);
  s.number("priority", p.priority, -1000000, 1000000);
  s.boolean("fail_closed", p.fail_closed);
  s.number("max_modules", p.max_modules, 0, 64);
  s.number("max_ttl_seconds", p.max_ttl_seconds, 1, 86400 * 366);
  s.number("module_memory_mb", p.module_memory_mb, 1, 4096);
  s.number("emit_packets_per_second", p.emit_packets_per_second);
  s.number("bandwidth_kbit", p.bandwidth_kbit, 8);
  s.number("memory_mb", p.memory_mb, 8, 1 << 20);
  s.number("cpu_percent", p.cpu_percent, 1, 100000);
  s.number("processes", p.processes, 4, 10000);
  bool plain = !p.name.empty() && p.name.size() <= 64 && std::all_of(p.name.begin(), p.name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  if (s.has("name") && (!plain || p.name.front() == '.')) s.problem("name", "must be letters, digits, '-', '_' and '.'");
  // PEM, or 32 bytes in base64: 43 digits and a '='.
  bool pem = p.key.starts_with("-----BEGIN PUBLIC KEY-----");
  bool base64 = p.key.size() == 44 && p.key.back() == '=' && std::all_of(p.key.begin(), p.key.end() - 1, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
  if (s.has("key") && !base64 && !pem) s.problem("key", "must be PEM, as `netserv key new` writes it, or 32 bytes in base64");
}

}  // namespace

Result<Config> parse(std::string_view source, const std::string& file) {
  toml::parse_result parsed = toml::parse(source, file);
  if (!parsed)
    return fail(Origin::kOperator, fmt::format("{}:{}", file, parsed.error().source().begin.line), std::string(parsed.error().description()));
  const toml::table& root = parsed.table();
  Problem problem{file, std::nullopt};
  Config c;
  std::set<std::string> known{"publisher"};
  auto section = [&](const char* name, auto&& read) {
    known.insert(name);
    static const toml::table kEmpty;
    const toml::node* n = root.get(name);
    if (n && !n->is_table()) return problem.add(*n, fmt::format("{} must be a table", name));
    if (!n && std::string_view(name) == "node") return problem.add(root, "[node] with its address is missing");
    Section s(n ? *n->as_table() : kEmpty, name, problem);
    read(s);
    s.refuse_unknown();
  };
  section("node", [&](Section& s) { read_node(s, c.node); });
  section("ncm", [&](Section& s) {
    s.text("socket", c.ncm.socket);
    s.number("mode", c.ncm.mode, 0, kMode);
    s.boolean("require_digest", c.ncm.require_digest);
    s.boolean("require_nonce", c.ncm.require_nonce);
  });
  section("admin", [&](Section& s) {
    s.text("socket", c.admin.socket);
    s.number("mode", c.admin.mode, 0, kMode);
  });
  section("forwarder", [&](Section& s) { read_forwarder(s, c.forwarder); });
  section("containers", [&](Section& s) { read_containers(s, c.containers); });
  section("helpers", [&](Section& s) { read_helpers(s, c.helpers); });
  section("metrics", [&](Section& s) {
    Listen listen;
    s.parsed("listen", listen, &parse_listen);
    if (s.has("listen")) c.metrics.listen = listen;
    s.number("refresh_ms", c.metrics.refresh_ms, 10, 60'000);
  });
  section("log", [&](Section& s) { s.parsed("level", c.log_level, &parse_level); });
  if (const toml::node* n = root.get("publisher")) {
    const toml::array* list = n->as_array();
    if (!list) problem.add(*n, "publishers are written as [[publisher]]");
    if (list)
      for (const toml::node& e : *list) {
        if (!e.is_table()) {
          problem.add(e, "publishers are written as [[publisher]]");
          break;
        }
        Section s(*e.as_table(), "publisher", problem);
        Publisher& p = c.publishers.emplace_back();
        read_publisher(s, p);
        s.refuse_unknown();
        for (std::size_t i = 0; i + 1 < c.publishers.size(); ++i)
          if (c.publishers[i].name == p.name) s.problem("name", fmt::format("\"{}\" is there twice", p.name));
      }
  }
  for (auto&& [key, value] : root)
    if (!known.count(std::string(key.str()))) problem.add(value, fmt::format("{} is not known", std::string_view(key.str())));
  if (problem.first) return fail(*problem.first);
  return c;
}

Result<Config> load(const std::string& path) {
  std::ifstream in(path);
  if (!in) return fail(Origin::kOperator, path, "cannot be read");
  std::stringstream text;
  text << in.rdbuf();
  return parse(text.str(), path);
}

Config reloaded(const Config& running, const Config& fresh, std::vector<std::string>& ignored) {
  Config out = running;
  out.publishers = fresh.publishers;
  out.log_level = fresh.log_level;
  out.helpers.parallel = fresh.helpers.parallel;
  out.helpers.private_ranges = fresh.helpers.private_ranges;
  if (!(out.node == fresh.node)) ignored.push_back("node");
  if (!(out.ncm == fresh.ncm)) ignored.push_back("ncm");
  if (!(out.admin == fresh.admin)) ignored.push_back("admin");
  if (!(out.forwarder == fresh.forwarder)) ignored.push_back("forwarder");
  if (!(out.containers == fresh.containers)) ignored.push_back("containers");
  if (!(out.helpers == fresh.helpers)) ignored.push_back("helpers");
  if (!(out.metrics == fresh.metrics)) ignored.push_back("metrics");
  return out;
}

}  // namespace netserv::config
