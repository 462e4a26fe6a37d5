#include "cli/desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace netserv::cli {
namespace {

const ContainerId kContainer(1);

dispatch::Verdict verdict_of(forward::Fate fate) {
  switch (fate) {
    case forward::Fate::kPass:
    case forward::Fate::kPassChanged: return dispatch::Verdict::kPass;
    case forward::Fate::kReply: return dispatch::Verdict::kReply;
    case forward::Fate::kDrop: return dispatch::Verdict::kDrop;
  }
  return dispatch::Verdict::kPass;
}

}  // namespace

Result<std::unique_ptr<Desk>> Desk::open(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec,
                                         std::uint32_t batch, DeskEvents events) {
  NETSERV_CHECK(batch >= 1 && batch <= NETSERV_BATCH_MAX);
  std::unique_ptr<Desk> desk(new Desk(spec.id.value(), batch, std::move(events)));
  NETSERV_TRY(desk->set_up(runtime, spec));
  return desk;
}

Status Desk::set_up(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec) {
  ipc::ConfigureContainer configuration;
  configuration.container = kContainer;
  configuration.authorised = {*Prefix::parse("0.0.0.0/0"), *Prefix::parse("::/0")};
  configuration.emit_packets_per_second = std::numeric_limits<std::uint32_t>::max();
  configuration.send_bytes_per_second = std::numeric_limits<std::uint64_t>::max();
  forwarder_.configure(configuration);
  ipc::ModuleFilter everything;
  everything.slot = spec.slot;
  NETSERV_TRY(forwarder_.set_filters(kContainer, {everything}));
  NETSERV_ASSIGN(auto ring, ring::RingProducer::create("/dev/shm"));
  auto port = std::make_unique<plane::RingPort>(std::move(ring));
  DeskContainer::Events events;
  events.datagram = [this](IpAddress to, std::uint16_t port_number, std::string_view data) {
    if (events_.datagram) events_.datagram({now_, to, port_number, std::string(data)});
  };
  events.log = [this](int level, std::string_view text) {
    if (events_.log) events_.log(now_, level, text);
  };
  events.trapped = [this](const std::string& reason) {
    trapped_ = Error{Origin::kPublisher, name_, fmt::format("trapped in {}: {}", calling_, reason)};
  };
  NETSERV_ASSIGN(container_, DeskContainer::open(port->ring(), runtime, spec, now_, std::move(events)));
  forwarder_.attach(kContainer, std::move(port), now_);
  poll();
  return {};
}

Status Desk::packet(TimePoint time, ByteSpan bytes, std::uint32_t original_length, std::uint16_t vlan) {
  NETSERV_TRY(advance(time));
  const auto received = static_cast<std::uint64_t>(time.time_since_epoch().count());
  forward::Packet packet = plane_.make(bytes, received);
  packet.original_length = original_length;
  packet.vlan = vlan;
  batch_in_.push_back(packet);
  waiting_.push_back({++packets_, time, parse_packet(bytes), static_cast<std::uint32_t>(bytes.size()), {}});
  return waiting_.size() == batch_ ? flush() : Status();
}

Status Desk::flush() {
  NETSERV_TRY(still_well());
  if (waiting_.empty()) return {};
  calling_ = "netserv_process";
  const std::uint64_t first = plane_packets_;
  plane_packets_ += waiting_.size();
  forwarder_.on_packets(batch_in_, now_);
  batch_in_.clear();
  // What the forwarder let by has ended; the rest lies in the ring, in order.
  std::vector<plane::FakePlane::Ended> ended = plane_.take_ended();
  std::vector<bool> passed_by(waiting_.size());
  for (const auto& one : ended) passed_by[one.number - first] = true;
  std::size_t place = 0;
  for (const dispatch::PacketJob& job : container_->run(now_)) {
    while (passed_by[place]) ++place;
    waiting_[place++].job = job;
  }
  forwarder_.poll(now_);
  for (auto& one : plane_.take_ended()) ended.push_back(std::move(one));
  std::sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  for (auto& one : ended) {
    one.number -= first;
    say(one);
  }
  waiting_.clear();
  poll();
  return still_well();
}

void Desk::say(const plane::FakePlane::Ended& ended) {
  if (!events_.packet) return;
  const Waiting& of = waiting_[ended.number];
  JudgedPacket judged{of.number, of.time, of.before, of.length, false, verdict_of(ended.fate), false, ended.bytes};
  judged.bypassed = !of.job || of.job->skipped;
  judged.changed = ended.fate == forward::Fate::kPassChanged || ended.fate == forward::Fate::kReply;
  if (ended.fate == forward::Fate::kDrop && of.job && of.job->verdict == dispatch::Verdict::kSteal)
    judged.verdict = dispatch::Verdict::kSteal;
  events_.packet(judged);
}

// What the module emitted meanwhile.
void Desk::poll() {
  forwarder_.poll(now_);
  for (const Bytes& packet : plane_.take_sent())
    if (events_.emitted) events_.emitted(now_, packet);
}

Status Desk::advance(TimePoint time) {
  NETSERV_TRY(still_well());
  for (auto next = container_->next_deadline(); next && *next <= time; next = container_->next_deadline()) {
    NETSERV_TRY(flush());  // packets from before the timer, first
    now_ = std::max(now_, *next);
    calling_ = "netserv_timer";
    container_->run_due(now_);
    poll();
    NETSERV_TRY(still_well());
  }
  // A packet that came earlier than one before it does not turn the clock back.
  now_ = std::max(now_, time);
  return {};
}

Status Desk::stop() {
  NETSERV_TRY(flush());
  counters_ = container_->counters();
  container_->stop(now_);
  poll();
  return {};
}

std::map<std::string, std::uint64_t> Desk::refused() const {
  std::map<std::string, std::uint64_t> out = forwarder_.counters(kContainer)->named();
  std::erase_if(out, [](const auto& counter) { return counter.second == 0 || !counter.first.starts_with("refused_"); });
  return out;
}

}  // namespace netserv::cli
