/* plan.c: how each function becomes C functions over tiles: what kind, which phases, which sums over the batch.
 *
 * Needs: canonical functions.  Gives: a PlanFn for every top-level function of the model and everything it calls.
 * A callee that runs over one tile sees only a part of a sum over the batch. That is enough where the rest of the
 * callee is linear in it (reverse mode gives no other code); any other callee is expanded into its callers (expand.c).
 * Elsewhere: loops and order (group.c), memory (store.c), C text (emit.c). */
#include "plan.h"

#include <string.h>

/* ---- facts about values ---- */
int plan_size(const PlanFn *f, Val v)
{
    return type_size(fn_type(f->fn, v));
}

bool plan_is_number(const PlanFn *f, Val v)
{
    return !fn_type(f->fn, v).is_batched && plan_size(f, v) == 1;
}

bool plan_is_leaf(const PlanFn *f, Val v)
{
    return op_info[f->fn->ins.at[v].op].op_class == CLASS_leaf;
}

bool plan_is_map(Op op)
{
    return op_info[op].op_class == CLASS_map || op == OP_fill || op == OP_bcast;
}

static bool is_one_row(Type t)
{
    int long_axes = 0;
    for (int i = 0; i < t.rank; i++)
        long_axes += t.dim[i] > 1;
    return long_axes < 2;
}

bool plan_is_view(const Fn *fn, Val v, int *offset)
{
    const Ins *ins = &fn->ins.at[v];
    Op op = ins->op;
    OpClass class = op_info[op].op_class;
    *offset = 0;
    if (op == OP_reshape)
        return true;
    if (class != CLASS_form && op != OP_sum && op != OP_sum_axis && op != OP_max_axis)
        return false;
    if (op == OP_onehot || op == OP_detach)
        return false;
    Type a = fn_type(fn, ins->arg[0]);
    if (op == OP_slice) {
        int outer = 1, inner = 1;
        for (int i = 0; i < a.rank; i++)
            *(i < ins->imm.axis ? &outer : i > ins->imm.axis ? &inner : &(int){0}) *= a.dim[i];
        *offset = ins->imm.from * inner;
        return outer == 1;
    }
    if (type_size(a) != type_size(ins->type) || a.is_batched != ins->type.is_batched)
        return false;
    return (op != OP_permute && op != OP_unpermute) || is_one_row(a);
}

bool plan_is_contribution(const PlanFn *f, Val v)
{
    Op op = f->fn->ins.at[v].op;
    return f->root[v] != NO_VAL && (op == OP_bsum || op == OP_result || op == OP_pad);
}

bool plan_has_group(const PlanFn *f, Val v)
{
    return f->in_part[v] >= 0 && !f->is_absorbed[v] && f->fn->ins.at[v].op != OP_result;
}

Val plan_base(const PlanFn *f, Val v, int *offset)
{
    int at = 0;
    for (*offset = 0;; *offset += at) {
        if (f->root[v] != NO_VAL)
            return f->root[v];
        if (!plan_is_view(f->fn, v, &at))
            return v;
        v = f->fn->ins.at[v].arg[0];
    }
}

Val plan_same(const PlanFn *f, Val v)
{
    int offset;
    Val base = plan_base(f, v, &offset);
    return offset == 0 && plan_size(f, base) == plan_size(f, v) ? base : v;
}

Val plan_result(const PlanFn *f, Val call, int index)
{
    for (Val v = call + 1; v < (Val)f->fn->ins.n; v++) {
        const Ins *ins = &f->fn->ins.at[v];
        if (ins->op == OP_result && ins->arg[0] == call && ins->imm.index == index)
            return v;
    }
    return NO_VAL;
}

bool plan_is_region(Op op)
{
    return op == OP_call || op == OP_solve || op == OP_solve_vjp;
}

bool plan_is_tile_fn(const Fn *fn)
{
    for (int v = 0; v < fn->ins.n; v++)
        if (fn->ins.at[v].type.is_batched || (fn->ins.at[v].op == OP_call && plan_is_tile_fn(fn->ins.at[v].imm.fn)))
            return true;
    return false;
}

bool plan_is_tile_call(const Ins *ins)
{
    return ins->op == OP_call && plan_is_tile_fn(ins->imm.fn);
}

