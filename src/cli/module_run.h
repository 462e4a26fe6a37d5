// `netserv module run`: a capture through a module on the desk.
#pragma once

#include <iosfwd>
#include <map>
#include <string>

#include "base/result.h"

namespace netserv::cli {

struct RunOptions {
  std::string wasm;
  std::string pcap;
  std::string out;  // capture of what goes on, back, or is emitted; empty: none
  std::map<std::string, std::string> properties;
  std::uint32_t batch = 32;
  std::uint32_t after_ms = 1000;  // time that goes on after the last packet, so that timers still fire
  bool json = false;
  bool summary = false;  // no line for each packet
};

// Prints to `out`: lines for people, or one JSON object
//   {"module", "packets": [{"number", "time", "from", "to", "protocol", "length", "verdict", "changed", "new_length"}],
//    "summary": {"packets", "pass", "drop", "reply", "steal", "changed", "bypassed", "emitted", "not_ip"},
//    "datagrams": [{"time", "to", "port", "text"}], "log": [{"time", "level", "text"}], "counters": {},
//    "refused": {what the forwarder refused: "refused_rate", ...}, "trap": "..."}
// Times are seconds since the first packet. Progress goes to standard error. An error if the module is refused or does
// not start, or a file is bad; kExitRefused or kExitUnavailable is then in its `code`. A trap is printed, and returned
// as false.
Result<bool> run_module(const RunOptions& options, std::ostream& out);

}  // namespace netserv::cli
