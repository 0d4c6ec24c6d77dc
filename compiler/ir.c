/* ir.c: building, checking and printing functions, and the module's list of them.
 *
 * Elsewhere: what operators mean (op.c), the canonical form (canon.c). */
#include "ir.h"

#include <string.h>

/* ---- types ---- */
Type type_real(bool is_batched, int rank, const int *dim)
{
    Type t = {is_batched, rank, {0}};
    for (int i = 0; i < rank; i++)
        t.dim[i] = dim[i];
    return t;
}

Type type_scalar(bool is_batched)
{
    return type_real(is_batched, 0, NULL);
}

int type_size(Type t)
{
    int n = 1;
    for (int i = 0; i < t.rank; i++)
        n *= t.dim[i];
    return n;
}

bool type_same_shape(Type a, Type b)
{
    if (a.rank != b.rank)
        return false;
    for (int i = 0; i < a.rank; i++)
        if (a.dim[i] != b.dim[i])
            return false;
    return true;
}

bool type_equal(Type a, Type b)
{
    return a.is_batched == b.is_batched && type_same_shape(a, b);
}

const char *type_text(Arena *a, Type t)
{
    const char *s = "real";
    for (int i = 0; i < t.rank; i++)
        s = str_format(a, "%s%s%d", s, i ? ", " : "[", t.dim[i]);
    return t.rank ? str_format(a, "%s]", s) : s;
}

/* ---- the results of a solve, in order ---- */
int solve_written(const Solve *s)
{
    return s->n_state - s->n_integral - s->n_tangent;
}

int solve_measured(const Solve *s)
{
    return s->n_state - s->n_tangent;
}

int solve_end(const Solve *s, int state)
{
    (void)s;
    return state;
}

int solve_saved(const Solve *s, int state)
{
    return s->n_state + state;
}

int solve_saved_rate(const Solve *s, int state)
{
    return 2 * s->n_state + state;
}

static int first_draw(const Solve *s)
{
    return s->n_state * (1 + (s->n_save > 0) + s->saves_rates);
}

int solve_drawn(const Solve *s, int draw, int state)
{
    return first_draw(s) + draw * (s->n_state + 3) + state;
}

int solve_drawn_time(const Solve *s, int draw)
{
    return solve_drawn(s, draw, s->n_state);
}

int solve_drawn_left(const Solve *s, int draw)
{
    return solve_drawn(s, draw, s->n_state + 1);
}

int solve_drawn_step(const Solve *s, int draw)
{
    return solve_drawn(s, draw, s->n_state + 2);
}

int solve_quantity(const Solve *s, int q)
{
    return solve_drawn(s, s->n_draw, q);
}

int solve_evaluations(const Solve *s)
{
    return solve_quantity(s, s->n_quantity);
}

int solve_accepted(const Solve *s)
{
    return solve_evaluations(s) + 1;
}

int solve_rejected(const Solve *s)
{
    return solve_evaluations(s) + 2;
}

int solve_executed(const Solve *s)
{
    return s->is_per_sample ? solve_rejected(s) + 1 : solve_evaluations(s);
}

int solve_lifted(const Solve *s, int state)
{
    return solve_rejected(s) + 1 + s->is_per_sample + state;
}

int solve_n_result(const Solve *s)
{
    return solve_lifted(s, s->lifted ? s->n_state : 0);
}

static Type solve_type(const Solve *s, int index)
{
    if (index < s->n_state)
        return s->state_type[index];
    if (index < first_draw(s)) {
        Type t = s->state_type[index % s->n_state];
        int dim[MAX_RANK + 1] = {s->n_save};
        for (int i = 0; i < t.rank; i++)
            dim[i + 1] = t.dim[i];
        return type_real(true, t.rank + 1, dim);
    }
    int state = index - solve_lifted(s, 0);
    if (state >= 0)
        return s->lifted[state] >= 0 ? s->user_type[state] : s->state_type[state];
    int k = index - first_draw(s);
    if (index < solve_quantity(s, 0) && k % (s->n_state + 3) < s->n_state)
        return s->state_type[k % (s->n_state + 3)];
    return type_scalar(s->is_per_sample && index != solve_executed(s));
}

