/* nde_vector.h: samples in lanes: the vector type and the elementary functions on it.
 *
 * Needs: nde.h.  Gives: Vec, LANES, NV, TILE, ROW; three families of the functions that the map rows of
 * compiler/op.def name: v_ on one Vec, r_ on a Real, d_ on a double; sums over lanes.
 * Elsewhere: products (nde_product.h), what moves data and reduces (nde_kernel.h). Included by generated code only. */
#ifndef NDE_VECTOR_H
#define NDE_VECTOR_H

#include <math.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "nde.h"

#if defined(__GNUC__) && !defined(NDE_PLAIN)
#define NDE_HAS_VECTORS 1
#else
#define NDE_HAS_VECTORS 0
#endif
#if NDE_HAS_VECTORS
#define INLINE static inline __attribute__((always_inline, unused))
#if defined(__clang__)
#define KERNEL static __attribute__((noinline, unused))
#else
#define KERNEL \
    static __attribute__((noinline, noclone, unused)) /* a copy for each size would cost seconds to compile */
#endif
#define UNROLL _Pragma("GCC unroll 16")
#else
#define INLINE static inline
#define KERNEL static inline
#define UNROLL
#endif

/* Bytes of a vector: the machine's own width and not more. gcc 12 runs a product on vectors wider than the machine's
 * ten times slower. */
#if NDE_HAS_VECTORS && defined(__AVX512F__)
#define NDE_VECTOR_BYTES 64
#elif NDE_HAS_VECTORS && defined(__AVX__)
#define NDE_VECTOR_BYTES 32
#else
#define NDE_VECTOR_BYTES 16
#endif

#if NDE_HAS_VECTORS
enum { LANES = NDE_VECTOR_BYTES / sizeof(Real), NV = 2 };
typedef Real Vec __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias));
typedef Real VecAnywhere __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias, aligned(sizeof(Real))));
#ifdef NDE_DOUBLE
typedef int64_t LaneInt;
typedef uint64_t LaneBits;
#else
typedef int32_t LaneInt;
typedef uint32_t LaneBits;
#endif
typedef LaneInt VecInt __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias));
typedef LaneBits VecBits __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias));
#else
enum { LANES = 1, NV = 1 };
typedef Real Vec;
#endif

enum { TILE = NV * LANES, ROW = TILE * sizeof(Real) }; /* ROW: bytes of one number of each sample of a tile */

/* ---- d_: one double ---- */
#define D_MATH(name)                 \
    INLINE double d_##name(double a) \
    {                                \
        return name(a);              \
    }
D_MATH(exp)
D_MATH(expm1)
D_MATH(log)
D_MATH(log1p)
D_MATH(sin)
D_MATH(cos)
D_MATH(tanh)
D_MATH(erf)
D_MATH(sqrt)
D_MATH(fabs)

INLINE double d_pow(double a, double b)
{
    return pow(a, b);
}

INLINE double d_where(double c, double a, double b)
{
    return c != 0 ? a : b;
}

INLINE double d_gt(double a, double b)
{
    return a > b ? 1 : 0;
}

INLINE double d_ge(double a, double b)
{
    return a >= b ? 1 : 0;
}

INLINE double d_eq(double a, double b)
{
    return a == b ? 1 : 0;
}

/* Never raises e to a large power. */
INLINE double d_sigmoid(double a)
{
    double e = exp(-fabs(a));
    return (a < 0 ? e : 1) / (1 + e);
}

INLINE double d_softplus(double a)
{
    return (a < 0 ? 0 : a) + log1p(exp(-fabs(a)));
}

/* ---- r_: one Real ---- */
#ifdef NDE_DOUBLE
#define R_NAME(name) name
#else
#define R_NAME(name) name##f
#endif
#define R_MATH(name)             \
    INLINE Real r_##name(Real a) \
    {                            \
        return R_NAME(name)(a);  \
    }
R_MATH(exp)
R_MATH(expm1)
R_MATH(log)
R_MATH(log1p)
R_MATH(sin)
R_MATH(cos)
R_MATH(tanh)
R_MATH(erf)
R_MATH(sqrt)
R_MATH(fabs)

INLINE Real r_pow(Real a, Real b)
{
    return R_NAME(pow)(a, b);
}

