/* const.c: exact rational numbers and the constant expressions made of them.
 *
 * Owns: the GMP memory of every Rat, until rat_free_all.  Needs: expression nodes.  Gives: values that are exact as
 * long as only + - * / and whole powers were used, and that are rounded to a double once, at the end.
 * Elsewhere: what a tableau proves with them (tableau.c), vectors and functions of constants (check.c). */
#include "const.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A constant of more bits than this is no longer a coefficient that somebody published: it is rounded to a double, so
 * that repeated squaring cannot eat the memory. */
#define MOST_BITS 65536
/* A decimal exponent beyond this is far outside of the range of double on either side. */
#define MOST_EXPONENT 400
#define MOST_POWER 64

/* Rats live in arenas, which know nothing of the limbs behind them: this list is what frees the limbs. */
static struct {
    mpq_t *at;
    size_t n, room;
} kept;

static size_t bits(const mpq_t q)
{
    return mpz_sizeinbase(mpq_numref(q), 2) + mpz_sizeinbase(mpq_denref(q), 2);
}

/* Nearest double, ties to even. mpq_get_d would cut off. The quotient is taken to 54 or 55 bits; what the division
 * leaves over only matters in a tie. */
static double nearest(mpq_srcptr q)
{
    if (mpq_sgn(q) == 0)
        return 0;
    long shift = (long)mpz_sizeinbase(mpq_numref(q), 2) - (long)mpz_sizeinbase(mpq_denref(q), 2) - 54;
    mpz_t n, d, rest;
    mpz_init(n);
    mpz_init(rest);
    mpz_init_set(d, mpq_denref(q));
    mpz_abs(n, mpq_numref(q));
    if (shift < 0)
        mpz_mul_2exp(n, n, (mp_bitcnt_t)-shift);
    else
        mpz_mul_2exp(d, d, (mp_bitcnt_t)shift);
    mpz_tdiv_qr(n, rest, n, d);
    long highest = shift + (long)mpz_sizeinbase(n, 2) - 1;
    uint64_t quotient = 0;
    mpz_export(&quotient, NULL, -1, sizeof quotient, 0, 0, n);
    bool is_inexact = mpz_sgn(rest) != 0;
    mpz_clear(n);
    mpz_clear(d);
    mpz_clear(rest);

    if (highest > 1023)
        return mpq_sgn(q) * HUGE_VAL;
    long unit = highest - 52 > -1074 ? highest - 52 : -1074; /* the last place; subnormals share one */
    long drop = unit - shift;
    if (drop > 56)
        return 0; /* less than half of the smallest subnormal */
    uint64_t kept_part = quotient >> drop, lost = quotient & ((UINT64_C(1) << drop) - 1);
    uint64_t half = UINT64_C(1) << (drop - 1);
    if (lost > half || (lost == half && (is_inexact || kept_part % 2 == 1)))
        kept_part++;
    return mpq_sgn(q) * ldexp((double)kept_part, (int)unit);
}

static void keep(const mpq_t q)
{
    if (kept.n == kept.room) {
        kept.room = kept.room ? 2 * kept.room : 256;
        mpq_t *at = realloc(kept.at, kept.room * sizeof *at);
        if (!at)
            BUG("no memory for %zu constants", kept.room);
        kept.at = at;
    }
    kept.at[kept.n++][0] = q[0];
}

/* Takes q over. Rounds it if an operand was not exact or if it has grown too long. What is beyond the range of double
 * becomes a short number that is, too, for const_scalar to tell. */
static const Rat *finish(Arena *a, mpq_t q, bool is_exact)
{
    if (bits(q) > MOST_BITS)
        is_exact = false;
    if (!is_exact) {
        double x = nearest(q);
        mpq_set_d(q, isfinite(x) ? x : copysign(DBL_MAX, x));
        if (!isfinite(x))
            mpq_mul_2exp(q, q, 1);
    }
    keep(q);
    Rat *rat = ARENA_NEW(a, Rat, 1);
    rat->q[0] = q[0];
    rat->is_exact = is_exact;
    return rat;
}

