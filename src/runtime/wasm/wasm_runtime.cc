#include "runtime/wasm/wasm_runtime.h"

#include <cerrno>
#include <fcntl.h>
#include <vector>

#include "netserv/abi.h"
#include "runtime/wasm/instance.h"
#include "sys/fd.h"

namespace netserv::runtime {
namespace {

constexpr std::size_t kPage = 4096;

class WasmRuntime final : public dispatch::ModuleRuntime {
 public:
  WasmRuntime(std::unique_ptr<GuestThread> thread, const WasmOptions& options)
      : thread_(std::move(thread)), options_(options) {}
  ~WasmRuntime() override {
    NETSERV_CHECK(live_.empty());
  }

  std::string_view name() const override { return "wasm"; }

  Result<std::unique_ptr<dispatch::Module>> load(const dispatch::ModuleSpec& spec,
                                                 dispatch::ModuleHost& host) override {
    auto instance = std::make_unique<WasmInstance>(*thread_, options_, spec, host, live_);
    NETSERV_TRY(instance->load(window_));
    return std::unique_ptr<dispatch::Module>(std::move(instance));
  }

  Status set_window(const Window& parts) override {
    Window next = parts;
    std::vector<sys::UniqueFd> files;
    std::size_t covered = 0;
    for (dispatch::WindowPart& part : next) {
      if (part.at != covered || part.bytes % kPage != 0 || part.offset % kPage != 0)
        return fail(Origin::kSystem, "packet window", "has a gap or a part that is no whole pages");
      covered += part.bytes;
      files.emplace_back(fcntl(part.fd, F_DUPFD_CLOEXEC, 0));
      if (!files.back()) return fail_errno("packet window", "dup", errno);
      part.fd = files.back().get();
    }
    if (covered == 0 || covered > NETSERV_WINDOW_BYTES)
      return fail(Origin::kSystem, "packet window", "is not of the ABI's size");
    for (WasmInstance* instance : live_) {
      if (Status status = instance->set_window(next); !status) {
        for (WasmInstance* undo : live_) (void)undo->set_window(window_);
        return status;
      }
    }
    window_ = std::move(next);
    files_ = std::move(files);
    return {};
  }

 private:
  std::unique_ptr<GuestThread> thread_;
  const WasmOptions options_;
  Window window_;
  std::vector<sys::UniqueFd> files_;  // of its parts
  std::vector<WasmInstance*> live_;
};

}  // namespace

Result<std::unique_ptr<dispatch::ModuleRuntime>> make_wasm_runtime(const WasmOptions& options) {
  NETSERV_ASSIGN(auto thread, GuestThread::make(options.stack_bytes));
  return std::unique_ptr<dispatch::ModuleRuntime>(std::make_unique<WasmRuntime>(std::move(thread), options));
}

}  // namespace netserv::runtime
