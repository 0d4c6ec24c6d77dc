/* lanes.h: solves in which each sample has its own time, steps and errors (`batching sample`).
 *
 * A sample under way is in one lane of a tile. A band is some tiles of the batch, whose samples one thread solves. Each
 * of its runs of the step function is a row: one attempt of every sample under way, whatever its time. Those are in the
 * first lanes: where one ends, the one in the last lane takes its place, which may have been waiting so far, so that
 * tiles empty from the end and cost nothing then. Lanes do not mix and every tile runs the same code, so the numbers of
 * a sample do not depend on what it shares its batch with, nor on bands.
 *
 * Owns: lanes, what is known of each sample, and the record of its accepted steps. Included after run.h.
 * Elsewhere: the loop over rows (solve_sample.c), its reverse (adjoint_sample.c). */
#ifndef NDE_LANES_H
#define NDE_LANES_H

#include "run.h"

#define nde_lane_copy NDE_NAME(nde_lane_copy)
#define nde_lanes_take NDE_NAME(nde_lanes_take)
#define nde_lane_zero NDE_NAME(nde_lane_zero)
#define nde_lane_number NDE_NAME(nde_lane_number)
#define nde_lanes_all NDE_NAME(nde_lanes_all)
#define nde_lanes_used NDE_NAME(nde_lanes_used)
#define nde_lanes_args NDE_NAME(nde_lanes_args)
#define nde_lanes_pad NDE_NAME(nde_lanes_pad)
#define nde_lanes_dense NDE_NAME(nde_lanes_dense)
#define nde_course_read NDE_NAME(nde_course_read)
#define nde_records_room NDE_NAME(nde_records_room)
#define nde_records_none NDE_NAME(nde_records_none)
#define nde_bands_most NDE_NAME(nde_bands_most)
#define nde_bands_of NDE_NAME(nde_bands_of)
#define nde_band_range NDE_NAME(nde_band_range)
#define nde_lanes_heavy NDE_NAME(nde_lanes_heavy)
#define nde_lanes_arg_refs NDE_NAME(nde_lanes_arg_refs)
#define nde_bands_share NDE_NAME(nde_bands_share)
#define nde_bands_begin NDE_NAME(nde_bands_begin)
#define nde_bands_end NDE_NAME(nde_bands_end)
#define nde_results_clear NDE_NAME(nde_results_clear)
#define nde_results_pad NDE_NAME(nde_results_pad)
#define nde_record_write NDE_NAME(nde_record_write)
#define nde_record_bytes NDE_NAME(nde_record_bytes)
#define nde_record_at NDE_NAME(nde_record_at)
#define nde_record_state NDE_NAME(nde_record_state)
#define nde_lanes_bounded NDE_NAME(nde_lanes_bounded)
#define nde_lanes_step NDE_NAME(nde_lanes_step)
#define nde_lanes_from NDE_NAME(nde_lanes_from)
#define nde_slots_begin NDE_NAME(nde_slots_begin)
#define nde_slots_keep NDE_NAME(nde_slots_keep)
#define nde_lanes_fetch NDE_NAME(nde_lanes_fetch)
#define nde_moment_next NDE_NAME(nde_moment_next)

/* An end of an accepted step, with the states and carries there: numbers follow it. */
typedef struct NdeRecord {
    double t, h;   /* of the step that starts here; h 0: the last one */
    size_t before; /* the record before it in the same solve, counted from 1; 0: none */
} NdeRecord;

/* A time at which the states of a sample are wanted. */
typedef enum NdeWish { NDE_WISH_SAVE, NDE_WISH_DRAW, NDE_WISH_TRACE } NdeWish;
typedef struct NdeMoment {
    NdeWish wish;
    int index;
    double time, theta;
    NdeWhere where;
} NdeMoment;

typedef struct NdeLaneStep { /* an accepted step */
    double t, h;
} NdeLaneStep;

