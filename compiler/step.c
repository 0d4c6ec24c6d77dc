/* step.c: one step of a Runge-Kutta method as IR, and what goes with it.
 *
 * Needs: a proved tableau, the field as a function.  Gives: stages, new state, error norm and quantities as ordinary
 * instructions, which ad.c differentiates like any others; the five functions of a solve.
 * Elsewhere: accept or reject, and the loop over steps (runtime/solve.c). */
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

static Val add(Check *c, Builder *b, Val x, Val y)
{
    return x == NO_VAL ? y : op2(c, b, OP_add, x, y);
}

void step_field(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Val *du)
{
    int n = p->solve->n_state, n_arg = 0;
    Val *arg = ARENA_NEW(c->arena, Val, n + 1 + p->n_arg);
    for (int i = 0; i < n; i++)
        arg[n_arg++] = u[i];
    arg[n_arg++] = t;
    for (int i = 0; i < p->n_arg; i++)
        arg[n_arg++] = p->arg[i];
    Val call = fn_call(c->module, b->fn, p->field, n_arg, arg, p->solve->span);
    for (int i = 0; i < n; i++)
        du[i] = fn_result(c->module, b->fn, call, i, fn_type(p->field, p->field->out.at[i]));
}

/* sum_j (h w_j) k_j for one state, zero weights left out; NO_VAL if all are zero. The newest k comes last: one
 * multiply-add between a stage and the next evaluation. */
static Val weighted(Check *c, Builder *b, Val *const *k, int state, const double *w, int n, Val h)
{
    Val sum = NO_VAL;
    for (int j = 0; j < n; j++)
        if (w[j] != 0)
            sum = add(c, b, sum, op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, w[j])), k[j][state]));
    return sum;
}

Internals step_internals(Check *c, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t, Val h)
{
    const Solve *solve = p->solve;
    const Tableau *m = solve->method;
    int n = solve->n_state;
    Internals in = {.method = m, .n_state = n, .t = t, .h = h};
    in.k = ARENA_NEW(c->arena, Val *, m->stages);
    in.stage = ARENA_NEW(c->arena, Val *, m->stages);
    in.u0 = ARENA_NEW(c->arena, Val, n);
    in.u1 = ARENA_NEW(c->arena, Val, n);
    for (int i = 0; i < m->stages; i++) {
        in.k[i] = ARENA_NEW(c->arena, Val, n);
        in.stage[i] = ARENA_NEW(c->arena, Val, n);
        for (int j = 0; j < n; j++) {
            Val d = weighted(c, b, in.k, j, m->a[i], i, h);
            in.stage[i][j] = d == NO_VAL ? u[j] : op2(c, b, OP_add, u[j], d);
        }
        if (i == 0 && k1) {
            for (int j = 0; j < n; j++)
                in.k[0][j] = k1[j];
            continue;
        }
        Val at = m->c[i] == 0 ? t : op2(c, b, OP_add, t, op2(c, b, OP_mul, h, num(c, b, m->c[i])));
        step_field(c, b, p, in.stage[i], at, in.k[i]);
    }
    in.err = m->e ? ARENA_NEW(c->arena, Val, n) : NULL;
    for (int j = 0; j < n; j++) {
        in.u0[j] = u[j];
        if (m->fsal)
            in.u1[j] = in.stage[m->stages - 1][j];
        else
            in.u1[j] = op2(c, b, OP_add, u[j], weighted(c, b, in.k, j, m->b, m->stages, h));
        if (m->e)
            in.err[j] = weighted(c, b, in.k, j, m->e, m->stages, h);
    }
    Value atol = {.kind = VALUE_setting, .index = solve->set_atol}, rtol = {.kind = VALUE_setting, .index = solve->set_rtol};
    in.atol = build_val(c, b, &atol);
    in.rtol = build_val(c, b, &rtol);
    return in;
}

Val step_scaled(Check *c, Builder *b, const Internals *in, int state, Val x)
{
    Val larger = op2(c, b, OP_max, op1(c, b, OP_abs, in->u0[state]), op1(c, b, OP_abs, in->u1[state]));
    return op2(c, b, OP_div, x, op2(c, b, OP_add, in->atol, op2(c, b, OP_mul, in->rtol, larger)));
}

