/* ad.h: what the two modes of differentiation share: pairs of functions, and how one hands values to the other.
 * Between ad.c and difference.c. */
#ifndef NDEC_AD_H
#define NDEC_AD_H

#include "ir.h"

typedef enum TakesKind { TAKES_ARG, TAKES_SEED, TAKES_RESIDUAL } TakesKind;
typedef struct Takes {
    TakesKind kind;
    int index;
} Takes;

/* A function in two parts: `fwd`, its outputs and what the second part needs to know (residuals), and `bwd`. */
struct Pair {
    const Fn *fn;
    bool is_difference;
    bool *want, *seed; /* difference: want is the changed inputs, seed is NULL */
    bool *moves;       /* difference with the changes of residuals, [residual]: does it change? Else NULL */
    Fn *fwd, *bwd;
    LIST(Takes) takes; /* what bwd's inputs are; a seed is a cotangent, or the change of an input */
    int n_want;        /* bwd's outputs */
};

typedef struct Active {
    bool *value; /* depends on a wanted input ... */
    bool *live;  /* ... and a seeded output depends on it */
} Active;

typedef struct Sweep {
    Module *m;
    Fn *from; /* the function, its active calls replaced by their fwd */
    Fn *to;   /* where the second part goes; may be `from` itself */
    int n;    /* instructions of `from` when the sweep began */
    Active a;
    Pair **pair;    /* of each active call */
    Val *cotangent; /* [n], values of to: cotangents, or changes */
    Val *stand_in;  /* [n]: what is computed in place of the value (`instead`), or NO_VAL */
    Val *copy;      /* [room]: pair mode: value of from -> value of to */
    int room;
    bool *is_needed;   /* [room]: pair mode, second time: residuals of the first time */
    int *seen, search; /* [room]: values met by the search with this number */
    Pair *result;      /* pair mode: what is being made; NULL if to == from */
    bool is_each;      /* cotangents are those of one sample: no sums over the batch, no broadcasts */
    LIST(Val) residual;
} Sweep;

/* Adds to value, [fn->ins.n], all that depends on what is marked in it. */
void ad_depends(Module *m, const Fn *fn, bool *value);
/* Which outputs depend on the wanted inputs (out), or which wanted inputs reach the seeded outputs (in); either may be
 * NULL. */
void ad_reach(Module *m, const Fn *fn, const bool *want, const bool *seed, bool *out, bool *in);
/* fn's reverse in two parts, for a function of which no other pair is made. */
Pair *ad_pair(Module *m, const Fn *fn, const bool *want, const bool *seed);
/* The reverse of a solve. Takes back the wish for arguments that no seeded result depends on, such as those of the
 * error norm alone. */
SolveVjp *ad_solve_reverse(Module *m, const Solve *s, bool *want, const bool *seed);
/* The same through the adjoint system, whose wishes those of arguments become. */
SolveVjp *ad_solve_backward(Module *m, const Solve *s, bool *want, const bool *seed);
/* `adjoint forward`: the gradient of all directions, a vector of each sample, from the tangents at the seeded results
 * of the solve v and their cotangents; NO_VAL if there is none. */
Val ad_solve_forward(Module *m, Fn *to, Val v, const Val *g);
Sweep sweep_new(Module *m, Fn *from, Fn *to);
/* An input of s->to. */
Val sweep_take(Sweep *s, TakesKind kind, int index, Type type, const char *name);
/* The forward value v where the second part stands: an argument, formed again, or a residual. context: a Sweep. */
Val sweep_use(void *context, Val v);
/* Operand i of bwd of the pair at call v: an argument or a residual of that call. */
Val sweep_operand(Sweep *s, Val v, const Pair *p, int i);
Val sweep_zero(Module *m, Fn *to, Type t);
Fn *sweep_copy(Module *m, const Fn *fn, const char *name);
/* bwd with its inputs in front and without those that it does not read; p->takes follows. */
Fn *sweep_inputs_first(Module *m, const Fn *fn, Pair *p);

#endif
