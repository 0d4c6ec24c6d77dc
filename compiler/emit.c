/* emit.c: functions: heads, declarations, outputs, and the tables of a top-level function.
 *
 * Needs: a plan.  Gives: C text for each planned function, callees first.
 * Elsewhere: statements (emit_group.c), the model's tables (emit_main.c). */
#include "emit.h"

#include <string.h>

/* ---- the body of one C function ---- */
static void begin_body(Emit *e, Text *body)
{
    *body = text_new(e->a);
    body->depth = 1;
    e->t = body;
    e->is_leaf_used = ARENA_NEW(e->a, bool, e->f->fn->ins.n + 1);
    e->real = ARENA_NEW(e->a, const char *, e->f->fn->ins.n + 1);
    e->uses_at = e->uses_run = e->uses_work = e->uses_kept = e->uses_sum = e->uses_shared = e->uses_frame = false;
}

/* A leaf that the body reads. */
static void declare_leaf(Emit *e, Text *head, Val v)
{
    const Ins *ins = &e->f->fn->ins.at[v];
    const char *name = e->name[v];
    bool is_number = plan_is_number(e->f, v), is_tile = e->f->part[e->part].is_tile;
    if (ins->op == OP_param) {
        size_t at = e->param_at[ins->imm.index];
        e->uses_run = true;
        if (is_number)
            text_line(head, "const double %s = (double)run->param[%zu];", name, at);
        else
            text_line(head, "const Real *const %s = run->param + %zu;", name, at);
    } else if (ins->op == OP_data || ins->op == OP_sample) {
        e->uses_run = e->uses_at = true;
        text_line(head, "const Vec *const %s = nde_at(&run->%s[%d], at->tile);", name, op_info[ins->op].name,
                  ins->imm.index);
    } else if (ins->op == OP_input && e->f->kind == FN_top) {
        const char *frame = is_tile ? "at->frame" : "frame";
        *(is_tile ? &e->uses_at : &e->uses_frame) = true;
        if (ins->type.is_batched)
            text_line(head, "const Vec *const %s = nde_at(&%s->in[%d], at->tile);", name, frame, ins->imm.index);
        else if (is_number)
            text_line(head, "const double %s = *(const double *)%s->in[%d].at;", name, frame, ins->imm.index);
        else
            text_line(head, "const Real *const %s = %s->in[%d].at;", name, frame, ins->imm.index);
    }
}

/* A callee's sums that are no outputs start at zero. */
static void declare_partial(Emit *e, Text *head, Val v)
{
    const Place *place = &e->f->place[v];
    if (e->f->kind != FN_tile || e->f->root[v] != v)
        return;
    if (place->where == WHERE_local) {
        text_line(head, "double %s = 0;", e->name[v]);
    } else if (place->where == WHERE_work) {
        e->uses_work = true;
        text_line(head, "Real *const %s = (Real *)(work + %d * ROW + %d * sizeof(Real));", e->name[v],
                  e->f->part[e->part].rows, place->offset);
        text_line(head, "r_zero(%s, %d);", e->name[v], plan_size(e->f, v));
    }
}

static void declare_memory(Emit *e, Text *head)
{
    const char *name = e->f->name;
    bool is_tile = e->f->part[e->part].is_tile;
    if (e->f->kind != FN_top) {
        if (e->f->kind == FN_tile && e->uses_run)
            text_line(head, "NdeRun *const run = at->run;");
        return;
    }
    const char *from = is_tile ? "at->" : "frame->";
    if (e->uses_run)
        text_line(head, "NdeRun *const run = %srun;", from);
    if (e->uses_shared && is_tile)
        text_line(head, "const struct shared_%s *const shared = at->frame->shared;", name);
    else if (e->uses_shared)
        text_line(head, "struct shared_%s *const shared = frame->shared;", name);
    if (e->uses_kept)
        text_line(head, "struct kept_%s *const kept = (struct kept_%s *)at->kept;", name, name);
    if (e->uses_sum)
        text_line(head, "struct sum_%s *const sum = (struct sum_%s *)at->sum;", name, name);
    if (e->uses_work)
        text_line(head, "char *const work = at->work;");
    if (is_tile ? !(e->uses_at || e->uses_run || e->uses_shared || e->uses_kept || e->uses_sum || e->uses_work)
                : !(e->uses_frame || e->uses_run || e->uses_shared))
        text_line(head, "(void)%s;", is_tile ? "at" : "frame");
}

