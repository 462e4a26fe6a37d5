// netservd.toml as a value (docs/man/netservd.toml.5). parse(print(config)) == config. Every key has a default but
// node.address and a publisher's name and key. Unknown keys are refused. netservd and the forwarder read the same file.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "wire/ip/address.h"

namespace netserv::config {

struct Listen {
  std::string address = "127.0.0.1";
  std::uint16_t port = 9464;
  bool operator==(const Listen&) const = default;
};

struct Port {
  std::string protocol = "udp";  // or tcp
  std::uint16_t port = 0;
  bool operator==(const Port&) const = default;
};

// [[publisher]]: reloaded on SIGHUP.
struct Publisher {
  std::string name;                    // the `user` header
  std::string key;                     // Ed25519 public key: PEM, or its 32 bytes in base64
  std::vector<Prefix> destinations;    // that its filters may match, and its modules emit from
  std::vector<std::uint16_t> ports;    // that its filters may match; empty: any
  std::vector<Port> listen;            // that its modules may be reached at
  std::vector<Prefix> egress;          // where its modules may open conversations to
  std::vector<std::string> blocks{"packet/1", "timer/1", "log/1", "properties/1", "counters/1"};
  std::int32_t priority = 0;  // lower sees a packet earlier
  bool fail_closed = false;   // may its filters hold back packets while its container is away
  std::uint32_t max_modules = 8;
  std::uint32_t max_ttl_seconds = 86400;
  std::uint32_t module_memory_mb = 16;
  std::uint32_t emit_packets_per_second = 1000;
  std::uint32_t bandwidth_kbit = 100'000;  // a second: of what its modules send as packets, and again over sockets
  std::uint32_t memory_mb = 64;     // of its container
  std::uint32_t cpu_percent = 100;  // of one core
  std::uint32_t processes = 8;
  bool operator==(const Publisher&) const = default;
};

struct Config {
  struct Node {
    IpAddress address;
    std::string state_folder = "/var/lib/netserv";
    std::string run_folder = "/run/netserv";
    std::string cache_folder = "/var/cache/netserv";
    std::string program_folder;              // of the helpers; empty: that of netservd itself
    std::vector<Prefix> management;          // addresses that no filter may match
    std::vector<std::string> withhold;       // building blocks that this node is not to have
    bool operator==(const Node&) const = default;
  } node;
  struct Ncm {
    std::string socket;  // empty: RUN_FOLDER/ncm.sock
    std::uint32_t mode = 0660;
    bool require_digest = true;
    bool require_nonce = true;  // nonce and expires
    bool operator==(const Ncm&) const = default;
  } ncm;
  struct Admin {
    std::string socket;  // empty: RUN_FOLDER/admin.sock
    std::uint32_t mode = 0600;
    bool operator==(const Admin&) const = default;
  } admin;
  struct Forwarder {
    std::string socket;                   // empty: RUN_FOLDER/forwarder.sock
    std::string plane = "auto";           // or xdp, netfilter
    std::vector<std::string> interfaces;  // of the xdp plane; empty: all that packets are routed by
    bool bypass = false;                  // may `auto` take xdp past firewall, NAT and qdiscs
    bool busy_poll = false;
    std::uint32_t workers = 1;            // packet threads; at most 16
    std::vector<std::uint32_t> worker_cores;  // empty, or a core for each worker
    bool operator==(const Forwarder&) const = default;
  } forwarder;
  struct Containers {
    Prefix pool4{IpAddress::v4(0x64400000), 24};  // 100.64.0.0/24, an address a container
    std::optional<Prefix> pool6;
    std::uint32_t id_base = 1000000;  // host uid and gid of container n: id_base + n
    std::uint32_t idle_seconds = 60;  // until one without modules is stopped
    std::uint32_t spin_us = 50;
    bool operator==(const Containers&) const = default;
  } containers;
  struct Helpers {
    std::uint32_t parallel = 2;  // reloaded
    std::uint32_t fetch_seconds = 30;
    std::uint32_t compile_seconds = 90;
    std::uint32_t module_bytes = 2u << 20;
    std::vector<Prefix> private_ranges;  // that url and notification may lead to nevertheless; reloaded
    std::uint32_t user_id = 0;           // 0: nobody
    bool operator==(const Helpers&) const = default;
  } helpers;
  struct Metrics {
    std::optional<Listen> listen;
    std::uint32_t refresh_ms = 1000;  // the forwarder and the containers are asked for their counters this often
    bool operator==(const Metrics&) const = default;
  } metrics;
  LogLevel log_level = LogLevel::kInfo;  // reloaded
  std::vector<Publisher> publishers;

  std::string ncm_socket() const { return ncm.socket.empty() ? node.run_folder + "/ncm.sock" : ncm.socket; }
  std::string admin_socket() const { return admin.socket.empty() ? node.run_folder + "/admin.sock" : admin.socket; }
  std::string forwarder_socket() const {
    return forwarder.socket.empty() ? node.run_folder + "/forwarder.sock" : forwarder.socket;
  }
  bool operator==(const Config&) const = default;
};

// Errors (origin operator): subject is FILE:LINE; `file` is only a name here.
Result<Config> parse(std::string_view text, const std::string& file);
Result<Config> load(const std::string& path);
std::string print(const Config& config);

// What SIGHUP can take over: `running` with the reloadable parts of `fresh`. `ignored` gets the sections that
// differ otherwise and need a restart.
Config reloaded(const Config& running, const Config& fresh, std::vector<std::string>& ignored);

}  // namespace netserv::config
