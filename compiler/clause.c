/* clause.c: the clauses of a solve block: its span, method, steps, controller, memory, adjoint.
 *
 * Needs: static expressions (expr.c).  Gives: the choices in Solve and SolveInfo, each number a setting.
 * Elsewhere: tolerances (tolerance.c), regularize clauses (regularize.c), equations (equation.c). */
#include "block.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- settings ---- */
int clause_setting(Check *c, Scope *s, Node *node, const char *name, const char *what)
{
    Value v = eval_static(c, s, node, what);
    return v.kind == VALUE_number ? setting_add(c, name, rat_to_double(v.num), false, node->span) : -1;
}

const char *clause_key(const Block *k, const char *clause)
{
    return str_format(k->c->arena, "%s.%s", k->solve->name, clause);
}

static int preset(const Block *k, const char *clause, double value)
{
    return setting_add(k->c, clause_key(k, clause), value, true, k->node->span);
}

/* ---- words of clauses ---- */
void clause_not_yet(Block *k, Node *node, const char *what)
{
    DIAG_AT(k->c->diags, NOT_YET, node->span, what);
}

bool clause_is_word(const Node *node, const char *text)
{
    return node->kind == NODE_WORD && str_eq(node->text, text);
}

bool clause_positive(Block *k, Node *node, int setting)
{
    if (setting < 0)
        return true; /* it has been reported */
    double x = k->c->model->settings.at[setting].value;
    if (x > 0)
        return true;
    DIAG_AT(k->c->diags, NOT_POSITIVE, node->span, num_text(k->c->arena, x, false));
    return false;
}

/* ---- times ---- */
static bool is_of_sample(const Block *k, const Value *v, int rank)
{
    Type t;
    return value_is_of_sample(k->c, v) && value_type(k->c, v, &t) && t.rank == rank && !v->classes;
}

/* A time clause with a value of each sample, read before it is known whether samples may differ. */
static void check_sample_times(Block *k)
{
    const struct {
        const Value *value;
        const char *what;
    } row[] = {{&k->info->from, "a start of the span"},
               {&k->info->to, "an end of the span"},
               {&k->info->save, "a vector of saved times"},
               {&k->info->count, "a count of saved times"}};
    if (k->info->count.kind != VALUE_poison && k->solve->n_save == 0 && !k->info->is_save_wrong)
        DIAG_AT(k->c->diags, CLAUSE_VALUE, k->time->span, "time", "time 0 .. 1 save when count n");
    for (size_t i = 0; i < sizeof row / sizeof *row && !k->solve->is_per_sample; i++)
        if (value_is_of_sample(k->c, row[i].value))
            DIAG_AT(k->c->diags, TIME_OF_SAMPLE, k->time->span, row[i].what);
}

static void read_count(Block *k, Node *node)
{
    Value v = eval(k->c, k->outer, k->main, node);
    if (v.kind == VALUE_poison)
        return;
    if (is_of_sample(k, &v, 0))
        k->info->count = v;
    else
        DIAG_PLAIN(k->c->diags, SAVE_COUNT, node->span);
}

/* A bound of the span, "start" or "end": static and then a setting too, learned, or of each sample. */
static void read_bound(Block *k, Node *node, const char *name, Value *bound, int *set)
{
    const char *what = str_format(k->c->arena, "the %s", name);
    Value v = eval(k->c, k->outer, k->main, node);
    if (is_of_sample(k, &v, 0) || span_is_learned(k->c, &v)) {
        *bound = v;
        return;
    }
    *bound = eval_static(k->c, k->outer, node, str_format(k->c->arena, "%s of the time span", what));
    if (bound->kind == VALUE_number)
        *set = clause_setting(k->c, k->outer, node, clause_key(k, name), what);
}

static void read_span(Block *k, const Node *span)
{
    k->info->is_time_wrong = true; /* read, right or not */
    read_bound(k, span->kid[0], "start", &k->info->from, &k->solve->set_t0);
    read_bound(k, span->kid[1], "end", &k->info->to, &k->solve->set_t1);
    if (span_same_bound(&k->info->from, &k->info->to))
        DIAG_PLAIN(k->c->diags, SPAN_EMPTY, span->span);
    span_clock(k);
}

/* Do the saved times follow one another in the span? A span whose end differs between samples is looked at when it
 * runs. */