/* Parameters of a callee that its body does not read. */
static void mention_unused(Emit *e, Text *head)
{
    if (e->f->kind == FN_top)
        return;
    if (e->f->kind == FN_tile && !e->uses_at && !e->uses_run)
        text_line(head, "(void)at;");
    if (e->f->kind == FN_shared && !e->uses_run)
        text_line(head, "(void)run, (void)tile;");
    if (!e->uses_work)
        text_line(head, "(void)work;");
    for (int v = 0; v < e->f->fn->n_in; v++)
        if (!e->is_leaf_used[v])
            text_line(head, "(void)%s;", e->name[v]);
}

static void end_body(Emit *e, Text *body)
{
    Text leaves = text_new(e->a), memory = text_new(e->a);
    leaves.depth = memory.depth = 1;
    for (int v = 0; v < e->f->fn->ins.n; v++) {
        if (e->is_leaf_used[v])
            declare_leaf(e, &leaves, (Val)v);
        declare_partial(e, &leaves, (Val)v);
    }
    declare_memory(e, &memory);
    mention_unused(e, &memory);
    text_add(e->to, "%s%s%s", memory.at, leaves.at, body->at);
    text_add(e->to, "}\n\n");
}

/* ---- outputs ---- */
/* Is output i computed in its own place, or added to it by sums? */
static bool is_in_place(const Emit *e, int i)
{
    int offset;
    Val b = plan_base(e->f, e->f->fn->out.at[i], &offset);
    const Place *place = &e->f->place[b];
    return !plan_is_leaf(e->f, b) && place->where == WHERE_out && place->offset == i;
}

static void callee_outputs(Emit *e)
{
    for (int i = 0; i < e->f->fn->out.n; i++) {
        Val v = e->f->fn->out.at[i];
        const char *y = e->out_name[i];
        bool adds = e->f->out_is_sum[i];
        if (is_in_place(e, i))
            continue;
        if (plan_is_number(e->f, v))
            text_line(e->t, "*%s %s %s;", y, adds ? "+=" : "=", emit_number(e, v));
        else
            text_line(e->t, "%c_%s(%s, %s, %d);", fn_type(e->f->fn, v).is_batched ? 'v' : 'r', adds ? "add" : "copy", y,
                      emit_at(e, v, 0), plan_size(e->f, v));
    }
}

/* Outputs of a top-level function that this part completes. */
static bool is_output_of_part(const Emit *e, int i, int part)
{
    Val v = e->f->fn->out.at[i];
    bool is_batched = fn_type(e->f->fn, v).is_batched;
    return !is_in_place(e, i) && 2 * e->f->phase[v] + is_batched == part;
}

static void top_outputs(Emit *e)
{
    bool is_tile = e->f->part[e->part].is_tile;
    const char *frame = is_tile ? "at->frame" : "frame";
    for (int i = 0; i < e->f->fn->out.n; i++) {
        Val v = e->f->fn->out.at[i];
        bool adds = i >= e->f->n_set;
        if (!is_output_of_part(e, i, e->part))
            continue;
        *(is_tile ? &e->uses_at : &e->uses_frame) = true;
        text_open(e->t, "if (%s->out[%d].at) /* %s */", frame, i, e->out_name[i]);
        if (is_tile)
            text_line(e->t, "v_%s(nde_at(&at->frame->out[%d], at->tile), %s, %d);", adds ? "add" : "copy", i,
                      emit_at(e, v, 0), plan_size(e->f, v));
        else if (plan_is_number(e->f, v))
            text_line(e->t, "*(double *)frame->out[%d].at %s %s;", i, adds ? "+=" : "=", emit_number(e, v));
        else
            text_line(e->t, "r_%s(frame->out[%d].at, %s, %d);", adds ? "add" : "copy", i, emit_at(e, v, 0),
                      plan_size(e->f, v));
        e->t->depth--;
    }
}

/* ---- callees ---- */
static const char *parameter(Emit *e, Val v)
{
    const Type type = e->f->fn->ins.at[v].type;
    if (type.is_batched)
        return str_format(e->a, "const Vec *%s", e->name[v]);
    return str_format(e->a, plan_is_number(e->f, v) ? "double %s" : "const Real *%s", e->name[v]);
}

static const char *out_parameter(Emit *e, int i)
{
    Val v = e->f->fn->out.at[i];
    const char *type = fn_type(e->f->fn, v).is_batched ? "Vec" : plan_is_number(e->f, v) ? "double" : "Real";
    return str_format(e->a, "%s *%s", type, e->out_name[i]);
}

static void fn_comment(Emit *e, const char *what)
{
    const Fn *fn = e->f->fn;
    int line = emit_line_of(e, fn->span);
    const char *note = fn->note ? emit_comment(e->a, fn->note, strlen(fn->note)) : fn->name;
    const char *where = line ? str_format(e->a, ", line %d", line) : "";
    text_line(e->to, "/* %s%s%s%s */", note, where, what[0] ? ": " : "", what);
}

