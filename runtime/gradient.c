/* gradient.c: the command `gradient`: loss and gradients of one batch, with all that another program needs to repeat
 * it.
 *
 * Needs: data; weights, or first values. Gives: a safetensors file with loss, reg, param.NAME, grad.NAME, batch
 * (numbers of the samples), and for every solve with one step size for its batch NAME.t, NAME.h (the accepted steps),
 * NAME.drawn (drawn times).
 *
 * Elsewhere: comparison with differences (check.c). */
#include "batch.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>

enum { OWN = 3 }; /* loss, reg, batch */

typedef struct Sheet {
    NdeTensor *tensor;
    int n;
    void **owned; /* names and numbers made for the file */
    int n_owned;
    NdeError *error;
    bool is_short;
} Sheet;

static void *own(Sheet *sheet, void *at)
{
    if (!at)
        sheet->is_short = true;
    else
        sheet->owned[sheet->n_owned++] = at;
    return at;
}

static const char *name_of(Sheet *sheet, const char *head, const char *tail)
{
    char text[512];
    snprintf(text, sizeof text, "%.250s%.250s", head, tail);
    return own(sheet, nde_copy_text(text, sheet->error));
}

static void add_numbers(Sheet *sheet, const char *name, int rank, long n, const double *value)
{
    sheet->tensor[sheet->n++] = (NdeTensor){.name = name, .type = NDE_F64, .rank = rank, .dim = {n}, .value = value};
}

static void add_solve(Sheet *sheet, const NdeEngine *e, const NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    int n = f->tape.n;
    double *t = own(sheet, nde_allocate((size_t)n, sizeof *t, sheet->error));
    double *h = own(sheet, nde_allocate((size_t)n, sizeof *h, sheet->error));
    double *drawn = own(sheet, nde_allocate((size_t)s->n_draw, sizeof *drawn, sheet->error));
    if (sheet->is_short)
        return;
    NdeSpan span = f->bounds; /* of the model's time */
    double end = s->set_t1 < 0 ? 1 : e->setting[s->set_t1];
    for (int i = n - 1; i >= 0; i--) {
        NdePoint p = f->tape.ring ? nde_solve_before(e, f, end) : f->tape.point[i];
        end = p.t;
        t[i] = span.start + span.length * p.t;
        h[i] = span.length * p.h;
    }
    for (int i = 0; i < s->n_draw; i++)
        drawn[i] = span.start + span.length * f->drawn[i].t;
    add_numbers(sheet, name_of(sheet, s->name, ".t"), 1, n, t);
    add_numbers(sheet, name_of(sheet, s->name, ".h"), 1, n, h);
    if (s->n_draw)
        add_numbers(sheet, name_of(sheet, s->name, ".drawn"), 1, s->n_draw, drawn);
}

static int write_sheet(NdeSession *s, const NdeGradient *g, const double *batch, int count)
{
    const NdeModel *m = s->model;
    size_t most = OWN + 2 * (size_t)m->n_param + 3 * (size_t)m->n_solve;
    Sheet sheet = {.error = s->error};
    sheet.tensor = nde_allocate(most, sizeof *sheet.tensor, s->error);
    sheet.owned = nde_allocate(2 * most, sizeof *sheet.owned, s->error);
    int status = sheet.tensor && sheet.owned ? 0 : s->error->exit_code;
    if (!status) {
        add_numbers(&sheet, "loss", 0, 0, &g->figures.loss);
        add_numbers(&sheet, "reg", 0, 0, &g->figures.reg);
        add_numbers(&sheet, "batch", 1, count, batch);
        for (int i = 0; i < m->n_param; i++)
            sheet.tensor[sheet.n++] =
                nde_param_tensor(&m->param[i], name_of(&sheet, "param.", m->param[i].name), s->engine.param);
        for (int i = 0; i < m->n_param; i++)
            if (!m->param[i].is_frozen)
                sheet.tensor[sheet.n++] =
                    nde_param_tensor(&m->param[i], name_of(&sheet, "grad.", m->param[i].name), g->at);
        for (int i = 0; i < m->n_solve; i++)
            if (s->engine.flow[i].tape.n > 0)
                add_solve(&sheet, &s->engine, &s->engine.flow[i]);
        NdePair pair[] = {{"model", m->name}, {"compiler", m->compiler}};
        NdeTensors all = {.tensor = sheet.tensor, .n = sheet.n, .pair = pair, .n_pair = 2};
        status = sheet.is_short ? s->error->exit_code : nde_tensors_write(s->options->output, &all, s->error);
    }
    for (int i = 0; i < sheet.n_owned; i++)
        free(sheet.owned[i]);
    free(sheet.owned);
    free(sheet.tensor);
    return status;
}

/* The batch of the first training step. */
static int first_batch(NdeSession *s, double *batch, int count)
{
    long *index = nde_session_first(s);
    if (!index)
        return s->error->exit_code;
    for (int i = 0; i < count; i++)
        batch[i] = (double)index[i];
    int status = nde_batch_fill(&s->engine, &s->train, s->model->train_needs, index, count);
    nde_batch_noise(&s->engine, NDE_FOR_TRAINING, 1);
    free(index);
    return status;
}

static int compute(NdeSession *s)
{
    const NdeModel *m = s->model;
    if (s->train.count < 1)
        return nde_fail(s->error, NDE_EXIT_DATA, "the training data has no samples");
    int count = nde_session_batch(s, s->train.count);
    double *batch = nde_allocate((size_t)count, sizeof *batch, s->error);
    if (!batch)
        return s->error->exit_code;
    NdeGradient g = {0};
    int status = nde_session_engine(s, count, false);
    if (!status)
        status = nde_gradient_open(&g, m, s->error);
    if (!status)
        status = first_batch(s, batch, count);
    if (!status)
        status = nde_gradient(&s->engine, &g);
    if (!status)
        status = write_sheet(s, &g, batch, count);
    if (!status)
        printf("loss %.9g\nreg %.9g\nnfe %g\naccepted %g\nrejected %g\nreverse_nfe %g\ntape %zu bytes\n",
               g.figures.loss, g.figures.reg, g.figures.nfe, g.figures.accepted, g.figures.rejected, g.figures.reverse,
               nde_tapes_bytes(&s->engine));
    if (!status && g.figures.drift >= 0)
        printf("drift %.3g tolerances\n", g.figures.drift);
    nde_gradient_close(&g);
    free(batch);
    return status;
}

int nde_write_gradient(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    if (!m->train_fn || !m->train)
        return nde_fail(e, NDE_EXIT_FILE, "%s has no loss and train block: there is no gradient", m->file);
    if (!o->output)
        return nde_fail(e, NDE_EXIT_FILE, "say where the gradient goes: -o FILE.safetensors");
    NdeSession s;
    int status = nde_session_open(&s, m, o, NDE_DATA_ALL, m->train_needs, e);
    if (!status)
        status = compute(&s);
    nde_session_close(&s);
    return status;
}
