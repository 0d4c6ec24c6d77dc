/* solve.c: the loop over steps: order, tolerance, saved and drawn times, direction, limits, and the reverse against
 * differences of the whole solve. */
#define NDE_DOUBLE
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "spiral_model.h"

static NdeEngine engine;
static NdeError error;
static NdeSolve first_flow;
static bool is_open;

static void setup(void)
{
    first_flow = flow;
    is_open = false;
}

static void teardown(void)
{
    if (is_open)
        nde_engine_close(&engine);
    flow = first_flow;
}

/* The engine for n samples that start and should end at places of their own. Settings of `flow` are made before. */
static void open(int n)
{
    if (is_open)
        nde_engine_close(&engine);
    ck_assert_int_eq(nde_engine_open(&engine, &spiral, n, 1, &error), 0);
    is_open = true;
    engine.seed = 11;
    memcpy(engine.param, first_W, sizeof first_W);
    for (int k = 0; k < engine.run.n_tile * TILE; k++)
        for (int d = 0; d < 2; d++)
            for (int i = 0; i < STATE; i++) {
                int who = k < n ? k : n - 1;
                ((Lanes *)engine.data[d].at)[k / TILE].at[i][k % TILE] =
                    d ? 0.1 * i - 0.02 * who : 1 - 0.4 * i + 0.03 * who;
            }
}

static void tolerance(double x)
{
    engine.setting[SET_ATOL] = engine.setting[SET_RTOL] = x;
}

/* Runs the eval or the train program; gives the loss. */
static double run(bool is_training, double *gradient)
{
    double number[5], g[W_SIZE] = {0};
    NdeRef out[6];
    for (int i = 0; i < 5; i++)
        out[i] = (NdeRef){&number[i], 0};
    out[5] = (NdeRef){g, 0};
    engine.is_taping = is_training;
    ck_assert_msg(nde_frame_run(&engine, is_training ? &fn_train : &fn_eval, NULL, out) == 0, "%s", error.text);
    if (gradient)
        memcpy(gradient, g, sizeof g);
    return number[0];
}

static Lanes fine_end(void)
{
    tolerance(1e-12);
    run(false, NULL);
    return end_state[0];
}

static double distance(const Lanes *a, const Lanes *b)
{
    double most = 0;
    for (int i = 0; i < STATE; i++)
        most = fmax(most, fabs(a->at[i][0] - b->at[i][0]));
    return most;
}

START_TEST(fixed_steps_have_the_order_of_the_method)
{
    open(1);
    Lanes exact = fine_end();
    flow.set_fixed = SET_FIXED;
    double err[2];
    for (int i = 0; i < 2; i++) {
        engine.setting[SET_FIXED] = i ? 0.01 : 0.02;
        run(false, NULL);
        err[i] = distance(&end_state[0], &exact);
        ck_assert_double_eq(flow_count[1], i ? 100 : 50);
        ck_assert_double_eq(flow_count[2], 0);
    }
    ck_assert_double_eq_tol(log2(err[0] / err[1]), 3, 0.1);
}
END_TEST

START_TEST(a_last_fixed_step_is_shortened)
{
    open(1);
    Lanes exact = fine_end();
    flow.set_fixed = SET_FIXED;
    engine.setting[SET_FIXED] = 0.03;
    run(false, NULL);
    ck_assert_double_eq(flow_count[1], 34);
    ck_assert_double_eq(engine.flow[0].tape.point[34].t, 1);
    ck_assert(distance(&end_state[0], &exact) < 1e-4);
}
END_TEST

START_TEST(the_error_follows_the_tolerance)
{
    open(5);
    Lanes exact = fine_end();
    double before = 1;
    for (double x = 1e-3; x > 1e-9; x /= 100) {
        tolerance(x);
        run(false, NULL);
        double now = distance(&end_state[0], &exact);
        ck_assert_msg(now < 100 * x && now < before / 5, "tolerance %g: error %g after %g", x, now, before);
        before = now;
        ck_assert_double_eq(flow_count[0], 2 + 3 * (flow_count[1] + flow_count[2]));
    }
}
END_TEST

