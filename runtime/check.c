/* check.c: the command `check-gradient`: the compiled gradient against finite differences of the compiled loss.
 *
 * Needs: the float64 half of the program. Gives: a table of the worst relative error of each parameter.
 * The loss with its regulariser is run once, recording steps, drawn times and everything held constant, and then
 * repeated with these for other parameters, so that both sides differentiate the same function. Differences are
 * central, of order 8 (Fornberg 1988, table 1). Rounding asks for a large width, curvature for a small one; with a
 * frozen first stage an error norm is nearly a kink, and asks for a very small one. So several are tried; the best
 * agreement counts. Elsewhere: recording (replay.c). */
#include "batch.h"
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 8 };

/* Widths, in units of the parameter's largest entry. */
static const double width[] = {1e-2, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6, 3e-7, 1e-7};
enum { WIDTHS = sizeof width / sizeof *width };

typedef struct Check {
    NdeSession session;
    NdeGradient gradient; /* of the runs for differences */
    Real *exact;          /* [param_count]: what is checked */
    double tolerance;
    int usual; /* the width that was best for the entry before: the next one starts with it */
} Check;

static int loss_at(Check *c, size_t entry, double x, double *loss)
{
    NdeEngine *e = &c->session.engine;
    Real before = e->param[entry];
    e->param[entry] = (Real)x;
    int status = nde_replay_begin(e, NDE_REPLAY);
    if (!status)
        status = nde_gradient(e, &c->gradient);
    e->param[entry] = before;
    *loss = c->gradient.figures.loss;
    if (!status && e->replay.is_lost)
        return nde_fail(c->session.error, NDE_EXIT_MEMORY, "a repeated run did not hold the same values constant");
    return status;
}

static int difference(Check *c, size_t entry, double d, double *out)
{
    static const double weight[] = {4.0 / 5, -1.0 / 5, 4.0 / 105, -1.0 / 280};
    double x = (double)c->session.engine.param[entry], sum = 0;
    for (int i = 0; i < 4; i++) {
        double after = 0, before = 0;
        int status = loss_at(c, entry, x + (i + 1) * d, &after);
        if (!status)
            status = loss_at(c, entry, x - (i + 1) * d, &before);
        if (status)
            return status;
        sum += weight[i] * (after - before);
    }
    *out = sum / d;
    return 0;
}

typedef struct Trial {
    size_t entry;
    double scale, error; /* the least so far, over the scale */
    double best;         /* the width that gave it */
} Trial;

static int try_width(Check *c, Trial *t, double d)
{
    double slope = 0;
    int status = difference(c, t->entry, d, &slope);
    double now = fabs(slope - (double)c->exact[t->entry]) / t->scale;
    if (!status && now < t->error) {
        t->error = now;
        t->best = d;
    }
    return status;
}

/* The least error of one entry; stops at the first width that is clearly good enough. If none is, widths around the
 * best one are tried: beside a kink the good ones lie between two of the table. */
static int entry_error(Check *c, size_t entry, double size, double scale, double *error)
{
    static const double around[] = {0.7, 1.4, 0.85, 1.2, 0.6, 1.7, 0.5, 2.0};
    Trial t = {entry, scale, HUGE_VAL, 0};
    double enough = 0.1 * c->tolerance;
    int first = c->usual, status = 0;
    for (int k = 0; !status && k < WIDTHS && t.error > enough; k++) {
        double before = t.error;
        status = try_width(c, &t, size * width[(first + k) % WIDTHS]);
        c->usual = t.error < before ? (first + k) % WIDTHS : c->usual;
    }
    double centre = t.best;
    for (size_t k = 0; !status && k < sizeof around / sizeof *around && t.error > enough; k++)
        status = try_width(c, &t, centre * around[k]);
    *error = t.error;
    return status;
}

/* Without fmax: gcc 12 ends with an internal error on this loop for ARM. */
static double largest(const Real *at, size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fabs((double)at[i]) > most ? fabs((double)at[i]) : most;
    return most;
}

static int check_param(Check *c, const NdeParam *p, double most_of_all, double *worst)
{
    const NdeEngine *e = &c->session.engine;
    double most = largest(c->exact + p->offset, (size_t)p->n);
    double scale = fmax(most, 1e-8 * most_of_all), size = largest(e->param + p->offset, (size_t)p->n);
    int entries = c->session.options->entries < p->n ? c->session.options->entries : p->n;
    *worst = 0;
    c->usual = 1;
    size = size > 0 ? size : 1;
    scale = scale > 0 ? scale : 1;
    for (int k = 0; k < entries; k++) {
        double error = 0;
        size_t entry = p->offset + (size_t)((long)k * p->n / entries);
        int status = entry_error(c, entry, size, scale, &error);
        if (status)
            return status;
        *worst = error > *worst ? error : *worst; /* no error is NaN: only smaller ones replace the first */
    }
    printf("%-32s %8d %10d %14.3e %14.3e\n", p->name, p->n, entries, most, *worst);
    fflush(stdout);
    return 0;
}

