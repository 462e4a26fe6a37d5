// Starts, stops and finds service containers for netservd, by running netserv-launch: liblxc's monitor process
// is then no fork of netservd, and a container outlives it. All calls return at once; `done` is called from the
// event loop, once, unless the ContainerHost is destroyed first. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lxc/launch_spec.h"
#include "sys/event_loop.h"

namespace netserv::lxc {

class ContainerHost {
 public:
  // `launcher` is the path of netserv-launch; `state_folder` as in LaunchSpec.
  ContainerHost(sys::EventLoop& loop, std::string launcher, std::string state_folder);
  ~ContainerHost();
  ContainerHost(const ContainerHost&) = delete;
  ContainerHost& operator=(const ContainerHost&) = delete;

  // Makes the folders of the spec that are missing, clears remains of the same name, starts, and succeeds when
  // the container listens on control_socket(run_folder). spec.state_folder is filled in if it is empty.
  void start(LaunchSpec spec, std::function<void(Result<ContainerStarted>)> done);
  // SIGTERM (modules are stopped), SIGKILL after two seconds, then all remains are removed. An absent container
  // is success.
  void stop(const std::string& name, std::function<void(Status)> done);
  // Replaces the grants of a running container at once.
  void set_network(const std::string& name, const NetworkGrants& grants, std::function<void(Status)> done);
  // Every container of the state folder, running or not.
  void list(std::function<void(Result<std::vector<ContainerFound>>)> done);
  // Removes interfaces, cgroups and folders of containers that no longer run.
  void clean_up(std::function<void(Status)> done);

 private:
  struct Call;
  void run(std::vector<std::string> arguments, std::string input,
           std::function<void(Result<std::string> output)> done);

  sys::EventLoop& loop_;
  std::string launcher_;
  std::string state_folder_;
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace netserv::lxc