START_TEST(backwards_leads_back)
{
    open(3);
    tolerance(1e-11);
    Lanes begin = ((Lanes *)engine.data[0].at)[0];
    run(false, NULL);
    ((Lanes *)engine.data[0].at)[0] = end_state[0];
    engine.setting[SET_T0] = 1;
    engine.setting[SET_T1] = 0;
    run(false, NULL);
    ck_assert(distance(&end_state[0], &begin) < 1e-8);
    ck_assert(engine.flow[0].tape.point[0].h < 0);
}
END_TEST

START_TEST(saved_states_are_those_of_a_solve_that_ends_there)
{
    flow.n_save = SAVES;
    flow.keeps_dense = _i == 0;
    flow.saves_exactly = _i == 2;
    open(6);
    tolerance(1e-9);
    const double time[SAVES] = {0, 0.37, 1};
    for (int i = 0; i < SAVES; i++)
        engine.setting[SET_SAVE + i] = time[i];
    run(false, NULL);
    Lanes middle = saved_state[1][1], last = end_state[1];
    ck_assert_mem_eq(&saved_state[1][0], &((Lanes *)engine.data[0].at)[1], sizeof(Lanes));
    ck_assert_mem_eq(&saved_state[1][2], &last, sizeof last);
    flow.n_save = 0;
    engine.setting[SET_T1] = time[1];
    run(false, NULL);
    ck_assert(distance(&middle, &end_state[1]) < 1e-7);
}
END_TEST

START_TEST(a_save_outside_of_the_span_is_refused)
{
    flow.n_save = SAVES;
    open(1);
    engine.setting[SET_SAVE] = 1.5;
    NdeRef out[4] = {{0}};
    ck_assert_int_eq(nde_frame_run(&engine, &fn_eval, NULL, out), NDE_EXIT_FILE);
    ck_assert_ptr_nonnull(strstr(error.text, "1.5"));
}
END_TEST

START_TEST(drawn_times_are_what_they_should_be)
{
    flow.n_draw = 1;
    flow.n_unbiased = !_i;
    open(4);
    tolerance(1e-7);
    double sum = 0;
    int n = 200;
    for (int step = 1; step <= n; step++) {
        engine.run.train_step = step;
        run(true, NULL);
        const NdeTape *tape = &engine.flow[0].tape;
        double t = drawn_number[0];
        ck_assert(t >= 0 && t < 1 && drawn_number[1] == 1 - t);
        int in = 0;
        while (tape->point[in + 1].t <= t)
            in++;
        ck_assert_double_eq(drawn_number[2], tape->point[in].h);
        if (_i)
            ck_assert(in > 0 && tape->point[in].t == t);
        sum += t;
    }
    if (!_i) /* the mean of n uniform numbers */
        ck_assert_double_eq_tol(sum / n, 0.5, 4 * sqrt(1.0 / 12 / n));
    Lanes drawn = drawn_state[0];
    flow.n_draw = flow.n_unbiased = 0;
    engine.setting[SET_T1] = drawn_number[0];
    run(false, NULL);
    ck_assert(distance(&drawn, &end_state[0]) < 1e-5);
}
END_TEST

/* Recorded steps and draws are repeated while the weights change. */
static void check_gradient(void)
{
    double g[W_SIZE], most = 0;
    ck_assert_int_eq(nde_replay_begin(&engine, NDE_RECORD), 0);
    run(true, g);
    for (int i = 0; i < W_SIZE; i++)
        most = fmax(most, fabs(g[i]));
    for (int i = 0; i < W_SIZE; i++) {
        double loss[4], d = 1e-3, x = engine.param[i];
        static const double at[] = {1, -1, 2, -2};
        for (int k = 0; k < 4; k++) {
            engine.param[i] = x + d * at[k];
            ck_assert_int_eq(nde_replay_begin(&engine, NDE_REPLAY), 0);
            loss[k] = run(true, NULL);
        }
        engine.param[i] = x;
        double slope = (8 * (loss[0] - loss[1]) - (loss[2] - loss[3])) / (12 * d);
        ck_assert_msg(fabs(slope - g[i]) < 1e-8 * most, "W[%d]: %.12g, but differences give %.12g", i, g[i], slope);
    }
}

