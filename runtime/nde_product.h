/* nde_product.h: matrix products whose samples lie in lanes.
 *
 * Needs: nde_vector.h.  Gives: products of two operands, each shared (Real, row-major) or per sample ([n][NV] Vec), and
 * the sum over the samples of a per-sample product. Names: mm_nn is a b, mm_tn is a' b, mm_nt is a b'; prefix
 *   r_ both shared           d_ both shared, one number
 *   t_ both shared, by the threads of a run
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

/* The inner size k in slices of one length, or one more, such that a slice of x stays in the first-level cache (some
 * 12 KiB of it). slice_from: where slice s of n starts; of s = n it is k. */
enum { SLICE = 12288 / ROW };

INLINE int slice_count(int k)
{
    int n = (k + SLICE / 2) / SLICE;
    return n > 0 ? n : 1;
}

INLINE int slice_from(int k, int n, int s)
{
    int more = k % n;
    return s * (k / n) + (s < more ? s : more);
}

/* The sums of n rows over a slice, added to those of the slices before it: a long sum in pieces rounds less than one
 * that grows term by term (Higham 2002, 4.2). */
INLINE void slice_end(const Product *p, int n, const Vec *sum, Vec *y, bool is_first)
{
    UNROLL for (int r = 0; r < n; r++, y += (ptrdiff_t)p->y_row * NV) UNROLL for (int q = 0; q < NV; q++)
    {
        Vec all = *sum++;
        if (!is_first)
            all += y[q];
        y[q] = all;
    }
}

/* ---- shared weights times per-sample columns ----
 * R rows by NV vectors are summed in registers: 6 by 2 fill the 16 registers of AVX2 with the operands. */
#define PRODUCT_BLOCK(R)                                                                                 \
    INLINE void product_##R(const Product *p, int k, const Real *w, const Vec *x, Vec *y, bool is_first) \
    {                                                                                                    \
        Vec sum[R][NV];                                                                                  \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] = v_set(0);     \
        for (int l = 0; l < k; l++, w += p->w_col, x += (ptrdiff_t)p->x_row * NV) {                      \
            Vec column[NV];                                                                              \
            UNROLL for (int q = 0; q < NV; q++) column[q] = x[q];                                        \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] +=          \
                w[(ptrdiff_t)r * p->w_row] * column[q];                                                  \
        }                                                                                                \
        slice_end(p, R, &sum[0][0], y, is_first);                                                        \
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
    int slices = slice_count(p->k);
    for (int s = 0; s < slices; s++) {
        int from = slice_from(p->k, slices, s), k = slice_from(p->k, slices, s + 1) - from, r = 0;
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

/* ---- the same with packed weights: [slice of k][block of rows][l][row of the block], in the order in which they are
 * read. They are packed once for many products; large and turned ones gain. ---- */
#define PACKED_BLOCK(R)                                                                                           \
    INLINE void packed_##R(const Product *p, int k, const Real *w, const Vec *x, Vec *y, bool is_first)           \
    {                                                                                                             \
        Vec sum[R][NV];                                                                                           \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] = v_set(0);              \
        for (int l = 0; l < k; l++, w += R, x += (ptrdiff_t)p->x_row * NV) {                                      \
            Vec column[NV];                                                                                       \
            UNROLL for (int q = 0; q < NV; q++) column[q] = x[q];                                                 \
            UNROLL for (int r = 0; r < R; r++) UNROLL for (int q = 0; q < NV; q++) sum[r][q] += w[r] * column[q]; \
        }                                                                                                         \
        slice_end(p, R, &sum[0][0], y, is_first);                                                                 \
    }
PACKED_BLOCK(6)
PACKED_BLOCK(4)
PACKED_BLOCK(1)

/* Rows of the block that starts at row r of m. */
INLINE int packed_rows(int m, int r)
{
    return r < 6 * product_sixes(m) ? 6 : r + 4 <= m ? 4 : 1;
}

typedef struct Packing {
    Product product;
    const Real *w;
    Real *packed;
} Packing;

#define PACK_BLOCK(R)                                                                  \
    INLINE void pack_##R(const Product *p, int k, const Real *w, Real *packed)         \
    {                                                                                  \
        for (int l = 0; l < k; l++, w += p->w_col, packed += R)                        \
            UNROLL for (int r = 0; r < R; r++) packed[r] = w[(ptrdiff_t)r * p->w_row]; \
    }
