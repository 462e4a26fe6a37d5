// The WebAssembly features of a module: what wabt 1.0.32's C writer can do. What it can't, it meets with abort(),
// SIMD first of all.
#pragma once

#include "wabt/feature.h"

namespace netserv::compile {

inline wabt::Features module_features() {
  wabt::Features features;
  features.disable_simd();
  features.disable_exceptions();
  features.disable_threads();
  features.disable_function_references();
  features.disable_tail_call();
  features.disable_annotations();
  features.disable_code_metadata();
  features.disable_gc();
  features.disable_memory64();
  features.disable_multi_memory();
  features.disable_extended_const();
  features.disable_relaxed_simd();
  return features;
}

}  // namespace netserv::compile
