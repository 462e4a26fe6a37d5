#include "cli/path_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include "cli/exit_codes.h"
#include "cli/report.h"
#include "client/requests.h"
#include "sys/clock.h"
#include "wire/ncm/status.h"

namespace netserv::cli {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPollPathEvery{300};

Result<client::Route> route_of(const PathOptions& o) {
  auto usage = [](const char* option, const Error& e) { return fail(Origin::kPublisher, option, e.message(), kExitUsage); };
  auto destination = IpAddress::parse(o.toward);
  if (!destination) return fail(Origin::kPublisher, "--toward", destination.error().message() + ": give the user's address, not a name", kExitUsage);
  if (o.source.empty()) return client::route_toward(*destination);
  auto source = IpAddress::parse(o.source);
  if (!source) return usage("--source", source.error());
  if (source->is_v4() != destination->is_v4())
    return fail(Origin::kPublisher, "--source", o.source + " is not of the IP version of " + o.toward, kExitUsage);
  return client::Route{*source, *destination};
}

// A signed PROBE that reaches the nodes that `setup` chose; it may be sent again and again.
Result<ncm::Message> probe_for(const RequestOptions& setup, const ncm::Message& message, unsigned timeout_seconds) {
  RequestOptions probe;
  probe.verb = ncm::Verb::kProbe;
  probe.object = message.object;
  probe.headers["probe"] = "module";
  probe.headers["toward"] = *message.find("toward");
  // "The first n" and "those that match" were decided by the SETUP; any node may be asked.
  if (const std::string* nodes = message.find("nodes"); nodes && !nodes->starts_with("first=")) probe.headers["nodes"] = *nodes;
  probe.user = *message.find("user");
  probe.key_file = setup.key_file;
  probe.valid_seconds = std::min(3600u, timeout_seconds + 60);
  return build_request(probe, sys::wall_now());
}

Status follow_installations(client::Path& path, const RequestOptions& request, const PathOptions& o,
                            const ncm::Message& message, steady_clock::time_point until, client::PathAnswer& answer) {
  auto installing = [&] {
    return std::any_of(answer.nodes.begin(), answer.nodes.end(), [](const auto& n) { return client::is_installing(n.entry); });
  };
  // A message that somebody else signed can't be followed: only its publisher may probe.
  if (o.no_wait || request.key_file.empty() || !installing()) return {};
  NETSERV_ASSIGN(ncm::Message probe, probe_for(request, message, o.timeout_seconds));
  if (!o.json) std::cerr << path_table(answer) << std::flush;
  while (steady_clock::now() < until) {
    std::this_thread::sleep_for(kPollPathEvery);
    const auto left = std::max<milliseconds>(std::chrono::duration_cast<milliseconds>(until - steady_clock::now()), milliseconds(1000));
    NETSERV_ASSIGN(bool done, client::follow(path, probe, o.trigger, left, answer));
    if (done) return {};
  }
  return fail(Origin::kPeer, message.object, "is still being installed on some nodes; look again with: netserv probe --toward", kExitTimeout);
}

std::string milliseconds_text(nslp::Microseconds time) { return fmt::format("{:.1f}", static_cast<double>(time.count()) / 1000); }

json json_of(const client::NodeAnswer& n) {
  const nslp::Entry& e = n.entry;
  json body = json::parse(e.body, nullptr, false);
  if (body.is_discarded()) body = e.body.empty() ? json() : json(e.body);
  return {{"node", e.node},
          {"address", e.address.is_unspecified() ? json() : json(e.address.to_string())},
          {"rtt_ms", static_cast<double>(n.round_trip.count()) / 1000},
          {"class", static_cast<int>(ncm::class_of(e.code))},
          {"code", ncm::number(e.code)},
          {"object", e.object},
          {"text", e.text},
          {"state", e.state},
          {"body", body},
          {"body_left_out", e.body_left_out}};
}

// What those who refused leave to be done, a line each.
std::string hints(const client::PathAnswer& answer) {
  std::string out;
  for (const client::NodeAnswer& n : answer.nodes)
    if (const std::string next = what_next(n.entry.code, n.entry.object); !next.empty())
      out += printable(fmt::format("netserv: {}: {}: {}{}", n.entry.node, n.entry.object, n.entry.text, next)) + "\n";
  return out;
}

}  // namespace

