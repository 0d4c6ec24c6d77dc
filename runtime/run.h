/* run.h: the runtime's own half of a run: memory, frames, solves, tapes. Included by every file that is compiled once
 * for each number type; generated code sees only nde.h.
 *
 * Owns: NdeEngine, which starts with the NdeRun that generated code is given, so that a pointer to one is a pointer to
 * the other. All memory of a run is one block, laid out for a largest batch by nde_engine_open; only tapes (and logs of
 * recording runs) grow later, and each growth is counted in `allocations`.
 * Elsewhere: commands and reports (program.h), files (io.h). */
#ifndef NDE_RUN_H
#define NDE_RUN_H

#include "control.h"
#include "error.h"
#include "nde.h"
#include "program.h"
#include "team.h"

#define nde_engine_open NDE_NAME(nde_engine_open)
#define nde_engine_close NDE_NAME(nde_engine_close)
#define nde_engine_batch NDE_NAME(nde_engine_batch)
#define nde_engine_share NDE_NAME(nde_engine_share)
#define nde_frame_run NDE_NAME(nde_frame_run)
#define nde_sums_begin NDE_NAME(nde_sums_begin)
#define nde_sums_run NDE_NAME(nde_sums_run)
#define nde_sums_end NDE_NAME(nde_sums_end)
#define nde_value_ref NDE_NAME(nde_value_ref)
#define nde_value_bytes NDE_NAME(nde_value_bytes)
#define nde_value_zero NDE_NAME(nde_value_zero)
#define nde_value_copy NDE_NAME(nde_value_copy)
#define nde_value_add NDE_NAME(nde_value_add)
#define nde_value_get NDE_NAME(nde_value_get)
#define nde_share NDE_NAME(nde_share)
#define nde_frame_ready NDE_NAME(nde_frame_ready)
#define nde_frame_is_local NDE_NAME(nde_frame_is_local)
#define nde_frame_groups NDE_NAME(nde_frame_groups)
#define nde_frame_tiles NDE_NAME(nde_frame_tiles)
#define nde_tiles_move NDE_NAME(nde_tiles_move)
#define nde_tiles_add NDE_NAME(nde_tiles_add)
#define nde_dense_refs NDE_NAME(nde_dense_refs)
#define nde_saves_in NDE_NAME(nde_saves_in)
#define nde_moments_begin NDE_NAME(nde_moments_begin)
#define nde_moments_at_start NDE_NAME(nde_moments_at_start)
#define nde_moments_in_step NDE_NAME(nde_moments_in_step)
#define nde_moments_end NDE_NAME(nde_moments_end)
#define nde_dense_again NDE_NAME(nde_dense_again)
#define nde_saved_ref NDE_NAME(nde_saved_ref)
#define nde_solve NDE_NAME(nde_solve)
#define nde_solve_vjp NDE_NAME(nde_solve_vjp)
#define nde_flight_open NDE_NAME(nde_flight_open)
#define nde_flight_saves NDE_NAME(nde_flight_saves)
#define nde_flight_time NDE_NAME(nde_flight_time)
#define nde_flight_first NDE_NAME(nde_flight_first)
#define nde_flight_warm NDE_NAME(nde_flight_warm)
#define nde_flight_choose NDE_NAME(nde_flight_choose)
#define nde_flight_propose NDE_NAME(nde_flight_propose)
#define nde_solve_lanes NDE_NAME(nde_solve_lanes)
#define nde_lanes_again NDE_NAME(nde_lanes_again)
#define nde_reverse_lanes NDE_NAME(nde_reverse_lanes)
#define nde_trace_row NDE_NAME(nde_trace_row)
#define nde_latency_solve NDE_NAME(nde_latency_solve)
#define nde_latency_control NDE_NAME(nde_latency_control)
#define nde_flight_prepare NDE_NAME(nde_flight_prepare)
#define nde_flight_steps NDE_NAME(nde_flight_steps)
#define nde_backward NDE_NAME(nde_backward)
#define nde_path_state NDE_NAME(nde_path_state)
#define nde_path_moments NDE_NAME(nde_path_moments)
#define nde_path_quadrature NDE_NAME(nde_path_quadrature)
#define nde_tolerance_least NDE_NAME(nde_tolerance_least)
#define nde_seed_of NDE_NAME(nde_seed_of)
#define nde_reverse_out NDE_NAME(nde_reverse_out)
#define nde_dense_out NDE_NAME(nde_dense_out)
#define nde_dense_at NDE_NAME(nde_dense_at)
#define nde_value_add_times NDE_NAME(nde_value_add_times)
#define nde_value_squares NDE_NAME(nde_value_squares)
#define nde_solve_fill NDE_NAME(nde_solve_fill)
#define nde_solve_fails NDE_NAME(nde_solve_fails)
#define nde_watch_begin NDE_NAME(nde_watch_begin)
#define nde_watch_text NDE_NAME(nde_watch_text)
#define nde_solve_reach NDE_NAME(nde_solve_reach)
#define nde_span_of NDE_NAME(nde_span_of)
#define nde_span_now NDE_NAME(nde_span_now)
#define nde_solve_before NDE_NAME(nde_solve_before)
#define nde_solve_control NDE_NAME(nde_solve_control)
#define nde_solve_undo NDE_NAME(nde_solve_undo)
#define nde_tape_check NDE_NAME(nde_tape_check)
#define nde_tape_begin NDE_NAME(nde_tape_begin)
#define nde_tape_open NDE_NAME(nde_tape_open)
#define nde_tape_state NDE_NAME(nde_tape_state)
#define nde_tape_states NDE_NAME(nde_tape_states)
#define nde_tape_leave NDE_NAME(nde_tape_leave)
#define nde_tape_pass NDE_NAME(nde_tape_pass)
#define nde_tape_left NDE_NAME(nde_tape_left)
#define nde_tape_add NDE_NAME(nde_tape_add)
#define nde_tape_keeps NDE_NAME(nde_tape_keeps)
#define nde_tape_keep NDE_NAME(nde_tape_keep)
#define nde_tape_rest NDE_NAME(nde_tape_rest)
#define nde_tape_bytes NDE_NAME(nde_tape_bytes)
#define nde_tapes_bytes NDE_NAME(nde_tapes_bytes)
#define nde_tape_drop NDE_NAME(nde_tape_drop)
#define nde_tape_free NDE_NAME(nde_tape_free)
#define nde_replay_begin NDE_NAME(nde_replay_begin)
#define nde_replay_free NDE_NAME(nde_replay_free)
#define nde_attempt_next NDE_NAME(nde_attempt_next)
#define nde_steer_begin NDE_NAME(nde_steer_begin)
#define nde_steer_end NDE_NAME(nde_steer_end)
#define nde_hold NDE_NAME(nde_hold)
#define nde_watch NDE_NAME(nde_watch)