INLINE Real r_where(Real c, Real a, Real b)
{
    return c != 0 ? a : b;
}

INLINE Real r_gt(Real a, Real b)
{
    return a > b ? 1 : 0;
}

INLINE Real r_ge(Real a, Real b)
{
    return a >= b ? 1 : 0;
}

INLINE Real r_eq(Real a, Real b)
{
    return a == b ? 1 : 0;
}

INLINE Real r_sigmoid(Real a)
{
    Real e = r_exp(-r_fabs(a));
    return (a < 0 ? e : 1) / (1 + e);
}

INLINE Real r_softplus(Real a)
{
    return (a < 0 ? 0 : a) + r_log1p(r_exp(-r_fabs(a)));
}

/* ---- v_: one Vec ---- */
#if !NDE_HAS_VECTORS
#define v_set(a) (a)
#define v_exp r_exp
#define v_expm1 r_expm1
#define v_log r_log
#define v_log1p r_log1p
#define v_sin r_sin
#define v_cos r_cos
#define v_tanh r_tanh
#define v_erf r_erf
#define v_sqrt r_sqrt
#define v_fabs r_fabs
#define v_pow r_pow
#define v_where r_where
#define v_gt r_gt
#define v_ge r_ge
#define v_eq r_eq
#define v_sigmoid r_sigmoid
#define v_softplus r_softplus

INLINE double v_lane(Vec a, int lane)
{
    (void)lane;
    return (double)a;
}

INLINE Vec v_load(const Real *a)
{
    return *a;
}
#else

/* One broadcast instruction; an element loop would be built lane by lane. a - 0 is a, also for -0. */
INLINE Vec v_set(Real a)
{
    return a - (Vec){0};
}

INLINE double v_lane(Vec a, int lane)
{
    return (double)a[lane];
}

/* From an address that need not be aligned. */
INLINE Vec v_load(const Real *a)
{
    return *(const VecAnywhere *)a;
}

/* The first n lanes from there, zero behind them; and back. */
INLINE Vec v_load_some(const Real *a, int n)
{
    if (n == LANES)
        return v_load(a);
    Vec v = {0};
    for (int l = 0; l < n; l++)
        v[l] = a[l];
    return v;
}

INLINE void v_store_some(Real *a, Vec v, int n)
{
    if (n == LANES)
        *(VecAnywhere *)a = v;
    else
        for (int l = 0; l < n; l++)
            a[l] = v[l];
}

/* b where the bits of m are set, else c. */
INLINE Vec v_pick(VecInt m, Vec b, Vec c)
{
    return (Vec)((m & (VecInt)b) | (~m & (VecInt)c));
}

INLINE Vec v_where(Vec c, Vec a, Vec b)
{
    return v_pick((VecInt)(c != v_set(0)), a, b);
}

INLINE Vec v_gt(Vec a, Vec b)
{
    return (Vec)((VecInt)(a > b) & (VecInt)v_set(1));
}

INLINE Vec v_ge(Vec a, Vec b)
{
    return (Vec)((VecInt)(a >= b) & (VecInt)v_set(1));
}

INLINE Vec v_eq(Vec a, Vec b)
{
    return (Vec)((VecInt)(a == b) & (VecInt)v_set(1));
}

INLINE Vec v_fabs(Vec a)
{
    return (Vec)((VecInt)a & ~(VecInt)v_set((Real)-0.0));
}

#define V_LANES(name)                   \
    INLINE Vec v_##name(Vec a)          \
    {                                   \
        for (int l = 0; l < LANES; l++) \
            a[l] = r_##name(a[l]);      \
        return a;                       \
    }
V_LANES(sin)
V_LANES(cos)
V_LANES(erf)

INLINE Vec v_pow(Vec a, Vec b)
{
    for (int l = 0; l < LANES; l++)
        a[l] = r_pow(a[l], b[l]);
    return a;
}

#ifdef NDE_DOUBLE
V_LANES(exp)
V_LANES(expm1)
V_LANES(log)
V_LANES(log1p)
V_LANES(sigmoid)
V_LANES(softplus)
V_LANES(tanh)
V_LANES(sqrt)
#else

#if NDE_VECTOR_BYTES == 64
INLINE Vec v_sqrt(Vec a)
{
    return (Vec)_mm512_sqrt_ps((__m512)a);
}

