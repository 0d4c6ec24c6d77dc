/* emit_loop.c: the statements of a loop over elements and samples: maps, and the small products and sums that ride in
 * it.
 *
 * Needs: groups, rides and places (plan.h), texts of operands (emit_name.c).  Gives: one loop of a part, with what goes
 * before and behind it.
 * Elsewhere: everything else of a part (emit_group.c). */
#include "emit.h"

#include <string.h>

static const Ins *ins_of(const Emit *e, Val v)
{
    return &e->f->fn->ins.at[v];
}

/* Is v known only behind its loop? */
static bool is_loop_sum(const Emit *e, Val v)
{
    return ins_of(e, v)->op == OP_sum || e->f->ride[v] == RIDE_fold;
}

static bool can_be_flat(Emit *e, const Group *g, Loop *loop)
{
    for (int k = 0; k < g->ins.n; k++) /* for the question, every value of the loop has a variable */
        loop->is_variable[g->ins.at[k]] = true;
    bool is_flat = g->is_batched && g->n > 1;
    for (int k = 0; k < g->ins.n; k++) {
        const Ins *ins = ins_of(e, g->ins.at[k]);
        is_flat &= ins->op != OP_sum && e->f->ride[g->ins.at[k]] == RIDE_none;
        for (int a = 0; a < ins->n_arg; a++)
            is_flat &= emit_is_flat(e, loop, ins->arg[a]);
    }
    for (int k = 0; k < g->ins.n; k++)
        loop->is_variable[g->ins.at[k]] = false;
    return is_flat;
}

/* Is v read in its own loop? */
static bool is_read_here(const Emit *e, const Group *g, Val v)
{
    for (int k = 0; k < g->ins.n; k++) {
        const Ins *ins = plan_ride_ins(e->f, g->ins.at[k]);
        for (int a = 0; a < ins->n_arg; a++) {
            int offset;
            if (plan_base(e->f, ins->arg[a], &offset) == v && plan_size(e->f, v) == g->n && !is_loop_sum(e, v))
                return true;
        }
    }
    return false;
}

static const char *stored_at(Emit *e, const Loop *loop, Val v)
{
    const char *at = emit_at(e, v, 0);
    if (loop->is_batched && plan_size(e->f, v) == 1)
        return str_format(e->a, "%s[q]", at);
    return str_format(e->a, loop->is_flat || !loop->is_batched ? "%s[i]" : "%s[i * NV + q]", at);
}

static const char *map_text(Emit *e, const Loop *loop, Val v)
{
    const Ins *ins = ins_of(e, v);
    const char *arg[MAX_ARG] = {0};
    const char *value = op_info[ins->op].value;
    bool needs_vector = !value || strchr(value, '('); /* a function takes vectors, an operator one at least */
    bool any_batched = false;
    for (int a = 0; a < ins->n_arg; a++)
        any_batched |= fn_type(e->f->fn, ins->arg[a]).is_batched;
    for (int a = 0; a < ins->n_arg; a++) {
        arg[a] = emit_element(e, loop, ins->arg[a]);
        if (loop->is_batched && (needs_vector || !any_batched) && !fn_type(e->f->fn, ins->arg[a]).is_batched)
            arg[a] = str_format(e->a, "v_set(%s)", arg[a]);
    }
    return emit_map(e, ins->op, loop->is_batched ? 'v' : 'r', arg);
}

/* ---- small products and sums in loops ---- */
/* Of the weights of v, number l of those that an element of the loop needs: a row where x is whole, else a column. */
static const char *weight_text(Emit *e, const Group *g, Val v, int l)
{
    const Ins *ins = ins_of(e, v);
    bool is_turned = ins->op == OP_mm_tn, is_map = e->f->ride[v] == RIDE_map;
    int width = is_turned ? type_size(ins->type) : plan_size(e->f, ins->arg[1]);
    const char *element = g->n > 1 ? "i" : "0", *number = str_format(e->a, "%d", l);
    return str_format(e->a, "(%s)[%s * %d + %s]", emit_array(e, ins->arg[0]), is_turned == is_map ? number : element,
                      width, is_turned == is_map ? element : number);
}

/* How many weights of v an element of the loop needs. */
static int n_weights(const Emit *e, Val v)
{
    Ride ride = e->f->ride[v];
    return ride == RIDE_map ? plan_size(e->f, ins_of(e, v)->arg[1]) : ride == RIDE_fold ? plan_size(e->f, v) : 0;
}

