/* equation.c: solve blocks: equations and start values; and the results that a model asks of them.
 *
 * Needs: expressions (expr.c), clauses (clause.c), steps (step.c).  Gives: one OP_solve in the program, its Solve with
 * all functions.
 * Elsewhere: regularize clauses (regularize.c). */
#include "ad.h"
#include "block.h"

#include <string.h>

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
    s->state_name = ARENA_NEW(c->arena, const char *, k->node->n); /* an equation or a clause for each */
    s->state_type = ARENA_NEW(c->arena, Type, k->node->n);
    s->user_type = ARENA_NEW(c->arena, Type, k->node->n);
    for (int i = 0; i < k->node->n; i++) {
        Node *at = k->node->kid[i];
        if (at->kind != NODE_EQUATION)
            continue;
        if (at->text[0] != 'd' || !at->text[1]) {
            DIAG_AT(c->diags, NO_STATE_NAME, at->name, at->text);
            return false;
        }
        if (at->kid[1]) {
            clause_not_yet(k, at->kid[1], "noise ('dW')");
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

/* z(T): T is the first bound. */
static void read_start_time(Block *k, const Node *at)
{
    Check *c = k->c;
    const Value *from = &k->info->from;
    bool is_known = value_is_static(from);
    Value t = !is_known ? eval(c, k->outer, k->main, at->kid[0])
                        : eval_static(c, k->outer, at->kid[0], "the time of a start value");
    if (t.kind == VALUE_poison || from->kind == VALUE_poison || span_same_bound(&t, from))
        return;
    DIAG_AT(c->diags, START_TIME, at->kid[0]->span, at->text,
            !is_known ? "the bound as it is written there" : num_text(c->arena, rat_to_double(from->num), false));
}

static bool read_starts(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    k->start = ARENA_NEW(c->arena, Val, k->node->n);
    memset(k->start, 0xff, sizeof(Val) * (size_t)k->node->n);
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
        read_start_time(k, at);
        Val v = eval_tensor(c, k->outer, k->main, at->kid[1], "a start value");
        if (v == NO_VAL)
            return false;
        if (!fn_type(k->main->fn, v).is_batched)
            v = fn_op1(c->module, k->main->fn, OP_bcast, v);
        k->start[state] = v;
        s->state_type[state] = s->user_type[state] = fn_type(k->main->fn, v);
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
/* The integrals of regularize clauses stand behind the model's states, and start at 0. */
static void add_integrals(Block *k)
{
    Check *c = k->c;
    Solve *s = k->solve;
    for (int i = 0; i < k->terms.at.n; i++) {
        Term *term = &k->terms.at.at[i];
        if (!term->is_integral)
            continue;
        const Node *q = term->quantity, *name = q->kind == NODE_CALL ? q->kid[0] : q;
        term->first = s->n_state++;
        s->state_name[term->first] = name->text;
        s->state_type[term->first] = type_scalar(true);
        k->start[term->first] = sweep_zero(c->module, k->main->fn, s->state_type[term->first]);
    }
}

/* Has each series of saved states room? It has one more axis. */
static bool do_saves_fit(Block *k)
{
    const Solve *s = k->solve;
    bool ok = true;
    for (int j = 0; j < s->n_state && ok && s->n_save > 0; j++)
        if (s->state_type[j].rank < MAX_RANK)
            ok = build_fits(k->c, (double)s->n_save * type_size(s->state_type[j]), k->time->span);
        else {
            DIAG_AT(k->c->diags, RANK_RANGE, k->time->span, MAX_RANK + 1, MAX_RANK);
            ok = false;
        }
    return ok;
}

static bool read_integrals(Block *k, Val *drift, Val t)
{
    Check *c = k->c;
    Solve *s = k->solve;
    bool ok = true;
    Val *u = ARENA_NEW(c->arena, Val, s->n_state);
    for (int j = 0; j < s->n_state; j++)
        u[j] = (Val)j; /* the first inputs */
    Path path = {solve_written(s), u, drift, t};
    for (int i = 0; i < k->terms.at.n; i++) {
        const Term *term = &k->terms.at.at[i];
        if (term->is_integral)
            ok &= (drift[term->first] = integral_rate(c, k->inner, k->field, s, &path, term)) != NO_VAL;
    }
    return ok;
}

static Fn *read_equations(Block *k, Keys *keys)
{
    Check *c = k->c;
    Solve *s = k->solve;
    Builder *b = k->field = build_new(c, str_format(c->arena, "%s_field", s->name), k->node->span, k->main, keys);
    Val *drift = ARENA_NEW(c->arena, Val, s->n_state);
    bool ok = true;
    b->fn->note = "the right-hand side";
    for (int j = 0; j < s->n_state; j++) {
        Val u = build_input(c, b, s->state_type[j], s->state_name[j]);
        if (j < solve_written(s))
            scope_add(c, k->inner, s->state_name[j], k->node->name, value_val(b, u), NULL);
    }
    Val t = build_input(c, b, type_scalar(s->is_per_sample), "t");
    t = span_time(c, b, k->info->clock, t);
    scope_add(c, k->inner, "t", k->node->name, value_val(b, t), NULL);
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
        Type rate = fn_type(b->fn, v), want = s->state_type[state];
        if (rate.rank == 0 && want.rank > 0)
            v = fn_op(c->module, b->fn, OP_fill, 1, &v, (Imm){.to = want}, at->span);
        else if (!type_same_shape(rate, want)) {
            DIAG_AT(c->diags, RATE_SHAPE, at->kid[0]->span, s->state_name[state], type_text(c->arena, want),
                    type_text(c->arena, rate));
            ok = false;
            continue;
        }
        if (!fn_type(b->fn, v).is_batched)
            v = fn_op1(c->module, b->fn, OP_bcast, v);
        drift[state] = v;
    }
    ok = ok && read_integrals(k, drift, t);
    for (int j = 0; ok && j < s->n_state; j++)
        fn_out(c->module, b->fn, span_rate(c, b, k->info->clock, drift[j]),
               str_format(c->arena, "d%s", s->state_name[j]));
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
    Problem p = s->n_tangent ? k->core : *problem;
    p.arg = arg + s->n_state;
    p.n_arg = p.field->n_in - p.solve->n_state - 1;
    if (c->training)
        backwards_build(c, k->main, &p, keys, arg);
    regularize_add(c, k->outer, k->info, &p, &k->terms);
}

static Keys keys_copy(Check *c, const Keys *keys)
{
    Keys out = {0};
    for (int i = 0; i < keys->at.n; i++)
        list_push(c->arena, out.at, keys->at.at[i]);
    return out;
}

/* A time of each sample is handed over with what the equations use. */
static int sample_key(Check *c, Keys *keys, const Value *v)
{
    return value_is_of_sample(c, v) ? build_key(c, keys, v) : -1;
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
        clause_not_yet(&k, node, "a solve inside a fn or a layer");
        scope_add(c, s, node->text, node->name, value_poison(), NULL);
        return;
    }
    clause_presets(&k);
    clause_read(&k);
    bool ok = clause_check(&k) && read_states(&k) && read_starts(&k);
    if (ok)
        add_integrals(&k);
    ok = ok && tolerance_fits(&k) && do_saves_fit(&k);
    Fn *field = ok ? read_equations(&k, keys) : NULL;
    if (field) {
        solve->saves_dense = solve->n_save > 0 && !solve->saves_exactly;
        Problem p = {.solve = solve, .field = field, .clock = info->clock};
        info->field = field;
        info->keys = keys_copy(c, keys);
        if (!forward_add(&k, keys, &p))
            info->reduction = p.reduction = reduce_field(c, b, solve, &p.field, keys, k.start);
        if (p.reduction) {
            p.field = p.reduction->field;
            start_reduced(&k, p.reduction);
        }
        solve->arg_save = save_key(&k, keys);
        solve->arg_count = sample_key(c, keys, &info->count);
        solve->arg_end = info->clock ? -1 : sample_key(c, keys, &info->to);
        if (info->clock) {
            solve->arg_start = build_key(c, keys, &info->clock->start);
            solve->arg_length = build_key(c, keys, &info->clock->length);
        }
        step_functions(c, &p, keys, b, s, &k.terms);
        solve->dense_rate = solve->saves_rates ? save_rate(c, solve) : NULL;
        add_solve(&k, &p, keys);
    }
    if (c->training) /* where regularize clauses are read too */
        scope_unused(c, k.inner);
    Value v = field ? (Value){.kind = VALUE_solve, .solve = info} : value_poison();
    scope_add(c, s, node->text, node->name, v, NULL);
}

/* ---- results ---- */
/* A saved series of which each sample has its own number of entries: 0 behind those. */
static Val counted(Check *c, const SolveInfo *info, Val series)
{
    Module *m = c->module;
    Fn *fn = info->home->fn;
    Type whole = fn_type(fn, series), t = type_real(false, 1, whole.dim);
    double *index = ARENA_NEW(c->arena, double, t.dim[0]);
    for (int i = 0; i < t.dim[0]; i++)
        index[i] = i;
    Value entry = {.kind = VALUE_array, .type = t, .array = index};
    Val counts = fn_op2(m, fn, OP_gt, build_val(c, info->home, &info->count), build_val(c, info->home, &entry));
    for (int axis = 1; axis < whole.rank; axis++)
        counts = fn_op(m, fn, OP_repeat, 1, &counts, (Imm){.axis = axis, .to = type_real(true, axis + 1, whole.dim)},
                       fn->span);
    return fn_op(m, fn, OP_where, 3, (Val[]){counts, series, fn_const(m, fn, 0)}, (Imm){0}, info->solve->span);
}

/* A reduced state at the end as the user wrote it: the step has formed it for its error. Its derivative is that of v.
 */
static Val lifted(Check *c, const SolveInfo *info, int state, Val v)
{
    const Solve *s = info->solve;
    Fn *fn = info->home->fn;
    if (!s->lifted || s->lifted[state] < 0)
        return v;
    Val end = fn_result(c->module, fn, info->ins, solve_lifted(s, state), s->user_type[state]);
    return fn_op2(c->module, fn, OP_instead, end, v);
}

Val solve_result(Check *c, const SolveInfo *info, int index, int state)
{
    Fn *fn = info->home->fn;
    Type t = region_type(c->module, fn, &fn->ins.at[info->ins], index);
    Val v = fn_result(c->module, fn, info->ins, index, t);
    bool is_series = state >= 0 && t.rank > info->solve->state_type[state].rank;
    if (is_series && info->solve->saves_rates)
        v = save_series(c, info, state, v);
    if (info->reduction && state >= 0) {
        const Val *z = reduce_origin(c, info->home, info->reduction);
        v = (is_series ? reduce_lift_series : reduce_lift)(c, info->home, info->reduction, state, z, v);
        v = index == solve_end(info->solve, state) ? lifted(c, info, state, v) : v;
    }
    return is_series && info->solve->arg_count >= 0 ? counted(c, info, v) : v;
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
    if (state >= 0 && state < solve_written(s))
        return (Value){.kind = VALUE_series, .solve = solve->solve, .index = state};
    if (str_eq(node->text, "nfe"))
        return result(c, solve->solve, solve_evaluations(s), -1);
    if (str_eq(node->text, "steps"))
        return result(c, solve->solve, solve_accepted(s), -1);
    if (str_eq(node->text, "rejected"))
        return result(c, solve->solve, solve_rejected(s), -1);
    if (str_eq(node->text, "executed"))
        return result(c, solve->solve, solve_executed(s), -1);
    DIAG_AT(c->diags, NO_RESULT, node->span, s->name, node->text);
    const char *near = str_nearest(node->text, s->state_name, solve_written(s));
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
    if (call->n != 2) {
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, call), info->solve->state_name[series->index], 1, call->n - 1);
        return value_poison();
    }
    c->setting = NULL;
    Value t = eval(c, s, b == info->home ? b : NULL, call->kid[1]);
    c->setting = setting;
    if (t.kind == VALUE_poison || info->from.kind == VALUE_poison || info->to.kind == VALUE_poison)
        return value_poison();
    if (span_same_bound(&t, &info->to))
        return result(c, info, solve_end(info->solve, series->index), series->index);
    if (span_same_bound(&t, &info->from))
        return info->reduction ? info->reduction->state[series->index].start
                               : value_val(info->home, info->home->fn->ins.at[info->ins].arg[series->index]);
    if (same_array(&t, &info->save) || span_same_bound(&t, &info->save))
        return result(c, info, solve_saved(info->solve, series->index), series->index);
    if (info->is_save_wrong)
        return value_poison();
    DIAG_AT(c->diags, NOT_KEPT, check_span(c, call->kid[1]), info->solve->name, info->solve->state_name[series->index]);
    diag_note(c->diags, info->solve->span, "%s keeps the start, the end and the times after 'save'", info->solve->name);
    return value_poison();
}
