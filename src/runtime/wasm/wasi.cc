// WASI preview 1, as much as a C or C++ library's start-up and printing want: one argument (the module's id), no
// environment, clocks, random bytes, standard output and error to the log, exit as the end of the module. Every
// other call of preview 1 answers with a fixed error from within the object (src/compile/imports.cc).
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <sys/random.h>

#include "base/bytes.h"
#include "runtime/wasm/host_functions.h"

namespace netserv::runtime {
namespace {

// WASI error numbers.
constexpr std::uint64_t kOk = 0, kBadHandle = 8, kInvalid = 28, kNotSupported = 58, kIo = 29;
constexpr std::uint32_t kMaxRandom = 65536;
constexpr std::uint32_t kMaxVectors = 64;
constexpr std::uint32_t kMaxWrite = 65536;

template <class T>
bool store(WasmInstance& i, std::uint32_t at, T value) {
  const auto room = i.bytes_at(at, sizeof value);
  if (room) std::memcpy(room->data(), &value, sizeof value);
  return room.has_value();
}

HostResult done(bool in_bounds) { return in_bounds ? HostResult::of(kOk) : HostResult::trap(Leave::kHostPointer); }

template <class Body>
std::uint32_t wasi(Body body) {
  return static_cast<std::uint32_t>(host_call(body));
}

std::uint32_t args_sizes_get(std::uint32_t count, std::uint32_t bytes) {
  return wasi([&](WasmInstance& i) {
    return done(store<std::uint32_t>(i, count, 1) &&
                store<std::uint32_t>(i, bytes, static_cast<std::uint32_t>(i.name().size() + 1)));
  });
}

std::uint32_t args_get(std::uint32_t pointers, std::uint32_t buffer) {
  return wasi([&](WasmInstance& i) {
    const auto room = i.bytes_at(buffer, static_cast<std::uint32_t>(i.name().size() + 1));
    if (!room || !store<std::uint32_t>(i, pointers, buffer)) return done(false);
    std::memcpy(room->data(), i.name().c_str(), i.name().size() + 1);
    return done(true);
  });
}

std::uint32_t environ_sizes_get(std::uint32_t count, std::uint32_t bytes) {
  return wasi([&](WasmInstance& i) {
    return done(store<std::uint32_t>(i, count, 0) && store<std::uint32_t>(i, bytes, 0));
  });
}

std::uint32_t environ_get(std::uint32_t, std::uint32_t) {
  return wasi([](WasmInstance&) { return HostResult::of(kOk); });
}

std::uint32_t clock_time_get(std::uint32_t clock, std::uint64_t, std::uint32_t out) {
  return wasi([&](WasmInstance& i) {
    if (clock == 1)
      return done(store<std::uint64_t>(i, out, static_cast<std::uint64_t>(i.host().now().time_since_epoch().count())));
    if (clock != 0) return HostResult::of(kNotSupported);
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const std::uint64_t ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec);
    return done(store(i, out, ns));
  });
}

std::uint32_t clock_res_get(std::uint32_t clock, std::uint32_t out) {
  return wasi([&](WasmInstance& i) {
    if (clock > 1) return HostResult::of(kNotSupported);
    return done(store<std::uint64_t>(i, out, 1));
  });
}

std::uint32_t random_get(std::uint32_t out, std::uint32_t length) {
  return wasi([&](WasmInstance& i) {
    const auto room = i.bytes_at(out, length);
    if (!room) return done(false);
    if (length > kMaxRandom) return HostResult::of(kInvalid);
    for (std::size_t at = 0; at < room->size();) {
      const ssize_t n = getrandom(room->data() + at, room->size() - at, 0);
      if (n < 0 && errno != EINTR) return HostResult::of(kIo);
      if (n > 0) at += static_cast<std::size_t>(n);
    }
    return done(true);
  });
}

std::uint32_t fd_write(std::uint32_t fd, std::uint32_t vectors, std::uint32_t count, std::uint32_t written) {
  return wasi([&](WasmInstance& i) {
    if (fd != 1 && fd != 2) return HostResult::of(kBadHandle);
    count = std::min(count, kMaxVectors);
    const auto list = i.bytes_at(vectors, count * 8);
    if (!list) return done(false);
    std::uint32_t total = 0;
    for (std::uint32_t k = 0; k < count && total < kMaxWrite; ++k) {
      std::uint32_t pair[2];
      std::memcpy(pair, list->data() + k * 8, sizeof pair);
      const auto text = i.bytes_at(pair[0], pair[1]);
      if (!text) return done(false);
      const auto part = as_text(*text).substr(0, kMaxWrite - total);
      i.print(fd == 1 ? 1 : 2, part);
      total += static_cast<std::uint32_t>(part.size());
    }
    return done(store(i, written, total));
  });
}

std::uint32_t fd_fdstat_get(std::uint32_t fd, std::uint32_t out) {
  return wasi([&](WasmInstance& i) {
    if (fd > 2) return HostResult::of(kBadHandle);
    const auto room = i.bytes_at(out, 24);
    if (!room) return done(false);
    std::memset(room->data(), 0, room->size());
    room->front() = std::byte{2};                      // a character device: line by line
    std::memset(room->data() + 8, fd == 0 ? 0x02 : 0x40, 1);  // fd_read or fd_write
    return done(true);
  });
}

void proc_exit(std::uint32_t code) {
  host_call([&](WasmInstance&) {
    g_guest.exit_code = code;
    return HostResult::trap(Leave::kExit);
  });
}

}  // namespace

void fill_wasi(netserv_host& host) {
  host.wasi_args_get = args_get;
  host.wasi_args_sizes_get = args_sizes_get;
  host.wasi_environ_get = environ_get;
  host.wasi_environ_sizes_get = environ_sizes_get;
  host.wasi_clock_time_get = clock_time_get;
  host.wasi_clock_res_get = clock_res_get;
  host.wasi_random_get = random_get;
  host.wasi_fd_write = fd_write;
  host.wasi_fd_fdstat_get = fd_fdstat_get;
  host.wasi_proc_exit = proc_exit;
}

}  // namespace netserv::runtime
