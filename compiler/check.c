/* check.c: a file as a whole: its items walked twice, once for training and once for evaluation, and its programs.
 *
 * Needs: parsed files.  Gives: a Model with programs lowered, differentiated and canonical; nothing after an error.
 * Elsewhere: declarations (declare.c), solves (equation.c), the train block (training.c). */
#include "checker.h"

#include <string.h>

/* ---- the prelude ---- */
static void predeclare(Check *c, Scope *s, const char *name, Value v)
{
    scope_add(c, s, name, (Span){0}, v, NULL);
}

static void open_prelude(Check *c, Node *const *prelude, int n_prelude)
{
    const double pi = 3.14159265358979323846;
    c->prelude = scope_new(c, NULL, SCOPE_prelude);
    predeclare(c, c->prelude, "pi", value_num(rat_double(c->arena, pi)));
    predeclare(c, c->prelude, "true", value_int(c, 1));
    predeclare(c, c->prelude, "false", value_int(c, 0));
    predeclare(c, c->prelude, "step", (Value){.kind = VALUE_leaf, .index = 0});
    predeclare(c, c->prelude, "steps", (Value){.kind = VALUE_leaf, .index = 1});
    predeclare(c, c->prelude, "training", value_int(c, 1));
    for (int i = 0; i < n_prelude; i++)
        for (int k = 0; k < prelude[i]->n; k++)
            declare(c, c->prelude, NULL, prelude[i]->kid[k]);
}

/* ---- statements of the file ---- */
static void add_loss(Check *c, Node *node)
{
    Val v = eval_tensor(c, c->file, c->main, node->kid[0], "a loss");
    if (v == NO_VAL)
        return;
    Type t = fn_type(c->main->fn, v);
    if (t.rank > 0) {
        DIAG_AT(c->diags, LOSS_SCALAR, node->kid[0]->span, "a loss", type_text(c->arena, t));
        return;
    }
    list_push(c->arena, c->losses, build_batch_mean(c, c->main, v));
}

static const char *source_text(Check *c, const Node *node)
{
    return str_copy(c->arena, node->span.source->text + node->span.at, node->span.n);
}

/* The words of the source, each run of blanks as one. */
static const char *one_line(Check *c, const Node *node)
{
    const char *s = source_text(c, node), *out = "";
    while (*s) {
        size_t n = strcspn(s, " \t\r\n");
        if (n)
            out = str_format(c->arena, "%s%s%.*s", out, *out ? " " : "", (int)n, s);
        s += n + strspn(s + n, " \t\r\n");
    }
    return out;
}

static void add_metric(Check *c, Node *node)
{
    int before = c->losses.n;
    Node loss = *node;
    add_loss(c, &loss);
    if (c->losses.n == before)
        return;
    list_push(c->arena, c->metrics, c->losses.at[--c->losses.n]);
    if (!c->training)
        list_push(c->arena, c->model->metric_names, one_line(c, node->kid[0]));
}

static void add_outputs(Check *c, Node *node)
{
    for (int i = 0; i < node->n; i++) {
        Val v = eval_tensor(c, c->file, c->main, node->kid[i], "an output");
        if (v == NO_VAL || c->training)
            continue;
        list_push(c->arena, c->outputs, v);
        list_push(c->arena, c->model->output_names, one_line(c, node->kid[i]));
    }
}

static void include(Check *c, Node *node)
{
    const char *from = node->span.source->name, *slash = strrchr(from, '/');
    const char *path = node->text[0] == '/' || !slash
                           ? node->text
                           : str_format(c->arena, "%.*s/%s", (int)(slash - from), from, node->text);
    const Source *source = source_read(c->arena, path);
    if (!source) {
        DIAG_AT(c->diags, INCLUDE_READ, node->span, path);
        return;
    }
    Node *file = parse(c->arena, source, c->diags);
    for (int i = 0; i < file->n; i++) {
        Node *at = file->kid[i];
        if (at->kind == NODE_CONST || at->kind == NODE_FN || at->kind == NODE_LAYER || at->kind == NODE_TABLEAU ||
            at->kind == NODE_QUANTITY)
            declare(c, c->file, NULL, at);
        else if (at->kind != NODE_ERROR)
            DIAG_PLAIN(c->diags, INCLUDE_ITEM, at->span);
    }
}

static void precision(Check *c, Node *node)
{
    if (str_eq(node->text, "f64"))
        c->model->is_double = true;
    else if (!str_eq(node->text, "f32"))
        DIAG_AT(c->diags, PRECISION, node->span, node->text);
}

static void walk_item(Check *c, Node *node)
{
    switch (node->kind) {
    case NODE_PRECISION:
    case NODE_ERROR: return;
    case NODE_INCLUDE: include(c, node); return;
    case NODE_LOSS: add_loss(c, node); return;
    case NODE_METRIC: add_metric(c, node); return;
    case NODE_OUTPUT: add_outputs(c, node); return;
    case NODE_TRAIN: declare_train(c, c->file, node); return;
    default: declare(c, c->file, c->main, node);
    }
}

