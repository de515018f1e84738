// wsload.c - single threaded epoll WebSocket load generator.
//   wsload echo      -p PORT [-u /path] -n CONNS -P DEPTH -s SIZE -t SECS -w WARM [-b] [-j] [-z] [-m COUNT] [-q pid,pid]
//   wsload broadcast -p PORT -u /broadcast -n SUBS -s SIZE -t SECS -w WARM [-W window]
//   wsload connect   -p PORT -n CONNS -t SECS -w WARM: each opens, says Close, is answered, and the next one comes
//   wsload idle      -p PORT -n CONNS -q pid,pid [-H SECS]
// -q: the server's processes, whose CPU and memory are measured.  -H: with all connections open, print
// {"event":"held",...} and hold them until standard input is closed, SECS at most.  -j: payloads are JSON.
// -z: they are, and are compressed.  -DWITHOUT_ZLIB: no -z.  -m: go on until so many messages came.
// Prints one JSON object.  Frames are prebuilt (random masks, random payloads); V>=P frames are laid out
// twice in a row so that any run of pending frames is one contiguous send().
#include "wsload_state.h"
#include "wsload_proc.h"
#include "wsload_frames.h"
#include "wsload_receive.h"
#include "wsload_open.h"

typedef struct {
    uint64_t at, busy[2], idle[2], steal[2];
    double user, sys, ran, load_user, load_sys;
} snap;
static void take(snap *s) {
    struct rusage ru;
    cpu_of(&s->user, &s->sys, &s->ran);
    for (int i = 0; i < 2; i++) cpu_line(i, &s->busy[i], &s->idle[i], &s->steal[i]);
    getrusage(RUSAGE_SELF, &ru);
    s->load_user = ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6;
    s->load_sys = ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6;
    s->at = now_ns();
}
static void report(const char *name, const snap *a, const snap *b, double opened, int stalled, int ok) {
    double dt = (b->at - a->at) / 1e9, busy[2], all[2], steal = 0;
    for (int i = 0; i < 2; i++) {
        busy[i] = b->busy[i] - a->busy[i];
        all[i] = busy[i] + (b->idle[i] - a->idle[i]) + (b->steal[i] - a->steal[i]);
        steal += b->steal[i] - a->steal[i];
    }
    printf("{\"mode\":\"%s\",\"ok\":%s,\"conns\":%d,\"depth\":%d,\"size\":%zu,\"secs\":%.3f,\"msgs\":%lu,\"msg_s\":%.1f,\"mb_s\":%.2f,"
           "\"lat_us\":{\"mean\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f},",
           name, ok ? "true" : "false", N, P, S, dt, n_msgs, n_msgs / dt, n_bytes / dt / 1e6,
           lat_n ? lat_sum / lat_n / 1000 : 0, lat_pct(.5), lat_pct(.99), lat_pct(.999), lat_max / 1000.0);
    printf("\"verified\":%lu,\"packed\":%lu,\"errors\":%lu,\"error\":\"%s\",\"pings\":%lu,\"frags\":%lu,"
           "\"srv_cpu\":%.3f,\"srv_user\":%.3f,\"srv_sys\":%.3f,\"srv_us_per_msg\":%.3f,\"cpu0_busy\":%.3f,\"cpu1_busy\":%.3f,\"steal\":%.3f,",
           n_ever, n_packed, n_err, stalled ? "stalled 10 s" : errmsg, n_pings, n_frag, (b->ran - a->ran) / dt, (b->user - a->user) / dt,
           (b->sys - a->sys) / dt, n_msgs ? (b->ran - a->ran) / n_msgs * 1e6 : 0, all[0] ? busy[0] / all[0] : 0, all[1] ? busy[1] / all[1] : 0,
           all[0] + all[1] ? steal / (all[0] + all[1]) : 0);
    printf("\"load_user\":%.3f,\"load_sys\":%.3f,\"recv_per_msg\":%.3f,\"send_per_msg\":%.3f,\"events_per_wait\":%.2f,\"rss_kb\":%ld,"
           "\"open_s\":%.3f,\"deflate\":%s,\"ext\":\"%s\",\"broadcasts_s\":%.2f}\n",
           (b->load_user - a->load_user) / dt, (b->load_sys - a->load_sys) / dt, n_msgs ? (double)n_recv / n_msgs : 0, n_msgs ? (double)n_send / n_msgs : 0,
           n_wait ? (double)n_events / n_wait : 0, rss_kb(), opened, deflate_negotiated ? "true" : "false", ext_seen, mode == M_BCAST && b_done ? n_msgs / dt / N : 0);
    fflush(stdout);
}
static int refuse(const char *name, const char *why) {
    printf("{\"mode\":\"%s\",\"ok\":false,\"open\":%lu,\"dead\":%lu,\"error\":\"%s\"}\n", name, n_open, n_dead, why);
    return 1;
}
// The first messages of every connection; those that follow are sent when one has come back.
static void begin(void) {
    running = 1;
    if (mode == M_BCAST) {
        uint64_t e = now_ns() + 200000000ull;
        while (now_ns() < e) poll_once(20);
        bcast_send(now_ns());
        return;
    }
    for (int i = 0; i < N; i++) {
        if (C[i].state != S_OPEN) continue;
        uint64_t t = now_ns();
        for (int k = 0; k < P; k++) queue_msg(&C[i], t);
        flush_conn(&C[i]);
    }
}
static int run_driven(const char *name) {
    double tc = 0;
    running = mode == M_CONNECT;
    if (mode == M_CONNECT) for (int i = 0; i < N; i++) start_conn(&C[i], i);
    else {
        uint64_t t0 = now_ns();
        open_range(0, N, 60);
        tc = (now_ns() - t0) / 1e9;
        if (n_dead || n_open < (uint64_t)N) return refuse(name, errmsg);
        if (deflate_on && !deflate_negotiated) return refuse(name, "no permessage-deflate");
        build_frames();
        begin();
    }
    snap a = {0}, b;
    uint64_t t_start = now_ns(), t_warm = t_start + (uint64_t)(warm * 1e9), t_end = 0, last = 0, progress = t_start, t;
    int stalled = 0;
    for (;;) {
        poll_once(100);
        t = now_ns();
        if (mode == M_BCAST) bcast_send(t);
        if (!t_end && t >= t_warm && n_msgs) { // not before it answers
            reset_counts();
            take(&a);
            t_end = a.at + (uint64_t)(T * 1e9);
            last = 0;
        }
        if (n_dead || (t_end && t >= t_end && n_msgs >= fewest)) break;
        if (n_msgs != last) { last = n_msgs; progress = t; }
        else if (t - progress > 10000000000ull) { stalled = 1; break; }
    }
    if (!t_end) a.at = t_start;
    take(&b);
    int ok = t_end && !n_err && !stalled && n_msgs > 0 && n_ever > 0 && (!deflate_on || n_packed);
    if (!n_err && deflate_on && !n_packed) err("nothing came compressed");
    report(name, &a, &b, tc, stalled, ok);
    running = 0;
    if (mode != M_CONNECT) shut_range(0, N);
    return ok ? 0 : 1;
}
static void poll_until(uint64_t e) {
    while (now_ns() < e) poll_once(50);
}
static void echo_one(int from, int to) {
    echo_left = 0;
    for (int i = from; i < to; i++)
        if (C[i].state == S_OPEN) { echo_left++; queue_msg(&C[i], now_ns()); flush_conn(&C[i]); }
}
static int run_idle(int pre) {
    build_frames();
    open_range(N, N + pre, 20);
    echo_one(N, N + pre);
    uint64_t e = now_ns() + 3000000000ull;
    while (echo_left && now_ns() < e) poll_once(20);
    int preok = echo_left == 0 && n_open;
    shut_range(N, N + pre);
    usleep(300000);
    n_open = n_pending = 0;
    uint64_t d0 = n_dead;
    long rss0 = rss_kb();
    double u, s, r0, r1, r2, r3;
    cpu_of(&u, &s, &r0);
    uint64_t t0 = now_ns();
    open_range(0, N, T > 10 ? T : 60);
    double tc = (now_ns() - t0) / 1e9;
    uint64_t opened = n_open;
    cpu_of(&u, &s, &r1);
    poll_until(now_ns() + 300000000ull);
    long rss1 = rss_kb();
    cpu_of(&u, &s, &r2);
    poll_until(now_ns() + 1000000000ull);
    cpu_of(&u, &s, &r3);
    if (hold > 0) {
        printf("{\"event\":\"held\",\"opened\":%lu}\n", opened);
        fflush(stdout);
        struct pollfd in = {.fd = 0, .events = POLLIN};
        e = now_ns() + (uint64_t)(hold * 1e9);
        while (now_ns() < e && !poll(&in, 1, 0)) poll_once(20);
    }
    reset_counts();
    uint64_t lost = n_dead - d0, e0 = n_err;
    echo_one(0, N);
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
static int read_options(int argc, char **argv) {
    static const char *const modes[] = {"echo", "idle", "broadcast", "connect"}; // as M_ECHO and the others
    for (mode = 0; mode < 4 && strcmp(argv[0], modes[mode]); mode++) {}
    int o, cpu = -1;
    while ((o = getopt(argc, argv, "p:u:n:P:s:t:w:bjzq:W:i:vUc:H:m:")) != -1) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'n': N = atoi(optarg); break;
        case 'P': P = atoi(optarg); break;
        case 's': S = atol(optarg); break;
        case 't': T = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'b': binary = 1; break;
        case 'j': json_on = 1; break;
#ifndef WITHOUT_ZLIB
        case 'z': deflate_on = 1; break;
#endif
        case 'm': fewest = atol(optarg); break;
        case 'H': hold = atof(optarg); break;
        case 'W': W = atoi(optarg); break;
        case 'U': utf8 = 1; break;
        case 'i': inflight = atoi(optarg); break;
        case 'v': verbose = 1; break;
        case 'c': cpu = atoi(optarg); break;
        case 'q': for (char *x = strtok(optarg, ","); x && npids < 64; x = strtok(NULL, ",")) pids[npids++] = atoi(x); break;
        default: return 0;
    }
    if (cpu >= 0) { cpu_set_t cs; CPU_ZERO(&cs); CPU_SET(cpu, &cs); sched_setaffinity(0, sizeof cs, &cs); }
    if (mode == M_IDLE) P = 1;
    return mode < 4 && P <= 2048 && W <= 2048 && (!(json_on || deflate_on) || S >= 16);
}
int main(int argc, char **argv) {
    if (argc < 2 || !read_options(argc - 1, argv + 1)) return fprintf(stderr, "usage: see the head of wsload.c\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    struct rlimit rl = {200000, 200000};
    if (setrlimit(RLIMIT_NOFILE, &rl)) { getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl); }
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
    return mode == M_IDLE ? run_idle(pre) : run_driven(argv[1]);
}
