// uwsecho.c - uWebSockets without Python: /echo and /broadcast, by the C interface of the
// library that socketify brings along. The declarations are those that it uses itself.
//   uwsecho PORT            BENCHMARK_DEFLATE=1: compressed, with contexts that connections share
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct app app;
typedef struct ws ws;
typedef struct res res;
struct options { const char *files[6]; int low_memory; };
typedef struct { int port; const char *host; int options; } listen_config;
typedef void (*ws_handler)(ws *, void *);
typedef void (*message_handler)(ws *, const char *, size_t, int, void *);
typedef struct {
    int compression;
    unsigned int max_payload;
    unsigned short idle_timeout;
    unsigned int max_backpressure;
    bool close_on_backpressure, reset_idle_on_send, send_pings;
    unsigned short max_lifetime;
    void *upgrade;
    ws_handler open;
    message_handler message;
    ws_handler drain;
    void *ping, *pong, *close, *subscription;
} behavior;

app *uws_create_app(int ssl, struct options options);
void uws_app_get(int ssl, app *, const char *path, void (*)(res *, void *, void *), void *data);
void uws_app_listen_with_config(int ssl, app *, listen_config, void (*)(void *, listen_config, void *), void *data);
void uws_app_run(int ssl, app *);
void uws_ws(int ssl, app *, const char *path, behavior, void *data);
int uws_ws_send_with_options(int ssl, ws *, const char *, size_t, int opcode, bool compress, bool fin);
bool uws_ws_subscribe(int ssl, ws *, const char *, size_t);
bool uws_publish(int ssl, app *, const char *, size_t, const char *, size_t, int opcode, bool compress);
void uws_res_end(int ssl, res *, const char *, size_t, bool close);

static app *all;
static bool compress;

static void echo(ws *w, const char *p, size_t n, int opcode, void *data) {
    (void)data;
    uws_ws_send_with_options(0, w, p, n, opcode, compress, true);
}
static void enter(ws *w, void *data) {
    (void)data;
    uws_ws_subscribe(0, w, "all", 3);
}
static void tell(ws *w, const char *p, size_t n, int opcode, void *data) {
    (void)w; (void)data;
    uws_publish(0, all, "all", 3, p, n, opcode, false);
}
static void hello(res *r, void *request, void *data) {
    (void)request; (void)data;
    uws_res_end(0, r, "hello\n", 6, false);
}
static void listening(void *socket, listen_config config, void *data) {
    (void)config; (void)data;
    if (!socket) exit(1);
}
int main(int argc, char **argv) {
    const char *asked = getenv("BENCHMARK_DEFLATE");
    compress = asked && !strcmp(asked, "1");
    behavior b = {.compression = compress ? 1 | 1 << 8 : 0, .max_payload = 16 << 20, .max_backpressure = 16 << 20, .message = echo};
    all = uws_create_app(0, (struct options){0});
    uws_ws(0, all, "/echo", b, NULL);
    b.open = enter;
    b.message = tell;
    uws_ws(0, all, "/broadcast", b, NULL);
    uws_app_get(0, all, "/", hello, NULL);
    uws_app_listen_with_config(0, all, (listen_config){argc > 1 ? atoi(argv[1]) : 9000, "127.0.0.1", 0}, listening, NULL);
    uws_app_run(0, all);
    return 0;
}