typedef struct NdeEngine NdeEngine;
typedef struct NdeFlow NdeFlow;
typedef struct NdeLanes NdeLanes;

/* ---- tape.c ---- */

enum { NDE_CHUNK_SLOTS = 4 };

typedef struct NdePoint { /* an end of a step; the last one has h 0 */
    double t, h;
    int place; /* of its slot in memory; -1: the slot is not there */
} NdePoint;

/* Values of a slot that lie elsewhere, where they come from or are wanted. */
typedef struct NdeAway {
    int slot;   /* -1: none */
    NdeRef *at; /* [n_state + n_carry]; no memory: in the slot */
} NdeAway;

/* The states and carries at the ends of accepted steps. A slot holds one of each, in the order state.., carry..; values
 * that the reverse does not read are in two more slots in turn. A solve that nobody reverses has two slots at a time.
 * A tape that is undone has only these two. The residuals of a step, which are many more numbers, are kept for the
 * first steps. Without a bound all slots are kept, in chunks that stay from solve to solve, and residuals as far as a
 * budget goes. With a bound all is in one piece of memory, slots from its start, residuals from its end. Where they
 * meet, residuals are given up, the latest first; when none are left, every second slot, so that those at multiples of
 * `stride` are there, the checkpoints, from which the others are formed again. */
