/* backwards.c: the adjoint system of a solve as a solve of its own, for the adjoints that are not discrete.
 *
 * Needs: the field as a function, the arguments of the solve.  Gives: Backward (ir.h): the system's field from reverse
 * mode, and its steps by the method of the solve.
 * The gradients g of the arguments feed nothing back: no stage forms them, they are sums over the stages of a step.
 * Elsewhere: the clause (adjoint.c), the loop backwards and its jumps (runtime/backward.c). */
#include "ad.h"
#include "checker.h"

typedef struct System {
    Check *c;
    Builder *main;
    const Solve *of; /* what is differentiated */
    const Fn *of_field;
    const Reduction *reduction;
    int n, n_arg; /* its states; the arguments of its field */
    Keys *keys;
    Backward *out;
    Solve *back;
    Solve core;        /* back without g: what the stages are formed of */
    Fn *field;         /* (a.., u.., t, p.., given u..) -> a'.., u'.., g'.. */
    bool is_given;     /* u are arguments */
    bool carries_rate; /* g are states */
    int n_stage;       /* those of the interpolant included, where it is kept */
    int *moment_of;    /* [stage]: entry of back->moment, or -1 */
} System;

static Val op1(System *s, Builder *b, Op op, Val x)
{
    return fn_op1(s->c->module, b->fn, op, x);
}

static Val op2(System *s, Builder *b, Op op, Val x, Val y)
{
    return fn_op2(s->c->module, b->fn, op, x, y);
}

static Type arg_type(const System *s, int i)
{
    return fn_type(s->of_field, (Val)(s->n + 1 + i));
}

static const char *cotangent_name(const System *s, const char *of)
{
    return of ? str_format(s->c->arena, "g_%s", of) : NULL;
}

/* ---- what is wanted ---- */
bool *adjoint_wants(Check *c, const Fn *main, const Fn *field, int n_state, int n_arg, const Val *operand)
{
    bool *depends = ARENA_NEW(c->arena, bool, main->ins.n + 1), *all = ARENA_NEW(c->arena, bool, field->n_in + 1);
    bool *seed = ARENA_NEW(c->arena, bool, field->out.n), *reaches = ARENA_NEW(c->arena, bool, field->n_in + 1);
    bool *want = ARENA_NEW(c->arena, bool, n_state + n_arg + 1);
    for (int v = 0; v < main->ins.n; v++)
        depends[v] = main->ins.at[v].op == OP_param && !c->model->params.at[main->ins.at[v].imm.index].is_frozen;
    ad_depends(c->module, main, depends);
    for (int i = 0; i < field->n_in; i++)
        all[i] = true;
    for (int i = 0; i < field->out.n; i++)
        seed[i] = true;
    ad_reach(c->module, field, all, seed, NULL, reaches);
    for (int i = 0; i < field->n_in - 1; i++) /* the field has the time behind its states */
        want[i] = depends[operand[i]] && (i < n_state || reaches[i + 1]);
    return want;
}

/* ---- the field ---- */
/* (u.., t, p.., a..) -> [u'..], (df/du)^T a.., [(df/dp)^T a..] */
static Fn *products(System *s, const char *name, bool for_states, bool for_args, bool with_value)
{
    bool *want = ARENA_NEW(s->c->arena, bool, s->of_field->n_in + 1), *seed = ARENA_NEW(s->c->arena, bool, s->n);
    for (int i = 0; i < s->n; i++) {
        want[i] = for_states;
        seed[i] = true;
    }
    for (int i = 0; i < s->n_arg; i++)
        want[s->n + 1 + i] = for_args && s->out->want[i];
    return module_add(
        s->c->module,
        ad_vjp(s->c->module, s->of_field, str_format(s->c->arena, "%s_%s", s->of->name, name), want, seed, with_value));
}

static Val *call_products(System *s, Fn *to, Fn *products, const Val *u, Val t, const Val *p, const Val *a)
{
    Module *m = s->c->module;
    Val *arg = ARENA_NEW(s->c->arena, Val, products->n_in + 1);
    Val *out = ARENA_NEW(s->c->arena, Val, products->out.n + 1);
    int n = 0;
    for (int i = 0; i < s->n; i++)
        arg[n++] = u[i];
    arg[n++] = t;
    for (int i = 0; i < s->n_arg; i++)
        arg[n++] = p[i];
    for (int i = 0; i < s->n; i++)
        arg[n++] = a[i];
    Val call = fn_call(m, to, products, n, arg, s->of->span);
    for (int i = 0; i < products->out.n; i++)
        out[i] = fn_result(m, to, call, i, fn_type(products, products->out.at[i]));
    return out;
}

