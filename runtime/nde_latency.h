/* nde_latency.h: what the latency form of a solve is made of: one sample, all of its steps in one function.
 *
 * Needs: nde_kernel.h.  Gives: arrays of one sample in vectors, their sums and products with packed weights; Pace,
 * which chooses the steps as solve.c and control.c do, in the log2 domain of the squared error norm: no power, root or
 * division stands between a step and the next. Whatever is out of the ordinary (a limit is met, a step gets too small)
 * ends the function with false, and the caller solves in the ordinary way, which reports.
 * Elsewhere: the step itself, which the compiler writes (compiler/emit_latency.c); who calls it (latency.c). */
#ifndef NDE_LATENCY_H
#define NDE_LATENCY_H

#include <float.h>

#include "nde_kernel.h"

/* ---- vectors: of 32 bytes where those of a tile have 64, unless the longest array (NDE_LONGEST numbers) fills eight
 * of these. The numbers of a sample are often read one by one, and from the upper half of a long vector that takes
 * longer: Pleiades by a third, 2-50-2 by a sixth. From here on Vec, LANES and v_ are the shorter ones. ---- */
#ifndef NDE_LONGEST
#define NDE_LONGEST 0
#define NDE_HAS_WEIGHTS 0
#endif
#if NDE_HAS_VECTORS && NDE_VECTOR_BYTES == 64 && NDE_LONGEST * NDE_REAL_BYTES < 512
#define NDE_SAMPLE_BYTES 32
typedef Real SampleVec __attribute__((vector_size(NDE_SAMPLE_BYTES), may_alias));
typedef LaneBits SampleBits __attribute__((vector_size(NDE_SAMPLE_BYTES), may_alias));
#define FAMILY(name) s_##name
#define NUMBER SampleVec
#define BITS SampleBits
#define BYTES NDE_SAMPLE_BYTES
#include "nde_family.h"
#include "nde_elementary.h"
#undef FAMILY
#undef NUMBER
#undef BITS
#undef BYTES
#define Vec SampleVec
#define LANES (NDE_SAMPLE_BYTES / (int)sizeof(Real))
#define v_set s_set
#define v_lane s_lane
#define v_load s_load
#define v_sqrt s_sqrt
#define v_fabs s_fabs
#define v_pow s_pow
#define v_where s_where
#define v_most s_most
#define v_least s_least
#define v_gt s_gt
#define v_ge s_ge
#define v_eq s_eq
#define v_exp s_exp
#define v_expm1 s_expm1
#define v_log s_log
#define v_log1p s_log1p
#define v_sin s_sin
#define v_cos s_cos
#define v_tanh s_tanh
#define v_erf s_erf
#define v_sigmoid s_sigmoid
#define v_softplus s_softplus
#define v_tanh_change s_tanh_change
#else
#define NDE_SAMPLE_BYTES NDE_VECTOR_BYTES
#endif

/* Where no products with packed weights are, gcc is to gather single numbers by twos, not by fours, for it moves them
 * about less then: Pleiades takes a tenth less time, no other of the tests' equations more. */
#if !NDE_HAS_WEIGHTS && defined(__AVX__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("prefer-vector-width=128")
#endif

/* ---- arrays: n numbers in VECS(n) vectors; the lanes behind the last number hold anything ---- */
#define VECS(n) (((n) + LANES - 1) / LANES)
#define ELEMENT(x, e) (((const Real *)(x))[e])
#define SET_ELEMENT(x, e, value) ((Real *)(x))[e] = (value)

/* Vector i of n numbers, with 0 behind the last of them. */
INLINE Vec l_masked(Vec a, int i, int n)
{
#if NDE_HAS_VECTORS
    static const Real lane[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    typedef __typeof__(a < a) Mask;
    if (n % LANES && i + 1 == VECS(n))
        return (Vec)((Mask)a & (v_load(lane) < v_set((Real)(n % LANES))));
#endif
    (void)i, (void)n;
    return a;
}

/* The sum of the lanes, by halves. */
#if !NDE_HAS_VECTORS
INLINE Real l_sum(Vec a)
{
    return a;
}
#elif defined(NDE_HAS_SHUFFLE)
#define HALVE_2(x) __builtin_shufflevector(x, x, 0) + __builtin_shufflevector(x, x, 1)
#define HALVE_4(x) __builtin_shufflevector(x, x, 0, 1) + __builtin_shufflevector(x, x, 2, 3)
#define HALVE_8(x) __builtin_shufflevector(x, x, 0, 1, 2, 3) + __builtin_shufflevector(x, x, 4, 5, 6, 7)
#define HALVE_16(x) \
    __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7) + __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)
