/* main.c: the command `ndec`: options, and compile(), the stages in order.
 *
 * Elsewhere: each stage; the host's C compiler (toolchain.c); what `explain` says (explain.c). */
#include "compare.h"
#include "error.h"
#include "explain.h"
#include "plan.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MODEL = 1, EXIT_USAGE = 2 };

/* Options with a value, and which commands take them, by letters: o output, i instruction set, c a clause of the model,
 * m several of them. */
static const struct {
    char letter;
    const char *name, *missing;
} option_row[] = {
    {'o', "-o", "what does -o name? A file or folder must follow"},
    {'i', "--isa", "which --isa? The name of an instruction set must follow"},
    {'c', "--method", "which --method? The name of one must follow (`ndec list methods`)"},
    {'c', "--controller", "which --controller? The name of one must follow"},
    {'c', "--batching", "which --batching? What the clause says must follow, such as joint"},
    {'c', "--adjoint", "which --adjoint? What the clause says must follow, such as discrete"},
    {'m', "--methods", "which --methods? Their names must follow, separated by commas"},
    {'m', "--adjoints", "which --adjoints? What the clause says must follow, separated by commas"},
    {'m', "--batchings", "which --batchings? What the clause says must follow, separated by commas"},
    {'m', "--controllers", "which --controllers? Their names must follow, separated by commas"},
};
enum { OPTIONS = sizeof option_row / sizeof *option_row };

typedef struct Options {
    const char *command, *file, *dump;
    const char *value[OPTIONS]; /* NULL: not given */
    const Isa *isa;
    bool is_draft;
    Choices choices;
    int n_call, n_rest;
    char **call; /* the words before -- */
    char **rest; /* behind -- */
} Options;

/* letters: the options; - arguments of the program. */
static const struct {
    const char *name, *usage, *letters, *what;
} command_row[] = {
    {"check", "check FILE", "c", "says what is wrong with a model; nothing if it is right"},
    {"build", "build FILE [-o BINARY]", "oic", "makes a program that trains, evaluates, predicts and solves"},
    {"emit", "emit FILE [-o DIR]", "oc", "writes the generated C"},
    {"run", "run FILE [-- COMMAND ARGS]", "ic-",
     "builds if needed and runs the program in the model's folder (default: train)"},
    {"compare", "compare FILE [-o BINARY] [-- ARGS]", "oicm-",
     "methods, adjoints, batchings, controllers: costs and errors side by side"},
    {"explain", "explain FILE", "c", "parameters, costs, memory, settings and each default that was taken"},
    {"list", "list operators|methods", "", "the operators, or the methods of the prelude"},
};
enum { N_COMMAND = sizeof command_row / sizeof *command_row };

static const char *const stage_name[] = {"ast", "ir", "plan", "c"};

static void help(FILE *to)
{
    fprintf(to, "ndec %s: a compiler for neural differential equations.\n\nusage: ndec COMMAND ...\n\n", NDEC_VERSION);
    for (int i = 0; i < N_COMMAND; i++)
        fprintf(to, "  ndec %-36s %s\n", command_row[i].usage, command_row[i].what);
    fprintf(to,
            "\n  --dump=STAGE                      prints a stage of the compilation: ast, ir, plan, c\n"
            "  --no-reduce                       every solve in the state as written (explain tells the difference)\n"
            "  --no-difference                   no error estimates from differences (float32, fine tolerances)\n"
            "  --method, --controller, --batching, --adjoint CLAUSE\n"
            "                                    in place of that clause of every solve, such as --method dopri5\n"
            "  --methods, --adjoints, --batchings, --controllers LIST\n"
            "                                    what compare tries, separated by commas (default: all that fit)\n"
            "  --isa NAME                        the instruction set of the program (build, run, compare): ");
    isa_list(to);
    fprintf(to,
            "  --draft                           compiled in a third of the time, runs several times slower: to check\n"
            "                                    gradients or data (build, run, compare)\n"
            "  --help, --version\n\n"
            "exit codes: 0 ok, 1 the model is wrong, 2 usage or files, 3 numerical failure, 4 data,\n"
            "            5 interrupted with its state saved, 70 a fault of ndec\n"
            "environment: CC, TMPDIR, XDG_CACHE_HOME, NDEC_CACHE_MIB, NO_COLOR, as `man ndec` says\n");
}

