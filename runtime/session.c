/* session.c: options, settings, seed, data and weights brought together for a command.
 *
 * Needs: the options. Gives: data sets (training, test or split) and an engine that is ready to run.
 * Elsewhere: reading files (data.c), the commands (train.c, predict.c, check.c, gradient.c, bench.c). */
#include "batch.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_TRAIN = 32, BATCH_PREDICT = 256 }; /* where the train block does not say, and where there is none */

int nde_session_batch(const NdeSession *s, long count)
{
    const NdeTrain *t = s->model->train;
    double batch = t && t->set_batch >= 0 ? s->options->setting[t->set_batch] : t ? BATCH_TRAIN : BATCH_PREDICT;
    if (s->options->batch > 0)
        batch = s->options->batch;
    return count > 0 && count < batch ? (int)count : (int)batch;
}

const NdeSet *nde_session_chosen(const NdeSession *s)
{
    return s->test.count ? &s->test : &s->train;
}

int nde_session_empty(NdeError *e, const NdeSet *set)
{
    if (!set->name)
        return nde_fail(e, NDE_EXIT_DATA, "nothing of the data is used here, so there are no samples");
    return nde_fail(e, NDE_EXIT_DATA, "the %s has no samples", set->name);
}

long *nde_session_first(const NdeSession *s)
{
    long *order = nde_allocate((size_t)s->train.count, sizeof *order, s->error);
    if (!order)
        return NULL;
    nde_permutation(s->seed, 1, s->train.count, order);
    for (long i = 0; i < s->train.count; i++)
        order[i] = s->train.index[order[i]];
    return order;
}

static int open_source(NdeSession *s, const NdeSource *source, int n, NdeData *out)
{
    NdeSourceSpec *spec = nde_allocate((size_t)n, sizeof *spec, s->error);
    if (!spec)
        return s->error->exit_code;
    for (int i = 0; i < n; i++) {
        double scale = source[i].set_scale < 0 ? 1 : s->options->setting[source[i].set_scale];
        spec[i] = (NdeSourceSpec){source[i].kind, source[i].file, source[i].n_file, scale, source[i].rows};
    }
    NdeDataRequest request = {spec, n, s->spec, s->model->n_data, s->options->data, s->needs};
    int status = nde_data_open(&request, out, s->error);
    free(spec);
    return status;
}

/* The file given by -i: its kind by the end of its name. */
static int open_input(NdeSession *s)
{
    const char *file = s->options->input, *kind = "idx";
    static const char *const kinds[] = {"csv", "npy", "npz"};
    for (int i = 0; i < 3; i++) {
        const char *found = strstr(file, kinds[i]);
        if (found && found > file && found[-1] == '.' && (!found[3] || !strcmp(found + 3, ".gz")))
            kind = kinds[i];
    }
    NdeSourceSpec spec = {kind, &file, 1, 1, 1};
    if (s->model->train && s->model->train->n_data == 1) { /* as the train block reads its file */
        const NdeSource *source = &s->model->train->data[0];
        spec.rows = strcmp(source->kind, kind) ? 1 : source->rows;
        spec.scale = source->set_scale < 0 ? 1 : s->options->setting[source->set_scale];
    }
    NdeDataRequest request = {&spec, 1, s->spec, s->model->n_data, NULL, s->needs};
    return nde_data_open(&request, &s->test_data, s->error);
}

static int make_set(NdeSession *s, NdeSet *set, const NdeData *data, const char *name, long count)
{
    *set = (NdeSet){.data = data, .count = count, .name = name};
    set->index = nde_allocate((size_t)count, sizeof *set->index, s->error);
    if (!set->index)
        return s->error->exit_code;
    for (long i = 0; i < count; i++)
        set->index[i] = i;
    return 0;
}

/* Splits the training data: a permutation of the seed, its first part for training; each part in the file's order. */
static int split(NdeSession *s, double part)
{
    long n = nde_data_count(&s->train_data), first = (long)floor(part * (double)n + 0.5);
    if (!(part > 0 && part < 1) || first < 1 || first >= n)
        return nde_fail(s->error, NDE_EXIT_FILE, "split %g of %ld samples leaves no sample for one of the parts", part,
                        n);
    long *order = nde_allocate((size_t)n, sizeof *order, s->error);
    unsigned char *is_train = nde_allocate((size_t)n, 1, s->error);
    int status = order && is_train ? 0 : s->error->exit_code;
    if (!status)
        status = make_set(s, &s->train, &s->train_data, "training data", first);
    if (!status)
        status = make_set(s, &s->test, &s->train_data, "test data", n - first);
    if (!status) {
        nde_permutation(s->seed, 0, n, order);
        for (long i = 0; i < first; i++)
            is_train[order[i]] = 1;
        for (long i = 0, a = 0, b = 0; i < n; i++)
            if (is_train[i])
                s->train.index[a++] = i;
            else
                s->test.index[b++] = i;
    }
    free(order);
    free(is_train);
    return status;
}