static bool are_in_span(Block *k, Node *node, const Value *v)
{
    Check *c = k->c;
    if (k->info->from.kind != VALUE_number || k->info->to.kind != VALUE_number)
        return false;
    double t0 = rat_to_double(k->info->from.num), t1 = rat_to_double(k->info->to.num);
    double low = t0 < t1 ? t0 : t1, high = t0 < t1 ? t1 : t0;
    for (int i = 0; i < v->type.dim[0]; i++) {
        double before = i ? v->array[i - 1] : t0, t = v->array[i];
        if (t < low || t > high) {
            DIAG_AT(c->diags, SAVE_OUTSIDE, node->span, num_text(c->arena, t, false));
            return false;
        }
        if (i && (t1 > t0 ? t <= before : t >= before)) {
            DIAG_AT(c->diags, SAVE_ORDER, node->span, i, num_text(c->arena, t, false));
            return false;
        }
    }
    return true;
}

static void read_save(Block *k, Node *node)
{
    Check *c = k->c;
    Value v = eval(c, k->outer, k->main, node);
    if (is_of_sample(k, &v, 1) || save_is_shared(c, &v)) {
        Type t;
        value_type(c, &v, &t);
        k->info->save = v;
        k->solve->n_save = t.dim[0];
        return;
    }
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
    bool is_late = is_of_sample(k, &k->info->to, 0) || k->info->clock; /* it is looked at when it runs */
    if (!is_late && !are_in_span(k, node, &v))
        return;
    k->info->is_save_wrong = false;
    k->info->save = v;
    k->solve->n_save = v.type.dim[0];
    k->solve->set_save0 = setting_add_entries(c, clause_key(k, "save"), v.type.dim[0], v.array, node->span);
}

/* end uniform(b): STEER (Ghosh et al. 2020). */
static void read_steer(Block *k, Node *word)
{
    const Node *call = word->n ? word->kid[0] : word;
    if (call->kind != NODE_CALL || call->n != 2 || call->kid[0]->kind != NODE_NAME ||
        !str_eq(call->kid[0]->text, "uniform") || call->kid[1]->kind == NODE_GIVEN) {
        DIAG_AT(k->c->diags, CLAUSE_VALUE, word->span, "time", "time 0 .. 1 end uniform(0.5)");
        return;
    }
    int set = clause_setting(k->c, k->outer, call->kid[1], clause_key(k, "end.uniform"), "a bound of what is added");
    if (set < 0 || !clause_positive(k, call->kid[1], set))
        return;
    k->solve->is_steered = k->c->training;
    k->solve->set_steer = set;
}

/* What is added must leave the times in their order; the start stays. */
static void check_end(Block *k, const Node *clause)
{
    const SolveInfo *info = k->info;
    if (!k->solve->is_steered || info->from.kind != VALUE_number || info->to.kind != VALUE_number ||
        info->is_save_wrong)
        return;
    if (k->solve->n_save > 0 && info->save.kind != VALUE_array) {
        DIAG_PLAIN(k->c->diags, STEER_SAVES, clause->span);
        return;
    }
    double b = k->c->model->settings.at[k->solve->set_steer].value, start = rat_to_double(info->from.num);
    double before = start;
    for (int i = 0; i <= k->solve->n_save; i++) {
        double time = i < k->solve->n_save ? info->save.array[i] : rat_to_double(info->to.num);
        double room = fabs(time - before) / (before == start ? 1 : 2);
        if (room > 0 && b >= room) {
            DIAG_AT(k->c->diags, STEER_WIDE, clause->span, num_text(k->c->arena, b, false),
                    num_text(k->c->arena, before, false), num_text(k->c->arena, time, false),
                    num_text(k->c->arena, room, false));
            return;
        }
        before = time;
    }
}

static void read_time(Block *k, Node *clause)
{
    Check *c = k->c;
    k->time = clause;
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i];
            if (at->kind == NODE_SPAN) {
                read_span(k, at);
            } else if (k->info->clock && clause_is_word(at, "end")) {
                DIAG_AT(c->diags, SPAN_LEARNED, at->span, at->text);
            } else if (clause_is_word(at, "save") && at->n)
                read_save(k, at->kid[0]);
            else if (clause_is_word(at, "count") && at->n)
                read_count(k, at->kid[0]);
            else if (clause_is_word(at, "exactly"))
                k->solve->saves_exactly = true;
            else if (clause_is_word(at, "end"))
                read_steer(k, at);
            else if (at->kind == NODE_WORD)
                clause_not_yet(k, at, str_format(c->arena, "'time … %s'", at->text));
            else
                DIAG_AT(c->diags, CLAUSE_VALUE, at->span, "time", "time 0 .. 1");
        }
    if (k->solve->saves_exactly && k->solve->n_save == 0 && !k->info->is_save_wrong)
        DIAG_AT(c->diags, CLAUSE_VALUE, clause->span, "time", "time 0 .. 1 save [0.5, 1] exactly");
    check_end(k, clause);
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
            k->solve->method = method_of(c, symbol);
            if (k->solve->method && k->solve->method->is_reversible)
                k->solve->adjoint = ADJOINT_reversible;
            return;
        }
    }
    DIAG_AT(c->diags, CLAUSE_VALUE, name->span, "method", "method tsit5");
}

