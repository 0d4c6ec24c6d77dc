/* math.c: the elementary functions of runtime/nde_math.h against the C library in long double: all magnitudes, the
 * edges of every exponent, and what is special. Compiled for the number type and the vectors of its flags, and once
 * more for each of: */
/* flags: -O2 -ffp-contract=fast -march=native */
/* flags: -O2 -ffp-contract=fast -march=native -DNDE_DOUBLE */
/* flags: -DNDE_DOUBLE */
/* flags: -DNDE_PLAIN */
#include "nde_kernel.h"

#include <check.h>
#include <stdlib.h>

#ifdef NDE_DOUBLE
enum { BITS_BEHIND = 52, LEAST_EXPONENT = -1022, EXPONENTS = 2048 };
#else
enum { BITS_BEHIND = 23, LEAST_EXPONENT = -126, EXPONENTS = 256 };
#endif

/* nde.h promises these; nothing here is watched. */
void NDE_NAME(nde_watch)(NdeRun *run, int tile, const void *v, size_t n, bool is_double, int line, const char *name)
{
    (void)run, (void)tile, (void)v, (void)n, (void)is_double, (void)line, (void)name;
}

void NDE_NAME(nde_hold)(NdeRun *run, int tile, void *v, size_t n, bool is_double)
{
    (void)run, (void)tile, (void)v, (void)n, (void)is_double;
}

static long double sigmoidl(long double a)
{
    return a < 0 ? expl(a) / (1 + expl(a)) : 1 / (1 + expl(-a));
}

static long double softplusl(long double a)
{
    return (a < 0 ? 0 : a) + log1pl(expl(-fabsl(a)));
}

#define FUNCTIONS(F) \
    F(tanh, 4)       \
    F(sigmoid, 4)    \
    F(softplus, 4) F(exp, 4) F(expm1, 4) F(log, 4) F(log1p, 4) F(sin, 4) F(cos, 4) F(erf, 4) F(sqrt, 0.5) F(fabs, 0)

#define WRAP(name, most)                             \
    static void lanes_##name(const Real *x, Real *y) \
    {                                                \
        Vec a;                                       \
        memcpy(&a, x, sizeof a);                     \
        a = v_##name(a);                             \
        memcpy(y, &a, sizeof a);                     \
    }                                                \
    static Real one_##name(Real x)                   \
    {                                                \
        return r_##name(x);                          \
    }
FUNCTIONS(WRAP)

#define ROW_OF(name, most) {#name, lanes_##name, one_##name, name##l, most},
static const struct {
    const char *name;
    void (*lanes)(const Real *, Real *);
    Real (*one)(Real);
    long double (*exact)(long double);
    double most; /* units in the last place */
} function[] = {FUNCTIONS(ROW_OF)};
enum { FUNCTION_COUNT = sizeof function / sizeof *function };

/* Units of the last place of the exact value; beyond the largest number, infinity counts as the next one. */
static double error_in_units(long double want, Real got)
{
    long double y = (long double)got, top = ldexpl(1, 2 - LEAST_EXPONENT);
    if (isnan(want) || isnan(got) || isinf(want))
        return (isnan(want) && isnan(got)) || y == want ? 0 : HUGE_VAL;
    y = isinf(got) ? copysignl(top, y) : y;
    want = fabsl(want) > top ? copysignl(top, want) : want;
    int scale = want != 0 && ilogbl(want) > LEAST_EXPONENT ? ilogbl(want) : LEAST_EXPONENT;
    bool is_sign_wrong = !isnan(want) && signbit(got) != signbit((Real)want);
    return is_sign_wrong ? HUGE_VAL : (double)(fabsl(y - want) * ldexpl(1, BITS_BEHIND - scale));
}

