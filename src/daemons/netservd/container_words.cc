#include "daemons/netservd/container_words.h"

#include <algorithm>
#include <set>

#include "wire/ncm/request.h"

namespace netserv::daemon {
namespace {

constexpr std::size_t kMostName = 255;      // of a file
constexpr std::size_t kMostCounters = 64;   // of a module, and bytes of their names: dispatch/entry.h

void tidy(std::string& text) {
  if (text.size() > kMostWords) text.resize(kMostWords);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
}

bool is_plain(std::string_view text, std::size_t most) {
  return text.size() <= most &&
         std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

Status check(const std::vector<ipc::ModuleStatus>& modules) {
  auto no = [](std::string text) { return fail(Origin::kPeer, "container", std::move(text)); };
  if (modules.size() > kMaxModulesPerContainer) return no("says that it has more modules than it has slots");
  std::set<ModuleId> ids;
  std::set<ModuleSlot> slots;
  for (const ipc::ModuleStatus& m : modules) {
    auto name = ncm::parse_module_name(m.module.value());
    if (!name || name->version.empty() || !ids.insert(m.module).second) return no("names a module that can't be");
    if (m.slot.value() >= kMaxModulesPerContainer || !slots.insert(m.slot).second) return no("says that a module is in a slot that can't be");
    if (!is_plain(m.object, kMostName)) return no("names an object that can't be");
    if (m.counters.size() > kMostCounters) return no("has too many counters");
    for (const auto& [counter, value] : m.counters)
      if (!is_plain(counter, kMostCounters)) return no("names a counter that can't be");
  }
  return {};
}

Status check(ipc::Welcome& m) {
  tidy(m.runtime);
  return check(m.modules);
}
Status check(ipc::ContainerStatus& m) { return check(m.modules); }
Status check(ipc::RingAttached& m) { return tidy(m.error), Status{}; }
Status check(ipc::ModuleFailed& m) { return tidy(m.reason), Status{}; }
Status check(ipc::ModuleUpdated& m) { return tidy(m.error), Status{}; }
Status check(ipc::ModuleTrapped& m) { return tidy(m.reason), Status{}; }
Status check(ipc::ModuleLog& m) { return tidy(m.text), Status{}; }
Status check(ipc::ModuleLoaded&) { return {}; }
Status check(ipc::ModuleUnloaded&) { return {}; }
Status check(ipc::ModuleRestarted&) { return {}; }

}  // namespace

Status hold_to_shape(ipc::FromContainer& message) {
  return std::visit([](auto& m) { return check(m); }, message);
}

}  // namespace netserv::daemon
