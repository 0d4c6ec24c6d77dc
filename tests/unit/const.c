/* const.c: rationals are exact, become the nearest double, and stay within memory; what is not one is told. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "const.h"

static Arena *arena;

static void setup(void)
{
    arena = arena_new();
}

static void teardown(void)
{
    rat_free_all();
    arena_free(arena);
}

static const Rat *fraction(long n, long d)
{
    return rat_div(arena, rat_int(arena, n), rat_int(arena, d));
}

static const Rat *decimal(const char *digits)
{
    const Rat *rat = rat_parse(arena, digits);
    ck_assert_msg(rat != NULL, "%s is a number", digits);
    return rat;
}

static void expect_equal(const Rat *x, const Rat *y)
{
    ck_assert_msg(mpq_equal(x->q, y->q), "%g is not %g", rat_to_double(x), rat_to_double(y));
}

START_TEST(decimals_are_exact)
{
    expect_equal(decimal("1.4e-8"), fraction(14, 1000000000));
    expect_equal(decimal("28"), rat_int(arena, 28));
    expect_equal(decimal("0.125"), fraction(1, 8));
    expect_equal(decimal("2.50e+1"), rat_int(arena, 25));
    expect_equal(decimal("0.000"), rat_int(arena, 0));
    ck_assert(decimal("0.1")->is_exact);
    ck_assert_ptr_null(rat_parse(arena, "1e99999999999999999999"));
    ck_assert_ptr_null(rat_parse(arena, "1e-401"));
    ck_assert_ptr_null(rat_parse(arena, "1.5.2"));
    ck_assert_ptr_null(rat_parse(arena, "12x"));
    ck_assert_ptr_null(rat_parse(arena, ""));
}
END_TEST

START_TEST(sums_and_products_are_exact)
{
    expect_equal(rat_add(arena, decimal("0.1"), decimal("0.2")), decimal("0.3"));
    expect_equal(rat_sub(arena, fraction(1, 2), fraction(1, 3)), fraction(1, 6));
    expect_equal(rat_mul(arena, fraction(2, 3), fraction(3, 4)), fraction(1, 2));
    expect_equal(rat_neg(arena, fraction(1, 3)), fraction(-1, 3));
    expect_equal(rat_mul(arena, fraction(1, 3), rat_int(arena, 3)), rat_int(arena, 1));
    ck_assert_ptr_null(rat_div(arena, rat_int(arena, 1), rat_int(arena, 0)));
    ck_assert_int_eq(rat_sign(fraction(-1, 7)), -1);
    ck_assert_int_eq(rat_sign(decimal("0.0")), 0);
    long n = 0;
    ck_assert(rat_is_int(fraction(6, 3), &n));
    ck_assert_int_eq(n, 2);
    ck_assert(!rat_is_int(fraction(2, 3), &n));
    ck_assert(!rat_is_int(decimal("1e30"), &n));
}
END_TEST

START_TEST(powers)
{
    const Rat *two = rat_int(arena, 2), *zero = rat_int(arena, 0);
    expect_equal(rat_pow(arena, fraction(-2, 3), rat_int(arena, 3)), fraction(-8, 27));
    expect_equal(rat_pow(arena, fraction(-2, 3), rat_int(arena, -3)), fraction(-27, 8));
    expect_equal(rat_pow(arena, zero, zero), rat_int(arena, 1));
    ck_assert(rat_pow(arena, two, rat_int(arena, 64))->is_exact);
    ck_assert(!rat_pow(arena, two, rat_int(arena, 65))->is_exact);
    ck_assert_double_eq(rat_to_double(rat_pow(arena, two, fraction(1, 2))), sqrt(2));
    ck_assert(!rat_pow(arena, two, fraction(1, 2))->is_exact);
    ck_assert_ptr_null(rat_pow(arena, zero, rat_int(arena, -1)));
    ck_assert_ptr_null(rat_pow(arena, rat_int(arena, -1), fraction(1, 2)));
    ck_assert_ptr_null(rat_pow(arena, two, rat_int(arena, 5000)));
}
END_TEST

START_TEST(what_follows_an_inexact_value_is_the_nearest_double)
{
    const Rat *root = rat_pow(arena, rat_int(arena, 2), fraction(1, 2));
    const Rat *third = rat_div(arena, root, rat_int(arena, 3));
    ck_assert(!third->is_exact);
    ck_assert_double_eq(rat_to_double(third), sqrt(2) / 3);
    expect_equal(third, rat_double(arena, sqrt(2) / 3));
}
END_TEST

/* strtod rounds to nearest, so it is an independent answer; the list holds ties, both ends of the subnormals and of
 * the range, and the random digits what nobody thought of. */
static const char *const hard[] = {
    "0.1",
    "9007199254740993",
    "9007199254740992.5",
    "9007199254740995",
    "9007199254740993.0000000000000000000000000000001",
    "1.7976931348623157e308",
    "1.7976931348623158e308",
    "1.7976931348623159e308",
    "2.2250738585072014e-308",
    "2.2250738585072011e-308",
    "4.9406564584124654e-324",
    "2.4703282292062328e-324",
    "2.4703282292062327e-324",
    "7.4109846876186982e-324",
    "1e-400",
    "179769313486231580793728971405301e276",
    "0.09646076681806523",
};

