/* group.c: which instructions share a loop, and the order of everything in a part.
 *
 * Needs: the parts of a function (plan.c).  Gives: its groups in order.
 * Instructions are visited last to first, and so are groups made: every user of a value is in a group made before the
 * value is visited. A map joins the loop that needs it first, if no group between must see the whole of it; else the
 * group made last, if that is a loop over as many elements. So a value is made where it is used, and the sum of a stage
 * is one loop. A map that nobody in the part uses is made where its last operand is; so is a term of a sum in lanes.
 * Elsewhere: memory (store.c). */
#include "plan.h"

#include "../runtime/nde.h" /* NDE_MAX_TERMS */

#include <string.h>

typedef struct Grouping {
    Plan *p;
    PlanFn *f;
    int part;
    int *latest;  /* of a value: the number of the group, in order of making, that needs it first in time; -1: none */
    int *blocked; /* the same for groups that need all of its elements at once */
    Val *waiting; /* of a value: the first of those that wait for it .. */
    Val *behind;  /* .. and of one of them: the next one that waits too */
    LIST(Group *) made;
    bool adds_at_once; /* sums in lanes are added to where their terms are made */
} Grouping;

/* A loop that adds to sums reads and writes them once for all vectors of a tile. Where a tile is one vector, of 32
 * bytes on most machines, one loop for all terms is as good or better. */
static bool adds_at_once(const Plan *p)
{
    const Train *train = p->model->train_block;
    return !train || p->model->settings.at[train->set_batch].value * (p->is_double ? 8 : 4) > 32;
}

static GroupKind kind_of(const PlanFn *f, Val v)
{
    const Ins *ins = &f->fn->ins.at[v];
    if (plan_is_map(ins->op))
        return plan_is_number(f, v) ? GROUP_number : GROUP_loop;
    if ((ins->op == OP_sum && ins->type.is_batched) || f->ride[v] != RIDE_none)
        return GROUP_loop;
    if (ins->op == OP_concat)
        return GROUP_concat;
    if (ins->op == OP_detach)
        return GROUP_copy;
    if (ins->op == OP_bsum)
        return GROUP_sum;
    if (f->root[v] != NO_VAL && ins->op == OP_pad)
        return GROUP_add;
    if (ins->op == OP_call)
        return GROUP_call;
    return ins->op == OP_solve || ins->op == OP_solve_vjp ? GROUP_solve : GROUP_kernel;
}

/* Group g reads v; loop: the number of elements if it is a loop that reads v element by element, else 0. */
static void note_use(Grouping *s, Val v, int g, int loop)
{
    const PlanFn *f = s->f;
    const Ins *ins = &f->fn->ins.at[v];
    int offset;
    bool is_view = f->root[v] == NO_VAL && plan_is_view(f->fn, v, &offset);
    if (plan_is_leaf(f, v))
        return;
    if (ins->op == OP_result) {
        note_use(s, ins->arg[0], g, 0);
    } else if (is_view || (f->root[v] != NO_VAL && !plan_is_contribution(f, v))) {
        bool is_same = is_view && plan_size(f, ins->arg[0]) == plan_size(f, v);
        for (int k = 0; k < ins->n_arg; k++)
            note_use(s, ins->arg[k], g, is_same ? loop : 0);
    } else if (f->in_part[v] == s->part) {
        if (g > s->latest[v])
            s->latest[v] = g;
        if ((loop == 0 || plan_size(f, v) != loop) && g > s->blocked[v])
            s->blocked[v] = g;
    }
}

static bool is_loop_of(const Group *g, int n, bool is_batched)
{
    return g->kind == GROUP_loop && g->n == n && g->is_batched == is_batched;
}

static int new_group(Grouping *s, GroupKind kind, int n, bool is_batched)
{
    Group *g = ARENA_NEW(s->p->m->arena, Group, 1);
    g->kind = kind;
    g->n = n;
    g->is_batched = is_batched;
    list_push(s->p->m->arena, s->made, g);
    return s->made.n - 1;
}

/* Which loop takes v. A sum is known only behind its loop, so its users are in later ones. */
static int find_loop(Grouping *s, Val v)
{
    const Ins *ins = &s->f->fn->ins.at[v];
    Ride ride = s->f->ride[v];
    bool is_sum = ins->op == OP_sum || ride == RIDE_fold, is_batched = ins->type.is_batched || ride == RIDE_add;
    int n = plan_size(s->f, ins->op == OP_sum ? ins->arg[0] : v), first = s->latest[v], newest = s->made.n - 1;
    if (ride != RIDE_none)
        n = plan_ride_size(s->f, v);
    if (!is_sum && first >= 0 && s->blocked[v] < first && is_loop_of(s->made.at[first], n, is_batched))
        return first;
    if (newest > first && is_loop_of(s->made.at[newest], n, is_batched))
        return newest;
    return new_group(s, GROUP_loop, n, is_batched);
}

Val plan_absorbed(const PlanFn *f, Val v)
{
    Val a = f->fn->ins.at[v].arg[0];
    while (f->fn->ins.at[a].op == OP_reshape && !f->is_absorbed[a])
        a = f->fn->ins.at[a].arg[0];
    return f->is_absorbed[a] ? a : NO_VAL;
}

