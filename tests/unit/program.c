/* program.c: whole programs with a solve, integrated here with fixed steps by plain loops over the functions that a
 * solve owns: the gradient against differences, with regularisation terms and what they hold constant; and a reduced
 * solve against the same one in the user's state.
 *
 * Elsewhere: one step (step.c), the runtime's loops and their adjoint (solve.c, tests/grad). */
#include "compile.h"
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { N_STEP = 4, MOST = 96 };

static Arena *a;
static World world;
static double setting[64];
static const Module *module;

/* ---- a solve ---- */
typedef struct Step {
    Array in[MOST * 2], *out; /* of step_keep */
    double t, h;
} Step;

typedef struct Run {
    const Solve *s;
    const Array *arg; /* u0.., p.. */
    Step step[N_STEP];
} Run;

static Array scalar(Arena *to, double x)
{
    Array y = array_new(to, &world, type_scalar(false));
    *y.at = x;
    return y;
}

static Array zero(Arena *to, Type t)
{
    return array_new(to, &world, t);
}

static void add_to(Array *sum, const Array *x, double factor)
{
    ck_assert(type_equal(sum->type, x->type));
    for (int e = 0; e < array_size(&world, x->type); e++)
        sum->at[e] += factor * x->at[e];
}

static int copy(Array *to, int at, const Array *from, int n)
{
    memcpy(to + at, from, sizeof(Array) * (size_t)n);
    return at + n;
}

static double bound(const Solve *s, int k)
{
    double t0 = setting[s->set_t0], t1 = setting[s->set_t1];
    return k == N_STEP ? t1 : t0 + (t1 - t0) * k / N_STEP;
}

static Array *first_carry(Arena *to, const Solve *s, const Array *arg)
{
    Array in[MOST * 2];
    if (!s->n_carry)
        return NULL;
    int n = copy(in, 0, arg, s->n_state);
    in[n++] = scalar(to, bound(s, 0));
    n = copy(in, n, arg + s->n_state, s->n_arg);
    ck_assert_int_eq(s->init->n_in, n);
    ck_assert_int_eq(s->init->out.n, s->n_carry);
    return interpret(to, s->init, &world, in);
}

static Run *integrate(Arena *to, const Solve *s, const Array *arg)
{
    Run *r = ARENA_NEW(to, Run, 1);
    const Array *u = arg, *c = first_carry(to, s, arg);
    *r = (Run){.s = s, .arg = arg};
    for (int k = 0; k < N_STEP; k++) {
        Step *at = &r->step[k];
        at->t = bound(s, k);
        at->h = bound(s, k + 1) - at->t;
        int n = copy(at->in, 0, u, s->n_state);
        if (s->n_carry)
            n = copy(at->in, n, c, s->n_carry);
        at->in[n++] = scalar(to, at->t);
        at->in[n++] = scalar(to, at->h);
        n = copy(at->in, n, arg + s->n_state, s->n_arg);
        ck_assert_int_eq(s->step_keep->n_in, n);
        at->out = interpret(to, s->step_keep, &world, at->in);
        u = at->out;
        c = at->out + s->n_state;
    }
    return r;
}

/* What step_keep gives behind the states: the quantities, then what dense needs. */
static const Array *quantities(const Run *r, int k)
{
    return r->step[k].out + r->s->n_state + r->s->n_carry + 1;
}

static int step_at(const Solve *s, double t)
{
    int k = 0;
    while (k + 1 < N_STEP && fabs(bound(s, k + 1) - bound(s, 0)) < fabs(t - bound(s, 0)))
        k++;
    return k;
}

static int dense_inputs(Arena *to, const Run *r, int k, double t, Array *in)
{
    const Solve *s = r->s;
    int n = copy(in, 0, r->step[k].in, s->n_state);
    n = copy(in, n, r->step[k].out, s->n_state);
    n = copy(in, n, quantities(r, k) + s->n_quantity, s->n_dense);
    in[n++] = scalar(to, r->step[k].h);
    in[n++] = scalar(to, (t - r->step[k].t) / r->step[k].h);
    ck_assert_int_eq(s->dense->n_in, n);
    return n;
}

