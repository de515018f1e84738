// wsload_receive.h - frames go out, and what comes back is compared with them.
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
    if (c->verify) { n_verified++; n_ever++; }
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
// The next frame's head, perhaps over several reads; false: it is not whole, or it was wrong.
static int take_head(conn *c, const uint8_t **p, size_t *n) {
    if (c->hlen == 0) c->hneed = 2;
    while (*n && c->hlen < c->hneed) {
        c->hdr[c->hlen++] = *(*p)++;
        --*n;
        if (c->hlen == 2) {
            int l = c->hdr[1] & 127;
            if (c->hdr[1] & 128) return kill_conn(c, "masked frame from server"), 0;
            c->hneed = l == 126 ? 4 : l == 127 ? 10 : 2;
        }
    }
    if (c->hlen < c->hneed) return 0;
    uint64_t l = c->hdr[1] & 127;
    if (l == 126) l = c->hdr[2] << 8 | c->hdr[3];
    else if (l == 127) { l = 0; for (int i = 0; i < 8; i++) l = l << 8 | c->hdr[2 + i]; }
    c->op = c->hdr[0] & 15; c->fin = c->hdr[0] >> 7;
    c->hlen = 0; c->need = l; c->in_payload = 1;
    if (c->op >= 8) return l > 125 ? kill_conn(c, "long control frame"), 0 : 1;
    if (c->op != 0) {
        if (c->have_msg) return kill_conn(c, "new message inside a message"), 0;
        c->have_msg = 1; c->msg_op = c->op; c->msgpos = 0; c->rsv1 = c->hdr[0] >> 6 & 1;
        c->verify = c->rxseq % verify_every == 0;
        if (c->op != (binary ? 2 : 1)) return kill_conn(c, "wrong opcode"), 0;
        if (mode != M_BCAST && c->rxseq >= c->txseq) return kill_conn(c, "message never asked for"), 0;
        if (c->rsv1 && !deflate_negotiated) return kill_conn(c, "rsv1"), 0;
    } else n_frag++;
    if (!c->rsv1 && c->msgpos + l > S) return kill_conn(c, "message too long"), 0;
    return 1;
}
// A control frame's payload; false: it is not whole, or it was the end.
static int take_control(conn *c, const uint8_t **p, size_t *n) {
    size_t k = c->need < *n ? c->need : *n;
    memcpy(c->ctlin + c->ctlin_len, *p, k);
    c->ctlin_len += k; *p += k; *n -= k; c->need -= k;
    if (c->need) return 0;
    c->in_payload = 0;
    k = c->ctlin_len; c->ctlin_len = 0;
    on_ctl(c, c->ctlin, k);
    return c->state != S_DEAD;
}
#ifndef WITHOUT_ZLIB
// The next bytes of a compressed message, and at its end what is always left out there (RFC 7692, 7.2.2).
static int inflate_more(conn *c, const uint8_t *p, size_t k) {
    if (!c->z) {
        c->z = calloc(1, sizeof *c->z);
        inflateInit2(c->z, -15);
        c->zout = malloc(S + 16);
    }
    if (c->msgpos == 0 && c->z->next_out != c->zout) { c->z->next_out = c->zout; c->z->avail_out = S + 16; }
    c->z->next_in = (uint8_t *)p; c->z->avail_in = k;
    int r = k ? inflate(c->z, Z_SYNC_FLUSH) : Z_OK;
    if (r != Z_OK && r != Z_BUF_ERROR) return kill_conn(c, "inflate failed"), 0;
    c->msgpos = 1; // started
    return 1;
}
static int inflate_end(conn *c) {
    static uint8_t tail[4] = {0, 0, 255, 255};
    if (!inflate_more(c, tail, 4)) return 0;
    if (c->z->next_out - c->zout != (long)S || memcmp(c->zout, payloads + (size_t)(c->rxseq % V) * S, S)) return kill_conn(c, "inflated echo differs"), 0;
    c->z->next_out = c->zout; c->z->avail_out = S + 16;
    c->verify = 1;
    n_packed++;
    return 1;
}
#else
static int inflate_more(conn *c, const uint8_t *p, size_t k) { (void)p; (void)k; return kill_conn(c, "rsv1"), 0; }
static int inflate_end(conn *c) { (void)c; return 0; }
#endif
static void feed(conn *c, const uint8_t *p, size_t n, uint64_t t) {
    while (n || (c->in_payload && !c->need)) {
        if (!c->in_payload && !take_head(c, &p, &n)) return;
        if (c->op >= 8) {
            if (!take_control(c, &p, &n)) return;
            continue;
        }
        size_t k = c->need < n ? c->need : n;
        if (c->rsv1) {
            if (!inflate_more(c, p, k)) return;
        } else {
            if (c->verify && k && memcmp(p, payloads + (size_t)(c->rxseq % V) * S + c->msgpos, k)) return kill_conn(c, "echo differs");
            c->msgpos += k;
        }
        p += k; n -= k; c->need -= k;
        if (c->need) return;
        c->in_payload = 0;
        if (!c->fin) continue;
        if (c->rsv1) {
            if (!inflate_end(c)) return;
        } else if (c->msgpos != S) return kill_conn(c, "short message");
        msg_done(c, t);
    }
}
