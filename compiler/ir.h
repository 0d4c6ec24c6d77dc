/* ir.h: the intermediate representation: straight-line functions of one sample on dense arrays.
 *
 * A Fn is closed: whatever it uses is an argument or a leaf (OP_param, OP_data, ... in top-level functions only).
 * Values are indices into fn->ins; operands stand before their users. All control flow is in OP_call, OP_solve and
 * OP_solve_vjp, which own other functions. A type says whether a value exists once (shared) or once per sample. */
#ifndef NDEC_IR_H
#define NDEC_IR_H

#include "base.h"
#include "const.h"

enum {
    MAX_SIZE = 100000000 /* elements of one value */,
    MAX_RANK = 4,
    MAX_ARG = 3 /* of an operator row; concat, call and solve take any number */
};

typedef struct Type {
    bool is_batched; /* once per sample */
    int rank;
    int dim[MAX_RANK];
} Type;

typedef enum OpClass {
    CLASS_leaf,    /* inputs and constants */
    CLASS_map,     /* elementwise; a scalar operand combines with any shape */
    CLASS_form,    /* moves data: linear, no arithmetic */
    CLASS_reduce,  /* over axes of one sample */
    CLASS_product, /* matrix products */
    CLASS_batch,   /* across the batch */
    CLASS_region   /* owns functions */
} OpClass;

typedef enum Op {
#define LEAF(id, what) OP_##id,
#define MAP(id, n, value, rule, lo, hi, what) OP_##id,
#define CALL(id, n, kind, type, value, rule, lo, hi, what) OP_##id,
#define REGION(id, what) OP_##id,
#include "op.def"
#undef LEAF
#undef MAP
#undef CALL
#undef REGION
    OP_COUNT
} Op;

typedef uint32_t Val;
#define NO_VAL UINT32_MAX

typedef struct Fn Fn;
typedef struct Solve Solve;
typedef struct OpRules OpRules;
typedef struct SimplifyRules SimplifyRules;
typedef struct DifferenceRules DifferenceRules;
typedef struct Pair Pair;

/* What an instruction holds besides its operands; which fields count is said in op.def. */
typedef struct Imm {
    double num;          /* const */
    int index;           /* input, param, data, sample, setting, result: which; detach: its identity */
    int axis, from;      /* concat slice pad repeat sum_axis max_axis */
    Type to;             /* slice pad repeat reshape fill onehot: the shape of the result */
    int perm[MAX_RANK];  /* permute: axis i of the result is axis perm[i] of the operand */
    const double *array; /* array: a constant tensor, row-major, in the arena */
    Fn *fn;              /* call */
    Solve *solve;        /* solve, solve_vjp */
} Imm;

typedef struct Ins {
    Op op;
    Type type; /* of the result; of call, solve, solve_vjp: nothing (their results are OP_result) */
    int n_arg;
    Val *arg;
    Imm imm;
    Span span;
    const char *name; /* the user's, or NULL */
} Ins;

/* Inputs of a Fn are its first instructions, OP_input 0 .. n_in-1. */
struct Fn {
    const char *name; /* unique, a C identifier without the model's prefix */
    const char *note; /* one line for the reader of the generated code: what it is, with the signature */
    Span span;
    LIST(Ins) ins;
    int n_in;
    LIST(Val) out;
    LIST(const char *) out_name; /* parallel to out; entries may be NULL */
};

typedef enum AdjointKind {
    ADJOINT_discrete,
    ADJOINT_reversible, /* as discrete, but the reverse keeps no states: it forms them by `inverse` */
    ADJOINT_forward,    /* tangents are solved beside the states */
    ADJOINT_backsolve,
    ADJOINT_interpolating,
    ADJOINT_quadrature,
    ADJOINTS
} AdjointKind;
extern const char *const adjoint_name[ADJOINTS];
static inline bool adjoint_is_continuous(AdjointKind kind) /* a system of its own, not the derivative of the steps */
{
    return kind >= ADJOINT_backsolve;
}
typedef struct Tolerance {
    int set, n; /* the first of n settings: one for all components, or one for each; set -1: not given */
    Span span;
    Val *array; /* [state]: of many settings, in the program of the solve; NULL: not made yet */
} Tolerance;

