// --log-level, which all daemons understand alike; it takes effect as soon as it is read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "base/log.h"

namespace netserv::daemons {

inline void add_log_level(CLI::App& app) {
  auto set = [](const std::string& name) {
    LogLevel level = name == "debug" ? LogLevel::kDebug : name == "warning" ? LogLevel::kWarning
                     : name == "error" ? LogLevel::kError : LogLevel::kInfo;
    set_log_level(level);
  };
  app.add_option_function<std::string>("--log-level", set, "What is logged: this and worse (info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
}

}  // namespace netserv::daemons
