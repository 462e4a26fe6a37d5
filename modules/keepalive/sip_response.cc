#include "keepalive/sip_response.h"

namespace keepalive {
namespace {

using netserv::guest::TextWriter;

bool is_source_address(Text host, const Source& source) {
  if (host.size > 2 && host[0] == '[') host = host.sub(1, host.size - 2);
  netserv_address address;
  if (!netserv_parse_address(host.data, host.size, &address) || address.family != source.family) return false;
  return __builtin_memcmp(address.bytes, source.address, source.family == 4 ? 4 : 16) == 0;
}

void write_top_via(const Request& request, const Source& source, TextWriter& out) {
  Text value = request.via[0];
  out.add("Via: ");
  uint32_t at = 0;
  if (request.rport_end != 0) {
    out.add(value.sub(0, request.rport_end)).add("=").number(source.port);
    at = request.rport_end;
  }
  out.add(value.sub(at, request.top_via_end - at));
  if (request.rport_end != 0 || !is_source_address(request.sent_by_host, source))
    out.add(";received=").address(source.family, source.address);
  out.add(value.sub(request.top_via_end)).add("\r\n");
}

uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 29;
}

uint64_t mix_text(uint64_t hash, Text text) {
  uint32_t at = 0;
  uint64_t word;
  for (; text.size - at >= 8; at += 8) {
    __builtin_memcpy(&word, text.data + at, 8);
    hash = mix(hash, word);
  }
  word = text.size;
  for (; at < text.size; at++) word = word << 8 | static_cast<uint8_t>(text[at]);
  return mix(hash, word);
}

}  // namespace

uint64_t make_tag(const Request& request, uint64_t key) {
  uint64_t hash = mix_text(key, request.call_id);
  hash = mix_text(hash, request.from);
  hash = mix_text(hash, request.cseq);
  hash = mix_text(hash, request.via[0]);
  return mix(hash, key);
}

uint32_t write_response(const Request& request, const Source& source, uint64_t tag, char* out, uint32_t capacity) {
  TextWriter writer(out, capacity);
  writer.add("SIP/2.0 200 OK\r\n");
  write_top_via(request, source, writer);
  for (uint32_t i = 1; i < request.via_lines; i++) writer.add("Via: ").add(request.via[i]).add("\r\n");
  writer.add("From: ").add(request.from).add("\r\nTo: ").add(request.to);
  if (!request.to_has_tag) writer.add(";tag=").hex(tag);
  writer.add("\r\nCall-ID: ").add(request.call_id).add("\r\nCSeq: ").add(request.cseq);
  writer.add("\r\nContent-Length: 0\r\n\r\n");
  return writer.full() ? 0 : writer.size();
}

}  // namespace keepalive
