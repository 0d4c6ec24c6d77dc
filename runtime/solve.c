/* solve.c: a differential equation from t0 to t1 with one step size for the whole batch.
 *
 * Needs: the functions of the solve (init, guess, step, step_keep, dense). Gives: states at the end, saved and drawn
 * states, quantities, counts; the tape that the reverse reads.
 * A step's end is a time that was chosen (the end of the span, a saved time) or t + h; t0 + k h when steps are fixed.
 * So the end is met exactly and nothing accumulates.
 * Elsewhere: the size of the next step (control.c), saved and drawn times (moment.c), messages (watch.c). */
#include "run.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef NdeFlight Flight;

static double setting(const NdeEngine *e, int index, double otherwise)
{
    return index < 0 ? otherwise : e->setting[index];
}

void nde_solve_fill(NdeEngine *e, NdeFlow *f, int slot, double t, double h)
{
    (void)e;
    int n = f->solve->n_state + f->solve->n_carry;
    nde_tape_states(&f->tape, slot, n, f->step_in);
    f->t = t;
    f->h = h;
    f->step_in[n] = (NdeRef){&f->t, 0};
    f->step_in[n + 1] = (NdeRef){&f->h, 0};
}

/* Runs the step of size h from a slot; its results go to the next one. In a solve that is reversed every run of a step
 * is by the same function, whether its residuals are kept or not: the compiler may contract a product and a sum in one
 * function and not in another, but the same step gives the same bits. */
static int run_step(NdeEngine *e, NdeFlow *f, int slot, double t, double h)
{
    const NdeSolve *s = f->solve;
    int n = s->n_state + s->n_carry;
    if (!nde_tape_open(e, &f->tape, slot + 1))
        return e->error->exit_code;
    if (s->is_per_sample)
        return nde_lanes_again(e, f, slot);
    nde_solve_fill(e, f, slot, t, h);
    nde_tape_states(&f->tape, slot + 1, n, f->step_out);
    f->step_out[n] = (NdeRef){&f->err, 0};
    for (int i = 0; i < s->n_quantity; i++)
        f->step_out[n + 1 + i] = (NdeRef){&f->quantity[i], 0};
    for (int i = 0; i < s->n_dense; i++)
        f->step_out[n + 1 + s->n_quantity + i] = f->dense[i];
    f->err = 0;
    int status = f->path ? nde_path_moments(e, f) : 0;
    if (status)
        return status;
    if (!e->is_taping || !s->record || f->tape.is_undone)
        return nde_frame_run(e, s->keeps_dense ? s->step_keep : s->step, f->step_in, f->step_out);
    int first = n + 1 + s->n_quantity + (s->records_dense ? s->n_dense : 0);
    if (slot == f->tape.n)
        nde_tape_keep(&f->tape);
    else
        e->reverse_evaluations += s->evaluations_step;
    if (!nde_tape_rest(e, &f->tape, slot, n, s->n_residual, f->step_out + first))
        return e->error->exit_code;
    return nde_frame_run(e, s->record, f->step_in, f->step_out);
}

/* ---- states that are in no slot ---- */

/* Does nobody read this state or carry but the next step, and who is given it at the end? A reverse that comes may
 * start from the last states, whether it reads the tape or not. */
static bool is_passing(const Flight *w, int k)
{
    bool is_carry = k >= w->s->n_state;
    return !w->f->tape.is_undone && ((is_carry && w->f->is_turning[k]) || !w->e->is_taping);
}

/* Where it is wanted at the end. */
static NdeRef wanted(const Flight *w, int k)
{
    const NdeSolve *s = w->s;
    if (k < s->n_state)
        return w->out[k];
    for (int i = 0; s->lifted && i < s->n_state; i++)
        if (s->lifted[i] == k - s->n_state)
            return w->out[nde_result_lifted(s, i)];
    return (NdeRef){0};
}

/* The attempt writes its end where it is wanted, if it is the end of the span. */
static void aim(const Flight *w)
{
    NdeTape *tape = &w->f->tape;
    tape->last.slot = w->out && w->end == w->t1 ? tape->n + 1 : -1;
    for (int k = 0; tape->last.slot >= 0 && k < w->s->n_state + w->s->n_carry; k++)
        tape->last.at[k] = is_passing(w, k) ? wanted(w, k) : (NdeRef){0};
}

/* Runs the step function from where the tape ends. */
static int try_step(Flight *w)
{
    NdeFlow *f = w->f;
    aim(w);
    f->is_stepping = true;
    f->evaluations += f->solve->evaluations_step;
    return run_step(w->e, f, f->tape.n, w->t, w->end == w->t + w->h ? w->h : w->end - w->t);
}

