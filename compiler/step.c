/* step.c: one step of a method as IR, and what goes with it.
 *
 * Needs: a proved tableau, the field as a function.  Gives: stages, new state, error norm and quantities as ordinary
 * instructions, which ad.c differentiates like any others; the functions of a solve.
 * Elsewhere: accept or reject, and the loop over steps (runtime/solve.c). */
#include "ad.h"
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

/* The newest k comes last: one multiply-add between a stage and the next evaluation. */
Val step_weighted(Check *c, Builder *b, Val *const *k, int state, const double *w, int n, Val h)
{
    Val sum = NO_VAL;
    for (int j = 0; j < n; j++)
        if (w[j] != 0)
            sum = add(c, b, sum, op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, w[j])), k[j][state]));
    return sum;
}

static void tolerances(Check *c, Builder *b, Solve *s, Internals *in)
{
    in->atol = tolerance_values(c, b, s, &s->atol);
    in->rtol = tolerance_values(c, b, s, &s->rtol);
}

static bool is_lifted(const Problem *p, int state)
{
    return p->reduction && p->reduction->state[state].is_reduced;
}

Val *step_lift_rates(Check *c, Builder *b, const Problem *p, const Val *x)
{
    const Reduction *r = p->reduction;
    Val *out = ARENA_NEW(c->arena, Val, p->solve->n_state);
    for (int j = 0; j < p->solve->n_state; j++)
        out[j] = is_lifted(p, j) ? reduce_lift_rate(c, b, r, j, p->origin, x[j]) : x[j];
    return out;
}

/* x + (h w) times the held slope of a state, if there is one. */
static Val add_slope(Check *c, Builder *b, const Problem *p, int state, Val x, Val h, double w)
{
    if (!p->slope || !is_lifted(p, state) || w == 0)
        return x;
    return op2(c, b, OP_add, x, op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, w)), p->slope[state]));
}

/* The internals of a step in the user's states, which are u0 at its start. What nobody uses is dropped later. */
static Internals lifted(Check *c, Builder *b, const Problem *p, const Internals *in, const Val *u0)
{
    const Reduction *r = p->reduction;
    const Tableau *m = in->method;
    Internals out = *in;
    if (!r)
        return out;
    out.k = ARENA_NEW(c->arena, Val *, m->stages);
    out.stage = ARENA_NEW(c->arena, Val *, m->stages);
    out.u0 = (Val *)u0;
    out.u1 = ARENA_NEW(c->arena, Val, r->n);
    for (int i = 0; i < m->stages; i++) {
        out.k[i] = i == 0 && p->slope ? (Val *)p->slope : step_lift_rates(c, b, p, in->k[i]);
        out.stage[i] = ARENA_NEW(c->arena, Val, r->n);
        for (int j = 0; j < r->n; j++) {
            Val u = i == 0 ? u0[j] : reduce_lift(c, b, r, j, p->origin, in->stage[i][j]);
            out.stage[i][j] = i == 0 ? u : add_slope(c, b, p, j, u, in->h, m->a[i][0]);
        }
    }
    out.err = in->err ? step_lift_rates(c, b, p, in->err) : NULL;
    out.err2 = in->err2 ? step_lift_rates(c, b, p, in->err2) : NULL;
    for (int j = 0; j < r->n; j++) {
        out.u1[j] = add_slope(c, b, p, j, reduce_lift(c, b, r, j, p->origin, in->u1[j]), in->h, m->b[0]);
        if (in->err)
            out.err[j] = add_slope(c, b, p, j, out.err[j], in->h, m->e[0]);
        if (in->err2)
            out.err2[j] = add_slope(c, b, p, j, out.err2[j], in->h, m->e2[0]);
    }
    return out;
}

