// The core fed with arbitrary sequences: datagrams (raw, and sent messages bent), associations' bytes, requests, time.
// Whatever comes, it must not crash, and its tables must stay within their limits.
#include <cstdint>
#include <cstdlib>

#include "gist/testing/world.h"
#include "input.h"

using namespace netserv;
using namespace netserv::gist;
using netserv::fuzz::Input;
using netserv::gist::testing::kNslp;
using netserv::gist::testing::World;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, std::min<std::size_t>(size, 400));
  World world(1);
  Config config;
  config.tcp_port = 30000;
  config.responder_policy = static_cast<ResponderPolicy>(in.byte() % 3);
  config.max_routing_states = 8;
  config.max_peer_states = 4;
  config.max_unconfirmed = 3;
  config.max_associations = 4;
  config.max_pending_queries = 3;
  config.max_stream_bytes = 300;
  config.path_mtu = 1280;
  testing::Node& a = world.add("a", config);
  testing::Node& b = world.add("b", config);
  world.link(a, b);
  while (in.more()) {
    testing::Node& node = in.byte() % 2 ? a : b;
    switch (in.byte() % 11) {
      case 0: {
        SendMessage s;
        s.data = Bytes(4 * (in.byte() % 8));
        s.nslp = kNslp;
        s.session.bytes[0] = std::byte(in.byte() % 10);
        s.mri = World::flow(a, b, in.byte() % 4 ? Direction::kDownstream : Direction::kUpstream);
        s.attributes.reliable = in.byte() % 2;
        node.send(std::move(s));
        break;
      }
      case 1: {
        Datagram d;
        d.source = a.address;
        d.destination = b.address;
        d.source_port = d.destination_port = kUdpPort;
        d.ttl = in.byte();
        d.payload = in.bytes(200);
        world.inject(node, std::move(d));
        break;
      }
      case 2: {
        if (world.sent.empty()) break;
        Datagram d = world.sent[in.byte() % world.sent.size()].datagram;
        for (int i = in.byte() % 4; i > 0; --i) d.payload[in.byte() % d.payload.size()] = std::byte{in.byte()};
        world.inject(node, std::move(d));
        break;
      }
      case 3: {
        const AssociationId id(in.byte());
        if (!node.core().find_association(id)) break;
        node.perform(node.core().association_data(id, in.bytes(100), world.now()));
        break;
      }
      case 4: {
        (void)node.core().accept_association({a.address, false, {}}, world.now());
        node.perform({});
        break;
      }
      case 6: {  // an ICMP error quotes what was sent, as much as it likes and not always right
        if (world.sent.empty()) break;
        Bytes quoted = world.sent[in.byte() % world.sent.size()].datagram.payload;
        quoted.resize(std::min<std::size_t>(quoted.size(), in.byte()));
        for (int i = in.byte() % 4; i > 0 && !quoted.empty(); --i) quoted[in.byte() % quoted.size()] = std::byte{in.byte()};
        const std::uint16_t mtu = static_cast<std::uint16_t>(in.byte() * 8);
        node.perform(mtu == 0 ? node.core().on_port_unreachable(quoted, world.now())
                              : node.core().on_packet_too_big(quoted, mtu, world.now()));
        break;
      }
      case 7: node.core().association_congested(AssociationId(in.byte()), in.byte() % 2); break;
      case 8: {
        world.set_link(a, b, in.byte() % 2);
        node.perform(node.core().route_changed(Prefix(b.address, 24), world.now()));
        break;
      }
      case 9: {  // for one session, or for all of the flow
        SetStateLifetime request{kNslp, World::flow(a, b, in.byte() % 2 ? Direction::kDownstream : Direction::kUpstream), {}, {}};
        if (in.byte() % 2) request.session.emplace().bytes[0] = std::byte(in.byte() % 10);
        request.lifetime = std::chrono::milliseconds(100 * (in.byte() % 100));
        node.perform(node.core().set_state_lifetime(request, world.now()));
        break;
      }
      case 10: {
        InvalidateRoutingState request;
        request.mri = World::flow(a, b);
        request.status = in.byte() % 2 ? RouteStatus::kBad : RouteStatus::kTentative;
        request.data = Bytes(4 * (in.byte() % 4));
        request.urgent = in.byte() % 2;
        node.perform(node.core().invalidate_routing_state(request, world.now()));
        break;
      }
      case 5: world.run_for(std::chrono::milliseconds(10 * in.byte())); break;
    }
    if (node.core().querying_states() + node.core().responding_states() > 8) std::abort();
    if (node.core().associations() > 4 || node.core().pending_queries() > 3) std::abort();
  }
  return 0;
}
