/* main.c: the command `ndec`: options, and compile(), the stages in order.
 *
 * Elsewhere: each stage; the host's C compiler (toolchain.c); what `explain` says (explain.c). */
#include "explain.h"
#include "plan.h"
#include "prelude.h"
#include "toolchain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MODEL = 1, EXIT_USAGE = 2 };

typedef struct Options {
    const char *command, *file, *output, *dump;
    const Isa *isa; /* NULL: not given */
    Choices choices;
    int n_rest;
    char **rest; /* behind -- */
} Options;

static const struct {
    const char *name, *usage, *what;
} command_row[] = {
    {"check", "check FILE", "says what is wrong with a model; nothing if it is right"},
    {"build", "build FILE [-o BINARY]", "makes a program that trains, evaluates, predicts and solves"},
    {"emit", "emit FILE [-o DIR]", "writes the generated C"},
    {"run", "run FILE [-- COMMAND ARGS]",
     "builds if needed and runs the program in the model's folder (default: train)"},
    {"explain", "explain FILE", "parameters, costs, memory, settings and each default that was taken"},
    {"list", "list operators|methods", "the operators, or the methods of the prelude"},
};
enum { N_COMMAND = sizeof command_row / sizeof *command_row };

static const char *const stage_name[] = {"ast", "ir", "plan", "c"};

static void help(FILE *to)
{
    fprintf(to, "ndec %s: a compiler for neural differential equations.\n\nusage: ndec COMMAND ...\n\n", NDEC_VERSION);
    for (int i = 0; i < N_COMMAND; i++)
        fprintf(to, "  ndec %-28s %s\n", command_row[i].usage, command_row[i].what);
    fprintf(to,
            "\n  --dump=STAGE                      prints a stage of the compilation: ast, ir, plan, c\n"
            "  --no-reduce                       every solve in the state as written (explain tells the difference)\n"
            "  --no-difference                   no error estimates from differences (float32, fine tolerances)\n"
            "  --isa NAME                        the instruction set of the program (build, run): ");
    isa_list(to);
    fprintf(to, "  --help, --version\n\n"
                "exit codes: 0 ok, 1 the model is wrong, 2 usage or files, 3 numerical failure, 4 data,\n"
                "            5 interrupted with its state saved, 70 a fault of ndec\n");
}

static int usage_error(const char *what, const char *word)
{
    fprintf(stderr, "ndec: %s%s%s\n      `ndec --help` lists the commands.\n", what, *word ? " " : "", word);
    return EXIT_USAGE;
}

/* ---- sources ---- */
const Source *source_read(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t room = 1 << 16, n = 0, got;
    char *text = ARENA_NEW(a, char, room);
    if (!f)
        return NULL;
    while ((got = fread(text + n, 1, room - n, f)) > 0) {
        n += got;
        if (n == room) {
            char *larger = ARENA_NEW(a, char, room * 2);
            memcpy(larger, text, n);
            text = larger;
            room *= 2;
        }
        if (n > 1u << 26) /* 64 MiB: no model is that long */
            break;
    }
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed || n > 1u << 26)
        return NULL;
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){str_copy(a, path, strlen(path)), str_copy(a, text, n), n, false};
    return source;
}

static int read_prelude(Arena *a, Diags *d, Node **file)
{
    int n = 0;
    for (; prelude_file[n].name; n++) {
        Source *source = ARENA_NEW(a, Source, 1);
        *source = (Source){prelude_file[n].name, prelude_file[n].text, strlen(prelude_file[n].text), true};
        file[n] = parse(a, source, d);
    }
    return n;
}

/* ---- the stages ---- */
static void print_text(const Text *t)
{
    fwrite(t->at ? t->at : "", 1, t->n, stdout);
}

static void dump_ir(Arena *a, const Module *m)
{
    Text t = text_new(a);
    for (int i = 0; i < m->fns.n; i++)
        fn_print(&t, m->fns.at[i]);
    print_text(&t);
}

static bool dumps(const Options *o, const char *stage)
{
    return o->dump && str_eq(o->dump, stage);
}

static bool has_differences(const Model *model)
{
    for (int i = 0; i < model->module->solves.n; i++)
        if (model->module->solves.at[i]->has_differences)
            return true;
    return false;
}

