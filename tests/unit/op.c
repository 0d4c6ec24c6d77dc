/* op.c: every row of op.def: its rule is the derivative, its transpose is the transpose, twice. A new row is met by
 * these loops; only a row whose shape is in imm needs a case in interpret.c (op_case), and a test here says so.
 *
 * Elsewhere: derivatives of whole functions (ad.c), values in generated code (the tests of the emitter). */
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

/* ---- functions of one instruction ---- */
typedef void Visit(const Fn *fn, const Array *in, const char *what, void *context);

static const char *case_text(Op op, int n, const Type *type, const Imm *imm)
{
    const char *s = op_info[op].name;
    for (int k = 0; k < n; k++)
        s = str_format(a, "%s %s%s", s, type_text(a, type[k]), type[k].is_batched ? " each" : "");
    return str_format(a, "%s (axis %d, from %d)", s, imm->axis, imm->from);
}

static int visit(Op op, int n, const Type *type, const Imm *imm, Visit *to, void *context)
{
    Type out;
    char why[256];
    if (!op_type(op, n, type, imm, &out, why))
        return 0;
    Fn *fn = fn_new(m, op_info[op].name, (Span){0});
    Val arg[4];
    Random r = {.state = (uint64_t)op};
    for (int k = 0; k < n; k++)
        arg[k] = fn_input(m, fn, type[k], NULL);
    fn_out(m, fn, fn_op(m, fn, op, n, arg, *imm, fn->span), NULL);
    Array *in = random_arrays(a, &world, &r, n, type, op_info[op].lo, op_info[op].hi);
    to(fn, in, case_text(op, n, type, imm), context);
    return 1;
}

/* All choices of shared and per-sample operands. */
static int visit_batched(Op op, int n, const Type *type, const Imm *imm, Visit *to, void *context)
{
    int seen = 0;
    for (int mask = 0; mask < 1 << n; mask++) {
        Type t[4];
        for (int k = 0; k < n; k++) {
            t[k] = type[k];
            t[k].is_batched = mask >> k & 1;
        }
        bool fits = op == OP_bsum ? t[0].is_batched : op != OP_bcast || !t[0].is_batched;
        seen += fits ? visit(op, n, t, imm, to, context) : 0;
    }
    return seen;
}

static const Type some_type[] = {{.rank = 0},
                                 {.rank = 1, .dim = {2}},
                                 {.rank = 1, .dim = {3}},
                                 {.rank = 2, .dim = {2, 3}},
                                 {.rank = 2, .dim = {3, 2}},
                                 {.rank = 2, .dim = {2, 1}}};
enum { N_TYPE = sizeof some_type / sizeof *some_type };

/* Scalars and arrays in all places of a map; all pairs that a product takes; one operand of each rank elsewhere. */
static int visit_shapes(Op op, int n, Visit *to, void *context)
{
    int seen = 0, combinations = 1;
    for (int k = 0; k < n; k++)
        combinations *= N_TYPE;
    for (int i = 0; i < combinations; i++) {
        Type type[3];
        int rest = i;
        bool is_last = true;
        for (int k = 0; k < n; k++, rest /= N_TYPE) {
            type[k] = some_type[rest % N_TYPE];
            is_last &= type[k].rank != 2 || rest % N_TYPE == 3;
        }
        if (op_info[op].op_class != CLASS_map || is_last)
            seen += visit_batched(op, n, type, &(Imm){0}, to, context);
    }
    return seen;
}

/* Joins of three operands along each axis. */
static int visit_joins(Op op, Visit *to, void *context)
{
    int seen = 0;
    for (int axis = 0; axis < 2; axis++) {
        Type type[3];
        for (int k = 0; k < 3; k++) {
            type[k] = type_real(false, 2, (int[]){2, 2});
            type[k].dim[axis] = k + 1;
        }
        seen += visit_batched(op, 3, type, &(Imm){.axis = axis}, to, context);
    }
    return seen;
}

/* Calls `to` for functions of the one instruction op; returns how many there were. */
static int visit_op(Op op, Visit *to, void *context)
{
    Type operand;
    Imm imm;
    int seen = 0;
    if (op_info[op].n_arg < 0)
        return visit_joins(op, to, context);
    for (int k = 0; op_case(op, k, &operand, &imm); k++)
        seen += visit_batched(op, 1, &operand, &imm, to, context);
    return seen ? seen : visit_shapes(op, op_info[op].n_arg, to, context);
}

