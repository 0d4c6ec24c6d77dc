/* toolchain.c: from C text to a program: the host's C compiler, the runtime's files.
 *
 * Needs: a C compiler ($CC, cc, gcc or clang), the runtime beside ndec in the build tree or under its prefix.
 * Elsewhere: the C text (emit.c), keeping programs and objects (cache.c). */
#include "toolchain.h"

#include "cache.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

bool toolchain_folder(const char *path)
{
    struct stat about;
    if (mkdir(path, 0777) == 0)
        return true;
    int why = errno;
    if (why == EEXIST && stat(path, &about) == 0 && S_ISDIR(about.st_mode))
        return true;
    fprintf(stderr, "ndec: cannot make the folder '%s': %s\n", path,
            why == EEXIST   ? "there is a file of that name"
            : why == ENOENT ? "the folder that it belongs into is not there"
                            : strerror(why));
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

/* ---- hashes ---- */
static uint64_t hash_text(uint64_t h, const char *s)
{
    return str_hash(h, s, strlen(s));
}

/* Of what is compiled besides its text: another runtime makes another program, and so does another processor. */
static uint64_t hash_surroundings(Arena *a, const Home *home, const Isa *isa)
{
    struct stat st;
    uint64_t h = STR_HASH;
    if (stat(home->library, &st) == 0)
        h = hash_text(h, str_format(a, "%s %lld %lld", home->library, (long long)st.st_mtime, (long long)st.st_size));
    return hash_text(hash_text(h, isa->name), isa_processor(a));
}

/* ---- being stopped ---- */
static volatile sig_atomic_t stopped_by; /* a signal, or 0 */

static void stop(int signal_number)
{
    stopped_by = signal_number;
}

static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOPPING = sizeof stopping / sizeof *stopping };

/* From now on a signal ends compilers (wait_for_one) instead of ndec, which then puts things in order. One that is
 * ignored stays so. */
static void catch_stops(struct sigaction before[STOPPING])
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stop;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < STOPPING; i++)
        if (sigaction(stopping[i], NULL, &before[i]) == 0 && before[i].sa_handler != SIG_IGN)
            sigaction(stopping[i], &action, NULL);
}

