// wsload_state.h - what the load generator knows, and its histogram of latencies.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#ifndef WITHOUT_ZLIB
#include <zlib.h>
#endif

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { S_CONNECTING, S_HANDSHAKE, S_OPEN, S_CLOSING, S_DEAD };
enum { M_ECHO, M_IDLE, M_BCAST, M_CONNECT };

typedef struct {
    int fd;
    uint8_t state, hlen, hneed, in_payload, op, fin, verify, rsv1, msg_op, have_msg, pong_len, pong_pending, want_out;
    uint8_t hdr[14];
    uint64_t need, msgpos;      // left of the frame, bytes of the message so far
    uint64_t rxseq, txseq;      // messages fully received / queued
    uint64_t txstart;           // first frame not fully written
    size_t txoff;               // bytes of it that are written
    uint64_t *ts;               // send time of each in flight message
    uint8_t ctl[131];
    uint8_t ctlin[125], ctlin_len; // control frame that is coming in, perhaps over two reads
    char *hs; int hslen;        // handshake answer
#ifndef WITHOUT_ZLIB
    z_stream *z; uint8_t *zout; // inflate
#endif
} conn;

static int mode, port, N = 1, P = 1, W = 4, binary, json_on, deflate_on, inflight = 64, verbose, utf8;
static uint64_t fewest = 1; // messages that a measurement has at least, however long they take
static size_t S = 32;
static double T = 3, warm = 0.5, hold;
static const char *path = "/echo";
static int pids[64], npids;
static int ep;
static conn *C;
static uint8_t *frames, *payloads;
static size_t *foff; // 2V+1
static int V;
static uint64_t verify_every = 1;
static uint8_t *rbuf;
static size_t RB = 1 << 18;

static uint64_t n_msgs, n_bytes, n_verified, n_err, n_dead, n_pings, n_recv, n_send, n_wait, n_events, n_frag, n_packed;
static uint64_t n_ever; // messages that were compared since the beginning
static char errmsg[256];
static int running; // send new messages on completion
static int deflate_negotiated;
static char ext_seen[256];
static uint64_t hist[64 * 64];
static uint64_t lat_max, lat_n;
static double lat_sum;
// broadcast
static uint64_t b_ts[4096], b_seq, b_done;
static uint32_t b_cnt[4096];
// idle
static uint64_t echo_left;

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}
static uint64_t rs = 88172645463325252ull;
static inline uint64_t rnd(void) {
    rs ^= rs << 13; rs ^= rs >> 7; rs ^= rs << 17;
    return rs;
}
static void err(const char *m) {
    n_err++;
    if (!errmsg[0]) snprintf(errmsg, sizeof errmsg, "%s", m);
}
static inline void lat_add(uint64_t v) {
    if (v > lat_max) lat_max = v;
    lat_n++; lat_sum += v;
    int e = 63 - __builtin_clzll(v | 64);
    hist[(e << 6) | ((v >> (e - 6)) & 63)]++;
}
static double lat_pct(double p) {
    uint64_t want = (uint64_t)(p * lat_n), c = 0;
    if (!lat_n) return 0;
    for (int i = 0; i < 4096; i++) {
        c += hist[i];
        if (hist[i] && c > want) {
            int e = i >> 6;
            if (e < 6) return 0;
            return (double)(((uint64_t)(64 | (i & 63))) << (e - 6)) / 1000.0;
        }
    }
    return lat_max / 1000.0;
}
