// Log lines with their fields to journald when standard error is connected to it, else plain lines on standard error.
#pragma once

namespace netserv::daemon {

void log_to_journal_if_there_is_one();

}  // namespace netserv::daemon
