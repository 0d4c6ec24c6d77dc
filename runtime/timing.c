/* timing.c: how long runs take.
 *
 * Needs: what to run, an engine. Gives: seconds in all and by phases; medians over rounds.
 * Elsewhere: marks in the run (NdeStopwatch in run.h; solve.c, adjoint.c), what is measured (bench.c, compare.c). */
#include "timing.h"

#include <stdlib.h>

int nde_time_repeat(NdeTimed *run, void *context, long n, double *seconds)
{
    double began = nde_clock();
    int status = 0;
    for (long i = 0; !status && i < n; i++)
        status = run(context);
    *seconds = nde_clock() - began;
    return status;
}

/* A clock that is read twice in a run of microseconds shows in its time, so such runs are timed as a whole, and once
 * more for the shares. */
int nde_time_runs(NdeEngine *e, NdeTimed *run, void *context, long n, double share[NDE_PHASES + 1])
{
    NdeStopwatch watch = {{0}};
    double plain = 0, whole = 0;
    int status = n > 1 ? nde_time_repeat(run, context, n, &plain) : 0;
    e->stopwatch = &watch;
    if (!status)
        status = nde_time_repeat(run, context, n, &whole);
    e->stopwatch = NULL;
    if (n == 1)
        plain = whole;
    share[NDE_PHASES] = plain;
    for (int i = 0; i < NDE_PHASES; i++) {
        share[i] = plain * watch.seconds[i] / whole;
        share[NDE_PHASES] -= share[i];
    }
    return status;
}

int nde_times_add(NdeTimes *t, const double *part, int parts, NdeError *e)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 64;
        for (int i = 0; i < parts; i++) {
            double *more = nde_enlarge(t->at[i], (size_t)t->room, sizeof *more, e);
            if (!more)
                return e->exit_code;
            t->at[i] = more;
        }
    }
    for (int i = 0; i < parts; i++)
        t->at[i][t->n] = part[i];
    t->n++;
    return 0;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void nde_times_sort(NdeTimes *t)
{
    for (int i = 0; i < NDE_TIMES; i++)
        if (t->at[i])
            qsort(t->at[i], (size_t)t->n, sizeof(double), ascending);
}

double nde_times_median(const NdeTimes *t, int part)
{
    return t->n ? 0.5 * (t->at[part][(t->n - 1) / 2] + t->at[part][t->n / 2]) : 0;
}

void nde_times_free(NdeTimes *t)
{
    for (int i = 0; i < NDE_TIMES; i++)
        free(t->at[i]);
    *t = (NdeTimes){{0}, 0, 0};
}
