// How the generated C gets at linear memory: libwabt's loads and stores give way to runtime/wasm/wasm-rt.h's, which
// read the memory's address once a function instead of after every store.
#pragma once

#include <string>

namespace netserv::compile {

// False if the text is not what libwabt 1.0.32 writes.
bool use_own_memory_access(std::string& c_source);

}  // namespace netserv::compile
