// Stack-Proposal and Stack-Configuration-Data: what protocols a messaging association may be made of, and how
// (RFC 5971, 5.7, A.3.4 and A.3.5).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "wire/gist/fault.h"
#include "wire/gist/nli.h"

namespace netserv::gist {

// MA-Protocol-IDs (section 9; 3 and 4 are RFC 6084's).
enum class MaProtocol : std::uint8_t { kForwardsTcp = 1, kTls = 2, kForwardsSctp = 3, kDtls = 4 };

// Layers from top to bottom: TLS over TCP is {kTls, kForwardsTcp}. Never empty on the wire.
using StackProfile = std::vector<std::uint8_t>;

struct StackProposal {
  std::vector<StackProfile> profiles;  // 1 to 255, each of 1 to 255 layers
  bool operator==(const StackProposal&) const = default;
};

struct ProtocolOptions {
  std::uint8_t protocol = 0;
  std::uint8_t profile = 0;  // 1-based index into the proposal; 0 means all
  bool do_not_use = false;   // D
  Bytes data;                // at most 255 bytes
  bool operator==(const ProtocolOptions&) const = default;
};

struct StackConfiguration {
  Milliseconds hold_time{30000};  // never 0
  std::vector<ProtocolOptions> options;
  bool operator==(const StackConfiguration&) const = default;
};

MaybeFault decode_stack_proposal(ByteSpan value, StackProposal& out);
void encode_stack_proposal(ByteWriter& out, const StackProposal& proposal);
MaybeFault decode_stack_configuration(ByteSpan value, StackConfiguration& out);
void encode_stack_configuration(ByteWriter& out, const StackConfiguration& configuration);

// Every option names a profile that exists and a protocol in it (5.7.1; else error 10/5).
bool consistent(const StackProposal& proposal, const StackConfiguration& configuration);

// The Forwards-TCP port of a Response for 1-based `profile`, if its option is there and usable (5.7.2). Takes
// options of two bytes or more: independent implementations differ in counting the two bytes of padding.
std::optional<std::uint16_t> forwards_tcp_port(const StackConfiguration& configuration, unsigned profile);
// The option of a Response.
ProtocolOptions forwards_tcp_option(std::uint16_t port, std::uint8_t profile = 0);

}  // namespace netserv::gist
