#include "daemons/netservd/netservd.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/log.h"
#include "daemons/netservd/container_memory.h"
#include "daemons/netservd/settings.h"
#include "sys/clock.h"
#include "sys/file_lock.h"

namespace netserv::daemon {
namespace {

Status make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(Origin::kSystem, path, "cannot be made: " + error.message());
  ::chmod(path.c_str(), mode);
  return {};
}

// Each process has one of its own name: a helper that outlived the one before must not find the files of this one,
// least of all between the check of a download and its compilation.
Result<std::string> fresh_work_folder(const std::string& parent) {
  std::error_code ignored;
  std::filesystem::remove_all(parent, ignored);
  NETSERV_TRY(make_folder(parent, 0711));
  std::string path = parent + "/XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return fail_errno(parent, "mkdtemp", errno);
  ::chmod(path.c_str(), 0711);
  return path;
}

node::Now now() { return {sys::now(), sys::wall_now()}; }

bool is_progress(node::Happened::What what) {
  return what == node::Happened::What::kFetching || what == node::Happened::What::kCompiling;
}

LogLevel level_of(const node::Happened& h) {
  using W = node::Happened::What;
  switch (h.what) {
    case W::kFailed: case W::kTrapped: case W::kContainerLost: case W::kContainerStalled: case W::kForwarderLost:
    case W::kPlaneProblem: case W::kFiltersRefused: return LogLevel::kWarning;
    default: return LogLevel::kInfo;
  }
}

}  // namespace

Netservd::Netservd(sys::EventLoop& loop, config::Config config, std::string config_path, std::string programs)
    : loop_(loop), config_(std::move(config)), config_path_(std::move(config_path)), programs_(std::move(programs)),
      started_(sys::now()) {}

Status Netservd::start() {
  NETSERV_TRY(lock_folders());
  NETSERV_TRY(make_folder(config_.node.state_folder + "/containers", 0711));
  NETSERV_TRY(make_folder(config_.node.run_folder + "/containers", 0711));
  NETSERV_ASSIGN(const std::string work, fresh_work_folder(config_.node.cache_folder + "/work"));

  NETSERV_ASSIGN(store_, store::SqliteStore::open(config_.node.state_folder + "/netservd.db"));
  NETSERV_ASSIGN(node::Snapshot snapshot, store_->load());
  NETSERV_ASSIGN(cache_, compile::ModuleCache::open(config_.node.cache_folder));
  NETSERV_ASSIGN(auto publishers, policies(config_));

  auto emit_event = [this](node::Event event) { emit(std::move(event)); };
  host_ = std::make_unique<lxc::ContainerHost>(loop_, programs_ + "/netserv-launch", config_.node.state_folder + "/containers");
  installer_ = std::make_unique<Installer>(loop_, config_, programs_, work, *cache_, emit_event);
  notifier_ = std::make_unique<Notifier>(loop_, config_, programs_);
  desk_ = std::make_unique<RequestDesk>(
      RequestDesk::Needs{[this] { return facts(); },
                         [this](const PublisherId& p, const std::string& digest) { return installer_->cached(p, digest); },
                         [this](const node::Happened& h) { on_happened(h); }},
      requirements(config_));
  desk_->set_policies(std::move(publishers), own_addresses(config_));
  containers_ = std::make_unique<ContainerLinks>(
      loop_, *host_, [this](const node::ContainerRecord& c) { return spec_for(c); },
      [this](ContainerId id) { return container_run_folder(config_, id); },
      [this](ContainerId id) { return container_name(config_, id); }, emit_event);
  controller_ = std::make_unique<node::Controller>(*store_, *this, *this, now);
  forwarder_ = std::make_unique<ForwarderLink>(loop_, config_.forwarder_socket(), own_addresses(config_), emit_event);
  NETSERV_TRY(listen());
  const Duration refresh = std::chrono::milliseconds(config_.metrics.refresh_ms);
  if (const auto& at = config_.metrics.listen) {
    bool six = at->address.find(':') != std::string::npos;
    NETSERV_ASSIGN(metrics_, metrics::Endpoint::start(
                                 loop_, (six ? "[" + at->address + "]" : at->address) + ":" + std::to_string(at->port), refresh,
                                 [this] { return measures_.families(facts(), notifier_->sent(), notifier_->dropped()); }));
  }

  const node::Settings settings = node_settings(config_);
  std::map<node::ModuleKey, node::Artifact> cached;
  std::map<node::ModuleKey, Error> refused;
  for (const node::ModuleRecord& m : snapshot.modules) {
    if (auto artifact = installer_->cached(m.key.publisher, m.spec.digest)) cached[m.key] = *artifact;
    if (auto error = desk_->no_longer_allowed(m, settings)) refused.emplace(m.key, *error);
  }
  // Of a module without digest what it runs is not known; its publisher's objects stay.
  cache_->revoke_unless([&](const PublisherId& publisher, std::string_view object) {
    return std::any_of(snapshot.modules.begin(), snapshot.modules.end(), [&](const node::ModuleRecord& m) {
      return m.key.publisher == publisher && object.starts_with(m.spec.digest);
    });
  });
  controller_->start(snapshot, settings, cached, refused);
  arm();
  poll_ = loop_.every(refresh, [this] {
    if (forwarder_->up()) forwarder_->send(ipc::GetForwarderStats{});
    containers_->ask_status();
    tell_suppressed_refusals();
  });
  return {};
}

