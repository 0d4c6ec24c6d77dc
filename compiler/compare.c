/* compare.c: which alternatives of a model the command `compare` holds.
 *
 * Needs: the trees of a model that compiles.  Gives: for each method, adjoint, batching and controller the model with
 * it, or why it cannot be; a reference, whose errors are none beside theirs.
 * One part is changed at a time: the rows are as many as the choices, and a difference between two has one cause. A
 * controller is numbers that the program reads, so its row is the model's own code with other numbers.
 * Elsewhere: building the program (toolchain.c); running and measuring (runtime/compare.c). */
#include "compare.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_MODEL = 1, EXIT_USAGE = 2 };

static const char *const option[COMPARE_PARTS] = {"--method", "--adjoint", "--batching", "--controller"};
static const char no_controller[] = "none"; /* what a solve of fixed steps has */

static const struct {
    const char *clause, *text;
} choice_row[] = {
#define CHOICE(clause, text) {#clause, text},
#include "choice.def"
#undef CHOICE
#define CONTROL(name, ...) {"controller", #name},
#include "../runtime/control.def"
#undef CONTROL
};
enum { CHOICES = sizeof choice_row / sizeof *choice_row };

typedef struct Compare {
    Arena *a;
    const Trees *trees;
    const Choices *choices;
    const char *own[COMPARE_PARTS];
    Program *program;
} Compare;

/* ---- what the file says ---- */

/* "tsit5 + rk4", each once. */
static const char *joined(Arena *a, const char *list, const char *text)
{
    if (!list)
        return text;
    bool is_there = strstr(str_format(a, " + %s + ", list), str_format(a, " + %s + ", text)) != NULL;
    return is_there ? list : str_format(a, "%s + %s", list, text);
}

static const char *span_text(Arena *a, Span first, Span last)
{
    Span s = span_join(first, last);
    return str_copy(a, s.source->text + s.at, s.n);
}

/* What stands behind the clause's head. */
static const char *clause_text(Arena *a, const Node *clause)
{
    return clause->n ? span_text(a, clause->kid[0]->span, clause->kid[clause->n - 1]->span) : "";
}

static const Node *find_clause(const Node *solve, const Choices *choices, const char *name)
{
    for (int i = 0; i < choices->clauses.n; i++)
        if (str_eq(choices->clauses.at[i]->text, name))
            return choices->clauses.at[i];
    for (int i = 0; i < solve->n; i++)
        if (solve->kid[i]->kind == NODE_CLAUSE && str_eq(solve->kid[i]->text, name))
            return solve->kid[i];
    return NULL;
}

static const Solve *find_solve(const Model *model, const char *name)
{
    for (int i = 0; i < model->module->solves.n; i++)
        if (str_eq(model->module->solves.at[i]->name, name))
            return model->module->solves.at[i];
    return NULL;
}

/* What a solve has where the file says nothing: the first row of the clause; of `adjoint` what its method makes of it.
 */
static const char *silent_choice(const Solve *solve, const char *clause)
{
    if (solve && str_eq(clause, "adjoint"))
        return adjoint_name[solve->adjoint];
    for (int i = 0; i < CHOICES; i++)
        if (str_eq(choice_row[i].clause, clause))
            return choice_row[i].text;
    return NULL;
}

/* The choices of the file's solves. */
static const char *own_choice(const Compare *c, const Model *model, const char *name)
{
    const char *list = NULL;
    for (int i = 0; i < c->trees->file->n; i++) {
        const Node *solve = c->trees->file->kid[i];
        if (solve->kind != NODE_SOLVE)
            continue;
        const Node *clause = find_clause(solve, c->choices, name);
        const Solve *made = find_solve(model, solve->text);
        if (made && !made->has_estimate && str_eq(name, "controller"))
            list = joined(c->a, list, no_controller);
        else
            list = joined(c->a, list, clause ? clause_text(c->a, clause) : silent_choice(made, name));
    }
    return list;
}

static const char *own_method(const Compare *c)
{
    const Module *m = c->program->model->module;
    const char *list = NULL;
    for (int i = 0; i < m->solves.n; i++)
        list = joined(c->a, list, m->solves.at[i]->method->name);
    return list;
}

/* ---- rows ---- */

