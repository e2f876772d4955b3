/* A library to preload into a program that writes a journal. It writes every call that changes files in one folder, with its data,
 * to a trace, and can make the k-th call in that folder fail, or kill the program there. Calls for other files go to the Linux kernel unchanged.
 *
 * JOURNAL_SHIM_FOLDER  the folder whose files are watched
 * JOURNAL_SHIM_TRACE   the file to append notes to; each is a header (struct note) and `length` bytes of data
 * JOURNAL_SHIM_FAIL    number of the call that fails or is the last, from 1; absent or 0: none
 * JOURNAL_SHIM_HOW     eio, enospc, or short: half is written, and the next write fails with ENOSPC; or kill: SIGKILL before the call
 *                      (reads don't count), or kill-half: SIGKILL after half of a write (only writes count)
 * JOURNAL_SHIM_STAYS   1: every later call fails too
 *
 * The program can add notes of its own, called marks: a write to the file "marks" becomes a note, and never fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 1024, NAME = 32 };
/* Kinds of notes: C created, W written, T truncated, S synced, E sync failed, U unlinked, M mark, X a call that fails or is the last */
struct note {
    uint64_t time_ns, offset, length;
    char kind, name[NAME - 1];
};

static char names[FDS][NAME]; /* of the files in `folder`, by descriptor, where `watched` is 1 */
static char watched[FDS];
static const char *folder;
static size_t folder_length;
static int trace = -1;
static long calls, fail_at;
static int stays, errno_of_fault, halves, next_write_full, kills;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("JOURNAL_SHIM_TRACE"), *how = getenv("JOURNAL_SHIM_HOW"), *text;
    folder = getenv("JOURNAL_SHIM_FOLDER");
    if (!path || !folder) return;
    folder_length = strlen(folder);
    trace = (int)syscall(SYS_openat, AT_FDCWD, path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if ((text = getenv("JOURNAL_SHIM_FAIL"))) fail_at = atol(text);
    stays = (text = getenv("JOURNAL_SHIM_STAYS")) && *text == '1';
    errno_of_fault = how && !strcmp(how, "eio") ? EIO : ENOSPC;
    kills = how && !strncmp(how, "kill", 4);
    halves = how && (!strcmp(how, "short") || !strcmp(how, "kill-half"));
}

/* The file's name inside the watched folder, "" for the folder itself, NULL for anything else. */
static const char *inside(const char *path) {
    if (trace < 0 || strncmp(path, folder, folder_length)) return NULL;
    path += folder_length;
    if (*path == 0) return path;
    return *path == '/' && strlen(path + 1) < NAME - 1 ? path + 1 : NULL;
}

static const char *name_of(int fd) { return fd >= 0 && fd < FDS && watched[fd] ? names[fd] : NULL; }

static void note(char kind, const char *name, uint64_t offset, const void *data, size_t length) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct note header = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, offset, length, kind, ""};
    strncpy(header.name, name, sizeof header.name - 1);
    struct iovec pieces[2] = {{&header, sizeof header}, {(void *)data, length}};
    if (syscall(SYS_writev, trace, pieces, length ? 2 : 1) != (ssize_t)(sizeof header + length)) abort();
}

/* Whether this call must fail. If so, the name of the call is noted, for the messages of tests. */
static int fails(const char *call, const char *name, int is_write) {
    if (!strcmp(name, "marks")) return 0;
    if (kills && (halves ? !is_write : !strcmp(call, "read"))) return 0;
    calls++;
    if (next_write_full && is_write) return next_write_full = 0, 1;
    if (fail_at == 0 || calls < fail_at || (calls > fail_at && !stays)) return 0;
    note('X', name, (uint64_t)calls, call, strlen(call));
    if (kills && !halves) kill(getpid(), SIGKILL);
    return 1;
}

static int watched_open(int at, const char *path, int flags, mode_t mode) {
    /* An unnamed file does not belong to the journal. */
    const char *name = (flags & O_TMPFILE) == O_TMPFILE ? NULL : inside(path);
    if (!name) return (int)syscall(SYS_openat, at, path, flags, mode);
    pthread_mutex_lock(&mutex);
    int fd = -1, existed = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) == 0;
    if (fails("open", name, 0)) {
        errno = errno_of_fault;
    } else if ((fd = (int)syscall(SYS_openat, at, path, flags, mode)) >= 0 && fd < FDS) {
        strcpy(names[fd], name);
        watched[fd] = 1;
        if (!existed) note('C', name, 0, NULL, 0);
        else if (flags & O_TRUNC) note('T', name, 0, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    return fd;
}

#define OPEN_MODE                                                                                                      \
    mode_t mode = 0;                                                                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                                                                               \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }
int open(const char *path, int flags, ...) { OPEN_MODE return watched_open(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { OPEN_MODE return watched_open(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { OPEN_MODE return watched_open(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { OPEN_MODE return watched_open(at, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) watched[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

/* Reads at `offset`, or at the descriptor's position if `offset` is -1. */
static ssize_t watched_read(int fd, void *data, size_t length, off_t offset) {
    const char *name = name_of(fd);
    int failed = 0;
    if (name) {
        pthread_mutex_lock(&mutex);
        failed = fails("read", name, 0);
        pthread_mutex_unlock(&mutex);
    }
    if (failed) return errno = EIO, -1;
    return offset < 0 ? syscall(SYS_read, fd, data, length) : syscall(SYS_pread64, fd, data, length, offset);
}
ssize_t read(int fd, void *data, size_t length) { return watched_read(fd, data, length, -1); }
ssize_t pread(int fd, void *data, size_t length, off_t offset) { return watched_read(fd, data, length, offset); }
ssize_t pread64(int fd, void *data, size_t length, off_t offset) { return watched_read(fd, data, length, offset); }

static ssize_t watched_write(int fd, const void *data, size_t length, off_t offset) {
    const char *name = name_of(fd);
    if (!name) return offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
    pthread_mutex_lock(&mutex);
    ssize_t written = -1;
    if (!strcmp(name, "marks")) {
        note('M', name, 0, data, length);
        written = (ssize_t)length;
    } else {
        int failed = fails("write", name, 1), half = failed && halves && length > 1;
        off_t at = offset < 0 ? lseek(fd, 0, SEEK_CUR) : offset;
        if (failed && !half) {
            errno = errno_of_fault;
        } else {
            if (half) length /= 2, next_write_full = 1;
            written = offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
            if (written > 0) note('W', name, (uint64_t)at, data, (size_t)written);
            if (failed && kills) kill(getpid(), SIGKILL);
        }
    }
    pthread_mutex_unlock(&mutex);
    return written;
}
ssize_t write(int fd, const void *data, size_t length) { return watched_write(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { return watched_write(fd, data, length, at); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t at) { return watched_write(fd, data, length, at); }

static int watched_truncate(int fd, off_t length) {
    const char *name = name_of(fd);
    if (!name) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&mutex);
    int result = -1;
    if (fails("ftruncate", name, 0)) errno = errno_of_fault;
    else if ((result = (int)syscall(SYS_ftruncate, fd, length)) == 0) note('T', name, (uint64_t)length, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}
int ftruncate(int fd, off_t length) { return watched_truncate(fd, length); }
int ftruncate64(int fd, off_t length) { return watched_truncate(fd, length); }

static int watched_sync(int fd, long call, const char *what) {
    const char *name = name_of(fd);
    if (!name) return (int)syscall(call, fd);
    pthread_mutex_lock(&mutex);
    int result = -1;
    if (fails(what, name, 0)) {
        note('E', name, 0, NULL, 0);
        errno = errno_of_fault;
    } else if ((result = (int)syscall(call, fd)) == 0) {
        note('S', name, 0, NULL, 0);
    }
    pthread_mutex_unlock(&mutex);
    return result;
}
int fsync(int fd) { return watched_sync(fd, SYS_fsync, "fsync"); }
int fdatasync(int fd) { return watched_sync(fd, SYS_fdatasync, "fdatasync"); }

int unlink(const char *path) {
    const char *name = inside(path);
    if (!name) return (int)syscall(SYS_unlink, path);
    pthread_mutex_lock(&mutex);
    int result = -1;
    if (fails("unlink", name, 0)) errno = EIO;
    else if ((result = (int)syscall(SYS_unlink, path)) == 0) note('U', name, 0, NULL, 0);
    pthread_mutex_unlock(&mutex);
    return result;
}

/* The journal renames no file. If that changes, disk.rs must support it. */
int rename(const char *from, const char *to) {
    if (inside(from) || inside(to)) abort();
    return (int)syscall(SYS_rename, from, to);
}
