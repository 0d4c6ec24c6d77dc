/* adjoint_sample.c: the reverse of a solve in which each sample has its own steps.
 *
 * Needs: the records of the solve's last run. Gives: the gradient of exactly what was computed, as adjoint.c does. A
 * row is one accepted step backwards of every sample that has one left; attempts that were rejected are in no record.
 * Lanes that are out of use repeat their last step with cotangents of 0, so that they add nothing to any sum.
 * Elsewhere: the loop forwards (solve_sample.c), lanes and records (lanes.c). */
#include "lanes.h"

#include "run.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

typedef struct Back {
    NdeEngine *e;
    NdeFlow *f;
    const NdeSolve *s;
    const NdeSolveVjp *vjp;
    NdeLanes *l;
    const NdeRef *in, *seed, *out;
    NdeRef *after, *before;
    long evaluations; /* of all lanes with work */
    bool is_bounded;  /* slots in place of records */
    int slot;         /* then: that of the row */
    bool is_whole;    /* a row is one of the whole batch, whose tiles the threads share */
    int first, n;     /* the lanes in use; first is the first one of a tile */
    int band, thread; /* whose rows these are, and who runs them */
} Back;

static NdeCourse *course_in(const Back *r, int lane)
{
    return &r->l->course[r->l->who[lane]];
}

static int n_slot(const Back *r)
{
    return r->s->n_state + r->s->n_carry;
}

static NdeRef seed_of(const Back *r, int result)
{
    for (int i = 0; i < r->vjp->n_seed; i++)
        if (r->vjp->seed[i] == result)
            return r->seed[i];
    return (NdeRef){0};
}

/* The step of a lane that is being reversed, and its end. */
static NdeLaneStep step_in(const Back *r, int lane, double *end)
{
    const NdeCourse *c = course_in(r, lane);
    if (r->is_bounded) {
        *end = r->slot + 1 < c->accepted ? nde_lanes_step(r->e, r->f, r->slot + 1, r->l->who[lane])->t : c->w.t1;
        return *nde_lanes_step(r->e, r->f, r->slot, r->l->who[lane]);
    }
    const NdeRecord *last = nde_record_at(r->l, c, c->last), *at = nde_record_at(r->l, c, last->before);
    *end = last->t;
    return (NdeLaneStep){at->t, at->h};
}

/* The cotangent of a state at a wanted time, by samples; or no memory. */
static NdeRef moment_seed(const Back *r, const NdeMoment *m, int state)
{
    if (m->wish == NDE_WISH_DRAW)
        return seed_of(r, nde_result_drawn(r->s, m->index) + state);
    NdeRef seed = seed_of(r, nde_result_saved(r->s, state));
    return seed.at ? nde_saved_ref(r->e, r->s->state[state], seed, m->index) : seed;
}

static void add_lane(const Back *r, NdeValue v, NdeRef to, int to_lane, NdeRef from, int from_lane)
{
    int tile = r->e->model->tile;
    Real *a = nde_lane_number(r->e, to, to_lane);
    const Real *b = nde_lane_number(r->e, from, from_lane);
    for (int i = 0; i < v.n; i++)
        a[i * tile] += b[i * tile];
}

/* The wanted state is that at the end of the lane's step: its cotangent adds to the one there. */
static void add_direct(Back *r, const NdeMoment *m, int lane)
{
    for (int i = 0; i < r->s->n_state; i++) {
        NdeRef seed = moment_seed(r, m, i);
        if (seed.at)
            add_lane(r, r->s->state[i], r->after[i], lane, seed, r->l->who[lane]);
    }
}

/* ---- the start ---- */

/* The first result that is the gradient of an argument. */
static int first_arg_out(const Back *r)
{
    int o = 0;
    for (int i = 0; i < r->s->n_state; i++)
        o += r->vjp->want[i];
    return o;
}

/* What a lane steps from, to another. */
static void copy_step(Back *r, int lane, int from)
{
    for (int i = 0; i < n_slot(r); i++)
        nde_lane_copy(r->e, nde_slot_value(r->s, i), r->l->now[i], lane, r->l->now[i], from);
    nde_lane_scalar(r->l->t)[lane] = nde_lane_scalar(r->l->t)[from];
    nde_lane_scalar(r->l->h)[lane] = nde_lane_scalar(r->l->h)[from];
}

