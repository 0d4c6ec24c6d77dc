/* reduce.h: what reduce.c decides and lift.c builds. Nobody else includes it. */
#ifndef NDEC_REDUCE_H
#define NDEC_REDUCE_H

#include "checker.h"

typedef struct Factor { /* c as a product of scalars and their inverses */
    Val scalar;
    bool divides;
    const struct Factor *next;
} Factor;

typedef struct Part { /* c R x; x NO_VAL: the vector R of parameters */
    Val right, x;
    const Factor *factor;
    bool is_negative;
} Part;

typedef struct Whole { /* c u_k */
    int state;
    const Factor *factor;
    bool is_negative;
} Whole;

typedef struct Rate { /* a right-hand side as a sum of such terms */
    bool is_sum;
    LIST(Part) parts;
    LIST(Whole) wholes;
    int size; /* of all x of its parts */
} Rate;

typedef struct Lefts {
    LIST(Val) at; /* the distinct L of a state */
    int size;     /* rows of all */
} Lefts;

typedef struct Choice { /* which states are reduced, and what follows from it */
    bool *is_reduced;
    const char **why; /* [state]: why it is not */
    bool *is_read;    /* [value of flat]: the reduced field needs it */
    Lefts *left;      /* [state] */
    bool **block;     /* [i][j]: R_j is among the directions of u_i */
    bool **origin;    /* [i][k]: z_k is */
    double cost;
} Choice;

typedef struct Reduce {
    Check *c;
    Module *m;
    Builder *main;
    Solve *solve;
    Keys *keys;
    int n; /* states */
    Fn *field;
    Fn *flat;     /* the field with calls expanded and products of joined vectors split */
    int *depends; /* 0: on parameters only; 1: also on t or values of a sample; 2: also on a state */
    Rate *rate;   /* [state] */
    Choice choice;
    Val *hoisted; /* value of flat -> value of the main program */
} Reduce;

/* ---- reduce.c ---- */
bool reduce_is_left(const Reduce *r, Val v); /* L u_k, u_k reduced or not */
/* Where the numbers of R_j begin in s_i (j = n: how many there are of all R), and behind them that of z_k (k = n: how
 * many there are in all). */
int reduce_block_at(const Reduce *r, int i, int j);
int reduce_origin_at(const Reduce *r, int i, int k);

/* ---- lift.c ---- */
Reduction *reduce_build(Reduce *r, const Val *start);
Fn *reduce_split(Reduce *r); /* r->flat as the field of the user's states, slices of parameters being arguments of it */

#endif
