/* nde.h: the whole interface between generated code and the runtime. Nothing else is public.
 *
 * Generated code consists of functions over tiles and of constant tables that describe them; the runtime owns all
 * memory, all loops over tiles, steps and batches, and all input and output. The runtime is compiled once for each
 * number type (NDE_REAL float or double); every external name carries the type as a suffix, so both fit one program.
 *
 * Layout. Real is the number type. A tile holds TILE = model->tile samples. A per-sample array of n numbers is stored
 * as [tile][n][TILE]; lanes behind the last sample of the batch repeat it, and the mask is 0 there. A shared array is
 * [n] Reals; a shared value of exactly one element, whatever its rank (a bias of one unit too), is ONE DOUBLE (time, step
 * sizes, norms, losses and settings are always double). In the flat parameter block everything is Real.
 * Tiles belong to groups; sums over the batch are formed group by group in the order of tiles and then over groups in
 * order, so they do not depend on the number of threads. */
#ifndef NDE_H
#define NDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef NDE_DOUBLE
typedef double Real;
#define NDE_NAME(name) name##_f64
#else
typedef float Real;
#define NDE_NAME(name) name##_f32
#endif

enum { NDE_MAX_TERMS = 8 /* of one sum of products */ };

/* Where an array is: tile k begins at (char *)at + k * step bytes; step 0 for a shared one. at may be NULL for an
 * output that nobody wants. */
typedef struct NdeRef {
    void *at;
    size_t step;
} NdeRef;

typedef struct NdeValue { /* what an input or output of a function is */
    int n;                /* elements (of one sample) */
    bool is_batched;
} NdeValue;

typedef struct NdeRun NdeRun;

/* One invocation of a top-level function. */
typedef struct NdeFrame {
    NdeRun *run;
    const NdeRef *in;
    const NdeRef *out;
    void *shared; /* the function's shared values: fn->shared_bytes */
    char *kept;   /* its per-tile values that outlive a part: fn->kept_bytes for each tile */
    char *sum;    /* its sums over the batch: fn->sum_bytes for each group */
    bool is_fresh; /* the function's first run in a solve or in its reverse: what depends on their arguments alone is new */
    long solve;    /* the runtime's: the number of the solve of the last run */
} NdeFrame;

/* What a part that works on one tile is given. */
typedef struct NdeTile {
    const NdeFrame *frame;
    NdeRun *run;
    int tile;
    char *kept;       /* this tile's */
    char *sum;        /* this group's: the part adds to it */
    char *work;       /* this thread's scratch memory, fn->work_bytes, 64-byte aligned */
    const Real *mask; /* [TILE]: 1, or 0 behind the last sample */
} NdeTile;

typedef void NdeTilePart(NdeTile *at);
typedef int NdeSharedPart(NdeFrame *frame); /* 0, or the exit code of a solve that failed */

/* A sum over the batch that a tile part forms. After the part the runtime adds the groups up in order and stores the
 * result in the shared values, or in an output (out >= 0) where the sum is nothing but that output. */
typedef struct NdeSum {
    size_t from;     /* byte offset in a group's sums; doubles if n is 1, else Reals */
    int n;
    int out;         /* output index, or -1 */
    size_t to;       /* byte offset in the shared values, if out is -1 */
    int lanes;       /* Reals of each element, which are added up when the sum is read; 0 is 1 */
} NdeSum;

/* A phase: first the shared part, then the tile part for all tiles, then its sums. Either may be NULL. */
typedef struct NdePart {
    NdeSharedPart *shared;
    NdeTilePart *tile;
    const NdeSum *sum;
    int n_sum;
} NdePart;

/* A top-level function. Outputs 0 .. n_set-1 are set. The others are added to what is there: shared and per-sample
 * gradients of a vjp, which collects over many steps. */
typedef struct NdeFn {
    const char *name;
    int n_in, n_out, n_set;
    const NdeValue *in, *out;
    int n_part;
    const NdePart *part;
    size_t shared_bytes, kept_bytes, sum_bytes, work_bytes;
    double flops;    /* of one sample, about: to choose threads and for `explain` */
    int index;       /* in model->fn */
} NdeFn;

/* What the latency form of a solve (runtime/nde_latency.h) is given, and the counts that it gives back. The controller
 * of control.def in the log2 domain of the squared norm: log2 of a factor is
 *   safety - b1 log2(E^2) + b2 log2(E1^2) - b3 log2(E2^2) - a1 log2(h/h1) - a2 log2(h1/h2),
 * held in [factor_least, factor_most or factor_again]; b0 in place of b1 after a rejection. */
