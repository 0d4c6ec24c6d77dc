/* emit_main.c: the whole C file: its head, all functions, the tables of the model.
 *
 * Needs: a checked model.  Gives: emit_model, the text of one C file for one number type; the same bytes always.
 * Elsewhere: functions (emit.c). */
#include "emit_sample.h"

#include <string.h>

static const char *truth(bool x)
{
    return x ? "true" : "false";
}

static const char *quoted(Emit *e, const char *s)
{
    return s ? emit_string(e->a, s, strlen(s)) : "NULL";
}

/* The name without its folder: the same file gives the same bytes in every folder. */
static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Of the file, and of the clauses that the command line put into it. */
static uint64_t hash_of(const Model *m)
{
    uint64_t h = str_hash(STR_HASH, m->source->text, m->source->n);
    for (int i = 0; i < m->choices.clauses.n; i++) {
        Span at = m->choices.clauses.at[i]->span;
        h = str_hash(h, at.source->text + at.at, at.n);
    }
    return h;
}

static const char *number(Emit *e, double x)
{
    return emit_literal(e, x, false);
}

static const char *fn_ref(Emit *e, const Fn *fn, int n_set)
{
    const PlanFn *f = plan_find(e->p, fn, n_set);
    return f ? str_format(e->a, "&nde_fn_%s_%d", f->name, f->index) : "NULL";
}

static const char *whole_ref(Emit *e, const Fn *fn)
{
    return fn_ref(e, fn, fn ? fn->out.n : 0);
}

/* static TYPE NAME[] = { items };  or nothing if there are none; gives the name or NULL as text. */
static const char *table(Emit *e, const char *type, const char *name, int n, const char *const *item)
{
    if (n == 0)
        return "NULL";
    text_line(e->to, "%s", emit_join(e, str_format(e->a, "static const %s %s[] = {", type, name), n, item, "};"));
    return name;
}

/* ---- solves ---- */
static const char *value_item(Emit *e, Type t)
{
    return str_format(e->a, "{%d, %s}", type_size(t), truth(t.is_batched));
}

/* Values v = from .. from+n-1 of fn's inputs, or of its outputs. */
static const char *value_table(Emit *e, const Solve *s, const char *what, const Fn *fn, bool is_out, int from, int n)
{
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        item[i] = value_item(e, fn_type(fn, is_out ? fn->out.at[from + i] : (Val)(from + i)));
    return table(e, "NdeValue", str_format(e->a, "%s_%s", emit_solve_name(e, s), what), n, item);
}

static const char *number_table(Emit *e, const char *name, int n, const double *x)
{
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        item[i] = number(e, x[i]);
    return table(e, "double", name, n, item);
}

static const char *quantity_table(Emit *e, const Solve *s)
{
    const char **item = ARENA_NEW(e->a, const char *, s->n_quantity + 1);
    for (int i = 0; i < s->n_quantity; i++)
        item[i] = str_format(e->a, "%d", s->quantity_how[i]);
    return table(e, "int", str_format(e->a, "%s_how", emit_solve_name(e, s)), s->n_quantity, item);
}

static const char *state_names(Emit *e, const Solve *s)
{
    const char **item = ARENA_NEW(e->a, const char *, s->n_state + 1);
    for (int i = 0; i < s->n_state; i++)
        item[i] = quoted(e, s->state_name[i]);
    return table(e, "char *const", str_format(e->a, "%s_states", emit_solve_name(e, s)), s->n_state, item);
}

static const char *lifted_table(Emit *e, const Solve *s)
{
    const char **item = ARENA_NEW(e->a, const char *, s->n_state + 1);
    for (int i = 0; i < s->n_state; i++)
        item[i] = str_format(e->a, "%d", s->lifted ? s->lifted[i] : -1);
    return table(e, "int", str_format(e->a, "%s_lifted", emit_solve_name(e, s)), s->lifted ? s->n_state : 0, item);
}

