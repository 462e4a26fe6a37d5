// A simulated network of GIST cores on a virtual clock: routers and hosts, links with delay, loss, duplication and
// reordering, messaging associations as reliable pipes. No sockets, no threads; one seed decides everything.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gist/authorised_peers.h"
#include "gist/core.h"

namespace netserv::gist::testing {

inline const NslpId kNslp{32704};

// Random numbers from a seed, and a keyed hash that is no MAC at all: good for tests only.
class SeededCrypto final : public Crypto {
 public:
  explicit SeededCrypto(std::uint64_t seed) : random_(seed) {}
  void fill(std::span<std::byte> out) override;
  Digest hmac(ByteSpan key, ByteSpan data) override;

 private:
  std::mt19937_64 random_;
};

struct LinkQuality {
  Duration delay = std::chrono::milliseconds(5);
  Duration jitter{};  // more, up to this: packets overtake each other
  double loss = 0;
  double duplicate = 0;
  std::uint16_t mtu = 1500;
};

// A datagram on its way, as a tap sees it where it is sent.
struct Flight {
  int from = 0;  // the node that made it
  Datagram datagram;
  bool query_mode = false;
  TimePoint at;
};

class World;

class Node final : public Network {
 public:
  Node(World& world, int index, std::string name, IpAddress address);

  Core& core() { return *core_; }
  bool has_gist() const { return core_ != nullptr; }
  // Makes the outputs happen.
  void perform(Outputs outputs);
  void send(SendMessage message);

  bool is_local(const IpAddress& a) const override { return a == address || shared.contains(a); }
  std::optional<Egress> route(const IpAddress& destination, const IpAddress& source) const override;
  bool ingress_allowed(const Prefix& source, std::uint32_t interface) const override;
  std::optional<std::uint16_t> path_mtu(const IpAddress&) const override { return path_mtu_known; }

  // Events of a type so far, those with a code if one is given.
  std::size_t count(Event::Type type, std::uint16_t code = 0) const;
  const MessageStatus* status_of(std::uint64_t handle) const;  // the last one
  std::size_t notified(NetworkNotification::Type type) const;

  World& world;
  const int index;
  const std::string name;
  const IpAddress address;
  std::set<IpAddress> shared;  // anycast: others may have them too
  AuthorisedPeers authority{{AuthorisedPeer{"*", true, {}, {}, {}}}};
  PeerCredentials credentials;  // what its certificate shows
  std::set<Prefix> forbidden_ingress;
  std::optional<std::uint16_t> path_mtu_known;

  std::vector<RecvMessage> received;
  std::vector<MessageStatus> statuses;
  std::vector<NetworkNotification> notifications;
  std::vector<Event> events;
  // The application. By default it peers with all, and keeps what it gets.
  std::function<QueryAnswer(const RecvMessage&)> on_query;
  std::function<void(const RecvMessage&)> on_message;
  std::function<void(const NetworkNotification&)> on_notification;

 private:
  friend class World;
  void arm();
  std::unique_ptr<SeededCrypto> crypto_;
  std::unique_ptr<Core> core_;
  std::optional<TimePoint> armed_;
};

class World {
 public:
  explicit World(std::uint64_t seed = 1) : random_(seed) {}

  // A node that speaks GIST, with `config` (its identity is set here); or a plain router or host.
  Node& add(const std::string& name, const Config& config, bool v6 = false);
  Node& add_plain(const std::string& name, bool v6 = false);
  void link(Node& a, Node& b, LinkQuality quality = {});
  void set_link(Node& a, Node& b, bool up);
  // The node forgets everything, as after a crash, and starts again.
  void restart(Node& node);

  void run_for(Duration time);
  // Until `done` holds; false if that does not happen within `limit`.
  bool run_until(const std::function<bool()>& done, Duration limit = std::chrono::seconds(600));
  TimePoint now() const { return now_; }

  // From `from` to `to`, UDP to the port.
  static Mri flow(const Node& from, const Node& to, Direction direction = Direction::kDownstream);
  SessionId session();

  // Sees each datagram as its maker sends it; may change it, false loses it.
  std::function<bool(Flight&)> tap;
  std::vector<Flight> sent;             // all of them
  std::size_t icmp_errors_left = SIZE_MAX;  // port unreachable: of all hosts together
  std::vector<std::pair<int, Bytes>> on_associations;  // maker and bytes, in the order sent

  // Injects a datagram at a node as if it came in by `interface`.
  void inject(Node& at, Datagram datagram);
  std::size_t open_connections() const { return connections_.size(); }
  // All of a node's; both ends learn of it unless the node is not to.
  void break_connections(Node& node, bool tell = true);

 private:
  friend class Node;
  struct Link {
    LinkQuality quality;
    bool up = true;
  };
  struct End {
    int node = 0;
    AssociationId id{};
    bool operator<(const End& o) const { return std::tie(node, id) < std::tie(o.node, o.id); }
  };
  struct Pipe {
    End other;
    TimePoint last_arrival{};
  };

  void at(TimePoint when, std::function<void()> what);
  bool step();
  void launch(Node& from, Datagram datagram, bool query_mode);
  void arrive(int node, int from, Datagram datagram, bool query_mode);
  void onward(int node, Datagram datagram, bool query_mode);
  void unreachable(int node, const Datagram& datagram);
  int next_hop(int from, const IpAddress& to) const;
  std::optional<Duration> path_delay(int from, int to) const;
  void connect(int node, const ConnectAssociation& request);
  void stream(int node, const SendOnAssociation& send);
  void close(int node, AssociationId id);
  Node* owner(const IpAddress& address);
  void start(Node& node);

  std::mt19937_64 random_;
  TimePoint now_{};
  std::uint64_t sequence_ = 0;
  std::map<std::pair<TimePoint, std::uint64_t>, std::function<void()>> queue_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::optional<Config>> configs_;
  std::map<std::pair<int, int>, Link> links_;
  std::map<End, Pipe> connections_;
};

}  // namespace netserv::gist::testing