typedef struct NdeTape {
    size_t slot_bytes, turn_bytes, rest_bytes;
    const size_t *offset;   /* [n_state + n_carry] in a slot, or in one of the two turning ones; then [n_residual] */
    const size_t *step;     /* the NdeRef.step of each */
    const bool *is_turning; /* [n_state + n_carry] */
    char *turn;
    char **chunk, **rest; /* rest: first the one for steps whose residuals are formed again */
    int n_chunk, room_chunk, n_rest, room_rest;
    size_t budget;       /* bytes of all residuals, without a bound */
    char *region;        /* with a bound: `bytes` of memory */
    size_t bound, bytes; /* bound: of points and region; 0: none */
    size_t most;         /* bytes that were in use at a time, at most */
    NdePoint *point;     /* n + 1 of them after n steps */
    size_t point_bytes;  /* of a point and of what is kept beside it */
    int n, room;
    int stride, rests;        /* rests: the steps whose residuals are kept */
    int places, free, n_free; /* places of slots so far; the first free one, or -1 */
    bool is_kept;             /* all slots, not two */
    bool is_undone;           /* the reverse forms each slot from the next one: none is kept */
    int ring;                 /* points that are there, in turn, where fixed steps give the others; 0: all are */
    NdeAway first, last;      /* of the first slot; of that which an attempt would end at the end of the span */
} NdeTape;

static inline NdePoint *nde_tape_point(const NdeTape *tape, int slot)
{
    return &tape->point[tape->ring ? slot % tape->ring : slot];
}

/* Does the bound of the solve's tape hold what the least tape takes? 0, or an exit code and how much that is. */
int nde_tape_check(NdeEngine *e, const NdeFlow *f);
/* An empty tape for a solve that starts at t0, with room for slot 0. is_kept: some of it will be read again. 0 or an
 * exit code. */
int nde_tape_begin(NdeEngine *e, NdeFlow *f, bool is_kept, double t0);
/* Memory for a slot at most one behind the last, unless it is there; false with the message in the engine. */
bool nde_tape_open(NdeEngine *e, NdeTape *tape, int slot);
/* Where value k of a slot is; the slot is there. */
NdeRef nde_tape_state(const NdeTape *tape, int slot, int k);
/* The same of the first n values, to `to`. */
void nde_tape_states(const NdeTape *tape, int slot, int n, NdeRef *to);
/* Gives the slot's memory back; pass: unless it is kept as a checkpoint. */
void nde_tape_leave(NdeTape *tape, int slot);
void nde_tape_pass(NdeTape *tape, int slot);
/* How many more slots can be kept while others are formed again. */
int nde_tape_left(const NdeTape *tape);
/* Are the residuals of the step from the slot kept? */
bool nde_tape_keeps(const NdeTape *tape, int slot);
/* Keeps those of the last step that is tried, if those of all steps before it are kept and there is room. */
void nde_tape_keep(NdeTape *tape);
/* Where the residuals of the step from the slot go (of any step that is not kept): n of them, of which the first is
 * value k of a slot, to `to`. False with the message in the engine. */
bool nde_tape_rest(NdeEngine *e, NdeTape *tape, int slot, int k, int n, NdeRef *to);
/* Room for one more point, which starts a step at t. 0 or an exit code. */
int nde_tape_add(NdeEngine *e, NdeTape *tape, double t);
/* The memory that the tape had in use at a time, at most; and that of all tapes together. */
size_t nde_tape_bytes(const NdeTape *tape);
size_t nde_tapes_bytes(const NdeEngine *e);
void nde_tape_free(NdeTape *tape);
/* Gives the memory of the steps back, and forgets how much there was; another solve can begin. */
void nde_tape_drop(NdeTape *tape);

/* ---- solve.c ---- */

/* State or carry i of a slot. */
static inline NdeValue nde_slot_value(const NdeSolve *s, int i)
{
    return i < s->n_state ? s->state[i] : s->carry[i - s->n_state];
}
enum { NDE_RATES = 3 };