Val step_error(Check *c, Builder *b, const Internals *in)
{
    if (!in->err)
        return num(c, b, 0);
    Val *scaled = ARENA_NEW(c->arena, Val, in->n_state);
    for (int j = 0; j < in->n_state; j++)
        scaled[j] = step_scaled(c, b, in, j, in->err[j]);
    return build_rms(c, b, in->n_state, scaled);
}

/* Hairer, Norsett & Wanner (1993), II.4, "Starting step size", with the cap and the floor of OrdinaryDiffEq:
 *   d0 = rms(u / sk), d1 = rms(f0 / sk), h0 = 0.01 d0 / d1 (1e-6 if either is below 1e-5), at most the span;
 *   an Euler step of h0 gives f1; d2 = rms((f1 - f0) / sk) / h0;
 *   h1 = (0.01 / max(d1, d2))^(1/order), max(1e-6, 1e-3 h0) if both are below 1e-15;  h = min(100 h0, h1, span);
 *   100 h0 if f1 equals f0. */
Val step_guess(Check *c, Builder *b, const Problem *p, const Val *u, const Val *f0, Val t, Val span)
{
    int n = p->solve->n_state;
    Value atol = {.kind = VALUE_setting, .index = p->solve->set_atol};
    Value rtol = {.kind = VALUE_setting, .index = p->solve->set_rtol};
    Val a = build_val(c, b, &atol), r = build_val(c, b, &rtol);
    Val *sk = ARENA_NEW(c->arena, Val, n), *x = ARENA_NEW(c->arena, Val, n), *y = ARENA_NEW(c->arena, Val, n);
    Val *f1 = ARENA_NEW(c->arena, Val, n), *probe = ARENA_NEW(c->arena, Val, n);
    Val length = op1(c, b, OP_abs, span), direction = op1(c, b, OP_sign, span);
    for (int j = 0; j < n; j++) {
        sk[j] = op2(c, b, OP_add, a, op2(c, b, OP_mul, r, op1(c, b, OP_abs, u[j])));
        x[j] = op2(c, b, OP_div, u[j], sk[j]);
        y[j] = op2(c, b, OP_div, f0[j], sk[j]);
    }
    Val d0 = build_rms(c, b, n, x), d1 = build_rms(c, b, n, y);
    Val is_small = op2(c, b, OP_gt, num(c, b, 1e-5), op2(c, b, OP_min, d0, d1));
    Val safe_d1 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1), d1}, (Imm){0}, p->solve->span);
    Val ratio = op2(c, b, OP_div, op2(c, b, OP_mul, num(c, b, 0.01), d0), safe_d1);
    Val h0 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1e-6), ratio}, (Imm){0}, p->solve->span);
    h0 = op2(c, b, OP_min, h0, length);
    Val signed_h0 = op2(c, b, OP_mul, direction, h0);
    for (int j = 0; j < n; j++)
        probe[j] = op2(c, b, OP_add, u[j], op2(c, b, OP_mul, signed_h0, f0[j]));
    step_field(c, b, p, probe, op2(c, b, OP_add, t, signed_h0), f1);
    for (int j = 0; j < n; j++)
        x[j] = op2(c, b, OP_div, op2(c, b, OP_sub, f1[j], f0[j]), sk[j]);
    Val change = build_rms(c, b, n, x);
    Val m = op2(c, b, OP_max, d1, op2(c, b, OP_div, change, h0));
    Val is_flat = op2(c, b, OP_ge, num(c, b, 1e-15), m);
    Val safe_m = build_op(c, b, OP_where, 3, (Val[]){is_flat, num(c, b, 1), m}, (Imm){0}, p->solve->span);
    Val root = op2(c, b, OP_pow, op2(c, b, OP_div, num(c, b, 0.01), safe_m), num(c, b, 1.0 / p->solve->method->order));
    Val least = op2(c, b, OP_max, num(c, b, 1e-6), op2(c, b, OP_mul, num(c, b, 1e-3), h0));
    Val h1 = build_op(c, b, OP_where, 3, (Val[]){is_flat, least, root}, (Imm){0}, p->solve->span);
    Val h100 = op2(c, b, OP_mul, num(c, b, 100), h0);
    Val h = op2(c, b, OP_min, h100, h1);
    Val is_same = op2(c, b, OP_eq, change, num(c, b, 0));
    h = build_op(c, b, OP_where, 3, (Val[]){is_same, h100, h}, (Imm){0}, p->solve->span);
    return op2(c, b, OP_mul, direction, op2(c, b, OP_min, h, length));
}