static bool is_there(const Compare *c, int part, const char *text)
{
    for (int i = 0; i < c->program->alternatives.n; i++)
        if (str_eq(c->program->alternatives.at[i].choice[part], text))
            return true;
    return false;
}

/* Is the choice none at all: a name or a form that is not known, what cannot be compiled yet, a method without an error
 * estimate where steps are adaptive? Otherwise it is one that the rest of the model does not go with. */
static bool is_no_choice(const Diags *d)
{
    return diag_has(d, DIAG_NO_SUCH_NAME) || diag_has(d, DIAG_CLAUSE_VALUE) || diag_has(d, DIAG_NOT_YET) ||
           diag_has(d, DIAG_NO_ESTIMATE);
}

/* The first solve whose steps a controller chooses, or NULL. */
static const Solve *adaptive_solve(const Model *model)
{
    for (int i = 0; i < model->module->solves.n; i++)
        if (model->module->solves.at[i]->has_estimate)
            return model->module->solves.at[i];
    return NULL;
}

/* The row's own model differs from the first row's in the controller alone: it is that one, with other numbers. */
static void share_model(Compare *c, Alternative *row)
{
    const Solve *solve = adaptive_solve(row->model);
    double *gain = ARENA_NEW(c->a, double, 3);
    row->control = solve->controller;
    for (int i = 0; i < 3 && solve->set_pid >= 0; i++)
        gain[i] = row->model->settings.at[solve->set_pid + i].value;
    row->gain = solve->set_pid >= 0 ? gain : NULL;
    row->model = c->program->model;
}

/* Adds the model with another choice. One that nobody asked for by name is left out where it is no choice; one that
 * somebody did ask for and that is misspelt ends the command. */
static int add_row(Compare *c, int part, const char *text, bool is_named)
{
    Diags *d = diag_new(c->a);
    Choices choices = *c->choices;
    if (is_there(c, part, text))
        return 0;
    trees_choose(c->a, d, &choices, option[part], text);
    bool is_misspelt = diag_errors(d) > 0;
    const Model *model = is_misspelt ? NULL : trees_check(c->a, d, c->trees, &choices);
    is_misspelt |= diag_has(d, DIAG_NO_SUCH_NAME) || diag_has(d, DIAG_CLAUSE_VALUE) || diag_has(d, DIAG_NO_CONTROLLER);
    if (is_named && is_misspelt) {
        diag_print(d, stderr, isatty(2) && !getenv("NO_COLOR"));
        return EXIT_MODEL;
    }
    if (!model && !is_named && is_no_choice(d))
        return 0;
    Alternative row = {.model = model, .refusal = model ? NULL : diag_first_error(d)};
    memcpy(row.choice, c->own, sizeof row.choice);
    if (model) /* another method may have another adjoint where the file says nothing */
        row.choice[COMPARE_ADJOINT] = own_choice(c, model, "adjoint");
    row.choice[part] = text;
    if (model && part == COMPARE_CONTROLLER)
        share_model(c, &row);
    list_push(c->a, c->program->alternatives, row);
    return 0;
}

/* The length of the entry of a list, up to a comma that stands in no bracket. */
static size_t entry_size(const char *list)
{
    size_t n = 0;
    for (int depth = 0; list[n] && (list[n] != ',' || depth > 0); n++)
        depth += (list[n] == '(' || list[n] == '[') - (list[n] == ')' || list[n] == ']');
    return n;
}

static int add_list(Compare *c, int part, const char *list)
{
    if (part == COMPARE_CONTROLLER && !adaptive_solve(c->program->model)) {
        fprintf(stderr, "ndec: %ss: the steps of %s are fixed, so no controller chooses them\n", option[part],
                c->program->model->source->name);
        return EXIT_USAGE;
    }
    for (const char *at = list; *at;) {
        size_t n = entry_size(at), blanks = strspn(at, " "), end = n;
        while (end > blanks && at[end - 1] == ' ')
            end--;
        if (end <= blanks) {
            fprintf(stderr, "ndec: %ss %s: an entry of the list is empty\n", option[part], list);
            return EXIT_USAGE;
        }
        int code = add_row(c, part, str_copy(c->a, at + blanks, end - blanks), true);
        if (code)
            return code;
        at += n + (at[n] == ',');
    }
    return 0;
}

