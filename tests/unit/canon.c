/* canon.c: the canonical form keeps the meaning and removes what is double, dead or made of numbers only.
 *
 * Elsewhere: the rewrite rules one by one (simplify.c). */
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

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

static const char *text_of(const Fn *fn)
{
    Text t = text_new(a);
    fn_print(&t, fn);
    return t.at;
}

static Fn *grown(Module *in_module, int seed, Array **in)
{
    Random r = {.state = (uint64_t)seed * 1000003u};
    return random_fn(in_module, &world, &r, 40, false, in);
}

/* ---- random functions ---- */
START_TEST(outputs_stay)
{
    Array *in;
    const Fn *fn = grown(m, _i, &in), *to = canon(m, fn);
    fn_verify(to);
    ck_assert_int_eq(to->out.n, fn->out.n);
    double error = outputs_error(&world, fn->out.n, interpret(a, to, &world, in), interpret(a, fn, &world, in));
    ck_assert_msg(error < 1e-11, "seed %d: outputs differ by %g", _i, error);
}
END_TEST

START_TEST(the_canonical_form_is_its_own)
{
    Array *in;
    const Fn *once = canon(m, grown(m, _i, &in)), *twice = canon(m, once);
    ck_assert_msg(str_eq(text_of(twice), text_of(once)), "seed %d", _i);
}
END_TEST

START_TEST(the_same_function_gives_the_same_text)
{
    Array *in;
    const char *first = text_of(canon(m, grown(m, _i, &in)));
    Arena *other = arena_new();
    for (int i = 0; i < 7 * _i; i++)
        arena_alloc(other, 16); /* other addresses */
    const char *second = text_of(canon(m, grown(module_new(other), _i, &in)));
    ck_assert_msg(str_eq(first, second), "seed %d", _i);
    arena_free(other);
}
END_TEST

static bool *used(const Fn *fn)
{
    bool *is_used = ARENA_NEW(a, bool, fn->ins.n);
    for (int i = 0; i < fn->out.n; i++)
        is_used[fn->out.at[i]] = true;
    for (int v = fn->ins.n - 1; v >= 0; v--)
        for (int k = 0; is_used[v] && k < fn->ins.at[v].n_arg; k++)
            is_used[fn->ins.at[v].arg[k]] = true;
    return is_used;
}

static bool same_ins(const Ins *x, const Ins *y)
{
    for (int k = 0; k < x->n_arg && k < y->n_arg; k++)
        if (x->arg[k] != y->arg[k])
            return false;
    return x->op == y->op && x->n_arg == y->n_arg && type_equal(x->type, y->type) &&
           !memcmp(&x->imm.num, &y->imm.num, sizeof(double)) && /* 0 is not -0 */
           x->imm.axis == y->imm.axis && x->imm.from == y->imm.from && x->imm.index == y->imm.index &&
           !memcmp(x->imm.perm, y->imm.perm, sizeof x->imm.perm);
}

static bool is_number_map(const Fn *fn, const Ins *ins)
{
    bool all = op_info[ins->op].op_class == CLASS_map;
    double x[3] = {0};
    for (int k = 0; k < ins->n_arg; k++) {
        all &= fn->ins.at[ins->arg[k]].op == OP_const;
        x[k % 3] = fn->ins.at[ins->arg[k]].imm.num;
    }
    return all && isfinite(op_eval_map(ins->op, x[0], x[1], x[2]));
}

START_TEST(nothing_is_dead_double_or_of_numbers_only)
{
    Array *in;
    const Fn *fn = canon(m, grown(m, _i, &in));
    const bool *is_used = used(fn);
    ck_assert_int_eq(fn->n_in, 3);
    for (int v = fn->n_in; v < fn->ins.n; v++) {
        ck_assert_msg(is_used[v], "seed %d: value %d is dead", _i, v);
        ck_assert_msg(!is_number_map(fn, &fn->ins.at[v]), "seed %d: value %d is a number", _i, v);
        for (int w = fn->n_in; w < v; w++)
            ck_assert_msg(!same_ins(&fn->ins.at[v], &fn->ins.at[w]), "seed %d: value %d is %d", _i, v, w);
    }
}
END_TEST

/* ---- one thing at a time ---- */
static const Type scalar = {.rank = 0}, each = {.is_batched = true};

static void check_text(const Fn *fn, const char *wanted)
{
    ck_assert_str_eq(text_of(canon(m, fn)), wanted);
}

START_TEST(numbers_follow_the_reader_of_the_outputs)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = fn_input(m, fn, scalar, "x"), y = fn_input(m, fn, scalar, "y");
    Val dead = fn_op1(m, fn, OP_exp, y);
    Val second = fn_op1(m, fn, OP_sin, x), first = fn_op1(m, fn, OP_cos, x), again = fn_op1(m, fn, OP_cos, x);
    fn_op2(m, fn, OP_add, dead, dead);
    fn_out(m, fn, fn_op2(m, fn, OP_add, first, again), NULL);
    fn_out(m, fn, second, NULL);
    check_text(fn, "fn f(2)\n"
                   "    %0 = input .0/0/0                                : real\n"
                   "    %1 = input .1/0/0                                : real\n"
                   "    %2 = cos %0                                      : real\n"
                   "    %3 = add %2 %2                                   : real\n"
                   "    %4 = sin %0                                      : real\n"
                   "    out %3 %4\n"
                   "end\n");
}
END_TEST