/* Text to Model, with dumps; NULL after messages or a dump. */
static Model *compile(Arena *a, const Options *o, int *code)
{
    Diags *d = diag_new(a);
    Node *prelude[16];
    const Source *source = source_read(a, o->file);
    *code = EXIT_USAGE;
    if (!source) {
        fprintf(stderr, "ndec: cannot read '%s': %s\n", o->file, errno ? strerror(errno) : "it is too large");
        return NULL;
    }
    int n_prelude = read_prelude(a, d, prelude);
    Node *file = parse(a, source, d);
    if (dumps(o, "ast")) {
        Text t = text_new(a);
        ast_print(&t, file);
        print_text(&t);
    }
    Model *model = model_check(a, d, prelude, n_prelude, file, &o->choices);
    *code = diag_print(d, stderr, isatty(2) && !getenv("NO_COLOR")) ? EXIT_MODEL : 0;
    if (!model || *code)
        return NULL;
    model->exact = model;
    if (!o->choices.only_check && has_differences(model)) {
        Choices exact = {o->choices.no_reduce, true, false};
        model->exact = model_check(a, diag_new(a), prelude, n_prelude, file, &exact);
    }
    if (dumps(o, "ir"))
        dump_ir(a, model->module);
    if (dumps(o, "plan")) {
        Text t = text_new(a);
        plan_print(&t, plan_build(model));
        print_text(&t);
    }
    if (dumps(o, "c"))
        fputs(toolchain_text(a, model, model->is_double, true), stdout);
    return model;
}

/* ---- commands ---- */
static const char *stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path, *dot = strrchr(from, '.');
    return str_copy(a, from, dot && dot > from ? (size_t)(dot - from) : strlen(from));
}

static int command_emit(Arena *a, const Options *o, const Model *model)
{
    const char *dir = o->output ? o->output : ".";
    const char *path = str_format(a, "%s/%s.c", dir, model->name);
    return toolchain_write(a, path, toolchain_text(a, model, model->is_double, true)) ? 0 : EXIT_USAGE;
}

static bool has_option(const Options *o, const char *name)
{
    for (int i = 0; i < o->n_rest; i++)
        if (str_eq(o->rest[i], name) || (!strncmp(o->rest[i], name, strlen(name)) && o->rest[i][strlen(name)] == '='))
            return true;
    return false;
}

static const Isa *wanted_isa(const Options *o)
{
    return o->isa ? o->isa : &isa_row[ISA_native];
}

static int command_run(Arena *a, const Options *o, const Model *model)
{
    int code, n = 0;
    const char *binary = toolchain_cached(a, model, wanted_isa(o), &code), *slash = strrchr(o->file, '/');
    if (!binary)
        return code;
    char **argv = ARENA_NEW(a, char *, o->n_rest + 5);
    argv[n++] = (char *)str_copy(a, binary, strlen(binary));
    if (o->n_rest == 0)
        argv[n++] = (char *)str_copy(a, "train", 5);
    for (int i = 0; i < o->n_rest; i++)
        argv[n++] = o->rest[i];
    bool takes_data = o->n_rest == 0 || o->rest[0][0] != '-';
    if (takes_data && !has_option(o, "--data") && !has_option(o, "--help")) {
        argv[n++] = (char *)str_copy(a, "--data", 6);
        argv[n++] = (char *)(slash ? str_copy(a, o->file, (size_t)(slash - o->file)) : str_copy(a, ".", 1));
    }
    fflush(NULL);
    execv(binary, argv);
    fprintf(stderr, "ndec: cannot run '%s': %s\n", binary, strerror(errno));
    return EXIT_USAGE;
}

static int command_list(Arena *a, const char *what)
{
    Node *file[16];
    Diags *d = diag_new(a);
    if (str_eq(what, "operators")) {
        explain_operators(stdout);
        return 0;
    }
    if (!str_eq(what, "methods"))
        return usage_error("the lists are operators and methods, not", what);
    int n = read_prelude(a, d, file);
    printf("%-10s order   embedded evaluations   dense output\n", "method");
    for (int i = 0; i < n; i++)
        explain_methods(a, d, file[i], stdout);
    diag_print(d, stderr, false);
    return diag_errors(d) ? EXIT_MODEL : 0;
}

