#include "support/compiled_modules.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>

#include "compile/check.h"
#include "compile/compiler.h"
#include "netserv/abi.h"
#include "runtime/wasm/wasm_runtime.h"

namespace netserv::bench {

const std::string_view kSipRequest =
    "NOTIFY sip:proxy.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 192.0.2.17:5060;branch=z9hG4bK-524287-1---8f3a;rport\r\n"
    "Max-Forwards: 70\r\n"
    "To: <sip:alice@example.com>\r\n"
    "From: <sip:alice@example.com>;tag=1928301774\r\n"
    "Call-ID: a84b4c76e66710@192.0.2.17\r\n"
    "CSeq: 314159 NOTIFY\r\n"
    "Event: keep-alive\r\n"
    "User-Agent: example/1.0\r\n"
    "Content-Length: 0\r\n\r\n";

void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::exit(1);
}

Bytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (text.empty()) give_up(path + ": can't be read");
  const ByteSpan bytes = as_bytes(text);
  return Bytes(bytes.begin(), bytes.end());
}

class CompiledModules::Host final : public dispatch::ModuleHost {
  bool emit(ModuleSlot, std::span<const std::byte>) override { return true; }
  void log(ModuleSlot, int, std::string_view) override {}
  void set_timer(ModuleSlot, std::uint32_t, Duration, Duration) override {}
  void cancel_timer(ModuleSlot, std::uint32_t) override {}
  TimePoint now() override { return {}; }
  void count(ModuleSlot, std::string_view, std::uint64_t) override {}
  int udp_open(ModuleSlot, int, std::uint16_t) override { return -1; }
  int udp_send(ModuleSlot, int, int, std::span<const std::byte>, std::uint16_t, std::span<const std::byte>) override {
    return -1;
  }
  int udp_receive(ModuleSlot, int, int&, std::span<std::byte>, std::uint16_t&, std::span<std::byte>) override { return -1; }
  int udp_close(ModuleSlot, int) override { return -1; }
};

CompiledModules::CompiledModules() : host_(std::make_unique<Host>()), runtime_(must(runtime::make_wasm_runtime())) {
  const std::string path = folder_.path() + "/window";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || ftruncate(fd, NETSERV_WINDOW_BYTES) != 0) give_up(path + ": can't be made");
  void* mapped = mmap(nullptr, NETSERV_WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED || !runtime_->set_window({{fd, 0, 0, NETSERV_WINDOW_BYTES}})) give_up("no packet window");
  window_ = static_cast<std::byte*>(mapped);
  close(fd);
}

CompiledModules::~CompiledModules() { munmap(window_, NETSERV_WINDOW_BYTES); }

std::string CompiledModules::object(const std::string& wasm_path) {
  const std::string path = folder_.path() + "/" + std::filesystem::path(wasm_path).stem().string() + ".so";
  if (std::filesystem::exists(path)) return path;
  const auto module = must(compile::check_module(read_file(wasm_path)));
  if (Status built = compile::build_object(module, folder_.path(), path); !built) give_up(built.error().message());
  return path;
}

std::unique_ptr<dispatch::Module> CompiledModules::load(const std::string& wasm_path,
                                                        std::map<std::string, std::string> properties) {
  dispatch::ModuleSpec spec;
  spec.id = ModuleId(std::filesystem::path(wasm_path).stem().string());
  spec.object_path = object(wasm_path);
  spec.properties = std::move(properties);
  spec.blocks = {"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"};
  return must(runtime_->load(spec, *host_));
}

}  // namespace netserv::bench
