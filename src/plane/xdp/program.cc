#include "plane/xdp/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "netserv_xdp.skel.h"
#include "plane/xdp/redirect_target.h"
#include "sys/fd.h"

namespace netserv::plane {
namespace {

constexpr const char* kCounterNames[NSX_COUNTERS] = {
    "xdp_seen",          "xdp_unmatched",        "xdp_redirected",  "xdp_forwarded_in_kernel", "bypass_heartbeat",
    "bypass_no_socket",     "bypass_fragment", "bypass_malformed",        "bypass_vlan",
    "bypass_local",      "bypass_icmp",          "bypass_no_metadata",   "bypass_signalling",
    "bypass_scope",      "bypass_route",         "bypass_oversize", "bypass_full",
    "xdp_dropped_fail_closed",
    "xdp_exchanged", "xdp_exchange_lost", "observer_copies", "observer_copies_lost"};

// The address of an Ethernet interface.
Result<std::array<__u8, 6>> mac_of(const std::string& name) {
  sys::UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  if (!fd || ::ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0) return fail_errno(name, "reading its address", errno);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return fail(Origin::kOperator, name, "is no Ethernet interface: the xdp plane can't work on it");
  std::array<__u8, 6> mac;
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

constexpr std::size_t pages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

// The elements of an array map; nullptr if that failed.
template <class T>
T* map_shared(const bpf_map* map, std::size_t elements) {
  void* at = ::mmap(nullptr, pages(sizeof(T) * elements), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
  return at == MAP_FAILED ? nullptr : static_cast<T*>(at);
}

struct Attachment {
  sys::UniqueFd link;
  std::array<__u8, 6> mac{};
  std::vector<__u32> socket_slots;
  nsx_port port{};
};

}  // namespace

std::string_view to_string(XdpMode mode) { return mode == XdpMode::kNative ? "native" : "generic"; }

struct XdpProgram::Impl {
  netserv_xdp* skeleton = nullptr;
  ring_buffer* copies = nullptr;
  const std::function<void(const nsx_copy&, std::span<const std::byte>)>* each_copy = nullptr;
  std::size_t copies_wanted = 0, copies_taken = 0;
  std::map<unsigned, Attachment> attached;
  std::vector<bool> slot_used = std::vector<bool>(NSX_MAX_SOCKETS);
  FilterMaps filters;

  // Less than 0: no more.
  static int on_copy(void* context, void* data, std::size_t size) {
    Impl& self = *static_cast<Impl*>(context);
    const auto& copy = *static_cast<const nsx_copy*>(data);
    auto* bytes = static_cast<const std::byte*>(data) + sizeof copy;
    if (size >= sizeof copy + copy.length) (*self.each_copy)(copy, std::span(bytes, copy.length));
    return ++self.copies_taken < self.copies_wanted ? 0 : -1;
  }
};

Result<std::unique_ptr<XdpProgram>> XdpProgram::load() {
  std::unique_ptr<XdpProgram> program(new XdpProgram);
  program->impl_ = std::make_unique<Impl>();
  Impl& impl = *program->impl_;
  impl.skeleton = netserv_xdp::open_and_load();
  if (impl.skeleton == nullptr) return fail_errno("XDP program", "loading it", errno);
  program->state_ = map_shared<nsx_state>(impl.skeleton->maps.state, 1);
  program->lanes_ = map_shared<nsx_lane>(impl.skeleton->maps.lanes, NSX_MAX_WORKERS);
  if (program->state_ == nullptr || program->lanes_ == nullptr)
    return fail_errno("XDP program", "mapping what it shares", errno);
  impl.copies = ring_buffer__new(bpf_map__fd(impl.skeleton->maps.copies), Impl::on_copy, &impl, nullptr);
  if (impl.copies == nullptr) return fail_errno("XDP program", "observers' ring buffer", errno);
  return program;
}

XdpProgram::~XdpProgram() {
  if (state_ != nullptr) ::munmap(state_, pages(sizeof(nsx_state)));
  if (lanes_ != nullptr) ::munmap(lanes_, pages(sizeof(nsx_lane) * NSX_MAX_WORKERS));
  if (!impl_) return;
  impl_->attached.clear();
  ring_buffer__free(impl_->copies);
  if (impl_->skeleton != nullptr) netserv_xdp::destroy(impl_->skeleton);
}

Result<XdpMode> XdpProgram::attach(unsigned ifindex, const std::string& name) {
  NETSERV_ASSIGN(auto mac, mac_of(name));
  int fd = bpf_program__fd(impl_->skeleton->progs.netserv_xdp);
  for (XdpMode mode : {XdpMode::kNative, XdpMode::kGeneric}) {
    LIBBPF_OPTS(bpf_link_create_opts, options);
    options.flags = mode == XdpMode::kNative ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
    sys::UniqueFd link(bpf_link_create(fd, static_cast<int>(ifindex), BPF_XDP, &options));
    if (link) {
      impl_->attached[ifindex].link = std::move(link);
      impl_->attached[ifindex].mac = mac;
      return mode;
    }
    if (errno == EBUSY || mode == XdpMode::kGeneric)
      return fail_errno(name, errno == EBUSY ? "another XDP program is attached" : "attaching the XDP program",
                        errno);
  }
  return fail(Origin::kSystem, name, "attaching the XDP program failed");
}

Status XdpProgram::choose_egress() {
  int map = bpf_map__fd(impl_->skeleton->maps.egress);
  for (const auto& [ifindex, attachment] : impl_->attached) {
    bpf_devmap_val target{};
    target.ifindex = ifindex;
    __u32 key = ifindex;
    if (!takes_redirects(ifindex)) {
      bpf_map_delete_elem(map, &key);
    } else if (bpf_map_update_elem(map, &key, &target, BPF_ANY) != 0) {
      return fail_errno("interface " + std::to_string(ifindex), "entering it as an egress interface", errno);
    }
  }
  return {};
}

bool XdpProgram::leaves_by(unsigned ifindex) const {
  __u32 key = ifindex;
  bpf_devmap_val target{};
  return bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.egress), &key, &target) == 0;
}

void XdpProgram::detach(unsigned ifindex) {
  auto it = impl_->attached.find(ifindex);
  if (it == impl_->attached.end()) return;
  __u32 key = ifindex;
  bpf_map_delete_elem(bpf_map__fd(impl_->skeleton->maps.egress), &key);
  clear_port(ifindex);
  bpf_link_detach(it->second.link.get());  // it may be kept
  impl_->attached.erase(it);
}

std::vector<int> XdpProgram::links() const {
  std::vector<int> out;
  for (const auto& [ifindex, attachment] : impl_->attached) out.push_back(attachment.link.get());
  return out;
}

void XdpProgram::clear_port(unsigned ifindex) {
  auto it = impl_->attached.find(ifindex);
  if (it == impl_->attached.end()) return;
  __u32 key = ifindex;
  bpf_map_delete_elem(bpf_map__fd(impl_->skeleton->maps.ports), &key);
  for (__u32 slot : it->second.socket_slots) {
    bpf_map_delete_elem(bpf_map__fd(impl_->skeleton->maps.sockets), &slot);
    impl_->slot_used[slot] = false;
  }
  it->second.socket_slots.clear();
}

Status XdpProgram::read_address(unsigned ifindex, const std::string& name) {
  auto it = impl_->attached.find(ifindex);
  if (it == impl_->attached.end()) return {};
  NETSERV_ASSIGN(auto mac, mac_of(name));
  if (mac == it->second.mac) return {};
  it->second.mac = mac;
  if (it->second.socket_slots.empty()) return {};  // set_port() will enter it
  std::memcpy(it->second.port.mac, mac.data(), mac.size());
  __u32 key = ifindex;
  if (bpf_map_update_elem(bpf_map__fd(impl_->skeleton->maps.ports), &key, &it->second.port, BPF_ANY) != 0)
    return fail_errno(name, "entering its address", errno);
  return {};
}

Status XdpProgram::set_port(unsigned ifindex, std::span<const int> socket_fds) {
  auto& used = impl_->slot_used;
  std::size_t first = 0, run = 0;
  for (std::size_t i = 0; i < used.size() && run < socket_fds.size(); ++i) {
    run = used[i] ? 0 : run + 1;
    if (run == 1) first = i;
  }
  if (run < socket_fds.size()) return fail(Origin::kOperator, "interfaces", "more than 256 receive queues in all");
  Attachment& attachment = impl_->attached[ifindex];
  for (std::size_t queue = 0; queue < socket_fds.size(); ++queue) {
    auto slot = static_cast<__u32>(first + queue);
    int fd = socket_fds[queue];
    if (bpf_map_update_elem(bpf_map__fd(impl_->skeleton->maps.sockets), &slot, &fd, BPF_ANY) != 0)
      return fail_errno("interface " + std::to_string(ifindex), "entering its AF_XDP socket", errno);
    used[slot] = true;
    attachment.socket_slots.push_back(slot);
  }
  nsx_port port{static_cast<__u32>(first), static_cast<__u32>(socket_fds.size()), {}, {}};
  std::memcpy(port.mac, attachment.mac.data(), sizeof port.mac);
  attachment.port = port;
  __u32 key = ifindex;
  if (bpf_map_update_elem(bpf_map__fd(impl_->skeleton->maps.ports), &key, &port, BPF_ANY) != 0)
    return fail_errno("interface " + std::to_string(ifindex), "entering it", errno);
  return {};
}

// What is refused is refused before anything has changed; the maps have all their memory from the start, so nothing fails after.
Status XdpProgram::set_filters(std::span<const forward::Wanted> filters) {
  int keys_fd = bpf_map__fd(impl_->skeleton->maps.filters);
  int shapes_fd = bpf_map__fd(impl_->skeleton->maps.shapes);
  const FilterMaps& before = impl_->filters;
  FilterMaps now = before;
  NETSERV_TRY(now.replace(filters));
  std::size_t both = now.keys().size();  // for a moment
  for (const auto& [key, value] : before.keys()) both += now.keys().contains(key) ? 0 : 1;
  if (both > NSX_MAX_FILTERS)
    return fail(Origin::kOperator, "filters", "more than 65536 with those that they replace; take some away first");

  // A key names its shape by index: keys of a shape that gives its index up go first.
  for (const auto& [key, value] : before.keys()) {
    bool moved = std::memcmp(&before.shapes()[key.shape], &now.shapes()[key.shape], sizeof(nsx_shape)) != 0;
    if (moved) bpf_map_delete_elem(keys_fd, &key);
  }
  for (__u32 i = 0; i < NSX_MAX_SHAPES; ++i)
    if (bpf_map_update_elem(shapes_fd, &i, &now.shapes()[i], BPF_ANY) != 0)
      return fail_errno("filters", "writing a shape", errno);
  state_->shape_count = now.shape_count();
  for (const auto& [key, value] : now.keys())
    if (bpf_map_update_elem(keys_fd, &key, &value, BPF_ANY) != 0)
      return fail_errno("filters", "writing a filter", errno);
  for (const auto& [key, value] : before.keys())
    if (!now.keys().contains(key)) bpf_map_delete_elem(keys_fd, &key);
  impl_->filters = std::move(now);
  return {};
}

Status XdpProgram::set_packet_memory(std::uint32_t worker, int map_fd) {
  int memories = bpf_map__fd(impl_->skeleton->maps.memories);
  if (map_fd < 0) bpf_map_delete_elem(memories, &worker);
  else if (bpf_map_update_elem(memories, &worker, &map_fd, BPF_ANY) != 0)
    return fail_errno("XDP program", "entering a worker's packet memory", errno);
  return {};
}

Status XdpProgram::set_wake(std::uint32_t worker, int map_fd) {
  if (bpf_map_update_elem(bpf_map__fd(impl_->skeleton->maps.wakes), &worker, &map_fd, BPF_ANY) != 0)
    return fail_errno("XDP program", "entering a worker's ring buffer", errno);
  return {};
}

std::size_t XdpProgram::take_copies(
    std::size_t most, const std::function<void(const nsx_copy&, std::span<const std::byte>)>& each) {
  impl_->each_copy = &each;
  impl_->copies_wanted = most;
  impl_->copies_taken = 0;
  ring_buffer__consume(impl_->copies);
  return impl_->copies_taken;
}

std::map<std::string, std::uint64_t> XdpProgram::counters() const {
  std::map<std::string, std::uint64_t> out;
  std::vector<std::uint64_t> values(static_cast<std::size_t>(libbpf_num_possible_cpus()));
  for (__u32 i = 0; i < NSX_COUNTERS; ++i) {
    if (bpf_map_lookup_elem(bpf_map__fd(impl_->skeleton->maps.counters), &i, values.data()) != 0) continue;
    std::uint64_t& sum = out[kCounterNames[i]];
    for (std::uint64_t v : values) sum += v;
  }
  return out;
}

}  // namespace netserv::plane