typedef struct NdeLatency {
    double t0, t1, least, most, fixed, initial;
    long limit;
    double safety, b1, b2, b3, a1, a2, b0, factor_least, factor_most, factor_again, floor, start, stretch;
    double caution, trust, lowest; /* of the safety */
    const double *save; /* saved times */
    void *work;         /* solve->latency_bytes, 64-byte aligned */
    long accepted, rejected;
} NdeLatency;

/* Solves for the first sample of the first tile; in and out as those of nde_solve. False: something is out of the
 * ordinary, and the solve is to be done in the ordinary way. */
typedef bool NdeLatencySolve(const NdeRun *run, const NdeRef *in, const NdeRef *out, NdeLatency *at);

/* A differential equation; argument and result lists are those of Solve in compiler/ir.h:
 *   init (u.., t, p..) -> c..          guess (u.., c.., t, span, p..) -> h      (both may be NULL)
 *   step (u.., c.., t, h, p..) -> u1.., c1.., err, q..
 *   step_keep: the same, then d..      dense (u.., u1.., d.., h, theta) -> u(t + theta h)..
 *   dense_rate: the same -> u'(t + theta h)..   (where saved times have a gradient, or NULL)
 *   scaled (u.., c.., t, h, p..) -> err..      lift (u.., p..) -> user's u..
 *   inverse (u1.., c1.., t, h, p..) -> u.., c..   (of the step of h from t; or NULL)
 * span and h are signed. err is the scaled error norm: accept if err <= 1. */
typedef struct NdeSolve {
    const char *name;
    int index;                 /* in model->solve */
    int line;
    const char *method;
    int n_state, n_carry, n_arg, n_quantity, n_dense, n_save, n_draw, n_unbiased; /* n_unbiased: the first draws, uniform in the span; the others
                                                                                 * are starts of accepted steps */
    const char *const *state_name;
    const NdeValue *state, *carry, *arg, *dense_value;
    const int *quantity_how;   /* 0 sum, 1 mean, 2 max */
    const NdeFn *init, *guess, *step, *step_keep, *dense, *dense_rate;
    int arg_save, arg_count, arg_end; /* which p has each sample's save times, how many of them count, the end of its span;
                                       * -1: the settings say. In a batch with one step size arg_save has its save times
                                       * if they are no settings */
    const NdeFn *scaled;       /* the local error of the user's states, the first ones, over the tolerance, for messages; or NULL */
    const NdeFn *lift;         /* the user's states, where others are integrated in their place; or NULL */
    const NdeFn *inverse;      /* a solve whose reverse undoes its steps instead of keeping states; or NULL */
    /* A solve that is reversed. record: what step gives (step_keep, if records_dense), then residuals..;
     * again (u.., c.., t, h, p..) -> residuals.. alone. Both NULL if the reverse needs none. */
    const NdeFn *record, *again;
    int n_residual;
    const NdeValue *residual;
    bool records_dense;
    const bool *is_read_back;  /* [n_state + n_carry]: is it read after its step, by the reverse or by a drawn
                                * time? NULL: all are */
    const int *carry_arg; /* [n_carry]: the argument that init gives as it is for this carry; -1, NULL: none */
    const int *lifted; /* [n_state]: the carry that is the user's form of a reduced state, which is a result; -1, NULL: none */
    int order, embedded, evaluations_step, evaluations_init, evaluations_guess; /* evaluations of an attempt, of init, of guess */
    bool is_adaptive, keeps_dense, saves_exactly, is_initial_warm;
    int set_atol, set_rtol, set_t0, set_t1, set_fixed, set_initial, set_min, set_max, set_limit, set_save, set_memory; /* settings; -1: none; memory: MiB of the tape, or its checkpoints */
    int n_atol, n_rtol;        /* settings from set_atol and set_rtol on: one, or one for each component as written */
    bool bound_is_slots;       /* set_memory counts checkpoints */
    bool is_learned;           /* a bound of the span is learned: t runs from 0 to 1, */
    int arg_start, arg_length; /* and these p are where the span starts and how long it is, signed */
    bool is_steered;           /* in training U(-b, b) is added to the end of the span and to the saved times, */
    int set_steer;             /* b being this setting */
    bool is_per_sample;        /* each sample has its own steps: t, span, h, theta, err, q and the counts are per sample */
    const char *controller;    /* row of control.def */
    int set_pid;               /* settings: the three gains of pid; -1: as the row has them */
    NdeLatencySolve *latency;  /* or NULL */
    size_t latency_bytes;
    bool forgets_steps;        /* its reverse reads no step: `adjoint backsolve`, `adjoint forward` */
    /* An adjoint system (Backward in compiler/ir.h), which only the reverse of a solve runs: n_extra values stand in
     * front of p in step: the size of the cotangents, then the states of the solve at each of n_moment fractions of the
     * step; in init those at t alone, if there are any. rate (a.., t, u.., p..) -> g'.., where g are no states. */
    int n_extra, n_moment;
    const NdeValue *extra;
    const double *moment;
    const NdeFn *rate;
} NdeSolve;

