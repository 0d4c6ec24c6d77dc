/* recall.c: what of a solve's steps is read when they are long over.
 *
 * Needs: the functions of a solve and of its reverse.  Gives: the states and carries that the tape keeps.
 * Elsewhere: the residuals of a step (ad.c), the tape (runtime/tape.c). */
#include "plan.h"

static bool reads_input(const Fn *fn, int input)
{
    for (int v = 0; fn && v < fn->ins.n; v++)
        for (int k = 0; k < fn->ins.at[v].n_arg; k++)
            if (fn->ins.at[v].arg[k] == (Val)input)
                return true;
    return false;
}

bool plan_reads_dense(const Solve *s, const SolveVjp *v)
{
    bool reads = false;
    for (int i = 0; v->dense_vjp && i < s->n_dense; i++)
        reads |= reads_input(v->dense_vjp, 2 * s->n_state + i);
    return reads;
}

/* Adds the carries that a step makes the states and carries in `is_read` of; true if there was one. */
static bool add_carries(Arena *a, const Solve *s, bool *is_read)
{
    const Fn *step = s->step;
    int n = s->n_state + s->n_carry;
    bool *is_used = ARENA_NEW(a, bool, step->ins.n + 1), is_new = false;
    for (int i = 0; i < n; i++)
        is_used[step->out.at[i]] |= is_read[i];
    for (int v = step->ins.n - 1; v >= 0; v--)
        for (int k = 0; is_used[v] && k < step->ins.at[v].n_arg; k++)
            is_used[step->ins.at[v].arg[k]] = true;
    for (int i = s->n_state; i < n; i++) {
        is_new |= is_used[i] && !is_read[i];
        is_read[i] |= is_used[i];
    }
    return is_new;
}

const bool *plan_read_back(Arena *a, const Solve *s, const SolveVjp *v)
{
    int n = s->n_state + s->n_carry;
    bool *is_read = ARENA_NEW(a, bool, n + 1);
    if (s->inverse)
        return is_read; /* what the reverse reads it forms again, step by step */
    for (int i = 0; i < n; i++) {
        is_read[i] = i < s->n_state ? v || s->n_unbiased < s->n_draw : false;
        if (v && i >= s->n_state)
            is_read[i] = reads_input(v->step_vjp, i) || reads_input(v->again, i) ||
                         (plan_reads_dense(s, v) && reads_input(s->step_keep, i));
    }
    while (s->set_memory >= 0 && add_carries(a, s, is_read))
        continue;
    return is_read;
}