static void zero_lane(Back *r, int lane)
{
    for (int i = 0; i < n_slot(r); i++)
        nde_lane_zero(r->e, nde_slot_value(r->s, i), r->after[i], lane);
    for (int i = 0; i < r->s->n_quantity; i++)
        nde_lane_scalar(r->l->seed_quantity[i])[lane] = 0;
}

/* Cotangents at the ends of the spans, by samples, to `start`; what is added to begins at 0. */
static void begin_sums(Back *r)
{
    const NdeSolve *s = r->s;
    int o = first_arg_out(r);
    for (int i = 0; i < n_slot(r); i++) {
        NdeRef seed = i < s->n_state ? seed_of(r, i) : (NdeRef){0};
        if (seed.at)
            nde_value_copy(r->e, s->state[i], r->l->start[i], seed);
        else
            nde_value_zero(r->e, nde_slot_value(s, i), r->l->start[i]);
        nde_value_zero(r->e, nde_slot_value(s, i), r->after[i]);
    }
    for (int i = 0; i < s->n_quantity; i++)
        nde_value_zero(r->e, (NdeValue){1, true}, r->l->seed_quantity[i]);
    for (int i = 0; i < s->n_arg; i++)
        if (r->vjp->want[s->n_state + i]) {
            nde_value_zero(r->e, s->arg[i], r->out[o++]);
            if (s->arg[i].is_batched)
                nde_value_zero(r->e, s->arg[i], r->l->g_arg[i]);
        }
}

/* Each sample of the band that took a step in a lane, with the cotangents at its end. */
static void begin_lanes(Back *r, int behind)
{
    NdeLanes *l = r->l;
    r->n = 0;
    for (int sample = r->first; sample < behind; sample++)
        if (l->course[sample].accepted > 0)
            l->who[r->first + r->n++] = sample;
    for (int lane = r->first; lane < r->first + r->n; lane++)
        for (int i = 0; i < r->s->n_state; i++)
            nde_lane_copy(r->e, r->s->state[i], r->after[i], lane, l->start[i], l->who[lane]);
    nde_lanes_args(r->e, r->f, r->in, r->first, r->n);
}

/* ---- the functions of a row ---- */

static int behind_tiles(const Back *r)
{
    int tile = r->e->model->tile;
    return (r->first + r->n + tile - 1) / tile;
}

static int run(Back *r, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    int first = r->first / r->e->model->tile;
    if (r->is_whole)
        return fn == r->vjp->step_vjp ? nde_sums_run(r->e, fn, in, out) : nde_frame_run(r->e, fn, in, out);
    nde_frame_tiles(r->e, fn, r->band, first, behind_tiles(r), r->thread);
    return 0;
}

static int run_dense_again(Back *r)
{
    return run(r, r->s->step_keep, r->f->step_in, r->f->step_out);
}

static int run_dense_vjp(Back *r)
{
    return run(r, r->vjp->dense_vjp, r->l->dense_in, r->l->dense_out);
}

static int run_again(Back *r)
{
    return run(r, r->s->again, r->f->step_in, r->l->residual);
}

static int run_step_vjp(Back *r)
{
    return run(r, r->vjp->step_vjp, r->f->call_in, r->f->call_out);
}

static void zero_tiles(const Back *r, NdeValue v, NdeRef to)
{
    if (!v.is_batched)
        nde_value_zero(r->e, v, to);
    else
        nde_tiles_move(v, to, (NdeRef){0}, r->e, r->first / r->e->model->tile, behind_tiles(r));
}

/* ---- wanted states ---- */

/* The next wanted time inside the lane's step, and its cotangents as seeds; else seeds of 0. True: there is one. */
static bool seed_lane(Back *r, int lane)
{
    NdeMoment m;
    double end;
    const NdeLaneStep at = step_in(r, lane, &end);
    bool is_inside = false;
    while (!is_inside && nde_moment_next(r->e, r->f, r->l->who[lane], at.t, end, at.h, &m)) {
        is_inside = m.where == NDE_INSIDE && r->vjp->seed_dense;
        if (m.where == NDE_AT_END)
            add_direct(r, &m, lane);
    }
    nde_lane_scalar(r->l->theta)[lane] = is_inside ? (Real)m.theta : 0;
    for (int i = 0; i < r->s->n_state; i++) {
        NdeRef seed = is_inside ? moment_seed(r, &m, i) : (NdeRef){0};
        if (seed.at)
            nde_lane_copy(r->e, r->s->state[i], r->l->seed[i], lane, seed, r->l->who[lane]);
    }
    return is_inside;
}