/* The model's time at t is start + length t. */
typedef struct NdeSpan {
    double start, length;
} NdeSpan;
/* Its length as a size that steps are divided by: positive, 1 where it is 0, for then nothing moves. */
static inline double nde_span_unit(NdeSpan span)
{
    return span.length == 0 ? 1 : span.length < 0 ? -span.length : span.length;
}

typedef struct NdeDrawn {
    double t, left, h; /* h: of the step that contains t */
    double theta;      /* t as a fraction of that step; 0: the state is that of slot `step` itself */
    int step;
    bool is_late; /* made when all steps were known */
} NdeDrawn;

/* What one differential equation of the model needs. The arrays of references are the argument lists of its functions.
 */
struct NdeFlow {
    const NdeSolve *solve;
    NdeTape tape;
    size_t *offset, *step; /* of the tape's slots */
    bool *is_turning;
    NdeRef *step_in, *step_out; /* u.., c.., t, h, p.. ; u1.., c1.., err, q.., d.., residuals.. */
    NdeRef *call_in, *call_out; /* of init, guess, dense and the reverses */
    NdeRef *spare;              /* u1.., c1.. of a step that is run again only for its d.. */
    NdeRef *dense;              /* d.. */
    NdeRef *user;               /* the user's states, or their errors */
    /* Reverse: cotangents of states and carries at the end and at the start of a step; of u through dense; of d. */
    NdeRef *lambda, *lambda_new, *extra, *g_dense;
    /* Of an adjoint system: the path of the solve that it reverses; values of `extra`; of `rate`: at a node, and its
     * sums by two rules. */
    struct NdePath *path;
    NdeRef *extra_in, *rate[NDE_RATES];
    const NdeRef *total; /* where the integrals of rate go */
    NdeRef *kept_dense;  /* d.. of a step on the tape */
    double t, h, span, theta, err, h_guess;
    double *quantity, *seed_quantity;       /* [n_quantity] */
    double *sum;                            /* accumulated quantities */
    int *most;                              /* the step in which a `max` quantity had its largest value */
    NdeDrawn *drawn;                        /* [n_draw] */
    double warm;                            /* what the first step of the solve before could have been; 0: none */
    double evaluations, accepted, rejected; /* means over samples, where each has its own steps */
    bool is_stepping;                       /* step_in is that of the last attempt; else the solve has not got so far */
    NdeControl control;                     /* the row that flights follow */
    NdeLatency latency;                     /* what the solve's latency form is given, and its memory */
    void *latency_work;
    NdeSpan bounds;     /* of this flight */
    const double *save; /* [n_save]: saved times of this flight, where the batch has one step size: settings, or */
    double *part;       /* values of the program, or the parts of a learned span at which they are */
    bool is_ordered;    /* they follow the direction of the span */
    int found;          /* the one that was looked for last */
    double broken_h;    /* the last attempt from the tape's end whose error was not finite; 0: there was none */
    NdeLanes *lanes;    /* of a solve in which each sample has its own steps (lanes.h), or NULL */
    int lane;           /* of the sample that t, h and the counts are of; -1: they are of all */
};

typedef enum NdeOutcome {
#define STATUS(id, sentence, setting, value, first, second) NDE_FAIL_##id,
#include "status.def"
#undef STATUS
    NDE_OUTCOMES
} NdeOutcome;

/* A solve under way: of a batch, or of one sample that has its own steps. */
typedef struct NdeFlight {
    NdeEngine *e;
    NdeFlow *f;
    const NdeSolve *s;
    const NdeRef *in, *out;
    double t0, t1, way; /* way: 1 forwards, -1 backwards */
    double t, h, end;   /* of the attempt; h as the controller wants it, before it is cut to a stop */
    double unit;        /* how long the span is, where t runs over parts of it; else 1 */
    double least, most, fixed;
    const double *save; /* [n_save] */
    int n_save;
    long limit;
    NdeController control;
} NdeFlight;

