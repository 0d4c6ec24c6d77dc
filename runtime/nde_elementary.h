/* nde_elementary.h: the elementary functions, once for every family: nde_math.h and nde_latency.h include this with
 *   FAMILY(name)  the family's name of a function,
 *   NUMBER, BITS  what it works on, Real or a vector, and the unsigned integers of the same size,
 *   BYTES         of a vector how long it is.
 * Nothing here branches on a value, but for arguments of sin and cos that are far away; so a lane's result depends on
 * its own argument alone. No step relies on a product being rounded: it may be fused with a sum, or not. */

/* c[0] + c[1] x + ... of n terms, two at a time: half as long a chain as one at a time, and fewer roundings on the way.
 */
INLINE NUMBER FAMILY(polynomial)(NUMBER x, const Real *c, int n)
{
    NUMBER square = x * x, y = FAMILY(set)(c[n - 1]);
    if (n % 2 == 0)
        y = y * x + FAMILY(set)(c[n - 2]);
    UNROLL
    for (int k = (n - 1) / 2 * 2 - 2; k >= 0; k -= 2)
        y = y * square + (FAMILY(set)(c[k + 1]) * x + FAMILY(set)(c[k]));
    return y;
}

#define POLYNOMIAL(x, c) FAMILY(polynomial)(x, c, (int)(sizeof c / sizeof *c))

/* The integer nearest to a, in the low bits of *bits. */
INLINE NUMBER FAMILY(nearest)(NUMBER a, BITS *bits)
{
    NUMBER shifted = a + NDE_ROUND;
    *bits = FAMILY(bits)(shifted);
    return shifted - NDE_ROUND;
}

/* 2^n, n in the low bits and within the exponents of normal numbers. */
INLINE NUMBER FAMILY(power_of_two)(BITS n)
{
    return FAMILY(real)((n << NDE_MANTISSA) + NDE_BITS_1);
}

/* a = n ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite 1980, ch. 6): n ln 2 is subtracted in two parts, the first exact.
 */
INLINE NUMBER FAMILY(remainder)(NUMBER a, BITS *n)
{
    NUMBER whole = FAMILY(nearest)(a * NDE_PER_LN2, n);
    return a - whole * NDE_LN2_HIGH - whole * NDE_LN2_LOW;
}

/* e^r - 1 */
INLINE NUMBER FAMILY(small_expm1)(NUMBER r)
{
    return r * r * POLYNOMIAL(r, nde_exp) + r;
}

/* 2^n by two factors: one alone cannot reach subnormal results, nor the largest. */
INLINE NUMBER FAMILY(exp)(NUMBER a)
{
    BITS n;
    a = FAMILY(most)(FAMILY(set)(NDE_EXP_LEAST), FAMILY(least)(FAMILY(set)(NDE_EXP_MOST), a));
    NUMBER r = FAMILY(remainder)(a, &n);
    BITS half = n >> 1;
    return (FAMILY(small_expm1)(r) + 1) * FAMILY(power_of_two)(half) * FAMILY(power_of_two)(n - half);
}

/* 2^n (e^r - 1) + (2^n - 1), formed as a half and doubled, since 2^n may be too large. */
INLINE NUMBER FAMILY(expm1)(NUMBER a)
{
    BITS n;
    NUMBER x = FAMILY(most)(FAMILY(set)(NDE_EXPM1_LEAST), FAMILY(least)(FAMILY(set)(NDE_EXP_MOST), a));
    NUMBER r = FAMILY(remainder)(x, &n), power = FAMILY(power_of_two)(n - 1);
    NUMBER half = FAMILY(small_expm1)(r) * power + (power - (Real)0.5);
    return FAMILY(pick)(FAMILY(less)(FAMILY(fabs)(a), FAMILY(set)(NDE_TINY)), a, half + half);
}

/* log(1 + f) + whole ln 2, 1 + f within sqrt(1/2) .. sqrt(2). With s = f / (2 + f), log(1 + f) = 2 atanh(s) =
 * 2 s + s R(s^2), and 2 s = f - s f. */
