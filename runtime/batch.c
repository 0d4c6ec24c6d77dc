/* batch.c: samples into tiles, and the programs `train` and `eval` run on them.
 *
 * Needs: an engine and data. Gives: batches whose lanes behind the last sample repeat it; losses, gradients, means.
 * Elsewhere: which samples, and what becomes of the gradient (train.c). */
#include "batch.h"

#include "rng.h"

#include <stdlib.h>
#include <string.h>

/* The samples of tile k, element by element; value: [TILE][n], rows behind the last sample hold that one. */
static void put_tile(NdeEngine *e, NdeRef field, int n, int k, const double *value)
{
    int lanes = e->model->tile;
    Real *to = (Real *)(void *)((char *)field.at + (size_t)k * field.step);
    for (int i = 0; i < n; i++)
        for (int l = 0; l < lanes; l++)
            *to++ = (Real)value[(size_t)l * (size_t)n + (size_t)i];
}

typedef struct Fill {
    NdeEngine *e;
    const NdeData *data;
    const long *index;
    int field;
    double *room; /* [thread][TILE][n] */
} Fill;

static void fill_tile(void *context, int k, int thread)
{
    const Fill *f = context;
    int tile = f->e->model->tile, last = f->e->count - 1;
    size_t n = (size_t)f->e->model->data[f->field].n;
    double *value = f->room + (size_t)thread * (size_t)tile * n;
    for (int sample = k * tile; sample < (k + 1) * tile && sample <= last; sample++)
        nde_data_fetch(f->data, f->field, f->index[sample]);
    for (int l = 0; l < tile; l++) {
        int sample = k * tile + l < last ? k * tile + l : last;
        nde_data_get(f->data, f->field, f->index[sample], value + (size_t)l * n);
    }
    put_tile(f->e, f->e->data[f->field], (int)n, k, value);
}

int nde_batch_fill(NdeEngine *e, const NdeSet *set, const unsigned char *needs, const long *index, int count)
{
    static const double as_flops = 16; /* of a number: below 12 500 of them one thread is as quick */
    const NdeModel *m = e->model;
    nde_engine_batch(e, count);
    memcpy(e->row, index, (size_t)count * sizeof *index);
    for (int i = 0; i < m->n_data; i++) {
        if (!needs[i])
            continue;
        size_t n = (size_t)m->data[i].n;
        Fill f = {e, set->data, index, i,
                  nde_allocate((size_t)e->threads * (size_t)m->tile, n * sizeof *f.room, e->error)};
        if (!f.room)
            return e->error->exit_code;
        nde_engine_share(e, as_flops * (double)n * count, e->run.n_tile, fill_tile, &f);
        free(f.room);
    }
    return 0;
}

static double noise(const NdeSample *s, uint64_t seed, uint64_t stream, uint64_t i)
{
    if (!strcmp(s->distribution, "normal"))
        return nde_random_normal(seed, stream, i);
    if (!strcmp(s->distribution, "rademacher"))
        return nde_random_sign(seed, stream, i);
    return s->arg[0] + (s->arg[1] - s->arg[0]) * nde_random_uniform(seed, stream, i);
}

void nde_batch_noise(NdeEngine *e, NdeUse use, double step)
{
    const NdeModel *m = e->model;
    int purpose = use == NDE_FOR_TRAINING ? NDE_STREAM_SAMPLE : NDE_STREAM_EVALUATION;
    for (int i = 0; i < m->n_sample; i++) {
        const NdeSample *s = &m->sample[i];
        uint64_t stream = nde_stream(purpose, i, step);
        int lanes = m->tile;
        for (int place = 0; place < e->run.n_tile * lanes; place++) {
            int who = place < e->count ? place : e->count - 1;
            Real *tile = (Real *)(void *)((char *)e->sample[i].at + (size_t)(place / lanes) * e->sample[i].step);
            for (int k = 0; k < s->n; k++)
                tile[k * lanes + place % lanes] =
                    (Real)noise(s, e->seed, stream, (uint64_t)who * (uint64_t)s->n + (uint64_t)k);
        }
    }
}