typedef struct NdeCourse { /* one sample */
    NdeFlight w;
    double h; /* of the attempt, as the step is given it */
    bool is_accepted;
    long left; /* steps that are not reversed yet */
    long accepted, rejected;
    double broken_h, warm; /* warm: as that of the flow */
    size_t last;           /* its latest record, in the reverse the one at the end of the step; 0: none */
    const double *save;    /* [n_save], in the direction of the span */
    int n_save, first;     /* first: of those after the start of the step */
    int seen;              /* wanted times that were looked at for this step, `first` at its beginning */
    NdeMoment moment;
    bool is_inside; /* moment is inside the step, and its state is being worked out */
    NdeOutcome why; /* there is no next step */
    int band;       /* that has its records */
} NdeCourse;

/* Samples that are solved beside each other, by one thread, without regard to the rest of the batch. */
typedef struct NdeBand {
    int first, n;    /* its lanes in use: first is the first one of a tile */
    double executed; /* evaluations, one for each lane of a tile */
    int stopped;     /* the lane that cannot go on: for what its course says, or, not 0, an exit code */
    int status;
    char *record;
    size_t n_record, room;
    bool has_grown;
} NdeBand;

struct NdeLanes {
    int n; /* lanes in use, where a row is one of the whole batch */
    NdeBand *band;
    int bands;
    int *who;          /* [lane]: the sample */
    Real *takes;       /* [lane]: 1: its step was accepted, 0: not */
    NdeCourse *course; /* [sample] */
    double *save;      /* [sample][n_save]: times that differ between samples */
    NdeDrawn *drawn;   /* [sample][n_draw] */
    double *sum;       /* [sample][n_quantity] */
    long *most;        /* the same: the step of the largest */
    NdeRef t, h, span, theta, err;
    /* u.., c..; u1.., c1..; p..; q..; u(t + theta h).. */
    NdeRef *now, *next, *arg, *quantity, *inside;
    /* Reverse, beside what every flow has: cotangents of the starts, by samples; of results inside a step, of
     * quantities, of arguments; residuals. */
    NdeRef *start, *seed, *seed_quantity, *g_arg, *residual;
    NdeRef *dense_in, *dense_out; /* of the reverse of dense */
    size_t record_bytes;
    /* With a bound there are no records: slot k of the tape holds the states of all samples after k accepted steps, of
     * those that took so many; step: [slot][sample]. */
    NdeLaneStep *step;
    size_t step_room; /* slots */
    const NdeRef *in; /* of the solve, while its steps are run again */
    long again;       /* evaluations of all lanes of steps that were */
};

/* The span, the saved and the drawn times of a sample, whose flight is that of the batch so far. 0 or an exit code. */
int nde_course_read(NdeEngine *e, NdeFlow *f, const NdeRef *in, NdeCourse *c, int sample);
/* One lane of a value of each sample to another; zeros; a scalar of it. */
void nde_lane_copy(const NdeEngine *e, NdeValue v, NdeRef to, int to_lane, NdeRef from, int from_lane);
/* The states and carries of `next` to `now` in the tiles of n lanes, and, if `chooses`, there only in those for which
 * takes[lane] is 1. */
void nde_lanes_take(const NdeEngine *e, const NdeFlow *f, int first, int n, bool chooses);
void nde_lane_zero(const NdeEngine *e, NdeValue v, NdeRef to, int lane);
Real *nde_lane_number(const NdeEngine *e, NdeRef scalar, int lane);

/* [lane], of t, h, span, theta, err or a quantity: such tiles follow each other. */
static inline Real *nde_lane_scalar(NdeRef of_lanes)
{
    return of_lanes.at;
}

/* Functions run over the tiles of the whole batch, or over those that hold lanes in use. */
void nde_lanes_all(NdeEngine *e);
void nde_lanes_used(NdeEngine *e, int n);
/* The arguments of a step's functions: shared ones as they are, the others from the lanes; and those of the samples in
 * n lanes. The lanes behind them in the last tile repeat the last one. */
void nde_lanes_arg_refs(NdeFlow *f, const NdeRef *in);
void nde_lanes_args(const NdeEngine *e, const NdeFlow *f, const NdeRef *in, int first, int n);
/* Fills the lanes behind the last sample, which repeat it. */
void nde_lanes_pad(const NdeEngine *e, NdeValue v, NdeRef at);