/* The arguments that init gives as they are: it is given the states and the time before them. */
static const char *carry_arg_table(Emit *e, const Solve *s)
{
    const char **item = ARENA_NEW(e->a, const char *, s->n_carry + 1);
    for (int i = 0; i < s->n_carry; i++) {
        int arg = (int)s->init->out.at[i] - (s->n_state + 1); /* inputs are the first values */
        item[i] = str_format(e->a, "%d", arg >= 0 && arg < s->n_arg ? arg : -1);
    }
    return table(e, "int", str_format(e->a, "%s_carry_arg", emit_solve_name(e, s)), s->n_carry, item);
}

static int line_of(const Emit *e, Span span)
{
    int line = 0, column = 0;
    if (span.source && span.source == e->p->model->source)
        span_line(span, &line, &column);
    return line;
}

static const char *read_back_table(Emit *e, const Solve *s, const SolveVjp *v)
{
    int n = s->n_state + s->n_carry;
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    const bool *is_read = plan_read_back(e->a, s, v);
    for (int i = 0; i < n; i++)
        item[i] = truth(is_read[i]);
    return table(e, "bool", str_format(e->a, "%s_read_back", emit_solve_name(e, s)), n, item);
}

/* Evaluations of the field: a method that carries k1 takes it from the step before, and `init` makes the first one;
 * `guess` needs k1 and one evaluation more (Hairer, Norsett & Wanner 1993, II.4). */