INLINE NUMBER FAMILY(log_sum)(NUMBER f, NUMBER whole)
{
    NUMBER s = f / (f + 2), w = s * s;
    NUMBER rest = s * (f - w * POLYNOMIAL(w, nde_log)) - whole * NDE_LN2_LOW;
    return whole * NDE_LN2_HIGH + (f - rest);
}

/* y where 0 < a < infinity, else what a logarithm of a is; a itself is `same` where it is infinite or no number. */
INLINE NUMBER FAMILY(log_ends)(NUMBER a, NUMBER same, NUMBER y)
{
    NUMBER zero = FAMILY(set)(0), infinity = FAMILY(set)((Real)INFINITY);
    NUMBER below = FAMILY(pick)(FAMILY(less)(a, zero), FAMILY(set)((Real)NAN), -infinity);
    y = FAMILY(pick)(FAMILY(less)(zero, a), y, below);
    return FAMILY(pick)(FAMILY(less)(a, infinity), y, same);
}

/* a = 2^whole (1 + f); a subnormal a is scaled up first. */
INLINE NUMBER FAMILY(log)(NUMBER a)
{
    BITS is_small = FAMILY(less)(a, FAMILY(set)(NDE_NORMAL));
    BITS bits = FAMILY(bits)(FAMILY(pick)(is_small, a * NDE_SCALE, a)) + (NDE_BITS_1 - NDE_BITS_SQRT_HALF);
    NUMBER whole = FAMILY(real)((bits >> NDE_MANTISSA) | FAMILY(bits)(FAMILY(set)(NDE_SHIFT))) - (NDE_SHIFT + NDE_BIAS);
    whole = whole - FAMILY(real)(is_small & FAMILY(bits)(FAMILY(set)(NDE_SCALE_LOG2)));
    NUMBER f = FAMILY(real)((bits & NDE_FRACTION) + NDE_BITS_SQRT_HALF) - 1;
    return FAMILY(log_ends)(a, a, FAMILY(log_sum)(f, whole));
}

/* 1 + a, rounded, gives the power of two; f is then formed from a with one rounding, so that no digit of a is lost. */
INLINE NUMBER FAMILY(log1p)(NUMBER a)
{
    NUMBER sum = a + 1;
    BITS bits = FAMILY(bits)(sum) + (NDE_BITS_1 - NDE_BITS_SQRT_HALF);
    NUMBER whole = FAMILY(real)((bits >> NDE_MANTISSA) | FAMILY(bits)(FAMILY(set)(NDE_SHIFT))) - (NDE_SHIFT + NDE_BIAS);
    BITS power = (bits & ~NDE_FRACTION) - NDE_BITS_1;
    NUMBER twice = FAMILY(real)(NDE_BITS_OF_POWER(1) - power); /* 2 / 2^whole */
    NUMBER f = FAMILY(real)(FAMILY(bits)(a) - power) + (twice * (Real)0.5 - 1);
    NUMBER y = FAMILY(log_ends)(sum, a, FAMILY(log_sum)(f, whole));
    return FAMILY(pick)(FAMILY(less)(FAMILY(fabs)(a), FAMILY(set)(NDE_TINY)), a, y);
}

/* e^a = 2^n (b + c) / (b - c), where c / b = tanh(r / 2): c is r times a polynomial of r^2, b is one. */
INLINE void FAMILY(ratio)(NUMBER a, BITS *n, NUMBER *b, NUMBER *c)
{
    NUMBER r = FAMILY(remainder)(a, n), s = r * r;
    *b = POLYNOMIAL(s, nde_ratio_below);
    *c = r * POLYNOMIAL(s, nde_ratio_above);
}

/* e^a / (e^a + 1), multiplied out. The power of two is taken NDE_SCALE larger, so that e^a is no subnormal number. */
INLINE NUMBER FAMILY(sigmoid)(NUMBER a)
{
    BITS n;
    NUMBER b, c;
    a = FAMILY(most)(FAMILY(set)(NDE_EXP_LEAST), FAMILY(least)(FAMILY(set)(NDE_SIGMOID_MOST), a));
    FAMILY(ratio)(a, &n, &b, &c);
    NUMBER above = (b + c) * FAMILY(real)((n << NDE_MANTISSA) + NDE_BITS_OF_POWER(NDE_SCALE_LOG2));
    return above / ((b - c) * NDE_SCALE + above);
}

