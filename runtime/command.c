/* command.c: the command line of a program.
 *
 * Needs: the rows of command.def and the model's settings. Gives: options, or a message with the nearest name.
 * Elsewhere: what a command does. */
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct Command {
    const char *name, *letters, *what;
} Command;
static const Command command[] = {
#define COMMAND(id, name, options, what) {name, options, what},
#include "command.def"
#undef COMMAND
};

typedef struct Option {
    char letter;
    const char *name, *value, *what;
} Option;
static const Option option[] = {
#define OPTION(letter, name, value, what) {letter, name, value, what},
#include "command.def"
#undef OPTION
};
enum { OPTIONS = sizeof option / sizeof *option };

/* ---- the nearest name ---- */

/* Edits that turn a into b (Levenshtein 1966); names longer than the row count as far away. */
static int distance(const char *a, const char *b)
{
    int row[64], n = (int)strlen(b);
    if (n >= 64)
        return 64;
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 0; a[i]; i++) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 0; j < n; j++) {
            int change = diagonal + (a[i] != b[j]), gap = 1 + (row[j] < row[j + 1] ? row[j] : row[j + 1]);
            diagonal = row[j + 1];
            row[j + 1] = change < gap ? change : gap;
        }
    }
    return row[n];
}

typedef const char *NameOf(const void *context, int i);

/* A longer word for the same: `evaluate`, `predictions`. */
static bool is_longer(const char *given, const char *name)
{
    size_t n = strlen(name);
    return n > 3 && !strncmp(given, name, n);
}

/* "; did you mean 'x'?" if a name is near, else "". */
static void nearest(const char *given, NameOf *name, const void *context, int n, char out[160])
{
    int best = -1, least = (int)strlen(given) / 3 + 2;
    for (int i = 0; i < n; i++) {
        int d = is_longer(given, name(context, i)) ? 0 : distance(given, name(context, i));
        if (d < least) {
            least = d;
            best = i;
        }
    }
    out[0] = '\0';
    if (best >= 0)
        snprintf(out, 160, "; did you mean '%s'?", name(context, best));
}

static const char *command_name(const void *context, int i)
{
    (void)context;
    return command[i].name;
}

static const char *option_name(const void *context, int i)
{
    (void)context;
    return option[i].name;
}

static const char *setting_name(const void *context, int i)
{
    return ((const NdeModel *)context)->setting[i].name;
}

/* ---- settings by other names ---- */

static const struct {
    const char *word, *tail;
} familiar[] = {
#define FAMILIAR(word, tail) {word, tail},
#include "command.def"
#undef FAMILIAR
};

/* Is it the end of the setting's name, from a dot on? */
static bool is_tail(const char *setting, const char *tail)
{
    size_t n = strlen(setting), k = strlen(tail);
    return n > k && setting[n - k - 1] == '.' && !strcmp(setting + n - k, tail);
}

/* The setting that a word without its block means, such as `steps` or, as others say, `lr`; or NULL. */
static const char *meant_setting(const NdeModel *m, const char *word)
{
    const char *dot = strrchr(word, '.'), *last = dot ? dot + 1 : word;
    for (int i = 0; i < m->n_setting; i++)
        if (is_tail(m->setting[i].name, word))
            return m->setting[i].name;
    for (size_t k = 0; k < sizeof familiar / sizeof *familiar; k++)
        for (int i = 0; i < m->n_setting && !strcmp(familiar[k].word, last); i++)
            if (is_tail(m->setting[i].name, familiar[k].tail))
                return m->setting[i].name;
    return NULL;
}

/* ---- help ---- */

static void help(const NdeModel *m, const char *program)
{
    printf("the model %s (%s), compiled by %s\n\nusage: %s COMMAND [OPTIONS]\n\n", m->name, m->file, m->compiler,
           program);
    for (int i = 0; i < NDE_TASKS; i++)
        printf("  %-16s%s\n", command[i].name, command[i].what);
    printf("\n'%s COMMAND --help' tells a command's options. Exit codes: 0 done, 2 wrong use or files, 3 a numerical\n"
           "failure, 4 wrong data, 5 interrupted with everything saved, 70 a fault of the program.\n",
           program);
}

/* Saved times are settings too, but too many to list. */
static bool is_listed(const NdeSetting *s)
{
    return !strstr(s->name, ".save.");
}

static void help_command(const NdeModel *m, const char *program, NdeTask task)
{
    const Command *c = &command[task];
    printf("usage: %s %s [OPTIONS]\n\n%s\n\n", program, c->name, c->what);
    for (int i = 0; i < OPTIONS; i++) {
        if (!strchr(c->letters, option[i].letter))
            continue;
        char head[64];
        snprintf(head, sizeof head, "%s %s", option[i].name, option[i].value ? option[i].value : "");
        printf("  %-20s%s\n", head, option[i].what);
    }
    printf("\nkeys of --set, and their values in the model:\n");
    for (int i = 0; i < m->n_setting; i++) {
        char number[NDE_NUMBER_TEXT];
        if (!is_listed(&m->setting[i]))
            continue;
        nde_number_text(m->setting[i].value, false, number);
        printf("  %s=%s\n", m->setting[i].name, number);
    }
}

