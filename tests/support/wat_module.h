// Modules for tests, written as WebAssembly text: assembled by libwabt, given a manifest, compiled to an object
// in a temporary folder.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "support/temporary_folder.h"

namespace netserv::test {

inline constexpr std::string_view kPacketManifest =
    R"({"name":"test","version":"1.0.0","abi":1,"kind":["packet"],"blocks":["packet/1","timer/1","log/1","properties/1","counters/1","udp/1"]})";

// The binary of `wat`, aborting the test program on bad text. SIMD and all else that libwabt can read is on.
Bytes assemble(std::string_view wat);
// Appends a custom section.
Bytes with_section(Bytes wasm, std::string_view name, std::string_view payload);
Bytes with_manifest(std::string_view wat, std::string_view manifest = kPacketManifest);

// A packet module around `functions`: a memory of 33 pages with the window at 65536 and the batch at 4096;
// `imports` comes first. Defines no function itself.
std::string packet_module(std::string_view functions, std::string_view imports = "");

// check_module and build_object; the object's path is `folder`/NAME.so.
Result<std::string> compile(ByteSpan wasm, const std::string& folder, const std::string& name = "module");

}  // namespace netserv::test
