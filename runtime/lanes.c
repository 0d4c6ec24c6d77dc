/* lanes.c: lanes and records of solves in which each sample has its own steps.
 *
 * Needs: the memory of a flow (run.c). Gives: values moved from lane to lane, the record of accepted steps, the times
 * inside a step at which states are wanted.
 * Elsewhere: the loops (solve_sample.c, adjoint_sample.c). */
#include "lanes.h"

#include "run.h"

#include <stdlib.h>
#include <string.h>

/* ---- lanes ---- */

static Real *lane_at(NdeRef ref, int lane, int tile)
{
    return (Real *)(void *)((char *)ref.at + (size_t)(lane / tile) * ref.step) + lane % tile;
}

Real *nde_lane_number(const NdeEngine *e, NdeRef scalar, int lane)
{
    return lane_at(scalar, lane, e->model->tile);
}

void nde_lane_copy(const NdeEngine *e, NdeValue v, NdeRef to, int to_lane, NdeRef from, int from_lane)
{
    int tile = e->model->tile;
    Real *a = lane_at(to, to_lane, tile);
    const Real *b = lane_at(from, from_lane, tile);
    for (int i = 0; i < v.n; i++)
        a[i * tile] = b[i * tile];
}

static void take_tile(const NdeEngine *e, const NdeFlow *f, int k, bool chooses)
{
    const NdeLanes *l = f->lanes;
    int tile = e->model->tile;
    for (int i = 0; i < f->solve->n_state + f->solve->n_carry; i++) {
        NdeValue v = nde_slot_value(f->solve, i);
        if (!chooses)
            memcpy(lane_at(l->now[i], k * tile, tile), lane_at(l->next[i], k * tile, tile),
                   (size_t)v.n * (size_t)tile * sizeof(Real));
        for (int lane = k * tile; chooses && lane < (k + 1) * tile; lane++)
            if (l->takes[lane] != 0)
                nde_lane_copy(e, v, l->now[i], lane, l->next[i], lane);
    }
}

void nde_lanes_take(const NdeEngine *e, const NdeFlow *f, int first, int n, bool chooses)
{
    int tile = e->model->tile;
    for (int k = first / tile; k * tile < first + n; k++) {
        int taken = 0;
        for (int lane = k * tile; chooses && lane < (k + 1) * tile; lane++)
            taken += f->lanes->takes[lane] != 0;
        take_tile(e, f, k, chooses && taken < tile);
    }
}

void nde_lane_zero(const NdeEngine *e, NdeValue v, NdeRef to, int lane)
{
    Real *a = lane_at(to, lane, e->model->tile);
    for (int i = 0; i < v.n; i++)
        a[i * e->model->tile] = 0;
}

void nde_lanes_all(NdeEngine *e)
{
    nde_lanes_used(e, e->count);
}

void nde_lanes_used(NdeEngine *e, int n)
{
    e->run.n_tile = (n + e->model->tile - 1) / e->model->tile;
}

void nde_lanes_pad(const NdeEngine *e, NdeValue v, NdeRef at)
{
    int lanes = (e->count + e->model->tile - 1) / e->model->tile * e->model->tile;
    for (int lane = e->count; at.at && lane < lanes; lane++)
        nde_lane_copy(e, v, at, lane, at, e->count - 1);
}

void nde_lanes_arg_refs(NdeFlow *f, const NdeRef *in)
{
    const NdeSolve *s = f->solve;
    for (int i = 0; i < s->n_arg; i++)
        f->step_in[s->n_state + s->n_carry + 2 + i] = s->arg[i].is_batched ? f->lanes->arg[i] : in[s->n_state + i];
}

void nde_lanes_args(const NdeEngine *e, const NdeFlow *f, const NdeRef *in, int first, int n)
{
    const NdeSolve *s = f->solve;
    const NdeLanes *l = f->lanes;
    int tile = e->model->tile, behind = n > 0 ? (first + n + tile - 1) / tile * tile : first;
    for (int i = 0; i < s->n_arg; i++)
        for (int lane = first; s->arg[i].is_batched && lane < behind; lane++)
            nde_lane_copy(e, s->arg[i], l->arg[i], lane, in[s->n_state + i],
                          l->who[lane < first + n ? lane : first + n - 1]);
}