static void emit_solve_table(Emit *e, const Solve *s, int index, LatencyCode latency)
{
    const Tableau *method = s->method;
    int has_k1 = method->slope != NULL;
    const char *state = value_table(e, s, "state", s->step, false, 0, s->n_state);
    const char *carry = value_table(e, s, "carry", s->step, false, s->n_state, s->n_carry);
    int before_extra = s->n_state + s->n_carry + 2;
    const char *arg = value_table(e, s, "arg", s->step, false, before_extra + s->n_extra, s->n_arg);
    const char *extra = value_table(e, s, "extra", s->step, false, before_extra, s->n_extra);
    const char *moment = number_table(e, str_format(e->a, "%s_moment", emit_solve_name(e, s)), s->n_moment, s->moment);
    int before_dense = s->n_state + s->n_carry + 1 + s->n_quantity;
    const char *dense =
        s->step_keep ? value_table(e, s, "dense", s->step_keep, true, before_dense, s->n_dense) : "NULL";
    const char *names = state_names(e, s), *how = quantity_table(e, s), *lifted = lifted_table(e, s);
    const char *carry_arg = carry_arg_table(e, s);
    const SolveVjp *v = plan_vjp_of(e->p->model, s);
    const char *back = read_back_table(e, s, v), *residual = "NULL";
    if (v && v->record)
        residual = value_table(e, s, "residual", v->record, true, v->record->out.n - v->n_residual, v->n_residual);
    text_open(e->to, "static const NdeSolve %s = {", emit_solve_name(e, s));
    text_line(e->to, ".name = %s, .index = %d, .line = %d, .method = %s,", quoted(e, s->name), index,
              line_of(e, s->span), quoted(e, method->name));
    text_line(e->to, ".n_state = %d, .n_carry = %d, .n_arg = %d, .n_quantity = %d,", s->n_state, s->n_carry, s->n_arg,
              s->n_quantity);
    text_line(e->to, ".n_dense = %d, .n_save = %d, .n_draw = %d,", s->n_dense, s->n_save, s->n_draw);
    text_line(e->to, ".state_name = %s, .state = %s, .carry = %s,", names, state, carry);
    text_line(e->to, ".arg = %s, .dense_value = %s, .quantity_how = %s,", arg, dense, how);
    text_line(e->to, ".init = %s, .guess = %s,", whole_ref(e, s->init), whole_ref(e, s->guess));
    text_line(e->to, ".step = %s, .step_keep = %s,", whole_ref(e, s->step), whole_ref(e, s->step_keep));
    text_line(e->to, ".dense = %s, .scaled = %s,", whole_ref(e, s->dense), whole_ref(e, s->scaled));
    text_line(e->to, ".lift = %s, .inverse = %s,", whole_ref(e, s->lift), whole_ref(e, s->inverse));
    text_line(e->to, ".carry_arg = %s,", carry_arg);
    if (s->lifted)
        text_line(e->to, ".lifted = %s,", lifted);
    if (s->dense_rate)
        text_line(e->to, ".dense_rate = %s,", whole_ref(e, s->dense_rate));
    if (s->is_per_sample)
        text_line(e->to, ".is_per_sample = true, .arg_save = %d, .arg_count = %d, .arg_end = %d,", s->arg_save,
                  s->arg_count, s->arg_end);
    else if (s->arg_save >= 0)
        text_line(e->to, ".arg_save = %d,", s->arg_save);
    text_line(e->to, ".record = %s, .again = %s, .n_residual = %d, .residual = %s,", whole_ref(e, v ? v->record : NULL),
              whole_ref(e, v ? v->again : NULL), v ? v->n_residual : 0, residual);
    text_line(e->to, ".records_dense = %s, .is_read_back = %s,", truth(v && (v->seed_dense || s->saves_dense)), back);
    text_line(e->to, ".order = %d, .embedded = %d, .evaluations_step = %d, .evaluations_init = %d,", method->order,
              tableau_estimate_order(method),
              tableau_evaluations(method) + (s->saves_dense ? tableau_dense_evaluations(method) : 0), has_k1);
    text_line(e->to, ".evaluations_guess = %d,", s->guess ? 2 - has_k1 : 0);
    text_line(e->to, ".is_adaptive = %s, .keeps_dense = %s, .saves_exactly = %s,",
              truth(s->has_estimate && s->set_fixed < 0), truth(s->saves_dense), truth(s->saves_exactly));
    text_line(e->to, ".n_unbiased = %d, .is_initial_warm = %s,", s->n_unbiased, truth(s->is_initial_warm));
    text_line(e->to, ".set_atol = %d, .set_rtol = %d, .set_t0 = %d, .set_t1 = %d, .set_fixed = %d,", s->atol.set,
              s->rtol.set, s->set_t0, s->set_t1, s->set_fixed);
    text_line(e->to, ".n_atol = %d, .n_rtol = %d,", s->atol.n, s->rtol.n);
    text_line(e->to, ".set_initial = %d, .set_min = %d, .set_max = %d, .set_limit = %d, .set_save = %d,",
              s->set_initial, s->set_min, s->set_max, s->set_limit, s->set_save0);
    if (s->is_learned)
        text_line(e->to, ".is_learned = true, .arg_start = %d, .arg_length = %d,", s->arg_start, s->arg_length);
    if (s->is_steered)
        text_line(e->to, ".is_steered = true, .set_steer = %d,", s->set_steer);
    text_line(e->to, ".set_memory = %d, .bound_is_slots = %s, .controller = %s,", s->set_memory,
              truth(s->bound_is_slots), quoted(e, s->controller));
    text_line(e->to, ".set_pid = %d,", s->set_pid);
    text_line(e->to, ".latency = %s, .latency_bytes = %s, .forgets_steps = %s,", latency.name, latency.weights,
              truth(s->adjoint == ADJOINT_backsolve || s->adjoint == ADJOINT_forward));
    text_line(e->to, ".n_extra = %d, .n_moment = %d, .extra = %s, .moment = %s, .rate = %s};", s->n_extra, s->n_moment,
              extra, moment, whole_ref(e, s->rate));
    e->to->depth--;
    text_add(e->to, "\n");
}

static const char *bool_table(Emit *e, const char *name, int n, const bool *x)
{
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        item[i] = truth(x[i]);
    return table(e, "bool", name, n, item);
}

