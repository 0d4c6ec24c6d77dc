/* equation.c: solve blocks: equations, start values, clauses; and the results that a model asks of them.
 *
 * Needs: expressions (expr.c), steps (step.c).  Gives: one OP_solve in the program, its Solve with all functions.
 * Elsewhere: regularize clauses (regularize.c). */
#include "ad.h"
#include "checker.h"

#include <string.h>

typedef struct Block { /* a solve block being read */
    Check *c;
    Scope *outer, *inner;
    Builder *main, *field;
    Node *node;
    Solve *solve;
    SolveInfo *info;
    Terms terms;
    Val *start; /* [state] */
} Block;

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
static void not_yet(Block *k, Node *node, const char *what)
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
                not_yet(k, at, str_format(c->arena, "'time … %s'", at->text));
            else
                DIAG_AT(c->diags, CLAUSE_VALUE, at->span, "time", "time 0 .. 1");
        }
}

static void read_method(Block *k, Node *clause)
{
    Check *c = k->c;
    Node *name = clause->n && clause->kid[0]->n ? clause->kid[0]->kid[0] : clause;
    if (name->kind == NODE_NAME && str_eq(name->text, "sosri")) {
        not_yet(k, name, "methods for noise");
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
            not_yet(k, at, str_format(k->c->arena, "'%s %s'", clause->text, at->text ? at->text : "…"));
    }
}

static void read_clause(Block *k, Node *clause)
{
    static const struct {
        const char *name;
        void (*read)(Block *, Node *);
    } row[] = {
        {"time", read_time},       {"method", read_method},  {"tolerance", read_tolerance},   {"step", read_step},
        {"batching", read_choice}, {"adjoint", read_choice}, {"controller", read_controller}, {"memory", read_memory}};
    if (str_eq(clause->text, "regularize")) {
        if (k->c->training)
            regularize_read(k->c, k->outer, k->solve, clause, &k->terms);
        return;
    }
    if (str_eq(clause->text, "paths")) {
        not_yet(k, clause, "'paths'");
        return;
    }
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (str_eq(clause->text, row[i].name))
            row[i].read(k, clause);
}

static void read_clauses(Block *k)
{
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind != NODE_CLAUSE)
            continue;
        for (int j = 0; j < i && !str_eq(at->text, "regularize"); j++)
            if (k->node->kid[j]->kind == NODE_CLAUSE && str_eq(k->node->kid[j]->text, at->text)) {
                DIAG_AT(k->c->diags, CLAUSE_TWICE, at->name, at->text);
                diag_note(k->c->diags, k->node->kid[j]->name, "first given here");
            }
        if (str_eq(at->text, "time"))
            read_clause(k, at); /* save times are checked against the span, terms against the method */
    }
    for (int i = 0; i < k->node->n; i++)
        if (k->node->kid[i]->kind == NODE_CLAUSE && str_eq(k->node->kid[i]->text, "method"))
            read_clause(k, k->node->kid[i]);
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind == NODE_CLAUSE && !str_eq(at->text, "time") && !str_eq(at->text, "method"))
            read_clause(k, at);
    }
}

/* ---- states ---- */
static int state_index(const Solve *s, const char *name)
{
    for (int i = 0; i < s->n_state; i++)
        if (str_eq(s->state_name[i], name))
            return i;
    return -1;
}

static bool read_states(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    s->state_name = ARENA_NEW(c->arena, const char *, k->node->n);
    s->state_type = ARENA_NEW(c->arena, Type, k->node->n);
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind != NODE_EQUATION)
            continue;
        if (at->text[0] != 'd' || !at->text[1]) {
            DIAG_AT(c->diags, NO_STATE_NAME, at->name, at->text);
            return false;
        }
        if (at->kid[1]) {
            not_yet(k, at->kid[1], "noise ('dW')");
            return false;
        }
        if (state_index(s, at->text + 1) >= 0) {
            DIAG_AT(c->diags, EQUATION_TWICE, at->name, at->text + 1);
            return false;
        }
        s->state_name[s->n_state++] = at->text + 1;
    }
    if (s->n_state == 0)
        DIAG_AT(c->diags, NO_EQUATION, k->node->name, s->name);
    return s->n_state > 0;
}

