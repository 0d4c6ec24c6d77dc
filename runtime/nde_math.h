/* nde_math.h: the elementary functions of one Real (r_) and of one Vec (v_).
 *
 * Needs: nde_vector.h.  Gives: r_ and v_ of tanh sigmoid softplus exp expm1 log log1p sin cos erf, by the same formulas
 * (nde_elementary.h), so that both give the same result but for fused sums.
 * Elsewhere: d_ (nde_vector.h), which is the C library's.
 *
 * Largest errors found, in units in the last place, with fused products / without (x86-64); of float tanh and erf, and
 * of float sigmoid and sin with fused products, all numbers where the function bends were tried, else samples. float:
 * tanh 3.8/4.0, sigmoid 2.5/2.3, softplus 2.9/2.7, exp 1.1/1.0, expm1 1.6/1.7, log 0.9/0.9, log1p 1.5/1.6, sin 3.2/3.1,
 * cos 2.8/3.1, erf 3.4/3.9 double: tanh 3.4/3.7, sigmoid 2.3/2.5, softplus 3.0/2.8, exp 1.1/1.1, expm1 2.2/2.3, log
 * 0.9/0.9, log1p 1.5/1.5, sin 2.4/2.6, cos 2.7/2.7, erf 2.5/2.5 */
#ifndef NDE_MATH_H
#define NDE_MATH_H

#include "nde_vector.h"

/* The number type: bits behind the point, the exponent's bias, bits of some numbers. */
#ifdef NDE_DOUBLE
enum { NDE_MANTISSA = 52, NDE_BIAS = 1023 };
#define NDE_BITS_SQRT_HALF UINT64_C(0x3fe6a09e667f3bcd)
#else
enum { NDE_MANTISSA = 23, NDE_BIAS = 127 };
#define NDE_BITS_SQRT_HALF UINT32_C(0x3f3504f3)
#endif
#define NDE_FRACTION (((LaneBits)1 << NDE_MANTISSA) - 1)
#define NDE_BITS_SIGN ((LaneBits)1 << (8 * sizeof(Real) - 1))
#define NDE_BITS_OF_POWER(n) ((LaneBits)(NDE_BIAS + (n)) << NDE_MANTISSA)
#define NDE_BITS_1 NDE_BITS_OF_POWER(0)

/* Constants of the functions, the coefficients lowest first, from tests/fit.py. The float tanh was tuned further, see
 * there. Functions are constant beyond the MOST and LEAST of their names; |a| below TINY is its own expm1 and log1p;
 * SCALE makes every subnormal number a normal one. Adding ROUND to a number leaves the nearest integer in its low bits.
 * Of ln 2 and pi all parts but the last have so few bits that their products are exact: LN2_HIGH for every exponent,
 * PI_HIGH and PI_MIDDLE below SIN_MOST. No part of pi is negative, so that sin(-0) stays -0. */
#ifdef NDE_DOUBLE
enum { NDE_SCALE_LOG2 = 64 };
#define NDE_SCALE 0x1p64
#define NDE_SHIFT 0x1p52
#define NDE_ROUND 0x1.8p52
#define NDE_TINY 0x1p-55
#define NDE_NORMAL 0x1p-1022
#define NDE_PER_LN2 1.4426950408889634
#define NDE_LN2_HIGH 0x1.62e42fefa4p-1
#define NDE_LN2_LOW -0x1.8432a1b0e2634p-43
#define NDE_PER_PI 0.3183098861837907
#define NDE_PI_HIGH 0x1.921fb5444p+1
#define NDE_PI_MIDDLE 0x1.68c234c4cp-38
#define NDE_PI_LOW 0x1.98a2e03707345p-76
#define NDE_SIN_MOST 205887.0
#define NDE_EXP_MOST 710.0
#define NDE_EXP_LEAST -746.0
#define NDE_EXPM1_LEAST -38.0
#define NDE_SIGMOID_MOST 40.0
#define NDE_TANH_MOST 22.0
#define NDE_ERF_MOST 5.93
#define NDE_ERF_NEAR 0.8
static const Real nde_exp[] = {0.50000000000000051737,     0.16666666666666589397,   0.041666666666576832612,
                               0.0083333333333894719906,   0.0013888888931537555144, 0.00019841269719172303028,
                               0.000024801505308428056762, 2.755740741403217614e-6,  2.76260234839795999e-7,
                               2.5053806793077452802e-8};
static const Real nde_ratio_above[] = {0.81, 0.022497625045692807558, 0.000053531874493689213773};
static const Real nde_ratio_below[] = {1.62, 0.17999525009138329114, 0.0016066679234579546337};
static const Real nde_log[] = {0.66666666666667341523, 0.39999999999416394107, 0.28571428742010795444,
                               0.22222198611251236917, 0.18183562381192331033, 0.15314099447378592309,
                               0.14795468988876203194};