static void emit_vjp_table(Emit *e, int index)
{
    const SolveVjp *v = e->p->m->vjps.at[index];
    const Solve *s = plan_solve_of(e->p->model, index);
    if (!s)
        return;
    const char *name = str_format(e->a, "nde_reverse_%d", index);
    const char *want = bool_table(e, str_format(e->a, "%s_want", name), s->n_state + s->n_arg, v->want);
    const char *carry = bool_table(e, str_format(e->a, "%s_carry", name), s->n_carry, v->seed_carry);
    int n_seed = 0, n_result = solve_n_result(s);
    const char **item = ARENA_NEW(e->a, const char *, n_result + 1);
    for (int i = 0; i < n_result; i++)
        if (v->seed[i])
            item[n_seed++] = str_format(e->a, "%d", i);
    const char *seed = table(e, "int", str_format(e->a, "%s_seed", name), n_seed, item);
    text_line(e->to, "static const NdeSolveVjp %s = {", name);
    text_line(e->to, "    &%s, %s, %s, %d, %s, %s, %s,", emit_solve_name(e, s), want, seed, n_seed, carry,
              truth(v->seed_dense), truth(plan_reads_dense(s, v)));
    text_line(e->to, "    %s, %s, %s, %s};", fn_ref(e, v->step_vjp, plan_step_vjp_set(s, v)),
              fn_ref(e, v->dense_vjp, 0), fn_ref(e, v->init_vjp, 0),
              s->backward ? str_format(e->a, "&%s", emit_solve_name(e, s->backward->solve)) : "NULL");
    text_add(e->to, "\n");
}

/* ---- tables of the model ---- */
static const char *dims_text(Emit *e, Type t)
{
    return str_format(e->a, "{%d, %d, %d, %d}", t.dim[0], t.dim[1], t.dim[2], t.dim[3]);
}

static void emit_params(Emit *e)
{
    const Model *m = e->p->model;
    const char **item = ARENA_NEW(e->a, const char *, m->params.n + 1);
    for (int i = 0; i < m->params.n; i++) {
        const Param *p = &m->params.at[i];
        const char *array = p->init_array
                                ? number_table(e, str_format(e->a, "nde_init_%d", i), type_size(p->type), p->init_array)
                                : "NULL";
        item[i] = str_format(e->a, "\n    {%s, %zu, %d, %d, %s, %s, {%s, %s}, %s, %d, %d, %s, %d}", quoted(e, p->path),
                             e->param_at[i], type_size(p->type), p->type.rank, dims_text(e, p->type),
                             quoted(e, p->init), number(e, p->init_arg[0]), number(e, p->init_arg[1]), array, p->fan_in,
                             p->fan_out, truth(p->is_frozen), line_of(e, p->span));
    }
    table(e, "NdeParam", "nde_params", m->params.n, item);
}

static void emit_settings(Emit *e)
{
    const Model *m = e->p->model;
    const char **item = ARENA_NEW(e->a, const char *, m->settings.n + 1);
    for (int i = 0; i < m->settings.n; i++)
        item[i] = str_format(e->a, "\n    {%s, %s, %d}", quoted(e, m->settings.at[i].name),
                             number(e, m->settings.at[i].value), line_of(e, m->settings.at[i].span));
    table(e, "NdeSetting", "nde_settings", m->settings.n, item);
}

static void emit_fields(Emit *e)
{
    const Model *m = e->p->model;
    const char **item = ARENA_NEW(e->a, const char *, m->data.n + m->samples.n + 1);
    for (int i = 0; i < m->data.n; i++) {
        const DataField *d = &m->data.at[i];
        item[i] = str_format(e->a, "\n    {%s, %s, %d, %d, %s, %d}", quoted(e, d->name), truth(d->is_class), d->classes,
                             d->type.rank, dims_text(e, d->type), type_size(d->type));
    }
    table(e, "NdeDataField", "nde_data", m->data.n, item);
    for (int i = 0; i < m->samples.n; i++) {
        const SampleField *s = &m->samples.at[i];
        item[i] = str_format(e->a, "\n    {%s, %s, {%s, %s}, %d}", quoted(e, s->name), quoted(e, s->distribution),
                             number(e, s->arg[0]), number(e, s->arg[1]), type_size(s->type));
    }
    table(e, "NdeSample", "nde_samples", m->samples.n, item);
}

