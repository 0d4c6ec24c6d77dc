/* kernel.c: the functions that generated code is made of, against plain loops in long double, for many sizes. Compiled
 * for the number type and the vector width of its flags, and once more for each of: */
/* flags: -DNDE_DOUBLE -march=native */
/* flags: -DNDE_PLAIN */
#include "nde_kernel.h"

#include <check.h>
#include <stdlib.h>

#ifdef NDE_DOUBLE
#define TOLERANCE 1e-13L
#else
#define TOLERANCE 2e-5L
#endif

enum { MOST = 210 };

/* nde.h promises these; nothing here is watched. */
void NDE_NAME(nde_watch)(NdeRun *run, int tile, const void *v, size_t n, bool is_double, int line, const char *name)
{
    (void)run, (void)tile, (void)v, (void)n, (void)is_double, (void)line, (void)name;
}

void NDE_NAME(nde_hold)(NdeRun *run, int tile, void *v, size_t n, bool is_double)
{
    (void)run, (void)tile, (void)v, (void)n, (void)is_double;
}

static int pieces; /* that work is shared out in, the last first */

void NDE_NAME(nde_share)(NdeRun *run, double flops, void (*piece)(void *context, int item, int n), void *context)
{
    (void)run, (void)flops;
    for (int i = pieces; i-- > 0;)
        piece(context, i, pieces);
}

static Real *numbers(size_t n, unsigned seed)
{
    Real *x = aligned_alloc(64, (n * sizeof *x + 127) / 64 * 64);
    ck_assert_ptr_nonnull(x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (Real)((double)(seed >> 8) / 16777216.0 - 0.5);
    }
    return x;
}

/* A matrix that is shared or per sample: entry (i, k) of lane l. */
typedef struct Matrix {
    Real *at;
    int rows, columns;
    bool is_batched;
} Matrix;

static Matrix matrix(int rows, int columns, bool is_batched, unsigned seed)
{
    size_t n = (size_t)(rows * columns) * (is_batched ? TILE : 1);
    return (Matrix){numbers(n, seed), rows, columns, is_batched};
}

static long double entry(const Matrix *x, bool is_transposed, int i, int k, int lane)
{
    int at = is_transposed ? k * x->columns + i : i * x->columns + k;
    return x->is_batched ? (long double)x->at[at * TILE + lane] : (long double)x->at[at];
}

static long double product(const Matrix *a, bool ta, const Matrix *b, bool tb, int i, int k, int lane)
{
    long double sum = 0;
    int inner = ta ? a->rows : a->columns;
    for (int l = 0; l < inner; l++)
        sum += entry(a, ta, i, l, lane) * entry(b, tb, l, k, lane);
    return sum;
}

static void near(const char *what, long double got, long double want, int m, int k, int j)
{
    long double error = got - want;
    ck_assert_msg(error < TOLERANCE && error > -TOLERANCE, "%s %d x %d x %d: %Lg instead of %Lg", what, m, k, j, got,
                  want);
}

typedef void Shared(Real *, const Real *, const Real *, int, int, int);
typedef void Pieced(NdeRun *, Real *, const Real *, const Real *, int, int, int);
typedef void Weights(Vec *, const Real *, const Vec *, int, int, int);
typedef void Turned(Vec *, const Vec *, const Real *, int, int, int);
typedef void Each(Vec *, const Vec *, const Vec *, int, int, int);
typedef void Summed(Real *, int, const Vec *const *, const Vec *const *, int, int, int, const Real *, Real *);
typedef void Number(double *, const Real *, const Real *, int, int, int);

static const struct {
    const char *name;
    bool ta, tb;
    Shared *shared;
    Pieced *pieced;
    Weights *weights;
    Turned *turned;
    Each *each;
    Summed *summed;
    Number *number;
} row[] = {{"mm_nn", false, false, r_mm_nn, t_mm_nn, w_mm_nn, x_mm_nn, v_mm_nn, s_mm_nn, d_mm_nn},
           {"mm_tn", true, false, r_mm_tn, t_mm_tn, w_mm_tn, x_mm_tn, v_mm_tn, s_mm_tn, d_mm_tn},
           {"mm_nt", false, true, r_mm_nt, t_mm_nt, w_mm_nt, x_mm_nt, v_mm_nt, s_mm_nt, d_mm_nt}};