/* The problem at a stage: the held slope k moves each base L z by (h w) L k. */
static Problem steep(Check *c, Builder *b, const Problem *p, Val h, double w)
{
    const Reduction *r = p->reduction;
    Problem out = *p;
    if (!p->slope || !r || w == 0)
        return out;
    Val *arg = ARENA_NEW(c->arena, Val, p->n_arg + 1);
    for (int i = 0; i < p->n_arg; i++)
        arg[i] = p->arg[i];
    for (int i = 0; i < r->base.n; i++) {
        int state = r->base.at[i].state;
        Val k = op2(c, b, OP_mm_nn, build_val(c, b, &r->state[state].left), p->slope[state]);
        arg[i] = op2(c, b, OP_add, arg[i], op2(c, b, OP_mul, op2(c, b, OP_mul, h, num(c, b, w)), k));
    }
    out.arg = arg;
    return out;
}

/* (1 - share) u + share w for one state; w, which a method may carry beside u, is u where a step begins anew. */
static Val mixed(Check *c, Builder *b, const Problem *p, const Val *u, int state, double share)
{
    if (!p->second || share == 0)
        return u[state];
    Val rest = op2(c, b, OP_mul, num(c, b, 1 - share), u[state]);
    return op2(c, b, OP_add, rest, op2(c, b, OP_mul, num(c, b, share), p->second[state]));
}

static Internals internals_new(Check *c, const Problem *p, Val t, Val h)
{
    const Tableau *m = p->solve->method;
    int n = p->solve->n_state;
    Internals in = {.method = m, .n_state = n, .t = t, .h = h, .clock = p->clock};
    in.n_written = solve_written(p->solve);
    in.n_measured = solve_measured(p->solve);
    in.k = ARENA_NEW(c->arena, Val *, m->all_stages);
    in.stage = ARENA_NEW(c->arena, Val *, m->all_stages);
    for (int i = 0; i < m->all_stages; i++) {
        in.k[i] = ARENA_NEW(c->arena, Val, p->field->out.n);
        in.stage[i] = ARENA_NEW(c->arena, Val, n);
    }
    in.u0 = ARENA_NEW(c->arena, Val, n);
    in.u1 = ARENA_NEW(c->arena, Val, n);
    in.err = m->e ? ARENA_NEW(c->arena, Val, n) : NULL;
    in.err2 = m->e2 ? ARENA_NEW(c->arena, Val, n) : NULL;
    return in;
}

/* The state of stage i and the field there, unless k1 is handed in. */
static void take_stage(const Field *f, Builder *b, const Problem *p, Internals *in, int i, const Val *u, const Val *k1,
                       const Val *inner)
{
    Check *c = f->c;
    const Tableau *m = in->method;
    for (int j = 0; j < in->n_state; j++) {
        Val d = step_weighted(c, b, in->k, j, m->a[i], i, in->h);
        Val base = mixed(c, b, p, u, j, m->share && i < m->stages ? m->share[i] : 0);
        in->stage[i][j] = d == NO_VAL ? base : op2(c, b, OP_add, base, d);
    }
    if (i == 0 && k1) {
        for (int j = 0; j < p->field->out.n; j++)
            in->k[0][j] = k1[j];
        return;
    }
    Val at = m->c[i] == 0 ? in->t : op2(c, b, OP_add, in->t, op2(c, b, OP_mul, in->h, num(c, b, m->c[i])));
    Problem here = steep(c, b, p, in->h, m->a[i][0]);
    here.arg = p->stage_arg ? p->stage_arg[i] : here.arg;
    field_value(f, b, &here, in->stage[i], at, i > 0 ? inner : NULL, in->k[i]);
}

static void instead(Check *c, Builder *b, int n, Val *to, const Val *value, const Val *derivative)
{
    for (int j = 0; j < n; j++)
        to[j] = op2(c, b, OP_instead, value[j], derivative[j]);
}

/* value: the same step from differences, for whose values this one is to have the derivatives, or NULL; inner: what
 * stands in for the inner values of the field at each stage, or NULL. */
