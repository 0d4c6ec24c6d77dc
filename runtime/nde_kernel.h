/* nde_kernel.h: what generated code is made of besides its own loops.
 *
 * Needs: nde.h.  Gives: the elementary functions (nde_math.h), products (nde_product.h), and here: what moves data
 * and what reduces, for per-sample arrays (v_), shared arrays (r_) and one shared number (d_); where a tile finds its
 * inputs and outputs. Names and arguments are those of the value column of compiler/op.def.
 * A per-sample array of n numbers is [n][NV] Vec, a shared one [n] Real, both row-major; no function allocates. */
#ifndef NDE_KERNEL_H
#define NDE_KERNEL_H

#include "nde_feature.h"
#include "nde_math.h"
#include "nde_product.h"

/* ---- copies: o, x, i are the sizes of a before, of and behind the axis, r its size in y ----
 * Those of shared arrays are functions of their own: gcc 12 took a tenth of all its time to make vectors of a loop that
 * picks every 65th number, once it knew of the 65. */
#define FORMS(v, T, W, LARGE)                                                                             \
    INLINE void v##_zero(T *y, int n)                                                                     \
    {                                                                                                     \
        memset(y, 0, (size_t)n *W * sizeof(T));                                                           \
    }                                                                                                     \
    INLINE void v##_copy(T *y, const T *a, int n)                                                         \
    {                                                                                                     \
        for (int l = 0; l < n * W; l++)                                                                   \
            y[l] = a[l];                                                                                  \
    }                                                                                                     \
    INLINE void v##_add(T *y, const T *a, int n)                                                          \
    {                                                                                                     \
        for (int l = 0; l < n * W; l++)                                                                   \
            y[l] += a[l];                                                                                 \
    }                                                                                                     \
    /* a stands at f of the axis of y; the rest of y is left */                                           \
    LARGE void v##_put(T *y, const T *a, int o, int x, int i, int f, int r)                               \
    {                                                                                                     \
        for (int l = 0; l < o; l++)                                                                       \
            v##_copy(y + ((ptrdiff_t)l * r + f) * i * W, a + (ptrdiff_t)l * x * i * W, x * i);            \
    }                                                                                                     \
    LARGE void v##_pad(T *y, const T *a, int o, int x, int i, int f, int r)                               \
    {                                                                                                     \
        v##_zero(y, o *r *i);                                                                             \
        v##_put(y, a, o, x, i, f, r);                                                                     \
    }                                                                                                     \
    LARGE void v##_slice(T *y, const T *a, int o, int x, int i, int f, int r)                             \
    {                                                                                                     \
        for (int l = 0; l < o; l++)                                                                       \
            v##_copy(y + (ptrdiff_t)l * r * i * W, a + ((ptrdiff_t)l * x + f) * i * W, r * i);            \
    }                                                                                                     \
    LARGE void v##_repeat(T *y, const T *a, int o, int i, int r)                                          \
    {                                                                                                     \
        for (int l = 0; l < o; l++)                                                                       \
            for (int s = 0; s < r; s++)                                                                   \
                v##_copy(y + ((ptrdiff_t)l * r + s) * i * W, a + (ptrdiff_t)l * i * W, i);                \
    }                                                                                                     \
    /* y is dense with sizes dim[0..3]; its entry (i0, i1, i2, i3) is a[i0 step[0] + ... + i3 step[3]] */ \
    LARGE void v##_permute(T *y, const T *a, const int *dim, const int *step)                             \
    {                                                                                                     \
        for (int l = 0; l < dim[0] * dim[1]; l++)                                                         \
            for (int s = 0; s < dim[2] * dim[3]; s++, y += W)                                             \
                for (int q = 0; q < W; q++)                                                               \
                    y[q] = a[((ptrdiff_t)(l / dim[1]) * step[0] + (ptrdiff_t)(l % dim[1]) * step[1] +     \
                              (ptrdiff_t)(s / dim[3]) * step[2] + (ptrdiff_t)(s % dim[3]) * step[3]) *    \
                                 W +                                                                      \
                             q];                                                                          \
    }                                                                                                     \
    /* ---- reductions ---- */                                                                            \
    LARGE void v##_sum_axis(T *y, const T *a, int o, int x, int i)                                        \
    {                                                                                                     \
        v##_zero(y, o *i);                                                                                \
        for (int l = 0; l < o; l++)                                                                       \
            for (int s = 0; s < x; s++)                                                                   \
                v##_add(y + (ptrdiff_t)l * i * W, a + ((ptrdiff_t)l * x + s) * i * W, i);                 \
    }                                                                                                     \
    LARGE void v##_max_axis(T *y, const T *a, int o, int x, int i)                                        \
    {                                                                                                     \
        for (int l = 0; l < o; l++, y += i * W) {                                                         \
            v##_copy(y, a + (ptrdiff_t)l * x * i * W, i);                                                 \
            for (int s = 1; s < x; s++)                                                                   \
                for (int c = 0; c < i * W; c++) {                                                         \
                    T b = a[((ptrdiff_t)l * x + s) * i * W + c];                                          \
                    y[c] = v##_where(v##_gt(b, y[c]), b, y[c]);                                           \
                }                                                                                         \
        }                                                                                                 \
    }
FORMS(v, Vec, NV, INLINE)
FORMS(r, Real, 1, KERNEL)

