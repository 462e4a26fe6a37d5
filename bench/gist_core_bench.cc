// Handshakes a second through two cores on one thread, with real cryptography and no sockets; what a routing state
// costs in memory, and whether looking one up gets slower with their number.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

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

Config config(int id, double send_rate) {
  Config c;
  c.peer_identity = Bytes(8, std::byte(id));
  c.query_source = QuerySource::kSignalling;
  c.send_rate = send_rate;
  c.send_burst = send_rate / 10;
  c.intercept_rate = c.intercept_burst = 1e9;
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
  Core a, b;
  TimePoint now{};
  std::uint64_t sessions = 0;
  std::int64_t delivered = 0;   // Data at b
  std::size_t a_sent = 0;       // datagrams

  explicit Pair(double send_rate = 1e9)
      : a(config(1, send_rate), crypto, network_a, everybody), b(config(2, send_rate), crypto, network_b, everybody) {
    a.register_nslp(kNslp), b.register_nslp(kNslp);
  }

  void perform(bool of_a, const Outputs& outputs) {
    for (const Output& o : outputs) {
      if (const auto* d = std::get_if<SendDatagram>(&o)) {
        a_sent += of_a;
        perform(!of_a, (of_a ? b : a).on_datagram(d->datagram, now));
      }
      if (const auto* r = std::get_if<RecvMessage>(&o)) {
        if (r->check) perform(of_a, (of_a ? a : b).answer_query(*r->check, {true, {}}, now));
        else delivered += !of_a;
      }
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
  // Lets time pass. What a sent meanwhile.
  std::size_t pass(Duration time) {
    const std::size_t before = a_sent;
    for (const TimePoint end = now + time; now < end;) {
      now += std::chrono::milliseconds(5);
      perform(true, a.on_time(now));
      perform(false, b.on_time(now));
    }
    return a_sent - before;
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

// What a look-up of a state costs by itself, with so many of them. `probes`: entries of the index that it looks at; one
// state is compared whatever their number, so that what grows is the wait for memory (the rows `memory`).
void lookup(benchmark::State& state) {
  Pair pair;
  const auto states = static_cast<std::uint64_t>(state.range(0));
  while (pair.sessions < states) pair.handshake();
  const auto key = [&](std::uint64_t i) {
    const SendMessage s = pair.message(1 + i * 7919 % states);
    return RoutingKey{inverted(s.mri), s.session, s.nslp};
  };
  RoutingKey looked_for = key(0);
  std::uint64_t next = 0;
  for (auto _ : state) {
    const std::uint64_t session = 1 + ++next * 7919 % states;
    std::memcpy(looked_for.session.bytes.data(), &session, sizeof session);
    const Responding* found = pair.b.find_responding(looked_for);
    if (!found) return state.SkipWithError("a state is missing");
    benchmark::DoNotOptimize(found);
  }
  RoutingKeyHash::Seed seed;
  pair.crypto.fill(std::as_writable_bytes(std::span(seed)));
  StateTable<Responding> same{RoutingKeyHash(seed)};
  for (std::uint64_t i = 0; i < states; ++i) same.add(key(i), i + 1);
  std::size_t probes = 0;
  for (std::uint64_t i = 0; i < states; ++i) probes += same.probes(key(i));
  state.counters["probes"] = static_cast<double>(probes) / static_cast<double>(states);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(lookup)->Arg(100)->Arg(1000)->Arg(10000)->Arg(30000)->Arg(100000);

// What one dependent access to as much memory as so many states take costs here.
void memory(benchmark::State& state) {
  struct alignas(64) Line {
    std::uint32_t next = 0;
  };
  std::vector<Line> lines(static_cast<std::size_t>(state.range(0)) * sizeof(Responding) / sizeof(Line));
  std::vector<std::uint32_t> order(lines.size());
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  for (std::size_t i = 0; i < order.size(); ++i) lines[order[i]].next = order[(i + 1) % order.size()];
  std::uint32_t at = 0;
  for (auto _ : state) benchmark::DoNotOptimize(at = lines[at].next);
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(memory)->Arg(100)->Arg(1000)->Arg(10000)->Arg(30000)->Arg(100000);

// One Data message through both nodes with so many routing states in the tables.
void data(benchmark::State& state) {
  Pair pair;
  const std::size_t before = mallinfo2().uordblks;
  const auto states = static_cast<std::uint64_t>(state.range(0));
  while (pair.sessions < states) pair.handshake();
  const std::size_t after = mallinfo2().uordblks;
  std::uint64_t next = 0;
  for (auto _ : state) pair.perform(true, pair.a.send(pair.message(1 + next++ * 7919 % states), pair.now));
  if (pair.delivered < state.iterations()) state.SkipWithError("not every message arrived");
  state.SetItemsProcessed(state.iterations());
  state.counters["states"] = static_cast<double>(pair.a.querying_states());
  state.counters["bytes_a_state"] =
      static_cast<double>(after - before) / static_cast<double>(pair.a.querying_states() + pair.b.responding_states());
}
BENCHMARK(data)->Arg(100)->Arg(10000)->Arg(100000);

// What a hundred thousand states send to stay alive under gistd's own rate limit, by the clock of the core: settled, one
// minute. The time of the row is the work of both nodes for that minute.
void refresh(benchmark::State& state) {
  Pair pair(Config{}.send_rate);
  const auto states = static_cast<std::uint64_t>(state.range(0));
  while (pair.sessions < states) {
    pair.handshake();
    if (pair.sessions % 500 == 0) pair.pass(std::chrono::seconds(1));  // what is left of the rate
  }
  pair.pass(std::chrono::seconds(300));
  std::size_t sent = 0;
  for (auto _ : state) sent += pair.pass(std::chrono::seconds(60));
  state.counters["datagrams_per_second"] = static_cast<double>(sent) / (60.0 * static_cast<double>(state.iterations()));
  state.counters["waiting"] = static_cast<double>(pair.a.waiting_datagrams());
  state.counters["states"] = static_cast<double>(pair.a.querying_states());
  state.counters["lost"] = static_cast<double>(states - pair.b.responding_states());
}
BENCHMARK(refresh)->Arg(100000)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
