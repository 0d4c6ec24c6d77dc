/* control.h: how the size of the next step follows from the error of the last ones.
 *
 * Owns: the rows of control.def and the memory of one solve's controller.
 * Elsewhere: who accepts and rejects, and the limits of a step (solve.c). */
#ifndef NDE_CONTROL_H
#define NDE_CONTROL_H

#include <stdbool.h>

/* Of two numbers; the second where the first is none. (fmax and fmin are calls.) */
static inline double nde_larger(double x, double y)
{
    return x > y ? x : y;
}

static inline double nde_smaller(double x, double y)
{
    return x < y ? x : y;
}

typedef enum NdeOrderKind { NDE_LOWER, NDE_ORDER } NdeOrderKind;

typedef struct NdeControl { /* a row of control.def */
    const char *name;
    NdeOrderKind kind;
    double b1, b2, b3, a1, a2, b0, safety, least, most, again, floor, start, stretch, caution, trust, lowest;
    const char *what;
} NdeControl;

typedef struct NdeController {
    const NdeControl *row; /* the caller's */
    double k;              /* K of control.def */
    double safety;         /* the row's or less */
    double before[2];      /* log2 of the norms of the steps before */
    double floor;          /* log2 of the row's */
    double size[2];        /* and their sizes; 0: there was none */
    bool is_after_rejection;
} NdeController;

const NdeControl *nde_control_find(const char *name); /* NULL: there is none */
/* The row `pid` with gains of one's own: what the present error, the sum of errors and their change contribute. */
NdeControl nde_control_pid(double p, double i, double d);
/* order and embedded: of the method and its error estimate. */
void nde_control_begin(NdeController *c, const NdeControl *row, int order, int embedded);
/* The factor for the next step after one of size h with scaled norm `err` >= 0 (not a number, or infinite: the least
 * factor); the step counts as accepted if err <= 1. */
double nde_control_factor(NdeController *c, double err, double h);

#endif
