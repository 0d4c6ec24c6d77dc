/* tape.c: a solve whose tape has a bound: the loss and the gradient are the same to the bit, whatever it is, the bound
 * is kept, and no step is run again more often than the schedule promises. */
#define NDE_DOUBLE
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "spiral_model.h"

enum { SAMPLES = 6, LIMIT = 2000 };

static NdeEngine engine;
static NdeError error;
static NdeSolve first_flow;
static long steps_run; /* of fn_step and fn_step_keep */
static NdeFn counted_step, counted_step_keep;
static NdePart step_parts[2], step_keep_parts[2];

static int count_step(NdeFrame *f)
{
    steps_run++;
    return step_end(f);
}

/* The step functions with an end that counts. */
static void setup(void)
{
    first_flow = flow;
    for (int i = 0; i < 2; i++) {
        step_parts[i] = step_part[i];
        step_keep_parts[i] = step_keep_part[i];
    }
    step_parts[1].shared = step_keep_parts[1].shared = count_step;
    counted_step = fn_step;
    counted_step.part = step_parts;
    counted_step_keep = fn_step_keep;
    counted_step_keep.part = step_keep_parts;
    flow.step = &counted_step;
    flow.step_keep = &counted_step_keep;
}

static void teardown(void)
{
    nde_engine_close(&engine);
    flow = first_flow;
}

static void open(void)
{
    const double time[SAVES] = {0.21, 0.77, 1};
    ck_assert_int_eq(nde_engine_open(&engine, &spiral, SAMPLES, 1, &error), 0);
    engine.seed = 11;
    memcpy(engine.param, first_W, sizeof first_W);
    for (int k = 0; k < engine.run.n_tile * TILE; k++)
        for (int d = 0; d < 2; d++)
            for (int i = 0; i < STATE; i++) {
                int who = k < SAMPLES ? k : SAMPLES - 1;
                ((Lanes *)engine.data[d].at)[k / TILE].at[i][k % TILE] =
                    d ? 0.1 * i - 0.02 * who : 1 - 0.4 * i + 0.03 * who;
            }
    for (int i = 0; i < SAVES; i++)
        engine.setting[SET_SAVE + i] = time[i];
    engine.setting[SET_LIMIT] = LIMIT;
    engine.is_taping = true;
}

typedef struct Result {
    double number[5], gradient[W_SIZE];
} Result;

static int run(Result *r)
{
    NdeRef out[6];
    memset(r, 0, sizeof *r);
    for (int i = 0; i < 5; i++)
        out[i] = (NdeRef){&r->number[i], 0};
    out[5] = (NdeRef){r->gradient, 0};
    steps_run = 0;
    return nde_frame_run(&engine, &fn_train, NULL, out);
}

/* Bytes of a tape that keeps `checkpoints` slots and the three that a step and its reverse need. */
static size_t bytes_for(int checkpoints)
{
    size_t points = ((LIMIT + 2) * sizeof(NdePoint) + 63) / 64 * 64;
    return points + (size_t)(checkpoints + 3) * engine.flow[0].tape.slot_bytes;
}

static void bound(size_t bytes)
{
    flow.set_memory = SET_MEMORY;
    engine.setting[SET_MEMORY] = (double)bytes / 1048576;
}

/* What the tape took from the machine, and what it says. */
static void check_bound(size_t bytes)
{
    const NdeTape *tape = &engine.flow[0].tape;
    ck_assert_uint_eq(tape->bound, bytes);
    ck_assert_uint_le(tape->bytes + (size_t)tape->room * sizeof(NdePoint), bytes);
    ck_assert_uint_le((size_t)tape->places * tape->slot_bytes, tape->bytes);
    ck_assert_uint_le(nde_tape_bytes(tape), bytes);
    ck_assert_int_eq(tape->n_chunk, 0);
}

