/* run.c: the memory of a run, and the functions of a model run over tiles.
 *
 * Needs: the tables of the model. Gives: frames, one for each top-level function, in one block sized for the largest
 * batch; phases run in order, tiles in order within a group, groups by threads, sums reduced over groups in order, so
 * that no result depends on the number of threads.
 * Elsewhere: the loops over steps (solve.c, adjoint.c), values of one kind (value.c). */
#include "lanes.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGN = 64, MOST_LANES = 16 }; /* bytes; numbers of float32 in the widest vector */

/* The floating point operations from which threads pay: sharing work out and waiting for its end costs some 5
 * microseconds, in which one core does about this many. */
static const double worth_threads = 2e5;

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- layout: the same walk counts bytes (base NULL) and hands them out ---- */

typedef struct Room {
    char *base;
    size_t used;
    bool is_too_large;
} Room;

static void *take(Room *room, size_t count, size_t size)
{
    size_t bytes = count;
    if (!nde_times(&bytes, size) || bytes > SIZE_MAX / 2 - room->used - ALIGN) {
        room->is_too_large = true;
        return NULL;
    }
    char *at = room->base ? room->base + room->used : NULL;
    room->used += rounded(bytes);
    return at;
}

/* How many groups the tiles of a function form, each with sums of its own: many where these are small, for threads to
 * share; few where they are gradients, for the tiles of a group add to them while they are in a cache. Not more of them
 * for more threads, or results would depend on that. */
static int group_count(const NdeFn *fn, int tiles)
{
    enum { FEW = 8, MANY = 64, SMALL = 4096 /* bytes */ };
    int most = fn->sum_bytes > SMALL ? FEW : MANY;
    return tiles < most ? tiles : most;
}

static NdeRef take_value(NdeEngine *e, Room *room, NdeValue v)
{
    return nde_value_ref(e, v, take(room, 1, nde_value_bytes(e, v)));
}

/* n references to new values; in the counting walk there is nothing to write them to. */
static NdeRef *take_values(NdeEngine *e, Room *room, int n, const NdeValue *value)
{
    NdeRef *ref = take(room, (size_t)n, sizeof *ref);
    for (int i = 0; i < n; i++) {
        NdeRef at = take_value(e, room, value[i]);
        if (ref)
            ref[i] = at;
    }
    return ref;
}

static NdeRef *take_state(NdeEngine *e, Room *room, const NdeSolve *s)
{
    NdeRef *ref = take(room, (size_t)(s->n_state + s->n_carry), sizeof *ref);
    for (int i = 0; i < s->n_state + s->n_carry; i++) {
        NdeRef at = take_value(e, room, nde_slot_value(s, i));
        if (ref)
            ref[i] = at;
    }
    return ref;
}

enum { BUDGET_MIB = 1024 }; /* of residuals, where the model gives no bound */

static bool is_turning(const NdeSolve *s, int i)
{
    return s->is_read_back && !s->is_read_back[i];
}

/* Of the values of a slot that the reverse does not read. */
static size_t turning_bytes(const NdeEngine *e, const NdeSolve *s)
{
    size_t bytes = 0;
    for (int i = 0; i < s->n_state + s->n_carry; i++)
        if (is_turning(s, i))
            bytes += rounded(nde_value_bytes(e, nde_slot_value(s, i)));
    return bytes;
}

static void lay_tape(NdeEngine *e, NdeFlow *f, const NdeSolve *s)
{
    int n = s->n_state + s->n_carry;
    for (int i = 0; i < n + s->n_residual; i++) {
        NdeValue v = i < n ? nde_slot_value(s, i) : s->residual[i - n];
        bool turns = i < n && is_turning(s, i);
        size_t *bytes = i >= n ? &f->tape.rest_bytes : turns ? &f->tape.turn_bytes : &f->tape.slot_bytes;
        if (i < n)
            f->is_turning[i] = turns;
        f->offset[i] = *bytes;
        f->step[i] = nde_value_ref(e, v, NULL).step;
        *bytes += rounded(nde_value_bytes(e, v));
    }
    if (f->tape.slot_bytes == 0)
        f->tape.slot_bytes = ALIGN; /* a slot that is free says which is the next one */
    f->tape.budget = (size_t)BUDGET_MIB << 20;
    f->tape.point_bytes = sizeof(NdePoint) + (s->is_per_sample ? (size_t)e->most * sizeof(NdeLaneStep) : 0);
    f->tape.is_turning = f->is_turning;
    f->tape.offset = f->offset;
    f->tape.step = f->step;
}