/* Saved states and rates of a solve to 0, for those behind a sample's last one are; at the end, the lanes behind the
 * last sample of all results. */
void nde_results_clear(NdeEngine *e, const NdeSolve *s, const NdeRef *out);
void nde_results_pad(const NdeEngine *e, const NdeSolve *s, const NdeRef *out);

/* Is a step that much work that the control of steps is nothing beside it? Rows of the whole batch then serve best:
 * threads share its tiles, and fewer of them are not full. */
bool nde_lanes_heavy(const NdeSolve *s);
/* Bands for a solve of the largest batch and of that at hand, which do not depend on the number of threads. Lanes
 * *first .. *behind - 1, as many as there are samples, are those of band i of n. */
int nde_bands_most(const NdeEngine *e);
int nde_bands_of(const NdeEngine *e);
void nde_band_range(const NdeEngine *e, int i, int n, int *first, int *behind);
/* job(context, band, thread) for each, by the threads of the run; step: what a band runs for each step of its samples.
 */
void nde_bands_share(NdeEngine *e, const NdeFn *step, int bands, NdeJob *job, void *context);
/* All of them, or a single one, without a record; what they have used. */
void nde_bands_begin(const NdeEngine *e, NdeLanes *l, bool is_single);
void nde_bands_end(NdeEngine *e, NdeFlow *f);
/* Appends n records, of nothing yet. 0, or NDE_NO_ROOM, of which nde_records_none writes the message and returns the
 * exit code: threads would meet in it. */
enum { NDE_NO_ROOM = -1 };
int nde_records_room(const NdeLanes *l, NdeBand *b, int n);
int nde_records_none(NdeError *e);
/* What lane `lane` holds now, in this record, which is the sample's latest from now on. */
void nde_record_write(const NdeEngine *e, NdeFlow *f, NdeCourse *c, int lane, size_t record);
size_t nde_record_bytes(const NdeSolve *s);
NdeRecord *nde_record_at(const NdeLanes *l, const NdeCourse *c, size_t record);
/* Is the memory of the solve's tape bounded, so that it has slots in place of records? */
bool nde_lanes_bounded(const NdeEngine *e, const NdeFlow *f);
NdeLaneStep *nde_lanes_step(const NdeEngine *e, const NdeFlow *f, int slot, int sample);
/* The samples with a step from that slot, in the first lanes, with their arguments; how many. */
int nde_lanes_from(NdeEngine *e, NdeFlow *f, int slot);
/* Values of a slot to the lanes' samples in `to`, t and h of their steps; lanes out of use repeat the last one. */
void nde_lanes_fetch(NdeEngine *e, NdeFlow *f, int slot);
/* Slot 0 from the lanes, and room for as many steps as the solve may take. 0 or an exit code. */
int nde_slots_begin(NdeEngine *e, NdeFlow *f);
/* The lane's step has been accepted: its size, and its end in a slot that is a checkpoint, or the last so far. */
int nde_slots_keep(NdeEngine *e, NdeFlow *f, int lane);
/* Sets the inputs of dense for the lanes at hand; their number. */
int nde_lanes_dense(const NdeFlow *f, NdeRef *in);
/* Of the first n values, those that are recorded, to a lane of `to`. */
void nde_record_state(const NdeEngine *e, const NdeFlow *f, const NdeCourse *c, size_t record, int n, const NdeRef *to,
                      int lane);

/* The step that is looked at starts at t: a neighbour of the one before. */
static inline void nde_moments_from(NdeCourse *c, double t)
{
    while (c->first < c->n_save && (c->save[c->first] - t) * c->w.way <= 0)
        c->first++;
    while (c->first > 0 && (c->save[c->first - 1] - t) * c->w.way > 0)
        c->first--;
    c->seen = c->first;
}
/* The next wanted time after the start of the sample's step from t to end, and not after its end; each call goes on
 * where the one before ended (c->seen). False: there is no other. */
bool nde_moment_next(const NdeEngine *e, const NdeFlow *f, int sample, double t, double end, double h, NdeMoment *m);

#endif
