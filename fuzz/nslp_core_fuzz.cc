// Target: the NSLP's exchange machine (nslp::Core) fed with arbitrary sequences of requests, responses, duplicates, bytes,
// GIST's reports, the controller's answers, local programs and time. Whatever comes: no crash, tables within their limits,
// one question a request, one end a local request, and nothing that GIST would refuse to send.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>

#include "input.h"
#include "nslp/core.h"
#include "wire/ncm/status.h"

using namespace netserv;
using namespace netserv::nslp;
using netserv::fuzz::Input;

namespace {

class Counting final : public SessionSource {
 public:
  gist::SessionId new_session() override {
    gist::SessionId id;
    id.bytes[0] = std::byte{0xee};
    id.bytes[15] = std::byte(++count_);
    id.bytes[14] = std::byte(count_ >> 8);
    return id;
  }

 private:
  unsigned count_ = 0;
};

const IpAddress kHere = IpAddress::v4(0x0a000001), kFrom = IpAddress::v4(0x0a000101), kTo = IpAddress::v4(0x0a000201);

Config config(Input& in) {
  Config c;
  c.address = kHere;
  c.local = {kHere};
  c.hosts_modules = in.byte() % 4 != 0;
  c.require_toward = in.byte() % 2;
  c.secure = in.byte() % 4 == 0;
  c.max_sessions = 8;
  c.max_upstream_flows = 2;
  c.max_incoming = 2;
  c.max_asked = 3;
  return c;
}

class Driver {
 public:
  explicit Driver(Input& in) : in_(in), core_(config(in), sessions_) {}

  void run() {
    while (in_.more()) {
      step();
      NETSERV_CHECK(core_.sessions() <= core_.config().max_sessions + core_.config().max_upstream_flows);
      NETSERV_CHECK(core_.questions() <= core_.config().max_asked);
      NETSERV_CHECK(core_.upstream_flows() <= core_.config().max_upstream_flows);
    }
    // Left alone, everything ends: each local request has its end, and nothing is kept.
    for (int i = 0; core_.next_deadline(); ++i) {
      NETSERV_CHECK(i < 100000);
      now_ = std::max(now_, *core_.next_deadline());
      perform(core_.on_time(now_));
    }
    NETSERV_CHECK(core_.sessions() == 0 && core_.questions() == 0 && core_.upstream_flows() == 0);
    NETSERV_CHECK(waiting_.empty());
  }

 private:
  void step() {
    switch (in_.byte() % 10) {
      case 0: return perform(core_.received(from_gist(request(), true), now_));
      case 1: return perform(core_.received(from_gist(response(), false), now_));
      case 2: {
        gist::RecvMessage m = from_gist(request(), in_.byte() % 2);
        m.data = in_.bytes(100);
        if (in_.byte() % 4 == 0) m.check = gist::QueryTicket(1);
        return perform(core_.received(m, now_));
      }
      case 3: {
        const gist::SendMessage* sent = in_.pick(sent_);
        if (!sent) return;
        gist::MessageStatus s;
        s.handle = sent->handle;
        s.nslp = sent->nslp;
        s.error = static_cast<gist::SendError>(in_.byte() % 14);
        s.gist_code = in_.byte() % 13;
        return perform(core_.status(s, now_));
      }
      case 4: {
        const AskController* asked = in_.pick(asked_);
        if (!asked) return;
        ncm::Response r;
        r.code = static_cast<ncm::StatusCode>(in_.byte() * 3);
        r.object = std::string(in_.byte(), 'o');
        r.body = std::string(in_.byte() * 64u, 'b');
        return perform(core_.controller_answered(asked->ticket, r, now_));
      }
      case 5: {
        now_ += std::chrono::milliseconds(in_.byte() * in_.byte());
        return perform(core_.on_time(now_));
      }
      case 6: {
        Start s;
        s.ticket = ClientTicket(++last_ticket_);
        s.session = session();
        s.source = kHere;
        s.destination = in_.byte() % 8 ? kTo : kFrom;
        s.trigger = in_.byte() % 3 == 0;
        s.ncm = request().ncm;
        s.timeout = std::chrono::milliseconds(in_.byte() * 100);
        auto outputs = core_.start(s, now_);
        if (!outputs) return;
        sessions_of_[s.session] = last_ticket_;
        waiting_.insert(last_ticket_);
        return perform(*std::move(outputs));
      }
      case 7: {
        // What waits in this session is dropped without an end.
        const gist::SessionId id = session();
        perform(core_.end_session(id, now_));
        if (const auto it = sessions_of_.find(id); it != sessions_of_.end()) waiting_.erase(it->second);
        return;
      }
      case 8: {
        const gist::SendMessage* sent = in_.pick(sent_);
        if (!sent) return;
        if (in_.byte() % 2) return perform(core_.gist_back(now_));
        gist::NetworkNotification n;
        n.nslp = sent->nslp;
        n.session = sent->session;
        n.mri = sent->mri;
        n.type = static_cast<gist::NetworkNotification::Type>(in_.byte() % 5);
        return perform(core_.notified(n, now_));
      }
      case 9: {
        // A neighbour that says what this node said, in the same direction or back.
        const gist::SendMessage* sent = in_.pick(sent_);
        if (!sent) return;
        gist::RecvMessage m = from_gist({}, true);
        m.data = sent->data;
        m.session = sent->session;
        m.mri = in_.byte() % 2 ? sent->mri : gist::inverted(sent->mri);
        for (int i = in_.byte() % 3; i > 0 && !m.data.empty(); --i) m.data[in_.byte() % m.data.size()] = std::byte{in_.byte()};
        return perform(core_.received(m, now_));
      }
    }
  }