/* Of a sample, if samples differ; arg are the arguments p. */
NdeSpan nde_span_of(const NdeEngine *e, const NdeSolve *s, const NdeRef *arg, int sample);
/* The same of the solve that a flow is running, for what it says of a time. */
NdeSpan nde_span_now(const NdeEngine *e, const NdeFlow *f);
/* The numbers of the clauses; of `prepare` all but those of the span, which is given. 0 or an exit code. */
int nde_flight_open(NdeFlight *w, int sample);
int nde_flight_prepare(NdeFlight *w);
/* Where the model's time is that a value of the program gives. Such a time is as exact as Real: one that is a bound but
 * for rounding is that bound. */
double nde_flight_time(const NdeFlight *w, double time);
/* The saved times of the flight, when its span is known, to the flow; not those that are values of each sample. */
void nde_flight_saves(const NdeFlight *w);
/* The size of the first step, positive; 0: it is to be guessed. */
double nde_flight_first(const NdeFlight *w);
/* How long the first step, just accepted, could have been, nearly, by the model's time. */
double nde_flight_warm(const NdeFlight *w);
/* Sets `end` of the next attempt: the wanted step cut to a stop, or stretched so that no sliver is left. */
void nde_flight_choose(NdeFlight *w);
/* After an attempt of size h with scaled norm err: the next wanted step. False: there is none, for the reason *why. */
bool nde_flight_propose(NdeFlight *w, bool is_accepted, double h, double err, NdeOutcome *why);

/* Where the solution of one sample is collected, for the command `solve`. */
typedef struct NdeTrace {
    const char *solve; /* its name: the programs have a solve each for one block of the file */
    int points;        /* evenly spaced; 0: at the accepted steps */
    int sample;        /* in the batch */
    int width;         /* numbers of a row: t, then the states */
    double *row;
    long n, room;
    double t0, t1;
} NdeTrace;

/* ---- replays ---- */

typedef enum NdeMode { NDE_LIVE, NDE_RECORD, NDE_REPLAY } NdeMode;

typedef struct NdeAttempt {
    double h, end;
    bool is_accepted;
} NdeAttempt;

typedef struct NdeHeld { /* what `detach` saw: all numbers in order of calls */
    double *number;
    size_t n, room, at;
} NdeHeld;

typedef struct NdeReplay {
    NdeMode mode;
    NdeAttempt *attempt;
    size_t n, room, at;
    NdeHeld *held; /* one for each tile, then the shared one */
    bool is_lost;  /* the replaying run asked for more than was recorded */
} NdeReplay;

typedef struct NdeWatch {
    bool is_found;
    int line, tile, lane, element;
    int only; /* the lane that is looked at; -1: all */
    char name[64];
} NdeWatch;

/* Where the time of a run goes. Counted only while an engine has a stopwatch: the command `bench`. */
typedef enum NdePhase { NDE_PHASE_FORWARD, NDE_PHASE_REVERSE, NDE_PHASES } NdePhase;
typedef struct NdeStopwatch {
    double seconds[NDE_PHASES];
} NdeStopwatch;

struct NdeEngine {
    NdeRun run; /* first */
    const NdeModel *model;
    NdeError *error;
    uint64_t seed;
    int most;  /* samples in a batch, at most */
    int tiles; /* tiles that fit */
    int count; /* samples in this batch */
    long *row; /* [most]: their numbers in the data */
    int threads;
    NdeTeam *team; /* NULL: one thread */
    bool is_taping;
    char *block; /* all memory but tapes */
    size_t block_bytes;
    NdeFrame *frame; /* for each function of the model */
    char **work;     /* for each thread */
    NdeFlow *flow;   /* for each solve */
    Real *mask;      /* [tiles][TILE] */
    Real *param;
    double *setting;
    double *plain;             /* the settings, while times are drawn: see steer.c */
    const NdeControl *control; /* in place of that of every solve; NULL: none is */
    NdeRef *data, *sample;
    long solves; /* solves and reverses so far: see NdeFrame.is_fresh */
    NdeTrace *trace;
    NdeReplay replay;
    NdeWatch watch;
    NdeStopwatch *stopwatch;  /* or NULL */
    long reverse_evaluations; /* of fields and of their derivatives in reverses, since somebody set it to 0 */
    double drift;             /* the largest of a backsolve since then, over the tolerance */
    const char *drifted;      /* that solve */
    long allocations;
};

