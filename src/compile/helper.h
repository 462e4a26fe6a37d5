// The compile helper: one module from .wasm to object in a confined child process. The program netserv-compile is
// this and a command line.
//
// The parent half opens the files, makes a scratch folder, starts the child and cleans up after it; it looks at no
// byte of the module. The child half gives up user (as root), network, files, system calls and resources, and only
// then reads. It dies with its parent. As root the child gets a PID namespace of its own, so nothing it starts
// outlives it; without root, seccomp's refusal of sockets is what keeps it off the network.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "compile/check.h"
#include "compile/compiler.h"
#include "sandbox/identity.h"

namespace netserv::compile {

struct HelperJob {
  std::string input;            // .wasm
  std::string output;           // .so, made or overwritten
  std::string manifest_output;  // optional: the manifest as one line of JSON
  std::string scratch_parent = "/tmp";  // a folder in which the scratch folder is made
  std::string compiler = "/usr/bin/gcc";
  sandbox::Identity identity;   // taken on if started as root
  std::chrono::milliseconds deadline{60000};
  std::uint64_t memory_bytes = 1u << 30;  // address space of any one process
  std::uint64_t file_bytes = 64u << 20;
  CheckLimits limits;
};

// What the helper says, as one line of JSON (compile/answer.h reads it):
//   {"ok": true, "manifest": {...}, "memory_pages": N, "imports": [...], "exports": [...]}
//   {"ok": false, "origin": "publisher", "subject": "...", "text": "..."}
struct HelperAnswer {
  std::string json;
  bool ok = false;
};

// Blocks until done, at most a little over the deadline. Single-threaded callers (it forks). A child that dies
// (libwabt aborted, out of memory) is an answer too, of the publisher's module.
HelperAnswer run_helper(const HelperJob& job);

}  // namespace netserv::compile
