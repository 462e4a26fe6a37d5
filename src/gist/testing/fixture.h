// A line of nodes a - m - b for tests of the core; a and m speak GIST, b does if the test says so.
#pragma once

#include <gtest/gtest.h>

#include "gist/testing/world.h"

namespace netserv::gist::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline Config base_config() {
  Config c;
  c.tcp_port = 30000;
  return c;
}
inline Config tls_config() {
  Config c = base_config();
  c.tls_port = 30001;
  c.use_tls = true;
  return c;
}
inline Bytes words(std::size_t n, int fill = 0xda) { return Bytes(4 * n, std::byte(fill)); }

class LineTest : public ::testing::Test {
 protected:
  explicit LineTest(std::uint64_t seed = 1) : world(seed) {}

  // With `b` a plain host, m is the last node.
  void build(const Config& config = base_config(), bool b_speaks = true, LinkQuality quality = {}) {
    a = &world.add("a", config);
    m = &world.add("m", config);
    b = b_speaks ? &world.add("b", config) : &world.add_plain("b");
    world.link(*a, *m, quality);
    world.link(*m, *b, quality);
    session = world.session();
  }

  // base_config() but for what `change` does to it.
  template <class Change>
  void build_with(Change change) {
    Config config = base_config();
    change(config);
    build(config);
  }

  SendMessage message(std::uint64_t handle = 1, Direction direction = Direction::kDownstream) {
    SendMessage s;
    s.data = words(2);
    s.handle = MessageHandle(handle);
    s.nslp = kNslp;
    s.session = session;
    s.mri = World::flow(*a, *b, direction);
    return s;
  }
  SendMessage reliable(std::uint64_t handle = 1) {
    SendMessage s = message(handle);
    s.attributes.reliable = true;
    return s;
  }
  SendMessage sized(std::size_t bytes, std::uint64_t handle = 1) {
    SendMessage s = message(handle);
    s.data = words(bytes / 4);
    return s;
  }
  // From the responder back to the querier.
  SendMessage answer(std::uint64_t handle = 1) { return message(handle, Direction::kUpstream); }

  RoutingKey down() { return {World::flow(*a, *b), session, kNslp}; }
  RoutingKey up() { return {World::flow(*a, *b, Direction::kUpstream), session, kNslp}; }
  const Querying* querying() { return a->core().find_querying(down()); }
  const Responding* responding() { return m->core().find_responding(up()); }

  // Datagrams of one type that were sent so far, decoded.
  std::vector<Message> sent(MessageType type, const Node* from = nullptr) {
    std::vector<Message> out;
    for (const Flight& f : flights(type, from)) out.push_back(decode_datagram(f.datagram.payload).value());
    return out;
  }
  std::vector<Flight> flights(MessageType type, const Node* from = nullptr) {
    std::vector<Flight> out;
    for (const Flight& f : world.sent) {
      const DecodeResult d = decode_datagram(f.datagram.payload);
      if (d && d->type() == type && (!from || f.from == from->index)) out.push_back(f);
    }
    return out;
  }
  std::vector<Message> on_associations(MessageType type, const Node* from = nullptr) {
    std::vector<Message> out;
    for (const auto& [maker, bytes] : world.on_associations) {
      const DecodeResult d = decode_message(bytes, Transport::kStream);
      if (d && d->type() == type && (!from || maker == from->index)) out.push_back(*d);
    }
    return out;
  }
  // Errors that `from` sent as datagrams, "code/subcode".
  std::vector<std::string> errors(const Node* from) {
    std::vector<std::string> out;
    for (const Message& e : sent(MessageType::kError, from))
      out.push_back(std::to_string(e.error->code) + "/" + std::to_string(e.error->subcode));
    return out;
  }

  // Loses datagrams of the type as long as `count` lasts.
  void lose(MessageType type, int count = 1000000) {
    auto left = std::make_shared<int>(count);
    world.tap = [type, left](Flight& f) {
      const DecodeResult d = decode_datagram(f.datagram.payload);
      return !(d && d->type() == type && (*left)-- > 0);
    };
  }
  // Changes messages of the type on their way.
  void bend(MessageType type, std::function<void(Message&, Datagram&)> edit) {
    world.tap = [type, edit](Flight& f) {
      DecodeResult d = decode_datagram(f.datagram.payload);
      if (!d || d->type() != type) return true;
      edit(*d, f.datagram);
      f.datagram.payload = encode_datagram(*d).value();
      return true;
    };
  }
  // A message straight into m as if it came from a.
  void inject(const Message& message, std::uint8_t ttl = 63) {
    Datagram d;
    d.source = message.nli ? message.nli->interface_address : a->address;
    d.destination = message.header.context_free ? b->address : m->address;
    d.source_port = d.destination_port = kUdpPort;
    d.ttl = ttl;
    d.interface = 1;
    d.payload = encode_datagram(message).value();
    world.inject(*m, d);
  }

  World world;
  Node* a = nullptr;
  Node* m = nullptr;
  Node* b = nullptr;
  SessionId session;
};

}  // namespace netserv::gist::testing