static Array *state_at(Arena *to, const Run *r, double t)
{
    Array in[MOST * 2];
    dense_inputs(to, r, step_at(r->s, t), t, in);
    return interpret(to, r->s->dense, &world, in);
}

static double saved_time(const Solve *s, int i)
{
    return setting[s->set_save0 + i];
}

/* A time that is neither a bound nor the same for two draws. */
static double drawn_time(const Solve *s, int draw)
{
    return bound(s, 0) + (bound(s, N_STEP) - bound(s, 0)) * (0.4 + 0.2 * draw);
}

static Array total(Arena *to, const Run *r, int q)
{
    int how = r->s->quantity_how[q];
    Array sum = scalar(to, how == 2 ? -HUGE_VAL : 0);
    for (int k = 0; k < N_STEP; k++) {
        double x = *quantities(r, k)[q].at;
        *sum.at = how == 2 ? fmax(*sum.at, x) : *sum.at + x / (how == 1 ? N_STEP : 1);
    }
    return sum;
}

/* Sample b of series[i] is x. */
static void put_row(Array *series, int n_save, int i, const Array *x)
{
    int n = type_size(x->type);
    for (int b = 0; b < world.n_batch; b++)
        memcpy(series->at + (b * n_save + i) * n, x->at + b * n, sizeof(double) * (size_t)n);
}

static Array *solve_results(Arena *to, const Run *r, const Ins *ins)
{
    const Solve *s = r->s;
    Array *out = ARENA_NEW(to, Array, solve_n_result(s));
    for (int i = 0; i < solve_n_result(s); i++)
        out[i] = zero(to, region_type(module, NULL, ins, i));
    for (int j = 0; j < s->n_state; j++)
        out[solve_end(s, j)] = r->step[N_STEP - 1].out[j];
    for (int j = 0; s->lifted && j < s->n_state; j++)
        if (s->lifted[j] >= 0)
            out[solve_lifted(s, j)] = r->step[N_STEP - 1].out[s->n_state + s->lifted[j]];
    for (int i = 0; i < s->n_save; i++)
        for (int j = 0; j < s->n_state; j++)
            put_row(&out[solve_saved(s, j)], s->n_save, i, &state_at(to, r, saved_time(s, i))[j]);
    for (int d = 0; d < s->n_draw; d++) {
        double t = drawn_time(s, d);
        copy(out, solve_drawn(s, d, 0), state_at(to, r, t), s->n_state);
        *out[solve_drawn_time(s, d)].at = t;
        *out[solve_drawn_left(s, d)].at = bound(s, N_STEP) - t;
        *out[solve_drawn_step(s, d)].at = r->step[step_at(s, t)].h;
    }
    for (int q = 0; q < s->n_quantity; q++)
        out[solve_quantity(s, q)] = total(to, r, q);
    return out;
}

/* ---- its reverse ---- */
typedef struct Back {
    const Run *r;
    const SolveVjp *vjp;
    Array g[MOST * 2];                     /* [result]: cotangents, at NULL where not seeded */
    Array u[MOST], carry[MOST], arg[MOST]; /* what has come together so far; carry only those in seed_carry */
} Back;

/* The cotangent of the state at time t inside step k goes to both of its ends and to d. */
static void back_dense(Arena *to, Back *b, int k, double t, const Array *g, Array *gu0, Array *gd)
{
    const Solve *s = b->r->s;
    Array in[MOST * 2];
    int n = dense_inputs(to, b->r, k, t, in);
    copy(in, n, g, s->n_state);
    const Array *out = interpret(to, b->vjp->dense_vjp, &world, in);
    for (int j = 0; j < s->n_state; j++) {
        add_to(&gu0[j], &out[j], 1);
        add_to(&b->u[j], &out[s->n_state + j], 1);
    }
    for (int i = 0; i < s->n_dense; i++)
        add_to(&gd[i], &out[2 * s->n_state + i], 1);
}

