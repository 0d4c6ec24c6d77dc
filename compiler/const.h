/* const.h: exact rational numbers and tableaus, what tableau blocks and `const` are made of. */
#ifndef NDEC_CONST_H
#define NDEC_CONST_H

#include <gmp.h>

#include "ast.h"

/* A rational that lives until rat_free_all (GMP keeps its own memory; main.c ends it with the compilation). Immutable
 * once made; passed by pointer. `is_exact` is false once an irrational function or an unrepresentable power was used:
 * then q holds the double nearest to it. */
typedef struct Rat {
    mpq_t q;
    bool is_exact;
} Rat;
const Rat *rat_parse(Arena *a, const char *digits); /* "1.4e-8", "28": exactly; NULL if the exponent is absurd */
const Rat *rat_int(Arena *a, long n);
const Rat *rat_double(Arena *a, double x); /* finite; not exact */
const Rat *rat_add(Arena *a, const Rat *x, const Rat *y);
const Rat *rat_sub(Arena *a, const Rat *x, const Rat *y);
const Rat *rat_mul(Arena *a, const Rat *x, const Rat *y);
const Rat *rat_div(Arena *a, const Rat *x, const Rat *y); /* NULL when y is 0 */
const Rat *rat_pow(Arena *a, const Rat *x,
                   const Rat *y); /* exact for integer |y| <= 64, else by pow(); NULL if not finite */
const Rat *rat_neg(Arena *a, const Rat *x);
int rat_sign(const Rat *x);
bool rat_is_int(const Rat *x, long *out);
double rat_to_double(const Rat *x); /* rounded to nearest, once */
void rat_free_all(void);

/* A Runge-Kutta method (Hairer, Norsett & Wanner 1993, II.1). Doubles are the exact values rounded once. The first
 * `stages` stages make the step; those behind them, up to all_stages, serve the interpolant alone. c, a and interpolant
 * have a row for each of all, b, e and e2 an entry for each of the step's. e = b - bhat, NULL without an embedded
 * method; e2 = b - bhat2, NULL without a second one. */
typedef struct Tableau {
    const char *name;
    Span span;
    int stages, all_stages, order;
    int embedded, second; /* orders of bhat and bhat2; 0: none */
    bool fsal;            /* last stage is the first of the next step: a_s = b, c_s = 1 */
    double stability;     /* extent of the stability region on the negative real axis, 0: not given */
    double *c, *b, *e, *e2;
    double **a;
    double *slope;         /* k_1 is carried: that of the next step is sum_j slope_j k_j; NULL: it is evaluated */
    double *state, *share; /* of a second state that is carried, see carry.c; share: [stages + 1]; NULL: none */
    bool is_reversible;    /* a step of -h from the end of one of h is the way back */
    int degree;            /* of the interpolant in theta, 0: none */
    double **interpolant;  /* [stage][degree]: coefficients of theta, theta^2, ... of b_i(theta) */
    int interpolant_order;
} Tableau;

/* Reads and proves a TABLEAU node: shapes of the rows, row sums, FSAL, the ends of the interpolant, every rooted-tree
 * order condition of b, bhat, bhat2 and interpolant up to the claimed orders; within what the digits of rounded
 * coefficients allow (tableau.h). Names in the rows are looked up with `lookup` (consts of the file). NULL after
 * reporting. */
typedef const Rat *RatLookup(void *context, const char *name);
const Tableau *tableau_check(Arena *a, Diags *d, const Node *node, RatLookup *lookup, void *context);
/* Evaluations of an attempted step, and those that dense output adds: stages of its own, or f at the end for the cubic.
 */
int tableau_evaluations(const Tableau *t);
int tableau_dense_evaluations(const Tableau *t);
/* Does the interpolant read the derivative of stage i? The cubic reads that of the first stage, and that at the end of
 * the step, which may be the last. */
bool tableau_reads_stage(const Tableau *t, int i);
int tableau_n_dense(const Tableau *t); /* derivatives that it reads of each state */
/* The order of the error estimate: that of bhat, or where two estimates are combined as e^2 / sqrt(e^2 + e2^2 / 100),
 * which falls like h^(2 (q + 1) - (q2 + 1)), one less than that power. */
int tableau_estimate_order(const Tableau *t);

/* The exact value of a scalar expression of numbers, names and + - * / ^, or NULL after reporting. */
const Rat *const_scalar(Arena *a, Diags *d, const Node *expr, RatLookup *lookup, void *context);

#endif
