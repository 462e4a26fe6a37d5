// A client, a router and a server in network namespaces of their own, joined by veth pairs; the forwarder runs in
// the router's. Random names; everything is torn down with the object, or by a helper process should this one end
// without. Needs root.
#pragma once

#include <sys/socket.h>

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/fd.h"

namespace netserv::test {

class Router {
 public:
  static constexpr const char* kClient = "10.0.1.1";
  static constexpr const char* kServer = "10.0.2.2";
  static constexpr const char* kClient6 = "2001:db8:1::1";
  static constexpr const char* kServer6 = "2001:db8:2::2";
  static constexpr const char* kRouter = "10.0.1.2";  // towards the client
  static constexpr const char* kRouter6 = "2001:db8:1::2";

  // Its links have so many receive and transmit queues.
  explicit Router(int queues = 1);
  ~Router();
  // A socket in the client's or server's namespace, bound to its address (either IP version), with a receive
  // timeout of a minute.
  sys::UniqueFd client_udp(int family, std::uint16_t port) {
    return udp(name_ + "c", family == AF_INET ? kClient : kClient6, port);
  }
  sys::UniqueFd server_udp(int family, std::uint16_t port) {
    return udp(name_ + "s", family == AF_INET ? kServer : kServer6, port);
  }
  // More addresses for the client: 10.0.1.101 and so on.
  void add_client_addresses(int count);
  sys::UniqueFd client_udp(const std::string& address, std::uint16_t port) { return udp(name_ + "c", address.c_str(), port); }
  // The same on the router itself, on its address towards the client.
  sys::UniqueFd router_udp(int family, std::uint16_t port) {
    return udp(name_ + "r", family == AF_INET ? kRouter : kRouter6, port);
  }
  // Whole Ethernet frames, non-blocking, on the client's or server's interface.
  sys::UniqueFd client_frames() { return frames(name_ + "c"); }
  sys::UniqueFd server_frames() { return frames(name_ + "s"); }
  // An Ethernet header from the client to the router, without the type.
  Bytes towards_router();
  // A tool run in the router's namespace; its standard output.
  std::string run(const std::string& tool, const std::vector<std::string>& arguments, const std::string& input = {});
  // So many receive queues of the router's end of a link, and transmit queues of the far end. False if the kernel
  // refuses.
  bool use_queues(const std::string& part, int queues);
  // A program started in the router's namespace; the caller ends and reaps it. It ends with this process.
  pid_t start(const std::vector<std::string>& command);
  // Removes the link to the client ("c") or server ("s"), to_c or to_s here, and makes it again.
  void remake_link(const std::string& part, int queues = 1);
  // Whether the far end of a link takes frames that XDP redirects.
  void take_redirects(const std::string& part, bool on);
  // Of all four ends. An XDP program in the driver forbids long ones.
  void set_mtu(int bytes);
  void forget_neighbours(const std::string& part);
  const std::string& folder() const { return folder_; }
  // A BPF file system.
  std::string bpf_folder() const { return folder_ + "/bpf"; }

 private:
  void ip(const std::string& arguments);
  void make_link(const std::string& part, int queues);
  void start_guard();
  void tear_down();
  sys::UniqueFd udp(const std::string& space, const char* address, std::uint16_t port);
  sys::UniqueFd frames(const std::string& space);
  std::string name_, folder_;
  sys::UniqueFd alive_;  // closed by our end, however it comes
  pid_t guard_ = 0;
};

}  // namespace netserv::test
