/* diag.c: how messages are ordered, counted and drawn. */
#include "base.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *a;
static Diags *d;

static void set_up(void)
{
    a = arena_new();
    d = diag_new(a);
}

static void tear_down(void)
{
    arena_free(a);
}

static Source source_of(const char *name, const char *text)
{
    return (Source){.name = name, .text = text, .n = strlen(text)};
}

static Span span_of(const Source *s, uint32_t at, uint32_t n)
{
    return (Span){.source = s, .at = at, .n = n};
}

/* What is printed, in the arena. */
static const char *printed(bool color, int *errors)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    ck_assert_ptr_nonnull(to);
    *errors = diag_print(d, to, color);
    fclose(to);
    const char *copy = str_copy(a, text, n);
    free(text);
    return copy;
}

static void check_print(const char *wanted)
{
    int errors;
    ck_assert_str_eq(printed(false, &errors), wanted);
}

START_TEST(a_message_has_place_excerpt_note_and_help)
{
    Source s = source_of("m.nde", "const n = 3\n\nlet y = n + m\n");
    DIAG_AT(d, EXPECTED, span_of(&s, 25, 1), "a value", "'m'");
    diag_note(d, span_of(&s, 0, 11), "declared here");
    diag_help(d, "write '%s'", "n");
    check_print("m.nde:3:13: error: expected a value, but found 'm'\n"
                "    3 | let y = n + m\n"
                "      |             ^\n"
                "m.nde:1:1: note: declared here\n"
                "    1 | const n = 3\n"
                "      | ^~~~~~~~~~~\n"
                "help: write 'n'\n");
}
END_TEST

START_TEST(messages_are_sorted_and_doubles_dropped)
{
    Source s = source_of("b.nde", "one\ntwo\n"), first = source_of("a.nde", "three\n");
    DIAG_AT(d, NO_STATEMENT, span_of(&s, 4, 3), "two");
    DIAG_AT(d, NO_STATEMENT, span_of(&s, 0, 3), "one");
    DIAG_AT(d, NO_STATEMENT, span_of(&s, 4, 3), "two");
    DIAG_AT(d, NO_STATEMENT, span_of(&s, 4, 3), "else");
    DIAG_AT(d, NO_STATEMENT, span_of(&first, 0, 5), "three");
    DIAG_AT(d, NO_STATEMENT, ((Span){0}), "nowhere");
    ck_assert_int_eq(diag_errors(d), 6);
    int errors;
    const char *text = printed(false, &errors);
    ck_assert_int_eq(errors, 5);
    ck_assert_str_eq(text, "error: no statement starts with 'nowhere'\n"
                           "a.nde:1:1: error: no statement starts with 'three'\n    1 | three\n      | ^~~~~\n"
                           "b.nde:1:1: error: no statement starts with 'one'\n    1 | one\n      | ^~~\n"
                           "b.nde:2:1: error: no statement starts with 'two'\n    2 | two\n      | ^~~\n"
                           "b.nde:2:1: error: no statement starts with 'else'\n    2 | two\n      | ^~~\n");
}
END_TEST

START_TEST(at_most_twenty_are_printed)
{
    char line[64];
    memset(line, 'x', 63);
    line[63] = 0;
    Source s = source_of("m.nde", line);
    for (uint32_t i = 0; i < 33; i++)
        DIAG_AT(d, NO_STATEMENT, span_of(&s, i, 1), "x");
    int errors, n = 0;
    const char *text = printed(false, &errors);
    ck_assert_int_eq(errors, 33);
    for (const char *at = text; (at = strstr(at, "error: ")); at++)
        n++;
    ck_assert_int_eq(n, 20);
    ck_assert_str_eq(strstr(text, "..."), "... and 13 more\n");
}
END_TEST

START_TEST(tabs_keep_the_caret_in_its_column)
{
    Source s = source_of("m.nde", "\tlet\ty = 1)\n");
    DIAG_AT(d, CLOSES_NONE, span_of(&s, 10, 1), ')');
    check_print("m.nde:1:11: error: this ')' closes nothing\n"
                "    1 |     let y = 1)\n"
                "      |              ^\n");
}
END_TEST

START_TEST(characters_count_once_and_control_bytes_are_not_printed)
{
    Source s = source_of("m.nde", "\"\303\251\033\" )\r\n");
    DIAG_AT(d, CLOSES_NONE, span_of(&s, 6, 1), ')');
    check_print("m.nde:1:6: error: this ')' closes nothing\n"
                "    1 | \"\303\251?\" )\n"
                "      |      ^\n");
}
END_TEST