PACK_BLOCK(6)
PACK_BLOCK(4)
PACK_BLOCK(1)

/* Piece `item` of n: the blocks whose first row lies in it. */
KERNEL void pack_piece(void *packing, int item, int n)
{
    const Packing *from = packing;
    const Product *p = &from->product;
    Real *packed = from->packed;
    int slices = slice_count(p->k);
    for (int s = 0; s < slices; s++) {
        int l = slice_from(p->k, slices, s), k = slice_from(p->k, slices, s + 1) - l;
        for (int r = 0, rows = 0; r < p->m; r += rows, packed += rows * k) {
            const Real *w = from->w + (ptrdiff_t)r * p->w_row + (ptrdiff_t)l * p->w_col;
            rows = packed_rows(p->m, r);
            if ((int)((long)r * n / p->m) != item)
                continue;
            if (rows == 6)
                pack_6(p, k, w, packed);
            else if (rows == 4)
                pack_4(p, k, w, packed);
            else
                pack_1(p, k, w, packed);
        }
    }
}

KERNEL void product_packed(const Product *p, const Real *w, const Vec *x, Vec *y)
{
    int slices = slice_count(p->k);
    for (int s = 0; s < slices; s++) {
        int from = slice_from(p->k, slices, s), k = slice_from(p->k, slices, s + 1) - from;
        const Vec *xs = x + (ptrdiff_t)from * p->x_row * NV;
        for (int r = 0, n = 0; r < p->m; r += n, w += n * k) {
            Vec *to = y + (ptrdiff_t)r * p->y_row * NV;
            n = packed_rows(p->m, r);
            if (n == 6)
                packed_6(p, k, w, xs, to, from == 0);
            else if (n == 4)
                packed_4(p, k, w, xs, to, from == 0);
            else
                packed_1(p, k, w, xs, to, from == 0);
        }
    }
}

/* One column; is_turned: w is stored as k x m. By the threads of a run. */
INLINE void pack_weights(NdeRun *run, Real *packed, const Real *w, int m, int k, bool is_turned)
{
    enum { AS_FLOPS = 12 }; /* of a number that is moved */
    Packing p = {{m, k, 1, is_turned ? 1 : k, is_turned ? m : 1, 1, 1, 1, 1}, w, packed};
    NDE_NAME(nde_share)(run, (double)AS_FLOPS * m * k, pack_piece, &p);
}

INLINE void p_mm_nn(Vec *y, const Real *packed, const Vec *b, int m, int k, int j)
{
    Product p = {m, k, j, 0, 0, 1, 1, 1, 1};
    product_packed(&p, packed, b, y);
}
#define p_mm_tn p_mm_nn

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

/* ---- sums of products into a shared matrix ----
 * y(r, c) += sum over terms t and l < n of a_t(r, l) b_t(l, c), where a_t(r, l) is a[t][r * a_row + l * a_col]; the
 * rows of y are j long. The b_t are packed in panels of up to three vectors of columns: [panel][t][l][column], zero
 * behind the last column. */
typedef struct Panel {
    int m, j, n, n_term;
    int open; /* rows of y that others follow, so that a vector may reach beyond their end */
    ptrdiff_t a_row, a_col;
} Panel;

#if NDE_HAS_VECTORS
/* Vectors of the panel that starts at column c of j: three, or two twice instead of three and one. */
INLINE int panel_vectors(int j, int c)
{
    int left = (j - c + LANES - 1) / LANES;
    return left == 4 ? 2 : left < 3 ? left : 3;
}

INLINE int panel_width(int j)
{
    return (j + LANES - 1) / LANES * LANES;
}

/* Keeps a loaded vector in its register: gcc 12 otherwise loads it again for every multiply-add. */
#define KEEP(x) __asm__("" : "+x"(x))
#if !defined(__x86_64__)
#undef KEEP
#define KEEP(x) (void)(x)
#endif

INLINE int panel_open(int m, int j)
{
    return j < LANES ? 0 : m - 1;
}

/* The first n lanes of the last column of y += sum, r rows: where lanes behind them are not there. Rare, so one for all
 * blocks: written out in each it took most of the time to compile them. */
