/* nde_product.h: matrix products whose samples lie in lanes.
 *
 * Needs: nde_vector.h.  Gives: products of two operands, each shared (Real, row-major) or per sample ([n][NV] Vec), and
 * the sum over the samples of a per-sample product. Names: mm_nn is a b, mm_tn is a' b, mm_nt is a b'; prefix
 *   r_ both shared           d_ both shared, one number
 *   w_ a shared, b per sample   x_ a per sample, b shared
 *   v_ both per sample       s_ the sum over samples of v_, added to a shared matrix
 * The result y is m x j, the inner size k.
 * Elsewhere: what moves data and reduces (nde_kernel.h). */
#ifndef NDE_PRODUCT_H
#define NDE_PRODUCT_H

#include "nde_vector.h"

/* y(r, c) = sum over l of w(r, l) x(l, c): where entry (i, j) of a matrix stands is i * row + j * col. */
typedef struct Product {
    int m, k, j;
    int w_row, w_col, x_row, x_col, y_row, y_col;
} Product;

/* A slice of the inner size, such that the slice of x stays in the first-level cache (12 KiB of it). */
enum { SLICE = 12288 / ROW };

/* ---- shared weights times per-sample columns ----
 * R rows by NV vectors are summed in registers: 6 by 2 fill the 16 registers of AVX2 with the operands. */
#define PRODUCT_BLOCK(R)                                                                                             \
    INLINE void product_##R(const Product *p, int k, const Real *w, const Vec *x, Vec *y, bool is_first)             \
    {                                                                                                                \
        Vec sum[R][NV];                                                                                              \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] =                           \
            is_first ? v_set(0) : y[(ptrdiff_t)r * p->y_row * NV + q];                                               \
        for (int l = 0; l < k; l++, w += p->w_col, x += (ptrdiff_t)p->x_row * NV) {                                  \
            Vec column[NV];                                                                                          \
            UNROLL for (int q = 0; q < NV; q++) column[q] = x[q];                                                    \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] +=                      \
                w[(ptrdiff_t)r * p->w_row] * column[q];                                                              \
        }                                                                                                            \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) y[(ptrdiff_t)r * p->y_row * NV + q] = \
            sum[r][q];                                                                                               \
    }
PRODUCT_BLOCK(6)
PRODUCT_BLOCK(4)
PRODUCT_BLOCK(1)

/* How many blocks of six rows, so that blocks of four do the rest where that is possible. */
INLINE int product_sixes(int m)
{
    int n = m / 6;
    while (n > 0 && (m - 6 * n) % 4 != 0 && n > m / 6 - 2)
        n--;
    return (m - 6 * n) % 4 == 0 ? n : m / 6;
}

INLINE void product_column(const Product *p, const Real *w, const Vec *x, Vec *y)
{
    int sixes = product_sixes(p->m);
    for (int from = 0; from == 0 || from < p->k; from += SLICE) {
        int k = p->k - from < SLICE ? p->k - from : SLICE, r = 0;
        const Vec *xs = x + (ptrdiff_t)from * p->x_row * NV;
        const Real *ws = w + (ptrdiff_t)from * p->w_col;
        for (; r < 6 * sixes; r += 6)
            product_6(p, k, ws + (ptrdiff_t)r * p->w_row, xs, y + (ptrdiff_t)r * p->y_row * NV, from == 0);
        for (; r + 4 <= p->m; r += 4)
            product_4(p, k, ws + (ptrdiff_t)r * p->w_row, xs, y + (ptrdiff_t)r * p->y_row * NV, from == 0);
        for (; r < p->m; r++)
            product_1(p, k, ws + (ptrdiff_t)r * p->w_row, xs, y + (ptrdiff_t)r * p->y_row * NV, from == 0);
    }
}

/* A function of its own, never inlined: in a large loop its sums leave the registers. One for all strides: each costs
 * time to compile, and none is faster. */
