/* slots.c: what a solve in which each sample has its own steps keeps where its tape has a bound.
 *
 * Needs: the tape of the flow. Gives: slot k with the states of all samples after k accepted steps, of those that took
 * so many, where the tape has a place for it; the sizes of all steps. A slot lies as it does for one step size: by
 * samples, not by lanes. Elsewhere: which slots are kept (tape.c), the step that is run again (solve_sample.c), the way
 * back (adjoint_sample.c). */
#include "lanes.h"

#include "run.h"

#include <stdlib.h>

bool nde_lanes_bounded(const NdeEngine *e, const NdeFlow *f)
{
    return e->is_taping && f->solve->set_memory >= 0;
}

NdeLaneStep *nde_lanes_step(const NdeEngine *e, const NdeFlow *f, int slot, int sample)
{
    return &f->lanes->step[(size_t)slot * (size_t)e->count + (size_t)sample];
}

int nde_lanes_from(NdeEngine *e, NdeFlow *f, int slot)
{
    NdeLanes *l = f->lanes;
    l->n = 0;
    for (int sample = 0; sample < e->count; sample++)
        if (l->course[sample].accepted > slot)
            l->who[l->n++] = sample;
    nde_lanes_used(e, l->n);
    nde_lanes_arg_refs(f, l->in);
    nde_lanes_args(e, f, l->in, 0, l->n);
    return l->n;
}

void nde_lanes_fetch(NdeEngine *e, NdeFlow *f, int slot)
{
    NdeLanes *l = f->lanes;
    for (int lane = 0; lane < e->run.n_tile * e->model->tile; lane++) {
        int sample = l->who[lane < l->n ? lane : l->n - 1];
        const NdeLaneStep *at = nde_lanes_step(e, f, slot, sample);
        for (int k = 0; k < f->solve->n_state + f->solve->n_carry; k++)
            nde_lane_copy(e, nde_slot_value(f->solve, k), l->now[k], lane, nde_tape_state(&f->tape, slot, k), sample);
        nde_lane_scalar(l->t)[lane] = (Real)at->t;
        nde_lane_scalar(l->h)[lane] = (Real)at->h;
    }
}

int nde_slots_begin(NdeEngine *e, NdeFlow *f)
{
    NdeLanes *l = f->lanes;
    int status = nde_tape_begin(e, f, true, 0);
    if (status)
        return status;
    if (l->step_room != (size_t)f->tape.room) {
        free(l->step);
        l->step_room = 0;
        l->step = nde_allocate((size_t)f->tape.room, (size_t)e->most * sizeof *l->step, e->error);
        if (!l->step)
            return e->error->exit_code;
        l->step_room = (size_t)f->tape.room;
        e->allocations++;
    }
    for (int k = 0; k < f->solve->n_state + f->solve->n_carry; k++)
        nde_value_copy(e, nde_slot_value(f->solve, k), nde_tape_state(&f->tape, 0, k), l->now[k]);
    return 0;
}

int nde_slots_keep(NdeEngine *e, NdeFlow *f, int lane)
{
    NdeTape *tape = &f->tape;
    const NdeLanes *l = f->lanes;
    int sample = l->who[lane], end = (int)l->course[sample].accepted + 1;
    *nde_lanes_step(e, f, end - 1, sample) = (NdeLaneStep){l->course[sample].w.t, l->course[sample].h};
    if (end > tape->n) { /* the first to get there */
        if (!nde_tape_open(e, tape, end))
            return e->error->exit_code;
        nde_tape_pass(tape, tape->n++);
        int status = nde_tape_add(e, tape, 0);
        if (status)
            return status;
    }
    for (int k = 0; nde_tape_point(tape, end)->place >= 0 && k < f->solve->n_state + f->solve->n_carry; k++)
        nde_lane_copy(e, nde_slot_value(f->solve, k), nde_tape_state(tape, end, k), sample, l->next[k], lane);
    return 0;
}