static void walk(Check *c, Node *file, bool training)
{
    c->training = training;
    scope_lookup(c->prelude, "training")->value = value_int(c, training);
    c->file = scope_new(c, c->prelude, SCOPE_file);
    c->main = build_new(c, training ? "train" : "eval", file->span, NULL, NULL);
    c->path = "";
    c->turns = c->calls = 0;
    c->losses.n = c->penalties.n = c->metrics.n = c->outputs.n = c->solves.n = 0;
    for (int i = 0; i < file->n; i++)
        walk_item(c, file->kid[i]);
    if (training)
        scope_unused(c, c->file);
}

/* ---- programs ---- */
static Val total(Check *c, const Val *v, int n)
{
    Val sum = fn_const(c->module, c->main->fn, 0);
    for (int i = 0; i < n; i++)
        sum = fn_op2(c->module, c->main->fn, OP_add, sum, v[i]);
    return sum;
}

/* What the outputs so far and n more values are made of. */
static const bool *needed(Check *c, int n, const Val *more)
{
    const Fn *fn = c->main->fn;
    bool *is_needed = ARENA_NEW(c->arena, bool, fn->ins.n + 1);
    for (int i = 0; i < fn->out.n; i++)
        is_needed[fn->out.at[i]] = true;
    for (int i = 0; i < n; i++)
        is_needed[more[i]] = true;
    for (int v = fn->ins.n - 1; v >= 0; v--)
        for (int k = 0; is_needed[v] && k < fn->ins.at[v].n_arg; k++)
            is_needed[fn->ins.at[v].arg[k]] = true;
    return is_needed;
}

/* Evaluations, accepted and rejected steps, each added up over the solves that the outputs so far and n more values
 * need: others, such as one that is only predicted, are not run. Of solves in which each sample has its own steps, the
 * mean over samples. */
static void add_counts(Check *c, int n_more, const Val *more)
{
    static const char *const name[] = {"evaluations", "accepted", "rejected"};
    Fn *fn = c->main->fn;
    int n = fn->ins.n;
    const bool *is_needed = needed(c, n_more, more);
    for (int k = 0; k < 3; k++) {
        Val sum = fn_const(c->module, fn, 0);
        for (int v = 0; v < n; v++)
            if (fn->ins.at[v].op == OP_solve && is_needed[v]) {
                const Solve *s = fn->ins.at[v].imm.solve;
                Val count = fn_result(c->module, fn, (Val)v, solve_evaluations(s) + k, type_scalar(s->is_per_sample));
                sum = fn_op2(c->module, fn, OP_add, sum, build_batch_mean(c, c->main, count));
            }
        fn_out(c->module, fn, sum, name[k]);
    }
}

static Val zero_like(Check *c, Type t)
{
    Val zero = fn_const(c->module, c->main->fn, 0);
    return t.rank ? fn_op(c->module, c->main->fn, OP_fill, 1, &zero, (Imm){.to = t}, c->main->fn->span) : zero;
}

static Fn *finish(Check *c, const char *name, const char *note)
{
    Fn copy = *c->main->fn;
    copy.name = name;
    copy.note = note;
    Fn *fn = canon(c->module, &copy);
    return ad_finish(c->module, module_add(c->module, fn));
}

static void make_train(Check *c)
{
    Model *model = c->model;
    Fn *fn = c->main->fn;
    if (c->losses.n == 0)
        return;
    Val reg = total(c, c->penalties.at, c->penalties.n);
    if (model->choices.is_compared && c->penalties.n) {
        Value factor = {.kind = VALUE_setting, .index = setting_add(c, "regularize", 1, true, fn->span)};
        reg = fn_op2(c->module, fn, OP_mul, reg, build_val(c, c->main, &factor));
    }
    Val loss = fn_op2(c->module, fn, OP_add, total(c, c->losses.at, c->losses.n), reg);
    Val *grad = ARENA_NEW(c->arena, Val, model->params.n + 1);
    bool *is_wanted = ARENA_NEW(c->arena, bool, model->params.n + 1);
    fn_out(c->module, fn, loss, "loss");
    fn_out(c->module, fn, reg, "regulariser");
    add_counts(c, 0, NULL);
    for (int i = 0; i < model->params.n; i++)
        is_wanted[i] = !model->params.at[i].is_frozen;
    ad_gradient(c->module, fn, loss, model->params.n, is_wanted, grad);
    for (int i = 0; i < model->params.n; i++) {
        const Param *p = &model->params.at[i];
        if (!p->is_frozen)
            fn_out(c->module, fn, grad[i] == NO_VAL ? zero_like(c, p->type) : grad[i],
                   str_format(c->arena, "d_%s", p->path));
    }
    model->train = finish(c, "train", "one training step: loss, counts and the gradient");
}

