/* canon.c: the canonical form of a function.
 *
 * Needs: a verified Fn.  Gives: the same outputs; no dead value, no duplicate, no arithmetic on numbers only; operands
 * before their users; numbers in the order in which a reader of the outputs meets them.
 * Elsewhere: the rewrite rules (simplify.c, form.c). */
#include "canon.h"

#include <math.h>
#include <string.h>

struct Canon {
    Module *m;
    const Fn *from;
    Fn *to;
    Val *map;       /* value of from -> value of to, or NO_VAL */
    uint32_t *slot; /* open-addressed table of values of to */
    int n_slot;
};

const Fn *canon_fn(const Canon *c)
{
    return c->to;
}

Arena *canon_arena(const Canon *c)
{
    return c->m->arena;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
    h ^= x + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
    return h * 0xff51afd7ed558ccdu;
}

static uint64_t ins_hash(const Ins *ins)
{
    uint64_t bits, h = mix((uint64_t)ins->op, (uint64_t)ins->imm.index);
    memcpy(&bits, &ins->imm.num, sizeof bits);
    h = mix(mix(h, bits), (uint64_t)(ins->imm.axis * 65536 + ins->imm.from));
    for (int i = 0; i < ins->n_arg; i++)
        h = mix(h, ins->arg[i]);
    return h ^ h >> 29;
}

bool ins_equal(const Ins *a, const Ins *b)
{
    if (a->op != b->op || a->n_arg != b->n_arg || !type_equal(a->type, b->type))
        return false;
    for (int i = 0; i < a->n_arg; i++)
        if (a->arg[i] != b->arg[i])
            return false;
    const Imm *x = &a->imm, *y = &b->imm;
    return memcmp(&x->num, &y->num, sizeof x->num) == 0 && x->index == y->index && x->axis == y->axis &&
           x->from == y->from && memcmp(x->perm, y->perm, sizeof x->perm) == 0 && x->array == y->array &&
           x->fn == y->fn && x->solve == y->solve;
}

/* The value of `to` that equals ins, appended if there is none yet. */
static Val unique(Canon *c, Ins ins)
{
    uint64_t h = ins_hash(&ins);
    for (uint32_t i = (uint32_t)(h % (uint64_t)c->n_slot);; i = (i + 1) % (uint32_t)c->n_slot) {
        if (c->slot[i] != NO_VAL) {
            Ins *there = &c->to->ins.at[c->slot[i]];
            if (!ins_equal(there, &ins))
                continue;
            if (!there->name)
                there->name = ins.name;
            return c->slot[i];
        }
        Val *arg = ARENA_NEW(c->m->arena, Val, ins.n_arg + 1);
        for (int k = 0; k < ins.n_arg; k++)
            arg[k] = ins.arg[k];
        ins.arg = arg;
        list_push(c->m->arena, c->to->ins, ins);
        return c->slot[i] = (Val)(c->to->ins.n - 1);
    }
}

static bool is_const(const Fn *fn, Val v)
{
    return fn->ins.at[v].op == OP_const;
}

/* A map of numbers is a number. */
static bool fold(Canon *c, const Ins *ins, Val *out)
{
    double x[3] = {0};
    if (op_info[ins->op].op_class != CLASS_map)
        return false;
    for (int i = 0; i < ins->n_arg; i++) {
        if (!is_const(c->to, ins->arg[i]))
            return false;
        x[i] = c->to->ins.at[ins->arg[i]].imm.num;
    }
    double y = op_eval_map(ins->op, x[0], x[1], x[2]);
    if (!isfinite(y))
        return false;
    *out = unique(c, (Ins){.op = OP_const, .type = type_scalar(false), .imm = {.num = y}, .span = ins->span});
    return true;
}

Val canon_make(Canon *c, Ins ins)
{
    Val out;
    if (fold(c, &ins, &out))
        return out;
    Rewrite r = simplify(c->m, c->to, &ins);
    if (r.is_value)
        return r.value;
    while (r.is_ins) {
        ins = r.ins;
        if (fold(c, &ins, &out))
            return out;
        r = simplify(c->m, c->to, &ins);
        if (r.is_value)
            return r.value;
    }
    out = form_rewrite(c, &ins);
    return out != NO_VAL ? out : unique(c, ins);
}

/* The solve whose reverse v is: it must run before. */
static Val solve_of(const Fn *fn, Val v)
{
    for (Val w = 0; w < v; w++)
        if (fn->ins.at[w].op == OP_solve && fn->ins.at[w].imm.solve == fn->ins.at[v].imm.solve)
            return w;
    BUG("'%s': a reverse solve without its solve", fn->name);
}

/* Visits v after its operands; an explicit stack, since chains are as long as functions. */
static void visit(Canon *c, Val root)
{
    LIST(Val) stack = {0};
    list_push(c->m->arena, stack, root);
    while (stack.n) {
        Val v = stack.at[stack.n - 1];
        const Ins *ins = &c->from->ins.at[v];
        int before = stack.n;
        if (c->map[v] != NO_VAL) {
            stack.n--;
            continue;
        }
        for (int i = ins->n_arg; i-- > 0;)
            if (c->map[ins->arg[i]] == NO_VAL)
                list_push(c->m->arena, stack, ins->arg[i]);
        if (ins->op == OP_solve_vjp && c->map[solve_of(c->from, v)] == NO_VAL)
            list_push(c->m->arena, stack, solve_of(c->from, v));
        if (stack.n > before)
            continue;
        Ins copy = *ins;
        copy.arg = ARENA_NEW(c->m->arena, Val, ins->n_arg + 1);
        for (int i = 0; i < ins->n_arg; i++)
            copy.arg[i] = c->map[ins->arg[i]];
        c->map[v] = canon_make(c, copy);
        stack.n--;
    }
}

static Fn *canon_once(Module *m, const Fn *fn)
{
    Fn *to = fn_new(m, fn->name, fn->span);
    to->note = fn->note;
    to->n_in = fn->n_in;
    Canon c = {m, fn, to, ARENA_NEW(m->arena, Val, fn->ins.n + 1), NULL, 4 * fn->ins.n + 64};
    c.slot = ARENA_NEW(m->arena, uint32_t, c.n_slot);
    memset(c.map, 0xff, sizeof(Val) * (size_t)fn->ins.n);
    memset(c.slot, 0xff, sizeof(uint32_t) * (size_t)c.n_slot);
    for (int i = 0; i < fn->n_in; i++) {
        list_push(m->arena, to->ins, fn->ins.at[i]);
        c.map[i] = (Val)i;
    }
    for (int i = 0; i < fn->out.n; i++) {
        visit(&c, fn->out.at[i]);
        fn_out(m, to, c.map[fn->out.at[i]], fn->out_name.at[i]);
    }
    return to;
}

/* A rewrite may leave values that nothing uses any more, and expose the next one: until the size stays. */
Fn *canon(Module *m, const Fn *fn)
{
    Fn *to = canon_once(m, fn);
    for (int before = -1; to->ins.n != before;) {
        before = to->ins.n;
        to = canon_once(m, to);
    }
    return to;
}