static void zero_dense(const Back *r)
{
    for (int i = 0; i < r->s->n_state; i++)
        zero_tiles(r, r->s->state[i], r->f->extra[i]);
    for (int i = 0; i < r->s->n_dense; i++)
        zero_tiles(r, r->s->dense_value[i], r->f->g_dense[i]);
}

/* Cotangents of all states after the starts of the lanes' steps and not after their ends. */
static int add_moments(Back *r)
{
    bool has_dense = false;
    if (r->vjp->seed_dense)
        zero_dense(r);
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < r->s->n_state; i++)
            zero_tiles(r, r->s->state[i], r->l->seed[i]);
        for (int lane = r->first; lane < r->first + r->n; lane++)
            any |= seed_lane(r, lane);
        int status = any && !has_dense && r->vjp->reads_dense ? run_dense_again(r) : 0;
        has_dense |= any;
        if (!status && any)
            status = run_dense_vjp(r);
        if (status)
            return status;
    }
    return 0;
}

/* ---- a row ---- */

static void fetch_records(Back *r, bool is_first)
{
    NdeFlow *f = r->f;
    NdeLanes *l = r->l;
    int n = n_slot(r), behind = r->first + r->n;
    for (int lane = r->first; lane < behind; lane++) {
        NdeCourse *c = course_in(r, lane);
        size_t start = nde_record_at(l, c, c->last)->before;
        nde_record_state(r->e, f, c, start, n, l->now, lane);
        if (r->vjp->dense_vjp)
            nde_record_state(r->e, f, c, c->last, r->s->n_state, l->next, lane);
        nde_lane_scalar(l->t)[lane] = (Real)nde_record_at(l, c, start)->t;
        nde_lane_scalar(l->h)[lane] = (Real)nde_record_at(l, c, start)->h;
        nde_moments_from(c, nde_record_at(l, c, start)->t);
    }
    for (int lane = behind; is_first && lane < behind_tiles(r) * r->e->model->tile; lane++)
        copy_step(r, lane, behind - 1);
}

static void fetch_slot(Back *r)
{
    NdeFlow *f = r->f;
    nde_lanes_fetch(r->e, f, r->slot);
    for (int lane = 0; lane < r->n; lane++) {
        int sample = r->l->who[lane];
        for (int k = 0; r->vjp->dense_vjp && k < r->s->n_state; k++)
            nde_lane_copy(r->e, r->s->state[k], r->l->next[k], lane, nde_tape_state(&f->tape, r->slot + 1, k), sample);
        nde_moments_from(course_in(r, lane), nde_lanes_step(r->e, f, r->slot, sample)->t);
    }
}

/* What the step's quantities add to the accumulated ones; slot c->accepted - 1 is being reversed. */
static void seed_quantities(Back *r)
{
    const NdeSolve *s = r->s;
    for (int i = 0; i < s->n_quantity; i++) {
        NdeRef seed = seed_of(r, nde_result_quantity(s, i));
        for (int lane = r->first; seed.at && lane < r->first + r->n; lane++) {
            int sample = r->l->who[lane];
            const NdeCourse *c = course_in(r, lane);
            Real g = *nde_lane_number(r->e, seed, sample);
            if (s->quantity_how[i] == 1)
                g /= (Real)c->accepted;
            else if (s->quantity_how[i] == 2 && r->l->most[sample * s->n_quantity + i] != c->left - 1)
                g = 0;
            nde_lane_scalar(r->l->seed_quantity[i])[lane] = g;
        }
    }
}

