/* store.c: a place for each value.
 *
 * Needs: the groups of all parts (group.c).  Gives: places, and how much work memory a function takes.
 * A value that only its own loop reads is a variable there. One that another part reads is kept; one that is an output
 * is computed into the output; the others share work memory by their lifetimes (first fit, in the order of groups). One
 * that goes into a concatenation as a whole is computed where it goes. Per-sample work memory is counted in rows (one
 * number of each sample of a tile), shared work memory behind it in numbers, since how many samples a tile has is known
 * only where the C file is compiled. Elsewhere: what the C text of a place is (emit.c). */
#include "plan.h"

#include <string.h>

enum { LANES_MOST = 16, ALIGN_REALS = 16 /* 64 bytes of float */ };

typedef struct Taken { /* taken work memory: from..from+n during the groups first..last */
    int from, n, first, last;
} Taken;
typedef LIST(Taken) Takes;

typedef struct Store {
    Plan *p;
    PlanFn *f;
    bool *is_read_whole;  /* is read by something else than its own loop */
    bool *is_read_abroad; /* is read by another part */
    int *first, *last;    /* groups of its part that make it, or its first piece, and read it last */
    int *own_output;      /* the output that is the value and nothing else, computed in the place of the output; -1: none */
    Takes *rows, *reals;  /* [part] */
} Store;

/* First fit; the spans are kept in the order of where they start. */
static int take(Store *s, Takes *spans, int n, int first, int last)
{
    int from = 0, at = 0;
    for (int i = 0; i < spans->n && spans->at[i].from < from + n; i++) {
        const Taken *x = &spans->at[i];
        if (x->first <= last && first <= x->last && from < x->from + x->n)
            from = x->from + x->n;
    }
    while (at < spans->n && spans->at[at].from <= from)
        at++;
    list_push(s->p->m->arena, *spans, ((Taken){0}));
    memmove(spans->at + at + 1, spans->at + at, sizeof *spans->at * (size_t)(spans->n - 1 - at));
    spans->at[at] = (Taken){from, n, first, last};
    return from;
}

static int extent(const Takes *spans)
{
    int most = 0;
    for (int i = 0; i < spans->n; i++)
        if (spans->at[i].from + spans->at[i].n > most)
            most = spans->at[i].from + spans->at[i].n;
    return most;
}

/* ---- who reads what ---- */
static void note_read(Store *s, Val user, Val v)
{
    PlanFn *f = s->f;
    int offset;
    Val b = plan_base(f, v, &offset);
    if (plan_is_leaf(f, b))
        return;
    if (f->in_part[b] != f->in_part[user]) {
        s->is_read_abroad[b] = s->is_read_whole[b] = true;
        return;
    }
    if (f->group[user] > s->last[b])
        s->last[b] = f->group[user];
    const Part *part = &f->part[f->in_part[user]];
    const Group *g = part->groups.at[f->group[user]];
    if (g->kind != GROUP_loop || f->group[user] != f->group[b] || plan_size(f, b) != g->n)
        s->is_read_whole[b] = true;
}

static void find_reads(Store *s)
{
    const Fn *fn = s->f->fn;
    for (int v = 0; v < fn->ins.n; v++)
        for (int k = 0; s->f->in_part[v] >= 0 && fn->ins.at[v].op != OP_result && k < fn->ins.at[v].n_arg; k++)
            note_read(s, (Val)v, fn->ins.at[v].arg[k]);
    for (int i = 0; i < fn->out.n; i++) {
        int offset;
        Val b = plan_base(s->f, fn->out.at[i], &offset);
        if (plan_is_leaf(s->f, b))
            continue;
        s->is_read_whole[b] = true;
        if (s->f->in_part[b] >= 0)
            s->last[b] = s->f->part[s->f->in_part[b]].groups.n; /* outputs are copied at the end */
    }
}

/* ---- places ---- */
static void find_own_outputs(Store *s)
{
    const PlanFn *f = s->f;
    for (int i = f->n_set - 1; i >= 0; i--) /* of several the first */
        s->own_output[plan_same(f, f->fn->out.at[i])] = i;
}

static void place_work(Store *s, Val v)
{
    PlanFn *f = s->f;
    int part = f->in_part[v], first = s->first[v], last = s->last[v] > f->group[v] ? s->last[v] : f->group[v];
    f->place[v].where = WHERE_work;
    if (part < 0 || f->root[v] == v) { /* a partial sum: zero from the start, complete at the end */
        part = 0;
        first = 0;
        last = f->part[0].groups.n;
    }
    int n = plan_size(f, v);
    if (fn_type(f->fn, v).is_batched)
        f->place[v].offset = take(s, &s->rows[part], n, first, last);
    else
        f->place[v].offset = take(s, &s->reals[part], (n + ALIGN_REALS - 1) / ALIGN_REALS * ALIGN_REALS, first, last);
}

