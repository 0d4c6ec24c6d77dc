/* form.c: slices that meet become one, sums of neighbours among zeros concatenations; whatever the places are, the meaning
 * stays. */
#include "interpret.h"

#include <check.h>
#include <stdlib.h>

static Arena *a;
static Module *m;
static const World world = {.n_batch = 3};

static void set_up(void)
{
    a = arena_new();
    m = module_new(a);
}

static void tear_down(void)
{
    rat_free_all();
    arena_free(a);
}

static Type along(Type t, int axis, int n)
{
    t.dim[axis] = n;
    return t;
}

/* n elements from `from` on. */
static Val slice(Fn *fn, Val x, int axis, int from, int n)
{
    Imm imm = {.axis = axis, .from = from, .to = along(fn_type(fn, x), axis, n)};
    return fn_op(m, fn, OP_slice, 1, &x, imm, (Span){0});
}

/* x at `from` among zeros, n in all. */
static Val pad(Fn *fn, Val x, int axis, int from, int n)
{
    Imm imm = {.axis = axis, .from = from, .to = along(fn_type(fn, x), axis, n)};
    return fn_op(m, fn, OP_pad, 1, &x, imm, (Span){0});
}

static Val joined(Fn *fn, int axis, Val x, Val y)
{
    return fn_op(m, fn, OP_concat, 2, (Val[]){x, y}, (Imm){.axis = axis}, (Span){0});
}

static const Fn *canon_of(Fn *fn, Val out)
{
    fn_out(m, fn, out, NULL);
    const Fn *to = canon(m, fn);
    fn_verify(to);
    Random r = {.state = 7};
    Array *in = random_inputs(a, &world, &r, fn);
    ck_assert(outputs_error(&world, 1, interpret(a, to, &world, in), interpret(a, fn, &world, in)) == 0);
    return to;
}

/* How many instructions of that kind there are. */
static int count(const Fn *fn, Op op)
{
    int n = 0;
    for (int v = 0; v < fn->ins.n; v++)
        n += fn->ins.at[v].op == op;
    return n;
}

enum { AXES = 2, LENGTH = 6 };

static Val input(Fn *fn, bool is_batched)
{
    return fn_input(m, fn, type_real(is_batched, 2, (int[]){LENGTH, LENGTH}), "x");
}

/* Two slices, of all lengths, that meet, overlap, leave a gap or come the other way round. */
START_TEST(slices_that_meet_are_one)
{
    int axis = _i % AXES;
    for (int from = 0; from < LENGTH; from++)
        for (int n = 1; from + n <= LENGTH; n++)
            for (int next = 0; next < LENGTH; next++) {
                Fn *fn = fn_new(m, "f", (Span){0});
                Val x = input(fn, _i & 2), last = slice(fn, x, axis, next, LENGTH - next);
                const Fn *to = canon_of(fn, joined(fn, axis, slice(fn, x, axis, from, n), last));
                bool meet = next == from + n, are_same = next == from && next + n == LENGTH;
                int apart = are_same ? n < LENGTH : (n < LENGTH) + (next > 0);
                ck_assert_int_eq(count(to, OP_concat), !meet);
                ck_assert_int_eq(count(to, OP_slice), meet ? from > 0 : apart);
            }
}
END_TEST

/* Slices along one axis that are joined along the other, and slices of two arrays, stay. */
START_TEST(others_are_not)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = input(fn, false);
    const Fn *to = canon_of(fn, joined(fn, 1, slice(fn, x, 0, 0, 3), slice(fn, x, 0, 3, 3)));
    ck_assert_int_eq(count(to, OP_concat), 1);
    fn = fn_new(m, "f", (Span){0});
    x = input(fn, false);
    Val y = input(fn, true);
    to = canon_of(fn, joined(fn, 0, slice(fn, x, 0, 0, 3), slice(fn, y, 0, 3, 3)));
    ck_assert_int_eq(count(to, OP_concat), 1);
}
END_TEST

/* All places of two arrays among zeros, in both orders. */
START_TEST(sums_of_neighbours_are_concatenations)
{
    int axis = _i % AXES;
    for (int n = 1; n < LENGTH; n++)
        for (int from = 0; from + n <= LENGTH; from++)
            for (int next = 0; next + 2 <= LENGTH; next++) {
                Fn *fn = fn_new(m, "f", (Span){0});
                Val x = input(fn, _i & 2), y = input(fn, _i & 4);
                Val one = pad(fn, slice(fn, x, axis, 0, n), axis, from, LENGTH);
                Val other = pad(fn, slice(fn, y, axis, 1, 2), axis, next, LENGTH);
                const Fn *to = canon_of(fn, fn_op2(m, fn, OP_add, one, other));
                bool meet = next == from + n || from == next + 2, is_whole = meet && n + 2 == LENGTH;
                ck_assert_int_eq(count(to, OP_concat), meet);
                ck_assert_int_eq(count(to, OP_add), !meet);
                ck_assert_int_eq(count(to, OP_pad), meet ? !is_whole : 2);
            }
}
END_TEST

/* A concatenation in another one along the same axis is part of it; along another one it is not. */
START_TEST(concatenations_are_flat)
{
    for (int inner = 0; inner < AXES; inner++)
        for (int outer = 0; outer < AXES; outer++) {
            Fn *fn = fn_new(m, "f", (Span){0});
            Val x = input(fn, false), y = input(fn, true);
            Val both = joined(fn, inner, x, y), third = joined(fn, inner, y, y);
            const Fn *to = canon_of(fn, joined(fn, outer, both, third));
            ck_assert_int_eq(count(to, OP_concat), inner == outer ? 1 : 3);
        }
}
END_TEST

/* What the reverse of [x[0:4], x[4:5], b] makes of g, and the reverse of what puts it together again. */
START_TEST(a_round_trip_is_nothing)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = input(fn, false), sum = pad(fn, slice(fn, x, 0, 4, 1), 0, 4, LENGTH);
    sum = fn_op2(m, fn, OP_add, sum, pad(fn, slice(fn, x, 0, 0, 4), 0, 0, LENGTH));
    sum = fn_op2(m, fn, OP_add, sum, pad(fn, slice(fn, x, 0, 5, 1), 0, 5, LENGTH));
    const Fn *to = canon_of(fn, sum);
    ck_assert_int_eq(to->ins.n, 1);
    ck_assert_int_eq((int)to->out.at[0], 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("form");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, slices_that_meet_are_one, 0, 4);
    tcase_add_test(tc, others_are_not);
    tcase_add_loop_test(tc, sums_of_neighbours_are_concatenations, 0, 8);
    tcase_add_test(tc, concatenations_are_flat);
    tcase_add_test(tc, a_round_trip_is_nothing);
    Suite *s = suite_create("form");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