/* ---- a callee over one tile: is what it makes of its partial sums linear in them? ---- */
typedef enum Share {
    SHARE_pure, /* no sum in it */
    SHARE_zero, /* nothing: may stand for either */
    SHARE_part, /* linear in sums over the batch: parts of tiles add up */
    SHARE_broken
} Share;

static Share share_all_alike(const Ins *ins, const Share *share)
{
    int n_part = 0, n_zero = 0;
    for (int k = 0; k < ins->n_arg; k++) {
        n_part += share[ins->arg[k]] == SHARE_part;
        n_zero += share[ins->arg[k]] == SHARE_zero;
    }
    if (n_zero == ins->n_arg)
        return SHARE_zero;
    return n_part + n_zero == ins->n_arg ? SHARE_part : n_part == 0 ? SHARE_pure : SHARE_broken;
}

/* A product, or a quotient in its numerator. */
static Share share_factor(const Ins *ins, const Share *share)
{
    Share a = share[ins->arg[0]], b = share[ins->arg[1]];
    if (a == SHARE_zero || (b == SHARE_zero && ins->op != OP_div))
        return SHARE_zero;
    if (a != SHARE_part && b != SHARE_part)
        return SHARE_pure;
    return a == b || (ins->op == OP_div && b == SHARE_part) ? SHARE_broken : SHARE_part;
}

static bool is_linear(Op op)
{
    return op == OP_add || op == OP_sub || op == OP_neg || op == OP_sum || op == OP_sum_axis ||
           (op_info[op].op_class == CLASS_form && op != OP_onehot && op != OP_detach);
}

static Share share_of(const Plan *p, const Fn *fn, Val v, const Share *share, PlanFn *const *callee)
{
    const Ins *ins = &fn->ins.at[v];
    (void)p;
    if (ins->op == OP_const)
        return ins->imm.num == 0 ? SHARE_zero : SHARE_pure;
    if (ins->op == OP_result) {
        const PlanFn *f = callee[ins->arg[0]];
        return !ins->type.is_batched && f->kind == FN_tile && f->out_is_sum[ins->imm.index] ? SHARE_part : SHARE_pure;
    }
    if (ins->op == OP_bsum)
        return SHARE_part;
    if (is_linear(ins->op) && !ins->type.is_batched)
        return share_all_alike(ins, share);
    if ((ins->op == OP_mul || ins->op == OP_div || op_info[ins->op].op_class == CLASS_product) && !ins->type.is_batched)
        return share_factor(ins, share);
    if (ins->op == OP_where && !ins->type.is_batched && share[ins->arg[0]] != SHARE_part) {
        Ins branches = {.n_arg = 2, .arg = ins->arg + 1};
        return share_all_alike(&branches, share);
    }
    for (int k = 0; k < ins->n_arg; k++)
        if (share[ins->arg[k]] == SHARE_part)
            return SHARE_broken;
    return SHARE_pure;
}

static void classify(Plan *p, PlanFn *f)
{
    const Fn *fn = f->fn;
    Arena *a = p->m->arena;
    Share *share = ARENA_NEW(a, Share, fn->ins.n + 1);
    PlanFn **callee = ARENA_NEW(a, PlanFn *, fn->ins.n + 1);
    f->out_is_sum = ARENA_NEW(a, bool, fn->out.n + 1);
    f->is_part = ARENA_NEW(a, bool, fn->ins.n + 1);
    for (int v = 0; v < fn->ins.n; v++) {
        if (fn->ins.at[v].op == OP_call)
            callee[v] = plan_callee(p, fn->ins.at[v].imm.fn);
        share[v] = share_of(p, fn, (Val)v, share, callee);
        f->is_part[v] = f->kind == FN_tile && share[v] == SHARE_part;
        f->needs_inline |= share[v] == SHARE_broken && f->kind == FN_tile;
    }
    for (int i = 0; i < fn->out.n; i++)
        f->out_is_sum[i] = f->kind == FN_tile && !fn_type(fn, fn->out.at[i]).is_batched &&
                           (share[fn->out.at[i]] == SHARE_part || share[fn->out.at[i]] == SHARE_zero);
}

