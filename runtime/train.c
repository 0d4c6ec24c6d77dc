/* train.c: training: shuffled batches, updates, evaluations, what a run leaves behind.
 *
 * Needs: a model with a train block, its data. Gives: a folder with log.jsonl, weights.safetensors,
 * checkpoint.safetensors and summary.json. Step s takes batch (s - 1) mod n of epoch (s - 1) / n, a permutation of the
 * seed and the epoch, so a run can go on from any step; the last partial batch of an epoch is left out.
 * Elsewhere: one gradient (batch.c), update rules (optim.c), lines that are shown (report.c). */
#include "batch.h"
#include "train.h"

#include "rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

static double setting(const NdeTrainer *t, int index, double otherwise)
{
    return index < 0 ? otherwise : t->session.options->setting[index];
}

static int allocate(NdeTrainer *t)
{
    const NdeModel *m = t->session.model;
    NdeError *e = t->session.error;
    t->hyper = nde_allocate((size_t)m->train->n_hyper, sizeof *t->hyper, e);
    t->hyper_out = nde_allocate((size_t)m->train->n_hyper, sizeof *t->hyper_out, e);
    t->metric = nde_allocate((size_t)m->n_metric, sizeof *t->metric, e);
    t->order = nde_allocate((size_t)t->session.train.count, sizeof *t->order, e);
    t->index = nde_allocate((size_t)t->batch, sizeof *t->index, e);
    for (int i = 0; i < 2; i++)
        t->slot[i] = nde_allocate(m->param_count, sizeof(Real), e);
    if (t->patience)
        t->best = nde_allocate(m->param_count, sizeof(Real), e);
    bool is_short = !t->hyper || !t->hyper_out || !t->metric || !t->order || !t->index || !t->slot[0] || !t->slot[1];
    if (is_short || (t->patience && !t->best))
        return e->exit_code;
    for (int i = 0; i < m->train->n_hyper; i++)
        t->hyper_out[i].at = &t->hyper[i];
    return nde_gradient_open(&t->gradient, m, e);
}

void nde_trainer_close(NdeTrainer *t)
{
    nde_report_close(&t->report);
    nde_gradient_close(&t->gradient);
    nde_session_close(&t->session);
    free(t->hyper);
    free(t->hyper_out);
    free(t->metric);
    free(t->order);
    free(t->index);
    free(t->slot[0]);
    free(t->slot[1]);
    free(t->best);
}

/* ---- files ---- */

static void path_of(const NdeTrainer *t, const char *name, char out[NDE_PATH])
{
    snprintf(out, NDE_PATH, "%.4000s/%s", t->dir, name);
}

static int write_summary(NdeTrainer *t, const char *end)
{
    const NdeModel *m = t->session.model;
    NdeJson j = {0};
    char path[NDE_PATH], hash[32], seed[32];
    path_of(t, "summary.json", path);
    snprintf(hash, sizeof hash, "%016" PRIx64, m->source_hash);
    snprintf(seed, sizeof seed, "%" PRIu64, t->session.seed);
    nde_json_begin(&j);
    nde_json_text(&j, "model", m->file);
    nde_json_text(&j, "hash", hash);
    nde_json_text(&j, "compiler", m->compiler);
    nde_json_text(&j, "isa", m->isa);
    nde_json_text(&j, "end", end);
    nde_json_integer(&j, "steps", t->step);
    nde_json_integer(&j, "batch", t->batch);
    nde_json_number(&j, "loss", t->last.loss);
    nde_json_number(&j, "reg", t->last.reg);
    nde_json_number(&j, "nfe", t->last.nfe);
    if (t->evaluated_at) {
        nde_json_open(&j, "evaluation", '{');
        nde_json_integer(&j, "step", t->evaluated_at);
        nde_json_number(&j, "loss", t->evaluated.loss);
        nde_json_number(&j, "nfe", t->evaluated.nfe);
        for (int i = 0; i < m->n_metric; i++)
            nde_json_number(&j, m->metric_name[i], t->metric[i]);
        nde_json_close(&j, '}');
    }
    nde_json_number(&j, "seconds", nde_report_seconds(&t->report));
    nde_json_text(&j, "seed", seed);
    nde_json_integer(&j, "threads", t->session.engine.threads);
    nde_json_integer(&j, "tape_bytes", (long)nde_tapes_bytes(&t->session.engine));
    NdeFile *file = nde_file_create(path, t->session.error);
    int status = file ? nde_json_end(&j, nde_file_stream(file), path, t->session.error) : t->session.error->exit_code;
    nde_json_free(&j);
    if (status && file)
        nde_file_abort(file);
    return status ? status : nde_file_commit(file, t->session.error);
}

