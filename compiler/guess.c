/* guess.c: the size of a first step.
 *
 * Needs: the field and where a step begins.  Gives: the automatic initial step as instructions.
 * Elsewhere: the step (step.c), how it is used (runtime/solve.c, regularize.c). */
#include "checker.h"

static Val num(Check *c, Builder *b, double x)
{
    return fn_const(c->module, b->fn, x);
}

static Val op1(Check *c, Builder *b, Op op, Val x)
{
    return fn_op1(c->module, b->fn, op, x);
}

static Val op2(Check *c, Builder *b, Op op, Val x, Val y)
{
    return fn_op2(c->module, b->fn, op, x, y);
}

/* f at the end of an Euler step of h0 less f at its start, of the user's states. */
static Val *probe(Check *c, Builder *b, const Problem *p, const Start *at, Val t, Val h0)
{
    int n = p->solve->n_state;
    Val *u = ARENA_NEW(c->arena, Val, n), *change = ARENA_NEW(c->arena, Val, n);
    for (int j = 0; j < n; j++)
        u[j] = op2(c, b, OP_add, at->u[j], op2(c, b, OP_mul, h0, at->k[j]));
    step_field(c, b, p, u, op2(c, b, OP_add, t, h0), change);
    for (int j = 0; j < n; j++)
        change[j] = op2(c, b, OP_sub, change[j], at->k[j]);
    return step_lift_rates(c, b, p, change);
}

/* Hairer, Norsett & Wanner (1993), II.4, "Starting step size", with the cap and the floor of OrdinaryDiffEq:
 *   d0 = rms(u / sk), d1 = rms(f0 / sk), h0 = 0.01 d0 / d1 (1e-6 if either is below 1e-5), at most the span;
 *   an Euler step of h0 gives f1; d2 = rms((f1 - f0) / sk) / h0;
 *   h1 = (0.01 / max(d1, d2))^(1/order), max(1e-6, 1e-3 h0) if both are below 1e-15;  h = min(100 h0, h1, span);
 *   100 h0 if f1 equals f0. */
Val step_guess(Check *c, Builder *b, const Problem *p, const Start *at, Val t, Val span)
{
    int n = solve_measured(p->solve);
    Span place = p->solve->span;
    const Val *a = tolerance_values(c, b, p->solve, &p->solve->atol);
    const Val *r = tolerance_values(c, b, p->solve, &p->solve->rtol);
    Val *sk = ARENA_NEW(c->arena, Val, n), *x = ARENA_NEW(c->arena, Val, n), *y = ARENA_NEW(c->arena, Val, n);
    Val unit = span_unit(c, b, p->clock); /* h0, h1, d1, d2 are by the model's time */
    Val length = op2(c, b, OP_mul, op1(c, b, OP_abs, span), unit), direction = op1(c, b, OP_sign, span);
    for (int j = 0; j < n; j++) {
        sk[j] = op2(c, b, OP_add, a[j], op2(c, b, OP_mul, r[j], op1(c, b, OP_abs, at->user_u[j])));
        x[j] = op2(c, b, OP_div, at->user_u[j], sk[j]);
        y[j] = op2(c, b, OP_div, op2(c, b, OP_div, at->user_k[j], unit), sk[j]);
    }
    bool per_sample = p->solve->is_per_sample;
    Val d0 = build_rms(c, b, n, x, per_sample), d1 = build_rms(c, b, n, y, per_sample);
    Val is_small = op2(c, b, OP_gt, num(c, b, 1e-5), op2(c, b, OP_min, d0, d1));
    Val safe_d1 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1), d1}, (Imm){0}, place);
    Val ratio = op2(c, b, OP_div, op2(c, b, OP_mul, num(c, b, 0.01), d0), safe_d1);
    Val h0 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1e-6), ratio}, (Imm){0}, place);
    h0 = op2(c, b, OP_min, h0, length);
    Val way = op2(c, b, OP_div, direction, unit);
    const Val *risen = probe(c, b, p, at, t, op2(c, b, OP_mul, way, h0));
    for (int j = 0; j < n; j++)
        x[j] = op2(c, b, OP_div, op2(c, b, OP_div, risen[j], unit), sk[j]);
    Val change = build_rms(c, b, n, x, per_sample);
    Val m = op2(c, b, OP_max, d1, op2(c, b, OP_div, change, h0));
    Val is_flat = op2(c, b, OP_ge, num(c, b, 1e-15), m);
    Val safe_m = build_op(c, b, OP_where, 3, (Val[]){is_flat, num(c, b, 1), m}, (Imm){0}, place);
    Val root = op2(c, b, OP_pow, op2(c, b, OP_div, num(c, b, 0.01), safe_m), num(c, b, 1.0 / p->solve->method->order));
    Val least = op2(c, b, OP_max, num(c, b, 1e-6), op2(c, b, OP_mul, num(c, b, 1e-3), h0));
    Val h1 = build_op(c, b, OP_where, 3, (Val[]){is_flat, least, root}, (Imm){0}, place);
    Val h100 = op2(c, b, OP_mul, num(c, b, 100), h0);
    Val is_same = op2(c, b, OP_eq, change, num(c, b, 0));
    Val h = build_op(c, b, OP_where, 3, (Val[]){is_same, h100, op2(c, b, OP_min, h100, h1)}, (Imm){0}, place);
    return op2(c, b, OP_mul, way, op2(c, b, OP_min, h, length));
}