/* The second operand where one of them is NaN. */
INLINE Vec v_least(Vec limit, Vec a)
{
    return (Vec)_mm512_min_ps((__m512)limit, (__m512)a);
}

INLINE Vec v_most(Vec limit, Vec a)
{
    return (Vec)_mm512_max_ps((__m512)limit, (__m512)a);
}
#elif defined(__AVX__)
INLINE Vec v_sqrt(Vec a)
{
    return (Vec)__builtin_ia32_sqrtps256(a);
}

/* The second operand where one of them is NaN. */
INLINE Vec v_least(Vec limit, Vec a)
{
    return (Vec)__builtin_ia32_minps256(limit, a);
}

INLINE Vec v_most(Vec limit, Vec a)
{
    return (Vec)__builtin_ia32_maxps256(limit, a);
}
#else
V_LANES(sqrt)

INLINE Vec v_least(Vec limit, Vec a)
{
    return v_pick((VecInt)(limit < a), limit, a);
}

INLINE Vec v_most(Vec limit, Vec a)
{
    return v_pick((VecInt)(limit > a), limit, a);
}
#endif

/* a P(a^2) / Q(a^2), degrees 6 and 3, fitted to tanh on [0, 9.02] with least relative error (6.7e-9) by reweighted
 * least squares; P(0) = Q(0) = 1, so that tiny arguments return themselves. tanh is 1 in float from 9.02 on. */
INLINE Vec v_tanh(Vec a)
{
    a = v_most(v_set(-9.02f), v_least(v_set(9.02f), a));
    Vec s = a * a;
    Vec p = s * -8.62959472489e-14f + 5.33515677713e-11f;
    p = p * s + -2.03493702879e-8f;
    p = p * s + 1.1186152048e-5f;
    p = p * s + 3.10708467324e-3f;
    p = p * s + 0.13086840509f;
    p = p * s + 1.0f;
    Vec q = s * 2.55064854369e-4f + 0.0245077269523f;
    q = q * s + 0.464201698019f;
    q = q * s + 1.0f;
    return a * (p / q);
}

/* 2^n for the integers n that a vector holds, by halves: n from -150 to 129. */
INLINE Vec v_times_power(Vec a, VecInt n)
{
    VecInt half = n >> 1;
    return a * (Vec)((VecBits)(half + 127) << 23) * (Vec)((VecBits)(n - half + 127) << 23);
}

/* e^a = 2^n e^r with n the integer nearest to a / ln 2, |r| <= ln 2 / 2 (Cody & Waite 1980, ch. 6); e^r by a polynomial
 * fitted at Chebyshev points. Adding 1.5 2^23 rounds to an integer and leaves it in the low bits. */
INLINE Vec v_exp(Vec a)
{
    const float round = 12582912.0f;
    a = v_most(v_set(-104.0f), v_least(v_set(89.0f), a));
    Vec shifted = a * 1.44269504f + round;
    VecInt n = (VecInt)shifted - (VecInt)v_set(round);
    Vec whole = shifted - round;
    Vec r = a - whole * 0.693359375f;
    r = r + whole * 2.12194440e-4f;
    Vec p = r * 1.39269180559e-3f + 8.36376702329e-3f;
    p = p * r + 0.0416665501627f;
    p = p * r + 0.166665734239f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    return v_times_power(p, n);
}

/* log(a) = e ln 2 + log(m), m in [sqrt(1/2), sqrt(2)); log(1 + f) = f - f^2/2 + f^3 P(f), P fitted at Chebyshev points.
 * A subnormal a is scaled up first. */
