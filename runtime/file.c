/* file.c: whole files in, whole files out, folders, names with `*`.
 *
 * Needs: zlib, POSIX. Gives: the first part of io.h.
 * Elsewhere: what the bytes mean (array.c, csv.c, idx.c, safetensors.c). */
#define _XOPEN_SOURCE 700 /* realpath */
#include "io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* ---- reading ---- */

/* All bytes of an open file to a block with one more byte, 0. */
static int read_all(int fd, const char *path, NdeBytes *out, NdeError *e)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return nde_fail(e, NDE_EXIT_FILE, "cannot read '%s': %s", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return nde_fail(e, NDE_EXIT_FILE, "cannot read '%s': it is a folder; name a file in it", path);
    if (S_ISBLK(about.st_mode) || (S_ISCHR(about.st_mode) && !isatty(fd)))
        return nde_fail(e, NDE_EXIT_FILE, "cannot read '%s': it is a device, which may have no end; name a file", path);
    size_t room = S_ISREG(about.st_mode) && about.st_size > 0 ? (size_t)about.st_size + 2 : 65536;
    out->n = 0;
    out->at = nde_allocate(room, 1, e);
    if (!out->at)
        return e->exit_code;
    for (;;) {
        ssize_t got = read(fd, out->at + out->n, room - out->n - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return nde_fail(e, NDE_EXIT_FILE, "cannot read '%s': %s", path, strerror(errno));
        if (got == 0)
            break;
        out->n += (size_t)got;
        if (out->n + 1 < room)
            continue;
        unsigned char *more = nde_enlarge(out->at, room, 2, e);
        if (!more)
            return e->exit_code;
        out->at = more;
        room *= 2;
    }
    out->at[out->n] = 0;
    return 0;
}

/* As much as the input gives, growing the output; members of a gzip file may follow each other (RFC 1952, 2.2). */
static int inflate_all(z_stream *z, const NdeBytes *packed, const char *path, NdeBytes *out, NdeError *e)
{
    size_t used = 0, room = packed->n < SIZE_MAX / 8 ? packed->n * 4 + 64 : packed->n;
    out->at = nde_allocate(room, 1, e);
    if (!out->at)
        return e->exit_code;
    for (;;) {
        size_t input = packed->n - used, space = room - out->n - 1;
        z->next_in = packed->at + used;
        z->avail_in = input < UINT_MAX ? (uInt)input : UINT_MAX;
        z->next_out = out->at + out->n;
        z->avail_out = space < UINT_MAX ? (uInt)space : UINT_MAX;
        int state = inflate(z, Z_NO_FLUSH);
        used = (size_t)(z->next_in - packed->at);
        out->n = (size_t)(z->next_out - out->at);
        if (state == Z_STREAM_END && used == packed->n)
            break;
        if (state == Z_STREAM_END && inflateReset(z) == Z_OK)
            continue;
        if (state == Z_MEM_ERROR)
            return nde_fail(e, NDE_EXIT_MEMORY, "out of memory while inflating '%s'", path);
        if (state != Z_OK && state != Z_BUF_ERROR)
            return nde_fail(e, NDE_EXIT_DATA, "'%s' is damaged: gzip says '%s' near byte %zu; copy the file again",
                            path, z->msg ? z->msg : "bad data", used);
        if (out->n + 1 < room && used == packed->n)
            return nde_fail(e, NDE_EXIT_DATA,
                            "'%s' is cut short: its gzip data goes on after its %zu bytes; copy the file again", path,
                            packed->n);
        if (out->n + 1 < room)
            continue;
        unsigned char *more = nde_enlarge(out->at, room, 2, e);
        if (!more)
            return e->exit_code;
        out->at = more;
        room *= 2;
    }
    out->at[out->n] = 0;
    return 0;
}

static int unpack(const char *path, NdeBytes *bytes, NdeError *e)
{
    if (bytes->n < 2 || bytes->at[0] != 0x1f || bytes->at[1] != 0x8b)
        return 0;
    z_stream z = {0};
    if (inflateInit2(&z, 15 + 16) != Z_OK)
        return nde_fail(e, NDE_EXIT_MEMORY, "out of memory while inflating '%s'", path);
    NdeBytes plain = {0};
    int status = inflate_all(&z, bytes, path, &plain, e);
    inflateEnd(&z);
    free(bytes->at);
    *bytes = plain;
    return status;
}

/* The file, or the same name with .gz; *name then says which. Memory of *name is the caller's. */
static int open_either(const char *path, char **name, NdeError *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int why = errno;
    size_t n = strlen(path) + 4;
    *name = nde_allocate(n, 1, e);
    if (!*name) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    memcpy(*name, path, n - 3);
    if (fd >= 0)
        return fd;
    if (why == ENOENT) {
        memcpy(*name + n - 4, ".gz", 4);
        fd = open(*name, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        nde_fail(e, NDE_EXIT_FILE, "cannot open '%s': %s", path, strerror(why));
    return fd;
}

int nde_file_read(const char *path, NdeBytes *out, NdeError *e)
{
    *out = (NdeBytes){0};
    char *name = NULL;
    int fd = open_either(path, &name, e);
    if (fd < 0) {
        free(name);
        return e->exit_code;
    }
    int status = read_all(fd, name, out, e);
    close(fd);
    if (!status)
        status = unpack(name, out, e);
    free(name);
    if (status) {
        free(out->at);
        *out = (NdeBytes){0};
    }
    return status;
}

/* ---- writing ---- */

struct NdeFile {
    FILE *to;
    char *path; /* where the complete file goes */
    char *part; /* where it is written; NULL: in place */
};

static void file_free(NdeFile *file)
{
    if (file->to)
        fclose(file->to);
    free(file->path);
    free(file->part);
    free(file);
}

/* Opens a name beside the target that nobody has, with the permissions of the file that it will replace. */
static int open_part(NdeFile *file, const struct stat *old, NdeError *e)
{
    size_t size = strlen(file->path) + 48;
    file->part = nde_allocate(size, 1, e);
    if (!file->part)
        return e->exit_code;
    int fd = -1;
    for (int attempt = 0; fd < 0 && attempt < 1000; attempt++) {
        snprintf(file->part, size, "%s.%ld-%d.part", file->path, (long)getpid(), attempt);
        fd = open(file->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST)
            break;
    }
    if (fd < 0) {
        nde_fail(e, NDE_EXIT_FILE, "cannot write '%s': %s", file->path, strerror(errno));
        free(file->part);
        file->part = NULL;
        return e->exit_code;
    }
    if (old && fchmod(fd, old->st_mode & 0777) != 0)
        errno = 0; /* a file system without permissions: the new file has its defaults */
    file->to = fdopen(fd, "wb");
    if (file->to)
        return 0;
    close(fd);
    unlink(file->part);
    return nde_fail(e, NDE_EXIT_MEMORY, "out of memory while opening '%s'", file->path);
}

static int open_target(NdeFile *file, NdeError *e)
{
    struct stat about;
    bool is_there = stat(file->path, &about) == 0;
    if (is_there && S_ISDIR(about.st_mode))
        return nde_fail(e, NDE_EXIT_FILE, "cannot write '%s': it is a folder; name a file in it", file->path);
    if (!is_there || S_ISREG(about.st_mode))
        return open_part(file, is_there ? &about : NULL, e);
    file->to = fopen(file->path, "wb");
    if (!file->to)
        return nde_fail(e, NDE_EXIT_FILE, "cannot write '%s': %s", file->path, strerror(errno));
    return 0;
}

NdeFile *nde_file_create(const char *path, NdeError *e)
{
    NdeFile *file = nde_allocate(1, sizeof *file, e);
    if (!file)
        return NULL;
    struct stat about;
    if (lstat(path, &about) == 0 && S_ISLNK(about.st_mode))
        file->path = realpath(path, NULL); /* a link stays a link: its target is replaced */
    if (!file->path)
        file->path = nde_copy_text(path, e);
    if (!file->path || open_target(file, e)) {
        file_free(file);
        return NULL;
    }
    return file;
}

FILE *nde_file_stream(const NdeFile *file)
{
    return file->to;
}

/* Without this a crash of the machine could lose the new name. A file system that cannot do it is no error. */
static void sync_folder(const char *path, NdeError *e)
{
    char *folder = nde_copy_text(path, e);
    if (!folder)
        return;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

/* Everything to the disk, and the stream closed. Gives 0 or an errno. */
static int finish(NdeFile *file)
{
    errno = 0;
    bool failed = ferror(file->to) != 0;
    failed = fflush(file->to) != 0 || failed;
    failed = failed || (file->part && fsync(fileno(file->to)) != 0);
    int why = errno;
    FILE *to = file->to;
    file->to = NULL;
    if (fclose(to) != 0 && !failed) {
        failed = true;
        why = errno;
    }
    return failed ? (why ? why : EIO) : 0;
}

int nde_file_commit(NdeFile *file, NdeError *e)
{
    int why = finish(file);
    if (!why && file->part && rename(file->part, file->path) != 0)
        why = errno;
    if (why) {
        nde_fail(e, NDE_EXIT_FILE, "cannot write '%s': %s%s", file->path, strerror(why),
                 file->part ? "; what was there before is unchanged: make room or choose another place" : "");
        nde_file_abort(file);
        return e->exit_code;
    }
    if (file->part)
        sync_folder(file->path, e);
    file_free(file);
    return 0;
}

void nde_file_abort(NdeFile *file)
{
    if (file->part)
        unlink(file->part);
    file_free(file);
}

/* ---- folders ---- */

/* EEXIST is fine where there is a folder. */
static int make_one(const char *path, NdeError *e)
{
    struct stat about;
    if (mkdir(path, 0777) == 0)
        return 0;
    int why = errno;
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode))
            return 0;
        return nde_fail(e, NDE_EXIT_FILE, "cannot make the folder '%s': there is a file of that name", path);
    }
    return nde_fail(e, NDE_EXIT_FILE, "cannot make the folder '%s': %s", path, strerror(why));
}

int nde_folder_make(const char *path, NdeError *e)
{
    char *upto = nde_copy_text(path, e);
    if (!upto)
        return e->exit_code;
    int status = 0;
    for (char *c = upto + 1; upto[0] && *c && !status; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        status = make_one(upto, e);
        *c = '/';
    }
    if (!status)
        status = make_one(upto, e);
    free(upto);
    return status;
}

/* The largest number that is the whole name of something in the folder. */
static long largest_run(const char *base)
{
    long largest = 0;
    DIR *folder = opendir(base);
    if (!folder)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *end;
        long number = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0' && number > largest && number < 1000000000)
            largest = number;
    }
    closedir(folder);
    return largest;
}

