/* latency.c: what the latency form of a solve computes, and for which solves there is one.
 *
 * Needs: the functions of a solve.  Gives: the same with all calls expanded, the start as one function, and sums whose
 * newest term comes last; or the reason why a solve has none. Values are those of the solve's functions but for
 * rounding.
 * Elsewhere: the C text (emit_sample.c, emit_latency.c), the loop over steps (runtime/nde_latency.h). */
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

int *latency_depth(const Model *model, const Fn *fn)
{
    int *depth = ARENA_NEW(model->module->arena, int, fn->ins.n + 1);
    for (int v = fn->n_in; v < fn->ins.n; v++)
        depth[v] = depth_of(fn, &fn->ins.at[v], depth);
    return depth;
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

/* x + (s + k) as (x + s) + k where k comes latest by far: one multiply-add stands between k and the result. Not in a
 * state at the end of a step, where rounding adds up. */
static Fn *newest_last(const Model *model, const Fn *from)
{
    Module *m = model->module;
    Fn *to = fn_new(m, from->name, from->span);
    Val *map = ARENA_NEW(m->arena, Val, from->ins.n + 1);
    const int *depth = latency_depth(model, from);
    for (int v = 0; v < from->ins.n; v++) {
        const Ins *ins = &from->ins.at[v], *sum = ins->op == OP_add ? &from->ins.at[ins->arg[1]] : NULL;
        if (v < from->n_in)
            map[v] = fn_input(m, to, ins->type, NULL);
        else if (sum && sum->op == OP_add && !is_output(from, (Val)v) && type_equal(sum->type, ins->type) &&
                 depth[sum->arg[1]] > depth[sum->arg[0]] + 4 && depth[sum->arg[1]] > depth[ins->arg[0]] + 4)
            map[v] =
                fn_op2(m, to, OP_add, add_terms(model, to, from, map[ins->arg[0]], sum->arg[0], map), map[sum->arg[1]]);
        else
            fn_copy(m, to, from, (Val)v, map, true);
    }
    for (int i = 0; i < from->out.n; i++)
        fn_out(m, to, map[from->out.at[i]], NULL);
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
    l.step = newest_last(model, flat(m, l.needs_dense ? s->step_keep : s->step));
    Val *err = &l.step->out.at[s->n_state + s->n_carry];
    if (l.step->ins.at[*err].op == OP_sqrt)
        *err = l.step->ins.at[*err].arg[0];
    else if (s->method->e2)
        *err = fn_op1(m, l.step, OP_square, *err);
    l.dense = l.needs_dense ? flat(m, s->dense) : NULL;
    int code = code_of(model, l.step);
    if (code > LATENCY_CODE)
        l.refusal = str_format(m->arena, "a step of %d operations is too long to be written out", code);
    else if (numbers_of(l.step) + numbers_of(l.start) > LATENCY_NUMBERS)
        l.refusal = "its arrays are too large to be local variables";
    else if (has_long_permutation(l.step))
        l.refusal = "it permutes a large array";
    return l;
}