void rat_free_all(void)
{
    for (size_t i = 0; i < kept.n; i++)
        mpq_clear(kept.at[i]);
    free(kept.at);
    memset(&kept, 0, sizeof kept);
}

/* Reads `1`, `1.5`, `1.5e-3`: digits into *mantissa, the power of ten that multiplies them into *exponent. */
static bool read_decimal(const char *digits, char *mantissa, long *exponent)
{
    size_t n = 0;
    long fraction = 0;
    bool is_fraction = false;
    const char *s = digits;
    for (; (*s >= '0' && *s <= '9') || (*s == '.' && !is_fraction); s++) {
        if (*s == '.') {
            is_fraction = true;
            continue;
        }
        mantissa[n++] = *s;
        fraction += is_fraction;
    }
    mantissa[n] = '\0';
    long power = 0;
    if (*s == 'e' || *s == 'E') {
        char *end;
        power = strtol(s + 1, &end, 10);
        if (end == s + 1 || power > MOST_EXPONENT || power < -MOST_EXPONENT)
            return false;
        s = end;
    }
    *exponent = power - fraction;
    return n > 0 && *s == '\0';
}

const Rat *rat_parse(Arena *a, const char *digits)
{
    char *mantissa = arena_alloc(a, strlen(digits) + 1);
    long exponent;
    if (!read_decimal(digits, mantissa, &exponent))
        return NULL;
    mpq_t q;
    mpz_t scale;
    mpq_init(q);
    mpz_init(scale);
    mpz_set_str(mpq_numref(q), mantissa, 10);
    mpz_ui_pow_ui(scale, 10, (unsigned long)labs(exponent));
    if (exponent < 0)
        mpz_set(mpq_denref(q), scale);
    else
        mpz_mul(mpq_numref(q), mpq_numref(q), scale);
    mpq_canonicalize(q);
    mpz_clear(scale);
    return finish(a, q, true);
}

const Rat *rat_int(Arena *a, long n)
{
    mpq_t q;
    mpq_init(q);
    mpq_set_si(q, n, 1);
    return finish(a, q, true);
}

const Rat *rat_double(Arena *a, double x)
{
    if (!isfinite(x))
        BUG("a constant is not finite");
    mpq_t q;
    mpq_init(q);
    mpq_set_d(q, x);
    return finish(a, q, false);
}

typedef void Binary(mpq_t, const mpq_t, const mpq_t);

static const Rat *binary(Arena *a, Binary *operation, const Rat *x, const Rat *y)
{
    mpq_t q;
    mpq_init(q);
    operation(q, x->q, y->q);
    return finish(a, q, x->is_exact && y->is_exact);
}

const Rat *rat_add(Arena *a, const Rat *x, const Rat *y)
{
    return binary(a, mpq_add, x, y);
}

const Rat *rat_sub(Arena *a, const Rat *x, const Rat *y)
{
    return binary(a, mpq_sub, x, y);
}

const Rat *rat_mul(Arena *a, const Rat *x, const Rat *y)
{
    return binary(a, mpq_mul, x, y);
}

const Rat *rat_div(Arena *a, const Rat *x, const Rat *y)
{
    return mpq_sgn(y->q) == 0 ? NULL : binary(a, mpq_div, x, y);
}

const Rat *rat_neg(Arena *a, const Rat *x)
{
    mpq_t q;
    mpq_init(q);
    mpq_neg(q, x->q);
    return finish(a, q, x->is_exact);
}