typedef Real Lanes2 __attribute__((vector_size(2 * sizeof(Real))));
typedef Real Lanes4 __attribute__((vector_size(4 * sizeof(Real))));
typedef Real Lanes8 __attribute__((vector_size(8 * sizeof(Real))));

INLINE Real l_sum2(Lanes2 a)
{
    return a[0] + a[1];
}

INLINE Real l_sum4(Lanes4 a)
{
    return l_sum2(HALVE_4(a));
}

INLINE Real l_sum8(Lanes8 a)
{
    return l_sum4(HALVE_8(a));
}

INLINE Real l_sum(Vec a)
{
#if defined(NDE_DOUBLE) && NDE_SAMPLE_BYTES == 16
    return l_sum2(a);
#elif NDE_SAMPLE_BYTES == 16 || (defined(NDE_DOUBLE) && NDE_SAMPLE_BYTES == 32)
    return l_sum4(a);
#elif NDE_SAMPLE_BYTES == 32 || defined(NDE_DOUBLE)
    return l_sum8(a);
#else
    return l_sum8(HALVE_16(a));
#endif
}
#else
INLINE Real l_sum(Vec a)
{
    Real sum = a[0];
    for (int l = 1; l < LANES; l++)
        sum += a[l];
    return sum;
}
#endif

INLINE void l_move(Vec *to, const Vec *from, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = from[i];
}

/* n copies of a number from element `at` on, and m copies of n numbers; what is written behind them is overwritten by
 * the next, or room. */
INLINE void l_store(Real *to, Vec value)
{
    memcpy(to, &value, sizeof value);
}

INLINE void l_fill(Vec *to, int at, Real value, int n)
{
    for (int i = 0; i < VECS(n); i++)
        l_store((Real *)to + at + i * LANES, v_set(value));
}

INLINE void l_tile(Vec *to, const Vec *from, int m, int n)
{
    for (int r = 0; r < m; r++)
        for (int i = 0; i < VECS(n); i++)
            l_store((Real *)to + r * n + i * LANES, from[i]);
}

INLINE Real l_first(Vec a)
{
    return (Real)v_lane(a, 0);
}

/* m arrays of n numbers: entry (r, c) is from[r * row + c * col]; zeros behind the last number of each. */
INLINE void l_pack(Vec *to, const Real *from, int m, int n, ptrdiff_t row, ptrdiff_t col)
{
    for (int r = 0; r < m; r++, to += VECS(n)) {
        to[VECS(n) - 1] = v_set(0);
        for (int c = 0; c < n; c++)
            SET_ELEMENT(to, c, from[r * row + c * col]);
    }
}

/* n vectors of products by h, which the C compiler is to read from memory one by one, not take apart in registers. */
INLINE void l_multiples(Vec *to, const Real *from, int n, Real h)
{
    for (int i = 0; i < n; i++)
        to[i] = v_load(from + (ptrdiff_t)i * LANES) * h;
#if NDE_HAS_VECTORS
    for (int i = 0; i < n; i++)
        __asm__("" : "+m"(to[i]));
#endif
}

/* Number e of a per-sample array, of which lane 0 is read and all lanes are written. */
INLINE Real l_get(const NdeRef *from, int e)
{
    return ((const Real *)from->at)[(ptrdiff_t)e * TILE];
}

INLINE void l_put(const NdeRef *to, int e, Real value)
{
    for (int l = 0; l < TILE; l++)
        ((Real *)to->at)[(ptrdiff_t)e * TILE + l] = value;
}

/* ---- products that would be long as straight code ----
 * y = W x with W by columns, [k][vecs]: outputs in lanes, V vectors of them in registers, in two sums each. */
