/* compare.c: the command `compare`: methods, adjoints, batchings and controllers of one model side by side.
 *
 * Needs: a program that holds alternatives of its model; weights, or first values; data, or random numbers. Gives: for
 * each alternative and tolerance evaluations, steps, times, memory, and errors against a reference that is solved much
 * more finely. All rows work on the same batch, the first one of training or that of -i. A round runs each row once in
 * turn, so that whatever else the machine does meets all of them.
 * Elsewhere: which alternatives there are (compiler/compare.c), one of them (trial.c), showing (finding.c, picture.c).
 */
#include "timing.h"
#include "trial.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define nde_compare NDE_NAME(nde_compare)

enum { ROUNDS = 9 };

typedef struct Compare {
    const NdeComparison *comparison;
    const NdeModel *model;
    NdeOptions *options;
    NdeError *error;
    NdeSession session; /* data and weights alone */
    NdeProblem problem;
    double *param;
    long *index;
    NdeTrial *trial;           /* [n], of rows that are not refused */
    double *output, *gradient; /* of the reference; of a row in the second half */
    double *level;             /* [n_level] */
    long *repeats;             /* [n] runs in a round */
    NdeTimes *times;           /* [n] */
    NdeFindings findings;
    bool has_reference;
} Compare;

static size_t output_count(const Compare *c)
{
    return (size_t)c->problem.count * (size_t)nde_trial_width(c->model);
}

/* ---- the problem ---- */

/* Data of the training, or of the file given by -i; what all programs of the model read of it. */
static int open_data(Compare *c)
{
    const NdeModel *m = c->model;
    NdeSession *s = &c->session;
    unsigned char *needs = nde_allocate((size_t)m->n_data, 1, c->error);
    if (!needs)
        return c->error->exit_code;
    for (int i = 0; i < m->n_data; i++)
        needs[i] = (m->train_fn && m->train_needs[i]) || m->predict_needs[i];
    bool has_data = false;
    NdeWhat what = c->options->input ? NDE_DATA_INPUT : NDE_DATA_ALL;
    int status = nde_session_open_any(s, m, c->options, what, needs, &has_data, c->error);
    free(needs);
    const NdeSet *set = c->options->input ? &s->test : &s->train;
    if (!status && has_data && set->count < 1)
        status = nde_session_empty(c->error, set);
    if (status)
        return status;
    NdeProblem *p = &c->problem;
    p->seed = s->seed;
    p->count = nde_session_batch(s, set->count);
    p->data = has_data ? set->data : NULL;
    p->index = set->index;
    if (has_data && !c->options->input && !(p->index = c->index = nde_session_first(s)))
        return c->error->exit_code;
    if (!has_data)
        printf("note: random samples, for there is no data%s%s%s\n", c->error->text[0] ? " (" : "", c->error->text,
               c->error->text[0] ? ")" : "");
    return 0;
}

static int open_weights(Compare *c)
{
    const NdeModel *m = c->model;
    Real *param = nde_allocate(m->param_count, sizeof *param, c->error);
    c->param = nde_allocate(m->param_count, sizeof *c->param, c->error);
    int status = param && c->param ? 0 : c->error->exit_code;
    if (!status)
        status = c->options->weights ? nde_param_load(m, c->options->weights, param, c->error)
                                     : nde_param_init(m, c->problem.seed, param, c->error);
    for (size_t i = 0; !status && i < m->param_count; i++)
        c->param[i] = (double)param[i];
    free(param);
    c->problem.param = c->param;
    return status;
}

static int open_trials(Compare *c)
{
    int n = c->comparison->n, status = 0;
    size_t numbers = 2 * output_count(c);
    c->trial = nde_allocate((size_t)n, sizeof *c->trial, c->error);
    c->repeats = nde_allocate((size_t)n, sizeof *c->repeats, c->error);
    c->times = nde_allocate((size_t)n, sizeof *c->times, c->error);
    c->output = nde_allocate(numbers, sizeof *c->output, c->error);
    c->gradient = nde_allocate(2 * c->model->param_count, sizeof *c->gradient, c->error);
    if (!c->trial || !c->repeats || !c->times || !c->output || !c->gradient)
        return c->error->exit_code;
    for (int i = 0; !status && i < n; i++) {
        const NdeAlternative *row = &c->comparison->row[i];
        if (!row->model)
            continue;
        status = nde_trial_open(&c->trial[i], row->model, &c->problem, c->error);
        nde_trial_control(&c->trial[i], row);
    }
    return status;
}

/* ---- levels ---- */

enum { LEVELS = 32 };

static int read_levels(Compare *c, double *level, int *n)
{
    const char *at = c->options->tolerances;
    do {
        size_t size = strcspn(at, ",");
        if (*n == LEVELS)
            return nde_fail(c->error, NDE_EXIT_FILE, "--tolerances takes at most %d numbers", LEVELS - 1);
        if (!nde_number_read(at, size, &level[*n]) || !(level[*n] > 0))
            return nde_fail(c->error, NDE_EXIT_FILE,
                            "--tolerances takes numbers above 0, separated by commas, not '%s'",
                            c->options->tolerances);
        (*n)++;
        at += size + (at[size] == ',');
    } while (*at);
    return 0;
}

