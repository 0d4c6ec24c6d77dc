/* spiral_model.h: a small model written by hand in the form of generated code: u' = W u^3, two states, with the method
 * of Bogacki & Shampine (1989), whose last stage is the first of the next step (a carry).
 *
 * Loss: the mean over the batch of |u(t1) - goal|^2, of the sum over saved times of |u|^2 and, if the solve draws, of
 * |u(drawn)|^2. Plain loops over TILE lanes; everything is in one header so that each test is one file.
 * Needs: NDE_DOUBLE or not, before it is included. */
#ifndef SPIRAL_MODEL_H
#define SPIRAL_MODEL_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

enum { TILE = 4, STATE = 2, SAVES = 3, W_SIZE = STATE * STATE };

typedef struct Lanes {
    Real at[STATE][TILE];
} Lanes;

enum {
    SET_T0,
    SET_T1,
    SET_ATOL,
    SET_RTOL,
    SET_FIXED,
    SET_MIN,
    SET_MAX,
    SET_LIMIT,
    SET_SAVE,
    SET_MEMORY = SET_SAVE + SAVES,
    SETTINGS
};

static Lanes *lanes(const NdeTile *at, NdeRef ref)
{
    return (Lanes *)(void *)((char *)ref.at + (size_t)at->tile * ref.step);
}

static double number(NdeRef ref)
{
    return *(const double *)ref.at;
}

/* y = W u^3 */
static void field(const Real *W, const Lanes *u, Lanes *y)
{
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++) {
            Real sum = 0;
            for (int j = 0; j < STATE; j++)
                sum += W[i * STATE + j] * u->at[j][q] * u->at[j][q] * u->at[j][q];
            y->at[i][q] = sum;
        }
}

/* gu += (dy/du)' g, and the sum over the tile's samples of g (u^3)' is added to gW. */
static void field_vjp(const NdeTile *at, const Real *W, const Lanes *u, const Lanes *g, Lanes *gu, Real *gW)
{
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++)
            for (int j = 0; j < STATE; j++) {
                Real v = u->at[j][q];
                gu->at[j][q] += 3 * v * v * W[i * STATE + j] * g->at[i][q];
                gW[i * STATE + j] += at->mask[q] * g->at[i][q] * v * v * v;
            }
}

/* y = x + a k */
static void along(const Lanes *x, double a, const Lanes *k, Lanes *y)
{
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++)
            y->at[i][q] = x->at[i][q] + (Real)a * k->at[i][q];
}

/* ---- init (u, t, W) -> k1; guess (u, k1, t, span, W) -> h ---- */

static void init_tile(NdeTile *at)
{
    const NdeFrame *f = at->frame;
    field(f->in[2].at, lanes(at, f->in[0]), lanes(at, f->out[0]));
}

static int guess_shared(NdeFrame *f)
{
    *(double *)f->out[0].at = number(f->in[3]) / 50;
    return 0;
}

/* ---- step (u, k1, t, h, W) -> u1, k4, err, q [, k1, k2, k3, k4]; scaled: the same arguments -> err ---- */

typedef struct StepShared {
    double squares;
} StepShared;

typedef struct Step {
    Lanes k2, k3, u1, k4, scaled; /* scaled: the local error over the tolerance */
} Step;

static Step one_step(const NdeTile *at)
{
    const NdeFrame *f = at->frame;
    const Lanes *u = lanes(at, f->in[0]), *k1 = lanes(at, f->in[1]);
    const Real *W = f->in[4].at;
    double h = number(f->in[3]), atol = f->run->setting[SET_ATOL], rtol = f->run->setting[SET_RTOL];
    Step y;
    Lanes s, err;
    along(u, h / 2, k1, &s);
    field(W, &s, &y.k2);
    along(u, 3 * h / 4, &y.k2, &s);
    field(W, &s, &y.k3);
    along(u, 2 * h / 9, k1, &y.u1);
    along(&y.u1, h / 3, &y.k2, &y.u1);
    along(&y.u1, 4 * h / 9, &y.k3, &y.u1);
    field(W, &y.u1, &y.k4);
    memset(&err, 0, sizeof err);
    along(&err, -5 * h / 72, k1, &err);
    along(&err, h / 12, &y.k2, &err);
    along(&err, h / 9, &y.k3, &err);
    along(&err, -h / 8, &y.k4, &err);
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++) {
            double most = fmax(fabs((double)u->at[i][q]), fabs((double)y.u1.at[i][q]));
            y.scaled.at[i][q] = (Real)((double)err.at[i][q] / (atol + rtol * most));
        }
    return y;
}

