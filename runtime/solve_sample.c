/* solve_sample.c: a differential equation in which each sample of the batch has its own time, step size and errors.
 *
 * Needs: the functions of the solve, whose times, sizes and norms are per sample. Gives: the results of solve.c, each
 * sample's as if it were alone; with a tape, the record of each sample's accepted steps.
 * Elsewhere: lanes and records (lanes.c), the choice of a step (solve.c), the reverse (adjoint_sample.c). */
#include "lanes.h"

#include "rng.h"
#include "run.h"

#include <limits.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct Rows {
    NdeEngine *e;
    NdeFlow *f;
    const NdeSolve *s;
    NdeLanes *l;
    const NdeRef *in, *out;
    bool keeps;   /* states inside steps are wanted: each step gives d.. */
    bool records; /* accepted steps will be read again */
    bool is_bounded;
    bool is_traced;
    bool has_moments, has_saves_alone;          /* times are wanted, or no others than saved ones */
    bool is_whole;                              /* all samples are one band, whose tiles the threads share */
    NdeBand *b;                                 /* whose rows these are */
    int thread;                                 /* that runs them */
    bool has_arrived, has_inside, has_rejected; /* a lane, in this row */
    size_t record;                              /* of the row's first lane; the others follow */
} Rows;

/* Are states inside steps wanted, whoever looks on? */
static bool keeps_dense(const NdeSolve *s)
{
    return s->keeps_dense || s->dense_rate || s->n_unbiased > 0;
}

static NdeCourse *course_in(const Rows *r, int lane)
{
    return &r->l->course[r->l->who[lane]];
}

/* From here on the flow tells of the sample in this lane. */
static void speak_for(const Rows *r, int lane)
{
    NdeFlow *f = r->f;
    const NdeCourse *c = course_in(r, lane);
    f->lane = lane;
    f->t = c->w.t;
    f->h = c->h;
    f->err = (double)nde_lane_scalar(r->l->err)[lane];
    f->accepted = (double)c->accepted;
    f->rejected = (double)c->rejected;
    f->broken_h = c->broken_h;
}

static int fails(Rows *r, int lane, NdeOutcome why)
{
    speak_for(r, lane);
    return nde_solve_fails(r->e, r->f, why);
}

/* ---- passes over the lanes under way ---- */

/* The others in use wait for one of these to end: what few samples read and write stays in a cache. */
static int lanes_under_way(const Rows *r)
{
    enum { WIDTH = 4 /* tiles */ };
    int most = r->is_whole ? r->b->n : WIDTH * r->e->model->tile;
    return r->b->n < most ? r->b->n : most;
}

/* False: the solve cannot go on, as the course says, or the band's status. */
typedef bool LaneWork(Rows *r, int lane);

static bool goes_on(Rows *r, int status)
{
    r->b->status = status;
    return status == 0;
}

static bool stops(NdeCourse *c, NdeOutcome why)
{
    c->why = why;
    return false;
}

/* For n lanes of the band. */
static bool each_lane(Rows *r, int n, LaneWork *work)
{
    for (int lane = r->b->first; lane < r->b->first + n; lane++)
        if (!work(r, lane)) {
            r->b->stopped = lane;
            return false;
        }
    return true;
}

/* Runs a function for n lanes; where bands run side by side it is ready. */
static bool run_tiles(Rows *r, int n, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    int tile = r->e->model->tile, first = r->b->first / tile;
    if (r->is_whole) {
        nde_lanes_used(r->e, n);
        return goes_on(r, nde_frame_run(r->e, fn, in, out));
    }
    nde_frame_tiles(r->e, fn, 0, first, first + (n + tile - 1) / tile, r->thread);
    return true;
}

static bool run_dense(Rows *r, int n, const NdeFn *fn)
{
    return run_tiles(r, n, fn, r->f->call_in, r->l->inside);
}

/* ---- the start ---- */