#define COLUMN_BLOCK(V)                                                                 \
    INLINE void l_columns_##V(Vec *y, const Vec *w, const Real *x, int vecs, int k)     \
    {                                                                                   \
        Vec even[V], odd[V];                                                            \
        UNROLL for (int v = 0; v < V; v++) even[v] = odd[v] = v_set(0);                 \
        int l = 0;                                                                      \
        for (; l + 2 <= k; l += 2, w += 2 * (ptrdiff_t)vecs) {                          \
            UNROLL for (int v = 0; v < V; v++) even[v] += w[v] * v_set(x[l]);           \
            UNROLL for (int v = 0; v < V; v++) odd[v] += w[vecs + v] * v_set(x[l + 1]); \
        }                                                                               \
        if (l < k)                                                                      \
            UNROLL for (int v = 0; v < V; v++) even[v] += w[v] * v_set(x[l]);           \
        UNROLL for (int v = 0; v < V; v++) y[v] = even[v] + odd[v];                     \
    }
COLUMN_BLOCK(6)
COLUMN_BLOCK(3)
COLUMN_BLOCK(1)

KERNEL void l_columns(Vec *y, const Vec *w, const Real *x, int m, int k)
{
    int vecs = VECS(m), v = 0;
    for (; v + 6 <= vecs; v += 6)
        l_columns_6(y + v, w + v, x, vecs, k);
    for (; v + 3 <= vecs; v += 3)
        l_columns_3(y + v, w + v, x, vecs, k);
    for (; v < vecs; v++)
        l_columns_1(y + v, w + v, x, vecs, k);
}

/* y = W x with W by rows, [m][VECS(k)], zeros behind the last column: four rows at a time. */
KERNEL void l_rows(Vec *y, const Vec *w, const Vec *x, int m, int k)
{
    int vecs = VECS(k);
    for (int r = 0; r < m; r += 4) {
        Vec sum[4];
        UNROLL for (int s = 0; s < 4; s++) sum[s] = v_set(0);
        for (int i = 0; i < vecs; i++) {
            Vec column = l_masked(x[i], i, k);
            UNROLL for (int s = 0; s < 4; s++) sum[s] += w[(ptrdiff_t)(r + s < m ? r + s : r) * vecs + i] * column;
        }
        for (int s = 0; s < 4 && r + s < m; s++)
            SET_ELEMENT(y, r + s, l_sum(sum[s]));
    }
}

/* ---- the choice of steps ---- */

/* 2^a for |a| < 1000, to 3e-4: adding 1.5 2^52 rounds to an integer and leaves it in the low bits; the cubic is the
 * best one that is 1 at 0. */
INLINE double l_exp2(double a)
{
    double shifted = a + 0x1.8p52, rest = a - (shifted - 0x1.8p52);
    double y = (1 + 0.69215 * rest) + rest * rest * (0.241407 + 0.059006 * rest);
    uint64_t bits, whole;
    memcpy(&bits, &y, sizeof bits);
    memcpy(&whole, &shifted, sizeof whole);
    bits += whole << 52;
    memcpy(&y, &bits, sizeof y);
    return y;
}

/* log2 a = 2^-40 line + bend - 4096 - 1023, to 9e-4, for 0 <= a < infinity: the bits of a number, shifted, are 2^52 +
 * 2^40 (1023 + the line between powers of two), and with a = 2^n v the bend is the best product of (v - 1)(2 - v),
 * which is 0 at both ends, and a line in v. In a vector register throughout: to another kind and back takes longer than
 * all the rest. */
typedef struct Log2 {
    double line, bend;
} Log2;

INLINE Log2 l_parts_of_log2(double a)
{
    enum { SHIFT = 12 };
    static const uint64_t below = UINT64_C(0x000fffffffffffff), one = UINT64_C(0x3ff0000000000000),
                          whole = UINT64_C(0x4330000000000000);
#if NDE_HAS_VECTORS
    typedef uint64_t Bits __attribute__((vector_size(16)));
    typedef double Double __attribute__((vector_size(16)));
    const Bits bits = (Bits)(Double){a, a};
    double line = ((Double)(bits >> SHIFT | whole))[0], v = ((Double)((bits & below) | one))[0];
#else
    uint64_t bits, part;
    double line, v;
    memcpy(&bits, &a, sizeof bits);
    part = bits >> SHIFT | whole;
    memcpy(&line, &part, sizeof line);
    part = (bits & below) | one;
    memcpy(&v, &part, sizeof v);
#endif
    return (Log2){line, (v * (3 - v) - 2) * (0.58208557 - 0.15922019 * v)};
}