static inline double nde_phase_begin(const NdeEngine *e)
{
    return e->stopwatch ? nde_clock() : 0;
}
static inline void nde_phase_end(NdeEngine *e, NdePhase phase, double began)
{
    if (e->stopwatch)
        e->stopwatch->seconds[phase] += nde_clock() - began;
}

/* ---- run.c ---- */

/* Lays out all memory for batches of at most `most` samples. Parameters are 0, settings the model's. `error` outlives
 * the engine and receives every message. 0 or an exit code; close it in both cases. */
int nde_engine_open(NdeEngine *e, const NdeModel *model, int most, int threads, NdeError *error);
void nde_engine_close(NdeEngine *e);
/* Tiles and masks for a batch of `count` samples (1 .. most). */
void nde_engine_batch(NdeEngine *e, int count);
/* Does items 0 .. n-1 of the job, by all threads if so many floating point operations in all are worth it, else in
 * order by the caller. An item must not read what another one writes. */
void nde_engine_share(NdeEngine *e, double flops, int n, NdeJob *job, void *context);

/* Runs fn: outputs below n_set are set, the others added to. 0 or an exit code. */
int nde_frame_run(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out);
/* The same for a few tiles at a time, of a function that is local: it has one part, and no sums but, if it may have them,
 * those that are outputs. First its shared values, 0 or an exit code; then, by any thread, tiles first .. behind - 1,
 * which add to the sums of one of the groups. */
bool nde_frame_is_local(const NdeFn *fn, bool may_sum);
int nde_frame_groups(const NdeEngine *e, const NdeFn *fn);
int nde_frame_ready(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out);
void nde_frame_tiles(NdeEngine *e, const NdeFn *fn, int group, int first, int behind, int thread);
/* The same in three parts for a function that is run many times: sums that are nothing but an added output are formed
 * over all runs and reduced once, at the end. */
void nde_sums_begin(NdeEngine *e, const NdeFn *fn);
int nde_sums_run(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out);
void nde_sums_end(NdeEngine *e, const NdeFn *fn, const NdeRef *out);

/* Values: bytes for the largest batch; a reference to memory that holds one. */
size_t nde_value_bytes(const NdeEngine *e, NdeValue v);
NdeRef nde_value_ref(const NdeEngine *e, NdeValue v, void *at);
/* Of a value of each sample, tiles first .. behind - 1: copied, or 0 without a `from`; added. */
void nde_tiles_move(NdeValue v, NdeRef to, NdeRef from, const NdeEngine *e, int first, int behind);
void nde_tiles_add(NdeValue v, NdeRef to, NdeRef from, const NdeEngine *e, int first, int behind);
void nde_value_zero(NdeEngine *e, NdeValue v, NdeRef to);
void nde_value_copy(NdeEngine *e, NdeValue v, NdeRef to, NdeRef from);
void nde_value_add(NdeEngine *e, NdeValue v, NdeRef to, NdeRef from);
/* to += times from. */
void nde_value_add_times(NdeEngine *e, NdeValue v, NdeRef to, double times, NdeRef from);
/* The sum of the squares of all elements, of all samples of the batch. */
double nde_value_squares(const NdeEngine *e, NdeValue v, NdeRef from);
/* Element i of sample number `sample` of the batch (any, for a shared value). */
double nde_value_get(const NdeEngine *e, NdeValue v, NdeRef from, int sample, int i);

/* ---- moment.c: times inside a solve at which somebody wants the state ---- */