/* y += a padded: only where a stands is anything added. */
INLINE void add_pad(Real *y, const Real *a, int o, int x, int i, int f, int r)
{
    for (int l = 0; l < o; l++)
        r_add(y + ((ptrdiff_t)l * r + f) * i, a + (ptrdiff_t)l * x * i, x * i);
}

/* A shared array put into a per-sample one: the same for each sample. */
INLINE void w_put(Vec *y, const Real *a, int o, int x, int i, int f, int r)
{
    for (int l = 0; l < o; l++)
        for (int s = 0; s < x * i; s++)
            for (int q = 0; q < NV; q++)
                y[(((ptrdiff_t)l * r + f) * i + s) * NV + q] = v_set(a[(ptrdiff_t)l * x * i + s]);
}

/* 1 at the label that a holds, else 0. */
INLINE void v_onehot(Vec *y, const Vec *a, int r)
{
    for (int l = 0; l < r; l++)
        for (int q = 0; q < NV; q++)
            y[l * NV + q] = v_eq(a[q], v_set((Real)l));
}

INLINE void r_onehot(Real *y, const Real *a, int r)
{
    for (int l = 0; l < r; l++)
        y[l] = r_eq(*a, (Real)l);
}

/* Two sums in turn: an addition takes longer than a load. */
INLINE void v_sum(Vec *y, const Vec *a, int n)
{
    Vec even[NV], odd[NV];
    for (int q = 0; q < NV; q++)
        even[q] = odd[q] = v_set(0);
    int l = 0;
    for (; l + 2 <= n; l += 2)
        for (int q = 0; q < NV; q++) {
            even[q] += a[l * NV + q];
            odd[q] += a[(l + 1) * NV + q];
        }
    for (int q = 0; q < NV; q++)
        y[q] = even[q] + odd[q] + (l < n ? a[l * NV + q] : v_set(0));
}

INLINE void v_argmax(Vec *y, const Vec *a, int n)
{
    for (int q = 0; q < NV; q++) {
        Vec most = a[q];
        y[q] = v_set(0);
        for (int l = 1; l < n; l++) {
            Vec is_more = v_gt(a[l * NV + q], most);
            y[q] = v_where(is_more, v_set((Real)l), y[q]);
            most = v_where(is_more, a[l * NV + q], most);
        }
    }
}

INLINE void d_sum(double *y, const Real *a, int n)
{
    *y = 0;
    for (int l = 0; l < n; l++)
        *y += (double)a[l];
}

INLINE void d_argmax(double *y, const Real *a, int n)
{
    int most = 0;
    for (int l = 1; l < n; l++)
        most = a[l] > a[most] ? l : most;
    *y = most;
}

INLINE void d_sum_axis(double *y, const Real *a, int o, int x, int i)
{
    d_sum(y, a, o * x * i);
}

INLINE void d_max_axis(double *y, const Real *a, int o, int x, int i)
{
    *y = (double)a[0];
    for (int l = 1; l < o * x * i; l++)
        *y = (double)a[l] > *y ? (double)a[l] : *y;
}

/* ---- across the batch: y(l) += sum over the samples of the tile of a(l) ---- */
INLINE void s_sum(Real *y, const Vec *a, int n, const Real *mask)
{
    for (int l = 0; l < n; l++) {
        Vec sum = a[l * NV] * v_load(mask);
        for (int q = 1; q < NV; q++)
            sum += a[l * NV + q] * v_load(mask + q * LANES);
        double lanes = 0;
        for (int s = 0; s < LANES; s++)
            lanes += v_lane(sum, s);
        y[l] += (Real)lanes;
    }
}

/* ---- where a tile finds things ---- */
INLINE void *nde_at(const NdeRef *ref, int tile)
{
    return (char *)ref->at + (size_t)tile * ref->step;
}

/* An output that nobody wants is computed into scratch memory. */
INLINE void *nde_at_or(const NdeRef *ref, int tile, void *scratch)
{
    return ref->at ? nde_at(ref, tile) : scratch;
}

/* ---- watched and held values: see nde_watch and nde_hold in nde.h; n elements ---- */
INLINE void v_watch(NdeRun *run, int tile, const Vec *v, int n, int line, const char *name)
{
    if (RARELY(run->is_watching))
        NDE_NAME(nde_watch)(run, tile, v, (size_t)n * TILE, false, line, name);
}

INLINE void r_watch(NdeRun *run, int tile, const Real *v, int n, int line, const char *name)
{
    if (RARELY(run->is_watching))
        NDE_NAME(nde_watch)(run, tile, v, (size_t)n, false, line, name);
}

INLINE void d_watch(NdeRun *run, int tile, double v, int line, const char *name)
{
    if (RARELY(run->is_watching))
        NDE_NAME(nde_watch)(run, tile, &v, 1, true, line, name);
}

INLINE void v_hold(NdeRun *run, int tile, Vec *v, int n)
{
    if (RARELY(run->is_holding))
        NDE_NAME(nde_hold)(run, tile, v, (size_t)n * TILE, false);
}

INLINE void r_hold(NdeRun *run, int tile, Real *v, int n)
{
    if (RARELY(run->is_holding))
        NDE_NAME(nde_hold)(run, tile, v, (size_t)n, false);
}

INLINE void d_hold(NdeRun *run, int tile, double *v)
{
    if (RARELY(run->is_holding))
        NDE_NAME(nde_hold)(run, tile, v, 1, true);
}

#endif