/* Things are in order: the signal does what it does. */
static void let_stop(const struct sigaction before[STOPPING])
{
    for (int i = 0; i < STOPPING; i++)
        sigaction(stopping[i], &before[i], NULL);
    if (stopped_by)
        raise(stopped_by);
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
    setenv("LC_ALL", "C", 1); /* trouble.def is in English */
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

/* A file that is compiled: its text may be compiled for several instruction sets. */
typedef struct Unit {
    const char *c_file, *object;
    pid_t pid;  /* 0: it has ended */
    Entry kept; /* where the object goes once it is whole; path NULL: it is only for this program */
} Unit;

typedef struct Build {
    Arena *a;
    const Program *program;
    Home home;
    const char *cc, *dir, *log, *stem;
    const Isa *variant[ISA_COUNT]; /* the best first */
    int n_variant;
    LIST(Unit) units;
    int running; /* compilers */
    bool has_failed;
    const char **name; /* of alternatives and reference, at the ends of their tables' names */
} Build;

/* The ranges of values take gcc 12 more than half of its time on the steps of a model that is trained, and find nothing
 * there; a function for one sample of a small system gains some percent by them. */
static bool is_long(const char *c_file)
{
    enum { LONG = 100000 /* bytes */ };
    struct stat st;
    return stat(c_file, &st) == 0 && st.st_size > LONG;
}

static void wait_for_one(Build *b)
{
    int status = 0;
    for (int i = 0; i < b->units.n && stopped_by; i++)
        if (b->units.at[i].pid > 0)
            kill(b->units.at[i].pid, SIGTERM);
    pid_t pid = waitpid(-1, &status, 0);
    for (int i = 0; i < b->units.n; i++) {
        Unit *unit = &b->units.at[i];
        if (unit->pid != pid)
            continue;
        unit->pid = 0;
        b->running--;
        bool is_done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (is_done && unit->kept.path && cache_publish(unit->object, unit->kept.path))
            unit->object = unit->kept.path;
        b->has_failed |= !is_done;
    }
    if (pid < 0 && errno != EINTR) {
        b->has_failed = true;
        b->running = 0;
    }
}

/* Starts a compiler once a processor is free; isa NULL: for the least machine; alternative NULL: the model itself.
 * Without errno a root is an instruction. */
static void compile(Build *b, const char *c_file, const char *object, const char *level, const Isa *isa,
                    const char *alternative)
{
    enum { N = 12 };
    const char *argv[N + 5] = {b->cc,
                               "-std=c11",
                               b->program->is_draft ? "-O0" : level,
                               "-ffp-contract=fast",
                               "-fno-math-errno",
                               "-w",
                               "-I",
                               b->home.include,
                               "-c",
                               c_file,
                               "-o",
                               object};
    int n = N;
    if (isa) {
        argv[n++] = isa->flag;
        argv[n++] = str_format(b->a, "-DNDE_ISA=%s", isa->name);
    }
    if (alternative)
        argv[n++] = str_format(b->a, "-DNDE_ALTERNATIVE=%s", alternative);
    if (is_long(c_file))
        argv[n++] = "-fno-tree-vrp";
    while (b->running > 0 && (stopped_by || b->running >= sysconf(_SC_NPROCESSORS_ONLN)))
        wait_for_one(b);
    b->running++;
    list_push(b->a, b->units, ((Unit){.c_file = c_file, .object = object, .pid = start(argv, b->log)}));
}

/* The row of trouble.def that fits what the compilers have said, or NULL. */
static const char *find_cause(const Build *b)
{
    static const struct {
        const char *said, *meaning;
    } row[] = {
#define TROUBLE(said, meaning) {said, meaning},
#include "trouble.def"
#undef TROUBLE
    };
    const Source *log = source_read(b->a, b->log);
    const char *text = log ? str_copy(b->a, log->text, log->n) : "";
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (strstr(text, row[i].said))
            return row[i].meaning;
    return NULL;
}

static int trouble(const Build *b)
{
    if (stopped_by)
        return EXIT_FILES; /* nobody will see it */
    const char *cause = find_cause(b);
    if (cause) {
        fprintf(stderr, "ndec: the C compiler could not finish %s: %s\n", b->program->model->source->name, cause);
        return EXIT_FILES;
    }
    fprintf(stderr,
            "ndec: the C compiler did not accept what ndec made of %s. This is our fault, not the model's.\n"
            "      Please report it with the folder %s (the C files, and %s).\n",
            b->program->model->source->name, b->dir, b->log);
    return EXIT_FAULT;
}

static void clear(const Build *b)
{
    for (int i = 0; i < b->units.n; i++) {
        Unit *unit = &b->units.at[i];
        unlink(unit->c_file); /* once more for a second variant: no harm */
        if (unit->object != unit->kept.path)
            unlink(unit->object);
        if (unit->kept.path)
            cache_close(&unit->kept);
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

/* The table of a model: nde_model_f32_native, or nde_model_f32_native_1f0c4e.. of an alternative. */
static const char *table_name(Arena *a, bool is_double, const Isa *isa, const char *alternative)
{
    return str_format(a, "nde_model_%s_%s%s%s", is_double ? "f64" : "f32", isa->name, alternative ? "_" : "",
                      alternative ? alternative : "");
}

/* The program's main, in a file of its own: it must run on a machine for which the rest is too much. */
static const char *main_text(const Build *b)
{
    Arena *a = b->a;
    bool is_double = b->program->model->is_double;
    const Isa *least = b->variant[b->n_variant - 1];
    Text t = text_new(a);
    text_add(&t, "#include \"nde.h\"\n\n");
    for (int i = 0; i < b->n_variant; i++)
        text_line(&t, "extern const NdeModel %s;", table_name(a, is_double, b->variant[i], NULL));
    if (!is_double)
        text_line(&t, "extern const NdeModel %s;", table_name(a, true, least, NULL));
    text_add(&t, "\n");
    text_add(&t, "int main(int argc, char **argv)\n{\n    static const NdeVariant variant[] = {\n");
    for (int i = 0; i < b->n_variant; i++)
        text_add(&t, "        {&%s, &%s},\n", table_name(a, is_double, b->variant[i], NULL),
                 table_name(a, true, is_double ? b->variant[i] : least, NULL));
    text_add(&t, "    };\n    return nde_main(argc, argv, %d, variant);\n}\n", b->n_variant);
    return t.at;
}

static const char *quoted(Arena *a, const char *text)
{
    return text ? emit_string(a, text, strlen(text)) : "NULL";
}

/* Is the row code of its own? The others share the first row's, which is the model's. */
static bool is_compiled(const Program *p, int i)
{
    const Model *model = p->alternatives.at[i].model;
    return model && (i == 0 || model != p->model);
}

/* "true, {0.2, 0.4, 0.0}", or "false, {0}": the gains of a row. */
static const char *gain_text(Arena *a, const Alternative *row)
{
    const double *g = row->gain;
    return g ? str_format(a, "true, {%s, %s, %s}", num_text(a, g[0], false), num_text(a, g[1], false),
                          num_text(a, g[2], false))
             : "false, {0}";
}

/* The main of a program that holds alternatives. Its float64 half is the reference alone. */
static const char *comparison_text(const Build *b)
{
    Arena *a = b->a;
    const Program *p = b->program;
    bool is_double = p->model->is_double;
    const Isa *isa = b->variant[0];
    const char *own = table_name(a, is_double, isa, b->name[0]);
    const char *reference = table_name(a, true, isa, b->name[p->alternatives.n]);
    Text t = text_new(a);
    text_add(&t, "#include \"nde.h\"\n\n");
    for (int i = 0; i < p->alternatives.n; i++)
        if (is_compiled(p, i))
            text_line(&t, "extern const NdeModel %s;", table_name(a, is_double, isa, b->name[i]));
    text_line(&t, "extern const NdeModel %s;\n", reference);
    text_add(&t, "int main(int argc, char **argv)\n{\n    static const NdeAlternative row[] = {\n");
    for (int i = 0; i < p->alternatives.n; i++) {
        const Alternative *row = &p->alternatives.at[i];
        const char *table = table_name(a, is_double, isa, b->name[i]);
        text_add(&t, "        {{");
        for (int k = 0; k < COMPARE_PARTS; k++)
            text_add(&t, "%s%s", k ? ", " : "", quoted(a, row->choice[k]));
        text_add(&t, "}, %s, %s, %s, %s},\n", row->model ? str_format(a, "&%s", table) : "NULL",
                 quoted(a, row->refusal), quoted(a, row->control), gain_text(a, row));
    }
    text_add(&t, "    };\n    static const NdeVariant variant = {&%s, %s};\n", own,
             is_double ? str_format(a, "&%s", own) : "NULL");
    text_add(&t, "    static const NdeComparison comparison = {row, %d, &%s};\n", p->alternatives.n, reference);
    text_add(&t, "    return nde_main_compare(argc, argv, &variant, &comparison);\n}\n");
    return t.at;
}

/* The C text of a model, compiled once for each variant. */
static bool compile_model(Build *b, const Model *model)
{
    const char *c_file = str_format(b->a, "%s.c", b->stem);
    if (!toolchain_write(b->a, c_file, toolchain_text(b->a, model, model->is_double, false)))
        return false;
    for (int i = 0; i < b->n_variant; i++)
        compile(b, c_file, str_format(b->a, "%s_%s.o", b->stem, b->variant[i]->name), "-O3", b->variant[i], NULL);
    return true;
}

/* The model with nothing but what training runs. */
static Model *training_alone(Arena *a, const Model *model)
{
    Model *part = ARENA_NEW(a, Model, 1);
    Module *module = ARENA_NEW(a, Module, 1);
    *part = *model;
    *module = *model->module;
    part->module = module;
    part->exact = part;
    part->eval = part->predict = part->hyper = NULL;
    part->output_names.n = part->metric_names.n = 0;
    memset(&module->solves, 0, sizeof module->solves);
    for (int i = 0; i < model->module->solves.n; i++)
        if (plan_runs_solve(part, model->module->solves.at[i]))
            list_push(a, module->solves, model->module->solves.at[i]);
    return part;
}

/* The float64 half of a program, for the least machine: check-gradient runs the training step and nothing else. */
static bool compile_exact(Build *b)
{
    const char *c_file = str_format(b->a, "%s_f64.c", b->stem);
    const Model *part = training_alone(b->a, b->program->model->exact);
    if (!toolchain_write(b->a, c_file, toolchain_text(b->a, part, true, false)))
        return false;
    compile(b, c_file, str_format(b->a, "%s_f64.o", b->stem), "-O1", b->variant[b->n_variant - 1], NULL);
    return true;
}

/* An alternative, or the reference. Its object stays in the cache: other rows beside it do not change it. */
static bool compile_kept(Build *b, const Model *model, bool is_double, const char *level, const char **name)
{
    Arena *a = b->a;
    const char *text = toolchain_text(a, model, is_double, false);
    uint64_t h = hash_text(hash_text(hash_text(hash_surroundings(a, &b->home, b->variant[0]), b->cc), level), text);
    *name = str_format(a, "%016llx", (unsigned long long)h);
    const char *c_file = str_format(a, "%s_%s.c", b->stem, *name);
    Entry kept;
    if (!cache_open(a, h, str_format(a, "%s.o", model->name), &kept))
        return false;
    if (kept.is_whole)
        list_push(a, b->units, ((Unit){.c_file = c_file, .object = kept.path}));
    else if (toolchain_write(a, c_file, text))
        compile(b, c_file, str_format(a, "%s.part.%ld", kept.path, (long)getpid()), level, b->variant[0], *name);
    else
        return false;
    b->units.at[b->units.n - 1].kept = kept;
    return true;
}

static bool compile_alternatives(Build *b)
{
    const Program *p = b->program;
    int n = 1, k = 0; /* of all models that are compiled, with the reference */
    b->name = ARENA_NEW(b->a, const char *, p->alternatives.n + 1);
    for (int i = 0; i < p->alternatives.n; i++)
        n += is_compiled(p, i);
    fprintf(stderr, "ndec: compiling %s with %d choices and a reference\n", p->model->source->name, n - 1);
    for (int i = 0; i < p->alternatives.n; i++) {
        const Alternative *row = &p->alternatives.at[i];
        if (!is_compiled(p, i)) {
            b->name[i] = b->name[0];
            continue;
        }
        fprintf(stderr, "ndec: %d of %d: %s, adjoint %s, batching %s\n", ++k, n, row->choice[COMPARE_METHOD],
                row->choice[COMPARE_ADJOINT], row->choice[COMPARE_BATCHING]);
        if (!compile_kept(b, row->model, row->model->is_double, "-O3", &b->name[i]))
            return false;
    }
    fprintf(stderr, "ndec: %d of %d: the reference, %s in float64\n", n, n,
            p->reference->module->solves.at[0]->method->name);
    return compile_kept(b, p->reference, true, "-O2", &b->name[p->alternatives.n]);
}

/* Compiles everything side by side. */
static int compile_all(Build *b)
{
    const Program *p = b->program;
    const char *start_file = str_format(b->a, "%s_main.c", b->stem);
    bool is_comparison = p->alternatives.n > 0;
    bool ok = is_comparison ? compile_alternatives(b)
                            : compile_model(b, p->model) && (p->model->is_double || compile_exact(b));
    ok = ok && toolchain_write(b->a, start_file, is_comparison ? comparison_text(b) : main_text(b));
    if (ok)
        compile(b, start_file, str_format(b->a, "%s_main.o", b->stem), "-O1", NULL, NULL);
    while (b->running > 0)
        wait_for_one(b);
    return !ok ? EXIT_FILES : b->has_failed ? trouble(b) : 0;
}

static int link_all(const Build *b, const char *binary)
{
    const char *part = str_format(b->a, "%s.part.%ld", binary, (long)getpid());
    const char *rest[] = {b->home.library, "-o", part, "-pthread", "-lz", "-lcjson", "-lm", NULL};
    LIST(const char *) argv = {0};
    list_push(b->a, argv, b->cc);
    for (int i = 0; i < b->units.n; i++)
        list_push(b->a, argv, b->units.at[i].object);
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        list_push(b->a, argv, rest[i]);
    if (stopped_by || !finished(start(argv.at, b->log))) {
        unlink(part);
        return trouble(b);
    }
    if (cache_publish(part, binary))
        return 0;
    failed(binary, "cannot write");
    unlink(part);
    return EXIT_FILES;
}

bool toolchain_spares(const Model *model, const char *path)
{
    struct stat text, there;
    if (stat(model->source->name, &text) != 0 || stat(path, &there) != 0 || text.st_ino != there.st_ino ||
        text.st_dev != there.st_dev)
        return true;
    fprintf(stderr, "ndec: '%s' is the model itself: give another name with -o\n", path);
    return false;
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

static int build(Arena *a, const Program *program, const Isa *isa, const char *binary)
{
    Build b = {.a = a, .program = program};
    const char *tmp = getenv("TMPDIR");
    char *dir = ARENA_NEW(a, char, 4096);
    if (!find_home(a, &b.home) || !(b.cc = find_compiler(a)) || !can_write(a, binary) ||
        !toolchain_spares(program->model, binary) || !choose_variants(&b, isa))
        return EXIT_FILES;
    snprintf(dir, 4096, "%s/ndec-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    struct sigaction before[STOPPING];
    catch_stops(before);
    if (!mkdtemp(dir)) {
        let_stop(before);
        failed(dir, "cannot make the folder");
        return EXIT_FILES;
    }
    b.dir = dir;
    b.stem = str_format(a, "%s/%s", dir, program->model->name);
    b.log = str_format(a, "%s/compiler.log", dir);
    int code = compile_all(&b);
    if (!code)
        code = link_all(&b, binary);
    if (code != EXIT_FAULT)
        clear(&b);
    let_stop(before);
    return code;
}

int toolchain_build(Arena *a, const Program *program, const Isa *isa, const char *binary)
{
    int code = build(a, program, isa, binary);
    if (!code && program->alternatives.n > 0) /* their objects are in the cache */
        cache_trim(a);
    return code;
}

/* ---- whole programs in the cache ---- */
static uint64_t hash_program(Arena *a, uint64_t h, const Program *p)
{
    h = hash_text(h, toolchain_text(a, p->model, p->model->is_double, true));
    for (int i = 0; i < p->alternatives.n; i++) {
        const Alternative *row = &p->alternatives.at[i];
        for (int k = 0; k < COMPARE_PARTS; k++)
            h = hash_text(h, str_format(a, "%s, ", row->choice[k]));
        h = hash_text(h, row->model ? is_compiled(p, i) ? toolchain_text(a, row->model, row->model->is_double, false)
                                                        : str_format(a, "%s, %s", row->control, gain_text(a, row))
                                    : row->refusal);
    }
    h = hash_text(h, p->is_draft ? "draft" : "");
    return p->reference ? hash_text(h, toolchain_text(a, p->reference, true, false)) : h;
}

const char *toolchain_cached(Arena *a, const Program *program, const Isa *isa, int *code)
{
    Home home;
    Entry kept; /* stays open: the caller becomes that program */
    *code = EXIT_FILES;
    if (!find_home(a, &home))
        return NULL;
    uint64_t h = hash_program(a, hash_surroundings(a, &home, isa), program);
    if (!cache_open(a, h, program->model->name, &kept))
        return NULL;
    if (kept.is_whole)
        return kept.path;
    *code = build(a, program, isa, kept.path);
    if (!*code)
        cache_trim(a);
    return *code ? NULL : kept.path;
}