const Rat *rat_pow(Arena *a, const Rat *x, const Rat *y)
{
    long n;
    if (mpq_sgn(x->q) == 0 && mpq_sgn(y->q) < 0)
        return NULL;
    if (!rat_is_int(y, &n) || labs(n) > MOST_POWER || bits(x->q) * (size_t)labs(n) > MOST_BITS) {
        double power = pow(rat_to_double(x), rat_to_double(y));
        return isfinite(power) ? rat_double(a, power) : NULL;
    }
    mpq_t q;
    mpq_init(q);
    mpz_pow_ui(mpq_numref(q), mpq_numref(x->q), (unsigned long)labs(n));
    mpz_pow_ui(mpq_denref(q), mpq_denref(x->q), (unsigned long)labs(n));
    if (n < 0)
        mpq_inv(q, q);
    return finish(a, q, x->is_exact && y->is_exact);
}

int rat_sign(const Rat *x)
{
    return mpq_sgn(x->q);
}

bool rat_is_int(const Rat *x, long *out)
{
    if (mpz_cmp_ui(mpq_denref(x->q), 1) != 0 || !mpz_fits_slong_p(mpq_numref(x->q)))
        return false;
    *out = mpz_get_si(mpq_numref(x->q));
    return true;
}

double rat_to_double(const Rat *x)
{
    return nearest(x->q);
}

/* ---- expressions ---- */

typedef struct Scalar {
    Arena *arena;
    Diags *diags;
    RatLookup *lookup;
    void *context;
} Scalar;

static const Rat *scalar(const Scalar *s, const Node *expr);

static const Rat *scalar_number(const Scalar *s, const Node *expr)
{
    const Rat *value = rat_parse(s->arena, expr->text);
    if (!value)
        DIAG_AT(s->diags, CONST_EXPONENT, expr->span, expr->text);
    return value;
}

static const Rat *scalar_name(const Scalar *s, const Node *expr)
{
    const Rat *value = s->lookup ? s->lookup(s->context, expr->text) : NULL;
    if (!value)
        DIAG_AT(s->diags, CONST_NAME, expr->span, expr->text);
    return value;
}

static const Rat *scalar_binary(const Scalar *s, const Node *expr)
{
    static const char operators[] = "+-*/^";
    if (strlen(expr->text) != 1 || !strchr(operators, expr->text[0])) {
        DIAG_PLAIN(s->diags, CONST_KIND, expr->span);
        return NULL;
    }
    const Rat *left = scalar(s, expr->kid[0]), *right = scalar(s, expr->kid[1]);
    if (!left || !right)
        return NULL;
    switch (expr->text[0]) {
    case '+': return rat_add(s->arena, left, right);
    case '-': return rat_sub(s->arena, left, right);
    case '*': return rat_mul(s->arena, left, right);
    case '/':
        if (rat_sign(right) == 0)
            DIAG_PLAIN(s->diags, CONST_DIVISION, expr->kid[1]->span);
        return rat_div(s->arena, left, right);
    default: {
        const Rat *power = rat_pow(s->arena, left, right);
        if (!power)
            DIAG_PLAIN(s->diags, CONST_POWER, expr->span);
        return power;
    }
    }
}

static const Rat *scalar(const Scalar *s, const Node *expr)
{
    const Rat *value = NULL;
    if (expr->kind == NODE_NUMBER) {
        value = scalar_number(s, expr);
    } else if (expr->kind == NODE_NAME) {
        value = scalar_name(s, expr);
    } else if (expr->kind == NODE_BINARY) {
        value = scalar_binary(s, expr);
    } else if (expr->kind == NODE_NEG) {
        value = scalar(s, expr->kid[0]);
        value = value ? rat_neg(s->arena, value) : NULL;
    } else if (expr->kind != NODE_ERROR) { /* an ERROR has had its message */
        DIAG_PLAIN(s->diags, CONST_KIND, expr->span);
    }
    if (value && !isfinite(rat_to_double(value))) {
        DIAG_PLAIN(s->diags, CONST_RANGE, expr->span);
        return NULL;
    }
    return value;
}

const Rat *const_scalar(Arena *a, Diags *d, const Node *expr, RatLookup *lookup, void *context)
{
    return scalar(&(Scalar){a, d, lookup, context}, expr);
}