static int usage_error(const char *what, const char *word)
{
    fprintf(stderr, "ndec: %s%s%s\n      `ndec --help` lists the commands.\n", what, *word ? " " : "", word);
    return EXIT_USAGE;
}

static int find_option(const char *name)
{
    for (int i = 0; i < OPTIONS; i++)
        if (str_eq(option_row[i].name, name))
            return i;
    return str_eq(name, "--output") ? 0 : -1;
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

typedef struct Compiled {
    Trees trees;
    Choices choices;
    Model *model; /* NULL after messages */
} Compiled;

/* Text to Model, with dumps; an exit code. */
static int compile(Arena *a, const Options *o, Compiled *out)
{
    Diags *d = diag_new(a);
    out->choices = o->choices;
    out->model = NULL;
    if (!trees_read(a, d, o->file, &out->trees))
        return EXIT_USAGE;
    if (dumps(o, "ast")) {
        Text t = text_new(a);
        ast_print(&t, out->trees.file);
        print_text(&t);
    }
    for (int i = 0; i < OPTIONS; i++)
        if (o->value[i] && option_row[i].letter == 'c')
            trees_choose(a, d, &out->choices, option_row[i].name, o->value[i]);
    Model *model = trees_check(a, d, &out->trees, &out->choices);
    if (diag_print(d, stderr, isatty(2) && !getenv("NO_COLOR")) || !model)
        return EXIT_MODEL;
    if (dumps(o, "ir"))
        dump_ir(a, model->module);
    if (dumps(o, "plan")) {
        Text t = text_new(a);
        plan_print(&t, plan_build(model));
        print_text(&t);
    }
    if (dumps(o, "c"))
        fputs(toolchain_text(a, model, model->is_double, true), stdout);
    out->model = model;
    return 0;
}

/* ---- commands ---- */
static const char *stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path, *dot = strrchr(from, '.');
    return str_copy(a, from, dot && dot > from ? (size_t)(dot - from) : strlen(from));
}

static const char *output_of(const Options *o)
{
    return o->value[find_option("-o")];
}

static int command_emit(Arena *a, const Options *o, const Model *model)
{
    const char *dir = output_of(o) ? output_of(o) : ".";
    const char *path = str_format(a, "%s/%s.c", dir, model->name);
    if (!toolchain_folder(dir) || !toolchain_spares(model, path))
        return EXIT_USAGE;
    return toolchain_write(a, path, toolchain_text(a, model, model->is_double, true)) ? 0 : EXIT_USAGE;
}

static bool has_option(const Options *o, const char *name)
{
    for (int i = 0; i < o->n_rest; i++)
        if (str_eq(o->rest[i], name) || (!strncmp(o->rest[i], name, strlen(name)) && o->rest[i][strlen(name)] == '='))
            return true;
    return false;
}

static const char *shell_word(Arena *a, const char *word)
{
    size_t size = 4 * strlen(word) + 3;
    char *out = ARENA_NEW(a, char, size);
    nde_shell_word(word, out, size);
    return out;
}

/* "ndec run model.nde --": how the program was called, which it repeats where it says what to call next. */
static const char *call_text(Arena *a, const Options *o)
{
    const char *text = shell_word(a, o->call[0]);
    for (int i = 1; i < o->n_call; i++)
        text = str_format(a, "%s %s", text, shell_word(a, o->call[i]));
    return str_format(a, "%s --", text);
}

