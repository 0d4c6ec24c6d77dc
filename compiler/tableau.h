/* tableau.h: a `tableau` block while it is read: what tableau.c and carry.c share, and nobody else sees. */
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

extern const char *const part_name[];

/* Claims and exact coefficients. Matrices are row by row. */
typedef struct Method {
    Arena *arena;
    Diags *diags;
    RatLookup *lookup;
    void *context;
    const Node *node;
    const Node *part[PART_COUNT];
    bool is_broken; /* a message has been given */
    bool is_rounded;
    int stages, order, embedded, degree, interpolant_order;
    double stability;
    const Rat **c, **b, **bhat, **a, **interpolant; /* a: [stages][stages], interpolant: [stages][degree] */
    const Rat **slope, **state, **share;            /* what is carried, or NULL; share: [stages + 1] */
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

#endif
