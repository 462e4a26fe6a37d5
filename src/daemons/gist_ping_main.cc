// gist-ping: asks every GIST node on the path to an address to show itself, over the gistd of this host.
#include <signal.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "sys/clock.h"
#include "sys/event_loop.h"
#include "transport/api_client.h"
#include "transport/crypto.h"
#include "transport/ip_network.h"
#include "transport/ping.h"

namespace netserv::daemons {
namespace {

using transport::Ping;

struct Options {
  std::string target, source, socket = "/run/netserv/gistd.sock";
  unsigned count = 3, interval_ms = 1000, timeout_ms = 5000;
  bool json = false;
};

struct Hop {
  std::string name;
  IpAddress address;
  unsigned answers = 0;
  double least = 0, sum = 0, most = 0;
};

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + '"';
}

// A stranger's name may not play with the terminal.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text) out += c > 0x20 && c < 0x7f ? c : '?';
  return out;
}

class Pinger {
 public:
  Pinger(sys::EventLoop& loop, const Options& o, transport::ApiClient client, gist::Mri mri)
      : loop_(loop), options_(o), client_(std::move(client)), mri_(std::move(mri)) {
    transport::OpensslCrypto().fill(session_.bytes);
    readable_ = loop.on_io(client_.fd(), EPOLLIN, [this](std::uint32_t) { read(); });
  }

  void next() {
    if (sent_ == options_.count) return;
    Ping ping;
    ping.sequence = ++sent_;
    ping.stamp = static_cast<std::uint64_t>(sys::now().time_since_epoch().count());
    gist::SendMessage m;
    m.data = transport::encode_ping(ping);
    m.handle = gist::MessageHandle(sent_);
    m.nslp = gist::NslpId(transport::kPingNslp);
    m.session = session_;
    m.mri = mri_;
    if (const Status sent = client_.send(m); !sent) return stop(sent.error().message());
    deadline_ = loop_.after(std::chrono::milliseconds(options_.timeout_ms), [this] { finish(); });
  }

  int report() const {
    if (options_.json) {
      std::string hops;
      for (const auto& [number, hop] : hops_)
        hops += fmt::format("{}{{\"hop\":{},\"name\":{},\"address\":{},\"answers\":{},\"min_ms\":{:.3f},\"avg_ms\":{:.3f},"
                            "\"max_ms\":{:.3f}}}",
                            hops.empty() ? "" : ",", number, json_string(hop.name), json_string(hop.address.to_string()),
                            hop.answers, hop.least, hop.sum / hop.answers, hop.most);
      std::fputs(fmt::format("{{\"target\":{},\"sent\":{},\"complete\":{},\"error\":{},\"path\":[{}]}}\n",
                             json_string(options_.target), sent_, complete_ ? "true" : "false", json_string(error_), hops)
                     .c_str(), stdout);
    } else {
      if (!error_.empty()) std::fputs(fmt::format("gist-ping: {}\n", error_).c_str(), stderr);
      std::fputs(fmt::format("--- {}: {} sent, {} nodes{}\n", options_.target, sent_, hops_.size(),
                             complete_ ? "" : ", end of path not seen").c_str(), stdout);
      for (const auto& [number, hop] : hops_)
        std::fputs(fmt::format("{:3} {:<16} {:<24} {} answers, min/avg/max {:.3f}/{:.3f}/{:.3f} ms\n", number,
                               printable(hop.name), hop.address.to_string(), hop.answers, hop.least,
                               hop.sum / hop.answers, hop.most).c_str(), stdout);
    }
    return hops_.empty() ? 1 : 0;
  }

 private:
  void read() {
    for (;;) {
      auto indication = client_.next();
      if (!indication) return stop(indication.error().message());
      if (!*indication) return;
      if (const auto* m = std::get_if<gist::RecvMessage>(&**indication)) on_message(*m);
      if (const auto* s = std::get_if<gist::MessageStatus>(&**indication)) on_status(*s);
    }
  }

  void on_message(const gist::RecvMessage& m) {
    if (m.check) (void)client_.send(gist::AnswerQuery{*m.check, {false, {}}});
    const auto ping = transport::decode_ping(m.data);
    if (!ping || !ping->address || ping->sequence == 0 || ping->sequence > sent_) return;
    if (ping->kind == Ping::Kind::kEnd) return on_end(*ping);
    if (ping->kind != Ping::Kind::kEcho || !seen_.insert({ping->sequence, ping->hop}).second) return;
    const double ms = static_cast<double>(sys::now().time_since_epoch().count() - static_cast<std::int64_t>(ping->stamp)) / 1e6;
    Hop& hop = hops_[ping->hop];
    hop.name = ping->name;
    hop.address = *ping->address;
    hop.least = hop.answers == 0 ? ms : std::min(hop.least, ms);
    hop.most = std::max(hop.most, ms);
    hop.sum += ms;
    ++hop.answers;
    if (options_.json) return;
    std::fputs(fmt::format("seq={} hop={} {} ({}) time={:.3f} ms\n", ping->sequence, ping->hop, printable(ping->name),
                           ping->address->to_string(), ms).c_str(), stdout);
    std::fflush(stdout);
  }

