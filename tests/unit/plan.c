/* plan.c: loops, phases, sums and memory of planned functions: what is one loop, what is never formed, what waits for
 * the batch, and that no two values that live at once share memory.
 *
 * Elsewhere: that the C made of a plan computes the right numbers (emit.c). */
#include "interpret.h"
#include "plan.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static Arena *a;
static Module *m;

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

static Type vector(bool is_batched, int n)
{
    return type_real(is_batched, 1, (int[]){n});
}

static PlanFn *planned(Fn *fn)
{
    Model *model = ARENA_NEW(a, Model, 1);
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){.name = "test.nde", .text = "", .n = 0};
    *model = (Model){.name = "test", .source = source, .module = m, .eval = fn};
    fn_verify(fn);
    return plan_find(plan_build(model), fn, fn->out.n);
}

static int count(const PlanFn *f, GroupKind kind)
{
    int n = 0;
    for (int i = 0; i < f->n_part; i++)
        for (int g = 0; g < f->part[i].groups.n; g++)
            n += f->part[i].groups.at[g]->kind == kind;
    return n;
}

static int count_ops(const PlanFn *f, Op op)
{
    int n = 0;
    for (int v = 0; v < f->fn->ins.n; v++)
        n += f->fn->ins.at[v].op == op;
    return n;
}

/* k = W tanh(u): one callee for the tests below. */
static Fn *field(int n)
{
    Fn *fn = fn_new(m, "field", (Span){0});
    Val u = fn_input(m, fn, vector(true, n), "u"), w = fn_input(m, fn, type_real(false, 2, (int[]){n, n}), "W");
    fn_out(m, fn, fn_op2(m, fn, OP_mm_nn, w, fn_op1(m, fn, OP_tanh, u)), "k");
    return module_add(m, fn);
}

/* u + h (k1 + 2 (k2 - k1)) with two calls in between. */
START_TEST(a_stage_sum_is_one_loop)
{
    Fn *callee = field(5), *fn = fn_new(m, "step", (Span){0});
    Val u = fn_input(m, fn, vector(true, 5), "u"), w = fn_input(m, fn, fn_type(callee, 1), "W");
    Val h = fn_input(m, fn, type_scalar(false), "h"), k[2], at = u;
    for (int i = 0; i < 2; i++) {
        k[i] = fn_result(m, fn, fn_call(m, fn, callee, 2, (Val[]){at, w}, fn->span), 0, fn_type(fn, u));
        Val sum = k[i];
        if (i > 0)
            sum = fn_op2(m, fn, OP_add, k[0],
                         fn_op2(m, fn, OP_mul, fn_const(m, fn, 2), fn_op2(m, fn, OP_sub, k[1], k[0])));
        at = fn_op2(m, fn, OP_add, u, fn_op2(m, fn, OP_mul, h, sum));
    }
    fn_out(m, fn, at, "u1");
    PlanFn *f = planned(fn);
    ck_assert_int_eq(count(f, GROUP_call), 2);
    ck_assert_int_eq(count(f, GROUP_loop), 2);
    ck_assert_int_eq(f->n_part, 2);
    ck_assert_int_eq(f->part[1].groups.at[3]->ins.n, 5);
    for (int i = 0; i < 4; i++) /* all but the last live in variables */
        ck_assert_int_eq(f->place[f->part[1].groups.at[3]->ins.at[i]].where, WHERE_local);
    ck_assert_int_eq(f->place[f->part[1].groups.at[3]->ins.at[4]].where, WHERE_out);
}
END_TEST

/* Two outer products, summed over the batch and added, are one kernel on one accumulator, which is the output. */
START_TEST(outer_products_are_summed_at_once)
{
    Fn *fn = fn_new(m, "gradient", (Span){0});
    Val x[4], y[2];
    for (int i = 0; i < 4; i++)
        x[i] = fn_input(m, fn, vector(true, 30 + i % 2), NULL);
    for (int i = 0; i < 2; i++)
        y[i] = fn_op1(m, fn, OP_bsum, fn_op2(m, fn, OP_mm_nt, x[2 * i], x[2 * i + 1]));
    Val sum = fn_op2(m, fn, OP_add, y[0], y[1]);
    fn_out(m, fn, sum, "gW");
    PlanFn *f = planned(fn);
    ck_assert_int_eq(count(f, GROUP_sum), 1);
    ck_assert_int_eq(count(f, GROUP_kernel), 0);
    ck_assert_int_eq(count(f, GROUP_loop), 0);
    int roots = 0;
    for (int v = 0; v < f->fn->ins.n; v++)
        if (f->root[v] == (Val)v) {
            roots++;
            ck_assert_int_eq(f->sum_out[v], 0);
        }
    ck_assert_int_eq(roots, 1);
}
END_TEST

