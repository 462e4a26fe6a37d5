// Which objects each GIST message carries, in what order: RFC 5971, 5.1, as a table. The codec's walker is
// driven by it alone.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "wire/gist/types.h"

namespace netserv::gist {

enum class Presence : std::uint8_t { kForbidden, kOptional, kRequired };

constexpr std::uint16_t bit(ObjectType type) { return static_cast<std::uint16_t>(1u << static_cast<unsigned>(type)); }

struct ObjectSlot {
  ObjectType type;
  Presence datagram;
  Presence stream;
  std::uint16_t needs = 0;  // bits of the objects that must be there too if this one is

  constexpr Presence in(Transport transport) const { return transport == Transport::kDatagram ? datagram : stream; }
};

struct MessageRow {
  MessageType type;
  bool datagram;  // the encapsulations of 5.5 and 5.1
  bool stream;
  std::span<const ObjectSlot> slots;

  constexpr bool allowed_in(Transport transport) const {
    return transport == Transport::kDatagram ? datagram : stream;
  }
};

namespace grammar {
using enum Presence;
using enum ObjectType;

inline constexpr ObjectSlot kQuerySlots[] = {
    {kNatTraversal, kOptional, kForbidden},
    {kMri, kRequired, kForbidden},
    {ObjectType::kSessionId, kRequired, kForbidden},
    {kNli, kRequired, kForbidden},
    {kQueryCookie, kRequired, kForbidden},
    {kStackProposal, kOptional, kForbidden, bit(kStackConfiguration)},
    {kStackConfiguration, kOptional, kForbidden, bit(kStackProposal)},
    {kNslpData, kOptional, kForbidden},
};
inline constexpr ObjectSlot kResponseSlots[] = {
    {kNatTraversal, kOptional, kOptional},
    {kMri, kRequired, kRequired},
    {ObjectType::kSessionId, kRequired, kRequired},
    {kNli, kRequired, kRequired},
    {kQueryCookie, kRequired, kRequired},
    {kResponderCookie, kOptional, kOptional},
    {kStackProposal, kOptional, kOptional,
     static_cast<std::uint16_t>(bit(kResponderCookie) | bit(kStackConfiguration))},
    {kStackConfiguration, kOptional, kOptional,
     static_cast<std::uint16_t>(bit(kResponderCookie) | bit(kStackProposal))},
    {kNslpData, kOptional, kOptional},
};
inline constexpr ObjectSlot kConfirmSlots[] = {
    {kMri, kRequired, kRequired},
    {ObjectType::kSessionId, kRequired, kRequired},
    {kNli, kRequired, kRequired},
    {kResponderCookie, kOptional, kOptional},
    {kStackProposal, kOptional, kOptional, bit(kResponderCookie)},
    {kStackConfiguration, kOptional, kOptional, bit(kStackProposal)},
    {kNslpData, kOptional, kOptional},
};
inline constexpr ObjectSlot kDataSlots[] = {
    {kNatTraversal, kOptional, kOptional},
    {kMri, kRequired, kRequired},
    {ObjectType::kSessionId, kRequired, kRequired},
    {kNli, kRequired, kForbidden},
    {kNslpData, kRequired, kRequired},
};
inline constexpr ObjectSlot kErrorSlots[] = {
    {kNatTraversal, kOptional, kOptional},
    {kNli, kRequired, kOptional},
    {ObjectType::kError, kRequired, kRequired},
};
inline constexpr ObjectSlot kHelloSlots[] = {
    {kHelloId, kForbidden, kRequired},
};
}  // namespace grammar

inline constexpr std::array<MessageRow, kMessageTypes> kGrammar = {{
    {MessageType::kQuery, true, false, grammar::kQuerySlots},
    {MessageType::kResponse, true, true, grammar::kResponseSlots},
    {MessageType::kConfirm, true, true, grammar::kConfirmSlots},
    {MessageType::kData, true, true, grammar::kDataSlots},
    {MessageType::kError, true, true, grammar::kErrorSlots},
    {MessageType::kMaHello, false, true, grammar::kHelloSlots},
}};

}  // namespace netserv::gist