/* max(a, 0) + log(1 + e), e = e^-|a| as a quotient. 1 + e is 1 + f, or, where e is above sqrt(2) - 1, 2 (1 + f); in
 * both cases f / (2 + f) is one quotient. */
INLINE NUMBER FAMILY(softplus)(NUMBER a)
{
    BITS n;
    NUMBER b, c, x = FAMILY(most)(FAMILY(set)(NDE_EXP_LEAST), -FAMILY(fabs)(a));
    FAMILY(ratio)(x, &n, &b, &c);
    NUMBER above = (b + c) * FAMILY(real)((n << NDE_MANTISSA) + NDE_BITS_OF_POWER(NDE_SCALE_LOG2));
    NUMBER below = (b - c) * NDE_SCALE;
    BITS is_large = FAMILY(less)(below * (Real)0.41421356, above);
    NUMBER twice = below + below;
    NUMBER s = FAMILY(pick)(is_large, above - below, above) / (FAMILY(pick)(is_large, twice + below, twice) + above);
    NUMBER w = s * s, whole = FAMILY(real)(is_large & FAMILY(bits)(FAMILY(set)(1)));
    NUMBER log = (s + s) + (s * w * POLYNOMIAL(w, nde_log) + whole * NDE_LN2_LOW);
    return FAMILY(most)(FAMILY(set)(0), a) + (whole * NDE_LN2_HIGH + log);
}

/* 2 t / (1 + t^2) for t = u / v. Where the result is near 1, an error of t hardly reaches it. */
INLINE NUMBER FAMILY(doubled)(NUMBER u, NUMBER v)
{
    return (u + u) * v / (v * v + u * u);
}

/* (e^2a - 1) / (e^2a + 1), multiplied out, for |a|; in float tanh(a / 2) as a rational function, doubled. */
INLINE NUMBER FAMILY(tanh)(NUMBER a)
{
#ifdef NDE_DOUBLE
    BITS n;
    NUMBER b, c, x = FAMILY(least)(FAMILY(set)(NDE_TANH_MOST), FAMILY(fabs)(a));
    FAMILY(ratio)(x + x, &n, &b, &c);
    NUMBER power = FAMILY(power_of_two)(n), more = power + 1, less = power - 1;
    NUMBER y = FAMILY(least)(FAMILY(set)(1), (less * b + more * c) / (more * b + less * c));
    return FAMILY(real)(FAMILY(bits)(y) | (FAMILY(bits)(a) & NDE_BITS_SIGN));
#else
    a = FAMILY(most)(FAMILY(set)(-NDE_TANH_MOST), FAMILY(least)(FAMILY(set)(NDE_TANH_MOST), a));
    NUMBER s = a * a;
    return FAMILY(doubled)(a * POLYNOMIAL(s, nde_tanh_above), POLYNOMIAL(s, nde_tanh_below));
#endif
}

/* tanh(a + c) - b with b = tanh(a): with T = tanh(c) that is T (1 - b^2) / (1 + b T), which does not cancel while c is
 * small; in float T is a fraction up to |c| = 1, and one division does. Larger c are rare: tanh(a + c) is worked out
 * where there is one. */
INLINE NUMBER FAMILY(tanh_change)(NUMBER a, NUMBER b, NUMBER c)
{
#ifdef NDE_DOUBLE
    NUMBER s = c * c, t = FAMILY(tanh)(c), y = t * (1 - b * b) / (b * t + 1);
#else
    const Real *p = nde_tanh_near_below; /* by Horner's rule: fewer operations, and nothing waits for them here */
    NUMBER s = c * c, above = c * POLYNOMIAL(s, nde_tanh_near_above), below = (s * p[2] + p[1]) * s + p[0];
    NUMBER y = above * (1 - b * b) / (below + b * above);
#endif
    if (RARELY(!FAMILY(all_less)(s, FAMILY(set)(1))))
        y = FAMILY(pick)(FAMILY(less)(s, FAMILY(set)(1)), y, FAMILY(tanh)(a + c) - b);
    return y;
}