/* Numbers of each sample. */
static NdeRef *take_scalars(NdeEngine *e, Room *room, int n)
{
    NdeRef *ref = take(room, (size_t)n, sizeof *ref);
    for (int i = 0; i < n; i++) {
        NdeRef at = take_value(e, room, (NdeValue){1, true});
        if (ref)
            ref[i] = at;
    }
    return ref;
}

/* What a solve needs besides, if each sample has its own steps. */
static NdeLanes *lay_lanes(NdeEngine *e, Room *room, const NdeSolve *s, NdeRef *next)
{
    size_t lanes = (size_t)e->tiles * (size_t)e->model->tile, samples = (size_t)e->most;
    NdeLanes *to = take(room, 1, sizeof *to), l = {.next = next};
    l.band = take(room, (size_t)nde_bands_most(e), sizeof *l.band);
    l.who = take(room, lanes, sizeof *l.who);
    l.takes = take(room, lanes, sizeof *l.takes);
    l.course = take(room, samples, sizeof *l.course);
    l.save = take(room, samples * (size_t)s->n_save, sizeof *l.save);
    l.drawn = take(room, samples * (size_t)s->n_draw, sizeof *l.drawn);
    l.sum = take(room, samples * (size_t)s->n_quantity, sizeof *l.sum);
    l.most = take(room, samples * (size_t)s->n_quantity, sizeof *l.most);
    l.now = take_state(e, room, s);
    l.arg = take_values(e, room, s->n_arg, s->arg);
    l.quantity = take_scalars(e, room, s->n_quantity);
    l.inside = take_values(e, room, s->n_state, s->state);
    NdeRef *number[] = {&l.t, &l.h, &l.span, &l.theta, &l.err};
    for (size_t i = 0; i < sizeof number / sizeof *number; i++)
        *number[i] = take_value(e, room, (NdeValue){1, true});
    if (e->model->train_fn) {
        l.start = take_state(e, room, s);
        l.seed = take_values(e, room, s->n_state, s->state);
        l.seed_quantity = take_scalars(e, room, s->n_quantity);
        l.g_arg = take_values(e, room, s->n_arg, s->arg);
        l.residual = take_values(e, room, s->n_residual, s->residual);
        l.dense_in = take(room, (size_t)(3 * s->n_state + s->n_dense + 2), sizeof *l.dense_in);
        l.dense_out = take(room, (size_t)(2 * s->n_state + s->n_dense), sizeof *l.dense_out);
    }
    l.record_bytes = nde_record_bytes(s);
    if (to)
        *to = l;
    return to;
}