static int open_data(NdeSession *s, NdeWhat what)
{
    const NdeTrain *t = s->model->train;
    if (what == NDE_DATA_NONE)
        return 0;
    if (what == NDE_DATA_INPUT) {
        int status = open_input(s);
        return status ? status : make_set(s, &s->test, &s->test_data, "samples", nde_data_count(&s->test_data));
    }
    if (!t)
        return nde_fail(s->error, NDE_EXIT_FILE, "%s has no train block that names data: give samples with -i FILE",
                        s->model->file);
    if (t->n_test) {
        int status = open_source(s, t->test, t->n_test, &s->test_data);
        if (!status)
            status = make_set(s, &s->test, &s->test_data, "test data", nde_data_count(&s->test_data));
        if (status || what == NDE_DATA_TEST)
            return status;
    }
    int status = open_source(s, t->data, t->n_data, &s->train_data);
    if (status)
        return status;
    if (!t->n_test && t->set_split >= 0)
        return split(s, s->options->setting[t->set_split]);
    return make_set(s, &s->train, &s->train_data, "training data", nde_data_count(&s->train_data));
}

int nde_session_open(NdeSession *s, const NdeModel *m, NdeOptions *o, NdeWhat what, const unsigned char *needs,
                     NdeError *e)
{
    *s = (NdeSession){.model = m, .options = o, .error = e};
    s->spec = nde_allocate((size_t)m->n_data, sizeof *s->spec, e);
    s->needs = nde_allocate((size_t)m->n_data, 1, e);
    if (!s->spec || !s->needs)
        return e->exit_code;
    for (int i = 0; i < m->n_data; i++) {
        const NdeDataField *f = &m->data[i];
        s->spec[i] =
            (NdeDataSpec){f->name, f->is_class, f->classes, f->rank, {f->dim[0], f->dim[1], f->dim[2], f->dim[3]}};
        s->needs[i] = needs ? needs[i] : 1;
    }
    if (m->train && m->train->set_seed >= 0)
        s->seed = (uint64_t)o->setting[m->train->set_seed];
    if (o->has_seed)
        s->seed = o->seed;
    return open_data(s, what);
}

int nde_session_open_any(NdeSession *s, const NdeModel *m, NdeOptions *o, NdeWhat what, const unsigned char *needs,
                         bool *has_data, NdeError *e)
{
    *has_data = m->train || what == NDE_DATA_INPUT;
    int status = nde_session_open(s, m, o, *has_data ? what : NDE_DATA_NONE, needs, e);
    if (status != NDE_EXIT_FILE || o->data || o->input)
        return status;
    nde_session_close(s);
    *has_data = false;
    return nde_session_open(s, m, o, NDE_DATA_NONE, needs, e);
}

int nde_session_engine(NdeSession *s, int most, bool needs_weights)
{
    const NdeModel *m = s->model;
    NdeEngine *e = &s->engine;
    if (needs_weights && !s->options->weights && m->train && m->n_param > 0)
        return nde_fail(s->error, NDE_EXIT_FILE, "give the weights that train has written: --weights FILE");
    s->has_engine = true;
    int status = nde_engine_open(e, m, most, s->options->threads, s->error);
    if (status)
        return status;
    e->seed = s->seed;
    for (int i = 0; i < m->n_setting; i++)
        e->setting[i] = s->options->setting[i];
    if (m->train && m->train->set_steps >= 0)
        e->run.train_steps = e->setting[m->train->set_steps];
    return s->options->weights ? nde_param_load(m, s->options->weights, e->param, s->error)
                               : nde_param_init(m, s->seed, e->param, s->error);
}

void nde_session_close(NdeSession *s)
{
    if (s->has_engine)
        nde_engine_close(&s->engine);
    nde_data_close(&s->train_data);
    nde_data_close(&s->test_data);
    free(s->train.index);
    free(s->test.index);
    free(s->spec);
    free(s->needs);
}
