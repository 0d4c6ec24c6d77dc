/* pack.c: which weights a top-level function packs for its products.
 *
 * Needs: the groups of all parts (group.c).  Gives: a list of weights, and which product reads which of them. Packed
 * weights lie in the order in which the kernel reads them, which pays for matrices that leave the first-level cache.
 * A solve's arguments do not change while it runs, so they are packed once a solve.
 * Elsewhere: the kernels (runtime/nde_product.h), the statements (emit_group.c). */
#include "plan.h"

#include <string.h>

enum { LEAST = 8192 /* numbers of a matrix */ };

static bool is_packable(const PlanFn *f, int phase, const Ins *ins)
{
    if (ins->op != OP_mm_nn && ins->op != OP_mm_tn)
        return false;
    Type w = fn_type(f->fn, ins->arg[0]), x = fn_type(f->fn, ins->arg[1]);
    if (w.is_batched || !x.is_batched || x.rank != 1 || w.rank != 2 || type_size(w) < LEAST)
        return false;
    int offset;
    Val base = plan_base(f, ins->arg[0], &offset);
    bool is_input = f->fn->ins.at[base].op == OP_input;
    if (!is_input && ins->op == OP_mm_nn) /* one use: only turned ones gain */
        return false;
    return plan_is_leaf(f, base) || (f->in_part[base] % 2 == 0 && f->in_part[base] <= 2 * phase);
}

static int find(Arena *a, PlanFn *f, int phase, const Ins *ins)
{
    bool is_turned = ins->op == OP_mm_tn;
    for (int i = 0; i < f->packs.n; i++)
        if (f->packs.at[i].weights == ins->arg[0] && f->packs.at[i].is_turned == is_turned &&
            f->packs.at[i].phase <= phase)
            return i;
    int offset;
    Val base = plan_base(f, ins->arg[0], &offset);
    list_push(a, f->packs, ((Pack){ins->arg[0], is_turned, f->fn->ins.at[base].op == OP_input, phase}));
    return f->packs.n - 1;
}

void pack_fn(Plan *p, PlanFn *f)
{
    f->packed = ARENA_NEW(p->m->arena, int, f->fn->ins.n + 1);
    memset(f->packed, 0xff, sizeof(int) * (size_t)f->fn->ins.n);
    for (int i = 1; f->kind == FN_top && i < f->n_part; i += 2)
        for (int g = 0; g < f->part[i].groups.n; g++) {
            const Group *group = f->part[i].groups.at[g];
            const Ins *ins = &f->fn->ins.at[group->ins.at[0]];
            if (group->kind == GROUP_kernel && is_packable(f, i / 2, ins))
                f->packed[group->ins.at[0]] = find(p->m->arena, f, i / 2, ins);
        }
}
