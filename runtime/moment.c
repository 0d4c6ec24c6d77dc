/* moment.c: states at times inside a solve: saved times, times drawn for local regularisers, traces.
 *
 * Needs: accepted steps with their d.. (run once more where the solve does not keep them). Gives: saved series, drawn
 * states, rows of a trace. A time that is an end of a step gets the state itself, any other the interpolant. Where
 * saved times have a gradient, each has the rate of that interpolant beside its state: at an end of a step that of this
 * step. Elsewhere: the loop (solve.c), their cotangents (adjoint.c). */
#include "lanes.h"
#include "rng.h"
#include "run.h"

#include <string.h>

static bool is_behind(const NdeFlow *f, int i, double t, double way)
{
    return (f->save[i] - t) * way > 0;
}

/* The first saved time behind t. Steps follow each other, forwards or back, so the search goes on from the last one. */
static int first_behind(NdeFlow *f, double t, double way)
{
    int i = f->found;
    while (i < f->solve->n_save && !is_behind(f, i, t, way))
        i++;
    while (i > 0 && is_behind(f, i - 1, t, way))
        i--;
    f->found = i;
    return i;
}

NdeRange nde_saves_in(NdeFlow *f, double t, double end)
{
    double way = end < t ? -1 : 1;
    if (!f->is_ordered)
        return (NdeRange){0, f->solve->n_save};
    int from = first_behind(f, t, way);
    return (NdeRange){from, first_behind(f, end, way)};
}

NdeRef nde_saved_ref(const NdeEngine *e, NdeValue state, NdeRef series, int i)
{
    size_t bytes = (size_t)state.n * (size_t)e->model->tile * sizeof(Real);
    return (NdeRef){(char *)series.at + (size_t)i * bytes, series.step};
}

void nde_dense_refs(NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    int n = s->n_state + s->n_carry;
    for (int i = 0; i < n; i++)
        f->step_out[i] = f->spare[i];
    f->step_out[n] = f->lanes ? f->lanes->err : (NdeRef){&f->err, 0};
    for (int i = 0; i < s->n_quantity; i++)
        f->step_out[n + 1 + i] = f->lanes ? f->lanes->quantity[i] : (NdeRef){&f->quantity[i], 0};
    for (int i = 0; i < s->n_dense; i++)
        f->step_out[n + 1 + s->n_quantity + i] = f->dense[i];
}

int nde_dense_again(NdeEngine *e, NdeFlow *f)
{
    nde_dense_refs(f);
    return nde_frame_run(e, f->solve->step_keep, f->step_in, f->step_out);
}

static int run_dense(NdeEngine *e, NdeFlow *f, const NdeFn *fn, int slot, const NdeRef *d, double theta,
                     const NdeRef *to)
{
    const NdeSolve *s = f->solve;
    int n = s->n_state, k = 2 * n;
    nde_tape_states(&f->tape, slot, n, f->call_in);
    nde_tape_states(&f->tape, slot + 1, n, f->call_in + n);
    for (int i = 0; i < s->n_dense; i++)
        f->call_in[k++] = d[i];
    f->theta = theta;
    f->call_in[k++] = (NdeRef){&f->h, 0};
    f->call_in[k++] = (NdeRef){&f->theta, 0};
    return nde_frame_run(e, fn, f->call_in, to);
}

int nde_dense_at(NdeEngine *e, NdeFlow *f, int slot, const NdeRef *d, double theta, const NdeRef *to)
{
    return run_dense(e, f, f->solve->dense, slot, d, theta, to);
}

/* u at fraction theta of the step from the tape's last slot to the one after it. */
static int interpolate(NdeEngine *e, NdeFlow *f, double theta, const NdeRef *to)
{
    return nde_dense_at(e, f, f->tape.n, f->dense, theta, to);
}

static void copy_states(NdeEngine *e, NdeFlow *f, int slot, const NdeRef *to)
{
    for (int i = 0; i < f->solve->n_state; i++)
        if (to[i].at)
            nde_value_copy(e, f->solve->state[i], to[i], nde_tape_state(&f->tape, slot, i));
}

/* References to entry i of the series whose results begin at `first`, or false if nobody wants any. */
static bool saved_entry(NdeEngine *e, NdeFlow *f, int i, const NdeRef *first, NdeRef *to)
{
    const NdeSolve *s = f->solve;
    bool is_wanted = false;
    for (int k = 0; k < s->n_state; k++) {
        NdeRef series = first[k];
        to[k] = series.at ? nde_saved_ref(e, s->state[k], series, i) : (NdeRef){0};
        is_wanted = is_wanted || series.at;
    }
    return is_wanted;
}

