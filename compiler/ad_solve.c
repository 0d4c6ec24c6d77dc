/* ad_solve.c: the reverse of a solve: what the loop over its steps backwards calls.
 *
 * Needs: the functions of a solve.  Gives: the reverse of a step, of the start and of the states inside a step; which
 * carries have cotangents; the step that is recorded, with its residuals.
 * Elsewhere: reverse mode itself (ad.c), the loop and the tape (runtime/adjoint.c, runtime/tape.c). */
#include "ad.h"

#include <string.h>

/* Which carries the reverse of a step hands back: those that a seeded output needs, over any number of steps. */
static bool seed_carries(Module *m, const Solve *s, const Fn *step, bool *out_seed, SolveVjp *vjp)
{
    bool any = false;
    bool *all = ARENA_NEW(m->arena, bool, step->n_in + 1), *in = ARENA_NEW(m->arena, bool, step->n_in + 1);
    for (int i = 0; i < step->n_in; i++)
        all[i] = true;
    for (bool is_new = true; is_new;) {
        is_new = false;
        ad_reach(m, step, all, out_seed, NULL, in);
        for (int c = 0; c < s->n_carry; c++)
            if (in[s->n_state + c] && !vjp->seed_carry[c])
                any = is_new = vjp->seed_carry[c] = out_seed[s->n_state + c] = true;
    }
    return any;
}

static void unwant(Module *m, const Solve *s, const Fn *step, const bool *out_seed, const SolveVjp *vjp, bool *want)
{
    int n = step->n_in > (s->init ? s->init->n_in : 0) ? step->n_in : s->init->n_in;
    bool *all = ARENA_NEW(m->arena, bool, n + 1), *in = ARENA_NEW(m->arena, bool, n + 1);
    bool *in_init = ARENA_NEW(m->arena, bool, n + 1);
    for (int i = 0; i < n; i++)
        all[i] = true;
    ad_reach(m, step, all, out_seed, NULL, in);
    if (s->init)
        ad_reach(m, s->init, all, vjp->seed_carry, NULL, in_init);
    for (int i = 0; i < s->n_arg; i++)
        want[s->n_state + i] &= in[s->n_state + s->n_carry + 2 + i] || in_init[s->n_state + 1 + i];
}

static Fn *reverse_dense(Module *m, const Solve *s)
{
    int n = s->dense->n_in;
    bool *want = ARENA_NEW(m->arena, bool, n), *seed = ARENA_NEW(m->arena, bool, s->n_state);
    for (int i = 0; i < n - 2; i++)
        want[i] = true; /* all but h and theta */
    for (int i = 0; i < s->n_state; i++)
        seed[i] = true;
    return module_add(m, ad_vjp(m, s->dense, str_format(m->arena, "%s_dense_vjp", s->name), want, seed, false));
}

/* The reverse of a step with the inputs (those of the step.., cotangents of its seeded outputs.., residuals..). */
static Fn *reverse_step(Module *m, const Fn *step, const Pair *p, const char *name, const bool *out_seed,
                        const int *place)
{
    Fn *to = fn_new(m, name, step->span);
    const Fn *bwd = p->bwd;
    Val *map = ARENA_NEW(m->arena, Val, bwd->n_in + 1), *seed = ARENA_NEW(m->arena, Val, step->out.n + 1);
    Val *rest = ARENA_NEW(m->arena, Val, p->fwd->out.n + 1);
    for (int i = 0; i < step->n_in; i++)
        fn_input(m, to, step->ins.at[i].type, step->ins.at[i].name);
    for (int i = 0; i < step->out.n; i++)
        if (out_seed[i])
            seed[i] = fn_input(m, to, fn_type(step, step->out.at[i]),
                               str_format(m->arena, "g_%s", step->out_name.at[i] ? step->out_name.at[i] : "out"));
    for (int r = 0; r < p->fwd->out.n - step->out.n; r++) {
        int v = (int)p->fwd->out.at[step->out.n + r];
        if (place[r] >= 0)
            rest[r] = fn_input(m, to, fn_type(p->fwd, (Val)v), p->fwd->ins.at[v].name);
    }
    for (int i = 0; i < p->takes.n; i++) {
        Takes t = p->takes.at[i];
        map[i] = t.kind == TAKES_ARG ? (Val)t.index : t.kind == TAKES_SEED ? seed[t.index] : rest[t.index];
    }
    map = fn_append(m, to, bwd, map, false);
    for (int i = 0; i < bwd->out.n; i++)
        fn_out(m, to, map[bwd->out.at[i]], bwd->out_name.at[i]);
    return canon(m, to);
}

