/* backward.c: the reverse of a solve by its adjoint system, which is solved backwards in time.
 *
 * Needs: the end of the solve (backsolve), or its steps on the tape. Gives: gradients up to the tolerance of the solve,
 * at times that the system chooses: the steps of the solve are no stops. It stops where a state was asked for, and its
 * cotangent jumps there.
 * The system is linear in the cotangents, so absolute tolerances are taken of their size: the gradient of c times a
 * loss is c times that of the loss, at the same steps, and the number of samples, over which a loss is the mean, is no
 * matter. Elsewhere: the loop over steps (solve.c), states between them (path.c), gradients by quadrature
 * (quadrature.c). */
#include "run.h"

#include <math.h>

typedef struct Back {
    NdeEngine *e;
    const NdeSolveVjp *vjp;
    const NdeSolve *of;
    NdeFlow *from, *f; /* of the solve, of the system */
    const NdeRef *in, *seed, *out;
    NdeFlight w;
    NdePath path;
    double size;
} Back;

/* ---- times at which cotangents come in ---- */

typedef struct Jump { /* a state that was asked for */
    double t;
    int result, entry; /* of state 0; entry of a saved series, or -1 */
} Jump;

static int jump_count(const Back *b)
{
    return 1 + b->of->n_save + b->of->n_draw;
}

static Jump jump_at(const Back *b, int i)
{
    const NdeSolve *s = b->of;
    if (i == 0)
        return (Jump){nde_tape_point(&b->from->tape, b->from->tape.n)->t, 0, -1};
    if (i <= s->n_save)
        return (Jump){b->from->save[i - 1], nde_result_saved(s, 0), i - 1};
    return (Jump){b->from->drawn[i - 1 - s->n_save].t, nde_result_drawn(s, i - 1 - s->n_save), -1};
}

static NdeRef jump_seed(const Back *b, Jump j, int state)
{
    NdeRef seed = nde_seed_of(b->vjp, b->seed, j.result + state);
    return seed.at && j.entry >= 0 ? nde_saved_ref(b->e, b->of->state[state], seed, j.entry) : seed;
}

static bool is_seeded(const Back *b, Jump j)
{
    for (int i = 0; i < b->of->n_state; i++)
        if (jump_seed(b, j, i).at)
            return true;
    return false;
}

/* The largest root mean square of a cotangent that comes in. */
static double seed_size(const Back *b)
{
    double most = 0;
    for (int k = 0; k < jump_count(b); k++) {
        double sum = 0, count = 0;
        for (int i = 0; i < b->of->n_state; i++) {
            NdeRef seed = jump_seed(b, jump_at(b, k), i);
            sum += seed.at ? nde_value_squares(b->e, b->of->state[i], seed) : 0;
            count += (double)b->of->state[i].n * b->e->count;
        }
        most = fmax(most, sqrt(sum / count));
    }
    return most > 0 ? most : 1;
}

static void add_jumps(Back *b, double t)
{
    for (int k = 0; k < jump_count(b); k++) {
        Jump j = jump_at(b, k);
        for (int i = 0; i < b->of->n_state && j.t == t; i++) {
            NdeRef seed = jump_seed(b, j, i);
            if (seed.at)
                nde_value_add(b->e, b->of->state[i], nde_tape_state(&b->f->tape, b->f->tape.n, i), seed);
        }
    }
}

/* The next time with a cotangent on the way from t to the start of the span, or that start. */
static double next_jump(const Back *b, double t)
{
    double next = nde_tape_point(&b->from->tape, 0)->t, way = b->w.way;
    for (int k = 0; k < jump_count(b); k++) {
        Jump j = jump_at(b, k);
        if ((j.t - t) * way > 0 && (next - j.t) * way > 0 && is_seeded(b, j))
            next = j.t;
    }
    return next;
}

/* ---- the system ---- */

