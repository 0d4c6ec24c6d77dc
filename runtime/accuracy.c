/* accuracy.c: `--accuracy`: solves are repeated ever more finely until their results settle. A tolerance bounds the
 * error of each step; what this makes of the whole span is the equations' affair, and is found by solving again.
 *
 * Needs: what is computed, as a function. Gives: its values within the accuracy, or a message.
 * Elsewhere: the commands that offer it (predict.c, trajectory.c). */
#include "batch.h"
#include "command.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Does the name begin with those of the solve and of the clause, as flow.tolerance.abs does? */
static bool is_of(const char *name, const char *solve, const char *clause)
{
    size_t n = strlen(solve);
    return !strncmp(name, solve, n) && !strncmp(name + n, clause, strlen(clause));
}

bool nde_setting_scale(const NdeModel *m, const char *solve, const char *clause, double by, const double *from,
                       double *to)
{
    bool is_there = false;
    for (int k = 0; k < m->n_setting; k++)
        if (is_of(m->setting[k].name, solve, clause)) {
            to[k] = from[k] * by;
            is_there = true;
        }
    return is_there;
}

/* Tolerances to a tenth, fixed steps to a half; more steps are allowed for. False: there are neither. */
static bool refine(NdeEngine *e)
{
    const NdeModel *m = e->model;
    bool is_finer = false, is_done = false;
    for (int i = 0; i < m->n_solve; i++, is_done = false) {
        const NdeSolve *s = m->solve[i];
        for (int k = 0; k < i; k++) /* programs have a solve each for one block of the file */
            is_done |= !strcmp(m->solve[k]->name, s->name);
        if (is_done)
            continue;
        is_finer |= s->is_adaptive ? nde_setting_scale(m, s->name, ".tolerance", 0.1, e->setting, e->setting)
                                   : nde_setting_scale(m, s->name, ".step.fixed", 0.5, e->setting, e->setting);
        nde_setting_scale(m, s->name, ".step.limit", s->is_adaptive ? 4 : 2, e->setting, e->setting);
    }
    return is_finer;
}

static double evaluations(const NdeEngine *e)
{
    double sum = 0;
    for (int i = 0; i < e->model->n_solve; i++)
        sum += e->flow[i].evaluations;
    return sum;
}

typedef struct Change {
    double most; /* of a number, over 1 + |number| */
    size_t at;
} Change;

static Change change(size_t n, const double *before, const double *after)
{
    Change c = {0, 0};
    for (size_t i = 0; i < n; i++) {
        double d = fabs(after[i] - before[i]) / (1 + fabs(after[i]));
        if (!(d <= c.most))
            c = (Change){d, i};
    }
    return c;
}

/* What the error of the last results is about, if these are the last two changes: the rest of a geometric series, and
 * not less than the last change, for coarse solves can agree by chance. */
static double rest(double before, double last)
{
    double ratio = isfinite(before) ? fmax(last / before, 0.5) : 0.5;
    return ratio < 1 ? last * ratio / (1 - ratio) : HUGE_VAL;
}

static int unsettled(const NdeSettle *s, Change least)
{
    return nde_fail(
        s->engine->error, NDE_EXIT_NUMERICAL,
        "--accuracy %g: solved ever more finely, '%s' still changes by %.2g (1 + |number|) at the least; ask for "
        "less%s",
        s->accuracy, s->column[least.at % (size_t)s->width], least.most,
        sizeof(Real) == 4 ? ", or take precision f64 in the model" : "");
}

/* The largest tolerance of all. */
static double tolerance(const NdeEngine *e)
{
    double most = 0;
    for (int i = 0; i < e->model->n_solve; i++) {
        const NdeSolve *s = e->model->solve[i];
        for (int k = 0; s->is_adaptive && k < s->n_atol; k++)
            most = fmax(most, e->setting[s->set_atol + k]);
        for (int k = 0; s->is_adaptive && k < s->n_rtol; k++)
            most = fmax(most, e->setting[s->set_rtol + k]);
    }
    return most;
}

/* Are errors of steps bounded so far below the rounding of numbers that finer ones change nothing but take longer? */
static bool is_rounding(const NdeEngine *e)
{
    double bound = tolerance(e);
    return bound > 0 && bound < 0.01 * (sizeof(Real) == 4 ? (double)FLT_EPSILON : DBL_EPSILON);
}

/* The values as they are to `before`, and the same more finely. 0 or an exit code. */
static int once_more(const NdeSettle *s, double **before)
{
    NdeEngine *e = s->engine;
    size_t n = *s->n;
    free(*before);
    *before = nde_allocate(n, sizeof **before, e->error);
    if (!*before)
        return e->error->exit_code;
    memcpy(*before, *s->value, n * sizeof **before);
    if (!refine(e))
        return nde_fail(e->error, NDE_EXIT_FILE, "--accuracy: the model has no tolerance and no fixed step to refine");
    return s->compute(s->context);
}

int nde_settle(const NdeSettle *s)
{
    enum { PATIENCE = 3 }; /* repetitions that bring the results no nearer */
    NdeEngine *e = s->engine;
    Change least = {HUGE_VAL, 0};
    double *before = NULL, error = s->accuracy > 0 ? HUGE_VAL : 0;
    int status = s->compute(s->context), solved = 1, idle = 0;
    while (!status && error > s->accuracy) {
        double work = evaluations(e);
        status = once_more(s, &before);
        solved++;
        if (status)
            break;
        Change c = change(*s->n, before, *s->value);
        if (evaluations(e) == work &&
            c.most == 0) { /* other bounds hold the steps: the same says nothing, for a while */
            error = tolerance(e) < s->accuracy / 100 ? 0 : HUGE_VAL;
            continue;
        }
        error = c.most < least.most ? rest(least.most, c.most) : HUGE_VAL;
        idle = c.most < least.most ? 0 : idle + 1;
        least = c.most < least.most ? c : least;
        if (error > s->accuracy && (idle == PATIENCE || is_rounding(e)))
            status = unsettled(s, least);
    }
    if (!status && solved > 1)
        fprintf(stderr,
                "note: solved %d times, at the last with %g evaluations; errors are about %.1g (1 + |number|)\n",
                solved, evaluations(e), error);
    free(before);
    return status;
}
