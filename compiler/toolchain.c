/* toolchain.c: from C text to a program: the host's C compiler, the runtime's files, the cache.
 *
 * Needs: a C compiler ($CC, cc, gcc or clang), the runtime beside ndec in the build tree or under its prefix.
 * Elsewhere: the C text (emit.c). */
#include "toolchain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_FILES = 2, EXIT_FAULT = 70 };

const char *toolchain_text(Arena *a, const Model *model, bool is_double, bool with_main)
{
    Text t = text_new(a);
    emit_model(&t, is_double ? model->exact : model, is_double, with_main);
    return t.at;
}

/* ---- files ---- */
static bool failed(const char *path, const char *what)
{
    fprintf(stderr, "ndec: %s '%s': %s\n", what, path, strerror(errno));
    return false;
}

bool toolchain_write(Arena *a, const char *path, const char *text)
{
    const char *part = str_format(a, "%s.part.%ld", path, (long)getpid());
    FILE *f = fopen(part, "w");
    if (!f)
        return failed(path, "cannot write");
    bool ok = fwrite(text, 1, strlen(text), f) == strlen(text) && fflush(f) == 0 && fsync(fileno(f)) == 0;
    ok = fclose(f) == 0 && ok;
    if (ok && rename(part, path) == 0)
        return true;
    failed(path, "cannot write");
    unlink(part);
    return false;
}

static bool exists(const char *path)
{
    return access(path, R_OK) == 0;
}

typedef struct Home {
    const char *include, *library;
} Home;

/* The runtime: beside ndec in the build tree, or PREFIX/include/ndec and PREFIX/lib/ndec for PREFIX/bin/ndec. */
static bool find_home(Arena *a, Home *home)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return false;
    self[n] = 0;
    *strrchr(self, '/') = 0;
    const struct {
        const char *include, *library;
    } place[] = {{"%s/../runtime", "%s/libnde.a"}, {"%s/../include/ndec", "%s/../lib/ndec/libnde.a"}};
    for (int i = 0; i < 2; i++) {
        const char *tail = strchr(place[i].include, '/'), *tail2 = strchr(place[i].library, '/');
        home->include = str_format(a, "%s%s", self, tail);
        home->library = str_format(a, "%s%s", self, tail2);
        if (exists(str_format(a, "%s/nde.h", home->include)) && exists(home->library))
            return true;
    }
    fprintf(stderr,
            "ndec: its runtime (nde.h and libnde.a) is neither beside %s nor under its prefix.\n"
            "      Run `make build` in its source folder, or `make install`.\n",
            self);
    return false;
}

static const char *find_in_path(Arena *a, const char *name)
{
    if (strchr(name, '/'))
        return access(name, X_OK) == 0 ? name : NULL;
    for (const char *at = getenv("PATH"); at && *at;) {
        size_t n = strcspn(at, ":");
        const char *path = str_format(a, "%.*s/%s", (int)n, at, name);
        if (access(path, X_OK) == 0)
            return path;
        at += n + (at[n] == ':');
    }
    return NULL;
}

static const char *find_compiler(Arena *a)
{
    const char *wanted = getenv("CC"), *name[] = {"cc", "gcc", "clang"};
    if (wanted && *wanted) {
        const char *path = find_in_path(a, wanted);
        if (!path)
            fprintf(stderr, "ndec: the C compiler '%s' named by CC is not there.\n", wanted);
        return path;
    }
    for (int i = 0; i < 3; i++)
        if (find_in_path(a, name[i]))
            return find_in_path(a, name[i]);
    fprintf(stderr, "ndec: there is no C compiler (cc, gcc or clang) in PATH, and a model is built with one.\n"
                    "      Install one (Debian: apt-get install gcc libc6-dev), or name it in CC.\n");
    return NULL;
}

/* ---- running it ---- */
static pid_t start(const char *const *argv, const char *log)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd >= 0) {
        dup2(fd, 1);
        dup2(fd, 2);
    }
    execv(argv[0], (char *const *)argv);
    _exit(127);
}

