/* step.c: one step of a Runge-Kutta method as IR, and what goes with it.
 *
 * Needs: a proved tableau, the field as a function.  Gives: stages, new state, error norm and quantities as ordinary
 * instructions, which ad.c differentiates like any others; the five functions of a solve.
 * Elsewhere: accept or reject, and the loop over steps (runtime/solve.c). */
#include "field.h"

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

static void tolerances(Check *c, Builder *b, const Solve *s, Internals *in)
{
    Value atol = {.kind = VALUE_setting, .index = s->set_atol}, rtol = {.kind = VALUE_setting, .index = s->set_rtol};
    in->atol = build_val(c, b, &atol);
    in->rtol = build_val(c, b, &rtol);
}

/* z + (h w_1) k1 + R sum_{j >= 2} (h w_j) x_j of a reduced solve; z NO_VAL: none. */
static Val local_sum(Check *c, Builder *b, const Reduction *r, Val z, Val k1, Val *const *x, const double *w, int n,
                     Val h)
{
    Val sum = op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, w[0])), k1),
        d = weighted(c, b, x + 1, 0, w + 1, n - 1, h);
    if (d != NO_VAL)
        sum = op2(c, b, OP_add, sum, reduce_lift_rate(c, b, r, d));
    return z == NO_VAL ? sum : op2(c, b, OP_add, z, sum);
}

/* The internals of a step of a reduced solve in the user's state, which is z at its start and origin + R s anywhere.
 * What nobody uses is dropped later. */
static Internals lifted(Check *c, Builder *b, const Problem *p, const Internals *in, Val z, Val origin)
{
    const Reduction *r = p->reduction;
    int n = in->method->stages;
    Internals out = *in;
    Val *own = ARENA_NEW(c->arena, Val, 3);
    out.k = ARENA_NEW(c->arena, Val *, n);
    out.stage = ARENA_NEW(c->arena, Val *, n);
    for (int i = 0; i < n; i++) {
        out.k[i] = ARENA_NEW(c->arena, Val, 1);
        out.stage[i] = ARENA_NEW(c->arena, Val, 1);
        out.k[i][0] = reduce_lift_rate(c, b, r, in->k[i][0]);
        out.stage[i][0] = i == 0 ? z : op2(c, b, OP_add, origin, reduce_lift_rate(c, b, r, in->stage[i][0]));
    }
    own[0] = z;
    own[1] = op2(c, b, OP_add, origin, reduce_lift_rate(c, b, r, in->u1[0]));
    own[2] = in->err ? reduce_lift_rate(c, b, r, in->err[0]) : NO_VAL;
    out.u0 = &own[0];
    out.u1 = &own[1];
    out.err = in->err ? &own[2] : NULL;
    return out;
}

/* inner: what stands in for the inner values of the field at each stage, or NULL. */
static Internals plain_internals(const Field *f, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t,
                                 Val h, Val *const *inner)
{
    Check *c = f->c;
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
        field_value(f, b, p, in.stage[i], at, inner && i > 0 ? inner[i] : NULL, in.k[i]);
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
    tolerances(c, b, solve, &in);
    return in;
}

/* ---- the same step from differences ----
 * D_i = k_i - k_1 is evaluated from d_i = h (c_i k_1 + sum_{j >= 2} a_ij D_j), the change of the state, instead of as a
 * difference of two stages (it uses sum_j a_ij = c_i and sum_j e_j = 0):  err = h sum_{j >= 2} e_j D_j. */
