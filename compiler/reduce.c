/* reduce.c: a solve in the cheapest exactly equivalent states.
 *
 * Needs: the field of a solve as a function: u_i' = f_i(u_1 .., t).  Gives, for each state that fits and pays, another
 * that is integrated in its place. It fits if
 *   f_i = sum_j c_j R_ij x_j + sum_k c_k u_k,  R_ij made of parameters alone, the c scalars, u_k states that fit,
 * and the field uses it as L u_i alone, L of parameters, but for such terms c_k u_k. With z_k the value of u_k at the
 * start, u_i then stays in z_i + the span of all R it meets through the u_k + the span of the z_k it meets:
 *   u_i = z_i + sum_j R_j s_ij + sum_k z_k w_ik
 *   s_ij' = (x_j if j is i) + sum_k c_k s_kj        w_ik' = sum_m c_m (w_mk + (1 if k is m))
 * where R_j stands for [R_j1 R_j2 ..], and L u_i = L z_i + (L R) s_i + sum_k (L z_k) w_ik. A bias is the term R = b,
 * x = 1, a column that multiplies the time R = w, x = t. Runge-Kutta methods commute with affine maps, so steps, error
 * estimates and results are those of u in exact arithmetic if the error norm is taken on u. Because L R and L z are
 * values of the program, reverse mode gives the gradients of the weights without a rule of its own.
 * Elsewhere: the new field and the way back (lift.c), the step in these states, with its norm in the user's (step.c).
 */
#include "reduce.h"

#include <string.h>

/* ---- preparing the field ---- */
static Val joined_part(Reduce *r, Fn *to, Val w, Val x, int from)
{
    Type tw = fn_type(to, w), tx = fn_type(to, x);
    Imm imm = {.axis = 1, .from = from, .to = tw};
    imm.to.dim[1] = tx.dim[0];
    Val columns = tx.dim[0] == tw.dim[1] ? w : fn_op(r->m, to, OP_slice, 1, &w, imm, to->span);
    return fn_op2(r->m, to, OP_mm_nn, columns, x);
}

/* Parts k .. behind - 1 of a joined vector as one. */
static Val parts_of(Reduce *r, Fn *to, const Ins *x, const Val *map, int k, int behind)
{
    Val *part = ARENA_NEW(r->c->arena, Val, behind - k);
    for (int i = k; i < behind; i++)
        part[i - k] = map[x->arg[i]];
    return behind - k == 1 ? part[0] : fn_op(r->m, to, OP_concat, behind - k, part, (Imm){.axis = 0}, x->span);
}

/* The end of the parts from k on that stay together. */
static int run_of(const Fn *fn, const Ins *x, int k, bool all)
{
    bool is_batched = fn_type(fn, x->arg[k]).is_batched;
    int behind = k + 1;
    while (!all && behind < x->n_arg && fn_type(fn, x->arg[behind]).is_batched == is_batched)
        behind++;
    return behind;
}

static const Ins *joined(const Fn *fn, const Ins *ins, bool all)
{
    enum { LEAST = 8192 }; /* numbers of a matrix: less to move is no gain */
    const Ins *x = ins->op == OP_mm_nn ? &fn->ins.at[ins->arg[1]] : NULL;
    if (!x || x->op != OP_concat || x->type.rank != 1 || fn_type(fn, ins->arg[0]).is_batched)
        return NULL;
    return all || type_size(fn_type(fn, ins->arg[0])) >= LEAST ? x : NULL;
}

typedef struct Split {
    Reduce *r;
    const Fn *fn;
    Fn *to;
    Val *map;    /* value of fn -> value of to */
    Val *each;   /* [value of fn]: the part of a split product that differs from sample to sample, */
    Val *shared; /* and the one that does not; NO_VAL: there is none */
} Split;

/* At the place of value v, for messages. */
static Val sum_of(const Split *s, Val v, Val sum, Val x)
{
    Val arg[] = {sum, x};
    return sum == NO_VAL ? x : fn_op(s->r->m, s->to, OP_add, 2, arg, (Imm){0}, s->fn->ins.at[v].span);
}