/* Constant tensors of the function. */
static void emit_arrays(Emit *e)
{
    for (int v = 0; v < e->f->fn->ins.n; v++) {
        const Ins *ins = &e->f->fn->ins.at[v];
        int n = plan_size(e->f, (Val)v);
        if (ins->op != OP_array || n == 1)
            continue;
        const char **item = ARENA_NEW(e->a, const char *, n + 1);
        for (int i = 0; i < n; i++)
            item[i] = emit_literal(e, ins->imm.array[i], true);
        text_line(e->to, "%s",
                  emit_join(e, str_format(e->a, "static const Real array_%s_%d[] = {", e->f->name, v), n, item, "};"));
    }
}

static void emit_callee(Emit *e)
{
    const Fn *fn = e->f->fn;
    const char **item = ARENA_NEW(e->a, const char *, fn->n_in + fn->out.n + 3);
    int n = 0;
    Text body;
    fn_comment(e, "");
    if (e->f->kind == FN_tile) {
        item[n++] = "NdeTile *at";
    } else {
        item[n++] = "NdeRun *run";
        item[n++] = "int tile";
    }
    item[n++] = "char *work";
    for (int v = 0; v < fn->n_in; v++)
        item[n++] = parameter(e, (Val)v);
    for (int i = 0; i < fn->out.n; i++)
        item[n++] = out_parameter(e, i);
    const char *head = str_format(e->a, "static void %s(", emit_fn_name(e, e->f));
    e->part = 0;
    begin_body(e, &body);
    emit_groups(e);
    callee_outputs(e);
    text_line(e->to, "%s", emit_join(e, head, n, item, ")"));
    text_add(e->to, "{\n");
    end_body(e, &body);
}

/* ---- top-level functions ---- */
static bool has_text(const Emit *e, int part)
{
    if (e->f->part[part].groups.n)
        return true;
    for (int i = 0; i < e->f->fn->out.n; i++)
        if (is_output_of_part(e, i, part))
            return true;
    for (int i = 0; i < e->f->packs.n; i++)
        if (2 * e->f->packs.at[i].phase == part)
            return true;
    return false;
}

static void emit_part(Emit *e, int part)
{
    const char *name = e->f->name;
    bool is_tile = e->f->part[part].is_tile;
    Text body;
    if (!has_text(e, part))
        return;
    e->part = part;
    begin_body(e, &body);
    emit_groups(e);
    if (!is_tile)
        emit_packs(e);
    top_outputs(e);
    if (!is_tile)
        text_line(e->t, "return 0;");
    fn_comment(e, str_format(e->a, "%s, phase %d", is_tile ? "one tile" : "shared values", part / 2));
    if (is_tile)
        text_line(e->to, "static void part_%s_%d_tile(NdeTile *at)", name, part / 2);
    else
        text_line(e->to, "static int part_%s_%d_shared(NdeFrame *frame)", name, part / 2);
    text_add(e->to, "{\n");
    end_body(e, &body);
}

static const char *field(Emit *e, Val v)
{
    if (fn_type(e->f->fn, v).is_batched)
        return str_format(e->a, "Vec %s[%d * NV];", e->name[v], plan_size(e->f, v));
    if (plan_is_number(e->f, v))
        return str_format(e->a, "double %s;", e->name[v]);
    return str_format(e->a, "Real %s[%d];", e->name[v], plan_size(e->f, v));
}

/* A struct of the values that pass the test; false if there are none. */
typedef bool Belongs(const PlanFn *f, Val v);

static bool is_shared_field(const PlanFn *f, Val v)
{
    return f->place[v].where == WHERE_shared;
}

static bool is_kept_field(const PlanFn *f, Val v)
{
    return f->place[v].where == WHERE_kept;
}

static bool is_sum_field(const PlanFn *f, Val v)
{
    return f->root[v] == v;
}

static const char *emit_struct(Emit *e, const char *what, Belongs *belongs, int spare, int n_pack)
{
    bool is_empty = spare == 0 && n_pack == 0;
    for (int v = 0; v < e->f->fn->ins.n; v++)
        is_empty &= !belongs(e->f, (Val)v);
    if (is_empty)
        return "0";
    text_open(e->to, "struct %s_%s {", what, e->f->name);
    for (int v = 0; v < e->f->fn->ins.n; v++)
        if (belongs(e->f, (Val)v))
            text_line(e->to, "%s", field(e, (Val)v));
    if (spare)
        text_line(e->to, "Real spare[%d];", spare);
    for (int i = 0; i < n_pack; i++)
        text_line(e->to, "Real pack_%d[%d];", i, plan_size(e->f, e->f->packs.at[i].weights));
    text_close(e->to, "};");
    text_add(e->to, "\n");
    return str_format(e->a, "sizeof(struct %s_%s)", what, e->f->name);
}

