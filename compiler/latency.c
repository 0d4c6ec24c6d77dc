/* latency.c: what the latency form of a solve computes, and for which solves there is one.
 *
 * Needs: the functions of a solve.  Gives: the same with all calls expanded, the start as one function, sums whose
 * newest term and products whose newest factor come last; or the reason why a solve has none. Values are those of the
 * solve's functions but for rounding. Elsewhere: the C text (emit_sample.c, emit_latency.c), the loop over steps
 * (runtime/nde_latency.h). */
#include "latency.h"

#include <ctype.h>
#include <string.h>

/* ---- when values are there ---- */
bool latency_is_long(Op op)
{
    static const char *const quick[] = {"where", "gt", "ge", "eq", "fabs", "sqrt"};
    for (const char *s = op_info[op].value; s && *s; s++) {
        size_t n = 0, k = 0;
        while (isalnum((unsigned char)s[n]))
            n++;
        if (n < 2 || !isalpha((unsigned char)*s)) {
            s += n > 1 ? n - 1 : 0;
            continue;
        }
        while (k < sizeof quick / sizeof *quick && !(strlen(quick[k]) == n && strncmp(quick[k], s, n) == 0))
            k++;
        if (k == sizeof quick / sizeof *quick)
            return true;
        s += n - 1;
    }
    return false;
}

/* Rounded latencies of current machines. */
static int cycles(const Fn *fn, const Ins *ins)
{
    int sums = 0;
    if (op_info[ins->op].op_class == CLASS_leaf || op_info[ins->op].op_class == CLASS_form ||
        op_info[ins->op].op_class == CLASS_batch)
        return 0;
    if (op_info[ins->op].op_class == CLASS_map)
        return ins->op == OP_div || ins->op == OP_sqrt                                               ? 14
               : latency_is_long(ins->op)                                                            ? 40
               : ins->op == OP_add || ins->op == OP_sub || ins->op == OP_mul || ins->op == OP_square ? 4
                                                                                                     : 2;
    for (int n = type_size(fn_type(fn, ins->arg[0])); n > 1; n /= 2)
        sums++;
    return 4 * (sums + 1);
}

static int depth_of(const Fn *fn, const Ins *ins, const int *depth)
{
    int at = 0;
    for (int k = 0; k < ins->n_arg; k++)
        at = depth[ins->arg[k]] > at ? depth[ins->arg[k]] : at;
    return at + cycles(fn, ins);
}

/* late: an input that is there so long after the others as the size of a step after its first state; or NO_VAL. */
static int *depths(const Model *model, const Fn *fn, Val late)
{
    enum { LATE = 40 };
    int *depth = ARENA_NEW(model->module->arena, int, fn->ins.n + 1);
    if (late != NO_VAL)
        depth[late] = LATE;
    for (int v = fn->n_in; v < fn->ins.n; v++)
        depth[v] = depth_of(fn, &fn->ins.at[v], depth);
    return depth;
}

int *latency_depth(const Model *model, const Fn *fn)
{
    return depths(model, fn, NO_VAL);
}

/* ---- the functions ---- */
static Fn *flat(Module *m, const Fn *from)
{
    Fn *to = fn_new(m, from->name, from->span);
    Val *in = ARENA_NEW(m->arena, Val, from->n_in + 1);
    for (int v = 0; v < from->n_in; v++)
        in[v] = fn_input(m, to, fn_type(from, (Val)v), NULL);
    Val *map = fn_append(m, to, from, in, true);
    for (int i = 0; i < from->out.n; i++)
        fn_out(m, to, map[from->out.at[i]], NULL);
    return canon(m, to);
}

static bool is_output(const Fn *fn, Val v)
{
    for (int i = 0; i < fn->out.n; i++)
        if (fn->out.at[i] == v)
            return true;
    return false;
}

/* x + v; of a few numbers in float64 term by term: each is one multiply-add then. In float32 the rounding of each
 * addition to x, which is larger than the terms, would show in the error estimate. */
static Val add_terms(const Model *model, Fn *to, const Fn *from, Val x, Val v, const Val *map)
{
    const Ins *ins = &from->ins.at[v];
    bool is_split = model->is_double && type_size(ins->type) <= LATENCY_SCALARS;
    if (!is_split || ins->op != OP_add || !type_equal(ins->type, fn_type(to, x)))
        return fn_op2(model->module, to, OP_add, x, map[v]);
    return fn_op2(model->module, to, OP_add, add_terms(model, to, from, x, ins->arg[0], map), map[ins->arg[1]]);
}

