// The NetServ NSLP as a pure core above GIST's service interface (wire/gist_api/api.h): messages, answers of this node's
// controller, requests of local programs and the time go in; what is to be done comes out. No system calls, clock or
// threads in here.
//
// Every entry point takes `now`, which never goes backwards, and returns what to do, in order. Call on_time() at
// next_deadline() or later. One thread at a time.
//
// A request goes from node to node along the flow. Each node retransmits to the next until it has the answer, and
// answers duplicates from what it keeps, so that a loss is mended where it happened. The last node answers; on the way
// back each node puts its entry on top of the response stack. See docs/life-of-a-setup.md.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "gist/timers.h"
#include "nslp/config.h"
#include "nslp/exchange.h"
#include "wire/nslp/parts.h"

namespace netserv::nslp {

// Session ids must be unguessable (RFC 5971, 4.1.3).
class SessionSource {
 public:
  virtual ~SessionSource() = default;
  virtual gist::SessionId new_session() = 0;
};

// A local program's request.
struct Start {
  ClientTicket ticket{};
  gist::SessionId session;  // the same again for a refresh or another question along the same path
  IpAddress source;         // of the flow: an address of this host
  IpAddress destination;
  bool trigger = false;
  ncm::Message ncm;
  Duration timeout = std::chrono::seconds(30);
};

class Core {
 public:
  // `sessions` must outlive the core.
  Core(Config config, SessionSource& sessions) : config_(std::move(config)), sessions_(sessions) {}
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // From GIST.
  [[nodiscard]] Outputs received(const gist::RecvMessage& message, TimePoint now);
  [[nodiscard]] Outputs status(const gist::MessageStatus& status, TimePoint now);
  [[nodiscard]] Outputs notified(const gist::NetworkNotification& notification, TimePoint now);
  // gistd has been restarted, and knows nothing of what it was asked to send.
  [[nodiscard]] Outputs gist_back(TimePoint now);

  // From this node's controller.
  [[nodiscard]] Outputs controller_answered(ControllerTicket ticket, const ncm::Response& response, TimePoint now);

  // From local programs. An Error if the request can't be sent at all; else Finished comes, in the outputs or later.
  [[nodiscard]] Result<Outputs> start(const Start& start, TimePoint now);
  // The program is done with the session: what it still waits for is dropped without a Finished.
  [[nodiscard]] Outputs end_session(const gist::SessionId& session, TimePoint now);

  [[nodiscard]] Outputs on_time(TimePoint now);
  std::optional<TimePoint> next_deadline() const { return timers_.next(); }

  const Config& config() const { return config_; }
  std::size_t sessions() const { return exchanges_.size(); }
  std::size_t questions() const { return asked_.size(); }
  std::size_t upstream_flows() const { return upstream_flows_; }
  const Exchange* find(const FlowKey& key) const;

 private:
  enum class Timer : std::uint8_t { kRetransmit, kDeadline, kForget };

  // core_receive.cc
  void receive_request(Request request, const gist::RecvMessage& message, TimePoint now);
  std::optional<Bytes> put_together(const gist::RecvMessage& message, TimePoint now);
  void receive_response(Response response, const gist::RecvMessage& message, TimePoint now);
  void begin(Exchange& e, TimePoint now);
  Status judge(const Exchange& e, ncm::Selection& selection) const;
  bool selected(const ncm::Selection& selection, const Exchange& e) const;
  bool acts_as_last(const Exchange& e) const;
  void refuse(Exchange& e, ncm::StatusCode code, std::string object, std::string text, TimePoint now);

  // core_exchange.cc: what the state machine asks for
  void event(Exchange& e, ExchangeEvent event, TimePoint now);
  void perform(Exchange& e, ExchangeAction action, TimePoint now);
  void act(Exchange& e, TimePoint now);
  void open_upstream(Exchange& e, TimePoint now);
  void forward(Exchange& e, TimePoint now);
  void respond(Exchange& e, TimePoint now);
  void send_response(Exchange& e, TimePoint now);
  void release(Exchange& e);
  Entry own_entry(ncm::StatusCode code, std::string object, std::string text) const;
  static Entry unknown_entry(ncm::StatusCode code, std::string text);

  // core.cc
  Exchange& create(FlowKey key, RequestFrom from, TimePoint now);
  void erase(std::uint64_t id);
  Exchange* by_id(std::uint64_t id);
  Exchange* by_key(const FlowKey& key);
  void last_node(Exchange& e, TimePoint now);
  void send_failed(Exchange& e, const gist::MessageStatus& status, TimePoint now);
  void set_timer(const Exchange& e, Timer kind, TimePoint at) { timers_.set({e.id, std::uint8_t(kind)}, at); }
  void cancel_timer(const Exchange& e, Timer kind) { timers_.cancel({e.id, std::uint8_t(kind)}); }
  void note(Event::Type type, const gist::SessionId& session, std::string text);
  bool room_for_peers(const Request& request) const;
  void hold(Exchange& e, std::size_t bytes);
  Outputs take() { return std::exchange(out_, {}); }

  // A message that GIST was given, by its handle.
  struct Sent {
    std::uint64_t exchange = 0;
    bool response = false;
  };

  // A message of which parts are still missing.
  struct Incoming {
    Assembly assembly;
    TimePoint since{};
  };

  const Config config_;
  SessionSource& sessions_;
  std::map<FlowKey, std::uint64_t> ids_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Exchange>> exchanges_;
  std::unordered_map<std::uint64_t, Sent> sent_;             // by message handle
  std::unordered_map<std::uint64_t, std::uint64_t> asked_;   // controller ticket to exchange
  std::map<FlowKey, Incoming> incoming_;  // at most config_.max_incoming, the oldest first; for max_time
  gist::Timers timers_;
  std::size_t upstream_flows_ = 0;
  std::size_t held_ = 0;
  std::uint64_t last_id_ = 0;
  Outputs out_;
};

// A path-coupled MRI for all traffic between two addresses.
gist::Mri flow(const IpAddress& source, const IpAddress& destination);

}  // namespace netserv::nslp
