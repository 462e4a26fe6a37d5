// The datagrams that NetMonitor sends: JSON objects of at most kDatagramMax bytes, as many as a report needs.
//
//   {"netmonitor":1,"report":7,"part":0,"last":true,"packets":1200,"overflow":0,"lost":0,"counts":[
//     ["192.0.2.1","198.51.100.7",63,400],["2001:db8::1","2001:db8::2",64,800]]}
//
// report     numbers the half-seconds since the module started; part the datagrams of one, from 0;
//            last is true in the last one
// packets    all packets seen since the module started; overflow those of them not in the table
// lost       copies that an observer did not get, for want of room; 0 in the path
// counts     [source, destination, TTL, packets of that kind]: the rows that grew since the last report. The
//            number counts from the row's first packet, so a lost datagram loses nothing; a row forgotten
//            after a minute's silence starts from 0 again.
// A report in which no row grew is one datagram with an empty list: a sign of life.
#ifndef NETMONITOR_REPORT_H
#define NETMONITOR_REPORT_H

#include <stdint.h>

#include "netserv/text.hpp"

namespace netmonitor {

inline constexpr uint32_t kDatagramMax = 1200;

struct ReportHeader {
  uint64_t report;
  uint64_t packets;
  uint64_t overflow;
  uint64_t lost;
};

// Calls bool send(Text) with each full datagram; once it returned false the rest of the report is given up.
template <class Send>
class ReportWriter {
 public:
  ReportWriter(const ReportHeader& header, Send send) : header_(header), send_(send) { begin(); }

  // False if the row did not leave this module, now or later: it then counts as not reported. (A row in the
  // datagram that is being filled when sending fails is lost with it, and comes again once it grows.)
  bool row(uint8_t family, const uint8_t* source, const uint8_t* destination, uint32_t ttl, uint64_t count) {
    if (failed_) return false;
    if (add_row(family, source, destination, ttl, count)) return true;
    flush(false);
    return !failed_ && add_row(family, source, destination, ttl, count);
  }
  // True if all datagrams were sent.
  bool end() {
    if (!failed_) flush(true);
    return !failed_;
  }

 private:
  static constexpr uint32_t kTailBytes = 2;  // "]}"

  // `last` stands at a fixed place with a fixed width, so it can be written when it is known.
  void begin() {
    writer_.cut(0);
    writer_.add("{\"netmonitor\":1,\"report\":").number(header_.report).add(",\"part\":").number(part_);
    writer_.add(",\"last\":");
    last_at_ = writer_.size();
    writer_.add("false,\"packets\":").number(header_.packets).add(",\"overflow\":").number(header_.overflow);
    writer_.add(",\"lost\":").number(header_.lost).add(",\"counts\":[");
    first_ = true;
  }
  bool add_row(uint8_t family, const uint8_t* source, const uint8_t* destination, uint32_t ttl, uint64_t count) {
    uint32_t before = writer_.size();
    writer_.add(first_ ? netserv::guest::Text("[\"") : netserv::guest::Text(",[\""));
    writer_.address(family, source).add("\",\"").address(family, destination).add("\",").number(ttl);
    writer_.add(",").number(count).add("]");
    if (writer_.full()) {
      writer_.cut(before);
      return false;
    }
    first_ = false;
    return true;
  }
  void flush(bool last) {
    if (last) __builtin_memcpy(buffer_ + last_at_, "true ", 5);
    uint32_t size = writer_.size();
    buffer_[size] = ']';
    buffer_[size + 1] = '}';
    if (!send_(netserv::guest::Text(buffer_, size + kTailBytes))) failed_ = true;
    part_++;
    if (!last) begin();
  }

  ReportHeader header_;
  Send send_;
  char buffer_[kDatagramMax];
  netserv::guest::TextWriter writer_{buffer_, kDatagramMax - kTailBytes};
  uint32_t part_ = 0;
  uint32_t last_at_ = 0;
  bool first_ = true;
  bool failed_ = false;
};

}  // namespace netmonitor

#endif  // NETMONITOR_REPORT_H
