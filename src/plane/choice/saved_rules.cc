#include "plane/choice/saved_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>

namespace netserv::plane {
namespace {

constexpr std::array<std::string_view, 3> kOfForwarded{"PREROUTING", "FORWARD", "POSTROUTING"};

bool of_forwarded(std::string_view chain) {
  return std::find(kOfForwarded.begin(), kOfForwarded.end(), chain) != kOfForwarded.end();
}

// The rule as words: what "-i" and the like are followed by. A rule about all but one interface is about any.
std::string value_of(const std::vector<std::string>& words, std::string_view option) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i)
    if (words[i] == option && words[i - 1] != "!" && words[i + 1].back() != '+') return words[i + 1];
  return {};
}

}  // namespace

std::vector<RuleFacts> saved_rules(std::string_view tool, std::string_view text) {
  std::vector<RuleFacts> out;
  auto add = [&](RuleFacts fact) {
    auto same = std::find_if(out.begin(), out.end(), [&](const RuleFacts& r) {
      return r.where == fact.where && r.in == fact.in && r.out == fact.out && r.count > 0;
    });
    if (fact.count > 0 && same != out.end()) ++same->count;
    else out.push_back(std::move(fact));
  };
  std::istringstream lines{std::string(text)};
  std::string table;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('*')) table = line.substr(1);
    std::istringstream split(line);
    std::vector<std::string> words;
    for (std::string word; split >> word;) words.push_back(word);
    if (words.size() < 2) continue;
    if (words[0].starts_with(':') && of_forwarded(words[0].substr(1)) && words[1] != "ACCEPT")
      add({fmt::format("{} {} {}", tool, table, words[0].substr(1)), 0, {}, {}});
    if (words[0] != "-A" || !of_forwarded(words[1]) || value_of(words, "-j").starts_with("NETSERV-")) continue;
    add({fmt::format("{} {} {}", tool, table, words[1]), 1, value_of(words, "-i"), value_of(words, "-o")});
  }
  return out;
}

}  // namespace netserv::plane