/* Runs the program from the cache with the arguments behind --, before them the command if it is given. */
static int run_cached(Arena *a, const Options *o, const Program *program, const char *command)
{
    int code, n = 0;
    const char *binary = toolchain_cached(a, program, o->isa, &code), *slash = strrchr(o->file, '/');
    if (!binary)
        return code;
    const char *name = str_eq(o->command, "run") ? call_text(a, o) : binary;
    char **argv = ARENA_NEW(a, char *, o->n_rest + 5);
    argv[n++] = (char *)str_copy(a, name, strlen(name));
    if (command)
        argv[n++] = (char *)str_copy(a, command, strlen(command));
    for (int i = 0; i < o->n_rest; i++)
        argv[n++] = o->rest[i];
    bool takes_data = command || o->rest[0][0] != '-';
    if (takes_data && !has_option(o, "--data") && !has_option(o, "--help")) {
        argv[n++] = (char *)str_copy(a, "--data", 6);
        argv[n++] = (char *)(slash ? str_copy(a, o->file, (size_t)(slash - o->file)) : str_copy(a, ".", 1));
    }
    fflush(NULL);
    execv(binary, argv);
    fprintf(stderr, "ndec: cannot run '%s': %s\n", binary, strerror(errno));
    return EXIT_USAGE;
}

static int command_compare(Arena *a, const Options *o, const Compiled *c)
{
    Program program;
    const char *list[COMPARE_PARTS] = {o->value[find_option("--methods")], o->value[find_option("--adjoints")],
                                       o->value[find_option("--batchings")], o->value[find_option("--controllers")]};
    if (!o->isa->flag)
        return usage_error("compare takes one instruction set, not --isa", o->isa->name);
    int code = compare_program(a, &c->trees, &c->choices, c->model, list, &program);
    if (code)
        return code;
    program.is_draft = o->is_draft;
    return output_of(o) ? toolchain_build(a, &program, o->isa, output_of(o)) : run_cached(a, o, &program, "compare");
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
    int n = trees_prelude(a, d, file);
    printf("%-15s order   embedded evaluations   dense output\n", "method");
    for (int i = 0; i < n; i++)
        explain_methods(a, d, file[i], stdout);
    diag_print(d, stderr, false);
    return diag_errors(d) ? EXIT_MODEL : 0;
}

static int with_model(Arena *a, const Options *o)
{
    Compiled c;
    int code = compile(a, o, &c);
    if (code || o->dump)
        return code;
    Program program = {.model = c.model, .is_draft = o->is_draft};
    if (str_eq(o->command, "build"))
        return toolchain_build(a, &program, o->isa, output_of(o) ? output_of(o) : stem(a, o->file));
    if (str_eq(o->command, "emit"))
        return command_emit(a, o, c.model);
    if (str_eq(o->command, "run"))
        return run_cached(a, o, &program, o->n_rest ? NULL : "train");
    if (str_eq(o->command, "compare"))
        return command_compare(a, o, &c);
    if (str_eq(o->command, "explain"))
        explain_model(a, c.model, stdout);
    return code;
}

/* ---- options ---- */
static const char *letters_of(const char *command)
{
    for (int i = 0; command && i < N_COMMAND; i++)
        if (str_eq(command, command_row[i].name))
            return command_row[i].letters;
    return NULL;
}

/* A word that ndec has no use for: mostly one for the program. */
static int refuse_word(const Options *o, const char *what, const char *word)
{
    const char *letters = letters_of(o->command);
    if (!letters || !strchr(letters, '-'))
        return usage_error(what, word);
    fprintf(stderr,
            "ndec: %s %s\n      What the program is to be given stands behind --, as in  ndec %s FILE -- %s%s\n", what,
            word, o->command, str_eq(o->command, "run") && word[0] == '-' ? "train " : "", word);
    return EXIT_USAGE;
}

static int parse_options(int argc, char **argv, Options *o)
{
    o->call = argv;
    o->n_call = argc;
    for (int i = 1; i < argc; i++) {
        const char *at = argv[i];
        int valued = find_option(at);
        if (str_eq(at, "--")) {
            o->n_call = i;
            o->rest = argv + i + 1;
            o->n_rest = argc - i - 1;
            return 0;
        }
        if (valued >= 0) {
            if (++i == argc || !argv[i][0])
                return usage_error(option_row[valued].missing, "");
            o->value[valued] = argv[i];
        } else if (str_eq(at, "--draft"))
            o->is_draft = true;
        else if (!strncmp(at, "--dump=", 7))
            o->dump = at + 7;
        else if (str_eq(at, "--no-reduce"))
            o->choices.no_reduce = true;
        else if (str_eq(at, "--no-difference"))
            o->choices.no_difference = true;
        else if (at[0] == '-' && at[1])
            return refuse_word(o, "there is no option", at);
        else if (!o->command)
            o->command = at;
        else if (!o->file)
            o->file = at;
        else
            return refuse_word(o, "one file at a time; this is too much:", at);
    }
    return 0;
}

