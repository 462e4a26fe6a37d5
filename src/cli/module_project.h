// Module projects on disk: making one from a template, and compiling one to a .wasm file.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace netserv::cli {

enum class Language : unsigned char { kC, kCxx };

// Writes folder `path` with a module that builds as it is; its last part becomes the module's name, 1..64 of
// [A-Za-z0-9._-]. The folder must not exist yet, or be empty. Returns the files, relative to it.
Result<std::vector<std::string>> new_project(const std::string& sdk, const std::string& path, Language language);

struct BuildResult {
  std::string wasm;
  std::vector<std::string> sources;
  std::size_t bytes = 0;
};

// Compiles all .c, .cc and .cpp files of the folder (not of folders in it; not *_test.*) to `output`, or to
// FOLDER/build/NAME.wasm if that is empty. Needs clang and wasm-ld; an error of the operator says what to install
// if they are missing. The compiler's own messages go to standard error. `log` gets the command line.
Result<BuildResult> build_project(const std::string& sdk, const std::string& folder, const std::string& output,
                                  std::string& log);

}  // namespace netserv::cli
