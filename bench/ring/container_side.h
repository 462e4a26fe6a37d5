// A service container's process for the bench: the far end of a ring, with the real dispatcher and Wasm runtime.
#pragma once

#include <string>

#include "compile/manifest.h"
#include "ring/ring_producer.h"

namespace netserv::bench {

// Forks a process on `core` that runs `object` (a compiled module; empty: every packet passes unseen) over the
// ring until it is killed. Exits by itself with the bench.
pid_t start_container(ring::RingProducer& ring, const std::string& object, const compile::Manifest& manifest, int core);
void pin_to_core(int core);

}  // namespace netserv::bench