static void lay_flow(NdeEngine *e, Room *room, NdeFlow *f, const NdeSolve *s)
{
    int n = s->n_state + s->n_carry;
    NdeFlow g = {.solve = s, .lane = -1};
    g.offset = take(room, (size_t)(n + s->n_residual), sizeof *g.offset);
    g.step = take(room, (size_t)(n + s->n_residual), sizeof *g.step);
    g.is_turning = take(room, (size_t)n, sizeof *g.is_turning);
    g.tape.first.at = take(room, (size_t)n, sizeof *g.tape.first.at);
    g.tape.last.at = take(room, (size_t)n, sizeof *g.tape.last.at);
    g.step_in = take(room, (size_t)(nde_first_arg(s) + s->n_arg), sizeof(NdeRef));
    g.step_out = take(room, (size_t)(n + 1 + s->n_quantity + s->n_dense + s->n_residual), sizeof(NdeRef));
    int n_call = nde_first_arg(s) + s->n_arg + n + 1 + s->n_quantity + s->n_dense + s->n_residual;
    g.call_in = take(room, (size_t)(n_call + s->n_state), sizeof(NdeRef));
    g.call_out = take(room, (size_t)(n + s->n_state + s->n_arg + s->n_dense + 1), sizeof(NdeRef));
    for (int i = 0; i < 2; i++) {
        char *turn = take(room, 1, turning_bytes(e, s));
        g.tape.turn = i == 0 ? turn : g.tape.turn;
    }
    g.spare = take_state(e, room, s);
    g.dense = take_values(e, room, s->n_dense, s->dense_value);
    g.user = take(room, (size_t)s->n_state, sizeof *g.user);
    for (int i = 0; i < s->n_state; i++) {
        NdeRef at = take_value(e, room, nde_user_state(s, i));
        if (g.user)
            g.user[i] = at;
    }
    g.quantity = take(room, (size_t)s->n_quantity, sizeof(double));
    g.seed_quantity = take(room, (size_t)s->n_quantity, sizeof(double));
    g.sum = take(room, (size_t)s->n_quantity, sizeof(double));
    g.most = take(room, (size_t)s->n_quantity, sizeof(int));
    g.drawn = take(room, (size_t)s->n_draw, sizeof(NdeDrawn));
    g.part = take(room, s->is_learned || s->set_save < 0 ? (size_t)s->n_save : 0, sizeof *g.part);
    g.latency_work = take(room, 1, s->latency_bytes);
    g.kept_dense = take(room, (size_t)s->n_dense, sizeof *g.kept_dense);
    g.extra_in = take_values(e, room, s->n_extra, s->extra);
    for (int i = 0; s->rate && i < NDE_RATES; i++)
        g.rate[i] = take_values(e, room, s->rate->n_out, s->rate->out);
    if (e->model->train_fn && !s->n_extra) {
        g.lambda = take_state(e, room, s);
        g.lambda_new = take_state(e, room, s);
        g.extra = take_values(e, room, s->n_state, s->state);
        g.g_dense = take_values(e, room, s->n_dense, s->dense_value);
    }
    if (s->is_per_sample)
        g.lanes = lay_lanes(e, room, s, g.spare);
    if (f) {
        *f = g;
        lay_tape(e, f, s);
    }
}

static void lay_frames(NdeEngine *e, Room *room)
{
    const NdeModel *m = e->model;
    size_t most_work = 0;
    e->frame = take(room, (size_t)m->n_fn, sizeof *e->frame);
    for (int i = 0; i < m->n_fn; i++) {
        const NdeFn *fn = m->fn[i];
        NdeFrame frame = {.run = &e->run};
        frame.shared = take(room, 1, fn->shared_bytes);
        frame.kept = take(room, (size_t)e->tiles, fn->kept_bytes);
        frame.sum = take(room, (size_t)group_count(fn, e->tiles), rounded(fn->sum_bytes));
        if (e->frame)
            e->frame[i] = frame;
        most_work = fn->work_bytes > most_work ? fn->work_bytes : most_work;
    }
    e->work = take(room, (size_t)e->threads, sizeof *e->work);
    for (int i = 0; i < e->threads; i++) {
        char *work = take(room, 1, rounded(most_work) + ALIGN); /* apart by a line: threads write to their ends */
        if (e->work)
            e->work[i] = work;
    }
}

static void lay_engine(NdeEngine *e, Room *room)
{
    const NdeModel *m = e->model;
    lay_frames(e, room);
    e->param = take(room, m->param_count, sizeof(Real));
    e->setting = take(room, (size_t)m->n_setting, sizeof(double));
    e->plain = take(room, (size_t)m->n_setting, sizeof(double));
    e->mask = take(room, (size_t)e->tiles * (size_t)m->tile, sizeof(Real));
    e->row = take(room, (size_t)e->most, sizeof *e->row);
    e->data = take(room, (size_t)m->n_data, sizeof *e->data);
    for (int i = 0; i < m->n_data; i++) {
        NdeRef at = take_value(e, room, (NdeValue){m->data[i].n, true});
        if (e->data)
            e->data[i] = at;
    }
    e->sample = take(room, (size_t)m->n_sample, sizeof *e->sample);
    for (int i = 0; i < m->n_sample; i++) {
        NdeRef at = take_value(e, room, (NdeValue){m->sample[i].n, true});
        if (e->sample)
            e->sample[i] = at;
    }
    e->flow = take(room, (size_t)m->n_solve, sizeof *e->flow);
    for (int i = 0; i < m->n_solve; i++)
        lay_flow(e, room, e->flow ? &e->flow[i] : NULL, m->solve[i]);
}