/* ---- steps that are run again ---- */

/* Of l steps that are reversed with memory for s slots, one of them at their start: the step behind which the next slot
 * is best kept (Griewank & Walther 2000, algorithm 799: with beta(s, r) = (s + r over s) and beta(s, r - 1) < l <=
 * beta(s, r) no step is run more than r times). */
static int next_snapshot(int l, int s)
{
    double beta = 1, before = 1;
    int r = 0;
    while (beta < l) {
        r++;
        before = beta;
        beta = beta * (s + r) / r;
    }
    return (int)fmin(before, l - floor(before * s / (s + r - 1) + 0.5));
}

int nde_solve_reach(NdeEngine *e, NdeFlow *f, int slot, int snapshots)
{
    NdeTape *tape = &f->tape;
    int at = slot;
    while (nde_tape_point(tape, at)->place < 0)
        at--;
    int next = at; /* the last slot that stays, then the next one that will */
    for (; at < slot; at++) {
        bool stays = at == next;
        if (stays)
            next = at + next_snapshot(slot + 1 - at, snapshots-- + 1);
        int status = run_step(e, f, at, nde_tape_point(tape, at)->t, nde_tape_point(tape, at)->h);
        if (status)
            return status;
        if (!stays)
            nde_tape_leave(tape, at);
    }
    return 0;
}

/* ---- steps that are undone ---- */

/* It begins at the point of the grid before its end, or at a stop between them. */
NdePoint nde_solve_before(const NdeEngine *e, const NdeFlow *f, double end)
{
    const NdeSolve *s = f->solve;
    double t0 = setting(e, s->set_t0, 0), way = setting(e, s->set_t1, 1) < t0 ? -1 : 1;
    double fixed = fabs(setting(e, s->set_fixed, 0)) / nde_span_unit(f->bounds), stop = t0;
    for (int i = 0; s->saves_exactly && i < s->n_save; i++) {
        double time = f->save[i];
        if ((end - time) * way > 0 && (time - stop) * way > 0)
            stop = time;
    }
    double k = ceil((end - t0) * way / fixed - 1e-9) - 1, start = t0 + way * k * fixed;
    start = (stop - start) * way >= -1e-9 * fixed ? stop : start;
    return (NdePoint){start, end == start + way * fixed ? way * fixed : end - start, -1};
}

int nde_solve_undo(NdeEngine *e, NdeFlow *f, int slot)
{
    const NdeSolve *s = f->solve;
    NdePoint *from = nde_tape_point(&f->tape, slot);
    if (f->tape.ring)
        *from = nde_solve_before(e, f, nde_tape_point(&f->tape, slot + 1)->t);
    if (!nde_tape_open(e, &f->tape, slot))
        return e->error->exit_code;
    nde_solve_fill(e, f, slot + 1, from->t, from->h);
    nde_tape_states(&f->tape, slot, s->n_state + s->n_carry, f->step_out);
    return nde_frame_run(e, s->inverse, f->step_in, f->step_out);
}

/* ---- the start ---- */

static int run_init(Flight *w)
{
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    int k = s->n_state;
    nde_tape_states(&f->tape, 0, k, f->call_in);
    f->call_in[k++] = (NdeRef){&f->t, 0};
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = w->in[s->n_state + i];
    for (int i = 0; i < s->n_carry; i++) {
        int arg = s->carry_arg ? s->carry_arg[i] : -1, c = s->n_state + i;
        bool is_there = arg >= 0 && s->arg[arg].is_batched && is_passing(w, c);
        f->tape.first.at[c] = is_there ? w->in[s->n_state + arg] : (NdeRef){0};
        f->call_out[i] = is_there ? (NdeRef){0} : nde_tape_state(&f->tape, 0, c);
    }
    return nde_frame_run(w->e, s->init, f->call_in, f->call_out);
}

static int run_guess(Flight *w)
{
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    int k = s->n_state + s->n_carry;
    nde_tape_states(&f->tape, 0, k, f->call_in);
    f->call_in[k++] = (NdeRef){&f->t, 0};
    f->span = w->t1 - w->t0;
    f->call_in[k++] = (NdeRef){&f->span, 0};
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = w->in[s->n_state + i];
    f->call_out[0] = (NdeRef){&f->h_guess, 0};
    f->evaluations += s->evaluations_guess;
    return nde_frame_run(w->e, s->guess, f->call_in, f->call_out);
}

