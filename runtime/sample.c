/* sample.c: what a sample of a batch has to itself in a solve in which each has its own steps: the end of its span, its
 * saved times and how many of them count, its drawn times.
 *
 * Needs: the arguments of the solve. Gives: the course of a sample at its start, or what is wrong with its data.
 * Elsewhere: its steps (solve_sample.c). */
#include "lanes.h"

#include "rng.h"
#include "run.h"

#include <math.h>

/* Where it is read: the results of a flight that is open. */
typedef struct Reader {
    NdeEngine *e;
    NdeFlow *f;
    const NdeSolve *s;
    const NdeRef *in;
} Reader;

static int check_save(const Reader *r, const NdeCourse *c, int sample, int i)
{
    int code = r->s->dense_rate || r->s->is_learned ? NDE_EXIT_NUMERICAL : NDE_EXIT_DATA; /* it need not be the data */
    NdeSpan span = r->f->bounds;
    const char *name = r->s->name;
    const NdeFlight *w = &c->w;
    double time = c->save[i];
    long row = r->e->row[sample];
    if (isnan(time) && !r->s->is_learned)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is not a number\n  try: a count "
                        "of those that are times, `save … count …`",
                        row, i, name);
    if (time != w->t0 && nde_where(w->t0, w->t1, time) == NDE_ELSEWHERE)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is %g, outside of the span %g .. "
                        "%g",
                        row, i, name, span.start + span.length * time, span.start + span.length * w->t0,
                        span.start + span.length * w->t1);
    if (i > 0 && (time - c->save[i - 1]) * w->way < 0)
        return nde_fail(r->e->error, code,
                        "sample %ld of the data: entry %d of the save times of '%s' is %g, but the one before it is "
                        "%g: they follow the direction of the span",
                        row, i, name, span.start + span.length * time, span.start + span.length * c->save[i - 1]);
    return 0;
}

static int read_count(const Reader *r, NdeCourse *c, int sample)
{
    const NdeSolve *s = r->s;
    double count = nde_value_get(r->e, s->arg[s->arg_count], r->in[s->n_state + s->arg_count], sample, 0);
    if (!(count >= 0 && count <= s->n_save) || count != floor(count))
        return nde_fail(r->e->error, NDE_EXIT_DATA,
                        "sample %ld of the data: the count of the save times of '%s' is %g, not a whole number from 0 "
                        "to %d",
                        r->e->row[sample], s->name, count, s->n_save);
    c->n_save = (int)count;
    return 0;
}

static int read_saves(const Reader *r, NdeCourse *c, int sample)
{
    const NdeSolve *s = r->s;
    double *save = r->f->lanes->save + (size_t)sample * (size_t)s->n_save;
    c->save = c->w.save;
    c->n_save = s->n_save;
    int status = s->arg_count < 0 ? 0 : read_count(r, c, sample);
    for (int i = 0; i < s->n_save && (s->arg_save >= 0 || s->is_learned); i++) {
        const NdeRef *arg = r->in + s->n_state;
        save[i] = s->arg_save < 0
                      ? c->w.save[i] /* the sample's own part of its span */
                      : nde_flight_time(&c->w, nde_value_get(r->e, s->arg[s->arg_save], arg[s->arg_save], sample, i));
        c->save = save;
    }
    for (int i = 0; !status && i < c->n_save; i++)
        status = check_save(r, c, sample, i);
    return status;
}

static int read_end(const Reader *r, NdeFlight *w, int sample)
{
    const NdeSolve *s = r->s;
    if (s->arg_end < 0)
        return 0;
    w->t1 = nde_value_get(r->e, s->arg[s->arg_end], r->in[s->n_state + s->arg_end], sample, 0);
    w->way = w->t1 < w->t0 ? -1 : 1;
    if (isfinite(w->t1))
        return 0;
    return nde_fail(r->e->error, NDE_EXIT_DATA, "sample %ld of the data: the end of the span of '%s' is not finite",
                    r->e->row[sample], s->name);
}

static void draw_times(const Reader *r, const NdeFlight *w, int sample)
{
    uint64_t stream = nde_stream(NDE_STREAM_DRAW, r->s->index, r->e->run.train_step);
    int n = r->s->n_draw;
    for (int i = 0; i < n; i++) {
        double u = nde_random_uniform(r->e->seed, stream, (uint64_t)sample * (uint64_t)n + (uint64_t)i);
        double t = w->t0 + (w->t1 - w->t0) * u;
        if (i >= r->s->n_unbiased) /* known at the end */
            t = HUGE_VAL;
        r->f->lanes->drawn[sample * n + i] = (NdeDrawn){.t = t, .left = w->t1 - t};
    }
}

int nde_course_read(NdeEngine *e, NdeFlow *f, const NdeRef *in, NdeCourse *c, int sample)
{
    const Reader r = {e, f, f->solve, in};
    int status = f->solve->is_learned ? nde_flight_open(&c->w, sample) : read_end(&r, &c->w, sample);
    if (!status)
        status = read_saves(&r, c, sample);
    if (!status)
        draw_times(&r, &c->w, sample);
    return status;
}
