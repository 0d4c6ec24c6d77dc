/* predict.c: the commands `eval` and `predict`: a model with given weights on samples.
 *
 * Needs: weights, data. Gives: figures as lines; outputs as a table with a row for each sample.
 * Elsewhere: trajectories (trajectory.c). */
#include "batch.h"
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int nde_eval(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    if (!m->eval_fn)
        return nde_fail(e, NDE_EXIT_FILE, "%s has no loss and no metric: there is nothing to evaluate", m->file);
    NdeSession s;
    NdeFigures figures;
    double *metric = nde_allocate((size_t)m->n_metric, sizeof *metric, e);
    int status = nde_session_open(&s, m, o, o->input ? NDE_DATA_INPUT : NDE_DATA_TEST, m->eval_needs, e);
    if (!metric)
        status = e->exit_code;
    const NdeSet *set = nde_session_chosen(&s);
    if (!status && set->count < 1)
        status = nde_session_empty(e, set);
    if (!status)
        status = nde_session_engine(&s, nde_session_batch(&s, set->count), true);
    if (!status)
        status = nde_evaluate(&s, set, metric, &figures);
    if (!status)
        nde_report_figures(m, &figures, set->count);
    if (!status && !isfinite(figures.loss))
        status = nde_fail(e, NDE_EXIT_NUMERICAL,
                          "the loss is not finite: a number of the model overflows, or a "
                          "division, root or logarithm of it has no value");
    nde_session_close(&s);
    free(metric);
    return status;
}

/* ---- tables ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

static int write_npy(const NdeOptions *o, const NdeCells *cells, int rank, const long *dim, NdeError *e)
{
    size_t n = (size_t)cells->n_row * (size_t)cells->n_column;
    NdeField field = {.type = cells->is_float ? NDE_F32 : NDE_F64, .rank = rank};
    for (int i = 0; i < rank; i++)
        field.dim[i] = dim[i];
    if (!cells->is_float) {
        field.value = (const unsigned char *)cells->value;
        return nde_npy_write(o->output, &field, e);
    }
    float *value = nde_allocate(n, sizeof *value, e);
    if (!value)
        return e->exit_code;
    for (size_t i = 0; i < n; i++)
        value[i] = (float)cells->value[i];
    field.value = (const unsigned char *)value;
    int status = nde_npy_write(o->output, &field, e);
    free(value);
    return status;
}

int nde_write_table(const NdeOptions *o, const NdeCells *cells, int rank, const long *dim, NdeError *e)
{
    if (!o->output) {
        nde_csv_print(stdout, cells);
        return 0;
    }
    if (ends_with(o->output, ".npy"))
        return write_npy(o, cells, rank, dim, e);
    if (ends_with(o->output, ".csv"))
        return nde_csv_write(o->output, cells, e);
    return nde_fail(e, NDE_EXIT_FILE, "-o %s: the name must end in .csv or .npy", o->output);
}

/* ---- predict ---- */

/* Names of an output's numbers: the text of the statement, with [i, j] unless it is a scalar. */
static int name_columns(const NdeModel *m, NdeOutputs *out, NdeError *e)
{
    int at = 0;
    for (int i = 0; i < m->n_output; i++)
        for (int k = 0; k < m->output[i].n; k++) {
            char text[512];
            const int *dim = m->output_dim[i];
            int used = snprintf(text, 256, "%s", m->output_name[i]), rest = k, block = m->output[i].n;
            used = used < 255 ? used : 255;
            for (int a = 0; a < dim[0]; a++) {
                block /= dim[a + 1];
                used += snprintf(text + used, sizeof text - (size_t)used, "%s%d%s", a ? ", " : "[", rest / block,
                                 a + 1 == dim[0] ? "]" : "");
                rest %= block;
            }
            out->column[at] = nde_copy_text(text, e);
            if (!out->column[at++])
                return e->exit_code;
        }
    return 0;
}