/* x - mean over the batch: the sum in the first phase, its use in the second, x^2 kept between them. */
START_TEST(a_sum_over_the_batch_ends_a_phase)
{
    Fn *fn = fn_new(m, "centred", (Span){0});
    Val x = fn_input(m, fn, vector(true, 4), "x"), square = fn_op1(m, fn, OP_square, x);
    Val n = fn_leaf(m, fn, OP_batch, 0, type_scalar(false), NULL);
    Val mean = fn_op2(m, fn, OP_div, fn_op1(m, fn, OP_bsum, square), n);
    fn_out(m, fn, fn_op2(m, fn, OP_sub, square, mean), "y");
    PlanFn *f = planned(fn);
    ck_assert_int_eq(f->n_part, 4);
    ck_assert_int_eq(f->part[1].groups.n, 1); /* the square and its sum are one loop */
    ck_assert_int_eq(f->part[2].groups.n, 1);
    ck_assert_int_eq(f->part[3].groups.n, 1);
    ck_assert_int_eq(f->place[f->part[1].groups.at[0]->ins.at[0]].where, WHERE_kept);
    ck_assert_int_eq(f->place[f->part[3].groups.at[0]->ins.at[0]].where, WHERE_out);
}
END_TEST

/* The same as a callee cannot run over one tile: it is expanded. A reverse, linear in its sums, is not. */
START_TEST(only_what_needs_the_whole_batch_is_expanded)
{
    Fn *centred = fn_new(m, "centred", (Span){0}), *fn = fn_new(m, "calls", (Span){0});
    Val x = fn_input(m, centred, vector(true, 4), "x");
    fn_out(m, centred, fn_op2(m, centred, OP_sub, x, fn_op1(m, centred, OP_bsum, x)), "y");
    Fn *callee = module_add(m, centred), *f1 = field(4);
    Fn *reverse = module_add(m, ad_vjp(m, f1, "field_vjp", (bool[]){true, true}, (bool[]){true}, false));
    Val u = fn_input(m, fn, vector(true, 4), "u"), w = fn_input(m, fn, fn_type(f1, 1), "W");
    Val y = fn_result(m, fn, fn_call(m, fn, callee, 1, &u, fn->span), 0, fn_type(fn, u));
    Val call = fn_call(m, fn, reverse, 3, (Val[]){u, w, y}, fn->span);
    for (int i = 0; i < 2; i++)
        fn_out(m, fn, fn_result(m, fn, call, i, fn_type(reverse, reverse->out.at[i])), NULL);
    PlanFn *f = planned(fn);
    ck_assert_int_eq(count_ops(f, OP_call), 1);
    ck_assert_int_eq(count_ops(f, OP_bsum), 1);
    ck_assert_int_eq(count(f, GROUP_call), 1);
    ck_assert_int_eq(f->n_part, 6);
}
END_TEST

/* ---- memory and order of random functions ---- */
static const World world = {.n_batch = 3};

typedef struct Life {
    Val v;
    int first, last, from, n;
} Life;

static int last_use(const PlanFn *f, Val v)
{
    int last = f->group[v];
    for (int u = 0; u < f->fn->ins.n; u++)
        for (int k = 0; f->in_part[u] >= 0 && k < f->fn->ins.at[u].n_arg; k++) {
            int offset;
            if (plan_base(f, f->fn->ins.at[u].arg[k], &offset) == v && f->group[u] > last)
                last = f->group[u];
        }
    for (int i = 0; i < f->fn->out.n; i++) {
        int offset;
        if (plan_base(f, f->fn->out.at[i], &offset) == v)
            last = f->part[f->in_part[v]].groups.n;
    }
    return last;
}

/* Is v made in the memory of w? */
static bool is_guest_of(const PlanFn *f, Val v, Val w)
{
    for (; v != NO_VAL; v = f->host[v])
        if (v == w)
            return true;
    return false;
}

