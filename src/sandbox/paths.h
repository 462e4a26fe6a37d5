// Which files a process may still reach, by Landlock: everything not listed is refused from then on, for the
// process and all it starts. Open descriptors keep working. Needs no_new_privileges() or root.
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace netserv::sandbox {

enum class PathAccess : unsigned char {
  kRead,         // read files, list folders
  kReadExecute,  // and run programs
  kReadWrite,    // all but running: make, write, rename within, remove
};

struct PathRule {
  std::string path;  // a file or a folder with all below it; one that does not exist is left out
  PathAccess access = PathAccess::kRead;
};

// Landlock's version on this kernel; 0 if there is none.
int landlock_version();

// An error if the kernel has no Landlock: the caller may not go on unconfined without saying so. A kernel with a
// Landlock older than a right confines all but that right (truncation before version 3).
Status restrict_paths(std::span<const PathRule> rules);

}  // namespace netserv::sandbox
