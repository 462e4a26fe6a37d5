#include "gist/routing_key.h"

#include <cstring>

namespace netserv::gist {
namespace {

__extension__ using Wide = unsigned __int128;

// Folds 16 bytes into a state by one multiplication of 64 by 64 bits.
class Mixer {
 public:
  explicit Mixer(const RoutingKeyHash::Seed& seed) : seed_(seed) {}

  void add(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<Wide>(a ^ seed_[0]) * (b ^ seed_[1] ^ state_);
    state_ = static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  void add(ByteSpan bytes) {  // 4 or 16
    std::uint64_t words[2] = {};
    std::memcpy(words, bytes.data(), bytes.size());
    add(words[0], words[1]);
  }
  std::uint64_t state() const { return state_; }

 private:
  const RoutingKeyHash::Seed& seed_;
  std::uint64_t state_ = 0;
};

}  // namespace

std::size_t RoutingKeyHash::operator()(const RoutingKey& key) const {
  Mixer mixer(seed_);
  mixer.add(key.session.bytes);
  mixer.add(source_of(key.mri).bytes());
  mixer.add(destination_of(key.mri).bytes());
  const std::uint64_t kind = std::uint64_t{key.nslp.value()} << 16 | std::uint64_t{key.mri.index()} << 8 |
                             static_cast<std::uint64_t>(direction_of(key.mri));
  const auto* m = std::get_if<PathCoupledMri>(&key.mri);
  mixer.add(kind, m ? std::uint64_t{m->source_prefix} | std::uint64_t{m->destination_prefix} << 8 |
                          std::uint64_t{m->protocol.value_or(0)} << 16 | std::uint64_t{m->dscp.value_or(0)} << 24
                    : 0);
  if (m)
    mixer.add(m->source_port.value_or(0) | std::uint64_t{m->destination_port.value_or(0)} << 16,
              m->flow_label.value_or(0) | std::uint64_t{m->spi.value_or(0)} << 32);
  return mixer.state();
}

}  // namespace netserv::gist
