// Messages for tests: one well-formed example of every type, and random ones from a seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "wire/gist/message.h"

namespace netserv::gist::testing {

Mri sample_mri(Direction direction = Direction::kDownstream);
SessionId sample_session(unsigned char fill = 7);
Nli sample_nli();
Message sample_query();
Message sample_response();
Message sample_confirm();
Message sample_data();          // D-mode
Message sample_stream_data();   // C-mode
Message sample_error();
Message sample_hello();

// Any message that encode_message() accepts for `transport`.
Message random_message(std::mt19937_64& random, Transport transport);

struct Captured {
  std::string name;
  Transport transport = Transport::kDatagram;
  Bytes bytes;  // of a datagram: after the magic number
};
// The messages of tests/vectors/gist.txt under `source_directory`.
std::vector<Captured> captured_messages(const std::string& source_directory);

}  // namespace netserv::gist::testing
