// The chain: packets, timers and sockets into modules. Their coming and going is in lifecycle.cc, what they ask
// of their host in host_calls.cc.
#include "dispatch/dispatcher.h"

#include "dispatch/entry.h"

namespace netserv::dispatch {
namespace {

std::size_t bucket_of(std::size_t size) {
  std::size_t bucket = 0;
  for (std::size_t top = 1; size > top && bucket < 7; top *= 2) ++bucket;
  return bucket;
}

}  // namespace

std::string_view to_string(Trap::Kind kind) {
  switch (kind) {
    case Trap::Kind::kUnreachable: return "unreachable";
    case Trap::Kind::kOutOfBounds: return "out of bounds";
    case Trap::Kind::kDivision: return "division";
    case Trap::Kind::kBadConversion: return "bad conversion";
    case Trap::Kind::kIndirectCall: return "indirect call";
    case Trap::Kind::kStackExhausted: return "stack exhausted";
    case Trap::Kind::kTimeLimit: return "time limit";
    case Trap::Kind::kExit: return "exit";
    case Trap::Kind::kHost: return "host";
    case Trap::Kind::kOther: return "other";
  }
  return "?";
}

void Dispatcher::process(std::span<PacketJob> batch) {
  for (; batch.size() > NETSERV_BATCH_MAX; batch = batch.subspan(NETSERV_BATCH_MAX))
    process(batch.first(NETSERV_BATCH_MAX));
  if (batch.empty()) return;
  ++batches_;
  packets_ += batch.size();
  ++batch_size_buckets_[bucket_of(batch.size())];
  for (PacketJob& job : batch) {
    job.verdict = Verdict::kPass;
    job.changed = false;
    job.skipped = true;
    job.decided_by = 0xff;
    job.length = job.view.length;
  }
  for (std::size_t place = 0; place < chain_.size(); ++place)
    if (chain_[place]->module != nullptr && chain_[place]->module->handles_packets())
      run_module(*chain_[place], place, batch);
}

void Dispatcher::run_module(Entry& entry, std::size_t place, std::span<PacketJob> batch) {
  std::size_t count = 0;
  for (PacketJob& job : batch) {
    if ((job.modules & entry.bit()) == 0 || job.verdict != Verdict::kPass) continue;
    jobs_[count] = &job;
    PacketView& view = views_[count++];
    view = job.view;
    view.verdict = Verdict::kPass;
    view.changed = false;
    view.new_length = view.length;
  }
  if (count == 0) return;
  std::span<PacketJob* const> jobs(jobs_.data(), count);
  bool snapshot = needs_snapshot(place, jobs);
  if (snapshot) take_snapshot(jobs);
  if (!guarded(entry, [&](Module& module) { return module.process(std::span(views_.data(), count)); })) {
    if (snapshot) restore_snapshot(jobs);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) settle(entry, *jobs_[i], views_[i]);
}

// A module that traps may have scribbled over its packets. That matters only if somebody else's work depends on
// the bytes: a later module's, or an earlier one's that flagged a change.
bool Dispatcher::needs_snapshot(std::size_t place, std::span<PacketJob* const> jobs) const {
  std::uint64_t later = 0;
  for (std::size_t i = place + 1; i < chain_.size(); ++i)
    if (chain_[i]->module != nullptr && chain_[i]->module->handles_packets()) later |= chain_[i]->bit();
  return std::any_of(jobs.begin(), jobs.end(),
                     [&](const PacketJob* job) { return job->changed || (job->modules & later) != 0; });
}

void Dispatcher::take_snapshot(std::span<PacketJob* const> jobs) {
  std::size_t bytes = 0;
  for (const PacketJob* job : jobs) bytes += job->view.length;
  if (snapshot_.size() < bytes) snapshot_.resize(bytes);
  std::byte* to = snapshot_.data();
  for (const PacketJob* job : jobs) {
    std::copy_n(job->bytes, job->view.length, to);
    to += job->view.length;
  }
}

void Dispatcher::restore_snapshot(std::span<PacketJob* const> jobs) {
  const std::byte* from = snapshot_.data();
  for (const PacketJob* job : jobs) {
    std::copy_n(from, job->view.length, job->bytes);
    from += job->view.length;
  }
}

void Dispatcher::settle(Entry& entry, PacketJob& job, const PacketView& view) {
  ipc::ModuleStatus& s = entry.status;
  ++s.packets;
  s.bytes += job.view.length;
  job.skipped = false;
  if ((job.view.flags & NETSERV_FLAG_COPY) != 0) {  // a copy: nothing it says has an effect
    ++s.passed;
    return;
  }
  if (view.changed) {
    ++s.changed;
    job.changed = true;
    job.length = job.view.length = std::min(view.new_length, job.view.capacity);
  }
  job.verdict = view.verdict;
  switch (view.verdict) {
    case Verdict::kPass: ++s.passed; return;
    case Verdict::kDrop: ++s.dropped; break;
    case Verdict::kReply: ++s.replied; break;
    case Verdict::kSteal: ++s.stolen; break;
  }
  job.decided_by = entry.spec.slot.value();
}

void Dispatcher::readable(ModuleSlot slot, int handle) {
  Entry* entry = in_slot(slot);
  if (entry == nullptr || entry->module == nullptr) return;
  guarded(*entry, [&](Module& module) { return module.readable(handle); });
}

void Dispatcher::run_due(TimePoint now) {
  if (!deadline_ || *deadline_ > now) return;
  for (auto& slot : slots_) {
    if (slot == nullptr) continue;
    Entry& entry = *slot;
    if (entry.module == nullptr) {
      if (entry.restart_at <= now) restart(entry, now);
      continue;
    }
    // A module may set and cancel timers while one runs: collect what is due first.
    std::array<std::uint32_t, kTimersPerModule> due;
    std::size_t count = 0;
    std::erase_if(entry.timers, [&](Timer& timer) {
      if (timer.due > now) return false;
      due[count++] = timer.id;
      if (timer.repeat == Duration::zero()) return true;
      timer.due = std::max(timer.due + timer.repeat, now + kShortestTimer);  // what was missed stays missed
      return false;
    });
    for (std::size_t i = 0; i < count && entry.module != nullptr; ++i)
      guarded(entry, [&](Module& module) { return module.timer(due[i]); });
  }
  update_deadline();
}

void Dispatcher::update_deadline() {
  deadline_.reset();
  auto consider = [&](TimePoint when) { deadline_ = deadline_ ? std::min(*deadline_, when) : when; };
  for (const auto& entry : slots_) {
    if (entry == nullptr) continue;
    if (entry->module == nullptr) consider(entry->restart_at);
    for (const Timer& timer : entry->timers) consider(timer.due);
  }
}

std::vector<ipc::ModuleStatus> Dispatcher::modules() const {
  std::vector<ipc::ModuleStatus> out;
  for (const Entry* entry : chain_) {
    out.push_back(entry->status);
    out.back().health = entry->module ? ipc::ModuleHealth::kRunning : ipc::ModuleHealth::kBackingOff;
  }
  return out;
}

ipc::ContainerStatus Dispatcher::status() const {
  ipc::ContainerStatus status;
  status.batches = batches_;
  status.packets = packets_;
  std::copy(batch_size_buckets_.begin(), batch_size_buckets_.end(), status.batch_size_buckets);
  status.modules = modules();
  return status;
}

}  // namespace netserv::dispatch