static void run_step(NdeTile *at, bool keeps)
{
    const NdeFrame *f = at->frame;
    const Step y = one_step(at);
    double sum = 0;
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++)
            sum += (double)at->mask[q] * (double)y.scaled.at[i][q] * (double)y.scaled.at[i][q];
    *(double *)(void *)at->sum += sum;
    *lanes(at, f->out[0]) = y.u1;
    *lanes(at, f->out[1]) = y.k4;
    if (keeps) {
        *lanes(at, f->out[4]) = *lanes(at, f->in[1]);
        *lanes(at, f->out[5]) = y.k2;
        *lanes(at, f->out[6]) = y.k3;
        *lanes(at, f->out[7]) = y.k4;
    }
    if (f->run->is_watching)
        NDE_NAME(nde_watch)(f->run, at->tile, y.k4.at, sizeof y.k4 / sizeof(Real), false, 8, "slope");
}

static void scaled_tile(NdeTile *at)
{
    *lanes(at, at->frame->out[0]) = one_step(at).scaled;
}

static void step_tile(NdeTile *at)
{
    run_step(at, false);
}

static void step_keep_tile(NdeTile *at)
{
    run_step(at, true);
}

static int step_end(NdeFrame *f)
{
    const StepShared *s = f->shared;
    double err = sqrt(s->squares / (STATE * f->run->batch));
    *(double *)f->out[2].at = err;
    *(double *)f->out[3].at = fabs(number(f->in[3])) * err;
    return 0;
}

/* ---- dense (u, u1, k1..k4, h, theta) -> u(theta): cubic Hermite through u, k1, u1, k4; and its reverse, which adds ---- */

static void dense_tile(NdeTile *at)
{
    const NdeFrame *f = at->frame;
    double h = number(f->in[6]), x = number(f->in[7]);
    const double a[4] = {(1 + 2 * x) * (1 - x) * (1 - x), x * x * (3 - 2 * x), h * x * (1 - x) * (1 - x),
                         h * x * x * (x - 1)};
    const Lanes *v[4] = {lanes(at, f->in[0]), lanes(at, f->in[1]), lanes(at, f->in[2]), lanes(at, f->in[5])};
    Lanes y;
    memset(&y, 0, sizeof y);
    for (int k = 0; k < 4; k++)
        along(&y, a[k], v[k], &y);
    *lanes(at, f->out[0]) = y;
}

static void dense_vjp_tile(NdeTile *at)
{
    const NdeFrame *f = at->frame;
    double h = number(f->in[6]), x = number(f->in[7]);
    const double a[4] = {(1 + 2 * x) * (1 - x) * (1 - x), x * x * (3 - 2 * x), h * x * (1 - x) * (1 - x),
                         h * x * x * (x - 1)};
    static const int to[4] = {0, 1, 2, 5};
    const Lanes *g = lanes(at, f->in[8]);
    for (int k = 0; k < 4; k++)
        along(lanes(at, f->out[to[k]]), a[k], g, lanes(at, f->out[to[k]]));
}

/* ---- step_vjp (u, k1, t, h, W, gu1, gk4, gd1..gd4) -> gu, gk1 (set), gW (added) ---- */

static void step_vjp_tile(NdeTile *at)
{
    const NdeFrame *f = at->frame;
    const Lanes *u = lanes(at, f->in[0]), *k1 = lanes(at, f->in[1]), zero = {{{0}}};
    const Real *W = f->in[4].at;
    Real *gW = (Real *)(void *)at->sum;
    double h = number(f->in[3]);
    Lanes s2, s3, u1, k2, k3, gs, gu = *lanes(at, f->in[5]), gk1, gk2, gk3, gk4 = *lanes(at, f->in[6]);
    along(u, h / 2, k1, &s2);
    field(W, &s2, &k2);
    along(u, 3 * h / 4, &k2, &s3);
    field(W, &s3, &k3);
    along(u, 2 * h / 9, k1, &u1);
    along(&u1, h / 3, &k2, &u1);
    along(&u1, 4 * h / 9, &k3, &u1);
    along(&gk4, 1, lanes(at, f->in[10]), &gk4);
    field_vjp(at, W, &u1, &gk4, &gu, gW);
    along(lanes(at, f->in[7]), 2 * h / 9, &gu, &gk1);
    along(lanes(at, f->in[8]), h / 3, &gu, &gk2);
    along(lanes(at, f->in[9]), 4 * h / 9, &gu, &gk3);
    gs = zero;
    field_vjp(at, W, &s3, &gk3, &gs, gW);
    along(&gu, 1, &gs, &gu);
    along(&gk2, 3 * h / 4, &gs, &gk2);
    gs = zero;
    field_vjp(at, W, &s2, &gk2, &gs, gW);
    along(&gu, 1, &gs, &gu);
    along(&gk1, h / 2, &gs, &gk1);
    *lanes(at, f->out[0]) = gu;
    *lanes(at, f->out[1]) = gk1;
}