static void split_product(Split *s, Val v, const Ins *x, bool all)
{
    const Val *arg = s->fn->ins.at[v].arg;
    Val sum = NO_VAL;
    for (int k = 0, from = 0, behind; k < x->n_arg; k = behind) {
        behind = run_of(s->fn, x, k, all);
        Val part = joined_part(s->r, s->to, s->map[arg[0]], parts_of(s->r, s->to, x, s->map, k, behind), from);
        for (int i = k; i < behind; i++)
            from += fn_type(s->fn, x->arg[i]).dim[0];
        Val *apart = fn_type(s->to, part).is_batched ? &s->each[v] : &s->shared[v];
        *apart = sum_of(s, v, *apart, part);
        sum = sum_of(s, v, sum, part);
    }
    s->map[v] = all || s->each[v] == NO_VAL || s->shared[v] == NO_VAL ? sum : sum_of(s, v, s->each[v], s->shared[v]);
}

/* A split product and something shared, such as a bias: what is shared is added up once for all samples. */
static bool add_shared(Split *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    for (int k = 0; ins->op == OP_add && k < 2; k++) {
        Val a = ins->arg[k], b = ins->arg[1 - k];
        if (s->each[a] == NO_VAL || s->shared[a] == NO_VAL || fn_type(s->fn, b).is_batched)
            continue;
        s->map[v] = sum_of(s, v, s->each[a], sum_of(s, v, s->shared[a], s->map[b]));
        s->to->ins.at[s->map[v]].name = ins->name;
        return true;
    }
    return false;
}

/* W @ [a, b] = W_a @ a + W_b @ b: all parts of joined vectors, or those that all samples share from the others, such as
 * the time, which then need not be put in their places at each stage. */
static Fn *split(Reduce *r, const Fn *fn, bool all)
{
    size_t n = (size_t)fn->ins.n + 1;
    Split s = {.r = r, .fn = fn, .to = fn_new(r->m, fn->name, fn->span)};
    s.map = ARENA_NEW(r->c->arena, Val, n);
    s.each = ARENA_NEW(r->c->arena, Val, n);
    s.shared = ARENA_NEW(r->c->arena, Val, n);
    memset(s.each, 0xff, sizeof(Val) * n);
    memset(s.shared, 0xff, sizeof(Val) * n);
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *ins = &fn->ins.at[v], *x = joined(fn, ins, all);
        if (ins->op == OP_input)
            s.map[v] = fn_input(r->m, s.to, ins->type, ins->name);
        else if (x)
            split_product(&s, (Val)v, x, all);
        else if (all || !add_shared(&s, (Val)v))
            fn_copy(r->m, s.to, fn, (Val)v, s.map, false);
    }
    for (int i = 0; i < fn->out.n; i++)
        fn_out(r->m, s.to, s.map[fn->out.at[i]], fn->out_name.at[i]);
    return canon(r->m, s.to);
}

static bool has_mixed_parts(const Fn *fn)
{
    for (int v = 0; v < fn->ins.n; v++) {
        const Ins *x = joined(fn, &fn->ins.at[v], false);
        if (x && run_of(fn, x, 0, false) < x->n_arg)
            return true;
    }
    return false;
}

/* ---- is it of the form? ---- */
static void mark_depends(Reduce *r)
{
    r->depends = ARENA_NEW(r->c->arena, int, r->flat->ins.n + 1);
    for (int v = 0; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        if (ins->op == OP_input)
            r->depends[v] = v < r->n ? 2 : v == r->n || ins->type.is_batched;
        for (int k = 0; k < ins->n_arg; k++)
            if (r->depends[ins->arg[k]] > r->depends[v])
                r->depends[v] = r->depends[ins->arg[k]];
    }
}

static bool is_state(const Reduce *r, Val v)
{
    return v < (Val)r->n;
}

bool reduce_is_left(const Reduce *r, Val v)
{
    const Ins *ins = &r->flat->ins.at[v];
    return ins->op == OP_mm_nn && is_state(r, ins->arg[1]) && r->depends[ins->arg[0]] == 0;
}