int nde_new_run_dir(const char *base, char *out, size_t size, NdeError *e)
{
    int status = nde_folder_make(base, e);
    if (status)
        return status;
    for (long number = largest_run(base) + 1;; number++) {
        int n = snprintf(out, size, "%s/%04ld", base, number);
        if (n < 0 || (size_t)n >= size)
            return nde_fail(e, NDE_EXIT_FILE, "the name of the folder '%s' is too long", base);
        if (mkdir(out, 0777) == 0) /* exactly one of several programs succeeds */
            return 0;
        if (errno != EEXIST)
            return nde_fail(e, NDE_EXIT_FILE, "cannot make the folder '%s': %s", out, strerror(errno));
    }
}

/* ---- names with a star ---- */

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_path(NdePaths *paths, const char *path, NdeError *e)
{
    char **more = nde_enlarge(paths->at, (size_t)paths->n + 1, sizeof *more, e);
    if (!more)
        return e->exit_code;
    paths->at = more;
    paths->at[paths->n] = nde_copy_text(path, e);
    if (!paths->at[paths->n])
        return e->exit_code;
    paths->n++;
    return 0;
}

/* The pattern with everything but `*` made ordinary for glob(). */
static char *only_stars(const char *pattern, NdeError *e)
{
    char *escaped = nde_allocate(strlen(pattern) * 2 + 1, 1, e);
    if (!escaped)
        return NULL;
    char *to = escaped;
    for (const char *c = pattern; *c; c++) {
        if (strchr("?[]\\", *c))
            *to++ = '\\';
        *to++ = *c;
    }
    *to = '\0';
    return escaped;
}