/* The operand that is read whole at each element: in variables before the loop, those of a sum with the mask. */
static void ride_start(Emit *e, Val v)
{
    const Ins *ins = plan_ride_ins(e->f, v);
    Ride ride = e->f->ride[v];
    Val element = plan_ride_element(e->f, v), whole = NO_VAL;
    for (int k = 0; k < ins->n_arg; k++)
        if (ins->arg[k] != element && fn_type(e->f->fn, ins->arg[k]).is_batched)
            whole = ins->arg[k];
    if (ride == RIDE_add && ins->n_arg == 2 && whole == NO_VAL) /* the product of a vector with itself */
        whole = element;
    if (ride == RIDE_add)
        e->uses_at = true;
    int n = whole == NO_VAL ? 1 : plan_size(e->f, whole);
    if (ride == RIDE_fold || ride == RIDE_none)
        return;
    text_line(e->t, "Vec %s_w[%d][NV];", e->name[v], n);
    text_open(e->t, "for (int q = 0; q < NV; q++) {");
    for (int l = 0; l < n; l++) {
        const char *x = whole == NO_VAL ? NULL : str_format(e->a, "(%s)[%d * NV + q]", emit_array(e, whole), l);
        const char *mask = ride == RIDE_add ? "v_load(at->mask + q * LANES)" : NULL;
        text_line(e->t, "%s_w[%d][q] = %s%s%s;", e->name[v], l, x ? x : "", x && mask ? " * " : "", mask ? mask : "");
    }
    text_close(e->t, "}");
}

static const char *ride_map_text(Emit *e, Val v)
{
    const char *sum = "", *name = e->name[v];
    for (int l = 0; l < n_weights(e, v); l++)
        sum = str_format(e->a, "%s%s%s_k%d * %s_w[%d][q]", sum, l ? " + " : "", name, l, name, l);
    return sum;
}

static void ride_fold_lines(Emit *e, const Loop *loop, Val v)
{
    for (int r = 0; r < n_weights(e, v); r++)
        text_line(e->t, "%s_i[%d][q] += %s_k%d * %s;", e->name[v], r, e->name[v], r,
                  emit_element(e, loop, ins_of(e, v)->arg[1]));
}

/* How the loop over n elements that adds v to its sum goes through that matrix: entries of one element, and where. */
typedef struct Entries {
    int n;
    bool is_column; /* the loop goes over rows */
} Entries;

static Entries entries_of(const Emit *e, int n, Val v)
{
    const Ins *ins = plan_ride_ins(e->f, v);
    bool is_pair = ins->n_arg == 2;
    return (Entries){is_pair ? type_size(ins->type) / n : 1, is_pair && plan_ride_element(e->f, v) == ins->arg[0]};
}

/* The first of the group that adds to the sum of v; NO_VAL: they go through it in two ways, and one's entry may be
 * another's. */
static Val first_of_sum(const Emit *e, const Group *g, Val v)
{
    Val first = NO_VAL;
    Entries own = entries_of(e, g->n, v);
    for (int k = 0; k < g->ins.n; k++) {
        Val w = g->ins.at[k];
        if (e->f->ride[w] != RIDE_add || e->f->root[w] != e->f->root[v])
            continue;
        Entries other = entries_of(e, g->n, w);
        if (other.n != own.n || other.is_column != own.is_column)
            return NO_VAL;
        first = first == NO_VAL ? w : first;
    }
    return first;
}

static const char *entry_text(Emit *e, int n, Val v, int l)
{
    Entries own = entries_of(e, n, v);
    e->uses_sum = true;
    return str_format(e->a, "sum->%s[%s * %d + %d]", e->name[e->f->root[v]], n > 1 ? "i" : "0",
                      own.is_column || own.n == 1 ? own.n : 1, own.is_column ? l : l * n);
}

/* An element's weights are read once, before the loop goes over the samples: what it stores might change them. */
static void loop_weights(Emit *e, const Group *g)
{
    for (int k = 0; k < g->ins.n; k++)
        for (int l = 0; l < n_weights(e, g->ins.at[k]); l++)
            text_line(e->t, "const Real %s_k%d = %s;", e->name[g->ins.at[k]], l, weight_text(e, g, g->ins.at[k], l));
}

/* An element's entries of the sums are in variables while the loop goes over the samples. */
static void loop_entries(Emit *e, const Group *g, bool is_start)
{
    for (int k = 0; k < g->ins.n; k++) {
        Val v = g->ins.at[k];
        if (e->f->ride[v] != RIDE_add || first_of_sum(e, g, v) != v)
            continue;
        for (int l = 0; l < entries_of(e, g->n, v).n; l++) {
            const char *entry = entry_text(e, g->n, v, l), *at = str_format(e->a, "%s_s%d", e->name[v], l);
            text_line(e->t, "%s%s = %s;", is_start ? "Vec " : "", is_start ? at : entry, is_start ? entry : at);
        }
    }
}