/* The reverse of a solve; see SolveVjp in compiler/ir.h for the argument lists. */
typedef struct NdeSolveVjp {
    const NdeSolve *solve;
    const bool *want;          /* [n_state + n_arg] */
    const int *seed;           /* the seeded results, as indices of the solve's results */
    int n_seed;
    const bool *seed_carry;    /* [n_carry] */
    bool seed_dense, reads_dense; /* reads_dense: dense_vjp needs the values of d */
    const NdeFn *step_vjp, *dense_vjp, *init_vjp; /* the last two add to their results */
    const NdeSolve *backward;  /* the adjoint system, which takes the place of all these; or NULL */
} NdeSolveVjp;

/* Where the arguments begin in those of a step. */
static inline int nde_first_arg(const NdeSolve *s)
{
    return s->n_state + s->n_carry + 2 + s->n_extra;
}

/* State i as the model writes it. */
static inline NdeValue nde_user_state(const NdeSolve *s, int i)
{
    return s->lift ? s->lift->out[i] : s->state[i];
}

/* Called from shared parts. in: u0.., p..; out: one for each result of the solve (order in compiler/ir.h: ends; saved
 * series, then their rates if there is dense_rate; for each draw the states, then t, time left, h; quantities;
 * evaluations, accepted, rejected; executed, if is_per_sample).
 * Return 0 or an exit code; the message is in the run. */
int NDE_NAME(nde_solve)(NdeRun *run, const NdeSolve *solve, const NdeRef *in, const NdeRef *out);
/* seed: one for each seeded result; out: one for each wanted operand, set. */
int NDE_NAME(nde_solve_vjp)(NdeRun *run, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed, const NdeRef *out);

/* Called from shared parts: piece(context, item, n) for each item of n, by threads of the run, as many as `flops` floating
 * point operations are worth. What is done must not depend on n. */
void NDE_NAME(nde_share)(NdeRun *run, double flops, void (*piece)(void *context, int item, int n), void *context);

/* The operator `detach`: v is n Reals (is_double: n doubles) just computed. Normally does nothing. In a recording run
 * the numbers are kept, in a replaying run they are overwritten by what was kept, in order of calls (one log for each
 * tile and one for shared values): so that differences see the same constants as the derivative. tile -1: shared. */
void NDE_NAME(nde_hold)(NdeRun *run, int tile, void *v, size_t n, bool is_double);
/* Looks for the first value that is not finite; called after a value was computed if run->is_watching.
 * line, name: of the model file. tile -1: shared; is_double as above. */
void NDE_NAME(nde_watch)(NdeRun *run, int tile, const void *v, size_t n, bool is_double, int line, const char *name);

/* What generated code may read of a run. The runtime's own part follows it (runtime/run.h). */
struct NdeRun {
    const Real *param;         /* all parameters, flat */
    const NdeRef *data;        /* fields of this batch, per sample */
    const NdeRef *sample;      /* noise of this batch, per sample */
    const double *setting;
    double train_step, train_steps, batch;
    int n_tile;
    bool is_holding, is_watching;
};

/* ---- tables of the model ---- */
typedef struct NdeParam {
    const char *name;          /* path: field.hidden.W */
    size_t offset;             /* in the flat block */
    int n, rank, dim[4];
    const char *init;          /* row of init.def: constant zeros ones normal uniform glorot_uniform ... */
    double init_arg[2];
    const double *init_array;  /* for `array` */
    int fan_in, fan_out;
    bool is_frozen;
    int line;
} NdeParam;

typedef struct NdeSetting {
    const char *name;          /* flow.tolerance, train.optimizer.rate, ... as --set names it */
    double value;
    int line;
} NdeSetting;

typedef struct NdeDataField {
    const char *name;
    bool is_class;
    int classes, rank, dim[4], n;
} NdeDataField;

typedef struct NdeSample {
    const char *name, *distribution; /* normal, uniform, rademacher */
    double arg[2];
    int n;
} NdeSample;

typedef struct NdeSource {
    const char *kind;          /* idx csv npy npz records */
    const char *const *file;
    int n_file, rows;
    int set_scale;             /* setting, -1: 1 */
} NdeSource;

