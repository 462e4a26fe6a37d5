// The forwarder's counters of hundreds of containers do not fit into one message, nor many messages into a socket's
// buffer: they are asked for a page at a time.
#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "wire/ipc/forwarder_messages.h"

namespace netserv::ipc {

inline constexpr std::uint32_t kStatsContainers = 64;

// The forwarder's side: what answers GetForwarderStats{from}. The first page alone has what is the node's.
inline ForwarderStats stats_page(const ForwarderStats& all, std::uint32_t from) {
  auto count = static_cast<std::uint32_t>(all.containers.size());
  from = std::min(from, count);
  std::uint32_t to = std::min(count, from + kStatsContainers);
  ForwarderStats page;
  if (from == 0) {
    page.node = all.node;
    page.plane_detail = all.plane_detail;
  }
  page.containers.assign(all.containers.begin() + from, all.containers.begin() + to);
  page.from = from;
  page.next = to < count ? to : 0;
  return page;
}

// netservd's side: puts pages together.
class StatsPages {
 public:
  struct Progress {
    std::uint32_t next = 0;            // 0: nothing to ask for
    std::optional<ForwarderStats> all;  // with the last page
  };
  // A page that does not follow the one before (its question was overtaken by a newer one) is left out.
  Progress add(ForwarderStats page) {
    if (page.from == 0) gathered_ = ForwarderStats{std::move(page.node), {}, std::move(page.plane_detail)};
    else if (page.from != gathered_.containers.size()) return {};
    std::ranges::move(page.containers, std::back_inserter(gathered_.containers));
    if (page.next != 0) return {page.next, {}};
    return {0, std::exchange(gathered_, {})};
  }

 private:
  ForwarderStats gathered_;
};

}  // namespace netserv::ipc
