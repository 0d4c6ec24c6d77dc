/* simplify.c: every row of simplify.def says the truth, and is applied. The rows are read from the table, so a new one
 * is tested without a change here.
 *
 * Elsewhere: what canon does besides (canon.c). */
#include "interpret.h"

#include <check.h>
#include <math.h>
#include <string.h>

static const struct {
    const char *left, *right;
} row[] = {
#define SIMPLIFY(left, right) {left, right},
#include "simplify.def"
#undef SIMPLIFY
};
enum { N_ROW = sizeof row / sizeof *row };

static Arena *a;
static Module *m;
static const World world = {.n_batch = 2};

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

/* ---- a side as a function of a, b, c ---- */
typedef struct Side {
    Fn *fn;
    Val letter[3];
    bool is_fit; /* the letters have types that the expression takes */
    bool is_filled[3];
} Side;

static Op op_of(const Node *e)
{
    static const char *const text[] = {"+", "-", "*", "/"};
    static const Op op[] = {OP_add, OP_sub, OP_mul, OP_div};
    if (e->kind == NODE_NEG)
        return OP_neg;
    for (int i = 0; e->kind == NODE_BINARY && i < 4; i++)
        if (str_eq(e->text, text[i]))
            return op[i];
    ck_assert_msg(e->kind == NODE_CALL && op_find(e->kid[0]->text) >= 0, "the rule uses no operator");
    return (Op)op_find(e->kid[0]->text);
}

/* The shape of a form: 2 by 3 for fill; reshape turns any value of 6 elements into 3 by 2 outside, 6 inside. */
static Imm imm_of(Op op, int depth)
{
    Imm imm = {0};
    if (op == OP_fill)
        imm.to = type_real(false, 2, (int[]){2, 3});
    if (op == OP_reshape)
        imm.to = depth ? type_real(false, 1, (int[]){6}) : type_real(false, 2, (int[]){3, 2});
    return imm;
}

static Val build(Side *s, const Node *e, int depth)
{
    Val arg[MAX_ARG];
    Type type[MAX_ARG], out;
    char why[256];
    int n = 0;
    if (e->kind == NODE_NUMBER)
        return fn_const(m, s->fn, rat_to_double(rat_parse(a, e->text)));
    if (e->kind == NODE_NAME)
        return s->letter[e->text[0] - 'a'];
    if (e->kind == NODE_NEG && e->kid[0]->kind == NODE_NUMBER)
        return fn_const(m, s->fn, -rat_to_double(rat_parse(a, e->kid[0]->text)));
    Op op = op_of(e);
    Imm imm = imm_of(op, depth);
    for (int i = e->kind == NODE_CALL; i < e->n; i++, n++) {
        arg[n] = build(s, e->kid[i], depth + 1);
        if (arg[n] == NO_VAL)
            return NO_VAL;
        type[n] = fn_type(s->fn, arg[n]);
    }
    bool fits = op_type(op, n, type, &imm, &out, why) && (op != OP_fill || type[0].rank == 0) &&
                (op != OP_reshape || type_size(type[0]) == 6);
    return fits ? fn_op(m, s->fn, op, n, arg, imm, s->fn->span) : NO_VAL;
}

static Fn *side(const char *text, const Type *letter)
{
    Source source = {text, text, strlen(text), true};
    Side s = {.fn = fn_new(m, "side", (Span){0})};
    for (int k = 0; k < 3; k++)
        s.letter[k] = fn_input(m, s.fn, letter[k], NULL);
    const Node *e = parse_expr(a, &source, m->diags);
    ck_assert_msg(diag_errors(m->diags) == 0, "'%s' does not parse", text);
    Val v = build(&s, e, 0);
    if (v == NO_VAL)
        return NULL;
    fn_out(m, s.fn, v, NULL);
    return s.fn;
}

/* ---- all types of the letters ---- */
static Type letter_type(int k)
{
    Type t = k & 1 ? type_real(false, 2, (int[]){2, 3}) : type_scalar(false);
    t.is_batched = k & 2;
    return t;
}

static bool agree(double x, double y)
{
    return (isnan(x) && isnan(y)) || fabs(x - y) <= 4e-15 * fmax(1, fabs(y));
}

/* Has the canonical form of `left` the operator of the right side in place of its own? */
static bool is_applied(const Fn *left, const Fn *right)
{
    const Fn *to = canon(m, left);
    Val v = to->out.at[0], w = right->out.at[0];
    return to->ins.at[v].op == right->ins.at[w].op &&
           (to->ins.n < left->ins.n || left->ins.at[left->out.at[0]].op != right->ins.at[w].op);
}

START_TEST(both_sides_are_equal_and_the_left_becomes_the_right)
{
    int n_compared = 0, n_applied = 0, n_same_type = 0;
    for (int i = 0; i < 64; i++) {
        Type letter[3] = {letter_type(i % 4), letter_type(i / 4 % 4), letter_type(i / 16)};
        Random r = {.state = (uint64_t)i};
        const Fn *left = side(row[_i].left, letter), *right = left ? side(row[_i].right, letter) : NULL;
        if (!left || !right)
            continue;
        const Array *in = random_arrays(a, &world, &r, 3, letter, -2, 2);
        const Array *x = interpret(a, left, &world, in), *y = interpret(a, right, &world, in);
        const Array *z = interpret(a, canon(m, left), &world, in);
        ck_assert(type_equal(x->type, z->type));
        for (int e = 0; e < array_size(&world, x->type); e++) {
            /* the right side may be a scalar that stands for all elements */
            double right_value = y->at[type_equal(x->type, y->type) ? e : 0];
            ck_assert_msg(agree(x->at[e], z->at[e]), "'%s' = %.17g became %.17g", row[_i].left, x->at[e], z->at[e]);
            if (type_equal(x->type, y->type))
                ck_assert_msg(agree(x->at[e], right_value), "'%s' = %.17g, but '%s' = %.17g", row[_i].left, x->at[e],
                              row[_i].right, right_value);
        }
        n_compared++;
        n_same_type += type_equal(x->type, y->type);
        n_applied += type_equal(x->type, y->type) && is_applied(left, right);
    }
    ck_assert_msg(n_compared > 0 && n_same_type > 0, "'%s': no types fit", row[_i].left);
    ck_assert_msg(n_applied == n_same_type, "'%s' is applied in %d of %d cases", row[_i].left, n_applied, n_same_type);
}
END_TEST

START_TEST(a_row_does_not_change_types)
{
    Fn *fn = fn_new(m, "f", (Span){0});
    Val x = fn_input(m, fn, letter_type(3), "x");
    Val zero = fn_const(m, fn, 0), one = fn_const(m, fn, 1);
    fn_out(m, fn, fn_op2(m, fn, OP_mul, x, zero), NULL);                                  /* not the number 0 */
    fn_out(m, fn, fn_op(m, fn, OP_where, 3, (Val[]){one, one, x}, (Imm){0}, fn->span), NULL); /* not the number 1 */
    const Fn *to = canon(m, fn);
    fn_verify(to);
    for (int i = 0; i < 2; i++)
        ck_assert(type_equal(fn_type(to, to->out.at[i]), letter_type(3)));
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("simplify");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_loop_test(tc, both_sides_are_equal_and_the_left_becomes_the_right, 0, N_ROW);
    tcase_add_test(tc, a_row_does_not_change_types);
    Suite *s = suite_create("simplify");
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