static bool read_starts(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    k->start = ARENA_NEW(c->arena, Val, s->n_state);
    memset(k->start, 0xff, sizeof(Val) * (size_t)s->n_state);
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind != NODE_START)
            continue;
        int state = state_index(s, at->text);
        if (state < 0) {
            DIAG_AT(c->diags, START_NO_EQUATION, at->name, at->text, at->text);
            return false;
        }
        if (k->start[state] != NO_VAL) {
            DIAG_AT(c->diags, START_TWICE, at->name, at->text);
            return false;
        }
        Value t = eval_static(c, k->outer, at->kid[0], "the time of a start value");
        if (t.kind == VALUE_number && k->info->from.kind == VALUE_number &&
            rat_to_double(t.num) != rat_to_double(k->info->from.num))
            DIAG_AT(c->diags, START_TIME, at->kid[0]->span, at->text,
                    num_text(c->arena, rat_to_double(k->info->from.num), false));
        Val v = eval_tensor(c, k->outer, k->main, at->kid[1], "a start value");
        if (v == NO_VAL)
            return false;
        if (!fn_type(k->main->fn, v).is_batched)
            v = fn_op1(c->module, k->main->fn, OP_bcast, v);
        k->start[state] = v;
        s->state_type[state] = fn_type(k->main->fn, v);
    }
    for (int j = 0; j < s->n_state; j++)
        if (k->start[j] == NO_VAL) {
            DIAG_AT(c->diags, NO_START, k->node->name, s->name, s->state_name[j]);
            diag_help(c->diags, "add a line  %s(…) = …", s->state_name[j]);
            return false;
        }
    return true;
}

/* ---- equations ---- */
static Fn *read_equations(Block *k, Keys *keys)
{
    Check *c = k->c;
    Solve *s = k->solve;
    Builder *b = k->field = build_new(c, str_format(c->arena, "%s_field", s->name), k->node->span, k->main, keys);
    Val *drift = ARENA_NEW(c->arena, Val, s->n_state);
    bool ok = true;
    b->fn->note = "the right-hand side";
    for (int j = 0; j < s->n_state; j++)
        scope_add(c, k->inner, s->state_name[j], k->node->name,
                  value_val(b, build_input(c, b, s->state_type[j], s->state_name[j])), NULL);
    scope_add(c, k->inner, "t", k->node->name, value_val(b, build_input(c, b, type_scalar(false), "t")), NULL);
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind == NODE_LET)
            declare(c, k->inner, b, at);
        if (at->kind != NODE_EQUATION)
            continue;
        int state = state_index(s, at->text + 1);
        Val v = eval_tensor(c, k->inner, b, at->kid[0], "a right-hand side");
        ok &= v != NO_VAL;
        if (v == NO_VAL)
            continue;
        Type t = fn_type(b->fn, v), want = s->state_type[state];
        if (t.rank == 0 && want.rank > 0)
            v = fn_op(c->module, b->fn, OP_fill, 1, &v, (Imm){.to = want}, at->span);
        else if (!type_same_shape(t, want)) {
            DIAG_AT(c->diags, RATE_SHAPE, at->kid[0]->span, s->state_name[state], type_text(c->arena, want),
                    type_text(c->arena, t));
            ok = false;
            continue;
        }
        if (!fn_type(b->fn, v).is_batched)
            v = fn_op1(c->module, b->fn, OP_bcast, v);
        drift[state] = v;
    }
    for (int j = 0; ok && j < s->n_state; j++)
        fn_out(c->module, b->fn, drift[j], str_format(c->arena, "d%s", s->state_name[j]));
    return ok ? build_finish(c, b) : NULL;
}

/* The integrated states of a reduced solve start at 0. */
static void start_reduced(Block *k, const Reduction *r)
{
    Check *c = k->c;
    for (int j = 0; j < r->n; j++) {
        if (!r->state[j].is_reduced)
            continue;
        k->start[j] = sweep_zero(c->module, k->main->fn, r->state[j].type);
        k->solve->state_type[j] = r->state[j].type;
    }
}

static void add_solve(Block *k, const Problem *problem, Keys *keys)
{
    Check *c = k->c;
    Solve *s = k->solve;
    s->n_arg = keys->at.n;
    Val *arg = ARENA_NEW(c->arena, Val, s->n_state + keys->at.n + 1);
    for (int j = 0; j < s->n_state; j++)
        arg[j] = k->start[j];
    build_keys(c, k->main, keys, arg + s->n_state);
    k->info->ins = fn_op(c->module, k->main->fn, OP_solve, s->n_state + s->n_arg, arg, (Imm){.solve = s}, s->span);
    k->info->is_written = true;
    list_push(c->arena, c->module->solves, s);
    list_push(c->arena, c->solves, k->info);
    Problem p = *problem;
    p.arg = arg + s->n_state;
    p.n_arg = p.field->n_in - s->n_state - 1;
    regularize_add(c, k->outer, k->info, &p, &k->terms);
}

static void presets(Block *k)
{
    Solve *s = k->solve;
    s->set_fixed = s->set_initial = s->set_min = s->set_max = s->set_limit = s->set_save0 = -1;
    s->set_memory = -1;
    s->set_t0 = s->set_t1 = s->set_atol = s->set_rtol = -1;
    s->controller = "elementary";
    s->method = scope_lookup(k->c->prelude, "tsit5")->value.tableau;
}

static bool check_choices(Block *k)
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

