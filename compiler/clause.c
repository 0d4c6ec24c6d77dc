/* clause.c: the clauses of a solve block: its span, method, tolerances, steps, controller, memory, adjoint.
 *
 * Needs: static expressions (expr.c).  Gives: the choices in Solve and SolveInfo, each number a setting.
 * Elsewhere: regularize clauses (regularize.c), equations (equation.c). */
#include "block.h"

#include <string.h>

/* A relative tolerance below this makes error estimates in float32 from differences: above, rounding does not reach
 * them. */
#define FINE_TOLERANCE 1e-6

/* ---- settings ---- */
int clause_setting(Check *c, Scope *s, Node *node, const char *name, const char *what)
{
    Value v = eval_static(c, s, node, what);
    return v.kind == VALUE_number ? setting_add(c, name, rat_to_double(v.num), false, node->span) : -1;
}

static const char *key(const Block *k, const char *clause)
{
    return str_format(k->c->arena, "%s.%s", k->solve->name, clause);
}

static int preset(const Block *k, const char *clause, double value)
{
    return setting_add(k->c, key(k, clause), value, true, k->node->span);
}

/* ---- words of clauses ---- */
void clause_not_yet(Block *k, Node *node, const char *what)
{
    DIAG_AT(k->c->diags, NOT_YET, node->span, what);
}

static bool is_word(const Node *node, const char *text)
{
    return node->kind == NODE_WORD && str_eq(node->text, text);
}

static bool positive(Block *k, Node *node, int setting)
{
    if (setting < 0)
        return true; /* it has been reported */
    double x = k->c->model->settings.at[setting].value;
    if (x > 0)
        return true;
    DIAG_AT(k->c->diags, NOT_POSITIVE, node->span, num_text(k->c->arena, x, false));
    return false;
}

/* ---- clauses ---- */
static void read_save(Block *k, Node *node)
{
    Check *c = k->c;
    Value v = eval(c, k->outer, NULL, node);
    if (v.kind == VALUE_number) {
        double *x = ARENA_NEW(c->arena, double, 1);
        *x = rat_to_double(v.num);
        v = (Value){.kind = VALUE_array, .type = type_real(false, 1, (int[]){1}), .array = x};
    }
    if (v.kind == VALUE_poison)
        return;
    k->info->is_save_wrong = true; /* until it is found right */
    if (v.kind != VALUE_array || v.type.rank != 1) {
        DIAG_AT(c->diags, SAVE_VECTOR, node->span, value_text(c, &v));
        return;
    }
    if (k->info->from.kind != VALUE_number || k->info->to.kind != VALUE_number)
        return;
    double t0 = rat_to_double(k->info->from.num), t1 = rat_to_double(k->info->to.num);
    double low = t0 < t1 ? t0 : t1, high = t0 < t1 ? t1 : t0;
    for (int i = 0; i < v.type.dim[0]; i++) {
        double before = i ? v.array[i - 1] : t0, t = v.array[i];
        if (t < low || t > high) {
            DIAG_AT(c->diags, SAVE_OUTSIDE, node->span, num_text(c->arena, t, false));
            return;
        }
        if (i && (t1 > t0 ? t <= before : t >= before)) {
            DIAG_AT(c->diags, SAVE_ORDER, node->span, i, num_text(c->arena, t, false));
            return;
        }
    }
    k->info->is_save_wrong = false;
    k->info->save = v;
    k->solve->n_save = v.type.dim[0];
    for (int i = 0; i < v.type.dim[0]; i++) {
        int at =
            setting_add(c, str_format(c->arena, "%s.save.%d", k->solve->name, i + 1), v.array[i], false, node->span);
        if (i == 0)
            k->solve->set_save0 = at;
    }
}

static void read_time(Block *k, Node *clause)
{
    Check *c = k->c;
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i];
            if (at->kind == NODE_SPAN) {
                k->info->is_time_wrong = true; /* read, right or not */
                k->info->from = eval_static(c, k->outer, at->kid[0], "the start of the time span");
                k->info->to = eval_static(c, k->outer, at->kid[1], "the end of the time span");
                k->solve->set_t0 = clause_setting(c, k->outer, at->kid[0], key(k, "start"), "the start");
                k->solve->set_t1 = clause_setting(c, k->outer, at->kid[1], key(k, "end"), "the end");
                if (k->info->from.kind == VALUE_number && k->info->to.kind == VALUE_number &&
                    rat_to_double(k->info->from.num) == rat_to_double(k->info->to.num))
                    DIAG_PLAIN(c->diags, SPAN_EMPTY, at->span);
            } else if (is_word(at, "save") && at->n)
                read_save(k, at->kid[0]);
            else if (is_word(at, "exactly"))
                k->solve->saves_exactly = true;
            else if (at->kind == NODE_WORD)
                clause_not_yet(k, at, str_format(c->arena, "'time … %s'", at->text));
            else
                DIAG_AT(c->diags, CLAUSE_VALUE, at->span, "time", "time 0 .. 1");
        }
}