/* ---- init_vjp (u, t, W, gk1) -> gu, gW: both added ---- */

static void init_vjp_tile(NdeTile *at)
{
    const NdeFrame *f = at->frame;
    field_vjp(at, f->in[2].at, lanes(at, f->in[0]), lanes(at, f->in[3]), lanes(at, f->out[0]), (Real *)(void *)at->sum);
}

/* ---- tables ---- */

#define BATCHED     \
    {               \
        STATE, true \
    }
#define ONE      \
    {            \
        1, false \
    }
#define WEIGHT        \
    {                 \
        W_SIZE, false \
    }
static const NdeValue step_values[] = {BATCHED, BATCHED, ONE, ONE, BATCHED, BATCHED, BATCHED, BATCHED};
static const NdeSum step_sum[] = {{0, 1, -1, offsetof(StepShared, squares), 1}};
static const NdeSum step_vjp_sum[] = {{0, W_SIZE, 2, 0, 1}}, init_vjp_sum[] = {{0, W_SIZE, 1, 0, 1}};
static const NdePart init_part[] = {{NULL, init_tile, NULL, 0}}, guess_part[] = {{guess_shared, NULL, NULL, 0}};
static const NdePart step_part[] = {{NULL, step_tile, step_sum, 1}, {step_end, NULL, NULL, 0}};
static const NdePart step_keep_part[] = {{NULL, step_keep_tile, step_sum, 1}, {step_end, NULL, NULL, 0}};
static const NdePart dense_part[] = {{NULL, dense_tile, NULL, 0}}, dense_vjp_part[] = {{NULL, dense_vjp_tile, NULL, 0}};
static const NdePart scaled_part[] = {{NULL, scaled_tile, NULL, 0}};
static const NdePart step_vjp_part[] = {{NULL, step_vjp_tile, step_vjp_sum, 1}};
static const NdePart init_vjp_part[] = {{NULL, init_vjp_tile, init_vjp_sum, 1}};

/* flops are exaggerated so that even this small model is run by threads. */
#define FN(id, parts, count, inputs, outputs, set, shared, sums, number) \
    static const NdeFn fn_##id = {.name = #id,                           \
                                  .n_in = inputs,                        \
                                  .n_out = outputs,                      \
                                  .n_set = set,                          \
                                  .out = step_values,                    \
                                  .n_part = count,                       \
                                  .part = parts,                         \
                                  .shared_bytes = shared,                \
                                  .sum_bytes = sums,                     \
                                  .work_bytes = 64,                      \
                                  .flops = 1e6,                          \
                                  .index = number};
FN(init, init_part, 1, 3, 1, 1, 0, 0, 0)
FN(guess, guess_part, 1, 5, 1, 1, 0, 0, 1)
FN(step, step_part, 2, 5, 4, 4, sizeof(StepShared), sizeof(double), 2)
FN(step_keep, step_keep_part, 2, 5, 8, 8, sizeof(StepShared), sizeof(double), 3)
FN(dense, dense_part, 1, 8, 1, 1, 0, 0, 4)
FN(dense_vjp, dense_vjp_part, 1, 9, 6, 0, 0, 0, 5)
FN(step_vjp, step_vjp_part, 1, 11, 3, 2, 0, W_SIZE * sizeof(Real), 6)
FN(init_vjp, init_vjp_part, 1, 4, 2, 0, 0, W_SIZE * sizeof(Real), 7)
FN(scaled, scaled_part, 1, 5, 1, 1, 0, 0, 11)

static const NdeValue one_state[] = {BATCHED}, one_weight[] = {WEIGHT},
                      four_states[] = {BATCHED, BATCHED, BATCHED, BATCHED};
static const char *const state_name[] = {"u"};
static const int quantity_how[] = {0};

