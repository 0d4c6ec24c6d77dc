/* arena.c: what the memory of a compilation promises. */
#include "base.h"

#include <check.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

START_TEST(memory_is_zeroed_and_aligned)
{
    Arena *a = arena_new();
    for (size_t n = 0; n < 300; n++) {
        char *at = arena_alloc(a, n);
        ck_assert_uint_eq((uintptr_t)at % alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            ck_assert_int_eq(at[i], 0);
        memset(at, 0xFF, n);
    }
    arena_free(a);
}
END_TEST

START_TEST(pieces_do_not_overlap)
{
    enum { PIECES = 500 };
    Arena *a = arena_new();
    unsigned char *piece[PIECES];
    for (int i = 0; i < PIECES; i++) {
        piece[i] = arena_alloc(a, (size_t)(37 * i));
        memset(piece[i], i & 0xFF, (size_t)(37 * i));
    }
    int changed = 0;
    for (int i = 0; i < PIECES; i++)
        for (int j = 0; j < 37 * i; j++)
            changed += piece[i][j] != (i & 0xFF);
    ck_assert_int_eq(changed, 0);
    arena_free(a);
}
END_TEST

START_TEST(released_memory_is_given_again_and_zeroed)
{
    Arena *a = arena_new();
    char *kept = arena_alloc(a, 100);
    memset(kept, 7, 100);
    for (int round = 0; round < 50; round++) {
        Mark mark = arena_mark(a);
        char *scratch = arena_alloc(a, 200 * 1024);
        ck_assert_int_eq(scratch[0] | scratch[200 * 1024 - 1], 0);
        memset(scratch, 9, 200 * 1024);
        char *small = arena_alloc(a, 50);
        ck_assert_int_eq(small[0] | small[49], 0);
        memset(small, 9, 50);
        arena_release(a, mark);
    }
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(kept[i], 7);
    arena_free(a);
}
END_TEST

START_TEST(an_empty_mark_releases_everything)
{
    Arena *a = arena_new();
    Mark mark = arena_mark(a);
    ck_assert_ptr_null(mark.chunk);
    arena_alloc(a, 1000);
    arena_release(a, mark);
    Mark after = arena_mark(a);
    ck_assert_ptr_null(after.chunk);
    arena_free(a);
    arena_free(NULL);
}
END_TEST

START_TEST(a_list_keeps_what_is_pushed)
{
    Arena *a = arena_new();
    LIST(int) list = {0};
    for (int i = 0; i < 10000; i++)
        list_push(a, list, i * i);
    ck_assert_int_eq(list.n, 10000);
    for (int i = 0; i < list.n; i++)
        ck_assert_int_eq(list.at[i], i * i);
    arena_free(a);
}
END_TEST

START_TEST(no_memory_ends_the_program)
{
    arena_alloc(arena_new(), SIZE_MAX - 8); /* exit code 70 */
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("arena");
    tcase_add_test(tc, memory_is_zeroed_and_aligned);
    tcase_add_test(tc, pieces_do_not_overlap);
    tcase_add_test(tc, released_memory_is_given_again_and_zeroed);
    tcase_add_test(tc, an_empty_mark_releases_everything);
    tcase_add_test(tc, a_list_keeps_what_is_pushed);
    tcase_add_exit_test(tc, no_memory_ends_the_program, 70);
    Suite *s = suite_create("arena");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
