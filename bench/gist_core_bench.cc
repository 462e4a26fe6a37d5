// Handshakes a second through two cores on one thread, with real cryptography and no sockets; what a routing state
// costs in memory, and whether looking one up gets slower with their number.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>

#include "gist/core.h"
#include "gist_crypto/openssl_crypto.h"

using namespace netserv;
using namespace netserv::gist;

namespace {

const NslpId kNslp{32704};

class OneAddress final : public Network {
 public:
  explicit OneAddress(IpAddress own) : own_(own) {}
  bool is_local(const IpAddress& a) const override { return a == own_; }
  std::optional<Egress> route(const IpAddress&, const IpAddress&) const override {
    Egress e;
    e.interface = 1;
    e.address = own_;
    return e;
  }
  bool ingress_allowed(const Prefix&, std::uint32_t) const override { return true; }
  std::optional<std::uint16_t> path_mtu(const IpAddress&) const override { return std::nullopt; }

 private:
  IpAddress own_;
};

class Everybody final : public PeerAuthority {
 public:
  bool authorised(const PeerCredentials&, const IpAddress&, const Mri&) const override { return true; }
};

Config config(int id) {
  Config c;
  c.peer_identity = Bytes(8, std::byte(id));
  c.query_source = QuerySource::kSignalling;
  c.send_rate = c.send_burst = c.intercept_rate = c.intercept_burst = 1e9;
  c.inactivity = std::chrono::hours(24);
  c.max_unconfirmed = 1000000;
  return c;
}

// Two nodes next to each other; what one sends the other gets at once.
struct Pair {
  OpenSslCrypto crypto;
  Everybody everybody;
  IpAddress address_a = IpAddress::v4(0x0a000001), address_b = IpAddress::v4(0x0a000002);
  OneAddress network_a{address_a}, network_b{address_b};
  Core a{config(1), crypto, network_a, everybody};
  Core b{config(2), crypto, network_b, everybody};
  TimePoint now{};
  std::uint64_t sessions = 0;

  Pair() { a.register_nslp(kNslp), b.register_nslp(kNslp); }

  void perform(bool of_a, const Outputs& outputs) {
    for (const Output& o : outputs) {
      if (const auto* d = std::get_if<SendDatagram>(&o)) perform(!of_a, (of_a ? b : a).on_datagram(d->datagram, now));
      if (const auto* r = std::get_if<RecvMessage>(&o))
        if (r->check) perform(of_a, (of_a ? a : b).answer_query(*r->check, {true, {}}, now));
    }
  }
  SendMessage message(std::uint64_t session) const {
    SendMessage s;
    s.data = Bytes(32);
    s.nslp = kNslp;
    std::memcpy(s.session.bytes.data(), &session, sizeof session);
    PathCoupledMri mri;
    mri.source = address_a;
    mri.destination = address_b;
    s.mri = mri;
    return s;
  }
  void handshake() { perform(true, a.send(message(++sessions), now)); }
};

// Query, Response and Confirm through both cores: the work of two nodes.
void handshake(benchmark::State& state) {
  auto pair = std::make_unique<Pair>();
  for (auto _ : state) {
    pair->handshake();
    if (pair->sessions % 50000 != 0) continue;
    state.PauseTiming();
    pair = std::make_unique<Pair>();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(handshake);

// One Data message with so many routing states in the tables.
void data(benchmark::State& state) {
  Pair pair;
  const std::size_t before = mallinfo2().uordblks;
  const auto states = static_cast<std::uint64_t>(state.range(0));
  while (pair.sessions < states) pair.handshake();
  const std::size_t after = mallinfo2().uordblks;
  std::uint64_t next = 0;
  for (auto _ : state) pair.perform(true, pair.a.send(pair.message(1 + next++ * 7919 % states), pair.now));
  state.SetItemsProcessed(state.iterations());
  state.counters["states"] = static_cast<double>(pair.a.querying_states());
  state.counters["bytes_a_state"] =
      static_cast<double>(after - before) / static_cast<double>(pair.a.querying_states() + pair.b.responding_states());
}
BENCHMARK(data)->Arg(100)->Arg(10000)->Arg(100000);

}  // namespace

BENCHMARK_MAIN();