/* A function being written anew, with the depths of its values. */
typedef struct Rewrite {
    const Model *model;
    const Fn *from;
    Fn *to;
    const int *depth;
    const Val *user; /* the only one, or NO_VAL */
    Val *map;
} Rewrite;

/* x + (s + k) as (x + s) + k where k comes latest by far: one multiply-add stands between k and the result. In float32
 * not in a state at the end of a step, where rounding adds up. */
static Val newest_last(const Rewrite *r, Val v)
{
    const Ins *ins = &r->from->ins.at[v], *sum = ins->op == OP_add ? &r->from->ins.at[ins->arg[1]] : NULL;
    const int *depth = r->depth;
    bool is_kept = is_output(r->from, v) && !r->model->is_double;
    if (!sum || sum->op != OP_add || is_kept || !type_equal(sum->type, ins->type) ||
        depth[sum->arg[1]] <= depth[sum->arg[0]] + 4 || depth[sum->arg[1]] <= depth[ins->arg[0]] + 4)
        return NO_VAL;
    Val early = add_terms(r->model, r->to, r->from, r->map[ins->arg[0]], sum->arg[0], r->map);
    return fn_op2(r->model->module, r->to, OP_add, early, r->map[sum->arg[1]]);
}

/* Is v added to something that comes later still? */
static bool is_awaited(const Rewrite *r, Val v)
{
    const Ins *user = r->user[v] == NO_VAL ? NULL : &r->from->ins.at[r->user[v]];
    for (int k = 0; user && (user->op == OP_add || user->op == OP_sub) && k < 2; k++)
        if (user->arg[k] != v && r->depth[user->arg[k]] > r->depth[v])
            return false;
    return true;
}

/* (a b) c as (a c) b where b comes latest: one product, or multiply-add, stands between b and the result. */
static Val latest_factor_last(const Rewrite *r, Val v)
{
    const Ins *ins = &r->from->ins.at[v];
    for (int k = 0; k < 2 && ins->op == OP_mul; k++) {
        const Ins *pair = &r->from->ins.at[ins->arg[k]];
        if (pair->op != OP_mul || !is_awaited(r, v))
            continue;
        int late = r->depth[pair->arg[1]] > r->depth[pair->arg[0]];
        Val a = pair->arg[1 - late], b = pair->arg[late], c = ins->arg[1 - k];
        if (r->depth[b] <= r->depth[a] || r->depth[b] <= r->depth[c])
            continue;
        Val early = fn_op2(r->model->module, r->to, OP_mul, r->map[a], r->map[c]);
        return fn_op2(r->model->module, r->to, OP_mul, early, r->map[b]);
    }
    return NO_VAL;
}

static Val *only_users(Module *m, const Fn *fn)
{
    Val *user = ARENA_NEW(m->arena, Val, fn->ins.n + 1);
    bool *is_used = ARENA_NEW(m->arena, bool, fn->ins.n + 1);
    for (int v = 0; v < fn->ins.n; v++)
        for (int k = 0; k < fn->ins.at[v].n_arg; k++) {
            Val a = fn->ins.at[v].arg[k];
            user[a] = is_used[a] ? NO_VAL : (Val)v;
            is_used[a] = true;
        }
    for (int i = 0; i < fn->out.n; i++)
        user[fn->out.at[i]] = NO_VAL;
    return user;
}

/* fn with what the rule puts in place of a value. late: the input that comes last. */
static Fn *rewritten(const Model *model, const Fn *fn, Val late, Val (*rule)(const Rewrite *, Val))
{
    Module *m = model->module;
    Fn *to = fn_new(m, fn->name, fn->span);
    const int *depth = depths(model, fn, late);
    Rewrite r = {model, fn, to, depth, only_users(m, fn), ARENA_NEW(m->arena, Val, fn->ins.n + 1)};
    for (int v = 0; v < fn->ins.n; v++) {
        Val other = v < fn->n_in ? fn_input(m, to, fn->ins.at[v].type, NULL) : rule(&r, (Val)v);
        if (other != NO_VAL)
            r.map[v] = other;
        else
            fn_copy(m, to, fn, (Val)v, r.map, true);
    }
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, to, r.map[fn->out.at[i]], NULL);
    return canon(m, to);
}

