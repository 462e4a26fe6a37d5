// Fail-closed outlives the forwarder: while filters ask for it, the links of the XDP program are pinned in a BPF file
// system, so that the program and its maps stay when this process dies. It finds the heartbeat late then, as with a
// forwarder that stands still: it drops what asked for fail-closed and passes all else by.
//
// The pins lie in a folder of this forwarder's own, <BPF folder>/netserv-<inode of the network namespace>-<run folder>.
#pragma once

#include <span>
#include <string>

#include "base/result.h"

namespace netserv::plane {

struct KeepWhere {
  std::string bpf_folder;  // a BPF file system, if one is mounted there
  std::string run_folder;  // by which a forwarder knows its predecessor's pins
};

class KeptLinks {
 public:
  explicit KeptLinks(const KeepWhere& where);
  // An orderly end keeps nothing.
  ~KeptLinks() { release(); }
  KeptLinks(const KeptLinks&) = delete;
  KeptLinks& operator=(const KeptLinks&) = delete;

  // These bpf_links and no others from now on; while this process lives that changes nothing. On an error, none is kept.
  Status keep(std::span<const int> links);
  // Takes the program off the interfaces where this process or an earlier one has kept it.
  void release();

 private:
  Status pin(std::span<const int> links);
  std::string bpf_folder_, folder_;
};

}  // namespace netserv::plane