static void check_pattern(int op, int pattern, int m, int k, int j)
{
    bool ta = row[op].ta, tb = row[op].tb, is_batched = pattern > 0;
    Matrix a = matrix(ta ? k : m, ta ? m : k, pattern & 1, 1), b = matrix(tb ? j : k, tb ? k : j, pattern & 2, 2);
    Matrix y = matrix(m, j, is_batched, 3);
    if (pattern == 0)
        row[op].shared(y.at, a.at, b.at, m, k, j);
    else if (pattern == 1)
        row[op].turned((Vec *)y.at, (Vec *)a.at, b.at, m, k, j);
    else if (pattern == 2)
        row[op].weights((Vec *)y.at, a.at, (Vec *)b.at, m, k, j);
    else
        row[op].each((Vec *)y.at, (Vec *)a.at, (Vec *)b.at, m, k, j);
    for (int i = 0; i < m; i++)
        for (int c = 0; c < j; c++)
            for (int lane = 0; lane < (is_batched ? TILE : 1); lane++)
                near(row[op].name, entry(&y, false, i, c, lane), product(&a, ta, &b, tb, i, c, lane), m, k, j);
    free(a.at), free(b.at), free(y.at);
}

/* In as many pieces as may be, more than it has rows too, the bits are those of one. */
static void check_pieces(int op, int m, int k, int j)
{
    Real *a = numbers((size_t)(m * k), 1), *b = numbers((size_t)(k * j), 2);
    Real *one = numbers((size_t)(m * j), 3), *many = numbers((size_t)(m * j), 4);
    row[op].shared(one, a, b, m, k, j);
    for (pieces = 1; pieces < 9; pieces += pieces < 4 ? 1 : 2) {
        memset(many, 0xff, sizeof *many * (size_t)(m * j));
        row[op].pieced(NULL, many, a, b, m, k, j);
        ck_assert_msg(!memcmp(one, many, sizeof *one * (size_t)(m * j)), "%s %d x %d x %d in %d pieces", row[op].name,
                      m, k, j, pieces);
    }
    free(a), free(b), free(one), free(many);
}

/* Adds n products to what is there, counts the samples of the mask and no others, and writes nothing behind y. */
static void check_sum(int op, int n, int m, int k, int j)
{
    bool ta = row[op].ta, tb = row[op].tb;
    Matrix a[NDE_MAX_TERMS], b[NDE_MAX_TERMS];
    const Vec *left[NDE_MAX_TERMS], *right[NDE_MAX_TERMS];
    for (int t = 0; t < n; t++) {
        a[t] = matrix(ta ? k : m, ta ? m : k, true, 1 + 10 * t);
        b[t] = matrix(tb ? j : k, tb ? k : j, true, 2 + 10 * t);
        left[t] = (const Vec *)a[t].at;
        right[t] = (const Vec *)b[t].at;
    }
    Real *y = numbers((size_t)(m * j) + 1, 3), *before = numbers((size_t)(m * j) + 1, 3), mask[TILE];
    Real *turned = numbers((size_t)n * (size_t)TILE * (size_t)(j + 2 * LANES), 4);
    for (int l = 0; l < TILE; l++)
        mask[l] = l < (TILE + 1) / 2;
    row[op].summed(y, n, left, right, m, k, j, mask, turned);
    for (int i = 0; i < m; i++)
        for (int c = 0; c < j; c++) {
            long double want = (long double)before[i * j + c];
            for (int lane = 0; lane < n * ((TILE + 1) / 2); lane++)
                want += product(&a[lane % n], ta, &b[lane % n], tb, i, c, lane / n);
            near("sum of products", (long double)y[i * j + c] / n, want / n, m, k, j);
        }
    ck_assert(!memcmp(&y[m * j], &before[m * j], sizeof *y));
    for (int t = 0; t < n; t++)
        free(a[t].at), free(b[t].at);
    free(y), free(before), free(turned);
}

static const int size[][3] = {{1, 1, 1},   {2, 3, 1},    {3, 1, 2},   {4, 7, 1},   {5, 2, 3},
                              {6, 6, 1},   {7, 13, 2},   {8, 1, 9},   {10, 64, 1}, {11, 5, 5},
                              {12, 3, 17}, {13, 201, 1}, {14, 1, 24}, {17, 8, 25}, {23, 2, 33},
                              {25, 1, 40}, {49, 50, 1},  {50, 3, 1},  {3, 400, 1}, {9, 1, 41}};

START_TEST(products_are_sums)
{
    for (int op = 0; op < 3; op++)
        for (int pattern = 0; pattern < 4; pattern++)
            check_pattern(op, pattern, size[_i][0], size[_i][1], size[_i][2]);
}
END_TEST

START_TEST(pieces_change_no_bit)
{
    for (int op = 0; op < 3; op++)
        check_pieces(op, size[_i][0], size[_i][1], size[_i][2]);
}
END_TEST

START_TEST(sums_of_products_are_sums)
{
    for (int op = 0; op < 3; op++)
        for (int n = 1; n <= NDE_MAX_TERMS; n *= 2)
            check_sum(op, n, size[_i][0], size[_i][1], size[_i][2]);
}
END_TEST