// Before anything in them is touched; they are three different folders.
Status Netservd::lock_folders() {
  const auto& n = config_.node;
  for (auto [folder, mode] : {std::pair{&n.state_folder, 0711}, {&n.run_folder, 0755}, {&n.cache_folder, 0755}}) {
    NETSERV_TRY(make_folder(*folder, static_cast<mode_t>(mode)));
    NETSERV_ASSIGN(auto lock, sys::try_lock_file(*folder + "/netservd.lock"));
    if (!lock) return fail(Origin::kOperator, *folder, "another netservd uses this folder");
    locks_.push_back(std::move(*lock));
  }
  return {};
}

Status Netservd::listen() {
  NETSERV_ASSIGN(ncm_, NcmServer::listen(loop_, config_.ncm_socket(), config_.ncm.mode, [this] { return new_id(); },
                                         [this](const ncm::Message& message, node::RequestId id) {
                                           RequestDesk::Outcome out = desk_->handle(message, id);
                                           if (out.response) ncm_->answer(id, *out.response);
                                           if (out.event) emit(std::move(*out.event));
                                         }));
  NETSERV_ASSIGN(admin_, AdminServer::listen(loop_, config_.admin_socket(), config_.admin.mode,
                                             {[this] { return facts(); },
                                              [this](ContainerId id) {
                                                pid_t pid = containers_->pid_of(id);
                                                return Place{container_address(config_, id).to_string(), pid, memory_in_use(pid)};
                                              },
                                              [this] { return new_id(); },
                                              [this](node::Event event) { emit(std::move(event)); }}));
  return {};
}

Facts Netservd::facts() const { return {controller_->state(), containers_->statuses(), forwarder_->stats(), forwarder_->reports(), now(), started_}; }

// Log lines and statistics go past the controller: they decide nothing.
void Netservd::emit(node::Event event) {
  if (auto* said = std::get_if<node::ContainerSaid>(&event)) {
    if (auto* log = std::get_if<ipc::ModuleLog>(&said->message)) return module_log(said->container, *log);
    if (std::holds_alternative<ipc::ContainerStatus>(said->message)) return;
  }
  controller_->handle(std::move(event));
  arm();
}

void Netservd::arm() {
  tick_ = loop_.after(controller_->until_next_tick(), [this] { emit(node::Tick{}); });
}

void Netservd::perform(const node::Action& action) {
  std::visit([&](const auto& a) { act(a); }, action);
}

void Netservd::act(const node::ReleaseObject& a) {
  std::string key = a.object.substr(0, a.object.rfind(".so"));
  if (auto revoked = cache_->revoke(a.publisher, key); !revoked)
    log_warning({.publisher = a.publisher.value()}, "{}", revoked.error().message());
}

void Netservd::act(const node::SendContainer& a) {
  std::vector<int> fds;
  if (std::holds_alternative<ipc::AttachRing>(a.message)) fds = forwarder_->ring_of(a.container);
  containers_->send(a.container, a.message, fds);
}

// Not from within the action loop: dropping the connection is an event.
void Netservd::act(const node::ResetForwarder& a) {
  loop_.post([this, reason = a.reason] { forwarder_->reset(reason); });
}