static void read_method(Block *k, Node *clause)
{
    Check *c = k->c;
    Node *name = clause->n && clause->kid[0]->n ? clause->kid[0]->kid[0] : clause;
    if (name->kind == NODE_NAME && str_eq(name->text, "sosri")) {
        clause_not_yet(k, name, "methods for noise");
        return;
    }
    if (name->kind == NODE_NAME) {
        Symbol *symbol = scope_find(c, k->outer, name->text, name->span);
        if (!symbol || symbol->value.kind == VALUE_poison)
            return;
        if (symbol->value.kind == VALUE_tableau) {
            k->solve->method = symbol->value.tableau;
            return;
        }
    }
    DIAG_AT(c->diags, CLAUSE_VALUE, name->span, "method", "method tsit5");
}

static void read_tolerance(Block *k, Node *clause)
{
    Solve *s = k->solve;
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i], *value = at->kind == NODE_WORD && at->n ? at->kid[0] : at;
            if (at->kind == NODE_WORD && !at->n) {
                DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "tolerance", "tolerance abs 1e-6 rel 1e-3");
                return;
            }
            const char *word = at->kind == NODE_WORD ? str_format(k->c->arena, "tolerance.%s", at->text) : "tolerance";
            int set = clause_setting(k->c, k->outer, value, key(k, word), "a tolerance");
            positive(k, value, set);
            if (at->kind != NODE_WORD || str_eq(at->text, "abs"))
                s->set_atol = set;
            if (at->kind != NODE_WORD || str_eq(at->text, "rel"))
                s->set_rtol = set;
        }
}

static void read_step(Block *k, Node *clause)
{
    Solve *s = k->solve;
    const struct {
        const char *word;
        int *set;
    } row[] = {{"fixed", &s->set_fixed},
               {"initial", &s->set_initial},
               {"min", &s->set_min},
               {"max", &s->set_max},
               {"limit", &s->set_limit}};
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i];
            bool known = is_word(at, "adaptive") || is_word(at, "auto");
            if (is_word(at, "warm"))
                known = s->is_initial_warm = true;
            for (size_t r = 0; r < sizeof row / sizeof *row && !known; r++)
                if (is_word(at, row[r].word)) {
                    known = true;
                    if (at->n) {
                        *row[r].set =
                            clause_setting(k->c, k->outer, at->kid[0],
                                           key(k, str_format(k->c->arena, "step.%s", at->text)), "a step size");
                        positive(k, at->kid[0], *row[r].set);
                    } else if (!str_eq(at->text, "initial"))
                        DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "step", "step fixed 0.01");
                }
            if (!known)
                DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "step", "step fixed 0.01");
        }
}

static void read_controller(Block *k, Node *clause)
{
    static const char *const rows[] = {
#define CONTROL(name, ...) #name,
#include "../runtime/control.def"
#undef CONTROL
    };
    Node *at = clause->n && clause->kid[0]->n ? clause->kid[0]->kid[0] : clause;
    for (size_t i = 0; at->kind == NODE_NAME && i < sizeof rows / sizeof *rows; i++)
        if (str_eq(at->text, rows[i])) {
            k->solve->controller = rows[i];
            return;
        }
    const char *list = rows[0];
    for (size_t i = 1; i < sizeof rows / sizeof *rows; i++)
        list = str_format(k->c->arena, "%s, %s", list, rows[i]);
    DIAG_AT(k->c->diags, NO_CONTROLLER, at->span, list);
}

/* memory 64 MiB: the setting is in MiB, whatever the unit. */
static void read_memory(Block *k, Node *clause)
{
    static const struct {
        const char *word;
        double mib;
    } unit[] = {{"KiB", 1.0 / 1024}, {"MiB", 1}, {"GiB", 1024}};
    Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    for (size_t i = 0; group && group->n == 2 && i < sizeof unit / sizeof *unit; i++) {
        if (group->kid[0]->kind == NODE_WORD || !is_word(group->kid[1], unit[i].word) || group->kid[1]->n)
            continue;
        Value v = eval_static(k->c, k->outer, group->kid[0], "a size of memory");
        if (v.kind != VALUE_number)
            return;
        k->solve->set_memory =
            setting_add(k->c, key(k, "memory"), rat_to_double(v.num) * unit[i].mib, false, group->kid[0]->span);
        positive(k, group->kid[0], k->solve->set_memory);
        return;
    }
    DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "memory", "memory 64 MiB");
}

/* batching and adjoint: one choice so far. */
static void read_choice(Block *k, Node *clause)
{
    const char *only = str_eq(clause->text, "batching") ? "joint" : "discrete";
    Node *group = clause->n ? clause->kid[0] : clause;
    for (int i = 0; i < group->n; i++) {
        Node *at = group->kid[i];
        if (!at->text || !str_eq(at->text, only))
            clause_not_yet(k, at, str_format(k->c->arena, "'%s %s'", clause->text, at->text ? at->text : "…"));
    }
}

