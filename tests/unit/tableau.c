/* tableau.c: the methods of the prelude are what they claim, wrong ones are refused, and the doubles that come out
 * integrate with the order that was proved. Runs from the root of the project: it reads the prelude. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "const.h"

#define MOST 40 /* stages of the largest method below */

static Arena *arena;

static void setup(void)
{
    arena = arena_new();
}

static void teardown(void)
{
    rat_free_all();
    arena_free(arena);
}

static const Rat *no_name(void *context, const char *name)
{
    (void)context;
    if (str_eq(name, "cut"))
        return rat_parse(arena, "0.6666666666666667");
    return str_eq(name, "third") ? rat_div(arena, rat_int(arena, 1), rat_int(arena, 3)) : NULL;
}

static Node *parsed_with(const char *text, Diags *d)
{
    Source *source = ARENA_NEW(arena, Source, 1);
    *source = (Source){.name = "test.nde", .text = text, .n = strlen(text)};
    return parse(arena, source, d);
}

static Node *parsed(const char *text)
{
    Diags *d = diag_new(arena);
    Node *file = parsed_with(text, d);
    if (diag_errors(d) > 0)
        diag_print(d, stderr, false);
    ck_assert_int_eq(diag_errors(d), 0);
    return file;
}

static const Tableau *checked(const Node *node, Diags *d)
{
    const Tableau *t = tableau_check(arena, d, node, no_name, NULL);
    ck_assert_msg((t == NULL) == (diag_errors(d) > 0), "no method without a message, no message with a method");
    return t;
}

/* What is printed about the only block of `text`: "" if it is accepted. */
static const char *complaint(const char *text)
{
    Diags *d = diag_new(arena);
    const Node *file = parsed_with(text, d);
    ck_assert_int_eq(file->n, 1);
    if (diag_errors(d) == 0) /* what is written twice is no longer a block */
        checked(file->kid[0], d);
    char *printed = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&printed, &n);
    ck_assert_ptr_nonnull(to);
    diag_print(d, to, false);
    fclose(to);
    const char *copy = str_copy(arena, printed, n);
    free(printed);
    return copy;
}

static Node *prelude(void)
{
    static const char *const file[] = {"compiler/prelude/methods.nde", "compiler/prelude/high_order.nde"};
    static char text[100000];
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        FILE *from = fopen(file[i], "r");
        ck_assert_msg(from != NULL, "run this in the root of the project");
        n += fread(text + n, 1, sizeof text - 1 - n, from);
        ck_assert_uint_lt(n, sizeof text - 1);
        fclose(from);
    }
    text[n] = '\0';
    return parsed(text);
}

static Node *method_node(const char *name)
{
    Node *file = prelude();
    for (int i = 0; i < file->n; i++)
        if (str_eq(file->kid[i]->text, name))
            return file->kid[i];
    ck_abort_msg("there is no method %s", name);
}

static bool refused(const Node *node)
{
    return !checked(node, diag_new(arena));
}

/* ---- what the prelude claims ---- */

static const struct {
    const char *name;
    int stages, more, order, embedded, second, interpolant_order;
    bool fsal, is_reversible;
} expected[] = {
    {"euler", 1, 0, 1, 0, 0, 1, false, false},
    {"midpoint", 2, 0, 2, 0, 0, 2, false, false},
    {"heun", 2, 0, 2, 1, 0, 2, false, false},
    {"ralston2", 2, 0, 2, 1, 0, 2, false, false},
    {"heun3", 3, 0, 3, 0, 0, 0, false, false},
    {"ssprk3", 3, 0, 3, 2, 0, 0, false, false},
    {"rk4", 4, 0, 4, 0, 0, 3, false, false},
    {"rk38", 4, 0, 4, 0, 0, 3, false, false},
    {"bosh3", 4, 0, 3, 2, 0, 3, true, false},
    {"fehlberg45", 6, 1, 4, 5, 0, 4, false, false},
    {"cash_karp", 6, 1, 5, 4, 0, 4, false, false},
    {"dopri5", 7, 0, 5, 4, 0, 4, true, false},
    {"tsit5", 7, 0, 5, 4, 0, 4, true, false},
    {"alf", 2, 0, 2, 1, 0, 2, false, true},
    {"reversible_heun", 2, 0, 2, 1, 0, 2, false, true},
    {"vern6", 9, 1, 6, 5, 0, 5, true, false},
    {"vern7", 11, 2, 7, 6, 0, 6, true, false},
    {"vern8", 14, 3, 8, 7, 0, 7, true, false},
    {"vern9", 17, 4, 9, 8, 0, 8, true, false},
    {"dop853", 13, 3, 8, 5, 3, 7, true, false},
    {"pd87", 13, 0, 8, 7, 0, 0, false, false},
};
#define METHODS ((int)(sizeof expected / sizeof *expected))