START_TEST(chains_of_rewrites_end_in_one_value)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = fn_input(m, fn, scalar, "x");
    Val y = fn_op2(m, fn, OP_mul, fn_const(m, fn, 1), fn_op2(m, fn, OP_add, x, fn_const(m, fn, 0)));
    y = fn_op1(m, fn, OP_neg, fn_op1(m, fn, OP_neg, y));
    Val four = fn_op1(m, fn, OP_square, fn_op1(m, fn, OP_sqrt, fn_const(m, fn, 4)));
    Val zero = fn_op2(m, fn, OP_sub, fn_const(m, fn, 2), four);
    zero = fn_op2(m, fn, OP_add, zero, fn_const(m, fn, 2));
    fn_out(m, fn, fn_op2(m, fn, OP_sub, y, zero), NULL);
    check_text(fn, "fn f(1)\n    %0 = input .0/0/0                                : real\n    out %0\nend\n");
}
END_TEST

START_TEST(what_is_not_finite_is_not_computed)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val zero = fn_const(m, fn, 0), one = fn_const(m, fn, 1);
    fn_out(m, fn, fn_op2(m, fn, OP_div, one, zero), NULL);
    const Fn *to = canon(m, fn);
    ck_assert_int_eq(to->ins.at[to->out.at[0]].op, OP_div);
}
END_TEST

/* Identities of detach survive: tests and the tape find a held value by its number. */
START_TEST(held_values_keep_their_identity)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = fn_input(m, fn, scalar, "x"), held[3];
    for (int i = 0; i < 3; i++) {
        held[i] = fn_op(m, fn, OP_detach, 1, &x, (Imm){.index = i / 2}, fn->span);
        fn_out(m, fn, held[i], NULL);
    }
    const Fn *to = canon(m, fn);
    ck_assert_int_eq(to->ins.n, 3);
    ck_assert_uint_eq(to->out.at[0], to->out.at[1]);
    ck_assert_uint_ne(to->out.at[0], to->out.at[2]);
}
END_TEST

START_TEST(calls_with_equal_arguments_are_one)
{
    Fn *callee = fn_new(m, "g", (Span){0}), *fn = fn_new(m, "f", (Span){0});
    Val u = fn_input(m, callee, each, "u");
    fn_out(m, callee, fn_op1(m, callee, OP_sin, u), NULL);
    fn_out(m, callee, fn_op1(m, callee, OP_cos, u), NULL);
    callee = module_add(m, canon(m, callee));
    Val x = fn_input(m, fn, each, "x");
    Val one = fn_call(m, fn, callee, 1, &x, fn->span), two = fn_call(m, fn, callee, 1, &x, fn->span);
    fn_call(m, fn, callee, 1, &x, fn->span); /* no result is asked for */
    Val sum = fn_op2(m, fn, OP_add, fn_result(m, fn, one, 0, each), fn_result(m, fn, two, 0, each));
    fn_out(m, fn, fn_op2(m, fn, OP_mul, sum, fn_result(m, fn, two, 1, each)), NULL);
    check_text(fn, "fn f(1)\n"
                   "    %0 = input .0/0/0                                : real each\n"
                   "    %1 = call g %0                                   : real\n"
                   "    %2 = result .0/0/0 %1                            : real each\n"
                   "    %3 = add %2 %2                                   : real each\n"
                   "    %4 = result .1/0/0 %1                            : real each\n"
                   "    %5 = mul %3 %4                                   : real each\n"
                   "    out %5\n"
                   "end\n");
}
END_TEST

START_TEST(equal_functions_are_one_in_the_module)
{
    Fn *fn[3];
    for (int i = 0; i < 3; i++) {
        fn[i] = fn_new(m, i == 1 ? "other" : "f", (Span){0});
        Val x = fn_input(m, fn[i], scalar, "x");
        fn_out(m, fn[i], fn_op1(m, fn[i], i == 2 ? OP_sin : OP_cos, x), NULL);
        fn[i] = module_add(m, canon(m, fn[i]));
    }
    ck_assert_ptr_eq(fn[0], fn[1]);
    ck_assert_str_eq(fn[0]->name, "f");
    ck_assert_str_eq(fn[2]->name, "f_2");
    ck_assert_int_eq(m->fns.n, 2);
}
END_TEST

/* A user's name is not lost when its value merges with a nameless one. */
START_TEST(names_survive_merging)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = fn_input(m, fn, scalar, "x"), first = fn_op1(m, fn, OP_sin, x), second = fn_op1(m, fn, OP_sin, x);
    fn->ins.at[second].name = "wave";
    fn_out(m, fn, fn_op2(m, fn, OP_add, first, second), NULL);
    const Fn *to = canon(m, fn);
    ck_assert_str_eq(to->ins.at[1].name, "wave");
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("canon");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, outputs_stay, 0, 200);
    tcase_add_loop_test(tc, the_canonical_form_is_its_own, 0, 100);
    tcase_add_loop_test(tc, the_same_function_gives_the_same_text, 0, 20);
    tcase_add_loop_test(tc, nothing_is_dead_double_or_of_numbers_only, 0, 100);
    tcase_add_test(tc, numbers_follow_the_reader_of_the_outputs);
    tcase_add_test(tc, chains_of_rewrites_end_in_one_value);
    tcase_add_test(tc, what_is_not_finite_is_not_computed);
    tcase_add_test(tc, held_values_keep_their_identity);
    tcase_add_test(tc, calls_with_equal_arguments_are_one);
    tcase_add_test(tc, equal_functions_are_one_in_the_module);
    tcase_add_test(tc, names_survive_merging);
    Suite *s = suite_create("canon");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