/* fn with its first n_out outputs, if wanted, and those residuals behind them that have a place. */
static Fn *with_residuals(Module *m, const Fn *fn, const char *name, int n_out, bool with_value, const int *place)
{
    Fn *to = sweep_copy(m, fn, name);
    to->out.n = to->out_name.n = with_value ? n_out : 0;
    for (int i = n_out; i < fn->out.n; i++)
        if (place[i - n_out] >= 0)
            fn_out(m, to, fn->out.at[i], fn->out_name.at[i]);
    return canon(m, to);
}

/* A step that is recorded hands its reverse what that needs to know; where memory is short it is worked out again. */
static void record_step(Module *m, const Solve *s, SolveVjp *vjp, const Fn *step, const bool *want, const bool *seed)
{
    Pair *p = ad_pair(m, step, want, seed);
    int n = p->fwd->out.n - step->out.n, *place = ARENA_NEW(m->arena, int, n + 1);
    for (int r = 0; r < n; r++)
        place[r] = -1;
    for (int i = 0; i < p->takes.n; i++)
        if (p->takes.at[i].kind == TAKES_RESIDUAL)
            place[p->takes.at[i].index] = 0;
    for (int r = 0; r < n; r++)
        if (place[r] >= 0)
            place[r] = vjp->n_residual++;
    const char *name = str_format(m->arena, "%s_step_vjp", s->name);
    vjp->step_vjp = module_add(m, reverse_step(m, step, p, name, seed, place));
    if (vjp->n_residual == 0)
        return;
    vjp->record = module_add(
        m, with_residuals(m, p->fwd, str_format(m->arena, "%s_step_record", s->name), step->out.n, true, place));
    vjp->again = module_add(
        m, with_residuals(m, p->fwd, str_format(m->arena, "%s_step_again", s->name), step->out.n, false, place));
    vjp->again->note = str_format(m->arena, "what the reverse of a step of %s needs", s->method->name);
    vjp->record->note = str_format(m->arena, "%s, and what its reverse needs", step->note ? step->note : step->name);
}

SolveVjp *ad_solve_reverse(Module *m, const Solve *s, bool *want, const bool *seed)
{
    SolveVjp *vjp = ARENA_NEW(m->arena, SolveVjp, 1);
    int n_result = solve_n_result(s), first_arg = s->n_state + s->n_carry + 2;
    vjp->want = ARENA_NEW(m->arena, bool, s->n_state + s->n_arg);
    vjp->seed = ARENA_NEW(m->arena, bool, n_result);
    vjp->seed_carry = ARENA_NEW(m->arena, bool, s->n_carry + 1);
    memcpy(vjp->seed, seed, sizeof(bool) * (size_t)n_result);
    for (int i = s->n_state; i < solve_quantity(s, 0); i++)
        vjp->seed_dense |= seed[i];
    const Fn *step = vjp->seed_dense || s->saves_dense ? s->step_keep : s->step;
    bool *out_seed = ARENA_NEW(m->arena, bool, step->out.n), *in_want = ARENA_NEW(m->arena, bool, step->n_in);
    for (int i = 0; i < s->n_state; i++)
        out_seed[i] = in_want[i] = true;
    for (int q = 0; q < s->n_quantity; q++)
        out_seed[s->n_state + s->n_carry + 1 + q] = seed[solve_quantity(s, q)];
    for (int i = 0; vjp->seed_dense && i < s->n_dense; i++)
        out_seed[s->n_state + s->n_carry + 1 + s->n_quantity + i] = true;
    bool any_carry = seed_carries(m, s, step, out_seed, vjp);
    unwant(m, s, step, out_seed, vjp, want);
    memcpy(vjp->want, want, sizeof(bool) * (size_t)(s->n_state + s->n_arg));
    for (int c = 0; c < s->n_carry; c++)
        in_want[s->n_state + c] = vjp->seed_carry[c];
    for (int i = 0; i < s->n_arg; i++)
        in_want[first_arg + i] = want[s->n_state + i];
    record_step(m, s, vjp, step, in_want, out_seed);
    if (vjp->seed_dense)
        vjp->dense_vjp = reverse_dense(m, s);
    if (any_carry) {
        bool *w = ARENA_NEW(m->arena, bool, s->init->n_in);
        for (int i = 0; i < s->n_state; i++)
            w[i] = true;
        for (int i = 0; i < s->n_arg; i++)
            w[s->n_state + 1 + i] = want[s->n_state + i];
        vjp->init_vjp =
            module_add(m, ad_vjp(m, s->init, str_format(m->arena, "%s_init_vjp", s->name), w, vjp->seed_carry, false));
    }
    return vjp;
}