static void make_field(System *s)
{
    Module *m = s->c->module;
    Fn *all = products(s, "products", true, s->carries_rate, !s->is_given);
    Fn *to = fn_new(m, s->back->name, s->of->span);
    Val *u = ARENA_NEW(s->c->arena, Val, s->n), *a = ARENA_NEW(s->c->arena, Val, s->n);
    Val *p = ARENA_NEW(s->c->arena, Val, s->n_arg + 1);
    for (int i = 0; i < s->n; i++)
        a[i] = fn_input(m, to, s->of->state_type[i], cotangent_name(s, s->of->state_name[i]));
    for (int i = 0; i < s->n && !s->is_given; i++)
        u[i] = fn_input(m, to, s->of->state_type[i], s->of->state_name[i]);
    Val t = fn_input(m, to, type_scalar(false), "t");
    for (int i = 0; i < s->n_arg; i++)
        p[i] = fn_input(m, to, arg_type(s, i), s->of_field->ins.at[s->n + 1 + i].name);
    for (int i = 0; i < s->n && s->is_given; i++)
        u[i] = fn_input(m, to, s->of->state_type[i], s->of->state_name[i]);
    const Val *r = call_products(s, to, all, u, t, p, a);
    int n_value = s->is_given ? 0 : s->n;
    for (int i = 0; i < s->n; i++)
        fn_out(m, to, fn_op1(m, to, OP_neg, r[n_value + i]), str_format(s->c->arena, "da_%s", s->of->state_name[i]));
    for (int i = 0; i < n_value; i++)
        fn_out(m, to, r[i], str_format(s->c->arena, "d%s", s->of->state_name[i]));
    for (int i = n_value + s->n; i < all->out.n; i++)
        fn_out(m, to, fn_op1(m, to, OP_neg, r[i]), all->out_name.at[i]);
    to->note = "the adjoint system";
    s->field = module_add(m, canon(m, to));
}

/* ---- the solve ---- */
static void add_state(System *s, Type type, const char *name)
{
    s->back->state_type[s->back->n_state] = type;
    s->back->state_name[s->back->n_state++] = name;
}

static void name_states(System *s)
{
    Solve *back = s->back;
    int most = 2 * s->n + s->n_arg;
    back->state_type = ARENA_NEW(s->c->arena, Type, most);
    back->state_name = ARENA_NEW(s->c->arena, const char *, most);
    for (int i = 0; i < s->n; i++)
        add_state(s, s->of->state_type[i], cotangent_name(s, s->of->state_name[i]));
    for (int i = 0; i < s->n && !s->is_given; i++)
        add_state(s, s->of->state_type[i], s->of->state_name[i]);
    s->core = *back;
    s->core.atol.n = s->core.rtol.n = 1; /* they are taken from the solve, see `tolerance` */
    for (int i = 0; i < s->n_arg && s->carries_rate; i++)
        if (s->out->want[i]) {
            const char *name = cotangent_name(s, s->of_field->ins.at[s->n + 1 + i].name);
            add_state(s, arg_type(s, i), name ? name : str_format(s->c->arena, "g_%d", i));
        }
}

/* The distinct times within a step at which the states of the solve are asked for. The carried stage asks for none. */
static void find_moments(System *s)
{
    const Tableau *m = s->of->method;
    Solve *back = s->back;
    int n = s->n_stage = back->saves_dense ? m->all_stages : m->stages;
    back->moment = ARENA_NEW(s->c->arena, double, n + 1);
    s->moment_of = ARENA_NEW(s->c->arena, int, n + 1);
    for (int i = 0; i <= n && s->is_given; i++) { /* behind the stages: the end, which the cubic asks for */
        bool is_end = i == n, is_asked = i >= m->fsal && (!is_end || (!m->fsal && !m->degree));
        double at = is_end ? 1 : m->c[i];
        int k = 0;
        while (k < back->n_moment && back->moment[k] != at)
            k++;
        s->moment_of[i] = k;
        if (is_asked && k == back->n_moment)
            back->moment[back->n_moment++] = at;
    }
    back->n_extra = 1 + back->n_moment * s->n;
}

