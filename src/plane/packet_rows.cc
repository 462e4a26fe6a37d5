#include "plane/packet_rows.h"

#include "netserv/abi.h"

namespace netserv::plane {

std::vector<PacketRow> packet_rows() {
  using forward::Fate;
  const Filter sip{kProtocolUdp, 5060, {}, *Prefix::parse("10.0.2.0/24")};
  const Filter sip6{kProtocolUdp, 5060, {}, *Prefix::parse("2001:db8:2::/48")};
  const Bytes in = make_udp({"10.0.1.1", "10.0.2.2"});
  const Bytes in6 = make_udp({"2001:db8:1::1", "2001:db8:2::2"});
  const Bytes answer = make_udp({"10.0.2.2", "10.0.1.1", 5060, 4000, "answer"});
  const Bytes answer6 = make_udp({"2001:db8:2::2", "2001:db8:1::1", 5060, 4000, "answer"});
  const Bytes longer = make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, "a longer payload"});
  const Bytes stranger = make_udp({"10.0.9.9", "10.0.1.1", 5060, 4000, "spoof"});
  const Bytes astray = make_udp({"10.0.2.2", "10.0.9.9", 5060, 4000, "astray"});
  Bytes bad_sum = longer;
  bad_sum[10] ^= std::byte{1}, bad_sum[26] ^= std::byte{1};
  Bytes broken = in;
  broken[3] = std::byte{200};  // longer than it is
  Bytes fragment = make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, "x", 64, true});
  const RowModule passes{sip}, drops{sip, NETSERV_DROP}, steals{sip, NETSERV_STEAL};
  return {
      {"no filter matches", make_udp({"10.0.1.1", "10.0.3.3"}), {passes}, Fate::kPass, {}, "passed_by_no_match"},
      {"pass", in, {passes}, Fate::kPass, {}, "processed_passed"},
      {"drop", in, {drops}, Fate::kDrop, {}, "processed_dropped"},
      {"steal", in, {steals}, Fate::kDrop, {}, "processed_stolen"},
      {"drop ends the chain", in, {drops, {sip, NETSERV_REPLY, true, answer}}, Fate::kDrop, {}, "processed_dropped"},
      {"pass, then drop", in, {passes, drops}, Fate::kDrop, {}, "processed_dropped"},
      {"reply", in, {{sip, NETSERV_REPLY, true, answer}}, Fate::kReply, answer, "processed_replied"},
      {"reply, IPv6", in6, {{sip6, NETSERV_REPLY, true, answer6}}, Fate::kReply, answer6, "processed_replied"},
      {"reply without the changed flag", in, {{sip, NETSERV_REPLY, false, answer}}, Fate::kPass, {}, "processed_passed"},
      {"reply from a stranger's address", in, {{sip, NETSERV_REPLY, true, stranger}}, Fate::kPass, {},
       "processed_passed"},
      {"reply to a third party", in, {{sip, NETSERV_REPLY, true, astray}}, Fate::kPass, {}, "processed_passed"},
      {"change", in, {{sip, NETSERV_PASS, true, longer}}, Fate::kPassChanged, longer, "processed_changed"},
      {"change with wrong checksums", in, {{sip, NETSERV_PASS, true, bad_sum}}, Fate::kPassChanged, longer,
       "processed_changed"},
      {"change without the flag", in, {{sip, NETSERV_PASS, false, longer}}, Fate::kPass, {}, "processed_passed"},
      {"change to another IP version", in, {{sip, NETSERV_PASS, true, answer6}}, Fate::kPass, {}, "processed_passed"},
      {"change into nonsense", in, {{sip, NETSERV_PASS, true, Bytes(3)}}, Fate::kPass, {}, "processed_passed"},
      {"change, then pass", in, {{sip, NETSERV_PASS, true, longer}, passes}, Fate::kPassChanged, longer,
       "processed_changed"},
      {"first absent, second drops", in, {{sip, NETSERV_PASS, false, {}, false, true}, drops}, Fate::kDrop, {},
       "processed_dropped"},
      {"absent, fail open", in, {{sip, NETSERV_DROP, false, {}, false, true}}, Fate::kPass, {}, "passed_by_absent"},
      {"absent, fail closed", in, {{sip, NETSERV_PASS, false, {}, true, true}}, Fate::kDrop, {},
       "dropped_fail_closed"},
      {"fragment", fragment, {drops}, Fate::kPass, {}, "passed_by_fragment"},
      {"broken header", broken, {drops}, Fate::kPass, {}, "passed_by_unparsable"},
      {"longer than a slot", make_udp({"10.0.1.1", "10.0.2.2", 4000, 5060, std::string(3000, 'x')}), {drops}, Fate::kPass, {},
       "passed_by_oversize"},
      {"signalling", make_udp({"10.0.1.1", "10.0.2.2", 4000, 270}),
       {{{kProtocolUdp, {}, {}, {}}, NETSERV_DROP}}, Fate::kPass, {}, "passed_by_signalling"},
  };
}

}  // namespace netserv::plane
