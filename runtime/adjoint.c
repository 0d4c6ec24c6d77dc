/* adjoint.c: the reverse of a solve: its accepted steps backwards, each through the derivative of the step function.
 *
 * Needs: the tape of the solve's last run, or its end and steps that can be undone.
 * Gives: the gradient of exactly what was computed, with the accepted step sizes held constant; drawn times, the time
 * left and step sizes carry no gradient.
 * A saved or drawn state inside step n is dense(u_n, u_n+1, d_n): its cotangent goes to those three, and that of d_n
 * into the derivative of the step. The loop owns its accumulators: no two of them are one array.
 * Elsewhere: the loop forwards (solve.c). */
#include "run.h"

#include <string.h>

/* One reverse under way. */
typedef struct Reverse {
    NdeEngine *e;
    NdeFlow *f;
    const NdeSolve *s;
    const NdeSolveVjp *vjp;
    const NdeRef *in, *seed, *out;
    NdeRef *after,
        *before; /* cotangents at the end and at the start of the step: f->lambda and f->lambda_new in turn */
    double end;
} Reverse;

NdeRef nde_seed_of(const NdeSolveVjp *vjp, const NdeRef *seed, int result)
{
    for (int i = 0; i < vjp->n_seed; i++)
        if (vjp->seed[i] == result)
            return seed[i];
    return (NdeRef){0};
}

static NdeRef seed_of(const Reverse *r, int result)
{
    return nde_seed_of(r->vjp, r->seed, result);
}

/* Each seeded state at a time inside the span is asked for by its first result index and its entry in a series. */
typedef struct Moment {
    int result; /* of state 0 */
    int entry;  /* in a saved series, or -1 */
} Moment;

static NdeRef moment_seed(const Reverse *r, Moment m, int state)
{
    NdeRef seed = seed_of(r, m.result + state);
    if (seed.at && m.entry >= 0)
        seed = nde_saved_ref(r->e, r->s->state[state], seed, m.entry);
    return seed;
}

static bool is_seeded(const Reverse *r, Moment m)
{
    for (int i = 0; i < r->s->n_state; i++)
        if (seed_of(r, m.result + i).at)
            return true;
    return false;
}

/* The moment was the state at a slot itself: its cotangent adds to lambda there. */
static void add_direct(Reverse *r, Moment m, NdeRef *lambda)
{
    for (int i = 0; i < r->s->n_state; i++) {
        NdeRef seed = moment_seed(r, m, i);
        if (seed.at)
            nde_value_add(r->e, r->s->state[i], lambda[i], seed);
    }
}

/* Zeros for what dense_vjp adds to, the cotangents of u but for `after` and of d, and d itself, the first time in a
 * step.
 */
static int begin_dense(Reverse *r)
{
    const NdeSolve *s = r->s;
    for (int i = 0; i < s->n_state; i++)
        nde_value_zero(r->e, s->state[i], r->f->extra[i]);
    for (int i = 0; i < s->n_dense; i++)
        nde_value_zero(r->e, s->dense_value[i], r->f->g_dense[i]);
    return r->vjp->reads_dense ? nde_dense_again(r->e, r->f) : 0;
}

void nde_dense_out(const NdeFlow *f, const NdeRef *after, NdeRef *out)
{
    const NdeSolve *s = f->solve;
    int o = 0;
    for (int i = 0; i < s->n_state; i++)
        out[o++] = f->extra[i];
    for (int i = 0; i < s->n_state; i++)
        out[o++] = after[i];
    for (int i = 0; i < s->n_dense; i++)
        out[o++] = f->g_dense[i];
}

static int add_through_dense(Reverse *r, Moment m, int slot, double theta)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = s->n_state, k = 2 * n;
    nde_tape_states(&f->tape, slot, n, f->call_in);
    nde_tape_states(&f->tape, slot + 1, n, f->call_in + n);
    for (int i = 0; i < s->n_dense; i++)
        f->call_in[k++] = f->dense[i];
    f->theta = theta;
    f->call_in[k++] = (NdeRef){&f->h, 0};
    f->call_in[k++] = (NdeRef){&f->theta, 0};
    for (int i = 0; i < s->n_state; i++) {
        NdeRef seed = moment_seed(r, m, i);
        if (!seed.at) { /* a state that nobody asked for at this time: its cotangent is 0 */
            seed = f->spare[i];
            nde_value_zero(r->e, s->state[i], seed);
        }
        f->call_in[k++] = seed;
    }
    nde_dense_out(f, r->after, f->call_out);
    return nde_frame_run(r->e, r->vjp->dense_vjp, f->call_in, f->call_out);
}

/* One moment of the step from `slot`, at a time that `where` places in it. */
static int add_moment(Reverse *r, Moment m, int slot, NdeWhere where, double theta, bool *has_dense)
{
    if (where == NDE_ELSEWHERE || !is_seeded(r, m))
        return 0;
    if (where == NDE_AT_END) {
        add_direct(r, m, r->after);
        return 0;
    }
    int status = *has_dense ? 0 : begin_dense(r);
    *has_dense = true;
    return status ? status : add_through_dense(r, m, slot, theta);
}

