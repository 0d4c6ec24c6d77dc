/* nde_vector.h: samples in lanes: the vector type and what machines do with it.
 *
 * Needs: nde.h.  Gives: Vec, LANES, NV, TILE, ROW; three families of functions: v_ on one Vec, r_ on a Real, d_ on a
 * double; sums over lanes. Elsewhere: exp, tanh and the like for v_ and r_ (nde_math.h), products (nde_product.h), what
 * moves data and reduces (nde_kernel.h). Included by generated code only. */
#ifndef NDE_VECTOR_H
#define NDE_VECTOR_H

#include <math.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "nde.h"

#if defined(__GNUC__) && !defined(NDE_PLAIN)
#define NDE_HAS_VECTORS 1
#else
#define NDE_HAS_VECTORS 0
#endif
#if defined(__GNUC__)
#define RARELY(x) __builtin_expect(!!(x), 0)
#else
#define RARELY(x) (x)
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
 * ten times slower. Half that on AVX-512 for a model without products whose batches (NDE_BATCH samples) fill those so
 * much better that it pays: 20 samples in float32 are 3 vectors of 32 bytes, or 2 of 64, which take a seventh longer.
 */
#ifdef NDE_DOUBLE
#define NDE_REAL_BYTES 8
typedef uint64_t LaneBits;
#else
#define NDE_REAL_BYTES 4
typedef uint32_t LaneBits;
#endif
#define NDE_FILLED(bytes) ((NDE_BATCH * NDE_REAL_BYTES + (bytes)-1) / (bytes) * (bytes))
#if NDE_HAS_VECTORS && defined(__AVX512F__)
#if defined(NDE_BATCH) && 4 * NDE_FILLED(64) > 5 * NDE_FILLED(32)
#define NDE_VECTOR_BYTES 32
#else
#define NDE_VECTOR_BYTES 64
#endif
#elif NDE_HAS_VECTORS && defined(__AVX__)
#define NDE_VECTOR_BYTES 32
#else
#define NDE_VECTOR_BYTES 16
#endif

/* Vectors of a tile: two, which give a product kernel enough sums to work on. A model without such products, whose
 * batches would leave the second vector of the last of few tiles empty, takes three if they are one
 * tile, else one. */
#ifdef NDE_BATCH
#define NDE_BATCH_VECTORS (NDE_FILLED(NDE_VECTOR_BYTES) / NDE_VECTOR_BYTES)
#endif
#if defined(NDE_BATCH) && NDE_BATCH_VECTORS == 3
#define NDE_NV 3
#elif defined(NDE_BATCH) && NDE_BATCH_VECTORS < 8 && NDE_BATCH_VECTORS % 2 == 1
#define NDE_NV 1
#else
#define NDE_NV 2
#endif

#if NDE_HAS_VECTORS
enum { LANES = NDE_VECTOR_BYTES / sizeof(Real), NV = NDE_NV };
typedef Real Vec __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias));
typedef Real VecAnywhere __attribute__((vector_size(NDE_VECTOR_BYTES), may_alias, aligned(sizeof(Real))));
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

/* The second operand where one of them is NaN. */
INLINE double d_most(double a, double b)
{
    return a > b ? a : b;
}

INLINE double d_least(double a, double b)
{
    return a < b ? a : b;
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

/* tanh(a + c) - b with b = tanh(a): see nde_elementary.h. */
INLINE double d_tanh_change(double a, double b, double c)
{
    double t = d_tanh(c);
    return d_fabs(c) > 1 ? d_tanh(a + c) - b : t * (1 - b * b) / (1 + b * t);
}

/* ---- r_: one Real ---- */
#ifdef NDE_DOUBLE
#define R_NAME(name) name
#else
#define R_NAME(name) name##f
#endif

INLINE Real r_set(Real a)
{
    return a;
}

INLINE LaneBits r_bits(Real a)
{
    LaneBits bits;
    memcpy(&bits, &a, sizeof bits);
    return bits;
}

INLINE Real r_real(LaneBits bits)
{
    Real a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

/* All ones or none, and a choice by them: gcc makes vectors of a loop over these, but not over branches. */
INLINE LaneBits r_less(Real a, Real b)
{
    return -(LaneBits)(a < b);
}

INLINE Real r_pick(LaneBits m, Real b, Real c)
{
    return r_real((m & r_bits(b)) | (~m & r_bits(c)));
}

INLINE bool r_all_less(Real a, Real b)
{
    return a < b;
}

INLINE Real r_least(Real limit, Real a)
{
    return r_pick(r_less(limit, a), limit, a);
}

INLINE Real r_most(Real limit, Real a)
{
    return r_pick(r_less(a, limit), limit, a);
}

INLINE Real r_sqrt(Real a)
{
    return R_NAME(sqrt)(a);
}

INLINE Real r_fabs(Real a)
{
    return R_NAME(fabs)(a);
}

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

/* ---- v_: one Vec ---- */
#if !NDE_HAS_VECTORS
#define v_set(a) (a)
#define v_sqrt r_sqrt
#define v_fabs r_fabs
#define v_pow r_pow
#define v_where r_where
#define v_most r_most
#define v_least r_least
#define v_gt r_gt
#define v_ge r_ge
#define v_eq r_eq

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

#define FAMILY(name) v_##name
#define NUMBER Vec
#define BITS VecBits
#define BYTES NDE_VECTOR_BYTES
#include "nde_family.h"
#undef FAMILY
#undef NUMBER
#undef BITS
#undef BYTES
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
