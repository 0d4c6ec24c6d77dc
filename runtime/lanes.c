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

void nde_lanes_take(const NdeEngine *e, NdeValue v, NdeRef to, NdeRef from, const Real *takes)
{
    int tile = e->model->tile;
    for (int k = 0; k < e->run.n_tile; k++) {
        Real *a = lane_at(to, k * tile, tile);
        const Real *b = lane_at(from, k * tile, tile), *take = takes + k * tile;
        for (int i = 0; i < v.n; i++, a += tile, b += tile)
            for (int lane = 0; lane < tile; lane++)
                a[lane] = take[lane] != 0 ? b[lane] : a[lane];
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
    e->run.n_tile = (e->count + e->model->tile - 1) / e->model->tile;
}

void nde_lanes_used(NdeEngine *e, const NdeLanes *l)
{
    e->run.n_tile = (l->n + e->model->tile - 1) / e->model->tile;
}

void nde_lanes_pad(const NdeEngine *e, NdeValue v, NdeRef at)
{
    int lanes = (e->count + e->model->tile - 1) / e->model->tile * e->model->tile;
    for (int lane = e->count; at.at && lane < lanes; lane++)
        nde_lane_copy(e, v, at, lane, at, e->count - 1);
}

void nde_lanes_args(NdeEngine *e, NdeFlow *f, const NdeRef *in)
{
    const NdeSolve *s = f->solve;
    NdeLanes *l = f->lanes;
    int lanes = e->run.n_tile * e->model->tile;
    for (int i = 0; i < s->n_arg; i++) {
        NdeRef *to = &f->step_in[s->n_state + s->n_carry + 2 + i], from = in[s->n_state + i];
        *to = s->arg[i].is_batched ? l->arg[i] : from;
        for (int lane = 0; s->arg[i].is_batched && lane < lanes; lane++)
            nde_lane_copy(e, s->arg[i], *to, lane, from, l->who[lane < l->n ? lane : l->n - 1]);
    }
}

/* ---- records ---- */

NdeRecord *nde_record_at(const NdeLanes *l, size_t record)
{
    return (NdeRecord *)(void *)(l->record + (record - 1) * l->record_bytes);
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

int nde_record_add(NdeEngine *e, NdeFlow *f, NdeCourse *c, int lane)
{
    NdeLanes *l = f->lanes;
    const NdeSolve *s = f->solve;
    if (l->n_record == l->room) {
        size_t room = l->room ? 2 * l->room : 64;
        char *grown = nde_enlarge(l->record, room, l->record_bytes, e->error);
        if (!grown)
            return e->error->exit_code;
        l->record = grown;
        l->room = room;
        e->allocations++;
        f->tape.most = room * l->record_bytes;
    }
    NdeRecord *r = nde_record_at(l, ++l->n_record);
    Real *to = numbers_of(r);
    *r = (NdeRecord){c->w.t, c->w.t == c->w.t1 ? 0 : c->h, c->last};
    c->last = l->n_record;
    for (int k = 0; k < s->n_state + s->n_carry; k++) {
        NdeValue v = nde_slot_value(s, k);
        const Real *from = lane_at(l->now[k], lane, e->model->tile);
        for (int i = 0; is_recorded(s, k) && i < v.n; i++)
            *to++ = from[i * e->model->tile];
    }
    return 0;
}

void nde_record_state(const NdeEngine *e, const NdeFlow *f, size_t record, int n, const NdeRef *to, int lane)
{
    const Real *from = numbers_of(nde_record_at(f->lanes, record));
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

void nde_moments_from(NdeCourse *c, double t)
{
    while (c->first < c->n_save && (c->save[c->first] - t) * c->w.way <= 0)
        c->first++;
    while (c->first > 0 && (c->save[c->first - 1] - t) * c->w.way > 0)
        c->first--;
    c->seen = c->first;
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

int nde_lanes_dense(NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    const NdeLanes *l = f->lanes;
    int k = 0;
    for (int i = 0; i < s->n_state; i++)
        f->call_in[k++] = l->now[i];
    for (int i = 0; i < s->n_state; i++)
        f->call_in[k++] = l->next[i];
    for (int i = 0; i < s->n_dense; i++)
        f->call_in[k++] = f->dense[i];
    f->call_in[k++] = l->h;
    f->call_in[k++] = l->theta;
    return k;
}
