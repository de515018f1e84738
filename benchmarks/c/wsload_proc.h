// wsload_proc.h - what the kernel says of the server's processes and of both cores.
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
static void cpu_of(double *u, double *s, double *run) { // seconds; run is exact, and knows of threads that ended
    *u = *s = *run = 0;
    long hz = sysconf(_SC_CLK_TCK);
    for (int i = 0; i < npids; i++) {
        char f[64], b[1024];
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
        clockid_t clock;
        struct timespec t;
        if (!clock_getcpuclockid(pids[i], &clock) && !clock_gettime(clock, &t)) *run += t.tv_sec + t.tv_nsec / 1e9;
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