static Internals plain_internals(const Field *f, Builder *b, const Problem *p, const Val *u, const Val *k1, Val t,
                                 Val h, const Internals *value, Val *const *inner)
{
    Check *c = f->c;
    const Tableau *m = p->solve->method;
    Internals in = internals_new(c, p, t, h);
    for (int i = 0; i < m->stages; i++) {
        take_stage(f, b, p, &in, i, u, k1, inner ? inner[i] : NULL);
        if (value && i > 0)
            instead(c, b, in.n_state, in.k[i], value->k[i], in.k[i]);
    }
    for (int j = 0; j < in.n_state; j++) {
        in.u0[j] = u[j];
        if (m->fsal)
            in.u1[j] = in.stage[m->stages - 1][j];
        else
            in.u1[j] = op2(c, b, OP_add, u[j], step_weighted(c, b, in.k, j, m->b, m->stages, h));
        if (m->e)
            in.err[j] = step_weighted(c, b, in.k, j, m->e, m->stages, h);
        if (m->e2)
            in.err2[j] = step_weighted(c, b, in.k, j, m->e2, m->stages, h);
    }
    tolerances(c, b, p->solve, &in);
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
    Internals in = internals_new(c, p, t, h);
    Val **change = ARENA_NEW(c->arena, Val *, m->stages), *d = ARENA_NEW(c->arena, Val, n);
    for (int i = 0; i < m->stages; i++) {
        bool is_last = p->handed && i == m->stages - 1;
        if (is_last)
            in.handed = ARENA_NEW(c->arena, Val, p->handed->n + 1);
        change[i] = ARENA_NEW(c->arena, Val, n);
        inner[i] = ARENA_NEW(c->arena, Val, f->n_inner + 1);
        Val step = op2(c, b, OP_mul, h, num(c, b, m->c[i]));
        for (int j = 0; j < n && i > 0; j++) {
            Val more = step_weighted(c, b, change + 1, j, m->a[i] + 1, i - 1, h);
            d[j] = op2(c, b, OP_mul, step, in.k[0][j]);
            d[j] = more == NO_VAL ? d[j] : op2(c, b, OP_add, d[j], more);
        }
        if (i > 0)
            changes_of(&s, d, step, change[i], inner[i], in.handed);
        for (int j = 0; j < n; j++) {
            in.stage[i][j] = i == 0 ? u[j] : op2(c, b, OP_add, u[j], d[j]);
            in.k[i][j] = i > 0 ? op2(c, b, OP_add, in.k[0][j], change[i][j]) : k1 ? k1[j] : s.base[j];
        }
    }
    for (int j = 0; j < n; j++) {
        in.u0[j] = u[j];
        Val rest = step_weighted(c, b, change + 1, j, m->b + 1, m->stages - 1, h);
        Val moved = op2(c, b, OP_add, u[j], op2(c, b, OP_mul, h, in.k[0][j]));
        in.u1[j] = m->fsal ? in.stage[m->stages - 1][j] : op2(c, b, OP_add, moved, rest);
        in.err[j] = step_weighted(c, b, change + 1, j, m->e + 1, m->stages - 1, h);
        if (m->e2)
            in.err2[j] = step_weighted(c, b, change + 1, j, m->e2 + 1, m->stages - 1, h);
    }
    return in;
}

/* The values of one, with the derivatives of the other, which is the same but for rounding and cheaper to reverse. */
static Internals internals_instead(Check *c, Builder *b, Internals value, const Internals *derivative)
{
    int n = value.n_state;
    for (int i = 1; i < value.method->stages; i++) {
        instead(c, b, n, value.k[i], value.k[i], derivative->k[i]);
        instead(c, b, n, value.stage[i], value.stage[i], derivative->stage[i]);
    }
    instead(c, b, n, value.u1, value.u1, derivative->u1);
    instead(c, b, n, value.err, value.err, derivative->err);
    if (value.err2)
        instead(c, b, n, value.err2, value.err2, derivative->err2);
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
        return plain_internals(&f, b, p, u, k1, t, h, NULL, NULL);
    Val **inner = ARENA_NEW(c->arena, Val *, p->solve->method->stages);
    Internals value = changed_internals(&f, b, p, u, k1, t, h, inner);
    Internals plain = plain_internals(&f, b, p, u, k1, t, h, &value, f.is_written ? inner : NULL);
    return internals_instead(c, b, value, &plain);
}