int nde_paths_find(const char *pattern, NdePaths *out, NdeError *e)
{
    *out = (NdePaths){0};
    int status = 0;
    if (!strchr(pattern, '*')) {
        status = add_path(out, pattern, e);
    } else {
        char *escaped = only_stars(pattern, e);
        if (!escaped)
            return e->exit_code;
        glob_t found = {0};
        int outcome = glob(escaped, GLOB_NOSORT, NULL, &found);
        free(escaped);
        if (outcome == GLOB_NOSPACE)
            status = nde_fail(e, NDE_EXIT_MEMORY, "out of memory while looking for '%s'", pattern);
        else if (outcome != 0 || found.gl_pathc == 0)
            status = nde_fail(e, NDE_EXIT_FILE, "no file matches '%s'", pattern);
        for (size_t i = 0; !status && i < found.gl_pathc; i++)
            status = add_path(out, found.gl_pathv[i], e);
        globfree(&found);
    }
    if (status)
        nde_paths_free(out);
    else if (out->n > 1)
        qsort(out->at, (size_t)out->n, sizeof *out->at, by_bytes);
    return status;
}

void nde_paths_free(NdePaths *paths)
{
    for (int i = 0; i < paths->n; i++)
        free(paths->at[i]);
    free(paths->at);
    *paths = (NdePaths){0};
}