static int write_results(NdeTrainer *t, const char *end)
{
    char path[NDE_PATH];
    path_of(t, "weights.safetensors", path);
    int status = nde_checkpoint_write(t);
    bool is_best = !strcmp(end, "patience") && t->best;
    if (!status)
        status = nde_param_save(t->session.model, path, is_best ? t->best : t->session.engine.param, t->session.error);
    return status ? status : write_summary(t, end);
}

static int open_folder(NdeTrainer *t)
{
    NdeOptions *o = t->session.options;
    NdeError *e = t->session.error;
    const char *given = o->resume ? o->resume : o->out;
    if (!given)
        return nde_new_run_dir("runs", t->dir, sizeof t->dir, e);
    snprintf(t->dir, sizeof t->dir, "%s", given);
    if (o->resume)
        return 0;
    char path[NDE_PATH];
    path_of(t, "log.jsonl", path);
    FILE *there = fopen(path, "r");
    if (!there)
        return nde_folder_make(t->dir, e);
    fclose(there);
    return nde_fail(e, NDE_EXIT_FILE, "%s holds a run already: give another folder, or go on with it by --resume %s",
                    t->dir, t->dir);
}

static int say_interrupted(NdeTrainer *t)
{
    const NdeOptions *o = t->session.options;
    char dir[NDE_PATH], data[NDE_PATH] = "";
    nde_shell_word(t->dir, dir, sizeof dir);
    if (o->data)
        nde_shell_word(o->data, data, sizeof data);
    return nde_fail(t->session.error, NDE_EXIT_INTERRUPTED,
                    "interrupted after step %ld; everything is saved. To go on:\n  %s train --resume %s%s%s", t->step,
                    o->program, dir, o->data ? " --data " : "", data);
}

/* ---- one step ---- */

int nde_trainer_batch(NdeTrainer *t)
{
    NdeSession *s = &t->session;
    long epoch = t->step / t->epoch_steps + 1, first = t->step % t->epoch_steps * t->batch;
    if (epoch != t->epoch) { /* epoch 0 is the split's permutation */
        nde_permutation(s->seed, (uint64_t)epoch, s->train.count, t->order);
        t->epoch = epoch;
    }
    for (int i = 0; i < t->batch; i++)
        t->index[i] = s->train.index[t->order[first + i]];
    s->engine.run.train_step = (double)(t->step + 1);
    int status = nde_batch_fill(&s->engine, &s->train, s->model->train_needs, t->index, t->batch);
    nde_batch_noise(&s->engine, NDE_FOR_TRAINING, (double)(t->step + 1));
    return status;
}

/* Says which value went first, after a loss or gradient that is not a number. */
static int not_finite(NdeTrainer *t, const char *what)
{
    NdeError *e = t->session.error;
    char found[256];
    nde_watch_begin(&t->session.engine);
    int status = nde_gradient(&t->session.engine, &t->gradient);
    nde_watch_text(&t->session.engine, found, sizeof found);
    if (status)
        return status;
    return nde_fail(
        e, NDE_EXIT_NUMERICAL,
        "the %s of step %ld is not finite%s\n  try: a smaller learning rate, or `clip 1.0` in the train block\n"
        "  try: --set with other numbers and --resume %s, whose checkpoint is from a step before",
        what, t->step + 1, found, t->dir);
}

double nde_trainer_norm(const NdeTrainer *t)
{
    enum { SUMS = 16 }; /* at a time: one alone would wait for each of its additions */
    const Real *g = t->gradient.at;
    double sum[SUMS] = {0}, all = 0;
    size_t n = t->session.model->param_count, i = 0;
    for (; i + SUMS <= n; i += SUMS)
        for (size_t j = 0; j < SUMS; j++)
            sum[j] += (double)g[i + j] * (double)g[i + j];
    for (size_t j = 0; i < n; i++, j++)
        sum[j] += (double)g[i] * (double)g[i];
    for (size_t j = 0; j < SUMS; j++)
        all += sum[j];
    return sqrt(all);
}

enum { UPDATED = 8192 /* parameters of an item: some 20 microseconds */ };

/* The parameters from..to of those of the item that are not frozen. */
static void update_some(void *context, int item, int thread)
{
    NdeTrainer *t = context;
    const NdeModel *m = t->session.model;
    size_t first = (size_t)item * UPDATED, behind = first + UPDATED;
    (void)thread;
    for (int i = 0; i < m->n_param; i++) {
        const NdeParam *p = &m->param[i];
        size_t from = p->offset > first ? p->offset : first, end = p->offset + (size_t)p->n;
        size_t to = end < behind ? end : behind;
        Real *const slot[2] = {t->slot[0] + from, t->slot[1] + from};
        if (!p->is_frozen && from < to)
            t->optim->update(to - from, t->session.engine.param + from, t->gradient.at + from, slot,
                             (double)(t->step + 1), t->hyper);
    }
}