void Netservd::act(const node::Answer& a) {
  if (!ncm_->answer(a.request, a.response)) admin_->answer(a.request, a.response);
}

void Netservd::on_happened(const node::Happened& h) {
  measures_.on_happened(h);
  if (h.what == node::Happened::What::kRefused &&
      !refusals_.admit(find_publisher(config_, h.key.publisher) ? h.key.publisher : PublisherId{}, sys::now()))
    return;
  const std::string text = sentence(h);
  if (log_enabled(level_of(h)))
    log_line(level_of(h), {.publisher = h.key.publisher.value(), .module = h.key.module.value()}, text);
  nlohmann::json event = event_json(h, sys::wall_now());
  if (!h.notification.empty() && event_kind(h) != "state" && !is_progress(h.what) && h.what != node::Happened::What::kRefused) {
    event["node"] = config_.node.address.to_string();
    notifier_->post(h.key.publisher, h.notification, event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  if (admin_) admin_->event(std::move(event));
}

void Netservd::tell_suppressed_refusals() {
  for (const auto& [publisher, count] : refusals_.suppressed(sys::now())) {
    const std::string text = fmt::format("{} more requests refused", count);
    log_info({.publisher = publisher.value()}, "{}", text);
    node::Happened h;
    h.what = node::Happened::What::kRefused;
    h.key.publisher = publisher;
    h.text = text;
    admin_->event(event_json(h, sys::wall_now()));
  }
}

void Netservd::on_store_problem(const Error& error) { log_error({.name = "database"}, "{}", error.message()); }

void Netservd::module_log(ContainerId container, const ipc::ModuleLog& log) {
  auto it = controller_->state().containers.find(container);
  if (it == controller_->state().containers.end()) return;
  static constexpr const char* kLevels[] = {"debug", "info", "warning", "error"};
  node::ModuleKey key{it->second.record.publisher, log.module};
  if (!controller_->state().modules.count(key)) return;
  admin_->log(key, nlohmann::json{{"time", rfc3339(sys::wall_now())},
                                  {"publisher", key.publisher.value()},
                                  {"module", key.module.value()},
                                  {"level", kLevels[std::min<int>(log.level, 3)]},
                                  {"text", log.text}});
}

Result<lxc::LaunchSpec> Netservd::spec_for(const node::ContainerRecord& container) {
  NETSERV_ASSIGN(std::string folder, cache_->publisher_folder(container.publisher));
  return launch_spec(config_, container, folder, programs_ + "/netserv-container");
}

// Everything is checked before anything is taken over.
void Netservd::reload() {
  auto fresh = config::load(config_path_);
  if (!fresh) return log_error({.name = config_path_}, "kept the old configuration: {}", fresh.error().message());
  std::vector<std::string> ignored;
  config::Config next = config::reloaded(config_, *fresh, ignored);
  auto publishers = policies(next);
  if (!publishers) return log_error({.name = config_path_}, "kept the old configuration: {}", publishers.error().message());
  for (const std::string& section : ignored)
    log_warning({.name = config_path_}, "[{}] has changed: that needs a restart", section);
  for (const config::Publisher& p : next.publishers) {
    const config::Publisher* old = find_publisher(config_, PublisherId(p.name));
    if (old && (old->memory_mb != p.memory_mb || old->cpu_percent != p.cpu_percent || old->processes != p.processes))
      log_warning({.publisher = p.name}, "memory_mb, cpu_percent and processes have changed: its container has them when it next starts");
  }
  config_ = std::move(next);
  set_log_level(config_.log_level);
  desk_->set_policies(std::move(*publishers), own_addresses(config_));
  node::Reloaded reloaded{node_settings(config_)};
  for (const auto& [key, m] : controller_->state().modules) {
    auto error = desk_->no_longer_allowed(m.record, reloaded.settings);
    if (!error && m.fallback) {  // its new filters are not in force yet: these may be again
      node::ModuleRecord before = m.record;
      before.spec = *m.fallback;
      error = desk_->no_longer_allowed(before, reloaded.settings);
    }
    if (error) reloaded.refused.emplace(key, *error);
  }
  emit(std::move(reloaded));
  containers_->renew_grants();
}

}  // namespace netserv::daemon