double nde_flight_first(const NdeFlight *w)
{
    const NdeSolve *s = w->s;
    double initial = setting(w->e, s->set_initial, 0) / w->unit;
    if (w->fixed > 0)
        return w->fixed;
    if (s->is_initial_warm && w->e->is_taping && w->f->warm > 0)
        return w->f->warm / w->unit;
    if (initial > 0)
        return initial;
    return s->guess ? 0 : fabs(w->t1 - w->t0) / 100;
}

double nde_flight_warm(const NdeFlight *w)
{
    return 0.9 * fabs(w->h) * w->unit;
}

static int first_size(Flight *w)
{
    NdeFlow *f = w->f;
    w->h = nde_flight_first(w);
    if (w->h > 0 || !w->s->guess)
        return 0;
    int status = run_guess(w);
    if (status)
        return status;
    w->h = fabs(f->h_guess);
    if (!isfinite(w->h) || w->h == 0)
        return nde_solve_fails(w->e, f, NDE_FAIL_NOT_FINITE);
    return 0;
}

static int start(Flight *w)
{
    NdeEngine *e = w->e;
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    bool is_read = e->is_taping && !s->forgets_steps;
    int status = nde_tape_begin(e, f, is_read || s->n_unbiased < s->n_draw, w->t0);
    if (status)
        return status;
    f->tape.first.slot = 0;
    for (int i = 0; i < s->n_state; i++) {
        f->tape.first.at[i] = (NdeRef){0};
        if (is_passing(w, i))
            f->tape.first.at[i] = w->in[i];
        else
            nde_value_copy(e, s->state[i], nde_tape_state(&f->tape, 0, i), w->in[i]);
    }
    for (int i = 0; i < s->n_arg; i++)
        f->step_in[s->n_state + s->n_carry + 2 + i] = w->in[s->n_state + i];
    f->t = w->t = w->t0;
    f->evaluations = s->evaluations_init;
    f->accepted = f->rejected = 0;
    f->is_stepping = false;
    f->broken_h = 0;
    f->h = 0;
    if (s->init)
        status = run_init(w);
    if (!status)
        status = first_size(w);
    return status;
}

/* ---- steps ---- */

/* The next time at which a step must end. */
static double next_stop(const Flight *w)
{
    double stop = w->t1;
    for (int i = 0; w->s->saves_exactly && i < w->n_save; i++) {
        double time = w->save[i];
        if ((time - w->t) * w->way > 0 && (stop - time) * w->way > 0)
            stop = time;
    }
    return stop;
}

void nde_flight_choose(NdeFlight *w)
{
    double stop = next_stop(w), left = (stop - w->t) * w->way;
    double sliver = 100 * DBL_EPSILON * nde_larger(fabs(w->t), fabs(stop));
    if (w->fixed > 0) { /* the k-th grid point, by multiplication; shortened before the end */
        double k = floor((w->t - w->t0) * w->way / w->fixed + 1e-9) + 1;
        w->end = w->t0 + w->way * k * w->fixed;
        if ((stop - w->end) * w->way <= 1e-9 * w->fixed)
            w->end = stop;
        w->h = w->way * w->fixed;
        return;
    }
    double h = nde_smaller(nde_larger(fabs(w->h), w->least), w->most);
    w->h = w->way * h;
    double stretch = w->control.is_after_rejection ? 1 : w->control.row->stretch; /* or it would try the same again */
    double reach = nde_larger(h, nde_smaller(h * stretch, w->most));
    w->end = left <= reach || left - h <= sliver ? stop : w->t + w->h;
}

static bool is_too_small(const Flight *w)
{
    double h = fabs(w->h), scale = nde_larger(fabs(w->t), fabs(w->t1 - w->t0));
    return h <= 16 * DBL_EPSILON * scale || w->t + w->h == w->t;
}

static int try_once(Flight *w, bool *is_accepted)
{
    NdeFlow *f = w->f;
    NdeReplay *r = &w->e->replay;
    NdeAttempt a = {0};
    nde_flight_choose(w);
    if (r->mode == NDE_REPLAY) {
        int lost = nde_attempt_next(w->e, &a);
        if (lost)
            return lost;
        w->h = a.h;
        w->end = a.end;
    }
    if (w->end == w->t)
        return nde_solve_fails(w->e, f, NDE_FAIL_SMALL_STEP);
    int status = try_step(w);
    if (status)
        return status;
    if (!isfinite(f->err))
        f->broken_h = f->h;
    bool is_free = w->fixed > 0 || !w->s->is_adaptive;
    *is_accepted = r->mode == NDE_REPLAY ? a.is_accepted : is_free || f->err <= 1;
    if (r->mode == NDE_RECORD) {
        a = (NdeAttempt){w->h, w->end, *is_accepted};
        return nde_attempt_next(w->e, &a);
    }
    return 0;
}