static void place_out(Store *s, Val v, int out)
{
    PlanFn *f = s->f;
    f->place[v] = (Place){.where = WHERE_out, .offset = out};
    if (f->kind == FN_top)
        f->place[v].scratch = take(s, &s->rows[f->in_part[v]], plan_size(f, v), 0, f->part[f->in_part[v]].groups.n);
}

static bool is_solve_result(const PlanFn *f, Val v)
{
    const Ins *ins = &f->fn->ins.at[v];
    return ins->op == OP_result && f->fn->ins.at[ins->arg[0]].op != OP_call;
}

/* Does v, per sample, lie in work memory? */
static bool is_in_work(const Store *s, Val v)
{
    const PlanFn *f = s->f;
    return fn_type(f->fn, v).is_batched && plan_has_group(f, v) && f->in_part[v] >= 0 && f->root[v] == NO_VAL &&
           !f->is_absorbed[v] && f->fn->ins.at[v].op != OP_call && !plan_is_region(f->fn->ins.at[v].op) &&
           s->is_read_whole[v] && !s->is_read_abroad[v] && s->own_output[v] < 0;
}

/* The operands of concatenation v that are made in its memory. */
static void find_guests(Store *s, Val v)
{
    PlanFn *f = s->f;
    const Ins *ins = &f->fn->ins.at[v];
    int outer = 1;
    for (int i = 0; i < ins->imm.axis; i++)
        outer *= ins->type.dim[i];
    for (int k = 0; k < ins->n_arg && outer == 1 && is_in_work(s, v); k++) {
        Val a = plan_same(f, ins->arg[k]);
        bool is_twice = false;
        for (int j = 0; j < ins->n_arg; j++)
            is_twice |= j != k && plan_same(f, ins->arg[j]) == a;
        if (f->in_part[a] != f->in_part[v] || f->host[a] != NO_VAL || is_twice || !is_in_work(s, a))
            continue;
        f->host[a] = v;
        s->first[v] = s->first[a] < s->first[v] ? s->first[a] : s->first[v];
        s->last[v] = s->last[a] > s->last[v] ? s->last[a] : s->last[v];
    }
}

/* In its host, if it has one. A guest comes before its host, which is placed then. */
static void place_once(Store *s, Val v)
{
    PlanFn *f = s->f;
    Val host = f->host[v];
    if (f->place[v].where == WHERE_work)
        return;
    if (host == NO_VAL) {
        place_work(s, v);
        return;
    }
    place_once(s, host);
    f->place[v] = (Place){.where = WHERE_work, .offset = f->place[host].offset};
    for (int k = 0; plan_same(f, f->fn->ins.at[host].arg[k]) != v; k++)
        f->place[v].offset += plan_size(f, f->fn->ins.at[host].arg[k]);
}

static void place_sample(Store *s, Val v)
{
    PlanFn *f = s->f;
    int out = s->own_output[v];
    if (!s->is_read_whole[v] && (plan_is_map(f->fn->ins.at[v].op) || f->ride[v] == RIDE_map))
        f->place[v].where = WHERE_local;
    else if (s->is_read_abroad[v] || is_solve_result(f, v))
        f->place[v].where = WHERE_kept;
    else if (out >= 0)
        place_out(s, v, out);
    else
        place_once(s, v);
}

/* A sum over the batch: of a top-level function in its shared memory, unless it is nothing but an output. */
static void place_sum(Store *s, Val v)
{
    PlanFn *f = s->f;
    int out = -1;
    for (int i = 0; i < f->fn->out.n && f->n_use[v] == 1; i++)
        out = f->fn->out.at[i] == v ? i : out;
    f->sum_out[v] = out;
    if (out >= 0)
        f->place[v] = (Place){.where = WHERE_out, .offset = out};
    else if (f->kind == FN_top)
        f->place[v].where = WHERE_shared;
    else if (plan_is_number(f, v))
        f->place[v].where = WHERE_local;
    else
        place_work(s, v);
}