static int with_model(Arena *a, const Options *o)
{
    int code;
    const Model *model = compile(a, o, &code);
    if (!model || o->dump)
        return code;
    if (str_eq(o->command, "build"))
        return toolchain_build(a, model, wanted_isa(o), o->output ? o->output : stem(a, o->file));
    if (str_eq(o->command, "emit"))
        return command_emit(a, o, model);
    if (str_eq(o->command, "run"))
        return command_run(a, o, model);
    if (str_eq(o->command, "explain"))
        explain_model(a, model, stdout);
    return code;
}

/* ---- options ---- */
static int parse_options(int argc, char **argv, Options *o)
{
    for (int i = 1; i < argc; i++) {
        const char *at = argv[i];
        if (str_eq(at, "--")) {
            o->rest = argv + i + 1;
            o->n_rest = argc - i - 1;
            return 0;
        }
        if (str_eq(at, "-o") || str_eq(at, "--output")) {
            if (++i == argc)
                return usage_error("what does -o name? A file or folder must follow", "");
            o->output = argv[i];
        } else if (str_eq(at, "--isa")) {
            if (++i == argc)
                return usage_error("which --isa? The name of an instruction set must follow", "");
            o->isa = isa_find(argv[i]);
            if (!o->isa)
                return EXIT_USAGE;
        } else if (!strncmp(at, "--dump=", 7))
            o->dump = at + 7;
        else if (str_eq(at, "--no-reduce"))
            o->choices.no_reduce = true;
        else if (str_eq(at, "--no-difference"))
            o->choices.no_difference = true;
        else if (at[0] == '-' && at[1])
            return usage_error("there is no option", at);
        else if (!o->command)
            o->command = at;
        else if (!o->file)
            o->file = at;
        else
            return usage_error("one file at a time; this is too much:", at);
    }
    return 0;
}

static int check_options(const Options *o)
{
    const char *name[N_COMMAND];
    bool known = false;
    for (int i = 0; i < N_COMMAND; i++) {
        name[i] = command_row[i].name;
        known |= o->command && str_eq(o->command, name[i]);
    }
    if (!o->command)
        return usage_error("say what to do", "");
    if (!known) {
        const char *near = str_nearest(o->command, name, N_COMMAND);
        if (near)
            fprintf(stderr, "ndec: there is no command '%s'. Did you mean '%s'?\n", o->command, near);
        return near ? EXIT_USAGE : usage_error("there is no command", o->command);
    }
    if (!o->file)
        return usage_error(
            str_eq(o->command, "list") ? "list what? operators or methods" : "which model? Name a .nde file", "");
    if (o->output && !str_eq(o->command, "build") && !str_eq(o->command, "emit"))
        return usage_error("-o belongs to build and emit, not to", o->command);
    if (o->isa && !str_eq(o->command, "build") && !str_eq(o->command, "run"))
        return usage_error("--isa belongs to build and run, not to", o->command);
    if (o->n_rest && !str_eq(o->command, "run"))
        return usage_error("only run takes arguments behind --, not", o->command);
    for (size_t i = 0; o->dump; i++) {
        if (i == sizeof stage_name / sizeof *stage_name)
            return usage_error("the stages are ast, ir, plan and c, not", o->dump);
        if (str_eq(o->dump, stage_name[i]))
            break;
    }
    return 0;
}

int main(int argc, char **argv)
{
    Options o = {0};
    for (int i = 1; i < argc && !str_eq(argv[i], "--"); i++) {
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h")) {
            help(stdout);
            return 0;
        }
        if (str_eq(argv[i], "--version")) {
            printf("ndec %s\n", NDEC_VERSION);
            return 0;
        }
    }
    int code = parse_options(argc, argv, &o);
    if (!code)
        code = check_options(&o);
    if (code)
        return code;
    o.choices.only_check = str_eq(o.command, "check") && !o.dump;
    Arena *a = arena_new();
    if (str_eq(o.command, "list"))
        code = command_list(a, o.file);
    else
        code = with_model(a, &o);
    rat_free_all();
    arena_free(a);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "ndec: cannot write to the standard output: %s\n", strerror(errno));
        return EXIT_USAGE;
    }
    return code;
}