/* Zero cotangents and gradients; the states of a backsolve are those at the end of the solve. */
static int start(Back *b, double t)
{
    NdeEngine *e = b->e;
    NdeFlow *f = b->f;
    const NdeSolve *s = b->w.s;
    int n = b->of->n_state, status = nde_tape_begin(e, f, false, t);
    if (status)
        return status;
    for (int i = 0; i < s->n_state; i++) {
        NdeRef to = nde_tape_state(&f->tape, 0, i);
        if (b->of->forgets_steps && i >= n && i < 2 * n)
            nde_value_copy(e, s->state[i], to, nde_tape_state(&b->from->tape, b->from->tape.n, i - n));
        else
            nde_value_zero(e, s->state[i], to);
    }
    *(double *)f->extra_in[0].at = b->size;
    for (int i = 0; i < s->n_extra; i++)
        f->step_in[s->n_state + s->n_carry + 2 + i] = f->extra_in[i];
    for (int i = 0; i < s->n_arg; i++) {
        f->step_in[nde_first_arg(s) + i] = b->in[n + i];
        b->from->step_in[nde_first_arg(b->of) + i] = b->in[n + i];
    }
    f->evaluations = f->accepted = f->rejected = 0;
    f->is_stepping = false;
    f->broken_h = 0;
    return 0;
}

/* What the next step is handed, after a jump. */
static int hand_over(Back *b)
{
    NdeFlow *f = b->f;
    const NdeSolve *s = b->w.s;
    int k = 0, n_given = f->path ? b->of->n_state : 0;
    if (!s->init)
        return 0;
    f->t = b->w.t;
    if (n_given) {
        int status = nde_path_state(b->e, f->path, f->t, f->extra_in + 1);
        if (status)
            return status;
    }
    for (int i = 0; i < s->n_state; i++)
        f->call_in[k++] = nde_tape_state(&f->tape, f->tape.n, i);
    f->call_in[k++] = (NdeRef){&f->t, 0};
    for (int i = 0; i < n_given; i++)
        f->call_in[k++] = f->extra_in[1 + i];
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = f->step_in[nde_first_arg(s) + i];
    for (int i = 0; i < s->n_carry; i++)
        f->call_out[i] = nde_tape_state(&f->tape, f->tape.n, s->n_state + i);
    f->evaluations += s->evaluations_init;
    return nde_frame_run(b->e, s->init, f->call_in, f->call_out);
}

/* The longer one of the last two steps of the solve: the last may be cut to the end. */
static double last_size(const NdeTape *tape)
{
    double h = 0;
    for (int i = tape->n - 1; i >= 0 && i >= tape->n - 2; i--)
        h = fmax(h, fabs(nde_tape_point(tape, i)->h));
    return h;
}

static int pieces(Back *b)
{
    NdeFlight *w = &b->w;
    double first = nde_tape_point(&b->from->tape, 0)->t;
    add_jumps(b, w->t);
    while (w->t != first) {
        w->t0 = w->t;
        w->t1 = next_jump(b, w->t);
        int status = hand_over(b);
        if (!status)
            status = nde_flight_steps(w);
        if (status)
            return status;
        add_jumps(b, w->t);
    }
    return 0;
}

double nde_tolerance_least(const NdeEngine *e, int set, int n)
{
    double least = e->setting[set];
    for (int i = 1; i < n; i++)
        least = fmin(least, e->setting[set + i]);
    return least;
}

/* Of component k of a state, which is the `first` + k-th one as written; of an integral the first entry, of a reduced
 * state the least (compiler/backwards.c). */
static double tolerance_of(const Back *b, int set, int n, int state, int at)
{
    if (b->of->state[state].n != nde_user_state(b->of, state).n)
        return nde_tolerance_least(b->e, set, n);
    return b->e->setting[set + (at < n ? at : 0)];
}

/* How far a state of a backsolve ends from where the solve began, over the tolerance, to the sum of squares. */
static void add_drift(const Back *b, int state, int first, double *sum, double *count)
{
    const NdeSolve *s = b->of;
    NdeValue v = s->state[state];
    NdeRef back = nde_tape_state(&b->f->tape, b->f->tape.n, s->n_state + state);
    for (int k = 0; k < v.n; k++) {
        double atol = tolerance_of(b, s->set_atol, s->n_atol, state, first + k);
        double rtol = tolerance_of(b, s->set_rtol, s->n_rtol, state, first + k);
        for (int sample = 0; sample < b->e->count; sample++) {
            double u = nde_value_get(b->e, v, b->in[state], sample, k);
            double x = (nde_value_get(b->e, v, back, sample, k) - u) / (atol + rtol * fabs(u));
            *sum += x * x;
            *count += 1;
        }
    }
}