static bool is_row(Op op)
{
    OpClass kind = op_info[op].op_class;
    return kind != CLASS_leaf && kind != CLASS_region;
}

/* A row with the domain 0, 0 has no derivative that differences could show. */
static bool has_derivative(Op op)
{
    return is_row(op) && op_info[op].hi > op_info[op].lo;
}

/* ---- derivatives ---- */
static void check_first(const Fn *fn, const Array *in, const char *what, void *context)
{
    Random r = {.state = 1};
    double error = gradient_error(m, fn, &world, &r, in, NULL);
    (void)context;
    ck_assert_msg(error < 1e-7, "%s: the rule differs from differences by %g", what, error);
}

START_TEST(every_rule_is_the_derivative)
{
    if (has_derivative((Op)_i))
        ck_assert_msg(visit_op((Op)_i, check_first, NULL) > 1, "%s: no operands fit: give it an op_case",
                      op_info[_i].name);
}
END_TEST

/* The reverse of fn with a random g behind the inputs, all outputs seeded. */
static Fn *reverse_of(const Fn *fn, const Array *in, Array **all)
{
    bool *yes = ARENA_NEW(a, bool, fn->n_in + fn->out.n);
    Random r = {.state = 2};
    Type type = fn_type(fn, fn->out.at[0]);
    memset(yes, 1, sizeof(bool) * (size_t)(fn->n_in + fn->out.n));
    *all = ARENA_NEW(a, Array, fn->n_in + 1);
    memcpy(*all, in, sizeof(Array) * (size_t)fn->n_in);
    (*all)[fn->n_in] = *random_arrays(a, &world, &r, 1, &type, -1, 1);
    return ad_vjp(m, fn, "reverse", yes, yes, false);
}

static void check_second(const Fn *fn, const Array *in, const char *what, void *context)
{
    Random r = {.state = 3};
    Array *all;
    const Fn *reverse = reverse_of(fn, in, &all);
    double error = gradient_error(m, reverse, &world, &r, all, NULL);
    (void)context;
    ck_assert_msg(error < 1e-7, "%s: the rule of the rule differs from differences by %g", what, error);
}

START_TEST(every_rule_has_a_derivative)
{
    if (has_derivative((Op)_i))
        visit_op((Op)_i, check_second, NULL);
}
END_TEST

static double dot(const Array *x, const Array *y)
{
    double sum = 0;
    for (int e = 0; e < array_size(&world, x->type); e++)
        sum += x->at[e] * y->at[e];
    return sum;
}

/* <g, J v> = <J' g, v>, where J v is the reverse of the linear function g -> J' g. */
static void check_transpose(const Fn *fn, const Array *in, const char *what, void *context)
{
    Array *all, *v = random_arrays(a, &world, &(Random){.state = 4}, fn->n_in,
                                   (Type[]){in[0].type, in[fn->n_in > 1].type, in[fn->n_in > 2 ? 2 : 0].type}, -1, 1);
    bool *want = ARENA_NEW(a, bool, fn->n_in + 1), *seed = ARENA_NEW(a, bool, fn->n_in);
    const Fn *reverse = reverse_of(fn, in, &all);
    memset(seed, 1, sizeof(bool) * (size_t)fn->n_in);
    want[fn->n_in] = true;
    const Fn *forward = ad_vjp(m, reverse, "forward", want, seed, false);
    Array *both = ARENA_NEW(a, Array, 2 * fn->n_in + 1);
    memcpy(both, all, sizeof(Array) * (size_t)(fn->n_in + 1));
    memcpy(both + fn->n_in + 1, v, sizeof(Array) * (size_t)fn->n_in);
    const Array *jv = interpret(a, forward, &world, both), *gradient = interpret(a, reverse, &world, all);
    double left = dot(&all[fn->n_in], jv), right = 0;
    for (int i = 0; i < fn->n_in; i++)
        right += dot(&gradient[i], &v[i]);
    *(double *)context += fabs(left);
    ck_assert_msg(fabs(left - right) < 1e-11 * fmax(1, fabs(left)), "%s: <g, J v> = %g, but <J' g, v> = %g", what, left,
                  right);
}

START_TEST(forward_and_reverse_are_transposes)
{
    double total = 0;
    if (has_derivative((Op)_i) && strspn(op_info[_i].rule, "0; ") < strlen(op_info[_i].rule)) {
        visit_op((Op)_i, check_transpose, &total);
        ck_assert_msg(total > 0, "%s: all derivatives are 0", op_info[_i].name);
    }
}
END_TEST

