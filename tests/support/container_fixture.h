// A real container in lxc, with a netservd's side of the control protocol and a forwarder's side of the ring,
// for tests and benchmarks. Needs root. Works in network and mount namespaces of its own; a watcher process
// takes everything down if this one dies.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lxc/container_host.h"
#include "ring/ring_producer.h"
#include "support/wat_module.h"
#include "sys/seqpacket.h"
#include "wire/ipc/archive.h"
#include "wire/ipc/container_messages.h"

namespace netserv::test {

class ContainerFixture {
 public:
  ContainerFixture();
  ~ContainerFixture();
  ContainerFixture(const ContainerFixture&) = delete;
  ContainerFixture& operator=(const ContainerFixture&) = delete;

  lxc::LaunchSpec spec;  // ready to start; change it before start()
  Result<lxc::ContainerStarted> start();
  Status stop();
  Result<std::vector<lxc::ContainerFound>> list();
  Status clean_up();
  Status set_network(const lxc::NetworkGrants& grants);

  // Hello, and the answer.
  Result<ipc::Welcome> connect(std::uint32_t protocol = ipc::kContainerProtocol);
  void disconnect() { channel_.close(); }
  Status send(const ipc::ToContainer& message) { return channel_.send(ipc::encode(message)); }
  // Sends, then waits for a message of type Answer; the others that come meanwhile go to `unasked`.
  template <class Answer>
  Result<Answer> ask(const ipc::ToContainer& message, const std::vector<int>& fds = {}) {
    NETSERV_TRY(channel_.send(ipc::encode(message), fds));
    return wait_for<Answer>();
  }
  template <class Answer>
  Result<Answer> wait_for() {
    for (std::size_t i = 0; i < unasked.size(); ++i)
      if (auto* found = std::get_if<Answer>(&unasked[i])) {
        Answer answer = std::move(*found);
        unasked.erase(unasked.begin() + static_cast<std::ptrdiff_t>(i));
        return answer;
      }
    while (true) {
      NETSERV_ASSIGN(ipc::FromContainer message, next_message());
      if (auto* found = std::get_if<Answer>(&message)) return std::move(*found);
      unasked.push_back(std::move(message));
    }
  }
  std::vector<ipc::FromContainer> unasked;

  // A new ring, or several that divide the window, on a noexec tmpfs, given to the container.
  Status attach_ring(std::uint64_t generation, std::uint32_t parts = 1);
  ring::RingProducer& ring(std::size_t number = 0) { return *rings_[number]; }
  // One packet through a ring; empty if nothing came back in ten seconds.
  std::optional<ring::Reaped> through(ByteSpan packet, std::uint64_t modules, std::size_t ring = 0);
  // Compiles into the module folder and asks the container to load it.
  Status load(const std::string& id, int slot, std::string_view wat);
  Status load_object(const std::string& id, int slot, const std::string& object);

  std::string container_log() const;
  const std::string& folder() const { return folder_; }

 private:
  Result<ipc::FromContainer> next_message();
  template <class T>
  T run_until_done(const std::function<void(lxc::ContainerHost&, std::function<void(T)>)>& call);

  std::string folder_;
  int watcher_pipe_ = -1;
  pid_t watcher_ = 0;
  sys::Channel channel_;
  std::vector<std::unique_ptr<ring::RingProducer>> rings_;
  std::uint64_t age_ = 0;
};

// Private_Clean + Private_Dirty of a process.
std::uint64_t private_memory_bytes(pid_t pid);
pid_t parent_of(pid_t pid);

}  // namespace netserv::test