/* "build, run and compare": the commands that take the letter. */
static void takers(char letter, char out[100])
{
    int n = 0, left = 0;
    for (int i = 0; i < N_COMMAND; i++)
        left += strchr(command_row[i].letters, letter) != NULL;
    for (int i = 0; i < N_COMMAND; i++)
        if (strchr(command_row[i].letters, letter)) {
            left--;
            n += snprintf(out + n, 100 - (size_t)n, "%s%s", command_row[i].name, left > 1 ? ", " : left ? " and " : "");
        }
}

static int refuse(const char *option, char letter, const char *command)
{
    char commands[100], text[200];
    takers(letter, commands);
    snprintf(text, sizeof text, "%s belongs to %s, not to", option, commands);
    return usage_error(text, command);
}

static int check_values(Options *o, const char *letters)
{
    for (int i = 0; i < OPTIONS; i++)
        if (o->value[i] && !strchr(letters, option_row[i].letter))
            return refuse(option_row[i].name, option_row[i].letter, o->command);
    if (o->is_draft && !strchr(letters, 'i'))
        return refuse("--draft", 'i', o->command);
    if (o->n_rest && !strchr(letters, '-'))
        return refuse("--", '-', o->command);
    const char *isa = o->value[find_option("--isa")];
    o->isa = isa ? isa_find(isa) : &isa_row[ISA_native];
    return o->isa ? 0 : EXIT_USAGE;
}

/* The command is one of a program's, or a model. */
static bool says_how_to_run(const Options *o)
{
    static const char *const of_program[] = {
#define COMMAND(id, name, options, what) name,
#include "../runtime/command.def"
#undef COMMAND
    };
    const char *dot = strrchr(o->command, '.');
    if (dot && str_eq(dot, ".nde")) {
        fprintf(stderr, "ndec: a command stands before the model, such as  ndec run %s\n", o->command);
        return true;
    }
    for (size_t i = 0; i < sizeof of_program / sizeof *of_program; i++)
        if (str_eq(o->command, of_program[i])) {
            fprintf(stderr, "ndec: that is a command of the program made of a model:  ndec run %s -- %s\n",
                    o->file ? o->file : "FILE", o->command);
            return true;
        }
    return false;
}

static int check_options(Options *o)
{
    const char *name[N_COMMAND], *letters = letters_of(o->command);
    for (int i = 0; i < N_COMMAND; i++)
        name[i] = command_row[i].name;
    if (!o->command)
        return usage_error("say what to do", "");
    if (!letters) {
        const char *near = str_nearest(o->command, name, N_COMMAND);
        if (says_how_to_run(o))
            return EXIT_USAGE;
        if (near)
            fprintf(stderr, "ndec: there is no command '%s'. Did you mean '%s'?\n", o->command, near);
        return near ? EXIT_USAGE : usage_error("there is no command", o->command);
    }
    if (!o->file)
        return usage_error(
            str_eq(o->command, "list") ? "list what? operators or methods" : "which model? Name a .nde file", "");
    int code = check_values(o, letters);
    for (size_t i = 0; !code && o->dump; i++) {
        if (i == sizeof stage_name / sizeof *stage_name)
            return usage_error("the stages are ast, ir, plan and c, not", o->dump);
        if (str_eq(o->dump, stage_name[i]))
            break;
    }
    return code;
}

int main(int argc, char **argv)
{
    Options o = {0};
    signal(SIGXFSZ, SIG_IGN); /* a file that grows too large shows as an error of the write, in compilers too */
    for (int i = 1; i < argc && !str_eq(argv[i], "--"); i++) {
        if (str_eq(argv[i], "--help") || str_eq(argv[i], "-h") || (i == 1 && str_eq(argv[i], "help"))) {
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
    o.choices.is_compared = str_eq(o.command, "compare");
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