static void back_inside(Arena *to, Back *b, int k, Array *gu0, Array *gd)
{
    const Solve *s = b->r->s;
    Array g[MOST];
    for (int i = 0; i < s->n_save; i++) {
        if (step_at(s, saved_time(s, i)) != k)
            continue;
        for (int j = 0; j < s->n_state; j++) {
            const Array *series = &b->g[solve_saved(s, j)];
            int n = type_size(s->state_type[j]);
            g[j] = zero(to, s->state_type[j]);
            for (int e = 0; series->at && e < world.n_batch * n; e++)
                g[j].at[e] = series->at[(e / n * s->n_save + i) * n + e % n];
        }
        back_dense(to, b, k, saved_time(s, i), g, gu0, gd);
    }
    for (int d = 0; d < s->n_draw; d++) {
        if (step_at(s, drawn_time(s, d)) != k)
            continue;
        for (int j = 0; j < s->n_state; j++) {
            const Array *drawn = &b->g[solve_drawn(s, d, j)];
            g[j] = drawn->at ? *drawn : zero(to, s->state_type[j]);
        }
        back_dense(to, b, k, drawn_time(s, d), g, gu0, gd);
    }
}

/* The share of step k in the accumulated quantity. */
static double share(const Back *b, int q, int k)
{
    int how = b->r->s->quantity_how[q];
    double x = *quantities(b->r, k)[q].at;
    for (int i = 0; how == 2 && i < N_STEP; i++)
        if (*quantities(b->r, i)[q].at > x)
            return 0;
    return how == 1 ? 1.0 / N_STEP : 1;
}

static void take_wanted(Back *b, const Array *out, int at)
{
    for (int i = 0; i < b->r->s->n_arg; i++)
        if (b->vjp->want[b->r->s->n_state + i])
            add_to(&b->arg[i], &out[at++], 1);
}

static void back_step(Arena *to, Back *b, int k)
{
    const Solve *s = b->r->s;
    Array in[MOST * 4], gu0[MOST], gd[MOST];
    for (int j = 0; j < s->n_state; j++)
        gu0[j] = zero(to, s->state_type[j]);
    for (int i = 0; i < s->n_dense; i++)
        gd[i] = zero(to, s->state_type[i % s->n_state]);
    if (b->vjp->seed_dense)
        back_inside(to, b, k, gu0, gd);
    int n = copy(in, 0, b->r->step[k].in, s->step_keep->n_in);
    n = copy(in, n, b->u, s->n_state);
    for (int c = 0; c < s->n_carry; c++)
        if (b->vjp->seed_carry[c])
            in[n++] = b->carry[c];
    for (int q = 0; q < s->n_quantity; q++)
        if (b->vjp->seed[solve_quantity(s, q)])
            in[n++] = scalar(to, *b->g[solve_quantity(s, q)].at * share(b, q, k));
    if (b->vjp->seed_dense)
        n = copy(in, n, gd, s->n_dense);
    if (b->vjp->n_residual)
        n = copy(in, n, interpret(to, b->vjp->again, &world, b->r->step[k].in), b->vjp->n_residual);
    ck_assert_int_eq(b->vjp->step_vjp->n_in, n);
    Array *out = interpret(to, b->vjp->step_vjp, &world, in);
    for (int j = 0; j < s->n_state; j++) {
        b->u[j] = out[j];
        add_to(&b->u[j], &gu0[j], 1);
    }
    int at = s->n_state;
    for (int c = 0; c < s->n_carry; c++)
        if (b->vjp->seed_carry[c])
            b->carry[c] = out[at++];
    take_wanted(b, out, at);
}

static void back_start(Arena *to, Back *b)
{
    const Solve *s = b->r->s;
    Array in[MOST * 2];
    if (!b->vjp->init_vjp)
        return;
    int n = copy(in, 0, b->r->arg, s->n_state);
    in[n++] = scalar(to, bound(s, 0));
    n = copy(in, n, b->r->arg + s->n_state, s->n_arg);
    for (int c = 0; c < s->n_carry; c++)
        if (b->vjp->seed_carry[c])
            in[n++] = b->carry[c];
    ck_assert_int_eq(b->vjp->init_vjp->n_in, n);
    const Array *out = interpret(to, b->vjp->init_vjp, &world, in);
    for (int j = 0; j < s->n_state; j++)
        add_to(&b->u[j], &out[j], 1);
    take_wanted(b, out, s->n_state);
}