/* ---- building ---- */
Fn *fn_new(Module *m, const char *name, Span span)
{
    Fn *fn = ARENA_NEW(m->arena, Fn, 1);
    fn->name = name;
    fn->span = span;
    return fn;
}

static Val append(Module *m, Fn *fn, Ins ins)
{
    Val *arg = ins.n_arg ? ARENA_NEW(m->arena, Val, ins.n_arg) : NULL;
    for (int i = 0; i < ins.n_arg; i++)
        arg[i] = ins.arg[i];
    ins.arg = arg;
    list_push(m->arena, fn->ins, ins);
    return (Val)(fn->ins.n - 1);
}

Val fn_input(Module *m, Fn *fn, Type type, const char *name)
{
    if (fn->ins.n != fn->n_in)
        BUG("'%s' gets an input after its first instruction", fn->name);
    return append(m, fn,
                  (Ins){.op = OP_input, .type = type, .imm = {.index = fn->n_in++}, .span = fn->span, .name = name});
}

Type fn_type(const Fn *fn, Val v)
{
    return fn->ins.at[v].type;
}

Val fn_op(Module *m, Fn *fn, Op op, int n_arg, const Val *arg, Imm imm, Span span)
{
    Ins ins = {.op = op, .n_arg = n_arg, .arg = (Val *)arg, .imm = imm, .span = span};
    if (op_info[op].op_class != CLASS_region) {
        Type *type = ARENA_NEW(m->arena, Type, n_arg + 1);
        char why[256] = "";
        for (int i = 0; i < n_arg; i++)
            type[i] = fn_type(fn, arg[i]);
        if (!op_type(op, n_arg, type, &imm, &ins.type, why))
            BUG("operator '%s' in '%s': %s", op_info[op].name, fn->name, why);
    }
    return append(m, fn, ins);
}

Val fn_op1(Module *m, Fn *fn, Op op, Val a)
{
    return fn_op(m, fn, op, 1, &a, (Imm){0}, fn->ins.at[a].span);
}

Val fn_op2(Module *m, Fn *fn, Op op, Val a, Val b)
{
    return fn_op(m, fn, op, 2, (Val[]){a, b}, (Imm){0}, fn->ins.at[a].span);
}

Val fn_const(Module *m, Fn *fn, double x)
{
    return append(m, fn, (Ins){.op = OP_const, .type = type_scalar(false), .imm = {.num = x}, .span = fn->span});
}

Val fn_leaf(Module *m, Fn *fn, Op op, int index, Type type, const char *name)
{
    return append(m, fn, (Ins){.op = op, .type = type, .imm = {.index = index}, .span = fn->span, .name = name});
}

Val fn_call(Module *m, Fn *fn, Fn *callee, int n_arg, const Val *arg, Span span)
{
    if (n_arg != callee->n_in)
        BUG("'%s' calls '%s' with %d arguments for %d", fn->name, callee->name, n_arg, callee->n_in);
    return fn_op(m, fn, OP_call, n_arg, arg, (Imm){.fn = callee}, span);
}

Val fn_result(Module *m, Fn *fn, Val call, int index, Type type)
{
    return append(m, fn,
                  (Ins){.op = OP_result,
                        .type = type,
                        .n_arg = 1,
                        .arg = &call,
                        .imm = {.index = index},
                        .span = fn->ins.at[call].span});
}

void fn_out(Module *m, Fn *fn, Val v, const char *name)
{
    list_push(m->arena, fn->out, v);
    list_push(m->arena, fn->out_name, name);
}

static void expand(Module *m, Fn *to, const Fn *from, Val call, Val *map)
{
    const Fn *callee = from->ins.at[call].imm.fn;
    Val *inner = ARENA_NEW(m->arena, Val, callee->ins.n + 1);
    for (int i = 0; i < callee->n_in; i++)
        inner[i] = map[from->ins.at[call].arg[i]];
    for (int v = callee->n_in; v < callee->ins.n; v++)
        fn_copy(m, to, callee, (Val)v, inner, true);
    for (int w = (int)call + 1; w < from->ins.n; w++)
        if (from->ins.at[w].op == OP_result && from->ins.at[w].arg[0] == call)
            map[w] = inner[callee->out.at[from->ins.at[w].imm.index]];
}

