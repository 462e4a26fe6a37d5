#include "support/module_fixture.h"

#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "netserv/abi.h"

namespace netserv::test {

RuntimeFixture::RuntimeFixture(std::chrono::milliseconds call_limit) {
  auto made = runtime::make_wasm_runtime({.call_limit = call_limit});
  NETSERV_CHECK(made.has_value());
  runtime_ = *std::move(made);
  make_window();
}

RuntimeFixture::~RuntimeFixture() {
  for (std::byte* at : windows_) munmap(at, NETSERV_WINDOW_BYTES);
}

void RuntimeFixture::make_window() {
  const std::string path = folder_.path() + "/window" + std::to_string(windows_.size());
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  NETSERV_CHECK(fd >= 0 && ftruncate(fd, NETSERV_WINDOW_BYTES) == 0);
  void* at = mmap(nullptr, NETSERV_WINDOW_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  NETSERV_CHECK(at != MAP_FAILED);
  windows_.push_back(static_cast<std::byte*>(at));
  const Status status = runtime_->set_window({{fd, 0, 0, NETSERV_WINDOW_BYTES}});
  NETSERV_CHECK(status.has_value());
  close(fd);
}

std::vector<dispatch::PacketView> RuntimeFixture::packets(const std::vector<int>& first_bytes) {
  std::vector<dispatch::PacketView> out;
  for (int first : first_bytes) {
    dispatch::PacketView view;
    view.window_offset = static_cast<std::uint32_t>(out.size()) * NETSERV_SLOT_BYTES;
    view.length = view.original_length = 64;
    view.capacity = NETSERV_SLOT_BYTES;
    window()[view.window_offset] = static_cast<std::byte>(first);
    out.push_back(view);
  }
  return out;
}

dispatch::ModuleSpec RuntimeFixture::spec(const std::string& object_path, const std::string& name) {
  dispatch::ModuleSpec spec;
  spec.id = ModuleId(name);
  spec.slot = ModuleSlot(static_cast<std::uint8_t>(count_++ % 64));
  spec.object_path = object_path;
  spec.properties = {{"colour", "blue"}};
  spec.blocks = {"packet/1", "timer/1", "log/1", "properties/1", "counters/1", "udp/1"};
  spec.memory_pages = 64;
  return spec;
}

Result<std::unique_ptr<dispatch::Module>> RuntimeFixture::load(std::string_view wat, const std::string& name,
                                                               std::string_view manifest) {
  NETSERV_ASSIGN(object_path_, compile(with_manifest(wat, manifest), folder_.path(), name));
  return load_object(object_path_, name);
}

Result<std::unique_ptr<dispatch::Module>> RuntimeFixture::load_object(const std::string& path, const std::string& name) {
  return runtime_->load(spec(path, name), host_);
}

std::string RuntimeFixture::compile_or_die(std::string_view wat) {
  auto path = compile(with_manifest(wat), folder_.path());
  NETSERV_CHECK(path.has_value());
  return *path;
}

}  // namespace netserv::test