/* ---- traces ---- */

/* The user's states for integrated ones: `state` itself, or what `lift` gives. */
static int user_states(NdeEngine *e, NdeFlow *f, const NdeRef **state)
{
    const NdeSolve *s = f->solve;
    int n = s->n_state;
    if (!s->lift)
        return 0;
    for (int i = 0; i < n; i++)
        f->call_in[i] = (*state)[i];
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[n + i] = f->step_in[n + s->n_carry + 2 + i];
    *state = f->user;
    return nde_frame_run(e, s->lift, f->call_in, f->user);
}

int nde_trace_row(NdeEngine *e, NdeFlow *f, double t, const NdeRef *state, int lane)
{
    NdeTrace *trace = e->trace;
    int status = user_states(e, f, &state);
    if (status)
        return status;
    if (trace->n == trace->room) {
        long room = trace->room ? 2 * trace->room : 256;
        double *grown = nde_enlarge(trace->row, (size_t)room * (size_t)trace->width, sizeof *grown, e->error);
        if (!grown)
            return e->error->exit_code;
        trace->row = grown;
        trace->room = room;
    }
    double *row = trace->row + trace->n++ * trace->width;
    NdeSpan span = nde_span_of(e, f->solve, f->step_in + nde_first_arg(f->solve), lane);
    *row++ = span.start + span.length * t;
    for (int i = 0; i < f->solve->n_state; i++)
        for (int k = 0; k < nde_user_state(f->solve, i).n; k++)
            *row++ = nde_value_get(e, nde_user_state(f->solve, i), state[i], lane, k);
    return 0;
}

static bool is_traced(const NdeEngine *e, const NdeFlow *f)
{
    return e->trace && !strcmp(e->trace->solve, f->solve->name);
}

static int trace_slot(NdeEngine *e, NdeFlow *f, int slot, double t)
{
    nde_tape_states(&f->tape, slot, f->solve->n_state, f->call_out);
    return nde_trace_row(e, f, t, f->call_out, e->trace->sample);
}

/* The evenly spaced points in the step that ends at `end`; the last point is the end of the span. */
static int trace_step(NdeEngine *e, NdeFlow *f, double end, bool *has_dense)
{
    const NdeTrace *trace = e->trace;
    if (!trace->points)
        return trace_slot(e, f, f->tape.n + 1, end);
    double before = (f->t - trace->t0) / (trace->t1 - trace->t0) * (trace->points - 1);
    for (int i = before > 1 ? (int)before : 1; i < trace->points; i++) {
        double time =
            i == trace->points - 1 ? trace->t1 : trace->t0 + (trace->t1 - trace->t0) * i / (trace->points - 1);
        if ((time - end) * (trace->t1 - trace->t0) > 0)
            break;
        NdeWhere where = nde_where(f->t, end, time);
        int status = where == NDE_AT_END ? trace_slot(e, f, f->tape.n + 1, end) : 0;
        if (where == NDE_INSIDE) {
            if (!*has_dense)
                status = nde_dense_again(e, f);
            *has_dense = true;
            if (!status)
                status = interpolate(e, f, (time - f->t) / f->h, f->spare);
            if (!status)
                status = nde_trace_row(e, f, time, f->spare, trace->sample);
        }
        if (status)
            return status;
    }
    return 0;
}

/* ---- the calls of a solve ---- */

static int check_saves(const NdeEngine *e, NdeFlow *f, double t0, double t1)
{
    const NdeSolve *s = f->solve;
    f->is_ordered = true;
    f->found = 0;
    for (int i = 0; i < s->n_save; i++) {
        double time = f->save[i];
        f->is_ordered = f->is_ordered && (i == 0 || (time - f->save[i - 1]) * (t1 - t0) >= 0);
        if (time != t0 && nde_where(t0, t1, time) == NDE_ELSEWHERE) {
            NdeSpan span = f->bounds;
            bool is_file = !s->is_learned && s->set_save >= 0;
            double given = s->set_save >= 0 ? e->setting[s->set_save + i] : span.start + span.length * time;
            return nde_fail(e->error, is_file ? NDE_EXIT_FILE : NDE_EXIT_NUMERICAL,
                            "save time %g of '%s' is outside of its span %g .. %g", given, s->name,
                            span.start + span.length * t0, span.start + span.length * t1);
        }
    }
    return 0;
}

