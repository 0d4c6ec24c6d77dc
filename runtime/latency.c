/* latency.c: solves of one sample by the form that was compiled for it.
 *
 * Needs: a solve with such a form, settings. Gives: its results and counts, or the word that the ordinary way is to be
 * gone: for batches, where something keeps or reads the steps, and where the form met a limit.
 * Elsewhere: the loop over steps (nde_latency.h), the ordinary way (solve.c). */
#include "run.h"

#include <math.h>
#include <string.h>

static double setting(const NdeEngine *e, int index, double otherwise)
{
    return index < 0 ? otherwise : e->setting[index];
}

/* Does nobody but the caller want to know of the steps? */
static bool is_alone(const NdeEngine *e, const NdeSolve *s)
{
    bool is_traced = e->trace && !strcmp(e->trace->solve, s->name);
    return e->count == 1 && !e->is_taping && !e->run.is_watching && !e->run.is_holding && !is_traced &&
           e->replay.mode == NDE_LIVE;
}

void nde_latency_control(NdeLatency *at, const NdeControl *row, int order, int embedded)
{
    NdeController c;
    nde_control_begin(&c, row, order, embedded);
    at->safety = log2(row->safety);
    at->b1 = row->b1 / c.k / 2;
    at->b2 = row->b2 / c.k / 2;
    at->b3 = row->b3 / c.k / 2;
    at->b0 = row->b0 / c.k / 2;
    at->a1 = row->a1;
    at->a2 = row->a2;
    at->factor_least = log2(row->least);
    at->factor_most = log2(row->most);
    at->factor_again = log2(row->again);
    at->floor = 2 * log2(row->floor);
    at->start = 2 * log2(row->start);
    at->stretch = row->stretch;
    at->caution = log2(row->caution);
    at->trust = log2(row->trust);
    at->lowest = log2(row->lowest);
}

static void put(NdeRef out, double x)
{
    if (out.at)
        *(double *)out.at = x;
}

bool nde_latency_solve(NdeEngine *e, const NdeSolve *s, const NdeRef *in, const NdeRef *out)
{
    if (!s->latency || !is_alone(e, s))
        return false;
    NdeFlow *f = &e->flow[s->index];
    NdeLatency *at = &f->latency;
    if (at->stretch == 0) { /* once a run */
        NdeControl row = nde_solve_control(e, s);
        nde_latency_control(at, &row, s->order, s->embedded);
    }
    at->t0 = setting(e, s->set_t0, 0);
    at->t1 = setting(e, s->set_t1, 1);
    f->bounds = nde_span_of(e, s, in + s->n_state, 0);
    nde_flight_saves(&(NdeFlight){.e = e, .f = f, .s = s, .in = in, .t0 = at->t0, .t1 = at->t1});
    double unit = nde_span_unit(f->bounds);
    at->least = fabs(setting(e, s->set_min, 0)) / unit;
    at->most = fabs(setting(e, s->set_max, HUGE_VAL)) / unit;
    at->fixed = fabs(setting(e, s->set_fixed, 0)) / unit;
    at->initial = setting(e, s->set_initial, 0) / unit;
    at->limit = (long)setting(e, s->set_limit, 10000);
    at->save = f->save;
    at->work = f->latency_work;
    if (!isfinite(at->t0) || !isfinite(at->t1) || !isfinite(unit) || (s->set_fixed >= 0 && !(at->fixed > 0)))
        return false;
    if (!s->latency(&e->run, in, out, at))
        return false;
    bool is_guessed = s->guess && s->set_initial < 0;
    int k = nde_result_quantity(s, s->n_quantity);
    f->evaluations = s->evaluations_init + (is_guessed ? s->evaluations_guess : 0) +
                     s->evaluations_step * (at->accepted + at->rejected);
    f->accepted = at->accepted;
    f->rejected = at->rejected;
    put(out[k], f->evaluations);
    put(out[k + 1], f->accepted);
    put(out[k + 2], f->rejected);
    return true;
}