static void check_value(int f, Real x, Real got)
{
    double error = error_in_units(function[f].exact((long double)x), got);
    if (!(error <= function[f].most * 1.0001)) /* Check's own assertions take a microsecond each */
        ck_abort_msg("%s(%.17g) is %.17g, wrong by %.3f units", function[f].name, (double)x, (double)got, error);
}

/* Of LANES numbers: every lane, the same number alone, and the same bits in another lane beside other numbers. */
static void check_lanes(int f, const Real *x)
{
    Real y[LANES], turned[LANES], again[LANES];
    function[f].lanes(x, y);
    for (int l = 0; l < LANES; l++)
        turned[l] = l == 0 ? 1000000 : x[l - 1];
    function[f].lanes(turned, again);
    for (int l = 0; l < LANES; l++) {
        check_value(f, x[l], y[l]);
        check_value(f, x[l], function[f].one(x[l]));
        if (l > 0 && !isnan(y[l - 1]) && memcmp(&again[l], &y[l - 1], sizeof(Real)) != 0)
            ck_abort_msg("%s(%.17g) depends on its lane", function[f].name, (double)x[l - 1]);
    }
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11 ^ *state << 33;
}

/* For each exponent and sign, from zero to infinity: both ends, then numbers at random; many where functions bend. */
START_TEST(functions_are_right_everywhere)
{
    uint64_t state = 1;
    for (int e = 0; e < EXPONENTS; e++) {
        bool is_near = abs(e - EXPONENTS / 2) < 12;
        int n = is_near ? 16384 : EXPONENTS == 256 ? 1024 : 128;
        for (int k = 0; k < n; k += LANES) {
            Real x[LANES];
            for (int l = 0; l < LANES; l++) {
                static const LaneBits end[] = {0, 1, NDE_FRACTION, NDE_FRACTION / 2};
                LaneBits fraction = k + l < 8 ? end[(k + l) / 2] : (LaneBits)next_random(&state) & NDE_FRACTION;
                x[l] = r_real(((LaneBits)e << BITS_BEHIND) | fraction | ((k + l) % 2 ? NDE_BITS_SIGN : 0));
            }
            check_lanes(_i, x);
        }
    }
}
END_TEST

/* Where sin and cos are near 0: numbers beside multiples of pi / 2, past the end of the reduction. */
START_TEST(angles_are_right_beside_zeros)
{
    for (int f = 0; f < FUNCTION_COUNT; f++)
        for (int k = 1; function[f].exact == sinl || function[f].exact == cosl ? k < 200000 : 0; k += 1 + k / 512) {
            Real x[LANES], at = (Real)(k * 1.57079632679489661923132169163975144L);
            for (int l = 0; l < LANES; l++)
                x[l] = r_real(r_bits(at) + (LaneBits)l - LANES / 2);
            check_lanes(f, x);
        }
}
END_TEST