/* ---- phases of a top-level function ---- */
/* The phase whose shared part may read v: per-sample values of T_p are complete for S_(p+1), leaves and results of a
 * solve at once. */
static int ready(const PlanFn *f, Val v)
{
    int offset;
    Val base = plan_base(f, v, &offset);
    const Ins *ins = &f->fn->ins.at[base];
    bool is_early =
        op_info[ins->op].op_class == CLASS_leaf || (ins->op == OP_result && f->fn->ins.at[ins->arg[0]].op != OP_call);
    return fn_type(f->fn, v).is_batched && !is_early ? f->phase[v] + 1 : f->phase[v];
}

static bool result_is_sum(Plan *p, const PlanFn *f, const Ins *ins)
{
    const Ins *call = &f->fn->ins.at[ins->arg[0]];
    return ins->op == OP_result && !ins->type.is_batched && plan_is_tile_call(call) &&
           plan_callee(p, call->imm.fn)->out_is_sum[ins->imm.index];
}

static void find_phases(Plan *p, PlanFn *f)
{
    int last_solve = 0;
    for (int v = 0; v < f->fn->ins.n; v++) {
        const Ins *ins = &f->fn->ins.at[v];
        bool is_solve = ins->op == OP_solve || ins->op == OP_solve_vjp;
        int phase = is_solve ? last_solve : 0;
        for (int k = 0; k < ins->n_arg; k++) {
            int at = is_solve ? ready(f, ins->arg[k]) : f->phase[ins->arg[k]];
            phase = at > phase ? at : phase;
        }
        if (is_solve)
            last_solve = phase;
        f->phase[v] = phase + (ins->op == OP_bsum || result_is_sum(p, f, ins));
    }
}

/* ---- sums over the batch ---- */
static bool joins_sum(const PlanFn *f, const bool *is_sum, Val v)
{
    const Ins *ins = &f->fn->ins.at[v];
    if (ins->op != OP_add && ins->op != OP_reshape)
        return false;
    for (int k = 0; k < ins->n_arg; k++) {
        Val a = ins->arg[k];
        if (!is_sum[a] || f->n_use[a] != 1 || plan_size(f, a) != plan_size(f, v) || f->phase[a] != f->phase[v])
            return false;
    }
    return true;
}

/* Sums that are only added to one another share an accumulator: the contributions of the stages of a step go into one
 * array. */
static void find_sums(Plan *p, PlanFn *f)
{
    int n = f->fn->ins.n;
    bool *is_sum = ARENA_NEW(p->m->arena, bool, n + 1);
    if (f->kind == FN_shared)
        return;
    for (int v = 0; v < n; v++) {
        const Ins *ins = &f->fn->ins.at[v];
        bool is_padded =
            ins->op == OP_pad && f->is_part && f->is_part[v] && f->n_use[v] == 1 && plan_size(f, (Val)v) > 1;
        is_sum[v] = ins->op == OP_bsum || (ins->op == OP_result && result_is_sum(p, f, ins)) || is_padded ||
                    joins_sum(f, is_sum, (Val)v);
    }
    for (int v = n - 1; v >= 0; v--) {
        if (!is_sum[v])
            continue;
        if (f->root[v] == NO_VAL)
            f->root[v] = (Val)v;
        const Ins *ins = &f->fn->ins.at[v];
        for (int k = 0; k < ins->n_arg && !plan_is_contribution(f, (Val)v); k++)
            f->root[ins->arg[k]] = f->root[v];
    }
}

/* The sum over samples of a per-sample product is one outer product: the product itself is never formed. */
static void absorb_products(PlanFn *f)
{
    for (int v = 0; v < f->fn->ins.n; v++) {
        const Ins *ins = &f->fn->ins.at[v];
        if (ins->op != OP_bsum || plan_size(f, (Val)v) == 1)
            continue;
        Val a = ins->arg[0];
        while (f->n_use[a] == 1 && f->fn->ins.at[a].op == OP_reshape)
            a = f->fn->ins.at[a].arg[0];
        const Ins *product = &f->fn->ins.at[a];
        if (f->n_use[a] == 1 && op_info[product->op].op_class == CLASS_product &&
            fn_type(f->fn, product->arg[0]).is_batched && fn_type(f->fn, product->arg[1]).is_batched)
            f->is_absorbed[a] = true;
    }
}

