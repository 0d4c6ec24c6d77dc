/* build.c: values as instructions: functions under construction and what they capture.
 *
 * A Fn is closed: what it uses of the outside becomes an input. A builder notes each such value as a key; whoever calls
 * the finished function hands the keys' values over (build_keys). The functions of one solve share their keys.
 * Elsewhere: the instructions themselves (ir.c). */
#include "checker.h"

#include <math.h>
#include <string.h>

Value value_poison(void)
{
    return (Value){.kind = VALUE_poison};
}

Value value_num(const Rat *r)
{
    return (Value){.kind = VALUE_number, .num = r};
}

Value value_int(Check *c, long n)
{
    return value_num(rat_int(c->arena, n));
}

Value value_val(Builder *b, Val v)
{
    return (Value){.kind = VALUE_tensor, .home = b, .val = v, .type = fn_type(b->fn, v)};
}

bool value_is_static(const Value *v)
{
    return v->kind == VALUE_number || v->kind == VALUE_array || v->kind == VALUE_poison;
}

bool value_int_of(const Value *v, long *out)
{
    return v->kind == VALUE_number && rat_is_int(v->num, out);
}

bool value_type(const Check *c, const Value *v, Type *out)
{
    switch (v->kind) {
    case VALUE_number:
    case VALUE_setting:
    case VALUE_leaf: *out = type_scalar(false); return true;
    case VALUE_array:
    case VALUE_tensor: *out = v->type; return true;
    case VALUE_param: *out = c->model->params.at[v->index].type; return true;
    case VALUE_data: *out = c->model->data.at[v->index].type; return true;
    case VALUE_sample: *out = c->model->samples.at[v->index].type; return true;
    default: return false;
    }
}

bool value_is_of_sample(const Check *c, const Value *v)
{
    Type t;
    return value_type(c, v, &t) && t.is_batched;
}

const char *value_text(Check *c, const Value *v)
{
    static const char *const noun[] = {[VALUE_states] = "a value for each state",
                                       [VALUE_stages] = "the stages of a step",
                                       [VALUE_fn] = "a function",
                                       [VALUE_op] = "a function",
                                       [VALUE_builtin] = "a function",
                                       [VALUE_recipe] = "a layer that is not made yet",
                                       [VALUE_layer] = "a layer",
                                       [VALUE_layers] = "several layers",
                                       [VALUE_solve] = "a solve",
                                       [VALUE_series] = "a solution, to be asked for at a time",
                                       [VALUE_string] = "a text",
                                       [VALUE_poison] = "nothing",
                                       [VALUE_quantity] = "a quantity",
                                       [VALUE_tableau] = "a tableau"};
    Type t;
    if (v->classes)
        return str_format(c->arena, "class[%d]", v->classes);
    return value_type(c, v, &t) ? type_text(c->arena, t) : noun[v->kind];
}

/* ---- builders ---- */
Builder *build_new(Check *c, const char *name, Span span, Builder *parent, Keys *keys)
{
    Builder *b = ARENA_NEW(c->arena, Builder, 1);
    b->fn = fn_new(c->module, name, span);
    b->parent = parent;
    b->keys = keys;
    return b;
}

Val build_input(Check *c, Builder *b, Type type, const char *name)
{
    b->n_fixed++;
    return fn_input(c->module, b->fn, type, name);
}

static bool same_key(const Value *a, const Value *b)
{
    return a->kind == b->kind && a->index == b->index && a->home == b->home && a->val == b->val;
}

int build_key(Check *c, Keys *keys, const Value *v)
{
    for (int i = 0; i < keys->at.n; i++)
        if (same_key(&keys->at.at[i], v))
            return i;
    list_push(c->arena, keys->at, *v);
    return keys->at.n - 1;
}

static const char *key_name(Check *c, const Value *v)
{
    switch (v->kind) {
    case VALUE_param: return c->model->params.at[v->index].path;
    case VALUE_data: return c->model->data.at[v->index].name;
    case VALUE_sample: return c->model->samples.at[v->index].name;
    case VALUE_tensor: return v->home->fn->ins.at[v->val].name;
    default: return NULL;
    }
}

static Val capture(Check *c, Builder *b, const Value *v)
{
    int key = build_key(c, b->keys, v);
    while (b->captured.n <= key)
        list_push(c->arena, b->captured, NO_VAL);
    if (b->captured.at[key] == NO_VAL) {
        Type t = {0};
        value_type(c, v, &t);
        Ins ins = {.op = OP_input, .type = t, .span = b->fn->span, .name = key_name(c, v), .imm = {.index = key}};
        list_push(c->arena, b->fn->ins, ins); /* build_finish moves it to the front */
        b->captured.at[key] = (Val)(b->fn->ins.n - 1);
    }
    return b->captured.at[key];
}

static Val leaf(Check *c, Builder *b, const Value *v)
{
    static const Op op[] = {[VALUE_param] = OP_param, [VALUE_data] = OP_data, [VALUE_sample] = OP_sample};
    Type t;
    value_type(c, v, &t);
    if (v->kind == VALUE_leaf)
        return fn_leaf(c->module, b->fn, v->index ? OP_train_steps : OP_train_step, 0, t, NULL);
    return fn_leaf(c->module, b->fn, op[v->kind], v->index, t, key_name(c, v));
}

