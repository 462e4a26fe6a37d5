#include "runtime/wasm/wasm_runtime.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "netserv/abi.h"
#include "runtime/wasm/instance.h"

namespace netserv::runtime {
namespace {

class WasmRuntime final : public dispatch::ModuleRuntime {
 public:
  WasmRuntime(std::unique_ptr<GuestThread> thread, const WasmOptions& options)
      : thread_(std::move(thread)), options_(options) {}
  ~WasmRuntime() override {
    NETSERV_CHECK(live_.empty());
    if (window_.fd >= 0) close(window_.fd);
  }

  std::string_view name() const override { return "wasm"; }

  Result<std::unique_ptr<dispatch::Module>> load(const dispatch::ModuleSpec& spec,
                                                 dispatch::ModuleHost& host) override {
    auto instance = std::make_unique<WasmInstance>(*thread_, options_, spec, host, live_);
    NETSERV_TRY(instance->load(window_));
    return std::unique_ptr<dispatch::Module>(std::move(instance));
  }

  Status set_window(int fd, std::size_t offset, std::size_t bytes) override {
    if (bytes != NETSERV_WINDOW_BYTES || offset % 4096 != 0)
      return fail(Origin::kSystem, "packet window", "has another size or alignment than the ABI's");
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) return fail_errno("packet window", "dup", errno);
    const Window next{copy, offset, bytes};
    for (WasmInstance* instance : live_) {
      if (Status status = instance->set_window(next); !status) {
        for (WasmInstance* undo : live_) (void)undo->set_window(window_);
        close(copy);
        return status;
      }
    }
    if (window_.fd >= 0) close(window_.fd);
    window_ = next;
    return {};
  }

 private:
  std::unique_ptr<GuestThread> thread_;
  const WasmOptions options_;
  Window window_;
  std::vector<WasmInstance*> live_;
};

}  // namespace

Result<std::unique_ptr<dispatch::ModuleRuntime>> make_wasm_runtime(const WasmOptions& options) {
  NETSERV_ASSIGN(auto thread, GuestThread::make(options.stack_bytes));
  return std::unique_ptr<dispatch::ModuleRuntime>(std::make_unique<WasmRuntime>(std::move(thread), options));
}

}  // namespace netserv::runtime