SolveVjp *ad_solve_backward(Module *m, const Solve *s, bool *want, const bool *seed)
{
    SolveVjp *vjp = ARENA_NEW(m->arena, SolveVjp, 1);
    const Backward *back = s->backward;
    int n_result = solve_n_result(s);
    vjp->want = ARENA_NEW(m->arena, bool, s->n_state + s->n_arg);
    vjp->seed = ARENA_NEW(m->arena, bool, n_result);
    vjp->seed_carry = ARENA_NEW(m->arena, bool, s->n_carry + 1);
    for (int i = 0; i < s->n_arg; i++)
        want[s->n_state + i] = back->want[i];
    memcpy(vjp->want, want, sizeof(bool) * (size_t)(s->n_state + s->n_arg));
    memcpy(vjp->seed, seed, sizeof(bool) * (size_t)n_result);
    vjp->record = back->record;
    vjp->again = back->again;
    vjp->n_residual = back->record ? s->n_dense : 0;
    list_push(m->arena, m->solves, back->solve);
    return vjp;
}

/* ---- tangents ---- */
/* g . s_i for each direction i; with rows, of saved times, summed over these. */
static Val along_tangents(Module *m, Fn *to, const Solve *s, Val tangents, Val g)
{
    int n_row = fn_type(to, tangents).rank - 1, size = type_size(fn_type(to, g));
    int dim[3] = {s->n_save, s->n_direction, n_row ? size / s->n_save : size}, flat[2] = {dim[0], dim[2]};
    Type whole = type_real(true, 2 + n_row, dim + 1 - n_row);
    g = fn_op(m, to, OP_reshape, 1, &g, (Imm){.to = type_real(true, 1 + n_row, flat + 1 - n_row)}, s->span);
    g = fn_op(m, to, OP_repeat, 1, &g, (Imm){.axis = n_row, .to = whole}, s->span);
    tangents = fn_op(m, to, OP_reshape, 1, &tangents, (Imm){.to = whole}, s->span);
    Val out = fn_op2(m, to, OP_mul, g, tangents);
    for (int axis = 1 + n_row; axis >= 0; axis -= 2)
        out = fn_op(m, to, OP_sum_axis, 1, &out, (Imm){.axis = axis}, s->span);
    return out;
}

Val ad_solve_forward(Module *m, Fn *to, Val v, const Val *g)
{
    const Solve *s = to->ins.at[v].imm.solve;
    int n = solve_measured(s), n_states = 1 + (s->n_save > 0) + s->n_draw;
    Val sum = NO_VAL;
    for (int at = 0; at < n_states; at++)
        for (int j = 0; j < n && s->n_direction > 0; j++) {
            bool is_drawn = at >= n_states - s->n_draw;
            int first = is_drawn ? solve_drawn(s, at - (n_states - s->n_draw), 0) : at * s->n_state;
            if (g[first + j] == NO_VAL)
                continue;
            const Ins solve = to->ins.at[v];
            Val tangents = fn_result(m, to, v, first + n + j, region_type(m, to, &solve, first + n + j));
            Val part = along_tangents(m, to, s, tangents, g[first + j]);
            sum = sum == NO_VAL ? part : fn_op2(m, to, OP_add, sum, part);
        }
    return sum;
}