static void note_drift(Back *b)
{
    NdeEngine *e = b->e;
    const NdeSolve *s = b->of;
    double sum = 0, count = 0;
    for (int i = 0, first = 0; i < s->n_state; i++) {
        add_drift(b, i, first, &sum, &count);
        first += nde_user_state(s, i).n;
    }
    double drift = sqrt(sum / count);
    if (!(drift <= e->drift)) {
        e->drift = drift;
        e->drifted = s->name;
    }
}

static void finish(Back *b)
{
    NdeEngine *e = b->e;
    const NdeSolve *s = b->w.s, *of = b->of;
    int o = 0, g = of->forgets_steps ? 2 * of->n_state : of->n_state;
    for (int i = 0; i < of->n_state; i++)
        if (b->vjp->want[i])
            nde_value_copy(e, of->state[i], b->out[o++], nde_tape_state(&b->f->tape, b->f->tape.n, i));
    for (int i = 0; i < of->n_arg && !s->rate; i++)
        if (b->vjp->want[of->n_state + i]) {
            nde_value_copy(e, of->arg[i], b->out[o++], nde_tape_state(&b->f->tape, b->f->tape.n, g));
            g++;
        }
    e->reverse_evaluations += b->f->evaluations;
    if (of->forgets_steps)
        note_drift(b);
}

/* Results by quadrature are added up where they are asked for. */
static void open_totals(Back *b)
{
    int o = 0;
    for (int i = 0; i < b->of->n_state; i++)
        o += b->vjp->want[i];
    b->f->total = b->out + o;
    for (int i = 0; b->w.s->rate && i < b->w.s->rate->n_out; i++)
        nde_value_zero(b->e, b->w.s->rate->out[i], b->f->total[i]);
}

static void zero_results(Back *b)
{
    const NdeSolve *s = b->of;
    for (int i = 0, o = 0; i < s->n_state + s->n_arg; i++)
        if (b->vjp->want[i])
            nde_value_zero(b->e, i < s->n_state ? s->state[i] : s->arg[i - s->n_state], b->out[o++]);
}

static int run(Back *b)
{
    NdeFlight *w = &b->w;
    const NdeTape *tape = &b->from->tape;
    double t1 = nde_tape_point(tape, tape->n)->t, t0 = nde_tape_point(tape, 0)->t;
    w->t0 = t1;
    w->t1 = t0;
    int status = nde_flight_prepare(w);
    if (status)
        return status;
    b->size = seed_size(b);
    w->t = b->of->forgets_steps || is_seeded(b, jump_at(b, 0)) ? t1 : next_jump(b, t1);
    w->h = w->fixed > 0 ? w->fixed : last_size(tape);
    status = start(b, w->t);
    open_totals(b);
    return status ? status : pieces(b);
}

int nde_backward(NdeEngine *e, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed, const NdeRef *out)
{
    NdeFlow *from = &e->flow[vjp->solve->index], *f = &e->flow[vjp->backward->index];
    Back b = {.e = e, .vjp = vjp, .of = vjp->solve, .from = from, .f = f, .in = in, .seed = seed, .out = out};
    NdeMode mode = e->replay.mode;
    bool is_holding = e->run.is_holding;
    if (mode == NDE_REPLAY) { /* for differences of the loss, and nobody reads the gradient */
        zero_results(&b);
        return 0;
    }
    b.w = (NdeFlight){.e = e, .f = f, .s = vjp->backward, .unit = nde_span_unit(from->bounds)};
    b.path = (NdePath){.of = from, .slot = from->tape.n - 1, .formed = -1};
    f->path = b.of->forgets_steps ? NULL : &b.path;
    f->bounds = from->bounds;
    e->solves++;
    e->replay.mode = NDE_LIVE; /* it takes steps of its own, whatever the solve repeats */
    e->run.is_holding = false;
    int status = run(&b);
    e->replay.mode = mode;
    e->run.is_holding = is_holding;
    f->path = NULL;
    if (!status)
        finish(&b);
    return status;
}
