/* plan.h: what a function becomes in C: parts, groups in order, and a place for each value.
 *
 * A *callee* is a C function over one tile, or over shared values if nothing in it is per sample. A *top-level*
 * function is cut by its sums over the batch into phases; phase p has a shared part S_p and then a tile part T_p.
 * Arrays below are indexed by value. */
#ifndef NDEC_PLAN_H
#define NDEC_PLAN_H

#include "ir.h"
#include "model.h"

typedef enum GroupKind {
    GROUP_loop,   /* maps over n elements, and sums of them, in one loop */
    GROUP_number, /* a map of shared numbers: one double */
    GROUP_kernel, /* one function of runtime/nde_kernel.h */
    GROUP_concat, /* copies into one array */
    GROUP_copy,   /* detach */
    GROUP_sum,    /* adds to a sum over the batch; of a per-sample product: an outer product */
    GROUP_add,    /* adds the operand of a pad, where it stands in the result, to a sum over the batch */
    GROUP_call,
    GROUP_solve /* solve or solve_vjp */
} GroupKind;

typedef struct Group {
    GroupKind kind;
    int n;           /* loop: elements */
    bool is_batched; /* in lanes */
    LIST(Val) ins;   /* ascending; one but for loops and sums of products */
    int scratch;     /* sum of products: row of the turned operands */
} Group;

typedef struct Part {
    int phase;
    bool is_tile;
    LIST(Group *) groups; /* in order */
    int rows, reals;      /* work memory: numbers of each sample; shared numbers behind them */
} Part;

typedef enum Where {
    WHERE_none,   /* needs no place: a call, an addition of sums, a product that is summed at once */
    WHERE_leaf,   /* input, number, parameter, data, ...: the instruction says where */
    WHERE_view,   /* elements of another value, from `offset` on */
    WHERE_local,  /* a variable of its loop, or a double of its C function */
    WHERE_work,   /* work memory at row or real `offset` */
    WHERE_kept,   /* the tile's memory between parts */
    WHERE_shared, /* the function's shared memory */
    WHERE_out     /* output `offset` itself */
} Where;

typedef struct Place {
    Where where;
    int offset;
    int scratch; /* out of a top-level function: row used where nobody wants the output */
    Val of;      /* view: the value that has memory */
} Place;

typedef enum Ride { RIDE_none, RIDE_map, RIDE_fold, RIDE_add } Ride; /* ride.c */
enum { RIDE_MOST = 512 /* elements of a sum over the batch that is collected in lanes */ };

typedef struct Pack { /* weights that a top-level function packs */
    Val weights;
    bool is_turned;   /* stored as inner size by rows */
    bool is_argument; /* of a solve: once while it runs */
    int phase;
} Pack;

typedef enum FnKind { FN_top, FN_tile, FN_shared } FnKind;

typedef struct PlanFn {
    const Fn *source; /* as the module has it */
    const Fn *fn;     /* with the calls that cannot stay expanded */
    FnKind kind;
    const char *name;  /* unique among planned functions */
    int n_set;         /* top-level: outputs from here on are added to what is there */
    int index;         /* top-level: in the model's table */
    bool is_called;    /* a callee that some function with C of its own calls */
    bool needs_inline; /* a callee whose sums are not linear parts of its outputs: callers expand it */
    bool *out_is_sum;  /* tile callee, shared outputs: added to (a part of a sum over the batch), not set */
    bool *is_part;     /* tile callee: shared values that are linear in sums over the batch */
    int *phase;        /* top-level: shared values: of S_p; per sample: of T_p */
    int *in_part;      /* part that computes the value (or absorbs it); -1: leaves, views, additions of sums */
    Val *root;         /* of a sum over the batch: the value whose accumulator it is added to; else NO_VAL */
    bool *is_absorbed; /* a per-sample product that is summed at once */
    int *n_use;        /* operands and outputs that are this value */
    int *group;        /* number of the group of its part that computes it, or -1 */
    Place *place;
    Val *host;      /* the concatenation in whose memory the value is made, or NO_VAL */
    Ride *ride;     /* small products and sums that are worked out in a loop */
    bool *is_laned; /* root: collected in vectors */
    LIST(Pack) packs;
    int *packed;  /* product: the pack that it reads, or -1 */
    int *sum_out; /* root: the output that is nothing but this sum, or -1 */
    int n_part;
    Part *part;      /* top-level: S_0, T_0, S_1, ..; a callee has one */
    int rows, reals; /* work memory with callees */
    int spare;       /* top-level: shared numbers that shared callees need as work memory */
    double flops;    /* of one sample */
} PlanFn;

