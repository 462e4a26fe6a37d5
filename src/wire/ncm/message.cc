#include "wire/ncm/message.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/ncm/status.h"
#include "wire/ncm/value.h"

namespace netserv::ncm {
namespace {

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}
bool is_text_char(char c) {
  auto u = static_cast<unsigned char>(c);
  return (u >= 0x20 && u != 0x7f) || c == '\t';
}
bool is_object_char(char c) {
  auto u = static_cast<unsigned char>(c);
  return u > 0x20 && u < 0x7f;
}

// Takes the next line off `text`, without its end. False: no line end in sight.
bool take_line(std::string_view& text, std::string_view& line) {
  std::size_t end = text.find('\n');
  if (end == std::string_view::npos) return false;
  line = text.substr(0, end);
  text.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

Result<Verb> parse_verb(std::string_view word) {
  for (Verb verb : {Verb::kSetup, Verb::kRemove, Verb::kProbe, Verb::kTrigger})
    if (word == to_string(verb)) return verb;
  return refuse(StatusCode::kUnknownVerb, "first line",
                fmt::format("unknown command \"{}\" (SETUP, REMOVE, PROBE)", word.substr(0, 32)));
}

Status parse_first_line(std::string_view line, Message& out) {
  if (!std::all_of(line.begin(), line.end(), is_text_char))
    return refuse(StatusCode::kSyntax, "first line", "holds control characters");
  std::string_view rest = line;
  std::string_view verb = take_word(rest), object = take_word(rest), protocol = take_word(rest);
  if (protocol.empty() || !trim(rest).empty())
    return refuse(StatusCode::kSyntax, "first line", "is not \"COMMAND id NETSERV/0.1\"");
  if (protocol != kProtocol) {
    if (!protocol.starts_with("NETSERV/"))
      return refuse(StatusCode::kSyntax, "first line", "does not end with NETSERV/0.1");
    return refuse(StatusCode::kVersion, "first line", "only NETSERV/0.1 is spoken here");
  }
  NETSERV_ASSIGN(out.verb, parse_verb(verb));
  if (object.size() > kMaxObject)
    return refuse(StatusCode::kTooLarge, "id", fmt::format("longer than {} characters", kMaxObject));
  if (!std::all_of(object.begin(), object.end(), is_object_char))
    return refuse(StatusCode::kSyntax, "id", "must be printable ASCII");
  out.object = object;
  return {};
}

}  // namespace

std::string_view to_string(Verb verb) {
  switch (verb) {
    case Verb::kSetup: return "SETUP";
    case Verb::kRemove: return "REMOVE";
    case Verb::kProbe: return "PROBE";
    case Verb::kTrigger: return "TRIGGER";
  }
  return "?";
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

const std::string* Message::find(std::string_view name) const {
  for (const Header& h : headers)
    if (h.name == name) return &h.value;
  return nullptr;
}

void Message::set(std::string_view name, std::string value) {
  for (Header& h : headers) {
    if (h.name != name) continue;
    h.value = std::move(value);
    return;
  }
  headers.push_back({std::string(name), std::move(value)});
}

void Message::erase(std::string_view name) {
  std::erase_if(headers, [&](const Header& h) { return h.name == name; });
}

Result<Header> parse_header_line(std::string_view line) {
  std::size_t colon = line.find(':');
  std::string name = to_lower(trim(line.substr(0, colon)));
  if (colon == std::string_view::npos)
    return refuse(StatusCode::kSyntax, "header", "line without a colon");
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_char))
    return refuse(StatusCode::kSyntax, "header", "name must be letters, digits, '-', '_' and '.'");
  if (name.size() > kMaxHeaderName)
    return refuse(StatusCode::kTooLarge, "header", fmt::format("name longer than {} characters", kMaxHeaderName));
  std::string_view value = trim(line.substr(colon + 1));
  if (value.size() > kMaxHeaderValue)
    return refuse(StatusCode::kTooLarge, name, fmt::format("value longer than {} bytes", kMaxHeaderValue));
  if (!std::all_of(value.begin(), value.end(), is_text_char))
    return refuse(StatusCode::kSyntax, name, "value holds control characters");
  return Header{std::move(name), std::string(value)};
}

Result<Message> parse_message(std::string_view text) {
  if (text.size() > kMaxMessageBytes)
    return refuse(StatusCode::kTooLarge, "message", fmt::format("larger than {} bytes", kMaxMessageBytes));
  Message out;
  std::string_view line;
  if (!take_line(text, line)) return refuse(StatusCode::kSyntax, "message", "has no first line");
  NETSERV_TRY(parse_first_line(line, out));
  while (true) {
    if (!take_line(text, line)) return refuse(StatusCode::kSyntax, "message", "does not end with a blank line");
    if (trim(line).empty()) break;
    NETSERV_ASSIGN(Header header, parse_header_line(line));
    if (out.find(header.name)) return refuse(StatusCode::kDuplicateHeader, header.name, "given twice");
    if (out.headers.size() == kMaxHeaders)
      return refuse(StatusCode::kTooLarge, "message", fmt::format("more than {} headers", kMaxHeaders));
    out.headers.push_back(std::move(header));
  }
  if (!text.empty()) return refuse(StatusCode::kSyntax, "message", "bytes after the blank line");
  return out;
}

std::string print_message(const Message& message) {
  std::string out = fmt::format("{} {} {}\n", to_string(message.verb), message.object, kProtocol);
  for (const Header& h : message.headers) out += fmt::format("{}:{}\n", h.name, h.value);
  out += '\n';
  return out;
}

std::string signed_text(const Message& message) {
  std::vector<const Header*> sorted;
  for (const Header& h : message.headers)
    if (h.name != "signature") sorted.push_back(&h);
  std::sort(sorted.begin(), sorted.end(), [](const Header* a, const Header* b) { return a->name < b->name; });
  std::string out = fmt::format("{} {} {}\n", to_string(message.verb), message.object, kProtocol);
  for (const Header* h : sorted) out += fmt::format("{}:{}\n", h->name, h->value);
  return out;
}

}  // namespace netserv::ncm
