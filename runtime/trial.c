/* trial.c: one alternative of a model on the common problem.
 *
 * Needs: a model, data, weights, settings of the program's own model. Gives: its outputs and gradients at any
 * tolerance. Elsewhere: which alternatives, and what is made of the results (compare.c). */
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- settings, by their names: alternatives need not have the same ones ---- */

static void take_settings(NdeTrial *t)
{
    const NdeProblem *p = t->problem;
    for (int i = 0; i < t->model->n_setting; i++)
        for (int k = 0; k < p->model->n_setting; k++)
            if (p->is_set[k] && !strcmp(t->model->setting[i].name, p->model->setting[k].name))
                t->engine.setting[i] = p->setting[k];
    memcpy(t->setting, t->engine.setting, (size_t)t->model->n_setting * sizeof *t->setting);
}

bool nde_trial_adapts(const NdeModel *m)
{
    for (int i = 0; i < m->n_solve; i++)
        if (m->solve[i]->is_adaptive)
            return true;
    return false;
}

/* The setting of a solve that is its level, or -1. */
static int level_setting(const NdeSolve *s, const double *setting, bool adapts)
{
    if (!adapts)
        return s->set_fixed;
    return !s->is_adaptive ? -1 : setting[s->set_rtol] > 0 ? s->set_rtol : s->set_atol;
}

double nde_trial_level(const NdeTrial *t)
{
    bool adapts = nde_trial_adapts(t->model);
    for (int i = 0; i < t->model->n_solve; i++) {
        int at = level_setting(t->model->solve[i], t->setting, adapts);
        if (at >= 0)
            return t->setting[at];
    }
    return 0;
}

void nde_trial_set(NdeTrial *t, double level)
{
    const NdeModel *m = t->model;
    bool adapts = nde_trial_adapts(m);
    for (int i = 0; i < m->n_solve; i++) {
        int at = level_setting(m->solve[i], t->setting, adapts);
        if (at >= 0)
            nde_setting_scale(m, m->solve[i]->name, adapts ? ".tolerance" : ".step.fixed", level / t->setting[at],
                              t->setting, t->engine.setting);
        t->engine.flow[i].warm = 0;
    }
}

/* ---- the problem ---- */

static int take_batch(NdeTrial *t)
{
    const NdeProblem *p = t->problem;
    const NdeModel *m = t->model;
    if (!p->data) {
        nde_batch_random(&t->engine, p->count);
        return 0;
    }
    unsigned char *needs = nde_allocate((size_t)m->n_data, 1, t->error);
    if (!needs)
        return t->error->exit_code;
    for (int i = 0; i < m->n_data; i++)
        needs[i] = nde_data_has(p->data, i);
    NdeSet set = {.data = p->data};
    int status = nde_batch_fill(&t->engine, &set, needs, p->index, p->count);
    free(needs);
    return status;
}

int nde_trial_open(NdeTrial *t, const NdeModel *m, const NdeProblem *p, NdeError *e)
{
    *t = (NdeTrial){.model = m, .problem = p, .error = e};
    int status = nde_engine_open(&t->engine, m, p->count, p->threads, e);
    t->setting = nde_allocate((size_t)m->n_setting, sizeof *t->setting, e);
    if (!status && !t->setting)
        status = e->exit_code;
    if (status)
        return status;
    t->engine.seed = p->seed;
    if (m->train && m->train->set_steps >= 0)
        t->engine.run.train_steps = t->engine.setting[m->train->set_steps];
    take_settings(t);
    for (size_t i = 0; i < m->param_count; i++)
        t->engine.param[i] = (Real)p->param[i];
    status = take_batch(t);
    if (!status)
        status = nde_gradient_open(&t->gradient, m, e);
    return status ? status : nde_outputs_open(&t->engine, &t->outputs, 0, e);
}

void nde_trial_close(NdeTrial *t)
{
    if (!t->model)
        return;
    nde_outputs_close(t->model, &t->outputs);
    nde_gradient_close(&t->gradient);
    nde_engine_close(&t->engine);
    free(t->setting);
}

void nde_trial_control(NdeTrial *t, const NdeAlternative *row)
{
    const double *g = row->gain;
    if (!row->control)
        return;
    t->control = row->has_gain ? nde_control_pid(g[0], g[1], g[2]) : *nde_control_find(row->control);
    t->engine.control = &t->control;
}

/* ---- runs ---- */

static int predict(NdeTrial *t)
{
    nde_batch_noise(&t->engine, NDE_FOR_EVALUATION, 0);
    return nde_frame_run(&t->engine, t->model->predict_fn, NULL, t->outputs.ref);
}

int nde_trial_run(void *trial)
{
    NdeTrial *t = trial;
    NdeEngine *e = &t->engine;
    e->reverse_evaluations = 0;
    if (t->model->train_fn)
        return nde_gradient(e, &t->gradient);
    int status = predict(t);
    NdeFigures sum = {0};
    for (int i = 0; i < t->model->n_solve; i++) { /* those of other programs have not been run: 0 */
        sum.nfe += (double)e->flow[i].evaluations;
        sum.accepted += (double)e->flow[i].accepted;
        sum.rejected += (double)e->flow[i].rejected;
    }
    t->gradient.figures = sum;
    return status;
}

int nde_trial_width(const NdeModel *m)
{
    int width = 0;
    for (int i = 0; i < m->n_output; i++)
        width += m->output[i].n;
    return width;
}

int nde_trial_output(NdeTrial *t, double *to)
{
    const NdeModel *m = t->model;
    int status = predict(t);
    for (int k = 0; !status && k < t->problem->count; k++)
        for (int i = 0; i < m->n_output; i++)
            for (int j = 0; j < m->output[i].n; j++)
                *to++ = nde_value_get(&t->engine, m->output[i], t->outputs.ref[i], k, j);
    return status;
}

/* The factor of all regularisers, in a model that was compiled for `compare`. */
static double *regularize(NdeTrial *t)
{
    for (int i = 0; i < t->model->n_setting; i++)
        if (!strcmp(t->model->setting[i].name, "regularize"))
            return &t->engine.setting[i];
    return NULL;
}

int nde_trial_gradient(NdeTrial *t, double *to)
{
    double *factor = regularize(t), before = factor ? *factor : 0;
    for (int i = 0; i < t->model->n_solve; i++) /* of other levels and of the outputs */
        nde_tape_drop(&t->engine.flow[i].tape);
    nde_batch_noise(&t->engine, NDE_FOR_TRAINING, 1);
    if (factor)
        *factor = 0;
    int status = nde_gradient(&t->engine, &t->gradient);
    if (factor)
        *factor = before;
    for (size_t i = 0; !status && i < t->model->param_count; i++)
        to[i] = (double)t->gradient.at[i];
    return status;
}

int nde_reference(const NdeModel *m, const NdeProblem *p, double tolerance, double *output, double *gradient,
                  NdeError *e)
{
    enum { STEPS = 10000000 };
    NdeTrial t;
    int status = nde_trial_open(&t, m, p, e);
    if (!status)
        nde_trial_set(&t, tolerance);
    for (int i = 0; !status && i < m->n_solve; i++)
        if (m->solve[i]->set_limit >= 0)
            t.engine.setting[m->solve[i]->set_limit] = STEPS;
    if (!status)
        status = nde_trial_output(&t, output);
    if (!status && gradient)
        status = nde_trial_gradient(&t, gradient);
    nde_trial_close(&t);
    return status;
}