/* Cotangents of saved and drawn states after the start of the step and not after its end. */
static int add_moments(Reverse *r, int slot, bool *has_dense)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    NdeRange in = nde_saves_in(f, f->t, r->end);
    for (int i = in.from; i < in.to; i++) {
        double time = f->save[i];
        Moment m = {nde_result_saved(s, 0), i};
        int status = add_moment(r, m, slot, nde_where(f->t, r->end, time), (time - f->t) / f->h, has_dense);
        if (status)
            return status;
    }
    for (int i = 0; i < s->n_draw; i++) {
        const NdeDrawn *d = &f->drawn[i];
        Moment m = {nde_result_drawn(s, i), -1};
        NdeWhere where = d->theta > 0 && d->step == slot ? NDE_INSIDE : NDE_ELSEWHERE;
        if (d->theta <= 0 && d->step == slot + 1)
            where = NDE_AT_END;
        int status = add_moment(r, m, slot, where, d->theta, has_dense);
        if (status)
            return status;
    }
    return 0;
}

/* Cotangents of states asked for at the start of the span. */
static void add_start(Reverse *r)
{
    const NdeSolve *s = r->s;
    double t0 = nde_tape_point(&r->f->tape, 0)->t;
    for (int i = 0; i < s->n_save; i++)
        if (r->f->save[i] == t0)
            add_direct(r, (Moment){nde_result_saved(s, 0), i}, r->after);
    for (int i = 0; i < s->n_draw; i++)
        if (r->f->drawn[i].theta <= 0 && r->f->drawn[i].step == 0)
            add_direct(r, (Moment){nde_result_drawn(s, i), -1}, r->after);
}

/* What one step's quantity adds to the accumulated one. */
static double quantity_seed(const Reverse *r, int q, int slot)
{
    NdeRef seed = seed_of(r, nde_result_quantity(r->s, q));
    double g = *(const double *)seed.at;
    if (r->s->quantity_how[q] == 1)
        return r->f->tape.n ? g / r->f->tape.n : 0;
    return r->s->quantity_how[q] == 2 && r->f->most[q] != slot ? 0 : g;
}

/* The residuals of the step, to `to`: those that were kept, or formed again. */
static int find_residuals(Reverse *r, int slot, NdeRef *to)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    if (!s->record)
        return 0;
    if (!nde_tape_rest(r->e, &f->tape, slot, s->n_state + s->n_carry, s->n_residual, to))
        return r->e->error->exit_code;
    if (nde_tape_keeps(&f->tape, slot))
        return 0;
    r->e->reverse_evaluations += s->evaluations_step;
    return nde_frame_run(r->e, s->again, f->step_in, to);
}

/* Arguments of step_vjp, after those of the step: cotangents of u1, of carries, of quantities, of d; residuals. */
static int fill_step_vjp(Reverse *r, int slot, bool has_dense)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int n = s->n_state + s->n_carry, k = n + 2 + s->n_arg;
    memcpy(f->call_in, f->step_in, (size_t)k * sizeof *f->call_in);
    for (int i = 0; i < n; i++)
        if (i < s->n_state || r->vjp->seed_carry[i - s->n_state])
            f->call_in[k++] = r->after[i];
    for (int i = 0; i < s->n_quantity; i++)
        if (seed_of(r, nde_result_quantity(s, i)).at) {
            f->seed_quantity[i] = quantity_seed(r, i, slot);
            f->call_in[k++] = (NdeRef){&f->seed_quantity[i], 0};
        }
    for (int i = 0; r->vjp->seed_dense && i < s->n_dense; i++) {
        if (!has_dense)
            nde_value_zero(r->e, s->dense_value[i], f->g_dense[i]);
        f->call_in[k++] = f->g_dense[i];
    }
    return find_residuals(r, slot, f->call_in + k);
}

void nde_reverse_out(NdeFlow *f, const NdeSolveVjp *vjp, const NdeRef *lambda, bool with_carry, const NdeRef *g_arg,
                     const NdeRef *out)
{
    const NdeSolve *s = f->solve;
    int k = 0, o = 0;
    for (int i = 0; i < s->n_state; i++) {
        f->call_out[k++] = lambda[i];
        o += vjp->want[i];
    }
    for (int i = 0; with_carry && i < s->n_carry; i++)
        if (vjp->seed_carry[i])
            f->call_out[k++] = lambda[s->n_state + i];
    for (int i = 0; i < s->n_arg; i++)
        if (vjp->want[s->n_state + i]) {
            f->call_out[k++] = g_arg && s->arg[i].is_batched ? g_arg[i] : out[o];
            o++;
        }
}

static void fill_out(Reverse *r, const NdeRef *lambda, bool with_carry)
{
    nde_reverse_out(r->f, r->vjp, lambda, with_carry, NULL, r->out);
}