static void emit_texts(Emit *e, const char *name, int n, const char *const *text)
{
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        item[i] = quoted(e, text[i]);
    table(e, "char *const", name, n, item);
}

static void emit_outputs(Emit *e)
{
    const Model *m = e->p->model;
    int n = m->output_names.n;
    const char **value = ARENA_NEW(e->a, const char *, n + 1), **dim = ARENA_NEW(e->a, const char *, n + 1);
    emit_texts(e, "nde_metric_names", m->metric_names.n, m->metric_names.at);
    emit_texts(e, "nde_output_names", n, m->output_names.at);
    for (int i = 0; i < n; i++) {
        Type t = fn_type(m->predict, m->predict->out.at[i]);
        value[i] = value_item(e, t);
        dim[i] = str_format(e->a, "{%d, %d, %d, %d, %d}", t.rank, t.dim[0], t.dim[1], t.dim[2], t.dim[3]);
    }
    table(e, "NdeValue", "nde_outputs", n, value);
    if (n)
        text_line(e->to, "%s", emit_join(e, "static const int nde_output_dims[][5] = {", n, dim, "};"));
}

/* Which data fields a program reads. */
static const char *emit_needs(Emit *e, const char *name, const Fn *fn)
{
    const Model *m = e->p->model;
    bool *needs = ARENA_NEW(e->a, bool, m->data.n + 1);
    const char **item = ARENA_NEW(e->a, const char *, m->data.n + 1);
    if (!fn)
        return "NULL";
    for (int v = 0; v < fn->ins.n; v++)
        if (fn->ins.at[v].op == OP_data)
            needs[fn->ins.at[v].imm.index] = true;
    for (int i = 0; i < m->data.n; i++)
        item[i] = needs[i] ? "1" : "0";
    return table(e, "unsigned char", name, m->data.n, item);
}

/* ---- training ---- */
static const char *emit_sources(Emit *e, const char *name, int n, const DataSource *source)
{
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++) {
        const char *files = str_format(e->a, "%s_file_%d", name, i);
        emit_texts(e, files, source[i].files.n, source[i].files.at);
        item[i] =
            str_format(e->a, "{%s, %s, %d, %d, %d}", quoted(e, source[i].kind), source[i].files.n ? files : "NULL",
                       source[i].files.n, source[i].rows, source[i].set_scale);
    }
    return table(e, "NdeSource", name, n, item);
}

static void emit_train(Emit *e)
{
    const Train *t = e->p->model->train_block;
    if (!t)
        return;
    const char *data = emit_sources(e, "nde_train_data", t->data.n, t->data.at);
    const char *test = emit_sources(e, "nde_test_data", t->test.n, t->test.at);
    text_line(e->to, "static const NdeTrain nde_train = {%s, %s, %d, %d, %d, %d, %d, %d, %d, %d, %d, %s, %d};", data,
              test, t->data.n, t->test.n, t->set_steps, t->set_batch, t->set_split, t->set_evaluate, t->set_clip,
              t->set_patience, t->set_seed, quoted(e, t->optimizer), t->n_hyper);
}

/* ---- the model ---- */
static int emit_fn_list(Emit *e)
{
    int n = 0;
    const char **item = ARENA_NEW(e->a, const char *, e->p->fns.n + 1);
    for (int i = 0; i < e->p->fns.n; i++) {
        const PlanFn *f = e->p->fns.at[i];
        if (f->kind == FN_top)
            item[n++] = str_format(e->a, "&nde_fn_%s_%d", f->name, f->index);
    }
    table(e, "NdeFn *const", "nde_fns", n, item);
    return n;
}