typedef struct Plan {
    const Model *model;
    Module *m;
    bool is_double;     /* the number type to emit for */
    LIST(PlanFn *) fns; /* callees before their callers */
} Plan;

/* ---- plan.c ---- */
Plan *plan_build(const Model *model);
/* NULL if the model has no such top-level function. */
PlanFn *plan_find(const Plan *p, const Fn *source, int n_set);
/* The product under a sum over the batch, if it is not formed; else NO_VAL. */
Val plan_absorbed(const PlanFn *f, Val v);
const SolveVjp *plan_vjp_of(const Model *model, const Solve *s); /* NULL: it is not reversed */
bool plan_runs_solve(const Model *model, const Solve *s); /* does a program run it, or its reverse? */
/* The solve that a reverse solve of some program belongs to; NULL if no program runs it. */
const Solve *plan_solve_of(const Model *model, int vjp);
/* Outputs of step_vjp that are set: gradients of states and carries; the rest is collected over the steps. */
int plan_step_vjp_set(const Solve *s, const SolveVjp *vjp);
PlanFn *plan_callee(Plan *p, const Fn *fn);
PlanFn *plan_top(Plan *p, const Fn *fn, int n_set);
bool plan_has_products(const Plan *p); /* does a top-level function run a product kernel on samples? */
int plan_size(const PlanFn *f, Val v);
bool plan_is_number(const PlanFn *f, Val v); /* shared, one element: a double */
bool plan_is_leaf(const PlanFn *f, Val v);
bool plan_is_region(Op op);
bool plan_is_tile_fn(const Fn *fn); /* is anything in it per sample? */
bool plan_is_tile_call(const Ins *ins);
bool plan_is_map(Op op);                             /* elementwise in a loop: map rows, fill, bcast */
bool plan_is_view(const Fn *fn, Val v, int *offset); /* some elements of its operand, in place */
bool plan_has_group(const PlanFn *f, Val v);         /* is computed by a group of its own or of a loop */
/* Adds to the accumulator of its root: a sum, a padded part of one, or a result of a call. */
bool plan_is_contribution(const PlanFn *f, Val v);
/* The value that has memory for v, and the element at which v begins in it. */
Val plan_base(const PlanFn *f, Val v, int *offset);
/* That value if v is all of it, else v. */
Val plan_same(const PlanFn *f, Val v);
/* Result `index` of a call or solve, or NO_VAL. */
Val plan_result(const PlanFn *f, Val call, int index);
void plan_print(Text *t, const Plan *p); /* --dump=plan */

/* ---- expand.c: fn with the calls expanded that cannot stay; is_top: in a top-level function ---- */
const Fn *plan_expand(Plan *p, const Fn *fn, bool is_top);

/* ---- group.c: which instructions share a loop, and the order of everything in a part ---- */
void group_part(Plan *p, PlanFn *f, int part);

/* ---- ride.c: small products and sums inside loops ---- */
void ride_fn(Plan *p, PlanFn *f);
int plan_ride_size(const PlanFn *f, Val v);       /* elements of the loop */
const Ins *plan_ride_ins(const PlanFn *f, Val v); /* the instruction whose operands are read: an absorbed product */
Val plan_ride_element(const PlanFn *f, Val v);    /* the operand that is read element by element, or NO_VAL */

/* ---- recall.c: what of a solve's steps is read when they are long over; v: its reverse, or NULL ---- */
bool plan_reads_dense(const Solve *s, const SolveVjp *v); /* does dense_vjp need the values of d? */
/* [n_state + n_carry]: is it read by the reverse, where a state of an accepted step is drawn, or where such a state is
 * formed again from one before it? */
const bool *plan_read_back(Arena *a, const Solve *s, const SolveVjp *v);

/* ---- pack.c: weights in the order in which products read them ---- */
void pack_fn(Plan *p, PlanFn *f);

/* ---- store.c: a place for each value ---- */
void store_fn(Plan *p, PlanFn *f);

#endif
