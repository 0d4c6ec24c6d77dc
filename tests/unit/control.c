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
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.01), 0.95 * pow(0.01, -0.2), 1e-14);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.5), 0.95 * pow(0.5, -0.2), 1e-14);
    ck_assert_double_eq_tol(nde_control_factor(&c, 32), 0.475, 1e-14);
}
END_TEST

START_TEST(factors_stay_in_their_range)
{
    NdeController c = begun("elementary");
    ck_assert_double_eq(nde_control_factor(&c, 0), 10);
    ck_assert_double_eq(nde_control_factor(&c, 1e-30), 10);
    ck_assert_double_eq(nde_control_factor(&c, 1e30), 0.2);
    ck_assert_double_eq(nde_control_factor(&c, nan("")), 0.2);
    ck_assert_double_eq(nde_control_factor(&c, HUGE_VAL), 0.2);
}
END_TEST

START_TEST(no_growth_right_after_a_rejection)
{
    NdeController c = begun("elementary");
    ck_assert(nde_control_factor(&c, 2) < 1);
    ck_assert_double_eq(nde_control_factor(&c, 1e-6), 1);
    ck_assert_double_eq(nde_control_factor(&c, 1e-6), 10);
}
END_TEST

/* q = E^0.14 / E1^0.08 / 0.9 for order 5, with E1 at least 1e-4 and 1e-4 at first (OrdinaryDiffEq.jl). */
START_TEST(sciml_remembers_the_error_before)
{
    NdeController c = begun("sciml");
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.3), 0.9 * pow(0.3, -0.14) * pow(1e-4, 0.08), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.9), 0.9 * pow(0.9, -0.14) * pow(0.3, 0.08), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 4), 0.9 * pow(4, -0.14), 1e-13);
    ck_assert_double_eq_tol(nde_control_factor(&c, 1e-9), fmin(10, 0.9 * pow(1e-9, -0.14) * pow(0.9, 0.08)), 1e-12);
    ck_assert_double_eq_tol(nde_control_factor(&c, 0.5), 0.9 * pow(0.5, -0.14) * pow(1e-4, 0.08), 1e-13);
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
    tcase_add_test(c, elementary_follows_the_fifth_root);
    tcase_add_test(c, factors_stay_in_their_range);
    tcase_add_test(c, no_growth_right_after_a_rejection);
    tcase_add_test(c, sciml_remembers_the_error_before);
    tcase_add_test(c, unknown_names_are_not_found);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