static int emit_solve_list(Emit *e)
{
    int n = e->p->m->solves.n;
    const char **item = ARENA_NEW(e->a, const char *, n + 1);
    for (int i = 0; i < n; i++)
        item[i] = str_format(e->a, "&%s", emit_solve_name(e, e->p->m->solves.at[i]));
    table(e, "NdeSolve *const", "nde_solves", n, item);
    return n;
}

static void emit_source(Emit *e)
{
    const Source *s = e->p->model->source;
    text_line(e->to, "static const char nde_source[] =");
    for (size_t from = 0, to; from < s->n || from == 0; from = to) {
        const char *end = memchr(s->text + from, '\n', s->n - from);
        to = end ? (size_t)(end - s->text) + 1 : s->n;
        text_line(e->to, "    %s%s", emit_string(e->a, s->text + from, to - from), to >= s->n ? ";" : "");
        if (to >= s->n)
            break;
    }
    text_add(e->to, "\n");
}

static const char *or_null(bool is_there, const char *name)
{
    return is_there ? name : "NULL";
}

static void emit_model_table(Emit *e, size_t n_param_count, int n_fn, int n_solve)
{
    const Model *m = e->p->model;
    const char *train = emit_needs(e, "nde_train_needs", m->train), *eval = emit_needs(e, "nde_eval_needs", m->eval);
    const char *predict = emit_needs(e, "nde_predict_needs", m->predict);
    text_line(e->to, "extern const NdeModel NDE_MODEL;");
    text_open(e->to, "const NdeModel NDE_MODEL = {");
    text_line(e->to, "%s, %s, nde_source, \"ndec %s\",", quoted(e, m->name), quoted(e, file_name(m->source->name)),
              NDEC_VERSION);
    text_line(e->to, "UINT64_C(0x%016llx), TILE, %s, NDE_ISA_TEXT, NDE_NEEDS,", (unsigned long long)hash_of(m),
              truth(m->is_double));
    text_line(e->to, "%d, %d, %d, %d, %d, %d, %d, %d,", m->params.n, m->settings.n, m->data.n, m->samples.n, n_fn,
              n_solve, m->metric_names.n, m->output_names.n);
    text_line(e->to, "%zu, %s, %s, %s, %s,", n_param_count, or_null(m->params.n, "nde_params"),
              or_null(m->settings.n, "nde_settings"), or_null(m->data.n, "nde_data"),
              or_null(m->samples.n, "nde_samples"));
    text_line(e->to, "%s, %s, %s, %s, %s, %s,", or_null(n_fn, "nde_fns"), or_null(n_solve, "nde_solves"),
              or_null(m->metric_names.n, "nde_metric_names"), or_null(m->output_names.n, "nde_output_names"),
              or_null(m->output_names.n, "nde_outputs"), or_null(m->output_names.n, "nde_output_dims"));
    text_line(e->to, "%s, %s,", whole_ref(e, m->train), whole_ref(e, m->eval));
    text_line(e->to, "%s, %s,", whole_ref(e, m->predict), whole_ref(e, m->hyper));
    text_line(e->to, "%s, %s, %s, %s};", train, eval, predict, or_null(m->train_block != NULL, "&nde_train"));
    e->to->depth--;
}

static void emit_head(Emit *e)
{
    const Source *s = e->p->model->source;
    const char *file = file_name(s->name);
    text_line(e->to, "/* %s, compiled by ndec %s: do not edit.", emit_comment(e->a, file, strlen(file)), NDEC_VERSION);
    text_line(e->to, " *");
    text_line(e->to, " * Functions over a tile of samples (samples lie in vector lanes, [n][NV] Vec) and the tables "
                     "that describe them;");
    text_line(e->to, " * the runtime owns memory, threads and the loops over steps. A v with a number is a value "
                     "without a name. */");
    if (e->p->is_double)
        text_line(e->to, "#define NDE_DOUBLE");
    const Train *train = e->p->model->train_block;
    if (train && !plan_has_products(e->p)) /* how many vectors a tile has: see nde_vector.h */
        text_line(e->to, "#define NDE_BATCH %.0f", e->p->model->settings.at[train->set_batch].value);
    text_line(e->to, "#include \"nde_kernel.h\"");
    text_add(e->to, "\n");
}