/* 1e-4 and not 9.999999999999999e-05. */
static double rounded(double x)
{
    char text[32];
    double out = x;
    snprintf(text, sizeof text, "%.9g", x);
    return nde_number_read(text, strlen(text), &out) ? out : x;
}

/* The file's own tolerance, then those that are asked for: without --tolerances some around it that the number type can
 * resolve. */
static int choose_levels(Compare *c)
{
    static const double around[] = {100, 10, 1, 0.1, 0.01}, step[] = {4, 2, 1, 0.5, 0.25};
    double own = nde_trial_level(&c->trial[0]), least = sizeof(Real) == 4 ? 1e-7 : 1e-12;
    bool is_fixed = !nde_trial_adapts(c->model);
    int n = 1;
    c->level = nde_allocate(LEVELS, sizeof *c->level, c->error);
    if (!c->level)
        return c->error->exit_code;
    c->level[0] = own;
    int status = c->options->tolerances ? read_levels(c, c->level, &n) : 0;
    for (int i = 0; !c->options->tolerances && i < 5; i++) {
        double level = rounded(own * (is_fixed ? step[i] : around[i]));
        if (is_fixed || (level >= 0.99 * least && level <= 0.1) || around[i] == 1)
            c->level[n++] = level;
    }
    c->findings.n_level = n;
    return status;
}

static double finest(const Compare *c)
{
    double least = c->level[0];
    for (int i = 1; i < c->findings.n_level; i++)
        least = fmin(least, c->level[i]);
    return least;
}

/* A thousand times finer than the finest row, so that its own error does not show; as fine as float64 allows. */
static int run_reference(Compare *c)
{
    const NdeModel *m = c->comparison->reference;
    double tolerance = fmax(1e-13, nde_trial_adapts(c->model) ? 1e-3 * finest(c) : 1e-12);
    c->findings.reference_level = tolerance;
    c->findings.reference_method = m->solve[0]->method;
    int status = nde_reference_f64(m, &c->problem, tolerance, c->output, m->train_fn ? c->gradient : NULL, c->error);
    c->has_reference = !status;
    if (status == NDE_EXIT_NUMERICAL) {
        printf("note: the errors are not known, for the reference cannot be solved: %s\n", c->error->text);
        status = 0;
    }
    return status;
}

/* ---- findings ---- */

/* The root of the sum of squares of a - b over that of b; of a - b alone where b is 0. */
static double relative(size_t n, const double *a, const double *b)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        difference += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(size > 0 ? difference / size : difference);
}

static int find_errors(Compare *c, NdeTrial *t, NdeFinding *f)
{
    size_t n = output_count(c), k = c->model->param_count;
    double *output = c->output + n, *gradient = c->gradient + k;
    int status = nde_trial_output(t, output);
    if (!status && c->has_reference && n > 0)
        f->error = relative(n, output, c->output);
    if (status || !c->model->train_fn)
        return status;
    status = nde_trial_gradient(t, gradient);
    if (!status && c->has_reference)
        f->gradient_error = relative(k, gradient, c->gradient);
    return status;
}

/* Runs that take about a millisecond. */
static int choose_repeats(Compare *c, int i, NdeFinding *f)
{
    static const double round = 1e-3;
    NdeTrial *t = &c->trial[i];
    double seconds = 0;
    int status = nde_time_repeat(nde_trial_run, t, 1, &seconds);
    if (!status) /* the tape grew in the first one */
        status = nde_time_repeat(nde_trial_run, t, 1, &seconds);
    c->repeats[i] = (long)fmin(1e6, fmax(1, round / seconds));
    f->evaluations = t->gradient.figures.nfe;
    f->accepted = t->gradient.figures.accepted;
    f->rejected = t->gradient.figures.rejected;
    f->reverse_evaluations = (double)t->engine.reverse_evaluations;
    f->tape_bytes = (double)nde_tapes_bytes(&t->engine);
    f->work_bytes = (double)t->engine.block_bytes;
    return status;
}

/* What cannot be solved is a row that says so. */
static int begin_row(Compare *c, int i, NdeFinding *f, double level)
{
    const NdeAlternative *row = &c->comparison->row[i];
    *f = (NdeFinding){.row = row, .level = level, .error = nan(""), .gradient_error = nan("")};
    if (!row->model) {
        snprintf(f->refusal, sizeof f->refusal, "%s", row->refusal);
        return 0;
    }
    nde_trial_set(&c->trial[i], level);
    int status = find_errors(c, &c->trial[i], f);
    if (!status)
        status = choose_repeats(c, i, f);
    if (status == NDE_EXIT_NUMERICAL) {
        snprintf(f->refusal, sizeof f->refusal, "%.*s", (int)strcspn(c->error->text, "\n"), c->error->text);
        status = 0;
    }
    return status;
}