extern const char *const adjoint_name[]; /* adjoint.c */

/* An operand of a solve that the gradient is taken of: a direction of tangents for each of its elements. */
typedef struct Direction {
    bool is_start; /* the start of state `index`; else argument `index` */
    int index, first;
} Direction;

/* A differential equation region. States u_i, carries c_j (what one accepted step hands to the next besides the state:
 * k1 of a method that is first-same-as-last, a second state), arguments p_k (whatever the equations use, shared or per
 * sample). Scalars t, h (signed step), theta are shared, or per sample if is_per_sample. `err` is the scaled norm of
 * the local error (1 = the tolerance).
 *
 *   init      (u.., t, p..)               -> c..
 *   guess     (u.., c.., t, span, p..)    -> h                the automatic initial step (Hairer, Norsett & Wanner
 *                                                             II.4), signed
 *   step      (u.., c.., t, h, p..)       -> u1.., c1.., err, q..
 *   step_keep (u.., c.., t, h, p..)       -> u1.., c1.., err, q.., d..    d: what dense needs (stage derivatives)
 *   dense     (u.., u1.., d.., h, theta)  -> u(t + theta h)..
 *   dense_rate (u.., u1.., d.., h, theta) -> u'(t + theta h).. of the model's states, if saves_rates
 *   scaled    (u.., c.., t, h, p..)       -> the local error of each measured state as written, over its tolerance
 *   lift      (u.., p..)                  -> the states the user wrote (NULL: they are u)
 *   inverse   (u1.., c1.., t, h, p..)     -> u.., c..         from the end of a step of h at t to its start; or NULL
 *
 * NULL where not needed (no error estimate: guess and scaled NULL, err a constant 0). */
struct Solve {
    const char *name;
    Span span;
    const Tableau *method;
    int n_state, n_carry, n_arg, n_quantity, n_dense; /* n_dense: number of d */
    /* States are those of the model, then what `regularize` integrates along the path, then, with `adjoint forward`,
     * tangents: for each state before them a vector of its derivatives, direction by direction. */
    int n_integral, n_tangent;
    LIST(Direction) directions;
    int n_direction; /* elements of all */
    const char **state_name;
    Type *state_type;     /* always batched */
    Type *user_type;      /* of the states as the user wrote them */
    int n_save;           /* saved times */
    int n_draw;           /* local times drawn in one solve: */
    int n_unbiased;       /* the first ones uniform in the span, the others starts of accepted steps (biased) */
    bool has_estimate;    /* adaptive */
    bool has_differences; /* stages and error estimates are formed from differences */
    bool is_per_sample; /* each sample has its own time, step size and error: t, h, err, q and counts are per sample */
    bool saves_dense;   /* each step keeps d, because times are saved */
    bool saves_exactly;
    bool saves_rates;                 /* in training: the saved times have a gradient */
    int arg_save, arg_count, arg_end; /* which p is the saved times, of the batch or (is_per_sample) of each sample;
                                       * how many of them count in each sample, the end of its span; -1: settings */
    int quantity_how[8];              /* for each q: 0 sum, 1 mean, 2 max over accepted steps */
    Fn *init, *guess, *step, *step_keep, *dense, *dense_rate, *scaled, *lift, *inverse;
    /* Settings (index into the settings table, -1: not given). */
    Tolerance atol, rtol;
    int set_t0, set_t1, set_fixed, set_initial, set_min, set_max, set_limit, set_save0,
        set_memory;      /* saves: n_save settings; memory: MiB of the tape, or its checkpoints */
    bool bound_is_slots; /* set_memory counts checkpoints */
    bool is_initial_warm;
    AdjointKind adjoint;
    bool is_seminorm;          /* gradients of arguments are no part of the error norm of the adjoint system */
    struct Backward *backward; /* the adjoint system; NULL: `adjoint discrete`, or nothing to differentiate */
    int n_extra, n_moment;     /* of an adjoint system: see Backward */
    double *moment;
    Fn *rate;
    bool is_learned;              /* the span has a learned bound: t runs from 0 to 1, and of p there are */
    int arg_start, arg_length;    /* its start and its length in the model's time */
    bool is_steered;              /* in training U(-b, b) is added to the end of the span and to the saved times: */
    int set_steer;                /* b */
    const char *controller;       /* row of control.def */
    int set_pid;                  /* settings: gains of pid; -1: those of the row */
    int *lifted; /* [n_state]: the carry that is the user's form of a reduced state, -1: not reduced; NULL: not given back */
    const char *reduction;        /* for `explain`: what reduce.c did, or why not */
    const char **state_reduction; /* the same for each state; NULL if it was not tried */
};
/* Operands of OP_solve: u0.., p...  Results, in this order (each one OP_result with imm.index):
 *   n_state   states at the end of the span
 *   n_state   saved series [n_save, shape..]                       (only if n_save > 0)
 *   n_state   their rates at these times, constants of the derivative       (only if saves_rates)
 *   n_draw x (n_state states at the drawn time, then t, then the time left (t1 - t, signed), then h of the step that
 *             contains t)                                                        scalars after the states
 *   n_quantity accumulated quantities                              scalars
 *   evaluations, accepted steps, rejected steps                    scalars
 * The scalars are shared, or per sample if is_per_sample; then there is one more, shared: the evaluations that were
 * executed, idle lanes counted, for each sample of the batch. Last, if lifted is there, the states at the end of the span
 * as the user wrote them, n_state, of the reduced ones only; they have no derivative.
 * The helpers below give the index. */