/* ---- parts ---- */
static int part_of(const PlanFn *f, Val v)
{
    const Ins *ins = &f->fn->ins.at[v];
    int offset, p = f->phase[v];
    bool is_sum_node = f->root[v] != NO_VAL && !plan_is_contribution(f, v);
    if (plan_is_leaf(f, v) || is_sum_node || (f->root[v] == NO_VAL && plan_is_view(f->fn, v, &offset)))
        return -1;
    if (f->kind != FN_top)
        return 0;
    if (ins->op == OP_bsum)
        return 2 * (p - 1) + 1;
    if (plan_is_region(ins->op))
        return 2 * p + plan_is_tile_call(ins);
    if (ins->op == OP_result)
        return 2 * f->phase[ins->arg[0]] + plan_is_tile_call(&f->fn->ins.at[ins->arg[0]]);
    return 2 * p + ins->type.is_batched;
}

static void find_parts(Plan *p, PlanFn *f)
{
    int last = 0;
    for (int v = 0; v < f->fn->ins.n; v++) {
        f->in_part[v] = part_of(f, (Val)v);
        last = f->phase[v] > last ? f->phase[v] : last;
    }
    for (int v = 0; v < f->fn->ins.n; v++) { /* an absorbed product belongs to its sum */
        const Ins *ins = &f->fn->ins.at[v];
        for (Val a = v; ins->op == OP_bsum && !plan_is_leaf(f, a) && f->fn->ins.at[a].n_arg;
             a = f->fn->ins.at[a].arg[0])
            if (f->is_absorbed[a] && a != (Val)v) {
                f->in_part[a] = f->in_part[v];
                break;
            } else if (a != (Val)v && f->fn->ins.at[a].op != OP_reshape) {
                break;
            }
    }
    f->n_part = f->kind == FN_top ? 2 * (last + 1) : 1;
    f->part = ARENA_NEW(p->m->arena, Part, f->n_part);
    for (int i = 0; i < f->n_part; i++) {
        f->part[i].phase = i / 2;
        f->part[i].is_tile = f->kind == FN_top ? i % 2 == 1 : f->kind == FN_tile;
    }
}

/* Multiplications and additions of one sample, about: shared work is not counted. */
static double flops_of(Plan *p, const Fn *fn, const Ins *ins)
{
    if (plan_is_tile_call(ins))
        return plan_callee(p, ins->imm.fn)->flops;
    if (!ins->type.is_batched)
        return ins->op == OP_bsum ? type_size(ins->type) : 0;
    if (op_info[ins->op].op_class == CLASS_product) {
        Type a = fn_type(fn, ins->arg[0]);
        int rows = ins->type.rank > 0 ? ins->type.dim[0] : 1;
        return 2.0 * type_size(ins->type) * type_size(a) / (rows > 0 ? rows : 1);
    }
    return type_size(ins->type);
}

/* ---- one function ---- */
static PlanFn *plan_new(Plan *p, const Fn *source, const Fn *fn, FnKind kind)
{
    Arena *a = p->m->arena;
    int n = fn->ins.n + 1;
    PlanFn *f = ARENA_NEW(a, PlanFn, 1);
    *f = (PlanFn){.source = source, .fn = fn, .kind = kind, .n_set = fn->out.n, .name = source->name};
    for (int i = 0; i < p->fns.n; i++) /* the same function as callee and as top-level, say */
        if (p->fns.at[i]->source == source)
            f->name = str_format(a, "%s__%d", source->name, p->fns.n);
    f->phase = ARENA_NEW(a, int, n);
    f->in_part = ARENA_NEW(a, int, n);
    f->root = ARENA_NEW(a, Val, n);
    f->is_absorbed = ARENA_NEW(a, bool, n);
    f->n_use = ARENA_NEW(a, int, n);
    f->group = ARENA_NEW(a, int, n);
    f->place = ARENA_NEW(a, Place, n);
    f->sum_out = ARENA_NEW(a, int, n);
    memset(f->root, 0xff, sizeof(Val) * (size_t)n);
    memset(f->group, 0xff, sizeof(int) * (size_t)n);
    memset(f->sum_out, 0xff, sizeof(int) * (size_t)n);
    for (int v = 0; v < fn->ins.n; v++)
        for (int k = 0; k < fn->ins.at[v].n_arg; k++)
            f->n_use[fn->ins.at[v].arg[k]]++;
    for (int i = 0; i < fn->out.n; i++)
        f->n_use[fn->out.at[i]]++;
    return f;
}