KERNEL void panel_end(Real *y, ptrdiff_t j, const Vec *sum, int r, int n)
{
    for (; r > 0; r--, y += j, sum++)
        v_store_some(y, v_load_some(y, n) + *sum, n);
}

/* R rows by C vectors of y, the last vector with n columns, which are those of `in`. y is read when the sums are there,
 * so that no product waits for it. */
#define PANEL_BLOCK(R, C)                                                                                 \
    INLINE void panel_##R##_##C(const Panel *p, VecBits in, int n, Real *y, const Real *const *a, int r0, \
                                const Real *b)                                                            \
    {                                                                                                     \
        Vec sum[R][C];                                                                                    \
        UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < C; v++) sum[r][v] = v_set(0);       \
        for (int t = 0; t < p->n_term; t++) {                                                             \
            const Real *x = a[t] + r0 * p->a_row;                                                         \
            for (int l = 0; l < p->n; l++, x += p->a_col, b += C * LANES) {                               \
                Vec row[C];                                                                               \
                UNROLL for (int v = 0; v < C; v++)                                                        \
                {                                                                                         \
                    row[v] = *(const Vec *)(b + v * LANES);                                               \
                    KEEP(row[v]);                                                                         \
                }                                                                                         \
                UNROLL for (int r = 0; r < R; r++) UNROLL for (int v = 0; v < C; v++) sum[r][v] +=        \
                    x[r * p->a_row] * row[v];                                                             \
            }                                                                                             \
        }                                                                                                 \
        bool is_whole = n == LANES || r0 + R <= p->open;                                                  \
        Vec end[R];                                                                                       \
        UNROLL for (int r = 0; r < R; r++)                                                                \
        {                                                                                                 \
            Real *at = y + r * (ptrdiff_t)p->j;                                                           \
            UNROLL for (int v = 0; v < C - 1; v++) * (VecAnywhere *)(at + v * LANES) =                    \
                v_load(at + v * LANES) + sum[r][v];                                                       \
            end[r] = sum[r][C - 1];                                                                       \
            at += (C - 1) * LANES;                                                                        \
            if (is_whole)                                                                                 \
                *(VecAnywhere *)at = v_load(at) + v_real(v_bits(end[r]) & in);                            \
        }                                                                                                 \
        if (!is_whole)                                                                                    \
            panel_end(y + (C - 1) * LANES, p->j, end, R, n);                                              \
    }
PANEL_BLOCK(4, 3)
PANEL_BLOCK(2, 3)
PANEL_BLOCK(1, 3)
PANEL_BLOCK(6, 2)
PANEL_BLOCK(4, 2)
PANEL_BLOCK(1, 2)
PANEL_BLOCK(8, 1)
PANEL_BLOCK(4, 1)
PANEL_BLOCK(1, 1)

/* All rows of one panel, R at a time, then S. */
#define PANEL_ROWS(R, S, C)                                                                                     \
    INLINE void panel_rows_##C(const Panel *p, VecBits in, int n, Real *y, const Real *const *a, const Real *b) \
    {                                                                                                           \
        int r = 0;                                                                                              \
        for (; r + R <= p->m; r += R)                                                                           \
            panel_##R##_##C(p, in, n, y + (ptrdiff_t)r * p->j, a, r, b);                                        \
        for (; r + S <= p->m; r += S)                                                                           \
            panel_##S##_##C(p, in, n, y + (ptrdiff_t)r * p->j, a, r, b);                                        \
        for (; r < p->m; r++)                                                                                   \
            panel_1_##C(p, in, n, y + (ptrdiff_t)r * p->j, a, r, b);                                            \
    }
PANEL_ROWS(4, 2, 3)
PANEL_ROWS(6, 4, 2)
PANEL_ROWS(8, 4, 1)

/* The panel at column c. */
KERNEL void panel_add(const Panel *p, int c, Real *y, const Real *const *a, const Real *b)
{
    int vectors = panel_vectors(p->j, c), left = p->j - c - (vectors - 1) * LANES, n = left < LANES ? left : LANES;
    VecBits in;
    for (int l = 0; l < LANES; l++)
        in[l] = l < n ? (LaneBits)-1 : 0;
    if (vectors == 3)
        panel_rows_3(p, in, n, y + c, a, b);
    else if (vectors == 2)
        panel_rows_2(p, in, n, y + c, a, b);
    else
        panel_rows_1(p, in, n, y + c, a, b);
}