  gist::SessionId session() {
    gist::SessionId id;
    id.bytes[0] = std::byte(in_.byte() % 12);
    return id;
  }
  Request request() {
    Request r;
    r.trigger = in_.byte() % 4 == 0;
    r.id = in_.byte() % 8;
    r.time_left = std::chrono::milliseconds(in_.byte() * 50);
    const std::uint8_t flags = in_.byte();
    r.ncm.verb = static_cast<ncm::Verb>(flags % 3);
    r.ncm.object = "m_1";
    if (flags & 8) r.ncm.set("signature", std::string(88, 'A'));
    if (flags & 16) r.ncm.set("toward", (r.trigger ? kFrom : kTo).to_string());
    static constexpr const char* kNodes[] = {"all", "last", "first=1", "matching", "node", "last", "nonsense=", "first=2"};
    if (flags & 32) r.ncm.set("nodes", kNodes[in_.byte() % 8]);
    if (flags & 64) r.ncm.set("x", std::string(in_.byte() * 30u, 'x'));
    return r;
  }
  Message response() {
    Response r;
    r.id = in_.byte() % 8;
    const std::size_t entries = in_.byte() % (kMaxEntries + 1);
    for (std::size_t i = 0; i < entries; ++i) {
      Entry e;
      e.node = "n";
      e.body = std::string(in_.byte() * 8u, 'b');
      r.stack.push_back(std::move(e));
    }
    for (int i = in_.byte() % 3; i > 0; --i) r.foreign.push_back({77, Bytes(in_.byte() * 60u)});
    return r;
  }
  gist::RecvMessage from_gist(const Message& m, bool downstream) {
    gist::RecvMessage r;
    if (auto data = encode(m)) r.data = std::move(*data);
    r.nslp = kDefaultNslpId;
    r.session = session();
    r.mri = flow(kFrom, kTo);
    if (!downstream) r.mri = gist::inverted(r.mri);
    r.attributes.state_validated = in_.byte() % 8 != 0;
    return r;
  }

  void perform(const Outputs& outputs) {
    for (const Output& o : outputs) {
      if (const auto* s = std::get_if<gist::SendMessage>(&o)) {
        NETSERV_CHECK(s->data.size() % 4 == 0 && s->data.size() <= kMaxPayload);
        NETSERV_CHECK(is_part(s->data) || decode(s->data));
        sent_.push_back(*s);
      }
      if (const auto* a = std::get_if<AskController>(&o)) asked_.push_back(*a);
      if (const auto* f = std::get_if<Finished>(&o)) {
        NETSERV_CHECK(encode(Response{0, f->stack, {}}));
        waiting_.erase(f->ticket.value());
        NETSERV_CHECK(finished_.insert(f->ticket.value()).second);
      }
    }
    // What was said long ago is forgotten here too.
    if (sent_.size() > 40) sent_.erase(sent_.begin(), sent_.begin() + 20);
    if (asked_.size() > 20) asked_.erase(asked_.begin(), asked_.begin() + 10);
  }

  Input& in_;
  Counting sessions_;
  Core core_;
  TimePoint now_{std::chrono::seconds(1000)};
  std::vector<gist::SendMessage> sent_;
  std::vector<AskController> asked_;
  std::map<gist::SessionId, std::uint64_t> sessions_of_;  // the last ticket of each
  std::set<std::uint64_t> waiting_, finished_;
  std::uint64_t last_ticket_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, std::min<std::size_t>(size, 1000));
  Driver(in).run();
  return 0;
}