START_TEST(a_place_behind_the_end_and_an_empty_file)
{
    Source s = source_of("m.nde", "let y"), empty = source_of("n.nde", "");
    DIAG_AT(d, EXPECTED, span_of(&s, 5, 0), "'='", "the end of the line");
    DIAG_PLAIN(d, ZERO_BYTE, span_of(&empty, 0, 0));
    check_print("m.nde:1:6: error: expected '=', but found the end of the line\n"
                "    1 | let y\n"
                "      |      ^\n"
                "n.nde:1:1: error: the file holds a zero byte: it is not a text\n"
                "    1 |\n"
                "      | ^\n");
}
END_TEST

START_TEST(a_span_over_lines_is_drawn_on_its_first)
{
    Source s = source_of("m.nde", "f(a,\n  b)\n");
    DIAG_PLAIN(d, CHAINED, span_of(&s, 0, 9));
    check_print("m.nde:1:1: error: comparisons cannot be chained\n"
                "    1 | f(a,\n"
                "      | ^~~~\n");
}
END_TEST

/* Of any caret in a line of 500 characters at most 120 columns are shown, and the caret is below its character. */
START_TEST(a_long_line_is_cut_around_the_caret)
{
    char line[501];
    for (int i = 0; i < 500; i++)
        line[i] = (char)('a' + i % 23);
    line[500] = 0;
    Source s = source_of("m.nde", line);
    DIAG_AT(d, CLOSES_NONE, span_of(&s, (uint32_t)_i * 20, 3), ')');
    int errors;
    const char *excerpt = strchr(printed(false, &errors), '\n') + 1;
    const char *caret = strchr(excerpt, '\n') + 1;
    ck_assert_int_le((int)(caret - excerpt), 8 + 120 + 1);
    size_t column = strcspn(caret, "^");
    ck_assert_int_eq(excerpt[column], line[_i * 20]);
    ck_assert_int_eq(strncmp(caret + column, "^~~\n", 4), 0);
}
END_TEST

START_TEST(colours_only_if_asked)
{
    Source s = source_of("m.nde", "x\n");
    DIAG_AT(d, NO_STATEMENT, span_of(&s, 0, 1), "x");
    int errors;
    ck_assert_ptr_null(strchr(printed(false, &errors), '\033'));
    const char *text = printed(true, &errors);
    ck_assert_ptr_nonnull(strstr(text, "\033[1;31merror: \033[0mno statement"));
}
END_TEST

START_TEST(spans_join_in_one_source)
{
    Source s = source_of("m.nde", "x + y\nz\n"), other = source_of("n.nde", "x");
    Span joined = span_join(span_of(&s, 0, 1), span_of(&s, 4, 1));
    ck_assert_uint_eq(joined.at, 0);
    ck_assert_uint_eq(joined.n, 5);
    joined = span_join(span_of(&s, 0, 5), span_of(&s, 4, 1));
    ck_assert_uint_eq(joined.n, 5);
    joined = span_join(span_of(&s, 4, 1), span_of(&other, 0, 1));
    ck_assert(joined.source == &s && joined.at == 4 && joined.n == 1);
    joined = span_join((Span){0}, span_of(&other, 0, 1));
    ck_assert_ptr_eq(joined.source, &other);
    int line, column;
    span_line(span_of(&s, 6, 1), &line, &column);
    ck_assert_int_eq(line, 2);
    ck_assert_int_eq(column, 1);
}
END_TEST

START_TEST(a_bug_ends_the_program)
{
    BUG("a test of %s", "bug"); /* exit code 70 */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("diag");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_message_has_place_excerpt_note_and_help);
    tcase_add_test(tc, messages_are_sorted_and_doubles_dropped);
    tcase_add_test(tc, at_most_twenty_are_printed);
    tcase_add_test(tc, tabs_keep_the_caret_in_its_column);
    tcase_add_test(tc, characters_count_once_and_control_bytes_are_not_printed);
    tcase_add_test(tc, a_place_behind_the_end_and_an_empty_file);
    tcase_add_test(tc, a_span_over_lines_is_drawn_on_its_first);
    tcase_add_loop_test(tc, a_long_line_is_cut_around_the_caret, 0, 24);
    tcase_add_test(tc, colours_only_if_asked);
    tcase_add_test(tc, spans_join_in_one_source);
    tcase_add_exit_test(tc, a_bug_ends_the_program, 70);
    Suite *s = suite_create("diag");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