static void check_step(Block *k, Node *clause)
{
    const Solve *s = k->solve;
    const Setting *at = k->c->model->settings.at;
    Arena *a = k->c->arena;
    if (s->set_limit >= 0 && at[s->set_limit].value != floor(at[s->set_limit].value))
        DIAG_AT(k->c->diags, NOT_WHOLE, at[s->set_limit].span, "limit");
    if (s->set_min >= 0 && s->set_max >= 0 && at[s->set_min].value > at[s->set_max].value)
        DIAG_AT(k->c->diags, STEP_BOUNDS, clause->span, num_text(a, at[s->set_min].value, false),
                num_text(a, at[s->set_max].value, false));
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
    if (clause->n == 0)
        DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "step", "step fixed 0.01");
    for (int g = 0; g < clause->n; g++)
        for (int i = 0; i < clause->kid[g]->n; i++) {
            Node *at = clause->kid[g]->kid[i];
            bool known = clause_is_word(at, "adaptive") || clause_is_word(at, "auto");
            if (clause_is_word(at, "warm"))
                known = s->is_initial_warm = true;
            for (size_t r = 0; r < sizeof row / sizeof *row && !known; r++)
                if (clause_is_word(at, row[r].word)) {
                    known = true;
                    if (at->n) {
                        *row[r].set =
                            clause_setting(k->c, k->outer, at->kid[0],
                                           clause_key(k, str_format(k->c->arena, "step.%s", at->text)), "a step size");
                        clause_positive(k, at->kid[0], *row[r].set);
                    } else if (!str_eq(at->text, "initial"))
                        DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "step", "step fixed 0.01");
                }
            if (!known)
                DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "step", "step fixed 0.01");
        }
    check_step(k, clause);
}

/* pid(p, i, d): what the present error, the sum of errors and their change contribute. */
static void read_gains(Block *k, Node *call)
{
    static const char *const name[] = {"controller.p", "controller.i", "controller.d"};
    if (call->n != 4) {
        DIAG_AT(k->c->diags, CLAUSE_VALUE, call->span, "controller", "controller pid(0.01, 0.47, 0.1)");
        return;
    }
    for (int i = 0; i < 3; i++) {
        int set = clause_setting(k->c, k->outer, call->kid[i + 1], clause_key(k, name[i]), "a gain");
        if (i == 0)
            k->solve->set_pid = set;
        if (i == 1) /* without it the error is held where it is, not at the tolerance */
            clause_positive(k, call->kid[2], set);
    }
    k->solve->controller = "pid";
}

static void read_controller(Block *k, Node *clause)
{
    static const char *const rows[] = {
#define CONTROL(name, ...) #name,
#include "../runtime/control.def"
#undef CONTROL
    };
    Node *at = clause->n && clause->kid[0]->n ? clause->kid[0]->kid[0] : clause;
    if (at->kind == NODE_CALL && at->kid[0]->kind == NODE_NAME && str_eq(at->kid[0]->text, "pid")) {
        read_gains(k, at);
        return;
    }
    for (size_t i = 0; at->kind == NODE_NAME && i < sizeof rows / sizeof *rows; i++)
        if (str_eq(at->text, rows[i])) {
            k->solve->controller = rows[i];
            return;
        }
    DIAG_AT(k->c->diags, NO_CONTROLLER, at->span, str_list(k->c->arena, rows, sizeof rows / sizeof *rows, ", "));
}

static void read_memory(Block *k, Node *clause)
{
    Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    if (group && group->n == 2 && group->kid[0]->kind != NODE_WORD)
        adjoint_memory(k, clause, group->kid[0], group->kid[1]);
    else
        DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "memory", "memory 64 MiB");
}

static void read_batching(Block *k, Node *clause)
{
    Node *group = clause->n == 1 ? clause->kid[0] : clause, *at = group->n == 1 ? group->kid[0] : clause;
    k->solve->is_per_sample = clause_is_word(at, "sample");
    if (!k->solve->is_per_sample && !clause_is_word(at, "joint"))
        DIAG_AT(k->c->diags, CLAUSE_VALUE, at->span, "batching", "batching sample");
}