typedef struct NdeTrain {
    const NdeSource *data, *test;
    int n_data, n_test;
    int set_steps, set_batch, set_split, set_evaluate, set_clip, set_patience, set_seed; /* -1: not given */
    const char *optimizer;     /* row of optim.def */
    int n_hyper;               /* its numbers, results of `hyper` */
} NdeTrain;

typedef struct NdeModel {
    const char *name, *file, *source, *compiler; /* source: the text of the .nde file */
    uint64_t source_hash;
    int tile;                  /* samples in a tile */
    bool is_double;            /* the model's own precision */
    const char *isa;           /* the instruction set that the functions are compiled for: NDE_ISA */
    uint64_t needs;            /* what they need of the machine: NDE_NEEDS */
    int n_param, n_setting, n_data, n_sample, n_fn, n_solve, n_metric, n_output;
    size_t param_count;
    const NdeParam *param;
    const NdeSetting *setting;
    const NdeDataField *data;
    const NdeSample *sample;
    const NdeFn *const *fn;    /* all top-level functions */
    const NdeSolve *const *solve;
    const char *const *metric_name; /* the text of the metric statements */
    const char *const *output_name;
    const NdeValue *output;
    const int (*output_dim)[5];/* rank, then dims of one sample */
    /* The programs; no inputs. NULL where the file does not give them.
     *   train:   -> loss (regularisers included), regulariser part, evaluations, accepted, rejected (sums over solves;
     *               main solves only), then the gradient of every parameter that is not frozen, in order (all are set)
     *   eval:    -> loss, evaluations, accepted, rejected, metrics.. (means over the batch, shared)
     *   predict: -> outputs.. (per sample, or shared)
     *   hyper:   -> numbers of the optimiser (shared; from train_step and settings only) */
    const NdeFn *train_fn, *eval_fn, *predict_fn, *hyper_fn;
    const unsigned char *train_needs, *eval_needs, *predict_needs; /* [n_data]: does it read the field? */
    const NdeTrain *train;     /* NULL without a train block */
} NdeModel;

/* ---- the program ----
 * A model's file may be compiled for several instruction sets: each is given by -DNDE_ISA=NAME, and the model's table
 * has the name at its end, so that all fit one program. Without it there is one variant, with no such end. A model with
 * other choices of method, adjoint or batching is given by -DNDE_ALTERNATIVE=NAME besides. */
#define NDE_JOIN_(a, b) a##_##b
#define NDE_JOIN(a, b) NDE_JOIN_(a, b)
#define NDE_TEXT_(name) #name
#define NDE_TEXT(name) NDE_TEXT_(name)
#ifdef NDE_ISA
#ifdef NDE_ALTERNATIVE
#define NDE_MODEL NDE_JOIN(NDE_JOIN(NDE_NAME(nde_model), NDE_ISA), NDE_ALTERNATIVE)
#else
#define NDE_MODEL NDE_JOIN(NDE_NAME(nde_model), NDE_ISA)
#endif
#define NDE_ISA_TEXT NDE_TEXT(NDE_ISA)
#else
#define NDE_MODEL NDE_NAME(nde_model)
#define NDE_ISA_TEXT "unnamed"
#endif

/* The model in its own precision and in float64 (the same one where these are the same), for one instruction set.
 * model_f64 may be NULL: then check-gradient is refused. */
typedef struct NdeVariant {
    const NdeModel *model, *model_f64;
} NdeVariant;

/* Runs the first variant that the machine can run, or the one that the environment variable NDE_ISA names. Call it from
 * a file that is compiled for the least machine. The library holds float and double versions of every object, so
 * nothing else is needed. Returns the exit code. */
int nde_main(int argc, char **argv, int n, const NdeVariant *variant);

/* What differs between rows of the command `compare`. */
typedef enum NdeChoice { NDE_METHOD, NDE_ADJOINT, NDE_BATCHING, NDE_CONTROLLER, NDE_CHOICES } NdeChoice;

/* A row of the command `compare`: the model with one other choice, each as the model file would say it. */
typedef struct NdeAlternative {
    const char *choice[NDE_CHOICES];
    const NdeModel *model;     /* NULL: these do not go together */
    const char *refusal;       /* why */
    const char *control;       /* a row of control.def in place of that of every solve; NULL: as the model has them */
    bool has_gain;
    double gain[3];            /* of the row `pid`, if has_gain */
} NdeAlternative;

typedef struct NdeComparison {
    const NdeAlternative *row; /* the first one is the program's own model */
    int n;
    const NdeModel *reference; /* in float64, with adaptive steps and the discrete adjoint, without regularisers */
} NdeComparison;

/* nde_main of a program that has the command `compare`. */
int nde_main_compare(int argc, char **argv, const NdeVariant *variant, const NdeComparison *comparison);

#endif
