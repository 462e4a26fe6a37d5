// The small parts by themselves.
#include <gtest/gtest.h>

#include "gist/authorised_peers.h"
#include "gist/end_hosts.h"
#include "gist/peer_shares.h"
#include "gist/peers.h"
#include "gist/timers.h"
#include "gist/token_bucket.h"

namespace netserv::gist {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(AuthorisedPeersTest, DnsNames) {
  // RFC5971: 5.7.3.1-2
  EXPECT_TRUE(dns_name_matches("a.example.com", "A.Example.COM"));
  EXPECT_TRUE(dns_name_matches("*.example.com", "a.example.com"));
  EXPECT_TRUE(dns_name_matches("*.example.com", "*.example.com"));
  EXPECT_FALSE(dns_name_matches("*.example.com", "example.com"));
  EXPECT_FALSE(dns_name_matches("*.example.com", "a.b.example.com"));
  EXPECT_TRUE(dns_name_matches("foo.example.com", "*.example.com"));
  EXPECT_FALSE(dns_name_matches("example.com", "*.example.com"));
  EXPECT_FALSE(dns_name_matches("a.example.com", "b.example.com"));
  EXPECT_FALSE(dns_name_matches("", ""));
}

TEST(AuthorisedPeersTest, CommonNameOnlyWithoutDnsNames) {
  // RFC5971: 5.7.3.1-2, 5.7.3.1-3
  EXPECT_TRUE(identity_matches("a.example.com", {true, {}, "a.example.com"}));
  EXPECT_FALSE(identity_matches("a.example.com", {true, {"b.example.com"}, "a.example.com"}));
  EXPECT_TRUE(identity_matches("a.example.com", {true, {"b.example.com", "a.example.com"}, ""}));
  EXPECT_FALSE(identity_matches("a.example.com", {false, {"a.example.com"}, ""}));
}

TEST(AuthorisedPeersTest, FirstMatchingEntryDecides) {
  // RFC5971: 5.7.3.1-1
  PathCoupledMri mri;
  mri.source = *IpAddress::parse("10.1.0.1");
  mri.destination = *IpAddress::parse("10.2.0.1");
  const IpAddress peer = *IpAddress::parse("192.0.2.1");
  const PeerCredentials known{true, {"r1.example.com"}, ""};
  AuthorisedPeers db;
  EXPECT_FALSE(db.authorised(known, peer, mri)) << "an empty database lets nobody in";
  db.replace({{"r1.example.com", false, {}, {}, *Prefix::parse("10.2.0.0/16")}, {"*.example.com", true, {}, {}, {}}});
  EXPECT_FALSE(db.authorised(known, peer, mri));
  mri.destination = *IpAddress::parse("10.3.0.1");
  EXPECT_TRUE(db.authorised(known, peer, mri)) << "out of the first entry's scope";
  EXPECT_FALSE(db.authorised({true, {"r1.example.net"}, ""}, peer, mri));
  db.replace({{"*", true, *Prefix::parse("192.0.2.0/24"), *Prefix::parse("10.1.0.0/16"), {}}});
  EXPECT_TRUE(db.authorised({}, peer, mri));
  EXPECT_FALSE(db.authorised({}, *IpAddress::parse("192.0.3.1"), mri));
}

TEST(PeersTest, OneHandleAPeerAndOldOnesGo) {
  Peers peers(2);
  const auto peer = [](int i) { return Peer{Bytes(1, std::byte(i)), IpAddress::v4(1), 270}; };
  const SiiHandle one = peers.intern(peer(1));
  EXPECT_EQ(peers.intern(peer(1)), one);
  peers.retain(one);
  const SiiHandle two = peers.intern(peer(2));
  const SiiHandle three = peers.intern(peer(3));
  EXPECT_TRUE(peers.find(one)) << "in use";
  EXPECT_FALSE(peers.find(two));
  EXPECT_TRUE(peers.find(three));
  peers.release(one);
  peers.intern(peer(4));
  EXPECT_FALSE(peers.find(three)) << "older among the unused";
  EXPECT_TRUE(peers.find(one));
  EXPECT_NE(peers.intern(peer(2)), two) << "never given out twice";
}

TEST(EndHostsTest, OfTooManyTheOldestIsForgotten) {
  EndHosts hosts(seconds(2), 3);
  const auto host = [](std::uint32_t i) { return IpAddress::v4(i); };
  const TimePoint start{};
  for (std::uint32_t i = 1; i <= 3; ++i) hosts.answered(host(i), {}, milliseconds(1), start + milliseconds(i));
  hosts.answered(host(1), {}, milliseconds(9), start + milliseconds(4));  // again
  hosts.answered(host(4), {}, milliseconds(1), start + milliseconds(5));
  EXPECT_FALSE(hosts.patience(host(2), {}, start + milliseconds(6)));
  EXPECT_EQ(hosts.patience(host(1), {}, start + milliseconds(6)), milliseconds(36));
  EXPECT_TRUE(hosts.patience(host(3), {}, start + milliseconds(6)));
  hosts.forget(Prefix(host(0), 30));  // 1 to 3
  EXPECT_FALSE(hosts.patience(host(1), {}, start + milliseconds(6)));
  EXPECT_TRUE(hosts.patience(host(4), {}, start + milliseconds(6)));
  for (std::uint32_t i = 5; i <= 7; ++i) hosts.answered(host(i), {}, milliseconds(1), start + milliseconds(i));
  EXPECT_FALSE(hosts.patience(host(4), {}, start + milliseconds(8)));
  EXPECT_TRUE(hosts.patience(host(7), {}, start + milliseconds(8)));
}

TEST(PeerSharesTest, AnIpv6PeerIsItsNetwork) {
  PeerShares shares(2);
  const auto at = [](const char* text) { return *IpAddress::parse(text); };
  shares.add(at("2001:db8:1::1"));
  EXPECT_FALSE(shares.used_up(at("2001:db8:1::1")));
  shares.add(at("2001:db8:1::2"));
  EXPECT_TRUE(shares.used_up(at("2001:db8:1::3")));
  EXPECT_FALSE(shares.used_up(at("2001:db8:1:1::3")));
  EXPECT_FALSE(shares.used_up(at("192.0.2.1")));
  shares.remove(at("2001:db8:1::2"));
  EXPECT_FALSE(shares.used_up(at("2001:db8:1::3")));
}

TEST(TimersTest, InOrderAndOnceEach) {
  Timers t;
  const TimePoint start{};
  t.set({1, 0}, start + seconds(2));
  t.set({2, 0}, start + seconds(1));
  t.set({1, 0}, start + milliseconds(500));
  t.set({3, 1}, start + seconds(3));
  t.cancel({3, 1});
  EXPECT_EQ(t.next(), start + milliseconds(500));
  EXPECT_FALSE(t.pop(start));
  EXPECT_EQ(t.pop(start + seconds(9)), (TimerId{1, 0}));
  EXPECT_EQ(t.pop(start + seconds(9)), (TimerId{2, 0}));
  EXPECT_FALSE(t.pop(start + seconds(9)));
  EXPECT_FALSE(t.next());
}

TEST(TimersTest, MovedToLaterItComesThen) {
  Timers t;
  const TimePoint start{};
  t.set({1, 0}, start + seconds(1));
  t.set({2, 0}, start + seconds(2));
  t.set({1, 0}, start + seconds(5));
  t.set({1, 0}, start + seconds(4));
  EXPECT_FALSE(t.pop(start + milliseconds(1500)));
  EXPECT_EQ(t.next(), start + seconds(2));
  EXPECT_EQ(t.pop(start + seconds(3)), (TimerId{2, 0}));
  EXPECT_FALSE(t.pop(start + seconds(3)));
  EXPECT_EQ(t.next(), start + seconds(4));
  t.set({1, 0}, start + seconds(6));
  t.cancel({1, 0});
  EXPECT_FALSE(t.next());
  EXPECT_FALSE(t.running({1, 0}));
}

TEST(TokenBucketTest, BurstThenRate) {
  // RFC5971: 5.3.3-9
  TokenBucket bucket(10, 3);
  TimePoint now = TimePoint{} + seconds(5);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
  EXPECT_FALSE(bucket.take(now));
  const TimePoint ready = bucket.ready(now);
  EXPECT_FALSE(bucket.take(ready - milliseconds(1)));
  EXPECT_TRUE(bucket.take(ready));
  now = ready + seconds(100);
  int taken = 0;
  while (bucket.take(now)) ++taken;
  EXPECT_EQ(taken, 3);
}

}  // namespace
}  // namespace netserv::gist
