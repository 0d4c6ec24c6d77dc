/* emit_group.c: the statements of a part: numbers, kernel calls, sums, calls, solves.
 *
 * Needs: groups and places (plan.h), texts of operands (emit_name.c).  Gives: the body of one C function.
 * Elsewhere: its loops (emit_loop.c), its head, its outputs and tables (emit.c). */
#include "emit.h"

#include <string.h>

static const Ins *ins_of(const Emit *e, Val v)
{
    return &e->f->fn->ins.at[v];
}

static bool is_tile_part(const Emit *e)
{
    return e->f->part[e->part].is_tile;
}

static const char *tile_text(Emit *e)
{
    if (e->f->kind == FN_shared)
        return "tile";
    if (!is_tile_part(e))
        return "-1";
    e->uses_at = true;
    return "at->tile";
}

/* The statement that makes room for v, before the group that computes it. */
static void declare(Emit *e, Val v)
{
    const Place *place = &e->f->place[v];
    const char *name = e->name[v];
    bool is_batched = ins_of(e, v)->type.is_batched;
    const Part *part = &e->f->part[e->part];
    if (place->where == WHERE_out && e->f->kind == FN_top && e->f->root[v] == NO_VAL) {
        e->uses_at = e->uses_work = true;
        text_line(e->t, "Vec *const %s = nde_at_or(&at->frame->out[%d], at->tile, work + %d * ROW);", name,
                  place->offset, place->scratch);
    }
    if (place->where != WHERE_work)
        return;
    e->uses_work = true;
    if (is_batched)
        text_line(e->t, "Vec *const %s = (Vec *)(work + %d * ROW);", name, place->offset);
    else
        text_line(e->t, "Real *const %s = (Real *)(work + %d * ROW + %d * sizeof(Real));", name, part->rows,
                  place->offset);
}

/* ---- watching for numbers that are not finite ---- */
/* Is v made by the compiler for a solve, and not by an expression of the model? */
static bool is_of_solver(const Emit *e, Val v)
{
    int line = emit_line_of(e, ins_of(e, v)->span);
    bool is_solver = line == emit_line_of(e, e->f->fn->span);
    for (int i = 0; i < e->p->m->solves.n; i++)
        is_solver |= line == emit_line_of(e, e->p->m->solves.at[i]->span);
    return is_solver;
}

/* What a callee makes is watched there. The sums of a step, in top-level functions, are made of watched values, and are
 * watched as the argument of the next call. */
static void watch(Emit *e, Val v, const char *what)
{
    const Ins *ins = ins_of(e, v);
    if ((e->f->kind == FN_top && is_of_solver(e, v)) || e->f->ride[v] == RIDE_add)
        return;
    const char *user = ins->name ? ins->name : what;
    const char *text = emit_string(e->a, user, strlen(user));
    int line = emit_line_of(e, ins->span);
    e->uses_run = true;
    if (plan_is_number(e->f, v))
        text_line(e->t, "d_watch(run, %s, %s, %d, %s);", tile_text(e), emit_number(e, v), line, text);
    else
        text_line(e->t, "%c_watch(run, %s, %s, %d, %d, %s);", ins->type.is_batched ? 'v' : 'r', tile_text(e),
                  emit_at(e, v, 0), plan_size(e->f, v), line, text);
}

/* ---- numbers ---- */
static void emit_one_number(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    const char *arg[MAX_ARG] = {0};
    for (int a = 0; a < ins->n_arg; a++)
        arg[a] = emit_number(e, ins->arg[a]);
    const char *value = emit_map(e, ins->op, 'd', arg);
    if (e->f->place[v].where == WHERE_local)
        text_line(e->t, "const double %s = %s;", e->name[v], value);
    else
        text_line(e->t, "%s = %s;", emit_number(e, v), value);
}

