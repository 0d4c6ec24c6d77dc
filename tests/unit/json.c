/* json.c: numbers as text, and objects that another parser reads.
 *
 * Needs: cJSON as the other parser. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"
#include "../../runtime/rng.h"

#include <check.h>
#include <cjson/cJSON.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static NdeError e;

static void assert_text(double x, bool is_float, const char *want)
{
    char text[NDE_NUMBER_TEXT];
    nde_number_text(x, is_float, text);
    ck_assert_str_eq(text, want);
}

START_TEST(numbers_are_short)
{
    assert_text(0, false, "0");
    assert_text(-0.0, false, "-0");
    assert_text(0.1, false, "0.1");
    assert_text(1.0 / 3, false, "0.3333333333333333");
    assert_text(0.1 + 0.2, false, "0.30000000000000004");
    assert_text(1e20, false, "1e+20");
    assert_text(123456, false, "123456");
    assert_text(5e-324, false, "5e-324");
    assert_text(1.7976931348623157e308, false, "1.7976931348623157e+308");
    assert_text(999999999999999, false, "999999999999999");
    assert_text(-1e15, false, "-1e+15");
    assert_text(-999999, true, "-999999");
    assert_text(1e6, true, "1e+06");
    assert_text((double)0.1f, true, "0.1");
    assert_text((double)1e-45f, true, "1e-45");
    assert_text((double)NAN, false, "nan");
    assert_text((double)-INFINITY, false, "-inf");
}
END_TEST

/* Those with few digits behind the point have a way of their own; the C library says what is right. */
START_TEST(millionths_are_written_as_the_c_library_does)
{
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t bits = nde_random_bits(5, 6, i);
        double millionths = floor((double)(bits >> 14) / (double)(1ULL << (bits & 31)));
        double x = (bits & 32 ? -millionths : millionths) / 1e6;
        char want[NDE_NUMBER_TEXT];
        snprintf(want, sizeof want, "%.15g", x);
        if (strtod(want, NULL) == x)
            assert_text(x, false, want);
    }
}
END_TEST

START_TEST(numbers_survive_the_way_through_text)
{
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t bits = nde_random_bits(1, 2, i);
        uint32_t half = (uint32_t)bits;
        double x, back;
        float y;
        char text[NDE_NUMBER_TEXT];
        memcpy(&x, &bits, sizeof x);
        memcpy(&y, &half, sizeof y);
        nde_number_text(x, false, text);
        ck_assert(!isfinite(x) || (nde_number_read(text, strlen(text), &back) && back == x));
        nde_number_text((double)y, true, text);
        ck_assert(!isfinite(y) || (nde_number_read(text, strlen(text), &back) && (float)back == y));
    }
}
END_TEST

START_TEST(only_decimal_numbers_are_numbers)
{
    const char *const good[] = {"1", "-1.5", "+.5", "1.", "1e5", "1E-05", " 7\t", "00012"};
    const char *const bad[] = {"",     " ",   ".",   "-",   "1e",    "1e+", "e5", "1 2",
                               "0x10", "inf", "nan", "1,5", "1e999", "1f",  "--1"};
    double x;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ck_assert_msg(nde_number_read(good[i], strlen(good[i]), &x) && x == strtod(good[i], NULL), "'%s'", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(!nde_number_read(bad[i], strlen(bad[i]), &x), "'%s' was accepted", bad[i]);
    ck_assert(nde_number_read("123", 2, &x) && x == 12);
}
END_TEST

START_TEST(a_line_is_read_back_by_another_parser)
{
    NdeJson j = {0};
    for (int twice = 0; twice < 2; twice++) {
        nde_json_begin(&j);
        nde_json_integer(&j, "step", -7);
        nde_json_number(&j, "loss", 0.1);
        nde_json_number(&j, "bad", (double)NAN);
        nde_json_figure(&j, "figure", 1.0 / 3);
        nde_json_figure(&j, "no figure", (double)INFINITY);
        nde_json_boolean(&j, "done", true);
        nde_json_text(&j, "text \"\\", "a\"\\\n\t\x01\x7f \xC3\xA9 \xF0\x9F\x98\x80");
        nde_json_open(&j, "list", '[');
        nde_json_number(&j, NULL, 1);
        nde_json_open(&j, NULL, '{');
        nde_json_close(&j, '}');
        nde_json_close(&j, ']');
        ck_assert_int_eq(nde_json_end(&j, NULL, NULL, &e), 0);
    }
    ck_assert_str_eq(strchr(j.at, '\n'), "\n"); /* one line */
    cJSON *tree = cJSON_Parse(j.at);
    ck_assert_msg(tree != NULL, "%s", j.at);
    ck_assert(cJSON_GetObjectItem(tree, "step")->valueint == -7);
    ck_assert(cJSON_GetObjectItem(tree, "loss")->valuedouble == 0.1);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(tree, "bad")));
    ck_assert(cJSON_GetObjectItem(tree, "figure")->valuedouble == 0.333333333);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(tree, "no figure")));
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(tree, "done")));
    ck_assert_str_eq(cJSON_GetObjectItem(tree, "text \"\\")->valuestring,
                     "a\"\\\n\t\x01\x7f \xC3\xA9 \xF0\x9F\x98\x80");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(tree, "list")), 2);
    cJSON_Delete(tree);
    nde_json_free(&j);
}
END_TEST

START_TEST(what_is_not_unicode_is_replaced)
{
    const char *const bad[] = {"\xFF", "\xC3", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80"};
    NdeJson j = {0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        nde_json_begin(&j);
        nde_json_text(&j, "x", bad[i]);
        ck_assert_int_eq(nde_json_end(&j, NULL, NULL, &e), 0);
        ck_assert_int_eq(strncmp(j.at, "{\"x\":\"\xEF\xBF\xBD", 9), 0);
    }
    nde_json_free(&j);
}
END_TEST

START_TEST(a_full_disk_is_reported)
{
    NdeJson j = {0};
    FILE *full = fopen("/dev/full", "w");
    ck_assert_ptr_nonnull(full);
    nde_json_begin(&j);
    nde_json_integer(&j, "step", 1);
    ck_assert_int_eq(nde_json_end(&j, full, "log.jsonl", &e), 0);
    ck_assert_int_eq(nde_json_flush(full, "log.jsonl", &e), 2);
    ck_assert_ptr_nonnull(strstr(e.text, "log.jsonl"));
    fclose(full);
    nde_json_free(&j);
}
END_TEST

/* Runs where a locale with a decimal comma is installed; without one the numbers are those of the first test. */
START_TEST(the_locale_changes_nothing)
{
    const char *const comma[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE"};
    for (size_t i = 0; i < 3 && !setlocale(LC_ALL, comma[i]); i++)
        ;
    double x;
    assert_text(0.5, false, "0.5");
    ck_assert(nde_number_read("0.5", 3, &x) && x == 0.5);
    setlocale(LC_ALL, "C");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("json");
    TCase *t = tcase_create("json");
    tcase_add_test(t, numbers_are_short);
    tcase_add_test(t, millionths_are_written_as_the_c_library_does);
    tcase_add_test(t, numbers_survive_the_way_through_text);
    tcase_add_test(t, only_decimal_numbers_are_numbers);
    tcase_add_test(t, a_line_is_read_back_by_another_parser);
    tcase_add_test(t, what_is_not_unicode_is_replaced);
    tcase_add_test(t, a_full_disk_is_reported);
    tcase_add_test(t, the_locale_changes_nothing);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