void nde_trainer_update(NdeTrainer *t, double norm)
{
    static const double as_flops = 100; /* what a parameter takes */
    const NdeModel *m = t->session.model;
    double most = setting(t, m->train->set_clip, 0);
    if (most > 0 && norm > most) {
        Real factor = (Real)(most / norm);
        for (size_t i = 0; i < m->param_count; i++)
            t->gradient.at[i] *= factor;
    }
    nde_engine_share(&t->session.engine, as_flops * (double)m->param_count,
                     (int)((m->param_count + UPDATED - 1) / UPDATED), update_some, t);
}

/* The message of a solve that failed does not know the training step. */
static void add_step(NdeTrainer *t)
{
    NdeError *e = t->session.error;
    size_t used = strlen(e->text);
    snprintf(e->text + used, sizeof e->text - used, "\n  this was training step %ld", t->step + 1);
}

/* A backsolve whose path leaves that of the solve gives the gradient of another path. Some tolerances apart is usual.
 */
static void say_drift(NdeTrainer *t)
{
    enum { FAR = 100 };
    const NdeEngine *e = &t->session.engine;
    if (t->is_drift_said || !(e->drift > FAR))
        return;
    t->is_drift_said = true;
    nde_report_say(
        &t->report,
        "note: in step %ld the backsolve of '%s' ends %.3g tolerances from where the solve began, and so may "
        "its gradient be wrong; `adjoint interpolating` and `adjoint discrete` follow the path of the solve",
        t->step + 1, e->drifted, e->drift);
}

int nde_trainer_hyper(NdeTrainer *t)
{
    NdeSession *s = &t->session;
    int status = s->model->hyper_fn ? nde_frame_run(&s->engine, s->model->hyper_fn, NULL, t->hyper_out) : 0;
    for (int i = 0; !status && s->model->hyper_fn && i < t->optim->n_hyper; i++) {
        const NdeHyper *h = &t->optim->hyper[i];
        if (!(t->hyper[i] >= 0 && t->hyper[i] < h->below))
            return nde_fail(s->error, NDE_EXIT_FILE, "the optimizer's %s is %g in training step %ld; it must be %s%g",
                            h->name, t->hyper[i], t->step + 1,
                            isinf(h->below) ? "a finite number, at least " : "at least 0 and less than ",
                            isinf(h->below) ? 0 : h->below);
    }
    return status;
}

static int train_step(NdeTrainer *t)
{
    NdeEngine *engine = &t->session.engine;
    int status = nde_trainer_batch(t);
    if (!status)
        status = nde_trainer_hyper(t);
    if (!status)
        status = nde_gradient(engine, &t->gradient);
    if (status == NDE_EXIT_NUMERICAL)
        add_step(t);
    if (status)
        return status;
    say_drift(t);
    if (!isfinite(t->gradient.figures.loss))
        return not_finite(t, "loss");
    double norm = nde_trainer_norm(t);
    if (!isfinite(norm))
        return not_finite(t, "gradient");
    nde_trainer_update(t, norm);
    t->last = t->gradient.figures;
    t->step++;
    return nde_report_step(&t->report, t->step, &t->last, t->session.error);
}

/* ---- the run ---- */

static int evaluate(NdeTrainer *t, bool *is_over)
{
    NdeSession *s = &t->session;
    const NdeSet *set = s->test.count ? &s->test : &s->train;
    int status = nde_evaluate(s, set, t->metric, &t->evaluated);
    if (status)
        return status;
    t->evaluated_at = t->step;
    if (t->evaluated.loss < t->best_loss) {
        t->best_loss = t->evaluated.loss;
        t->behind = 0;
        if (t->best)
            memcpy(t->best, s->engine.param, s->model->param_count * sizeof(Real));
    } else {
        t->behind++;
    }
    *is_over = t->patience && t->behind >= (double)t->patience;
    return nde_report_evaluation(&t->report, t->step, set->name, &t->evaluated, s->error);
}

/* After a failure: what the last finite step left, unless an earlier evaluation has saved a state already. The message
 * is the failure's. */
static void keep_last(NdeTrainer *t)
{
    char path[NDE_PATH];
    NdeError said = *t->session.error;
    path_of(t, "checkpoint.safetensors", path);
    FILE *there = fopen(path, "rb");
    if (there)
        fclose(there);
    else
        nde_checkpoint_write(t);
    *t->session.error = said;
}