typedef enum NdeWhere { NDE_ELSEWHERE, NDE_INSIDE, NDE_AT_END } NdeWhere;
/* Where `time` lies in the step from t to end; its start belongs to the step before. */
static inline NdeWhere nde_where(double t, double end, double time)
{
    if (time == end)
        return NDE_AT_END;
    double way = end < t ? -1 : 1;
    return (time - t) * way > 0 && (end - time) * way > 0 ? NDE_INSIDE : NDE_ELSEWHERE;
}
/* The entries of f->save from `from` on, before `to`, that can lie in it: all of them if they are in no order. */
typedef struct NdeRange {
    int from, to;
} NdeRange;
NdeRange nde_saves_in(NdeFlow *f, double t, double end);
/* The calls of a solve: when its span is known; when slot 0 is filled; after a step was accepted that ends at `end`;
 * after the last one. Each 0 or an exit code. */
int nde_moments_begin(NdeEngine *e, NdeFlow *f, double t0, double t1);
int nde_moments_at_start(NdeEngine *e, NdeFlow *f, const NdeRef *out);
int nde_moments_in_step(NdeEngine *e, NdeFlow *f, double end, const NdeRef *out);
int nde_moments_end(NdeEngine *e, NdeFlow *f, const NdeRef *out);
/* The states at a fraction of the step from a slot, whose d.. are given and whose size is f->h. */
int nde_dense_at(NdeEngine *e, NdeFlow *f, int slot, const NdeRef *d, double theta, const NdeRef *to);
/* A row of the trace: the sample's states at t, where it is in lane `lane`. 0 or an exit code. */
int nde_trace_row(NdeEngine *e, NdeFlow *f, double t, const NdeRef *state, int lane);
/* The d.. of the step that step_in describes, by running it once more. */
int nde_dense_again(NdeEngine *e, NdeFlow *f);
/* Sets the outputs of a step for that. */
void nde_dense_refs(NdeFlow *f);
/* The series' entry for save number i of a state. */
NdeRef nde_saved_ref(const NdeEngine *e, NdeValue state, NdeRef series, int i);

/* ---- steer.c ---- */
/* Draws ends and saved times of the solves that want it, as other settings of this training step, and puts the settings
 * back. 0 or an exit code. */
int nde_steer_begin(NdeEngine *e);
void nde_steer_end(NdeEngine *e);

/* ---- solve.c, watch.c, replay.c ---- */

static inline int nde_result_saved(const NdeSolve *s, int state)
{
    return s->n_state + state;
}
static inline int nde_result_saved_rate(const NdeSolve *s, int state)
{
    return 2 * s->n_state + state;
}
static inline int nde_result_drawn(const NdeSolve *s, int draw)
{
    return s->n_state * (1 + (s->n_save > 0) + (s->dense_rate != NULL)) + draw * (s->n_state + 3);
}
static inline int nde_result_quantity(const NdeSolve *s, int q)
{
    return nde_result_drawn(s, s->n_draw) + q;
}
static inline int nde_result_lifted(const NdeSolve *s, int state)
{
    return nde_result_quantity(s, s->n_quantity) + 3 + s->is_per_sample + state;
}

/* Solves by the latency form if there is one and the batch is one sample whose steps nobody asks for. False: it was not
 * done, and out may hold anything. */
bool nde_latency_solve(NdeEngine *e, const NdeSolve *s, const NdeRef *in, const NdeRef *out);
/* The controller that the model chose, with its gains if they are settings; the engine's own, if it has one. */
NdeControl nde_solve_control(const NdeEngine *e, const NdeSolve *s);
/* A row of control.def, whose numbers are those of norms, as numbers of log2 of squared norms. */
void nde_latency_control(NdeLatency *at, const NdeControl *row, int order, int embedded);

/* From t to t1, where all else is set. 0 or an exit code. */
int nde_flight_steps(NdeFlight *w);
/* Solves in which each sample has its own steps. 0 or an exit code. */
int nde_solve_lanes(NdeEngine *e, NdeFlow *f, const NdeRef *in, const NdeRef *out);
/* Where its tape has a bound: runs again the step from a slot of each sample that took one; its end goes to the next
 * slot, which is there. 0 or an exit code. */
int nde_lanes_again(NdeEngine *e, NdeFlow *f, int slot);
int nde_reverse_lanes(NdeEngine *e, NdeFlow *f, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed,
                      const NdeRef *out);

