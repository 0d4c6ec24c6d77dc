/* carry.c: what a method hands from step to step besides the state, and whether its steps can be undone.
 *
 * Needs: the block while it is read (tableau.h).  Gives: the rows `slope`, `state` and `share`, which make a table of
 * stages a general linear method (Butcher 1966); the proof that errors of what is carried do not grow; that of the way
 * back.  Elsewhere: the order conditions of all rows (proof.c), the step and its inverse (step.c).
 *
 * With `slope`, k_1 is not evaluated but carried: it starts as f(u, t) and becomes sum_j slope_j k_j. With `state` and
 * `share` a second state w is carried: it starts as u, and with s_i the shares, s the last of them,
 *   the argument of stage i is (1 - s_i) u + s_i w + h sum_j a_ij k_j,
 *   and w becomes              (1 - s) u + s w + h sum_j state_j k_j.
 * Such a method has order p (Hairer, Norsett & Wanner 1993, III.8: local errors of size h^p in what is carried are no
 * loss where they are multiplied by s or slope_1 in each step, from -1 to below 1) if b has it, h k_1 meets
 * h f(u, t) of the next step up to h^p, and w the next u up to h^(p - 1). */
#include "tableau.h"

void carry_read(Method *m)
{
    int order = m->weights[PART_b].order;
    const Rat **slope = tableau_row(m, PART_slope, m->stages), **state = tableau_row(m, PART_state, m->stages);
    m->weights[PART_slope] = (Weights){slope ? order : 0, slope};
    m->weights[PART_state] = (Weights){state ? order - 1 : 0, state};
    m->share = tableau_row(m, PART_share, m->stages + 1);
    for (int i = 0; i < 2; i++) { /* one is nothing without the other */
        Part here = i ? PART_state : PART_share, missing = i ? PART_share : PART_state;
        if (m->part[here] && !m->part[missing])
            REPORT(m, TABLEAU_NO_ROW, m->part[here]->span, m->node->text, part_name[missing]);
    }
    if (m->part[PART_fsal] && (m->part[PART_slope] || m->part[PART_state]))
        REPORT(m, TABLEAU_CARRY_TWICE, m->part[PART_fsal]->span, m->node->text);
}

static const Rat **slope(const Method *m)
{
    return m->weights[PART_slope].value;
}

static const Rat **state(const Method *m)
{
    return m->weights[PART_state].value;
}

/* Is an error that a step multiplies by x gone, or of the other sign, in the next one? */
static void prove_decay(Method *m, const Rat *x, const Node *entry)
{
    const Rat *one = rat_int(m->arena, 1);
    if (rat_sign(rat_sub(m->arena, x, one)) >= 0 || rat_sign(rat_add(m->arena, x, one)) < 0)
        REPORT(m, TABLEAU_CARRY_GROWS, entry->span, m->node->text, rat_to_double(x));
}

void carry_prove(Method *m)
{
    if (slope(m))
        prove_decay(m, slope(m)[0], m->part[PART_slope]->kid[0]);
    if (m->share)
        prove_decay(m, m->share[m->stages], m->part[PART_share]->kid[m->stages]);
    if (slope(m) && m->share && rat_sign(m->share[0]) != 0)
        REPORT(m, TABLEAU_CARRY_FIRST, m->part[PART_share]->kid[0]->span, m->node->text);
}

/* ---- the way back ----
 * Everything in a step is a sum of multiples of u, w and h k_1, h k_2, ...: a form, the list of its coefficients. A
 * step of -h is taken from the forms at the end of a step of h. It is the way back if each of its stages has the
 * argument and the time of a stage before it, hence the same k, and it ends where the first one began. */

typedef const Rat **Form; /* [2 + stages] */

typedef struct Step { /* of which k[0] is given if it is carried */
    Form u, w, *k, *argument;
} Step;

static Form unit(const Method *m, int index)
{
    Form f = ARENA_NEW(m->arena, const Rat *, m->stages + 2);
    for (int i = 0; i < m->stages + 2; i++)
        f[i] = rat_int(m->arena, i == index);
    return f;
}