START_TEST(prelude_methods_are_proved)
{
    const Node *file = prelude();
    ck_assert_int_eq(file->n, METHODS);
    Diags *d = diag_new(arena);
    const Tableau *t = checked(file->kid[_i], d);
    if (!t)
        diag_print(d, stderr, false);
    ck_assert_ptr_nonnull(t);
    ck_assert_str_eq(t->name, expected[_i].name);
    ck_assert_int_eq(t->stages, expected[_i].stages);
    ck_assert_int_eq(t->order, expected[_i].order);
    ck_assert_int_eq(t->all_stages - t->stages, expected[_i].more);
    ck_assert_int_eq(t->embedded, expected[_i].embedded);
    ck_assert_int_eq(t->second, expected[_i].second);
    ck_assert_int_eq(t->interpolant_order, expected[_i].interpolant_order);
    ck_assert_int_eq(t->fsal, expected[_i].fsal);
    ck_assert_int_eq(t->is_reversible, expected[_i].is_reversible);
    ck_assert_int_eq(t->e != NULL, t->embedded > 0);
    ck_assert_int_eq(t->e2 != NULL, t->second > 0);
    ck_assert_ptr_nonnull(file->kid[_i]->doc);
}
END_TEST

START_TEST(doubles_are_rounded_once)
{
    const Tableau *dopri5 = checked(method_node("dopri5"), diag_new(arena));
    ck_assert_double_eq(dopri5->a[4][1], -25360.0 / 2187.0);
    ck_assert_double_eq(dopri5->a[1][4], 0.0);
    ck_assert_double_eq(dopri5->e[0], 71.0 / 57600.0);
    const Tableau *tsit5 = checked(method_node("tsit5"), diag_new(arena));
    ck_assert_double_eq(tsit5->e[0], -0.00178001105222577714);
    ck_assert_double_eq(tsit5->e[6], 1.0 / 66.0);
    ck_assert_double_eq(tsit5->stability, 3.5068);
}
END_TEST

/* |R(-x)| for the stability function R(z) = 1 + sum_k z^k b A^(k-1) 1, on the negative real axis. */
static double growth(const Tableau *t, double x)
{
    double power[MOST], next[MOST], r = 1, z = -x;
    for (int i = 0; i < t->stages; i++)
        power[i] = 1;
    for (int k = 0; k < t->stages; k++, z *= -x) {
        for (int i = 0; i < t->stages; i++) {
            r += z * t->b[i] * power[i];
            next[i] = 0;
            for (int j = 0; j < i; j++)
                next[i] += t->a[i][j] * power[j];
        }
        memcpy(power, next, sizeof power);
    }
    return fabs(r);
}

START_TEST(stability_ends_where_it_is_said_to)
{
    const Tableau *t = checked(prelude()->kid[_i], diag_new(arena));
    if (t->is_reversible) /* it ends at 0 */
        return;
    for (double x = 0; x < t->stability - 1e-3; x += 1e-3)
        ck_assert_msg(growth(t, x) <= 1 + 1e-12, "%s is not stable at %g", t->name, x);
    ck_assert_double_gt(growth(t, t->stability + 1e-3), 1);
}
END_TEST

/* ---- wrong methods ---- */

/* The number with another digit: the last one, or in a long one the tenth. */
static const char *flipped(const char *digits)
{
    char *copy = (char *)str_copy(arena, digits, strlen(digits));
    size_t at = strlen(copy) - 1;
    if (at > 10)
        at = 10;
    ck_assert_int_ne(copy[at], '.');
    copy[at] = (char)(copy[at] == '9' ? '8' : copy[at] + 1);
    return copy;
}