bool nde_flight_propose(NdeFlight *w, bool is_accepted, double h, double err, NdeOutcome *why)
{
    if (w->fixed > 0 || w->e->replay.mode == NDE_REPLAY)
        return true;
    bool is_cut = is_accepted && fabs(h) < 0.999 * fabs(w->h); /* cut to a stop: not the size that was wanted */
    double next = fabs(h) * nde_control_factor(&w->control, err, h);
    w->h = w->way * (is_cut ? nde_larger(next, fabs(w->h)) : next);
    if (is_accepted)
        return true;
    bool is_least = fabs(w->h) < w->least && fabs(h) <= w->least;
    *why = !isfinite(err) ? NDE_FAIL_NOT_FINITE : is_too_small(w) ? NDE_FAIL_SMALL_STEP : NDE_FAIL_MIN_STEP;
    return !is_too_small(w) && !is_least;
}

static void count_quantities(Flight *w)
{
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    for (int i = 0; i < s->n_quantity; i++) {
        double q = f->quantity[i];
        if (s->quantity_how[i] != 2)
            f->sum[i] += q;
        else if (f->tape.n == 0 || q > f->sum[i]) {
            f->sum[i] = q;
            f->most[i] = f->tape.n;
        }
    }
}

static int accept(Flight *w)
{
    NdeFlow *f = w->f;
    count_quantities(w);
    nde_tape_point(&f->tape, f->tape.n)->h = f->h;
    if (f->tape.n == 0 && w->e->is_taping) /* nearly as long as its error would have allowed */
        f->warm = nde_flight_warm(w);
    f->accepted++;
    f->broken_h = 0;
    int status = f->path && w->s->rate ? nde_path_quadrature(w->e, f) : nde_moments_in_step(w->e, f, w->end, w->out);
    if (status)
        return status;
    nde_tape_pass(&f->tape, f->tape.n++);
    w->t = w->end;
    return nde_tape_add(w->e, &f->tape, w->t);
}

int nde_flight_steps(Flight *w)
{
    while (w->t != w->t1) {
        bool is_accepted = false;
        if (w->f->accepted + w->f->rejected >= w->limit)
            return nde_solve_fails(w->e, w->f, NDE_FAIL_MANY_STEPS);
        int status = try_once(w, &is_accepted);
        if (status)
            return status;
        NdeOutcome why;
        if (!nde_flight_propose(w, is_accepted, w->f->h, w->f->err, &why))
            return nde_solve_fails(w->e, w->f, why);
        if (!is_accepted)
            w->f->rejected++;
        else if ((status = accept(w)) != 0)
            return status;
    }
    return 0;
}

/* ---- the end ---- */

static void put(NdeRef out, double x)
{
    if (out.at)
        *(double *)out.at = x;
}

static void finish(Flight *w)
{
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    const NdeRef *out = w->out;
    for (int k = 0; k < s->n_state + s->n_carry; k++) {
        NdeRef to = wanted(w, k), at = nde_tape_state(&f->tape, f->tape.n, k);
        if (to.at && to.at != at.at)
            nde_value_copy(w->e, nde_slot_value(s, k), to, at);
    }
    f->tape.first.slot = f->tape.last.slot = -1; /* what lies there is the caller's again */
    for (int i = 0; i < s->n_quantity; i++) {
        bool is_mean = s->quantity_how[i] == 1 && f->accepted > 0;
        put(out[nde_result_quantity(s, i)], is_mean ? f->sum[i] / f->accepted : f->sum[i]);
    }
    int k = nde_result_quantity(s, s->n_quantity);
    put(out[k], f->evaluations);
    put(out[k + 1], f->accepted);
    put(out[k + 2], f->rejected);
}

NdeControl nde_solve_control(const NdeEngine *e, const NdeSolve *s)
{
    if (e->control)
        return *e->control;
    const double *gain = s->set_pid < 0 ? NULL : e->setting + s->set_pid;
    return gain ? nde_control_pid(gain[0], gain[1], gain[2]) : *nde_control_find(s->controller);
}

NdeSpan nde_span_of(const NdeEngine *e, const NdeSolve *s, const NdeRef *arg, int sample)
{
    if (!s->is_learned)
        return (NdeSpan){0, 1};
    return (NdeSpan){nde_value_get(e, s->arg[s->arg_start], arg[s->arg_start], sample, 0),
                     nde_value_get(e, s->arg[s->arg_length], arg[s->arg_length], sample, 0)};
}

