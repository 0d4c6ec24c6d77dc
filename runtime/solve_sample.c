/* solve_sample.c: a differential equation in which each sample of the batch has its own time, step size and errors.
 *
 * Needs: the functions of the solve, whose times, sizes and norms are per sample. Gives: the results of solve.c, each
 * sample's as if it were alone; with a tape, the record of each sample's accepted steps.
 * Elsewhere: lanes and records (lanes.c), the choice of a step (solve.c), the reverse (adjoint_sample.c). */
#include "lanes.h"

#include "rng.h"
#include "run.h"

#include <math.h>
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
    double executed; /* evaluations, one for each lane of a tile */
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
    f->err = (double)*nde_lane_number(r->e, r->l->err, lane);
    f->accepted = (double)c->accepted;
    f->rejected = (double)c->rejected;
    f->broken_h = c->broken_h;
}

/* Lanes that a function is run for now, in use or not. */
static double lanes_run(const Rows *r)
{
    return (double)r->e->run.n_tile * r->e->model->tile;
}

static int fails(Rows *r, int lane, NdeOutcome why)
{
    speak_for(r, lane);
    return nde_solve_fails(r->e, r->f, why);
}

/* ---- what differs between samples ---- */

static int check_save(const Rows *r, const NdeCourse *c, int sample, int i)
{
    int code = r->s->dense_rate || r->s->is_learned ? NDE_EXIT_NUMERICAL : NDE_EXIT_DATA; /* it need not be the data */
    NdeSpan span = r->f->bounds;
    const char *name = r->s->name;
    const NdeFlight *w = &c->w;
    double time = c->save[i];
    long row = r->e->row[sample];
    if (isnan(time) && !r->s->is_learned)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is not a number\n  try: a count "
                        "of those that are times, `save … count …`",
                        row, i, name);
    if (time != w->t0 && nde_where(w->t0, w->t1, time) == NDE_ELSEWHERE)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is %g, outside of the span %g .. "
                        "%g",
                        row, i, name, span.start + span.length * time, span.start + span.length * w->t0,
                        span.start + span.length * w->t1);
    if (i > 0 && (time - c->save[i - 1]) * w->way < 0)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is %g, but the one before it is "
                        "%g: they follow the direction of the span",
                        row, i, name, span.start + span.length * time, span.start + span.length * c->save[i - 1]);
    return 0;
}

static int read_count(const Rows *r, NdeCourse *c, int sample)
{
    const NdeSolve *s = r->s;
    double count = nde_value_get(r->e, s->arg[s->arg_count], r->in[s->n_state + s->arg_count], sample, 0);
    if (!(count >= 0 && count <= s->n_save) || count != floor(count))
        return nde_fail(r->e->error, NDE_EXIT_DATA,
                        "sample %ld of the data: the count of the save times of '%s' is %g, not a whole number from 0 "
                        "to %d",
                        r->e->row[sample], s->name, count, s->n_save);
    c->n_save = (int)count;
    return 0;
}

static int read_saves(const Rows *r, NdeCourse *c, int sample)
{
    const NdeSolve *s = r->s;
    double *save = r->l->save + (size_t)sample * (size_t)s->n_save;
    c->save = c->w.save;
    c->n_save = s->n_save;
    int status = s->arg_count < 0 ? 0 : read_count(r, c, sample);
    for (int i = 0; i < s->n_save && (s->arg_save >= 0 || s->is_learned); i++) {
        const NdeRef *arg = r->in + s->n_state;
        save[i] = s->arg_save < 0
                      ? c->w.save[i] /* the sample's own part of its span */
                      : nde_flight_time(&c->w, nde_value_get(r->e, s->arg[s->arg_save], arg[s->arg_save], sample, i));
        c->save = save;
    }
    for (int i = 0; !status && i < c->n_save; i++)
        status = check_save(r, c, sample, i);
    return status;
}