/* ---- the functions of a solve ---- */
typedef struct Frame { /* a function of a solve being built */
    Builder *b;
    Val *u, *carry;
    Problem p;
} Frame;

static Frame frame_new(Check *c, const Problem *p, Keys *keys, Builder *parent, const char *what, bool has_carry)
{
    Solve *s = p->solve;
    Frame f = {.b = build_new(c, str_format(c->arena, "%s_%s", s->name, what), s->span, parent, keys)};
    f.u = ARENA_NEW(c->arena, Val, s->n_state);
    for (int i = 0; i < s->n_state; i++)
        f.u[i] = build_input(c, f.b, s->state_type[i], s->state_name[i]);
    if (has_carry && s->n_carry) {
        f.carry = ARENA_NEW(c->arena, Val, s->n_carry);
        for (int i = 0; i < s->n_carry; i++)
            f.carry[i] = build_input(c, f.b, s->state_type[i], str_format(c->arena, "k1_%s", s->state_name[i]));
    }
    f.p = *p;
    return f;
}

/* After the last fixed input. */
static void frame_args(Check *c, Frame *f, const Keys *keys)
{
    Val *arg = ARENA_NEW(c->arena, Val, keys->at.n + 1);
    f->p.n_arg = f->p.field->n_in - f->p.solve->n_state - 1;
    for (int i = 0; i < f->p.n_arg; i++)
        arg[i] = build_val(c, f->b, &keys->at.at[i]);
    f->p.arg = arg;
}

static Val scalar_input(Check *c, Builder *b, const char *name)
{
    return build_input(c, b, type_scalar(false), name);
}

static Fn *make_step(Check *c, const Problem *p, Keys *keys, Builder *parent, Scope *s, const Terms *terms, bool keeps)
{
    Solve *solve = p->solve;
    Module *m = c->module;
    Frame f = frame_new(c, p, keys, parent, keeps ? "step_keep" : "step", true);
    Val t = scalar_input(c, f.b, "t"), h = scalar_input(c, f.b, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, f.carry, t, h);
    for (int j = 0; j < solve->n_state; j++)
        fn_out(m, f.b->fn, in.u1[j], str_format(c->arena, "%s_1", solve->state_name[j]));
    for (int j = 0; j < solve->n_carry; j++)
        fn_out(m, f.b->fn, in.k[in.method->stages - 1][j], str_format(c->arena, "k1_%s_1", solve->state_name[j]));
    fn_out(m, f.b->fn, step_error(c, f.b, &in), "err");
    for (int i = 0; i < terms->at.n; i++)
        if (terms->at.at[i].draws == 0)
            fn_out(m, f.b->fn, regularize_quantity(c, s, f.b, &in, terms->at.at[i].quantity), "quantity");
    for (int i = 0; keeps && i < in.method->stages; i++)
        for (int j = 0; j < solve->n_state; j++)
            fn_out(m, f.b->fn, in.k[i][j], str_format(c->arena, "k%d_%s", i + 1, solve->state_name[j]));
    if (keeps && !in.method->degree && !in.method->fsal) {
        Val *f1 = ARENA_NEW(c->arena, Val, solve->n_state);
        step_field(c, f.b, &f.p, in.u1, op2(c, f.b, OP_add, t, h), f1);
        for (int j = 0; j < solve->n_state; j++)
            fn_out(m, f.b->fn, f1[j], str_format(c->arena, "f1_%s", solve->state_name[j]));
    }
    f.b->fn->note = str_format(c->arena, "one step of %s%s", in.method->name, keeps ? ", with its stage derivatives" : "");
    return build_finish(c, f.b);
}

static Fn *make_init(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "init", false);
    Val t = scalar_input(c, f.b, "t"), *k1 = ARENA_NEW(c->arena, Val, p->solve->n_state);
    frame_args(c, &f, keys);
    step_field(c, f.b, &f.p, f.u, t, k1);
    for (int j = 0; j < p->solve->n_state; j++)
        fn_out(c->module, f.b->fn, k1[j], str_format(c->arena, "k1_%s", p->solve->state_name[j]));
    f.b->fn->note = "the first stage derivative";
    return build_finish(c, f.b);
}

static Fn *make_guess(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "guess", false);
    Val t = scalar_input(c, f.b, "t"), span = scalar_input(c, f.b, "span");
    Val *f0 = ARENA_NEW(c->arena, Val, p->solve->n_state);
    frame_args(c, &f, keys);
    step_field(c, f.b, &f.p, f.u, t, f0);
    fn_out(c->module, f.b->fn, step_guess(c, f.b, &f.p, f.u, f0, t, span), "h");
    f.b->fn->note = "the automatic initial step";
    return build_finish(c, f.b);
}

