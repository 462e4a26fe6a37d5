// What netserv-compile says, for whoever starts it: its line of standard output as a Result. The helper has read a
// stranger's module, so its line is believed in form only. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "compile/manifest.h"

namespace netserv::compile {

struct HelperResult {
  Manifest manifest;
  std::uint32_t memory_pages = 0;
};
Result<HelperResult> decode_answer(std::string_view json);

}  // namespace netserv::compile