int solve_written(const Solve *s);  /* states of the model */
int solve_measured(const Solve *s); /* those and integrals: the states in the error norm */
int solve_end(const Solve *s, int state);
int solve_saved(const Solve *s, int state);
int solve_saved_rate(const Solve *s, int state);
int solve_lifted(const Solve *s, int state);
int solve_drawn(const Solve *s, int draw, int state);
int solve_drawn_time(const Solve *s, int draw);
int solve_drawn_left(const Solve *s, int draw);
int solve_drawn_step(const Solve *s, int draw);
int solve_quantity(const Solve *s, int q);
int solve_evaluations(const Solve *s);
int solve_accepted(const Solve *s);
int solve_rejected(const Solve *s);
int solve_executed(const Solve *s);
int solve_n_result(const Solve *s);

/* The adjoint system of a solve, which is solved backwards from the cotangents a at its end (Chen et al. 2018, appendix
 * B):  a' = -(df/du)^T a,  g' = -(df/dp)^T a  for each wanted argument p, and g at the start is the gradient. States of
 * `solve`: a.., u.. (backsolve), g.. (not quadrature). It has no guess. Its functions take n_extra values more in front
 * of p: the size of the cotangents, which the absolute tolerance is taken of; then the states of the solve at each
 * `moment`, a fraction of the step (interpolating, quadrature). init takes the states at t only.
 *   init (a.., u.., g.., t, u.., p..) -> c..
 *   step (a.., u.., g.., c.., t, h, size, u at moment 1.., u at moment 2.., .., p..) -> a1.., u1.., g1.., c1.., err
 *   rate (a.., t, u.., p..) -> g'..  (quadrature)
 *   record, again: as in SolveVjp, the residuals being d: what `dense` of the solve needs (not backsolve) */
typedef struct Backward {
    Solve *solve;
    bool *want; /* [n_arg] of the solve */
    Fn *record, *again;
} Backward;

