#include "cli/desk.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace netserv::cli {

using dispatch::PacketView;
using dispatch::Verdict;

Result<std::unique_ptr<Desk>> Desk::open(dispatch::ModuleRuntime& runtime, const dispatch::ModuleSpec& spec,
                                         std::uint32_t batch, DeskEvents events) {
  NETSERV_CHECK(batch >= 1 && batch <= NETSERV_BATCH_MAX);
  std::unique_ptr<Desk> desk(new Desk(batch, std::move(events)));
  desk->name_ = spec.id.value();
  NETSERV_TRY(desk->make_window(runtime));
  NETSERV_ASSIGN(desk->module_, runtime.load(spec, *desk));
  return desk;
}

Desk::~Desk() {
  module_.reset();
  if (window_) munmap(window_, NETSERV_WINDOW_BYTES);
}

Status Desk::make_window(dispatch::ModuleRuntime& runtime) {
  int fd = memfd_create("netserv-window", MFD_CLOEXEC);
  if (fd < 0) return fail_errno("packet window", "cannot make", errno);
  if (ftruncate(fd, NETSERV_WINDOW_BYTES) < 0) {
    int error = errno;
    close(fd);
    return fail_errno("packet window", "cannot size", error);
  }
  void* mapped = mmap(nullptr, NETSERV_WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  int error = errno;
  Status given = mapped == MAP_FAILED ? Status(fail_errno("packet window", "cannot map", error))
                                      : runtime.set_window(fd, 0, NETSERV_WINDOW_BYTES);
  close(fd);
  if (mapped != MAP_FAILED) window_ = static_cast<std::byte*>(mapped);
  return given;
}

Status Desk::ran(const dispatch::Module::Run& run, std::string_view what) {
  if (run) return {};
  trapped_ = Error{Origin::kPublisher, name_, fmt::format("trapped in {}: {}", what, run.error().text)};
  return fail(*trapped_);
}

Status Desk::packet(TimePoint time, ByteSpan bytes, std::uint32_t original_length, std::uint16_t vlan) {
  NETSERV_TRY(advance(time));
  std::uint64_t number = ++packets_;
  auto headers = parse_packet(bytes);
  if (!module_->handles_packets() || !headers || headers->fragment || bytes.size() > NETSERV_SLOT_BYTES) {
    NETSERV_TRY(flush());
    if (events_.packet)
      events_.packet({number, time, headers, static_cast<std::uint32_t>(bytes.size()), true, Verdict::kPass, false, bytes});
    return {};
  }
  const auto slot = static_cast<std::uint32_t>(waiting_.size());
  std::byte* place = window_ + std::size_t{slot} * NETSERV_SLOT_BYTES;
  std::copy(bytes.begin(), bytes.end(), place);
  PacketView& view = views_[slot];
  view = {};
  view.window_offset = slot * NETSERV_SLOT_BYTES;
  view.length = view.new_length = static_cast<std::uint32_t>(bytes.size());
  view.capacity = NETSERV_SLOT_BYTES;
  view.original_length = original_length;
  view.received_ns = static_cast<std::uint64_t>(time.time_since_epoch().count());
  view.vlan = vlan;
  if (view.length < original_length) view.flags |= NETSERV_FLAG_TRUNCATED;
  waiting_.push_back({number, time, headers});
  return waiting_.size() == batch_ ? flush() : Status();
}

Status Desk::flush() {
  if (trapped_) return fail(*trapped_);
  if (waiting_.empty()) return {};
  NETSERV_TRY(ran(module_->process(std::span(views_).first(waiting_.size())), "netserv_process"));
  for (std::size_t i = 0; i < waiting_.size(); i++) {
    const PacketView& view = views_[i];
    std::span<std::byte> bytes(window_ + view.window_offset, view.changed ? view.new_length : view.length);
    if (view.changed) fix_checksums(bytes);
    JudgedPacket judged{waiting_[i].number, waiting_[i].time, waiting_[i].before, view.length, false,
                        view.verdict, view.changed, bytes};
    if (events_.packet) events_.packet(judged);
  }
  waiting_.clear();
  return {};
}

Status Desk::advance(TimePoint time) {
  if (trapped_) return fail(*trapped_);
  for (;;) {
    auto next = std::min_element(timers_.begin(), timers_.end(),
                                 [](const auto& a, const auto& b) { return a.second.due < b.second.due; });
    if (next == timers_.end() || next->second.due > time) break;
    NETSERV_TRY(flush());  // packets from before the timer, first
    now_ = std::max(now_, next->second.due);
    std::uint32_t id = next->first;
    if (next->second.repeat > Duration::zero()) {
      next->second.due += next->second.repeat;
    } else {
      timers_.erase(next);
    }
    NETSERV_TRY(ran(module_->timer(id), fmt::format("netserv_timer({})", id)));
  }
  // A packet that came earlier than one before it does not turn the clock back.
  now_ = std::max(now_, time);
  return {};
}

Status Desk::stop() {
  NETSERV_TRY(flush());
  return ran(module_->stop(), "netserv_stop");
}

bool Desk::emit(ModuleSlot, std::span<const std::byte> packet) {
  Bytes copy(packet.begin(), packet.end());
  fix_checksums(copy);
  if (events_.emitted) events_.emitted(now_, copy);
  return true;
}

void Desk::log(ModuleSlot, int level, std::string_view text) {
  if (events_.log) events_.log(now_, level, text);
}

void Desk::set_timer(ModuleSlot, std::uint32_t id, Duration after, Duration repeat) {
  constexpr Duration kShortest = std::chrono::milliseconds(1);
  timers_[id] = {now_ + std::max(after, kShortest), repeat > Duration::zero() ? std::max(repeat, kShortest) : repeat};
}

void Desk::count(ModuleSlot, std::string_view counter, std::uint64_t n) { counters_[std::string(counter)] += n; }

int Desk::udp_open(ModuleSlot, int family, std::uint16_t) {
  if (family != 4 && family != 6) return -EAFNOSUPPORT;
  sockets_[next_handle_] = family;
  return next_handle_++;
}

int Desk::udp_send(ModuleSlot, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
                   std::span<const std::byte> data) {
  auto socket = sockets_.find(handle);
  if (socket == sockets_.end()) return -EBADF;
  if (socket->second != family) return -EAFNOSUPPORT;
  SentDatagram sent{now_, IpAddress::from_bytes(address.first(family == 4 ? 4 : 16)), port, std::string(as_text(data))};
  if (events_.datagram) events_.datagram(sent);
  return static_cast<int>(data.size());
}

int Desk::udp_receive(ModuleSlot, int handle, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) {
  return sockets_.count(handle) ? -EAGAIN : -EBADF;
}

int Desk::udp_close(ModuleSlot, int handle) { return sockets_.erase(handle) ? 0 : -EBADF; }

}  // namespace netserv::cli
