#include "cli/desk_container.h"

#include <unistd.h>

#include <cerrno>

namespace netserv::cli {

Result<std::unique_ptr<DeskContainer>> DeskContainer::open(ring::RingProducer& ring, dispatch::ModuleRuntime& runtime,
                                                           const dispatch::ModuleSpec& spec, TimePoint now,
                                                           Events events) {
  NETSERV_ASSIGN(auto consumer, ring::RingConsumer::attach(sys::UniqueFd(::dup(ring.file_fd())),
                                                           sys::UniqueFd(::dup(ring.container_event_fd())),
                                                           sys::UniqueFd(::dup(ring.forwarder_event_fd()))));
  NETSERV_TRY(runtime.set_window({{consumer->file_fd(), ring::kWindowOffset, 0, NETSERV_WINDOW_BYTES}}));
  std::unique_ptr<DeskContainer> container(new DeskContainer(std::move(consumer), runtime, now, std::move(events)));
  ipc::LoadModule load;
  load.module = spec.id;
  load.slot = spec.slot;
  load.properties = spec.properties;
  load.blocks = spec.blocks;
  load.memory_pages = spec.memory_pages;
  NETSERV_TRY(container->dispatcher_.load(load, spec.object_path));
  container->ring_->flush();
  return container;
}

DeskContainer::~DeskContainer() { dispatcher_.unload_all(); }

std::span<const dispatch::PacketJob> DeskContainer::run(TimePoint now) {
  now_ = now;
  const std::size_t n = ring_->take(descriptors_);
  std::array<ring::Completion, NETSERV_BATCH_MAX> completions;
  for (std::size_t i = 0; i < n; i++) {
    const ring::SubmitDescriptor& d = descriptors_[i];
    jobs_[i] = {};
    jobs_[i].modules = d.modules;
    jobs_[i].bytes = ring_->slot_bytes(d).data();
    jobs_[i].view = {.window_offset = d.slot * ring::kSlotBytes + d.offset, .length = d.length,
                     .capacity = ring::kSlotBytes - d.offset, .original_length = d.original_length,
                     .received_ns = d.received_ns, .ingress = d.ingress, .vlan = d.vlan, .flags = d.flags,
                     .lost = d.lost};
  }
  dispatcher_.process(std::span(jobs_).first(n));
  for (std::size_t i = 0; i < n; i++) {
    const dispatch::PacketJob& job = jobs_[i];
    completions[i] = {descriptors_[i].slot, job.length, static_cast<std::uint8_t>(job.verdict), job.changed,
                      job.decided_by, job.skipped, 0};
  }
  ring_->complete(std::span(completions).first(n));
  ring_->flush();
  return std::span(jobs_).first(n);
}

void DeskContainer::run_due(TimePoint now) {
  now_ = now;
  dispatcher_.run_due(now);
  ring_->flush();
}

void DeskContainer::stop(TimePoint now) {
  now_ = now;
  dispatcher_.unload_all();
  ring_->flush();
}

std::map<std::string, std::uint64_t> DeskContainer::counters() const {
  const auto modules = dispatcher_.modules();
  if (modules.empty()) return {};
  return {modules[0].counters.begin(), modules[0].counters.end()};
}

void DeskContainer::report(ipc::FromContainer event) {
  if (const auto* line = std::get_if<ipc::ModuleLog>(&event); line != nullptr && events_.log)
    events_.log(line->level, line->text);
  if (const auto* trap = std::get_if<ipc::ModuleTrapped>(&event); trap != nullptr && events_.trapped)
    events_.trapped(trap->reason);
}

int DeskContainer::udp_open(ModuleSlot, int family, std::uint16_t) {
  if (family != 4 && family != 6) return -EAFNOSUPPORT;
  sockets_[next_handle_] = family;
  return next_handle_++;
}

int DeskContainer::udp_send(ModuleSlot, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
                            std::span<const std::byte> data) {
  auto socket = sockets_.find(handle);
  if (socket == sockets_.end()) return -EBADF;
  if (socket->second != family) return -EAFNOSUPPORT;
  if (events_.datagram) events_.datagram(IpAddress::from_bytes(address.first(family == 4 ? 4 : 16)), port, as_text(data));
  return static_cast<int>(data.size());
}

int DeskContainer::udp_receive(ModuleSlot, int handle, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) {
  return sockets_.count(handle) ? -EAGAIN : -EBADF;
}

int DeskContainer::udp_close(ModuleSlot, int handle) { return sockets_.erase(handle) ? 0 : -EBADF; }

}  // namespace netserv::cli