/* The right-hand side v as a sum of terms. */
static bool collect(const Reduce *r, Rate *rate, Val v, const Factor *factor, bool is_negative)
{
    const Ins *ins = &r->flat->ins.at[v];
    if (is_state(r, v)) {
        list_push(r->c->arena, rate->wholes, ((Whole){(int)v, factor, is_negative}));
        return true;
    }
    if (ins->op == OP_bcast)
        return collect(r, rate, ins->arg[0], factor, is_negative);
    if (r->depends[v] == 0 && ins->type.rank == 1) {
        list_push(r->c->arena, rate->parts, ((Part){v, NO_VAL, factor, is_negative}));
        return true;
    }
    if (ins->op == OP_add || ins->op == OP_sub)
        return type_same_shape(fn_type(r->flat, ins->arg[0]), fn_type(r->flat, ins->arg[1])) &&
               collect(r, rate, ins->arg[0], factor, is_negative) &&
               collect(r, rate, ins->arg[1], factor, is_negative ^ (ins->op == OP_sub));
    if (ins->op == OP_neg)
        return collect(r, rate, ins->arg[0], factor, !is_negative);
    if (ins->op == OP_mm_nn && r->depends[ins->arg[0]] == 0) {
        list_push(r->c->arena, rate->parts, ((Part){ins->arg[0], ins->arg[1], factor, is_negative}));
        return true;
    }
    for (int k = ins->op == OP_div; (ins->op == OP_mul || ins->op == OP_div) && k < 2; k++) {
        if (fn_type(r->flat, ins->arg[k]).rank != 0)
            continue;
        Factor *more = ARENA_NEW(r->c->arena, Factor, 1);
        *more = (Factor){ins->arg[k], ins->op == OP_div, factor};
        return collect(r, rate, ins->arg[!k], more, is_negative);
    }
    return false;
}

static int part_size(const Reduce *r, const Part *p)
{
    return p->x == NO_VAL ? 1 : fn_type(r->flat, p->x).dim[0];
}

static void read_rates(Reduce *r)
{
    r->rate = ARENA_NEW(r->c->arena, Rate, r->n);
    for (int i = 0; i < r->n; i++) {
        Rate *rate = &r->rate[i];
        rate->is_sum = collect(r, rate, r->flat->out.at[i], NULL, false);
        for (int k = 0; k < rate->parts.n; k++)
            rate->size += part_size(r, &rate->parts.at[k]);
    }
}

/* ---- which states can be reduced together? ---- */
static bool exclude(Choice *ch, int state, const char *why)
{
    ch->is_reduced[state] = false;
    ch->why[state] = why;
    return true;
}

static void add_left(const Reduce *r, Lefts *left, Val v)
{
    for (int i = 0; i < left->at.n; i++)
        if (left->at.at[i] == v)
            return;
    list_push(r->c->arena, left->at, v);
    left->size += fn_type(r->flat, v).dim[0];
}

typedef struct Walk {
    Val *stack;
    int depth;
    bool *is_read;
} Walk;

static void visit(Walk *w, Val v)
{
    if (v != NO_VAL && !w->is_read[v])
        w->is_read[w->stack[w->depth++] = v] = true;
}

static void visit_factor(Walk *w, const Factor *factor)
{
    for (; factor; factor = factor->next)
        visit(w, factor->scalar);
}

static void visit_rates(const Reduce *r, const Choice *ch, Walk *w)
{
    for (int i = 0; i < r->n; i++) {
        const Rate *rate = &r->rate[i];
        if (!ch->is_reduced[i])
            visit(w, r->flat->out.at[i]);
        for (int k = 0; ch->is_reduced[i] && k < rate->parts.n; k++) {
            visit(w, rate->parts.at[k].x);
            visit_factor(w, rate->parts.at[k].factor);
        }
        for (int k = 0; ch->is_reduced[i] && k < rate->wholes.n; k++)
            visit_factor(w, rate->wholes.at[k].factor);
    }
}

/* Finds what the reduced field reads; a reduced state that it reads other than in L u is reduced no longer. */
static bool walk(const Reduce *r, Choice *ch)
{
    int n = r->flat->ins.n;
    bool changed = false;
    Walk w = {ARENA_NEW(r->c->arena, Val, n + 1), 0, ARENA_NEW(r->c->arena, bool, n + 1)};
    ch->left = ARENA_NEW(r->c->arena, Lefts, r->n);
    ch->is_read = w.is_read;
    visit_rates(r, ch, &w);
    while (w.depth > 0) {
        Val v = w.stack[--w.depth];
        const Ins *ins = &r->flat->ins.at[v];
        if (is_state(r, v) && ch->is_reduced[v])
            changed = exclude(ch, (int)v, "it is used other than in W @ x");
        bool is_left = reduce_is_left(r, v) && ch->is_reduced[ins->arg[1]];
        if (is_left)
            add_left(r, &ch->left[ins->arg[1]], ins->arg[0]);
        for (int k = 0; k < ins->n_arg; k++)
            if (!is_left || k == 0)
                visit(&w, ins->arg[k]);
    }
    return changed;
}