Val step_scaled(Check *c, Builder *b, const Internals *in, int state, Val x)
{
    Val larger = op2(c, b, OP_max, op1(c, b, OP_abs, in->u0[state]), op1(c, b, OP_abs, in->u1[state]));
    return op2(c, b, OP_div, x, op2(c, b, OP_add, in->atol[state], op2(c, b, OP_mul, in->rtol[state], larger)));
}

bool internals_per_sample(const Builder *b, const Internals *in)
{
    return fn_type(b->fn, in->h).is_batched;
}

static Val scaled_rms(Check *c, Builder *b, const Internals *in, const Val *x)
{
    Val *scaled = ARENA_NEW(c->arena, Val, in->n_measured);
    for (int j = 0; j < in->n_measured; j++)
        scaled[j] = step_scaled(c, b, in, j, x[j]);
    return build_rms(c, b, in->n_measured, scaled, internals_per_sample(b, in));
}

Val step_both(Check *c, Builder *b, Val e, Val e2)
{
    Val e_square = op1(c, b, OP_square, e), other = op1(c, b, OP_square, e2);
    Val sum = op2(c, b, OP_add, e_square, op2(c, b, OP_mul, num(c, b, 0.01), other));
    sum = op2(c, b, OP_add, sum, num(c, b, 1e-300)); /* 0 / 0 is no error */
    return op2(c, b, OP_div, e_square, op1(c, b, OP_sqrt, sum));
}

Val step_error(Check *c, Builder *b, const Internals *in)
{
    if (!in->err)
        return num(c, b, 0);
    Val e = scaled_rms(c, b, in, in->err);
    return in->err2 ? step_both(c, b, e, scaled_rms(c, b, in, in->err2)) : e;
}

/* ---- a step on its own ---- */
Start step_start(Check *c, Builder *b, const Problem *p, const Val *u, Val t, Problem *there)
{
    const Reduction *r = p->reduction;
    int n = p->solve->n_state;
    Start at = {.u = (Val *)u, .k = ARENA_NEW(c->arena, Val, n), .user_u = (Val *)u};
    *there = *p;
    if (r) {
        Val *arg = ARENA_NEW(c->arena, Val, p->n_arg + 1);
        for (int i = 0; i < p->n_arg; i++)
            arg[i] = p->arg[i];
        for (int i = 0; i < r->base.n; i++) {
            Val left = build_val(c, b, &r->state[r->base.at[i].state].left);
            arg[i] = op2(c, b, OP_mm_nn, left, u[r->base.at[i].of]);
        }
        at.u = ARENA_NEW(c->arena, Val, n);
        for (int j = 0; j < n; j++)
            at.u[j] = r->state[j].is_reduced ? sweep_zero(c->module, b->fn, r->state[j].type) : u[j];
        there->arg = arg;
        there->origin = u;
    }
    step_field(c, b, there, at.u, t, at.k);
    at.user_k = step_lift_rates(c, b, there, at.k);
    return at;
}

/* A state with starts among its directions would need one more for each slope there. */
bool step_can_hold(const Problem *p)
{
    for (int j = 0; p->reduction && j < p->reduction->n; j++)
        if (p->reduction->state[j].origin.n)
            return false;
    return true;
}

