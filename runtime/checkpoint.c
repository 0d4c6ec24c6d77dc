/* checkpoint.c: a training run on disk: parameters, the optimiser's memory, counters, settings, seed.
 *
 * Needs: a trainer between two steps. Gives: a file from which the same bits follow as from the run itself. Random
 * numbers need no entry, for they are functions of the seed and the step.
 * Elsewhere: files of weights alone (param.c). */
#include "batch.h"
#include "train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The numbers of `state`, in order. */
enum { STATE_STEP, STATE_BEST_LOSS, STATE_BEHIND, STATE_SECONDS, STATE_LOG_BYTES, STATE_COUNT };

static const char *const group_name[] = {"param/", "slot0/", "slot1/", "best/"};

static void checkpoint_path(char out[NDE_PATH], const char *dir)
{
    snprintf(out, NDE_PATH, "%.4000s/checkpoint.safetensors", dir);
}

/* Adds a tensor for each parameter. Names are owned by the caller's table. */
static int add_group(const NdeModel *m, const char *prefix, const Real *from, NdeTensor *tensor, char **name,
                     NdeError *e)
{
    for (int i = 0; i < m->n_param; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s%s", prefix, m->param[i].name);
        name[i] = nde_copy_text(text, e);
        if (!name[i])
            return e->exit_code;
        tensor[i] = nde_param_tensor(&m->param[i], name[i], from);
    }
    return 0;
}

static NdeTensor numbers(const char *name, const double *value, int n)
{
    return (NdeTensor){.name = name, .type = NDE_F64, .rank = 1, .dim = {n}, .value = value};
}

static int write_tensors(NdeTrainer *t, NdeTensor *tensor, int n, const double *setting)
{
    NdeError *e = t->session.error;
    const NdeModel *m = t->session.model;
    char path[NDE_PATH], seed[32], hash[32];
    double state[STATE_COUNT] = {0};
    double *warm = nde_allocate((size_t)m->n_solve, sizeof *warm, e);
    if (!warm)
        return e->exit_code;
    state[STATE_STEP] = (double)t->step;
    state[STATE_BEST_LOSS] = t->best_loss;
    state[STATE_BEHIND] = t->behind;
    state[STATE_SECONDS] = nde_report_seconds(&t->report);
    state[STATE_LOG_BYTES] = (double)nde_report_bytes(&t->report);
    for (int i = 0; i < m->n_solve; i++)
        warm[i] = t->session.engine.flow[i].warm;
    tensor[n++] = numbers("state", state, STATE_COUNT);
    if (m->n_solve)
        tensor[n++] = numbers("warm", warm, m->n_solve);
    if (m->n_setting)
        tensor[n++] = numbers("setting", setting, m->n_setting);
    snprintf(seed, sizeof seed, "%" PRIu64, t->session.seed);
    snprintf(hash, sizeof hash, "%016" PRIx64, m->source_hash);
    NdePair pair[] = {{"model", m->name}, {"hash", hash}, {"seed", seed}, {"compiler", m->compiler}, {"isa", m->isa}};
    NdeTensors all = {.tensor = tensor, .n = n, .pair = pair, .n_pair = sizeof pair / sizeof *pair};
    checkpoint_path(path, t->dir);
    int status = nde_tensors_write(path, &all, e);
    free(warm);
    return status;
}

int nde_checkpoint_write(NdeTrainer *t)
{
    NdeError *e = t->session.error;
    const NdeModel *m = t->session.model;
    const Real *from[] = {t->session.engine.param, t->slot[0], t->slot[1], t->best};
    int n = 0, groups = t->best ? 4 : 3;
    size_t most = (size_t)m->n_param * 4;
    NdeTensor *tensor = nde_allocate(most + 3, sizeof *tensor, e);
    char **name = nde_allocate(most, sizeof *name, e);
    int status = tensor && name ? nde_report_write(&t->report, e) : e->exit_code;
    for (int g = 0; !status && g < groups; g++, n += m->n_param)
        status = add_group(m, group_name[g], from[g], tensor + n, name + n, e);
    if (!status)
        status = write_tensors(t, tensor, n, t->session.options->setting);
    for (size_t i = 0; name && i < most; i++)
        free(name[i]);
    free(name);
    free(tensor);
    return status;
}