/* Sets step_in for the step from slot n of the tape. */
void nde_solve_fill(NdeEngine *e, NdeFlow *f, int slot, double t, double h);
/* Forms a slot of the tape again, unless it is there, from the last checkpoint before it; on the way at most
 * `snapshots` slots more are kept. 0 or an exit code. */
int nde_solve_reach(NdeEngine *e, NdeFlow *f, int slot, int snapshots);
/* The fixed step that ends at a time: where it begins and its size. */
NdePoint nde_solve_before(const NdeEngine *e, const NdeFlow *f, double end);
/* Forms a slot of a tape that is undone from the next one, and its point if that is not there. 0 or an exit code. */
int nde_solve_undo(NdeEngine *e, NdeFlow *f, int slot);

/* Writes the message about a solve that cannot go on (runs the failing step once more, watching) and returns 3. */
int nde_solve_fails(NdeEngine *e, NdeFlow *f, NdeOutcome outcome);

/* From here on the first value that is not finite is looked for, until nde_watch_text, which says in one line what was
 * found ("" if nothing) and ends the watch. */
void nde_watch_begin(NdeEngine *e);
void nde_watch_text(NdeEngine *e, char *out, size_t size);

/* RECORD forgets what was recorded; REPLAY starts again from the first record; LIVE stops. */
int nde_replay_begin(NdeEngine *e, NdeMode mode);
void nde_replay_free(NdeEngine *e);
/* Records an attempt (RECORD) or gives the next recorded one (REPLAY). 0 or an exit code. */
int nde_attempt_next(NdeEngine *e, NdeAttempt *attempt);

/* The cotangent of a result in the seeds of a reverse, or no memory. */
NdeRef nde_seed_of(const NdeSolveVjp *vjp, const NdeRef *seed, int result);
/* Sets call_out to the results of step_vjp and init_vjp: cotangents of states and, if asked, of carries; then the
 * wanted arguments', which go to out, or to g_arg those of each sample. */
void nde_reverse_out(NdeFlow *f, const NdeSolveVjp *vjp, const NdeRef *lambda, bool with_carry, const NdeRef *g_arg,
                     const NdeRef *out);
/* Sets out to what dense_vjp adds to: the cotangents of the states at the start of the step (through dense,
 * apart), at its end, and of d. */
void nde_dense_out(const NdeFlow *f, const NdeRef *after, NdeRef *out);

/* ---- backward.c, path.c, quadrature.c: adjoint systems ---- */

typedef struct NdePath { /* of a solve whose steps are on its tape */
    NdeFlow *of;
    int slot;   /* of the step that was asked for last */
    int formed; /* of the last one whose d.. are formed again; -1: none */
} NdePath;

/* The reverse of a solve by its adjoint system: as nde_solve_vjp. */
int nde_backward(NdeEngine *e, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed, const NdeRef *out);
/* The states at a time of the path. 0 or an exit code. */
int nde_path_state(NdeEngine *e, NdePath *path, double time, const NdeRef *to);
/* Sets the states at all moments of the step that step_in of an adjoint system describes. */
int nde_path_moments(NdeEngine *e, NdeFlow *f);
/* Adds the integral of `rate` over the step that was accepted. */
int nde_path_quadrature(NdeEngine *e, NdeFlow *f);
/* The least of the entries of a tolerance, which its cotangents and gradients go by. */
double nde_tolerance_least(const NdeEngine *e, int set, int n);

/* Streams of random numbers; the lower bits of a stream say what is drawn. */
enum {
    NDE_STREAM_INIT = 1,
    NDE_STREAM_DRAW = 2,
    NDE_STREAM_SAMPLE = 3,
    NDE_STREAM_EVALUATION = 4,
    NDE_STREAM_CHECK = 5,
    NDE_STREAM_STEER = 6
};
static inline uint64_t nde_stream(int purpose, int which, double step)
{
    return (uint64_t)purpose << 56 | (uint64_t)which << 40 | (uint64_t)step;
}

#endif
