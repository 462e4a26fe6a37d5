// One loaded module: its object, memory, tables and properties, and what it may call of the host.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dispatch/module_runtime.h"
#include "runtime/wasm/guest_call.h"
#include "runtime/wasm/linear_memory.h"
#include "runtime/wasm/object.h"
#include "runtime/wasm/wasm_runtime.h"

namespace netserv::runtime {

// What packets lie in; empty: nothing yet.
using Window = std::vector<dispatch::WindowPart>;

class WasmInstance final : public dispatch::Module {
 public:
  // `live` lists the runtime's instances; this adds itself and leaves with its destruction.
  WasmInstance(GuestThread& thread, const WasmOptions& options, const dispatch::ModuleSpec& spec,
               dispatch::ModuleHost& host, std::vector<WasmInstance*>& live);
  ~WasmInstance() override;
  WasmInstance(const WasmInstance&) = delete;
  WasmInstance& operator=(const WasmInstance&) = delete;

  // Opens the object and runs all that comes before the first call. Once.
  Status load(const Window& window);
  Status set_window(const Window& window);

  bool handles_packets() const override { return object_ != nullptr && object_->process != nullptr; }
  Run process(std::span<dispatch::PacketView> batch) override;
  Run timer(std::uint32_t id) override { return enter(object_->timer, id, tick_limit_); }
  Run readable(int handle) override {
    return enter(object_->readable, static_cast<std::uint32_t>(handle), tick_limit_);
  }
  Run replace_properties(std::map<std::string, std::string> properties) override;
  Run stop() override { return enter(object_->stop, 0, tick_limit_); }

  // For host functions, during a call.
  dispatch::ModuleHost& host() { return host_; }
  ModuleSlot slot() const { return slot_; }
  const std::string& name() const { return name_; }
  const std::map<std::string, std::string>& properties() const { return properties_; }
  // Nothing if [address, address + length) is not all in the memory.
  std::optional<std::span<std::byte>> bytes_at(std::uint32_t address, std::uint32_t length);
  bool allocate_memory(wasm_rt_memory_t* memory, std::uint32_t initial, std::uint32_t max);
  std::uint32_t grow_memory(wasm_rt_memory_t* memory, std::uint32_t pages);
  std::vector<wasm_rt_funcref_t>& funcrefs(const void* table) { return funcrefs_[table]; }
  std::vector<wasm_rt_externref_t>& externrefs(const void* table) { return externrefs_[table]; }
  // Whole lines go to the module's log; the rest waits for its end.
  void print(int level, std::string_view text);

 private:
  Status open_object();
  Status find_areas();
  Run enter(netserv_entry entry, std::uint32_t argument, std::uint32_t tick_limit);
  Run discard(dispatch::Trap trap);
  Status start_step(netserv_entry entry, const char* what, std::uint32_t& result);

  GuestThread& thread_;
  dispatch::ModuleHost& host_;
  std::vector<WasmInstance*>& live_;
  const std::string name_;
  const std::string object_path_;
  const std::vector<std::string> granted_;
  const ModuleSlot slot_;
  std::map<std::string, std::string> properties_;
  std::uint32_t page_cap_;
  std::uint32_t tick_limit_;

  void* library_ = nullptr;
  const netserv_object* object_ = nullptr;
  std::unique_ptr<std::byte[]> instance_;
  std::unique_ptr<LinearMemory> memory_;
  std::map<const void*, std::vector<wasm_rt_funcref_t>> funcrefs_;
  std::map<const void*, std::vector<wasm_rt_externref_t>> externrefs_;
  std::string line_;
  std::uint32_t window_at_ = 0;
  std::uint32_t batch_at_ = 0;
  std::optional<dispatch::Trap> dead_;
};

// The functions of struct netserv_host, over the instance that is running.
const netserv_host& host_functions();

}  // namespace netserv::runtime