/* init and guess as one function. */
static Fn *start_of(Module *m, const Solve *s, bool is_guessed)
{
    int n_u = s->n_state, before = n_u + s->n_carry + 2, n = 0;
    Fn *to = fn_new(m, str_format(m->arena, "%s_start", s->name), s->span);
    Val *u = ARENA_NEW(m->arena, Val, before + s->n_arg), *p = ARENA_NEW(m->arena, Val, s->n_arg + 1);
    for (int i = 0; i < n_u; i++)
        u[i] = fn_input(m, to, s->state_type[i], NULL);
    Val t = fn_input(m, to, type_scalar(false), NULL), span = fn_input(m, to, type_scalar(false), NULL);
    for (int i = 0; i < s->n_arg; i++)
        p[i] = fn_input(m, to, fn_type(s->step, (Val)(before + i)), NULL);
    u[n_u] = t;
    for (n = 0; n < s->n_arg; n++)
        u[n_u + 1 + n] = p[n];
    const Val *map = s->init ? fn_append(m, to, s->init, u, true) : NULL;
    for (int i = 0; i < s->n_carry; i++)
        fn_out(m, to, map[s->init->out.at[i]], NULL);
    if (is_guessed) {
        for (int i = 0; i < s->n_carry; i++)
            u[n_u + i] = to->out.at[i];
        u[before - 2] = t;
        u[before - 1] = span;
        for (n = 0; n < s->n_arg; n++)
            u[before + n] = p[n];
        map = fn_append(m, to, s->guess, u, true);
        fn_out(m, to, map[s->guess->out.at[0]], NULL);
    }
    return canon(m, to);
}

/* The value of a number that is made of constants, for a batch of one; 0 for others. */
static double constant(const Fn *fn, Val v)
{
    const Ins *ins = &fn->ins.at[v];
    if (ins->op == OP_mul)
        return constant(fn, ins->arg[0]) * constant(fn, ins->arg[1]);
    return ins->op == OP_const ? ins->imm.num : ins->op == OP_batch ? 1 : 0;
}

/* ---- the error as a fraction ---- */
typedef struct Fraction {
    Module *m;
    Fn *fn;
    Val above, below; /* NO_VAL: nothing yet */
    int terms;
} Fraction;

static Val product(const Fraction *f, Val x, Val y)
{
    return fn_op2(f->m, f->fn, OP_mul, x, y);
}

static Val element(const Fraction *f, Val v, int k)
{
    Type t = fn_type(f->fn, v), one = type_real(t.is_batched, 1, (int[]){1});
    return t.rank == 0 ? v : fn_op(f->m, f->fn, OP_slice, 1, &v, (Imm){.from = k, .to = one}, f->fn->span);
}

/* f += (x / s)^2 */
static void add_square(Fraction *f, Val x, Val s)
{
    Val above = product(f, x, x), below = product(f, s, s);
    f->terms++;
    if (f->above != NO_VAL) {
        above = fn_op2(f->m, f->fn, OP_add, product(f, f->above, below), product(f, above, f->below));
        below = product(f, f->below, below);
    }
    f->above = above;
    f->below = below;
}

/* f += v, a sum of squares of quotients; false: it is none, or one of many. */
static bool add_fraction(Fraction *f, Val v)
{
    const Ins ins = f->fn->ins.at[v]; /* a copy: the list grows */
    if (ins.op == OP_add)
        return add_fraction(f, ins.arg[0]) && add_fraction(f, ins.arg[1]);
    if (ins.op == OP_bsum || ins.op == OP_sum)
        return add_fraction(f, ins.arg[0]);
    const Ins ratio = ins.op == OP_square ? f->fn->ins.at[ins.arg[0]] : ins;
    int n = type_size(ins.type);
    if (ins.op != OP_square || ratio.op != OP_div || ins.type.rank > 1 || f->terms + n > LATENCY_SCALARS)
        return false;
    for (int k = 0; k < n; k++)
        add_square(f, element(f, ratio.arg[0], k), element(f, ratio.arg[1], k));
    return true;
}

/* Of a few numbers in float64 the sum of squares is one fraction of which only the two parts are formed: their
 * logarithms are subtracted, and no division stands between the error and the next step. In float32 the product below
 * could be too small for a number. */
static void split_error(const Model *model, const Solve *s, Latency *l)
{
    Fraction f = {model->module, l->step, NO_VAL, NO_VAL, 0};
    Val *err = &l->step->out.at[s->n_state + s->n_carry];
    l->scale = -1;
    if (!model->is_double || !add_fraction(&f, *err))
        return;
    *err = f.above;
    l->scale = l->step->out.n;
    fn_out(model->module, l->step, f.below, NULL);
}