INLINE Vec v_log(Vec a)
{
    VecInt is_small = (VecInt)(a < v_set(1.17549435e-38f));
    Vec x = v_pick(is_small, a * 8388608.0f, a);
    VecInt bits = (VecInt)v_fabs(x), e = (bits - 0x3f3504f3) >> 23;
    Vec f = (Vec)((VecBits)bits - ((VecBits)e << 23)) - 1.0f;
    e = e - (is_small & 23);
    Vec whole = (Vec)(e + 0x4b400000) - 12582912.0f;
    Vec p = f * 0.0696975398208f + -0.114791880867f;
    p = p * f + 0.116857959393f;
    p = p * f + -0.124257767228f;
    p = p * f + 0.142490327308f;
    p = p * f + -0.166677982765f;
    p = p * f + 0.200007163044f;
    p = p * f + -0.24999997001f;
    p = p * f + 0.33333331178f;
    Vec s = f * f;
    Vec y = p * (f * s) + whole * -2.12194440e-4f;
    y = (f - s * 0.5f + y) + whole * 0.693359375f;
    y = v_pick((VecInt)(a == v_set(INFINITY)), a, y);
    y = v_pick((VecInt)(a == v_set(0)), v_set(-INFINITY), y);
    y = v_pick((VecInt)(a < v_set(0)), v_set(NAN), y);
    return v_pick((VecInt)(a != a), a, y);
}

/* log(u) x / (u - 1) with u = 1 + x rounded: the rounding of u cancels (Kahan; Higham 2002, section 1.14.1). */
INLINE Vec v_log1p(Vec a)
{
    Vec u = a + 1.0f;
    Vec y = v_log(u) * (a / (u - 1.0f));
    y = v_pick((VecInt)(u == v_set(INFINITY)), u, y);
    return v_pick((VecInt)(u == v_set(1)), a, y);
}

/* (u - 1) x / log(u) with u = e^x rounded (Kahan). */
INLINE Vec v_expm1(Vec a)
{
    Vec u = v_exp(a);
    Vec y = (u - 1.0f) * (a / v_log(u));
    y = v_pick((VecInt)(v_fabs(a) > v_set(1)), u - 1.0f, y);
    return v_pick((VecInt)(u == v_set(1)), a, y);
}

INLINE Vec v_sigmoid(Vec a)
{
    Vec e = v_exp(-v_fabs(a));
    return v_pick((VecInt)(a < v_set(0)), e, v_set(1)) / (e + 1.0f);
}

INLINE Vec v_softplus(Vec a)
{
    return v_pick((VecInt)(a < v_set(0)), v_set(0), a) + v_log1p(v_exp(-v_fabs(a)));
}
#endif
#endif

/* tanh(a + c) - b with b = tanh(a), T = tanh(c): T (1 - b^2) / (1 + b T) does not cancel while c is small. */
INLINE double d_tanh_change(double a, double b, double c)
{
    double t = d_tanh(c);
    return d_fabs(c) > 1 ? d_tanh(a + c) - b : t * (1 - b * b) / (1 + b * t);
}

INLINE Real r_tanh_change(Real a, Real b, Real c)
{
    Real t = r_tanh(c);
    return r_fabs(c) > 1 ? r_tanh(a + c) - b : t * (1 - b * b) / (1 + b * t);
}

#if !NDE_HAS_VECTORS
#define v_tanh_change r_tanh_change
#else
/* Is any bit of m set? m is a comparison. */
INLINE bool v_any(VecInt m)
{
#if NDE_VECTOR_BYTES == 64
    return _mm512_test_epi32_mask((__m512i)m, (__m512i)m) != 0;
#elif NDE_VECTOR_BYTES == 32
    typedef float Bits __attribute__((vector_size(32)));
    return __builtin_ia32_movmskps256((Bits)m) != 0;
#elif defined(__SSE2__)
    typedef float Bits __attribute__((vector_size(16)));
    return __builtin_ia32_movmskps((Bits)m) != 0;
#else
    LaneInt any = 0;
    for (int l = 0; l < LANES; l++)
        any |= m[l];
    return any != 0;
#endif
}

/* Large changes are rare: the second tanh is worked out only where there is one. */
INLINE Vec v_tanh_change(Vec a, Vec b, Vec c)
{
    Vec t = v_tanh(c);
    Vec y = t * ((Real)1 - b * b) / (b * t + (Real)1);
    VecInt is_large = (VecInt)(v_fabs(c) > v_set(1));
    if (v_any(is_large))
        y = v_pick(is_large, v_tanh(a + c) - b, y);
    return y;
}
#endif

/* Sum over the samples of a tile, in the order of the lanes. */
INLINE double v_lanes(const Vec *a, const Real *mask)
{
    double sum = 0;
    for (int q = 0; q < NV; q++)
        for (int l = 0; l < LANES; l++)
            sum += v_lane(a[q], l) * (double)mask[q * LANES + l];
    return sum;
}

#endif
