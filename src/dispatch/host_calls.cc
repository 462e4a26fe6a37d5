// What modules ask of their host, bounded.
#include "dispatch/dispatcher.h"
#include "dispatch/entry.h"

namespace netserv::dispatch {
namespace {

// A module's text ends up on people's terminals and in line-based logs: no control characters.
std::string clean(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\t' ? ' ' : '?';
  return out;
}

}  // namespace

bool Dispatcher::emit(ModuleSlot from, std::span<const std::byte> packet) {
  Entry* entry = in_slot(from);
  if (entry == nullptr) return false;
  bool taken = !packet.empty() && packet.size() <= NETSERV_SLOT_BYTES && surroundings_.emit(from, packet);
  ++(taken ? entry->status.emitted : entry->status.emit_refused);
  return taken;
}

void Dispatcher::log(ModuleSlot from, int level, std::string_view text) {
  Entry* entry = in_slot(from);
  if (entry == nullptr) return;
  TimePoint now = surroundings_.now();
  auto earned = (now - entry->log_credit_at) / kLogInterval;
  if (earned > 0) {
    entry->log_credit = static_cast<unsigned>(std::min<std::int64_t>(kLogBurst, entry->log_credit + earned));
    entry->log_credit_at += earned * kLogInterval;
  }
  if (entry->log_credit == 0) {
    ++entry->status.log_lines_suppressed;
    ++entry->suppressed_since_line;
    return;
  }
  --entry->log_credit;
  std::string line = clean(text.substr(0, kLogLineBytes));
  if (entry->suppressed_since_line > 0)
    line += " (" + std::to_string(entry->suppressed_since_line) + " lines before this one suppressed)";
  entry->suppressed_since_line = 0;
  surroundings_.report(
      ipc::ModuleLog{entry->spec.id, static_cast<std::uint8_t>(std::clamp(level, 0, 3)), std::move(line)});
}

void Dispatcher::set_timer(ModuleSlot from, std::uint32_t id, Duration after, Duration repeat) {
  Entry* entry = in_slot(from);
  if (entry == nullptr || id >= kTimersPerModule) return;
  // A module's 64-bit nanoseconds can be anything: a year is as good as never.
  constexpr Duration kLongest = std::chrono::hours(24 * 365);
  after = after < Duration::zero() ? kLongest : std::clamp(after, kShortestTimer, kLongest);
  if (repeat != Duration::zero())
    repeat = repeat < Duration::zero() ? kLongest : std::clamp(repeat, kShortestTimer, kLongest);
  std::erase_if(entry->timers, [id](const Timer& timer) { return timer.id == id; });
  entry->timers.push_back({id, surroundings_.now() + after, repeat});
  update_deadline();
}

void Dispatcher::cancel_timer(ModuleSlot from, std::uint32_t id) {
  Entry* entry = in_slot(from);
  if (entry == nullptr) return;
  std::erase_if(entry->timers, [id](const Timer& timer) { return timer.id == id; });
  update_deadline();
}

void Dispatcher::count(ModuleSlot from, std::string_view counter, std::uint64_t n) {
  Entry* entry = in_slot(from);
  if (entry == nullptr || counter.empty() || counter.size() > kCounterNameBytes) return;
  auto& counters = entry->status.counters;
  std::string name = clean(counter);
  auto at = counters.find(name);
  if (at != counters.end()) {
    at->second += n;
  } else if (counters.size() < kCountersPerModule) {
    counters.emplace(std::move(name), n);
  }
}

int Dispatcher::udp_open(ModuleSlot from, int family, std::uint16_t local_port) {
  return surroundings_.udp_open(from, family, local_port);
}
int Dispatcher::udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address,
                         std::uint16_t port, std::span<const std::byte> data) {
  return surroundings_.udp_send(from, handle, family, address, port, data);
}
int Dispatcher::udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address,
                            std::uint16_t& port, std::span<std::byte> out) {
  return surroundings_.udp_receive(from, handle, family, address, port, out);
}
int Dispatcher::udp_close(ModuleSlot from, int handle) { return surroundings_.udp_close(from, handle); }

}  // namespace netserv::dispatch