static void read_one(Block *k, Node *clause)
{
    static const struct {
        const char *name;
        void (*read)(Block *, Node *);
    } row[] = {
        {"time", read_time},       {"method", read_method},  {"tolerance", read_tolerance},   {"step", read_step},
        {"batching", read_choice}, {"adjoint", read_choice}, {"controller", read_controller}, {"memory", read_memory}};
    if (str_eq(clause->text, "regularize")) {
        if (k->c->training && !k->c->model->choices.no_regularize)
            regularize_read(k->c, k->outer, k->solve, clause, &k->terms);
        return;
    }
    if (str_eq(clause->text, "paths")) {
        clause_not_yet(k, clause, "'paths'");
        return;
    }
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_eq(clause->text, row[i].name))
            row[i].read(k, clause);
}

static bool is_clause(const Node *node, const char *name)
{
    return node->kind == NODE_CLAUSE && str_eq(node->text, name);
}

/* The clause of the command line that stands in place of this one, or NULL. */
static Node *chosen(const Block *k, const char *name)
{
    const Choices *choices = &k->c->model->choices;
    for (int i = 0; i < choices->clauses.n; i++)
        if (str_eq(choices->clauses.at[i]->text, name))
            return choices->clauses.at[i];
    return NULL;
}

static void report_twice(Block *k)
{
    for (int i = 0; i < k->node->n; i++)
        for (int j = 0; j < i && k->node->kid[i]->kind == NODE_CLAUSE; j++) {
            Node *at = k->node->kid[i], *before = k->node->kid[j];
            if (!is_clause(before, at->text) || is_clause(at, "regularize"))
                continue;
            DIAG_AT(k->c->diags, CLAUSE_TWICE, at->name, at->text);
            diag_note(k->c->diags, before->name, "first given here");
        }
}

/* Saved times are checked against the span, terms against the method. */
void clause_read(Block *k)
{
    static const char *const first[] = {"time", "method", NULL};
    Clauses all = {0};
    report_twice(k);
    for (int i = 0; i < k->node->n; i++)
        if (k->node->kid[i]->kind == NODE_CLAUSE && !chosen(k, k->node->kid[i]->text))
            list_push(k->c->arena, all, k->node->kid[i]);
    for (int i = 0; i < k->c->model->choices.clauses.n; i++)
        list_push(k->c->arena, all, k->c->model->choices.clauses.at[i]);
    for (const char *const *name = first; *name; name++)
        for (int i = 0; i < all.n; i++)
            if (str_eq(all.at[i]->text, *name))
                read_one(k, all.at[i]);
    for (int i = 0; i < all.n; i++)
        if (!str_eq(all.at[i]->text, first[0]) && !str_eq(all.at[i]->text, first[1]))
            read_one(k, all.at[i]);
}

void clause_presets(Block *k)
{
    Solve *s = k->solve;
    s->set_fixed = s->set_initial = s->set_min = s->set_max = s->set_limit = s->set_save0 = -1;
    s->set_memory = -1;
    s->set_t0 = s->set_t1 = s->set_atol = s->set_rtol = -1;
    s->controller = "elementary";
    s->method = scope_lookup(k->c->prelude, "tsit5")->value.tableau;
}

bool clause_check(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    if (s->set_t0 < 0 || s->set_t1 < 0) {
        if (k->info->is_time_wrong)
            return false;
        DIAG_AT(c->diags, NO_TIME, k->node->name, s->name);
        diag_help(c->diags, "add a line such as  time 0 .. 1");
        return false;
    }
    if (s->set_rtol < 0 && s->set_atol < 0)
        s->set_rtol = s->set_atol = preset(k, "tolerance", 1e-6);
    if (s->set_rtol < 0)
        s->set_rtol = preset(k, "tolerance.rel", 1e-6);
    if (s->set_atol < 0)
        s->set_atol = preset(k, "tolerance.abs", 1e-6);
    if (s->set_limit < 0)
        s->set_limit = preset(k, "step.limit", 10000);
    s->has_estimate = s->method && s->method->e && s->set_fixed < 0;
    if (s->method && !s->method->e && s->set_fixed < 0) {
        DIAG_AT(c->diags, NO_ESTIMATE, k->node->name, s->method->name);
        diag_help(c->diags, "add a line such as  step fixed 0.01");
        return false;
    }
    double rtol = c->model->settings.at[s->set_rtol].value;
    s->has_differences = s->has_estimate && !c->model->is_double && !c->no_difference && rtol < FINE_TOLERANCE;
    if (!c->model->is_double && s->has_estimate && rtol < 1.2e-7 && rtol > 0)
        DIAG_AT(c->diags, TOLERANCE_FINE, k->node->name, s->name, num_text(c->arena, rtol, false));
    return s->method != NULL;
}