static int run(NdeTrainer *t)
{
    const char *end = "steps";
    int status = 0;
    bool is_over = false;
    while (!status && t->step < t->steps && !is_over && !nde_is_interrupted()) {
        status = train_step(t);
        bool is_due = t->every && t->step % t->every == 0;
        if (status || (!is_due && t->step < t->steps))
            continue;
        if (t->session.model->eval_fn)
            status = evaluate(t, &is_over);
        if (!status)
            status = nde_checkpoint_write(t);
    }
    if (status == NDE_EXIT_NUMERICAL)
        keep_last(t);
    if (status)
        return status;
    if (t->step == t->report.first && t->step >= t->steps) {
        nde_report_say(&t->report, "nothing is left to do: the run in %s has had its %ld steps", t->dir, t->step);
        return 0;
    }
    bool is_interrupted = t->step < t->steps && !is_over;
    end = is_over ? "patience" : is_interrupted ? "interrupted" : end;
    status = write_results(t, end);
    if (status)
        return status;
    if (is_interrupted)
        return say_interrupted(t);
    char text[32];
    snprintf(text, sizeof text, "%.1f", nde_report_seconds(&t->report));
    nde_report_say(&t->report, "done in %s s: %s", text, t->dir);
    return 0;
}

int nde_trainer_prepare(NdeTrainer *t)
{
    NdeSession *s = &t->session;
    const NdeTrain *train = s->model->train;
    t->optim = nde_optim_find(train->optimizer);
    if (!t->optim)
        return nde_fail(s->error, NDE_EXIT_MEMORY, "there is no optimiser '%s'", train->optimizer);
    if (t->optim->n_hyper != train->n_hyper)
        return nde_fail(s->error, NDE_EXIT_MEMORY, "optimiser '%s' takes %d numbers, not %d", t->optim->name,
                        t->optim->n_hyper, train->n_hyper);
    t->batch = nde_session_batch(s, s->train.count);
    t->steps = (long)setting(t, train->set_steps, 1);
    t->epoch_steps = s->train.count / t->batch;
    t->every = train->set_evaluate >= 0 ? (long)setting(t, train->set_evaluate, 0) : s->test.count ? t->epoch_steps : 0;
    t->patience = (long)setting(t, train->set_patience, 0);
    if (t->patience && !t->every)
        t->every = t->epoch_steps;
    t->best_loss = HUGE_VAL;
    int status = nde_session_engine(s, t->batch, false);
    for (int i = 0; !status && i < s->model->n_solve; i++)
        status = nde_tape_check(&s->engine, &s->engine.flow[i]);
    return status ? status : allocate(t);
}

static int start(NdeTrainer *t, const NdeTensors *file)
{
    NdeSession *s = &t->session;
    long log_bytes = -1;
    int status = s->options->resume ? nde_checkpoint_read(t, file, &log_bytes) : 0;
    if (!status)
        status = open_folder(t);
    if (status)
        return status;
    t->report.is_quiet = s->options->is_quiet;
    t->report.steps = t->steps;
    t->report.first = t->step;
    t->report.batch = t->batch;
    status = nde_report_open(&t->report, s->model, t->dir, log_bytes, s->error);
    if (status)
        return status;
    nde_report_say(
        &t->report, "%s: %zu parameters, %ld training samples in batches of %d, %ld test samples, %s; results in %s",
        s->model->name, s->model->param_count, s->train.count, t->batch, s->test.count, t->optim->name, t->dir);
    const char *isa = s->options->resume ? nde_tensors_pair(file, "isa") : NULL;
    if (isa && strcmp(isa, s->model->isa))
        nde_report_say(&t->report, "note: trained with instructions of '%s' so far, now '%s': roundings will differ",
                       isa, s->model->isa);
    return 0;
}

/* Fields that training or evaluation reads. */
static unsigned char *both_needs(const NdeModel *m, NdeError *e)
{
    unsigned char *needs = nde_allocate((size_t)m->n_data, 1, e);
    for (int i = 0; needs && i < m->n_data; i++)
        needs[i] = (unsigned char)(m->train_needs[i] || (m->eval_fn && m->eval_needs[i]));
    return needs;
}

int nde_train(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    if (!m->train || !m->train_fn)
        return nde_fail(e, NDE_EXIT_FILE, "%s has no %s: there is nothing to train", m->file,
                        m->train ? "loss" : "train block");
    NdeTensors file = {0};
    unsigned char *needs = both_needs(m, e);
    NdeTrainer *t = nde_allocate(1, sizeof *t, e);
    int status = needs && t ? 0 : e->exit_code;
    if (!status && o->resume)
        status = nde_checkpoint_open(m, o, &file, e);
    if (!status)
        status = nde_session_open(&t->session, m, o, NDE_DATA_ALL, needs, e);
    if (!status && t->session.train.count < 1)
        status = nde_fail(e, NDE_EXIT_DATA, "the training data has no samples");
    if (!status)
        status = nde_trainer_prepare(t);
    if (!status)
        status = start(t, &file);
    if (!status)
        status = run(t);
    if (t)
        nde_trainer_close(t);
    free(t);
    free(needs);
    nde_tensors_free(&file);
    return status;
}