KERNEL void product_any(const Product *p, const Real *w, const Vec *x, Vec *y)
{
    for (int c = 0; c < p->j; c++)
        product_column(p, w, x + (ptrdiff_t)c * p->x_col * NV, y + (ptrdiff_t)c * p->y_col * NV);
}

INLINE void w_mm_nn(Vec *y, const Real *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, k, 1, j, 1, j, 1};
    product_any(&p, a, b, y);
}

INLINE void w_mm_tn(Vec *y, const Real *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, 1, m, j, 1, j, 1};
    product_any(&p, a, b, y);
}

INLINE void w_mm_nt(Vec *y, const Real *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, k, 1, 1, k, j, 1};
    product_any(&p, a, b, y);
}

/* x_: y' = b' a', so the shared operand is on the left again. */
INLINE void x_mm_nn(Vec *y, const Vec *a, const Real *b, int m, int k, int j)
{
    Product p = {j, k, m, 1, j, 1, k, 1, j};
    product_any(&p, b, a, y);
}

INLINE void x_mm_tn(Vec *y, const Vec *a, const Real *b, int m, int k, int j)
{
    Product p = {j, k, m, 1, j, m, 1, 1, j};
    product_any(&p, b, a, y);
}

INLINE void x_mm_nt(Vec *y, const Vec *a, const Real *b, int m, int k, int j)
{
    Product p = {j, k, m, k, 1, 1, k, 1, j};
    product_any(&p, b, a, y);
}

/* ---- per sample times per sample ---- */
KERNEL void each_product(const Product *p, const Vec *w, const Vec *x, Vec *y)
{
    for (int r = 0; r < p->m; r++)
        for (int c = 0; c < p->j; c++) {
            Vec sum[NV];
            for (int q = 0; q < NV; q++)
                sum[q] = v_set(0);
            for (int l = 0; l < p->k; l++)
                for (int q = 0; q < NV; q++)
                    sum[q] += w[((ptrdiff_t)r * p->w_row + (ptrdiff_t)l * p->w_col) * NV + q] *
                              x[((ptrdiff_t)l * p->x_row + (ptrdiff_t)c * p->x_col) * NV + q];
            for (int q = 0; q < NV; q++)
                y[((ptrdiff_t)r * p->y_row + (ptrdiff_t)c * p->y_col) * NV + q] = sum[q];
        }
}

INLINE void v_mm_nn(Vec *y, const Vec *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, k, 1, j, 1, j, 1};
    each_product(&p, a, b, y);
}

INLINE void v_mm_tn(Vec *y, const Vec *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, 1, m, j, 1, j, 1};
    each_product(&p, a, b, y);
}

INLINE void v_mm_nt(Vec *y, const Vec *a, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, k, 1, 1, k, j, 1};
    each_product(&p, a, b, y);
}

/* One number: whatever is transposed, both operands are k numbers in a row. */
INLINE void d_dot(double *y, const Real *a, const Real *b, int k)
{
    *y = 0;
    for (int l = 0; l < k; l++)
        *y += (double)a[l] * (double)b[l];
}

#define D_PRODUCT(name)                                                                \
    INLINE void d_##name(double *y, const Real *a, const Real *b, int m, int k, int j) \
    {                                                                                  \
        (void)m, (void)j;                                                              \
        d_dot(y, a, b, k);                                                             \
    }
D_PRODUCT(mm_nn)
D_PRODUCT(mm_tn)
D_PRODUCT(mm_nt)

/* y += a b for shared matrices: n is the inner size, a(r, l) is a[r * a_row + l * a_col], the rows of b are b_row
 * apart. */
typedef struct Panel {
    int m, j, n;
    ptrdiff_t y_row, a_row, a_col, b_row;
} Panel;

/* ---- the sum over samples of a per-sample product ----
 * y(r, c) += sum over samples and l of a(r, l) b(l, c) mask. The rows of b are turned so that c runs in lanes: b is
 * [TILE][width] in work memory, width a multiple of LANES, zero behind the last column. */
