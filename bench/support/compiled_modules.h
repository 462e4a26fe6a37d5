// Modules compiled as a node does it, and a Wasm runtime with a packet window to run them in, for benchmarks.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "dispatch/module_runtime.h"
#include "support/temporary_folder.h"

namespace netserv::bench {

// What `result` holds; the program ends, saying why, if it is an error.
[[noreturn]] void give_up(const std::string& why);
template <class T>
T must(Result<T> result) {
  if (!result) give_up(result.error().message());
  return *std::move(result);
}

Bytes read_file(const std::string& path);

// A SIP keep-alive as clients send it, 340 bytes.
extern const std::string_view kSipRequest;

class CompiledModules {
 public:
  CompiledModules();
  ~CompiledModules();
  CompiledModules(const CompiledModules&) = delete;
  CompiledModules& operator=(const CompiledModules&) = delete;

  // The object of a .wasm file, compiled the first time.
  std::string object(const std::string& wasm_path);
  // Loads it, with all building blocks; what the module asks of its host does nothing.
  std::unique_ptr<dispatch::Module> load(const std::string& wasm_path, std::map<std::string, std::string> properties = {});
  std::byte* window() { return window_; }
  const std::string& folder() const { return folder_.path(); }

 private:
  class Host;
  test::TemporaryFolder folder_;
  std::byte* window_ = nullptr;
  std::unique_ptr<Host> host_;
  std::unique_ptr<dispatch::ModuleRuntime> runtime_;
};

}  // namespace netserv::bench
