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

enum { MOST_UNITS = ISA_COUNT + 2, MOST_WORDS = MOST_UNITS + 12 };

/* A file that is compiled: its text may be compiled for several instruction sets. */
typedef struct Unit {
    const char *c_file, *object;
    pid_t pid;
} Unit;

typedef struct Build {
    Arena *a;
    const Model *model;
    Home home;
    const char *cc, *dir, *log;
    const Isa *variant[ISA_COUNT]; /* the best first */
    int n_variant;
    Unit unit[MOST_UNITS];
    int n_unit;
    bool is_draft;
} Build;

/* The ranges of values take gcc 12 more than half of its time on the steps of a model that is trained, and find nothing
 * there; a function for one sample of a small system gains some percent by them. */
static bool is_long(const char *c_file)
{
    enum { LONG = 100000 /* bytes */ };
    struct stat st;
    return stat(c_file, &st) == 0 && st.st_size > LONG;
}

/* Starts a compiler; isa NULL: for the least machine. Without errno a root is an instruction. */
static void compile(Build *b, const char *c_file, const char *object, const char *level, const Isa *isa)
{
    level = b->is_draft ? "-O0" : level;
    enum { N = 12 };
    const char *argv[N + 4] = {
        b->cc,  "-std=c11", level, "-ffp-contract=fast", "-fno-math-errno", "-w", "-I", b->home.include, "-c",
        c_file, "-o",       object};
    int n = N;
    if (isa) {
        argv[n++] = isa->flag;
        argv[n++] = str_format(b->a, "-DNDE_ISA=%s", isa->name);
    }
    if (is_long(c_file))
        argv[n++] = "-fno-tree-vrp";
    b->unit[b->n_unit++] = (Unit){c_file, object, start(argv, b->log)};
}

static int trouble(const Build *b)
{
    fprintf(stderr,
            "ndec: the C compiler did not accept what ndec made of %s. This is our fault, not the model's.\n"
            "      Please report it with the folder %s (the C files, and %s).\n",
            b->model->source->name, b->dir, b->log);
    return EXIT_FAULT;
}

static void clear(const Build *b)
{
    for (int i = 0; i < b->n_unit; i++) {
        unlink(b->unit[i].c_file); /* once more for a second variant: no harm */
        unlink(b->unit[i].object);
    }
    unlink(b->log);
    rmdir(b->dir);
}

static bool does_know(const Build *b, const Isa *isa)
{
    const char *argv[] = {b->cc, isa->flag, "-fsyntax-only", "-x", "c", "/dev/null", NULL};
    return finished(start(argv, "/dev/null"));
}

/* The sets to build, out of one that the user named. */
static bool choose_variants(Build *b, const Isa *isa)
{
    for (int i = ISA_COUNT - 1; i >= 0; i--) {
        const Isa *row = &isa_row[i];
        if (isa->flag ? row != isa : !row->is_here || !row->is_level)
            continue;
        if (!row->is_level || does_know(b, row))
            b->variant[b->n_variant++] = row;
    }
    if (b->n_variant == 0)
        fprintf(stderr, "ndec: %s knows nothing of --isa %s (%s): take another one, or a newer compiler\n", b->cc,
                isa->name, isa->what);
    return b->n_variant > 0;
}

/* The program's main, in a file of its own: it must run on a machine for which the rest is too much. */
static const char *main_text(const Build *b)
{
    const char *own = b->model->is_double ? "nde_model_f64" : "nde_model_f32";
    const Isa *least = b->variant[b->n_variant - 1];
    Text t = text_new(b->a);
    text_add(&t, "#include \"nde.h\"\n\n");
    for (int i = 0; i < b->n_variant; i++)
        text_line(&t, "extern const NdeModel %s_%s;", own, b->variant[i]->name);
    if (!b->model->is_double)
        text_line(&t, "extern const NdeModel nde_model_f64_%s;", least->name);
    text_add(&t, "\n");
    text_add(&t, "int main(int argc, char **argv)\n{\n    static const NdeVariant variant[] = {\n");
    for (int i = 0; i < b->n_variant; i++)
        text_add(&t, "        {&%s_%s, &nde_model_f64_%s},\n", own, b->variant[i]->name,
                 (b->model->is_double ? b->variant[i] : least)->name);
    text_add(&t, "    };\n    return nde_main(argc, argv, %d, variant);\n}\n", b->n_variant);
    return t.at;
}