/* Bits of _i: saved times, draws, biased, kept d, exact saves. */
START_TEST(the_reverse_is_the_gradient)
{
    flow.n_save = _i & 1 ? SAVES : 0;
    flow.n_draw = _i & 2 ? 1 : 0;
    flow.n_unbiased = _i & 4 ? 0 : flow.n_draw;
    flow.keeps_dense = _i & 8;
    flow.saves_exactly = _i & 16;
    open(6);
    const double time[SAVES] = {0.21, 0.77, 1};
    for (int i = 0; i < SAVES; i++)
        engine.setting[SET_SAVE + i] = time[i];
    tolerance(1e-5);
    check_gradient();
}
END_TEST

START_TEST(the_reverse_also_runs_backwards_and_with_fixed_steps)
{
    flow.n_save = SAVES;
    flow.n_draw = flow.n_unbiased = 1;
    flow.set_fixed = _i ? SET_FIXED : -1;
    open(2);
    const double time[SAVES] = {0, 0.5, 1};
    for (int i = 0; i < SAVES; i++)
        engine.setting[SET_SAVE + i] = time[i];
    engine.setting[SET_FIXED] = 0.07;
    engine.setting[SET_T0] = 1;
    engine.setting[SET_T1] = 0;
    check_gradient();
}
END_TEST

/* ---- failures ---- */

static void fails(const char *first, const char *second)
{
    double number[4];
    NdeRef out[4];
    for (int i = 0; i < 4; i++)
        out[i] = (NdeRef){&number[i], 0};
    ck_assert_int_eq(nde_frame_run(&engine, &fn_eval, NULL, out), NDE_EXIT_NUMERICAL);
    ck_assert_msg(strstr(error.text, first) && strstr(error.text, second), "'%s' or '%s' is missing in: %s", first,
                  second, error.text);
}

START_TEST(too_many_steps)
{
    open(3);
    tolerance(1e-9);
    engine.setting[SET_LIMIT] = 10;
    fails("limit of steps", "flow.limit");
}
END_TEST

START_TEST(a_step_that_underflows)
{
    open(3);
    tolerance(1e-40);
    fails("step size fell", "largest error: u[");
}
END_TEST

START_TEST(a_minimal_step)
{
    open(3);
    tolerance(1e-12);
    engine.setting[SET_MIN] = 0.2;
    fails("smaller step than", "flow.min");
}
END_TEST

START_TEST(a_value_that_is_not_finite)
{
    open(6);
    ((Lanes *)engine.data[0].at)[1].at[1][1] = HUGE_VAL;
    fails("not finite", "slope[0], sample 5 of the batch, at spiral.nde:8");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("solve");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, fixed_steps_have_the_order_of_the_method);
    tcase_add_test(c, a_last_fixed_step_is_shortened);
    tcase_add_test(c, the_error_follows_the_tolerance);
    tcase_add_test(c, backwards_leads_back);
    tcase_add_loop_test(c, saved_states_are_those_of_a_solve_that_ends_there, 0, 3);
    tcase_add_test(c, a_save_outside_of_the_span_is_refused);
    tcase_add_loop_test(c, drawn_times_are_what_they_should_be, 0, 2);
    tcase_add_loop_test(c, the_reverse_is_the_gradient, 0, 32);
    tcase_add_loop_test(c, the_reverse_also_runs_backwards_and_with_fixed_steps, 0, 2);
    tcase_add_test(c, too_many_steps);
    tcase_add_test(c, a_step_that_underflows);
    tcase_add_test(c, a_minimal_step);
    tcase_add_test(c, a_value_that_is_not_finite);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