/* The reverse of a solve for a set of wanted operands and seeded results. Operands of OP_solve_vjp: those of the solve
 * (u0.., p..), then the cotangents of the seeded results in order. imm.index: which entry of solve->vjps. Results: the
 * gradients of the wanted operands in order. States at the end are always seeds of step_vjp.
 *   record    (u.., c.., t, h, p..)   -> what step gives (step_keep, if it saves or seed_dense), residuals..
 *   again     (u.., c.., t, h, p..)   -> residuals..           where they were not kept; both NULL if there are none
 *   step_vjp  (u.., c.., t, h, p.., g of u1.., g of c1 (those in seed_carry).., g of q (seeded).., g of d (if
 * seed_dense).., residuals..)
 *             -> g of u.., g of c (in seed_carry).., g of the wanted p..
 *   dense_vjp (u.., u1.., d.., h, theta, g of u(t + theta h)..) -> g of u.., g of u1.., g of d..
 *   init_vjp  (u.., t, p.., g of c (in seed_carry)..)           -> g of u.., g of the wanted p..
 * dense_vjp is NULL if no saved or drawn state is seeded; init_vjp is NULL if no carry is in seed_carry. Gradients of
 * shared p are sums over samples: the generated code adds them to what is there. */
typedef struct SolveVjp {
    bool *want;       /* [n_state + n_arg] */
    bool *seed;       /* [solve_n_result] */
    bool *seed_carry; /* [n_carry] */
    bool seed_dense;
    int n_residual;
    Fn *step_vjp, *dense_vjp, *init_vjp;
    Fn *record, *again;
} SolveVjp;

/* Everything a stage needs of the compilation. */
typedef struct Module {
    Arena *arena;
    Diags *diags;
    LIST(Fn *) fns; /* in the order in which they were finished: callees first */
    LIST(Solve *) solves;
    LIST(SolveVjp *) vjps; /* imm.index of OP_solve_vjp */
    LIST(Pair *) pairs;    /* ad.c: what was derived already */
    OpRules *rules;        /* op.c: parsed rules */
    const SimplifyRules *simplify;
    const DifferenceRules *difference;
    int n_detach; /* identities given out */
} Module;

/* ---- op.c: the rows of op.def, expanded ---- */
typedef struct OpInfo {
    const char *name;
    OpClass op_class;
    int n_arg;         /* -1: any number */
    const char *value; /* C text over a b c, or NULL */
    const char *type;  /* CALL: the type rule's name */
    const char *rule;  /* derivative: one expression for each operand, separated by ';' */
    double lo, hi;     /* domain for tests */
    const char *what;
} OpInfo;
extern const OpInfo op_info[OP_COUNT];
int op_find(const char *name); /* -1 if there is none */
/* The type of the result, or false with a reason in `why` (256 bytes) that names the sizes. */
bool op_type(Op op, int n_arg, const Type *arg, const Imm *imm, Type *out, char *why);
/* Evaluates a map row on numbers. */
double op_eval_map(Op op, double a, double b, double c);
/* The gradient of operand k of instruction `ins` of `fn`: values appended to `to`, where map[v] is fn's value v in
 * `to`, y the result and g its cotangent in `to`. NO_VAL: no gradient. `use` is asked for each forward value that is
 * read. */
typedef Val RuleUse(void *context, Val v);
Val op_rule(Module *m, Fn *to, const Fn *fn, Val v, int k, Val g, RuleUse *use, void *context);

/* An expression over map rows as values of `to`; name gives the value of a name in it. */
typedef Val OpName(void *context, const char *name);
Val op_formula(Module *m, Fn *to, const struct Node *e, const Ins *ins, OpName *name, void *context);

/* ---- ir.c ---- */
Type type_real(bool is_batched, int rank, const int *dim);
Type type_scalar(bool is_batched);
int type_size(Type t); /* number of elements of one sample */
bool type_same_shape(Type a, Type b);
bool type_equal(Type a, Type b);
const char *type_text(Arena *a, Type t); /* "real[3, 2]" */