int nde_engine_open(NdeEngine *e, const NdeModel *model, int most, int threads, NdeError *error)
{
    *e = (NdeEngine){.model = model, .error = error, .most = most, .is_taping = false};
    e->tiles = (most + model->tile - 1) / model->tile;
    threads = threads > 0 ? threads : (int)sysconf(_SC_NPROCESSORS_ONLN);
    e->threads = threads < 1 ? 1 : threads < e->tiles ? threads : e->tiles;

    Room room = {0};
    lay_engine(e, &room);
    if (room.is_too_large)
        return nde_fail(error, NDE_EXIT_MEMORY, "a batch of %d samples is too large for this machine", most);
    if (e->threads > 1 && !(e->team = nde_team_open(e->threads, error)))
        return error->exit_code;
    e->block = nde_allocate(room.used + ALIGN, 1, error);
    if (!e->block)
        return error->exit_code;
    e->allocations = 1;
    e->block_bytes = room.used + ALIGN;
    room = (Room){.base = e->block + (ALIGN - (size_t)((uintptr_t)e->block % ALIGN))};
    lay_engine(e, &room);

    for (int i = 0; i < model->n_setting; i++)
        e->setting[i] = model->setting[i].value;
    e->run.param = e->param;
    e->run.data = e->data;
    e->run.sample = e->sample;
    e->run.setting = e->setting;
    e->run.train_step = 1;
    e->run.train_steps = 1;
    nde_engine_batch(e, most);
    return 0;
}

void nde_engine_close(NdeEngine *e)
{
    for (int i = 0; e->block && i < e->model->n_solve; i++) {
        nde_tape_free(&e->flow[i].tape);
        if (e->flow[i].lanes) {
            for (int band = 0; band < nde_bands_most(e); band++)
                free(e->flow[i].lanes->band[band].record);
            free(e->flow[i].lanes->step);
        }
    }
    nde_replay_free(e);
    nde_team_close(e->team);
    e->team = NULL;
    free(e->block);
    e->block = NULL;
}

void nde_engine_batch(NdeEngine *e, int count)
{
    int tile = e->model->tile;
    e->count = count;
    e->run.batch = count;
    e->run.n_tile = (count + tile - 1) / tile;
    for (int i = 0; i < e->run.n_tile * tile; i++)
        e->mask[i] = i < count ? 1 : 0;
}

/* ---- running ---- */

void nde_engine_share(NdeEngine *e, double flops, int n, NdeJob *job, void *context)
{
    if (e->team && n > 1 && flops >= worth_threads) {
        nde_team_run(e->team, n, job, context);
        return;
    }
    for (int i = 0; i < n; i++)
        job(context, i, 0);
}

typedef struct Pieces {
    void (*piece)(void *context, int item, int n);
    void *context;
    int n;
} Pieces;

static void do_piece(void *context, int item, int thread)
{
    const Pieces *p = context;
    (void)thread;
    p->piece(p->context, item, p->n);
}

void nde_share(NdeRun *run, double flops, void (*piece)(void *context, int item, int n), void *context)
{
    NdeEngine *e = (NdeEngine *)(void *)run;
    Pieces p = {piece, context, e->team && flops >= worth_threads ? e->threads : 1};
    nde_engine_share(e, flops, p.n, do_piece, &p);
}

static size_t sum_bytes(const NdeSum *sum)
{
    return sum->n == 1 ? sizeof(double) : (size_t)sum->n * (size_t)(sum->lanes ? sum->lanes : 1) * sizeof(Real);
}

/* A sum that is nothing but an output which is added to: formed over all runs of the function. */
static bool is_gathered(const NdeFn *fn, const NdeSum *sum)
{
    return sum->out >= fn->n_set;
}