void fn_copy(Module *m, Fn *to, const Fn *from, Val v, Val *map, bool expands)
{
    Ins ins = from->ins.at[v];
    if (expands && ins.op == OP_call) {
        expand(m, to, from, v, map);
        return;
    }
    if (expands && ins.op == OP_result && from->ins.at[ins.arg[0]].op == OP_call)
        return; /* set by its call */
    Val *arg = ARENA_NEW(m->arena, Val, ins.n_arg + 1);
    for (int k = 0; k < ins.n_arg; k++)
        arg[k] = map[ins.arg[k]];
    if (op_info[ins.op].op_class == CLASS_leaf || op_info[ins.op].op_class == CLASS_region) {
        ins.arg = arg;
        map[v] = append(m, to, ins);
        return;
    }
    map[v] = fn_op(m, to, ins.op, ins.n_arg, arg, ins.imm, ins.span);
    to->ins.at[map[v]].name = ins.name;
}

Val *fn_append(Module *m, Fn *to, const Fn *from, const Val *in, bool expands)
{
    Val *map = ARENA_NEW(m->arena, Val, from->ins.n + 1);
    for (int i = 0; i < from->n_in; i++)
        map[i] = in[i];
    for (int v = from->n_in; v < from->ins.n; v++)
        fn_copy(m, to, from, (Val)v, map, expands);
    return map;
}

Fn *fn_flat(Module *m, const Fn *fn, const char *name)
{
    Fn *to = fn_new(m, name, fn->span);
    Val *in = ARENA_NEW(m->arena, Val, fn->n_in + 1);
    for (int i = 0; i < fn->n_in; i++)
        in[i] = fn_input(m, to, fn->ins.at[i].type, fn->ins.at[i].name);
    const Val *map = fn_append(m, to, fn, in, true);
    for (int i = 0; i < fn->out.n; i++)
        fn_out(m, to, map[fn->out.at[i]], fn->out_name.at[i]);
    return canon(m, to);
}

/* ---- regions ---- */
int region_n_result(const Module *m, const Ins *ins)
{
    if (ins->op == OP_call)
        return ins->imm.fn->out.n;
    if (ins->op == OP_solve)
        return solve_n_result(ins->imm.solve);
    const SolveVjp *vjp = m->vjps.at[ins->imm.index];
    int n = 0;
    for (int i = 0; i < ins->imm.solve->n_state + ins->imm.solve->n_arg; i++)
        n += vjp->want[i];
    return n;
}

Type region_type(const Module *m, const Fn *fn, const Ins *ins, int index)
{
    if (ins->op == OP_call)
        return fn_type(ins->imm.fn, ins->imm.fn->out.at[index]);
    if (ins->op == OP_solve)
        return solve_type(ins->imm.solve, index);
    const SolveVjp *vjp = m->vjps.at[ins->imm.index];
    for (int i = 0; i < ins->n_arg; i++)
        if (vjp->want[i] && index-- == 0)
            return fn_type(fn, ins->arg[i]);
    BUG("'%s': result %d of a reverse solve does not exist", fn->name, index);
}

/* ---- checking ---- */
static void verify_ins(const Fn *fn, Val v)
{
    const Ins *ins = &fn->ins.at[v];
    char why[256] = "";
    Type type, arg[64];
    for (int i = 0; i < ins->n_arg; i++)
        if (ins->arg[i] >= v)
            BUG("'%s': value %u uses value %u, which stands behind it", fn->name, v, ins->arg[i]);
    if (ins->op == OP_call && ins->n_arg != ins->imm.fn->n_in)
        BUG("'%s': call of '%s' with %d arguments", fn->name, ins->imm.fn->name, ins->n_arg);
    if (op_info[ins->op].op_class == CLASS_region || op_info[ins->op].op_class == CLASS_leaf || ins->n_arg > 64)
        return;
    for (int i = 0; i < ins->n_arg; i++)
        arg[i] = fn_type(fn, ins->arg[i]);
    if (!op_type(ins->op, ins->n_arg, arg, &ins->imm, &type, why) || !type_equal(type, ins->type))
        BUG("'%s': value %u (%s) has the wrong type %s", fn->name, v, op_info[ins->op].name, why);
}

