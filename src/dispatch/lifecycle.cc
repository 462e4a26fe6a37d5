// Modules coming, going, trapping and returning.
#include <tuple>

#include "dispatch/dispatcher.h"
#include "dispatch/entry.h"

namespace netserv::dispatch {

Dispatcher::Dispatcher(ModuleRuntime& runtime, Surroundings& surroundings)
    : runtime_(runtime), surroundings_(surroundings) {}
Dispatcher::~Dispatcher() = default;

Dispatcher::Entry* Dispatcher::find(const ModuleId& module) const {
  for (Entry* entry : chain_)
    if (entry->spec.id == module) return entry;
  return nullptr;
}

Dispatcher::Entry* Dispatcher::in_slot(ModuleSlot slot) const {
  return slot.value() < slots_.size() ? slots_[slot.value()].get() : nullptr;
}

void Dispatcher::rebuild_chain() {
  chain_.clear();
  for (const auto& entry : slots_)
    if (entry != nullptr) chain_.push_back(entry.get());
  std::sort(chain_.begin(), chain_.end(), [](const Entry* a, const Entry* b) {
    return std::tuple(a->order, a->age, a->spec.slot) < std::tuple(b->order, b->age, b->spec.slot);
  });
}

Status Dispatcher::load(const ipc::LoadModule& request, std::string object_path) {
  const std::string& name = request.module.value();
  if (request.slot.value() >= slots_.size()) return fail(Origin::kPeer, name, "slot out of range");
  if (find(request.module) != nullptr) return fail(Origin::kPeer, name, "is loaded already");
  auto& slot = slots_[request.slot.value()];
  if (slot != nullptr) return fail(Origin::kPeer, name, "slot is taken by " + slot->spec.id.value());

  slot = std::make_unique<Entry>();  // before load(): the module's start function may set timers and log
  Entry& entry = *slot;
  entry.spec = {request.module, request.slot,  std::move(object_path), request.properties,
                request.blocks, request.memory_pages};
  entry.order = request.order;
  entry.age = request.age;
  entry.status.module = request.module;
  entry.status.slot = request.slot;
  entry.status.object = request.object;
  entry.started_at = entry.log_credit_at = surroundings_.now();
  auto loaded = runtime_.load(entry.spec, *this);
  if (!loaded) {
    surroundings_.udp_close_all(request.slot);
    slot.reset();
    update_deadline();
    return fail(loaded.error());
  }
  entry.module = std::move(*loaded);
  rebuild_chain();
  update_deadline();
  return {};
}

Status Dispatcher::update(const ipc::UpdateModule& request) {
  Entry* entry = find(request.module);
  if (entry == nullptr) return fail(Origin::kPeer, request.module.value(), "is not loaded");
  entry->order = request.order;
  entry->spec.properties = request.properties;
  rebuild_chain();
  if (entry->module != nullptr &&
      !guarded(*entry, [&](Module& module) { return module.replace_properties(request.properties); }))
    return fail(Origin::kPublisher, request.module.value(), "trapped when its properties were replaced");
  return {};
}

void Dispatcher::unload(const ModuleId& module) {
  Entry* entry = find(module);
  if (entry == nullptr) return;
  ModuleSlot slot = entry->spec.slot;
  if (entry->module != nullptr) (void)entry->module->stop();  // it goes anyway, trapped or not
  entry->module.reset();
  surroundings_.udp_close_all(slot);
  slots_[slot.value()].reset();
  rebuild_chain();
  update_deadline();
}

void Dispatcher::unload_all() {
  while (!chain_.empty()) unload(chain_.back()->spec.id);
}

void Dispatcher::discard(Entry& entry, std::string reason) {
  TimePoint now = surroundings_.now();
  if (now - entry.started_at >= kForgiveAfter) entry.next_back_off = kFirstBackOff;
  Duration wait = entry.next_back_off;
  entry.next_back_off = std::min(wait * 2, kLastBackOff);
  entry.restart_at = now + wait;
  entry.module.reset();
  entry.timers.clear();
  ++entry.status.traps;
  surroundings_.udp_close_all(entry.spec.slot);
  update_deadline();
  auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
  surroundings_.report(
      ipc::ModuleTrapped{entry.spec.id, std::move(reason), static_cast<std::uint32_t>(wait_ms)});
}

void Dispatcher::restart(Entry& entry, TimePoint now) {
  entry.started_at = now;
  auto loaded = runtime_.load(entry.spec, *this);
  if (!loaded) return discard(entry, "restart failed: " + loaded.error().message());
  entry.module = std::move(*loaded);
  ++entry.status.restarts;
  surroundings_.report(ipc::ModuleRestarted{entry.spec.id});
}

}  // namespace netserv::dispatch