int nde_moments_begin(NdeEngine *e, NdeFlow *f, double t0, double t1)
{
    const NdeSolve *s = f->solve;
    for (int i = 0; i < s->n_unbiased; i++) {
        uint64_t stream = nde_stream(NDE_STREAM_DRAW, s->index, e->run.train_step);
        double t = t0 + (t1 - t0) * nde_random_uniform(e->seed, stream, (uint64_t)i);
        f->drawn[i] = (NdeDrawn){.t = t, .left = t1 - t, .step = -1};
    }
    if (is_traced(e, f)) {
        e->trace->t0 = t0;
        e->trace->t1 = t1;
    }
    return check_saves(e, f, t0, t1);
}

int nde_moments_at_start(NdeEngine *e, NdeFlow *f, const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    double t0 = nde_tape_point(&f->tape, 0)->t;
    for (int i = 0; i < s->n_save; i++)
        if (f->save[i] == t0 && saved_entry(e, f, i, out + nde_result_saved(s, 0), f->call_out))
            copy_states(e, f, 0, f->call_out);
    for (int i = 0; s->dense_rate && i < s->n_state; i++) /* in a span without length there is no step */
        if (out[nde_result_saved_rate(s, i)].at)
            nde_value_zero(e, (NdeValue){s->state[i].n * s->n_save, true}, out[nde_result_saved_rate(s, i)]);
    return is_traced(e, f) ? trace_slot(e, f, 0, t0) : 0;
}

/* One wanted time: copies or interpolates to `to` if it lies in the step. */
static int fetch(NdeEngine *e, NdeFlow *f, NdeWhere where, double time, const NdeRef *to, bool *has_dense)
{
    if (where == NDE_AT_END)
        copy_states(e, f, f->tape.n + 1, to);
    if (where != NDE_INSIDE)
        return 0;
    if (!*has_dense) {
        int status = nde_dense_again(e, f);
        if (status)
            return status;
        *has_dense = true;
    }
    return interpolate(e, f, (time - f->t) / f->h, to);
}

/* How the state at saved time i changes with it, by the step's interpolant. The first step has the start too. */
static int fetch_rate(NdeEngine *e, NdeFlow *f, int i, NdeWhere where, const NdeRef *out, bool *has_dense)
{
    const NdeSolve *s = f->solve;
    double time = f->save[i], theta = where == NDE_AT_END ? 1 : (time - f->t) / f->h;
    bool is_here = where != NDE_ELSEWHERE || (f->tape.n == 0 && time == f->t);
    if (!s->dense_rate || !is_here || !saved_entry(e, f, i, out + nde_result_saved_rate(s, 0), f->call_out))
        return 0;
    int status = *has_dense ? 0 : nde_dense_again(e, f);
    *has_dense = true;
    return status ? status : run_dense(e, f, s->dense_rate, f->tape.n, f->dense, theta, f->call_out);
}

static int fetch_saves(NdeEngine *e, NdeFlow *f, double end, const NdeRef *out, bool *has_dense)
{
    const NdeSolve *s = f->solve;
    NdeRange in = nde_saves_in(f, f->t, end);
    int status = 0;
    int first = f->tape.n == 0 ? 0 : in.from; /* the rate at the start is the first step's */
    for (int i = first; i < in.to && !status; i++) {
        double time = f->save[i];
        NdeWhere where = nde_where(f->t, end, time);
        if (where != NDE_ELSEWHERE && saved_entry(e, f, i, out + nde_result_saved(s, 0), f->call_out))
            status = fetch(e, f, where, time, f->call_out, has_dense);
        if (!status)
            status = fetch_rate(e, f, i, where, out, has_dense);
    }
    return status;
}

static int fetch_draws(NdeEngine *e, NdeFlow *f, double end, const NdeRef *out, bool *has_dense)
{
    const NdeSolve *s = f->solve;
    for (int i = 0; i < s->n_unbiased; i++) {
        NdeDrawn *d = &f->drawn[i];
        bool is_start = f->tape.n == 0 && d->t == f->t;
        NdeWhere where = nde_where(f->t, end, d->t);
        if (where == NDE_ELSEWHERE && !is_start)
            continue;
        d->step = f->tape.n + (where == NDE_AT_END);
        d->theta = where == NDE_INSIDE ? (d->t - f->t) / f->h : 0;
        d->h = f->h;
        if (is_start)
            copy_states(e, f, 0, &out[nde_result_drawn(s, i)]);
        int status = fetch(e, f, where, d->t, &out[nde_result_drawn(s, i)], has_dense);
        if (status)
            return status;
    }
    return 0;
}

