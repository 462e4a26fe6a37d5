// What a node keeps of one request: one for each session and flow, the newest.
#pragma once

#include <optional>
#include <vector>

#include "base/time.h"
#include "nslp/exchange_sm.h"
#include "nslp/output.h"
#include "wire/ncm/selection.h"

namespace netserv::nslp {

struct FlowKey {
  gist::SessionId session;
  gist::Mri mri;  // downstream: in the direction of the request
  auto operator<=>(const FlowKey&) const = default;
};

enum class RequestFrom : std::uint8_t { kPeer, kClient, kTrigger };

inline std::size_t size_of(const ncm::Message& m) {
  std::size_t size = m.object.size();
  for (const ncm::Header& h : m.headers) size += h.name.size() + h.value.size();
  return size;
}

struct Exchange {
  std::uint64_t id = 0;
  FlowKey key;
  RequestFrom from = RequestFrom::kPeer;
  ExchangeState state = ExchangeState::kNew;
  Request request;
  ncm::Selection selection;
  ClientTicket client{};     // kClient
  std::uint64_t parent = 0;  // kTrigger: the exchange that waits for this one
  std::optional<FlowKey> upstream;  // of a TRIGGER that ends here: the one flow that it opened

  TimePoint arrived{};
  TimePoint deadline{};
  TimePoint sent_at{};
  Duration back_off{};
  Microseconds wait{};
  bool forwarded = false;  // GIST may have state for it
  bool reliable = false;
  gist::MessageHandle forward_handle{}, response_handle{};  // of what GIST has not reported on; 0: none
  ControllerTicket asked{};  // of the question that the controller has not answered
  std::size_t held = 0;      // bytes of request and answer that count against config's max_held

  std::optional<Entry> own;   // absent: this node adds none, or its own part is not done
  bool acted = false;         // and did not fail
  std::string path_failure;   // why the request could not be passed on
  std::vector<Entry> beyond;  // what the nodes further on answered
  std::vector<ForeignObject> foreign;
  Response response;  // kAnswered: as sent, for duplicates
};

}  // namespace netserv::nslp
