/* path.c: the states of a solve at any time of its span, from the steps on its tape: what an adjoint system reads.
 *
 * Needs: a tape with all states; the d.. of its steps, kept as their residuals or formed again. Gives: states by the
 * interpolant of the method.
 * Elsewhere: saved times, which are met while the solve runs (moment.c). */
#include "run.h"

/* The d.. of the step from the slot: kept, or formed again unless it was the last one. */
static int find_dense(NdeEngine *e, NdePath *path, int slot)
{
    NdeFlow *f = path->of;
    const NdeSolve *s = f->solve;
    NdePoint p = *nde_tape_point(&f->tape, slot);
    if (!nde_tape_rest(e, &f->tape, slot, s->n_state + s->n_carry, s->n_residual, f->kept_dense))
        return e->error->exit_code;
    nde_solve_fill(e, f, slot, p.t, p.h);
    if (nde_tape_keeps(&f->tape, slot) || path->formed == slot)
        return 0;
    path->formed = slot;
    e->reverse_evaluations += s->evaluations_step;
    return nde_frame_run(e, s->again, f->step_in, f->kept_dense);
}

int nde_path_state(NdeEngine *e, NdePath *path, double time, const NdeRef *to)
{
    NdeFlow *f = path->of;
    const NdeTape *tape = &f->tape;
    double way = nde_tape_point(tape, tape->n)->t < nde_tape_point(tape, 0)->t ? -1 : 1;
    int slot = path->slot;
    while (slot > 0 && (time - nde_tape_point(tape, slot)->t) * way < 0)
        slot--;
    while (slot < tape->n - 1 && (time - nde_tape_point(tape, slot + 1)->t) * way > 0)
        slot++;
    path->slot = slot;
    int status = find_dense(e, path, slot);
    if (status)
        return status;
    const NdePoint *p = nde_tape_point(tape, slot);
    return nde_dense_at(e, f, slot, f->kept_dense, (time - p->t) / p->h, to);
}

int nde_path_moments(NdeEngine *e, NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    int n = f->path->of->solve->n_state;
    for (int i = 0; i < s->n_moment; i++) {
        int status = nde_path_state(e, f->path, f->t + s->moment[i] * f->h, f->extra_in + 1 + i * n);
        if (status)
            return status;
    }
    return 0;
}
