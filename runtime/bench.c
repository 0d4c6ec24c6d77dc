/* bench.c: the command `bench`: how long a training step and predictions of this model take, and what they cost.
 *
 * Needs: a model; weights, or first values; data, or random numbers. Gives: a table, and with -o the same as CSV.
 * Every row is a piece of work with an engine of its own. A round runs each row once in turn, so that whatever else the
 * machine does meets all of them; a row whose run is short repeats it within its round. Counts are those of the last
 * run: the weights stay as they are, and so does the batch, which is the first one of training.
 * Elsewhere: measuring (timing.c), a training step's parts (train.c). */
#include "batch.h"
#include "command.h"
#include "timing.h"
#include "train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum Part { TOTAL, LOAD, FORWARD, REVERSE, REST, UPDATE, PARTS } Part; /* of a round: NDE_TIMES of them */

typedef struct Row Row;

typedef struct Kind {
    const char *name;
    int samples; /* of a batch; 0: as --batch or the train block says */
    bool (*has)(const NdeModel *m);
    NdeWhat data;
    const unsigned char *(*needs)(const NdeModel *m);
    int (*open)(Row *r);
    NdeTimed *load, *run;
    NdeTimed *update; /* or NULL */
} Kind;

struct Row {
    const Kind *kind;
    bool is_open, has_data;
    NdeTrainer trainer; /* of a row that predicts only the session is used */
    Real *weights;      /* as they were: an update is undone */
    NdeOutputs outputs;
    int batch;
    long repeats;  /* runs in a round */
    NdeTimes time; /* of one run, by Part */
    NdeFigures counts;
};

/* ---- a training step ---- */

static bool can_train(const NdeModel *m)
{
    return m->train && m->train_fn;
}

static const unsigned char *train_needs(const NdeModel *m)
{
    return m->train_needs;
}

static int open_train(Row *r)
{
    NdeSession *s = &r->trainer.session;
    if (r->has_data && s->train.count < 1)
        return nde_fail(s->error, NDE_EXIT_DATA, "the training data has no samples");
    int status = nde_trainer_prepare(&r->trainer);
    if (status)
        return status;
    size_t n = s->model->param_count;
    r->batch = r->trainer.batch;
    r->weights = nde_allocate(n, sizeof *r->weights, s->error);
    if (!r->weights)
        return s->error->exit_code;
    memcpy(r->weights, s->engine.param, n * sizeof *r->weights);
    if (!r->has_data) {
        nde_batch_random(&s->engine, r->batch);
        nde_batch_noise(&s->engine, NDE_FOR_TRAINING, 1);
    }
    return 0;
}

static int load_train(void *row)
{
    Row *r = row;
    return r->has_data ? nde_trainer_batch(&r->trainer) : 0;
}

static int run_train(void *row)
{
    Row *r = row;
    int status = nde_gradient(&r->trainer.session.engine, &r->trainer.gradient);
    r->counts = r->trainer.gradient.figures;
    return status;
}

static int update_train(void *row)
{
    Row *r = row;
    NdeTrainer *t = &r->trainer;
    int status = nde_trainer_hyper(t);
    if (!status)
        nde_trainer_update(t, nde_trainer_norm(t));
    return status;
}

/* ---- predictions ---- */

static bool can_predict(const NdeModel *m)
{
    return m->predict_fn != NULL;
}

static const unsigned char *predict_needs(const NdeModel *m)
{
    return m->predict_needs;
}

static int open_predict(Row *r)
{
    NdeSession *s = &r->trainer.session;
    const NdeSet *set = nde_session_chosen(s);
    if (r->has_data && set->count < 1)
        return nde_session_empty(s->error, set);
    r->batch = r->kind->samples ? r->kind->samples : nde_session_batch(s, set->count);
    int status = nde_session_engine(s, r->batch, false);
    if (status)
        return status;
    if (!r->has_data) {
        nde_batch_random(&s->engine, r->batch);
        nde_batch_noise(&s->engine, NDE_FOR_EVALUATION, 0);
    }
    return nde_outputs_open(&s->engine, &r->outputs, 0, s->error);
}

static int load_predict(void *row)
{
    Row *r = row;
    NdeSession *s = &r->trainer.session;
    if (!r->has_data)
        return 0;
    const NdeSet *set = nde_session_chosen(s);
    int status = nde_batch_fill(&s->engine, set, s->model->predict_needs, set->index, r->batch);
    nde_batch_noise(&s->engine, NDE_FOR_EVALUATION, 0);
    return status;
}

static int run_predict(void *row)
{
    Row *r = row;
    NdeEngine *e = &r->trainer.session.engine;
    NdeFigures sum = {0};
    int status = nde_frame_run(e, e->model->predict_fn, NULL, r->outputs.ref);
    for (int i = 0; i < e->model->n_solve; i++) { /* those of other programs have not been run: 0 */
        sum.nfe += e->flow[i].evaluations;
        sum.accepted += e->flow[i].accepted;
        sum.rejected += e->flow[i].rejected;
    }
    r->counts = sum;
    return status;
}