int nde_outputs_open(const NdeEngine *engine, NdeOutputs *out, long rows, NdeError *e)
{
    const NdeModel *m = engine->model;
    for (int i = 0; i < m->n_output; i++)
        out->width += m->output[i].n;
    out->ref = nde_allocate((size_t)m->n_output, sizeof *out->ref, e);
    out->memory = nde_allocate((size_t)m->n_output, sizeof *out->memory, e);
    out->column = nde_allocate((size_t)out->width, sizeof *out->column, e);
    size_t bytes = (size_t)rows;
    if (!nde_times(&bytes, (size_t)out->width))
        return nde_fail(e, NDE_EXIT_MEMORY, "the table of outputs is too large");
    out->value = nde_allocate(bytes, sizeof *out->value, e);
    if (!out->ref || !out->memory || !out->column || !out->value)
        return e->exit_code;
    for (int i = 0; i < m->n_output; i++) {
        size_t size =
            nde_value_bytes(engine, m->output[i]) + 64; /* vectors want their addresses to be multiples of 64 */
        out->memory[i] = nde_allocate(size, 1, e);
        if (!out->memory[i])
            return e->exit_code;
        char *at = out->memory[i] + (64 - (uintptr_t)out->memory[i] % 64);
        out->ref[i] = nde_value_ref(engine, m->output[i], at);
    }
    return name_columns(m, out, e);
}

void nde_outputs_close(const NdeModel *m, NdeOutputs *out)
{
    for (int i = 0; out->memory && i < m->n_output; i++)
        free(out->memory[i]);
    for (int i = 0; out->column && i < out->width; i++)
        free(out->column[i]);
    free(out->ref);
    free(out->memory);
    free(out->column);
    free(out->value);
}

typedef struct Rows {
    NdeSession *s;
    const NdeSet *set;
    NdeOutputs *out;
} Rows;

static int fill_rows(void *context)
{
    const Rows *r = context;
    const NdeSet *set = r->set;
    NdeOutputs *out = r->out;
    NdeEngine *e = &r->s->engine;
    const NdeModel *m = e->model;
    for (long at = 0; at < set->count; at += e->most) {
        int count = set->count - at < e->most ? (int)(set->count - at) : e->most;
        int status = nde_batch_fill(e, set, m->predict_needs, set->index + at, count);
        nde_batch_noise(e, NDE_FOR_EVALUATION, (double)(at / e->most));
        if (!status)
            status = nde_frame_run(e, m->predict_fn, NULL, out->ref);
        if (status)
            return status;
        for (int k = 0; k < count; k++) {
            double *row = out->value + (at + k) * out->width;
            for (int i = 0; i < m->n_output; i++)
                for (int j = 0; j < m->output[i].n; j++)
                    *row++ = nde_value_get(e, m->output[i], out->ref[i], k, j);
        }
    }
    return 0;
}

static int settle_rows(NdeSession *s, const NdeSet *set, NdeOutputs *out)
{
    Rows rows = {s, set, out};
    size_t n = (size_t)set->count * (size_t)out->width;
    NdeSettle settle = {&s->engine,  s->options->accuracy,
                        fill_rows,   &rows,
                        &out->value, &n,
                        out->width,  (const char *const *)out->column};
    return nde_settle(&settle);
}

static int write_rows(const NdeSession *s, const NdeSet *set, const NdeOutputs *out)
{
    const NdeModel *m = s->model;
    NdeCells cells = {(const char *const *)out->column, out->width, set->count, out->value, sizeof(Real) == 4};
    long dim[NDE_RANK] = {set->count, out->width};
    int rank = 2;
    if (m->n_output == 1) { /* one output keeps its shape; several stand side by side */
        rank = 1 + m->output_dim[0][0];
        for (int i = 1; i < rank; i++)
            dim[i] = m->output_dim[0][i];
    }
    return nde_write_table(s->options, &cells, rank, dim, s->error);
}

int nde_predict(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    if (!m->predict_fn)
        return nde_fail(e, NDE_EXIT_FILE,
                        "%s has no output statement: say what to predict, for instance `output flow.z(1)`", m->file);
    NdeSession s;
    NdeOutputs out = {0};
    int status = nde_session_open(&s, m, o, o->input ? NDE_DATA_INPUT : NDE_DATA_TEST, m->predict_needs, e);
    const NdeSet *set = nde_session_chosen(&s);
    if (!status && set->count < 1)
        status = nde_session_empty(e, set);
    if (!status)
        status = nde_session_engine(&s, nde_session_batch(&s, set->count), true);
    if (!status)
        status = nde_outputs_open(&s.engine, &out, set->count, e);
    if (!status)
        status = settle_rows(&s, set, &out);
    if (!status)
        status = write_rows(&s, set, &out);
    nde_outputs_close(m, &out);
    nde_session_close(&s);
    return status;
}
