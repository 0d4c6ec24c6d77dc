/* watch.c: what is said about a run that fails: where, which component, and the first value that is not finite.
 *
 * Needs: a solve that cannot go on, or a loss that is not finite. Gives: a message that names the time, the step size,
 * the worst component, the line of the model and two next moves.
 * Elsewhere: the sentences (status.def), who decides that it failed (solve.c, train.c). */
#include "lanes.h"
#include "run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Status {
    const char *sentence;
    size_t setting; /* offset of an int in NdeSolve */
    const char *value, *first, *second;
} Status;

static const Status status_row[] = {
#define STATUS(id, sentence, setting, value, first, second) \
    {sentence, offsetof(NdeSolve, setting), value, first, second},
#include "status.def"
#undef STATUS
};

/* ---- the first value that is not finite ---- */

void nde_watch_begin(NdeEngine *e)
{
    e->watch = (NdeWatch){.only = -1};
    e->run.is_watching = true;
}

void nde_watch(NdeRun *run, int tile, const void *v, size_t n, bool is_double, int line, const char *name)
{
    NdeEngine *e = (NdeEngine *)(void *)run;
    int lanes = e->model->tile;
    if (e->watch.is_found)
        return;
    for (size_t i = 0; i < n; i++) {
        double x = is_double ? ((const double *)v)[i] : (double)((const Real *)v)[i];
        int only = e->watch.only, lane = (int)(i % (size_t)lanes);
        if (isfinite(x) || (tile >= 0 && only >= 0 && only != tile * lanes + lane))
            continue;
        e->watch = (NdeWatch){.is_found = true, .line = line, .tile = tile, .only = only};
        e->watch.lane = tile < 0 ? 0 : lane;
        e->watch.element = (int)(tile < 0 ? i : i / (size_t)lanes);
        snprintf(e->watch.name, sizeof e->watch.name, "%s", name ? name : "");
        return;
    }
}

void nde_watch_text(NdeEngine *e, char *out, size_t size)
{
    const NdeWatch *w = &e->watch;
    e->run.is_watching = false;
    out[0] = '\0';
    if (!w->is_found)
        return;
    char place[64] = "";
    if (w->tile >= 0 && w->only < 0)
        snprintf(place, sizeof place, ", sample %d of the batch", w->tile * e->model->tile + w->lane);
    snprintf(out, size, "\n  first value that is not finite: %s[%d]%s, at %s:%d", w->name[0] ? w->name : "a value",
             w->element, place, e->model->file, w->line);
}

/* ---- the worst component of a step ---- */

typedef struct Worst {
    double size; /* scaled error, or infinity */
    int state, element, sample;
} Worst;

/* Runs `scaled` for the step in step_in and looks through what it gives. */
static Worst find_worst(NdeEngine *e, NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    Worst worst = {.size = 0};
    int first = f->lane < 0 ? 0 : f->lane, end = f->lane < 0 ? e->count : f->lane + 1;
    if (!s->scaled || nde_frame_run(e, s->scaled, f->step_in, f->user))
        return worst;
    for (int i = 0; i < s->scaled->n_out; i++)
        for (int sample = first; sample < end; sample++)
            for (int k = 0; k < nde_user_state(s, i).n; k++) {
                double size = fabs(nde_value_get(e, nde_user_state(s, i), f->user[i], sample, k));
                if (!isfinite(size))
                    size = HUGE_VAL;
                if (size > worst.size)
                    worst = (Worst){size, i, k, sample};
            }
    return worst;
}

/* Adds to a text that ends with its memory. */
static void add(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + used, size - used, format, args);
    va_end(args);
}

/* No step was tried: the guess of the first one failed, and its arguments are still there. What it was handed comes
 * from `init`, which is run again too. */
static int start_again(NdeEngine *e, NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    int n = s->n_state + s->n_carry;
    if (s->init) {
        memcpy(f->step_in, f->call_in, (size_t)s->n_state * sizeof *f->step_in);
        f->step_in[s->n_state] = f->call_in[n];
        memcpy(f->step_in + s->n_state + 1, f->call_in + n + 2, (size_t)s->n_arg * sizeof *f->step_in);
        int status = nde_frame_run(e, s->init, f->step_in, f->spare + s->n_state);
        if (status)
            return status;
    }
    return nde_frame_run(e, s->guess, f->call_in, f->call_out);
}

static int step_again(NdeEngine *e, NdeFlow *f)
{
    const NdeSolve *s = f->solve;
    if (!f->is_stepping)
        return start_again(e, f);
    return s->step_keep ? nde_dense_again(e, f) : nde_frame_run(e, s->step, f->step_in, f->step_out);
}

/* The sample of the flow's lane, where each has its own steps; else the one at this place of the batch. */
static void sample_text(const NdeEngine *e, const NdeFlow *f, int place, char *out, size_t size)
{
    if (f->lane < 0)
        snprintf(out, size, "sample %d of the batch", place);
    else
        snprintf(out, size, "sample %ld of the data", e->row[f->lanes->who[f->lane]]);
}

/* Runs the step that failed once more, watching; if all was finite in it, also a longer one before it that broke. */
static void look_again(NdeEngine *e, NdeFlow *f, char *out, size_t size)
{
    const NdeSolve *s = f->solve;
    char found[256], sample[64];
    Worst worst = {0};
    nde_watch_begin(e);
    e->watch.only = f->lane;
    if (!step_again(e, f) && f->is_stepping)
        worst = find_worst(e, f);
    sample_text(e, f, worst.sample, sample, sizeof sample);
    if (worst.size > 0)
        add(out, size, "\n  largest error: %s[%d] of %s (%.3g times the tolerance)", s->state_name[worst.state],
            worst.element, sample, worst.size);
    nde_watch_text(e, found, sizeof found);
    if (!found[0] && f->broken_h != 0) {
        f->h = f->broken_h;
        if (f->lane >= 0)
            nde_lane_scalar(f->lanes->h)[f->lane] = (Real)f->h;
        nde_watch_begin(e);
        e->watch.only = f->lane;
        step_again(e, f);
        nde_watch_text(e, found, sizeof found);
        if (found[0])
            add(out, size, "\n  with h = %.3g:", nde_span_now(e, f).length * f->h);
    }
    add(out, size, "%s", found);
}

int nde_solve_fails(NdeEngine *e, NdeFlow *f, NdeOutcome outcome)
{
    const NdeSolve *s = f->solve;
    const Status *row = &status_row[outcome];
    int setting = *(const int *)(const void *)((const char *)s + row->setting);
    char text[sizeof e->error->text];
    NdeSpan span = nde_span_now(e, f);
    snprintf(text, sizeof text, "'%s' (%s:%d): %s", s->name, e->model->file, s->line, row->sentence);
    add(text, sizeof text, "\n  t = %.9g  h = %.3g  after %.0f accepted and %.0f rejected steps of %s",
        span.start + span.length * f->t, span.length * f->h, f->accepted, f->rejected, s->method);
    if (f->lane >= 0)
        add(text, sizeof text, " of sample %ld of the data", e->row[f->lanes->who[f->lane]]);
    look_again(e, f, text, sizeof text);
    add(text, sizeof text, "\n  try: %s", row->first);
    if (setting >= 0)
        add(text, sizeof text, " (--set %s=%s)", e->model->setting[setting].name, row->value);
    add(text, sizeof text, "\n  try: %s", row->second);
    return nde_fail(e->error, NDE_EXIT_NUMERICAL, "%s", text);
}