static bool finished(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

typedef struct Build {
    Arena *a;
    const Model *model;
    Home home;
    const char *cc, *dir, *log;
} Build;

static pid_t compile(const Build *b, const char *c_file, const char *object, const char *level)
{
    const char *argv[] = {b->cc,
                          "-std=c11",
                          level,
                          "-march=native",
                          "-ffp-contract=fast",
                          "-fno-math-errno",
                          "-w",
                          "-I",
                          b->home.include,
                          "-c",
                          c_file,
                          "-o",
                          object,
                          NULL};
    return start(argv, b->log);
}

static int trouble(const Build *b)
{
    fprintf(stderr,
            "ndec: the C compiler did not accept what ndec made of %s. This is our fault, not the model's.\n"
            "      Please report it with the folder %s (the C files, and %s).\n",
            b->model->source->name, b->dir, b->log);
    return EXIT_FAULT;
}

static void clear(const Build *b, const char *const *name, int n)
{
    for (int i = 0; i < n; i++)
        unlink(name[i]);
    unlink(b->log);
    rmdir(b->dir);
}

static int compile_and_link(const Build *b, const char *binary)
{
    Arena *a = b->a;
    bool has_f32 = !b->model->is_double;
    const char *file[4] = {
        str_format(a, "%s/%s.c", b->dir, b->model->name), str_format(a, "%s/%s_f64.c", b->dir, b->model->name),
        str_format(a, "%s/%s.o", b->dir, b->model->name), str_format(a, "%s/%s_f64.o", b->dir, b->model->name)};
    if (!toolchain_write(a, file[0], toolchain_text(a, b->model, b->model->is_double, true)) ||
        (has_f32 && !toolchain_write(a, file[1], toolchain_text(a, b->model, true, false))))
        return EXIT_FILES;
    pid_t own = compile(b, file[0], file[2], "-O3"), other = has_f32 ? compile(b, file[1], file[3], "-O1") : 0;
    bool ok = finished(own);
    ok = (!has_f32 || finished(other)) && ok;
    if (!ok)
        return trouble(b);
    const char *part = str_format(a, "%s.part.%ld", binary, (long)getpid());
    const char *argv[] = {
        b->cc, file[2], has_f32 ? file[3] : b->home.library, b->home.library, "-o", part, "-pthread", "-lz", "-lcjson",
        "-lm", NULL};
    if (!finished(start(argv, b->log)))
        return trouble(b);
    if (rename(part, binary) != 0) {
        failed(binary, "cannot write");
        unlink(part);
        return EXIT_FILES;
    }
    clear(b, file, 4);
    return 0;
}

/* Before the work is done rather than after. */
static bool can_write(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dir = !slash ? "." : slash == path ? "/" : str_copy(a, path, (size_t)(slash - path));
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        fprintf(stderr, "ndec: '%s' is a folder; name the program with -o\n", path);
        return false;
    }
    return access(dir, W_OK) == 0 || failed(dir, "cannot write to the folder");
}

int toolchain_build(Arena *a, const Model *model, const char *binary)
{
    Build b = {.a = a, .model = model};
    const char *tmp = getenv("TMPDIR");
    char *dir = ARENA_NEW(a, char, 4096);
    if (!find_home(a, &b.home) || !(b.cc = find_compiler(a)) || !can_write(a, binary))
        return EXIT_FILES;
    snprintf(dir, 4096, "%s/ndec-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        failed(dir, "cannot make the folder");
        return EXIT_FILES;
    }
    b.dir = dir;
    b.log = str_format(a, "%s/compiler.log", dir);
    return compile_and_link(&b, binary);
}

/* ---- the cache ---- */
static uint64_t hash_text(uint64_t h, const char *s) /* FNV-1a */
{
    for (; *s; s++)
        h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

static bool make_dirs(Arena *a, const char *path)
{
    for (const char *at = path + 1;; at++)
        if (*at == '/' || !*at) {
            const char *dir = str_copy(a, path, (size_t)(at - path));
            if (mkdir(dir, 0777) != 0 && errno != EEXIST)
                return failed(dir, "cannot make the folder");
            if (!*at)
                return true;
        }
}

const char *toolchain_cached(Arena *a, const Model *model, int *code)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    Home runtime;
    struct stat st;
    *code = EXIT_FILES;
    if (!find_home(a, &runtime))
        return NULL;
    if (!base || !*base)
        base = str_format(a, "%s/.cache", home && *home ? home : "/tmp");
    uint64_t h = hash_text(0xcbf29ce484222325u, toolchain_text(a, model, model->is_double, true));
    if (stat(runtime.library, &st) == 0) /* another runtime makes another program */
        h = hash_text(h, str_format(a, "%s %lld %lld", runtime.library, (long long)st.st_mtime, (long long)st.st_size));
    const char *dir = str_format(a, "%s/ndec/%016llx", base, (unsigned long long)h);
    const char *binary = str_format(a, "%s/%s", dir, model->name);
    if (access(binary, X_OK) == 0)
        return binary;
    if (!make_dirs(a, dir))
        return NULL;
    *code = toolchain_build(a, model, binary);
    return *code ? NULL : binary;
}
