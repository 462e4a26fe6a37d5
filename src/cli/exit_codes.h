// What the netserv command returns. Stable: scripts rely on them, the manual lists them.
#pragma once

namespace netserv::cli {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;       // it was tried and did not work; standard error says why
inline constexpr int kExitUsage = 2;        // the command line makes no sense
inline constexpr int kExitRefused = 3;      // the node, or its rules, said no: an answer, not a breakdown
inline constexpr int kExitUnavailable = 4;  // something needed is not there: a tool, a file, the node
inline constexpr int kExitTimeout = 5;      // no final answer within the time given
inline constexpr int kExitPartly = 6;       // along a path: some nodes did it, others not

}  // namespace netserv::cli