/* Compiles everything side by side: the model for each variant; its float64 half, which only serves check-gradient, for
 * the least one. */
static int compile_all(Build *b)
{
    Arena *a = b->a;
    const char *stem = str_format(a, "%s/%s", b->dir, b->model->name);
    const char *own = str_format(a, "%s.c", stem), *exact = str_format(a, "%s_f64.c", stem);
    const char *start_file = str_format(a, "%s_main.c", stem);
    bool has_f32 = !b->model->is_double, ok = true;
    if (!toolchain_write(a, own, toolchain_text(a, b->model, b->model->is_double, false)) ||
        (has_f32 && !toolchain_write(a, exact, toolchain_text(a, b->model, true, false))) ||
        !toolchain_write(a, start_file, main_text(b)))
        return EXIT_FILES;
    for (int i = 0; i < b->n_variant; i++)
        compile(b, own, str_format(a, "%s_%s.o", stem, b->variant[i]->name), "-O3", b->variant[i]);
    if (has_f32)
        compile(b, exact, str_format(a, "%s_f64.o", stem), "-O1", b->variant[b->n_variant - 1]);
    compile(b, start_file, str_format(a, "%s_main.o", stem), "-O1", NULL);
    for (int i = 0; i < b->n_unit; i++)
        ok = finished(b->unit[i].pid) && ok;
    return ok ? 0 : trouble(b);
}

static int link_all(const Build *b, const char *binary)
{
    const char *part = str_format(b->a, "%s.part.%ld", binary, (long)getpid());
    const char *argv[MOST_WORDS] = {b->cc},
               *rest[] = {b->home.library, "-o", part, "-pthread", "-lz", "-lcjson", "-lm"};
    int n = 1;
    for (int i = 0; i < b->n_unit; i++)
        argv[n++] = b->unit[i].object;
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        argv[n++] = rest[i];
    if (!finished(start(argv, b->log)))
        return trouble(b);
    if (rename(part, binary) == 0)
        return 0;
    failed(binary, "cannot write");
    unlink(part);
    return EXIT_FILES;
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

int toolchain_build(Arena *a, const Model *model, Target target, const char *binary)
{
    Build b = {.a = a, .model = model, .is_draft = target.is_draft};
    const char *tmp = getenv("TMPDIR");
    char *dir = ARENA_NEW(a, char, 4096);
    if (!find_home(a, &b.home) || !(b.cc = find_compiler(a)) || !can_write(a, binary) ||
        !choose_variants(&b, target.isa))
        return EXIT_FILES;
    snprintf(dir, 4096, "%s/ndec-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir)) {
        failed(dir, "cannot make the folder");
        return EXIT_FILES;
    }
    b.dir = dir;
    b.log = str_format(a, "%s/compiler.log", dir);
    int code = compile_all(&b);
    if (!code)
        code = link_all(&b, binary);
    if (!code)
        clear(&b);
    return code;
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

const char *toolchain_cached(Arena *a, const Model *model, Target target, int *code)
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
    h = hash_text(hash_text(h, target.isa->name), isa_processor(a));
    h = hash_text(h, target.is_draft ? "draft" : "");
    const char *dir = str_format(a, "%s/ndec/%016llx", base, (unsigned long long)h);
    const char *binary = str_format(a, "%s/%s", dir, model->name);
    if (access(binary, X_OK) == 0)
        return binary;
    if (!make_dirs(a, dir))
        return NULL;
    *code = toolchain_build(a, model, target, binary);
    return *code ? NULL : binary;
}