static bool has_adjoint_system(const NdeModel *m)
{
    bool has = false;
    for (int i = 0; i < m->n_solve; i++)
        has |= m->solve[i]->n_extra > 0;
    return has;
}

static int refuse(Check *c, double worst)
{
    if (has_adjoint_system(c->session.model))
        return nde_fail(
            c->session.error, NDE_EXIT_NUMERICAL,
            "the gradient differs from differences by %.3e, more than %.3e. It comes from an adjoint system, "
            "which is solved in steps of its own, and is exact as far as both solves are: try a smaller "
            "tolerance, or smaller fixed steps; `adjoint discrete` is exact for the steps taken",
            worst, c->tolerance);
    return nde_fail(
        c->session.error, NDE_EXIT_NUMERICAL,
        "the gradient differs from differences by %.3e, more than %.3e. If a loss has kinks (relu, abs, max; a small "
        "error beside `hold slope` is nearly one) or rounding makes it rough (`stiffness` over stages that are nearly "
        "equal, in short steps), this can be why: try another --seed, or larger steps; else it is a fault of the "
        "compiler",
        worst, c->tolerance);
}

static int compare(Check *c)
{
    const NdeModel *m = c->session.model;
    double worst = 0, most = largest(c->exact, m->param_count);
    printf("%-32s %8s %10s %14s %14s\n", "parameter", "size", "compared", "largest", "worst error");
    for (int i = 0; i < m->n_param; i++) {
        double one = 0;
        int status = m->param[i].is_frozen ? 0 : check_param(c, &m->param[i], most, &one);
        if (status)
            return status;
        worst = fmax(worst, one);
    }
    printf("worst relative error %.3e\n", worst);
    return worst <= c->tolerance ? 0 : refuse(c, worst);
}

/* A batch of data, or of random numbers where the data is not there. */
static int make_batch(Check *c, bool has_data)
{
    NdeSession *s = &c->session;
    long there = has_data ? s->train.count : SAMPLES;
    int count = (int)(there < SAMPLES ? there : SAMPLES);
    if (count < 1)
        return nde_fail(s->error, NDE_EXIT_DATA, "the training data has no samples");
    s->options->threads = 1;
    int status = nde_session_engine(s, count, false);
    if (status)
        return status;
    if (has_data)
        status = nde_batch_fill(&s->engine, &s->train, s->model->train_needs, s->train.index, count);
    else
        nde_batch_random(&s->engine, count);
    nde_batch_noise(&s->engine, NDE_FOR_TRAINING, 1);
    return status;
}

static int record(Check *c)
{
    NdeEngine *e = &c->session.engine;
    const NdeModel *m = c->session.model;
    int status = nde_gradient_open(&c->gradient, m, c->session.error);
    c->exact = nde_allocate(m->param_count, sizeof *c->exact, c->session.error);
    if (!c->exact)
        status = c->session.error->exit_code;
    if (!status)
        status = nde_replay_begin(e, NDE_RECORD);
    if (!status)
        status = nde_gradient(e, &c->gradient);
    if (status)
        return status;
    if (!isfinite(c->gradient.figures.loss))
        return nde_fail(c->session.error, NDE_EXIT_NUMERICAL,
                        "the loss is not finite: try another --seed or --weights");
    memcpy(c->exact, c->gradient.at, m->param_count * sizeof *c->exact);
    printf("loss %.12g  reg %.6g  steps %g+%g  samples %d\n", c->gradient.figures.loss, c->gradient.figures.reg,
           c->gradient.figures.accepted, c->gradient.figures.rejected, e->count);
    return 0;
}

/* A discrete gradient agrees to rounding. That of an adjoint system is the equation's, and the steps that were taken
 * have another one: they differ by some times the tolerance to which both are solved. */
static double usual_tolerance(const NdeModel *m, const NdeOptions *o)
{
    double most = 1e-6;
    for (int i = 0; i < m->n_solve; i++) {
        const NdeSolve *s = m->solve[i];
        for (int k = 0; s->n_extra && k < s->n_atol; k++)
            most = fmax(most, 100 * o->setting[s->set_atol + k]);
        for (int k = 0; s->n_extra && k < s->n_rtol; k++)
            most = fmax(most, 100 * o->setting[s->set_rtol + k]);
    }
    return most;
}

int nde_check_gradient(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    if (!m->train_fn)
        return nde_fail(e, NDE_EXIT_FILE, "%s has no loss: there is no gradient", m->file);
    Check c = {.tolerance = o->tolerance > 0 ? o->tolerance : usual_tolerance(m, o)};
    bool has_data = false; /* if there is none, the gradient can be checked on anything */
    int status = nde_session_open_any(&c.session, m, o, NDE_DATA_ALL, m->train_needs, &has_data, e);
    if (!status && !has_data && m->train)
        printf("note: random samples, for the data is not in this folder (%s)\n", e->text);
    if (!status)
        status = make_batch(&c, has_data);
    if (!status)
        status = record(&c);
    if (!status)
        status = compare(&c);
    nde_gradient_close(&c.gradient);
    nde_session_close(&c.session);
    free(c.exact);
    return status;
}