/* b_i(theta) by Horner's rule. */
static Val polynomial(Check *c, Builder *b, const double *w, int degree, Val theta)
{
    Val sum = NO_VAL;
    for (int j = degree - 1; j >= 0; j--) {
        if (sum != NO_VAL)
            sum = op2(c, b, OP_mul, sum, theta);
        if (w[j] != 0)
            sum = add(c, b, sum, num(c, b, w[j]));
    }
    return sum == NO_VAL ? NO_VAL : op2(c, b, OP_mul, sum, theta);
}

/* The cubic Hermite interpolant (Hairer, Norsett & Wanner 1993, II.6.7):
 * u = (1-q) u0 + q u1 + q (q-1) ((1-2q) (u1-u0) + (q-1) h f0 + q h f1),  q = theta. */
static Val hermite(Check *c, Builder *b, Val u0, Val u1, const Val *f, Val h, Val q)
{
    Val one = num(c, b, 1), back = op2(c, b, OP_sub, q, one), rise = op2(c, b, OP_sub, u1, u0);
    Val inner = op2(c, b, OP_mul, op2(c, b, OP_sub, one, op2(c, b, OP_mul, num(c, b, 2), q)), rise);
    inner = add(c, b, inner, op2(c, b, OP_mul, op2(c, b, OP_mul, back, h), f[0]));
    inner = add(c, b, inner, op2(c, b, OP_mul, op2(c, b, OP_mul, q, h), f[1]));
    Val bend = op2(c, b, OP_mul, op2(c, b, OP_mul, q, back), inner);
    return op2(c, b, OP_add, u0, op2(c, b, OP_add, op2(c, b, OP_mul, q, rise), bend));
}

static Fn *make_dense(Check *c, const Problem *p, Builder *parent)
{
    Solve *s = p->solve;
    const Tableau *m = s->method;
    Frame f = frame_new(c, p, NULL, parent, "dense", false);
    Val *u1 = ARENA_NEW(c->arena, Val, s->n_state), *d = ARENA_NEW(c->arena, Val, s->n_dense);
    for (int j = 0; j < s->n_state; j++)
        u1[j] = build_input(c, f.b, s->state_type[j], str_format(c->arena, "%s_1", s->state_name[j]));
    for (int i = 0; i < s->n_dense; i++)
        d[i] = build_input(c, f.b, s->state_type[i % s->n_state],
                           str_format(c->arena, "k%d_%s", i / s->n_state + 1, s->state_name[i % s->n_state]));
    Val h = scalar_input(c, f.b, "h"), theta = scalar_input(c, f.b, "theta");
    for (int j = 0; j < s->n_state; j++) {
        Val sum = NO_VAL;
        for (int i = 0; i < m->stages && m->degree; i++) {
            Val w = polynomial(c, f.b, m->interpolant[i], m->degree, theta);
            if (w != NO_VAL)
                sum = add(c, f.b, sum, op2(c, f.b, OP_mul, op2(c, f.b, OP_mul, h, w), d[i * s->n_state + j]));
        }
        if (m->degree)
            sum = op2(c, f.b, OP_add, f.u[j], sum);
        else
            sum = hermite(c, f.b, f.u[j], u1[j], (Val[]){d[j], d[s->n_dense - s->n_state + j]}, h, theta);
        fn_out(c->module, f.b->fn, sum, s->state_name[j]);
    }
    f.b->fn->note = "the state inside a step";
    return build_finish(c, f.b);
}

void step_functions(Check *c, Solve *solve, Fn *field, Keys *keys, Builder *parent, Scope *s, const Terms *terms)
{
    Problem p = {solve, field, NULL, 0};
    solve->n_dense = solve->n_state * (solve->method->stages + (!solve->method->degree && !solve->method->fsal));
    solve->step_keep = make_step(c, &p, keys, parent, s, terms, true); /* first: it may add keys */
    solve->step = make_step(c, &p, keys, parent, s, terms, false);
    solve->init = solve->n_carry ? make_init(c, &p, keys, parent) : NULL;
    solve->guess = solve->has_estimate ? make_guess(c, &p, keys, parent) : NULL;
    solve->dense = make_dense(c, &p, parent);
}