/* Is it another method than the one that it claims to be, or one whose steps cannot be undone? */
static bool is_worse(const Node *block, bool was_reversible)
{
    const Tableau *t = checked(block, diag_new(arena));
    return !t || (was_reversible && !t->is_reversible);
}

/* Flips each number below `node` in turn. Returns how many there are. */
static int flip_each(const Node *block, Node *node, bool is_reversible)
{
    int n = 0;
    if (node->kind == NODE_NUMBER) {
        const char *digits = node->text;
        node->text = flipped(digits);
        ck_assert_msg(is_worse(block, is_reversible), "'%s' passes with %s in place of %s", block->text, node->text,
                      digits);
        node->text = digits;
        return 1;
    }
    for (int i = 0; i < node->n; i++)
        n += flip_each(block, node->kid[i], is_reversible);
    return n;
}

START_TEST(every_flipped_coefficient_is_refused)
{
    const Node *block = prelude()->kid[_i];
    int n = 0;
    for (int i = 0; i < block->n; i++) {
        if (block->kid[i]->kind == NODE_ROW)
            n += flip_each(block, block->kid[i], expected[_i].is_reversible);
    }
    ck_assert_int_ge(n, 3);
    ck_assert_msg(!refused(block), "all flips are undone");
}
END_TEST

static Node *number(const char *digits)
{
    return ast_new(arena, NODE_NUMBER, (Span){0}, digits, 0, NULL);
}

static Node *moved(Node *entry, const char *op)
{
    Node **kid = ARENA_NEW(arena, Node *, 2);
    kid[0] = entry;
    kid[1] = number("0.001");
    return ast_new(arena, NODE_BINARY, entry->span, op, 2, kid);
}

/* Moves a little from each entry of the row to the one before: the sum stays, so that only a condition can tell.
 * `time`, if given, are the entries' c: where two agree, a stage of the interpolant may use either stage for the other.
 */
static int shift_each(const Node *block, Node *row, const double *time)
{
    for (int i = 0; i + 1 < row->n; i++) {
        if (time && time[i] == time[i + 1])
            continue;
        Node *one = row->kid[i], *two = row->kid[i + 1];
        row->kid[i] = moved(one, "+");
        row->kid[i + 1] = moved(two, "-");
        ck_assert_msg(refused(block), "'%s' passes with entries %d and %d shifted", block->text, i + 1, i + 2);
        row->kid[i] = one;
        row->kid[i + 1] = two;
    }
    return row->n - 1;
}

START_TEST(shifts_that_keep_the_row_sum_are_refused)
{
    const Node *block = prelude()->kid[_i];
    const double *c = checked(block, diag_new(arena))->c;
    int n = 0;
    for (int i = 0; i < block->n; i++) {
        Node *row = block->kid[i];
        if (row->kind == NODE_ROW && str_eq(row->text, "b"))
            n += shift_each(block, row, NULL);
        for (int k = 0; row->kind == NODE_ROW && str_eq(row->text, "a") && k < row->n; k++)
            n += shift_each(block, row->kid[k], k + 1 < expected[_i].stages ? NULL : c);
    }
    ck_assert_int_ge(n, expected[_i].stages - 1);
}
END_TEST

START_TEST(higher_claims_are_refused_lower_ones_are_not)
{
    const Node *block = prelude()->kid[_i];
    Node *group = NULL;
    for (int i = 0; i < block->n; i++) {
        if (block->kid[i]->kind == NODE_CLAUSE && str_eq(block->kid[i]->text, "order"))
            group = block->kid[i]->kid[0];
    }
    ck_assert_ptr_nonnull(group);
    Node *one = group->kid[0];
    group->kid[0] = number(str_format(arena, "%d", expected[_i].order + 1));
    ck_assert(refused(block));
    group->kid[0] = number("1");
    ck_assert(!refused(block));
    group->kid[0] = one;
    int claims[] = {expected[_i].embedded, expected[_i].second, expected[_i].interpolant_order};
    for (int i = 0, k = 1; i < 3; i++) {
        if (claims[i] == 0)
            continue;
        Node **claim = &group->kid[k++]->kid[0], *before = *claim;
        *claim = number(str_format(arena, "%d", claims[i] + 1));
        ck_assert_msg(refused(block), "%s: claim %d", expected[_i].name, i);
        *claim = before;
    }
}
END_TEST

