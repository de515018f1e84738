// wsload_open.h - opening handshakes, the turn of the loop, and the end of connections.
static char req[1024];
static int reqlen;
static uint64_t n_open, n_pending;
static void start_conn(conn *c, int idx);
static void send_close(conn *c) {
    uint8_t b[16], pl[2] = {3, 232};
    size_t l = put_frame(b, 8, 0, pl, 2);
    if (send(c->fd, b, l, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)l && mode == M_CONNECT) c->state = S_CLOSING;
}
// Both sides have said that it is over: the next one takes its place.
static void next_conn(conn *c) {
    uint64_t t = now_ns();
    lat_add(t - c->ts[0]);
    n_msgs++; n_verified++; n_ever++;
    close(c->fd);
    free(c->ts);
    if (running) start_conn(c, c - C);
    else { c->fd = -1; c->state = S_DEAD; }
}
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
    if (mode == M_CONNECT) send_close(c);
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
                if (c->state == S_CLOSING) return next_conn(c);
                return kill_conn(c, "recv failed");
            }
            if (c->state == S_CLOSING) { // 0: the server has left at once, as it may
                if (r && rbuf[0] != 0x88) return kill_conn(c, "no close frame");
                return next_conn(c);
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
    int k = epoll_wait(ep, evs, 1024, ms);
    n_wait++;
    if (k > 0) n_events += k;
    for (int i = 0; i < k; i++) on_event(evs[i].data.ptr, evs[i].events);
    return k;
}
static void start_conn(conn *c, int idx) {
    memset(c, 0, sizeof *c);
    c->ts = malloc(sizeof(uint64_t) * (P > 1 ? P : 1));
    c->ts[0] = now_ns();
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
        if (C[i].state == S_OPEN) send_close(&C[i]);
    // drain answers for a moment, then reset
    uint64_t end = now_ns() + 300000000ull + (uint64_t)(to - from) * 100000ull;
    int left = 1;
    while (left && now_ns() < end) {
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
    n_msgs = n_bytes = n_verified = n_recv = n_send = n_wait = n_events = n_frag = n_packed = 0;
    memset(hist, 0, sizeof hist);
    lat_max = lat_n = 0;
    lat_sum = 0;
}
