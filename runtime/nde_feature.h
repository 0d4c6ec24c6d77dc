/* nde_feature.h: what a machine may have beyond the least one of its kind, as far as a C compiler uses it unasked.
 *
 * Gives: NDE_FEATURES, a row for each: FEATURE(name in /proc/cpuinfo, the compiler's macro, word, bit, registers): the
 * bit of a word that the machine answers with, and the registers that the system must save for it; NDE_NEEDS, the set
 * of those that a file is compiled for (row i is bit i).
 * Elsewhere: the machine is asked, and compared (variant.c).
 * Sources: Intel 64 and IA-32 Architectures SDM, vol. 2A, CPUID, and vol. 1, 13.3; AMD64 Architecture Programmer's
 * Manual, vol. 3, app. E; for ARM the kernel's "ARM64 ELF hwcaps". */
#ifndef NDE_FEATURE_H
#define NDE_FEATURE_H

#include <stdint.h>

/* clang-format off */
#if defined(__x86_64__)
/* Words: leaf and register of cpuid. */
#define NDE_FEATURES(FEATURE)                                              \
    FEATURE(pni,              __SSE3__,            LEAF_1_ECX,   0,  XMM)  \
    FEATURE(ssse3,            __SSSE3__,           LEAF_1_ECX,   9,  XMM)  \
    FEATURE(fma,              __FMA__,             LEAF_1_ECX,   12, YMM)  \
    FEATURE(sse4_1,           __SSE4_1__,          LEAF_1_ECX,   19, XMM)  \
    FEATURE(sse4_2,           __SSE4_2__,          LEAF_1_ECX,   20, XMM)  \
    FEATURE(movbe,            __MOVBE__,           LEAF_1_ECX,   22, XMM)  \
    FEATURE(popcnt,           __POPCNT__,          LEAF_1_ECX,   23, XMM)  \
    FEATURE(avx,              __AVX__,             LEAF_1_ECX,   28, YMM)  \
    FEATURE(f16c,             __F16C__,            LEAF_1_ECX,   29, YMM)  \
    FEATURE(bmi1,             __BMI__,             LEAF_7_EBX,   3,  XMM)  \
    FEATURE(avx2,             __AVX2__,            LEAF_7_EBX,   5,  YMM)  \
    FEATURE(bmi2,             __BMI2__,            LEAF_7_EBX,   8,  XMM)  \
    FEATURE(avx512f,          __AVX512F__,         LEAF_7_EBX,   16, ZMM)  \
    FEATURE(avx512dq,         __AVX512DQ__,        LEAF_7_EBX,   17, ZMM)  \
    FEATURE(avx512ifma,       __AVX512IFMA__,      LEAF_7_EBX,   21, ZMM)  \
    FEATURE(avx512cd,         __AVX512CD__,        LEAF_7_EBX,   28, ZMM)  \
    FEATURE(avx512bw,         __AVX512BW__,        LEAF_7_EBX,   30, ZMM)  \
    FEATURE(avx512vl,         __AVX512VL__,        LEAF_7_EBX,   31, ZMM)  \
    FEATURE(avx512vbmi,       __AVX512VBMI__,      LEAF_7_ECX,   1,  ZMM)  \
    FEATURE(avx512_vbmi2,     __AVX512VBMI2__,     LEAF_7_ECX,   6,  ZMM)  \
    FEATURE(gfni,             __GFNI__,            LEAF_7_ECX,   8,  XMM)  \
    FEATURE(avx512_vnni,      __AVX512VNNI__,      LEAF_7_ECX,   11, ZMM)  \
    FEATURE(avx512_bitalg,    __AVX512BITALG__,    LEAF_7_ECX,   12, ZMM)  \
    FEATURE(avx512_vpopcntdq, __AVX512VPOPCNTDQ__, LEAF_7_ECX,   14, ZMM)  \
    FEATURE(avx512_fp16,      __AVX512FP16__,      LEAF_7_EDX,   23, ZMM)  \
    FEATURE(avx_vnni,         __AVXVNNI__,         LEAF_7_1_EAX, 4,  YMM)  \
    FEATURE(avx512_bf16,      __AVX512BF16__,      LEAF_7_1_EAX, 5,  ZMM)  \
    FEATURE(abm,              __LZCNT__,           LEAF_EXT_ECX, 5,  XMM)  \
    FEATURE(sse4a,            __SSE4A__,           LEAF_EXT_ECX, 6,  XMM)  \
    FEATURE(xop,              __XOP__,             LEAF_EXT_ECX, 11, YMM)  \
    FEATURE(fma4,             __FMA4__,            LEAF_EXT_ECX, 16, YMM)  \
    FEATURE(tbm,              __TBM__,             LEAF_EXT_ECX, 21, XMM)
#elif defined(__aarch64__)
/* Words: AT_HWCAP and AT_HWCAP2 of the auxiliary vector, in which the kernel has left out what it does not save. */
#define NDE_FEATURES(FEATURE)                                                      \
    FEATURE(atomics,  __ARM_FEATURE_ATOMICS,                HWCAP,  8,  KERNEL)    \
    FEATURE(asimdhp,  __ARM_FEATURE_FP16_VECTOR_ARITHMETIC, HWCAP,  10, KERNEL)    \
    FEATURE(asimdrdm, __ARM_FEATURE_QRDMX,                  HWCAP,  12, KERNEL)    \
    FEATURE(jscvt,    __ARM_FEATURE_JCVT,                   HWCAP,  13, KERNEL)    \
    FEATURE(fcma,     __ARM_FEATURE_COMPLEX,                HWCAP,  14, KERNEL)    \
    FEATURE(asimddp,  __ARM_FEATURE_DOTPROD,                HWCAP,  20, KERNEL)    \
    FEATURE(sve,      __ARM_FEATURE_SVE,                    HWCAP,  22, KERNEL)    \
    FEATURE(sve2,     __ARM_FEATURE_SVE2,                   HWCAP2, 1,  KERNEL)    \
    FEATURE(frint,    __ARM_FEATURE_FRINT,                  HWCAP2, 8,  KERNEL)    \
    FEATURE(bf16,     __ARM_FEATURE_BF16_VECTOR_ARITHMETIC, HWCAP2, 14, KERNEL)
#else
#define NDE_FEATURES(FEATURE)
#endif
/* clang-format on */

/* 1 for a macro that is defined as 1, 0 for one that is not defined: pasted to NDE_PAIR_, only the former becomes two
 * arguments, of which the second is then the 1. */
#define NDE_PAIR_1 0,
#define NDE_SECOND(a, b, ...) b
#define NDE_FROM_PAIR(pair) NDE_SECOND(pair 1, 0, 0)
#define NDE_PASTED(value) NDE_FROM_PAIR(NDE_PAIR_##value)
#define NDE_IS_ONE(macro) NDE_PASTED(macro)

enum {
#define FEATURE(name, macro, word, bit, registers) NDE_FEATURE_##name,
    NDE_FEATURES(FEATURE)
#undef FEATURE
        NDE_FEATURE_COUNT
};

#define NDE_NEED(name, macro, word, bit, registers) | (uint64_t)NDE_IS_ONE(macro) << NDE_FEATURE_##name
#define NDE_NEEDS ((uint64_t)0 NDE_FEATURES(NDE_NEED))

#endif
