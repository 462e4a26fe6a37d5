/* The least a user-space program can do on a netfilter queue: read many packets with one recvmmsg, touch their
 * bytes, accept them with one batch verdict. The base line for the netfilter plane's rates.
 *
 *   bare_queue QUEUE     says "ready"; a line on standard input prints how many packets it has accepted, as JSON; ends
 *                        with standard input */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { kMessages = 64, kBytes = 4096 };

static atomic_ullong accepted, touched;

/* In a thread of its own, so that it costs nothing on the way of the packets. */
static void* answer(void* nothing) {
  for (int c; (c = getchar()) != EOF;) {
    if (c != '\n') continue;
    printf("{\"accepted\": %llu, \"touched\": %llu}\n", accepted, touched);
    fflush(stdout);
  }
  exit(0);
  return nothing;
}

static struct nlmsghdr* message(char* buffer, int type, uint16_t queue) {
  struct nlmsghdr* header = mnl_nlmsg_put_header(buffer);
  header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | type);
  header->nlmsg_flags = NLM_F_REQUEST;
  struct nfgenmsg* generic = mnl_nlmsg_put_extra_header(header, sizeof *generic);
  generic->nfgen_family = AF_UNSPEC;
  generic->version = NFNETLINK_V0;
  generic->res_id = htons(queue);
  return header;
}

static void die(const char* what) {
  perror(what);
  exit(1);
}

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: bare_queue QUEUE\n");
    return 2;
  }
  uint16_t queue = (uint16_t)atoi(argv[1]);
  struct mnl_socket* socket = mnl_socket_open(NETLINK_NETFILTER);
  if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) die("netlink socket");
  int fd = mnl_socket_get_fd(socket), size = 8 << 20, on = 1;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof on);

  static char buffer[4096];
  struct nlmsghdr* header = message(buffer, NFQNL_MSG_CONFIG, queue);
  struct nfqnl_msg_config_cmd bind_command = {.command = NFQNL_CFG_CMD_BIND};
  mnl_attr_put(header, NFQA_CFG_CMD, sizeof bind_command, &bind_command);
  if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) die("bind");
  header = message(buffer, NFQNL_MSG_CONFIG, queue);
  struct nfqnl_msg_config_params params = {.copy_range = htonl(0xffff), .copy_mode = NFQNL_COPY_PACKET};
  mnl_attr_put(header, NFQA_CFG_PARAMS, sizeof params, &params);
  mnl_attr_put_u32(header, NFQA_CFG_QUEUE_MAXLEN, htonl(8192));
  mnl_attr_put_u32(header, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_FAIL_OPEN));
  mnl_attr_put_u32(header, NFQA_CFG_MASK, htonl(NFQA_CFG_F_FAIL_OPEN));
  if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) die("configure");

  puts("{\"ready\": true}");
  fflush(stdout);
  pthread_t answering;
  if (pthread_create(&answering, NULL, answer, NULL) != 0) die("thread");

  static char data[kMessages][kBytes];
  struct iovec parts[kMessages];
  struct mmsghdr messages[kMessages];
  for (int i = 0; i < kMessages; ++i) {
    parts[i] = (struct iovec){data[i], kBytes};
    messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &parts[i], .msg_iovlen = 1}};
  }
  for (;;) {
    int n = recvmmsg(fd, messages, kMessages, MSG_WAITFORONE, NULL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) die("recvmmsg");
    uint32_t last = 0;
    unsigned packets = 0, bytes = 0;
    for (int i = 0; i < n; ++i) {
      struct nlmsghdr* m = (struct nlmsghdr*)data[i];
      if (!mnl_nlmsg_ok(m, (int)messages[i].msg_len) || (m->nlmsg_type & 0xff) != NFQNL_MSG_PACKET) continue;
      struct nlattr* attribute;
      mnl_attr_for_each(attribute, m, sizeof(struct nfgenmsg)) {
        if (mnl_attr_get_type(attribute) == NFQA_PACKET_HDR) {
          last = ntohl(((struct nfqnl_msg_packet_hdr*)mnl_attr_get_payload(attribute))->packet_id);
          ++packets;
        } else if (mnl_attr_get_type(attribute) == NFQA_PAYLOAD) {
          bytes += *(unsigned char*)mnl_attr_get_payload(attribute);
        }
      }
    }
    if (packets == 0) continue;
    header = message(buffer, NFQNL_MSG_VERDICT_BATCH, queue);
    struct nfqnl_msg_verdict_hdr verdict = {.verdict = htonl(NF_ACCEPT), .id = htonl(last)};
    mnl_attr_put(header, NFQA_VERDICT_HDR, sizeof verdict, &verdict);
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) die("verdict");
    /* No other thread writes them. */
    atomic_store_explicit(&accepted, accepted + packets, memory_order_relaxed);
    atomic_store_explicit(&touched, touched + bytes, memory_order_relaxed);
  }
}