static Solve *make_solve(System *s)
{
    Solve *back = s->back = ARENA_NEW(s->c->arena, Solve, 1);
    *back = *s->of;
    back->name = str_format(s->c->arena, "%s_adjoint", s->of->name);
    back->n_state = back->n_carry = back->n_quantity = back->n_dense = back->n_save = back->n_draw = back->n_unbiased =
        0;
    back->has_differences = back->saves_exactly = back->saves_rates = back->is_initial_warm = false;
    back->saves_dense = s->of->adjoint == ADJOINT_quadrature;
    back->init = back->guess = back->step = back->step_keep = back->dense = back->dense_rate = back->scaled =
        back->lift = NULL;
    back->lifted = NULL;
    back->set_initial = back->set_save0 = back->set_memory = back->arg_save = -1;
    back->backward = NULL;
    back->adjoint = ADJOINT_discrete;
    return back;
}

/* ---- functions ---- */
typedef struct Frame {
    Builder *b;
    Val *u, *carry, *given; /* of the system: states, carries; states of the solve at each moment */
    Problem p;
} Frame;

static Frame frame_new(System *s, const char *what, bool has_carry)
{
    Check *c = s->c;
    Solve *back = s->back;
    Frame f = {.b = build_new(c, str_format(c->arena, "%s_%s", back->name, what), back->span, s->main, s->keys)};
    f.u = ARENA_NEW(c->arena, Val, back->n_state);
    f.carry = ARENA_NEW(c->arena, Val, s->field->out.n + 1);
    for (int i = 0; i < back->n_state; i++)
        f.u[i] = build_input(c, f.b, back->state_type[i], back->state_name[i]);
    for (int i = 0; i < back->n_carry && has_carry; i++)
        f.carry[i] = build_input(c, f.b, fn_type(s->field, s->field->out.at[i]),
                                 str_format(c->arena, "k1_%s", back->state_name[i]));
    return f;
}

static Val scalar_input(System *s, Builder *b, const char *name)
{
    return build_input(s->c, b, type_scalar(false), name);
}

/* The states of the solve at n moments. */
static void frame_given(System *s, Frame *f, int n)
{
    f->given = ARENA_NEW(s->c->arena, Val, n * s->n + 1);
    for (int i = 0; i < n * s->n; i++)
        f->given[i] = build_input(s->c, f->b, s->of->state_type[i % s->n], s->of->state_name[i % s->n]);
}

/* After the last fixed input: the arguments of the field with those states at a moment. */
static Val *frame_args(System *s, Frame *f, int moment)
{
    Val *arg = ARENA_NEW(s->c->arena, Val, s->n_arg + s->n + 1);
    for (int i = 0; i < s->n_arg; i++)
        arg[i] = build_val(s->c, f->b, &s->keys->at.at[i]);
    for (int i = 0; i < s->n && s->is_given; i++)
        arg[s->n_arg + i] = f->given[moment * s->n + i];
    f->p = (Problem){.solve = &s->core, .field = s->field, .arg = arg, .n_arg = s->field->n_in - s->core.n_state - 1};
    return arg;
}

/* The tolerance of a state of the system. A cotangent has the inverse unit of its state: what may be wrong in the one
 * says nothing of the other, so cotangents and gradients go by the least entry. So do reduced states, each of which is
 * part of several components. */
static Val tolerance(System *s, Builder *b, int state, const Tolerance *of)
{
    int j = state - s->n; /* of the solve, if the system has that */
    bool is_of_solve = j >= 0 && state < s->core.n_state;
    if (!is_of_solve || (s->reduction && s->reduction->state[j].is_reduced))
        return tolerance_least_value(s->c, b, of);
    Tolerance entries = *of;
    return tolerance_values(s->c, b, s->of, &entries)[j];
}

/* err over atol size + rtol max(|u0|, |u1|); the states of the solve (backsolve) have their own size. */
static Val scaled(System *s, Frame *f, int state, Val err, Val u1, Val size)
{
    Builder *b = f->b;
    bool is_cotangent = state < s->n || state >= s->core.n_state;
    Val larger = op2(s, b, OP_max, op1(s, b, OP_abs, f->u[state]), op1(s, b, OP_abs, u1));
    Val least = tolerance(s, b, state, &s->of->atol), part = tolerance(s, b, state, &s->of->rtol);
    if (is_cotangent)
        least = op2(s, b, OP_mul, least, size);
    return op2(s, b, OP_div, err, op2(s, b, OP_add, least, op2(s, b, OP_mul, part, larger)));
}

