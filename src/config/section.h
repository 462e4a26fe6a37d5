// A table of the configuration file, read key by key: what is absent keeps its default, what is wrong or unknown is
// an error at its line. The first error sticks; the caller checks once.
#pragma once

#define TOML_EXCEPTIONS 0
// One of toml++'s assertions can be broken by a file ("[!" as a table's header), and would abort before the error that
// follows it is made.
#define TOML_ASSERT(condition) static_cast<void>(0)
#define TOML_HEADER_ONLY 1
#include <fmt/format.h>
#include <toml++/toml.h>

#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "wire/ip/address.h"

namespace netserv::config {

struct Problem {
  std::string file;
  std::optional<Error> first;
  void add(const toml::node& at, std::string text) {
    if (!first) first = Error{Origin::kOperator, fmt::format("{}:{}", file, at.source().begin.line), std::move(text)};
  }
};

class Section {
 public:
  Section(const toml::table& table, std::string name, Problem& problem)
      : table_(table), name_(std::move(name)), problem_(problem) {}

  void text(const char* key, std::string& out) {
    if (auto* n = find(key)) string_of(*n, key, out);
  }
  void boolean(const char* key, bool& out) {
    auto* n = find(key);
    if (!n) return;
    auto v = n->value_exact<bool>();
    if (v) out = *v; else problem_.add(*n, fmt::format("{} must be true or false", path(key)));
  }
  template <class T>
  void number(const char* key, T& out, std::int64_t least = 0, std::int64_t most = std::numeric_limits<T>::max()) {
    if (auto* n = find(key)) number_of(*n, key, out, least, most);
  }
  // A value of a type with `Result<T> parse(text)`.
  template <class T>
  void parsed(const char* key, T& out, Result<T> (*parse)(std::string_view)) {
    if (auto* n = find(key)) parsed_of(*n, key, out, parse);
  }
  template <class T>
  void list(const char* key, std::vector<T>& out, const std::function<void(const toml::node&, T&)>& element) {
    auto* n = find(key);
    if (!n) return;
    auto* array = n->as_array();
    if (!array) return problem_.add(*n, fmt::format("{} must be a list", path(key)));
    out.clear();
    for (const toml::node& e : *array) element(e, out.emplace_back());
  }
  void texts(const char* key, std::vector<std::string>& out) {
    list<std::string>(key, out, [&](const toml::node& n, std::string& s) { string_of(n, key, s); });
  }
  void prefixes(const char* key, std::vector<Prefix>& out) {
    list<Prefix>(key, out, [&](const toml::node& n, Prefix& p) { parsed_of(n, key, p, &Prefix::parse); });
  }
  void problem(const char* key, std::string text) {
    auto* n = table_.get(key);
    problem_.add(n ? *n : static_cast<const toml::node&>(table_), fmt::format("{} {}", path(key), text));
  }
  bool has(const char* key) const { return table_.contains(key); }
  void require(const char* key) {
    if (!has(key)) problem_.add(table_, fmt::format("{} is missing", path(key)));
  }
  void refuse_unknown() {
    for (auto&& [key, value] : table_)
      if (!known_.count(std::string(key.str()))) problem_.add(value, fmt::format("{} is not known", path(key.str())));
  }

  void string_of(const toml::node& n, const char* key, std::string& out) {
    auto v = n.value_exact<std::string>();
    if (v) out = *v; else problem_.add(n, fmt::format("{} must be a text in quotes", path(key)));
  }
  template <class T>
  void number_of(const toml::node& n, const char* key, T& out, std::int64_t least, std::int64_t most) {
    auto v = n.value_exact<std::int64_t>();
    if (!v || *v < least || *v > most)
      return problem_.add(n, fmt::format("{} must be a number from {} to {}", path(key), least, most));
    out = static_cast<T>(*v);
  }
  template <class T>
  void parsed_of(const toml::node& n, const char* key, T& out, Result<T> (*parse)(std::string_view)) {
    std::string raw;
    string_of(n, key, raw);
    if (problem_.first) return;
    Result<T> v = parse(raw);
    if (v) out = *v; else problem_.add(n, fmt::format("{}: {}", path(key), v.error().message()));
  }

 private:
  const toml::node* find(const char* key) {
    known_.insert(key);
    return table_.get(key);
  }
  std::string path(std::string_view key) const { return name_.empty() ? std::string(key) : fmt::format("{}.{}", name_, key); }

  const toml::table& table_;
  std::string name_;
  Problem& problem_;
  std::set<std::string> known_;
};

}  // namespace netserv::config
