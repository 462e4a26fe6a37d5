// Distinct types for distinct names and numbers, so that one is never passed for the other.
#pragma once

#include <compare>
#include <functional>
#include <utility>

namespace netserv {

// Tag makes the type; Rep is std::string or an integer.
template <class Tag, class Rep>
class StrongId {
 public:
  StrongId() = default;
  explicit StrongId(Rep value) : value_(std::move(value)) {}
  const Rep& value() const { return value_; }
  Rep& mutable_value() { return value_; }
  auto operator<=>(const StrongId&) const = default;
  bool operator==(const StrongId&) const = default;

 private:
  Rep value_{};
};

}  // namespace netserv

template <class Tag, class Rep>
struct std::hash<netserv::StrongId<Tag, Rep>> {
  std::size_t operator()(const netserv::StrongId<Tag, Rep>& id) const { return std::hash<Rep>{}(id.value()); }
};