void fn_verify(const Fn *fn)
{
    for (int v = 0; v < fn->ins.n; v++) {
        if ((v < fn->n_in) != (fn->ins.at[v].op == OP_input))
            BUG("'%s': inputs do not stand first", fn->name);
        verify_ins(fn, (Val)v);
    }
    for (int i = 0; i < fn->out.n; i++)
        if (fn->out.at[i] >= (Val)fn->ins.n)
            BUG("'%s': output %d does not exist", fn->name, i);
}

/* ---- printing ---- */
static void print_ins(Text *t, const Fn *fn, int v)
{
    const Ins *ins = &fn->ins.at[v];
    const Imm *imm = &ins->imm;
    Arena *a = t->arena;
    Text s = text_new(a);
    text_add(&s, "%%%d = %s", v, op_info[ins->op].name);
    if (ins->op == OP_const)
        text_add(&s, " %s", num_text(a, imm->num, false));
    else if (ins->op == OP_array)
        for (int i = 0; i < type_size(ins->type); i++)
            text_add(&s, " %s", num_text(a, imm->array[i], false));
    else if (ins->op == OP_call)
        text_add(&s, " %s", imm->fn->name);
    else if (ins->op == OP_solve || ins->op == OP_solve_vjp)
        text_add(&s, " %s.%d", imm->solve->name, imm->index);
    else if (op_info[ins->op].op_class != CLASS_map)
        text_add(&s, " .%d/%d/%d", imm->index, imm->axis, imm->from);
    for (int i = 0; i < ins->n_arg; i++)
        text_add(&s, " %%%u", ins->arg[i]);
    if (ins->op == OP_permute || ins->op == OP_unpermute)
        text_add(&s, " by %d%d%d%d", imm->perm[0], imm->perm[1], imm->perm[2], imm->perm[3]);
    text_line(t, "%-48s : %s%s", s.at, type_text(a, ins->type), ins->type.is_batched ? " each" : "");
}

void fn_print(Text *t, const Fn *fn)
{
    text_open(t, "fn %s(%d)%s%s", fn->name, fn->n_in, fn->note ? "   # " : "", fn->note ? fn->note : "");
    for (int v = 0; v < fn->ins.n; v++)
        print_ins(t, fn, v);
    text_add(t, "out");
    for (int i = 0; i < fn->out.n; i++)
        text_add(t, " %%%u", fn->out.at[i]);
    text_add(t, "\n");
    text_close(t, "end");
}

/* ---- the module ---- */
/* The function as text, but for its name: in memory of its own. */
static const char *body_text(Arena *a, const Fn *fn)
{
    Text t = text_new(a);
    Fn anonymous = *fn;
    anonymous.name = "";
    anonymous.note = NULL;
    fn_print(&t, &anonymous);
    return t.at;
}

static Fn *the_same(const Module *m, const Fn *fn)
{
    Arena *a = arena_new();
    const char *text = NULL;
    Fn *found = NULL;
    for (int i = 0; i < m->fns.n && !found; i++) {
        if (m->fns.at[i]->ins.n != fn->ins.n)
            continue;
        text = text ? text : body_text(a, fn);
        found = str_eq(body_text(a, m->fns.at[i]), text) ? m->fns.at[i] : NULL;
    }
    arena_free(a);
    return found;
}

static bool name_taken(const Module *m, const char *name)
{
    for (int i = 0; i < m->fns.n; i++)
        if (str_eq(m->fns.at[i]->name, name))
            return true;
    return false;
}

Fn *module_add(Module *m, Fn *fn)
{
    fn_verify(fn);
    Fn *there = the_same(m, fn);
    if (there)
        return there;
    const char *base = fn->name;
    for (int k = 2; name_taken(m, fn->name); k++)
        fn->name = str_format(m->arena, "%s_%d", base, k);
    list_push(m->arena, m->fns, fn);
    return fn;
}