static Array *solve_gradient(Arena *to, const Run *r, const SolveVjp *vjp, const Array *seed)
{
    const Solve *s = r->s;
    Back b = {.r = r, .vjp = vjp};
    int n = 0;
    for (int i = 0; i < solve_n_result(s); i++)
        if (vjp->seed[i])
            b.g[i] = seed[n++];
    for (int j = 0; j < s->n_state; j++) {
        b.u[j] = zero(to, s->state_type[j]);
        if (b.g[solve_end(s, j)].at)
            add_to(&b.u[j], &b.g[solve_end(s, j)], 1);
    }
    for (int c = 0; c < s->n_carry; c++)
        b.carry[c] = zero(to, fn_type(s->step, (Val)(s->n_state + c)));
    for (int i = 0; i < s->n_arg; i++)
        b.arg[i] = zero(to, r->arg[s->n_state + i].type);
    for (int k = N_STEP - 1; k >= 0; k--)
        back_step(to, &b, k);
    back_start(to, &b);
    Array *out = ARENA_NEW(to, Array, s->n_state + s->n_arg + 1);
    n = 0;
    for (int i = 0; i < s->n_state + s->n_arg; i++)
        if (vjp->want[i])
            out[n++] = i < s->n_state ? b.u[i] : b.arg[i - s->n_state];
    return out;
}

static Array *region(Arena *to, const World *w, const Ins *ins, const Array *arg)
{
    const Solve *s = ins->imm.solve;
    (void)w;
    ck_assert_int_le(solve_n_result(s) + s->n_arg + s->n_dense + 2 * s->n_state, MOST);
    const Run *r = integrate(to, s, arg);
    if (ins->op == OP_solve)
        return solve_results(to, r, ins);
    return solve_gradient(to, r, module->vjps.at[ins->imm.index], arg + s->n_state + s->n_arg);
}

/* ---- models ---- */
typedef struct Wording {
    const char *head, *tail; /* between them: method, terms and the end of the solve block */
    int n_integrated[5];     /* numbers for each state of the reduced solve */
    const char *method[2];   /* with fewer stages it does not pay */
} Wording;
/* One vector, so that the solve can be reduced: fewer hidden values than entries of the state. */
static const Wording one_state = {
    "precision f64\ndata x : real[24]\ndata c : real\n"
    "fn rate(z : real[24], t : real) -> real[24] {\n"
    "  layer hidden = dense(3, tanh)\n  layer out = dense(24)\n  return out([hidden([z, t]), t])\n}\n"
    "solve flow {\n  dz = rate(z, t) dt\n  z(0) = x\n"
    "  time 0 .. 0.8 save [0.1, 0.5, 0.8]\n  tolerance abs 1e-2 rel 1e-9\n",
    "loss sum(flow.z(0.8)^2) + c * sum(sin(flow.z([0.1, 0.5, 0.8])))\noutput flow.z(0.8), flow.z([0.1, 0.5, 0.8])\n",
    {5},
    {"tsit5", "bosh3"}};
/* Two states that cannot be reduced and a start that is learned. */
static const Wording two_states = {
    "precision f64\ndata x : real[12]\ndata c : real\nparam k : real = 0.5\nparam y0 : real[2] = [0.3, -0.2]\n"
    "layer hidden = dense(12, tanh)\n"
    "solve flow {\n  let f = hidden([z, y])\n  dz = f * k dt\n  dy = (c - k * y * z[:2] * t) dt\n  z(0.8) = k * x\n"
    "  y(0.8) = y0\n  time 0.8 .. 0\n  tolerance abs 1e-2 rel 1e-9\n",
    "loss sum(flow.z(0)^2) + dot(flow.y(0), flow.y(0))\noutput flow.z(0), flow.y(0)\n",
    {12, 2},
    {"bosh3", "heun"}};
