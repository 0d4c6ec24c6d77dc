/* text.c: the indented writer, and numbers that read back. */
#include "base.h"

#include <check.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static Arena *a;

static void set_up(void)
{
    a = arena_new();
}

static void tear_down(void)
{
    arena_free(a);
}

START_TEST(blocks_are_indented_and_lines_have_no_trailing_blanks)
{
    Text t = text_new(a);
    ck_assert_str_eq(t.at, "");
    text_open(&t, "for (int i = 0; i < %d; i++) {", 3);
    text_add(&t, "y[i] = ");
    text_add(&t, "x[%s]", "i");
    text_line(&t, ";   ");
    text_line(&t, "%s", "");
    text_open(&t, "{");
    text_line(&t, "z;");
    text_close(&t, "}");
    text_close(&t, "}");
    ck_assert_str_eq(t.at, "for (int i = 0; i < 3; i++) {\n    y[i] = x[i];\n\n    {\n        z;\n    }\n}\n");
    ck_assert_uint_eq(t.n, strlen(t.at));
}
END_TEST

START_TEST(text_grows_without_bound)
{
    Text t = text_new(a);
    for (int i = 0; i < 20000; i++)
        text_line(&t, "%d", i % 10);
    ck_assert_uint_eq(t.n, 40000);
    for (size_t i = 0; i < t.n; i++)
        ck_assert_int_eq(t.at[i], i % 2 ? '\n' : (char)('0' + i / 2 % 10));
}
END_TEST

START_TEST(closing_too_often_is_a_bug)
{
    Text t = text_new(a);
    text_close(&t, "}"); /* exit code 70 */
}
END_TEST

static const struct {
    double x;
    bool is_float;
    const char *text;
} number[] = {
    {0.0, false, "0.0"},          {-0.0, false, "-0.0"},       {1.0, false, "1.0"},         {-512.0, true, "-512.0"},
    {100000.0, false, "100000.0"}, {0.1, false, "0.1"},        {0.1, true, "0.1"},          {1e-8, false, "1e-8"},
    {1.4e-8, true, "1.4e-8"},     {1e22, false, "1e22"},       {1.5e300, false, "1.5e300"}, {3.25, true, "3.25"},
    {1.0 / 3, true, "0.33333334"}, {1.0 / 3, false, "0.3333333333333333"},
    {1e15, false, "1000000000000000.0"},
    {1e16, false, "1e16"},        {0.00001, false, "0.00001"}, {0.000001, false, "1e-6"},   {1234.5, false, "1234.5"},
    {16777216.0, true, "16777216.0"}, {5e-324, false, "5e-324"}, {1e-45, true, "1e-45"},
    {DBL_MAX, false, "1.7976931348623157e308"},
};

START_TEST(a_number_is_written_shortly)
{
    ck_assert_str_eq(num_text(a, number[_i].x, number[_i].is_float), number[_i].text);
}
END_TEST

/* SplitMix64 (Steele, Lea & Flood 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static void check_round_trips(int n)
{
    uint64_t state = 1;
    for (int i = 0; i < n; i++) {
        uint64_t bits = next_random(&state);
        uint32_t half = (uint32_t)bits;
        double x;
        float f;
        memcpy(&x, &bits, sizeof x);
        memcpy(&f, &half, sizeof f);
        Mark mark = arena_mark(a);
        if (isfinite(x)) {
            const char *s = num_text(a, x, false);
            ck_assert_msg(strtod(s, NULL) == x, "%s is not %a", s, x);
            ck_assert_msg(strpbrk(s, ".e") && !strchr(s, ','), "%s has no point", s);
        }
        if (isfinite(f)) {
            const char *s = num_text(a, (double)f, true);
            ck_assert_msg(strtof(s, NULL) == f, "%s is not %a", s, (double)f);
            ck_assert_msg(strlen(s) <= 20, "%s is long", s);
        }
        arena_release(a, mark);
    }
}

START_TEST(every_number_reads_back)
{
    check_round_trips(20000);
}
END_TEST

START_TEST(the_locale_does_not_matter)
{
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "nl_NL.UTF-8", "pt_BR.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof comma / sizeof *comma && !found; i++)
        found = setlocale(LC_ALL, comma[i]);
    const char *here = str_copy(a, num_text(a, 1234.5, false), 6);
    const char *small = num_text(a, 1.4e-8, true);
    setlocale(LC_ALL, "C");
    ck_assert_str_eq(here, "1234.5");
    ck_assert_str_eq(small, "1.4e-8");
}
END_TEST

START_TEST(infinity_is_a_bug)
{
    num_text(a, HUGE_VAL, false); /* exit code 70 */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("text");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, blocks_are_indented_and_lines_have_no_trailing_blanks);
    tcase_add_test(tc, text_grows_without_bound);
    tcase_add_exit_test(tc, closing_too_often_is_a_bug, 70);
    tcase_add_loop_test(tc, a_number_is_written_shortly, 0, (int)(sizeof number / sizeof *number));
    tcase_add_test(tc, every_number_reads_back);
    tcase_add_test(tc, the_locale_does_not_matter);
    tcase_add_exit_test(tc, infinity_is_a_bug, 70);
    Suite *s = suite_create("text");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