static int read_end(const Rows *r, NdeFlight *w, int sample)
{
    const NdeSolve *s = r->s;
    if (s->arg_end < 0)
        return 0;
    w->t1 = nde_value_get(r->e, s->arg[s->arg_end], r->in[s->n_state + s->arg_end], sample, 0);
    w->way = w->t1 < w->t0 ? -1 : 1;
    if (isfinite(w->t1))
        return 0;
    return nde_fail(r->e->error, NDE_EXIT_DATA, "sample %ld of the data: the end of the span of '%s' is not finite",
                    r->e->row[sample], s->name);
}

static void draw_times(const Rows *r, const NdeFlight *w, int sample)
{
    uint64_t stream = nde_stream(NDE_STREAM_DRAW, r->s->index, r->e->run.train_step);
    int n = r->s->n_draw;
    for (int i = 0; i < n; i++) {
        double u = nde_random_uniform(r->e->seed, stream, (uint64_t)sample * (uint64_t)n + (uint64_t)i);
        double t = w->t0 + (w->t1 - w->t0) * u;
        if (i >= r->s->n_unbiased) /* known at the end */
            t = HUGE_VAL;
        r->l->drawn[sample * n + i] = (NdeDrawn){.t = t, .left = w->t1 - t};
    }
}

/* All samples in their lanes, at the starts of their spans. */
static int begin(Rows *r)
{
    NdeEngine *e = r->e;
    NdeLanes *l = r->l;
    NdeFlight w = {.e = e, .f = r->f, .s = r->s, .in = r->in, .out = r->out};
    int status = nde_flight_open(&w, 0);
    l->n = e->count;
    l->n_record = 0;
    nde_lanes_all(e);
    w.t = w.t0;
    for (int i = 0; !status && i < e->count; i++) {
        NdeCourse *c = &l->course[i];
        *c = (NdeCourse){.w = w};
        l->who[i] = i;
        status = r->s->is_learned ? nde_flight_open(&c->w, i) : read_end(r, &c->w, i);
        if (!status)
            status = read_saves(r, c, i);
        draw_times(r, &c->w, i);
    }
    if (status)
        return status;
    memset(l->sum, 0, sizeof *l->sum * (size_t)(r->s->n_quantity * e->count));
    memset(l->most, 0, sizeof *l->most * (size_t)(r->s->n_quantity * e->count));
    for (int i = 0; i < r->s->n_state; i++)
        nde_value_copy(e, r->s->state[i], l->now[i], r->in[i]);
    for (int i = 0; i < e->run.n_tile * e->model->tile; i++) {
        const NdeFlight *of = &l->course[i < e->count ? i : e->count - 1].w;
        *nde_lane_number(e, l->t, i) = (Real)of->t0;
        *nde_lane_number(e, l->span, i) = (Real)(of->t1 - of->t0);
        *nde_lane_number(e, l->h, i) = 0;
    }
    nde_lanes_args(e, r->f, r->in);
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
    r->executed = lanes_run(r) * r->s->evaluations_init;
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
        c->w.h = fabs((double)*nde_lane_number(r->e, r->l->h, lane));
        if (!isfinite(c->w.h) || c->w.h == 0)
            status = fails(r, lane, NDE_FAIL_NOT_FINITE);
    }
    r->f->evaluations = r->s->evaluations_init + r->s->evaluations_guess;
    r->executed += lanes_run(r) * r->s->evaluations_guess;
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
static int deliver_start(Rows *r, int lane)
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
    return status;
}

static int run_dense(Rows *r)
{
    nde_lanes_dense(r->f);
    return nde_frame_run(r->e, r->s->dense, r->f->call_in, r->l->inside);
}

/* The next time inside each sample's accepted step; those at its end are delivered on the way. */
static int seek(Rows *r, NdeMoment *inside, bool *is_inside, int lane)
{
    NdeCourse *c = course_in(r, lane);
    *is_inside = false;
    while (!*is_inside && nde_moment_next(r->e, r->f, r->l->who[lane], c->w.t, c->w.end, c->h, inside)) {
        note_draw(r, lane, inside);
        *is_inside = inside->where == NDE_INSIDE;
        int status = *is_inside ? 0 : deliver(r, lane, inside, r->l->next);
        if (status)
            return status;
    }
    return 0;
}

