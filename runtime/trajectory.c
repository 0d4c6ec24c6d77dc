/* trajectory.c: the command `solve`: one sample's states along the way.
 *
 * Needs: weights, a sample. Gives: a table of t and all components of all states, at the accepted steps or at evenly
 * spaced times.
 * Elsewhere: who collects the rows (moment.c). */
#include "batch.h"
#include "command.h"

#include <stdlib.h>
#include <string.h>

static int find_solve(const NdeModel *m, const char *name, NdeError *e)
{
    if (!m->n_solve)
        return nde_fail(e, NDE_EXIT_FILE, "%s has no solve block", m->file), -1;
    for (int i = 0; i < m->n_solve; i++)
        if (!name || !strcmp(m->solve[i]->name, name))
            return i;
    char list[400] = "";
    for (int i = 0; i < m->n_solve; i++)
        if (!strstr(list, m->solve[i]->name))
            snprintf(list + strlen(list), sizeof list - strlen(list), " %s", m->solve[i]->name);
    return nde_fail(e, NDE_EXIT_FILE, "the model has no solve block '%s'; it has:%s", name, list), -1;
}

/* Runs the program that uses the solve; what it computes besides is thrown away. */
static int run_program(NdeEngine *e, const NdeFn *fn, NdeError *error)
{
    NdeRef *out = nde_allocate((size_t)fn->n_out, sizeof *out, error);
    char **memory = nde_allocate((size_t)fn->n_out, sizeof *memory, error);
    int status = out && memory ? 0 : error->exit_code;
    for (int i = 0; !status && i < fn->n_out; i++) {
        memory[i] = nde_allocate(nde_value_bytes(e, fn->out[i]) + 64, 1, error);
        if (memory[i])
            out[i] = nde_value_ref(e, fn->out[i], memory[i] + (64 - (uintptr_t)memory[i] % 64));
        else
            status = error->exit_code;
    }
    if (!status)
        status = nde_frame_run(e, fn, NULL, out);
    for (int i = 0; memory && i < fn->n_out; i++)
        free(memory[i]);
    free(memory);
    free(out);
    return status;
}

static int name_columns(const NdeSolve *solve, char **column, NdeError *e)
{
    int at = 0;
    if (!(column[at++] = nde_copy_text("t", e)))
        return e->exit_code;
    for (int i = 0; i < solve->n_state; i++)
        for (int k = 0; k < nde_user_state(solve, i).n; k++) {
            char text[128];
            snprintf(text, sizeof text, "%.100s[%d]", solve->state_name[i], k);
            if (!(column[at++] = nde_copy_text(text, e)))
                return e->exit_code;
        }
    return 0;
}

/* The rows of a trace, collected anew. */
typedef struct Path {
    NdeSession *s;
    const NdeFn *fn;
    const NdeSolve *solve;
    NdeTrace trace;
    size_t n; /* numbers */
} Path;

static int follow(void *context)
{
    Path *p = context;
    p->trace.n = 0;
    int status = run_program(&p->s->engine, p->fn, p->s->error);
    p->n = (size_t)p->trace.n * (size_t)p->trace.width;
    if (!status && !p->trace.n)
        status = nde_fail(p->s->error, NDE_EXIT_FILE,
                          "'%s' is not used by what the model outputs: choose another with --equation", p->solve->name);
    return status;
}

static int write_path(Path *p)
{
    const NdeSession *s = p->s;
    const NdeTrace *trace = &p->trace;
    char **column = nde_allocate((size_t)trace->width, sizeof *column, s->error);
    int status = column ? name_columns(p->solve, column, s->error) : s->error->exit_code;
    NdeSettle settle = {&p->s->engine, s->options->accuracy,       follow, p, &trace->row, &p->n,
                        trace->width,  (const char *const *)column};
    if (!status)
        status = nde_settle(&settle);
    /* t needs a double's digits, so the states get them too */
    NdeCells cells = {(const char *const *)column, trace->width, trace->n, trace->row, false};
    long dim[2] = {trace->n, trace->width};
    if (!status)
        status = nde_write_table(s->options, &cells, 2, dim, s->error);
    for (int i = 0; column && i < trace->width; i++)
        free(column[i]);
    free(column);
    return status;
}

static int trace_sample(NdeSession *s, const NdeFn *fn, const unsigned char *needs, int index)
{
    const NdeSolve *solve = s->model->solve[index];
    const NdeSet *set = s->test.count ? &s->test : &s->train;
    Path path = {s, fn, solve, {.solve = solve->name, .points = s->options->points, .width = 1}, 0};
    if (s->options->accuracy > 0 && !s->options->points)
        return nde_fail(s->error, NDE_EXIT_FILE,
                        "--accuracy compares states at the same times, and accepted steps are other ones each time: "
                        "add --points N");
    if (s->options->sample >= set->count)
        return nde_fail(s->error, NDE_EXIT_FILE, "--sample %ld: the %s has %ld samples, numbered from 0",
                        s->options->sample, set->name, set->count);
    for (int i = 0; i < solve->n_state; i++)
        path.trace.width += nde_user_state(solve, i).n;
    int status = nde_session_engine(s, 1, true);
    if (!status)
        status = nde_batch_fill(&s->engine, set, needs, set->index + s->options->sample, 1);
    if (status)
        return status;
    nde_batch_noise(&s->engine, NDE_FOR_EVALUATION, 0);
    s->engine.trace = &path.trace;
    status = write_path(&path);
    free(path.trace.row);
    return status;
}

int nde_trajectory(const NdeModel *m, NdeOptions *o, NdeError *e)
{
    const NdeFn *fn = m->predict_fn ? m->predict_fn : m->eval_fn;
    const unsigned char *needs = m->predict_fn ? m->predict_needs : m->eval_needs;
    int index = find_solve(m, o->solve, e);
    if (index < 0)
        return e->exit_code;
    if (!fn)
        return nde_fail(e, NDE_EXIT_FILE, "%s has neither an output nor a loss that uses the equations", m->file);
    NdeSession s;
    int status = nde_session_open(&s, m, o, o->input ? NDE_DATA_INPUT : NDE_DATA_TEST, needs, e);
    if (!status)
        status = trace_sample(&s, fn, needs, index);
    nde_session_close(&s);
    return status;
}