/* Decimals of more digits than a double must meet the conditions to theirs. */
START_TEST(digits_beyond_doubles_count)
{
    Node *block = method_node("vern9");
    for (int i = 0; i < block->n; i++) {
        Node *row = block->kid[i];
        if (row->kind != NODE_ROW || !str_eq(row->text, "bhat"))
            continue;
        char *digits = (char *)row->kid[9]->text;
        ck_assert_uint_gt(strlen(digits), 30);
        digits[24] = digits[24] == '9' ? '8' : (char)(digits[24] + 1);
        ck_assert(refused(block));
    }
}
END_TEST

/* An interpolant need not claim an order; then what lowers it is no error as long as it still ends in b. */
START_TEST(the_order_of_an_interpolant_is_found)
{
    Node *block = method_node("dopri5"), *row = NULL;
    for (int i = 0; i < block->n; i++) {
        if (block->kid[i]->kind == NODE_ROW && str_eq(block->kid[i]->text, "interpolant"))
            row = block->kid[i];
        if (block->kid[i]->kind == NODE_CLAUSE && str_eq(block->kid[i]->text, "order"))
            block->kid[i]->kid[0]->n = 2; /* without `dense` */
    }
    ck_assert_ptr_nonnull(row);
    Node **power = row->kid[3]->kid, *before[] = {power[0], power[1], power[2], power[3]};
    for (int k = 0; k < 3; k++) {
        power[k] = moved(before[k], "+");
        power[k + 1] = moved(before[k + 1], "-");
        Diags *d = diag_new(arena);
        const Tableau *t = checked(block, d);
        if (t)
            ck_assert_int_lt(t->interpolant_order, 4);
        power[k] = before[k];
        power[k + 1] = before[k + 1];
    }
    ck_assert_int_eq(checked(block, diag_new(arena))->interpolant_order, 4);
}
END_TEST

/* ---- methods of any order ---- */

/* The weight of j steps among 1, 2, ..., p in the extrapolation (Aitken-Neville). */
static const char *weight_of(int j, int p)
{
    const char *weight = "1";
    for (int k = 1; k <= p; k++)
        weight = k == j ? weight : str_format(arena, "%s * (%d / %d)", weight, j, j - k);
    return weight;
}

/* Euler's method extrapolated over 1, 2, ..., p steps (Hairer, Norsett & Wanner 1993, II.9): an explicit method of
 * order p and no more, with p (p - 1) / 2 + 1 stages, for all share the first, and rational coefficients. */
static const char *extrapolated(int p, int claim)
{
    const char *c = "0", *a = "", *b = weight_of(1, p);
    for (int j = 2; j <= p; j++)
        b = str_format(arena, "%s + %s / %d", b, weight_of(j, p), j);
    int stage = 1;
    for (int j = 2; j <= p; j++) {
        for (int l = 1; l < j; l++, stage++) {
            c = str_format(arena, "%s, %d/%d", c, l, j);
            b = str_format(arena, "%s, %s / %d", b, weight_of(j, p), j);
            a = str_format(arena, "%s%s[1/%d", a, stage > 1 ? ", " : "a = ", j);
            for (int k = 1; k < stage; k++)
                a = k > stage - l ? str_format(arena, "%s, 1/%d", a, j) : str_format(arena, "%s, 0", a);
            a = str_format(arena, "%s]", a);
        }
    }
    return str_format(arena, "tableau x {\n  order %d\n  c = %s\n  %s\n  b = %s\n}\n", claim, c, a, b);
}

START_TEST(extrapolation_has_its_order_and_no_more)
{
    ck_assert_str_eq(complaint(extrapolated(_i, _i)), "");
    if (_i < 9)
        ck_assert_ptr_nonnull(strstr(complaint(extrapolated(_i, _i + 1)), "fails the condition"));
}
END_TEST

/* ---- messages ---- */