/* ---- kernels ---- */
static const char *pattern(const Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    if (plan_is_number(e->f, v))
        return "d";
    if (!ins->type.is_batched)
        return "r";
    if (op_info[ins->op].op_class != CLASS_product)
        return "v";
    bool a = fn_type(e->f->fn, ins->arg[0]).is_batched, b = fn_type(e->f->fn, ins->arg[1]).is_batched;
    return a && b ? "v" : a ? "x" : "w";
}

/* Where a kernel writes v; a number of this C function is declared first. */
static const char *result_at(Emit *e, Val v)
{
    if (!plan_is_number(e->f, v))
        return emit_at(e, v, 0);
    if (e->f->place[v].where == WHERE_local)
        text_line(e->t, "double %s;", e->name[v]);
    return str_format(e->a, "&%s", emit_number(e, v));
}

static void emit_permute(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    Type a = fn_type(e->f->fn, ins->arg[0]);
    int step[MAX_RANK], dim[MAX_RANK] = {1, 1, 1, 1}, from[MAX_RANK] = {0}, at = 1;
    for (int i = a.rank - 1; i >= 0; at *= a.dim[i--])
        step[i] = at;
    for (int i = 0; i < a.rank; i++) {
        int to = i, axis = ins->imm.perm[i];
        if (ins->op == OP_unpermute) {
            to = ins->imm.perm[i];
            axis = i;
        }
        dim[to] = a.dim[axis];
        from[to] = step[axis];
    }
    text_line(e->t, "%s_permute(%s, %s, (const int[]){%d, %d, %d, %d}, (const int[]){%d, %d, %d, %d});", pattern(e, v),
              result_at(e, v), emit_array(e, ins->arg[0]), dim[0], dim[1], dim[2], dim[3], from[0], from[1], from[2],
              from[3]);
}

/* A product of matrices that threads do together: not within a tile, which one of them has. */
static bool is_shared_out(const Emit *e, Val v)
{
    return e->f->kind == FN_top && !e->f->part[e->part].is_tile && ins_of(e, v)->type.rank == 2 &&
           !ins_of(e, v)->type.is_batched && !plan_is_number(e->f, v) &&
           op_info[ins_of(e, v)->op].op_class == CLASS_product;
}

static void emit_one_kernel(Emit *e, Val v)
{
    if (ins_of(e, v)->op == OP_permute || ins_of(e, v)->op == OP_unpermute) {
        emit_permute(e, v);
        return;
    }
    const char *y = result_at(e, v);
    int pack = e->f->packed[v];
    if (is_shared_out(e, v)) {
        e->uses_run = true;
        text_line(e->t, "%s;", emit_kernel(e, v, "t", str_format(e->a, "run, %s", y), NULL, ""));
        return;
    }
    if (pack < 0) {
        text_line(e->t, "%s;", emit_kernel(e, v, pattern(e, v), y, NULL, ""));
        return;
    }
    const char *arg[] = {str_format(e->a, "shared->pack_%d", pack), emit_array(e, ins_of(e, v)->arg[1])};
    e->uses_shared = true;
    text_line(e->t, "%s;", emit_kernel(e, v, "p", y, arg, ""));
}

static void emit_concat(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    int o = 1, i = 1, axis = ins->imm.axis, from = 0;
    for (int k = 0; k < ins->type.rank; k++)
        if (k != axis)
            *(k < axis ? &o : &i) *= ins->type.dim[k];
    for (int k = 0; k < ins->n_arg; k++) {
        Type a = fn_type(e->f->fn, ins->arg[k]);
        int x = a.rank > axis ? a.dim[axis] : 1;
        const char *prefix = !ins->type.is_batched ? "r" : a.is_batched ? "v" : "w";
        if (e->f->host[plan_same(e->f, ins->arg[k])] != v) /* else it is there */
            text_line(e->t, "%s_put(%s, %s, %d, %d, %d, %d, %d);", prefix, emit_at(e, v, 0), emit_array(e, ins->arg[k]),
                      o, x, i, from, ins->type.dim[axis]);
        from += x;
    }
}

