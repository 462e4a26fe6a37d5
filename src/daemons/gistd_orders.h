// What gistd's keeper, which can read files, tells the speaker when the configuration is taken up again.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "transport/tls.h"
#include "wire/ipc/archive.h"

namespace netserv::daemons {

inline constexpr std::size_t kMaxOrder = 4 << 20;

struct Order {
  std::vector<std::string> peers;  // as written
  std::optional<transport::TlsTexts> tls;  // empty: as it was
  bool operator==(const Order&) const = default;
  template <class A> void fields(A& a) { a(peers, tls); }
};
using Orders = std::variant<Order>;  // as ipc::encode() and decode() want messages

}  // namespace netserv::daemons