/* ---- values ---- */

static int read_long(const char *name, const char *text, long least, long most, long *out, NdeError *e)
{
    char *end = NULL;
    errno = 0;
    long x = strtol(text, &end, 10);
    bool is_whole = end != text && !*end;
    if (is_whole && x > most)
        return nde_fail(e, NDE_EXIT_FILE, "%s takes a whole number up to %ld, not '%s'", name, most, text);
    if (!is_whole || errno || x < least)
        return nde_fail(e, NDE_EXIT_FILE, "%s takes a whole number from %ld on, not '%s'", name, least, text);
    *out = x;
    return 0;
}

static int read_seed(const char *text, NdeOptions *o, NdeError *e)
{
    char *end = NULL;
    errno = 0;
    unsigned long long x = strtoull(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end)
        return nde_fail(e, NDE_EXIT_FILE, "--seed takes a whole number from 0 on, not '%s'", text);
    o->seed = x;
    o->has_seed = true;
    return 0;
}

/* A key is a setting's name, or one without its last `.abs` or `.rel`: then it sets both. */
static bool is_key(const char *setting, const char *key, size_t n)
{
    if (strncmp(setting, key, n))
        return false;
    return !setting[n] || !strcmp(setting + n, ".abs") || !strcmp(setting + n, ".rel");
}

static int unknown_key(const NdeModel *m, const char *key, NdeError *e)
{
    char near[160], list[600] = "";
    const char *meant = meant_setting(m, key);
    nearest(meant ? meant : key, setting_name, m, m->n_setting, near);
    for (int i = 0; i < m->n_setting; i++) {
        size_t used = strlen(list);
        if (is_listed(&m->setting[i]))
            snprintf(list + used, sizeof list - used, " %s", m->setting[i].name);
    }
    return nde_fail(e, NDE_EXIT_FILE, "the model has no setting '%s'%s\nits settings:%s", key, near, list);
}

static int read_setting(const NdeModel *m, NdeOptions *o, const char *text, NdeError *e)
{
    const char *equal = strchr(text, '=');
    double x = 0;
    if (!equal || equal == text)
        return nde_fail(e, NDE_EXIT_FILE, "--set takes KEY=VALUE, not '%s'", text);
    if (!nde_number_read(equal + 1, strlen(equal + 1), &x))
        return nde_fail(e, NDE_EXIT_FILE, "--set %s: '%s' is not a number", text, equal + 1);
    bool is_known = false;
    for (int i = 0; i < m->n_setting; i++)
        if (is_key(m->setting[i].name, text, (size_t)(equal - text))) {
            o->setting[i] = x;
            o->is_set[i] = is_known = true;
        }
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)(equal - text), text);
    return is_known ? 0 : unknown_key(m, key, e);
}

static int read_positive(const char *name, const char *text, double *out, NdeError *e)
{
    if (!nde_number_read(text, strlen(text), out) || !(*out > 0))
        return nde_fail(e, NDE_EXIT_FILE, "%s takes a number above 0, not '%s'", name, text);
    return 0;
}

static int read_count(const char *name, const char *text, long least, long most, int *out, NdeError *e)
{
    long n = 0;
    int status = read_long(name, text, least, most, &n, e);
    *out = (int)n;
    return status;
}

static int read_option(const NdeModel *m, NdeOptions *o, const Option *row, const char *value, NdeError *e)
{
    switch (row->letter) {
    case 'k': return read_setting(m, o, value, e);
    case 's': return read_seed(value, o, e);
    case 'T': return read_positive(row->name, value, &o->tolerance, e);
    case 'A': return read_positive(row->name, value, &o->accuracy, e);
    case 'S': return read_positive(row->name, value, &o->seconds, e);
    case 't': return read_count(row->name, value, 1, 4096, &o->threads, e);
    case 'n': return read_long(row->name, value, 0, LONG_MAX, &o->sample, e);
    case 'p': return read_count(row->name, value, 2, INT_MAX, &o->points, e);
    case 'N': return read_count(row->name, value, 1, INT_MAX, &o->entries, e);
    case 'b': return read_count(row->name, value, 1, INT_MAX, &o->batch, e);
    case 'R': return read_count(row->name, value, 1, INT_MAX, &o->rounds, e);
    case 'w': o->weights = value; break;
    case 'd': o->data = value; break;
    case 'o': o->out = value; break;
    case 'r': o->resume = value; break;
    case 'i': o->input = value; break;
    case 'O': o->output = value; break;
    case 'e': o->solve = value; break;
    case 'L': o->tolerances = value; break;
    case 'C': o->csv = value; break;
    case 'G': o->svg = value; break;
    default: o->is_quiet = true; break;
    }
    return 0;
}

/* ---- the line ---- */