NdeSpan nde_span_now(const NdeEngine *e, const NdeFlow *f)
{
    return nde_span_of(e, f->solve, f->step_in + nde_first_arg(f->solve), f->lane < 0 ? 0 : f->lane);
}

int nde_flight_prepare(NdeFlight *w)
{
    NdeEngine *e = w->e;
    const NdeSolve *s = w->s;
    w->way = w->t1 < w->t0 ? -1 : 1;
    w->least = fabs(setting(e, s->set_min, 0)) / w->unit;
    w->most = fabs(setting(e, s->set_max, HUGE_VAL)) / w->unit;
    w->fixed = fabs(setting(e, s->set_fixed, 0)) / w->unit;
    w->limit = (long)setting(e, s->set_limit, 10000);
    w->save = w->f->save;
    w->n_save = s->n_save;
    if (!isfinite(w->t0) || !isfinite(w->t1))
        return nde_fail(e->error, NDE_EXIT_FILE, "the span of '%s' is not finite", s->name);
    if (!s->is_adaptive && !(w->fixed > 0))
        return nde_fail(e->error, NDE_EXIT_FILE,
                        "'%s' needs a step size: method %s has no error estimate to choose one", s->name, s->method);
    w->f->control = nde_solve_control(e, s);
    nde_control_begin(&w->control, &w->f->control, s->order, s->embedded);
    memset(w->f->sum, 0, (size_t)s->n_quantity * sizeof(double));
    memset(w->f->most, 0, (size_t)s->n_quantity * sizeof(int));
    return 0;
}

/* No number in a span without length, where a saved time would have no gradient for the bounds. */
static double part_of(NdeSpan span, double time)
{
    return (time - span.start) / span.length;
}

double nde_flight_time(const NdeFlight *w, double time)
{
    Real part = (Real)part_of(w->f->bounds, time);
    return part == (Real)w->t1 ? w->t1 : part == (Real)w->t0 ? w->t0 : part_of(w->f->bounds, time);
}

void nde_flight_saves(const NdeFlight *w)
{
    NdeEngine *e = w->e;
    NdeFlow *f = w->f;
    const NdeSolve *s = w->s;
    const NdeRef *arg = w->in + s->n_state;
    bool is_set = s->set_save >= 0;
    f->save = s->n_save && is_set ? e->setting + s->set_save : NULL;
    if (s->n_save == 0 || (is_set ? !s->is_learned : s->is_per_sample))
        return;
    for (int i = 0; i < s->n_save; i++)
        f->part[i] = is_set ? part_of(f->bounds, f->save[i])
                            : nde_flight_time(w, nde_value_get(e, s->arg[s->arg_save], arg[s->arg_save], 0, i));
    f->save = f->part;
}

int nde_flight_open(NdeFlight *w, int sample)
{
    const NdeSolve *s = w->s;
    w->t0 = setting(w->e, s->set_t0, 0);
    w->t1 = setting(w->e, s->set_t1, 1);
    NdeSpan span = nde_span_of(w->e, s, w->in + s->n_state, sample);
    if (!isfinite(span.start) || !isfinite(span.length))
        return nde_fail(w->e->error, NDE_EXIT_NUMERICAL, "the span of '%s' is not finite: it goes from %g over %g",
                        s->name, span.start, span.length);
    w->unit = nde_span_unit(span);
    w->f->bounds = span;
    nde_flight_saves(w);
    return nde_flight_prepare(w);
}

int nde_solve(NdeRun *run, const NdeSolve *solve, const NdeRef *in, const NdeRef *out)
{
    NdeEngine *e = (NdeEngine *)(void *)run;
    Flight w = {.e = e, .f = &e->flow[solve->index], .s = solve, .in = in, .out = out};
    e->solves++;
    double began = nde_phase_begin(e);
    if (solve->is_per_sample) {
        int code = nde_solve_lanes(e, w.f, in, out);
        nde_phase_end(e, NDE_PHASE_FORWARD, began);
        return code;
    }
    if (nde_latency_solve(e, solve, in, out)) {
        nde_phase_end(e, NDE_PHASE_FORWARD, began);
        return 0;
    }
    int status = nde_flight_open(&w, 0);
    if (!status)
        status = nde_moments_begin(e, w.f, w.t0, w.t1);
    if (!status)
        status = start(&w);
    if (!status)
        status = nde_moments_at_start(e, w.f, out);
    if (!status)
        status = nde_flight_steps(&w);
    if (status)
        return status;
    status = nde_moments_end(e, w.f, out);
    finish(&w);
    nde_phase_end(e, NDE_PHASE_FORWARD, began);
    return status;
}