static void emit_detach(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    int n = plan_size(e->f, v);
    e->uses_run = true;
    if (plan_is_number(e->f, v)) {
        const char *value = emit_number(e, ins->arg[0]);
        text_line(e->t, "%s%s = %s;", e->f->place[v].where == WHERE_local ? "double " : "", emit_number(e, v), value);
        text_line(e->t, "d_hold(run, %s, &%s);", tile_text(e), emit_number(e, v));
        return;
    }
    char family = ins->type.is_batched ? 'v' : 'r';
    text_line(e->t, "%c_copy(%s, %s, %d);", family, emit_at(e, v, 0), emit_array(e, ins->arg[0]), n);
    text_line(e->t, "%c_hold(run, %s, %s, %d);", family, tile_text(e), emit_at(e, v, 0), n);
}

/* ---- sums over the batch ---- */
/* Where the sum with this root is collected. */
static const char *collected_at(Emit *e, Val root)
{
    const Place *place = &e->f->place[root];
    if (e->f->kind == FN_top) {
        e->uses_sum = true;
        return str_format(e->a, "%ssum->%s", plan_is_number(e->f, root) ? "&" : "", e->name[root]);
    }
    if (plan_is_number(e->f, root) && place->where == WHERE_local)
        return str_format(e->a, "&%s", e->name[root]);
    return e->name[root];
}

/* Products that are summed over the samples into one matrix. */
static void emit_products(Emit *e, const Group *g, const char *y)
{
    Val product = NO_VAL;
    const char **left = ARENA_NEW(e->a, const char *, g->ins.n), **right = ARENA_NEW(e->a, const char *, g->ins.n);
    for (int k = 0; k < g->ins.n; k++) {
        product = plan_absorbed(e->f, g->ins.at[k]);
        left[k] = emit_array(e, ins_of(e, product)->arg[0]);
        right[k] = emit_array(e, ins_of(e, product)->arg[1]);
    }
    const char *arg[] = {emit_join(e, "(const Vec *const[]){", g->ins.n, left, "}"),
                         emit_join(e, "(const Vec *const[]){", g->ins.n, right, "}")};
    e->uses_work = true;
    text_line(e->t, "%s;",
              emit_kernel(e, product, "s", str_format(e->a, "%s, %d", y, g->ins.n), arg,
                          str_format(e->a, ", at->mask, (Real *)(work + %d * ROW)", g->scratch)));
}

static void emit_sum(Emit *e, const Group *g)
{
    Val v = g->ins.at[0], a = ins_of(e, v)->arg[0];
    const char *y = collected_at(e, e->f->root[v]);
    e->uses_at = true;
    if (plan_absorbed(e->f, v) != NO_VAL)
        emit_products(e, g, y);
    else if (plan_is_number(e->f, v))
        text_line(e->t, "%s%s += v_lanes(%s, at->mask);", y[0] == '&' ? "" : "*", y + (y[0] == '&'), emit_at(e, a, 0));
    else
        text_line(e->t, "s_sum(%s, %s, %d, at->mask);", y, emit_at(e, a, 0), plan_size(e->f, v));
}

static void emit_padded(Emit *e, Val v)
{
    const char *y = collected_at(e, e->f->root[v]);
    text_line(e->t, "%s;", emit_kernel(e, v, "add", y, NULL, ""));
}

/* ---- calls ---- */
static const char *call_work(Emit *e, const PlanFn *callee)
{
    const Part *part = &e->f->part[e->part];
    if (callee->rows + callee->reals == 0)
        return "NULL";
    if (e->f->kind == FN_top && !is_tile_part(e)) {
        e->uses_shared = true;
        return "(char *)shared->spare";
    }
    e->uses_work = true;
    return str_format(e->a, "work + %d * ROW + %d * sizeof(Real)", part->rows, part->reals);
}

