// How fast the caches of the core that it runs on are just now: they are shared with other machines of the host, which no
// counter shows. For each line on stdin it prints, as JSON, the time of a load that hits the L2 cache, and of one that misses it
// but hits the L3: each the address of the next, over as many cache lines as fit.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { kLine = 64, kL2Lines = 256 * 1024 / kLine, kL3Lines = 4 * 1024 * 1024 / kLine, kL2Rounds = 60, kL3Rounds = 2 };

typedef struct line {
  struct line* next;
  char rest[kLine - sizeof(void*)];
} line;

// One round trip through all lines, in an order that no prefetcher guesses.
static line* make_ring(unsigned count) {
  line* lines = aligned_alloc(kLine, count * sizeof *lines);
  unsigned* order = malloc(count * sizeof *order);
  if (lines == NULL || order == NULL) abort();
  for (unsigned i = 0; i < count; i++) order[i] = i;
  for (unsigned i = count - 1; i > 0; i--) {
    unsigned j = (unsigned)random() % (i + 1), other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
  for (unsigned i = 0; i < count; i++) lines[order[i]].next = &lines[order[(i + 1) % count]];
  free(order);
  return lines;
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static line* go_round(line* at, unsigned steps) {
  while (steps-- > 0) at = at->next;
  return at;
}

static double load_ns(line* volatile* at, unsigned lines, unsigned rounds) {
  *at = go_round(*at, lines);  // now they are cached
  double start = now_ns();
  *at = go_round(*at, lines * rounds);
  return (now_ns() - start) / (lines * rounds);
}

int main(void) {
  line* volatile l2 = make_ring(kL2Lines);  // volatile: the compiler sees nobody use where it is
  line* volatile l3 = make_ring(kL3Lines);
  puts("{}");
  fflush(stdout);
  for (int c; (c = getchar()) != EOF;) {
    if (c != '\n') continue;
    double l3_ns = load_ns(&l3, kL3Lines, kL3Rounds);
    printf("{\"l2_ns\": %.2f, \"l3_ns\": %.2f}\n", load_ns(&l2, kL2Lines, kL2Rounds), l3_ns);
    fflush(stdout);
  }
  return 0;
}