static Internals changed_internals(const Field *f, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t,
                                   Val h, Val **inner)
{
    Check *c = f->c;
    const Tableau *m = p->solve->method;
    int n = p->solve->n_state;
    Changes s = changes_at(f, b, p, u, t, k1 != NULL);
    Internals in = {.method = m, .n_state = n, .t = t, .h = h};
    Val **change = ARENA_NEW(c->arena, Val *, m->stages), *d = ARENA_NEW(c->arena, Val, n);
    in.k = ARENA_NEW(c->arena, Val *, m->stages);
    in.stage = ARENA_NEW(c->arena, Val *, m->stages);
    in.u0 = (Val *)u;
    in.u1 = ARENA_NEW(c->arena, Val, n);
    in.err = ARENA_NEW(c->arena, Val, n);
    for (int i = 0; i < m->stages; i++) {
        in.k[i] = ARENA_NEW(c->arena, Val, n);
        in.stage[i] = ARENA_NEW(c->arena, Val, n);
        change[i] = ARENA_NEW(c->arena, Val, n);
        inner[i] = ARENA_NEW(c->arena, Val, f->n_inner + 1);
        Val step = op2(c, b, OP_mul, h, num(c, b, m->c[i]));
        for (int j = 0; j < n && i > 0; j++) {
            Val more = weighted(c, b, change + 1, j, m->a[i] + 1, i - 1, h);
            d[j] = op2(c, b, OP_mul, step, in.k[0][j]);
            d[j] = more == NO_VAL ? d[j] : op2(c, b, OP_add, d[j], more);
        }
        if (i > 0)
            changes_of(&s, d, step, change[i], inner[i]);
        for (int j = 0; j < n; j++) {
            in.stage[i][j] = i == 0 ? u[j] : op2(c, b, OP_add, u[j], d[j]);
            in.k[i][j] = i > 0 ? op2(c, b, OP_add, in.k[0][j], change[i][j]) : k1 ? k1[j] : s.base[j];
        }
    }
    for (int j = 0; j < n; j++) {
        Val rest = weighted(c, b, change + 1, j, m->b + 1, m->stages - 1, h);
        Val moved = op2(c, b, OP_add, u[j], op2(c, b, OP_mul, h, in.k[0][j]));
        in.u1[j] = m->fsal ? in.stage[m->stages - 1][j] : op2(c, b, OP_add, moved, rest);
        in.err[j] = weighted(c, b, change + 1, j, m->e + 1, m->stages - 1, h);
    }
    return in;
}

static void instead(Check *c, Builder *b, int n, Val *value, const Val *derivative)
{
    for (int j = 0; j < n; j++)
        value[j] = op2(c, b, OP_instead, value[j], derivative[j]);
}

/* The values of one, with the derivatives of the other, which is the same but for rounding and cheaper to reverse. */
static Internals internals_instead(Check *c, Builder *b, Internals value, const Internals *derivative)
{
    int n = value.n_state;
    for (int i = 1; i < value.method->stages; i++) {
        instead(c, b, n, value.k[i], derivative->k[i]);
        instead(c, b, n, value.stage[i], derivative->stage[i]);
    }
    instead(c, b, n, value.u1, derivative->u1);
    instead(c, b, n, value.err, derivative->err);
    value.k[0] = derivative->k[0];
    value.stage[0] = derivative->stage[0];
    value.u0 = derivative->u0;
    value.atol = derivative->atol;
    value.rtol = derivative->rtol;
    return value;
}