/* A test may change its copy before the engine is opened. */
static NdeSolve flow = {.name = "flow",
                        .index = 0,
                        .line = 14,
                        .method = "bosh3",
                        .n_state = 1,
                        .n_carry = 1,
                        .n_arg = 1,
                        .n_quantity = 1,
                        .n_dense = 4,
                        .n_save = 0,
                        .n_draw = 0,
                        .state_name = state_name,
                        .state = one_state,
                        .carry = one_state,
                        .arg = one_weight,
                        .dense_value = four_states,
                        .quantity_how = quantity_how,
                        .init = &fn_init,
                        .guess = &fn_guess,
                        .step = &fn_step,
                        .step_keep = &fn_step_keep,
                        .dense = &fn_dense,
                        .scaled = &fn_scaled,
                        .order = 3,
                        .embedded = 2,
                        .evaluations_step = 3,
                        .evaluations_init = 1,
                        .evaluations_guess = 1,
                        .is_adaptive = true,
                        .set_atol = SET_ATOL,
                        .set_rtol = SET_RTOL,
                        .set_t0 = SET_T0,
                        .set_t1 = SET_T1,
                        .set_fixed = -1,
                        .set_initial = -1,
                        .set_min = SET_MIN,
                        .set_max = SET_MAX,
                        .set_limit = SET_LIMIT,
                        .set_save = SET_SAVE,
                        .set_memory = -1,
                        .set_pid = -1,
                        .controller = "elementary"};

/* ---- train: -> loss, reg, evaluations, accepted, rejected, gW ---- */

enum { MOST_SAMPLES = 64, MOST_TILES = MOST_SAMPLES / TILE };

/* Where generated code would use its frame; one array for each so that a test can look at it. */
static Lanes end_state[MOST_TILES], saved_state[MOST_TILES][SAVES], drawn_state[MOST_TILES];
static Lanes g_end_state[MOST_TILES], g_saved_state[MOST_TILES][SAVES], g_drawn_state[MOST_TILES];
static double drawn_number[3], flow_quantity, flow_count[3];

static int solve_shared(NdeFrame *f)
{
    NdeRef in[2] = {f->run->data[0], {(void *)(uintptr_t)f->run->param, 0}}, out[12];
    int k = 0;
    out[k++] = (NdeRef){end_state, sizeof(Lanes)};
    if (flow.n_save)
        out[k++] = (NdeRef){saved_state, sizeof saved_state[0]};
    if (flow.n_draw) {
        out[k++] = (NdeRef){drawn_state, sizeof(Lanes)};
        for (int i = 0; i < 3; i++)
            out[k++] = (NdeRef){&drawn_number[i], 0};
    }
    out[k++] = (NdeRef){&flow_quantity, 0};
    for (int i = 0; i < 3; i++)
        out[k++] = (NdeRef){&flow_count[i], 0};
    return NDE_NAME(nde_solve)(f->run, &flow, in, out);
}

/* Adds mask / batch |u - v|^2 to the group's loss and writes its cotangent. */
static void square(NdeTile *at, const Lanes *u, const Lanes *v, Lanes *g)
{
    double sum = 0;
    for (int q = 0; q < TILE; q++)
        for (int i = 0; i < STATE; i++) {
            double d = (double)u->at[i][q] - (v ? (double)v->at[i][q] : 0), w = (double)at->mask[q] / at->run->batch;
            sum += w * d * d;
            g->at[i][q] = (Real)(2 * w * d);
        }
    *(double *)(void *)at->sum += sum;
}

static void loss_tile(NdeTile *at)
{
    int k = at->tile;
    square(at, &end_state[k], lanes(at, at->run->data[1]), &g_end_state[k]);
    for (int i = 0; i < flow.n_save; i++)
        square(at, &saved_state[k][i], NULL, &g_saved_state[k][i]);
    if (flow.n_draw)
        square(at, &drawn_state[k], NULL, &g_drawn_state[k]);
}

static int reverse_shared(NdeFrame *f)
{
    static const bool want[] = {false, true}, seed_carry[] = {true};
    int seeded[3] = {0}, n = 1;
    NdeRef in[2] = {f->run->data[0], {(void *)(uintptr_t)f->run->param, 0}}, seed[3] = {{g_end_state, sizeof(Lanes)}};
    if (flow.n_save) {
        seeded[n] = nde_result_saved(&flow, 0);
        seed[n++] = (NdeRef){g_saved_state, sizeof g_saved_state[0]};
    }
    if (flow.n_draw) {
        seeded[n] = nde_result_drawn(&flow, 0);
        seed[n++] = (NdeRef){g_drawn_state, sizeof(Lanes)};
    }
    NdeSolveVjp vjp = {.solve = &flow,
                       .want = want,
                       .seed = seeded,
                       .n_seed = n,
                       .seed_carry = seed_carry,
                       .seed_dense = true,
                       .step_vjp = &fn_step_vjp,
                       .dense_vjp = &fn_dense_vjp,
                       .init_vjp = &fn_init_vjp};
    *(double *)f->out[1].at = 0;
    for (int i = 0; i < 3; i++)
        *(double *)f->out[2 + i].at = flow_count[i];
    return NDE_NAME(nde_solve_vjp)(f->run, &vjp, in, seed, &f->out[5]);
}