/* All samples in their lanes, at the starts of their spans. */
static int begin(Rows *r)
{
    NdeEngine *e = r->e;
    NdeLanes *l = r->l;
    NdeFlight w = {.e = e, .f = r->f, .s = r->s, .in = r->in, .out = r->out};
    int status = nde_flight_open(&w, 0);
    l->n = e->count;
    nde_lanes_all(e);
    w.t = w.t0;
    for (int i = 0; !status && i < e->count; i++) {
        NdeCourse *c = &l->course[i];
        *c = (NdeCourse){.w = w};
        l->who[i] = i;
        status = nde_course_read(e, r->f, r->in, c, i);
    }
    if (status)
        return status;
    memset(l->sum, 0, sizeof *l->sum * (size_t)(r->s->n_quantity * e->count));
    memset(l->most, 0, sizeof *l->most * (size_t)(r->s->n_quantity * e->count));
    for (int i = 0; i < r->s->n_state; i++)
        nde_value_copy(e, r->s->state[i], l->now[i], r->in[i]);
    for (int i = 0; i < e->run.n_tile * e->model->tile; i++) {
        const NdeFlight *of = &l->course[i < e->count ? i : e->count - 1].w;
        nde_lane_scalar(l->t)[i] = (Real)of->t0;
        nde_lane_scalar(l->span)[i] = (Real)(of->t1 - of->t0);
        nde_lane_scalar(l->h)[i] = 0;
    }
    nde_lanes_arg_refs(r->f, r->in);
    nde_lanes_args(e, r->f, r->in, 0, e->count);
    r->f->is_stepping = false;
    return 0;
}

/* ---- the first step ---- */

/* Arguments of init and guess: u.., c.., t, span, p..; init has neither c nor span. */
static int run_start(Rows *r, const NdeFn *fn, bool is_guess, const NdeRef *out)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = s->n_state + (is_guess ? s->n_carry : 0), k = n;
    memcpy(f->call_in, r->l->now, (size_t)n * sizeof *f->call_in);
    f->call_in[k++] = r->l->t;
    if (is_guess)
        f->call_in[k++] = r->l->span;
    memcpy(f->call_in + k, f->step_in + s->n_state + s->n_carry + 2, (size_t)s->n_arg * sizeof *f->call_in);
    return nde_frame_run(r->e, fn, f->call_in, out);
}

static int first_sizes(Rows *r)
{
    bool guesses = false;
    int status = r->s->init ? run_start(r, r->s->init, false, r->l->now + r->s->n_state) : 0;
    for (int lane = 0; lane < r->l->n; lane++) {
        NdeCourse *c = course_in(r, lane);
        c->w.h = nde_flight_first(&c->w);
        guesses |= r->s->guess && c->w.h == 0 && c->w.t1 != c->w.t0;
    }
    if (status || !guesses)
        return status;
    status = run_start(r, r->s->guess, true, &r->l->h);
    for (int lane = 0; !status && lane < r->l->n; lane++) {
        NdeCourse *c = course_in(r, lane);
        if (c->w.h != 0 || c->w.t1 == c->w.t0)
            continue;
        c->w.h = fabs((double)nde_lane_scalar(r->l->h)[lane]);
        if (!isfinite(c->w.h) || c->w.h == 0)
            status = fails(r, lane, NDE_FAIL_NOT_FINITE);
    }
    r->f->evaluations = r->s->evaluations_init + r->s->evaluations_guess;
    return status;
}

/* ---- states that are wanted ---- */

/* A value for each state, in `lane` of `from`, goes to the results from `first` on: to an entry of series, or -1. */
static void deliver_entry(Rows *r, int lane, int first, int entry, const NdeRef *from)
{
    const NdeSolve *s = r->s;
    for (int i = 0; i < s->n_state; i++) {
        NdeRef to = r->out[first + i];
        if (to.at)
            nde_lane_copy(r->e, s->state[i], entry >= 0 ? nde_saved_ref(r->e, s->state[i], to, entry) : to,
                          r->l->who[lane], from[i], lane);
    }
}