static const char *result_text(Emit *e, Val v)
{
    if (e->f->root[v] != NO_VAL)
        return collected_at(e, e->f->root[v]);
    return result_at(e, v);
}

static void emit_call(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    const PlanFn *callee = plan_callee(e->p, ins->imm.fn);
    int n = 0, n_out = callee->fn->out.n;
    const char **item = ARENA_NEW(e->a, const char *, ins->n_arg + n_out + 3);
    if (callee->kind == FN_tile) {
        e->uses_at = true;
        item[n++] = "at";
    } else {
        e->uses_run = true;
        item[n++] = "run";
        item[n++] = tile_text(e);
    }
    item[n++] = call_work(e, callee);
    for (int k = 0; k < ins->n_arg; k++)
        item[n++] = plan_is_number(e->f, ins->arg[k]) ? emit_number(e, ins->arg[k]) : emit_at(e, ins->arg[k], 0);
    for (int i = 0; i < n_out; i++)
        item[n++] = result_text(e, plan_result(e->f, v, i));
    text_line(e->t, "%s", emit_join(e, str_format(e->a, "%s(", emit_fn_name(e, callee)), n, item, ");"));
}

/* ---- solves: where the runtime finds arrays of all tiles ---- */
static const char *solve_ref(Emit *e, Val v)
{
    int offset;
    Val b = plan_base(e->f, v, &offset);
    const Ins *ins = ins_of(e, b);
    if (plan_is_number(e->f, v))
        return str_format(e->a, "{(double[]){%s}, 0}", emit_number(e, v));
    if (!fn_type(e->f->fn, v).is_batched)
        return str_format(e->a, "{(void *)(%s), 0}", emit_at(e, v, 0));
    const char *skip = offset ? str_format(e->a, " + %d * ROW", offset) : "";
    if (e->f->place[b].where == WHERE_kept)
        return str_format(e->a, "{frame->kept + offsetof(struct kept_%s, %s)%s, sizeof(struct kept_%s)}", e->f->name,
                          e->name[b], skip, e->f->name);
    const char *table = ins->op == OP_input ? "frame->in" : ins->op == OP_data ? "run->data" : "run->sample";
    e->uses_run |= ins->op != OP_input;
    return str_format(e->a, "{(char *)%s[%d].at%s, %s[%d].step}", table, ins->imm.index, skip, table, ins->imm.index);
}

static const char *result_ref(Emit *e, Val v)
{
    if (v == NO_VAL)
        return "{NULL, 0}";
    if (!plan_is_number(e->f, v))
        return solve_ref(e, v);
    return str_format(e->a, "{&%s, 0}", emit_number(e, v));
}

static void ref_table(Emit *e, const char *name, int n, const char *const *item)
{
    text_line(e->t, "const NdeRef %s[] = {", name);
    for (int i = 0; i < n; i++)
        text_line(e->t, "    %s,", item[i]);
    if (n == 0)
        text_line(e->t, "    {NULL, 0},");
    text_line(e->t, "};");
}

static void emit_solve(Emit *e, Val v)
{
    const Ins *ins = ins_of(e, v);
    const Solve *s = ins->imm.solve;
    int n_own = s->n_state + s->n_arg, n_out = region_n_result(e->p->m, ins);
    const char **item = ARENA_NEW(e->a, const char *, ins->n_arg + n_out + 1);
    e->uses_frame = e->uses_run = true;
    text_open(e->t, "{");
    for (int k = 0; k < ins->n_arg; k++)
        item[k] = solve_ref(e, ins->arg[k]);
    ref_table(e, "in", n_own, item);
    if (ins->op == OP_solve_vjp)
        ref_table(e, "seed", ins->n_arg - n_own, item + n_own);
    for (int i = 0; i < n_out; i++)
        item[i] = result_ref(e, plan_result(e->f, v, i));
    ref_table(e, "out", n_out, item);
    if (ins->op == OP_solve)
        text_line(e->t, "int code = NDE_NAME(nde_solve)(run, &%s, in, out);", emit_solve_name(e, s));
    else
        text_line(e->t, "int code = NDE_NAME(nde_solve_vjp)(run, &nde_reverse_%d, in, seed, out);", ins->imm.index);
    text_open(e->t, "if (code)");
    text_line(e->t, "return code;");
    e->t->depth--;
    text_close(e->t, "}");
}