static void plan_finish(Plan *p, PlanFn *f)
{
    if (f->kind == FN_top)
        find_phases(p, f);
    find_sums(p, f);
    absorb_products(f);
    find_parts(p, f);
    ride_fn(p, f);
    for (int i = 0; i < f->n_part; i++)
        group_part(p, f, i);
    pack_fn(p, f);
    store_fn(p, f);
    for (int v = 0; v < f->fn->ins.n; v++)
        f->flops += flops_of(p, f->fn, &f->fn->ins.at[v]);
    list_push(p->m->arena, p->fns, f);
}

PlanFn *plan_callee(Plan *p, const Fn *fn)
{
    for (int i = 0; i < p->fns.n; i++)
        if (p->fns.at[i]->source == fn && p->fns.at[i]->kind != FN_top)
            return p->fns.at[i];
    PlanFn *f = plan_new(p, fn, plan_expand(p, fn, false), plan_is_tile_fn(fn) ? FN_tile : FN_shared);
    classify(p, f);
    if (f->needs_inline) /* its callers expand it: it has no C of its own */
        list_push(p->m->arena, p->fns, f);
    else
        plan_finish(p, f);
    return f;
}

PlanFn *plan_find(const Plan *p, const Fn *source, int n_set)
{
    for (int i = 0; source && i < p->fns.n; i++) {
        PlanFn *f = p->fns.at[i];
        if (f->source == source && f->kind == FN_top && f->n_set == n_set)
            return f;
    }
    return NULL;
}

PlanFn *plan_top(Plan *p, const Fn *fn, int n_set)
{
    PlanFn *f = plan_find(p, fn, n_set);
    if (f || !fn)
        return f;
    f = plan_new(p, fn, plan_expand(p, fn, true), FN_top);
    f->n_set = n_set;
    f->out_is_sum = ARENA_NEW(p->m->arena, bool, fn->out.n + 1);
    plan_finish(p, f);
    for (int i = 0; i < p->fns.n; i++)
        f->index += p->fns.at[i] != f && p->fns.at[i]->kind == FN_top;
    return f;
}

bool plan_runs_solve(const Model *model, const Solve *s)
{
    const Fn *program[] = {model->train, model->eval, model->predict, model->hyper};
    for (int i = 0; i < 4; i++)
        for (int v = 0; program[i] && v < program[i]->ins.n; v++) {
            const Ins *ins = &program[i]->ins.at[v];
            const Solve *run = ins->op == OP_solve || ins->op == OP_solve_vjp ? ins->imm.solve : NULL;
            if (run && (run == s || (run->backward && run->backward->solve == s)))
                return true;
        }
    return false;
}

const Solve *plan_solve_of(const Model *model, int vjp)
{
    const Fn *program[] = {model->train, model->eval, model->predict, model->hyper};
    for (int i = 0; i < 4; i++)
        for (int v = 0; program[i] && v < program[i]->ins.n; v++) {
            const Ins *ins = &program[i]->ins.at[v];
            if (ins->op == OP_solve_vjp && ins->imm.index == vjp)
                return ins->imm.solve;
        }
    return NULL;
}

const SolveVjp *plan_vjp_of(const Model *model, const Solve *s)
{
    for (int i = 0; i < model->module->vjps.n; i++)
        if (plan_solve_of(model, i) == s)
            return model->module->vjps.at[i];
    return NULL;
}

int plan_step_vjp_set(const Solve *s, const SolveVjp *vjp)
{
    int n = s->n_state;
    for (int c = 0; c < s->n_carry; c++)
        n += vjp->seed_carry[c];
    return n;
}

static void plan_whole(Plan *p, const Fn *fn)
{
    if (fn)
        plan_top(p, fn, fn->out.n);
}