static const Kind kind[] = {
    {"train", 0, can_train, NDE_DATA_ALL, train_needs, open_train, load_train, run_train, update_train},
    {"predict", 0, can_predict, NDE_DATA_TEST, predict_needs, open_predict, load_predict, run_predict, NULL},
    {"predict one", 1, can_predict, NDE_DATA_TEST, predict_needs, open_predict, load_predict, run_predict, NULL},
};
enum { KINDS = sizeof kind / sizeof *kind };

/* ---- one round of a row ---- */

static int measure(Row *r, double part[PARTS])
{
    NdeEngine *e = &r->trainer.session.engine;
    double share[NDE_PHASES + 1] = {0};
    int status = nde_time_repeat(r->kind->load, r, r->repeats, &part[LOAD]);
    if (!status)
        status = nde_time_runs(e, r->kind->run, r, r->repeats, share);
    part[FORWARD] = share[NDE_PHASE_FORWARD];
    part[REVERSE] = share[NDE_PHASE_REVERSE];
    part[REST] = share[NDE_PHASES];
    part[UPDATE] = 0;
    if (!status && r->kind->update)
        status = nde_time_repeat(r->kind->update, r, r->repeats, &part[UPDATE]);
    if (r->weights)
        memcpy(e->param, r->weights, e->model->param_count * sizeof *r->weights);
    part[TOTAL] = 0;
    for (int i = TOTAL + 1; i < PARTS; i++) {
        part[i] /= (double)r->repeats;
        part[TOTAL] += part[i];
    }
    if (!r->has_data) /* the clock's own time */
        part[LOAD] = 0;
    return status;
}

static int one_round(Row *r)
{
    double part[PARTS];
    int status = measure(r, part);
    return status ? status : nde_times_add(&r->time, part, PARTS, r->trainer.session.error);
}

/* Runs twice unmeasured, for the tape grows in the first run, and chooses the repeats: about a millisecond a round. */
static int warm_up(Row *r)
{
    static const double round = 1e-3;
    double part[PARTS];
    r->repeats = 1;
    int status = measure(r, part);
    if (!status)
        status = measure(r, part);
    r->repeats = (long)fmin(1e6, fmax(1, round / part[TOTAL]));
    return status;
}

static int all_rounds(Row *row)
{
    const NdeOptions *o = row[0].trainer.session.options;
    int status = 0, n = 0;
    for (int k = 0; !status && k < KINDS; k++)
        if (row[k].is_open) {
            status = warm_up(&row[k]);
            n++;
        }
    double began = nde_clock();
    for (int i = 0; !status; i++) {
        if (o->rounds ? i >= o->rounds : i >= 3 && nde_clock() - began > n * o->seconds)
            break;
        for (int k = 0; !status && k < KINDS; k++)
            status = row[k].is_open ? one_round(&row[k]) : 0;
    }
    return status;
}

/* ---- the table ---- */

static const char *const column[] = {"what",     "batch",     "threads",    "rounds",        "repeats",
                                     "ms",       "ms_least",  "ms_most",    "us_evaluation", "evaluations",
                                     "accepted", "rejected",  "load_ms",    "forward_ms",    "reverse_ms",
                                     "rest_ms",  "update_ms", "tape_bytes", "work_bytes",    "reverse_evaluations"};
enum { COLUMNS = sizeof column / sizeof *column };

/* The numbers of all columns but the first; the times are sorted. */
static void numbers(const Row *r, double out[COLUMNS - 1])
{
    const NdeEngine *e = &r->trainer.session.engine;
    double ms[PARTS];
    for (int i = 0; i < PARTS; i++)
        ms[i] = 1e3 * nde_times_median(&r->time, i);
    const double value[COLUMNS - 1] = {r->batch,
                                       e->threads,
                                       (double)r->time.n,
                                       (double)r->repeats,
                                       ms[TOTAL],
                                       1e3 * r->time.at[TOTAL][0],
                                       1e3 * r->time.at[TOTAL][r->time.n - 1],
                                       r->counts.nfe > 0 ? 1e3 * ms[TOTAL] / r->counts.nfe : 0,
                                       r->counts.nfe,
                                       r->counts.accepted,
                                       r->counts.rejected,
                                       ms[LOAD],
                                       ms[FORWARD],
                                       ms[REVERSE],
                                       ms[REST],
                                       ms[UPDATE],
                                       (double)nde_tapes_bytes(e),
                                       (double)e->block_bytes,
                                       r->counts.reverse};
    memcpy(out, value, sizeof value);
}

