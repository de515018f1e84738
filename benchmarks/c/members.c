// members.c - members of one room: a single threaded epoll WebSocket client that counts what each of them hears.
//   members -p PORT -n MEMBERS [-u /path] [-x PREFIX] [-y SUFFIX] [-c CORE]
// A message of the room is PREFIX, 8 digits of number, 20 digits of CLOCK_MONOTONIC in ns when it was published,
// FILLER, SUFFIX.  With a PREFIX that begins with "42" it speaks Engine.IO 4 and Socket.IO 5: it answers "0" by
// "40", and "2" by "3".
// When all are in it prints {"event":"ready",...}. Then it obeys lines on standard input:
//   expect FIRST COUNT QUIET   hear COUNT messages that are numbered from FIRST on; print one JSON object when
//                              every member has all of them, or when nothing has come for QUIET seconds.
// It ends with its input.  What is no message of the room is an error, not noise.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FILLER "abcdefghijklmnopqrstuvwxyz0123456789"
#define HEAD 28
#define BODY (HEAD + sizeof FILLER - 1)
#define KEPT 8192
#define MOST 4096 // messages of one window

enum { DEAD, CONNECTING, HANDSHAKE, ENTERING, IN };

typedef struct {
    int fd, state;
    long last;                     // number of the latest message
    size_t kept;                   // bytes of a frame, or of the answer to the handshake, that is not whole
    uint8_t buffer[KEPT];
    uint8_t heard[MOST / 8];       // which of this window
} member;

static int ep, N = 1000, port, cpu = -1, is_socketio, n_in, n_pending, n_dead;
static const char *path = "/", *prefix = "", *suffix = "";
static size_t prefix_size, suffix_size;
static member *members;
static char request[1024], trouble[256];
static size_t request_size;
// the window
static int is_waiting;
static long first, count;
static double quiet;
static uint64_t asked_at, first_at, last_at, received, repeated, disordered, late;
static uint32_t *delays; // µs

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void lose(member *m, const char *why) {
    if (m->state == DEAD) return;
    if (m->state != IN) n_pending--;
    if (m->state == IN) n_in--;
    if (!trouble[0]) {
        snprintf(trouble, sizeof trouble, "%.200s", why);
        for (char *c = trouble; *c; c++)
            if (*c < 32 || *c == '"' || *c == '\\') *c = ' ';
    }
    close(m->fd);
    m->state = DEAD;
    n_dead++;
}

static void say(member *m, int opcode, const void *data, size_t n) { // at most 125 bytes; a mask of zeros is one
    uint8_t out[131] = {0x80 | opcode, 0x80 | n};
    memcpy(out + 6, data, n);
    if (send(m->fd, out, 6 + n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)(6 + n)) lose(m, "send failed");
}

static void enter(member *m) {
    m->state = IN;
    n_pending--;
    n_in++;
}

static long digits(const uint8_t *p, int n, int *is_right) {
    long v = 0;
    for (int i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') *is_right = 0;
        v = v * 10 + (p[i] - '0');
    }
    return v;
}

static void hear(member *m, const uint8_t *p, size_t n, uint64_t now) {
    if (is_socketio && n && !(n > 1 && p[0] == '4' && p[1] == '2')) {
        if (p[0] == '0') return say(m, 1, "40", 2);
        if (p[0] == '2') return say(m, 1, "3", 1);
        if (n > 1 && p[0] == '4' && p[1] == '0' && m->state == ENTERING) return enter(m);
    }
    int is_right = n == prefix_size + BODY + suffix_size && !memcmp(p, prefix, prefix_size) &&
                   !memcmp(p + n - suffix_size, suffix, suffix_size) &&
                   !memcmp(p + prefix_size + HEAD, FILLER, sizeof FILLER - 1);
    if (!is_right) {
        char why[200];
        snprintf(why, sizeof why, "no message of the room: %.*s", (int)(n < 150 ? n : 150), p);
        return lose(m, why);
    }
    p += prefix_size;
    long number = digits(p, 8, &is_right), at = digits(p + 8, 20, &is_right);
    if (!is_right) return lose(m, "a message without a number");
    if (number < first || number >= first + count) {
        late++;
        return;
    }
    long place = number - first;
    uint8_t bit = 1 << (place & 7);
    if (m->heard[place >> 3] & bit) {
        repeated++;
        return;
    }
    m->heard[place >> 3] |= bit;
    if (number < m->last) disordered++;
    else m->last = number;
    delays[received++] = (now - at) / 1000;
    if (!first_at) first_at = now;
    last_at = now;
}

static size_t take_frame(member *m, const uint8_t *p, size_t n, uint64_t now) { // 0: it is not whole
    if (n < 2) return 0;
    size_t size = p[1] & 127, at = 2;
    if (p[1] & 128) return lose(m, "a masked frame"), 0;
    if (size == 127) return lose(m, "a frame of more than 64 KiB"), 0;
    if (size == 126) {
        if (n < 4) return 0;
        size = p[2] << 8 | p[3];
        at = 4;
    }
    if (at + size > KEPT) return lose(m, "a long frame"), 0;
    if (n < at + size) return 0;
    switch (p[0]) {
    case 0x81: hear(m, p + at, size, now); break;
    case 0x89: say(m, 10, p + at, size); break;
    case 0x8A: break;
    case 0x88: lose(m, "the server has sent Close"); break;
    default: lose(m, "a frame of another kind");
    }
    return at + size;
}