Internals step_local(Check *c, Builder *b, const Problem *p, const Start *at, const Val *held, Val t, Val h)
{
    int n = p->solve->n_state;
    Problem form = *p;
    if (!held) {
        Internals in = step_internals(c, b, p, at->u, at->k, t, h);
        return lifted(c, b, p, &in, at->user_u);
    }
    Val *k = ARENA_NEW(c->arena, Val, n);
    form.slope = held;
    for (int j = 0; j < n; j++)
        k[j] = is_lifted(p, j) ? sweep_zero(c->module, b->fn, p->reduction->state[j].type) : held[j];
    Field f = field_open(c, p);
    Val **inner = ARENA_NEW(c->arena, Val *, p->solve->method->stages);
    Internals value = {0};
    if (p->solve->has_differences)
        value = changed_internals(&f, b, p, at->u, at->k, t, h, inner);
    bool is_given = p->solve->has_differences && f.is_written;
    Internals plain = plain_internals(&f, b, &form, at->u, k, t, h, NULL, is_given ? inner : NULL);
    plain = lifted(c, b, &form, &plain, at->user_u);
    if (!p->solve->has_differences)
        return plain;
    value = lifted(c, b, p, &value, at->user_u);
    return internals_instead(c, b, value, &plain);
}

/* ---- the functions of a solve ---- */
typedef struct Frame { /* a function of a solve being built */
    Builder *b;
    Val *u, *carry, *user_u;
    Problem p;
} Frame;

/* Carries: k1 and the second state of each state, as the method has them; behind them the user's form of each reduced
 * state, and what is handed over. */
static int n_k1(const Solve *s)
{
    return s->method->slope ? s->n_state : 0;
}

static int n_second(const Solve *s)
{
    return s->method->share ? s->n_state : 0;
}

static const char *lifted_name(Check *c, const Solve *s, int state)
{
    return str_format(c->arena, "lifted_%s", s->state_name[state]);
}

static Frame frame_new(Check *c, const Problem *p, Keys *keys, Builder *parent, const char *what, bool has_carry)
{
    Solve *s = p->solve;
    Frame f = {.b = build_new(c, str_format(c->arena, "%s_%s", s->name, what), s->span, parent, keys)};
    f.p = *p;
    f.u = ARENA_NEW(c->arena, Val, s->n_state);
    f.user_u = ARENA_NEW(c->arena, Val, s->n_state);
    for (int i = 0; i < s->n_state; i++)
        f.u[i] = f.user_u[i] = build_input(c, f.b, s->state_type[i], s->state_name[i]);
    if (has_carry && s->n_carry) {
        f.carry = ARENA_NEW(c->arena, Val, s->n_carry);
        int at = 0;
        for (; at < n_k1(s); at++)
            f.carry[at] = build_input(c, f.b, s->state_type[at], str_format(c->arena, "k1_%s", s->state_name[at]));
        f.p.second = n_second(s) ? f.carry + at : NULL;
        for (int i = 0; i < n_second(s); i++)
            f.carry[at++] = build_input(c, f.b, s->state_type[i], str_format(c->arena, "second_%s", s->state_name[i]));
        for (int i = 0; i < s->n_state; i++)
            if (is_lifted(p, i))
                f.user_u[i] = f.carry[at++] =
                    build_input(c, f.b, p->reduction->state[i].start.type, lifted_name(c, s, i));
        f.p.start = p->handed ? f.carry + at : NULL;
        for (int i = 0; p->handed && i < p->handed->n; i++)
            f.carry[at++] = build_input(c, f.b, p->handed->type[i], str_format(c->arena, "start_%d", i + 1));
    }
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
    if (f->p.reduction)
        f->p.origin = reduce_origin(c, f->b, f->p.reduction);
}

/* A time or a size. */
static Val scalar_input(Check *c, const Frame *f, const char *name)
{
    return build_input(c, f->b, type_scalar(f->p.solve->is_per_sample), name);
}

/* A number of a step as an output: of each sample, if it has its own steps. */
static void scalar_out(Check *c, const Frame *f, Val v, const char *name)
{
    if (f->p.solve->is_per_sample && !fn_type(f->b->fn, v).is_batched)
        v = op1(c, f->b, OP_bcast, v);
    fn_out(c->module, f->b->fn, v, name);
}

