/* control.c: step size controllers do what their rows say. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "control.h"

static NdeController begun(const char *name)
{
    NdeController c;
    nde_control_begin(&c, nde_control_find(name), 5, 4);
    return c;
}

START_TEST(elementary_follows_the_fifth_root)
{
    NdeController c = begun("elementary");
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.01, 1), 0.95 * pow(0.01, -0.2), 1e-14);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.5, 1), 0.95 * pow(0.5, -0.2), 1e-14);
    ck_assert_double_eq_tol(nde_control_factor(&c, 32, 1), 0.475, 1e-14);
}
END_TEST

START_TEST(factors_stay_in_their_range)
{
    NdeController c = begun("elementary");
    ck_assert_double_eq(nde_control_factor(&c, 0, 1), 10);
    ck_assert_double_eq(nde_control_factor(&c, 1e-30, 1), 10);
    ck_assert_double_eq(nde_control_factor(&c, 1e30, 1), 0.2);
    ck_assert_double_eq(nde_control_factor(&c, nan(""), 1), 0.2);
    ck_assert_double_eq(nde_control_factor(&c, HUGE_VAL, 1), 0.2);
}
END_TEST

START_TEST(no_growth_right_after_a_rejection)
{
    NdeController c = begun("elementary");
    ck_assert(nde_control_factor(&c, 2, 1) < 1);
    ck_assert_double_eq(nde_control_factor(&c, 1e-6, 1), 1);
    ck_assert_double_eq(nde_control_factor(&c, 1e-6, 1), 10);
}
END_TEST

/* q = E^0.14 / E1^0.08 / 0.9 for order 5, with E1 at least 1e-4 and 1e-4 at first (OrdinaryDiffEq.jl). */
START_TEST(sciml_remembers_the_error_before)
{
    NdeController c = begun("sciml");
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.3, 1), 0.9 * pow(0.3, -0.14) * pow(1e-4, 0.08), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.9, 1), 0.9 * pow(0.9, -0.14) * pow(0.3, 0.08), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 4, 1), 0.9 * pow(4, -0.14), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 1e-9, 1), fmin(10, 0.9 * pow(1e-9, -0.14) * pow(0.9, 0.08)), 1e-12);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.5, 1), 0.9 * pow(0.5, -0.14) * pow(1e-4, 0.08), 1e-13);
}
END_TEST

/* The first rejection of a step makes the default careful, to a degree, those of the same step do not; accepted steps
 * undo it. */
START_TEST(safety_adapts)
{
    NdeController c = begun("pi82");
    const double careful = 0.95 * 0.92;
    ck_assert_double_eq_tol(nde_control_factor(&c, 4, 1), careful * pow(4, -0.2), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 4, 1), careful * pow(4, -0.2), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 1, 1), careful * 1.006, 1e-13);
    ck_assert_double_eq(nde_control_factor(&c, (double)NAN, 1), 0.2);
    ck_assert_double_eq_tol(nde_control_factor(&c, 1, 1), careful * 1.006 * 0.92 * 1.006, 1e-13);
    for (int n = 0; n < 40; n++)
        nde_control_factor(&c, 1, 1);
    ck_assert_double_eq_tol(nde_control_factor(&c, 1, 1), 0.95, 1e-13);
    for (int n = 0; n < 40; n++) {
        ck_assert_double_gt(nde_control_factor(&c, 4, 1), 0.699 * pow(4, -0.2));
        nde_control_factor(&c, 1, 1);
    }
    ck_assert_double_eq_tol(nde_control_factor(&c, 4, 1), 0.7 * pow(4, -0.2), 1e-13);
}
END_TEST

/* An error that is (h / 0.01)^5 is held where the factor is 1: at safety^(5 / (b1 - b2 + b3)), from any start. */
static const char *const all[] = {"pi82", "elementary", "sciml", "pi", "pid", "h211b", "h312b"};

START_TEST(errors_go_to_the_target)
{
    NdeController c = begun(all[_i]);
    const NdeControl *r = nde_control_find(all[_i]);
    double h = _i % 2 ? 1e-4 : 0.3, target = pow(r->safety, 5 / (r->b1 - r->b2 + r->b3));
    for (int n = 0; n < 100; n++)
        h *= nde_control_factor(&c, pow(h / 0.01, 5), h);
    ck_assert_double_eq_tol(pow(h / 0.01, 5), target, 1e-8 * target);
}
END_TEST

/* The filters H211b and H312b are made so that, where errors follow the fifth power of h, the distance of log h from
 * its limit is halved in each step for b = 4 and b = 8, whatever the norms before: all other poles are 0 (Soderlind
 * 2003). */
START_TEST(filters_halve_the_distance)
{
    NdeController c = begun(_i ? "h312b" : "h211b");
    double h = 0.007, limit = log(0.01) + 2 * log(0.9), before = NAN;
    for (int n = 0; n < 20; n++) {
        double distance = log(h) - limit;
        if (n > 3)
            ck_assert_double_eq_tol(distance, before / 2, 1e-12);
        before = distance;
        h *= nde_control_factor(&c, pow(h / 0.01, 5), h);
    }
}
END_TEST

/* The change, the sum and the second change of log E by hand. */
START_TEST(gains_are_those_of_the_formula)
{
    const double p = 0.2, i = 0.3, d = 0.05, err[] = {0.5, 0.9, 0.3, 0.7, 0.6};
    NdeControl row = nde_control_pid(p, i, d);
    NdeController c;
    nde_control_begin(&c, &row, 5, 4);
    double e1 = 0, e2 = 0;
    for (int n = 0; n < 5; n++) {
        double e = log(err[n]), wanted = 0.9 * exp(-(i * e + p * (e - e1) + d * (e - 2 * e1 + e2)) / 5);
        ck_assert_double_eq_tol(nde_control_factor(&c, err[n], 0.1), wanted, 1e-14);
        e2 = e1;
        e1 = e;
    }
    ck_assert_double_eq_tol(nde_control_factor(&c, 32, 0.1), 0.45, 1e-14); /* as one step's error says */
}
END_TEST

START_TEST(unknown_names_are_not_found)
{
    ck_assert_ptr_null(nde_control_find("none"));
    ck_assert_ptr_nonnull(nde_control_find("pi"));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("control");
    TCase *c = tcase_create("all");
    tcase_add_test(c, safety_adapts);
    tcase_add_test(c, elementary_follows_the_fifth_root);
    tcase_add_test(c, factors_stay_in_their_range);
    tcase_add_test(c, no_growth_right_after_a_rejection);
    tcase_add_test(c, sciml_remembers_the_error_before);
    tcase_add_loop_test(c, errors_go_to_the_target, 0, (int)(sizeof all / sizeof *all));
    tcase_add_loop_test(c, filters_halve_the_distance, 0, 2);
    tcase_add_test(c, gains_are_those_of_the_formula);
    tcase_add_test(c, unknown_names_are_not_found);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
