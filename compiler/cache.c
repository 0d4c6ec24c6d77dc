/* cache.c: the cache: $XDG_CACHE_HOME/ndec, or ~/.cache/ndec.
 *
 * Owns: the entries, folders HASH that hold one file and an empty file `.lock`, whose time says when the entry was last
 * used. Whoever uses an entry holds a shared lock of that file; a program that takes the place of ndec inherits it and
 * holds it until it ends, however it ends. Whoever removes an entry has the lock alone. A file gets its name once it is
 * whole, and is the first to go, so what was killed half way is found by nobody.
 * Elsewhere: what is kept (toolchain.c). */
#include "cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const double most_mib = 512, most_days = 30;

static bool failed(const char *what, const char *path)
{
    fprintf(stderr, "ndec: cannot %s '%s': %s\n", what, path, strerror(errno));
    return false;
}

/* The bound in bytes. */
static bool read_bound(double *bytes)
{
    const char *text = getenv("NDEC_CACHE_MIB");
    char *end = NULL;
    double mib = text && *text ? strtod(text, &end) : most_mib;
    *bytes = mib * 0x1p20;
    if ((!end || !*end) && mib >= 0)
        return true;
    fprintf(stderr, "ndec: NDEC_CACHE_MIB, the size of the cache, is a number of MiB, not '%s'\n", text);
    return false;
}

static const char *cache_folder(Arena *a)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && *base)
        return str_format(a, "%s/ndec", base);
    return str_format(a, "%s/.cache/ndec", home && *home ? home : "/tmp");
}

static bool make_folders(Arena *a, const char *path)
{
    for (const char *at = path + 1;; at++)
        if (*at == '/' || !*at) {
            const char *folder = str_copy(a, path, (size_t)(at - path));
            if (mkdir(folder, 0777) != 0 && errno != EEXIST)
                return failed("make the folder", folder);
            if (!*at)
                return true;
        }
}

static const char *lock_path(Arena *a, const char *folder)
{
    return str_format(a, "%s/.lock", folder);
}

/* Not where the file has been removed between being opened and being locked. */
static bool is_still_there(int lock)
{
    struct stat about;
    return fstat(lock, &about) == 0 && about.st_nlink > 0;
}

/* ---- using an entry ---- */

/* A descriptor with a shared lock; where the file system knows no locks, without, and then nobody removes anything. */
static int hold(Arena *a, const char *folder)
{
    enum { TRIES = 100 }; /* each is lost to somebody who removes the entry at this moment */
    for (int i = 0; i < TRIES; i++) {
        if (!make_folders(a, folder))
            return -1;
        int lock = open(lock_path(a, folder), O_RDONLY | O_CREAT, 0666); /* others may own it */
        if (lock < 0 && errno != ENOENT)
            break;
        while (lock >= 0 && flock(lock, LOCK_SH) != 0 && errno == EINTR)
            continue;
        if (lock >= 0 && is_still_there(lock))
            return lock;
        if (lock >= 0)
            close(lock);
    }
    failed("use the cache", folder);
    return -1;
}

bool cache_open(Arena *a, uint64_t hash, const char *name, Entry *out)
{
    const char *folder = str_format(a, "%s/%016llx", cache_folder(a), (unsigned long long)hash);
    double bytes;
    if (!read_bound(&bytes))
        return false;
    out->path = str_format(a, "%s/%s", folder, name);
    out->lock = hold(a, folder);
    if (out->lock < 0)
        return false;
    futimens(out->lock, NULL);
    out->is_whole = access(out->path, R_OK) == 0;
    return true;
}

void cache_close(Entry *entry)
{
    if (entry->lock >= 0)
        close(entry->lock);
    entry->lock = -1;
}

bool cache_publish(const char *part, const char *path)
{
    int fd = open(part, O_RDONLY);
    bool is_safe = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return is_safe && rename(part, path) == 0;
}

/* ---- removing entries ---- */

typedef struct Kept {
    const char *folder;
    double bytes, used; /* used: seconds */
} Kept;

typedef LIST(Kept) KeptList;

static double seconds(const struct timespec *t)
{
    return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
}

static bool is_entry(const char *name)
{
    return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

/* The size of the files of an entry; of one without a lock, the time of its folder. */
static Kept look_at(Arena *a, const char *folder)
{
    Kept kept = {.folder = folder};
    struct stat about;
    DIR *files = opendir(folder);
    if (files && fstat(dirfd(files), &about) == 0)
        kept.used = seconds(&about.st_mtim);
    for (struct dirent *at; files && (at = readdir(files));) {
        if (stat(str_format(a, "%s/%s", folder, at->d_name), &about) != 0 || !S_ISREG(about.st_mode))
            continue;
        kept.bytes += (double)about.st_size;
        if (str_eq(at->d_name, ".lock"))
            kept.used = seconds(&about.st_mtim);
    }
    if (files)
        closedir(files);
    return kept;
}

/* False if somebody uses it. */
static bool remove_entry(Arena *a, const char *folder)
{
    const char *path = lock_path(a, folder);
    int lock = open(path, O_RDWR | O_CREAT, 0666);
    bool is_free = lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 && is_still_there(lock);
    DIR *files = is_free ? opendir(folder) : NULL;
    for (struct dirent *at; files && (at = readdir(files));)
        if (at->d_name[0] != '.')
            unlink(str_format(a, "%s/%s", folder, at->d_name));
    if (files)
        closedir(files);
    if (is_free) {
        unlink(path);
        rmdir(folder); /* it stays if somebody has just begun to use it anew */
    }
    if (lock >= 0)
        close(lock);
    return is_free;
}

static int by_use(const void *a, const void *b)
{
    const Kept *one = a, *other = b;
    if (one->used != other->used)
        return one->used < other->used ? -1 : 1;
    return strcmp(one->folder, other->folder);
}

static KeptList list_entries(Arena *a, double *bytes)
{
    KeptList list = {0};
    const char *folder = cache_folder(a);
    DIR *entries = opendir(folder);
    *bytes = 0;
    for (struct dirent *at; entries && (at = readdir(entries));)
        if (is_entry(at->d_name)) {
            list_push(a, list, look_at(a, str_format(a, "%s/%s", folder, at->d_name)));
            *bytes += list.at[list.n - 1].bytes;
        }
    if (entries)
        closedir(entries);
    if (list.n > 1)
        qsort(list.at, (size_t)list.n, sizeof *list.at, by_use);
    return list;
}

void cache_trim(Arena *a)
{
    double most, bytes, oldest = (double)time(NULL) - most_days * 24 * 3600;
    if (!read_bound(&most))
        return;
    KeptList list = list_entries(a, &bytes);
    for (int i = 0; i < list.n; i++) {
        const Kept *kept = &list.at[i];
        if ((kept->used < oldest || bytes > most) && remove_entry(a, kept->folder))
            bytes -= kept->bytes;
    }
}