/* (1 - share) u + share w + sign (the sum of n weighted k); without u and w if share is NULL. */
static Form sum(const Method *m, const Step *s, const Rat *share, const Rat *const *weight, int n, int sign)
{
    Arena *a = m->arena;
    const Rat *rest = share ? rat_sub(a, rat_int(a, 1), share) : NULL;
    Form f = ARENA_NEW(a, const Rat *, m->stages + 2);
    for (int i = 0; i < m->stages + 2; i++) {
        f[i] = share ? rat_add(a, rat_mul(a, rest, s->u[i]), rat_mul(a, share, s->w[i])) : rat_int(a, 0);
        for (int j = 0; j < n; j++)
            f[i] = rat_add(a, f[i], rat_mul(a, rat_mul(a, rat_int(a, sign), weight[j]), s->k[j][i]));
    }
    return f;
}

static bool same(const Rat *const *x, const Rat *const *y, int n)
{
    for (int i = 0; i < n; i++)
        if (!mpq_equal(x[i]->q, y[i]->q))
            return false;
    return true;
}

static const Rat *share_of(const Method *m, int stage)
{
    return m->share ? m->share[stage] : rat_int(m->arena, 0);
}

/* Is the carried k_1 always f(w, t)? So it is if it becomes a stage at the end of the step whose argument w becomes. */
static bool is_slope_of_w(const Method *m)
{
    for (int j = 0; slope(m) && m->share && j < m->stages; j++) {
        const Rat *one = rat_int(m->arena, 1);
        if (same(slope(m), unit(m, j + 2) + 2, m->stages) && mpq_equal(m->c[j]->q, one->q) &&
            same(state(m), m->a + j * m->all_stages, m->stages) && same(&m->share[j], &m->share[m->stages], 1))
            return true;
    }
    return false;
}

/* The k of the first step at the argument and the time of stage i of the step back, or NULL. */
static Form known(const Method *m, const Step *first, const Rat *const *argument, int i)
{
    const Rat *time = rat_sub(m->arena, rat_int(m->arena, 1), m->c[i]);
    for (int j = slope(m) != NULL; j < m->stages; j++)
        if (mpq_equal(time->q, m->c[j]->q) && same(argument, first->argument[j], m->stages + 2))
            return first->k[j];
    return rat_sign(time) == 0 && is_slope_of_w(m) && same(argument, first->w, m->stages + 2) ? first->k[0] : NULL;
}

static Form argument_of(const Method *m, const Step *s, int stage, int sign)
{
    return sum(m, s, share_of(m, stage), m->a + stage * m->all_stages, stage, sign);
}

/* Where a step ends whose stages are known. */
static Step step_end(const Method *m, const Step *s, int sign)
{
    Step end = {.u = sum(m, s, rat_int(m->arena, 0), m->weights[PART_b].value, m->stages, sign),
                .w = m->share ? sum(m, s, share_of(m, m->stages), state(m), m->stages, sign) : s->w,
                .k = ARENA_NEW(m->arena, Form, m->stages)};
    if (slope(m))
        end.k[0] = sum(m, s, NULL, slope(m), m->stages, 1);
    return end;
}

bool carry_is_reversible(const Method *m)
{
    int n = m->stages;
    if (!slope(m) && !m->share)
        return false;
    Step first = {unit(m, 0), unit(m, 1), ARENA_NEW(m->arena, Form, n), ARENA_NEW(m->arena, Form, n)};
    for (int i = 0; i < n; i++) {
        first.k[i] = unit(m, i + 2);
        first.argument[i] = argument_of(m, &first, i, 1);
    }
    Step back = step_end(m, &first, 1);
    for (int i = slope(m) != NULL; i < n; i++)
        if (!(back.k[i] = known(m, &first, argument_of(m, &back, i, -1), i)))
            return false;
    Step start = step_end(m, &back, -1);
    return same(start.u, first.u, n + 2) && same(start.w, first.w, n + 2) &&
           (!slope(m) || same(start.k[0], first.k[0], n + 2));
}