static int add_tableaus(Compare *c, const Node *file)
{
    int code = 0;
    for (int i = 0; !code && i < file->n; i++)
        if (file->kid[i]->kind == NODE_TABLEAU)
            code = add_row(c, COMPARE_METHOD, file->kid[i]->text, false);
    return code;
}

/* Without a list: all methods of the file and the prelude, and the rows of choice.def and control.def. */
static int add_usual(Compare *c, int part)
{
    if (part == COMPARE_CONTROLLER && !adaptive_solve(c->program->model))
        return 0;
    int code = part == COMPARE_METHOD ? add_tableaus(c, c->trees->file) : 0;
    for (int i = 0; !code && part == COMPARE_METHOD && i < c->trees->n_prelude; i++)
        code = add_tableaus(c, c->trees->prelude[i]);
    bool has_gradient = c->program->model->train != NULL;
    for (int i = 0; !code && i < CHOICES; i++)
        if (str_eq(choice_row[i].clause, option[part] + 2) && (has_gradient || part != COMPARE_ADJOINT))
            code = add_row(c, part, choice_row[i].text, false);
    return code;
}

/* ---- the reference ---- */

/* The order of a tableau with an embedded method, as its line `order` says; 0 without one. */
static int order_of(const Node *tableau)
{
    for (int i = 0; i < tableau->n; i++) {
        const Node *clause = tableau->kid[i], *group = clause->n ? clause->kid[0] : NULL;
        if (clause->kind == NODE_CLAUSE && str_eq(clause->text, "order") && group->n > 1 &&
            group->kid[0]->kind == NODE_NUMBER)
            return atoi(group->kid[0]->text);
    }
    return 0;
}

static const Model *with_method(Compare *c, const char *method)
{
    Diags *d = diag_new(c->a);
    Choices choices = *c->choices;
    choices.is_compared = false;
    choices.no_regularize = true; /* what a step is made of is another thing for each method */
    trees_choose(c->a, d, &choices, "--method", method);
    trees_choose(c->a, d, &choices, "--adjoint", "discrete");
    trees_choose(c->a, d, &choices, "--step", "adaptive");
    return trees_check(c->a, d, c->trees, &choices);
}

/* The model with adaptive steps and the method of the highest order in the prelude that it can have. */
static const Model *make_reference(Compare *c)
{
    for (int order = 20; order > 0; order--)
        for (int i = 0; i < c->trees->n_prelude; i++)
            for (int k = 0; k < c->trees->prelude[i]->n; k++) {
                const Node *tableau = c->trees->prelude[i]->kid[k];
                if (tableau->kind != NODE_TABLEAU || order_of(tableau) != order)
                    continue;
                const Model *model = with_method(c, tableau->text);
                if (model)
                    return model;
            }
    return NULL;
}

int compare_program(Arena *a, const Trees *trees, const Choices *choices, const Model *model,
                    const char *const list[COMPARE_PARTS], Program *out)
{
    *out = (Program){.model = model};
    Compare c = {.a = a, .trees = trees, .choices = choices, .program = out};
    if (model->module->solves.n == 0) {
        fprintf(stderr, "ndec: %s has no solve block: there is nothing to compare\n", model->source->name);
        return EXIT_USAGE;
    }
    c.own[COMPARE_METHOD] = own_method(&c);
    c.own[COMPARE_ADJOINT] = own_choice(&c, model, "adjoint");
    c.own[COMPARE_BATCHING] = own_choice(&c, model, "batching");
    c.own[COMPARE_CONTROLLER] = own_choice(&c, model, "controller");
    Alternative own = {.model = model};
    memcpy(own.choice, c.own, sizeof own.choice);
    list_push(a, out->alternatives, own);
    for (int part = 0; part < COMPARE_PARTS; part++) {
        int code = list[part] ? add_list(&c, part, list[part]) : add_usual(&c, part);
        if (code)
            return code;
    }
    out->reference = make_reference(&c);
    if (!out->reference)
        fprintf(stderr, "ndec: no method of the prelude fits %s, so there is no reference\n", model->source->name);
    return out->reference ? 0 : EXIT_USAGE;
}
