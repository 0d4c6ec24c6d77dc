/* ride.c: small products and sums that are worked out inside a loop over elements.
 *
 * Needs: sums over the batch (plan.c).  Gives: for each such value how it rides on a loop, and which sums are collected
 * in lanes. A kernel for a product of a few numbers costs more in calls and memory than in arithmetic:
 *   map   y = W x with few columns: an element of y is an expression of one row of W and all of x
 *   fold  y = W x with few rows: y is summed while the loop passes the elements of x
 *   add   a sum over the samples, of a value or of an outer product with a short side: added element by element to
 *         vectors, whose lanes are summed when the sum is read
 * Elsewhere: which loop (group.c), the statements (emit_group.c). */
#include "plan.h"

enum { SHORT = 4 };

int plan_ride_size(const PlanFn *f, Val v)
{
    const Ins *ins = &f->fn->ins.at[v];
    if (f->ride[v] == RIDE_map)
        return plan_size(f, v);
    if (f->ride[v] == RIDE_fold)
        return plan_size(f, ins->arg[1]);
    Val product = plan_absorbed(f, v);
    return product == NO_VAL ? plan_size(f, v) : plan_size(f, plan_ride_element(f, v));
}

const Ins *plan_ride_ins(const PlanFn *f, Val v)
{
    Val product = f->ride[v] == RIDE_add ? plan_absorbed(f, v) : NO_VAL;
    return &f->fn->ins.at[product == NO_VAL ? v : product];
}

Val plan_ride_element(const PlanFn *f, Val v)
{
    const Ins *ins = plan_ride_ins(f, v);
    if (f->ride[v] == RIDE_map)
        return NO_VAL;
    if (f->ride[v] == RIDE_fold)
        return ins->arg[1];
    if (ins->n_arg == 1)
        return ins->arg[0];
    return ins->arg[plan_size(f, ins->arg[1]) > SHORT];
}

/* W x of shared weights and one vector of each sample. */
static Ride product_ride(const PlanFn *f, const Ins *ins)
{
    if ((ins->op != OP_mm_nn && ins->op != OP_mm_tn) || !ins->type.is_batched)
        return RIDE_none;
    Type w = fn_type(f->fn, ins->arg[0]), x = fn_type(f->fn, ins->arg[1]);
    if (w.is_batched || w.rank != 2 || x.rank != 1 || type_size(w) == 1)
        return RIDE_none;
    int rows = type_size(ins->type), inner = type_size(x);
    return inner <= SHORT ? RIDE_map : rows <= SHORT ? RIDE_fold : RIDE_none;
}

/* A contribution that can be added in lanes. */
static bool can_add(const PlanFn *f, Val v)
{
    if (f->fn->ins.at[v].op != OP_bsum)
        return false;
    Val product = plan_absorbed(f, v);
    if (product == NO_VAL)
        return true;
    const Ins *ins = &f->fn->ins.at[product];
    int m = plan_size(f, ins->arg[0]), j = plan_size(f, ins->arg[1]);
    return ins->op == OP_mm_nt && m * j == type_size(ins->type) && (m <= SHORT || j <= SHORT);
}

void ride_fn(Plan *p, PlanFn *f)
{
    int n = f->fn->ins.n;
    f->ride = ARENA_NEW(p->m->arena, Ride, n + 1);
    f->is_laned = ARENA_NEW(p->m->arena, bool, n + 1);
    for (int v = 0; v < n; v++) {
        f->ride[v] = product_ride(f, &f->fn->ins.at[v]);
        if (f->is_absorbed[v])
            f->ride[v] = RIDE_none;
        f->is_laned[v] =
            f->kind == FN_top && f->root[v] == (Val)v && plan_size(f, (Val)v) > 1 && plan_size(f, (Val)v) <= RIDE_MOST;
    }
    for (int v = 0; v < n; v++)
        if (f->root[v] != NO_VAL && plan_is_contribution(f, (Val)v) && !can_add(f, (Val)v))
            f->is_laned[f->root[v]] = false;
    for (int v = 0; v < n; v++)
        if (f->root[v] != NO_VAL && plan_is_contribution(f, (Val)v) && f->is_laned[f->root[v]])
            f->ride[v] = RIDE_add;
}