static void make_eval(Check *c)
{
    Fn *fn = c->main->fn;
    fn->out.n = fn->out_name.n = 0;
    if (c->losses.n == 0 && c->metrics.n == 0)
        return;
    fn_out(c->module, fn, total(c, c->losses.at, c->losses.n), "loss");
    add_counts(c, c->metrics.n, c->metrics.at);
    for (int i = 0; i < c->metrics.n; i++)
        fn_out(c->module, fn, c->metrics.at[i], c->model->metric_names.at[i]);
    c->model->eval = finish(c, "eval", "loss and metrics of a batch");
}

/* Without an `output`: the last state of each solve, or its series where times are saved. */
static void default_outputs(Check *c)
{
    for (int i = 0; i < c->solves.n; i++)
        for (int j = 0; j < c->solves.at[i]->solve->n_state; j++) {
            const Solve *s = c->solves.at[i]->solve;
            Val v = solve_result(c, c->solves.at[i], s->n_save ? solve_saved(s, j) : solve_end(s, j), j);
            list_push(c->arena, c->outputs, v);
            list_push(c->arena, c->model->output_names, str_format(c->arena, "%s.%s", s->name, s->state_name[j]));
        }
}

static void make_predict(Check *c)
{
    Fn *fn = c->main->fn;
    fn->out.n = fn->out_name.n = 0;
    if (c->outputs.n == 0)
        default_outputs(c);
    for (int i = 0; i < c->outputs.n; i++) {
        Val v = c->outputs.at[i];
        if (!fn_type(fn, v).is_batched)
            v = fn_op1(c->module, fn, OP_bcast, v);
        fn_out(c->module, fn, v, c->model->output_names.at[i]);
    }
    if (c->outputs.n)
        c->model->predict = finish(c, "predict", "outputs of a batch");
}

static const char *identifier(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *from = slash ? slash + 1 : path, *dot = strrchr(from, '.');
    size_t n = dot && dot > from ? (size_t)(dot - from) : strlen(from);
    char *name = ARENA_NEW(a, char, n + 3);
    size_t at = 0;
    if (!n || (from[0] >= '0' && from[0] <= '9'))
        name[at++] = 'm';
    for (size_t i = 0; i < n; i++)
        name[at++] = (from[i] >= 'a' && from[i] <= 'z') || (from[i] >= 'A' && from[i] <= 'Z') ||
                             (from[i] >= '0' && from[i] <= '9')
                         ? from[i]
                         : '_';
    return name;
}

/* The functions of the solves were kept as their reverse needs them. */
static void finish_solves(Module *m)
{
    for (int i = 0; i < m->solves.n; i++) {
        Solve *s = m->solves.at[i];
        s->step = ad_finish(m, s->step);
        s->step_keep = s->step_keep ? ad_finish(m, s->step_keep) : NULL;
        s->scaled = s->scaled ? ad_finish(m, s->scaled) : NULL;
    }
    for (int i = 0; i < m->vjps.n; i++) {
        SolveVjp *v = m->vjps.at[i];
        if (v->record) {
            v->record = ad_finish(m, v->record);
            v->again = ad_finish(m, v->again);
        }
    }
}

Model *model_check(Arena *a, Diags *d, Node *const *prelude, int n_prelude, Node *file, const Choices *choices)
{
    Module *m = ARENA_NEW(a, Module, 1);
    Model *model = ARENA_NEW(a, Model, 1);
    *m = (Module){.arena = a, .diags = d};
    *model = (Model){.name = identifier(a, file->span.source->name), .source = file->span.source, .module = m};
    model->choices = *choices;
    Check c = {.arena = a,
               .diags = d,
               .module = m,
               .model = model,
               .path = "",
               .no_reduce = choices->no_reduce,
               .no_difference = choices->no_difference};
    if (diag_errors(d))
        return NULL;
    open_prelude(&c, prelude, n_prelude);
    for (int i = 0; i < file->n; i++)
        if (file->kid[i]->kind == NODE_PRECISION)
            precision(&c, file->kid[i]);
    walk(&c, file, true);
    if (model->train_block && c.losses.n == 0 && !diag_errors(d))
        DIAG_PLAIN(d, NO_LOSS, model->train_block->span);
    for (int i = 0; i < choices->clauses.n && c.solves.n == 0 && !diag_errors(d); i++)
        DIAG_AT(d, NO_SOLVE, choices->clauses.at[i]->span, choices->clauses.at[i]->text);
    train_hyper(&c);
    if (diag_errors(d))
        return NULL;
    if (!choices->only_check)
        make_train(&c);
    walk(&c, file, false);
    if (diag_errors(d))
        return NULL;
    if (choices->only_check)
        return model;
    make_eval(&c);
    make_predict(&c);
    finish_solves(m);
    return model;
}