/* ---- the other side of kinks, and 0 ---- */
static double slope(Op op, double x0)
{
    Type t = type_scalar(false);
    Fn *fn = fn_new(m, "slope", (Span){0});
    Val y = fn_op1(m, fn, op, fn_input(m, fn, t, NULL));
    double one = 1;
    fn_out(m, fn, y, NULL);
    Fn *vjp = ad_vjp(m, fn, "slope_vjp", (bool[]){true}, (bool[]){true}, false);
    return *interpret(a, vjp, &world, (Array[]){{t, &x0}, {t, &one}})->at;
}

START_TEST(kinks_have_the_derivative_of_their_side)
{
    ck_assert_double_eq(slope(OP_relu, -0.5), 0);
    ck_assert_double_eq(slope(OP_relu, 0), 0);
    ck_assert_double_eq(slope(OP_abs, -0.5), -1);
    ck_assert_double_eq(slope(OP_abs, 0), 0);
    ck_assert_double_eq(slope(OP_sqrt, 0), 0);
    ck_assert_double_eq(slope(OP_square, 0), 0);
}
END_TEST

START_TEST(steep_ends_stay_finite)
{
    const Op op[] = {OP_tanh, OP_sigmoid, OP_softplus};
    for (int i = 0; i < 3; i++)
        for (double x = -800; x <= 800; x += 400) {
            ck_assert_msg(isfinite(op_eval_map(op[i], x, 0, 0)), "%s(%g)", op_info[op[i]].name, x);
            ck_assert_msg(isfinite(slope(op[i], x)), "slope of %s at %g", op_info[op[i]].name, x);
        }
    ck_assert_double_eq(op_eval_map(OP_softplus, 800, 0, 0), 800);
    ck_assert_double_eq(op_eval_map(OP_sigmoid, 800, 0, 0), 1);
}
END_TEST

START_TEST(a_condition_chooses_values_and_gradients)
{
    Type t = type_real(true, 1, (int[]){2});
    double choice[] = {0, 1, 2, 0, 0, -1}, left[] = {1, 2, 3, 4, 5, 6}, right[] = {-1, -2, -3, -4, -5, -6};
    double g[] = {10, 20, 30, 40, 50, 60}, value[] = {-1, 2, 3, -4, -5, 6}, to_left[] = {0, 20, 30, 0, 0, 60};
    Fn *fn = fn_new(m, "choice", (Span){0});
    Val in[3];
    for (int k = 0; k < 3; k++)
        in[k] = fn_input(m, fn, t, NULL);
    fn_out(m, fn, fn_op(m, fn, OP_where, 3, in, (Imm){0}, fn->span), NULL);
    Fn *vjp = ad_vjp(m, fn, "choice_vjp", (bool[]){true, true, true}, (bool[]){true}, true);
    const Array *out = interpret(a, vjp, &world, (Array[]){{t, choice}, {t, left}, {t, right}, {t, g}});
    for (int e = 0; e < 6; e++) {
        ck_assert_double_eq(out[0].at[e], value[e]);
        ck_assert_double_eq(out[1].at[e], 0);
        ck_assert_double_eq(out[2].at[e], to_left[e]);
        ck_assert_double_eq(out[3].at[e], g[e] - to_left[e]);
    }
}
END_TEST

/* max over equal values rises by 1 if all of them do. */
START_TEST(ties_share_the_gradient_of_the_largest)
{
    Type t = type_real(false, 1, (int[]){4});
    double x[] = {2, 5, 5, 5}, one = 1, sum = 0;
    Fn *fn = fn_new(m, "largest", (Span){0});
    Val in = fn_input(m, fn, t, NULL);
    fn_out(m, fn, fn_op(m, fn, OP_max_axis, 1, &in, (Imm){.axis = 0}, fn->span), NULL);
    Fn *vjp = ad_vjp(m, fn, "largest_vjp", (bool[]){true}, (bool[]){true}, false);
    const Array *g = interpret(a, vjp, &world, (Array[]){{t, x}, {type_scalar(false), &one}});
    for (int e = 0; e < 4; e++)
        sum += g->at[e];
    ck_assert_double_eq_tol(sum, 1, 1e-15);
    ck_assert_double_eq(g->at[0], 0);
}
END_TEST