/* A polynomial near 0, then 1 - e^(-a^2) R(a) with a rational R; in float the t is rational of which erf(a) is
 * 2 t / (1 + t^2). */
INLINE NUMBER FAMILY(erf)(NUMBER a)
{
    NUMBER x = FAMILY(least)(FAMILY(set)(NDE_ERF_MOST), FAMILY(fabs)(a)), s = x * x;
#ifdef NDE_DOUBLE
    BITS n;
    NUMBER b, c;
    FAMILY(ratio)(-s, &n, &b, &c);
    NUMBER above = (b + c) * FAMILY(power_of_two)(n) * POLYNOMIAL(x, nde_erf_above);
    NUMBER far = 1 - above / ((b - c) * POLYNOMIAL(x, nde_erf_below));
#else
    NUMBER far = FAMILY(doubled)(x * POLYNOMIAL(s, nde_erf_above), POLYNOMIAL(s, nde_erf_below));
#endif
    NUMBER y = FAMILY(pick)(FAMILY(less)(x, FAMILY(set)(NDE_ERF_NEAR)), x * POLYNOMIAL(s, nde_erf_near), far);
    return FAMILY(real)(FAMILY(bits)(y) | (FAMILY(bits)(a) & NDE_BITS_SIGN));
}

/* r = a - m pi, in three parts of pi of which two give exact products (Cody & Waite 1980, ch. 8). */
INLINE NUMBER FAMILY(turned)(NUMBER a, NUMBER m)
{
    return a - m * NDE_PI_HIGH - m * NDE_PI_MIDDLE - m * NDE_PI_LOW;
}

/* sin(r) for |r| <= pi / 2, negative where the lowest bit is set. */
INLINE NUMBER FAMILY(half_turn)(NUMBER r, BITS lowest)
{
    NUMBER y = r * POLYNOMIAL(r * r, nde_sin);
    return FAMILY(real)(FAMILY(bits)(y) ^ (lowest << (8 * sizeof(Real) - 1)));
}

#ifdef BYTES
KERNEL NUMBER FAMILY(far_sin)(NUMBER a, NUMBER y)
{
    for (int l = 0; l < BYTES / (int)sizeof(Real); l++)
        y[l] = r_fabs(a[l]) < NDE_SIN_MOST ? y[l] : r_far_sin(a[l], y[l]);
    return y;
}

KERNEL NUMBER FAMILY(far_cos)(NUMBER a, NUMBER y)
{
    for (int l = 0; l < BYTES / (int)sizeof(Real); l++)
        y[l] = r_fabs(a[l]) < NDE_SIN_MOST ? y[l] : r_far_cos(a[l], y[l]);
    return y;
}
#endif

/* sin(n pi + r) */
INLINE NUMBER FAMILY(sin)(NUMBER a)
{
    BITS n;
    NUMBER whole = FAMILY(nearest)(a * NDE_PER_PI, &n);
    NUMBER y = FAMILY(half_turn)(FAMILY(turned)(a, whole), n);
    return RARELY(!FAMILY(all_less)(FAMILY(fabs)(a), FAMILY(set)(NDE_SIN_MOST))) ? FAMILY(far_sin)(a, y) : y;
}

/* cos((n + 1/2) pi + r) */
INLINE NUMBER FAMILY(cos)(NUMBER a)
{
    BITS n;
    NUMBER whole = FAMILY(nearest)(a * NDE_PER_PI - (Real)0.5, &n);
    NUMBER y = FAMILY(half_turn)(FAMILY(turned)(a, whole + (Real)0.5), ~n);
    return RARELY(!FAMILY(all_less)(FAMILY(fabs)(a), FAMILY(set)(NDE_SIN_MOST))) ? FAMILY(far_cos)(a, y) : y;
}

#undef POLYNOMIAL