#if NDE_HAS_VECTORS
INLINE int outer_width(int j)
{
    return (j + LANES - 1) / LANES * LANES;
}

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NDE_HAS_SHUFFLE 1
#endif
#endif

/* n rows of LANES numbers, turned: row r of `from` (steps in Vec) becomes column r of `to` (width in Real); columns n
 * and on are zero. */
INLINE void turn_block(const Vec *from, ptrdiff_t step, int n, const Vec mask, Real *to, int width)
{
#if defined(NDE_HAS_SHUFFLE) && !defined(NDE_DOUBLE) && NDE_VECTOR_BYTES == 32
    Vec a[8], b[8];
    UNROLL for (int r = 0; r < 8; r++)
    {
        a[r] = v_set(0);
        if (r < n)
            a[r] = from[r * step] * mask;
    }
    UNROLL for (int r = 0; r < 4; r++)
    {
        b[2 * r] = __builtin_shufflevector(a[2 * r], a[2 * r + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        b[2 * r + 1] = __builtin_shufflevector(a[2 * r], a[2 * r + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    UNROLL for (int r = 0; r < 2; r++) UNROLL for (int s = 0; s < 2; s++)
    {
        a[4 * r + 2 * s] = __builtin_shufflevector(b[4 * r + s], b[4 * r + s + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        a[4 * r + 2 * s + 1] = __builtin_shufflevector(b[4 * r + s], b[4 * r + s + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    UNROLL for (int r = 0; r < 4; r++)
    {
        *(Vec *)(to + r * width) = __builtin_shufflevector(a[r], a[r + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        *(Vec *)(to + (r + 4) * width) = __builtin_shufflevector(a[r], a[r + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
#else
    for (int r = 0; r < LANES; r++) {
        Vec row = v_set(0);
        if (r < n)
            row = from[r * step] * mask;
        for (int l = 0; l < LANES; l++)
            to[l * width + r] = row[l];
    }
#endif
}

/* b(l, .) of all lanes to turned[TILE][width], masked. */
INLINE void outer_turn(const Vec *b, int step, int j, const Real *mask, Real *turned)
{
    int width = outer_width(j), c = 0;
    for (; c < width; c += LANES)
        for (int q = 0; q < NV; q++) {
            const Vec *from = b + (ptrdiff_t)c * step * NV + q;
            Real *to = turned + (ptrdiff_t)q * LANES * width + c;
            if (c + LANES <= j)
                turn_block(from, (ptrdiff_t)step * NV, LANES, v_load(mask + q * LANES), to, width);
            else
                turn_block(from, (ptrdiff_t)step * NV, j - c, v_load(mask + q * LANES), to, width);
        }
}

/* Keeps a loaded vector in its register: gcc 12 otherwise loads it again for every multiply-add. */
#define KEEP(x) __asm__("" : "+x"(x))
#if !defined(__x86_64__)
#undef KEEP
#define KEEP(x) (void)(x)
#endif

/* R rows by C vectors of y. */
#define OUTER_BLOCK(R, C)                                                                      \
    INLINE void outer_##R##_##C(const Panel *p, Real *y, const Real *a, const Real *b)         \
    {                                                                                          \
        Vec sum[R][C];                                                                         \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < C; v++) sum[r][v] =      \
            v_load(y + r * p->y_row + v * LANES);                                              \
        for (int l = 0; l < p->n; l++, a += p->a_col, b += p->b_row) {                         \
            Vec row[C];                                                                        \
            UNROLL for (int v = 0; v < C; v++)                                                 \
            {                                                                                  \
                row[v] = v_load(b + v * LANES);                                                \
                KEEP(row[v]);                                                                  \
            }                                                                                  \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < C; v++) sum[r][v] += \
                a[r * p->a_row] * row[v];                                                      \
        }                                                                                      \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < C; v++) *                \
            (VecAnywhere *)(y + r * p->y_row + v * LANES) = sum[r][v];                         \
    }
OUTER_BLOCK(4, 3)
OUTER_BLOCK(6, 2)
OUTER_BLOCK(8, 1)
OUTER_BLOCK(1, 3)
OUTER_BLOCK(1, 2)
OUTER_BLOCK(1, 1)

/* All rows of C vectors of columns, R rows at a time. */
#define OUTER_COLUMNS(R, C)                                                              \
    INLINE void outer_columns_##C(const Panel *p, Real *y, const Real *a, const Real *b) \
    {                                                                                    \
        int r = 0;                                                                       \
        for (; r + R <= p->m; r += R)                                                    \
            outer_##R##_##C(p, y + r * p->y_row, a + r * p->a_row, b);                   \
        for (; r < p->m; r++)                                                            \
            outer_1_##C(p, y + r * p->y_row, a + r * p->a_row, b);                       \
    }
OUTER_COLUMNS(4, 3)
OUTER_COLUMNS(6, 2)
OUTER_COLUMNS(8, 1)

/* The j columns behind the last whole vector: eight rows in a buffer of whole vectors, since y has no room there. */
INLINE void outer_rest(const Panel *p, int j, Real *y, const Real *a, const Real *b)
{
    enum { ROWS = 8 };
    Vec sum[ROWS];
    for (int r = 0; r < p->m; r += ROWS) {
        Panel some = *p;
        some.m = p->m - r < ROWS ? p->m - r : ROWS;
        some.y_row = LANES;
        memset(sum, 0, sizeof sum);
        outer_columns_1(&some, (Real *)sum, a + r * p->a_row, b);
        for (int s = 0; s < some.m; s++)
            for (int c = 0; c < j; c++)
                y[(r + s) * p->y_row + c] += ((const Real *)sum)[s * LANES + c];
    }
}

/* The whole vectors of columns; gives the number of columns done. */
INLINE int outer_whole(const Panel *p, Real *y, const Real *a, const Real *b)
{
    int c = 0;
    for (; c + 3 * LANES <= p->j; c += 3 * LANES)
        outer_columns_3(p, y + c, a, b + c);
    for (; c + 2 * LANES <= p->j; c += 2 * LANES)
        outer_columns_2(p, y + c, a, b + c);
    for (; c + LANES <= p->j; c += LANES)
        outer_columns_1(p, y + c, a, b + c);
    return c;
}

/* Where the rows of b end with their last column, those behind the last whole vector are copied. */
KERNEL void panel_add(const Panel *p, Real *y, const Real *a, const Real *b)
{
    enum { ROWS = 128 };
    Vec copy[ROWS];
    int whole = outer_whole(p, y, a, b), rest = p->j - whole;
    bool has_room = p->b_row >= whole + LANES;
    for (int l = 0; l < p->n && rest > 0; l += ROWS) {
        const Real *from = b + l * p->b_row + whole;
        Panel some = *p;
        some.n = p->n - l < ROWS ? p->n - l : ROWS;
        if (!has_room) {
            memset(copy, 0, sizeof *copy * (size_t)some.n);
            for (int s = 0; s < some.n; s++)
                memcpy(&copy[s], from + s * p->b_row, (size_t)rest * sizeof(Real));
            from = (const Real *)copy;
            some.b_row = LANES;
        }
        outer_rest(&some, rest, y + whole, a + l * p->a_col, from);
    }
}

INLINE void outer_product(const Product *p, const Vec *a, const Vec *b, Real *y, const Real *mask, Real *turned)
{
    for (int l = 0; l < p->k; l++) {
        outer_turn(b + (ptrdiff_t)l * p->x_row * NV, p->x_col, p->j, mask, turned);
        Panel panel = {p->m, p->j, TILE, p->j, (ptrdiff_t)p->w_row * TILE, 1, outer_width(p->j)};
        panel_add(&panel, y, (const Real *)(a + (ptrdiff_t)l * p->w_col * NV), turned);
    }
}
#else
INLINE void outer_product(const Product *p, const Vec *a, const Vec *b, Real *y, const Real *mask, Real *turned)
{
    (void)turned;
    for (int r = 0; r < p->m; r++)
        for (int l = 0; l < p->k; l++)
            for (int c = 0; c < p->j; c++)
                y[r * p->j + c] += a[r * p->w_row + l * p->w_col] * b[l * p->x_row + c * p->x_col] * *mask;
}
#endif

/* turned: TILE * (j + LANES) Reals of scratch, aligned as Vec. y: m x j, row-major. */
INLINE void s_mm_nn(Real *y, const Vec *a, const Vec *b, int m, int k, int j, const Real *mask, Real *turned)
{
    Product p = {m, k, j, k, 1, j, 1, j, 1};
    outer_product(&p, a, b, y, mask, turned);
}

INLINE void s_mm_tn(Real *y, const Vec *a, const Vec *b, int m, int k, int j, const Real *mask, Real *turned)
{
    Product p = {m, k, j, 1, m, j, 1, j, 1};
    outer_product(&p, a, b, y, mask, turned);
}

INLINE void s_mm_nt(Real *y, const Vec *a, const Vec *b, int m, int k, int j, const Real *mask, Real *turned)
{
    Product p = {m, k, j, k, 1, 1, k, j, 1};
    outer_product(&p, a, b, y, mask, turned);
}

/* ---- both shared ---- */
#if NDE_HAS_VECTORS
/* y = a b' for rows a and b of n numbers: four rows of b at a time, partial sums in lanes. */
KERNEL void shared_dots(Real *y, const Real *a, const Real *b, int m, int n, int j)
{
    enum { COLUMNS = 4 };
    for (int r = 0; r < m; r++)
        for (int c = 0; c < j; c += COLUMNS) {
            int columns = j - c < COLUMNS ? j - c : COLUMNS, l = 0;
            const Real *x = a + (ptrdiff_t)r * n, *z[COLUMNS];
            Vec sum[COLUMNS];
            for (int s = 0; s < COLUMNS; s++) {
                z[s] = b + (ptrdiff_t)(c + (s < columns ? s : 0)) * n;
                sum[s] = v_set(0);
            }
            for (; l + LANES <= n; l += LANES)
                UNROLL for (int s = 0; s < COLUMNS; s++) sum[s] += v_load(x + l) * v_load(z[s] + l);
            for (int s = 0; s < columns; s++) {
                Real total = 0;
                for (int k = 0; k < LANES; k++)
                    total += sum[s][k];
                for (int k = l; k < n; k++)
                    total += x[k] * z[s][k];
                y[(ptrdiff_t)r * j + c + s] = total;
            }
        }
}
#else
INLINE void panel_add(const Panel *p, Real *y, const Real *a, const Real *b)
{
    for (int r = 0; r < p->m; r++)
        for (int l = 0; l < p->n; l++)
            for (int c = 0; c < p->j; c++)
                y[r * p->y_row + c] += a[r * p->a_row + l * p->a_col] * b[l * p->b_row + c];
}

INLINE void shared_dots(Real *y, const Real *a, const Real *b, int m, int n, int j)
{
    for (int r = 0; r < m; r++)
        for (int c = 0; c < j; c++) {
            y[r * j + c] = 0;
            for (int l = 0; l < n; l++)
                y[r * j + c] += a[r * n + l] * b[c * n + l];
        }
}
#endif

INLINE void r_mm_nn(Real *y, const Real *a, const Real *b, int m, int k, int j)
{
    Panel p = {m, j, k, j, k, 1, j};
    memset(y, 0, sizeof *y * (size_t)m * (size_t)j);
    panel_add(&p, y, a, b);
}

INLINE void r_mm_tn(Real *y, const Real *a, const Real *b, int m, int k, int j)
{
    Panel p = {m, j, k, j, 1, m, j};
    memset(y, 0, sizeof *y * (size_t)m * (size_t)j);
    panel_add(&p, y, a, b);
}

INLINE void r_mm_nt(Real *y, const Real *a, const Real *b, int m, int k, int j)
{
    shared_dots(y, a, b, m, k, j);
}

#endif