static size_t take_head(member *m, const uint8_t *p, size_t n) {
    const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end) return 0;
    if (!memmem(p, n, "HTTP/1.1 101", 12) || !memmem(p, end - p, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) {
        char why[200];
        snprintf(why, sizeof why, "the answer to the handshake: %.*s", (int)(n < 150 ? n : 150), p);
        return lose(m, why), 0;
    }
    m->state = ENTERING;
    if (!is_socketio) enter(m);
    return end + 4 - p;
}

static void on_event(member *m, uint32_t events) {
    static uint8_t data[KEPT + (1 << 18)];
    if (m->state == DEAD) return;
    if (m->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(m->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return lose(m, strerror(error));
        if (!(events & EPOLLOUT)) return;
        if (send(m->fd, request, request_size, MSG_NOSIGNAL) != (ssize_t)request_size) return lose(m, "send failed");
        m->state = HANDSHAKE;
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = m};
        epoll_ctl(ep, EPOLL_CTL_MOD, m->fd, &e);
        return;
    }
    memcpy(data, m->buffer, m->kept);
    ssize_t got = recv(m->fd, data + m->kept, sizeof data - m->kept, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return lose(m, got ? "the server has reset the connection" : "the server has ended the connection");
    size_t n = m->kept + got, at = 0, used;
    uint64_t now = now_ns();
    do {
        used = m->state == HANDSHAKE ? take_head(m, data + at, n - at) : take_frame(m, data + at, n - at, now);
        at += used;
    } while (used && at < n && m->state != DEAD);
    if (m->state == DEAD) return;
    if (n - at > KEPT) return lose(m, "too much that is not whole");
    m->kept = n - at;
    memcpy(m->buffer, data + at, m->kept);
}

static void dial(member *m) {
    int one = 1;
    m->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m->fd < 0) { perror("socket"); exit(3); }
    setsockopt(m->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    m->state = CONNECTING;
    m->last = -1;
    n_pending++;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = m};
    if (connect(m->fd, (void *)&a, sizeof a) < 0 && errno != EINPROGRESS) return lose(m, "connect failed");
    epoll_ctl(ep, EPOLL_CTL_ADD, m->fd, &e);
}

static int by_size(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void report(void) {
    is_waiting = 0;
    qsort(delays, received, sizeof *delays, by_size);
    uint32_t p50 = received ? delays[received / 2] : 0, p99 = received ? delays[received * 99 / 100] : 0;
    printf("{\"received\":%lu,\"expected\":%lu,\"first_ns\":%lu,\"last_ns\":%lu,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u,"
           "\"repeated\":%lu,\"disordered\":%lu,\"late\":%lu,\"dead\":%d,\"trouble\":\"%s\"}\n",
           received, (uint64_t)count * N, first_at, last_at, p50, p99, received ? delays[received - 1] : 0, repeated,
           disordered, late, n_dead, trouble);
    fflush(stdout);
}

static void obey(void) {
    static char line[4096];
    static size_t size;
    ssize_t got = read(0, line + size, sizeof line - 1 - size);
    if (got <= 0) exit(0);
    size += got;
    line[size] = 0;
    for (char *end; (end = strchr(line, '\n'));) {
        if (sscanf(line, "expect %ld %ld %lf", &first, &count, &quiet) != 3 || count < 1 || count > MOST) {
            fprintf(stderr, "not understood: %s", line);
            exit(2);
        }
        for (int i = 0; i < N; i++) memset(members[i].heard, 0, sizeof members[i].heard);
        free(delays);
        delays = malloc(sizeof *delays * count * N);
        received = repeated = disordered = late = first_at = last_at = 0;
        asked_at = now_ns();
        is_waiting = 1;
        printf("{\"event\":\"expecting\"}\n");
        fflush(stdout);
        size -= end + 1 - line;
        memmove(line, end + 1, size + 1);
    }
}

static void poll_once(int ms) {
    static struct epoll_event events[1024];
    int k = epoll_wait(ep, events, 1024, ms);
    for (int i = 0; i < k; i++)
        if (events[i].data.ptr) on_event(events[i].data.ptr, events[i].events);
        else obey();
}

int main(int argc, char **argv) {
    for (int o; (o = getopt(argc, argv, "p:n:u:x:y:c:")) != -1;) switch (o) {
        case 'p': port = atoi(optarg); break;
        case 'n': N = atoi(optarg); break;
        case 'u': path = optarg; break;
        case 'x': prefix = optarg; break;
        case 'y': suffix = optarg; break;
        case 'c': cpu = atoi(optarg); break;
        default: return 2;
    }
    prefix_size = strlen(prefix);
    suffix_size = strlen(suffix);
    is_socketio = !strncmp(prefix, "42", 2);
    signal(SIGPIPE, SIG_IGN);
    if (cpu >= 0) { cpu_set_t set; CPU_ZERO(&set); CPU_SET(cpu, &set); sched_setaffinity(0, sizeof set, &set); }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    ep = epoll_create1(EPOLL_CLOEXEC);
    members = calloc(N, sizeof *members);
    request_size = snprintf(request, sizeof request,
                            "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                            "Origin: http://127.0.0.1:%d\r\n\r\n", path, port, port);
    uint64_t end = now_ns() + 60000000000ull;
    for (int i = 0; (i < N || n_pending) && !n_dead && now_ns() < end; poll_once(50))
        while (i < N && n_pending < 32) dial(&members[i++]);
    printf("{\"event\":\"ready\",\"in\":%d,\"trouble\":\"%s\"}\n", n_in, trouble);
    fflush(stdout);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(ep, EPOLL_CTL_ADD, 0, &e);
    for (;;) {
        poll_once(20);
        if (!is_waiting) continue;
        uint64_t since = last_at > asked_at ? last_at : asked_at;
        if (received == (uint64_t)count * N || now_ns() - since > quiet * 1e9 || n_dead == N) report();
    }
}