static bool exclude_unfit(const Reduce *r, Choice *ch)
{
    bool changed = false;
    for (int i = 0; i < r->n; i++) {
        if (ch->is_reduced[i] && !r->rate[i].is_sum)
            changed = exclude(ch, i, "its right-hand side is not made of W @ x");
        for (int k = 0; ch->is_reduced[i] && k < r->rate[i].wholes.n; k++) {
            int other = r->rate[i].wholes.at[k].state;
            if (!ch->is_reduced[other])
                changed = exclude(ch, i,
                                  str_format(r->c->arena, "its right-hand side has %s, which is integrated itself",
                                             r->solve->state_name[other]));
        }
    }
    return changed;
}

/* The directions of each state: its own R, and those of the states in its right-hand side with their start. */
static void find_directions(const Reduce *r, Choice *ch)
{
    ch->block = ARENA_NEW(r->c->arena, bool *, r->n);
    ch->origin = ARENA_NEW(r->c->arena, bool *, r->n);
    for (int i = 0; i < r->n; i++) {
        ch->block[i] = ARENA_NEW(r->c->arena, bool, r->n);
        ch->origin[i] = ARENA_NEW(r->c->arena, bool, r->n);
        ch->block[i][i] = ch->is_reduced[i] && r->rate[i].size > 0;
        for (int k = 0; ch->is_reduced[i] && k < r->rate[i].wholes.n; k++)
            ch->origin[i][r->rate[i].wholes.at[k].state] = true;
    }
    for (int k = 0; k < r->n; k++) /* what is reached through k, after Warshall */
        for (int i = 0; i < r->n; i++)
            for (int j = 0; ch->origin[i][k] && j < r->n; j++) {
                ch->origin[i][j] |= ch->origin[k][j];
                ch->block[i][j] |= ch->origin[i][j] && r->rate[j].size > 0;
            }
}

int reduce_block_at(const Reduce *r, int i, int j)
{
    int at = 0;
    for (int k = 0; k < j; k++)
        at += r->choice.block[i][k] ? r->rate[k].size : 0;
    return at;
}

int reduce_origin_at(const Reduce *r, int i, int k)
{
    int at = reduce_block_at(r, i, r->n);
    for (int j = 0; j < k; j++)
        at += r->choice.origin[i][j];
    return at;
}

static int state_size(const Reduce *r, int i)
{
    return reduce_origin_at(r, i, r->n);
}

/* ---- does it pay? ---- */
static double multiply_adds(const Fn *fn, const Ins *ins)
{
    if (op_info[ins->op].op_class != CLASS_product || !ins->type.is_batched)
        return 0;
    return (double)type_size(ins->type) * fn_type(fn, ins->arg[0]).dim[ins->op == OP_mm_tn ? 0 : 1];
}

/* Multiply-adds of products for a sample, over a solve of some eight steps. */
static double cost(const Reduce *r)
{
    enum { STEPS = 8, BATCH = 32 };
    const Choice *ch = &r->choice;
    double evaluations = r->solve->method->stages - (r->solve->method->slope != NULL), field = 0, norms = 0, once = 0;
    for (int v = r->n; v < r->flat->ins.n; v++) {
        const Ins *ins = &r->flat->ins.at[v];
        if (ch->is_read[v] && !(reduce_is_left(r, (Val)v) && ch->is_reduced[ins->arg[1]]))
            field += multiply_adds(r->flat, ins);
    }
    for (int i = 0; i < r->n; i++) {
        if (!ch->is_reduced[i])
            continue;
        double d = r->solve->state_type[i].dim[0], p = ch->left[i].size, q = reduce_block_at(r, i, r->n);
        double origins = state_size(r, i) - q;
        field += p * (q + origins);
        norms += r->solve->has_estimate ? 2 * d * (q + origins) : 0;
        once += p * d * (1 + origins) + (2.0 + r->solve->n_save) * d * (q + origins) + p * d * q / BATCH;
    }
    return STEPS * (evaluations * field + norms) + once;
}