static const struct {
    const char *text, *message;
} wrong[] = {
    {"order 3\nc = 0, 1/2, 1\na = [1/2], [-1, 2]\nb = 1/6, 2/3, 1/6", ""},
    {"order 3\nc = 0, 1/2, 1\na = [1/2], [1, 0]\nb = 1/6, 2/3, 1/6",
     "test.nde:5:1: error: 'x' claims order 3, but b fails the condition [[t]]: sum b_i a_ij c_j is 0, must be 1/6 "
     "(off by 0.167)"},
    {"order 3\nc = 0, 1/2, 1\na = [1/2], [-1, 2]\nb = 1/4, 1/2, 1/4",
     "b fails the condition [t,t]: sum b_i c_i^2 is 0.375, must be 1/3 (off by 0.0417)"},
    {"order 4\nc = 0, 1/2, 1/2, 1\na = [1/2], [1/4, 1/4], [0, -1, 2]\nb = 1/6, 0, 2/3, 1/6", ""},
    {"order 4\nc = 0, 1/2, 1/2, 1\na = [1/2], [0, 1/2], [0, 1, 0]\nb = 1/6, 1/3, 1/3, 1/6",
     "help: 'b' meets the conditions up to order 3"},
    {"order 4\nc = 0, 1/3, 2/3, 1\na = [1/3], [0, 2/3], [1, -1, 1]\nb = 1/8, 3/8, 3/8, 1/8",
     "fails the condition [[t]]: sum b_i a_ij c_j is 0.125, must be 1/6 (off by 0.0417)"},
    {"order 2 embedded 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1, 0",
     "'x' claims embedded order 2, but bhat fails the condition [t]: sum bhat_i c_i is 0, must be 1/2 (off by 0.5)"},
    {"order 1 embedded 2\nc = 0, 1\na = [1]\nb = 1, 0\nbhat = 1/2, 1/2", ""},
    {"order 1\nc = 0\nb = 0.9", "b fails the condition t: sum b_i is 0.9, must be 1 (off by 0.1)"},
    {"order 2\nc = 0, 1/2\na = [1/3]\nb = 0, 1",
     "test.nde:4:5: error: stage 2 has c = 1/2, but its row of 'a' sums to 1/3 (off by 0.167)"},
    {"order 2\nc = 1, 1/2\na = [1/2]\nb = 0, 1",
     "test.nde:3:5: error: stage 1 has c = 1, but its row of 'a' sums to 0"},
    {"order 1\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nfsal",
     "'x' says 'fsal', but the last row of 'a' and 'b' differ in entry 1"},
    {"order 2\nc = 0, 1/2\na = [1/2]\nb = 0, 1\nslope = 0, 1",
     "claims order 2, but slope fails the condition [t]: sum slope_i c_i is 0.5, must be 1 (off by 0.5)"},
    {"order 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nslope = 0, 1\nstate = 1/2, 0\nshare = 0, -1, -1",
     "claims order 2, but state fails the condition t: sum state_i is 0.5, must be 1 (off by 0.5)"},
    {"order 1\nb = 1", "test.nde:1:9: error: 'x' has no row 'c'"},
    {"order 1\nc = 0", "'x' has no row 'b'"},
    {"order 1\nc = 0, 1\nb = 1, 0", "'x' has no row 'a'"},
    {"c = 0\nb = 1", "help: add a line such as  order 4"},
    {"order 0\nc = 0\nb = 1", "test.nde:2:7: error: the order is a whole number from 1 to 9"},
    {"order 10\nc = 0\nb = 1", "the order is a whole number from 1 to 9"},
    {"order 1/2\nc = 0\nb = 1", "the order is a whole number from 1 to 9"},
    {"order 1 embedded 11\nc = 0\nb = 1\nbhat = 1", "the embedded order is a whole number from 1 to 9"},
    {"order 2 embedded 1\nc = 0, 1\na = [1]\nb = 1/2, 1/2",
     "test.nde:2:18: error: 'x' claims an embedded method, but has no row 'bhat'"},
    {"order 2 embedded 1 dense 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1, 0",
     "test.nde:2:26: error: 'x' claims dense output, but has no row 'interpolant'"},
    {"order 2 dense 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\ninterpolant = [1, -1/2], [0, 1/2]", ""},
    {"order 2 dense 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\ninterpolant = [1/2], [1/2]",
     "'x' claims dense order 2, but the interpolant fails the condition [t]: theta^1 has the factor 0.5 in "
     "sum b_i(theta) c_i, must be 0 (off by 0.5)"},
    {"order 2 dense 3\nc = 0, 1\na = [1]\nb = 1/2, 1/2\ninterpolant = [1, -1/2], [0, 1/2]",
     "fails the condition [t,t]: theta^2 has the factor 0.5 in sum b_i(theta) c_i^2, must be 0 (off by 0.5)"},
    {"order 1 and 1\nc = 0\nb = 1", "this line reads  order 5  or  order 5 embedded 4 dense 4"},
    {"order 2 embedded 1 and 1\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1, 0\nbhat2 = 0, 1",
     "the second embedded order is less than the first, which is 1, not 1"},
    {"order 2 embedded 1\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1, 0\nbhat2 = 0, 1",
     "'x' has a row 'bhat2', but does not state its order"},
    {"order 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1, 0", "help: write its order, such as  order 2 embedded 1"},
    {"order 2 embedded 1\nc = 0, 1\na = [1]\nb = 1/2, 1/2\nbhat = 1/2, 1/2", "'bhat' is equal to 'b' in 'x'"},
    {"order 1\nc = 0\nb = 1\nb = 1", "test.nde:5:1: error: 'b' is given twice"},
    {"order 1\norder 1\nc = 0\nb = 1", "test.nde:3:1: error: 'order' is given twice"},
    {"order 1\nc = 0, 1\na = [1]\nb = 1, 0, 0", "'c' has length 2, but 'b' has length 3: one entry for each stage"},
    {"order 1\nc = 0, 1, 1\na = [1]\nb = 1, 0, 0",
     "the number of rows of 'a' is 1, not 2: one for each stage after the first"},
    {"order 1\nc = 0, 1\na = [1/2, 1/2]\nb = 1, 0",
     "test.nde:4:5: error: the row of stage 2 has length 2, but an explicit method uses only the stages before it, "
     "so not more than 1"},
    {"order 1\nc = 0, 1, 1\na = [1], [1]\nb = 1, 0, 0",
     "test.nde:4:10: error: the row of stage 3 has length 1, not 2: one entry for each stage before it"},
    {"order 1\nc = 0, 1\na = 1\nb = 1, 0", "'a' is made of rows in brackets"},
    {"order 1\nc = 0\nb = 1\nstability -2", "ends at a positive distance from 0, not at -2"},
    {"order 1\nc = 0\nb = 1\nstability 2, 3", "'stability' has no place for this value beside the one before it"},
    {"order 1\nc = 0\nb = 1\nstability", "this line reads  stability 3.3  or  leave it out"},
    {"order 1, 2\nc = 0\nb = 1", "'order' has no place for this value beside the one before it"},
    {"order 1\nc = 0\nb = 1\ninterpolant = [2, -1]",
     "the interpolant of 'x' has no order: theta^1 has the factor 2 in sum b_i(theta), must be 1 (off by 1)"},
    {"order 1\nc = 0\nb = 1\ninterpolant = [1, 1]",
     "b_1(theta) of the interpolant is 2 at theta = 1, must be 1 as in 'b' (off by 1)"},
    {"order 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\ninterpolant = [1]", "'interpolant' has length 1, but 'b' has length 2"},
    /* stages of the interpolant alone */
    {"order 1 dense 2\nc = 0, 1\na = [1]\nb = 1\ninterpolant = [1, -1/2], [0, 1/2]",
     "b_1(theta) of the interpolant is 1/2 at theta = 1, must be 1 as in 'b' (off by 0.5)"},
    {"order 1\nc = 0, 1\na = [1]\nb = 1\ninterpolant = [1], [1]",
     "b_2(theta) of the interpolant is 1 at theta = 1, must be 0, for 'b' has no such stage (off by 1)"},
    {"order 1 dense 1\nc = 0, 1\na = [1]\nb = 1\ninterpolant = [1, 0], [1, -1]",
     "'x' claims dense order 1, but the interpolant fails the condition t: theta^1 has the factor 2 in sum b_i(theta), "
     "must be 1 (off by 1)"},
    {"order 1\nc = 0, 1\na = [1]\nb = 1\ninterpolant = [1, 0], [0, 0]", ""},
    {"order 1\nc = 0\na = [1]\nb = 1\ninterpolant = [1, 0], [0, 0]",
     "'c' has length 1, not 2: one entry for each stage, those of the interpolant included"},
    {"order 1\nc = 0, 1, 1\na = [1]\nb = 1\ninterpolant = [1], [0], [0]",
     "test.nde:6:1: note: 'interpolant' has 3 rows, so there are 3 stages"},
    {"order 1\nc = 0, 1\na = [1/2]\nb = 1\ninterpolant = [1], [0]",
     "stage 2 has c = 1, but its row of 'a' sums to 1/2 (off by 0.5)"},
    {"order 2\nc = 0, 1\na = [1]\nb = 1/2, 1/2\ninterpolant = [1, -1/2], [1/2]",
     "row 2 of the interpolant has length 1, but the first has length 2"},
    {"order 1\nc = 0\nb = 1 / 0", "this divisor is 0"},
    {"order 1\nc = 0\nb = one", "'one' is not a constant that is known here"},
    {"order 1\nc = 0\nb = sqrt(1)", "an exact number is made of numbers, constants and + - * / ^ only"},
    {"order 2\nc = 0, third\na = [third]\nb = -1/2, 3 * third + 1/2", ""},
    /* what a fraction could say exactly must be exact, a long decimal need not be */
    {"order 1\nc = 0, 1\na = [1]\nb = 33333333/100000000, 66666667/100000000", ""},
    {"order 1\nc = 0, 1\na = [1]\nb = 1000000/3000001, 2/3", "fails the condition t"},
    {"order 1\nc = 0, 1\na = [1]\nb = 1/3 - 1/10^15, 2/3",
     "b fails the condition t: sum b_i is 1, must be 1 (off by 1e-15)"},
    {"order 2\nc = 0, 0.66666666667\na = [0.66666666667]\nb = 1/4, 3/4", "fails the condition [t]"},
    {"order 2\nc = 0, 0.6666666666666667\na = [0.6666666666666667]\nb = 1/4, 3/4", ""},
    {"order 2\nc = 0, cut\na = [cut]\nb = 1/4, 3/4", ""},
    {"order 2\nc = 0, 1 - 0.3333333333333333\na = [cut]\nb = 1/4, 3/4", ""},
    {"order 2\nc = 0, 0.6666666666667\na = [0.6666666666667]\nb = 1/4, 3/4", "fails the condition [t]"},
};