START_TEST(doubles_are_nearest)
{
    for (size_t i = 0; i < sizeof hard / sizeof *hard; i++) {
        double x = rat_to_double(decimal(hard[i])), y = strtod(hard[i], NULL);
        ck_assert_msg(x == y, "%s gives %.17g, not %.17g", hard[i], x, y);
    }
    ck_assert_double_eq(rat_to_double(fraction(-1, 3)), -1.0 / 3.0);
    srand(1);
    for (int i = 0; i < 20000; i++) {
        char digits[64];
        int exponent = rand() % 5 ? rand() % 40 - 20 : rand() % 640 - 320;
        snprintf(digits, sizeof digits, "%d.%09d%09de%d", rand() % 10, rand() % 1000000000, rand() % 1000000000,
                 exponent);
        double x = rat_to_double(decimal(digits)), y = strtod(digits, NULL);
        ck_assert_msg(x == y, "%s gives %.17g, not %.17g", digits, x, y);
    }
}
END_TEST

START_TEST(long_numbers_are_rounded_not_grown)
{
    const Rat *x = decimal("1.000000001"), *large = decimal("1e300");
    for (int i = 0; i < 30; i++)
        x = rat_mul(arena, x, x);
    ck_assert(!x->is_exact);
    ck_assert_double_eq_tol(rat_to_double(x) / exp(ldexp(log1p(1e-9), 30)), 1, 1e-6);
    for (int i = 0; i < 10; i++)
        large = rat_mul(arena, large, large);
    ck_assert_double_eq(rat_to_double(large), HUGE_VAL);
    ck_assert_double_eq(rat_to_double(rat_neg(arena, large)), -HUGE_VAL);
    ck_assert_uint_lt(mpz_sizeinbase(mpq_numref(large->q), 2), 2000);
}
END_TEST

/* ---- expressions ---- */

static const Rat *constants(void *context, const char *name)
{
    (void)context;
    return str_eq(name, "half") ? fraction(1, 2) : NULL;
}

static const Rat *value_of(const char *text, Diags *d)
{
    Source *source = ARENA_NEW(arena, Source, 1);
    *source = (Source){.name = "test.nde", .text = text, .n = strlen(text)};
    const Node *expr = parse_expr(arena, source, d);
    ck_assert_int_eq(diag_errors(d), 0);
    return const_scalar(arena, d, expr, constants, NULL);
}

static const struct {
    const char *text;
    long n, d;
} expressions[] = {
    {"1 / 2", 1, 2},          {"2 + 3 * 4", 14, 1},     {"-2^2", -4, 1},          {"2^-3", 1, 8},
    {"2^-(1 + 2)", 1, 8},     {"half / 3", 1, 6},       {"1 - 2 - 3", -4, 1},     {"1 / 2 / 3", 1, 6},
    {"2^2^3", 256, 1},        {"0.1 + 0.2", 3, 10},     {"(1 / 3) * 3", 1, 1},    {"-(half - 1)", 1, 2},
    {"56 / 15", 56, 15},
};

START_TEST(expressions_are_exact)
{
    Diags *d = diag_new(arena);
    const Rat *value = value_of(expressions[_i].text, d);
    ck_assert_ptr_nonnull(value);
    ck_assert(value->is_exact);
    expect_equal(value, fraction(expressions[_i].n, expressions[_i].d));
    ck_assert_int_eq(diag_errors(d), 0);
}
END_TEST

static const struct {
    const char *text, *message;
} wrong[] = {
    {"1 + third", "test.nde:1:5: error: 'third' is not a constant that is known here"},
    {"1 / (half - 1/2)", "this divisor is 0"},
    {"(-1)^half", "test.nde:1:1: error: this power is not a finite number"},
    {"10^300 * 10^300", "test.nde:1:1: error: this number is too large"},
    {"1e300 * 1e300", "test.nde:1:1: error: this number is too large"},
    {"1e500", "the exponent of 1e500 is out of range"},
    {"sqrt(2)", "an exact number is made of numbers, constants and + - * / ^ only"},
    {"1 < 2", "an exact number is made of numbers, constants and + - * / ^ only"},
    {"[1, 2]", "an exact number is made of numbers, constants and + - * / ^ only"},
};

START_TEST(what_is_no_constant_is_told)
{
    Diags *d = diag_new(arena);
    ck_assert_ptr_null(value_of(wrong[_i].text, d));
    ck_assert_int_eq(diag_errors(d), 1);
    char *printed = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&printed, &n);
    ck_assert_ptr_nonnull(to);
    diag_print(d, to, false);
    fclose(to);
    ck_assert_msg(strstr(printed, wrong[_i].message) != NULL, "%s gives\n%s", wrong[_i].text, printed);
    free(printed);
}
END_TEST

static Suite *const_suite(void)
{
    Suite *suite = suite_create("const");
    TCase *tc = tcase_create("const");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, decimals_are_exact);
    tcase_add_test(tc, sums_and_products_are_exact);
    tcase_add_test(tc, powers);
    tcase_add_test(tc, what_follows_an_inexact_value_is_the_nearest_double);
    tcase_add_test(tc, doubles_are_nearest);
    tcase_add_test(tc, long_numbers_are_rounded_not_grown);
    tcase_add_loop_test(tc, expressions_are_exact, 0, (int)(sizeof expressions / sizeof *expressions));
    tcase_add_loop_test(tc, what_is_no_constant_is_told, 0, (int)(sizeof wrong / sizeof *wrong));
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(const_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
