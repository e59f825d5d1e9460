/* A clock that a test holds in its hand: preloaded into a server, it answers every question for
 * the time of day with the microseconds that stand in the file TENURE_TEST_CLOCK. It stands still
 * until the test writes another number. The monotonic clock stays the machine's, so that the
 * server's own loop goes on. See `tests/support/server.rs`.
 *
 * Valkey 9.1 asks for the time of day once a millisecond, and counts the processor's ticks in between. It does so only where
 * /proc/cpuinfo says that these are even: it is not shown that file, and asks each time. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *micros;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("TENURE_TEST_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *micros, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (page != MAP_FAILED) micros = page;
}

/* Allocators ask for the time before `attach` has run: no allocation and no look-up here. */
int clock_gettime(clockid_t id, struct timespec *now) {
    if (micros && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        int64_t value = *micros;
        now->tv_sec = value / 1000000;
        now->tv_nsec = value % 1000000 * 1000;
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, id, now);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec value;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &value)) return -1;
    now->tv_sec = value.tv_sec;
    now->tv_usec = value.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec value;
    clock_gettime(CLOCK_REALTIME, &value);
    if (seconds) *seconds = value.tv_sec;
    return value.tv_sec;
}

static FILE *open_next(const char *function, const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, function);
    return micros && !strcmp(path, "/proc/cpuinfo") ? NULL : next(path, mode);
}

FILE *fopen(const char *restrict path, const char *restrict mode) {
    return open_next("fopen", path, mode);
}

FILE *fopen64(const char *restrict path, const char *restrict mode) {
    return open_next("fopen64", path, mode);
}