/* Callees whose every call was expanded have no C. */
static void mark_called(Plan *p)
{
    for (int i = p->fns.n - 1; i >= 0; i--) { /* callers stand behind what they call */
        const PlanFn *f = p->fns.at[i];
        for (int v = 0; (f->kind == FN_top || f->is_called) && v < f->fn->ins.n; v++)
            if (f->fn->ins.at[v].op == OP_call)
                plan_callee(p, f->fn->ins.at[v].imm.fn)->is_called = true;
    }
}

Plan *plan_build(const Model *model)
{
    Module *m = model->module;
    Plan *p = ARENA_NEW(m->arena, Plan, 1);
    p->model = model;
    p->m = m;
    for (int i = 0; i < m->solves.n; i++) {
        const Solve *s = m->solves.at[i];
        plan_whole(p, s->init);
        plan_whole(p, s->guess);
        if (!s->saves_dense) /* else every step of it is step_keep */
            plan_whole(p, s->step);
        plan_whole(p, s->step_keep);
        plan_whole(p, s->dense);
        plan_whole(p, s->dense_rate);
        plan_whole(p, s->scaled);
        plan_whole(p, s->inverse);
        plan_whole(p, s->lift);
        plan_whole(p, s->rate);
    }
    for (int i = 0; i < m->vjps.n; i++) {
        const SolveVjp *v = m->vjps.at[i];
        const Solve *solve = plan_solve_of(model, i);
        if (!solve)
            continue;
        plan_top(p, v->step_vjp, plan_step_vjp_set(solve, v));
        plan_whole(p, v->record);
        plan_whole(p, v->again);
        plan_top(p, v->dense_vjp, 0);
        plan_top(p, v->init_vjp, 0);
    }
    plan_whole(p, model->train);
    plan_whole(p, model->eval);
    plan_whole(p, model->predict);
    plan_whole(p, model->hyper);
    mark_called(p);
    return p;
}

bool plan_has_products(const Plan *p)
{
    for (int i = 0; i < p->fns.n; i++) {
        const PlanFn *f = p->fns.at[i];
        for (int v = 0; f->kind == FN_top && v < f->fn->ins.n; v++) {
            const Ins *ins = &f->fn->ins.at[v];
            if (op_info[ins->op].op_class == CLASS_product && ins->type.is_batched && f->ride[v] == RIDE_none &&
                (!f->is_absorbed[v] || type_size(ins->type) > RIDE_MOST))
                return true;
        }
    }
    return false;
}

/* ---- printing ---- */
static const char *const where_name[] = {"", "leaf", "view", "local", "work", "kept", "shared", "out"};
static const char *const kind_name[] = {"loop", "number", "kernel", "concat", "copy", "sum", "add", "call", "solve"};

static void print_group(Text *t, const PlanFn *f, const Group *g)
{
    text_add(t, "%s", kind_name[g->kind]);
    if (g->kind == GROUP_loop)
        text_add(t, " %d%s", g->n, g->is_batched ? " each" : "");
    for (int i = 0; i < g->ins.n; i++) {
        Val v = g->ins.at[i];
        text_add(t, "  %%%u %s", v, op_info[f->fn->ins.at[v].op].name);
        if (f->place[v].where != WHERE_none)
            text_add(t, " (%s %d)", where_name[f->place[v].where], f->place[v].offset);
        if (f->root[v] != NO_VAL)
            text_add(t, " (sum %%%u)", f->root[v]);
    }
    text_add(t, "\n");
}

void plan_print(Text *t, const Plan *p)
{
    static const char *const kind[] = {"top", "tile", "shared"};
    for (int i = 0; i < p->fns.n; i++) {
        const PlanFn *f = p->fns.at[i];
        text_open(t, "%s %s%s   # work %d rows, %d reals; %.0f flops", kind[f->kind], f->name,
                  f->needs_inline ? " (expanded)" : "", f->rows, f->reals, f->flops);
        for (int k = 0; k < f->n_part; k++) {
            if (!f->part[k].groups.n)
                continue;
            text_open(t, "%s part %d", f->part[k].is_tile ? "tile" : "shared", f->part[k].phase);
            for (int g = 0; g < f->part[k].groups.n; g++)
                print_group(t, f, f->part[k].groups.at[g]);
            t->depth--;
        }
        text_close(t, "end");
    }
}