/* The wanted state is in `lane` of `from`. */
static int deliver(Rows *r, int lane, const NdeMoment *m, const NdeRef *from)
{
    if (m->wish == NDE_WISH_TRACE)
        return nde_trace_row(r->e, r->f, m->time, from, lane);
    bool is_save = m->wish == NDE_WISH_SAVE;
    deliver_entry(r, lane, is_save ? nde_result_saved(r->s, 0) : nde_result_drawn(r->s, m->index),
                  is_save ? m->index : -1, from);
    return 0;
}

static void note_draw(Rows *r, int lane, const NdeMoment *m)
{
    if (m->wish == NDE_WISH_DRAW)
        r->l->drawn[r->l->who[lane] * r->s->n_draw + m->index].h = course_in(r, lane)->h;
}

/* Wanted times that are the start of the span. */
static bool deliver_start(Rows *r, int lane)
{
    const NdeCourse *c = course_in(r, lane);
    int status = 0;
    for (int i = 0; !status && i < c->n_save; i++)
        if (c->save[i] == c->w.t0)
            status = deliver(r, lane, &(NdeMoment){.wish = NDE_WISH_SAVE, .index = i}, r->l->now);
    for (int i = 0; !status && i < r->s->n_draw; i++)
        if (r->l->drawn[r->l->who[lane] * r->s->n_draw + i].t == c->w.t0)
            status = deliver(r, lane, &(NdeMoment){.wish = NDE_WISH_DRAW, .index = i}, r->l->now);
    if (!status && r->is_traced && r->l->who[lane] == r->e->trace->sample) {
        r->e->trace->t0 = c->w.t0;
        r->e->trace->t1 = c->w.t1;
        status = nde_trace_row(r->e, r->f, c->w.t0, r->l->now, lane);
    }
    return goes_on(r, status);
}

/* Is the next saved time behind the step, and nothing else wanted? */
static bool has_none(const Rows *r, const NdeCourse *c)
{
    return r->has_saves_alone && (c->seen >= c->n_save || (c->save[c->seen] - c->w.end) * c->w.way > 0);
}

/* The next time inside the lane's accepted step; those at its end are delivered on the way. */
static bool seek(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    c->is_inside = false;
    while (c->is_accepted && !c->is_inside && !has_none(r, c) &&
           nde_moment_next(r->e, r->f, r->l->who[lane], c->w.t, c->w.end, c->h, &c->moment)) {
        note_draw(r, lane, &c->moment);
        c->is_inside = c->moment.where == NDE_INSIDE;
        if (!c->is_inside && !goes_on(r, deliver(r, lane, &c->moment, r->l->next)))
            return false;
    }
    if (c->is_inside)
        r->has_inside = true;
    nde_lane_scalar(r->l->theta)[lane] = c->is_inside ? (Real)c->moment.theta : 0;
    return true;
}

static bool deliver_one(Rows *r, int lane)
{
    const NdeCourse *c = course_in(r, lane);
    return !c->is_inside || goes_on(r, deliver(r, lane, &c->moment, r->l->inside));
}

/* Each run of `dense` is for one wanted time of each sample. */
static bool deliver_inside(Rows *r, int n)
{
    do {
        r->has_inside = false;
        if (!each_lane(r, n, seek))
            return false;
        if (r->has_inside && !(run_dense(r, n, r->s->dense) && each_lane(r, n, deliver_one)))
            return false;
    } while (r->has_inside);
    return true;
}

/* The saved time whose rate is the n-th of the lane's accepted step, or -1: its end belongs to it, and the start of the
 * span to the first one. */
static int rate_entry(const Rows *r, int lane, int n)
{
    const NdeCourse *c = course_in(r, lane);
    int i = (c->accepted ? c->first : 0) + n;
    return c->is_accepted && i < c->n_save && (c->save[i] - c->w.end) * c->w.way <= 0 ? i : -1;
}

static double rate_theta(const NdeCourse *c, int i)
{
    return c->save[i] == c->w.end ? 1 : (c->save[i] - c->w.t) / c->h;
}

/* How saved states change with their times, as the interpolants say: each run of `dense_rate` is for one of each
 * sample. */