/* Products of one kind that are summed into one matrix wait for the last of them: the matrix is read and written once.
 */
static int find_products(Grouping *s, Val v, Val product)
{
    const Fn *fn = s->f->fn;
    for (int g = 0; g < s->made.n; g++) {
        const Group *group = s->made.at[g];
        if (group->kind != GROUP_sum || group->ins.n == NDE_MAX_TERMS || s->f->root[group->ins.at[0]] != s->f->root[v])
            continue;
        Val other = plan_absorbed(s->f, group->ins.at[0]);
        if (other == NO_VAL || fn->ins.at[other].op != fn->ins.at[product].op)
            continue;
        bool is_same = true;
        for (int k = 0; k < 2; k++)
            is_same &= type_equal(fn_type(fn, fn->ins.at[other].arg[k]), fn_type(fn, fn->ins.at[product].arg[k]));
        if (is_same)
            return g;
    }
    return new_group(s, GROUP_sum, 0, fn->ins.at[v].type.is_batched);
}

static void place_ins(Grouping *s, Val v)
{
    const Ins *ins = &s->f->fn->ins.at[v];
    GroupKind kind = kind_of(s->f, v);
    Ride ride = s->f->ride[v];
    Val product = kind == GROUP_sum || ride == RIDE_add ? plan_absorbed(s->f, v) : NO_VAL;
    int g = kind == GROUP_loop  ? find_loop(s, v)
            : product != NO_VAL ? find_products(s, v, product)
                                : new_group(s, kind, 0, ins->type.is_batched);
    Group *group = s->made.at[g];
    list_push(s->p->m->arena, group->ins, v);
    s->f->group[v] = g;
    if (product != NO_VAL) {
        ins = &s->f->fn->ins.at[product];
        s->f->group[product] = g;
    }
    Val element = ride != RIDE_none ? plan_ride_element(s->f, v) : NO_VAL;
    for (int k = 0; k < ins->n_arg; k++) {
        bool is_whole = kind != GROUP_loop || (ride != RIDE_none && ins->arg[k] != element);
        note_use(s, ins->arg[k], g, is_whole ? 0 : group->n);
    }
}

/* The last of what the part makes for the operands of v; NO_VAL if it makes nothing, or not in a group. */
static Val last_operand(const Grouping *s, Val v)
{
    const PlanFn *f = s->f;
    const Ins *ins = plan_ride_ins(f, v);
    Val last = NO_VAL;
    for (int k = 0; k < ins->n_arg; k++) {
        int offset;
        Val a = plan_base(f, ins->arg[k], &offset);
        if (f->fn->ins.at[a].op == OP_result)
            a = f->fn->ins.at[a].arg[0];
        if (plan_is_leaf(f, a) || f->in_part[a] != s->part)
            continue;
        if (!plan_has_group(f, a))
            return NO_VAL;
        last = last == NO_VAL || a > last ? a : last;
    }
    return last;
}

static void visit(Grouping *s, Val v)
{
    for (Val w = s->waiting[v]; w != NO_VAL; w = s->behind[w])
        place_ins(s, w);
    Ride ride = s->f->ride[v];
    bool waits = kind_of(s->f, v) == GROUP_loop && (ride == RIDE_none || (ride == RIDE_add && s->adds_at_once));
    Val last = waits && s->latest[v] < 0 ? last_operand(s, v) : NO_VAL;
    if (last == NO_VAL) {
        place_ins(s, v);
        return;
    }
    s->behind[v] = s->waiting[last];
    s->waiting[last] = v;
}

void group_part(Plan *p, PlanFn *f, int part)
{
    Grouping s = {.p = p, .f = f, .part = part, .adds_at_once = adds_at_once(p)};
    int n = f->fn->ins.n;
    s.latest = ARENA_NEW(p->m->arena, int, n + 1);
    s.blocked = ARENA_NEW(p->m->arena, int, n + 1);
    s.waiting = ARENA_NEW(p->m->arena, Val, n + 1);
    s.behind = ARENA_NEW(p->m->arena, Val, n + 1);
    memset(s.latest, 0xff, sizeof(int) * (size_t)n);
    memset(s.blocked, 0xff, sizeof(int) * (size_t)n);
    memset(s.waiting, 0xff, sizeof(Val) * (size_t)n); /* NO_VAL */
    for (int v = n - 1; v >= 0; v--)
        if (f->in_part[v] == part && plan_has_group(f, (Val)v))
            visit(&s, (Val)v);
    for (int g = s.made.n - 1; g >= 0; g--) { /* last made, first run */
        Group *group = s.made.at[g];
        for (int i = 0, k = group->ins.n - 1; i < k; i++, k--) {
            Val v = group->ins.at[i];
            group->ins.at[i] = group->ins.at[k];
            group->ins.at[k] = v;
        }
        list_push(p->m->arena, f->part[part].groups, group);
    }
    for (int v = 0; v < n; v++) {
        if (f->in_part[v] != part)
            continue;
        if (f->fn->ins.at[v].op == OP_result)
            f->group[v] = f->group[f->fn->ins.at[v].arg[0]];
        else if (f->group[v] >= 0)
            f->group[v] = s.made.n - 1 - f->group[v];
    }
}
