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

/* ins, a concat, with n entries in place of entries k .. behind - 1. */
static Val replaced(Canon *c, const Ins *ins, int k, int behind, int n, const Val *entry)
{
    Val *arg = ARENA_NEW(canon_arena(c), Val, ins->n_arg + n);
    int to = 0;
    for (int i = 0; i < k; i++)
        arg[to++] = ins->arg[i];
    for (int i = 0; i < n; i++)
        arg[to++] = entry[i];
    for (int i = behind; i < ins->n_arg; i++)
        arg[to++] = ins->arg[i];
    return make(c, OP_concat, to, arg, 0, ins->type.dim[ins->imm.axis], ins);
}

static Val concat(Canon *c, const Ins *ins)
{
    for (int k = 0; k < ins->n_arg; k++) {
        const Ins *inner = ins_of(c, ins->arg[k]);
        if (inner->op == OP_concat && inner->imm.axis == ins->imm.axis)
            return replaced(c, ins, k, k + 1, inner->n_arg, inner->arg);
        Val one = k + 1 < ins->n_arg ? joined(c, ins->arg[k], ins->arg[k + 1], ins->imm.axis) : NO_VAL;
        if (one != NO_VAL)
            return replaced(c, ins, k, k + 2, 1, &one);
    }
    return ins->n_arg == 1 ? ins->arg[0] : NO_VAL;
}

/* A sum of neighbours among zeros. */
static Val sum(Canon *c, const Ins *ins)
{
    const Ins *a = ins_of(c, ins->arg[0]), *b = ins_of(c, ins->arg[1]);
    if (a->op != OP_pad || b->op != OP_pad || a->imm.axis != b->imm.axis || !type_same_shape(a->type, b->type))
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