/* The root mean square over all entries: those of each sample, and the shared ones once. */
static Val norm(System *s, Builder *b, int n, const Val *x)
{
    Module *m = s->c->module;
    Val sum[2] = {NO_VAL, NO_VAL};
    int size[2] = {0, 0};
    for (int i = 0; i < n; i++) {
        int k = fn_type(b->fn, x[i]).is_batched;
        Val part = op1(s, b, OP_sum, op1(s, b, OP_square, x[i]));
        sum[k] = sum[k] == NO_VAL ? part : op2(s, b, OP_add, sum[k], part);
        size[k] += type_size(fn_type(b->fn, x[i]));
    }
    Val batch = fn_leaf(m, b->fn, OP_batch, 0, type_scalar(false), NULL); /* cotangents of states are per sample */
    Val total = op1(s, b, OP_bsum, sum[1]), count = op2(s, b, OP_mul, fn_const(m, b->fn, size[1]), batch);
    if (size[0]) {
        total = op2(s, b, OP_add, total, sum[0]);
        count = op2(s, b, OP_add, count, fn_const(m, b->fn, size[0]));
    }
    return op1(s, b, OP_sqrt, op2(s, b, OP_div, total, count));
}

/* u1.., c1.., err */
static void step_outputs(System *s, Frame *f, const Internals *in, Val size)
{
    Check *c = s->c;
    const Tableau *m = in->method;
    Solve *back = s->back;
    Val *x = ARENA_NEW(c->arena, Val, back->n_state), *x2 = ARENA_NEW(c->arena, Val, back->n_state);
    int n_norm = s->of->is_seminorm ? s->core.n_state : back->n_state;
    for (int j = 0; j < back->n_state; j++) {
        bool is_core = j < s->core.n_state;
        Val u1 = is_core ? in->u1[j]
                         : op2(s, f->b, OP_add, f->u[j], step_weighted(c, f->b, in->k, j, m->b, m->stages, in->h));
        fn_out(c->module, f->b->fn, u1, str_format(c->arena, "%s_1", back->state_name[j]));
        if (m->e && j < n_norm)
            x[j] = scaled(s, f, j, step_weighted(c, f->b, in->k, j, m->e, m->stages, in->h), u1, size);
        if (m->e2 && j < n_norm)
            x2[j] = scaled(s, f, j, step_weighted(c, f->b, in->k, j, m->e2, m->stages, in->h), u1, size);
    }
    for (int j = 0; j < back->n_carry; j++)
        fn_out(c->module, f->b->fn, in->k[m->stages - 1][j], str_format(c->arena, "k1_%s_1", back->state_name[j]));
    Val err = m->e ? norm(s, f->b, n_norm, x) : fn_const(c->module, f->b->fn, 0);
    fn_out(c->module, f->b->fn, m->e2 ? step_both(c, f->b, err, norm(s, f->b, n_norm, x2)) : err, "err");
}

static Fn *make_step(System *s, bool keeps)
{
    Check *c = s->c;
    const Tableau *m = s->of->method;
    Frame f = frame_new(s, keeps ? "step_keep" : "step", true);
    Val t = scalar_input(s, f.b, "t"), h = scalar_input(s, f.b, "h"), size = scalar_input(s, f.b, "size");
    Val **stage_arg = ARENA_NEW(c->arena, Val *, s->n_stage);
    frame_given(s, &f, s->back->n_moment);
    for (int i = 0; i < s->n_stage; i++)
        stage_arg[i] = i >= m->fsal ? frame_args(s, &f, s->moment_of[i]) : NULL;
    f.p.stage_arg = stage_arg;
    Internals in = step_internals(c, f.b, &f.p, f.u, m->fsal ? f.carry : NULL, t, h);
    step_outputs(s, &f, &in, size);
    if (keeps)
        step_more_stages(c, f.b, &f.p, &in);
    for (int i = 0; keeps && i < s->n_stage; i++)
        for (int j = 0; j < s->n && tableau_reads_stage(m, i); j++)
            fn_out(c->module, f.b->fn, in.k[i][j], str_format(c->arena, "k%d_%s", i + 1, s->back->state_name[j]));
    if (keeps && !m->degree && !m->fsal) {
        Val *f1 = ARENA_NEW(c->arena, Val, s->field->out.n);
        frame_args(s, &f, s->moment_of[s->n_stage]);
        step_field(c, f.b, &f.p, in.u1, op2(s, f.b, OP_add, t, h), f1);
        for (int j = 0; j < s->n; j++)
            fn_out(c->module, f.b->fn, f1[j], str_format(c->arena, "f1_%s", s->back->state_name[j]));
    }
    f.b->fn->note = str_format(c->arena, "one step of %s of the adjoint system", m->name);
    return build_finish(c, f.b);
}