static void check_memory(const PlanFn *f, int part, bool is_batched)
{
    LIST(Life) lives = {0};
    for (Val v = 0; v < (Val)f->fn->ins.n; v++) {
        if (f->place[v].where != WHERE_work || f->in_part[v] != part || fn_type(f->fn, v).is_batched != is_batched)
            continue;
        Life x = {v, f->group[v], last_use(f, v), f->place[v].offset, plan_size(f, v)};
        ck_assert_int_le(x.from + x.n, is_batched ? f->part[part].rows : f->part[part].reals);
        for (int i = 0; i < lives.n; i++) {
            const Life *y = &lives.at[i];
            bool at_once = x.first <= y->last && y->first <= x.last;
            bool is_one = is_guest_of(f, x.v, y->v) || is_guest_of(f, y->v, x.v);
            ck_assert_msg(!at_once || is_one || x.from >= y->from + y->n || y->from >= x.from + x.n,
                          "'%s': values %u and %u share memory", f->fn->name, x.v, y->v);
        }
        list_push(a, lives, x);
    }
}

/* Every operand that the part computes is there before its user. */
static void check_order(const PlanFn *f)
{
    for (Val u = 0; u < (Val)f->fn->ins.n; u++)
        for (int k = 0; plan_has_group(f, u) && k < f->fn->ins.at[u].n_arg; k++) {
            int offset;
            Val b = plan_base(f, f->fn->ins.at[u].arg[k], &offset);
            if (plan_is_leaf(f, b) || f->root[b] != NO_VAL)
                continue;
            ck_assert_int_le(f->in_part[b], f->in_part[u]);
            if (f->in_part[b] == f->in_part[u] && !f->is_absorbed[b])
                ck_assert_int_le(f->group[b], f->group[u]);
        }
}

START_TEST(nothing_that_lives_at_once_shares_memory)
{
    Random r = {(uint64_t)_i};
    Array *in;
    Fn *fn = canon(m, random_fn(m, &world, &r, 20 + _i, true, &in));
    bool all[64] = {true, true, true, true, true, true, true, true, true, true, true, true, true, true, true, true};
    PlanFn *f[2] = {planned(fn), planned(ad_vjp(m, fn, "reverse", all, all, true))};
    for (int k = 0; k < 2; k++) {
        check_order(f[k]);
        for (int i = 0; i < f[k]->n_part; i++) {
            check_memory(f[k], i, true);
            check_memory(f[k], i, false);
        }
    }
}
END_TEST

/* An output that nobody reads stands with its last operand, which may be what a call gives. */
START_TEST(outputs_are_made_behind_their_operands)
{
    Fn *callee = field(5), *fn = fn_new(m, "outputs", (Span){0});
    Val u = fn_input(m, fn, vector(true, 5), "u"), w = fn_input(m, fn, fn_type(callee, 1), "W");
    Val square = fn_op1(m, fn, OP_square, u);
    Val k = fn_result(m, fn, fn_call(m, fn, callee, 2, (Val[]){square, w}, fn->span), 0, fn_type(fn, u));
    Val next = fn_result(m, fn, fn_call(m, fn, callee, 2, (Val[]){k, w}, fn->span), 0, fn_type(fn, u));
    fn_out(m, fn, fn_op2(m, fn, OP_mul, square, k), "y");
    fn_out(m, fn, next, "next");
    PlanFn *f = planned(fn);
    check_order(f);
    const Part *part = &f->part[1];
    ck_assert_int_eq(part->groups.n, 4);
    ck_assert_int_eq(part->groups.at[1]->kind, GROUP_call);
    ck_assert_int_eq(part->groups.at[2]->kind, GROUP_loop); /* y, not behind the second call */
    ck_assert_int_eq(part->groups.at[3]->kind, GROUP_call);
}
END_TEST

START_TEST(a_plan_can_be_read)
{
    Fn *fn = fn_new(m, "small", (Span){0});
    Val x = fn_input(m, fn, vector(true, 2), "x");
    fn_out(m, fn, fn_op1(m, fn, OP_sum, fn_op1(m, fn, OP_tanh, x)), "y");
    Model model = {.module = m, .eval = fn};
    Text t = text_new(a);
    plan_print(&t, plan_build(&model));
    ck_assert_ptr_nonnull(strstr(t.at, "tile part 0"));
    ck_assert_ptr_nonnull(strstr(t.at, "loop 2 each  %1 tanh (local 0)  %2 sum (out 0)"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan");
    TCase *tc = tcase_create("plan");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, a_stage_sum_is_one_loop);
    tcase_add_test(tc, outer_products_are_summed_at_once);
    tcase_add_test(tc, outputs_are_made_behind_their_operands);
    tcase_add_test(tc, a_sum_over_the_batch_ends_a_phase);
    tcase_add_test(tc, only_what_needs_the_whole_batch_is_expanded);
    tcase_add_loop_test(tc, nothing_that_lives_at_once_shares_memory, 0, 60);
    tcase_add_test(tc, a_plan_can_be_read);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
