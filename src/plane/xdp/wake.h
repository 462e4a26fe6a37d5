// A BPF ring buffer that the XDP program wakes a worker by: a record in it makes the descriptor readable.
#pragma once

#include <memory>

#include "base/result.h"
#include "sys/fd.h"

struct ring_buffer;

namespace netserv::plane {

class Wake {
 public:
  static Result<std::unique_ptr<Wake>> create();
  ~Wake();
  Wake(const Wake&) = delete;
  Wake& operator=(const Wake&) = delete;

  int fd() const { return map_.get(); }  // of the map, too
  void clear();

 private:
  explicit Wake(sys::UniqueFd map) : map_(std::move(map)) {}
  sys::UniqueFd map_;
  ring_buffer* records_ = nullptr;
};

}  // namespace netserv::plane