/* ---- groups ---- */
static void source_line(Emit *e, Span span)
{
    const Source *source = e->p->model->source;
    int line = 0, column = 0;
    if (!span.source || span.source != source)
        return;
    span_line(span, &line, &column);
    if (line == e->line)
        return;
    e->line = line;
    size_t from = span.at, to = span.at;
    while (from > 0 && source->text[from - 1] != '\n')
        from--;
    while (to < source->n && source->text[to] != '\n')
        to++;
    while (from < to && source->text[from] == ' ')
        from++;
    text_line(e->t, "/* %d: %s */", line, emit_comment(e->a, source->text + from, to - from));
}

static void emit_one_group(Emit *e, const Group *g)
{
    Val v = g->ins.at[0];
    switch (g->kind) {
    case GROUP_loop: emit_loop(e, g); break;
    case GROUP_number: emit_one_number(e, v); break;
    case GROUP_kernel: emit_one_kernel(e, v); break;
    case GROUP_concat: emit_concat(e, v); break;
    case GROUP_copy: emit_detach(e, v); break;
    case GROUP_sum: emit_sum(e, g); break;
    case GROUP_add: emit_padded(e, v); break;
    case GROUP_call: emit_call(e, v); break;
    case GROUP_solve: emit_solve(e, v); break;
    }
}

/* Room for what the group computes: its values, or the results of its call. */
static void declare_group(Emit *e, const Group *g)
{
    for (int k = 0; k < g->ins.n; k++)
        if (e->f->root[g->ins.at[k]] == NO_VAL)
            declare(e, g->ins.at[k]);
    if (g->kind != GROUP_call)
        return;
    const Fn *callee = ins_of(e, g->ins.at[0])->imm.fn;
    for (int i = 0; i < callee->out.n; i++) {
        Val result = plan_result(e->f, g->ins.at[0], i);
        if (e->f->root[result] == NO_VAL)
            declare(e, result);
    }
}

/* The weights that the tiles of this phase and of later ones find packed. */
void emit_packs(Emit *e)
{
    for (int i = 0; i < e->f->packs.n; i++) {
        const Pack *p = &e->f->packs.at[i];
        if (2 * p->phase != e->part)
            continue;
        Type t = fn_type(e->f->fn, p->weights);
        e->uses_shared = e->uses_run = true;
        if (p->is_argument) {
            e->uses_frame = true;
            text_open(e->t, "if (frame->is_fresh)");
        }
        text_line(e->t, "pack_weights(run, shared->pack_%d, %s, %d, %d, %s);", i, emit_array(e, p->weights),
                  t.dim[p->is_turned], t.dim[!p->is_turned], p->is_turned ? "true" : "false");
        e->t->depth -= p->is_argument;
    }
}

void emit_groups(Emit *e)
{
    const Part *part = &e->f->part[e->part];
    e->line = 0;
    for (int g = 0; g < part->groups.n; g++) {
        const Group *group = part->groups.at[g];
        source_line(e, ins_of(e, group->ins.at[group->ins.n - 1])->span);
        declare_group(e, group);
        emit_one_group(e, group);
        bool has_value = group->kind < GROUP_sum;
        for (int k = 0; has_value && k < group->ins.n; k++) {
            Val v = group->ins.at[k];
            if (e->f->place[v].where != WHERE_local) /* what is wrong in a variable shows in what is made of it */
                watch(e, v, op_info[ins_of(e, v)->op].name);
        }
    }
}
