/* pace.c: the choice of steps of one sample alone is that of control.c to parts in ten thousand: factors after
 * random sequences of errors, and sizes, and steps that meet the ends of the span. */
#define NDE_DOUBLE
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "nde_latency.h"
#include "run.h"

static const char *const name[] = {"pi82", "elementary", "sciml", "pi", "pid", "h211b", "h312b"};
enum { NAMES = sizeof name / sizeof *name };

/* Errors from far below the floor to far above the tolerance, most of them near it. */
static double next_error(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    double x = (double)(*state >> 11) / 9007199254740992.0;
    return exp(12 * (x - 0.85));
}

START_TEST(factors_are_those_of_the_controller)
{
    NdeLatency s = {.t0 = 0, .t1 = 1e300, .most = HUGE_VAL, .limit = 1000};
    NdeController c;
    uint64_t state = (uint64_t)_i + 1;
    nde_latency_control(&s, nde_control_find(name[_i]), 5, 4);
    nde_control_begin(&c, nde_control_find(name[_i]), 5, 4);
    Pace p = l_begin(&s, 1, 3);
    for (int k = 0; k < 400; k++) {
        double err = k % 50 == 7 ? 0 : k % 50 == 9 ? (double)NAN : next_error(&state);
        p.h = exp2(2 * sin(k));
        double h = p.h, scale = k % 3 ? exp(-20 * next_error(&state)) : 1;
        p.is_cut = false;
        bool is_accepted = l_judge(&s, &p, 3 * err * err * scale, scale);
        double want = nde_control_factor(&c, err, h);
        ck_assert_int_eq(is_accepted, err <= 1);
        ck_assert_msg(fabs(p.h / h / want - 1) < 7e-4, "%s, attempt %d, error %g: factor %g, not %g", name[_i], k, err,
                      p.h / h, want);
    }
    ck_assert_int_gt((int)p.rejected, 20);
}
END_TEST

/* Forwards and backwards: the last step is stretched or cut, and what was wanted before a cut is wanted again. */
START_TEST(steps_meet_the_end)
{
    double way = _i ? -1 : 1;
    NdeLatency s = {.t0 = 2, .t1 = 2 + way, .most = 0.25, .limit = 1000, .stretch = 1.25};
    s.factor_most = 3, s.factor_least = -2, s.floor = -30, s.b1 = 0.1;
    Pace p = l_begin(&s, way, 1);
    p.h = way * 0.4;
    ck_assert(l_choose(&s, &p, s.t1)); /* held at the most */
    ck_assert_double_eq(p.h, way * 0.25);
    p.t = 2 + way * 0.8;
    p.h = way * 0.18;
    ck_assert(l_choose(&s, &p, s.t1)); /* 0.2 are left: stretched */
    ck_assert_double_eq(p.end, s.t1);
    ck_assert_double_eq_tol(p.h, way * 0.2, 1e-15);
    p.t = 2 + way * 0.7;
    p.h = way * 0.25;
    ck_assert(l_choose(&s, &p, s.t1)); /* 0.3 are left, more than the most */
    ck_assert_double_eq_tol(p.h, way * 0.25, 1e-15);
    p.t = 2 + way * 0.9;
    p.h = way * 0.25;
    ck_assert(l_choose(&s, &p, s.t1)); /* 0.1 are left: cut */
    ck_assert_double_eq(p.end, s.t1);
    ck_assert(p.is_cut);
    ck_assert(l_judge(&s, &p, 1, 1));
    ck_assert_double_eq(p.h, way * 0.25);
    ck_assert_double_eq(p.t, s.t1);
}
END_TEST

/* Nothing is accepted by comparing infinities, zeros or what is left of a number below the least. */
START_TEST(a_scale_that_is_no_number_is_left_to_the_ordinary_way)
{
    NdeLatency s = {.t0 = 0, .t1 = 1, .most = HUGE_VAL, .limit = 1000};
    nde_latency_control(&s, nde_control_find("elementary"), 5, 4);
    const double wrong[][2] = {{HUGE_VAL, HUGE_VAL}, {0, 0}, {1, HUGE_VAL}, {0, DBL_MIN / 4}, {1, (double)NAN}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        Pace p = l_begin(&s, 1, 2);
        p.h = 0.1;
        ck_assert(!l_judge(&s, &p, wrong[i][0], wrong[i][1]) && p.is_lost);
    }
    Pace p = l_begin(&s, 1, 2);
    p.h = 0.1;
    ck_assert(l_judge(&s, &p, DBL_MIN, DBL_MIN));
}
END_TEST

START_TEST(powers_are_near)
{
    for (double x = -10; x < 10; x += 0.0137) {
        ck_assert_double_eq_tol(l_log2(exp2(x)), x, 9e-4);
        ck_assert_double_eq_tol(l_exp2(x) / exp2(x), 1, 3e-4);
        if (x >= 3 * log2(0.2) && x <= 3 * log2(10))
            ck_assert_double_eq_tol(l_power(x / 3) / exp2(x / 3), 1, 4e-5);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pace");
    TCase *tc = tcase_create("pace");
    tcase_add_loop_test(tc, factors_are_those_of_the_controller, 0, NAMES);
    tcase_add_loop_test(tc, steps_meet_the_end, 0, 2);
    tcase_add_test(tc, a_scale_that_is_no_number_is_left_to_the_ordinary_way);
    tcase_add_test(tc, powers_are_near);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