static void read_one(Block *k, Node *clause)
{
    static const struct {
        const char *name;
        void (*read)(Block *, Node *);
    } row[] = {{"time", read_time},
               {"method", read_method},
               {"tolerance", tolerance_read},
               {"step", read_step},
               {"batching", read_batching},
               {"adjoint", adjoint_read},
               {"controller", read_controller},
               {"memory", read_memory}};
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

/* The clause of the command line that stands in place of this one, or NULL. */
static Node *chosen(const Block *k, const char *name)
{
    const Choices *choices = &k->c->model->choices;
    for (int i = 0; i < choices->clauses.n; i++)
        if (str_eq(choices->clauses.at[i]->text, name))
            return choices->clauses.at[i];
    return NULL;
}

/* Saved times are checked against the span, terms against the method. */
void clause_read(Block *k)
{
    static const char *const first[] = {"time", "method", NULL};
    Clauses all = {0};
    for (int i = 0; i < k->node->n; i++)
        if (k->node->kid[i]->kind == NODE_CLAUSE && !chosen(k, k->node->kid[i]->text))
            list_push(k->c->arena, all, k->node->kid[i]);
    for (int i = 0; i < k->c->model->choices.clauses.n; i++)
        list_push(k->c->arena, all, k->c->model->choices.clauses.at[i]);
    for (const char *const *name = first; *name; name++)
        for (int i = 0; i < all.n; i++)
            if (str_eq(all.at[i]->text, *name))
                read_one(k, all.at[i]);
    bool has_method = false;
    for (int i = 0; i < all.n; i++)
        has_method |= str_eq(all.at[i]->text, "method");
    if (!has_method)
        k->solve->method = method_of(k->c, scope_lookup(k->c->prelude, "tsit5"));
    for (int i = 0; i < all.n; i++)
        if (!str_eq(all.at[i]->text, first[0]) && !str_eq(all.at[i]->text, first[1]))
            read_one(k, all.at[i]);
}

void clause_presets(Block *k)
{
    Solve *s = k->solve;
    s->set_fixed = s->set_initial = s->set_min = s->set_max = s->set_limit = s->set_save0 = -1;
    s->set_memory = -1;
    s->arg_save = s->arg_count = s->arg_end = -1;
    s->set_t0 = s->set_t1 = s->atol.set = s->rtol.set = s->set_pid = -1;
    s->controller = "pi82";
}

/* Does rounding in float32 hold up step sizes? An estimate that is nothing else is some epsilon / rtol, and asks for a
 * factor of about (epsilon / rtol)^(-1/order): below 2, growth from a small first step takes more steps. */
static bool is_fine(const Tableau *method, double rtol)
{
    return rtol < ldexp(FLT_EPSILON, method->order);
}

bool clause_check(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    bool has_span = s->set_t0 >= 0 && (s->set_t1 >= 0 || is_of_sample(k, &k->info->to, 0));
    if (!has_span && !k->info->clock) {
        if (k->info->is_time_wrong)
            return false;
        DIAG_AT(c->diags, NO_TIME, k->node->name, s->name);
        diag_help(c->diags, "add a line such as  time 0 .. 1");
        return false;
    }
    if (s->rtol.set < 0 && s->atol.set < 0)
        s->rtol = s->atol = (Tolerance){.n = 1, .set = preset(k, "tolerance", 1e-6)};
    if (s->rtol.set < 0)
        s->rtol = (Tolerance){.n = 1, .set = preset(k, "tolerance.rel", 1e-6)};
    if (s->atol.set < 0)
        s->atol = (Tolerance){.n = 1, .set = preset(k, "tolerance.abs", 1e-6)};
    if (s->set_limit < 0)
        s->set_limit = preset(k, "step.limit", 10000);
    check_sample_times(k);
    if (s->is_per_sample && s->set_memory >= 0 && s->n_draw > s->n_unbiased)
        clause_not_yet(k, k->node, "a bound of the tape with 'batching sample' and terms at accepted steps");
    s->has_estimate = s->method && s->method->e && s->set_fixed < 0;
    if (s->method && !s->method->e && s->set_fixed < 0) {
        DIAG_AT(c->diags, NO_ESTIMATE, k->node->name, s->method->name);
        diag_help(c->diags, "add a line such as  step fixed 0.01");
        return false;
    }
    adjoint_check(k);
    double rtol = tolerance_least(c, &s->rtol);
    bool has_changes =
        s->has_estimate && !s->method->share && (!s->method->slope || s->method->fsal); /* from f(u, t) */
    s->has_differences = has_changes && !c->model->is_double && !c->no_difference && is_fine(s->method, rtol);
    if (!c->model->is_double && s->has_estimate && rtol < 1.2e-7 && rtol > 0)
        DIAG_AT(c->diags, TOLERANCE_FINE, k->node->name, s->name, num_text(c->arena, rtol, false));
    return s->method != NULL;
}