void step_more_stages(Check *c, Builder *b, const Problem *p, Internals *in)
{
    const Tableau *m = in->method;
    if (m->all_stages == m->stages)
        return;
    const Field field = field_open(c, p);
    for (int i = m->stages; i < m->all_stages; i++)
        take_stage(&field, b, p, in, i, in->u0, NULL, NULL);
}

/* Everything of a step that dense output needs: stage derivatives, those of the interpolant alone too, and f at its end
 * for the cubic. */
static void keep_dense(Check *c, Frame *f, Internals *in, Val end)
{
    Solve *solve = f->p.solve;
    Val *f1 = ARENA_NEW(c->arena, Val, solve->n_state);
    step_more_stages(c, f->b, &f->p, in);
    for (int i = 0; i < in->method->all_stages; i++)
        for (int j = 0; j < solve->n_state && tableau_reads_stage(in->method, i); j++)
            fn_out(c->module, f->b->fn, in->k[i][j], str_format(c->arena, "k%d_%s", i + 1, solve->state_name[j]));
    if (in->method->degree || in->method->fsal)
        return;
    step_field(c, f->b, &f->p, in->u1, end, f1);
    for (int j = 0; j < solve->n_state; j++)
        fn_out(c->module, f->b->fn, f1[j], str_format(c->arena, "f1_%s", solve->state_name[j]));
}

/* sum_j w_j k_j for one state; a stage itself where the weights are those of one. */
static Val combined(Check *c, Builder *b, Val *const *k, int state, const double *w, int n)
{
    Val sum = NO_VAL;
    for (int j = 0; j < n; j++)
        if (w[j] != 0)
            sum = add(c, b, sum, w[j] == 1 ? k[j][state] : op2(c, b, OP_mul, num(c, b, w[j]), k[j][state]));
    return sum == NO_VAL ? op2(c, b, OP_mul, num(c, b, 0), k[0][state]) : sum;
}

/* The state at the end of a step, and what is handed to the next one. */
static void end_of_step(Check *c, Frame *f, const Internals *in, const Internals *user)
{
    const Solve *solve = f->p.solve;
    const Tableau *m = solve->method;
    Fn *fn = f->b->fn;
    for (int j = 0; j < solve->n_state; j++)
        fn_out(c->module, fn, in->u1[j], str_format(c->arena, "%s_1", solve->state_name[j]));
    for (int j = 0; j < n_k1(solve); j++)
        fn_out(c->module, fn, combined(c, f->b, in->k, j, m->slope, m->stages),
               str_format(c->arena, "k1_%s_1", solve->state_name[j]));
    for (int j = 0; j < n_second(solve); j++) {
        Val w = mixed(c, f->b, &f->p, in->u0, j, m->share[m->stages]);
        Val d = step_weighted(c, f->b, in->k, j, m->state, m->stages, in->h);
        fn_out(c->module, fn, d == NO_VAL ? w : op2(c, f->b, OP_add, w, d),
               str_format(c->arena, "second_%s_1", solve->state_name[j]));
    }
    for (int j = 0; j < solve->n_state; j++)
        if (is_lifted(&f->p, j))
            fn_out(c->module, fn, user->u1[j], str_format(c->arena, "%s_1", lifted_name(c, solve, j)));
    for (int i = 0; f->p.handed && i < f->p.handed->n; i++)
        fn_out(c->module, fn, in->handed[i], str_format(c->arena, "start_%d_1", i + 1));
}

/* The way back: a step of -h from its end. */
static Fn *make_inverse(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "inverse", true);
    Val t = scalar_input(c, &f, "t"), h = scalar_input(c, &f, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, n_k1(p->solve) ? f.carry : NULL, op2(c, f.b, OP_add, t, h),
                                  op1(c, f.b, OP_neg, h));
    Internals user = lifted(c, f.b, &f.p, &in, f.user_u);
    end_of_step(c, &f, &in, &user);
    f.b->fn->note = str_format(c->arena, "the way back from the end of a step of %s to its start", in.method->name);
    return build_finish(c, f.b);
}