static void fill_step_vjp(Back *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = n_slot(r), k = n + 2 + s->n_arg;
    memcpy(f->call_in, f->step_in, (size_t)k * sizeof *f->call_in);
    for (int i = 0; i < n; i++)
        if (i < s->n_state || r->vjp->seed_carry[i - s->n_state])
            f->call_in[k++] = r->after[i];
    for (int i = 0; i < s->n_quantity; i++)
        if (seed_of(r, nde_result_quantity(s, i)).at)
            f->call_in[k++] = r->l->seed_quantity[i];
    for (int i = 0; r->vjp->seed_dense && i < s->n_dense; i++)
        f->call_in[k++] = f->g_dense[i];
    if (s->record)
        memcpy(f->call_in + k, r->l->residual, (size_t)s->n_residual * sizeof *f->call_in);
    nde_reverse_out(f, r->vjp, r->before, true, r->l->g_arg, r->out);
}

/* What the functions of a row are given, the same for all rows. */
static void fill_calls(Back *r)
{
    NdeFlow *f = r->f;
    int n = n_slot(r);
    memcpy(f->step_in, r->l->now, (size_t)n * sizeof *f->step_in);
    f->step_in[n] = r->l->t;
    f->step_in[n + 1] = r->l->h;
    nde_lanes_arg_refs(f, r->in);
    fill_step_vjp(r);
    if (!r->vjp->dense_vjp)
        return;
    int k = nde_lanes_dense(f, r->l->dense_in);
    for (int i = 0; i < r->s->n_state; i++)
        r->l->dense_in[k++] = r->l->seed[i];
    nde_dense_out(f, r->after, r->l->dense_out);
    nde_dense_refs(f);
}

/* Gradients of the lane's own arguments, to the place of its sample. */
static void leave_args(Back *r, int lane, int last)
{
    const NdeSolve *s = r->s;
    int o = first_arg_out(r);
    for (int i = 0; i < s->n_arg; i++) {
        if (!s->arg[i].is_batched) {
            o += r->vjp->want[s->n_state + i];
            continue;
        }
        if (r->vjp->want[s->n_state + i]) {
            nde_lane_copy(r->e, s->arg[i], r->out[o++], r->l->who[lane], r->l->g_arg[i], lane);
            nde_lane_copy(r->e, s->arg[i], r->l->g_arg[i], lane, r->l->g_arg[i], last);
        }
        nde_lane_copy(r->e, s->arg[i], r->l->arg[i], lane, r->l->arg[i], last);
    }
}

/* The sample in the lane is at its start: its cotangents go there, and the sample of the last lane comes here, with its
 * step beside its arguments: should this lane get out of use next, it repeats a step that was taken. The state of one
 * sample with the arguments of another may have no finite step, and 0 times that is no 0. */
static void leave(Back *r, int lane)
{
    NdeLanes *l = r->l;
    int last = r->first + --r->n;
    for (int i = 0; i < n_slot(r); i++) {
        NdeValue v = nde_slot_value(r->s, i);
        nde_lane_copy(r->e, v, l->start[i], l->who[lane], r->after[i], lane);
        nde_lane_copy(r->e, v, r->after[i], lane, r->after[i], last);
    }
    copy_step(r, lane, last);
    leave_args(r, lane, last);
    l->who[lane] = l->who[last];
    zero_lane(r, last);
}

/* The cotangents at the starts of the steps are those at the ends of the steps before. */
static void pass_cotangents(Back *r)
{
    int first = r->first / r->e->model->tile, behind = behind_tiles(r);
    for (int i = 0; i < n_slot(r); i++)
        nde_tiles_move(nde_slot_value(r->s, i), r->after[i], r->before[i], r->e, first, behind);
    for (int i = 0; r->vjp->seed_dense && i < r->s->n_state; i++)
        nde_tiles_add(r->s->state[i], r->after[i], r->f->extra[i], r->e, first, behind);
}

static int reverse_row(Back *r, bool is_first)
{
    if (r->is_whole)
        nde_lanes_used(r->e, r->n);
    if (r->is_bounded)
        fetch_slot(r);
    else
        fetch_records(r, is_first);
    int status = add_moments(r);
    if (status)
        return status;
    seed_quantities(r);
    status = r->s->record ? run_again(r) : 0;
    if (!status)
        status = run_step_vjp(r);
    if (status)
        return status;
    r->evaluations += (long)r->n * r->s->evaluations_step * (r->s->record ? 2 : 1); /* `again` is one */
    pass_cotangents(r);
    for (int lane = r->first + r->n - 1; lane >= r->first && !r->is_bounded; lane--) {
        NdeCourse *c = course_in(r, lane);
        c->last = nde_record_at(r->l, c, c->last)->before;
        if (--c->left == 0)
            leave(r, lane);
    }
    return 0;
}