/* err of the step becomes a sum of squares: a root and a division less between the error and the next step. */
static void square_error(Module *m, const Solve *s, Latency *l)
{
    Val *err = &l->step->out.at[s->n_state + s->n_carry];
    const Ins *ins = &l->step->ins.at[*err];
    l->count = 1;
    if (ins->op == OP_sqrt) {
        *err = ins->arg[0];
        ins = &l->step->ins.at[*err];
        if (ins->op == OP_div && constant(l->step, ins->arg[1]) > 0) {
            l->count = constant(l->step, ins->arg[1]);
            *err = ins->arg[0];
        }
    } else if (s->method->e2) {
        *err = fn_op1(m, l->step, OP_square, *err);
    }
}

/* ---- whether ---- */
static bool runs(const Fn *program, const Solve *s)
{
    for (int v = 0; program && v < program->ins.n; v++)
        if (program->ins.at[v].op == OP_solve && program->ins.at[v].imm.solve == s)
            return true;
    return false;
}

/* Operations that are written out, for vectors of 32 bytes. */
static int code_of(const Model *model, const Fn *fn)
{
    int code = 0, lanes = model->is_double ? 4 : 8;
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v];
        int n = type_size(ins->type);
        if (op_info[ins->op].op_class == CLASS_leaf || !ins->type.is_batched)
            continue;
        code += n <= LATENCY_SCALARS ? n : n <= LATENCY_UNROLLED ? n / lanes + 1 : 8;
    }
    return code;
}

/* Numbers of arrays, which are local variables. */
static long numbers_of(const Fn *fn)
{
    long numbers = 0;
    for (int v = 0; v < fn->ins.n; v++)
        if (type_size(fn->ins.at[v].type) > LATENCY_SCALARS && op_info[fn->ins.at[v].op].op_class != CLASS_leaf)
            numbers += type_size(fn->ins.at[v].type);
    return numbers;
}

static int weights_of(const Solve *s)
{
    long weights = 0;
    for (int i = 0; i < s->n_arg; i++) {
        Type t = fn_type(s->step, (Val)(s->n_state + s->n_carry + 2 + i));
        weights += t.is_batched ? 0 : type_size(t);
    }
    return weights > LATENCY_WEIGHTS ? LATENCY_WEIGHTS + 1 : (int)weights;
}

static bool has_long_permutation(const Fn *fn)
{
    for (int v = 0; v < fn->ins.n; v++)
        if ((fn->ins.at[v].op == OP_permute || fn->ins.at[v].op == OP_unpermute) &&
            type_size(fn->ins.at[v].type) > LATENCY_UNROLLED)
            return true;
    return false;
}

static const char *refusal_before(const Model *model, const Solve *s)
{
    if (!runs(model->eval, s) && !runs(model->predict, s))
        return "no program without derivatives runs it";
    if (s->is_per_sample)
        return "a sample has the same bits in every batch";
    if (s->is_learned && s->n_save > 0)
        return "it saves times in a learned span";
    if (s->n_draw > 0 || s->n_quantity > 0)
        return "it has quantities or drawn times";
    if (weights_of(s) > LATENCY_WEIGHTS)
        return "its weights are more than a cache holds";
    return NULL;
}

Latency latency_of(const Model *model, const Solve *s)
{
    Module *m = model->module;
    Latency l = {.refusal = refusal_before(model, s)};
    if (l.refusal)
        return l;
    l.is_guessed = s->guess && s->set_initial < 0 && s->set_fixed < 0;
    l.needs_dense = s->n_save > 0 && !s->saves_exactly;
    l.start = start_of(m, s, l.is_guessed);
    Val h = (Val)(s->n_state + s->n_carry + 1);
    l.step = rewritten(model, flat(m, l.needs_dense ? s->step_keep : s->step), h, latest_factor_last);
    l.step = rewritten(model, l.step, h, newest_last);
    square_error(m, s, &l);
    split_error(model, s, &l);
    l.dense = l.needs_dense ? flat(m, s->dense) : NULL;
    const Fn *live = canon(m, l.step); /* a fraction that was begun and given up is not written out */
    int code = code_of(model, live);
    if (code > LATENCY_CODE)
        l.refusal = str_format(m->arena, "a step of %d operations is too long to be written out", code);
    else if (numbers_of(live) + numbers_of(l.start) > LATENCY_NUMBERS)
        l.refusal = "its arrays are too large to be local variables";
    else if (has_long_permutation(live))
        l.refusal = "it permutes a large array";
    return l;
}