static Fn *make_init(System *s)
{
    Frame f = frame_new(s, "init", false);
    Val t = scalar_input(s, f.b, "t"), *k1 = ARENA_NEW(s->c->arena, Val, s->field->out.n);
    frame_given(s, &f, s->is_given);
    frame_args(s, &f, 0);
    step_field(s->c, f.b, &f.p, f.u, t, k1);
    for (int j = 0; j < s->back->n_carry; j++)
        fn_out(s->c->module, f.b->fn, k1[j], str_format(s->c->arena, "k1_%s", s->back->state_name[j]));
    f.b->fn->note = "what the first step of the adjoint system is handed";
    return build_finish(s->c, f.b);
}

static Fn *make_rate(System *s)
{
    Module *m = s->c->module;
    Fn *for_args = products(s, "arg_products", false, true, false);
    Frame f = frame_new(s, "rate", false);
    Val t = scalar_input(s, f.b, "t");
    frame_given(s, &f, 1);
    const Val *arg = frame_args(s, &f, 0);
    const Val *r = call_products(s, f.b->fn, for_args, f.given, t, arg, f.u);
    for (int i = 0; i < for_args->out.n; i++)
        fn_out(m, f.b->fn, fn_op1(m, f.b->fn, OP_neg, r[i]), for_args->out_name.at[i]);
    f.b->fn->note = "how the gradients of the arguments change";
    return build_finish(s->c, f.b);
}

/* A step that is kept for its interpolant: its d once more behind its outputs, where they are those already. */
static void record_dense(System *s)
{
    Module *m = s->c->module;
    const Fn *keep = s->of->step_keep;
    int first = keep->out.n - s->of->n_dense;
    Fn *record = sweep_copy(m, keep, str_format(s->c->arena, "%s_step_record", s->of->name));
    Fn *again = sweep_copy(m, keep, str_format(s->c->arena, "%s_step_again", s->of->name));
    again->out.n = again->out_name.n = 0;
    for (int i = first; i < keep->out.n; i++) {
        if (s->of->saves_dense)
            fn_out(m, record, keep->out.at[i], keep->out_name.at[i]);
        fn_out(m, again, keep->out.at[i], keep->out_name.at[i]);
    }
    s->out->record = module_add(m, canon(m, record));
    s->out->again = module_add(m, canon(m, again));
}

void backwards_build(Check *c, Builder *b, const Problem *p, Keys *keys, const Val *arg)
{
    Solve *of = p->solve;
    const Tableau *m = of->method;
    System s = {
        .c = c, .main = b, .of = of, .of_field = p->field, .reduction = p->reduction, .n = of->n_state, .keys = keys};
    if (!adjoint_is_continuous(of->adjoint))
        return;
    s.n_arg = p->field->n_in - of->n_state - 1;
    s.is_given = of->adjoint != ADJOINT_backsolve;
    s.carries_rate = of->adjoint != ADJOINT_quadrature;
    s.out = of->backward = ARENA_NEW(c->arena, Backward, 1);
    s.out->want = adjoint_wants(c, b->fn, s.of_field, s.n, of->n_arg, arg) + s.n;
    s.out->solve = make_solve(&s);
    find_moments(&s);
    name_states(&s);
    make_field(&s);
    s.back->n_carry = m->fsal ? s.field->out.n : 0;
    s.back->step = make_step(&s, false);
    s.back->init = m->fsal ? make_init(&s) : NULL;
    if (s.is_given)
        record_dense(&s);
    if (s.carries_rate)
        return;
    s.back->n_dense = s.n * tableau_n_dense(m);
    s.back->step_keep = make_step(&s, true);
    s.back->dense = step_dense(c, &(Problem){.solve = s.back}, b);
    s.back->rate = make_rate(&s);
}