/* ---- bands ---- */

typedef struct Job {
    const Back *back;
    int bands;
    atomic_long evaluations;
    int status; /* of the only band, if it is one of the whole batch */
} Job;

static void reverse_band(void *context, int band, int thread)
{
    Job *job = context;
    Back r = *job->back;
    int behind = 0, status = 0;
    nde_band_range(r.e, band, job->bands, &r.first, &behind);
    r.band = band;
    r.thread = thread;
    begin_lanes(&r, behind);
    for (bool is_first = true; !status && r.n > 0; is_first = false)
        status = reverse_row(&r, is_first);
    atomic_fetch_add(&job->evaluations, r.evaluations);
    if (r.is_whole)
        job->status = status;
}

/* Can tiles of all functions of a row be run on their own, the sums of the last one apart? */
static bool is_local(const Back *r)
{
    const NdeSolve *s = r->s;
    for (int i = 0; i < s->n_dense; i++)
        if (!s->dense_value[i].is_batched)
            return false;
    return nde_frame_is_local(r->vjp->step_vjp, true) && (!s->record || nde_frame_is_local(s->again, false)) &&
           (!r->vjp->dense_vjp ||
            (nde_frame_is_local(r->vjp->dense_vjp, false) && nde_frame_is_local(s->step_keep, false)));
}

static int ready(Back *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int status = nde_frame_ready(r->e, r->vjp->step_vjp, f->call_in, f->call_out);
    if (!status && s->record)
        status = nde_frame_ready(r->e, s->again, f->step_in, r->l->residual);
    if (!status && r->vjp->dense_vjp)
        status = nde_frame_ready(r->e, r->vjp->dense_vjp, r->l->dense_in, r->l->dense_out);
    if (!status && r->vjp->dense_vjp)
        status = nde_frame_ready(r->e, s->step_keep, f->step_in, f->step_out);
    return status;
}

static int reverse_bands(Back *r)
{
    int groups = nde_frame_groups(r->e, r->vjp->step_vjp), bands = nde_bands_of(r->e);
    Job job = {.back = r, .bands = r->is_whole ? 1 : bands < groups ? bands : groups};
    int status = r->is_whole ? 0 : ready(r);
    if (status)
        return status;
    nde_bands_share(r->e, r->vjp->step_vjp, job.bands, reverse_band, &job);
    r->evaluations = atomic_load(&job.evaluations);
    return job.status;
}

/* ---- slots, the last first ---- */

/* A value of the lane's sample, from the place of the sample or back to it. */
static void move_value(Back *r, NdeValue v, NdeRef of_samples, NdeRef of_lanes, int lane, bool is_back)
{
    int sample = r->l->who[lane];
    if (is_back)
        nde_lane_copy(r->e, v, of_samples, sample, of_lanes, lane);
    else
        nde_lane_copy(r->e, v, of_lanes, lane, of_samples, sample);
}

/* Cotangents of the lanes' states and of their own arguments. */
static void move_cotangents(Back *r, bool is_back)
{
    const NdeSolve *s = r->s;
    for (int lane = 0; lane < r->n; lane++) {
        int o = first_arg_out(r);
        for (int i = 0; i < n_slot(r); i++)
            move_value(r, nde_slot_value(s, i), r->l->start[i], r->after[i], lane, is_back);
        for (int i = 0; i < s->n_arg; i++) {
            if (!r->vjp->want[s->n_state + i])
                continue;
            if (s->arg[i].is_batched)
                move_value(r, s->arg[i], r->out[o], r->l->g_arg[i], lane, is_back);
            o++;
        }
    }
}

/* Lanes behind those in use have cotangents of 0, so that they add nothing to any sum. */
static void zero_unused(Back *r)
{
    for (int lane = r->n; lane < r->e->run.n_tile * r->e->model->tile; lane++)
        zero_lane(r, lane);
}

