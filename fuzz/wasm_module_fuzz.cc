// The compile pipeline's front end: any bytes to a verdict (check_module), without gcc. An input without a manifest
// gets one, so that the fuzzer's way to the code is short.
#include <cstdlib>

#include "compile/check.h"

namespace {

using netserv::Bytes;
using netserv::ByteSpan;

constexpr std::string_view kManifest =
    R"({"name":"f","version":"1","abi":1,"kind":["packet"],"blocks":["packet/1","timer/1","log/1","properties/1"]})";

Bytes with_manifest(ByteSpan wasm) {
  Bytes out(wasm.begin(), wasm.end());
  const std::string_view name = "netserv.manifest";
  static_assert(kManifest.size() + 17 < 128);
  out.push_back(std::byte{0});
  out.push_back(static_cast<std::byte>(1 + name.size() + kManifest.size()));
  out.push_back(static_cast<std::byte>(name.size()));
  for (std::string_view part : {name, kManifest})
    for (char c : part) out.push_back(static_cast<std::byte>(c));
  return out;
}

void check(ByteSpan wasm) {
  netserv::compile::CheckLimits limits;
  limits.module_bytes = 64 << 10;
  const auto module = netserv::compile::check_module(wasm, limits);
  // A refusal names what is wrong; an accepted module's C text is plain ASCII, whatever its names were.
  if (!module) {
    if (module.error().text.empty() || module.error().origin != netserv::Origin::kPublisher) std::abort();
    for (char c : module.error().message())
      if (c < 0x20 || c > 0x7e) std::abort();
    return;
  }
  for (const std::string* text : {&module->c_source, &module->c_header})
    for (char c : *text)
      if (c != '\n' && c != '\t' && (c < 0x20 || c > 0x7e)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  check(bytes);
  if (!netserv::compile::manifest_of(bytes)) check(with_manifest(bytes));
  return 0;
}
