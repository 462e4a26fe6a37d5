// The NAT-Traversal object, inserted and extended by GIST-aware NATs (RFC 5971, 7.2.2 and A.3.9).
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "wire/gist/fault.h"
#include "wire/gist/mri.h"

namespace netserv::gist {

struct NatTraversal {
  Mri original_mri;                       // as the message was first sent
  std::vector<std::uint16_t> translated;  // first halves of TLV headers, at most 255
  std::vector<Bytes> replaced;            // opaque, one a NAT, at most 255
  bool operator==(const NatTraversal&) const = default;

  // Whether every NAT on the way translated objects of this type.
  bool lists(ObjectType type) const;
};

MaybeFault decode_nat_traversal(ByteSpan value, NatTraversal& out);
void encode_nat_traversal(ByteWriter& out, const NatTraversal& nat);

}  // namespace netserv::gist