static bool deliver_rates(Rows *r, int lanes)
{
    const NdeSolve *s = r->s;
    int from = r->b->first, behind = from + lanes;
    for (int n = 0, any = 1; s->dense_rate && any; n++) {
        any = 0;
        for (int lane = from; lane < behind; lane++) {
            int i = rate_entry(r, lane, n);
            any |= i >= 0;
            nde_lane_scalar(r->l->theta)[lane] = i >= 0 ? (Real)rate_theta(course_in(r, lane), i) : 0;
        }
        if (any && !run_dense(r, lanes, s->dense_rate))
            return false;
        for (int lane = from; any && lane < behind; lane++) {
            int i = rate_entry(r, lane, n);
            if (i >= 0)
                deliver_entry(r, lane, nde_result_saved_rate(s, 0), i, r->l->inside);
        }
    }
    return true;
}

/* ---- the end of a sample ---- */

static void put(const Rows *r, int result, int sample, double x)
{
    if (r->out[result].at)
        *nde_lane_number(r->e, r->out[result], sample) = (Real)x;
}

/* The start of one of the steps but the first, each as likely; of the only one if there is only one. */
static void draw_accepted(Rows *r, int sample, int draw)
{
    const NdeSolve *s = r->s;
    const NdeCourse *c = &r->l->course[sample];
    uint64_t stream = nde_stream(NDE_STREAM_DRAW, s->index, r->e->run.train_step);
    double u = nde_random_uniform(r->e->seed, stream, (uint64_t)sample * (uint64_t)s->n_draw + (uint64_t)draw);
    long slot = c->accepted > 1 ? 1 + (long)(u * (double)(c->accepted - 1)) : 0;
    size_t record = c->last;
    for (long i = c->accepted; i > slot; i--)
        record = nde_record_at(r->l, c, record)->before;
    const NdeRecord *at = nde_record_at(r->l, c, record);
    r->l->drawn[sample * s->n_draw + draw] = (NdeDrawn){.t = at->t, .left = c->w.t1 - at->t, .h = at->h};
    nde_record_state(r->e, r->f, c, record, s->n_state, r->out + nde_result_drawn(s, draw), sample);
}

static void put_results(Rows *r, int lane)
{
    const NdeSolve *s = r->s;
    int sample = r->l->who[lane], k = nde_result_quantity(s, s->n_quantity);
    const NdeCourse *c = course_in(r, lane);
    long attempts = c->accepted + c->rejected;
    for (int i = 0; i < s->n_state; i++)
        if (r->out[i].at)
            nde_lane_copy(r->e, s->state[i], r->out[i], sample, r->l->now[i], lane);
    for (int i = 0; i < s->n_draw; i++) {
        int first = nde_result_drawn(s, i) + s->n_state;
        if (i >= s->n_unbiased)
            draw_accepted(r, sample, i);
        const NdeDrawn *d = &r->l->drawn[sample * s->n_draw + i];
        put(r, first, sample, d->t);
        put(r, first + 1, sample, d->left);
        put(r, first + 2, sample, d->h);
    }
    for (int i = 0; i < s->n_quantity; i++) {
        double sum = r->l->sum[sample * s->n_quantity + i];
        bool is_mean = s->quantity_how[i] == 1 && c->accepted > 0;
        put(r, nde_result_quantity(s, i), sample, is_mean ? sum / (double)c->accepted : sum);
    }
    put(r, k, sample, r->f->evaluations + (double)(s->evaluations_step * attempts));
    put(r, k + 1, sample, (double)c->accepted);
    put(r, k + 2, sample, (double)c->rejected);
}

/* The sample of the last lane in use goes on in this one. */
static void leave(Rows *r, int lane)
{
    const NdeSolve *s = r->s;
    NdeLanes *l = r->l;
    int last = r->b->first + --r->b->n;
    for (int i = 0; lane != last && i < s->n_state + s->n_carry; i++)
        nde_lane_copy(r->e, nde_slot_value(s, i), l->now[i], lane, l->now[i], last);
    for (int i = 0; lane != last && i < s->n_arg; i++)
        if (s->arg[i].is_batched)
            nde_lane_copy(r->e, s->arg[i], l->arg[i], lane, l->arg[i], last);
    l->who[lane] = l->who[last];
    nde_lane_scalar(l->h)[last] = 0; /* what runs on there is a step of no length */
}