INLINE double l_log2(double a)
{
    const Log2 l = l_parts_of_log2(a);
    return 0x1p-40 * (l.line - 0x1p52) - 1023 + l.bend;
}

/* 2^a for a from log2 0.2 to log2 10, which hold factors, to 4e-5: the best polynomial, in the fewest operations one
 * after another. */
INLINE double l_power(double a)
{
    double square = a * a, low = (0.999963074 + 0.69315522 * a) + square * (0.240402156 + 0.0555502752 * a),
           high = (0.00950731855 + 0.0013042102 * a) + square * (0.000175601326 + 1.93752972e-05 * a);
    return low + (square * square) * high;
}

typedef struct Pace {
    double t, end, h;        /* of the attempt; between attempts h is what the controller wants */
    double wanted;           /* where the attempt was cut: what the controller wanted */
    double way;              /* 1 or -1 */
    double sliver, least;    /* the rest of the span that is no step of its own; a step that needs a look */
    double count, log_count; /* squared errors in a sum, and log2 of that */
    double last;             /* log2 of the squared norm of the step before */
    double early, slope;     /* log2 of the next factor is early - slope 2^40 log2(mean square) */
    double size, ratio;      /* log2 of the size of the step before, if has_size, and of its ratio to that before */
    double stretch, most;    /* as control.def has them for after a rejection or not */
    double safety;           /* log2 */
    bool has_size, is_again; /* after a rejection */
    bool is_cut, is_lost;    /* the attempt is shorter than wanted; the ordinary way is to be gone */
    long attempts, rejected;
} Pace;

/* What is known of the next factor before the error is: bias is safety + b2 log2(E1^2) - b3 log2(E2^2). */
INLINE void l_foresee(const NdeLatency *s, Pace *p, double bias)
{
    p->early = bias + s->b1 * p->log_count;
}

/* log2 of the safety after an accepted step. */
INLINE double l_trusted(const NdeLatency *s, const Pace *p)
{
    double safety = p->safety + s->trust;
    return safety < s->safety ? safety : s->safety;
}

/* way: 1 or -1, which the compiler knows of the span in the file; count: the norm is the root of a sum over so many. */
INLINE Pace l_begin(const NdeLatency *s, double way, double count)
{
    Pace p = {.t = s->t0, .end = s->t0, .way = way, .stretch = s->stretch, .most = s->factor_most, .safety = s->safety};
    p.slope = 0x1p-40 * s->b1;
    p.count = count;
    p.log_count = log2(count);
    double scale = fmax(fabs(s->t0), fabs(s->t1));
    p.sliver = 100 * DBL_EPSILON * scale;
    p.least = fmax(s->least, 4 * DBL_EPSILON * scale);
    p.last = s->start;
    l_foresee(s, &p, s->safety + (s->b2 - s->b3) * s->start);
    return p;
}

/* The attempt that begins at t, with the size that is wanted, cut or stretched to `stop` as solve.c does. What happens
 * in few steps is in branches, so that nothing else waits for it. */
INLINE bool l_choose(const NdeLatency *s, Pace *p, double stop)
{
    double size = p->h * p->way, left = (stop - p->t) * p->way;
    if (RARELY(!(size >= p->least && size <= s->most))) {
        size = size < s->least ? s->least : size < s->most ? size : s->most;
        p->h = p->way * size;
        if (p->t + p->h == p->t)
            return false;
    }
    p->end = p->t + p->h;
    double reach = size * p->stretch;
    reach = reach < s->most ? reach : s->most;
    reach = reach > size ? reach : size;
    if (RARELY(left <= reach + p->sliver)) {
        p->end = stop;
        p->wanted = p->h;
        p->is_cut = left < 0.999 * size;
        p->h = stop - p->t;
    }
    return p->attempts++ < s->limit;
}