static const Real nde_sin[] = {1.0,
                               -0.1666666666666666557,
                               0.0083333333333331943181,
                               -0.00019841269841209223371,
                               2.7557319211137981096e-6,
                               -2.5052106872865946296e-8,
                               1.6058939709048228413e-10,
                               -7.6429915699805220611e-13,
                               2.7211757976794756828e-15};
static const Real nde_erf_near[] = {1.1283791670955125703,     -0.37612638903183619481,     0.11283791670946897168,
                                    -0.026866170643140137462,  0.0052239776006730483793,    -0.0008548325221517613465,
                                    0.00012055251025914252786, -0.000014923247391260470125, 1.6416585210689995599e-6,
                                    -1.5824216608422676868e-7, 1.1068276541871063272e-8};
static const Real nde_erf_above[] = {0.99999996986248024398, 1.362187179356438965,   0.91459842710302018233,
                                     0.35292808629300866527, 0.07783297919133722861, 0.0079681855625695900366};
static const Real nde_erf_below[] = {1.0,
                                     2.4905659891622952994,
                                     2.724903207116101872,
                                     1.6893317885002440822,
                                     0.63268967032159263262,
                                     0.13794986714885760812,
                                     0.014123423993221682896};
#else
enum { NDE_SCALE_LOG2 = 32 };
#define NDE_SCALE 0x1p32f
#define NDE_SHIFT 0x1p23f
#define NDE_ROUND 0x1.8p23f
#define NDE_TINY 0x1p-26f
#define NDE_NORMAL 0x1p-126f
#define NDE_PER_LN2 1.44269504f
#define NDE_LN2_HIGH 0x1.62e4p-1f
#define NDE_LN2_LOW 0x1.7f7d1cp-20f
#define NDE_PER_PI 0.318309886f
#define NDE_PI_HIGH 0x1.921ep+1f
#define NDE_PI_MIDDLE 0x1.b544p-15f
#define NDE_PI_LOW 0x1.0b4612p-33f
#define NDE_SIN_MOST 402.0f
#define NDE_EXP_MOST 89.0f
#define NDE_EXP_LEAST -104.0f
#define NDE_EXPM1_LEAST -18.0f
#define NDE_SIGMOID_MOST 20.0f
#define NDE_TANH_MOST 9.01f
#define NDE_ERF_MOST 3.96f
#define NDE_ERF_NEAR 1.1f
static const Real nde_exp[] = {0.499999981457, 0.166665431866, 0.0416672014417, 0.00836657902677, 0.00138825247751};
static const Real nde_ratio_above[] = {0.81, 0.0134838748836};
static const Real nde_ratio_below[] = {1.62, 0.161967650002};
static const Real nde_log[] = {0.666667761033, 0.399775714631, 0.29871013435};
static const Real nde_sin[] = {1.0, -0.166666593198, 0.00833305982512, -0.000198091013351, 2.60461131572e-6};
static const Real nde_erf_near[] = {1.12837916221,    -0.376126005221,    0.112832917853,  -0.0268414431757,
                                    0.00516486509669, -0.000780580582166, 7.18803439482e-5};
static const Real nde_tanh_above[] = {1.85402703f, 0.0552081205f, 0.000211976032f};
static const Real nde_tanh_below[] = {3.70805407f, 0.41942057f, 0.00447535748f, 4.56341604e-06f};
static const Real nde_tanh_near_above[] = {1.0, 0.0943764589545};
static const Real nde_tanh_near_below[] = {1.0, 0.427708249464, 0.0092467541761};
static const Real nde_erf_above[] = {1.90019045849, 0.271983594411, 0.0336842530606, 0.00107855843417,
                                     -1.15305865141e-5};
static const Real nde_erf_below[] = {3.368, 0.532676595818, 0.120472007375, 0.00767732216841};
#endif

/* Beyond the reach of the reduction, by the C library. */
INLINE Real r_far_sin(Real a, Real y)
{
    (void)y;
    return R_NAME(sin)(a);
}

INLINE Real r_far_cos(Real a, Real y)
{
    (void)y;
    return R_NAME(cos)(a);
}

#define FAMILY(name) r_##name
#define NUMBER Real
#define BITS LaneBits
#include "nde_elementary.h"
#undef FAMILY
#undef NUMBER
#undef BITS

#if NDE_HAS_VECTORS
#define FAMILY(name) v_##name
#define NUMBER Vec
#define BITS VecBits
#define BYTES NDE_VECTOR_BYTES
#include "nde_elementary.h"
#undef FAMILY
#undef NUMBER
#undef BITS
#undef BYTES
#else
#define v_exp r_exp
#define v_expm1 r_expm1
#define v_log r_log
#define v_log1p r_log1p
#define v_sin r_sin
#define v_cos r_cos
#define v_tanh r_tanh
#define v_erf r_erf
#define v_sigmoid r_sigmoid
#define v_softplus r_softplus
#define v_tanh_change r_tanh_change
#endif

#endif
