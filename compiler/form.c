/* form.c: rewrites of what moves data, whose sides depend on places and so are no rows of simplify.def.
 *
 * Needs: an instruction of a canonical function.  Gives: the value that it is: neighbouring slices of one array as one
 * slice, a sum of neighbours among zeros as their concatenation, none of either where it is the whole. The derivatives
 * of concatenations are full of them. Elsewhere: when it is tried (canon.c). */
#include "canon.h"

static const Ins *ins_of(const Canon *c, Val v)
{
    return &canon_fn(c)->ins.at[v];
}

static int along(const Canon *c, Val v, int axis)
{
    return ins_of(c, v)->type.dim[axis];
}

/* `like`, a slice, a pad or a concat along the same axis, as another of these. */
static Val make(Canon *c, Op op, int n, Val *arg, int from, int length, const Ins *like)
{
    Ins ins = *like;
    ins.op = op;
    ins.n_arg = n;
    ins.arg = arg;
    ins.type.dim[like->imm.axis] = length;
    ins.imm.from = op == OP_concat ? 0 : from;
    ins.imm.to = op == OP_concat ? (Type){0} : ins.type;
    return canon_make(c, ins);
}

/* Two slices of one array, the second of which begins where the first ends, as one; or NO_VAL. */
static Val joined(Canon *c, Val first, Val second, int axis)
{
    const Ins *a = ins_of(c, first), *b = ins_of(c, second);
    if (a->op != OP_slice || b->op != OP_slice || a->arg[0] != b->arg[0] || a->imm.axis != axis ||
        b->imm.axis != axis || b->imm.from != a->imm.from + a->type.dim[axis])
        return NO_VAL;
    return make(c, OP_slice, 1, a->arg, a->imm.from, a->type.dim[axis] + b->type.dim[axis], a);
}

static Val concat(Canon *c, const Ins *ins)
{
    for (int k = 0; k + 1 < ins->n_arg; k++) {
        Val one = joined(c, ins->arg[k], ins->arg[k + 1], ins->imm.axis);
        if (one == NO_VAL)
            continue;
        Val *arg = ARENA_NEW(canon_arena(c), Val, ins->n_arg);
        for (int i = 0, to = 0; i < ins->n_arg; i++)
            if (i != k + 1)
                arg[to++] = i == k ? one : ins->arg[i];
        return make(c, OP_concat, ins->n_arg - 1, arg, 0, ins->type.dim[ins->imm.axis], ins);
    }
    return ins->n_arg == 1 ? ins->arg[0] : NO_VAL;
}

/* A sum of neighbours among zeros. */
static Val sum(Canon *c, const Ins *ins)
{
    const Ins *a = ins_of(c, ins->arg[0]), *b = ins_of(c, ins->arg[1]);
    if (a->op != OP_pad || b->op != OP_pad || a->imm.axis != b->imm.axis || !type_equal(a->type, b->type))
        return NO_VAL;
    if (b->imm.from < a->imm.from) {
        const Ins *first = b;
        b = a;
        a = first;
    }
    int axis = a->imm.axis, from = a->imm.from, n = along(c, a->arg[0], axis), m = along(c, b->arg[0], axis);
    if (b->imm.from != from + n)
        return NO_VAL;
    Ins like = *a;
    like.type.is_batched = ins_of(c, a->arg[0])->type.is_batched || ins_of(c, b->arg[0])->type.is_batched;
    Val *arg = ARENA_NEW(canon_arena(c), Val, 2);
    arg[0] = a->arg[0];
    arg[1] = b->arg[0];
    Val both = make(c, OP_concat, 2, arg, 0, n + m, &like);
    return make(c, OP_pad, 1, &both, from, ins->type.dim[axis], &like);
}

Val form_rewrite(Canon *c, const Ins *ins)
{
    bool is_whole = ins->n_arg == 1 && type_equal(ins->type, ins_of(c, ins->arg[0])->type);
    switch (ins->op) {
    case OP_slice:
    case OP_pad: return is_whole ? ins->arg[0] : NO_VAL;
    case OP_concat: return concat(c, ins);
    case OP_add: return sum(c, ins);
    default: return NO_VAL;
    }
}