/* A position and its velocity, whose start is learned: q' = v; [tanh, t, 1] for v, with the start of v for both. */
static const Wording second_order = {
    "precision f64\ndata x : real[24]\ndata c : real\nparam k : real = 0.5\n"
    "fn force(q : real[24], v : real[24], t : real) -> real[24] {\n"
    "  layer hidden = dense(2, tanh)\n  layer out = dense(24)\n  return out([hidden([q, v, t]), t])\n}\n"
    "solve flow {\n  dq = v dt\n  dv = (force(q, v, t) - k * v) dt\n  q(0) = x\n  v(0) = k * sin(x)\n"
    "  time 0 .. 0.8 save [0.1, 0.5, 0.8]\n  tolerance abs 1e-2 rel 1e-9\n",
    "loss sum(flow.q(0.8)^2) + c * sum(sin(flow.q([0.1, 0.5, 0.8]))) + rms(flow.v(0.8))\n"
    "output flow.q(0.8), flow.v(0.8), flow.q([0.1, 0.5, 0.8])\n",
    {5, 5},
    {"tsit5", "dopri5"}};
/* Backwards in time: z with factors and y with a gate are reduced, each with two uses; r and e are not. */
static const Wording mixture = {
    "precision f64\ndata x : real[24]\ndata c : real\nparam k : real = 0.5\nparam y0 : real[20] = 0.3\n"
    "layer first = dense(2, tanh)\nlayer second = dense(2, softplus)\nlayer third = dense(2)\n"
    "layer out_z = dense(24)\nlayer out_y = dense(20)\n"
    "solve flow {\n  let a = first([z, t])\n  let b = second([a, y, r])\n"
    "  dz = k * out_z([a * b, t]) / (1 + c) dt\n  dy = sigmoid(e) * out_y(b) dt\n"
    "  dr = (c - k * r * third([y, z])) dt\n  de = -e * r[0] dt\n"
    "  z(0.8) = k * x\n  y(0.8) = y0\n  r(0.8) = [c, 0.1]\n  e(0.8) = c\n"
    "  time 0.8 .. 0 save [0.6, 0.1]\n  tolerance abs 1e-2 rel 1e-9\n",
    "loss sum(flow.z(0)^2) + c * sum(sin(flow.z([0.6, 0.1]))) + rms(flow.y([0.6, 0.1])) + sum(flow.r(0)) * flow.e(0)\n"
    "output flow.z(0), flow.y(0), flow.r(0), flow.e(0), flow.z([0.6, 0.1]), flow.y([0.6, 0.1])\n",
    {4, 3, 2, 1},
    {"dopri5", "bosh3"}};
static const Wording *const reducible[] = {&one_state, &second_order, &mixture};
enum { N_REDUCIBLE = 3 };

static const struct {
    const char *what, *terms;
} term[] = {{"no term", ""},
            {"sum", "  regularize error, global, weight 0.5\n"},
            {"mean", "  regularize rms(k[1] - k[2]), global(mean)\n"},
            {"max", "  regularize h * rms(u1 - u0), global(max), weight 2\n"},
            {"local", "  regularize error2, unbiased(2), weight 0.1\n"},
            {"local, through state", "  regularize rms(scaled(err)), unbiased, weight 0.1 through state\n"},
            {"local, at accepted", "  regularize error, unbiased through state at accepted\n"},
            {"local, slope held", "  regularize error, biased, hold slope\n"}};
enum { N_METHOD = 2, N_TERM = sizeof term / sizeof *term };

static void set_up(void)
{
    a = arena_new();
}

static void tear_down(void)
{
    rat_free_all();
    arena_free(a);
}