START_TEST(special_values_are_exact)
{
    const Real inf = (Real)INFINITY, nan = (Real)NAN;
    const struct {
        const char *name;
        Real x, y;
    } row[] = {{"tanh", inf, 1},       {"tanh", -inf, -1},  {"tanh", 30, 1},       {"sigmoid", inf, 1},
               {"sigmoid", -inf, 0},   {"sigmoid", 0, 0.5}, {"softplus", -inf, 0}, {"softplus", inf, inf},
               {"exp", 0, 1},          {"exp", -inf, 0},    {"exp", inf, inf},     {"expm1", -inf, -1},
               {"expm1", inf, inf},    {"log", 1, 0},       {"log", 0, -inf},      {"log", inf, inf},
               {"log", -1, nan},       {"log1p", -1, -inf}, {"log1p", inf, inf},   {"log1p", -2, nan},
               {"cos", 0, 1},          {"sin", inf, nan},   {"cos", -inf, nan},    {"erf", inf, 1},
               {"erf", -inf, -1},      {"sqrt", -1, nan},   {"sqrt", inf, inf},    {"fabs", -inf, inf},
               {"fabs", -(Real)0.0, 0}};
    static const char *const odd[] = {"tanh", "expm1", "log1p", "sin", "erf", "sqrt"};
    for (int f = 0; f < FUNCTION_COUNT; f++) {
        Real x[LANES], y[LANES];
        for (size_t k = 0; k < sizeof row / sizeof *row + sizeof odd / sizeof *odd + 1; k++) {
            size_t zero = k - sizeof row / sizeof *row;
            bool is_row = k < sizeof row / sizeof *row, is_odd = zero < sizeof odd / sizeof *odd;
            const char *name = is_row ? row[k].name : is_odd ? odd[zero] : function[f].name;
            Real want = is_row ? row[k].y : is_odd ? -(Real)0.0 : nan;
            if (strcmp(name, function[f].name) != 0)
                continue;
            for (int l = 0; l < LANES; l++)
                x[l] = is_row ? row[k].x : want;
            function[f].lanes(x, y);
            Real both[] = {y[LANES - 1], function[f].one(x[0])};
            for (int l = 0; l < 2; l++)
                ck_assert_msg(isnan(want) ? isnan(both[l]) : both[l] == want && !signbit(both[l]) == !signbit(want),
                              "%s(%g) is %g", name, (double)x[0], (double)both[l]);
        }
    }
}
END_TEST

static void change_lanes(const Real *a, const Real *b, const Real *c, Real *y)
{
    Vec va, vb, vc;
    memcpy(&va, a, sizeof va);
    memcpy(&vb, b, sizeof vb);
    memcpy(&vc, c, sizeof vc);
    va = v_tanh_change(va, vb, vc);
    memcpy(y, &va, sizeof va);
}

/* The change of tanh: to its last places for |c| <= 1, b being taken as it is given; beyond, as exact as the values.
 * The two meet in one vector. */
START_TEST(changes_of_tanh_are_right)
{
    uint64_t state = 7;
    for (int e = -60; e < 5; e++)
        for (int k = 0; k < 2048; k += LANES) {
            Real a[LANES], b[LANES], c[LANES], y[LANES];
            for (int l = 0; l < LANES; l++) {
                a[l] = (Real)((double)(next_random(&state) & 0xffff) / 0x8000 - 1);
                b[l] = r_tanh(a[l]);
                c[l] = (Real)ldexp(1 + (double)(next_random(&state) & 0xfffff) / 0x100000, l == 3 ? 1 : e);
                c[l] = (k + l) % 2 ? -c[l] : c[l];
            }
            change_lanes(a, b, c, y);
            for (int l = 0; l < LANES; l++) {
                long double t = tanhl((long double)c[l]), given = (long double)b[l];
                bool is_near = c[l] >= -1 && c[l] <= 1;
                long double want = is_near ? t * (1 - given * given) / (1 + given * t)
                                           : tanhl((long double)a[l] + (long double)c[l]) - given;
                long double error = fabsl((long double)y[l] - want) / (is_near ? fabsl(want) : 1);
                if (!(error <= 5 * ldexpl(1, -BITS_BEHIND)))
                    ck_abort_msg("a %.17g, c %.17g: %.17g, wrong by %.3Lg", (double)a[l], (double)c[l], (double)y[l],
                                 error);
                Real one = r_tanh_change(a[l], b[l], c[l]);
                if (!(fabsl((long double)one - want) <= 5 * ldexpl(1, -BITS_BEHIND) * (is_near ? fabsl(want) : 1)))
                    ck_abort_msg("a %.17g, c %.17g alone: %.17g", (double)a[l], (double)c[l], (double)one);
            }
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("math");
    TCase *tc = tcase_create("math");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, functions_are_right_everywhere, 0, FUNCTION_COUNT);
    tcase_add_test(tc, angles_are_right_beside_zeros);
    tcase_add_test(tc, special_values_are_exact);
    tcase_add_test(tc, changes_of_tanh_are_right);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
