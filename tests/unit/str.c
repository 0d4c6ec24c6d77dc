/* str.c: strings, and the nearest name. */
#include "base.h"

#include <check.h>
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

START_TEST(a_copy_is_cut_and_ended)
{
    char text[] = "hidden layer";
    const char *copy = str_copy(a, text, 6);
    text[0] = 'X';
    ck_assert_str_eq(copy, "hidden");
    ck_assert_str_eq(str_copy(a, NULL, 0), "");
}
END_TEST

START_TEST(a_format_has_any_length)
{
    ck_assert_str_eq(str_format(a, "%s.%d", "wide", 3), "wide.3");
    const char *longer = str_format(a, "%0*d", 5000, 7);
    ck_assert_uint_eq(strlen(longer), 5000);
    ck_assert_int_eq(longer[4999], '7');
}
END_TEST

START_TEST(null_equals_only_null)
{
    ck_assert(str_eq("z", "z"));
    ck_assert(!str_eq("z", "zz"));
    ck_assert(str_eq(NULL, NULL));
    ck_assert(!str_eq(NULL, ""));
    ck_assert(!str_eq("", NULL));
}
END_TEST

static const char *const name[] = {"hidden", "out", "tolerance", "classifier", "tanh", "z"};
enum { NAMES = sizeof name / sizeof *name };

static const struct {
    const char *typed, *nearest;
} slip[] = {
    {"hiden", "hidden"},      {"hdiden", "hidden"},     {"hiddden", "hidden"},         {"Hidden", "hidden"},
    {"tolerence", "tolerance"}, {"clasifyer", "classifier"}, {"tahn", "tanh"},         {"TANH", "tanh"},
    {"otu", "out"},           {"Z", "z"},               {"x", NULL},                   {"on", NULL},
    {"encoder", NULL},        {"", NULL},               {"widden", "hidden"},          {"hat", NULL},
};

START_TEST(a_slip_finds_its_name_and_a_stranger_none)
{
    const char *nearest = str_nearest(slip[_i].typed, name, NAMES);
    ck_assert_msg(str_eq(nearest, slip[_i].nearest), "'%s' gives '%s'", slip[_i].typed, nearest ? nearest : "none");
}
END_TEST

START_TEST(long_names_are_safe)
{
    char huge[500];
    memset(huge, 'a', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    const char *candidate[] = {huge, "a"};
    ck_assert_ptr_null(str_nearest(huge, candidate, 2));
    ck_assert_ptr_null(str_nearest("aa", candidate, 2));
    ck_assert_ptr_null(str_nearest("aa", candidate, 0));
}
END_TEST

START_TEST(a_set_takes_each_string_once)
{
    StrSet set = {.arena = a};
    for (int twice = 0; twice < 2; twice++)
        for (int i = 0; i < 1000; i++)
            ck_assert_int_eq(str_set_add(&set, str_format(a, "v%d", i)), twice == 0);
    ck_assert_int_eq(set.n, 1000);
    ck_assert(str_set_add(&set, ""));
    ck_assert(!str_set_add(&set, ""));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("str");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_copy_is_cut_and_ended);
    tcase_add_test(tc, a_format_has_any_length);
    tcase_add_test(tc, null_equals_only_null);
    tcase_add_loop_test(tc, a_slip_finds_its_name_and_a_stranger_none, 0, (int)(sizeof slip / sizeof *slip));
    tcase_add_test(tc, long_names_are_safe);
    tcase_add_test(tc, a_set_takes_each_string_once);
    Suite *s = suite_create("str");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