Internals step_internals(Check *c, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t, Val h)
{
    Field f = field_open(c, p);
    if (!p->solve->has_differences)
        return plain_internals(&f, b, p, u, k1, t, h, NULL);
    Val **inner = ARENA_NEW(c->arena, Val *, p->solve->method->stages);
    Internals value = changed_internals(&f, b, p, u, k1, t, h, inner);
    Internals plain = plain_internals(&f, b, p, u, k1, t, h, f.is_written ? inner : NULL);
    return internals_instead(c, b, value, &plain);
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

/* f at the end of an Euler step of h0 less f at its start, of the user's state. */
static void probe(Check *c, Builder *b, const Problem *p, const Start *at, Val t, Val h0, Val *change)
{
    int n = p->solve->n_state;
    Val *u = ARENA_NEW(c->arena, Val, n), end = op2(c, b, OP_add, t, h0);
    if (!at->u) { /* a reduced solve at any state: its own start is moved instead of s */
        Val moved = op2(c, b, OP_add, at->user_u[0], op2(c, b, OP_mul, h0, at->user_k[0])), x;
        step_local_rate(c, b, p, &moved, end, change, &x);
        change[0] = op2(c, b, OP_sub, change[0], at->user_k[0]);
        return;
    }
    for (int j = 0; j < n; j++)
        u[j] = op2(c, b, OP_add, at->u[j], op2(c, b, OP_mul, h0, at->k[j]));
    step_field(c, b, p, u, end, change);
    for (int j = 0; j < n; j++) {
        change[j] = op2(c, b, OP_sub, change[j], at->k[j]);
        if (p->reduction)
            change[j] = reduce_lift_rate(c, b, p->reduction, change[j]);
    }
}

/* Hairer, Norsett & Wanner (1993), II.4, "Starting step size", with the cap and the floor of OrdinaryDiffEq:
 *   d0 = rms(u / sk), d1 = rms(f0 / sk), h0 = 0.01 d0 / d1 (1e-6 if either is below 1e-5), at most the span;
 *   an Euler step of h0 gives f1; d2 = rms((f1 - f0) / sk) / h0;
 *   h1 = (0.01 / max(d1, d2))^(1/order), max(1e-6, 1e-3 h0) if both are below 1e-15;  h = min(100 h0, h1, span);
 *   100 h0 if f1 equals f0. */
Val step_guess(Check *c, Builder *b, const Problem *p, const Start *at, Val t, Val span)
{
    int n = p->solve->n_state;
    Span place = p->solve->span;
    Value atol = {.kind = VALUE_setting, .index = p->solve->set_atol};
    Value rtol = {.kind = VALUE_setting, .index = p->solve->set_rtol};
    Val a = build_val(c, b, &atol), r = build_val(c, b, &rtol);
    Val *sk = ARENA_NEW(c->arena, Val, n), *x = ARENA_NEW(c->arena, Val, n), *y = ARENA_NEW(c->arena, Val, n);
    Val length = op1(c, b, OP_abs, span), direction = op1(c, b, OP_sign, span);
    for (int j = 0; j < n; j++) {
        sk[j] = op2(c, b, OP_add, a, op2(c, b, OP_mul, r, op1(c, b, OP_abs, at->user_u[j])));
        x[j] = op2(c, b, OP_div, at->user_u[j], sk[j]);
        y[j] = op2(c, b, OP_div, at->user_k[j], sk[j]);
    }
    Val d0 = build_rms(c, b, n, x), d1 = build_rms(c, b, n, y);
    Val is_small = op2(c, b, OP_gt, num(c, b, 1e-5), op2(c, b, OP_min, d0, d1));
    Val safe_d1 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1), d1}, (Imm){0}, place);
    Val ratio = op2(c, b, OP_div, op2(c, b, OP_mul, num(c, b, 0.01), d0), safe_d1);
    Val h0 = build_op(c, b, OP_where, 3, (Val[]){is_small, num(c, b, 1e-6), ratio}, (Imm){0}, place);
    h0 = op2(c, b, OP_min, h0, length);
    probe(c, b, p, at, t, op2(c, b, OP_mul, direction, h0), x);
    for (int j = 0; j < n; j++)
        x[j] = op2(c, b, OP_div, x[j], sk[j]);
    Val change = build_rms(c, b, n, x);
    Val m = op2(c, b, OP_max, d1, op2(c, b, OP_div, change, h0));
    Val is_flat = op2(c, b, OP_ge, num(c, b, 1e-15), m);
    Val safe_m = build_op(c, b, OP_where, 3, (Val[]){is_flat, num(c, b, 1), m}, (Imm){0}, place);
    Val root = op2(c, b, OP_pow, op2(c, b, OP_div, num(c, b, 0.01), safe_m), num(c, b, 1.0 / p->solve->method->order));
    Val least = op2(c, b, OP_max, num(c, b, 1e-6), op2(c, b, OP_mul, num(c, b, 1e-3), h0));
    Val h1 = build_op(c, b, OP_where, 3, (Val[]){is_flat, least, root}, (Imm){0}, place);
    Val h100 = op2(c, b, OP_mul, num(c, b, 100), h0);
    Val is_same = op2(c, b, OP_eq, change, num(c, b, 0));
    Val h = build_op(c, b, OP_where, 3, (Val[]){is_same, h100, op2(c, b, OP_min, h100, h1)}, (Imm){0}, place);
    return op2(c, b, OP_mul, direction, op2(c, b, OP_min, h, length));
}

