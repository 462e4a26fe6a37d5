// A service container's process: one loop over its packet rings, the control connection, timers and sockets.
//
// With packets there, it goes from batch to batch and looks at the rest once a millisecond. Without, it spins
// for `spin`, unless the forwarder needs the same core, then sleeps in ppoll until a ring's eventfd, a message, a socket or a timer wakes it: an idle
// container uses no time. A ring's heartbeat counts rounds; a forwarder that doubts it kicks the eventfd.
#pragma once

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "container/control_server.h"
#include "container/udp_sockets.h"
#include "dispatch/dispatcher.h"
#include "ring/ring_consumer.h"

namespace netserv::container {

struct ContainerOptions {
  std::string control_socket = "/run/netserv/control.sock";
  std::string module_folder = "/modules";
  uid_t peer = 65534;  // the overflow uid: someone outside our user namespace
  Duration spin = std::chrono::microseconds(50);
};

class Container final : private dispatch::Surroundings, private ControlServer::Handler {
 public:
  static Result<std::unique_ptr<Container>> make(ContainerOptions options, dispatch::ModuleRuntime& runtime);
  ~Container() override;

  // Until *stop is set by a signal handler, then stops the modules. The signals must be blocked outside ppoll;
  // `while_asleep` is the mask for it.
  void run(const volatile std::sig_atomic_t& stop, const sigset_t& while_asleep);

 private:
  Container(ContainerOptions options, dispatch::ModuleRuntime& runtime);

  std::size_t drain(std::size_t ring);
  bool drain_rings();
  void flush_rings();
  bool shares_core() const;
  bool prepare_wait();
  void look_around(bool sleep, const sigset_t& while_asleep);
  void answer_once_changed();

  // ControlServer::Handler
  ipc::Welcome welcome(std::uint32_t protocol) override;
  void on_message(ipc::ToContainer message, std::vector<sys::UniqueFd> fds) override;
  void handle(const ipc::Hello&, std::vector<sys::UniqueFd>&) {}
  void handle(const ipc::AttachRing&, std::vector<sys::UniqueFd>& fds);
  void handle(const ipc::LoadModule&, std::vector<sys::UniqueFd>&);
  void handle(const ipc::UpdateModule&, std::vector<sys::UniqueFd>&);
  void handle(const ipc::UnloadModule&, std::vector<sys::UniqueFd>&);
  void handle(const ipc::GetStatus&, std::vector<sys::UniqueFd>&);
  using Rings = std::vector<std::unique_ptr<ring::RingConsumer>>;
  Status attach_rings(std::vector<sys::UniqueFd>& fds);
  Status map_windows(const Rings& rings);

  // dispatch::Surroundings
  TimePoint now() override;
  bool emit(ModuleSlot from, std::span<const std::byte> packet) override;
  void report(ipc::FromContainer event) override;
  int udp_open(ModuleSlot from, int family, std::uint16_t local_port) override {
    return sockets_.open(from, family, local_port);
  }
  int udp_send(ModuleSlot from, int handle, int family, std::span<const std::byte> address, std::uint16_t port,
               std::span<const std::byte> data) override {
    return sockets_.send(from, handle, family, address, port, data);
  }
  int udp_receive(ModuleSlot from, int handle, int& family, std::span<std::byte> address, std::uint16_t& port,
                  std::span<std::byte> out) override {
    return sockets_.receive(from, handle, family, address, port, out);
  }
  int udp_close(ModuleSlot from, int handle) override { return sockets_.close(from, handle); }
  void udp_close_all(ModuleSlot from) override { sockets_.close_all(from); }

  const ContainerOptions options_;
  dispatch::ModuleRuntime& runtime_;
  UdpSockets sockets_;
  std::unique_ptr<ControlServer> control_;
  Rings rings_;  // one for each of the forwarder's workers
  std::size_t current_ring_ = 0;  // the one whose packets modules are at; timers' and sockets' packets leave by the first
  std::uint64_t ring_generation_ = 0;
  dispatch::Dispatcher dispatcher_;
  bool status_asked_ = false;
  std::optional<ipc::ContainerStatus> status_told_;  // to who is connected now
  std::vector<pollfd> polled_;
  std::vector<std::pair<ModuleSlot, int>> polled_sockets_;
  std::array<ring::SubmitDescriptor, NETSERV_BATCH_MAX> descriptors_;
  std::array<dispatch::PacketJob, NETSERV_BATCH_MAX> jobs_;
  std::array<ring::Completion, NETSERV_BATCH_MAX> completions_;
};

}  // namespace netserv::container