/* ---- results ---- */

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
void nde_results_clear(NdeEngine *e, const NdeSolve *s, const NdeRef *out)
{
    for (int i = 0; i < n_series(s); i++)
        if (out[s->n_state + i].at)
            nde_value_zero(e, series_value(s, i), out[s->n_state + i]);
}

void nde_results_pad(const NdeEngine *e, const NdeSolve *s, const NdeRef *out)
{
    int k = 0;
    for (; k < s->n_state; k++)
        nde_lanes_pad(e, s->state[k], out[k]);
    for (int i = 0; i < n_series(s); i++)
        nde_lanes_pad(e, series_value(s, i), out[k++]);
    for (int i = 0; i < s->n_draw * (s->n_state + 3); i++) {
        int state = i % (s->n_state + 3);
        nde_lanes_pad(e, state < s->n_state ? s->state[state] : (NdeValue){1, true}, out[k++]);
    }
    for (int i = 0; i < s->n_quantity + 3; i++)
        nde_lanes_pad(e, (NdeValue){1, true}, out[k++]);
}

/* ---- records ---- */

NdeRecord *nde_record_at(const NdeLanes *l, const NdeCourse *c, size_t record)
{
    return (NdeRecord *)(void *)(l->band[c->band].record + (record - 1) * l->record_bytes);
}

static Real *numbers_of(NdeRecord *r)
{
    return (Real *)(void *)(r + 1);
}

/* Does anybody read this state or carry back? */
static bool is_recorded(const NdeSolve *s, int k)
{
    return !s->is_read_back || s->is_read_back[k];
}

size_t nde_record_bytes(const NdeSolve *s)
{
    size_t numbers = 0;
    for (int k = 0; k < s->n_state + s->n_carry; k++)
        numbers += is_recorded(s, k) ? (size_t)nde_slot_value(s, k).n : 0;
    return (sizeof(NdeRecord) + numbers * sizeof(Real) + 15) / 16 * 16;
}

int nde_records_room(const NdeLanes *l, NdeBand *b, int n)
{
    NdeError unheard; /* other bands may be writing to that of the run */
    size_t need = b->n_record + (size_t)n, room = b->room ? b->room : 64;
    while (room < need)
        room *= 2;
    if (room > b->room) {
        char *grown = nde_enlarge(b->record, room, l->record_bytes, &unheard);
        if (!grown)
            return NDE_NO_ROOM;
        b->record = grown;
        b->room = room;
        b->has_grown = true;
    }
    b->n_record = need;
    return 0;
}

int nde_records_none(NdeError *e)
{
    return nde_fail(e, NDE_EXIT_MEMORY,
                    "out of memory: no room for another step of the tape; a smaller batch needs less, and so does "
                    "`memory` or `checkpoints` in the solve");
}

void nde_record_write(const NdeEngine *e, NdeFlow *f, NdeCourse *c, int lane, size_t record)
{
    const NdeLanes *l = f->lanes;
    const NdeSolve *s = f->solve;
    NdeRecord *r = nde_record_at(l, c, record);
    Real *to = numbers_of(r);
    *r = (NdeRecord){c->w.t, c->w.t == c->w.t1 ? 0 : c->h, c->last};
    c->last = record;
    for (int k = 0; k < s->n_state + s->n_carry; k++) {
        NdeValue v = nde_slot_value(s, k);
        const Real *from = lane_at(l->now[k], lane, e->model->tile);
        for (int i = 0; is_recorded(s, k) && i < v.n; i++)
            *to++ = from[i * e->model->tile];
    }
}

void nde_record_state(const NdeEngine *e, const NdeFlow *f, const NdeCourse *c, size_t record, int n, const NdeRef *to,
                      int lane)
{
    const Real *from = numbers_of(nde_record_at(f->lanes, c, record));
    for (int k = 0; k < n; k++) {
        NdeValue v = nde_slot_value(f->solve, k);
        if (!is_recorded(f->solve, k))
            continue;
        Real *at = to[k].at ? lane_at(to[k], lane, e->model->tile) : NULL;
        for (int i = 0; at && i < v.n; i++)
            at[i * e->model->tile] = from[i];
        from += v.n;
    }
}

/* ---- bands ---- */

static int band_count(int tiles)
{
    enum { LEAST = 8 /* tiles: few of them are not full when the last samples end */, MOST = 64 };
    return tiles < 2 * LEAST ? 1 : tiles / LEAST < MOST ? tiles / LEAST : MOST;
}

