// What an operator may choose, as a value. Defaults are RFC 5971's where it names one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/time.h"
#include "wire/gist/nli.h"

namespace netserv::gist {

// When a Responding node makes state (6.3).
enum class ResponderPolicy : std::uint8_t {
  kImmediate,     // case 1: at the Query
  kAwaitConfirm,  // case 2: at the Query, to be confirmed; delayed when too many are unconfirmed
  kDelayed,       // case 3: at the Confirm
};

// The IP source of downstream Queries (5.8.1.2).
enum class QuerySource : std::uint8_t {
  kFlowFirst,   // the flow's, then the node's own on every other retransmission
  kSignalling,  // always the node's own: ICMP errors come back, so the last node is known in one round trip
};

struct Config {
  Bytes peer_identity;  // unique, the same on all interfaces; at most 255 bytes
  std::uint16_t udp_port = 270;
  std::uint16_t tcp_port = 0;  // where plain associations are accepted; 0: none
  std::uint16_t tls_port = 0;  // TLS associations; 0: none
  bool use_tcp = true;         // as the querying side
  bool use_tls = false;

  std::uint8_t hops = 64;    // GIST hop count when the application names none
  std::uint16_t path_mtu = 576;  // of paths that nothing else is known about (4.3.3)
  std::uint8_t ip_ttl = 64;  // of D-mode packets; upstream Queries have 255
  QuerySource query_source = QuerySource::kFlowFirst;
  ResponderPolicy responder_policy = ResponderPolicy::kAwaitConfirm;
  bool accept_stateless_data = true;
  bool send_invalid_cookie_errors = false;  // debugging only: makes the node a source of backscatter (8.5)
  std::uint8_t min_destination_prefix_v4 = 32;  // less is "MRI Too Wild" when a Query is passed on
  std::uint8_t min_destination_prefix_v6 = 128;

  Milliseconds validity{30000};
  Milliseconds hold_time{30000};
  Duration t1 = std::chrono::milliseconds(500);
  Duration t2 = std::chrono::seconds(32);  // 64 * T1
  unsigned max_queries = 7;                // in one handshake; with T1 that is 63.5 s, sooner by a message's timeout
  Duration confirm_timeout = std::chrono::seconds(30);  // No_Confirm: a Response is not repeated, the next Query's is another
  Duration end_host_memory = std::chrono::seconds(2);  // its word that nobody speaks GIST before it; zero: none
  Duration inactivity = std::chrono::seconds(90);  // Inactive_QNode until SetStateLifetime says otherwise
  Duration connect_timeout = std::chrono::seconds(10);
  Duration answer_timeout = std::chrono::seconds(2);  // for the application to answer a Query
  Duration cookie_secret_lifetime = std::chrono::seconds(60);
  Duration stack_contents_lifetime = std::chrono::seconds(30);

  // One token bucket for all D-mode messages made here (5.3.3), one for intercepted packets (5.3.2.3); a second.
  // A querier's handshake takes two messages: this is 5,000 of them a second, with a fifth more for what is sent again.
  double send_rate = 12000;
  double send_burst = 1200;
  std::size_t send_queue = 10000;
  double intercept_rate = 50000;
  double intercept_burst = 5000;

  std::size_t max_routing_states = 200000;
  std::size_t max_peer_states = 100000;  // confirmed by one peer (gist/peer_shares.h)
  std::size_t max_unconfirmed = 4096;  // beyond it state is delayed to the Confirm
  std::size_t max_pending_queries = 1024;       // waiting for the application, ...
  std::size_t max_pending_bytes = 4 << 20;      // ... and their sum
  std::size_t max_stored_messages = 64;  // for one flow, while its handshake runs
  std::size_t max_associations = 4096;
  std::size_t max_unclaimed_message = 16384;     // before the first Confirm on an accepted association
  std::size_t max_stream_bytes = 64 << 20;       // of messages that have not come whole, on all associations
  std::size_t max_association_queue = 1024;
  std::size_t max_end_hosts = 4096;
  std::size_t max_peers = 65536;  // SII-handles kept
};

}  // namespace netserv::gist
