/* tableau.h: a tableau block while it is read and proved; shared by tableau.c, proof.c and carry.c, and seen by no
 * other. */
#ifndef NDEC_TABLEAU_H
#define NDEC_TABLEAU_H

#include "const.h"

#define MOST_ORDER 9

/* What may stand in the block: PART(name, kind of node). */
#define PARTS(PART)         \
    PART(order, CLAUSE)     \
    PART(fsal, CLAUSE)      \
    PART(stability, CLAUSE) \
    PART(c, ROW)            \
    PART(a, ROW)            \
    PART(b, ROW)            \
    PART(bhat, ROW)         \
    PART(bhat2, ROW)        \
    PART(interpolant, ROW)  \
    PART(slope, ROW)        \
    PART(state, ROW)        \
    PART(share, ROW)

typedef enum Part {
#define PART(name, kind) PART_##name,
    PARTS(PART)
#undef PART
        PART_COUNT
} Part;
extern const char *const part_name[PART_COUNT];

/* Claims and exact coefficients. Matrices are row by row. Weights are those of b, bhat, bhat2, slope or state. */
typedef struct Weights {
    int order;         /* as claimed, 0: none */
    const Rat **value; /* [stages] */
} Weights;
typedef struct Method {
    Arena *arena;
    Diags *diags;
    RatLookup *lookup;
    void *context;
    const Node *node;
    const Node *part[PART_COUNT];
    bool is_broken;     /* a message has been given */
    int rounded_digits; /* the fewest of a rounded coefficient, 0: all are exact */
    int stages, all_stages, degree;
    int dense, interpolant_order; /* as claimed, 0: not; as proved */
    double stability;
    Weights weights[PART_COUNT];       /* of the parts b, bhat, bhat2, slope, state */
    const Rat **c, **a, **interpolant; /* [all_stages], a: by all_stages, interpolant: by degree */
    const Rat **share;                 /* [stages + 1], or NULL */
} Method;

#define REPORT(m, id, span, ...) ((m)->is_broken = true, DIAG_AT((m)->diags, id, (span), __VA_ARGS__))

/* The row of n numbers, or NULL if there is none or after reporting. */
const Rat **tableau_row(Method *m, Part part, int n);

/* ---- carry.c ---- */
/* The rows of what is carried, which make a table of stages a general linear method. */
void carry_read(Method *m);
/* That errors of what is carried do not grow; its order conditions are proved with those of b. */
void carry_prove(Method *m);
/* Is the step of -h from its end the way back, exactly? */
bool carry_is_reversible(const Method *m);

/* ---- proof.c ---- */
/* What a condition may miss, as a part of the same sum over absolute values: terms of size 100 that cancel leave 100
 * times the error. Correct published tables of doubles are within 10^-14 of that sum, a wrong digit of a coefficient is
 * far outside; coefficients of more digits must meet the conditions to theirs, and exact ones to 2^-256. */
double proof_tolerance(const Method *m);
/* All conditions of a method that was read; reports. */
void prove(Method *m);
/* The first stage whose weight differs between the last row of a and b, from 0, or -1: then the last stage is the
 * first of the next step, for its c is the row sum, which order 1 makes 1. */
int fsal_difference(const Method *m);

#endif