START_TEST(a_wrong_block_is_told_what_is_wrong)
{
    const char *said = complaint(str_format(arena, "tableau x {\n%s\n}\n", wrong[_i].text));
    if (wrong[_i].message[0] == '\0')
        ck_assert_msg(said[0] == '\0', "%s\ngives\n%s", wrong[_i].text, said);
    ck_assert_msg(strstr(said, wrong[_i].message) != NULL, "%s\ngives\n%s", wrong[_i].text, said);
}
END_TEST

/* ---- measured orders ---- */

/* u' = g'(t) + N(u) - N(g(t)) has the solution g(t) = (exp(sin t), 2 + cos 2t), whatever N is: here both equations are
 * coupled and nonlinear, and time enters by itself. */
static void exact(double t, double *u)
{
    u[0] = exp(sin(t));
    u[1] = 2 + cos(2 * t);
}

static void nonlinear(const double *u, double *out)
{
    out[0] = -u[0] * u[1];
    out[1] = 3 * sin(u[0]) - u[1] * u[1] / 2;
}

static void slope(double t, const double *u, double *k)
{
    double g[2], of_u[2], of_g[2];
    exact(t, g);
    nonlinear(u, of_u);
    nonlinear(g, of_g);
    k[0] = cos(t) * g[0] + of_u[0] - of_g[0];
    k[1] = -2 * sin(2 * t) + of_u[1] - of_g[1];
}

