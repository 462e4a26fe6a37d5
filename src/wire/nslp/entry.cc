// Entries of the response stack: made from a controller's answer, and made to fit.
#include <algorithm>

#include "wire/ncm/selection.h"
#include "wire/nslp/objects.h"

namespace netserv::nslp {
namespace {

constexpr std::size_t kMaxObjectText = 64, kMaxText = 160, kMaxState = 32;

// One line of at most `limit` bytes.
std::string line(std::string text, std::size_t limit) {
  if (text.size() > limit) text.resize(limit);
  for (char& c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) c = ' ';
  }
  return text;
}

std::size_t encoded_size(const Entry& e) { return 4 + (encode_entry(e).size() + 3) / 4 * 4; }

std::size_t encoded_size(const Response& r) {
  std::size_t size = 12;
  for (const Entry& e : r.stack) size += encoded_size(e);
  for (const ForeignObject& o : r.foreign) size += 4 + o.value.size();
  return size;
}

}  // namespace

Entry to_entry(const ncm::Response& response, std::string node, const IpAddress& address) {
  Entry e;
  e.node = std::move(node);
  e.address = address;
  e.code = response.code;
  const int hundreds = ncm::number(e.code) / 100;
  if (hundreds < 1 || hundreds > 6) e.code = ncm::StatusCode::kInternal;
  e.object = line(response.object, kMaxObjectText);
  e.text = line(response.text, kMaxText);
  e.state = line(response.state, kMaxState);
  e.body = response.body;
  if (e.body.size() > kMaxEntryBody) e.body.clear(), e.body_left_out = true;
  return e;
}

void shrink(Response& r, std::size_t limit) {
  if (r.stack.size() > kMaxEntries) r.stack.resize(kMaxEntries);
  std::size_t size = encoded_size(r);
  while (size > limit) {
    const auto largest = std::max_element(r.stack.begin(), r.stack.end(),
                                          [](const Entry& a, const Entry& b) { return a.body.size() < b.body.size(); });
    if (largest == r.stack.end() || largest->body.empty()) break;
    largest->body.clear();
    largest->body_left_out = true;
    size = encoded_size(r);
  }
  // Of a later version, from far away perhaps: less than what any node answered.
  while (size > limit && !r.foreign.empty()) {
    r.foreign.pop_back();
    size = encoded_size(r);
  }
  for (std::string Entry::*field : {&Entry::text, &Entry::object})
    for (auto e = r.stack.rbegin(); e != r.stack.rend() && size > limit; ++e) {
      (*e).*field = "";
      size = encoded_size(r);
    }
  while (size > limit && !r.stack.empty()) {
    r.stack.pop_back();
    size = encoded_size(r);
  }
}

std::vector<Microseconds> round_trips(const std::vector<Entry>& stack, Microseconds first_wait) {
  std::vector<Microseconds> out;
  Microseconds sum{}, wait = first_wait;
  for (const Entry& e : stack) {
    if (wait > e.residence) sum += wait - e.residence;
    out.push_back(sum);
    wait = e.wait;
  }
  return out;
}

}  // namespace netserv::nslp
