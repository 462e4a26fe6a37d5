// Runs the helpers that handle a stranger's bytes (netserv-fetch, netserv-compile) and fills the module cache.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "compile/module_cache.h"
#include "config/config.h"
#include "daemons/netservd/helper_process.h"
#include "node/actions.h"
#include "node/events.h"

namespace netserv::daemon {

class Installer {
 public:
  // `work_folder` exists; files in it are the installer's. `emit` hands results to the controller.
  Installer(sys::EventLoop& loop, const config::Config& config, std::string programs, std::string work_folder,
            compile::ModuleCache& cache, std::function<void(node::Event)> emit);

  void fetch(const node::Fetch& action);
  void compile(const node::Compile& action);
  void cancel(std::uint64_t sequence);
  // What the cache has, linked for the publisher.
  std::optional<node::Artifact> cached(const PublisherId& publisher, const std::string& digest_hex);

 private:
  struct Job {
    std::unique_ptr<HelperProcess> process;
    std::string wasm, object;
    compile::Digest digest{};
  };
  Result<std::optional<node::Artifact>> fetched(const node::Fetch& action, Job& job, Result<std::string> answer);
  Result<node::Artifact> compiled(const node::Compile& action, Job& job, Result<std::string> answer);
  Result<node::Artifact> granted(const PublisherId& publisher, const compile::ModuleCache::Entry& entry);

  sys::EventLoop& loop_;
  const config::Config& config_;
  std::string programs_, work_folder_;
  compile::ModuleCache& cache_;
  std::function<void(node::Event)> emit_;
  std::map<std::uint64_t, Job> jobs_;
};

}  // namespace netserv::daemon
