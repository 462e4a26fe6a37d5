#include "gist/testing/world.h"

#include <algorithm>
#include <deque>

#include "wire/gist/header.h"

namespace netserv::gist::testing {

void SeededCrypto::fill(std::span<std::byte> out) {
  for (std::byte& b : out) b = std::byte(random_());
}

Digest SeededCrypto::hmac(ByteSpan key, ByteSpan data) {
  Digest out;
  for (std::size_t i = 0; i < out.size(); i += 8) {
    std::uint64_t h = 0xcbf29ce484222325ull + i;
    for (ByteSpan part : {key, data, key})
      for (std::byte b : part) h = (h ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3ull + (h >> 31);
    for (std::size_t j = 0; j < 8; ++j) out[i + j] = std::byte(h >> (8 * j) & 0xff);
  }
  return out;
}

Node::Node(World& w, int i, std::string n, IpAddress a) : world(w), index(i), name(std::move(n)), address(a) {}

std::optional<Egress> Node::route(const IpAddress& destination, const IpAddress&) const {
  const int hop = world.next_hop(index, destination);
  if (hop < 0) return std::nullopt;
  Egress e;
  e.interface = static_cast<std::uint32_t>(hop) + 1;
  e.address = address;
  e.mtu = world.links_.at(std::minmax(index, hop)).quality.mtu;
  e.next_hop = world.nodes_[static_cast<std::size_t>(hop)]->address;
  return e;
}

bool Node::ingress_allowed(const Prefix& source, std::uint32_t) const {
  return std::none_of(forbidden_ingress.begin(), forbidden_ingress.end(),
                      [&](const Prefix& p) { return p.overlaps(source); });
}

std::size_t Node::count(Event::Type type, std::uint16_t code) const {
  return static_cast<std::size_t>(std::count_if(events.begin(), events.end(), [&](const Event& e) {
    return e.type == type && (code == 0 || e.code == code);
  }));
}

std::size_t Node::notified(NetworkNotification::Type type) const {
  return static_cast<std::size_t>(
      std::count_if(notifications.begin(), notifications.end(), [&](const auto& n) { return n.type == type; }));
}

const MessageStatus* Node::status_of(std::uint64_t handle) const {
  const MessageStatus* found = nullptr;
  for (const MessageStatus& s : statuses)
    if (s.handle.value() == handle) found = &s;
  return found;
}

void Node::send(SendMessage message) { perform(core_->send(std::move(message), world.now())); }

void Node::perform(Outputs outputs) {
  for (Output& o : outputs) {
    if (auto* d = std::get_if<SendDatagram>(&o)) world.launch(*this, std::move(d->datagram), d->query_mode);
    if (auto* f = std::get_if<ForwardDatagram>(&o)) world.onward(index, std::move(f->datagram), true);
    if (auto* c = std::get_if<ConnectAssociation>(&o)) world.connect(index, *c);
    if (auto* s = std::get_if<SendOnAssociation>(&o)) world.stream(index, *s);
    if (auto* c = std::get_if<CloseAssociation>(&o)) world.close(index, c->id);
    if (auto* s = std::get_if<MessageStatus>(&o)) statuses.push_back(*s);
    if (auto* e = std::get_if<Event>(&o)) events.push_back(*e);
    if (auto* n = std::get_if<NetworkNotification>(&o)) {
      notifications.push_back(*n);
      if (on_notification) on_notification(*n);
    }
    if (auto* r = std::get_if<RecvMessage>(&o)) {
      received.push_back(*r);
      const RecvMessage message = *r;
      if (message.check) {
        const QueryAnswer answer = on_query ? on_query(message) : QueryAnswer{true, {}};
        perform(core_->answer_query(*message.check, answer, world.now()));
      }
      if (on_message) on_message(message);
    }
  }
  arm();
}

void Node::arm() {
  if (!core_) return;
  const auto deadline = core_->next_deadline();
  if (!deadline || armed_ == deadline) return;
  armed_ = deadline;
  world.at(std::max(*deadline, world.now()), [this, when = *deadline] {
    if (armed_ != when || !core_) return;
    armed_.reset();
    perform(core_->on_time(world.now()));
  });
}

Node& World::add_plain(const std::string& name, bool v6) {
  const int index = static_cast<int>(nodes_.size());
  IpAddress address = IpAddress::v4(0x0a000001u + (static_cast<std::uint32_t>(index) << 8));
  if (v6) {
    Bytes bytes(16);
    bytes[0] = std::byte{0xfd};
    bytes[15] = std::byte(index + 1);
    address = IpAddress::from_bytes(bytes);
  }
  nodes_.push_back(std::make_unique<Node>(*this, index, name, address));
  configs_.push_back(std::nullopt);
  return *nodes_.back();
}

Node& World::add(const std::string& name, const Config& config, bool v6) {
  Node& node = add_plain(name, v6);
  configs_.back() = config;
  node.credentials = {true, {name + ".example.net"}, ""};
  start(node);
  return node;
}

void World::start(Node& node) {
  Config config = *configs_[static_cast<std::size_t>(node.index)];
  config.peer_identity = Bytes(8);
  for (std::byte& b : config.peer_identity) b = std::byte(random_());
  node.crypto_ = std::make_unique<SeededCrypto>(random_());
  node.core_ = std::make_unique<Core>(std::move(config), *node.crypto_, node, node.authority);
  node.core_->register_nslp(kNslp);
  node.armed_.reset();
}

void World::restart(Node& node) {
  break_connections(node, false);
  start(node);
}

void World::break_connections(Node& node, bool tell) {
  std::vector<End> ends;
  for (const auto& [end, pipe] : connections_)
    if (end.node == node.index) ends.push_back(end);
  for (const End& end : ends) {
    close(end.node, end.id);
    if (tell) node.perform(node.core().association_failed(end.id, now_));
  }
}

void World::link(Node& a, Node& b, LinkQuality quality) { links_[std::minmax(a.index, b.index)] = {quality, true}; }
void World::set_link(Node& a, Node& b, bool up) { links_.at(std::minmax(a.index, b.index)).up = up; }

void World::at(TimePoint when, std::function<void()> what) { queue_[{when, sequence_++}] = std::move(what); }

bool World::step() {
  if (queue_.empty()) return false;
  auto node = queue_.extract(queue_.begin());
  now_ = node.key().first;
  node.mapped()();
  return true;
}

void World::run_for(Duration time) {
  const TimePoint end = now_ + time;
  while (!queue_.empty() && queue_.begin()->first.first <= end) step();
  now_ = end;
}

bool World::run_until(const std::function<bool()>& done, Duration limit) {
  const TimePoint end = now_ + limit;
  while (!done()) {
    if (queue_.empty() || queue_.begin()->first.first > end) return false;
    step();
  }
  return true;
}

Mri World::flow(const Node& from, const Node& to, Direction direction) {
  PathCoupledMri m;
  m.direction = direction;
  m.source = from.address;
  m.destination = to.address;
  m.source_prefix = m.destination_prefix = static_cast<std::uint8_t>(m.source.bits());
  return m;
}

SessionId World::session() {
  SessionId id;
  for (std::byte& b : id.bytes) b = std::byte(random_());
  return id;
}

Node* World::owner(const IpAddress& address) {
  for (const auto& node : nodes_)
    if (node->address == address) return node.get();
  return nullptr;
}

// Fewest hops over links that are up; of equals, the lowest number.
int World::next_hop(int from, const IpAddress& to) const {
  std::vector<int> distance(nodes_.size(), -1);
  std::deque<int> work;
  for (const auto& node : nodes_)
    if (node->is_local(to)) distance[static_cast<std::size_t>(node->index)] = 0, work.push_back(node->index);
  const auto neighbours = [&](int n, const std::function<void(int)>& visit) {
    for (const auto& [ends, l] : links_) {
      if (!l.up) continue;
      if (ends.first == n) visit(ends.second);
      if (ends.second == n) visit(ends.first);
    }
  };
  while (!work.empty()) {
    const int n = work.front();
    work.pop_front();
    neighbours(n, [&](int m) {
      if (distance[static_cast<std::size_t>(m)] >= 0) return;
      distance[static_cast<std::size_t>(m)] = distance[static_cast<std::size_t>(n)] + 1;
      work.push_back(m);
    });
  }
  const int mine = distance[static_cast<std::size_t>(from)];
  int best = -1;
  neighbours(from, [&](int m) {
    if (mine > 0 && distance[static_cast<std::size_t>(m)] == mine - 1 && (best < 0 || m < best)) best = m;
  });
  return best;
}

std::optional<Duration> World::path_delay(int from, int to) const {
  Duration total{};
  while (from != to) {
    const int hop = next_hop(from, nodes_[static_cast<std::size_t>(to)]->address);
    if (hop < 0) return std::nullopt;
    total += links_.at(std::minmax(from, hop)).quality.delay;
    from = hop;
  }
  return total;
}

void World::launch(Node& from, Datagram datagram, bool query_mode) {
  Flight flight{from.index, std::move(datagram), query_mode, now_};
  sent.push_back(flight);
  if (tap && !tap(flight)) return;
  onward(from.index, std::move(flight.datagram), query_mode);
}

void World::onward(int node, Datagram datagram, bool query_mode) {
  const int hop = next_hop(node, datagram.destination);
  if (hop < 0) return;
  const LinkQuality& quality = links_.at(std::minmax(node, hop)).quality;
  const auto chance = [&](double p) { return p > 0 && static_cast<double>(random_() % 1000000) < p * 1e6; };
  const int copies = chance(quality.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    if (chance(quality.loss)) continue;
    Duration delay = quality.delay;
    if (quality.jitter.count() > 0)
      delay += Duration(static_cast<Duration::rep>(random_() % static_cast<std::uint64_t>(quality.jitter.count())));
    at(now_ + delay, [this, hop, node, datagram, query_mode] { arrive(hop, node, datagram, query_mode); });
  }
}

void World::arrive(int index, int from, Datagram datagram, bool query_mode) {
  Node& node = *nodes_[static_cast<std::size_t>(index)];
  datagram.interface = static_cast<std::uint32_t>(from) + 1;
  const bool local = node.is_local(datagram.destination);
  if (node.has_gist() && (local || query_mode)) return node.perform(node.core().on_datagram(datagram, now_));
  if (local) return unreachable(index, datagram);
  if (--datagram.ttl > 0) onward(index, std::move(datagram), query_mode);
}

// A host that knows no GIST answers by ICMP, to the IP source: only a node that sent under its own address hears.
void World::unreachable(int node, const Datagram& datagram) {
  Node* source = owner(datagram.source);
  if (!source || !source->has_gist() || icmp_errors_left == 0) return;
  --icmp_errors_left;
  const auto delay = path_delay(node, source->index);
  if (!delay) return;
  at(now_ + *delay, [source, payload = datagram.payload, this] {
    source->perform(source->core().on_port_unreachable(payload, now_));
  });
}

void World::inject(Node& node, Datagram datagram) { node.perform(node.core().on_datagram(datagram, now_)); }

void World::connect(int index, const ConnectAssociation& request) {
  const End here{index, request.id};
  const auto fail_after = [&](Duration delay) {
    at(now_ + delay, [this, here] {
      Node& n = *nodes_[static_cast<std::size_t>(here.node)];
      n.perform(n.core().association_failed(here.id, now_));
    });
  };
  Node* target = owner(request.address);
  const auto delay = target ? path_delay(index, target->index) : std::nullopt;
  if (!delay || !target->has_gist()) return fail_after(std::chrono::seconds(1));
  const Config& theirs = target->core().config();
  if (request.port == 0 || request.port != (request.tls ? theirs.tls_port : theirs.tcp_port)) return fail_after(2 * *delay);
  at(now_ + *delay, [this, here, target, tls = request.tls, delay = *delay] {
    Node& from = *nodes_[static_cast<std::size_t>(here.node)];
    AcceptedAssociation accepted{from.address, tls, tls ? from.credentials : PeerCredentials{}};
    const End there{target->index, target->core().accept_association(accepted, now_)};
    target->perform(target->core().on_time(now_));
    if (there.id.value() == 0) {
      Node& refused = *nodes_[static_cast<std::size_t>(here.node)];
      return refused.perform(refused.core().association_failed(here.id, now_));
    }
    connections_[here] = {there, now_};
    connections_[there] = {here, now_};
    at(now_ + delay, [this, here, target, tls] {
      Node& n = *nodes_[static_cast<std::size_t>(here.node)];
      if (!connections_.contains(here)) return;
      n.perform(n.core().association_connected(here.id, tls ? target->credentials : PeerCredentials{}, now_));
    });
  });
}

void World::stream(int index, const SendOnAssociation& send) {
  on_associations.emplace_back(index, send.bytes);
  const auto pipe = connections_.find({index, send.id});
  if (pipe == connections_.end()) return;
  const End other = pipe->second.other;
  const TimePoint arrival =
      std::max(pipe->second.last_arrival, now_ + path_delay(index, other.node).value_or(std::chrono::seconds(1)));
  pipe->second.last_arrival = arrival;
  at(arrival, [this, other, bytes = send.bytes] {
    if (!connections_.contains(other)) return;
    Node& n = *nodes_[static_cast<std::size_t>(other.node)];
    n.perform(n.core().association_data(other.id, bytes, now_));
  });
}

void World::close(int index, AssociationId id) {
  const auto pipe = connections_.find({index, id});
  if (pipe == connections_.end()) return;
  const End other = pipe->second.other;
  const TimePoint arrival = std::max(pipe->second.last_arrival, now_ + std::chrono::milliseconds(1));
  connections_.erase(pipe);
  at(arrival, [this, other] {
    if (connections_.erase(other) == 0) return;
    Node& n = *nodes_[static_cast<std::size_t>(other.node)];
    n.perform(n.core().association_failed(other.id, now_));
  });
}

}  // namespace netserv::gist::testing