/* A row of all samples with a step from the slot: they are more for each slot before it. */
static int reverse_slot(Back *r, int slot)
{
    int status = nde_solve_reach(r->e, r->f, slot, nde_tape_left(&r->f->tape));
    if (status)
        return status;
    r->slot = slot;
    r->n = nde_lanes_from(r->e, r->f, slot);
    move_cotangents(r, false);
    zero_unused(r);
    for (int lane = 0; lane < r->n; lane++)
        course_in(r, lane)->left = slot + 1;
    status = reverse_row(r, true);
    if (status)
        return status;
    move_cotangents(r, true);
    nde_tape_leave(&r->f->tape, slot + 1);
    return 0;
}

static int reverse_slots(Back *r)
{
    int status = 0;
    r->l->in = r->in;
    r->l->again = 0;
    for (int slot = r->f->tape.n - 1; !status && slot >= 0; slot--)
        status = reverse_slot(r, slot);
    r->evaluations += r->l->again;
    return status;
}

/* ---- the starts of the spans ---- */

static void add_starts(Back *r)
{
    const NdeSolve *s = r->s;
    for (int sample = 0; sample < r->e->count; sample++) {
        const NdeCourse *c = &r->l->course[sample];
        for (int k = 0; k < c->n_save + s->n_draw; k++) {
            bool is_save = k < c->n_save;
            NdeMoment m = {.wish = is_save ? NDE_WISH_SAVE : NDE_WISH_DRAW, .index = is_save ? k : k - c->n_save};
            double time = is_save ? c->save[k] : r->l->drawn[sample * s->n_draw + m.index].t;
            for (int i = 0; time == c->w.t0 && i < s->n_state; i++) {
                NdeRef seed = moment_seed(r, &m, i);
                if (seed.at)
                    add_lane(r, s->state[i], r->l->start[i], sample, seed, sample);
            }
        }
    }
}

/* Through init: the cotangents of the first carries go to u0 and the arguments. */
static int reverse_init(Back *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int k = 0;
    for (int i = 0; i < s->n_state; i++)
        f->call_in[k++] = r->in[i];
    for (int i = 0; i < r->e->run.n_tile * r->e->model->tile; i++)
        nde_lane_scalar(r->l->t)[i] = (Real)r->l->course[0].w.t0;
    f->call_in[k++] = r->l->t;
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = r->in[s->n_state + i];
    for (int i = 0; i < s->n_carry; i++)
        if (r->vjp->seed_carry[i])
            f->call_in[k++] = r->l->start[s->n_state + i];
    nde_reverse_out(f, r->vjp, r->l->start, false, NULL, r->out);
    return nde_frame_run(r->e, r->vjp->init_vjp, f->call_in, f->call_out);
}

int nde_reverse_lanes(NdeEngine *e, NdeFlow *f, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed,
                      const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    Back r = {.e = e, .f = f, .s = s, .vjp = vjp, .l = f->lanes, .in = in, .seed = seed, .out = out};
    r.after = f->lambda;
    r.before = f->lambda_new;
    r.is_bounded = nde_lanes_bounded(e, f);
    r.is_whole = r.is_bounded || nde_lanes_heavy(s) || !is_local(&r);
    int status = 0, o = 0;
    e->solves++;
    nde_lanes_all(e);
    begin_sums(&r);
    for (int i = 0; i < e->count; i++)
        r.l->course[i].left = r.l->course[i].accepted;
    fill_calls(&r);
    nde_sums_begin(e, vjp->step_vjp);
    status = r.is_bounded ? reverse_slots(&r) : reverse_bands(&r);
    nde_lanes_all(e);
    if (status)
        return status;
    nde_sums_end(e, vjp->step_vjp, f->call_out);
    add_starts(&r);
    for (int i = 0; i < s->n_state + s->n_carry; i++)
        nde_lanes_pad(e, nde_slot_value(s, i), r.l->start[i]);
    status = vjp->init_vjp ? reverse_init(&r) : 0;
    e->reverse_evaluations += lround((double)r.evaluations / e->count) + (vjp->init_vjp ? s->evaluations_init : 0);
    for (int i = 0; i < s->n_state; i++)
        if (vjp->want[i])
            nde_value_copy(e, s->state[i], out[o++], r.l->start[i]);
    return status;
}
