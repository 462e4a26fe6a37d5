#include "lxc/launch_spec.h"

#include <functional>
#include <map>
#include <nlohmann/json.hpp>

namespace netserv::lxc {
namespace {

using nlohmann::json;

struct BadValue {
  std::string text;
};

template <class T>
T number(const json& value) {
  if (!value.is_number_unsigned()) throw BadValue{"not a whole number"};
  auto wide = value.get<std::uint64_t>();
  if (wide > std::numeric_limits<T>::max()) throw BadValue{"number too large"};
  return static_cast<T>(wide);
}

std::string text(const json& value) {
  if (!value.is_string()) throw BadValue{"not a string"};
  auto out = value.get<std::string>();
  // It may end up in liblxc's configuration, where a line break begins a new item and a blank a new field.
  for (unsigned char c : out)
    if (c <= ' ' || c == 0x7f) throw BadValue{"blanks and control characters are not allowed"};
  return out;
}

template <class T>
T parsed(const json& value) {
  auto result = T::parse(text(value));
  if (!result) throw BadValue{result.error().message()};
  return *result;
}

using Fields = std::map<std::string, std::function<void(const json&)>>;

void read_object(const json& object, const Fields& fields) {
  if (!object.is_object()) throw BadValue{"not an object"};
  for (const auto& [key, value] : object.items()) {
    auto field = fields.find(key);
    if (field == fields.end()) throw BadValue{key + ": unknown key"};
    try {
      field->second(value);
    } catch (BadValue& bad) {
      throw BadValue{key + ": " + bad.text};
    }
  }
}

void read_grants(const json& object, NetworkGrants& grants) {
  read_object(object, {
    {"egress", [&](const json& list) {
      if (!list.is_array()) throw BadValue{"not a list"};
      for (const json& item : list) {
        EgressGrant& grant = grants.egress.emplace_back();
        read_object(item, {
          {"destination", [&](const json& v) { grant.destination = parsed<Prefix>(v); }},
          {"protocol", [&](const json& v) { grant.protocol = number<std::uint8_t>(v); }},
          {"port", [&](const json& v) { grant.port = number<std::uint16_t>(v); }},
        });
        if (!item.contains("destination")) throw BadValue{"destination is missing"};
        if (grant.port && grant.protocol != 6 && grant.protocol != 17)
          throw BadValue{"a port needs protocol 6 or 17"};
      }
    }},
    {"listen", [&](const json& list) {
      if (!list.is_array()) throw BadValue{"not a list"};
      for (const json& item : list) {
        ListenGrant& grant = grants.listen.emplace_back();
        read_object(item, {
          {"protocol", [&](const json& v) { grant.protocol = number<std::uint8_t>(v); }},
          {"port", [&](const json& v) { grant.port = number<std::uint16_t>(v); }},
        });
        if (grant.protocol != 6 && grant.protocol != 17) throw BadValue{"protocol must be 6 or 17"};
      }
    }},
    {"kbit_per_second", [&](const json& v) {
      grants.kbit_per_second = number<std::uint32_t>(v);
      if (grants.kbit_per_second == 0) throw BadValue{"must not be 0"};
    }},
  });
}

json grants_json(const NetworkGrants& grants) {
  json egress = json::array();
  for (const EgressGrant& grant : grants.egress) {
    json item = {{"destination", grant.destination.to_string()}};
    if (grant.protocol) item["protocol"] = *grant.protocol;
    if (grant.port) item["port"] = *grant.port;
    egress.push_back(std::move(item));
  }
  json listen = json::array();
  for (const ListenGrant& grant : grants.listen)
    listen.push_back({{"protocol", grant.protocol}, {"port", grant.port}});
  return {{"egress", std::move(egress)}, {"listen", std::move(listen)}, {"kbit_per_second", grants.kbit_per_second}};
}

bool good_name(const std::string& name) {
  if (name.empty() || name.size() > 32 || name[0] == '-') return false;
  for (char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  return true;
}

void check(const LaunchSpec& spec) {
  if (!good_name(spec.name)) throw BadValue{"name: use 1 to 32 of a-z, 0-9 and '-'"};
  for (auto [key, path] : {std::pair{"state_folder", &spec.state_folder}, {"run_folder", &spec.run_folder},
                           {"module_folder", &spec.module_folder}, {"program", &spec.program}})
    if (path->empty() || path->front() != '/') throw BadValue{std::string(key) + ": needs an absolute path"};
  if (spec.host_interface.empty() || spec.host_interface.size() > 15 ||
      spec.host_interface.find('/') != std::string::npos)
    throw BadValue{"host_interface: needs 1 to 15 characters"};
  if (spec.id_base == 0) throw BadValue{"id_base: must not be 0 (the node's root)"};
  if (spec.address4 && !spec.address4->is_v4()) throw BadValue{"address4: not an IPv4 address"};
  if (spec.address6 && spec.address6->is_v4()) throw BadValue{"address6: not an IPv6 address"};
  if (spec.memory_bytes == 0 || spec.cpu_percent == 0 || spec.pids == 0)
    throw BadValue{"memory_bytes, cpu_percent and pids must not be 0"};
}

Result<json> document(std::string_view source) {
  json root = json::parse(source, nullptr, false);
  if (root.is_discarded()) return fail(Origin::kOperator, "launch spec", "not JSON");
  return root;
}

}  // namespace

Result<LaunchSpec> parse_launch_spec(std::string_view source) {
  NETSERV_ASSIGN(json root, document(source));
  LaunchSpec s;
  try {
    read_object(root, {
      {"name", [&](const json& v) { s.name = text(v); }},
      {"state_folder", [&](const json& v) { s.state_folder = text(v); }},
      {"run_folder", [&](const json& v) { s.run_folder = text(v); }},
      {"module_folder", [&](const json& v) { s.module_folder = text(v); }},
      {"program", [&](const json& v) { s.program = text(v); }},
      {"id_base", [&](const json& v) { s.id_base = number<std::uint32_t>(v); }},
      {"host_interface", [&](const json& v) { s.host_interface = text(v); }},
      {"address4", [&](const json& v) { s.address4 = parsed<IpAddress>(v); }},
      {"address6", [&](const json& v) { s.address6 = parsed<IpAddress>(v); }},
      {"network", [&](const json& v) { read_grants(v, s.network); }},
      {"memory_bytes", [&](const json& v) { s.memory_bytes = number<std::uint64_t>(v); }},
      {"cpu_percent", [&](const json& v) { s.cpu_percent = number<std::uint32_t>(v); }},
      {"pids", [&](const json& v) { s.pids = number<std::uint32_t>(v); }},
      {"spin_us", [&](const json& v) { s.spin_us = number<std::uint32_t>(v); }},
    });
    check(s);
  } catch (const BadValue& bad) {
    return fail(Origin::kOperator, "launch spec", bad.text);
  }
  return s;
}

std::string print_launch_spec(const LaunchSpec& s) {
  json root = {{"name", s.name}, {"state_folder", s.state_folder}, {"run_folder", s.run_folder},
               {"module_folder", s.module_folder}, {"program", s.program}, {"id_base", s.id_base},
               {"host_interface", s.host_interface}, {"network", grants_json(s.network)},
               {"memory_bytes", s.memory_bytes}, {"cpu_percent", s.cpu_percent}, {"pids", s.pids},
               {"spin_us", s.spin_us}};
  if (s.address4) root["address4"] = s.address4->to_string();
  if (s.address6) root["address6"] = s.address6->to_string();
  return root.dump();
}

Result<NetworkGrants> parse_network_grants(std::string_view source) {
  NETSERV_ASSIGN(json root, document(source));
  NetworkGrants grants;
  try {
    read_grants(root, grants);
  } catch (const BadValue& bad) {
    return fail(Origin::kOperator, "network grants", bad.text);
  }
  return grants;
}

std::string print_network_grants(const NetworkGrants& grants) { return grants_json(grants).dump(); }

}  // namespace netserv::lxc