static int reverse_step(Reverse *r, int slot)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    bool has_dense = false, is_undone = f->tape.is_undone;
    r->end = nde_tape_point(&f->tape, slot + 1)->t;
    int status = is_undone ? nde_solve_undo(r->e, f, slot) : nde_solve_reach(r->e, f, slot, nde_tape_left(&f->tape));
    if (status)
        return status;
    NdePoint p = *nde_tape_point(&f->tape, slot);
    nde_solve_fill(r->e, f, slot, p.t, p.h);
    status = add_moments(r, slot, &has_dense);
    if (status)
        return status;
    status = fill_step_vjp(r, slot, has_dense);
    if (status)
        return status;
    fill_out(r, r->before, true);
    r->e->reverse_evaluations += s->evaluations_step;
    status = nde_sums_run(r->e, r->vjp->step_vjp, f->call_in, f->call_out);
    if (status)
        return status;
    for (int i = 0; has_dense && i < s->n_state; i++)
        nde_value_add(r->e, s->state[i], r->before[i], f->extra[i]);
    nde_tape_leave(&f->tape, slot + 1);
    NdeRef *swap = r->after;
    r->after = r->before;
    r->before = swap;
    return 0;
}

/* Through init: the cotangents of the first carries go to u0 and the arguments. */
static int reverse_init(Reverse *r)
{
    NdeFlow *f = r->f;
    const NdeSolve *s = r->s;
    int k = s->n_state;
    f->t = nde_tape_point(&f->tape, 0)->t;
    nde_tape_states(&f->tape, 0, k, f->call_in);
    f->call_in[k++] = (NdeRef){&f->t, 0};
    for (int i = 0; i < s->n_arg; i++)
        f->call_in[k++] = r->in[s->n_state + i];
    for (int i = 0; i < s->n_carry; i++)
        if (r->vjp->seed_carry[i])
            f->call_in[k++] = r->after[s->n_state + i];
    fill_out(r, r->after, false);
    r->e->reverse_evaluations += s->evaluations_init;
    return nde_frame_run(r->e, r->vjp->init_vjp, f->call_in, f->call_out);
}

/* lambda at the end of the span; the results of wanted arguments start at 0. */
static void begin(Reverse *r)
{
    const NdeSolve *s = r->s;
    int o = 0;
    for (int i = 0; i < s->n_state + s->n_carry; i++) {
        NdeValue v = nde_slot_value(s, i);
        NdeRef seed = i < s->n_state ? seed_of(r, i) : (NdeRef){0};
        if (i >= s->n_state && !r->vjp->seed_carry[i - s->n_state])
            continue;
        if (seed.at)
            nde_value_copy(r->e, v, r->after[i], seed);
        else
            nde_value_zero(r->e, v, r->after[i]);
    }
    for (int i = 0; i < s->n_state; i++)
        o += r->vjp->want[i];
    for (int i = 0; i < s->n_arg; i++)
        if (r->vjp->want[s->n_state + i])
            nde_value_zero(r->e, s->arg[i], r->out[o++]);
}

int nde_solve_vjp(NdeRun *run, const NdeSolveVjp *vjp, const NdeRef *in, const NdeRef *seed, const NdeRef *out)
{
    NdeEngine *e = (NdeEngine *)(void *)run;
    const NdeSolve *s = vjp->solve;
    NdeFlow *f = &e->flow[s->index];
    Reverse r = {.e = e,
                 .f = f,
                 .s = s,
                 .vjp = vjp,
                 .in = in,
                 .seed = seed,
                 .out = out,
                 .after = f->lambda,
                 .before = f->lambda_new};
    double began = nde_phase_begin(e);
    if (vjp->backward) {
        int outcome = nde_backward(e, vjp, in, seed, out);
        nde_phase_end(e, NDE_PHASE_REVERSE, began);
        return outcome;
    }
    if (s->is_per_sample) {
        int code = nde_reverse_lanes(e, f, vjp, in, seed, out);
        nde_phase_end(e, NDE_PHASE_REVERSE, began);
        return code;
    }
    if (!f->tape.is_kept && !f->tape.is_undone)
        return nde_fail(e->error, NDE_EXIT_MEMORY, "the reverse of '%s' was asked for, but its steps were not kept",
                        s->name);
    e->solves++;
    for (int i = 0; i < s->n_arg; i++)
        f->step_in[s->n_state + s->n_carry + 2 + i] = in[s->n_state + i];
    begin(&r);
    nde_sums_begin(e, vjp->step_vjp);
    for (int n = f->tape.n - 1; n >= 0; n--) {
        int status = reverse_step(&r, n);
        if (status)
            return status;
    }
    fill_out(&r, r.before, true);
    nde_sums_end(e, vjp->step_vjp, f->call_out);
    add_start(&r);
    int status = vjp->init_vjp ? reverse_init(&r) : 0;
    int o = 0;
    for (int i = 0; i < s->n_state; i++)
        if (vjp->want[i])
            nde_value_copy(e, s->state[i], out[o++], r.after[i]);
    nde_phase_end(e, NDE_PHASE_REVERSE, began);
    return status;
}