/* Each run of `dense` is for one wanted time of each sample. */
static int deliver_inside(Rows *r)
{
    NdeLanes *l = r->l;
    for (bool any = true; any;) {
        int status = 0;
        any = false;
        for (int lane = 0; !status && lane < l->n; lane++) {
            NdeCourse *c = course_in(r, lane);
            c->moment.where = NDE_ELSEWHERE;
            if (c->is_accepted)
                status = seek(r, &c->moment, &c->is_inside, lane);
            else
                c->is_inside = false;
            any |= c->is_inside;
            *nde_lane_number(r->e, l->theta, lane) = c->is_inside ? (Real)c->moment.theta : 0;
        }
        if (!status && any)
            status = run_dense(r);
        for (int lane = 0; !status && any && lane < l->n; lane++)
            if (course_in(r, lane)->is_inside)
                status = deliver(r, lane, &course_in(r, lane)->moment, l->inside);
        if (status)
            return status;
    }
    return 0;
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
static int deliver_rates(Rows *r)
{
    const NdeSolve *s = r->s;
    for (int n = 0, any = 1; s->dense_rate && any; n++) {
        any = 0;
        for (int lane = 0; lane < r->l->n; lane++) {
            int i = rate_entry(r, lane, n);
            any |= i >= 0;
            *nde_lane_number(r->e, r->l->theta, lane) = i >= 0 ? (Real)rate_theta(course_in(r, lane), i) : 0;
        }
        nde_lanes_dense(r->f);
        int status = any ? nde_frame_run(r->e, s->dense_rate, r->f->call_in, r->l->inside) : 0;
        if (status)
            return status;
        for (int lane = 0; any && lane < r->l->n; lane++) {
            int i = rate_entry(r, lane, n);
            if (i >= 0)
                deliver_entry(r, lane, nde_result_saved_rate(s, 0), i, r->l->inside);
        }
    }
    return 0;
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
        record = nde_record_at(r->l, record)->before;
    const NdeRecord *at = nde_record_at(r->l, record);
    r->l->drawn[sample * s->n_draw + draw] = (NdeDrawn){.t = at->t, .left = c->w.t1 - at->t, .h = at->h};
    nde_record_state(r->e, r->f, record, s->n_state, r->out + nde_result_drawn(s, draw), sample);
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
    int last = --l->n;
    for (int i = 0; lane != last && i < s->n_state + s->n_carry; i++)
        nde_lane_copy(r->e, nde_slot_value(s, i), l->now[i], lane, l->now[i], last);
    for (int i = 0; lane != last && i < s->n_arg; i++)
        if (s->arg[i].is_batched)
            nde_lane_copy(r->e, s->arg[i], l->arg[i], lane, l->arg[i], last);
    l->who[lane] = l->who[last];
    *nde_lane_number(r->e, l->h, last) = 0; /* what runs on there is a step of no length */
}

static int finish(Rows *r, int lane)
{
    int status = r->records ? nde_record_add(r->e, r->f, course_in(r, lane), lane) : 0;
    if (status)
        return status;
    put_results(r, lane);
    leave(r, lane);
    return 0;
}

/* From the last lane on, for those behind a lane that is left have been looked at. */
static int finish_arrived(Rows *r)
{
    int status = 0;
    for (int lane = r->l->n - 1; !status && lane >= 0; lane--)
        if (course_in(r, lane)->w.t == course_in(r, lane)->w.t1)
            status = finish(r, lane);
    return status;
}

/* ---- rows ---- */

static int choose(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    NdeReplay *replay = &r->e->replay;
    if (c->accepted + c->rejected >= c->w.limit)
        return fails(r, lane, NDE_FAIL_MANY_STEPS);
    nde_moments_from(c, c->w.t);
    c->w.save = c->save + c->first; /* the next one may be a stop */
    c->w.n_save = c->first < c->n_save;
    nde_flight_choose(&c->w);
    if (replay->mode == NDE_REPLAY) {
        NdeAttempt a = {0};
        int status = nde_attempt_next(r->e, &a);
        if (status)
            return status;
        c->w.h = a.h;
        c->w.end = a.end;
        c->is_accepted = a.is_accepted;
    }
    bool is_wanted = c->w.end == c->w.t + c->w.h; /* not cut to a stop */
    c->h = (double)(Real)(is_wanted ? c->w.h : c->w.end - c->w.t);
    if (is_wanted && !(c->w.fixed > 0) && replay->mode != NDE_REPLAY)
        c->w.end = c->w.t + c->h; /* the size as the step is given it */
    *nde_lane_number(r->e, r->l->t, lane) = (Real)c->w.t;
    *nde_lane_number(r->e, r->l->h, lane) = (Real)c->h;
    return c->w.end == c->w.t ? fails(r, lane, NDE_FAIL_SMALL_STEP) : 0;
}

static int run_step(Rows *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = s->n_state + s->n_carry;
    memcpy(f->step_in, r->l->now, (size_t)n * sizeof *f->step_in);
    f->step_in[n] = r->l->t;
    f->step_in[n + 1] = r->l->h;
    memcpy(f->step_out, r->l->next, (size_t)n * sizeof *f->step_out);
    f->step_out[n] = r->l->err;
    memcpy(f->step_out + n + 1, r->l->quantity, (size_t)s->n_quantity * sizeof *f->step_out);
    memcpy(f->step_out + n + 1 + s->n_quantity, f->dense, (size_t)s->n_dense * sizeof *f->step_out);
    f->is_stepping = true;
    r->executed += lanes_run(r) * s->evaluations_step;
    return nde_frame_run(r->e, r->keeps ? s->step_keep : s->step, f->step_in, f->step_out);
}

static int judge(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    NdeReplay *replay = &r->e->replay;
    bool is_free = c->w.fixed > 0 || !r->s->is_adaptive;
    speak_for(r, lane);
    if (!isfinite(r->f->err))
        r->f->broken_h = c->broken_h = c->h;
    if (replay->mode != NDE_REPLAY)
        c->is_accepted = is_free || r->f->err <= 1;
    if (replay->mode == NDE_RECORD) {
        NdeAttempt a = {c->w.h, c->w.end, c->is_accepted};
        int status = nde_attempt_next(r->e, &a);
        if (status)
            return status;
    }
    c->rejected += !c->is_accepted;
    return nde_flight_propose(&c->w, c->is_accepted);
}

static void count_quantities(Rows *r, int lane)
{
    const NdeSolve *s = r->s;
    const NdeCourse *c = course_in(r, lane);
    for (int i = 0; i < s->n_quantity; i++) {
        int k = r->l->who[lane] * s->n_quantity + i;
        double q = (double)*nde_lane_number(r->e, r->l->quantity[i], lane);
        if (s->quantity_how[i] != 2)
            r->l->sum[k] += q;
        else if (c->accepted == 0 || q > r->l->sum[k]) {
            r->l->sum[k] = q;
            r->l->most[k] = c->accepted;
        }
    }
}

/* The sample goes on from the end of its step, once its states are taken. */
static int accept(Rows *r, int lane)
{
    NdeCourse *c = course_in(r, lane);
    int status = r->records      ? nde_record_add(r->e, r->f, c, lane)
                 : r->is_bounded ? nde_slots_keep(r->e, r->f, lane)
                                 : 0;
    if (status)
        return status;
    count_quantities(r, lane);
    if (c->accepted == 0)
        c->warm = nde_flight_warm(&c->w);
    c->accepted++;
    c->broken_h = 0;
    c->w.t = c->w.end;
    if (r->is_traced && !r->e->trace->points && r->l->who[lane] == r->e->trace->sample)
        return nde_trace_row(r->e, r->f, c->w.t, r->l->next, lane);
    return 0;
}

static int run_row(Rows *r)
{
    int status = 0;
    nde_lanes_used(r->e, r->l);
    for (int lane = 0; !status && lane < r->l->n; lane++)
        status = choose(r, lane);
    if (!status)
        status = run_step(r);
    for (int lane = 0; !status && lane < r->l->n; lane++)
        status = judge(r, lane);
    if (!status)
        status = deliver_inside(r);
    if (!status)
        status = deliver_rates(r);
    for (int lane = 0; !status && lane < r->l->n; lane++) {
        r->l->takes[lane] = course_in(r, lane)->is_accepted;
        if (course_in(r, lane)->is_accepted)
            status = accept(r, lane);
    }
    for (int i = 0; !status && i < r->s->n_state + r->s->n_carry; i++)
        nde_lanes_take(r->e, nde_slot_value(r->s, i), r->l->now[i], r->l->next[i], r->l->takes);
    return status ? status : finish_arrived(r);
}

/* The series of saved states and of their rates, in the order of the results behind the ends. */
static int n_series(const NdeSolve *s)
{
    return nde_result_drawn(s, 0) - s->n_state;
}

static NdeValue series_value(const NdeSolve *s, int series)
{
    return (NdeValue){s->state[series % s->n_state].n * s->n_save, true};
}

/* Saved states behind the last are 0; lanes behind the last sample repeat it. */
static void clear_saved(Rows *r)
{
    const NdeRef *out = r->out + r->s->n_state;
    for (int i = 0; i < n_series(r->s); i++)
        if (out[i].at)
            nde_value_zero(r->e, series_value(r->s, i), out[i]);
}

static void pad_results(Rows *r)
{
    const NdeSolve *s = r->s;
    int k = 0;
    for (; k < s->n_state; k++)
        nde_lanes_pad(r->e, s->state[k], r->out[k]);
    for (int i = 0; i < n_series(s); i++)
        nde_lanes_pad(r->e, series_value(s, i), r->out[k++]);
    for (int i = 0; i < s->n_draw * (s->n_state + 3); i++) {
        int state = i % (s->n_state + 3);
        nde_lanes_pad(r->e, state < s->n_state ? s->state[state] : (NdeValue){1, true}, r->out[k++]);
    }
    for (int i = 0; i < s->n_quantity + 3; i++)
        nde_lanes_pad(r->e, (NdeValue){1, true}, r->out[k++]);
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
    double accepted = 0, rejected = 0;
    NdeFlow *f = r->f;
    int n = r->e->count;
    for (int i = 0; i < n; i++) {
        accepted += (double)r->l->course[i].accepted;
        rejected += (double)r->l->course[i].rejected;
    }
    f->lane = -1;
    f->evaluations += r->s->evaluations_step * (accepted + rejected) / n;
    f->accepted = accepted / n;
    f->rejected = rejected / n;
    NdeRef executed = r->out[nde_result_quantity(r->s, r->s->n_quantity) + 3];
    if (executed.at)
        *(double *)executed.at = r->executed / n;
}

int nde_lanes_again(NdeEngine *e, NdeFlow *f, int slot)
{
    const NdeSolve *s = f->solve;
    NdeLanes *l = f->lanes;
    Rows r = {.e = e, .f = f, .s = s, .l = l, .keeps = keeps_dense(s)};
    nde_lanes_from(e, f, slot);
    nde_lanes_fetch(e, f, slot);
    l->again += (long)l->n * s->evaluations_step;
    int status = run_step(&r);
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
    f->evaluations = s->evaluations_init;
    int status = begin(&r);
    if (!status)
        status = first_sizes(&r);
    if (!status && r.is_bounded)
        status = nde_slots_begin(e, f);
    if (!status)
        clear_saved(&r);
    for (int lane = 0; !status && lane < r.l->n; lane++)
        status = deliver_start(&r, lane);
    if (!status)
        status = finish_arrived(&r);
    while (!status && r.l->n > 0)
        status = run_row(&r);
    nde_lanes_all(e);
    if (!status) {
        pad_results(&r);
        count_means(&r);
        remember_first(&r);
    }
    return status;
}
