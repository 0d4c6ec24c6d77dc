/* csv.c: tables as text, in and out.
 *
 * Needs: a folder for scratch files. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[128];
static NdeError e;

static int read_text(const char *text, size_t n, int rows, NdeTable *t)
{
    NdeReadOptions o = {.rows = rows};
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(text, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
    return nde_csv_table(path, &o, t, &e);
}

static double value(const NdeTable *t, long row, int column)
{
    return nde_field_get(&t->field[0], (size_t)(row * t->n_column + column));
}

/* Reads text of two columns that must hold 1, 2; 3, 4. */
static void assert_one_to_four(const char *text, const char *first_name)
{
    NdeTable t;
    ck_assert_msg(read_text(text, strlen(text), 1, &t) == 0, "%s", e.text);
    ck_assert_int_eq(t.n_column, 2);
    ck_assert_int_eq(t.field[0].dim[0], 2);
    for (int i = 0; i < 4; i++)
        ck_assert(value(&t, i / 2, i % 2) == i + 1);
    ck_assert(first_name ? t.column && strcmp(t.column[0], first_name) == 0 : !t.column);
    ck_assert(t.bad[0].line == 0 && t.bad[1].line == 0);
    nde_table_free(&t);
}

static void assert_refused(const char *text, const char *why)
{
    NdeTable t;
    ck_assert_msg(read_text(text, strlen(text), 1, &t) == 4, "accepted: %s", text);
    ck_assert_msg(strstr(e.text, why) && strstr(e.text, path), "the message is: %s", e.text);
    ck_assert_ptr_null(t.field);
}

START_TEST(every_spelling_of_a_table_is_read)
{
    assert_one_to_four("1,2\n3,4\n", NULL);
    assert_one_to_four("1,2\n3,4", NULL);
    assert_one_to_four("1,2\r\n3,4\r\n\r\n", NULL);
    assert_one_to_four("1,2\r3,4\r", NULL);
    assert_one_to_four("\xEF\xBB\xBF"
                       "1,2\n3,4\n \n\n",
                       NULL);
    assert_one_to_four(" 1 ,\t2\n+3,4.0e0\n", NULL);
    assert_one_to_four("\"1\",\"2\"\n\"3\",4\n", NULL);
    assert_one_to_four("1.,.2e1\n3e0,4000E-3\n", NULL);
    assert_one_to_four("a,b\n1,2\n3,4\n", "a");
    assert_one_to_four(" hare pelts ,b\n1,2\n3,4\n", "hare pelts");
    assert_one_to_four("\"a \"\"x\"\", and\nmore\",b\n1,2\n3,4\n", "a \"x\", and\nmore");
    assert_one_to_four("1,b\n1,2\n3,4\n", "1");
}
END_TEST

START_TEST(malformed_tables_are_refused_with_their_line)
{
    assert_refused("", "empty");
    assert_refused("\n \r\n", "empty");
    assert_refused("1,2\n3\n", "line 2");
    assert_refused("a,b\n\"x\ny\",2\n3,4,5\n", "line 4");
    assert_refused("1,2\n\n3,4\n", "line 2");
    assert_refused("1,2\n3,\"4\n5,6\n", "line 2");
    assert_refused("1,2\n3,\"4\"4\n", "closing quote");
}
END_TEST