static bool finish(Rows *r, int lane)
{
    if (r->records && !goes_on(r, nde_records_room(r->l, r->b, 1)))
        return false;
    if (r->records)
        nde_record_write(r->e, r->f, course_in(r, lane), lane, r->b->n_record);
    put_results(r, lane);
    leave(r, lane);
    return true;
}

/* Of n lanes, from the last one on, for those behind a lane that is left have been looked at. */
static bool finish_arrived(Rows *r, int n)
{
    for (int lane = r->b->first + n - 1; lane >= r->b->first; lane--)
        if (course_in(r, lane)->w.t == course_in(r, lane)->w.t1 && !finish(r, lane))
            return false;
    return true;
}

/* ---- rows ---- */

static bool choose(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    NdeReplay *replay = &r->e->replay;
    if (c->accepted + c->rejected >= c->w.limit)
        return stops(c, NDE_FAIL_MANY_STEPS);
    nde_moments_from(c, c->w.t);
    c->w.save = c->save + c->first; /* the next one may be a stop */
    c->w.n_save = c->first < c->n_save;
    nde_flight_choose(&c->w);
    if (replay->mode == NDE_REPLAY) {
        NdeAttempt a = {0};
        if (!goes_on(r, nde_attempt_next(r->e, &a)))
            return false;
        c->w.h = a.h;
        c->w.end = a.end;
        c->is_accepted = a.is_accepted;
    }
    bool is_wanted = c->w.end == c->w.t + c->w.h; /* not cut to a stop */
    c->h = (double)(Real)(is_wanted ? c->w.h : c->w.end - c->w.t);
    if (is_wanted && !(c->w.fixed > 0) && replay->mode != NDE_REPLAY)
        c->w.end = c->w.t + c->h; /* the size as the step is given it */
    nde_lane_scalar(r->l->t)[lane] = (Real)c->w.t;
    nde_lane_scalar(r->l->h)[lane] = (Real)c->h;
    return c->w.end != c->w.t || stops(c, NDE_FAIL_SMALL_STEP);
}

static void fill_step(Rows *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = s->n_state + s->n_carry;
    memcpy(f->step_in, r->l->now, (size_t)n * sizeof *f->step_in);
    f->step_in[n] = r->l->t;
    f->step_in[n + 1] = r->l->h;
    nde_dense_refs(f);
    f->is_stepping = true;
}

static const NdeFn *step_fn(const Rows *r)
{
    return r->keeps ? r->s->step_keep : r->s->step;
}

static bool is_local(const Rows *r)
{
    const NdeSolve *s = r->s;
    return nde_frame_is_local(step_fn(r), false) && (!s->dense || nde_frame_is_local(s->dense, false)) &&
           (!s->dense_rate || nde_frame_is_local(s->dense_rate, false));
}

/* The functions of the rows, and what they are given. */
static int ready(Rows *r)
{
    const NdeSolve *s = r->s;
    bool has_dense = r->has_moments && s->dense;
    fill_step(r);
    if (has_dense)
        nde_lanes_dense(r->f, r->f->call_in);
    if (r->is_whole)
        return 0;
    int status = nde_frame_ready(r->e, step_fn(r), r->f->step_in, r->f->step_out);
    if (status || !has_dense)
        return status;
    status = nde_frame_ready(r->e, s->dense, r->f->call_in, r->l->inside);
    return status || !s->dense_rate ? status : nde_frame_ready(r->e, s->dense_rate, r->f->call_in, r->l->inside);
}

static bool judge(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    NdeReplay *replay = &r->e->replay;
    bool is_free = c->w.fixed > 0 || !r->s->is_adaptive;
    double err = (double)nde_lane_scalar(r->l->err)[lane];
    if (!isfinite(err))
        c->broken_h = c->h;
    if (replay->mode != NDE_REPLAY)
        c->is_accepted = is_free || err <= 1;
    if (replay->mode == NDE_RECORD) {
        NdeAttempt a = {c->w.h, c->w.end, c->is_accepted};
        if (!goes_on(r, nde_attempt_next(r->e, &a)))
            return false;
    }
    r->l->takes[lane] = c->is_accepted;
    if (!c->is_accepted) {
        c->rejected++;
        r->has_rejected = true;
    }
    return nde_flight_propose(&c->w, c->is_accepted, c->h, err, &c->why);
}

