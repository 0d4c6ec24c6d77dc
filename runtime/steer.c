/* steer.c: ends of spans and saved times that are drawn anew in each training step.
 *
 * STEER (Ghosh, Behl, Dupont, Torr & Namboodiri 2020): the end of the span is t1 + U(-b, b); of a series each interval
 * ends so, that is each saved time moves by a draw of its own, and one at the end of the span with it. They are
 * settings, which the step's solves, reverses and drawn times read like those of the model, and they follow from the
 * seed and the number of the step. Elsewhere: who reads them (solve.c, moment.c, adjoint.c). */
#include "rng.h"
#include "run.h"

#include <math.h>
#include <string.h>

static double moved(const NdeEngine *e, const NdeSolve *s, double b, double time, int draw)
{
    uint64_t stream = nde_stream(NDE_STREAM_STEER, s->index, e->run.train_step);
    return time + b * (2 * nde_random_uniform(e->seed, stream, (uint64_t)draw) - 1);
}

/* Times keep their order; the start does not move. */
static int check(NdeEngine *e, const NdeSolve *s, double b)
{
    double start = e->plain[s->set_t0], before = start;
    for (int i = 0; i <= s->n_save; i++) {
        double time = e->plain[i < s->n_save ? s->set_save + i : s->set_t1];
        double room = fabs(time - before) / (before == start ? 1 : 2);
        if (b < 0 || (room > 0 && b >= room))
            return nde_fail(
                e->error, NDE_EXIT_FILE,
                "%s = %g, which is added to the times of '%s', must be less than %g: %g and %g lie too close",
                e->model->setting[s->set_steer].name, b, s->name, room, before, time);
        before = time;
    }
    return 0;
}

int nde_steer_begin(NdeEngine *e)
{
    memcpy(e->plain, e->setting, (size_t)e->model->n_setting * sizeof *e->plain);
    for (int k = 0; k < e->model->n_solve; k++) {
        const NdeSolve *s = e->model->solve[k];
        if (!s->is_steered)
            continue;
        double b = e->plain[s->set_steer], start = e->plain[s->set_t0], end = e->plain[s->set_t1];
        int status = check(e, s, b);
        if (status)
            return status;
        e->setting[s->set_t1] = moved(e, s, b, end, 0);
        for (int i = 0; i < s->n_save; i++) {
            double time = e->plain[s->set_save + i];
            if (time != start)
                e->setting[s->set_save + i] = time == end ? e->setting[s->set_t1] : moved(e, s, b, time, i + 1);
        }
    }
    return 0;
}

void nde_steer_end(NdeEngine *e)
{
    memcpy(e->setting, e->plain, (size_t)e->model->n_setting * sizeof *e->plain);
}