/* The largest choice within `allowed`. */
static Choice choose(Reduce *r, const bool *allowed)
{
    Choice *ch = &r->choice;
    *ch = (Choice){.is_reduced = ARENA_NEW(r->c->arena, bool, r->n), .why = ARENA_NEW(r->c->arena, const char *, r->n)};
    memcpy(ch->is_reduced, allowed, sizeof(bool) * (size_t)r->n);
    while (exclude_unfit(r, ch) || walk(r, ch))
        ;
    find_directions(r, ch);
    ch->cost = cost(r);
    return *ch;
}

/* Leaves out one state after another while that makes the rest cheaper. */
static Choice cheapest(Reduce *r, Choice best)
{
    bool *allowed = ARENA_NEW(r->c->arena, bool, r->n);
    for (bool is_better = true; is_better;) {
        Choice from = best;
        is_better = false;
        for (int i = 0; i < r->n; i++) {
            memcpy(allowed, from.is_reduced, sizeof(bool) * (size_t)r->n);
            if (!allowed[i])
                continue;
            allowed[i] = false;
            Choice other = choose(r, allowed);
            if (other.cost < best.cost) {
                best = other;
                is_better = true;
            }
        }
    }
    return best;
}

/* What `explain` says. */
static void explain(Reduce *r, const Choice *most, double before, bool is_done)
{
    Arena *a = r->c->arena;
    Solve *s = r->solve;
    bool any = false, is_fewer = r->choice.cost < before;
    for (int i = 0; i < r->n; i++) {
        any |= most->is_reduced[i];
        if (is_done && r->choice.is_reduced[i])
            s->state_reduction[i] =
                str_format(a, "reduced from %d numbers to %d", type_size(s->state_type[i]), state_size(r, i));
        else
            s->state_reduction[i] =
                str_format(a, "integrated itself: %s", most->is_reduced[i] ? "another would not pay" : most->why[i]);
    }
    double times = is_fewer ? before / r->choice.cost : r->choice.cost / before;
    const char *saving = before > 0 ? str_format(a, "%.2g times %s products", times, is_fewer ? "fewer" : "more")
                                    : "there are no products to save";
    s->reduction = is_done ? saving : any ? str_format(a, "does not pay: %s", saving) : "not possible";
}

static bool decide(Reduce *r)
{
    enum { MOST_TRIED = 32 }; /* states: more are reduced all or not at all */
    bool *allowed = ARENA_NEW(r->c->arena, bool, r->n);
    double before = choose(r, allowed).cost;
    for (int i = 0; i < r->n; i++)
        allowed[i] = r->solve->state_type[i].rank == 1;
    Choice most = choose(r, allowed), best = before > 0 && r->n <= MOST_TRIED ? cheapest(r, most) : most;
    bool any = false;
    for (int i = 0; i < r->n; i++) {
        any |= best.is_reduced[i];
        if (!allowed[i])
            most.why[i] = "it is not a vector";
    }
    bool pays = any && best.cost < 0.9 * before;
    r->choice = any ? best : most;
    explain(r, &most, before, pays);
    return pays;
}

static Fn *split_field(Reduce *r)
{
    Fn *flat = fn_flat(r->m, r->field, r->field->name);
    if (!has_mixed_parts(flat))
        return r->field;
    r->flat = split(r, flat, false);
    mark_depends(r);
    return reduce_split(r);
}

Reduction *reduce_field(Check *c, Builder *main, Solve *solve, Fn **field, Keys *keys, const Val *start)
{
    Reduce r = {.c = c, .m = c->module, .main = main, .solve = solve, .keys = keys, .n = solve->n_state};
    r.field = *field;
    solve->reduction = "switched off";
    if (!c->no_reduce) {
        solve->state_reduction = ARENA_NEW(c->arena, const char *, r.n);
        r.flat = split(&r, fn_flat(c->module, *field, (*field)->name), true);
        mark_depends(&r);
        read_rates(&r);
        if (decide(&r))
            return reduce_build(&r, start);
    }
    *field = split_field(&r);
    return NULL;
}
