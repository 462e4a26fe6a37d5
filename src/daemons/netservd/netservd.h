// netservd's parts, wired together: which part gets which action of the controller, and who reads its events.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "compile/module_cache.h"
#include "config/config.h"
#include "daemons/netservd/admin_server.h"
#include "daemons/netservd/installer.h"
#include "daemons/netservd/links.h"
#include "daemons/netservd/measures.h"
#include "daemons/netservd/ncm_server.h"
#include "daemons/netservd/notifier.h"
#include "daemons/netservd/refusal_log.h"
#include "daemons/netservd/request_desk.h"
#include "node/controller.h"
#include "store/sqlite_store.h"
#include "sys/event_loop.h"

namespace netserv::daemon {

class Netservd : public node::Outputs, public node::Observer {
 public:
  Netservd(sys::EventLoop& loop, config::Config config, std::string config_path, std::string programs);
  // Folders, database, sockets; then recovers. Errors name what cannot be had.
  Status start();
  void reload();
  Facts facts() const;
  const config::Config& config() const { return config_; }

 private:
  void perform(const node::Action& action) override;
  void on_happened(const node::Happened& happened) override;
  void on_store_problem(const Error& error) override;
  void act(const node::Fetch& a) { installer_->fetch(a); }
  void act(const node::Compile& a) { installer_->compile(a); }
  void act(const node::CancelWork& a) { installer_->cancel(a.sequence); }
  void act(const node::ReleaseObject& a);
  void act(const node::StartContainer& a) { containers_->start(a.container, a.life); }
  void act(const node::StopContainer& a) { containers_->stop(a.container, a.life); }
  void act(const node::SendContainer& a);
  void act(const node::SendForwarder& a) { forwarder_->send(a.message); }
  void act(const node::ResetForwarder& a);
  void act(const node::Answer& a);

  Status lock_folders();
  Status listen();
  void emit(node::Event event);
  void arm();
  void tell_suppressed_refusals();
  void module_log(ContainerId container, const ipc::ModuleLog& log);
  Result<lxc::LaunchSpec> spec_for(const node::ContainerRecord& container);
  node::RequestId new_id() { return node::RequestId(next_request_++); }

  sys::EventLoop& loop_;
  config::Config config_;
  std::string config_path_, programs_;
  TimePoint started_;
  std::uint64_t next_request_ = 1;
  std::vector<sys::UniqueFd> locks_;  // of its folders: each has one netservd
  std::unique_ptr<store::SqliteStore> store_;
  std::optional<compile::ModuleCache> cache_;
  std::unique_ptr<lxc::ContainerHost> host_;
  std::unique_ptr<Installer> installer_;
  std::unique_ptr<RequestDesk> desk_;
  std::unique_ptr<Notifier> notifier_;
  std::unique_ptr<node::Controller> controller_;
  std::unique_ptr<ForwarderLink> forwarder_;
  std::unique_ptr<ContainerLinks> containers_;
  std::unique_ptr<NcmServer> ncm_;
  std::unique_ptr<AdminServer> admin_;
  Measures measures_;
  RefusalLog refusals_;
  std::unique_ptr<metrics::Endpoint> metrics_;
  sys::EventHandle tick_, poll_;
};

}  // namespace netserv::daemon