static void ride_add_lines(Emit *e, const Loop *loop, const Group *g, Val v)
{
    const char *x = emit_element(e, loop, plan_ride_element(e->f, v));
    Val first = first_of_sum(e, g, v);
    for (int l = 0; l < entries_of(e, g->n, v).n; l++)
        text_line(e->t, "%s += %s * %s_w[%d][q];",
                  first == NO_VAL ? entry_text(e, g->n, v, l) : str_format(e->a, "%s_s%d", e->name[first], l), x,
                  e->name[v], l);
}

static void loop_line(Emit *e, Loop *loop, const Group *g, Val v)
{
    const char *type = loop->is_batched ? "Vec" : "Real";
    if (e->f->ride[v] == RIDE_fold) {
        ride_fold_lines(e, loop, v);
        return;
    }
    if (e->f->ride[v] == RIDE_add) {
        ride_add_lines(e, loop, g, v);
        return;
    }
    if (is_loop_sum(e, v)) {
        text_line(e->t, "%s_i[q] += %s;", e->name[v], emit_element(e, loop, ins_of(e, v)->arg[0]));
        return;
    }
    const char *value = e->f->ride[v] == RIDE_map ? ride_map_text(e, v) : map_text(e, loop, v);
    if (e->f->place[v].where == WHERE_local) {
        text_line(e->t, "const %s %s = %s;", type, e->name[v], value);
        loop->is_variable[v] = true;
    } else if (is_read_here(e, g, v)) {
        text_line(e->t, "const %s %s_i = %s;", type, e->name[v], value);
        text_line(e->t, "%s = %s_i;", stored_at(e, loop, v), e->name[v]);
        loop->is_variable[v] = true;
    } else {
        text_line(e->t, "%s = %s;", stored_at(e, loop, v), value);
    }
}

static void loop_sums(Emit *e, const Group *g, bool is_start)
{
    for (int k = 0; k < g->ins.n; k++) {
        Val v = g->ins.at[k];
        int n = plan_size(e->f, v);
        if (is_start)
            ride_start(e, v);
        if (!is_loop_sum(e, v))
            continue;
        bool is_fold = e->f->ride[v] == RIDE_fold;
        if (is_start)
            text_line(e->t, is_fold ? "Vec %s_i[%d][NV];" : "Vec %s_i[NV];", e->name[v], n);
        text_open(e->t, "for (int q = 0; q < NV; q++) {");
        for (int r = 0; r < n; r++) {
            const char *entry =
                is_fold ? str_format(e->a, "%s_i[%d][q]", e->name[v], r) : str_format(e->a, "%s_i[q]", e->name[v]);
            if (is_start)
                text_line(e->t, "%s = v_set(0);", entry);
            else
                text_line(e->t, "(%s)[%d * NV + q] = %s;", emit_at(e, v, 0), r, entry);
        }
        text_close(e->t, "}");
    }
}

/* Numbers that the loop would read from memory at each element, since its stores might change them. */
static void hoist_numbers(Emit *e, const Group *g)
{
    for (int k = 0; k < g->ins.n; k++) {
        const Ins *ins = plan_ride_ins(e->f, g->ins.at[k]);
        for (int a = 0; a < ins->n_arg; a++) {
            Val v = ins->arg[a];
            if (!plan_is_number(e->f, v) || e->real[v])
                continue;
            const char *text = emit_real(e, v);
            if (!strstr(text, "->") && !strchr(text, '['))
                continue;
            text_line(e->t, "const Real %s_r = %s;", e->name[v], text);
            e->real[v] = str_format(e->a, "%s_r", e->name[v]);
        }
    }
}

void emit_loop(Emit *e, const Group *g)
{
    Loop loop = {g->n, g->is_batched, false, ARENA_NEW(e->a, bool, e->f->fn->ins.n + 1), e->f};
    loop.is_flat = can_be_flat(e, g, &loop);
    hoist_numbers(e, g);
    loop_sums(e, g, true);
    bool is_nested = loop.is_batched && !loop.is_flat && g->n > 1;
    if (is_nested)
        text_open(e->t, "for (int i = 0; i < %d; i++) {", g->n);
    loop_weights(e, g);
    loop_entries(e, g, true);
    if (loop.is_flat)
        text_open(e->t, "for (int i = 0; i < %d * NV; i++) {", g->n);
    else if (loop.is_batched)
        text_open(e->t, "for (int q = 0; q < NV; q++) {");
    else
        text_open(e->t, "for (int i = 0; i < %d; i++) {", g->n);
    for (int k = 0; k < g->ins.n; k++)
        loop_line(e, &loop, g, g->ins.at[k]);
    text_close(e->t, "}");
    loop_entries(e, g, false);
    if (is_nested)
        text_close(e->t, "}");
    loop_sums(e, g, false);
}
