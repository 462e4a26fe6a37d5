// The headers of src/runtime/wasm that generated C includes, carried in the compiler's own binary so that a
// helper needs no installed file of ours. The texts come in at build time (embedded_headers.cc.in).
#pragma once

#include <array>
#include <string_view>

namespace netserv::compile {

struct EmbeddedHeader {
  std::string_view name;
  std::string_view text;
};
const std::array<EmbeddedHeader, 3>& embedded_headers();

}  // namespace netserv::compile