  void on_end(const Ping& ping) {
    if (!options_.json && !ended_.contains(ping.sequence))
      std::fputs(fmt::format("seq={} end of path after {} nodes\n", ping.sequence, ping.hop).c_str(), stdout);
    complete_ = true;
    end_of(ping.sequence);
  }

  // Nobody on the path, or nothing to send it with.
  void on_status(const gist::MessageStatus& status) {
    if (status.error == gist::SendError::kNone) return;
    error_ = std::string(gist::to_string(status.error));
    if (status.gist_code == 9 && status.gist_subcode == 4)
      error_ = "there is a NAT on the way that does not translate signalling";
    else if (status.error == gist::SendError::kRefused)
      error_ += fmt::format(" (GIST error {}/{})", status.gist_code, status.gist_subcode);
    complete_ = complete_ || status.error == gist::SendError::kNoNextNode;
    end_of(static_cast<std::uint16_t>(status.handle.value()));
  }

  void end_of(std::uint16_t sequence) {
    if (!ended_.insert(sequence).second || sequence != sent_) return;
    if (sent_ == options_.count) return finish();
    pause_ = loop_.after(std::chrono::milliseconds(options_.interval_ms), [this] { next(); });
  }

  // Of one ping: the next one, or the end.
  void finish() {
    if (ended_.contains(static_cast<std::uint16_t>(sent_)) || sent_ == options_.count) return loop_.stop();
    end_of(static_cast<std::uint16_t>(sent_));
  }

  void stop(std::string why) {
    error_ = std::move(why);
    loop_.stop();
  }

  sys::EventLoop& loop_;
  const Options& options_;
  transport::ApiClient client_;
  gist::Mri mri_;
  gist::SessionId session_;
  std::uint16_t sent_ = 0;
  bool complete_ = false;
  std::string error_;
  std::map<unsigned, Hop> hops_;
  std::set<std::pair<std::uint16_t, std::uint8_t>> seen_;
  std::set<std::uint16_t> ended_;
  sys::EventHandle readable_, deadline_, pause_;
};

Result<gist::Mri> flow_of(const Options& o) {
  gist::PathCoupledMri mri;
  NETSERV_ASSIGN(mri.destination, IpAddress::parse(o.target));
  if (o.source.empty()) {
    NETSERV_ASSIGN(auto network, transport::IpNetwork::open({}));
    const auto egress = network->route(mri.destination, {});
    if (!egress) return fail(Origin::kOperator, o.target, "this host has no route there");
    mri.source = egress->address;
  } else {
    NETSERV_ASSIGN(mri.source, IpAddress::parse(o.source));
  }
  if (mri.source.is_v4() != mri.destination.is_v4())
    return fail(Origin::kOperator, o.source, "not of the target's IP version");
  mri.source_prefix = mri.destination_prefix = static_cast<std::uint8_t>(mri.destination.bits());
  return gist::Mri(mri);
}

int failed(const Error& error) {
  std::fputs(fmt::format("gist-ping: {}\n", error.message()).c_str(), stderr);
  return 2;
}

int run(const Options& o) {
  auto mri = flow_of(o);
  if (!mri) return failed(mri.error());
  auto client = transport::ApiClient::open(o.socket, {gist::NslpId(transport::kPingNslp), "gist-ping"});
  if (!client) {
    Error error = client.error();
    error.text += "; is gistd running, and may you open its socket (--socket)?";
    return failed(error);
  }
  sys::EventLoop loop;
  Pinger pinger(loop, o, *std::move(client), *std::move(mri));
  auto stop = loop.on_signal(SIGINT, [&] { loop.stop(); });
  pinger.next();
  loop.run();
  return pinger.report();
}

}  // namespace
}  // namespace netserv::daemons

int main(int argc, char** argv) {
  netserv::daemons::Options o;
  CLI::App app{"Shows the GIST nodes on the path to an address, and how far they are"};
  app.add_option("target", o.target, "IP address")->required();
  app.add_option("--source", o.source, "The flow's source, if not this host");
  app.add_option("--socket", o.socket, "gistd's API socket")->capture_default_str();
  app.add_option("-c,--count", o.count, "How many requests")->check(CLI::Range(1u, 65535u))->capture_default_str();
  app.add_option("-i,--interval-ms", o.interval_ms, "Pause between them")->check(CLI::Range(1u, 3'600'000u))->capture_default_str();
  app.add_option("-W,--timeout-ms", o.timeout_ms, "How long to wait for the end of a path")
      ->check(CLI::Range(1u, 3'600'000u))->capture_default_str();
  app.add_flag("--json", o.json, "One JSON object at the end instead of text");
  app.footer("Example:\n  gist-ping 198.51.100.7\n  gist-ping --json -c 1 2001:db8::7 | jq '.path[].name'");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return netserv::daemons::run(o);
}
