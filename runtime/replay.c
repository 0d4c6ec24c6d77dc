/* replay.c: a run recorded and repeated: attempted steps, and the numbers that `detach` held constant.
 *
 * Needs: the same functions run again on the same batch. Gives: the same step sizes and held numbers whatever the
 * parameters are, so that differences see what the derivative sees.
 * Elsewhere: who compares (check.c). */
#include "run.h"

#include <stdlib.h>
#include <string.h>

int nde_replay_begin(NdeEngine *e, NdeMode mode)
{
    NdeReplay *r = &e->replay;
    int logs = e->tiles + 1;
    if (mode != NDE_LIVE && !r->held) {
        r->held = nde_allocate((size_t)logs, sizeof *r->held, e->error);
        if (!r->held)
            return e->error->exit_code;
        e->allocations++;
    }
    r->mode = mode;
    r->at = 0;
    if (mode == NDE_RECORD)
        r->n = 0;
    for (int i = 0; mode != NDE_LIVE && i < logs; i++) {
        r->held[i].at = 0;
        if (mode == NDE_RECORD)
            r->held[i].n = 0;
    }
    e->run.is_holding = mode != NDE_LIVE;
    return 0;
}

void nde_replay_free(NdeEngine *e)
{
    NdeReplay *r = &e->replay;
    for (int i = 0; r->held && i < e->tiles + 1; i++)
        free(r->held[i].number);
    free(r->held);
    free(r->attempt);
    *r = (NdeReplay){0};
}

int nde_attempt_next(NdeEngine *e, NdeAttempt *attempt)
{
    NdeReplay *r = &e->replay;
    if (r->mode == NDE_REPLAY) {
        if (r->at == r->n)
            return nde_fail(e->error, NDE_EXIT_MEMORY, "a replayed solve took more steps than were recorded");
        *attempt = r->attempt[r->at++];
        return 0;
    }
    if (r->n == r->room) {
        size_t room = r->room ? 2 * r->room : 64;
        NdeAttempt *grown = nde_enlarge(r->attempt, room, sizeof *grown, e->error);
        if (!grown)
            return e->error->exit_code;
        r->attempt = grown;
        r->room = room;
        e->allocations++;
    }
    r->attempt[r->n++] = *attempt;
    return 0;
}

/* Called by generated code: keeps or overwrites n numbers. A log that cannot grow, or is at its end, marks the replay
 * as lost; whoever asked for it reports that. */
void nde_hold(NdeRun *run, int tile, void *v, size_t n, bool is_double)
{
    NdeEngine *e = (NdeEngine *)(void *)run;
    NdeReplay *r = &e->replay;
    if (r->mode == NDE_LIVE)
        return;
    NdeHeld *held = &r->held[tile < 0 ? e->tiles : tile];
    if (r->mode == NDE_RECORD && held->n + n > held->room) {
        size_t room = 2 * (held->n + n);
        double *grown = realloc(held->number, room * sizeof *grown);
        if (!grown) {
            r->is_lost = true;
            return;
        }
        held->number = grown;
        held->room = room;
    }
    if (r->mode == NDE_REPLAY && held->at + n > held->n) {
        r->is_lost = true;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double *number = r->mode == NDE_RECORD ? &held->number[held->n++] : &held->number[held->at++];
        if (r->mode == NDE_RECORD)
            *number = is_double ? ((const double *)v)[i] : (double)((const Real *)v)[i];
        else if (is_double)
            ((double *)v)[i] = *number;
        else
            ((Real *)v)[i] = (Real)*number;
    }
}