static void show(const Row *row)
{
    const NdeSession *s = &row[0].trainer.session;
    double v[COLUMNS - 1];
    printf("%s, %s, weights: %s; milliseconds, median (least .. most)\n\n", s->model->file,
           s->model->is_double ? "float64" : "float32", s->options->weights ? s->options->weights : "first values");
    printf("%-12s %6s %7s %10s %24s %10s %10s %10s %10s %10s\n", "", "batch", "threads", "time", "", "load", "forward",
           "reverse", "rest", "update");
    for (int k = 0; k < KINDS; k++) {
        if (!row[k].is_open)
            continue;
        char spread[64];
        numbers(&row[k], v);
        snprintf(spread, sizeof spread, "(%.4g .. %.4g)", v[5], v[6]);
        printf("%-12s %6g %7g %10.4g %24s %10.4g %10.4g %10.4g %10.4g %10.4g\n", row[k].kind->name, v[0], v[1], v[4],
               spread, v[11], v[12], v[13], v[14], v[15]);
    }
    printf("\n%-12s %11s %10s %9s %9s %18s %10s %10s %14s\n", "", "evaluations", "in reverse", "accepted", "rejected",
           "us per evaluation", "tape MiB", "work MiB", "rounds x runs");
    for (int k = 0; k < KINDS; k++) {
        if (!row[k].is_open)
            continue;
        char runs[64];
        numbers(&row[k], v);
        snprintf(runs, sizeof runs, "%g x %g", v[2], v[3]);
        printf("%-12s %11g %10g %9g %9g %18.4g %10.4g %10.4g %14s\n", row[k].kind->name, v[8], v[18], v[9], v[10], v[7],
               v[16] / 0x1p20, v[17] / 0x1p20, runs);
    }
}

static int write_csv(const Row *row, NdeError *e)
{
    NdeFile *file = nde_file_create(row[0].trainer.session.options->output, e);
    if (!file)
        return e->exit_code;
    FILE *to = nde_file_stream(file);
    for (int i = 0; i < COLUMNS; i++)
        fprintf(to, "%s%s", i ? "," : "", column[i]);
    for (int k = 0; k < KINDS; k++) {
        if (!row[k].is_open)
            continue;
        double v[COLUMNS - 1];
        numbers(&row[k], v);
        fprintf(to, "\n%s", row[k].kind->name);
        for (int i = 0; i < COLUMNS - 1; i++) {
            char text[NDE_NUMBER_TEXT];
            nde_number_text(v[i], false, text);
            fprintf(to, ",%s", text);
        }
    }
    fputs("\n", to);
    return nde_file_commit(file, e);
}

static int give(Row *row, NdeError *e)
{
    for (int k = 0; k < KINDS; k++)
        nde_times_sort(&row[k].time);
    show(row);
    return row[0].trainer.session.options->output ? write_csv(row, e) : 0;
}

/* ---- the command ---- */

static int open_row(Row *r, const NdeModel *m, NdeOptions *o, NdeError *e)
{
    NdeWhat what = r->kind->data == NDE_DATA_TEST && o->input ? NDE_DATA_INPUT : r->kind->data;
    NdeSession *s = &r->trainer.session;
    int status = nde_session_open_any(s, m, o, what, r->kind->needs(m), &r->has_data, e);
    r->is_open = true;
    return status ? status : r->kind->open(r);
}

static void close_row(Row *r)
{
    if (!r->is_open)
        return;
    nde_outputs_close(r->trainer.session.model, &r->outputs);
    nde_trainer_close(&r->trainer);
    free(r->weights);
    nde_times_free(&r->time);
}

static int check(const NdeModel *m, const NdeOptions *o, NdeError *e)
{
    size_t n = o->output ? strlen(o->output) : 0;
    if (o->output && (n < 4 || strcmp(o->output + n - 4, ".csv")))
        return nde_fail(e, NDE_EXIT_FILE, "-o %s: the name must end in .csv", o->output);
    for (int k = 0; k < KINDS; k++)
        if (kind[k].has(m))
            return 0;
    return nde_fail(e, NDE_EXIT_FILE, "%s has no output statement and nothing to train: there is nothing to run",
                    m->file);
}

int nde_bench(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    int status = check(m, o, e);
    if (status)
        return status;
    Row *row = nde_allocate(KINDS, sizeof *row, e);
    if (!row)
        return e->exit_code;
    bool is_random = false;
    for (int k = 0; !status && k < KINDS; k++) {
        row[k].kind = &kind[k];
        row[k].trainer.session.options = o;
        row[k].trainer.session.model = m;
        if (!kind[k].has(m))
            continue;
        status = open_row(&row[k], m, o, e);
        is_random = is_random || !row[k].has_data;
    }
    if (!status && is_random)
        printf("note: random samples, for there is no data%s%s%s\n", e->text[0] ? " (" : "", e->text,
               e->text[0] ? ")" : "");
    if (!status)
        status = all_rounds(row);
    if (!status)
        status = give(row, e);
    for (int k = 0; k < KINDS; k++)
        close_row(&row[k]);
    free(row);
    return status;
}