void nde_batch_random(NdeEngine *e, int count)
{
    const NdeModel *m = e->model;
    nde_engine_batch(e, count);
    for (int i = 0; i < count; i++)
        e->row[i] = i;
    for (int i = 0; i < m->n_data; i++)
        for (int place = 0; place < e->run.n_tile * m->tile; place++)
            for (int k = 0; k < m->data[i].n; k++) {
                int who = place < count ? place : count - 1;
                uint64_t at = (uint64_t)who * (uint64_t)m->data[i].n + (uint64_t)k,
                         stream = nde_stream(NDE_STREAM_CHECK, i, 0);
                double x = m->data[i].is_class
                               ? (double)(nde_random_bits(e->seed, stream, at) % (uint64_t)m->data[i].classes)
                               : nde_random_normal(e->seed, stream, at);
                Real *tile = (Real *)(void *)((char *)e->data[i].at + (size_t)(place / m->tile) * e->data[i].step);
                tile[k * m->tile + place % m->tile] = (Real)x;
            }
}

/* ---- programs ---- */

/* What the counts of a batch weigh: as much as any other batch, or, where samples have their own, its samples. */
static double count_weight(const NdeModel *m, int count)
{
    for (int i = 0; i < m->n_solve; i++)
        if (m->solve[i]->is_per_sample)
            return count;
    return 1;
}

int nde_evaluate(NdeSession *s, const NdeSet *set, double *metric, NdeFigures *out)
{
    NdeEngine *e = &s->engine;
    const NdeModel *m = s->model;
    double number[4], weight = 0, batches = 0, all_counts = 0;
    NdeRef *ref = nde_allocate((size_t)m->n_metric + 4, sizeof *ref, s->error);
    double *one = nde_allocate((size_t)m->n_metric, sizeof *one, s->error);
    int status = ref && one ? 0 : s->error->exit_code;
    *out = (NdeFigures){.metric = metric};
    memset(metric, 0, (size_t)m->n_metric * sizeof *metric);
    for (int i = 0; !status && i < m->n_metric + 4; i++)
        ref[i] = (NdeRef){i < 4 ? &number[i] : &one[i - 4], 0};
    e->is_taping = false;
    for (long at = 0; !status && at < set->count; at += e->most) {
        int count = set->count - at < e->most ? (int)(set->count - at) : e->most;
        status = nde_batch_fill(e, set, m->eval_needs, set->index + at, count);
        nde_batch_noise(e, NDE_FOR_EVALUATION, batches);
        if (!status)
            status = nde_frame_run(e, m->eval_fn, NULL, ref);
        if (status)
            break;
        out->loss += count * number[0];
        double counts = count_weight(m, count);
        out->nfe += counts * number[1];
        out->accepted += counts * number[2];
        out->rejected += counts * number[3];
        for (int i = 0; i < m->n_metric; i++)
            metric[i] += count * one[i];
        weight += count;
        batches++;
        all_counts += counts;
    }
    if (!status && weight > 0) {
        out->loss /= weight;
        out->nfe /= all_counts;
        out->accepted /= all_counts;
        out->rejected /= all_counts;
        for (int i = 0; i < m->n_metric; i++)
            metric[i] /= weight;
    }
    free(ref);
    free(one);
    return status;
}

int nde_gradient_open(NdeGradient *g, const NdeModel *m, NdeError *e)
{
    *g = (NdeGradient){0};
    g->at = nde_allocate(m->param_count, sizeof *g->at, e);
    g->single = nde_allocate((size_t)m->n_param, sizeof *g->single, e);
    g->out = nde_allocate((size_t)m->n_param + 5, sizeof *g->out, e);
    if (!g->at || !g->single || !g->out)
        return e->exit_code;
    int k = 5;
    for (int i = 0; i < m->n_param; i++) {
        const NdeParam *p = &m->param[i];
        if (!p->is_frozen)
            g->out[k++].at = p->n == 1 ? (void *)&g->single[i] : (void *)(g->at + p->offset);
    }
    return 0;
}

void nde_gradient_close(NdeGradient *g)
{
    free(g->at);
    free(g->single);
    free(g->out);
    *g = (NdeGradient){0};
}

int nde_gradient(NdeEngine *e, NdeGradient *g)
{
    const NdeModel *m = e->model;
    NdeFigures *f = &g->figures;
    double *number[5] = {&f->loss, &f->reg, &f->nfe, &f->accepted, &f->rejected};
    for (int i = 0; i < 5; i++)
        g->out[i].at = number[i];
    int status = nde_steer_begin(e);
    e->is_taping = true;
    e->reverse_evaluations = 0;
    e->drift = -1;
    if (!status)
        status = nde_frame_run(e, m->train_fn, NULL, g->out);
    e->is_taping = false;
    f->reverse = (double)e->reverse_evaluations;
    f->drift = e->drift;
    nde_steer_end(e);
    for (int i = 0; !status && i < m->n_param; i++)
        if (!m->param[i].is_frozen && m->param[i].n == 1)
            g->at[m->param[i].offset] = (Real)g->single[i];
    return status;
}