static char *group_sum(const NdeEngine *e, const NdeFn *fn, int group)
{
    return e->frame[fn->index].sum + (size_t)group * rounded(fn->sum_bytes);
}

static void zero_sums(NdeEngine *e, const NdeFn *fn, const NdePart *part, bool gathered, int group)
{
    for (int i = 0; i < part->n_sum; i++)
        if (is_gathered(fn, &part->sum[i]) == gathered)
            memset(group_sum(e, fn, group) + part->sum[i].from, 0, sum_bytes(&part->sum[i]));
}

/* Halves are added to halves, which the C compiler makes vectors of: a number in place of `lanes` lets it. */
static inline void halve_lanes(int n, const int lanes, const Real *from, Real *to, bool adds)
{
    Real part[MOST_LANES / 2];
    for (int i = 0; i < n; i++, from += lanes) {
        for (int l = 0; l < lanes / 2; l++)
            part[l] = from[l] + from[l + lanes / 2];
        for (int half = lanes / 4; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                part[l] += part[l + half];
        to[i] = adds ? to[i] + part[0] : part[0];
    }
}

static void add_lanes(int lanes, int n, const Real *from, Real *to, bool adds)
{
    switch (lanes) {
    case 2: halve_lanes(n, 2, from, to, adds); break;
    case 4: halve_lanes(n, 4, from, to, adds); break;
    case 8: halve_lanes(n, 8, from, to, adds); break;
    case 16: halve_lanes(n, 16, from, to, adds); break;
    default: halve_lanes(n, lanes, from, to, adds);
    }
}

typedef struct Reduction {
    NdeEngine *e;
    const NdeFn *fn;
    NdeSum sum;
    Real *to;
    bool adds;
} Reduction;

/* to = or += the groups' numbers, group by group: piece `item` of n. */
static void reduce_piece(void *context, int item, int n)
{
    const Reduction *r = context;
    int groups = group_count(r->fn, r->e->run.n_tile), lanes = r->sum.lanes > 1 ? r->sum.lanes : 1;
    int first = (int)((long)r->sum.n * item / n), behind = (int)((long)r->sum.n * (item + 1) / n);
    Real *to = r->to + first;
    for (int g = 0; g < groups; g++) {
        const Real *from = (const Real *)(const void *)(group_sum(r->e, r->fn, g) + r->sum.from);
        from += (size_t)first * (size_t)lanes;
        if (lanes > 1)
            add_lanes(lanes, behind - first, from, to, g > 0 || r->adds);
        else if (g == 0 && !r->adds)
            memcpy(to, from, (size_t)(behind - first) * sizeof *to);
        else
            for (int i = 0; i < behind - first; i++)
                to[i] += from[i];
    }
}

static void reduce_reals(NdeEngine *e, const NdeFn *fn, const NdeSum *sum, Real *to, bool adds)
{
    Reduction r = {e, fn, *sum, to, adds};
    double additions = (double)(sum_bytes(sum) / sizeof *to) * (double)group_count(fn, e->run.n_tile);
    nde_share(&e->run, additions, reduce_piece, &r);
}

static void reduce_double(NdeEngine *e, const NdeFn *fn, const NdeSum *sum, double *to, bool adds)
{
    int groups = group_count(fn, e->run.n_tile);
    double total = adds ? *to : 0;
    for (int g = 0; g < groups; g++)
        total += *(const double *)(const void *)(group_sum(e, fn, g) + sum->from);
    *to = total;
}

static void reduce_sums(NdeEngine *e, const NdeFn *fn, const NdePart *part, const NdeRef *out, bool gathered)
{
    for (int i = 0; i < part->n_sum; i++) {
        const NdeSum *sum = &part->sum[i];
        if (is_gathered(fn, sum) != gathered)
            continue;
        char *shared = e->frame[fn->index].shared;
        void *to = sum->out < 0 ? shared + sum->to : (char *)out[sum->out].at;
        if (!to)
            continue;
        if (sum->n == 1)
            reduce_double(e, fn, sum, to, gathered);
        else
            reduce_reals(e, fn, sum, to, gathered);
    }
}

/* Tile k of n is in group k m / n of m, rounded down: the first one of a group, or behind the last group. */
static int first_tile(int group, int groups, int tiles)
{
    return (int)(((long)group * tiles + groups - 1) / groups);
}

/* Tiles first .. behind - 1, which add to the sums of a group. */
static void part_tiles(NdeEngine *e, const NdeFn *fn, const NdePart *part, int group, int first, int behind, int thread)
{
    const NdeFrame *frame = &e->frame[fn->index];
    NdeTile at = {.frame = frame, .run = &e->run, .sum = group_sum(e, fn, group), .work = e->work[thread]};
    for (int k = first; k < behind; k++) {
        at.tile = k;
        at.kept = frame->kept + (size_t)k * fn->kept_bytes;
        at.mask = e->mask + (size_t)k * (size_t)e->model->tile;
        part->tile(&at);
    }
}

typedef struct TileJob {
    NdeEngine *e;
    const NdeFn *fn;
    const NdePart *part;
    int tiles, groups;
} TileJob;

/* The group's sums start at zero here, where they stay in the cache of who adds to them. */
static void do_group(void *context, int group, int thread)
{
    const TileJob *job = context;
    zero_sums(job->e, job->fn, job->part, false, group);
    part_tiles(job->e, job->fn, job->part, group, first_tile(group, job->groups, job->tiles),
               first_tile(group + 1, job->groups, job->tiles), thread);
}

static void run_tiles(NdeEngine *e, const NdeFn *fn, const NdePart *part)
{
    TileJob job = {e, fn, part, e->run.n_tile, group_count(fn, e->run.n_tile)};
    double flops = e->run.is_watching ? 0 : fn->flops * e->run.batch;
    nde_engine_share(e, flops, job.groups, do_group, &job);
}

void nde_sums_begin(NdeEngine *e, const NdeFn *fn)
{
    for (int i = 0; i < fn->n_part; i++)
        for (int g = 0; g < group_count(fn, e->run.n_tile); g++)
            zero_sums(e, fn, &fn->part[i], true, g);
}

static NdeFrame *frame_for(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    NdeFrame *frame = &e->frame[fn->index];
    frame->in = in;
    frame->out = out;
    frame->is_fresh = frame->solve != e->solves;
    frame->solve = e->solves;
    return frame;
}

int nde_sums_run(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    NdeFrame *frame = frame_for(e, fn, in, out);
    for (int i = 0; i < fn->n_part; i++) {
        const NdePart *part = &fn->part[i];
        int status = part->shared ? part->shared(frame) : 0;
        if (status)
            return status;
        if (part->tile)
            run_tiles(e, fn, part);
        reduce_sums(e, fn, part, out, false);
    }
    return 0;
}

int nde_frame_ready(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    NdeFrame *frame = frame_for(e, fn, in, out);
    return fn->part->shared ? fn->part->shared(frame) : 0;
}

bool nde_frame_is_local(const NdeFn *fn, bool may_sum)
{
    for (int i = 0; i < fn->part->n_sum; i++)
        if (!may_sum || !is_gathered(fn, &fn->part->sum[i]))
            return false;
    for (int i = 1; i < fn->n_part; i++)
        if (fn->part[i].shared || fn->part[i].tile)
            return false;
    return true;
}

int nde_frame_groups(const NdeEngine *e, const NdeFn *fn)
{
    return group_count(fn, e->run.n_tile);
}

void nde_frame_tiles(NdeEngine *e, const NdeFn *fn, int group, int first, int behind, int thread)
{
    if (fn->part->tile)
        part_tiles(e, fn, fn->part, group, first, behind, thread);
}

void nde_sums_end(NdeEngine *e, const NdeFn *fn, const NdeRef *out)
{
    for (int i = 0; i < fn->n_part; i++)
        reduce_sums(e, fn, &fn->part[i], out, true);
}

int nde_frame_run(NdeEngine *e, const NdeFn *fn, const NdeRef *in, const NdeRef *out)
{
    nde_sums_begin(e, fn);
    int status = nde_sums_run(e, fn, in, out);
    if (!status)
        nde_sums_end(e, fn, out);
    return status;
}