START_TEST(what_is_no_number_is_noted_for_its_column)
{
    static const char text[] = "n,gap,na,word,hex,huge,long\n1,,NA,red,0x1,1e999,3\n1, ,nan,2,inf,1,1e\n";
    const char *const first[] = {NULL, "", "NA", "red", "0x1", "1e999", "1e"};
    NdeTable t;
    ck_assert_int_eq(read_text(text, sizeof text - 1, 1, &t), 0);
    for (int i = 0; i < 7; i++) {
        ck_assert_int_eq(t.bad[i].line, !first[i] ? 0 : i == 6 ? 3 : 2);
        ck_assert_str_eq(t.bad[i].text, first[i] ? first[i] : "");
    }
    ck_assert(value(&t, 0, 0) == 1 && isnan(value(&t, 0, 1)) && isnan(value(&t, 1, 6)));
    nde_table_free(&t);
    NdeReadOptions o = {.nan_allowed = true};
    ck_assert_int_eq(nde_csv_table(path, &o, &t, &e), 0);
    ck_assert(t.bad[1].line == 0 && t.bad[2].line == 0 && isnan(value(&t, 1, 2)));
    ck_assert(t.bad[3].line == 2 && t.bad[4].line == 2); /* a word is no gap */
    nde_table_free(&t);
}
END_TEST

START_TEST(rows_are_grouped_into_samples)
{
    NdeTable t;
    const char *text = "a,b\n1,2\n3,4\n5,6\n7,8\n";
    ck_assert_int_eq(read_text(text, strlen(text), 2, &t), 0);
    ck_assert(t.field[0].rank == 3 && t.field[0].dim[0] == 2 && t.field[0].dim[1] == 2 && t.field[0].dim[2] == 2);
    ck_assert(value(&t, 3, 1) == 8);
    nde_table_free(&t);
    ck_assert_int_eq(read_text(text, strlen(text), 3, &t), 4);
    ck_assert_ptr_nonnull(strstr(e.text, "4 lines"));
}
END_TEST

START_TEST(a_cut_file_does_no_harm)
{
    const char *text = "\"a\"\"\",b\r\n1,\"2\"\r\n\"3\",4e1\r\n";
    for (size_t n = 0; n <= strlen(text); n++) {
        NdeTable t;
        int status = read_text(text, n, 1, &t);
        ck_assert(status == 0 || status == 4);
        nde_table_free(&t);
    }
}
END_TEST

START_TEST(what_is_written_is_read)
{
    const char *const name[] = {"t", "a, \"b\"\n", " c"};
    const double x[6] = {0.1, -1e300, 5e-324, 1.0 / 3, 123456789012345680, -0.0};
    NdeCells cells = {name, 3, 2, x, false};
    NdeTable t;
    NdeReadOptions o = {0};
    ck_assert_int_eq(nde_csv_write(path, &cells, &e), 0);
    ck_assert_int_eq(nde_csv_table(path, &o, &t, &e), 0);
    ck_assert_str_eq(t.column[1], "a, \"b\"\n");
    for (int i = 0; i < 6; i++)
        ck_assert(value(&t, i / 3, i % 3) == x[i] && signbit(value(&t, i / 3, i % 3)) == signbit(x[i]));
    nde_table_free(&t);
    ck_assert_int_eq(nde_csv_write("/dev/full", &cells, &e), 2);
}
END_TEST

START_TEST(floats_are_written_short)
{
    const double x[3] = {(double)0.1f, (double)16777216.0f, (double)1e-45f};
    NdeCells cells = {NULL, 3, 1, x, true};
    NdeBytes b;
    ck_assert_int_eq(nde_csv_write(path, &cells, &e), 0);
    ck_assert_int_eq(nde_file_read(path, &b, &e), 0);
    ck_assert_str_eq((char *)b.at, "0.1,16777216,1e-45\n");
    free(b.at);
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_csvXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/a.csv", dir);
    Suite *s = suite_create("csv");
    TCase *t = tcase_create("csv");
    tcase_add_test(t, every_spelling_of_a_table_is_read);
    tcase_add_test(t, malformed_tables_are_refused_with_their_line);
    tcase_add_test(t, what_is_no_number_is_noted_for_its_column);
    tcase_add_test(t, rows_are_grouped_into_samples);
    tcase_add_test(t, a_cut_file_does_no_harm);
    tcase_add_test(t, what_is_written_is_read);
    tcase_add_test(t, floats_are_written_short);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    unlink(path);
    rmdir(dir);
    return failed != 0;
}
