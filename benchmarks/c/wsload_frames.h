// wsload_frames.h - the frames that are sent: prebuilt, with random masks and payloads.
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
// A list of objects with short keys, as many sites send: exactly n bytes, written as JSON.stringify and
// json.dumps(separators=(",", ":")) write it, so that what was read and written again is the same text.
static void json_payload(uint8_t *p, size_t n) {
    static const char *words[] = {"hello", "world", "update", "trade", "filled", "pending", "london", "paris", "quick", "brown", "fox"};
    size_t o = 0;
    char t[200];
    p[o++] = '[';
    for (;;) {
        int k = snprintf(t, sizeof t, "{\"id\":%llu,\"user\":\"%s\",\"room\":\"%s %s\",\"price\":%llu,\"open\":%s},", (unsigned long long)(rnd() % 1000000),
                         words[rnd() % 11], words[rnd() % 11], words[rnd() % 11], (unsigned long long)(rnd() % 10000), rnd() & 64 ? "true" : "false");
        if (o + k + 3 > n) break; // the rest is a string: its quotes and the bracket
        memcpy(p + o, t, k);
        o += k;
    }
    p[o++] = '"';
    while (o < n - 2) p[o++] = 'a' + (rnd() >> 17) % 26;
    p[o++] = '"';
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
        if (json_on || deflate_on) json_payload(p, S);
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
