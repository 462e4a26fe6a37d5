// A helper program, run once: its standard output, at most the last 64 KiB of it, is its answer. Killed with all that it
// started when the deadline passes or the object goes; then `done` is not called any more.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/event_loop.h"

namespace netserv::daemon {

class HelperProcess {
 public:
  // `input` goes to its standard input (short). `done` is called from the loop, once; an error says that it could
  // not be run, was killed, or took too long. A non-zero exit with output is an answer.
  static Result<std::unique_ptr<HelperProcess>> start(sys::EventLoop& loop, const std::vector<std::string>& argv,
                                                      const std::string& input, Duration deadline,
                                                      std::function<void(Result<std::string>)> done);
  ~HelperProcess();
  HelperProcess(const HelperProcess&) = delete;
  HelperProcess& operator=(const HelperProcess&) = delete;

 private:
  struct Run;
  explicit HelperProcess(std::shared_ptr<Run> run) : run_(std::move(run)) {}
  std::shared_ptr<Run> run_;
};

}  // namespace netserv::daemon