static Fn *make_step(Check *c, const Problem *p, Keys *keys, Builder *parent, Scope *s, const Terms *terms, bool keeps)
{
    Solve *solve = p->solve;
    Frame f = frame_new(c, p, keys, parent, keeps ? "step_keep" : "step", true);
    Val t = scalar_input(c, &f, "t"), h = scalar_input(c, &f, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, n_k1(solve) ? f.carry : NULL, t, h);
    Internals user = lifted(c, f.b, &f.p, &in, f.user_u);
    end_of_step(c, &f, &in, &user);
    scalar_out(c, &f, step_error(c, f.b, &user), "err");
    for (int i = 0; i < terms->at.n; i++)
        if (terms->at.at[i].draws == 0 && !terms->at.at[i].is_integral)
            scalar_out(c, &f, regularize_quantity(c, s, f.b, &user, terms->at.at[i].quantity), "quantity");
    if (keeps)
        keep_dense(c, &f, &in, op2(c, f.b, OP_add, t, h));
    f.b->fn->note =
        str_format(c->arena, "one step of %s%s", in.method->name, keeps ? ", with its stage derivatives" : "");
    return build_finish(c, f.b);
}

static Fn *make_init(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "init", false);
    Val t = scalar_input(c, &f, "t"), *k1 = ARENA_NEW(c->arena, Val, p->solve->n_state);
    frame_args(c, &f, keys);
    if (n_k1(p->solve))
        step_field(c, f.b, &f.p, f.u, t, k1);
    for (int j = 0; j < n_k1(p->solve); j++)
        fn_out(c->module, f.b->fn, k1[j], str_format(c->arena, "k1_%s", p->solve->state_name[j]));
    for (int j = 0; j < n_second(p->solve); j++)
        fn_out(c->module, f.b->fn, f.u[j], str_format(c->arena, "second_%s", p->solve->state_name[j]));
    for (int j = 0; j < p->solve->n_state; j++)
        if (is_lifted(p, j))
            fn_out(c->module, f.b->fn, f.p.origin[j], lifted_name(c, p->solve, j));
    if (p->handed) {
        Field field = field_open(c, &f.p);
        Changes at = changes_at(&field, f.b, &f.p, f.u, t, true);
        for (int i = 0; i < p->handed->n; i++)
            fn_out(c->module, f.b->fn, changes_handed(&at, i), str_format(c->arena, "start_%d", i + 1));
    }
    f.b->fn->note = "what the first step is handed";
    return build_finish(c, f.b);
}

static Fn *make_guess(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "guess", true);
    Val t = scalar_input(c, &f, "t"), span = scalar_input(c, &f, "span");
    Val *f0 = n_k1(p->solve) ? f.carry : ARENA_NEW(c->arena, Val, p->solve->n_state);
    frame_args(c, &f, keys);
    if (!n_k1(p->solve))
        step_field(c, f.b, &f.p, f.u, t, f0);
    Start at = {f.u, f0, f.user_u, step_lift_rates(c, f.b, &f.p, f0)};
    fn_out(c->module, f.b->fn, step_guess(c, f.b, &f.p, &at, t, span), "h");
    f.b->fn->note = "the automatic initial step";
    return build_finish(c, f.b);
}