/* ---- a step on its own ---- */
/* f(z) of a reduced solve at any z, moved by h a_i1 k1 and the reduced d: x(L z + (h a_i1) (L k1) + M d, t). */
typedef struct Local {
    const Field *f;
    Builder *b;
    const Problem *p;
    Val base, slope; /* L z, L k1 */
} Local;

static Val zero_state(Check *c, Builder *b, const Reduction *r)
{
    Type shared = r->type;
    Val zero = num(c, b, 0);
    shared.is_batched = false;
    return op1(c, b, OP_bcast, fn_op(c->module, b->fn, OP_fill, 1, &zero, (Imm){.to = shared}, b->fn->span));
}

static Val local_x(const Local *l, Val base, Val d, Val t, const Val *inner)
{
    Check *c = l->f->c;
    Builder *b = l->b;
    const Reduction *r = l->p->reduction;
    Val *arg = ARENA_NEW(c->arena, Val, l->p->n_arg), x;
    for (int i = 0; i < l->p->n_arg; i++)
        arg[i] = l->p->arg[i];
    arg[0] = base; /* the first key of a reduced field, reduce.c */
    if (d == NO_VAL)
        d = zero_state(c, b, r);
    Problem p = *l->p;
    p.arg = arg;
    field_value(l->f, b, &p, &d, t, inner, &x);
    return x;
}

static Val left_times(Check *c, Builder *b, const Reduction *r, Val z)
{
    Val left = build_val(c, b, &r->left);
    return op2(c, b, OP_mm_nn, left, z);
}

void step_local_rate(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Val *k1, Val *integrated)
{
    if (!p->reduction) {
        step_field(c, b, p, u, t, k1);
        return;
    }
    Field f = field_open(c, p);
    Local l = {&f, b, p, left_times(c, b, p->reduction, u[0]), NO_VAL};
    *integrated = local_x(&l, l.base, NO_VAL, t, NULL);
    k1[0] = reduce_lift_rate(c, b, p->reduction, *integrated);
}

Val step_local_guess(Check *c, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t, Val span)
{
    return step_guess(c, b, p, &(Start){p->reduction ? NULL : u, k1, u, k1}, t, span);
}

/* The same step from differences: at s = 0, with L z for L z0, the first stage derivative is the rate x. */
static Internals local_changes(const Field *f, Builder *b, const Problem *p, Val z, Val x, Val t, Val h, Val **inner)
{
    Check *c = f->c;
    const Reduction *r = p->reduction;
    Problem at = *p;
    Val *arg = ARENA_NEW(c->arena, Val, p->n_arg), zero = zero_state(c, b, r);
    for (int i = 0; i < p->n_arg; i++)
        arg[i] = p->arg[i];
    arg[0] = left_times(c, b, r, z);
    at.arg = arg;
    Internals in = changed_internals(f, b, &at, &zero, &x, t, h, inner);
    return lifted(c, b, p, &in, z, z);
}

static Internals local_reduced(const Field *f, Builder *b, const Problem *p, Val z, Val k1, Val t, Val h,
                               Val *const *inner)
{
    Check *c = f->c;
    const Reduction *r = p->reduction;
    const Tableau *m = p->solve->method;
    Local l = {f, b, p, left_times(c, b, r, z), left_times(c, b, r, k1)};
    Val **x = ARENA_NEW(c->arena, Val *, m->stages), **k = ARENA_NEW(c->arena, Val *, m->stages);
    Val **stage = ARENA_NEW(c->arena, Val *, m->stages), *own = ARENA_NEW(c->arena, Val, 3);
    Internals in = {.method = m, .n_state = 1, .k = k, .stage = stage, .u0 = &own[0], .u1 = &own[1], .t = t, .h = h};
    for (int i = 0; i < m->stages; i++) {
        k[i] = ARENA_NEW(c->arena, Val, 1);
        x[i] = ARENA_NEW(c->arena, Val, 1);
        stage[i] = ARENA_NEW(c->arena, Val, 1);
        k[i][0] = k1;
        stage[i][0] = z;
        if (i == 0)
            continue;
        Val at = op2(c, b, OP_add, t, op2(c, b, OP_mul, h, num(c, b, m->c[i])));
        stage[i][0] = local_sum(c, b, r, z, k1, x, m->a[i], i, h);
        Val d = weighted(c, b, x + 1, 0, m->a[i] + 1, i - 1, h);
        Val base = op2(c, b, OP_add, l.base, op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, m->a[i][0])), l.slope));
        x[i][0] = local_x(&l, base, d, at, inner ? inner[i] : NULL);
        k[i][0] = reduce_lift_rate(c, b, r, x[i][0]);
    }
    own[0] = z;
    own[1] = m->fsal ? stage[m->stages - 1][0] : local_sum(c, b, r, z, k1, x, m->b, m->stages, h);
    if (m->e) {
        own[2] = local_sum(c, b, r, NO_VAL, k1, x, m->e, m->stages, h);
        in.err = &own[2];
    }
    tolerances(c, b, p->solve, &in);
    return in;
}

