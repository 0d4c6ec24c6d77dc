/* nde_family.h: what is done with one kind of vector: nde_vector.h and nde_latency.h include this with
 *   FAMILY(name)  the family's name of a function,
 *   NUMBER, BITS  a vector of Real, and of unsigned integers of that size,
 *   BYTES         how long both are.
 * Elsewhere: exp, tanh and the like (nde_elementary.h). */

/* What the machine does in one instruction, but the compiler does not find in vector arithmetic. */
#undef BUILTIN
#if BYTES == 64
#ifdef NDE_DOUBLE
#define BUILTIN(name) (NUMBER) _mm512_##name##_pd
#define MACHINE __m512d
#else
#define BUILTIN(name) (NUMBER) _mm512_##name##_ps
#define MACHINE __m512
#endif
#elif BYTES == 32 && defined(__AVX__)
#define MACHINE NUMBER
#ifdef NDE_DOUBLE
#define BUILTIN(name) __builtin_ia32_##name##pd256
#else
#define BUILTIN(name) __builtin_ia32_##name##ps256
#endif
#elif BYTES == 16 && defined(__SSE4_1__)
#define MACHINE NUMBER
#ifdef NDE_DOUBLE
#define BUILTIN(name) __builtin_ia32_##name##pd
#else
#define BUILTIN(name) __builtin_ia32_##name##ps
#endif
#endif

/* One broadcast instruction; an element loop would be built lane by lane. a - 0 is a, also for -0. */
INLINE NUMBER FAMILY(set)(Real a)
{
    return a - (NUMBER){0};
}

INLINE double FAMILY(lane)(NUMBER a, int lane)
{
    return (double)a[lane];
}

/* From an address that need not be aligned. */
INLINE NUMBER FAMILY(load)(const Real *a)
{
    typedef Real Anywhere __attribute__((vector_size(BYTES), may_alias, aligned(sizeof(Real))));
    return *(const Anywhere *)a;
}

/* The first n lanes from there, zero behind them; and back. */
INLINE NUMBER FAMILY(load_some)(const Real *a, int n)
{
    if (n == BYTES / (int)sizeof(Real))
        return FAMILY(load)(a);
    NUMBER v = {0};
    for (int l = 0; l < n; l++)
        v[l] = a[l];
    return v;
}

INLINE void FAMILY(store_some)(Real *a, NUMBER v, int n)
{
    if (n == BYTES / (int)sizeof(Real))
        memcpy(a, &v, sizeof v);
    else
        for (int l = 0; l < n; l++)
            a[l] = v[l];
}

INLINE BITS FAMILY(bits)(NUMBER a)
{
    return (BITS)a;
}

INLINE NUMBER FAMILY(real)(BITS bits)
{
    return (NUMBER)bits;
}

/* b where m is all ones, c where it is 0. */
INLINE NUMBER FAMILY(pick)(BITS m, NUMBER b, NUMBER c)
{
#if defined(BUILTIN) && BYTES < 64
    return BUILTIN(blendv)(c, b, (NUMBER)m);
#else
    return (NUMBER)((m & (BITS)b) | (~m & (BITS)c));
#endif
}

#ifdef BUILTIN
INLINE NUMBER FAMILY(sqrt)(NUMBER a)
{
    return BUILTIN(sqrt)((MACHINE)a);
}

/* The second operand where one of them is NaN. */
INLINE NUMBER FAMILY(least)(NUMBER limit, NUMBER a)
{
    return BUILTIN(min)((MACHINE)limit, (MACHINE)a);
}

INLINE NUMBER FAMILY(most)(NUMBER limit, NUMBER a)
{
    return BUILTIN(max)((MACHINE)limit, (MACHINE)a);
}
#else
INLINE NUMBER FAMILY(sqrt)(NUMBER a)
{
#if defined(__aarch64__) && defined(NDE_DOUBLE)
    return (NUMBER)vsqrtq_f64((float64x2_t)a);
#elif defined(__aarch64__)
    return (NUMBER)vsqrtq_f32((float32x4_t)a);
#else
    for (int l = 0; l < BYTES / (int)sizeof(Real); l++)
        a[l] = r_sqrt(a[l]);
    return a;
#endif
}

INLINE NUMBER FAMILY(least)(NUMBER limit, NUMBER a)
{
    return FAMILY(pick)((BITS)(limit < a), limit, a);
}

INLINE NUMBER FAMILY(most)(NUMBER limit, NUMBER a)
{
    return FAMILY(pick)((BITS)(limit > a), limit, a);
}
#endif

INLINE BITS FAMILY(less)(NUMBER a, NUMBER b)
{
    return (BITS)(a < b);
}

/* Is it so in every lane? */
INLINE bool FAMILY(all_less)(NUMBER a, NUMBER b)
{
#if BYTES == 64 && defined(NDE_DOUBLE)
    return _mm512_cmp_pd_mask((MACHINE)a, (MACHINE)b, _CMP_LT_OQ) == 0xff;
#elif BYTES == 64
    return _mm512_cmp_ps_mask((MACHINE)a, (MACHINE)b, _CMP_LT_OQ) == 0xffff;
#elif defined(BUILTIN)
    return BUILTIN(movmsk)((NUMBER)(a < b)) == (1 << BYTES / sizeof(Real)) - 1;
#else
    BITS less = (BITS)(a < b);
    LaneBits all = ~(LaneBits)0;
    for (int l = 0; l < BYTES / (int)sizeof(Real); l++)
        all &= less[l];
    return all != 0;
#endif
}

INLINE NUMBER FAMILY(where)(NUMBER c, NUMBER a, NUMBER b)
{
    return FAMILY(pick)((BITS)(c != FAMILY(set)(0)), a, b);
}

INLINE NUMBER FAMILY(gt)(NUMBER a, NUMBER b)
{
    return (NUMBER)((BITS)(a > b) & (BITS)FAMILY(set)(1));
}

INLINE NUMBER FAMILY(ge)(NUMBER a, NUMBER b)
{
    return (NUMBER)((BITS)(a >= b) & (BITS)FAMILY(set)(1));
}

INLINE NUMBER FAMILY(eq)(NUMBER a, NUMBER b)
{
    return (NUMBER)((BITS)(a == b) & (BITS)FAMILY(set)(1));
}

INLINE NUMBER FAMILY(fabs)(NUMBER a)
{
    return (NUMBER)((BITS)a & ~(BITS)FAMILY(set)((Real)-0.0));
}

INLINE NUMBER FAMILY(pow)(NUMBER a, NUMBER b)
{
    for (int l = 0; l < BYTES / (int)sizeof(Real); l++)
        a[l] = r_pow(a[l], b[l]);
    return a;
}

#undef MACHINE