/* y with all panels of b, some rows of a at a time, which stay in the first-level cache. */
INLINE void panels_add(const Panel *p, Real *y, const Real *const *a, const Real *b)
{
    enum { ROWS = 48 };
    const Real *left[NDE_MAX_TERMS];
    Panel some = *p;
    for (int r = 0; r < p->m; r += ROWS) {
        some.m = p->m - r < ROWS ? p->m - r : ROWS;
        some.open = p->open - r;
        for (int t = 0; t < p->n_term; t++)
            left[t] = a[t] + r * p->a_row;
        for (int c = 0; c < p->j; c += panel_vectors(p->j, c) * LANES)
            panel_add(&some, c, y + (ptrdiff_t)r * p->j, left, b + (ptrdiff_t)c * p->n_term * p->n);
    }
}

/* ---- the sum over samples of per-sample products ----
 * y(r, c) += sum over terms, samples and l of a(r, l) b(l, c) mask: the rows of b are turned so that c runs in lanes.
 */
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

/* b(l, .) of all lanes as term t of the panels. */
INLINE void outer_turn(const Panel *p, const Vec *b, int step, int t, const Real *mask, Real *packed)
{
    for (int c = 0, n = 0; c < p->j; c += n * LANES) {
        n = panel_vectors(p->j, c);
        Real *panel = packed + ((ptrdiff_t)c * p->n_term + t * n * LANES) * TILE;
        for (int v = 0; v < n; v++)
            for (int q = 0; q < NV; q++) {
                int at = c + v * LANES, rows = p->j - at < LANES ? p->j - at : LANES;
                const Vec *from = b + (ptrdiff_t)at * step * NV + q;
                Real *to = panel + q * LANES * n * LANES + v * LANES;
                if (rows == LANES)
                    turn_block(from, (ptrdiff_t)step * NV, LANES, v_load(mask + q * LANES), to, n * LANES);
                else
                    turn_block(from, (ptrdiff_t)step * NV, rows, v_load(mask + q * LANES), to, n * LANES);
            }
    }
}

KERNEL void outer_products(const Product *p, int n_term, const Vec *const *a, const Vec *const *b, Real *y,
                           const Real *mask, Real *packed)
{
    Panel panel = {p->m, p->j, TILE, n_term, panel_open(p->m, p->j), (ptrdiff_t)p->w_row * TILE, 1};
    for (int l = 0; l < p->k; l++) {
        const Real *left[NDE_MAX_TERMS];
        for (int t = 0; t < n_term; t++) {
            left[t] = (const Real *)(a[t] + (ptrdiff_t)l * p->w_col * NV);
            outer_turn(&panel, b[t] + (ptrdiff_t)l * p->x_row * NV, p->x_col, t, mask, packed);
        }
        panels_add(&panel, y, left, packed);
    }
}
#else
INLINE void outer_products(const Product *p, int n_term, const Vec *const *a, const Vec *const *b, Real *y,
                           const Real *mask, Real *packed)
{
    (void)packed;
    for (int t = 0; t < n_term; t++)
        for (int r = 0; r < p->m; r++)
            for (int l = 0; l < p->k; l++)
                for (int c = 0; c < p->j; c++)
                    y[r * p->j + c] += a[t][r * p->w_row + l * p->w_col] * b[t][l * p->x_row + c * p->x_col] * *mask;
}
#endif

/* packed: n_term * TILE * (j + LANES) Reals of scratch, aligned as Vec. y: m x j, row-major. */
#define S_PRODUCT(name, ...)                                                                                 \
    INLINE void s_##name(Real *y, int n_term, const Vec *const *a, const Vec *const *b, int m, int k, int j, \
                         const Real *mask, Real *packed)                                                     \
    {                                                                                                        \
        Product p = {m, k, j, __VA_ARGS__};                                                                  \
        outer_products(&p, n_term, a, b, y, mask, packed);                                                   \
    }
S_PRODUCT(mm_nn, k, 1, j, 1, j, 1)
S_PRODUCT(mm_tn, 1, m, j, 1, j, 1)
S_PRODUCT(mm_nt, k, 1, 1, k, j, 1)

