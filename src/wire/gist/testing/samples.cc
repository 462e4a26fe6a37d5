#include "wire/gist/testing/samples.h"

#include <fstream>
#include <sstream>

namespace netserv::gist::testing {
namespace {

using Random = std::mt19937_64;

std::uint64_t below(Random& r, std::uint64_t n) { return r() % n; }
bool coin(Random& r) { return r() & 1; }

Bytes random_bytes(Random& r, std::size_t n) {
  Bytes out(n);
  for (std::byte& b : out) b = std::byte(r());
  return out;
}
Bytes random_words(Random& r, std::size_t most, std::size_t least = 1) {
  return random_bytes(r, 4 * (least + below(r, most - least + 1)));
}
IpAddress random_address(Random& r, bool v6) { return IpAddress::from_bytes(random_bytes(r, v6 ? 16 : 4)); }

Mri random_mri(Random& r) {
  const bool v6 = coin(r);
  if (below(r, 4) == 0) {
    LooseEndMri m;
    m.direction = static_cast<Direction>(below(r, 2));
    m.source = random_address(r, v6);
    m.destination = random_address(r, v6);
    return m;
  }
  PathCoupledMri m;
  m.direction = static_cast<Direction>(below(r, 2));
  m.source = random_address(r, v6);
  m.destination = random_address(r, v6);
  m.source_prefix = static_cast<std::uint8_t>(below(r, m.source.bits() + 1));
  m.destination_prefix = static_cast<std::uint8_t>(below(r, m.source.bits() + 1));
  if (coin(r)) m.dscp = static_cast<std::uint8_t>(below(r, 64));
  if (v6 && coin(r)) m.flow_label = static_cast<std::uint32_t>(below(r, 1 << 20));
  if (coin(r)) {
    m.protocol = static_cast<std::uint8_t>(r());
    if (coin(r)) m.spi = static_cast<std::uint32_t>(r());
    if (coin(r)) m.source_port = static_cast<std::uint16_t>(r());
    if (coin(r)) m.destination_port = static_cast<std::uint16_t>(r());
  }
  return m;
}

Nli random_nli(Random& r) {
  Nli nli;
  nli.ip_ttl = static_cast<std::uint8_t>(r());
  nli.validity = Milliseconds(1 + static_cast<std::uint32_t>(below(r, 0xffffffff)));
  nli.peer_identity = random_bytes(r, below(r, 256));
  nli.interface_address = random_address(r, coin(r));
  return nli;
}

StackProposal random_proposal(Random& r) {
  StackProposal p;
  p.profiles.resize(1 + below(r, 4));
  for (StackProfile& profile : p.profiles) {
    profile.resize(1 + below(r, 6));
    for (std::uint8_t& layer : profile) layer = static_cast<std::uint8_t>(r());
  }
  return p;
}

StackConfiguration random_configuration(Random& r, const StackProposal& p) {
  StackConfiguration c;
  c.hold_time = Milliseconds(1 + static_cast<std::uint32_t>(below(r, 0xffffffff)));
  c.options.resize(below(r, 4));
  for (ProtocolOptions& o : c.options) {
    const std::size_t profile = below(r, p.profiles.size());
    o.profile = coin(r) ? 0 : static_cast<std::uint8_t>(profile + 1);
    o.protocol = p.profiles[profile][below(r, p.profiles[profile].size())];
    o.do_not_use = coin(r);
    o.data = random_bytes(r, below(r, 9));
  }
  return c;
}

NatTraversal random_nat(Random& r) {
  NatTraversal nat;
  nat.original_mri = random_mri(r);
  nat.translated.resize(below(r, 4));
  for (std::uint16_t& t : nat.translated) t = static_cast<std::uint16_t>(r());
  nat.replaced.resize(below(r, 3));
  for (Bytes& data : nat.replaced) data = random_bytes(r, below(r, 20));
  return nat;
}

ErrorObject random_error(Random& r) {
  ErrorObject e;
  e.error_class = static_cast<std::uint8_t>(r());
  e.code = static_cast<std::uint16_t>(r());
  e.subcode = static_cast<std::uint8_t>(r());
  e.in_datagram = coin(r);
  e.in_query_mode = e.in_datagram && coin(r);
  e.header.type = static_cast<std::uint8_t>(below(r, 128));
  e.header.version = static_cast<std::uint8_t>(r());
  e.header.length = static_cast<std::uint16_t>(r());
  if (coin(r)) e.session = sample_session(static_cast<unsigned char>(r()));
  if (coin(r)) e.mri = random_mri(r);
  e.info.resize(below(r, 3));
  for (ErrorInfo& info : e.info) info = {static_cast<std::uint16_t>(r()), random_words(r, 5, 0)};
  if (coin(r)) e.comment.assign(1 + below(r, 12), 'x');
  return e;
}

}  // namespace

Message random_message(Random& r, Transport transport) {
  Message m;
  do {
    m.header.type = static_cast<std::uint8_t>(below(r, kMessageTypes));
  } while (!kGrammar[m.header.type].allowed_in(transport));
  const MessageType type = m.type();
  m.header.hops = static_cast<std::uint8_t>(r());
  m.header.nslp = NslpId(static_cast<std::uint16_t>(r()));
  m.header.source_is_signalling = coin(r);
  m.header.context_free =
      type == MessageType::kQuery || (type == MessageType::kData && transport == Transport::kDatagram && coin(r));
  m.header.explicitly_routed = type == MessageType::kData && coin(r);
  const auto wants = [&](ObjectType object) {
    for (const ObjectSlot& slot : kGrammar[m.header.type].slots)
      if (slot.type == object)
        return slot.in(transport) == Presence::kRequired || (slot.in(transport) == Presence::kOptional && coin(r));
    return false;
  };
  if (wants(ObjectType::kNatTraversal)) m.nat_traversal = random_nat(r);
  if (wants(ObjectType::kMri)) m.mri = random_mri(r);
  if (wants(ObjectType::kSessionId)) m.session = sample_session(static_cast<unsigned char>(r()));
  if (wants(ObjectType::kNli)) m.nli = random_nli(r);
  if (wants(ObjectType::kQueryCookie)) m.query_cookie = random_words(r, 8);
  if (wants(ObjectType::kResponderCookie)) m.responder_cookie = random_words(r, 8);
  if (wants(ObjectType::kStackProposal) && (type == MessageType::kQuery || m.responder_cookie)) {
    m.stack_proposal = random_proposal(r);
    if (type != MessageType::kConfirm || coin(r))
      m.stack_configuration = random_configuration(r, *m.stack_proposal);
  }
  if (wants(ObjectType::kNslpData)) m.nslp_data = random_words(r, 20, 0);
  if (wants(ObjectType::kError)) m.error = random_error(r);
  if (wants(ObjectType::kHelloId)) m.hello_id = 1 + static_cast<std::uint32_t>(below(r, 0xffffffff));
  m.header.reply_requested = type == MessageType::kQuery || m.responder_cookie.has_value();
  if (type == MessageType::kConfirm) m.header.reply_requested = false;
  if (type == MessageType::kMaHello) m.header.reply_requested = coin(r);
  while (below(r, 4) == 0) {
    const auto after = static_cast<std::uint8_t>(m.forwarded.empty() ? below(r, 2) : m.forwarded.back().after);
    m.forwarded.push_back({static_cast<std::uint16_t>(11 + below(r, 4085)), after, random_words(r, 4, 0)});
  }
  return m;
}

Mri sample_mri(Direction direction) {
  PathCoupledMri m;
  m.direction = direction;
  m.source = *IpAddress::parse("10.71.1.1");
  m.destination = *IpAddress::parse("10.71.3.2");
  return m;
}

SessionId sample_session(unsigned char fill) {
  SessionId id;
  for (std::size_t i = 0; i < id.bytes.size(); ++i) id.bytes[i] = std::byte(fill + i);
  return id;
}

Nli sample_nli() {
  Nli nli;
  nli.ip_ttl = 64;
  nli.peer_identity = Bytes(16, std::byte{0xab});
  nli.interface_address = *IpAddress::parse("10.71.1.1");
  return nli;
}

namespace {
Message base(MessageType type) {
  Message m;
  m.header.type = static_cast<std::uint8_t>(type);
  m.header.hops = 32;
  m.header.nslp = NslpId(12);
  m.header.source_is_signalling = true;
  m.header.context_free = type == MessageType::kQuery;
  m.header.reply_requested = type == MessageType::kQuery || type == MessageType::kResponse;
  return m;
}
StackProposal sample_proposal() { return {{{1}, {2, 1}}}; }
}  // namespace

Message sample_query() {
  Message m = base(MessageType::kQuery);
  m.mri = sample_mri();
  m.session = sample_session();
  m.nli = sample_nli();
  m.query_cookie = Bytes(16, std::byte{0x51});
  m.stack_proposal = sample_proposal();
  m.stack_configuration = StackConfiguration{Milliseconds{30000}, {{1, 0, false, {}}}};
  m.nslp_data = Bytes(8, std::byte{0xda});
  return m;
}

Message sample_response() {
  Message m = base(MessageType::kResponse);
  m.mri = sample_mri(Direction::kUpstream);
  m.session = sample_session();
  m.nli = sample_nli();
  m.query_cookie = Bytes(16, std::byte{0x51});
  m.responder_cookie = Bytes(24, std::byte{0x52});
  m.stack_proposal = sample_proposal();
  m.stack_configuration = StackConfiguration{Milliseconds{30000}, {forwards_tcp_option(30000, 1)}};
  return m;
}

Message sample_confirm() {
  Message m = base(MessageType::kConfirm);
  m.mri = sample_mri();
  m.session = sample_session();
  m.nli = sample_nli();
  m.responder_cookie = Bytes(24, std::byte{0x52});
  m.stack_proposal = sample_proposal();
  m.stack_configuration = StackConfiguration{};
  return m;
}

Message sample_data() {
  Message m = sample_stream_data();
  m.nli = sample_nli();
  return m;
}

Message sample_stream_data() {
  Message m = base(MessageType::kData);
  m.mri = sample_mri();
  m.session = sample_session();
  m.nslp_data = Bytes(12, std::byte{0xda});
  return m;
}

Message sample_error() {
  Message m = base(MessageType::kError);
  m.header.nslp = NslpId(0);
  m.nli = sample_nli();
  m.error = ErrorObject{};
  m.error->error_class = 2;
  m.error->code = 9;
  m.error->subcode = 2;
  m.error->in_datagram = true;
  m.error->header = sample_query().header;
  m.error->session = sample_session();
  m.error->mri = sample_mri();
  m.error->info = {object_type_info(2)};
  m.error->comment = "no NLI";
  return m;
}

Message sample_hello() {
  Message m = base(MessageType::kMaHello);
  m.header.nslp = NslpId(0);
  m.header.reply_requested = true;
  m.hello_id = 0x12345678;
  return m;
}

std::vector<Captured> captured_messages(const std::string& source_directory) {
  std::ifstream file(source_directory + "/tests/vectors/gist.txt");
  std::vector<Captured> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string mode, from, to, hex;
    Captured c;
    words >> c.name >> mode >> from >> to >> hex;
    c.transport = mode == "C-mode" ? Transport::kStream : Transport::kDatagram;
    if (c.transport == Transport::kDatagram) hex = hex.substr(8);
    if (from_hex(hex, c.bytes)) out.push_back(std::move(c));
  }
  return out;
}

}  // namespace netserv::gist::testing