/* The attempt to the next point of the grid of fixed steps. */
INLINE bool l_choose_fixed(const NdeLatency *s, Pace *p, double stop)
{
    double k = floor((p->t - s->t0) * p->way / s->fixed + 1e-9) + 1;
    p->h = p->way * s->fixed;
    p->end = s->t0 + p->h * k;
    if ((stop - p->end) * p->way <= 1e-9 * s->fixed)
        p->end = stop;
    p->h = p->end == p->t + p->h ? p->h : p->end - p->t;
    return p->end != p->t && p->attempts++ < s->limit;
}

/* A rejected attempt is repeated with its own norm alone; a step that gets too small is left to the ordinary way. */
INLINE void l_reject(const NdeLatency *s, Pace *p, double square)
{
    if (!p->is_again) {
        p->early -= l_trusted(s, p);
        p->safety = fmax(s->lowest, p->safety + s->caution);
        p->early += l_trusted(s, p);
        p->is_again = true;
    }
    double g = square < HUGE_VAL ? p->safety - s->b0 * l_log2(square) : s->factor_least;
    double tried = fabs(p->h);
    p->h *= l_exp2(fmin(0, fmax(s->factor_least, g)));
    p->stretch = 1; /* or it would try the same again */
    p->most = s->factor_again;
    p->is_cut = false;
    p->rejected++;
    double size = fabs(p->h), scale = fmax(fabs(p->t), fabs(s->t1 - s->t0));
    p->is_lost = size <= 16 * DBL_EPSILON * scale || p->t + p->h == p->t || (size < s->least && tried <= s->least);
}

/* What the sizes of an accepted step and those before say of the next factor, in a filter; nothing waits for it. */
INLINE double l_sizes(const NdeLatency *s, Pace *p)
{
    double size = log2(fabs(p->h)), ratio = p->has_size ? size - p->size : 0;
    double sum = s->a1 * ratio + s->a2 * p->ratio;
    p->size = size;
    p->ratio = ratio;
    p->has_size = true;
    return sum;
}

/* Accepts or rejects by the sum of the squares of scaled errors, sum / scale, and sets the next wanted step. A scale
 * that is too large or too small for a number, a product of squares, is left to the ordinary way. scale is there long
 * before the sum. */
INLINE bool l_judge(const NdeLatency *s, Pace *p, double sum, double scale)
{
    if (RARELY(!(scale >= DBL_MIN && scale * p->count <= DBL_MAX))) {
        p->is_lost = true;
        return false;
    }
    if (RARELY(!(sum <= p->count * scale))) {
        l_reject(s, p, sum / (p->count * scale));
        return false;
    }
    const Log2 above = l_parts_of_log2(sum), below = l_parts_of_log2(scale);
    double early = p->early + p->slope * below.line + s->b1 * below.bend;
    double g = (early - p->slope * above.line) - s->b1 * above.bend;
    if (RARELY(s->a1 != 0))
        g -= l_sizes(s, p);
    g = g < p->most ? g : p->most;
    g = g > s->factor_least ? g : s->factor_least;
    p->h *= l_power(g);
    if (RARELY(p->is_cut) && fabs(p->h) < fabs(p->wanted)) /* cut to a stop: not the size that was wanted */
        p->h = p->wanted;
    double l = 0x1p-40 * (above.line - below.line) + (above.bend - below.bend) - p->log_count;
    p->safety = l_trusted(s, p);
    double bias = l_trusted(s, p) - s->b3 * p->last;
    p->last = l > s->floor ? l : s->floor;
    l_foresee(s, p, bias + s->b2 * p->last);
    p->is_again = false;
    p->stretch = s->stretch;
    p->most = s->factor_most;
    p->is_cut = false;
    p->t = p->end;
    return true;
}

/* Are the saved times in order, and in the span? */
INLINE bool l_are_ordered(const NdeLatency *s, int n, double way)
{
    double before = s->t0;
    for (int i = 0; i < n; before = s->save[i++])
        if (!((s->save[i] - before) * way >= 0))
            return false;
    return (s->t1 - before) * way >= 0;
}

INLINE void l_end(NdeLatency *s, const Pace *p)
{
    s->accepted = p->attempts - p->rejected;
    s->rejected = p->rejected;
}

#endif
