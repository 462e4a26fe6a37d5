#include "daemons/netservd/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace netserv::daemon {
namespace {

// Tells nodes on one machine apart: their state folders differ.
std::uint32_t node_number(const config::Config& config) {
  std::uint32_t hash = 2166136261u;
  for (char c : config.node.state_folder) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash & 0xffffff;
}

// How many containers can have addresses at a time: those of the smaller pool, without its first and last.
std::uint32_t container_addresses(const config::Config::Containers& c) {
  auto room = [](const Prefix& pool) { return std::min(16u, pool.address().bits() - pool.length()); };
  return (1u << std::min(room(c.pool4), c.pool6 ? room(*c.pool6) : 16u)) - 2;
}

// Address number `n` of a pool, the first one (the network's own) left out.
IpAddress nth(const Prefix& pool, std::uint32_t n) {
  std::uint32_t offset = 1 + n;
  Bytes bytes(pool.address().bytes().begin(), pool.address().bytes().end());
  std::size_t last = bytes.size() - 1;
  bytes[last] |= static_cast<std::byte>(offset & 0xff);
  bytes[last - 1] |= static_cast<std::byte>(offset >> 8);
  return IpAddress::from_bytes(bytes);
}

}  // namespace

const std::vector<std::string>& node_blocks() {
  static const std::vector<std::string> kBlocks = {"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"};
  return kBlocks;
}

std::vector<Prefix> own_addresses(const config::Config& config) {
  std::vector<Prefix> own = config.node.management;
  own.emplace_back(config.node.address, config.node.address.bits());
  return own;
}

auth::AddressRules address_rules(const config::Config& config) {
  return {config.helpers.private_ranges, own_addresses(config)};
}

node::Settings node_settings(const config::Config& config) {
  node::Settings s;
  s.node_address = config.node.address.to_string();
  s.blocks = node_blocks();
  for (const std::string& block : config.node.withhold) std::erase(s.blocks, block);
  s.parallel_installs = config.helpers.parallel;
  s.container_idle = std::chrono::seconds(config.containers.idle_seconds);
  s.container_addresses = container_addresses(config.containers);
  for (const config::Publisher& p : config.publishers) {
    node::Grant& g = s.publishers[PublisherId(p.name)];
    g.priority = p.priority;
    g.authorised = p.destinations;
    g.emit_packets_per_second = p.emit_packets_per_second;
    g.send_bytes_per_second = std::uint64_t{p.bandwidth_kbit} * 125;
    g.blocks = p.blocks;
    g.max_modules = p.max_modules;
    g.max_memory_pages = p.module_memory_mb * 16;
    g.max_ttl = std::chrono::seconds(p.max_ttl_seconds);
  }
  return s;
}

Result<std::map<PublisherId, auth::PublisherPolicy>> policies(const config::Config& config) {
  std::map<PublisherId, auth::PublisherPolicy> out;
  for (const config::Publisher& p : config.publishers) {
    auth::PublisherPolicy& policy = out[PublisherId(p.name)];
    policy.name = PublisherId(p.name);
    auto key = auth::parse_public_key(p.key);
    if (!key) return fail(Origin::kOperator, fmt::format("publisher \"{}\"", p.name), "key: " + key.error().message());
    policy.key = *key;
    policy.prefixes = p.destinations;
    for (std::uint16_t port : p.ports) policy.filter_ports.push_back({port, port});
    for (const config::Port& port : p.listen) policy.listen_ports.push_back({port.port, port.port});
    policy.blocks = std::set<std::string>(p.blocks.begin(), p.blocks.end());
    policy.limits.modules = p.max_modules;
    policy.limits.memory_bytes = std::uint64_t{p.memory_mb} << 20;
    policy.limits.cpu_percent = p.cpu_percent;
    policy.limits.pids = p.processes;
    policy.limits.emit_pps = p.emit_packets_per_second;
    policy.limits.bandwidth_bps = std::uint64_t{p.bandwidth_kbit} * 1000;
    policy.limits.module_bytes = config.helpers.module_bytes;
    policy.max_ttl = std::chrono::seconds(p.max_ttl_seconds);
    policy.fail_closed = p.fail_closed;
    policy.egress = p.egress;
    policy.private_ranges = config.helpers.private_ranges;
    policy.priority = p.priority;
  }
  return out;
}

Status check_blocks(const config::Config& config) {
  for (const std::string& block : config.node.withhold)
    if (std::ranges::find(node_blocks(), block) == node_blocks().end())
      return fail(Origin::kOperator, "[node] withhold",
                  fmt::format("there is no building block \"{}\"; there are {}", block, fmt::join(node_blocks(), ", ")));
  return {};
}

auth::Requirements requirements(const config::Config& config) {
  return {config.ncm.require_digest, config.ncm.require_nonce, config.ncm.require_nonce};
}

const config::Publisher* find_publisher(const config::Config& config, const PublisherId& publisher) {
  for (const config::Publisher& p : config.publishers)
    if (p.name == publisher.value()) return &p;
  return nullptr;
}

std::string container_name(const config::Config& config, ContainerId id) {
  return fmt::format("netserv-{:06x}-{}", node_number(config), id.value());
}

std::string container_run_folder(const config::Config& config, ContainerId id) {
  return fmt::format("{}/containers/{}", config.node.run_folder, id.value());
}

IpAddress container_address(const config::Config& config, ContainerId id) {
  return nth(config.containers.pool4, id.value() % container_addresses(config.containers));
}

lxc::LaunchSpec launch_spec(const config::Config& config, const node::ContainerRecord& container,
                            const std::string& module_folder, const std::string& program) {
  lxc::LaunchSpec spec;
  spec.name = container_name(config, container.id);
  spec.run_folder = container_run_folder(config, container.id);
  spec.module_folder = module_folder;
  spec.program = program;
  spec.id_base = config.containers.id_base + container.id.value();
  spec.host_interface = fmt::format("ns{:06x}{:x}", node_number(config), container.id.value() & 0xfffffff);
  spec.address4 = container_address(config, container.id);
  if (config.containers.pool6)
    spec.address6 = nth(*config.containers.pool6, container.id.value() % container_addresses(config.containers));
  spec.spin_us = config.containers.spin_us;
  if (const config::Publisher* p = find_publisher(config, container.publisher)) {
    for (const Prefix& destination : p->egress) spec.network.egress.push_back({destination, std::nullopt, std::nullopt});
    for (const config::Port& port : p->listen)
      spec.network.listen.push_back({static_cast<std::uint8_t>(port.protocol == "tcp" ? 6 : 17), port.port});
    spec.network.kbit_per_second = p->bandwidth_kbit;
    spec.memory_bytes = std::uint64_t{p->memory_mb} << 20;
    spec.cpu_percent = p->cpu_percent;
    spec.pids = p->processes;
  }
  return spec;
}

}  // namespace netserv::daemon