Internals step_local(Check *c, Builder *b, const Problem *p, const Val *u, const Val *k1, Val integrated, Val t, Val h)
{
    if (!p->reduction)
        return step_internals(c, b, p, u, k1, t, h);
    Field f = field_open(c, p);
    if (!p->solve->has_differences)
        return local_reduced(&f, b, p, u[0], k1[0], t, h, NULL);
    Val **inner = ARENA_NEW(c->arena, Val *, p->solve->method->stages);
    Internals value = local_changes(&f, b, p, u[0], integrated, t, h, inner);
    Internals plain = local_reduced(&f, b, p, u[0], k1[0], t, h, f.is_written ? inner : NULL);
    return internals_instead(c, b, value, &plain);
}

/* ---- the functions of a solve ---- */
typedef struct Frame { /* a function of a solve being built */
    Builder *b;
    Val *u, *carry;
    Problem p;
} Frame;

/* Carries: k1 of each state if the last stage is the first of the next step; behind it the user's state of a reduced
 * solve. */
static int n_k1(const Solve *s)
{
    return s->method->fsal ? s->n_state : 0;
}

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
            f.carry[i] = i < n_k1(s)
                             ? build_input(c, f.b, s->state_type[i], str_format(c->arena, "k1_%s", s->state_name[i]))
                             : build_input(c, f.b, p->reduction->start.type, "lifted");
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

/* Everything of a step that dense output needs: the stage derivatives, and f at its end for the cubic. */
static void keep_dense(Check *c, Frame *f, const Internals *in, Val end)
{
    Solve *solve = f->p.solve;
    Val *f1 = ARENA_NEW(c->arena, Val, solve->n_state);
    for (int i = 0; i < in->method->stages; i++)
        for (int j = 0; j < solve->n_state; j++)
            fn_out(c->module, f->b->fn, in->k[i][j], str_format(c->arena, "k%d_%s", i + 1, solve->state_name[j]));
    if (in->method->degree || in->method->fsal)
        return;
    step_field(c, f->b, &f->p, in->u1, end, f1);
    for (int j = 0; j < solve->n_state; j++)
        fn_out(c->module, f->b->fn, f1[j], str_format(c->arena, "f1_%s", solve->state_name[j]));
}

static Fn *make_step(Check *c, const Problem *p, Keys *keys, Builder *parent, Scope *s, const Terms *terms, bool keeps)
{
    Solve *solve = p->solve;
    Module *m = c->module;
    Frame f = frame_new(c, p, keys, parent, keeps ? "step_keep" : "step", true);
    Val t = scalar_input(c, f.b, "t"), h = scalar_input(c, f.b, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, n_k1(solve) ? f.carry : NULL, t, h), user = in;
    if (p->reduction)
        user = lifted(c, f.b, p, &in, f.carry[n_k1(solve)], build_val(c, f.b, &p->reduction->start));
    for (int j = 0; j < solve->n_state; j++)
        fn_out(m, f.b->fn, in.u1[j], str_format(c->arena, "%s_1", solve->state_name[j]));
    for (int j = 0; j < n_k1(solve); j++)
        fn_out(m, f.b->fn, in.k[in.method->stages - 1][j], str_format(c->arena, "k1_%s_1", solve->state_name[j]));
    if (p->reduction)
        fn_out(m, f.b->fn, user.u1[0], "lifted_1");
    fn_out(m, f.b->fn, step_error(c, f.b, &user), "err");
    for (int i = 0; i < terms->at.n; i++)
        if (terms->at.at[i].draws == 0)
            fn_out(m, f.b->fn, regularize_quantity(c, s, f.b, &user, terms->at.at[i].quantity), "quantity");
    if (keeps)
        keep_dense(c, &f, &in, op2(c, f.b, OP_add, t, h));
    f.b->fn->note =
        str_format(c->arena, "one step of %s%s", in.method->name, keeps ? ", with its stage derivatives" : "");
    return build_finish(c, f.b);
}