static Model *compile(const Wording *of, int method, int which, bool no_reduce)
{
    Random r = {.state = 31};
    const char *text =
        str_format(a, "%s  method %s\n%s}\n%s", of->head, of->method[method], term[which].terms, of->tail);
    Model *model = model_of(a, text, no_reduce);
    int n = model->params.n + model->data.n, at = 0;
    Type *type = ARENA_NEW(a, Type, n + 1);
    world = (World){.n_batch = 3, .setting = setting, .region = region, .keep = a};
    module = model->module;
    ck_assert_int_le(model->settings.n, 64);
    for (int i = 0; i < model->settings.n; i++)
        setting[i] = model->settings.at[i].value;
    for (int i = 0; i < model->params.n; i++)
        type[at++] = model->params.at[i].type;
    for (int i = 0; i < model->data.n; i++)
        type[at++] = model->data.at[i].type;
    world.param = random_arrays(a, &world, &r, n, type, -0.7, 0.7);
    world.data = world.param + model->params.n;
    world.held = ARENA_NEW(a, Array, module->n_detach + 1);
    return model;
}

/* ---- gradients ---- */
/* A small difference: the norm of a small error is nearly a kink, above all with k1 held constant. */
static double loss_slope(Arena *scratch, const Fn *loss, double *x)
{
    const double h = 1e-6, weight[] = {1, -8, 8, -1}, offset[] = {-2, -1, 1, 2};
    double x0 = *x, sum = 0;
    for (int i = 0; i < 4; i++) {
        Mark mark = arena_mark(scratch);
        *x = x0 + offset[i] * h;
        sum += weight[i] * *interpret(scratch, loss, &world, NULL)[0].at;
        arena_release(scratch, mark);
    }
    *x = x0;
    return sum / (12 * h);
}

static void check_gradient(const Model *model, const char *what)
{
    Arena *scratch = arena_new();
    Fn loss = *model->train;
    loss.out.n = loss.out_name.n = 1;
    const Fn *only = canon(model->module, &loss);                /* without the gradient */
    const Array *out = interpret(a, model->train, &world, NULL); /* what is held constant is kept */
    for (int i = 0, at = 5; i < model->params.n; i++, at++) {
        int n = type_size(model->params.at[i].type);
        for (int e = 0; e < n; e += 1 + n / 3) {
            double d = loss_slope(scratch, only, &world.param[i].at[e]), g = out[at].at[e];
            ck_assert_msg(fabs(g - d) < 1e-7 * fmax(1, fabs(d)), "%s, %s[%d]: %.12g, differences %.12g", what,
                          model->params.at[i].path, e, g, d);
        }
    }
    arena_free(scratch);
}

START_TEST(gradients_of_a_program_agree_with_differences)
{
    check_gradient(compile(&two_states, _i % N_METHOD, _i, false), term[_i].what);
    check_gradient(compile(&one_state, (_i + 1) % N_METHOD, _i, true), term[_i].what);
}
END_TEST

/* The same solve in fewer numbers. */
static void check_reduced(const Wording *of)
{
    const Solve *s = module->solves.at[0];
    ck_assert_ptr_nonnull(s->lift);
    for (int j = 0; j < s->n_state; j++)
        ck_assert_int_eq(type_size(s->state_type[j]), of->n_integrated[j]);
}

START_TEST(gradients_of_a_reduced_solve_agree_with_differences)
{
    int which = _i % N_TERM;
    const Wording *of = reducible[_i / N_TERM];
    const Model *model = compile(of, _i % N_METHOD, which, false);
    check_reduced(of);
    check_gradient(model, term[which].what);
}
END_TEST

/* What is held constant is what the program had there itself: a loss with it is the loss without. */
START_TEST(held_values_do_not_change_the_loss)
{
    const Model *model = compile(&one_state, 0, 4, false);
    double first = *interpret(a, model->train, &world, NULL)[0].at;
    double again = *interpret(a, model->train, &world, NULL)[0].at;
    world.held = NULL;
    ck_assert_double_eq(first, again);
    ck_assert_double_eq(first, *interpret(a, model->train, &world, NULL)[0].at);
}
END_TEST