/* b_i(theta), which is not 0, by Horner's rule. */
static Val polynomial(Check *c, Builder *b, const double *w, int degree, Val theta)
{
    Val sum = NO_VAL;
    for (int j = degree - 1; j >= 0; j--) {
        if (sum != NO_VAL)
            sum = op2(c, b, OP_mul, sum, theta);
        if (w[j] != 0)
            sum = add(c, b, sum, num(c, b, w[j]));
    }
    return op2(c, b, OP_mul, sum, theta);
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

Fn *step_dense(Check *c, const Problem *p, Builder *parent)
{
    Solve *s = p->solve;
    const Tableau *m = s->method;
    Frame f = frame_new(c, p, NULL, parent, "dense", false);
    Val *u1 = ARENA_NEW(c->arena, Val, s->n_state), *d = ARENA_NEW(c->arena, Val, s->n_dense);
    for (int j = 0; j < s->n_state; j++)
        u1[j] = build_input(c, f.b, s->state_type[j], str_format(c->arena, "%s_1", s->state_name[j]));
    for (int i = 0, n = 0; n < s->n_dense; i++) /* behind the stages: f at the end */
        for (int j = 0; j < s->n_state && (i == m->all_stages || tableau_reads_stage(m, i)); j++)
            d[n++] = build_input(c, f.b, s->state_type[j], str_format(c->arena, "k%d_%s", i + 1, s->state_name[j]));
    Val h = scalar_input(c, &f, "h"), theta = scalar_input(c, &f, "theta");
    for (int j = 0; j < s->n_state; j++) {
        Val sum = NO_VAL;
        for (int i = 0, n = j; i < m->all_stages && m->degree; i++) {
            if (!tableau_reads_stage(m, i))
                continue;
            Val w = polynomial(c, f.b, m->interpolant[i], m->degree, theta);
            sum = add(c, f.b, sum, op2(c, f.b, OP_mul, op2(c, f.b, OP_mul, h, w), d[n]));
            n += s->n_state;
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
    Val t = scalar_input(c, &f, "t"), h = scalar_input(c, &f, "h");
    frame_args(c, &f, keys);
    Internals in = step_internals(c, f.b, &f.p, f.u, n_k1(solve) ? f.carry : NULL, t, h);
    in = lifted(c, f.b, &f.p, &in, f.user_u);
    for (int j = 0; j < in.n_measured; j++)
        fn_out(c->module, f.b->fn, step_scaled(c, f.b, &in, j, in.err[j]), solve->state_name[j]);
    f.b->fn->note = "the local error of a step over the tolerance";
    return build_finish(c, f.b);
}

static Fn *make_lift(Check *c, const Problem *p, Keys *keys, Builder *parent)
{
    Frame f = frame_new(c, p, keys, parent, "lift", false);
    frame_args(c, &f, keys);
    for (int j = 0; j < p->solve->n_state; j++)
        fn_out(c->module, f.b->fn, reduce_lift(c, f.b, p->reduction, j, f.p.origin, f.u[j]), p->solve->state_name[j]);
    f.b->fn->note = "the states as written in the model";
    return build_finish(c, f.b);
}

void step_functions(Check *c, const Problem *problem, Keys *keys, Builder *parent, Scope *s, const Terms *terms)
{
    const Handed handed = field_handed(c, problem);
    Problem with_handed = *problem;
    with_handed.handed = handed.n ? &handed : NULL;
    const Problem *p = &with_handed;
    Solve *solve = p->solve;
    solve->n_carry = n_k1(solve) + n_second(solve) + handed.n;
    solve->lifted = p->reduction && !solve->is_per_sample ? ARENA_NEW(c->arena, int, solve->n_state) : NULL;
    int at = n_k1(solve) + n_second(solve);
    for (int j = 0; j < solve->n_state; j++) {
        solve->n_carry += is_lifted(p, j);
        if (solve->lifted)
            solve->lifted[j] = is_lifted(p, j) ? at++ : -1;
    }
    solve->n_dense = solve->n_state * tableau_n_dense(solve->method);
    solve->step_keep = make_step(c, p, keys, parent, s, terms, true); /* first: it may add keys */
    solve->step = make_step(c, p, keys, parent, s, terms, false);
    solve->guess = solve->has_estimate ? make_guess(c, p, keys, parent) : NULL;
    solve->init = solve->n_carry ? make_init(c, p, keys, parent) : NULL;
    solve->dense = step_dense(c, p, parent);
    solve->scaled = solve->has_estimate ? make_scaled(c, p, keys, parent) : NULL;
    solve->inverse = solve->adjoint == ADJOINT_reversible ? make_inverse(c, p, keys, parent) : NULL;
    solve->lift = p->reduction ? make_lift(c, p, keys, parent) : NULL;
}