START_TEST(what_is_held_constant_has_no_gradient)
{
    double x = 3, one = 1;
    Type t = type_scalar(false);
    Fn *fn = fn_new(m, "held", (Span){0});
    Val in = fn_input(m, fn, t, NULL);
    Val held = fn_op(m, fn, OP_detach, 1, &in, (Imm){.index = m->n_detach++}, fn->span);
    fn_out(m, fn, fn_op2(m, fn, OP_mul, in, held), NULL);
    Fn *vjp = ad_vjp(m, fn, "held_vjp", (bool[]){true}, (bool[]){true}, true);
    const Array *out = interpret(a, vjp, &world, (Array[]){{t, &x}, {t, &one}});
    ck_assert_double_eq(*out[0].at, 9);
    ck_assert_double_eq(*out[1].at, 3);
}
END_TEST

/* ---- the table ---- */
START_TEST(names_and_rows_agree)
{
    const OpInfo *info = &op_info[_i];
    ck_assert_ptr_nonnull(info->name);
    ck_assert_int_eq(op_find(info->name), _i);
    ck_assert_msg(info->what && *info->what, "%s is not described", info->name);
    if (!is_row((Op)_i))
        return;
    int rules = 1;
    for (const char *at = info->rule; *at; at++)
        rules += *at == ';';
    ck_assert_msg(rules == (info->n_arg < 0 ? 1 : info->n_arg), "%s: %d rules", info->name, rules);
    ck_assert_int_le(info->n_arg, MAX_ARG);
}
END_TEST

static bool fits(Op op, int n, const Type *type, Imm imm)
{
    Type out;
    char why[256] = "";
    bool ok = op_type(op, n, type, &imm, &out, why);
    ck_assert_msg(ok || *why, "%s: refused without a reason", op_info[op].name);
    return ok;
}

START_TEST(operands_that_do_not_fit_are_refused_with_a_reason)
{
    Type scalar = type_scalar(false), v2 = some_type[1], v3 = some_type[2], a23 = some_type[3], a32 = some_type[4];
    Type cube = type_real(false, 3, (int[]){2, 2, 2});
    ck_assert_int_eq(op_find("no_such_operator"), -1);
    ck_assert(fits(OP_add, 2, (Type[]){scalar, v3}, (Imm){0}));
    ck_assert(!fits(OP_add, 2, (Type[]){v2, v3}, (Imm){0}));
    ck_assert(!fits(OP_add, 2, (Type[]){a23, a32}, (Imm){0}));
    ck_assert(!fits(OP_where, 3, (Type[]){scalar, v2, v3}, (Imm){0}));
    ck_assert(fits(OP_mm_nn, 2, (Type[]){a23, v3}, (Imm){0}));
    ck_assert(!fits(OP_mm_nn, 2, (Type[]){a23, v2}, (Imm){0}));
    ck_assert(!fits(OP_mm_nn, 2, (Type[]){a23, a23}, (Imm){0}));
    ck_assert(!fits(OP_mm_nn, 2, (Type[]){scalar, v2}, (Imm){0}));
    ck_assert(!fits(OP_mm_tn, 2, (Type[]){cube, v2}, (Imm){0}));
    ck_assert(!fits(OP_concat, 2, (Type[]){v2, a23}, (Imm){.axis = 0}));
    ck_assert(!fits(OP_concat, 2, (Type[]){a23, a32}, (Imm){.axis = 1}));
    ck_assert(!fits(OP_sum_axis, 1, &v3, (Imm){.axis = 1}));
    ck_assert(!fits(OP_max_axis, 1, &scalar, (Imm){.axis = 0}));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("op");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, names_and_rows_agree, 0, OP_COUNT);
    tcase_add_loop_test(tc, every_rule_is_the_derivative, 0, OP_COUNT);
    tcase_add_loop_test(tc, every_rule_has_a_derivative, 0, OP_COUNT);
    tcase_add_loop_test(tc, forward_and_reverse_are_transposes, 0, OP_COUNT);
    tcase_add_test(tc, kinks_have_the_derivative_of_their_side);
    tcase_add_test(tc, steep_ends_stay_finite);
    tcase_add_test(tc, a_condition_chooses_values_and_gradients);
    tcase_add_test(tc, ties_share_the_gradient_of_the_largest);
    tcase_add_test(tc, what_is_held_constant_has_no_gradient);
    tcase_add_test(tc, operands_that_do_not_fit_are_refused_with_a_reason);
    Suite *s = suite_create("op");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