START_TEST(one_number_is_summed_in_double)
{
    Real *a = numbers(MOST, 5), *b = numbers(MOST, 6);
    for (int op = 0; op < 3; op++)
        for (int k = 1; k <= MOST; k += 11) {
            double y;
            long double want = 0;
            for (int l = 0; l < k; l++)
                want += (long double)a[l] * (long double)b[l];
            row[op].number(&y, a, b, 1, k, 1);
            ck_assert_double_eq_tol(y, (double)want, 1e-13);
        }
    free(a), free(b);
}
END_TEST

/* ---- what moves data and reduces, sample by sample ---- */
START_TEST(sums_and_maxima_of_samples)
{
    for (int n = 1; n < 40; n++) {
        Real *x = numbers((size_t)n * TILE, (unsigned)n), y[2][TILE] __attribute__((aligned(64))), sum[40] = {0};
        Real mask[TILE];
        for (int l = 0; l < TILE; l++)
            mask[l] = l != TILE - 1 || TILE == 1;
        v_sum((Vec *)y[0], (Vec *)x, n);
        v_argmax((Vec *)y[1], (Vec *)x, n);
        s_sum(sum, (Vec *)x, n, mask);
        double lanes = v_lanes((Vec *)x, mask), first = 0;
        for (int l = 0; l < TILE; l++) {
            long double want = 0;
            int best = 0;
            for (int i = 0; i < n; i++) {
                want += (long double)x[i * TILE + l];
                best = x[i * TILE + l] > x[best * TILE + l] ? i : best;
            }
            near("sum", (long double)y[0][l], want, n, 0, 0);
            ck_assert_int_eq((int)y[1][l], best);
            first += (double)x[l] * (double)mask[l];
        }
        ck_assert_double_eq_tol(lanes, first, 1e-12);
        for (int i = 0; i < n; i++) {
            long double want = 0;
            for (int l = 0; l < TILE; l++)
                want += (long double)x[i * TILE + l] * (long double)mask[l];
            near("sum over samples", (long double)sum[i], want, n, 0, 0);
        }
        free(x);
    }
}
END_TEST

/* Slicing what was padded gives it back; what repeats sums to a multiple; the rest of a pad is zero. */
START_TEST(what_is_put_is_found)
{
    enum { O = 2, X = 3, I = 2, F = 1, R = 5 };
    Vec a[O * X * I * NV], y[O * R * I * NV], back[O * X * I * NV], sum[O * I * NV];
    for (int i = 0; i < O * X * I * NV; i++)
        a[i] = v_set((Real)(i + 1));
    v_pad(y, a, O, X, I, F, R);
    v_slice(back, y, O, R, I, F, X);
    ck_assert(!memcmp(a, back, sizeof a));
    v_sum_axis(sum, y, O, R, I);
    v_sum_axis(back, a, O, X, I);
    ck_assert(!memcmp(sum, back, sizeof sum));
    v_repeat(y, sum, O, I, R);
    for (int o = 0; o < O; o++)
        for (int r = 0; r < R; r++)
            ck_assert(!memcmp(y + (o * R + r) * I * NV, sum + o * I * NV, sizeof(Vec) * I * NV));
    v_max_axis(back, a, O, X, I);
    for (int i = 0; i < O * I * NV; i++)
        ck_assert(!memcmp(&back[i], &a[(i / (I * NV) * X + X - 1) * I * NV + i % (I * NV)], sizeof(Vec)));
}
END_TEST

START_TEST(comparisons_choose)
{
    const Real value[] = {-2, -(Real)0.0, 0, 1, (Real)NAN};
    for (int i = 0; i < 5; i++)
        for (int k = 0; k < 5; k++) {
            Vec a = v_set(value[i]), b = v_set(value[k]);
            ck_assert_double_eq(v_lane(v_gt(a, b), LANES - 1), value[i] > value[k]);
            ck_assert_double_eq(v_lane(v_ge(a, b), 0), value[i] >= value[k]);
            ck_assert_double_eq(v_lane(v_eq(a, b), 0), value[i] == value[k]);
            ck_assert_double_eq(v_lane(v_where(a, v_set(3), v_set(4)), 0), value[i] != 0 ? 3 : 4);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel");
    TCase *tc = tcase_create("kernel");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, products_are_sums, 0, (int)(sizeof size / sizeof *size));
    tcase_add_loop_test(tc, pieces_change_no_bit, 0, (int)(sizeof size / sizeof *size));
    tcase_add_loop_test(tc, sums_of_products_are_sums, 0, (int)(sizeof size / sizeof *size));
    tcase_add_test(tc, one_number_is_summed_in_double);
    tcase_add_test(tc, sums_and_maxima_of_samples);
    tcase_add_test(tc, what_is_put_is_found);
    tcase_add_test(tc, comparisons_choose);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