int nde_moments_in_step(NdeEngine *e, NdeFlow *f, double end, const NdeRef *out)
{
    bool has_dense = f->solve->keeps_dense;
    int status = fetch_saves(e, f, end, out, &has_dense);
    if (!status)
        status = fetch_draws(e, f, end, out, &has_dense);
    if (!status && is_traced(e, f))
        status = trace_step(e, f, end, &has_dense);
    return status;
}

/* The start of one of the steps but the first, each as likely; of the only one if there is only one. */
static int draw_accepted(NdeEngine *e, NdeFlow *f, int draw)
{
    int n = f->tape.n;
    uint64_t stream = nde_stream(NDE_STREAM_DRAW, f->solve->index, e->run.train_step);
    double u = nde_random_uniform(e->seed, stream, (uint64_t)draw);
    return n > 1 ? 1 + (int)(u * (n - 1)) : 0;
}

/* A draw at the start of a step, whose slot and point are there. */
static void draw_slot(NdeEngine *e, NdeFlow *f, int draw, double t1, const NdeRef *out)
{
    NdeDrawn *d = &f->drawn[draw];
    NdePoint p = *nde_tape_point(&f->tape, d->step);
    if (draw >= f->solve->n_unbiased)
        *d = (NdeDrawn){.t = p.t, .left = t1 - p.t, .h = p.h, .step = d->step, .is_late = true};
    copy_states(e, f, d->step, &out[nde_result_drawn(f->solve, draw)]);
}

/* The draws of a solve that keeps no slots: back to the first of them, with its end put aside. */
static int draw_undone(NdeEngine *e, NdeFlow *f, double t1, const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    NdeTape *tape = &f->tape;
    int n = tape->n, first = n, values = s->n_state + s->n_carry;
    for (int i = 0; i < s->n_draw; i++)
        first = f->drawn[i].is_late && f->drawn[i].step < first ? f->drawn[i].step : first;
    for (int i = 0; i < values; i++)
        nde_value_copy(e, nde_slot_value(s, i), f->spare[i], nde_tape_state(tape, n, i));
    for (int slot = n; slot >= first; slot--) {
        int status = slot < n ? nde_solve_undo(e, f, slot) : 0;
        if (status)
            return status;
        if (slot < n)
            nde_tape_leave(tape, slot + 1);
        for (int i = 0; i < s->n_draw; i++)
            if (f->drawn[i].is_late && f->drawn[i].step == slot)
                draw_slot(e, f, i, t1, out);
    }
    nde_tape_leave(tape, first);
    *nde_tape_point(tape, n) = (NdePoint){t1, 0, -1};
    if (!nde_tape_open(e, tape, n))
        return e->error->exit_code;
    for (int i = 0; i < values; i++)
        nde_value_copy(e, nde_slot_value(s, i), nde_tape_state(tape, n, i), f->spare[i]);
    return 0;
}

/* Draws that are made when all steps are known: of a step's start, or of a span of length 0, which has no step. */
static int draw_late(NdeEngine *e, NdeFlow *f, double t1, const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    bool is_any = false;
    for (int i = 0; i < s->n_draw; i++) {
        NdeDrawn *d = &f->drawn[i];
        bool is_biased = i >= s->n_unbiased;
        d->is_late = is_biased || d->step < 0; /* the others were made on the way */
        if (d->is_late)
            d->step = is_biased ? draw_accepted(e, f, i) : 0;
        is_any |= d->is_late;
    }
    if (f->tape.is_undone)
        return is_any ? draw_undone(e, f, t1, out) : 0;
    for (int i = 0; i < s->n_draw; i++) {
        if (!f->drawn[i].is_late)
            continue;
        int status = nde_solve_reach(e, f, f->drawn[i].step, 0);
        if (status)
            return status;
        draw_slot(e, f, i, t1, out);
        nde_tape_pass(&f->tape, f->drawn[i].step);
    }
    return 0;
}

int nde_moments_end(NdeEngine *e, NdeFlow *f, const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    int status = draw_late(e, f, nde_tape_point(&f->tape, f->tape.n)->t, out);
    for (int i = 0; i < s->n_draw && !status; i++) {
        const NdeDrawn *d = &f->drawn[i];
        int first = nde_result_drawn(s, i);
        double number[3] = {d->t, d->left, d->h};
        for (int k = 0; k < 3; k++)
            if (out[first + s->n_state + k].at)
                *(double *)out[first + s->n_state + k].at = number[k];
    }
    return status;
}