std::string path_table(const client::PathAnswer& answer) {
  std::vector<std::vector<std::string>> lines{{"NODE", "ADDRESS", "RTT-MS", "CODE", "STATE", "ANSWER"}};
  for (const client::NodeAnswer& n : answer.nodes) {
    const nslp::Entry& e = n.entry;
    const bool unknown = e.address.is_unspecified() && e.node == "unknown";
    const bool at_fault = ncm::is_failure(e.code) && !e.object.empty() && e.object != "-";
    lines.push_back({e.node, unknown ? "-" : e.address.to_string(), unknown ? "-" : milliseconds_text(n.round_trip),
                     std::to_string(ncm::number(e.code)), e.state.empty() ? "-" : e.state,
                     at_fault ? e.object + ": " + e.text : e.text});
  }
  return in_columns(lines);
}

std::string path_json(const client::PathAnswer& answer, const client::Route& route) {
  json nodes = json::array();
  for (const client::NodeAnswer& n : answer.nodes) nodes.push_back(json_of(n));
  return dump({{"source", route.source.to_string()},
               {"toward", route.destination.to_string()},
               {"outcome", to_string(answer.outcome())},
               {"nodes", nodes}});
}

int exit_code_of(const client::PathAnswer& answer) {
  switch (answer.outcome()) {
    case client::Outcome::kAll: return kExitOk;
    case client::Outcome::kSome: return kExitPartly;
    case client::Outcome::kNoNode: return kExitUnavailable;
    case client::Outcome::kNone: break;
  }
  auto any = [&](auto&& is) { return std::any_of(answer.nodes.begin(), answer.nodes.end(), is); };
  if (any([](const auto& n) { return n.entry.code == ncm::StatusCode::kNoAnswer; })) return kExitTimeout;
  const bool refused = any([](const auto& n) {
    return ncm::class_of(n.entry.code) == ncm::StatusClass::kPermanentFailure || ncm::class_of(n.entry.code) == ncm::StatusClass::kProtocolError;
  });
  return refused ? kExitRefused : kExitFailed;
}

int run_along_path(RequestOptions request, const PathOptions& o) {
  auto refuse = [&](Error error) { return explain(error, o.json); };
  auto route = route_of(o);
  if (!route) return refuse(route.error());
  request.always_signed = o.trigger;  // nobody turns round what nobody signed
  request.headers["toward"] = (o.trigger ? route->source : route->destination).to_string();
  auto message = build_request(request, sys::wall_now());
  if (!message) return refuse(message.error());
  if (o.print_only) {
    std::cout << ncm::print_message(*message);
    return kExitOk;
  }
  auto path = client::Path::open(o.socket, *route);
  if (!path) {
    Error error = path.error();
    error.code = kExitUnavailable;
    error.text += "; is nslpd running, and may you open its socket?";
    return refuse(error);
  }
  const auto until = steady_clock::now() + std::chrono::seconds(o.timeout_seconds);
  auto answer = path->send(*message, o.trigger, std::chrono::seconds(o.timeout_seconds));
  if (!answer) return refuse(answer.error());
  const Status followed = request.verb == ncm::Verb::kSetup ? follow_installations(*path, request, o, *message, until, *answer) : Status{};
  if (o.json) std::cout << path_json(*answer, *route) << std::endl;
  else std::cout << path_table(*answer) << std::flush;
  if (!o.json && request.verb == ncm::Verb::kProbe)
    for (const client::NodeAnswer& n : answer->nodes)
      if (const json body = json::parse(n.entry.body, nullptr, false); !body.is_discarded() && !body.empty())
        std::cout << "\n" << printable(n.entry.node) << "\n" << describe_value(body) << std::flush;
  if (!o.json) std::cerr << hints(*answer) << std::flush;
  if (!followed) return refuse(followed.error());
  if (answer->outcome() == client::Outcome::kNoNode)
    std::cerr << "netserv: no node acted on the path to " << o.toward
              << (answer->nodes.empty() ? "; gist-ping shows who speaks GIST there\n" : ": none was chosen (--nodes)\n");
  return exit_code_of(*answer);
}

}  // namespace netserv::cli