/* Bits of _i: saved times, draws, biased, kept d, exact saves. */
START_TEST(a_bound_changes_no_bit)
{
    Result free, bounded;
    flow.n_save = _i & 1 ? SAVES : 0;
    flow.n_draw = _i & 2 ? 1 : 0;
    flow.n_unbiased = _i & 4 ? 0 : flow.n_draw;
    flow.keeps_dense = _i & 8;
    flow.saves_exactly = _i & 16;
    open();
    engine.setting[SET_ATOL] = engine.setting[SET_RTOL] = 1e-7;
    ck_assert_int_eq(run(&free), 0);
    int steps = (int)flow_count[1];
    ck_assert_int_gt(steps, 50);
    nde_engine_close(&engine);
    const int room[] = {1, 2, 3, 4, 5, 6, 8, 11, 17, steps / 3, steps / 2, steps - 1, steps, steps + 1, 2 * steps};
    for (size_t k = 0; k < sizeof room / sizeof *room; k++) {
        open();
        engine.setting[SET_ATOL] = engine.setting[SET_RTOL] = 1e-7;
        bound(bytes_for(room[k]));
        long allocations = 0;
        for (int again = 0; again < 2; again++) {
            ck_assert_msg(run(&bounded) == 0, "%s", error.text);
            ck_assert_mem_eq(&free, &bounded, sizeof free);
            check_bound(bytes_for(room[k]));
            ck_assert(again == 0 || engine.allocations == allocations);
            allocations = engine.allocations;
        }
        nde_engine_close(&engine);
    }
}
END_TEST

/* Steps run beside those of the solve itself, for `steps` steps and room for some checkpoints. */
static long run_again(int steps, int checkpoints)
{
    Result r;
    flow.set_fixed = SET_FIXED;
    open();
    engine.setting[SET_FIXED] = 1.0 / steps;
    bound(bytes_for(checkpoints));
    ck_assert_msg(run(&r) == 0, "%s", error.text);
    ck_assert_double_eq(flow_count[1], steps);
    long n = steps_run - steps;
    nde_engine_close(&engine);
    return n;
}

/* The steps that are run, the solve itself included, where all is known in advance and s slots are there for l steps:
 * r l - (s + r over s + 1) with (s + r - 1 over s) < l <= (s + r over s) (Griewank & Walther 2000). */
static double least_steps(int l, int s)
{
    double beta = 1, over = 0; /* (s + r over s), (s + r over s + 1) */
    int r = 0;
    while (beta < l) {
        r++;
        over += beta;
        beta = beta * (s + r) / r;
    }
    return (double)r * l - over;
}

START_TEST(few_steps_are_run_again)
{
    enum { STEPS = 1000 };
    ck_assert_double_eq(least_steps(10, 3), 15); /* 10 = (5 over 3): 2 * 10 - (5 over 4) */
    ck_assert_int_eq(run_again(STEPS, 1), (long)STEPS * (STEPS - 1) / 2);
    ck_assert_int_eq(run_again(STEPS, STEPS), 0);
    ck_assert_int_eq(run_again(STEPS, STEPS - 1), STEPS / 2);
    for (int s = 2; s < STEPS; s = 3 * s / 2) {
        double n = STEPS + (double)run_again(STEPS, s), least = least_steps(STEPS, s);
        ck_assert_msg(n < 1.3 * least, "%g steps with %d slots, but %g are enough", n, s, least);
    }
}
END_TEST

START_TEST(too_small_a_bound_says_what_the_least_one_is)
{
    Result r;
    char least[64];
    open();
    bound(bytes_for(1) - 1);
    ck_assert_int_eq(run(&r), NDE_EXIT_FILE);
    snprintf(least, sizeof least, "at least %zu KiB", (bytes_for(1) + 1023) / 1024);
    ck_assert_msg(strstr(error.text, least) && strstr(error.text, "flow.memory"), "%s", error.text);
    double mib = strtod(strstr(error.text, "flow.memory=") + strlen("flow.memory="), NULL);
    engine.setting[SET_MEMORY] = mib;
    ck_assert_int_eq(run(&r), 0);
    static const double none[] = {0, -1, NAN};
    for (int i = 0; i < 3; i++) {
        engine.setting[SET_MEMORY] = none[i];
        ck_assert_int_eq(run(&r), NDE_EXIT_FILE);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tape");
    TCase *c = tcase_create("all");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, a_bound_changes_no_bit, 0, 32);
    tcase_add_test(c, few_steps_are_run_again);
    tcase_add_test(c, too_small_a_bound_says_what_the_least_one_is);
    tcase_set_timeout(c, 60);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