/* ---- the reduced solve and the user's ---- */
static void check_same(const char *what, int n, const Array *x, const Array *y)
{
    for (int i = 0; i < n; i++) {
        double error = array_error(&world, &x[i], &y[i]);
        ck_assert_msg(error < 1e-9, "%s: output %d differs by %g", what, i, error);
    }
}

START_TEST(a_reduced_solve_is_the_same_solve)
{
    int which = _i % N_TERM, method = _i % N_METHOD;
    const Wording *of = reducible[_i / N_TERM];
    const Model *plain = compile(of, method, which, true);
    ck_assert_ptr_null(module->solves.at[0]->lift);
    const Array *trained = interpret(a, plain->train, &world, NULL);
    const Array *shown = interpret(a, plain->predict, &world, NULL);
    const Model *reduced = compile(of, method, which, false); /* the same random weights and data */
    check_reduced(of);
    ck_assert_int_eq(plain->train->out.n, reduced->train->out.n);
    check_same(term[which].what, plain->train->out.n, interpret(a, reduced->train, &world, NULL), trained);
    check_same("outputs", plain->predict->out.n, interpret(a, reduced->predict, &world, NULL), shown);
}
END_TEST

/* Its initial step, error norm and scaled errors are those of the user's state, and `lift` gives that state. */
START_TEST(a_reduced_step_measures_the_states_of_the_user)
{
    Array guess[2], err[2][N_STEP], *scaled[2], *lifted[2];
    const Wording *of = reducible[_i / N_METHOD];
    int n_state = 0;
    for (int k = 0; k < 2; k++) {
        const Model *model = compile(of, _i % N_METHOD, 0, k == 0);
        const Solve *s = NULL;
        Fn *start = ARENA_NEW(a, Fn, 1); /* the operands of the solve */
        *start = *model->predict;
        memset(&start->out, 0, sizeof start->out);
        memset(&start->out_name, 0, sizeof start->out_name);
        for (int v = 0; v < start->ins.n; v++)
            for (int i = 0; start->ins.at[v].op == OP_solve && i < start->ins.at[v].n_arg; i++) {
                s = start->ins.at[v].imm.solve;
                fn_out(model->module, start, start->ins.at[v].arg[i], NULL);
            }
        Array *arg = interpret(a, canon(model->module, start), &world, NULL), in[MOST];
        const Run *r = integrate(a, s, arg);
        for (int i = 0; i < N_STEP; i++)
            err[k][i] = r->step[i].out[s->n_state + s->n_carry];
        scaled[k] = interpret(a, s->scaled, &world, r->step[2].in);
        int n = copy(in, 0, r->step[0].in, s->n_state + s->n_carry);
        in[n++] = scalar(a, bound(s, 0));
        in[n++] = scalar(a, bound(s, N_STEP) - bound(s, 0));
        copy(in, n, arg + s->n_state, s->n_arg);
        guess[k] = *interpret(a, s->guess, &world, in);
        copy(in, 0, r->step[3].out, s->n_state);
        copy(in, s->n_state, arg + s->n_state, s->n_arg);
        lifted[k] = s->lift ? interpret(a, s->lift, &world, in) : r->step[3].out;
        n_state = s->n_state;
    }
    check_same("initial step", 1, &guess[1], &guess[0]);
    check_same("error norm", N_STEP, err[1], err[0]);
    check_same("scaled error", n_state, scaled[1], scaled[0]);
    check_same("state", n_state, lifted[1], lifted[0]);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("program");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, gradients_of_a_program_agree_with_differences, 0, N_TERM);
    tcase_add_loop_test(tc, gradients_of_a_reduced_solve_agree_with_differences, 0, N_REDUCIBLE * N_TERM);
    tcase_add_test(tc, held_values_do_not_change_the_loss);
    tcase_add_loop_test(tc, a_reduced_solve_is_the_same_solve, 0, N_REDUCIBLE * N_TERM);
    tcase_add_loop_test(tc, a_reduced_step_measures_the_states_of_the_user, 0, N_REDUCIBLE * N_METHOD);
    Suite *s = suite_create("program");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