static int emit_sums(Emit *e, int phase)
{
    const char *name = e->f->name;
    int n = 0;
    for (int v = 0; v < e->f->fn->ins.n; v++) {
        if (e->f->root[v] != (Val)v || e->f->phase[v] != phase + 1)
            continue;
        if (n++ == 0)
            text_open(e->to, "static const NdeSum nde_sum_%s_%d[] = {", name, phase);
        int out = e->f->sum_out[v];
        const char *to = out >= 0 ? "0" : str_format(e->a, "offsetof(struct shared_%s, %s)", name, e->name[v]);
        text_line(e->to, "{offsetof(struct sum_%s, %s), %d, %d, %s},", name, e->name[v], plan_size(e->f, (Val)v), out,
                  to);
    }
    if (n)
        text_close(e->to, "};");
    return n;
}

static void emit_values(Emit *e, const char *what, int n, const Val *val)
{
    if (n == 0)
        return;
    const char **item = ARENA_NEW(e->a, const char *, n);
    for (int i = 0; i < n; i++)
        item[i] = str_format(e->a, "{%d, %s}", plan_size(e->f, val[i]),
                             fn_type(e->f->fn, val[i]).is_batched ? "true" : "false");
    const char *head = str_format(e->a, "static const NdeValue nde_%s_%s_%d[] = {", what, e->f->name, e->f->index);
    text_line(e->to, "%s", emit_join(e, head, n, item, "};"));
}

static void emit_table(Emit *e, const char *const *bytes)
{
    const PlanFn *f = e->f;
    const char *name = f->name;
    Val *in = ARENA_NEW(e->a, Val, f->fn->n_in + 1);
    int n_phase = f->n_part / 2, *n_sum = ARENA_NEW(e->a, int, n_phase + 1);
    for (int v = 0; v < f->fn->n_in; v++)
        in[v] = (Val)v;
    for (int k = 0; k < n_phase; k++)
        n_sum[k] = emit_sums(e, k);
    emit_values(e, "in", f->fn->n_in, in);
    emit_values(e, "out", f->fn->out.n, f->fn->out.at);
    text_open(e->to, "static const NdePart nde_part_%s_%d[] = {", name, f->index);
    for (int k = 0; k < n_phase; k++)
        text_line(e->to, "{%s, %s, %s, %d},",
                  has_text(e, 2 * k) ? str_format(e->a, "part_%s_%d_shared", name, k) : "NULL",
                  has_text(e, 2 * k + 1) ? str_format(e->a, "part_%s_%d_tile", name, k) : "NULL",
                  n_sum[k] ? str_format(e->a, "nde_sum_%s_%d", name, k) : "NULL", n_sum[k]);
    text_close(e->to, "};");
    text_open(e->to, "static const NdeFn nde_fn_%s_%d = {", name, f->index);
    text_line(e->to, "\"%s\", %d, %d, %d, %s, %s,", name, f->fn->n_in, f->fn->out.n, f->n_set,
              f->fn->n_in ? str_format(e->a, "nde_in_%s_%d", name, f->index) : "NULL",
              f->fn->out.n ? str_format(e->a, "nde_out_%s_%d", name, f->index) : "NULL");
    text_line(e->to, "%d, nde_part_%s_%d, %s, %s, %s, %d * ROW + %d * sizeof(Real), %s, %d};", n_phase, name, f->index,
              bytes[0], bytes[1], bytes[2], f->rows, f->reals, num_text(e->a, f->flops, false), f->index);
    e->to->depth--;
    text_add(e->to, "\n");
}

static void emit_top(Emit *e)
{
    text_line(e->to, "/* ---- %s ---- */", e->f->name);
    const char *bytes[] = {emit_struct(e, "shared", is_shared_field, e->f->spare, e->f->packs.n),
                           emit_struct(e, "kept", is_kept_field, 0, 0), emit_struct(e, "sum", is_sum_field, 0, 0)};
    for (int i = 0; i < e->f->n_part; i++)
        emit_part(e, i);
    emit_table(e, bytes);
}

void emit_fn(Emit *e, const PlanFn *f)
{
    if (f->kind != FN_top && !f->is_called)
        return;
    e->f = f;
    emit_names(e);
    emit_arrays(e);
    if (f->kind == FN_top)
        emit_top(e);
    else
        emit_callee(e);
}