static int read_task(const char *text, NdeOptions *o, NdeError *e)
{
    for (int i = 0; i < NDE_TASKS; i++)
        if (!strcmp(text, command[i].name)) {
            o->task = (NdeTask)i;
            return 0;
        }
    char near[160];
    nearest(text, command_name, NULL, NDE_TASKS, near);
    return nde_fail(e, NDE_EXIT_FILE, "there is no command '%s'%s ('%s --help' lists them)", text, near, o->program);
}

/* Names the setting that it may mean. */
static int refuse_option(const NdeModel *m, const NdeOptions *o, const char *word, const char *what, const char *near,
                         NdeError *e)
{
    char key[64];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(word, "="), word);
    const char *name = command[o->task].name, *meant = meant_setting(m, key + strspn(key, "-"));
    if (meant && key[0] == '-')
        return nde_fail(e, NDE_EXIT_FILE, "'%s' %s '%s', but the model has a setting: --set %s=VALUE", name, what, key,
                        meant);
    return nde_fail(e, NDE_EXIT_FILE, "'%s' %s '%s'%s ('%s %s --help' lists them)", name, what, word, near, o->program,
                    name);
}

/* argv[*at] is an option; takes its value too, from behind `=` or the next word. */
static int read_word(int argc, char **argv, int *at, const NdeModel *m, NdeOptions *o, NdeError *e)
{
    const char *word = argv[*at], *equal = word[0] == '-' && word[1] == '-' ? strchr(word, '=') : NULL;
    size_t n = equal ? (size_t)(equal - word) : strlen(word);
    for (int i = 0; i < OPTIONS; i++) {
        const Option *row = &option[i];
        if (strncmp(word, row->name, n) || row->name[n])
            continue;
        if (!strchr(command[o->task].letters, row->letter))
            return refuse_option(m, o, word, "does not take", "", e);
        if (!row->value)
            return equal ? nde_fail(e, NDE_EXIT_FILE, "%s takes no value", row->name) : read_option(m, o, row, NULL, e);
        if (!equal && *at + 1 >= argc)
            return nde_fail(e, NDE_EXIT_FILE, "%s needs a value: %s %s", row->name, row->name, row->value);
        return read_option(m, o, row, equal ? equal + 1 : argv[++*at], e);
    }
    char near[160];
    nearest(word, option_name, NULL, OPTIONS, near);
    return refuse_option(m, o, word, "has no option", near, e);
}

int nde_command_read(int argc, char **argv, const NdeModel *m, NdeOptions *o, bool *is_done, NdeError *e)
{
    *o = (NdeOptions){.program = argc > 0 ? argv[0] : m->name, .entries = 8, .seconds = 1};
    *is_done = false;
    o->setting = nde_allocate((size_t)m->n_setting, sizeof *o->setting, e);
    o->is_set = nde_allocate((size_t)m->n_setting, sizeof *o->is_set, e);
    if (!o->setting || !o->is_set)
        return e->exit_code;
    for (int i = 0; i < m->n_setting; i++)
        o->setting[i] = m->setting[i].value;
    if (argc < 2)
        return nde_fail(e, NDE_EXIT_FILE, "say what to do ('%s --help' lists the commands)", o->program);
    *is_done = true;
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        help(m, o->program);
        return 0;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("%s %s %s, model %s %016llx\n", m->compiler, m->is_double ? "float64" : "float32", m->isa, m->name,
               (unsigned long long)m->source_hash);
        return 0;
    }
    int status = read_task(argv[1], o, e);
    for (int i = 2; !status && i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            help_command(m, o->program, o->task);
            return 0;
        }
        status = read_word(argc, argv, &i, m, o, e);
    }
    *is_done = false;
    if (!status && o->resume && o->out)
        status = nde_fail(e, NDE_EXIT_FILE, "--resume goes on in the folder of the run: leave --out out");
    return status ? status : nde_setting_check(m, o->setting, e);
}

void nde_command_free(NdeOptions *o)
{
    free(o->setting);
    free(o->is_set);
}

static int check_count(const NdeModel *m, const double *setting, int index, NdeError *e)
{
    double x = index < 0 ? 1 : setting[index];
    if (x >= 1 && x <= 2147483647.0 && x == floor(x))
        return 0;
    return nde_fail(e, NDE_EXIT_FILE, "%s must be a whole number from 1 on, not %g", m->setting[index].name, x);
}

int nde_setting_check(const NdeModel *m, const double *setting, NdeError *e)
{
    const NdeTrain *t = m->train;
    if (t) {
        const int whole[] = {t->set_steps, t->set_batch, t->set_evaluate, t->set_patience};
        for (int i = 0; i < 4; i++) {
            int status = check_count(m, setting, whole[i], e);
            if (status)
                return status;
        }
    }
    for (int i = 0; i < m->n_setting; i++)
        if (!isfinite(setting[i]))
            return nde_fail(e, NDE_EXIT_FILE, "%s must be a finite number", m->setting[i].name);
    return 0;
}