Val build_val(Check *c, Builder *b, const Value *v)
{
    switch (v->kind) {
    case VALUE_number: return fn_const(c->module, b->fn, rat_to_double(v->num));
    case VALUE_array: {
        Ins ins = {.op = OP_array, .type = v->type, .imm = {.array = v->array}, .span = b->fn->span};
        list_push(c->arena, b->fn->ins, ins);
        return (Val)(b->fn->ins.n - 1);
    }
    case VALUE_setting: return fn_leaf(c->module, b->fn, OP_setting, v->index, type_scalar(false), NULL);
    case VALUE_tensor: return v->home == b ? v->val : capture(c, b, v);
    default: return b->keys ? capture(c, b, v) : leaf(c, b, v);
    }
}

int build_keys(Check *c, Builder *b, const Keys *keys, Val *arg)
{
    for (int i = 0; i < keys->at.n; i++)
        arg[i] = build_val(c, b, &keys->at.at[i]);
    return keys->at.n;
}

Fn *build_finish(Check *c, Builder *b)
{
    Module *m = c->module;
    Fn *fn = fn_new(m, b->fn->name, b->fn->span);
    Val *map = ARENA_NEW(c->arena, Val, b->fn->ins.n + 1);
    fn->note = b->fn->note;
    for (int v = 0; v < b->n_fixed; v++)
        map[v] = fn_input(m, fn, b->fn->ins.at[v].type, b->fn->ins.at[v].name);
    for (int i = 0; b->keys && i < b->keys->at.n; i++) {
        Type t;
        value_type(c, &b->keys->at.at[i], &t);
        Val v = fn_input(m, fn, t, key_name(c, &b->keys->at.at[i]));
        if (i < b->captured.n && b->captured.at[i] != NO_VAL)
            map[b->captured.at[i]] = v;
    }
    for (int v = b->n_fixed; v < b->fn->ins.n; v++) {
        Ins ins = b->fn->ins.at[v];
        if (ins.op == OP_input)
            continue;
        Val *arg = ARENA_NEW(c->arena, Val, ins.n_arg + 1);
        for (int k = 0; k < ins.n_arg; k++)
            arg[k] = map[ins.arg[k]];
        ins.arg = arg;
        list_push(c->arena, fn->ins, ins);
        map[v] = (Val)(fn->ins.n - 1);
    }
    for (int i = 0; i < b->fn->out.n; i++)
        fn_out(m, fn, map[b->fn->out.at[i]], b->fn->out_name.at[i]);
    return module_add(m, b->is_flat ? fn_flat(m, fn, fn->name) : canon(m, fn));
}

/* ---- instructions ---- */
bool build_fits(Check *c, double size, Span span)
{
    if (size > MAX_SIZE)
        DIAG_AT(c->diags, SIZE_RANGE, span, (long)fmin(size, 0x1p62));
    return size <= MAX_SIZE;
}

bool build_too_many(Check *c, Node *node, long calls)
{
    enum { DEPTH = 100, MOST = 100000 };
    bool is_reported = c->calls > MOST;
    if (c->depth >= DEPTH)
        DIAG_AT(c->diags, TOO_DEEP, check_span(c, node), DEPTH);
    c->calls += is_reported ? 0 : calls;
    if (c->calls > MOST && !is_reported)
        DIAG_AT(c->diags, TOO_MANY, check_span(c, node), MOST);
    return c->depth >= DEPTH || c->calls > MOST;
}

Val build_op(Check *c, Builder *b, Op op, int n, const Val *arg, Imm imm, Span span)
{
    return fn_op(c->module, b->fn, op, n, arg, imm, span);
}

Val build_map(Check *c, Builder *b, Op op, Val a, Val b2, Span span)
{
    return build_op(c, b, op, op_info[op].n_arg, (Val[]){a, b2}, (Imm){0}, span);
}

Val build_batch_mean(Check *c, Builder *b, Val v)
{
    Module *m = c->module;
    if (!fn_type(b->fn, v).is_batched)
        return v;
    Val count = fn_leaf(m, b->fn, OP_batch, 0, type_scalar(false), NULL);
    return fn_op2(m, b->fn, OP_div, fn_op1(m, b->fn, OP_bsum, v), count);
}

Val build_rms(Check *c, Builder *b, int n, const Val *x, bool is_per_sample)
{
    Module *m = c->module;
    Val sum = NO_VAL;
    int size = 0;
    for (int i = 0; i < n; i++) {
        Val part = fn_op1(m, b->fn, OP_sum, fn_op1(m, b->fn, OP_square, x[i]));
        sum = sum == NO_VAL ? part : fn_op2(m, b->fn, OP_add, sum, part);
        size += type_size(fn_type(b->fn, x[i]));
    }
    Val count = fn_const(m, b->fn, size);
    if (fn_type(b->fn, sum).is_batched && !is_per_sample) {
        sum = fn_op1(m, b->fn, OP_bsum, sum);
        count = fn_op2(m, b->fn, OP_mul, count, fn_leaf(m, b->fn, OP_batch, 0, type_scalar(false), NULL));
    }
    return fn_op1(m, b->fn, OP_sqrt, fn_op2(m, b->fn, OP_div, sum, count));
}

Val build_detached(Check *c, Builder *b, Val v)
{
    return fn_op(c->module, b->fn, OP_detach, 1, &v, (Imm){.index = c->module->n_detach++}, b->fn->ins.at[v].span);
}
