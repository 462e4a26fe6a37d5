#include "container/container.h"

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
    bool worked = drain_ring() > 0;
    TimePoint t = now();
    if (auto deadline = dispatcher_.next_deadline(); deadline && *deadline <= t) {
      dispatcher_.run_due(t);
      if (ring_ != nullptr) ring_->flush();  // timers emit
    }
    if (worked) last_work = t;
    if (t - last_look >= kLookAroundEvery) {
      look_around(false, while_asleep);
      last_look = t;
    }
    if (worked) continue;
    if (ring_ != nullptr && t - last_work < options_.spin && !ring_->shares_core()) {
      cpu_relax();
      continue;
    }
    look_around(true, while_asleep);
    last_look = last_work = now();
  }
  dispatcher_.unload_all();
  if (ring_ != nullptr) ring_->flush();
}

std::size_t Container::drain_ring() {
  if (ring_ == nullptr) return 0;
  std::size_t n = ring_->take(descriptors_);
  if (n == 0) return 0;
  for (std::size_t i = 0; i < n; ++i) {
    const ring::SubmitDescriptor& d = descriptors_[i];
    dispatch::PacketView& view = jobs_[i].view;
    view.window_offset = d.slot * ring::kSlotBytes + d.offset;
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
  ring_->complete(std::span(completions_).first(n));
  ring_->flush();
  return n;
}

// One poll over everything but the packets themselves.
void Container::look_around(bool sleep, const sigset_t& while_asleep) {
  polled_.clear();
  polled_sockets_.clear();
  control_->add_to_poll(polled_);
  polled_.push_back({ring_ != nullptr ? ring_->wake_fd() : -1, POLLIN, 0});
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
    if (ring_ != nullptr && !ring_->prepare_wait()) return;
  }
  int ready = ::ppoll(polled_.data(), polled_.size(), forever ? nullptr : &timeout, &while_asleep);
  if (ring_ != nullptr && (sleep || polled_[2].revents != 0)) {
    ring_->end_wait();
    ring_->flush();
  }
  if (ready <= 0) return;
  const pollfd control[2] = {polled_[0], polled_[1]};
  for (std::size_t i = 0; i < polled_sockets_.size(); ++i) {
    if (polled_[3 + i].revents == 0) continue;
    auto [module, handle] = polled_sockets_[i];
    sockets_.mute(module, handle);
    dispatcher_.readable(module, handle);
  }
  control_->serve(control);
}

ipc::Welcome Container::welcome() {
  return {ipc::kContainerProtocol, std::string(runtime_.name()), ring_generation_, dispatcher_.modules()};
}

void Container::on_message(ipc::ToContainer message, std::vector<sys::UniqueFd> fds) {
  std::visit([&](const auto& m) { handle(m, fds); }, message);
}

void Container::handle(const ipc::AttachRing& request, std::vector<sys::UniqueFd>& fds) {
  auto attached = attach_ring(fds);
  if (attached) ring_generation_ = request.generation;
  control_->send(ipc::RingAttached{request.generation, attached ? "" : attached.error().message()});
}

Status Container::attach_ring(std::vector<sys::UniqueFd>& fds) {
  if (fds.size() != 3) return fail(Origin::kPeer, "ring", "needs three descriptors");
  NETSERV_ASSIGN(auto ring, ring::RingConsumer::attach(std::move(fds[0]), std::move(fds[1]), std::move(fds[2])));
  auto mapped = runtime_.set_window(ring->file_fd(), ring::kWindowOffset, NETSERV_WINDOW_BYTES);
  if (!mapped) {
    // Back to the old one, so that no module is left between the two.
    if (ring_ != nullptr)
      if (auto back = runtime_.set_window(ring_->file_fd(), ring::kWindowOffset, NETSERV_WINDOW_BYTES); !back)
        ring_.reset();
    return mapped;
  }
  if (ring_ != nullptr) ring_->flush();
  ring_ = std::move(ring);
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

void Container::handle(const ipc::GetStatus&, std::vector<sys::UniqueFd>&) { control_->send(dispatcher_.status()); }

TimePoint Container::now() { return sys::now(); }

std::span<std::byte> Container::window() {
  if (ring_ == nullptr) return {};
  return ring_->window();
}

bool Container::emit(ModuleSlot from, std::span<const std::byte> packet) {
  return ring_ != nullptr && ring_->emit(from, packet);
}

void Container::report(ipc::FromContainer event) {
  if (const auto* trapped = std::get_if<ipc::ModuleTrapped>(&event))
    log_warning({{}, trapped->module.value(), {}}, "trapped: {}; again in {} ms", trapped->reason,
                trapped->restart_after_ms);
  control_->send(std::move(event));
}

}  // namespace netserv::container