/* ---- reading ---- */

static int get_numbers(const NdeTensors *file, const char *name, int n, double *out, NdeError *e)
{
    const NdeTensor *t = nde_tensors_find(file, name);
    if (!t || nde_tensor_count(t) != (size_t)n)
        return nde_fail(e, NDE_EXIT_DATA,
                        "the checkpoint's '%s' is missing or has not %d numbers: it cannot be resumed", name, n);
    nde_tensor_get(t, out);
    return 0;
}

int nde_checkpoint_open(const NdeModel *m, NdeOptions *o, NdeTensors *file, NdeError *e)
{
    char path[NDE_PATH], hash[32];
    checkpoint_path(path, o->resume);
    int status = nde_tensors_read(path, file, e);
    if (status)
        return status;
    snprintf(hash, sizeof hash, "%016" PRIx64, m->source_hash);
    const char *of = nde_tensors_pair(file, "hash"), *seed = nde_tensors_pair(file, "seed");
    if (!of || strcmp(of, hash))
        return nde_fail(
            e, NDE_EXIT_DATA,
            "%s was written by another model, or by this one before its file changed: build that version again, "
            "or start anew with --weights",
            path);
    if (!seed || o->has_seed)
        return nde_fail(e, NDE_EXIT_FILE, "--seed cannot change when a run is resumed: leave it out");
    o->seed = strtoull(seed, NULL, 10);
    o->has_seed = true;
    if (!m->n_setting)
        return 0;
    double *setting = nde_allocate((size_t)m->n_setting, sizeof *setting, e);
    if (!setting)
        return e->exit_code;
    status = get_numbers(file, "setting", m->n_setting, setting, e);
    for (int i = 0; !status && i < m->n_setting; i++)
        if (!o->is_set[i])
            o->setting[i] = setting[i];
    free(setting);
    return status ? status : nde_setting_check(m, o->setting, e);
}

static bool is_count(double x)
{
    return x >= 0 && x <= 0x1p53 && x == floor(x);
}

int nde_checkpoint_read(NdeTrainer *t, const NdeTensors *file, long *log_bytes)
{
    NdeError *e = t->session.error;
    const NdeModel *m = t->session.model;
    double state[STATE_COUNT];
    Real *to[] = {t->session.engine.param, t->slot[0], t->slot[1], t->best};
    int status = get_numbers(file, "state", STATE_COUNT, state, e);
    for (int g = 0; !status && g < (t->best ? 4 : 3); g++)
        status = nde_param_fetch(m, file, group_name[g], "the checkpoint", to[g], e);
    double *warm = nde_allocate((size_t)m->n_solve, sizeof *warm, e);
    if (!warm)
        return e->exit_code;
    if (!status && m->n_solve)
        status = get_numbers(file, "warm", m->n_solve, warm, e);
    for (int i = 0; !status && i < m->n_solve; i++)
        t->session.engine.flow[i].warm = warm[i];
    free(warm);
    if (status || (status = nde_param_finite(m, to[0], "the checkpoint", e)))
        return status;
    if (!is_count(state[STATE_STEP]) || !is_count(state[STATE_LOG_BYTES]))
        return nde_fail(e, NDE_EXIT_DATA, "the checkpoint's 'state' is damaged: it cannot be resumed");
    t->step = (long)state[STATE_STEP];
    t->best_loss = state[STATE_BEST_LOSS];
    t->behind = state[STATE_BEHIND];
    t->report.before = state[STATE_SECONDS];
    *log_bytes = (long)state[STATE_LOG_BYTES];
    return 0;
}