/* One step of size h from u, in place, with the weights w of n stages. */
static void advance(const Tableau *m, const double *w, int n, double t, double h, double *u)
{
    double k[MOST][2];
    for (int i = 0; i < n; i++) {
        double stage[2] = {u[0], u[1]};
        for (int j = 0; j < i; j++) {
            stage[0] += h * m->a[i][j] * k[j][0];
            stage[1] += h * m->a[i][j] * k[j][1];
        }
        slope(t + m->c[i] * h, stage, k[i]);
    }
    for (int i = 0; i < n; i++) {
        u[0] += h * w[i] * k[i][0];
        u[1] += h * w[i] * k[i][1];
    }
}

static double distance(double t, const double *u)
{
    double g[2];
    exact(t, g);
    return hypot(u[0] - g[0], u[1] - g[1]);
}

/* Error at t = 1 after n steps from 0. */
static double global_error(const Tableau *m, const double *w, int n)
{
    double u[2], h = 1.0 / n;
    exact(0, u);
    for (int i = 0; i < n; i++)
        advance(m, w, m->stages, i * h, h, u);
    return distance(1, u);
}

/* error[i] belongs to 2^i times as many steps. The slope is the order and a term that halves with h, which one step
 * of Richardson's extrapolation removes: without it, order 5 is at rounding level before the slope is clear. */