static int one_round(Compare *c, const NdeFinding *f)
{
    int status = 0;
    for (int i = 0; !status && i < c->comparison->n; i++) {
        double share[NDE_PHASES + 1];
        if (f[i].refusal[0])
            continue;
        status = nde_time_runs(&c->trial[i].engine, nde_trial_run, &c->trial[i], c->repeats[i], share);
        for (int k = 0; k < NDE_PHASES + 1; k++)
            share[k] /= (double)c->repeats[i];
        if (!status)
            status = nde_times_add(&c->times[i], share, NDE_PHASES + 1, c->error);
    }
    return status;
}

static int go_on(const Compare *c)
{
    return nde_is_interrupted() ? nde_fail(c->error, NDE_EXIT_INTERRUPTED, "interrupted: nothing is written") : 0;
}

static int run_level(Compare *c, int level)
{
    NdeFinding *f = c->findings.at + level * c->comparison->n;
    int status = go_on(c);
    for (int i = 0; !status && i < c->comparison->n; i++) {
        status = begin_row(c, i, &f[i], c->level[level]);
        f[i].is_own = level == 0;
        status = status ? status : go_on(c);
    }
    for (int round = 0; !status && round < c->findings.rounds; round++) {
        status = one_round(c, f);
        status = status ? status : go_on(c);
    }
    for (int i = 0; i < c->comparison->n; i++) {
        nde_times_sort(&c->times[i]);
        f[i].forward = nde_times_median(&c->times[i], NDE_PHASE_FORWARD);
        f[i].reverse = nde_times_median(&c->times[i], NDE_PHASE_REVERSE);
        f[i].rest = nde_times_median(&c->times[i], NDE_PHASES);
        nde_times_free(&c->times[i]);
    }
    return status;
}

/* ---- the command ---- */

static int run(Compare *c)
{
    int status = open_data(c);
    if (!status)
        status = open_weights(c);
    if (!status)
        status = open_trials(c);
    NdeFindings *f = &c->findings;
    if (!status) {
        f->level_name = nde_trial_adapts(c->model) ? "tolerance" : "step";
        f->batch = c->problem.count;
        f->threads = c->trial[0].engine.threads;
        status = choose_levels(c);
    }
    if (!status && !(f->at = nde_allocate((size_t)f->n_level * (size_t)f->n_row, sizeof *f->at, c->error)))
        status = c->error->exit_code;
    if (!status)
        status = run_reference(c);
    for (int level = 0; !status && level < f->n_level; level++)
        status = run_level(c, level);
    return status;
}

static void close_all(Compare *c)
{
    for (int i = 0; c->trial && i < c->comparison->n; i++)
        nde_trial_close(&c->trial[i]);
    for (int i = 0; c->times && i < c->comparison->n; i++)
        nde_times_free(&c->times[i]);
    nde_session_close(&c->session);
    free(c->trial);
    free(c->times);
    free(c->repeats);
    free(c->level);
    free(c->output);
    free(c->gradient);
    free(c->param);
    free(c->index);
    free(c->findings.at);
}

/* A file that the command will write; it is begun before the work is done rather than after. */
typedef struct Result {
    const char *option, *path, *end;
    void (*write)(const NdeFindings *f, FILE *to);
    NdeFile *file;
} Result;

static int begin_result(Result *r, NdeError *e)
{
    size_t n = r->path ? strlen(r->path) : 0, k = strlen(r->end);
    if (!r->path)
        return 0;
    if (n <= k || strcmp(r->path + n - k, r->end))
        return nde_fail(e, NDE_EXIT_FILE, "%s %s: the name must end in %s", r->option, r->path, r->end);
    r->file = nde_file_create(r->path, e);
    return r->file ? 0 : e->exit_code;
}

static int end_result(Result *r, const NdeFindings *f, int status, NdeError *e)
{
    if (!r->file)
        return status;
    if (status) {
        nde_file_abort(r->file);
        return status;
    }
    r->write(f, nde_file_stream(r->file));
    return nde_file_commit(r->file, e);
}

int nde_compare(const NdeComparison *comparison, const NdeModel *m, NdeOptions *o, NdeError *e)
{
    Compare c = {.comparison = comparison, .model = m, .options = o, .error = e};
    Result csv = {"--csv", o->csv, ".csv", nde_findings_csv, NULL};
    Result svg = {"--svg", o->svg, ".svg", nde_findings_svg, NULL};
    c.problem = (NdeProblem){.model = m, .setting = o->setting, .is_set = o->is_set, .threads = o->threads};
    c.findings = (NdeFindings){.model = m,
                               .n_row = comparison->n,
                               .rounds = o->rounds ? o->rounds : ROUNDS,
                               .has_gradient = m->train_fn != NULL};
    int status = begin_result(&csv, e);
    if (!status)
        status = begin_result(&svg, e);
    if (!status)
        status = run(&c);
    if (!status)
        nde_findings_show(&c.findings);
    status = end_result(&csv, &c.findings, status, e);
    status = end_result(&svg, &c.findings, status, e);
    close_all(&c);
    return status;
}