static void count_quantities(Rows *r, int lane)
{
    const NdeSolve *s = r->s;
    const NdeCourse *c = course_in(r, lane);
    for (int i = 0; i < s->n_quantity; i++) {
        int k = r->l->who[lane] * s->n_quantity + i;
        double q = (double)nde_lane_scalar(r->l->quantity[i])[lane];
        if (s->quantity_how[i] != 2)
            r->l->sum[k] += q;
        else if (c->accepted == 0 || q > r->l->sum[k]) {
            r->l->sum[k] = q;
            r->l->most[k] = c->accepted;
        }
    }
}

/* The sample goes on from the end of its step, once its states are taken. */
static bool accept(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    if (!c->is_accepted)
        return true;
    if (r->records)
        nde_record_write(r->e, r->f, c, lane, r->record + (size_t)(lane - r->b->first));
    if (r->is_bounded && !goes_on(r, nde_slots_keep(r->e, r->f, lane)))
        return false;
    count_quantities(r, lane);
    if (c->accepted == 0)
        c->warm = nde_flight_warm(&c->w);
    c->accepted++;
    c->broken_h = 0;
    c->w.t = c->w.end;
    if (c->w.t == c->w.t1)
        r->has_arrived = true;
    if (r->is_traced && !r->e->trace->points && r->l->who[lane] == r->e->trace->sample)
        return goes_on(r, nde_trace_row(r->e, r->f, c->w.t, r->l->next, lane));
    return true;
}

static bool judge_and_accept(Rows *r, int lane)
{
    return judge(r, lane) && accept(r, lane);
}

static bool run_row(Rows *r)
{
    int n = lanes_under_way(r), tile = r->e->model->tile;
    r->has_rejected = r->has_arrived = false;
    r->record = r->b->n_record + 1; /* a lane whose step is rejected leaves its one empty */
    if (r->records && !goes_on(r, nde_records_room(r->l, r->b, n)))
        return false;
    if (!each_lane(r, n, choose) || !run_tiles(r, n, step_fn(r), r->f->step_in, r->f->step_out))
        return false;
    r->b->executed += (double)((n + tile - 1) / tile * tile) * r->s->evaluations_step;
    if (!each_lane(r, n, r->has_moments ? judge : judge_and_accept))
        return false;
    if (r->has_moments && !(deliver_inside(r, n) && deliver_rates(r, n) && each_lane(r, n, accept)))
        return false;
    nde_lanes_take(r->e, r->f, r->b->first, n, r->has_rejected);
    return !r->has_arrived || finish_arrived(r, n);
}

/* ---- bands ---- */

typedef struct Job {
    Rows rows;
    atomic_int stopped; /* the first band that could not go on: those behind it need not */
} Job;

static void solve_band(void *context, int band, int thread)
{
    Job *job = context;
    Rows r = job->rows;
    r.b = &r.l->band[band];
    r.thread = thread;
    bool is_fine = each_lane(&r, r.b->n, deliver_start) && finish_arrived(&r, r.b->n);
    while (is_fine && r.b->n > 0 && atomic_load(&job->stopped) > band)
        is_fine = run_row(&r);
    int first = atomic_load(&job->stopped);
    while (!is_fine && band < first && !atomic_compare_exchange_weak(&job->stopped, &first, band))
        continue;
}

static int solve_bands(Rows *r)
{
    Job job = {*r, INT_MAX};
    NdeLanes *l = r->l;
    nde_bands_begin(r->e, l, r->is_whole);
    nde_bands_share(r->e, step_fn(r), l->bands, solve_band, &job);
    nde_bands_end(r->e, r->f);
    nde_lanes_all(r->e);
    int stopped = atomic_load(&job.stopped);
    if (stopped == INT_MAX)
        return 0;
    const NdeBand *b = &l->band[stopped];
    if (b->status == NDE_NO_ROOM)
        return nde_records_none(r->e->error);
    return b->status ? b->status : fails(r, b->stopped, course_in(r, b->stopped)->why);
}

