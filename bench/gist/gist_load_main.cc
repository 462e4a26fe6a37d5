// gist-load: a signalling application at two gistds at once, that of the flow's source and that of its destination.
// Keeps so many handshakes or messages on their way, counts those that arrive, and prints the rate as JSON.
#include <poll.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include "sys/clock.h"
#include "transport/api_client.h"

namespace netserv {
namespace {

const gist::NslpId kNslp{32704};

struct Options {
  std::string querier, responder, source, destination, what = "handshakes";
  unsigned window = 64, seconds = 5, bytes = 64;
};

int failed(const Error& error) {
  std::fprintf(stderr, "gist-load: %s\n", error.message().c_str());
  return 1;
}

class Load {
 public:
  Load(const Options& o, transport::ApiClient querier, transport::ApiClient responder)
      : options_(o), querier_(std::move(querier)), responder_(std::move(responder)) {}

  Status run() {
    gist::PathCoupledMri mri;
    NETSERV_ASSIGN(mri.source, IpAddress::parse(options_.source));
    NETSERV_ASSIGN(mri.destination, IpAddress::parse(options_.destination));
    mri.source_prefix = mri.destination_prefix = static_cast<std::uint8_t>(mri.destination.bits());
    mri_ = mri;
    const bool messages = options_.what == "messages";
    TimePoint start = sys::now(), report = start + std::chrono::seconds(options_.seconds);
    if (messages) {  // one session first, so that its association is there
      NETSERV_TRY(send());
      while (arrived_ == 0) NETSERV_TRY(turn());
      start = sys::now();
      report = start + std::chrono::seconds(options_.seconds);
      arrived_ = sent_ = 0;
    }
    while (sys::now() < report) {
      while (sent_ - arrived_ - lost_ < options_.window) NETSERV_TRY(send());
      NETSERV_TRY(turn());
    }
    const double seconds = std::chrono::duration<double>(sys::now() - start).count();
    std::printf("{\"what\":\"%s\",\"arrived\":%llu,\"failed\":%llu,\"seconds\":%.3f,\"rate\":%.1f}\n", options_.what.c_str(),
                static_cast<unsigned long long>(arrived_), static_cast<unsigned long long>(lost_), seconds,
                static_cast<double>(arrived_) / seconds);
    return {};
  }

 private:
  Status send() {
    gist::SendMessage m;
    m.data = Bytes(options_.bytes);
    m.nslp = kNslp;
    m.mri = mri_;
    const bool messages = options_.what == "messages";
    m.attributes.reliable = messages;
    if (!messages) ++session_;
    std::memcpy(m.session.bytes.data(), &session_, sizeof session_);
    m.handle = gist::MessageHandle(messages ? 0 : session_);
    ++sent_;
    return querier_.send(m);
  }

  // Reads what is there at both ends; waits if there is nothing.
  Status turn() {
    std::array<pollfd, 2> both{{{querier_.fd(), POLLIN, 0}, {responder_.fd(), POLLIN, 0}}};
    ::poll(both.data(), both.size(), 1000);
    NETSERV_TRY(read(querier_, true));
    return read(responder_, false);
  }

  Status read(transport::ApiClient& client, bool querier) {
    for (;;) {
      NETSERV_ASSIGN(auto message, client.next());
      if (!message) return {};
      if (querier) {
        const auto* status = std::get_if<gist::MessageStatus>(&*message);
        if (status && status->error != gist::SendError::kNone) ++lost_;
        continue;
      }
      if (const auto* m = std::get_if<gist::RecvMessage>(&*message)) {
        if (m->check) NETSERV_TRY(client.send(gist::AnswerQuery{*m->check, {true, {}}}));
        if (options_.what == "messages" && !m->data.empty()) ++arrived_;  // not the Query, which carries none
      }
      // The responder knows its peer when the Confirm has come: the handshake is complete.
      const auto* n = std::get_if<gist::NetworkNotification>(&*message);
      const bool complete = n && n->type == gist::NetworkNotification::Type::kRoutingStatus &&
                            n->status == gist::RouteStatus::kGood;
      if (complete && options_.what == "handshakes") ++arrived_;
    }
  }

  const Options& options_;
  transport::ApiClient querier_, responder_;
  gist::Mri mri_;
  std::uint64_t session_ = 1, sent_ = 0, arrived_ = 0, lost_ = 0;
};

int run(const Options& o) {
  auto querier = transport::ApiClient::open(o.querier, {kNslp, "gist-load"});
  if (!querier) return failed(querier.error());
  auto responder = transport::ApiClient::open(o.responder, {kNslp, "gist-load"});
  if (!responder) return failed(responder.error());
  const Status done = Load(o, *std::move(querier), *std::move(responder)).run();
  return done ? 0 : failed(done.error());
}

}  // namespace
}  // namespace netserv

int main(int argc, char** argv) {
  netserv::Options o;
  CLI::App app{"Load for two gistds"};
  app.add_option("what", o.what)->check(CLI::IsMember({"handshakes", "messages"}))->capture_default_str();
  app.add_option("--querier", o.querier, "API socket")->required();
  app.add_option("--responder", o.responder, "API socket")->required();
  app.add_option("--source", o.source, "Address of the flow")->required();
  app.add_option("--destination", o.destination, "Address of the flow")->required();
  app.add_option("--window", o.window, "So many on their way")->capture_default_str();
  app.add_option("--seconds", o.seconds)->capture_default_str();
  app.add_option("--bytes", o.bytes, "Of a message's payload, whole words")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return netserv::run(o);
}