Fn *fn_new(Module *m, const char *name, Span span);
Val fn_input(Module *m, Fn *fn, Type type, const char *name);
/* Appends op; checks the operands with op_type and calls BUG if they do not fit (the checker has seen to it). */
Val fn_op(Module *m, Fn *fn, Op op, int n_arg, const Val *arg, Imm imm, Span span);
Val fn_op1(Module *m, Fn *fn, Op op, Val a);
Val fn_op2(Module *m, Fn *fn, Op op, Val a, Val b);
Val fn_const(Module *m, Fn *fn, double x);
Val fn_leaf(Module *m, Fn *fn, Op op, int index, Type type, const char *name);
/* A call: returns the instruction; its outputs with fn_result. */
Val fn_call(Module *m, Fn *fn, Fn *callee, int n_arg, const Val *arg, Span span);
Val fn_result(Module *m, Fn *fn, Val call, int index, Type type);
void fn_out(Module *m, Fn *fn, Val v, const char *name);
/* Appends instruction v of `from` to `to`, its operands through map; calls are expanded if `expands` (their results are
 * then found through the same map). map[v] becomes the new value. */
void fn_copy(Module *m, Fn *to, const Fn *from, Val v, Val *map, bool expands);
/* All instructions of `from` at the end of `to`, with `in` for its inputs: value of from -> value of to. */
Val *fn_append(Module *m, Fn *to, const Fn *from, const Val *in, bool expands);
/* fn without calls, canonical. */
Fn *fn_flat(Module *m, const Fn *fn, const char *name);
Type fn_type(const Fn *fn, Val v);
void fn_verify(const Fn *fn);         /* BUG on a broken invariant */
void fn_print(Text *t, const Fn *fn); /* --dump */
/* Adds a finished, canonical function to the module; if an equal one is there already (same text but for the name)
 * that one is returned. Makes the name unique. */
Fn *module_add(Module *m, Fn *fn);
/* Number of results and their types of a call, solve or solve_vjp. */
int region_n_result(const Module *m, const Ins *ins);
Type region_type(const Module *m, const Fn *fn, const Ins *ins, int index);

/* ---- canon.c ---- */
/* Dead code out, duplicates merged, simplify.def applied, numbered in the order a reader of the outputs meets them.
 * Inputs stay. */
Fn *canon(Module *m, const Fn *fn);

/* ---- ad.c ---- */
/* fn's reverse: (inputs of fn.., g of the seeded outputs..) -> (outputs of fn, if with_value).., gradients of the
 * wanted inputs... wanted[i] for inputs, seeded[j] for outputs. */
Fn *ad_vjp(Module *m, const Fn *fn, const char *name, const bool *wanted, const bool *seeded, bool with_value);
/* Does the reverse keep the value of an instruction, because it costs more than arithmetic to form it again? */
bool ad_is_kept(const Ins *ins);
/* The program without what only the derivative asks for: `instead` becomes its value. */
Fn *ad_finish(Module *m, const Fn *fn);
/* Appends to a function without calls the gradient of y . g with respect to x for each sample by itself: what is shared
 * takes no sum over the batch. */
Val ad_pull(Module *m, Fn *fn, Val x, Val y, Val g);
/* The same for the derivative of y with respect to x, times v. */
Val ad_push(Module *m, Fn *fn, Val x, Val y, Val v);
/* Appends to a top-level function the gradient of the shared scalar `loss` with respect to each wanted OP_param; fills
 * grad[param index] (NO_VAL: no gradient). */
void ad_gradient(Module *m, Fn *fn, Val loss, int n_param, const bool *wanted, Val *grad);

/* ---- difference.c ---- */
/* What fn changes by when the marked inputs change, evaluated from the changes themselves, so that a small change keeps
 * its relative accuracy.  base (inputs of fn..) -> residuals..  (with_value: outputs of fn.., residuals..);
 * change (what takes says: inputs of fn, residuals, changes of the marked inputs) -> changes of the outputs.., and of the
 * residuals.. if asked for. */
typedef struct Difference {
    Fn *base, *with_value, *change;
    int n_take, n_residual;
    const struct Takes *takes;
    const bool *moves; /* [n_residual]: does it change? */
} Difference;
Difference difference_of(Module *m, const Fn *fn, const bool *changed, bool of_residuals);

#endif
