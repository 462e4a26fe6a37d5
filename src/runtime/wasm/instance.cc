#include "runtime/wasm/instance.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>

#include "netserv/abi.h"
#include "runtime/wasm/descriptors.h"
#include "runtime/wasm/trap_text.h"

namespace netserv::runtime {

using dispatch::PacketView;
using dispatch::Trap;

namespace {

constexpr std::uint32_t kStartFactor = 10;
constexpr std::uint32_t kBatchBytes = NETSERV_BATCH_MAX * sizeof(netserv_packet);

std::uint32_t ticks(std::chrono::milliseconds limit) {
  return static_cast<std::uint32_t>(std::max<std::int64_t>(limit / GuestThread::kTick, 1));
}

}  // namespace

WasmInstance::WasmInstance(GuestThread& thread, const WasmOptions& options, const dispatch::ModuleSpec& spec,
                           dispatch::ModuleHost& host, std::vector<WasmInstance*>& live)
    : thread_(thread),
      host_(host),
      live_(live),
      name_(spec.id.value()),
      object_path_(spec.object_path),
      granted_(spec.blocks),
      slot_(spec.slot),
      properties_(spec.properties),
      page_cap_(std::min(spec.memory_pages == 0 ? options.memory_pages : spec.memory_pages,
                         std::min<std::uint32_t>(options.memory_pages, 65535))),
      tick_limit_(ticks(options.call_limit)) {
  live_.push_back(this);
}

WasmInstance::~WasmInstance() {
  std::erase(live_, this);
  instance_.reset();
  if (library_ != nullptr) dlclose(library_);
}

Status WasmInstance::load(const Window& window) {
  NETSERV_TRY(open_object());
  instance_ = std::make_unique<std::byte[]>(object_->instance_bytes);
  std::uint32_t result = 0;
  NETSERV_TRY(start_step(object_->instantiate, "instantiation", result));
  NETSERV_TRY(find_areas());
  NETSERV_TRY(set_window(window));
  NETSERV_TRY(start_step(object_->initialize, "_initialize", result));
  NETSERV_TRY(start_step(object_->start, "netserv_start", result));
  if (object_->start != nullptr && result != 0)
    return fail(Origin::kPublisher, name_,
                "netserv_start returned " + std::to_string(static_cast<std::int32_t>(result)));
  return {};
}

Status WasmInstance::open_object() {
  library_ = dlopen(object_path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_ == nullptr) return fail(Origin::kSystem, name_, std::string("can't load the object: ") + dlerror());
  const auto* object = static_cast<const netserv_object*>(dlsym(library_, "netserv_object"));
  if (object == nullptr || object->magic != NETSERV_OBJECT_MAGIC || object->version != NETSERV_OBJECT_VERSION)
    return fail(Origin::kSystem, object_path_, "was not made by this version's compile pipeline");
  if (object->abi != NETSERV_ABI_VERSION)
    return fail(Origin::kPublisher, name_, "was built for ABI " + std::to_string(object->abi));
  std::string_view blocks = object->blocks;
  while (!blocks.empty()) {
    const std::string_view block = blocks.substr(0, blocks.find(' '));
    blocks.remove_prefix(std::min(block.size() + 1, blocks.size()));
    if (std::find(granted_.begin(), granted_.end(), block) == granted_.end())
      return fail(Origin::kOperator, name_, "needs building block " + std::string(block) + ", which it is not granted");
  }
  if (object->wanted_pages != 0) page_cap_ = std::min(page_cap_, object->wanted_pages);
  object->set_host(&host_functions());
  object_ = object;
  return {};
}

Status WasmInstance::find_areas() {
  if (object_->process == nullptr) return {};
  if (object_->window == nullptr || object_->batch == nullptr)
    return fail(Origin::kPublisher, name_, "has netserv_process, but no netserv_window or netserv_batch");
  const std::uint64_t window = object_->window(instance_.get()), batch = object_->batch(instance_.get());
  const std::uint64_t size = memory_->bytes();
  const bool window_fits = window != 0 && window % NETSERV_WINDOW_ALIGNMENT == 0 && window + NETSERV_WINDOW_BYTES <= size;
  const bool batch_fits = batch != 0 && batch % 8 == 0 && batch + kBatchBytes <= size;
  const bool apart = batch + kBatchBytes <= window || window + NETSERV_WINDOW_BYTES <= batch;
  if (!window_fits || !batch_fits || !apart)
    return fail(Origin::kPublisher, name_, "netserv_window or netserv_batch is misaligned, out of bounds or overlapping");
  window_at_ = static_cast<std::uint32_t>(window);
  batch_at_ = static_cast<std::uint32_t>(batch);
  return {};
}

Status WasmInstance::set_window(const Window& window) {
  if (dead_ || window_at_ == 0 || window.empty()) return {};
  std::size_t covered = 0;
  for (const dispatch::WindowPart& part : window) {
    NETSERV_TRY(memory_->map_window(part.fd, part.offset, window_at_ + part.at, part.bytes));
    covered += part.bytes;
  }
  if (covered == NETSERV_WINDOW_BYTES) return {};
  return memory_->unmap_window(window_at_ + static_cast<std::uint32_t>(covered), NETSERV_WINDOW_BYTES - covered);
}

Status WasmInstance::start_step(netserv_entry entry, const char* what, std::uint32_t& result) {
  const Run run = enter(entry, 0, tick_limit_ * kStartFactor);
  if (!run) return fail(Origin::kPublisher, name_, std::string(what) + " failed: " + run.error().text);
  result = g_guest.result;
  return {};
}

dispatch::Module::Run WasmInstance::enter(netserv_entry entry, std::uint32_t argument, std::uint32_t tick_limit) {
  if (dead_) return tl::unexpected<Trap>(*dead_);
  if (entry == nullptr) return {};
  thread_.select(this, memory_ ? memory_->base() : nullptr, memory_ ? memory_->end() : nullptr);
  if (thread_.call(entry, instance_.get(), argument, tick_limit)) return {};
  return discard(describe_leave(g_guest.reason, g_guest.exit_code));
}

dispatch::Module::Run WasmInstance::discard(Trap trap) {
  dead_ = std::move(trap);
  memory_.reset();
  funcrefs_.clear();
  externrefs_.clear();
  return tl::unexpected<Trap>(*dead_);
}

dispatch::Module::Run WasmInstance::process(std::span<PacketView> batch) {
  if (dead_) return tl::unexpected<Trap>(*dead_);
  if (object_->process == nullptr || batch.empty()) return {};
  NETSERV_CHECK(batch.size() <= NETSERV_BATCH_MAX);
  auto* packets = reinterpret_cast<netserv_packet*>(memory_->base() + batch_at_);
  write_descriptors(batch, window_at_, packets);
  if (Run run = enter(object_->process, static_cast<std::uint32_t>(batch.size()), tick_limit_); !run) return run;
  read_outcomes(packets, batch);
  return {};
}

dispatch::Module::Run WasmInstance::replace_properties(std::map<std::string, std::string> properties) {
  properties_ = std::move(properties);
  return enter(object_->properties, 0, tick_limit_);
}

std::optional<std::span<std::byte>> WasmInstance::bytes_at(std::uint32_t address, std::uint32_t length) {
  if (std::size_t{address} + length > memory_->bytes()) return std::nullopt;
  return std::span(memory_->base() + address, length);
}

bool WasmInstance::allocate_memory(wasm_rt_memory_t* memory, std::uint32_t initial, std::uint32_t max) {
  if (memory_ || initial > page_cap_) return false;
  page_cap_ = std::min(page_cap_, max);
  memory_ = std::make_unique<LinearMemory>();
  if (!memory_->reserve() || !memory_->commit(initial)) return false;
  memory->data = reinterpret_cast<std::uint8_t*>(memory_->base());
  memory->pages = initial;
  memory->max_pages = page_cap_;
  memory->size = initial * static_cast<std::uint32_t>(LinearMemory::kPage);
  g_guest.memory_low = memory_->base();
  g_guest.memory_high = memory_->end();
  return true;
}

std::uint32_t WasmInstance::grow_memory(wasm_rt_memory_t* memory, std::uint32_t pages) {
  constexpr std::uint32_t kRefused = 0xffffffff;
  const std::uint32_t before = memory->pages;
  if (pages > page_cap_ - before || !memory_->commit(before + pages)) return kRefused;
  memory->pages = before + pages;
  memory->size = memory->pages * static_cast<std::uint32_t>(LinearMemory::kPage);
  return before;
}

void WasmInstance::print(int level, std::string_view text) {
  constexpr std::size_t kMaxLine = 1024;
  for (char c : text) {
    if (c != '\n') line_ += c;
    if (c == '\n' || line_.size() >= kMaxLine) {
      host_.log(slot_, level, line_);
      line_.clear();
    }
  }
}

}  // namespace netserv::runtime
