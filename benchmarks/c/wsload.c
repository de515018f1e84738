// wsload.c - single threaded epoll WebSocket load generator.
//   wsload echo      -p PORT [-u /path] -n CONNS -P DEPTH -s SIZE -t SECS -w WARM [-b] [-z] [-R] [-q pid,pid]
//   wsload idle      -p PORT -n CONNS -q pid,pid [-H SECS]
//   wsload broadcast -p PORT -u /broadcast -n SUBS -s SIZE -t SECS [-W window]
// -q: the server's processes, whose CPU and memory are measured.  -H: with all connections open, print
// {"event":"held",...} and hold them until standard input is closed, SECS at most.  -DWITHOUT_ZLIB: no -z.
// Prints one JSON object.  Frames are prebuilt (random masks, random payloads); V>=P frames are laid out
// twice in a row so that any run of pending frames is one contiguous send().
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
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

enum { S_CONNECTING, S_HANDSHAKE, S_OPEN, S_DEAD };
enum { M_ECHO, M_IDLE, M_BCAST };

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

static int mode, port, N = 1, P = 1, W = 4, binary, deflate_on, rawmode, spin, inflight = 64, verbose, utf8;
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

static uint64_t n_msgs, n_bytes, n_verified, n_err, n_dead, n_pings, n_recv, n_send, n_wait, n_events, n_frag;
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

// ---- /proc
static long rss_kb(void) {
    long tot = 0;
    for (int i = 0; i < npids; i++) {
        char f[64], l[256];
        snprintf(f, sizeof f, "/proc/%d/status", pids[i]);
        FILE *fp = fopen(f, "r");
        if (!fp) continue;
        while (fgets(l, sizeof l, fp))
            if (!strncmp(l, "VmRSS:", 6)) tot += atol(l + 6);
        fclose(fp);
    }
    return tot;
}
static void cpu_of(double *u, double *s, double *run) { // seconds; run = schedstat on-cpu of all threads
    *u = *s = *run = 0;
    long hz = sysconf(_SC_CLK_TCK);
    for (int i = 0; i < npids; i++) {
        char f[300], b[1024];
        snprintf(f, sizeof f, "/proc/%d/stat", pids[i]);
        FILE *fp = fopen(f, "r");
        if (!fp) continue;
        size_t k = fread(b, 1, sizeof b - 1, fp);
        b[k] = 0;
        fclose(fp);
        char *q = strrchr(b, ')');
        unsigned long ut, st;
        if (q && sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut, &st) == 2) {
            *u += (double)ut / hz;
            *s += (double)st / hz;
        }
        snprintf(f, sizeof f, "/proc/%d/task", pids[i]);
        DIR *d = opendir(f);
        if (!d) continue;
        struct dirent *de;
        while ((de = readdir(d))) {
            if (!isdigit((unsigned char)de->d_name[0])) continue;
            char g[600];
            snprintf(g, sizeof g, "/proc/%d/task/%s/schedstat", pids[i], de->d_name);
            fp = fopen(g, "r");
            unsigned long long r;
            if (fp && fscanf(fp, "%llu", &r) == 1) *run += r / 1e9;
            if (fp) fclose(fp);
        }
        closedir(d);
    }
}
static void cpu_line(int cpu, uint64_t *busy, uint64_t *idle, uint64_t *steal) {
    FILE *fp = fopen("/proc/stat", "r");
    char l[512], nm[16];
    snprintf(nm, sizeof nm, "cpu%d ", cpu);
    *busy = *idle = 0;
    while (fp && fgets(l, sizeof l, fp))
        if (!strncmp(l, nm, strlen(nm))) {
            unsigned long long a[8] = {0};
            sscanf(l + strlen(nm), "%llu %llu %llu %llu %llu %llu %llu %llu", a, a + 1, a + 2, a + 3, a + 4, a + 5, a + 6, a + 7);
            *idle = a[3] + a[4];
            *busy = a[0] + a[1] + a[2] + a[5] + a[6];
            *steal = a[7];
        }
    if (fp) fclose(fp);
}