static size_t find_params(Emit *e)
{
    const Model *m = e->p->model;
    size_t *at = ARENA_NEW(e->a, size_t, m->params.n + 1), n = 0;
    for (int i = 0; i < m->params.n; i++) {
        at[i] = n;
        n += (size_t)type_size(m->params.at[i].type);
    }
    e->param_at = at;
    return n;
}

static LatencyCode *emit_latencies(Emit *e)
{
    const Module *m = e->p->m;
    LatencyCode *code = ARENA_NEW(e->a, LatencyCode, m->solves.n + 1);
    Text all = text_new(e->a);
    int longest = 0;
    bool has_weights = false;
    for (int i = 0; i < m->solves.n; i++) {
        code[i] = emit_latency(e, m->solves.at[i], &all);
        longest = code[i].longest > longest ? code[i].longest : longest;
        has_weights |= !str_eq(code[i].weights, "0");
    }
    text_line(e->to, "#define NDE_LONGEST %d", longest); /* which decides how long vectors are: see there */
    text_line(e->to, "#define NDE_HAS_WEIGHTS %d", has_weights);
    text_line(e->to, "#include \"nde_latency.h\"");
    text_add(e->to, "\n%s", all.at);
    return code;
}

/* Functions over tiles, those of the programs last; then, with other vectors, what solves one sample. A program refers
 * to its solves, a solve to its functions. */
static void emit_functions(Emit *e)
{
    const Module *m = e->p->m;
    const Model *model = e->p->model;
    const Fn *program[] = {model->train, model->eval, model->predict, model->hyper};
    for (int i = 0; i < m->solves.n; i++)
        text_line(e->to, "static const NdeSolve %s;", emit_solve_name(e, m->solves.at[i]));
    for (int i = 0; i < m->vjps.n; i++)
        if (plan_solve_of(e->p->model, i))
            text_line(e->to, "static const NdeSolveVjp nde_reverse_%d;", i);
    text_add(e->to, "\n");
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < e->p->fns.n; i++) {
            bool is_program = false;
            for (int k = 0; k < 4; k++)
                is_program |= e->p->fns.at[i]->kind == FN_top && e->p->fns.at[i]->source == program[k];
            if (is_program == (pass == 1))
                emit_fn(e, e->p->fns.at[i]);
        }
    LatencyCode *latency = emit_latencies(e);
    for (int i = 0; i < m->solves.n; i++)
        emit_solve_table(e, m->solves.at[i], i, latency[i]);
    for (int i = 0; i < m->vjps.n; i++)
        emit_vjp_table(e, i);
}

void emit_model(Text *out, const Model *model, bool is_double, bool with_main)
{
    Plan *p = plan_build(model);
    Emit e = {.p = p, .a = model->module->arena, .to = out};
    p->is_double = is_double;
    size_t n = find_params(&e);
    emit_head(&e);
    emit_functions(&e);
    emit_params(&e);
    emit_settings(&e);
    emit_fields(&e);
    emit_outputs(&e);
    emit_train(&e);
    int n_fn = emit_fn_list(&e), n_solve = emit_solve_list(&e);
    emit_source(&e);
    emit_model_table(&e, n, n_fn, n_solve);
    if (!with_main)
        return;
    text_add(out, "\nextern const NdeModel nde_model_f64;\n\nint main(int argc, char **argv)\n{\n");
    text_add(out, "    static const NdeVariant variant = {&NDE_MODEL, &nde_model_f64};\n");
    text_add(out, "    return nde_main(argc, argv, 1, &variant);\n}\n");
}
