#include "wire/gist/stack.h"

#include <algorithm>

namespace netserv::gist {

MaybeFault decode_stack_proposal(ByteSpan value, StackProposal& out) {
  ByteReader in(value);
  const std::uint8_t count = in.u8();
  in.skip(3);
  if (!in.ok()) return wrong_length();
  if (count == 0) return unsupported(0);
  out.profiles.clear();
  for (unsigned i = 0; i < count; ++i) {
    const std::size_t at = in.position();
    const std::uint8_t layers = in.u8();
    if (!in.ok()) return wrong_length(at);
    if (layers == 0) return ObjectFault{ErrorKind::kEmptyList, static_cast<std::uint16_t>(at + 4)};
    const ByteSpan ids = in.take(layers);
    in.skip(padding_to_word(layers + 1u));
    if (!in.ok()) return wrong_length(at);
    StackProfile& profile = out.profiles.emplace_back(layers);
    std::transform(ids.begin(), ids.end(), profile.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  }
  if (!in.at_end()) return wrong_length(in.position());
  return {};
}

void encode_stack_proposal(ByteWriter& out, const StackProposal& proposal) {
  out.u8(static_cast<std::uint8_t>(proposal.profiles.size()));
  out.zeros(3);
  for (const StackProfile& profile : proposal.profiles) {
    out.u8(static_cast<std::uint8_t>(profile.size()));
    out.bytes(std::as_bytes(std::span(profile)));
    out.zeros(padding_to_word(profile.size() + 1));
  }
}

MaybeFault decode_stack_configuration(ByteSpan value, StackConfiguration& out) {
  ByteReader in(value);
  const std::uint8_t count = in.u8();
  in.skip(3);
  out.hold_time = Milliseconds(in.u32());
  if (!in.ok()) return wrong_length();
  if (out.hold_time.count() == 0) return unsupported(4);
  out.options.clear();
  for (unsigned i = 0; i < count; ++i) {
    const std::size_t at = in.position();
    ProtocolOptions o;
    o.protocol = in.u8();
    o.profile = in.u8();
    const std::uint8_t length = in.u8();
    o.do_not_use = in.u8() & 0x80;
    const ByteSpan data = in.take(length);
    in.skip(padding_to_word(length));
    if (!in.ok()) return wrong_length(at);
    o.data.assign(data.begin(), data.end());
    out.options.push_back(std::move(o));
  }
  if (!in.at_end()) return wrong_length(in.position());
  return {};
}

void encode_stack_configuration(ByteWriter& out, const StackConfiguration& configuration) {
  out.u8(static_cast<std::uint8_t>(configuration.options.size()));
  out.zeros(3);
  out.u32(configuration.hold_time.count());
  for (const ProtocolOptions& o : configuration.options) {
    out.u8(o.protocol);
    out.u8(o.profile);
    out.u8(static_cast<std::uint8_t>(o.data.size()));
    out.u8(o.do_not_use ? 0x80 : 0);
    out.bytes(o.data);
    out.zeros(padding_to_word(o.data.size()));
  }
}

bool consistent(const StackProposal& proposal, const StackConfiguration& configuration) {
  const auto has = [](const StackProfile& p, std::uint8_t id) { return std::find(p.begin(), p.end(), id) != p.end(); };
  return std::all_of(configuration.options.begin(), configuration.options.end(), [&](const ProtocolOptions& o) {
    if (o.profile > proposal.profiles.size()) return false;
    if (o.profile != 0) return has(proposal.profiles[o.profile - 1u], o.protocol);
    return std::any_of(proposal.profiles.begin(), proposal.profiles.end(),
                       [&](const StackProfile& p) { return has(p, o.protocol); });
  });
}

std::optional<std::uint16_t> forwards_tcp_port(const StackConfiguration& configuration, unsigned profile) {
  for (const ProtocolOptions& o : configuration.options) {
    if (o.protocol != static_cast<std::uint8_t>(MaProtocol::kForwardsTcp)) continue;
    if (o.profile != 0 && o.profile != profile) continue;
    if (o.do_not_use || o.data.size() < 2) return std::nullopt;
    const std::uint16_t port = ByteReader(o.data).u16();
    return port ? std::optional(port) : std::nullopt;
  }
  return std::nullopt;
}

ProtocolOptions forwards_tcp_option(std::uint16_t port, std::uint8_t profile) {
  ProtocolOptions o;
  o.protocol = static_cast<std::uint8_t>(MaProtocol::kForwardsTcp);
  o.profile = profile;
  o.data = {std::byte(port >> 8), std::byte(port & 0xff)};
  return o;
}

}  // namespace netserv::gist