void declare_solve(Check *c, Scope *s, Builder *b, Node *node)
{
    Solve *solve = ARENA_NEW(c->arena, Solve, 1);
    SolveInfo *info = ARENA_NEW(c->arena, SolveInfo, 1);
    Block k = {.c = c,
               .outer = s,
               .inner = scope_new(c, s, SCOPE_block),
               .main = b,
               .node = node,
               .solve = solve,
               .info = info};
    Keys *keys = ARENA_NEW(c->arena, Keys, 1);
    info->solve = solve;
    info->home = b;
    solve->name = node->text;
    solve->span = node->span;
    if (!b || b->keys) {
        not_yet(&k, node, "a solve inside a fn or a layer");
        scope_add(c, s, node->text, node->name, value_poison(), NULL);
        return;
    }
    presets(&k);
    read_clauses(&k);
    bool ok = check_choices(&k) && read_states(&k) && read_starts(&k);
    Fn *field = ok ? read_equations(&k, keys) : NULL;
    if (field) {
        solve->saves_dense = solve->n_save > 0 && !solve->saves_exactly;
        Problem p = {.solve = solve, .field = field};
        info->reduction = p.reduction = reduce_field(c, b, solve, field, keys, k.start);
        if (p.reduction) {
            p.field = p.reduction->field;
            start_reduced(&k, p.reduction);
        }
        step_functions(c, &p, keys, b, s, &k.terms);
        add_solve(&k, &p, keys);
    }
    scope_unused(c, k.inner);
    Value v = field ? (Value){.kind = VALUE_solve, .solve = info} : value_poison();
    scope_add(c, s, node->text, node->name, v, NULL);
}

/* ---- results ---- */
Val solve_result(Check *c, const SolveInfo *info, int index, int state)
{
    Fn *fn = info->home->fn;
    Type t = region_type(c->module, fn, &fn->ins.at[info->ins], index);
    Val v = fn_result(c->module, fn, info->ins, index, t);
    if (!info->reduction || state < 0)
        return v;
    const Val *z = reduce_origin(c, info->home, info->reduction);
    bool is_series = t.rank > info->solve->state_type[state].rank;
    return (is_series ? reduce_lift_series : reduce_lift)(c, info->home, info->reduction, state, z, v);
}

static Value result(Check *c, const SolveInfo *info, int index, int state)
{
    return value_val(info->home, solve_result(c, info, index, state));
}

Value solve_member(Check *c, Builder *b, const Value *solve, Node *node)
{
    const Solve *s = solve->solve->solve;
    int state = state_index(s, node->text);
    (void)b;
    if (state >= 0)
        return (Value){.kind = VALUE_series, .solve = solve->solve, .index = state};
    if (str_eq(node->text, "nfe"))
        return result(c, solve->solve, solve_evaluations(s), -1);
    if (str_eq(node->text, "steps"))
        return result(c, solve->solve, solve_accepted(s), -1);
    if (str_eq(node->text, "rejected"))
        return result(c, solve->solve, solve_rejected(s), -1);
    DIAG_AT(c->diags, NO_RESULT, node->span, s->name, node->text);
    const char *near = str_nearest(node->text, s->state_name, s->n_state);
    if (near)
        diag_help(c->diags, "did you mean '%s'?", near);
    return value_poison();
}

static bool same_array(const Value *a, const Value *b)
{
    if (a->kind != VALUE_array || b->kind != VALUE_array || !type_same_shape(a->type, b->type))
        return false;
    return memcmp(a->array, b->array, sizeof(double) * (size_t)type_size(a->type)) == 0;
}

Value series_at(Check *c, Scope *s, Builder *b, const Value *series, Node *call)
{
    const SolveInfo *info = series->solve;
    const char *setting = c->setting;
    (void)b;
    if (call->n != 2) {
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, call), info->solve->state_name[series->index], 1, call->n - 1);
        return value_poison();
    }
    c->setting = NULL;
    Value t = eval(c, s, NULL, call->kid[1]);
    c->setting = setting;
    if (t.kind == VALUE_poison || info->from.kind != VALUE_number || info->to.kind != VALUE_number)
        return value_poison();
    if (t.kind == VALUE_number && rat_to_double(t.num) == rat_to_double(info->to.num))
        return result(c, info, solve_end(info->solve, series->index), series->index);
    if (t.kind == VALUE_number && rat_to_double(t.num) == rat_to_double(info->from.num))
        return info->reduction ? info->reduction->state[series->index].start
                               : value_val(info->home, info->home->fn->ins.at[info->ins].arg[series->index]);
    if (same_array(&t, &info->save))
        return result(c, info, solve_saved(info->solve, series->index), series->index);
    if (info->is_save_wrong)
        return value_poison();
    DIAG_AT(c->diags, NOT_KEPT, check_span(c, call->kid[1]), info->solve->name, info->solve->state_name[series->index]);
    diag_note(c->diags, info->solve->span, "%s keeps the start, the end and the times after 'save'", info->solve->name);
    return value_poison();
}