static Fn *make_init(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "init", false);
    Val t = scalar_input(c, f.b, "t"), *k1 = ARENA_NEW(c->arena, Val, p->solve->n_state);
    frame_args(c, &f, keys);
    if (n_k1(p->solve))
        step_field(c, f.b, &f.p, f.u, t, k1);
    for (int j = 0; j < n_k1(p->solve); j++)
        fn_out(c->module, f.b->fn, k1[j], str_format(c->arena, "k1_%s", p->solve->state_name[j]));
    if (p->reduction)
        fn_out(c->module, f.b->fn, build_val(c, f.b, &p->reduction->start), "lifted");
    f.b->fn->note = "what the first step is handed";
    return build_finish(c, f.b);
}

static Fn *make_guess(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "guess", true);
    Val t = scalar_input(c, f.b, "t"), span = scalar_input(c, f.b, "span");
    Val *f0 = ARENA_NEW(c->arena, Val, p->solve->n_state), user_u, user_k;
    frame_args(c, &f, keys);
    for (int j = 0; j < n_k1(p->solve); j++)
        f0[j] = f.carry[j];
    if (!n_k1(p->solve))
        step_field(c, f.b, &f.p, f.u, t, f0);
    Start at = {f.u, f0, f.u, f0};
    if (p->reduction) {
        user_u = build_val(c, f.b, &p->reduction->start);
        user_k = reduce_lift_rate(c, f.b, p->reduction, f0[0]);
        at.user_u = &user_u;
        at.user_k = &user_k;
    }
    fn_out(c->module, f.b->fn, step_guess(c, f.b, &f.p, &at, t, span), "h");
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

/* For messages about a step that cannot be taken. */
static Fn *make_scaled(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Solve *solve = p->solve;
    Frame f = frame_new(c, p, keys, parent, "scaled", true);
    Val t = scalar_input(c, f.b, "t"), h = scalar_input(c, f.b, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, n_k1(solve) ? f.carry : NULL, t, h);
    if (p->reduction)
        in = lifted(c, f.b, p, &in, f.carry[n_k1(solve)], build_val(c, f.b, &p->reduction->start));
    for (int j = 0; j < solve->n_state; j++)
        fn_out(c->module, f.b->fn, step_scaled(c, f.b, &in, j, in.err[j]), solve->state_name[j]);
    f.b->fn->note = "the local error of a step over the tolerance";
    return build_finish(c, f.b);
}

static Fn *make_lift(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "lift", false);
    fn_out(c->module, f.b->fn, reduce_lift(c, f.b, p->reduction, f.u[0]), p->solve->state_name[0]);
    f.b->fn->note = "the state as written in the model";
    return build_finish(c, f.b);
}

void step_functions(Check *c, const Problem *p, Keys *keys, Builder *parent, Scope *s, const Terms *terms)
{
    Solve *solve = p->solve;
    solve->n_carry = n_k1(solve) + (p->reduction ? 1 : 0);
    solve->n_dense = solve->n_state * (solve->method->stages + (!solve->method->degree && !solve->method->fsal));
    solve->step_keep = make_step(c, p, keys, parent, s, terms, true); /* first: it may add keys */
    solve->step = make_step(c, p, keys, parent, s, terms, false);
    solve->guess = solve->has_estimate ? make_guess(c, p, keys, parent) : NULL;
    solve->init = solve->n_carry ? make_init(c, p, keys, parent) : NULL;
    solve->dense = make_dense(c, p, parent);
    solve->scaled = solve->has_estimate ? make_scaled(c, p, keys, parent) : NULL;
    solve->lift = p->reduction ? make_lift(c, p, keys, parent) : NULL;
}