/* ---- both shared ---- */
/* y += a b; b(l, c) is b[l * b_row + c * b_col]. */
INLINE void shared_add_plainly(Real *y, const Real *a, ptrdiff_t a_row, ptrdiff_t a_col, const Real *b, ptrdiff_t b_row,
                               ptrdiff_t b_col, int m, int k, int j)
{
    for (int r = 0; r < m; r++)
        for (int l = 0; l < k; l++)
            for (int c = 0; c < j; c++)
                y[r * j + c] += a[r * a_row + l * a_col] * b[l * b_row + c * b_col];
}

#if NDE_HAS_VECTORS
/* Rows l .. of b, one panel. */
INLINE void panel_pack(const Panel *p, int c, const Real *b, ptrdiff_t b_row, ptrdiff_t b_col, Real *packed)
{
    int width = panel_vectors(p->j, c) * LANES, n = p->j - c < width ? p->j - c : width;
    for (int l = 0; l < p->n; l++, packed += width, b += b_row) {
        for (int s = 0; s < n; s++)
            packed[s] = b[(c + s) * b_col];
        for (int s = n; s < width; s++)
            packed[s] = 0;
    }
}

KERNEL void shared_add(Real *y, const Real *a, ptrdiff_t a_row, ptrdiff_t a_col, const Real *b, ptrdiff_t b_row,
                       ptrdiff_t b_col, int m, int k, int j)
{
    enum { ROWS = 128 };
    Vec packed[3 * ROWS];
    if (k == 1 && j < LANES) { /* a column times a few numbers: panels would be nearly empty */
        shared_add_plainly(y, a, a_row, a_col, b, b_row, b_col, m, k, j);
        return;
    }
    for (int l = 0; l < k; l += ROWS) {
        Panel p = {m, j, k - l < ROWS ? k - l : ROWS, 1, panel_open(m, j), a_row, a_col};
        const Real *left = a + l * a_col;
        for (int c = 0; c < j; c += panel_vectors(j, c) * LANES) {
            panel_pack(&p, c, b + l * b_row, b_row, b_col, (Real *)packed);
            panel_add(&p, c, y, &left, (const Real *)packed);
        }
    }
}
#else
#define shared_add shared_add_plainly
#endif

typedef struct SharedProduct {
    Real *y;
    const Real *a, *b;
    ptrdiff_t a_row, a_col, b_row, b_col;
    int m, k, j;
} SharedProduct;

/* Rows of y: piece `item` of n. A number of y is the same sum in the same order, whatever the pieces. */
KERNEL void shared_piece(void *product, int item, int n)
{
    const SharedProduct *p = product;
    enum { BLOCK = 4 };
    int blocks = (p->m + BLOCK - 1) / BLOCK, from = (int)((long)blocks * item / n) * BLOCK,
        to = (int)((long)blocks * (item + 1) / n) * BLOCK;
    to = to < p->m ? to : p->m;
    Real *y = p->y + (ptrdiff_t)from * p->j;
    memset(y, 0, sizeof *y * (size_t)(to - from) * (size_t)p->j);
    shared_add(y, p->a + from * p->a_row, p->a_row, p->a_col, p->b, p->b_row, p->b_col, to - from, p->k, p->j);
}

#define R_PRODUCT(name, a_row, a_col, b_row, b_col)                                               \
    INLINE void r_##name(Real *y, const Real *a, const Real *b, int m, int k, int j)              \
    {                                                                                             \
        SharedProduct p = {y, a, b, a_row, a_col, b_row, b_col, m, k, j};                         \
        shared_piece(&p, 0, 1);                                                                   \
    }                                                                                             \
    INLINE void t_##name(NdeRun *run, Real *y, const Real *a, const Real *b, int m, int k, int j) \
    {                                                                                             \
        SharedProduct p = {y, a, b, a_row, a_col, b_row, b_col, m, k, j};                         \
        NDE_NAME(nde_share)(run, 2.0 * m * k * j, shared_piece, &p);                              \
    }
R_PRODUCT(mm_nn, k, 1, j, 1)
R_PRODUCT(mm_tn, 1, m, j, 1)
R_PRODUCT(mm_nt, k, 1, 1, k)

#endif
