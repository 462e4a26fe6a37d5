#include "container/container.h"

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "ring/layout.h"
#include "sys/clock.h"

namespace netserv::container {
namespace {

constexpr Duration kLookAroundEvery = std::chrono::milliseconds(1);

void cpu_relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

Container::Container(ContainerOptions options, dispatch::ModuleRuntime& runtime)
    : options_(std::move(options)), runtime_(runtime), dispatcher_(runtime, *this) {}

// Modules go while all that they call is still there.
Container::~Container() { dispatcher_.unload_all(); }

Result<std::unique_ptr<Container>> Container::make(ContainerOptions options, dispatch::ModuleRuntime& runtime) {
  std::unique_ptr<Container> container(new Container(std::move(options), runtime));
  NETSERV_ASSIGN(container->control_, ControlServer::listen(container->options_.control_socket,
                                                            container->options_.peer, *container));
  return container;
}

void Container::run(const volatile std::sig_atomic_t& stop, const sigset_t& while_asleep) {
  TimePoint last_work = now(), last_look{};
  while (stop == 0) {
    bool worked = drain_rings();
    TimePoint t = now();
    if (auto deadline = dispatcher_.next_deadline(); deadline && *deadline <= t) {
      dispatcher_.run_due(t);
      flush_rings();  // timers emit
    }
    if (worked) last_work = t;
    if (t - last_look >= kLookAroundEvery) {
      look_around(false, while_asleep);
      last_look = t;
    }
    if (worked) continue;
    if (!rings_.empty() && t - last_work < options_.spin && !shares_core()) {
      cpu_relax();
      continue;
    }
    look_around(true, while_asleep);
    last_look = last_work = now();
  }
  dispatcher_.unload_all();
  flush_rings();
}

bool Container::drain_rings() {
  std::size_t taken = 0;
  for (std::size_t i = 0; i < rings_.size(); ++i) taken += drain(i);
  current_ring_ = 0;
  return taken > 0;
}

void Container::flush_rings() {
  for (auto& ring : rings_) ring->flush();
}

bool Container::shares_core() const {
  return std::ranges::any_of(rings_, [](const auto& ring) { return ring->shares_core(); });
}

// False, and no ring's flag set, if there is something to take after all.
bool Container::prepare_wait() {
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    if (rings_[i]->prepare_wait()) continue;
    while (i > 0) rings_[--i]->cancel_wait();
    return false;
  }
  return true;
}

// A batch of one ring's packets.
std::size_t Container::drain(std::size_t number) {
  ring::RingConsumer& ring = *rings_[number];
  std::size_t n = ring.take(descriptors_);
  if (n == 0) return 0;
  current_ring_ = number;
  const auto first_slot = static_cast<std::uint32_t>(number) * ring.slots();
  for (std::size_t i = 0; i < n; ++i) {
    const ring::SubmitDescriptor& d = descriptors_[i];
    dispatch::PacketView& view = jobs_[i].view;
    view.window_offset = (first_slot + d.slot) * ring::kSlotBytes + d.offset;
    jobs_[i].bytes = ring.slot_bytes(d).data();
    view.length = d.length;
    view.capacity = ring::kSlotBytes - d.offset;
    view.original_length = d.original_length;
    view.received_ns = d.received_ns;
    view.ingress = d.ingress;
    view.vlan = d.vlan;
    view.flags = d.flags;
    view.lost = d.lost;
    jobs_[i].modules = d.modules;
  }
  dispatcher_.process(std::span(jobs_).first(n));
  for (std::size_t i = 0; i < n; ++i) {
    const dispatch::PacketJob& job = jobs_[i];
    completions_[i] = {descriptors_[i].slot, job.length, static_cast<std::uint8_t>(job.verdict), job.changed,
                       job.decided_by, job.skipped, 0};
  }
  ring.complete(std::span(completions_).first(n));
  ring.flush();
  return n;
}

// One poll over everything but the packets themselves.
void Container::look_around(bool sleep, const sigset_t& while_asleep) {
  answer_once_changed();
  polled_.clear();
  polled_sockets_.clear();
  control_->add_to_poll(polled_);
  const std::size_t first_ring = polled_.size();
  for (const auto& ring : rings_) polled_.push_back({ring->wake_fd(), POLLIN, 0});
  const std::size_t first_socket = polled_.size();
  sockets_.add_to_poll(polled_);
  for (const UdpSockets::Socket& s : sockets_.sockets()) polled_sockets_.emplace_back(s.owner, s.handle);

  timespec timeout{0, 0};
  bool forever = false;
  if (sleep) {
    if (auto deadline = dispatcher_.next_deadline()) {
      auto wait = std::max<std::int64_t>((*deadline - now()).count(), 0);
      timeout = {wait / 1'000'000'000, wait % 1'000'000'000};
    } else {
      forever = true;
    }
    if (!prepare_wait()) return;
  }
  int ready = ::ppoll(polled_.data(), polled_.size(), forever ? nullptr : &timeout, &while_asleep);
  for (std::size_t i = 0; i < rings_.size(); ++i) {
    if (!sleep && polled_[first_ring + i].revents == 0) continue;
    rings_[i]->end_wait();
    rings_[i]->flush();
  }
  if (ready <= 0) return;
  const pollfd control[2] = {polled_[0], polled_[1]};
  for (std::size_t i = 0; i < polled_sockets_.size(); ++i) {
    if (polled_[first_socket + i].revents == 0) continue;
    auto [module, handle] = polled_sockets_[i];
    sockets_.mute(module, handle);
    dispatcher_.readable(module, handle);
  }
  control_->serve(control);
}

// A node of many idle containers would else have hundreds of processes woken a second to say the same again.
void Container::answer_once_changed() {
  if (!status_asked_) return;
  ipc::ContainerStatus now = dispatcher_.status();
  if (status_told_ == now) return;
  status_asked_ = false;
  control_->send(now);
  status_told_ = std::move(now);
}

ipc::Welcome Container::welcome(std::uint32_t protocol) {
  status_asked_ = false;
  status_told_.reset();
  return {protocol, std::string(runtime_.name()), ring_generation_, dispatcher_.modules(),
          {ring::kOldestVersion, ring::kVersion}};
}

void Container::on_message(ipc::ToContainer message, std::vector<sys::UniqueFd> fds) {
  std::visit([&](const auto& m) { handle(m, fds); }, message);
}

void Container::handle(const ipc::AttachRing& request, std::vector<sys::UniqueFd>& fds) {
  auto attached = attach_rings(fds);
  if (attached) ring_generation_ = request.generation;
  control_->send(ipc::RingAttached{request.generation, attached ? "" : attached.error().message()});
}

Status Container::map_windows(const Rings& rings) {
  std::vector<dispatch::WindowPart> parts;
  for (const auto& ring : rings) {
    std::size_t bytes = ring->window().size();
    parts.push_back({ring->file_fd(), ring::kWindowOffset, static_cast<std::uint32_t>(parts.size() * bytes), bytes});
  }
  return runtime_.set_window(parts);
}

Status Container::attach_rings(std::vector<sys::UniqueFd>& fds) {
  const std::size_t count = fds.size() / 3;
  if (count == 0 || fds.size() % 3 != 0 || count > ring::kMostParts)
    return fail(Origin::kPeer, "ring", "needs three descriptors for each ring");
  Rings rings;
  for (std::size_t i = 0; i < fds.size(); i += 3) {
    NETSERV_ASSIGN(auto ring, ring::RingConsumer::attach(std::move(fds[i]), std::move(fds[i + 1]), std::move(fds[i + 2])));
    if (ring->slots() != ring::slots_of_part(static_cast<std::uint32_t>(count)))
      return fail(Origin::kPeer, "ring", "is not one of " + std::to_string(count));
    rings.push_back(std::move(ring));
  }
  if (Status mapped = map_windows(rings); !mapped) {
    // Back to the old ones, so that no module is left between the two.
    if (!rings_.empty() && !map_windows(rings_)) rings_.clear();
    return mapped;
  }
  flush_rings();
  rings_ = std::move(rings);
  return {};
}

void Container::handle(const ipc::LoadModule& request, std::vector<sys::UniqueFd>&) {
  if (request.object.empty() || request.object.front() == '.' || request.object.find('/') != std::string::npos)
    return control_->send(ipc::ModuleFailed{request.module, "object is not a plain file name"});
  auto loaded = dispatcher_.load(request, options_.module_folder + "/" + request.object);
  if (!loaded) return control_->send(ipc::ModuleFailed{request.module, loaded.error().message()});
  control_->send(ipc::ModuleLoaded{request.module});
}

void Container::handle(const ipc::UpdateModule& request, std::vector<sys::UniqueFd>&) {
  auto updated = dispatcher_.update(request);
  control_->send(ipc::ModuleUpdated{request.module, updated ? "" : updated.error().message()});
}

void Container::handle(const ipc::UnloadModule& request, std::vector<sys::UniqueFd>&) {
  dispatcher_.unload(request.module);
  control_->send(ipc::ModuleUnloaded{request.module});
}

void Container::handle(const ipc::GetStatus&, std::vector<sys::UniqueFd>&) { status_asked_ = true; }

TimePoint Container::now() { return sys::now(); }

bool Container::emit(ModuleSlot from, std::span<const std::byte> packet) {
  return !rings_.empty() && rings_[current_ring_]->emit(from, packet);
}

void Container::report(ipc::FromContainer event) {
  if (const auto* trapped = std::get_if<ipc::ModuleTrapped>(&event))
    log_warning({{}, trapped->module.value(), {}}, "trapped: {}; again in {} ms", trapped->reason,
                trapped->restart_after_ms);
  control_->send(std::move(event));
}

}  // namespace netserv::container
