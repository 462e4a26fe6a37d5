#include "daemons/gistd_options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>
#include <sstream>

#include "base/log.h"
#include "daemons/log_option.h"

namespace netserv::daemons {
namespace {

// The text forms, before they are checked.
struct Raw {
  std::string run_directory = "/run/netserv", socket_mode = "660", intercept = "filter", query_source = "signalling";
  std::string nat, nat_exposed;
  std::vector<std::string> interfaces, router_alerts, peers, nat_inside, nat_doors;
  unsigned tcp_port = 270, tls_port = 271, queue = transport::InterceptOptions{}.queue, router_alert = 0;
  unsigned validity_ms = 30000, hold_time_ms = 30000, t1_ms = 500, max_queries = 7;
  unsigned end_host_memory_ms = 2000, send_rate = 12000, intercept_rate = 50000, path_mtu = 576;
  bool tls_only = false, no_ping = false;
};

std::optional<unsigned> number(std::string_view text, int base, unsigned most) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

Status read_interfaces(const Raw& raw, GistdOptions& o) {
  o.filter.queue = static_cast<std::uint16_t>(raw.queue);
  o.filter.everywhere = raw.intercept == "filter";
  for (const std::string& entry : raw.interfaces) {
    const std::size_t equals = entry.find('=');
    const std::string name = entry.substr(0, equals);
    const std::string how = equals == std::string::npos ? "" : entry.substr(equals + 1);
    if (how != "filter" && how != "router-alert" && how != "none")
      return fail(Origin::kOperator, "interface " + entry, "want NAME=filter, NAME=router-alert or NAME=none");
    if (how == "filter") o.filter.interfaces.push_back(name);
    if (how != "filter") o.filter.excluded.push_back(name);
    if (how == "router-alert") o.router_alert_interfaces.push_back(name);
  }
  if (!o.filter.everywhere) o.filter.excluded.clear();
  return {};
}

Status read_router_alerts(const Raw& raw, GistdOptions& o) {
  o.settings.default_router_alert = static_cast<std::uint16_t>(raw.router_alert);
  for (const std::string& entry : raw.router_alerts) {
    const std::size_t equals = entry.find('=');
    const auto nslp = number(std::string_view(entry).substr(0, equals), 10, 65535);
    const auto value =
        equals == std::string::npos ? std::nullopt : number(std::string_view(entry).substr(equals + 1), 10, 65535);
    if (!nslp || !value) return fail(Origin::kOperator, "nslp-router-alert " + entry, "want NSLPID=VALUE");
    o.settings.router_alert[gist::NslpId(static_cast<std::uint16_t>(*nslp))] = static_cast<std::uint16_t>(*value);
  }
  return {};
}

Status read_core(const Raw& raw, GistdOptions& o) {
  gist::Config& core = o.settings.core;
  core.peer_identity = Bytes(16);
  transport::OpensslCrypto().fill(core.peer_identity);
  core.tcp_port = raw.tls_only ? std::uint16_t{0} : static_cast<std::uint16_t>(raw.tcp_port);
  core.use_tcp = !raw.tls_only;
  core.use_tls = o.tls();
  core.tls_port = o.tls() ? static_cast<std::uint16_t>(raw.tls_port) : std::uint16_t{0};
  core.query_source = raw.query_source == "flow" ? gist::QuerySource::kFlowFirst : gist::QuerySource::kSignalling;
  core.validity = gist::Milliseconds(raw.validity_ms);
  core.hold_time = gist::Milliseconds(raw.hold_time_ms);
  core.t1 = std::chrono::milliseconds(raw.t1_ms);
  core.t2 = 64 * core.t1;
  core.max_queries = raw.max_queries;
  core.path_mtu = static_cast<std::uint16_t>(raw.path_mtu);
  core.end_host_memory = std::chrono::milliseconds(raw.end_host_memory_ms);
  core.send_rate = raw.send_rate;
  core.intercept_rate = raw.intercept_rate;
  core.send_burst = core.send_rate / 10;  // a tenth of a second's worth
  core.intercept_burst = core.intercept_rate / 10;
  if (raw.tls_only && !o.tls()) return fail(Origin::kOperator, "tls-only", "needs certificate, key and authorities");
  if (o.tls() && (o.tls_files.key.empty() || o.tls_files.authorities.empty()))
    return fail(Origin::kOperator, "certificate", "needs key and authorities too");
  o.peers = raw.peers;
  NETSERV_ASSIGN(o.settings.peers, parse_peers(raw.peers));
  return {};
}

// "OUTSIDE-PORT=ADDRESS:PORT", an IPv6 address in brackets.
Result<gist::NatBindings::Door> parse_door(const std::string& text) {
  const tl::unexpected<Error> wrong = fail(Origin::kOperator, "nat-door " + text, "want OUTSIDE-PORT=ADDRESS:PORT");
  const std::size_t equals = text.find('='), colon = text.rfind(':');
  if (equals == std::string::npos || colon == std::string::npos || colon < equals) return wrong;
  std::string address = text.substr(equals + 1, colon - equals - 1);
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  const auto outside = number(std::string_view(text).substr(0, equals), 10, 65535);
  const auto inside = number(std::string_view(text).substr(colon + 1), 10, 65535);
  const auto node = IpAddress::parse(address);
  if (!outside || !inside || !node) return wrong;
  return gist::NatBindings::Door{static_cast<std::uint16_t>(*outside), *node, static_cast<std::uint16_t>(*inside)};
}

Status read_nat(const Raw& raw, GistdOptions& o) {
  if (raw.nat.empty()) {
    const bool more = !raw.nat_exposed.empty() || !raw.nat_inside.empty() || !raw.nat_doors.empty();
    return more ? Status(fail(Origin::kOperator, "nat-inside, nat-exposed, nat-door", "need --nat")) : Status{};
  }
  gist::NatBindings nat;
  NETSERV_ASSIGN(nat.outside, IpAddress::parse(raw.nat));
  if (raw.nat_inside.empty()) return fail(Origin::kOperator, "nat", "needs --nat-inside: whose packets are translated");
  for (const std::string& prefix : raw.nat_inside) {
    NETSERV_ASSIGN(Prefix inside, Prefix::parse(prefix));
    if (inside.address().is_v4() != nat.outside.is_v4())
      return fail(Origin::kOperator, "nat-inside " + prefix, "is not of the IP version of " + raw.nat);
    if (inside.contains(nat.outside)) return fail(Origin::kOperator, "nat-inside " + prefix, "contains " + raw.nat);
    nat.inside.push_back(inside);
  }
  if (!raw.nat_exposed.empty()) {
    NETSERV_ASSIGN(nat.exposed, IpAddress::parse(raw.nat_exposed));
    if (!nat.is_inside(*nat.exposed)) return fail(Origin::kOperator, "nat-exposed " + raw.nat_exposed, "is not inside");
  }
  for (const std::string& text : raw.nat_doors) {
    NETSERV_ASSIGN(gist::NatBindings::Door door, parse_door(text));
    if (!nat.is_inside(door.inside)) return fail(Origin::kOperator, "nat-door " + text, "does not lead inside");
    nat.doors.push_back(std::move(door));
  }
  if (!o.filter.any()) return fail(Origin::kOperator, "nat", "needs interception by filter");
  o.filter.nat = {nat.outside};
  o.settings.nat = std::move(nat);
  return {};
}

Status check(const Raw& raw, GistdOptions& o) {
  if (o.socket.empty()) o.socket = raw.run_directory + "/gistd.sock";
  const auto mode = number(raw.socket_mode, 8, 0777);
  if (!mode) return fail(Origin::kOperator, "socket-mode " + raw.socket_mode, "want octal digits");
  o.socket_mode = *mode;
  if (o.settings.name.empty()) {
    char host[65] = {};
    ::gethostname(host, sizeof host - 1);
    o.settings.name = host;
  }
  o.settings.answer_pings = !raw.no_ping;
  NETSERV_TRY(read_interfaces(raw, o));
  NETSERV_TRY(read_router_alerts(raw, o));
  NETSERV_TRY(read_nat(raw, o));
  return read_core(raw, o);
}

}  // namespace

Result<gist::AuthorisedPeer> parse_peer(const std::string& text) {
  std::istringstream in(text);
  std::string verb;
  gist::AuthorisedPeer peer;
  if (!(in >> verb >> peer.identity) || (verb != "allow" && verb != "deny"))
    return fail(Origin::kOperator, "peer " + text, "want allow or deny, and an identity");
  peer.allow = verb == "allow";
  for (auto* scope : {&peer.peer_address, &peer.flow_source, &peer.flow_destination}) {
    std::string prefix;
    if (!(in >> prefix) || prefix == "-") continue;
    NETSERV_ASSIGN(*scope, Prefix::parse(prefix));
  }
  if (std::string rest; in >> rest) return fail(Origin::kOperator, "peer " + text, "too many words");
  return peer;
}

Result<std::vector<gist::AuthorisedPeer>> parse_peers(const std::vector<std::string>& texts) {
  std::vector<gist::AuthorisedPeer> peers;
  for (const std::string& text : texts) {
    NETSERV_ASSIGN(gist::AuthorisedPeer peer, parse_peer(text));
    peers.push_back(std::move(peer));
  }
  if (peers.empty()) peers.push_back({"*", true, {}, {}, {}});
  return peers;
}

std::optional<GistdOptions> read_gistd_options(int argc, char** argv, int& exit_code) {
  GistdOptions o;
  Raw raw;
  CLI::App app{"GIST signalling daemon (RFC 5971)"};
  app.set_config("--config", "", "Read options from this file (TOML, names as here without the dashes)");
  app.add_option("--run-dir", raw.run_directory, "Folder of the API socket")->capture_default_str();
  app.add_option("--socket", o.socket, "API socket (RUN_DIR/gistd.sock)");
  app.add_option("--socket-mode", raw.socket_mode, "Its file mode")->capture_default_str();
  app.add_option("--user", o.user, "Whom to run as once everything is open")->capture_default_str();
  app.add_option("--name", o.settings.name, "Name in answers to pings (the host's)");
  app.add_option("--intercept", raw.intercept, "On interfaces that are not named")
      ->check(CLI::IsMember({"filter", "none"}))->capture_default_str();
  app.add_option("--interface", raw.interfaces, "NAME=filter|router-alert|none; may be repeated");
  app.add_option("--queue", raw.queue, "NFQUEUE number")->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--router-alert", raw.router_alert, "Router Alert value of NSLPs that are not named")
      ->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--nslp-router-alert", raw.router_alerts, "NSLPID=VALUE; may be repeated");
  app.add_option("--nat", raw.nat, "This node is a NAT with this address outside: translate GIST messages that cross it");
  app.add_option("--nat-inside", raw.nat_inside, "Prefix whose packets leave with that address; may be repeated");
  app.add_option("--nat-exposed", raw.nat_exposed, "Host inside to which the NAT brings what comes to that address");
  app.add_option("--nat-door", raw.nat_doors,
                 "OUTSIDE-PORT=ADDRESS:PORT, TCP: where the NAT lets peers connect to a node inside; may be repeated");
  app.add_option("--query-source", raw.query_source, "Source address of Queries downstream")
      ->check(CLI::IsMember({"signalling", "flow"}))->capture_default_str();
  app.add_flag("--ingress-check", o.ingress_check, "Refuse flow sources that are not routed to where they come from");
  app.add_option("--tcp-port", raw.tcp_port, "Messaging associations over TCP; 0: none accepted")
      ->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--tls-port", raw.tls_port, "Messaging associations over TLS")
      ->check(CLI::Range(0u, 65535u))->capture_default_str();
  app.add_option("--certificate", o.tls_files.certificate, "PEM file, chain included; turns TLS on");
  app.add_option("--key", o.tls_files.key, "PEM file");
  app.add_option("--authorities", o.tls_files.authorities, "PEM file: whom peers' certificates must come from");
  app.add_flag("--tls-only", raw.tls_only, "No associations over plain TCP");
  app.add_option("--peer", raw.peers, "\"allow|deny IDENTITY [PEER [FLOW-SOURCE [FLOW-DESTINATION]]]\", in order");
  app.add_option("--validity-ms", raw.validity_ms, "Lifetime of routing state")
      ->check(CLI::Range(100u, 86'400'000u))->capture_default_str();
  app.add_option("--hold-time-ms", raw.hold_time_ms, "Associations end after this long in silence")
      ->check(CLI::Range(100u, 86'400'000u))->capture_default_str();
  app.add_option("--t1-ms", raw.t1_ms, "First retransmission")->check(CLI::Range(10u, 60'000u))->capture_default_str();
  app.add_option("--max-queries", raw.max_queries, "In one handshake")->check(CLI::Range(1u, 16u))->capture_default_str();
  app.add_option("--end-host-memory-ms", raw.end_host_memory_ms, "How long an end host's ICMP error counts for further sessions")
      ->check(CLI::Range(0u, 60'000u))->capture_default_str();
  app.add_option("--send-rate", raw.send_rate, "Datagrams that this node makes, a second at most")
      ->check(CLI::Range(10u, 10'000'000u))->capture_default_str();
  app.add_option("--intercept-rate", raw.intercept_rate, "Intercepted datagrams that it looks at, a second at most")
      ->check(CLI::Range(10u, 10'000'000u))->capture_default_str();
  app.add_option("--path-mtu", raw.path_mtu, "Of all paths from here, as far as nothing less is known")
      ->check(CLI::Range(576u, 65535u))->capture_default_str();
  app.add_flag("--no-ping", raw.no_ping, "Do not answer gist-ping");
  add_log_level(app);
  app.add_flag("--clean", o.clean, "Take away netfilter rules that a killed gistd left behind, and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exit_code = app.exit(e);
    return std::nullopt;
  }
  for (const CLI::Option* option : app.get_options())
    if (option->get_name() != "--peer" && option->count() > 0) o.rest += option->get_name() + "=" + CLI::detail::join(option->results(), ",") + "\n";
  if (const Status checked = check(raw, o); !checked) {
    std::cerr << "gistd: " << checked.error().message() << "\n";
    exit_code = 2;
    return std::nullopt;
  }
  return o;
}

}  // namespace netserv::daemons
