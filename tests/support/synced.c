/* Notes how much of a server's append-only file is on the disk: preloaded into it, this writes the size that the file
 * had when its last fdatasync() began into TENURE_TEST_SYNCED, once that is done. See `synced.rs`. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int note = -1;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("TENURE_TEST_SYNCED");
    if (path) note = open(path, O_WRONLY | O_CLOEXEC);
}

int fdatasync(int file) {
    struct stat found;
    /* No other file that a server synchronises is open for appending. */
    int is_log = (fcntl(file, F_GETFL) & O_APPEND) && fstat(file, &found) == 0;
    int result = (int)syscall(SYS_fdatasync, file);
    if (result == 0 && is_log && note >= 0) {
        int64_t size = found.st_size;
        if (pwrite(note, &size, sizeof size, 0) != sizeof size) abort();
    }
    return result;
}