/* The first step of the next solve: the geometric mean of what those of the samples could have been. On four models it
 * takes the fewest evaluations, with the median, which needs a sorted copy: a small quantile wastes the reach of most
 * first steps, a large one has too many rejected. */
static void remember_first(const Rows *r)
{
    double sum = 0, n = 0;
    if (!r->s->is_initial_warm || !r->e->is_taping)
        return;
    for (int i = 0; i < r->e->count; i++) {
        const NdeCourse *c = &r->l->course[i];
        sum += c->accepted > 0 ? log(c->warm) : 0;
        n += c->accepted > 0;
    }
    if (n > 0)
        r->f->warm = exp(sum / n);
}

/* The flow tells of a usual sample again. */
static void count_means(Rows *r)
{
    double accepted = 0, rejected = 0, executed = 0;
    NdeFlow *f = r->f;
    int n = r->e->count;
    for (int i = 0; i < n; i++) {
        accepted += (double)r->l->course[i].accepted;
        rejected += (double)r->l->course[i].rejected;
    }
    for (int i = 0; i < r->l->bands; i++)
        executed += r->l->band[i].executed;
    executed += f->evaluations * r->e->run.n_tile * r->e->model->tile;
    f->lane = -1;
    f->evaluations += r->s->evaluations_step * (accepted + rejected) / n;
    f->accepted = accepted / n;
    f->rejected = rejected / n;
    NdeRef to = r->out[nde_result_quantity(r->s, r->s->n_quantity) + 3];
    if (to.at)
        *(double *)to.at = executed / n;
}

int nde_lanes_again(NdeEngine *e, NdeFlow *f, int slot)
{
    const NdeSolve *s = f->solve;
    NdeLanes *l = f->lanes;
    Rows r = {.e = e, .f = f, .s = s, .l = l, .keeps = keeps_dense(s)};
    nde_lanes_from(e, f, slot);
    nde_lanes_fetch(e, f, slot);
    l->again += (long)l->n * s->evaluations_step;
    fill_step(&r);
    int status = nde_frame_run(e, step_fn(&r), f->step_in, f->step_out);
    for (int lane = 0; !status && lane < l->n; lane++)
        for (int k = 0; k < s->n_state + s->n_carry; k++)
            nde_lane_copy(e, nde_slot_value(s, k), nde_tape_state(&f->tape, slot + 1, k), l->who[lane], l->next[k],
                          lane);
    return status;
}

int nde_solve_lanes(NdeEngine *e, NdeFlow *f, const NdeRef *in, const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    Rows r = {.e = e, .f = f, .s = s, .l = f->lanes, .in = in, .out = out};
    r.is_traced = e->trace && !strcmp(e->trace->solve, s->name);
    r.keeps = keeps_dense(s) || (r.is_traced && e->trace->points);
    r.is_bounded = nde_lanes_bounded(e, f);
    r.records = (e->is_taping && !s->forgets_steps && !r.is_bounded) || s->n_unbiased < s->n_draw;
    r.has_saves_alone = s->n_draw == 0 && !r.is_traced;
    r.has_moments = s->n_save > 0 || !r.has_saves_alone;
    r.is_whole = r.is_traced || r.is_bounded || e->replay.mode != NDE_LIVE || nde_lanes_heavy(s) || !is_local(&r);
    f->evaluations = s->evaluations_init;
    int status = begin(&r);
    if (!status)
        status = first_sizes(&r);
    if (!status && r.is_bounded)
        status = nde_slots_begin(e, f);
    if (!status)
        nde_results_clear(e, s, out);
    if (!status)
        status = ready(&r);
    if (!status)
        status = solve_bands(&r);
    if (!status) {
        nde_results_pad(e, s, out);
        count_means(&r);
        remember_first(&r);
    }
    return status;
}