static const NdeSum loss_sum[] = {{0, 1, 0, 0, 1}};
static const NdePart train_part[] = {{solve_shared, loss_tile, loss_sum, 1}, {reverse_shared, NULL, NULL, 0}};
static int hyper_shared(NdeFrame *f)
{
    *(double *)f->out[0].at = 0.05;
    *(double *)f->out[1].at = 0.9;
    *(double *)f->out[2].at = 0;
    return 0;
}
static int eval_shared(NdeFrame *f)
{
    for (int i = 0; i < 3; i++)
        *(double *)f->out[1 + i].at = flow_count[i];
    return 0;
}
static const NdePart hyper_part[] = {{hyper_shared, NULL, NULL, 0}};
static const NdePart eval_parts[] = {{solve_shared, loss_tile, loss_sum, 1}, {eval_shared, NULL, NULL, 0}};
FN(train, train_part, 2, 0, 6, 6, 0, sizeof(double), 8)
FN(eval, eval_parts, 2, 0, 4, 4, 0, sizeof(double), 9)
FN(hyper, hyper_part, 1, 0, 3, 3, 0, 0, 10)

static const NdeFn *const all_fn[] = {&fn_init,     &fn_guess,    &fn_step,  &fn_step_keep, &fn_dense, &fn_dense_vjp,
                                      &fn_step_vjp, &fn_init_vjp, &fn_train, &fn_eval,      &fn_hyper, &fn_scaled};
static const NdeSolve *const all_solve[] = {&flow};
static const double first_W[] = {-0.1, 2, -2, -0.1};
static const NdeParam all_param[] = {
    {.name = "field.W", .n = W_SIZE, .rank = 2, .dim = {2, 2}, .init = "array", .init_array = first_W, .line = 8}};
static NdeSetting all_setting[SETTINGS + 4] = {{"flow.t0", 0, 0},
                                               {"flow.t1", 1, 0},
                                               {"flow.tolerance.abs", 1e-6, 0},
                                               {"flow.tolerance.rel", 1e-6, 0},
                                               {"flow.fixed", 0, 0},
                                               {"flow.min", 0, 0},
                                               {"flow.max", 1e9, 0},
                                               {"flow.limit", 10000, 0},
                                               {"flow.save.0", 0, 0},
                                               {"flow.save.1", 0, 0},
                                               {"flow.save.2", 0, 0},
                                               {"flow.memory", 1, 0},
                                               {"train.steps", 20, 0},
                                               {"train.batch", 7, 0},
                                               {"train.evaluate", 5, 0},
                                               {"train.seed", 3, 0}};
static const NdeDataField all_data[] = {{.name = "start", .rank = 1, .dim = {2}, .n = 2},
                                        {.name = "goal", .rank = 1, .dim = {2}, .n = 2}};
static const unsigned char all_needs[] = {1, 1};
static const char *const data_file[] = {"spiral_test.csv"};
static const NdeSource all_source[] = {{.kind = "csv", .file = data_file, .n_file = 1, .rows = 1, .set_scale = -1}};
static const NdeTrain train_block = {.data = all_source,
                                     .n_data = 1,
                                     .set_steps = SETTINGS,
                                     .set_batch = SETTINGS + 1,
                                     .set_split = -1,
                                     .set_evaluate = SETTINGS + 2,
                                     .set_clip = -1,
                                     .set_patience = -1,
                                     .set_seed = SETTINGS + 3,
                                     .optimizer = "sgd",
                                     .n_hyper = 3};
static const NdeModel spiral = {.name = "spiral",
                                .file = "spiral.nde",
                                .source = "",
                                .compiler = "by hand",
                                .source_hash = 77,
                                .tile = TILE,
                                .is_double = sizeof(Real) == 8,
                                .isa = "by hand",
                                .n_param = 1,
                                .n_setting = SETTINGS + 4,
                                .n_data = 2,
                                .n_fn = 12,
                                .n_solve = 1,
                                .param_count = W_SIZE,
                                .param = all_param,
                                .setting = all_setting,
                                .data = all_data,
                                .fn = all_fn,
                                .solve = all_solve,
                                .train_fn = &fn_train,
                                .eval_fn = &fn_eval,
                                .hyper_fn = &fn_hyper,
                                .train_needs = all_needs,
                                .eval_needs = all_needs,
                                .train = &train_block};

#endif
