#include "forward/filter_table.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace netserv::forward {
namespace {

constexpr unsigned kPortShift = 8;
constexpr unsigned kFamilyShift = 24;
constexpr std::uint64_t kHasPorts = std::uint64_t{1} << 32;

void put_address(const IpAddress& address, std::uint64_t* words) {
  words[0] = words[1] = 0;
  const std::byte* bytes = address.bytes().data();
  if (address.is_v4()) std::memcpy(words, bytes, 4);  // of a known length: no call
  else std::memcpy(words, bytes, 16);
}

void put_prefix_mask(const Prefix& prefix, std::uint64_t* words) {
  std::array<std::byte, 16> bytes{};
  for (unsigned bit = 0; bit < prefix.length(); ++bit) bytes[bit / 8] |= std::byte(0x80u >> bit % 8);
  std::memcpy(words, bytes.data(), bytes.size());
}

Status check(const Filter& f, std::size_t number) {
  std::string subject = "filter " + std::to_string(number + 1);
  if (f.destination_port && f.protocol && *f.protocol != kProtocolTcp && *f.protocol != kProtocolUdp)
    return fail(Origin::kPublisher, subject, "a destination port needs tcp or udp");
  if (f.source && f.destination && f.source->address().is_v4() != f.destination->address().is_v4())
    return fail(Origin::kPublisher, subject, "source and destination are of different IP versions");
  return {};
}

}  // namespace

FilterTable::Key FilterTable::key_of(const PacketHeaders& p) {
  Key key{};
  key[0] = p.protocol | std::uint64_t{p.source.is_v4() ? 4u : 6u} << kFamilyShift;
  if (p.has_ports) key[0] |= std::uint64_t{p.destination_port} << kPortShift | kHasPorts;
  put_address(p.source, &key[1]);
  put_address(p.destination, &key[3]);
  return key;
}

FilterTable::Masked FilterTable::shape_of(const Filter& f) {
  Masked m{};
  if (f.protocol) {
    m.mask[0] |= 0xff;
    m.key[0] |= *f.protocol;
  }
  if (f.destination_port) {
    m.mask[0] |= std::uint64_t{0xffff} << kPortShift | kHasPorts;
    m.key[0] |= std::uint64_t{*f.destination_port} << kPortShift | kHasPorts;
  }
  if (const auto& any = f.source ? f.source : f.destination) {
    m.mask[0] |= std::uint64_t{0xff} << kFamilyShift;
    m.key[0] |= std::uint64_t{any->address().is_v4() ? 4u : 6u} << kFamilyShift;
  }
  if (f.source) {
    put_prefix_mask(*f.source, &m.mask[1]);
    put_address(f.source->address(), &m.key[1]);
  }
  if (f.destination) {
    put_prefix_mask(*f.destination, &m.mask[3]);
    put_address(f.destination->address(), &m.key[3]);
  }
  return m;
}

Result<std::vector<FilterTable::Shape>> FilterTable::build(const Lists& lists) {
  std::map<Key, std::map<Key, std::vector<Target>>> tables;
  for (const auto& [lane, filters] : lists) {
    for (std::size_t i = 0; i < filters.size(); ++i) {
      const ipc::ModuleFilter& f = filters[i];
      Masked m = shape_of(f.filter);
      tables[m.mask][m.key].push_back({lane, static_cast<std::uint32_t>(i), f.slot, f.fail_closed, f.observer,
                                       f.snap_length, std::max<std::uint32_t>(f.sample_one_in, 1)});
      if (tables.size() > kMaxShapes)
        return fail(Origin::kPublisher, "filters",
                    "more than " + std::to_string(kMaxShapes) +
                        " different filter shapes (fields and prefix lengths) on this node; use prefix lengths "
                        "that others use");
    }
  }
  std::vector<Shape> shapes;
  for (auto& [mask, rows] : tables) {
    Shape& shape = shapes.emplace_back();
    shape.mask = mask;
    std::size_t size = 2;
    while (size < rows.size() * 2) size *= 2;
    shape.index.assign(size, kNoRow);
    for (auto& [key, targets] : rows) {
      std::uint64_t at = hash(key);
      while (shape.index[at & (size - 1)] != kNoRow) ++at;
      shape.index[at & (size - 1)] = static_cast<std::uint32_t>(shape.rows.size());
      shape.rows.push_back({key, targets.front(), {targets.begin() + 1, targets.end()}});
    }
  }
  return shapes;
}

Status FilterTable::replace(std::uint32_t lane, std::vector<ipc::ModuleFilter> filters) {
  for (std::size_t i = 0; i < filters.size(); ++i) {
    NETSERV_TRY(check(filters[i].filter, i));
    if (filters[i].slot.value() >= kMaxModulesPerContainer)
      return fail(Origin::kPeer, "filter " + std::to_string(i + 1), "module slot out of range");
  }
  Lists next = lists_;
  if (filters.empty()) {
    next.erase(lane);
  } else {
    next[lane] = std::move(filters);
  }
  NETSERV_ASSIGN(shapes_, build(next));
  lists_ = std::move(next);
  return {};
}

const std::vector<ipc::ModuleFilter>& FilterTable::filters(std::uint32_t lane) const {
  static const std::vector<ipc::ModuleFilter> none;
  auto found = lists_.find(lane);
  return found == lists_.end() ? none : found->second;
}

}  // namespace netserv::forward