int nde_bands_most(const NdeEngine *e)
{
    return band_count(e->tiles);
}

static int tiles_of(const NdeEngine *e)
{
    return (e->count + e->model->tile - 1) / e->model->tile;
}

int nde_bands_of(const NdeEngine *e)
{
    return band_count(tiles_of(e));
}

void nde_band_range(const NdeEngine *e, int i, int n, int *first, int *behind)
{
    long tiles = tiles_of(e);
    int tile = e->model->tile;
    *first = (int)(tiles * i / n) * tile;
    *behind = (int)(tiles * (i + 1) / n) * tile;
    *behind = *behind < e->count ? *behind : e->count;
}

bool nde_lanes_heavy(const NdeSolve *s)
{
    enum { HEAVY = 20000 /* operations of a step */ };
    return (s->step ? s->step : s->step_keep)->flops > HEAVY;
}

void nde_bands_share(NdeEngine *e, const NdeFn *step, int bands, NdeJob *job, void *context)
{
    enum { STEPS = 8 /* of a sample, as many at least */ };
    nde_engine_share(e, STEPS * step->flops * e->count, bands, job, context);
}

void nde_bands_begin(const NdeEngine *e, NdeLanes *l, bool is_single)
{
    l->bands = is_single ? 1 : nde_bands_of(e);
    for (int i = 0; i < l->bands; i++) {
        NdeBand *b = &l->band[i];
        int first, behind;
        nde_band_range(e, i, l->bands, &first, &behind);
        *b = (NdeBand){.first = first, .n = behind - first, .record = b->record, .room = b->room};
        for (int sample = b->first; sample < b->first + b->n; sample++)
            l->course[sample].band = i;
    }
}

void nde_bands_end(NdeEngine *e, NdeFlow *f)
{
    const NdeLanes *l = f->lanes;
    size_t bytes = 0;
    for (int i = 0; i < l->bands; i++) {
        e->allocations += l->band[i].has_grown;
        bytes += l->band[i].room * l->record_bytes;
    }
    if (bytes > f->tape.most)
        f->tape.most = bytes;
}

/* ---- wanted times ---- */

static int trace_points(const NdeEngine *e, const NdeFlow *f, int sample)
{
    const NdeTrace *t = e->trace;
    return t && !strcmp(t->solve, f->solve->name) && t->sample == sample ? t->points : 0;
}

static double wished_time(const NdeEngine *e, const NdeFlow *f, const NdeCourse *c, int sample, NdeMoment m)
{
    if (m.wish == NDE_WISH_SAVE)
        return c->save[m.index];
    if (m.wish == NDE_WISH_DRAW)
        return f->lanes->drawn[sample * f->solve->n_draw + m.index].t;
    int last = e->trace->points - 1;
    return m.index == last ? c->w.t1 : c->w.t0 + (c->w.t1 - c->w.t0) * m.index / last;
}

bool nde_moment_next(const NdeEngine *e, const NdeFlow *f, int sample, double t, double end, double h, NdeMoment *m)
{
    NdeCourse *c = &f->lanes->course[sample];
    int saves = c->n_save, draws = f->solve->n_draw, all = saves + draws + trace_points(e, f, sample);
    while (c->seen < all) {
        int i = c->seen++;
        *m = (NdeMoment){i < saves           ? NDE_WISH_SAVE
                         : i < saves + draws ? NDE_WISH_DRAW
                                             : NDE_WISH_TRACE,
                         i < saves           ? i
                         : i < saves + draws ? i - saves
                                             : i - saves - draws,
                         0, 0, NDE_ELSEWHERE};
        m->time = wished_time(e, f, c, sample, *m);
        m->where = nde_where(t, end, m->time);
        m->theta = (m->time - t) / h;
        if (m->where != NDE_ELSEWHERE)
            return true;
        if (i < saves) /* and so are those after it */
            c->seen = saves;
    }
    return false;
}

int nde_lanes_dense(const NdeFlow *f, NdeRef *in)
{
    const NdeSolve *s = f->solve;
    const NdeLanes *l = f->lanes;
    int k = 0;
    for (int i = 0; i < s->n_state; i++)
        in[k++] = l->now[i];
    for (int i = 0; i < s->n_state; i++)
        in[k++] = l->next[i];
    for (int i = 0; i < s->n_dense; i++)
        in[k++] = f->dense[i];
    in[k++] = l->h;
    in[k++] = l->theta;
    return k;
}