static void place_shared(Store *s, Val v)
{
    PlanFn *f = s->f;
    bool is_in_tile = f->part[f->in_part[v]].is_tile;
    int out = f->kind == FN_top ? -1 : s->own_output[v];
    if (out >= 0 && f->out_is_sum[out]) /* the output is added to, not set */
        out = -1;
    if (plan_is_number(f, v))
        f->place[v].where = s->is_read_abroad[v] || is_solve_result(f, v) ? WHERE_shared : WHERE_local;
    else if (!s->is_read_whole[v] && plan_is_map(f->fn->ins.at[v].op))
        f->place[v].where = WHERE_local;
    else if (out >= 0)
        f->place[v] = (Place){.where = WHERE_out, .offset = out};
    else if (f->kind == FN_top && !is_in_tile)
        f->place[v].where = WHERE_shared;
    else
        place_work(s, v);
}

static void place_value(Store *s, Val v)
{
    PlanFn *f = s->f;
    const Ins *ins = &f->fn->ins.at[v];
    Place *place = &f->place[v];
    int offset;
    if (plan_is_leaf(f, v)) {
        place->where = WHERE_leaf;
    } else if (f->root[v] != NO_VAL) {
        if (f->root[v] == v)
            place_sum(s, v);
    } else if (plan_is_view(f->fn, v, &offset)) {
        place->where = WHERE_view;
        place->of = plan_base(f, v, &place->offset);
    } else if (f->is_absorbed[v] || ins->op == OP_call || ins->op == OP_solve || ins->op == OP_solve_vjp) {
        place->where = WHERE_none;
    } else if (ins->type.is_batched) {
        place_sample(s, v);
    } else {
        place_shared(s, v);
    }
}

/* ---- memory that a group needs besides values: the turned operand of an outer product ---- */
static void place_scratch(Store *s, int part, int g)
{
    Group *group = s->f->part[part].groups.at[g];
    const Fn *fn = s->f->fn;
    if (group->kind != GROUP_sum)
        return;
    Val product = plan_absorbed(s->f, group->ins.at[0]);
    if (product == NO_VAL)
        return;
    Type t = fn_type(fn, product);
    int columns = t.rank == 2 ? t.dim[1] : 1;
    group->scratch = take(s, &s->rows[part], group->ins.n * (columns + LANES_MOST), g, g);
}

/* ---- a whole function ---- */
/* What the callees of a part need, behind the part's own. */
static void measure(Store *s, int i)
{
    PlanFn *f = s->f;
    Part *part = &f->part[i];
    int rows = 0, reals = 0;
    part->rows = extent(&s->rows[i]);
    part->reals = extent(&s->reals[i]);
    for (int g = 0; g < part->groups.n; g++) {
        if (part->groups.at[g]->kind != GROUP_call)
            continue;
        const PlanFn *callee = plan_callee(s->p, f->fn->ins.at[part->groups.at[g]->ins.at[0]].imm.fn);
        rows = callee->rows > rows ? callee->rows : rows;
        reals = callee->reals > reals ? callee->reals : reals;
    }
    if (f->kind == FN_top && !part->is_tile) {
        f->spare = reals > f->spare ? reals : f->spare;
        return;
    }
    f->rows = part->rows + rows > f->rows ? part->rows + rows : f->rows;
    f->reals = part->reals + reals > f->reals ? part->reals + reals : f->reals;
}

void store_fn(Plan *p, PlanFn *f)
{
    Arena *a = p->m->arena;
    int n = f->fn->ins.n;
    Store s = {.p = p, .f = f, .is_read_whole = ARENA_NEW(a, bool, n + 1), .is_read_abroad = ARENA_NEW(a, bool, n + 1)};
    s.first = ARENA_NEW(a, int, n + 1);
    s.last = ARENA_NEW(a, int, n + 1);
    s.rows = ARENA_NEW(a, Takes, f->n_part);
    s.reals = ARENA_NEW(a, Takes, f->n_part);
    memcpy(s.first, f->group, sizeof(int) * (size_t)n);
    memset(s.last, 0xff, sizeof(int) * (size_t)n);
    s.own_output = ARENA_NEW(a, int, n + 1);
    memset(s.own_output, 0xff, sizeof(int) * (size_t)n); /* -1 */
    f->host = ARENA_NEW(a, Val, n + 1);
    memset(f->host, 0xff, sizeof(Val) * (size_t)n); /* NO_VAL */
    find_reads(&s);
    find_own_outputs(&s);
    for (int v = 0; v < n; v++)
        if (f->fn->ins.at[v].op == OP_concat)
            find_guests(&s, (Val)v);
    for (int v = 0; v < n; v++)
        place_value(&s, (Val)v);
    for (int i = 0; i < f->n_part; i++) {
        for (int g = 0; g < f->part[i].groups.n; g++)
            place_scratch(&s, i, g);
        measure(&s, i);
    }
}