// ---- frames
static size_t put_frame(uint8_t *o, int op, int rsv1, const uint8_t *pl, size_t n) {
    size_t h = 2;
    o[0] = 0x80 | (rsv1 ? 0x40 : 0) | op;
    if (n < 126) o[1] = 0x80 | n;
    else if (n < 65536) { o[1] = 0x80 | 126; o[2] = n >> 8; o[3] = n; h = 4; }
    else { o[1] = 0x80 | 127; for (int i = 0; i < 8; i++) o[2 + i] = (uint64_t)n >> (56 - 8 * i); h = 10; }
    uint32_t m;
    do m = rnd() >> 13; while (!m);
    memcpy(o + h, &m, 4);
    uint8_t *k = o + h;
    for (size_t i = 0; i < n; i++) o[h + 4 + i] = pl[i] ^ k[i & 3];
    return h + 4 + n;
}
static void json_payload(uint8_t *p, size_t n) {
    static const char *keys[] = {"user", "timestamp", "message", "room", "price", "quantity", "symbol", "side", "status", "id"};
    static const char *words[] = {"hello", "world", "update", "trade", "filled", "pending", "london", "paris", "quick", "brown", "fox"};
    size_t o = 0;
    char t[128];
    p[o++] = '[';
    while (o < n - 1) {
        int k = snprintf(t, sizeof t, "{\"%s\": %llu, \"%s\": \"%s %s\", \"%s\": %llu.%02llu}, ", keys[rnd() % 10], (unsigned long long)(rnd() % 1000000),
                         keys[rnd() % 10], words[rnd() % 11], words[rnd() % 11], keys[rnd() % 10], (unsigned long long)(rnd() % 10000), (unsigned long long)(rnd() % 100));
        for (int i = 0; i < k && o < n - 1; i++) p[o++] = t[i];
    }
    p[o] = ']';
}
static void build_frames(void) {
    V = S <= 4096 ? 64 : S <= 65536 ? 8 : 2;
    if (V < P) V = P;
    if (V < W && mode == M_BCAST) V = W;
    size_t cap = (size_t)V * 2 * (S * (deflate_on ? 2 : 1) + 64);
    frames = malloc(cap);
    payloads = malloc((size_t)V * S + 8);
    foff = calloc(2 * V + 1, sizeof *foff);
    for (int v = 0; v < V; v++) {
        uint8_t *p = payloads + (size_t)v * S;
        if (deflate_on) json_payload(p, S);
        else if (binary) for (size_t i = 0; i < S; i++) p[i] = rnd() >> 17;
        else if (utf8) {
            size_t i = 0;
            while (i < S) {
                int r = rnd() >> 9 & 3;
                if (r == 1 && S - i >= 2) { p[i++] = 0xC3; p[i++] = 0xA9; }
                else if (r == 2 && S - i >= 3) { p[i++] = 0xE2; p[i++] = 0x82; p[i++] = 0xAC; }
                else p[i++] = 'a' + (rnd() >> 20) % 26;
            }
        } else for (size_t i = 0; i < S; i++) p[i] = ' ' + 1 + (rnd() >> 17) % 93;
    }
    size_t o = 0;
    for (int v = 0; v < 2 * V; v++) {
        uint8_t *p = payloads + (size_t)(v % V) * S;
        foff[v] = o;
        if (v >= V) { // an exact copy of the first half: same masks
            size_t len = foff[v - V + 1] - foff[v - V];
            memcpy(frames + o, frames + foff[v - V], len);
            o += len;
#ifndef WITHOUT_ZLIB
        } else if (deflate_on && deflate_negotiated) {
            z_stream z = {0};
            deflateInit2(&z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
            uint8_t *t = malloc(S * 2 + 64);
            z.next_in = p; z.avail_in = S; z.next_out = t; z.avail_out = S * 2 + 64;
            deflate(&z, Z_SYNC_FLUSH);
            size_t zl = S * 2 + 64 - z.avail_out - 4;
            deflateEnd(&z);
            o += put_frame(frames + o, binary ? 2 : 1, 1, t, zl);
            free(t);
#endif
        } else o += put_frame(frames + o, binary ? 2 : 1, 0, p, S);
        foff[v + 1] = o;
    }
    verify_every = S <= 2048 ? 1 : 8;
}

// ---- sending
static void kill_conn(conn *c, const char *m) {
    if (c->state == S_DEAD) return;
    if (verbose) fprintf(stderr, "conn %ld: %s\n", (long)(c - C), m);
    if (m) err(m);
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    c->state = S_DEAD;
    n_dead++;
}
static void want(conn *c, int out) {
    if (c->want_out == out) return;
    c->want_out = out;
    struct epoll_event e = {.events = EPOLLIN | EPOLLET | (out ? EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void flush_conn(conn *c) {
    while (c->txstart < c->txseq) {
        uint64_t a = c->txstart % V, k = c->txseq - c->txstart;
        size_t lo = foff[a] + c->txoff, hi = foff[a + k];
        ssize_t w = send(c->fd, frames + lo, hi - lo, MSG_NOSIGNAL | MSG_DONTWAIT);
        n_send++;
        if (w < 0) {
            if (errno == EAGAIN || errno == EINTR) { want(c, 1); return; }
            kill_conn(c, "send failed");
            return;
        }
        if ((size_t)w == hi - lo) { c->txstart = c->txseq; c->txoff = 0; break; }
        // partial
        size_t pos = lo + w;
        uint64_t f = a;
        while (foff[f + 1] <= pos) f++;
        c->txstart += f - a;
        c->txoff = pos - foff[f];
    }
    if (c->pong_pending) {
        c->pong_pending = 0;
        if (send(c->fd, c->ctl, c->pong_len, MSG_NOSIGNAL | MSG_DONTWAIT) != c->pong_len) err("pong not sent");
    }
    want(c, 0);
}
static inline void queue_msg(conn *c, uint64_t t) {
    c->ts[c->txseq % P] = t;
    c->txseq++;
}
static void bcast_send(uint64_t t) {
    while (b_seq - b_done < (uint64_t)W) {
        b_ts[b_seq % 4096] = t;
        b_cnt[b_seq % 4096] = 0;
        b_seq++;
        C[0].txseq++;
    }
    flush_conn(&C[0]);
}

// ---- receiving
static int completed; // messages completed within this read of this connection
static inline void msg_done(conn *c, uint64_t t) {
    uint64_t seq = c->rxseq++;
    c->have_msg = 0;
    if (c->verify) n_verified++;
    n_msgs++;
    n_bytes += S;
    if (mode == M_BCAST) {
        if (++b_cnt[seq % 4096] == (uint32_t)N) {
            lat_add(t - b_ts[seq % 4096]);
            b_done++;
        }
        return;
    }
    lat_add(t - c->ts[seq % P]);
    if (mode == M_IDLE) { if (echo_left) echo_left--; return; }
    completed++;
}
static void on_ctl(conn *c, const uint8_t *p, size_t n) {
    if (c->op == 9) {
        n_pings++;
        c->pong_len = put_frame(c->ctl, 10, 0, p, n);
        c->pong_pending = 1;
        if (c->txstart == c->txseq) flush_conn(c);
    } else if (c->op == 8) kill_conn(c, "server sent close");
}
static void feed_raw(conn *c, const uint8_t *p, size_t n, uint64_t t) {
    while (n) {
        uint64_t v = c->rxseq % V;
        size_t fl = foff[v + 1] - foff[v], k = fl - c->msgpos;
        if (k > n) k = n;
        c->verify = 1;
        if (c->rxseq % verify_every == 0 && memcmp(p, frames + foff[v] + c->msgpos, k)) return kill_conn(c, "raw echo differs");
        c->msgpos += k; p += k; n -= k;
        if (c->msgpos == fl) { c->msgpos = 0; msg_done(c, t); }
    }
}
static void feed(conn *c, const uint8_t *p, size_t n, uint64_t t) {
    if (rawmode) return feed_raw(c, p, n, t);
    while (n || (c->in_payload && !c->need)) {
        if (!c->in_payload) {
            // header: fast path when it is whole
            if (c->hlen == 0) c->hneed = 2;
            while (n && c->hlen < c->hneed) {
                c->hdr[c->hlen++] = *p++; n--;
                if (c->hlen == 2) {
                    int l = c->hdr[1] & 127;
                    if (c->hdr[1] & 128) return kill_conn(c, "masked frame from server");
                    c->hneed = l == 126 ? 4 : l == 127 ? 10 : 2;
                }
            }
            if (c->hlen < c->hneed) return;
            uint64_t l = c->hdr[1] & 127;
            if (l == 126) l = c->hdr[2] << 8 | c->hdr[3];
            else if (l == 127) { l = 0; for (int i = 0; i < 8; i++) l = l << 8 | c->hdr[2 + i]; }
            c->op = c->hdr[0] & 15; c->fin = c->hdr[0] >> 7; 
            c->hlen = 0; c->need = l; c->in_payload = 1;
            if (c->op >= 8) { if (l > 125) return kill_conn(c, "long control frame"); }
            else {
                if (c->op != 0) {
                    if (c->have_msg) return kill_conn(c, "new message inside a message");
                    c->have_msg = 1; c->msg_op = c->op; c->msgpos = 0; c->rsv1 = c->hdr[0] >> 6 & 1;
                    c->verify = c->rxseq % verify_every == 0;
                    if (c->op != (binary ? 2 : 1)) return kill_conn(c, "wrong opcode");
                    if (mode != M_BCAST && c->rxseq >= c->txseq) return kill_conn(c, "message never asked for");
                    if (c->rsv1 && !deflate_negotiated) return kill_conn(c, "rsv1");
                } else n_frag++;
                if (!c->rsv1 && c->msgpos + l > S) return kill_conn(c, "message too long");
            }
        }
        if (c->op >= 8) {
            size_t k = c->need < n ? c->need : n;
            memcpy(c->ctlin + c->ctlin_len, p, k);
            c->ctlin_len += k; p += k; n -= k; c->need -= k;
            if (c->need) return;
            c->in_payload = 0;
            k = c->ctlin_len; c->ctlin_len = 0;
            on_ctl(c, c->ctlin, k);
            if (c->state == S_DEAD) return;
            continue;
        }
        size_t k = c->need < n ? c->need : n;
        uint64_t v = c->rxseq % V;
#ifndef WITHOUT_ZLIB
        if (c->rsv1) {
            if (!c->z) {
                c->z = calloc(1, sizeof *c->z);
                inflateInit2(c->z, -15);
                c->zout = malloc(S + 16);
            }
            if (c->msgpos == 0 && c->z->next_out != c->zout) { c->z->next_out = c->zout; c->z->avail_out = S + 16; }
            c->z->next_in = (uint8_t *)p; c->z->avail_in = k;
            int r = k ? inflate(c->z, Z_SYNC_FLUSH) : Z_OK;
            if (r != Z_OK && r != Z_BUF_ERROR) return kill_conn(c, "inflate failed");
            c->msgpos = 1; // started
        } else
#endif
        {
            if (c->verify && k && memcmp(p, payloads + v * S + c->msgpos, k)) return kill_conn(c, "echo differs");
            c->msgpos += k;
        }
        p += k; n -= k; c->need -= k;
        if (!c->need) {
            c->in_payload = 0;
            if (c->fin) {
#ifndef WITHOUT_ZLIB
                if (c->rsv1) {
                    static uint8_t tail[4] = {0, 0, 255, 255};
                    c->z->next_in = tail; c->z->avail_in = 4;
                    int r = inflate(c->z, Z_SYNC_FLUSH);
                    if (r != Z_OK && r != Z_BUF_ERROR) return kill_conn(c, "inflate tail failed");
                    if (c->z->next_out - c->zout != (long)S || memcmp(c->zout, payloads + v * S, S)) return kill_conn(c, "inflated echo differs");
                    c->z->next_out = c->zout; c->z->avail_out = S + 16;
                    c->verify = 1;
                } else
#endif
                if (c->msgpos != S) return kill_conn(c, "short message");
                msg_done(c, t);
            }
        } else return;
    }
}
static char req[1024];
static int reqlen;
static uint64_t n_open, n_pending;
static void handshake_answer(conn *c, const uint8_t *p, size_t n) {
    if (!c->hs) { c->hs = malloc(4096); c->hslen = 0; }
    if (c->hslen + n > 4095) { n_pending--; return kill_conn(c, "handshake answer too long"); }
    memcpy(c->hs + c->hslen, p, n);
    c->hslen += n;
    c->hs[c->hslen] = 0;
    char *e = strstr(c->hs, "\r\n\r\n");
    if (!e) return;
    n_pending--;
    int st = 0;
    sscanf(c->hs, "HTTP/1.1 %d", &st);
    if (st != 101) {
        char m[200];
        snprintf(m, sizeof m, "handshake status: %.100s", c->hs);
        for (char *q = m; *q; q++) if (*q < 32) *q = ' ';
        return kill_conn(c, m);
    }
    if (!strstr(c->hs, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) return kill_conn(c, "bad accept");
    char *x = strcasestr(c->hs, "\r\nsec-websocket-extensions:");
    if (x && x < e) {
        char *y = strstr(x + 2, "\r\n");
        int l = y - x - 28;
        if (l > 255) l = 255;
        if (l > 0 && !ext_seen[0]) { memcpy(ext_seen, x + 28, l); ext_seen[l] = 0; }
        if (strstr(x, "permessage-deflate")) deflate_negotiated = 1;
    }
    c->state = S_OPEN;
    n_open++;
    size_t used = e + 4 - c->hs;
    size_t extra = c->hslen - used;
    if (extra) feed(c, (uint8_t *)c->hs + used, extra, now_ns());
    free(c->hs);
    c->hs = 0;
}
static void on_event(conn *c, uint32_t ev) {
    if (c->state == S_DEAD) return;
    if (c->state == S_CONNECTING) {
        int e = 0; socklen_t l = sizeof e;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
        if (e) { n_pending--; return kill_conn(c, strerror(e)); }
        if (!(ev & EPOLLOUT)) return;
        if (rawmode) { c->state = S_OPEN; n_open++; n_pending--; want(c, 0); return; }
        if (send(c->fd, req, reqlen, MSG_NOSIGNAL) != reqlen) { n_pending--; return kill_conn(c, "handshake not sent"); }
        c->state = S_HANDSHAKE;
        want(c, 0);
    }
    if (ev & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) {
        completed = 0;
        for (;;) {
            ssize_t r = recv(c->fd, rbuf, RB, MSG_DONTWAIT);
            n_recv++;
            if (r < 0) {
                if (errno == EAGAIN || errno == EINTR) break;
                if (c->state == S_HANDSHAKE) n_pending--;
                return kill_conn(c, "recv failed");
            }
            if (r == 0) {
                if (c->state == S_HANDSHAKE) n_pending--;
                return kill_conn(c, "server closed");
            }
            if (c->state == S_HANDSHAKE) handshake_answer(c, rbuf, r);
            else feed(c, rbuf, r, now_ns());
            if (c->state == S_DEAD) return;
            if ((size_t)r < RB) break;
        }
        if (completed && running) {
            uint64_t t = now_ns();
            for (int i = 0; i < completed; i++) queue_msg(c, t);
            if (!c->want_out) flush_conn(c);
        }
    }
    if (c->state == S_OPEN && (ev & EPOLLOUT) && c->want_out) { c->want_out = 1; flush_conn(c); }
}
static struct epoll_event evs[1024];
static int poll_once(int ms) {
    int k = epoll_wait(ep, evs, 1024, spin ? 0 : ms);
    n_wait++;
    if (k > 0) n_events += k;
    for (int i = 0; i < k; i++) on_event(evs[i].data.ptr, evs[i].events);
    return k;
}
static void start_conn(conn *c, int idx) {
    memset(c, 0, sizeof *c);
    c->ts = malloc(sizeof(uint64_t) * (P > 1 ? P : 1));
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) { perror("socket"); exit(3); }
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET};
    a.sin_addr.s_addr = htonl(0x7f000000u | (2 + idx / 15000 + (getpid() % 100) * 2)); // 127.0.0.x
    if (bind(c->fd, (void *)&a, sizeof a)) perror("bind");
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    a.sin_port = htons(port);
    c->state = S_CONNECTING;
    c->want_out = 1;
    int r = connect(c->fd, (void *)&a, sizeof a);
    if (r < 0 && errno != EINPROGRESS) { kill_conn(c, "connect failed"); return; }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &e);
    n_pending++;
}
static void open_range(int from, int to, double limit_s) {
    uint64_t end = now_ns() + (uint64_t)(limit_s * 1e9);
    int i = from;
    uint64_t goal = n_open + (to - from), d0 = n_dead;
    while (n_open + (n_dead - d0) < goal && now_ns() < end) {
        while (i < to && n_pending < (uint64_t)inflight) { start_conn(&C[i], i); i++; }
        poll_once(50);
        if (n_dead - d0 > 200) break;
    }
    for (int j = from; j < to; j++)
        if (j >= i || C[j].state != S_OPEN) {
            if (j >= i) { C[j].fd = -1; C[j].state = S_DEAD; }
            else kill_conn(&C[j], "not open in time");
        }
}
static void shut_range(int from, int to) {
    for (int i = from; i < to; i++)
        if (C[i].state == S_OPEN) {
            if (!rawmode) {
                uint8_t b[16], pl[2] = {3, 232};
                size_t l = put_frame(b, 8, 0, pl, 2);
                send(C[i].fd, b, l, MSG_NOSIGNAL | MSG_DONTWAIT);
            }
        }
    // drain answers for a moment, then reset
    uint64_t end = now_ns() + 300000000ull + (uint64_t)(to - from) * 100000ull;
    int left = 1;
    while (left && now_ns() < end && !rawmode) {
        int k = epoll_wait(ep, evs, 1024, 20);
        for (int i = 0; i < k; i++) {
            conn *c = evs[i].data.ptr;
            if (c->state != S_OPEN) continue;
            ssize_t r;
            while ((r = recv(c->fd, rbuf, RB, MSG_DONTWAIT)) > 0) {}
            if (r == 0 || (r < 0 && errno != EAGAIN)) { close(c->fd); c->fd = -1; c->state = S_DEAD; }
        }
        left = 0;
        for (int i = from; i < to; i++) if (C[i].state == S_OPEN) { left = 1; break; }
    }
    struct linger lg = {1, 0};
    for (int i = from; i < to; i++)
        if (C[i].state == S_OPEN) {
            setsockopt(C[i].fd, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
            close(C[i].fd);
            C[i].state = S_DEAD;
        }
}
static void reset_counts(void) {
    n_msgs = n_bytes = n_verified = n_recv = n_send = n_wait = n_events = n_frag = 0;
    memset(hist, 0, sizeof hist);
    lat_max = lat_n = 0;
    lat_sum = 0;
}

int main(int argc, char **argv) {
    if (argc < 2) return fprintf(stderr, "usage: see the head of wsload.c\n"), 2;
    mode = !strcmp(argv[1], "idle") ? M_IDLE : !strcmp(argv[1], "broadcast") ? M_BCAST : M_ECHO;
    int o, cpu = -1;
    while ((o = getopt(argc - 1, argv + 1, "p:u:n:P:s:t:w:bzRq:W:Bi:vUc:H:")) != -1) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'n': N = atoi(optarg); break;
        case 'P': P = atoi(optarg); break;
        case 's': S = atol(optarg); break;
        case 't': T = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'b': binary = 1; break;
#ifndef WITHOUT_ZLIB
        case 'z': deflate_on = 1; break;
#endif
        case 'H': hold = atof(optarg); break;
        case 'R': rawmode = 1; break;
        case 'W': W = atoi(optarg); break;
        case 'B': spin = 1; break;
        case 'U': utf8 = 1; break;
        case 'i': inflight = atoi(optarg); break;
        case 'v': verbose = 1; break;
        case 'c': cpu = atoi(optarg); break;
        case 'q': for (char *x = strtok(optarg, ","); x && npids < 64; x = strtok(NULL, ",")) pids[npids++] = atoi(x); break;
        default: return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (cpu >= 0) { cpu_set_t cs; CPU_ZERO(&cs); CPU_SET(cpu, &cs); sched_setaffinity(0, sizeof cs, &cs); }
    struct rlimit rl = {200000, 200000};
    if (setrlimit(RLIMIT_NOFILE, &rl)) { getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl); }
    if (mode == M_IDLE) P = 1;
    if (P > 2048 || W > 2048) return fprintf(stderr, "-P/-W at most 2048\n"), 2;
    ep = epoll_create1(EPOLL_CLOEXEC);
    rbuf = malloc(RB);
    memset(rbuf, 1, RB);
    int pre = mode == M_IDLE ? 16 : 0;
    C = calloc(N + pre, sizeof *C);
    for (int i = 0; i < N + pre; i++) { C[i].fd = -1; C[i].state = S_DEAD; }
    reqlen = snprintf(req, sizeof req,
                      "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1:%d\r\n%s\r\n",
                      path, port, port, deflate_on ? "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" : "");
    if (mode != M_IDLE) {
        uint64_t t0 = now_ns();
        open_range(0, N, 60);
        double tc = (now_ns() - t0) / 1e9;
        if (n_dead || n_open < (uint64_t)N) {
            printf("{\"mode\":\"%s\",\"ok\":false,\"open\":%lu,\"dead\":%lu,\"error\":\"%s\"}\n", argv[1], n_open, n_dead, errmsg);
            return 1;
        }
        if (deflate_on && !deflate_negotiated) {
            printf("{\"mode\":\"%s\",\"ok\":false,\"error\":\"no permessage-deflate\"}\n", argv[1]);
            return 1;
        }
        build_frames();
        running = 1;
        if (mode == M_BCAST) {
            uint64_t e = now_ns() + 500000000ull;
            while (now_ns() < e) poll_once(20);
            bcast_send(now_ns());
        } else {
            for (int i = 0; i < N; i++) {
                if (C[i].state != S_OPEN) continue;
                uint64_t t = now_ns();
                for (int k = 0; k < P; k++) queue_msg(&C[i], t);
                flush_conn(&C[i]);
            }
        }
        uint64_t t_start = now_ns(), t_warm = t_start + (uint64_t)(warm * 1e9), t_end = t_warm + (uint64_t)(T * 1e9), tm = 0, t;
        double u0 = 0, s0 = 0, r0 = 0, u1, s1, r1;
        struct rusage ru0, ru1;
        uint64_t cb0 = 0, ci0 = 0, cs0 = 0, cb1, ci1, cs1, db0 = 0, di0 = 0, ds0 = 0, db1, di1, ds1, lastprog = 0, progt = t_start;
        int stalled = 0;
        getrusage(RUSAGE_SELF, &ru0);
        for (;;) {
            poll_once(100);
            t = now_ns();
            if (mode == M_BCAST) bcast_send(t);
            if (!tm && t >= t_warm) {
                reset_counts();
                cpu_of(&u0, &s0, &r0);
                cpu_line(0, &cb0, &ci0, &cs0);
                cpu_line(1, &db0, &di0, &ds0);
                getrusage(RUSAGE_SELF, &ru0);
                tm = now_ns();
                t_end = tm + (uint64_t)(T * 1e9);
            }
            if (tm && t >= t_end) break;
            if (n_dead) break;
            if (n_msgs != lastprog) { lastprog = n_msgs; progt = t; }
            else if (t - progt > 10000000000ull) { stalled = 1; break; }
        }
        getrusage(RUSAGE_SELF, &ru1);
        double dt = (now_ns() - tm) / 1e9;
        cpu_of(&u1, &s1, &r1);
        cpu_line(0, &cb1, &ci1, &cs1);
        cpu_line(1, &db1, &di1, &ds1);
        double lu = (ru1.ru_utime.tv_sec - ru0.ru_utime.tv_sec) + (ru1.ru_utime.tv_usec - ru0.ru_utime.tv_usec) / 1e6;
        double ls = (ru1.ru_stime.tv_sec - ru0.ru_stime.tv_sec) + (ru1.ru_stime.tv_usec - ru0.ru_stime.tv_usec) / 1e6;
        int ok = !n_err && !stalled && n_msgs > 0 && n_verified > 0;
        double c0 = (double)(cb1 - cb0), ctot = c0 + (ci1 - ci0) + (cs1 - cs0), d0 = (double)(db1 - db0), dtot = d0 + (di1 - di0) + (ds1 - ds0);
        printf("{\"mode\":\"%s\",\"ok\":%s,\"conns\":%d,\"depth\":%d,\"size\":%zu,\"secs\":%.3f,\"msgs\":%lu,\"msg_s\":%.1f,\"mb_s\":%.2f,"
               "\"lat_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},\"verified\":%lu,\"errors\":%lu,\"error\":\"%s\",\"pings\":%lu,\"frags\":%lu,"
               "\"srv_cpu\":%.3f,\"srv_user\":%.3f,\"srv_sys\":%.3f,\"srv_us_per_msg\":%.3f,\"cpu0_busy\":%.3f,\"cpu1_busy\":%.3f,\"steal\":%.3f,\"load_user\":%.3f,\"load_sys\":%.3f,"
               "\"recv_per_msg\":%.3f,\"send_per_msg\":%.3f,\"events_per_wait\":%.2f,\"rss_kb\":%ld,\"open_s\":%.3f,\"deflate\":%s,\"ext\":\"%s\"%s",
               argv[1], ok ? "true" : "false", N, P, S, dt, n_msgs, n_msgs / dt, n_bytes / dt / 1e6, lat_n ? lat_sum / lat_n / 1000 : 0, lat_pct(.5), lat_pct(.99), lat_pct(.999),
               lat_max / 1000.0, n_verified, n_err, stalled ? "stalled 10 s" : errmsg, n_pings, n_frag, (r1 - r0) / dt, (u1 - u0) / dt, (s1 - s0) / dt,
               n_msgs ? (r1 - r0) / n_msgs * 1e6 : 0, ctot ? c0 / ctot : 0, dtot ? d0 / dtot : 0, ctot + dtot ? (double)(cs1 - cs0 + ds1 - ds0) / (ctot + dtot) : 0, lu / dt, ls / dt, n_msgs ? (double)n_recv / n_msgs : 0, n_msgs ? (double)n_send / n_msgs : 0,
               n_wait ? (double)n_events / n_wait : 0, rss_kb(), tc, deflate_negotiated ? "true" : "false", ext_seen, mode == M_BCAST ? "" : "}\n");
        if (mode == M_BCAST) printf(",\"broadcasts_s\":%.2f}\n", b_done ? n_msgs / dt / N : 0);
        fflush(stdout);
        running = 0;
        shut_range(0, N);
        return ok ? 0 : 1;
    }
    // idle
    build_frames();
    open_range(N, N + pre, 20);
    echo_left = n_open;
    for (int i = N; i < N + pre; i++) if (C[i].state == S_OPEN) { queue_msg(&C[i], now_ns()); flush_conn(&C[i]); }
    uint64_t e = now_ns() + 3000000000ull;
    while (echo_left && now_ns() < e) poll_once(20);
    int preok = echo_left == 0 && n_open;
    shut_range(N, N + pre);
    usleep(300000);
    n_open = n_pending = 0;
    uint64_t d0 = n_dead;
    long rss0 = rss_kb();
    double u0, s0, r0, u1, s1, r1, u2, s2, r2, u3, s3, r3;
    cpu_of(&u0, &s0, &r0);
    uint64_t t0 = now_ns();
    open_range(0, N, T > 10 ? T : 60);
    double tc = (now_ns() - t0) / 1e9;
    uint64_t opened = n_open;
    cpu_of(&u1, &s1, &r1);
    e = now_ns() + 1000000000ull;
    while (now_ns() < e) poll_once(50);
    long rss1 = rss_kb();
    cpu_of(&u2, &s2, &r2);
    e = now_ns() + 1000000000ull;
    while (now_ns() < e) poll_once(50);
    cpu_of(&u3, &s3, &r3);
    if (hold > 0) {
        printf("{\"event\":\"held\",\"opened\":%lu}\n", opened);
        fflush(stdout);
        struct pollfd in = {.fd = 0, .events = POLLIN};
        e = now_ns() + (uint64_t)(hold * 1e9);
        while (now_ns() < e && !poll(&in, 1, 0)) poll_once(20);
    }
    reset_counts();
    uint64_t lost = n_dead - d0, e0 = n_err;
    echo_left = 0;
    for (int i = 0; i < N; i++) if (C[i].state == S_OPEN) { echo_left++; queue_msg(&C[i], now_ns()); flush_conn(&C[i]); }
    e = now_ns() + 20000000000ull;
    while (echo_left && now_ns() < e && n_err == e0) poll_once(20);
    uint64_t missing = echo_left;
    usleep(300000);
    long rss2 = rss_kb();
    int ok = opened >= (uint64_t)N * 99 / 100 && preok; // missing/lost say what went wrong after that
    printf("{\"mode\":\"idle\",\"ok\":%s,\"conns\":%d,\"opened\":%lu,\"secs\":%.3f,\"connects_s\":%.1f,\"srv_us_per_connect\":%.1f,\"rss0_kb\":%ld,\"rss1_kb\":%ld,\"rss2_kb\":%ld,"
           "\"kb_per_conn_idle\":%.2f,\"kb_per_conn_after_msg\":%.2f,\"idle_cpu\":%.4f,\"missing\":%lu,\"lost\":%lu,\"pings\":%lu,\"errors\":%lu,\"error\":\"%s\"}\n",
           ok ? "true" : "false", N, opened, tc, opened / tc, opened ? (r1 - r0) / opened * 1e6 : 0, rss0, rss1, rss2, opened ? (double)(rss1 - rss0) / opened : 0,
           opened ? (double)(rss2 - rss0) / opened : 0, r3 - r2, missing, lost, n_pings, n_err, errmsg);
    fflush(stdout);
    shut_range(0, N);
    return ok ? 0 : 1;
}