static void expect_order(const char *what, const double *error, int order)
{
    double coarse = log2(error[0] / error[1]), fine = log2(error[1] / error[2]), measured = 2 * fine - coarse;
    ck_assert_msg(fabs(measured - order) < 0.1, "%s: measured order %.3f, claimed %d (slopes %.3f, %.3f)", what,
                  measured, order, coarse, fine);
}

static void expect_global_order(const char *what, const Tableau *m, const double *w, int order)
{
    double error[3];
    for (int i = 0; i < 3; i++)
        error[i] = global_error(m, w, 32 << i);
    expect_order(what, error, order);
}

/* Of higher ones rounding hides the leading term: order.c measures these. */
enum { MOST_MEASURED = 5 };

START_TEST(measured_orders_are_the_claimed_ones)
{
    const Tableau *m = checked(prelude()->kid[_i], diag_new(arena));
    if (m->order > MOST_MEASURED)
        return;
    double bhat[MOST];
    expect_global_order(m->name, m, m->b, m->order);
    if (!m->e)
        return;
    for (int i = 0; i < m->stages; i++)
        bhat[i] = m->b[i] - m->e[i];
    expect_global_order(str_format(arena, "%s, embedded", m->name), m, bhat, m->embedded);
}
END_TEST

/* Error of one step of size h from (0.5, exact), read at 0.5 + theta h. */
static double dense_error(const Tableau *m, double theta, double h)
{
    double w[MOST], u[2];
    for (int i = 0; i < m->all_stages; i++) {
        w[i] = 0;
        for (int k = m->degree - 1; k >= 0; k--)
            w[i] = theta * (w[i] + m->interpolant[i][k]);
    }
    exact(0.5, u);
    advance(m, w, m->all_stages, 0.5, h, u);
    return distance(0.5 + theta * h, u);
}

START_TEST(measured_orders_of_the_interpolants)
{
    const Tableau *m = checked(prelude()->kid[_i], diag_new(arena));
    if (!m->degree || m->order > MOST_MEASURED)
        return;
    static const double thetas[] = {0.3, 0.7};
    for (int i = 0; i < 2; i++) {
        double error[3];
        for (int k = 0; k < 3; k++)
            error[k] = dense_error(m, thetas[i], 1.0 / (32 << k));
        expect_order(str_format(arena, "%s at theta = %g", m->name, thetas[i]), error, m->interpolant_order + 1);
    }
}
END_TEST

static Suite *tableau_suite(void)
{
    Suite *suite = suite_create("tableau");
    TCase *tc = tcase_create("tableau");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, prelude_methods_are_proved, 0, METHODS);
    tcase_add_test(tc, doubles_are_rounded_once);
    tcase_add_loop_test(tc, stability_ends_where_it_is_said_to, 0, METHODS);
    tcase_add_loop_test(tc, every_flipped_coefficient_is_refused, 0, METHODS);
    tcase_add_loop_test(tc, shifts_that_keep_the_row_sum_are_refused, 1, METHODS);
    tcase_add_loop_test(tc, higher_claims_are_refused_lower_ones_are_not, 0, METHODS);
    tcase_add_test(tc, digits_beyond_doubles_count);
    tcase_add_test(tc, the_order_of_an_interpolant_is_found);
    tcase_add_loop_test(tc, extrapolation_has_its_order_and_no_more, 1, 10);
    tcase_add_loop_test(tc, a_wrong_block_is_told_what_is_wrong, 0, (int)(sizeof wrong / sizeof *wrong));
    tcase_add_loop_test(tc, measured_orders_are_the_claimed_ones, 0, METHODS);
    tcase_add_loop_test(tc, measured_orders_of_the_interpolants, 0, METHODS);
    suite_add_tcase(suite, tc);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(tableau_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
