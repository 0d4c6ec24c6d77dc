/* declare.c: declarations and statements: constants, parameters, functions, layers and their bodies.
 *
 * A fn of the user is checked where it stands and becomes one IR function for each combination of argument types it is
 * called with; functions of the prelude, layers, and functions with static arguments are inlined. Loops are unrolled
 * and of an `if` only the branch taken exists. Elsewhere: solve blocks (equation.c), train blocks (training.c). */
#include "checker.h"

#include <string.h>

/* ---- types ---- */
static bool size_of(Check *c, Scope *s, Node *size, int found, int *out)
{
    long n;
    if (size->kind == NODE_NAME && found > 0 && !scope_lookup(s, size->text)) {
        Symbol *symbol = scope_add(c, s, size->text, size->span, value_int(c, found), NULL);
        symbol->is_used = true;
    }
    if (!eval_int(c, s, size, "a size", &n))
        return false;
    if (n < 1 || n > MAX_SIZE) {
        DIAG_AT(c->diags, SIZE_RANGE, check_span(c, size), n);
        return false;
    }
    *out = (int)n;
    return true;
}

/* The type that a TYPE node names; `found`, if not NULL, is what stands against it and binds unknown sizes. */
static bool type_of(Check *c, Scope *s, Node *node, const Type *found, Type *out)
{
    *out = type_scalar(found && found->is_batched);
    if (node->n > MAX_RANK) {
        DIAG_AT(c->diags, RANK_RANGE, check_span(c, node), node->n, MAX_RANK);
        return false;
    }
    out->rank = node->n;
    long size = 1;
    for (int i = 0; i < node->n; i++) {
        if (!size_of(c, s, node->kid[i], found && found->rank == node->n ? found->dim[i] : 0, &out->dim[i]))
            return false;
        if ((size *= out->dim[i]) > MAX_SIZE) {
            DIAG_AT(c->diags, SIZE_RANGE, check_span(c, node), size);
            return false;
        }
    }
    return true;
}

static const char *type_node_text(Check *c, Scope *s, const Node *node)
{
    const char *text = node->text;
    for (int i = 0; i < node->n; i++) {
        Symbol *symbol = node->kid[i]->kind == NODE_NAME ? scope_lookup(s, node->kid[i]->text) : NULL;
        long n;
        const char *size =
            node->kid[i]->kind == NODE_NAME || node->kid[i]->kind == NODE_NUMBER ? node->kid[i]->text : "..";
        if (symbol && value_int_of(&symbol->value, &n))
            size = str_format(c->arena, "%ld", n);
        else {
            const char *setting = c->setting;
            c->setting = NULL;
            Value v = symbol || node->kid[i]->kind == NODE_NAME ? value_poison() : eval(c, s, NULL, node->kid[i]);
            c->setting = setting;
            if (value_int_of(&v, &n))
                size = str_format(c->arena, "%ld", n);
        }
        text = str_format(c->arena, "%s%s%s", text, i ? ", " : "[", size);
    }
    return node->n ? str_format(c->arena, "%s]", text) : text;
}

/* Does v fit a declared type? Binds size variables in s. */
static bool fits(Check *c, Scope *s, Node *node, const Value *v)
{
    Type t, want;
    long n;
    if (v->kind == VALUE_poison)
        return true;
    if (str_eq(node->text, "fn"))
        return v->kind == VALUE_fn || v->kind == VALUE_op || v->kind == VALUE_builtin;
    if (str_eq(node->text, "int") || str_eq(node->text, "bool"))
        return value_int_of(v, &n);
    if (str_eq(node->text, "class"))
        return v->classes && node->n == 1 && size_of(c, s, node->kid[0], v->classes, &want.rank) &&
               want.rank == v->classes;
    if (!value_type(c, v, &t) || v->classes)
        return false;
    return str_eq(node->text, "tensor") || (type_of(c, s, node, &t, &want) && type_same_shape(t, want));
}

/* ---- arguments ---- */
static Node *given(Node *call, const char *name)
{
    for (int i = 1; i < call->n; i++)
        if (call->kid[i]->kind == NODE_GIVEN && str_eq(call->kid[i]->text, name))
            return call->kid[i];
    return NULL;
}

void argument_once(Check *c, const Node *call, int i, int place)
{
    if (place >= i || call->kid[place]->kind == NODE_GIVEN)
        return;
    DIAG_AT(c->diags, GIVEN_TWICE, call->kid[i]->name, call->kid[i]->text);
    diag_note(c->diags, call->kid[place]->span, "first given here");
}

static void check_names(Check *c, const char *callee, Node *head, Node *call)
{
    int n_positional = 0;
    for (int i = 1; i < call->n; i++) {
        bool is_there = call->kid[i]->kind != NODE_GIVEN;
        n_positional += is_there;
        for (int j = 0; j < head->n && !is_there; j++) {
            is_there = str_eq(head->kid[j]->text, call->kid[i]->text);
            if (is_there)
                argument_once(c, call, i, j + 1);
        }
        if (!is_there)
            DIAG_AT(c->diags, NO_SUCH_ARGUMENT, call->kid[i]->span, callee, call->kid[i]->text);
    }
    if (n_positional > head->n)
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, call), callee, head->n, n_positional);
}

bool bind_arguments(Check *c, Scope *s, Builder *b, const char *callee, Node *head, Node *call, Scope *body, Value *arg)
{
    bool ok = true;
    check_names(c, callee, head, call);
    for (int i = 0; i < head->n; i++) {
        Node *formal = head->kid[i], *actual = NULL;
        Value v;
        if (i + 1 < call->n && call->kid[i + 1]->kind != NODE_GIVEN)
            actual = call->kid[i + 1];
        else if (given(call, formal->text))
            actual = given(call, formal->text)->kid[0];
        if (actual)
            v = eval(c, s, b, actual);
        else if (formal->kid[1]) {
            const char *setting = c->setting;
            c->setting = NULL;
            v = eval(c, body, b, formal->kid[1]);
            c->setting = setting;
        } else {
            DIAG_AT(c->diags, ARGUMENT_MISSING, check_span(c, call), callee, formal->text);
            if (!formal->span.source->is_prelude)
                diag_note(c->diags, formal->span, "declared here");
            ok = false;
            v = value_poison();
        }
        if (v.kind == VALUE_states && v.n == 1)
            v = v.many[0];
        if (!fits(c, body, formal->kid[0], &v)) {
            DIAG_AT(c->diags, ARGUMENT_TYPE, check_span(c, actual ? actual : call), formal->text, callee,
                    type_node_text(c, body, formal->kid[0]), value_text(c, &v));
            if (!formal->span.source->is_prelude)
                diag_note(c->diags, formal->kid[0]->span, "promised here");
            ok = false;
        }
        if (v.kind == VALUE_poison)
            ok = false;
        if (arg)
            arg[i] = v;
        scope_add(c, body, formal->text, formal->name, v, NULL);
    }
    return ok;
}

static bool is_static_head(const Node *head)
{
    for (int i = 0; i < head->n; i++) {
        const char *t = head->kid[i]->kid[0]->text;
        if (str_eq(t, "fn") || str_eq(t, "int") || str_eq(t, "bool"))
            return true;
    }
    return false;
}

/* ---- bodies ---- */
typedef struct Body { /* what entering a body changes, to be put back */
    Span site;
    const char *path, *setting;
    bool is_frozen;
} Body;

static Body enter(Check *c, const Node *body, Span site, const char *path)
{
    Body saved = {c->site, c->path, c->setting, c->is_frozen};
    if (body->span.source->is_prelude && !c->site.source)
        c->site = site;
    else if (!body->span.source->is_prelude)
        c->site.source = NULL;
    c->path = path;
    c->setting = NULL;
    c->depth++;
    return saved;
}

static void leave(Check *c, Body saved)
{
    c->site = saved.site;
    c->path = saved.path;
    c->setting = saved.setting;
    c->is_frozen = saved.is_frozen;
    c->depth--;
}

/* "'out' gives real[748], but 'field' promises real[784]" */
static bool promised(Check *c, Scope *body, const char *name, Node *type, Value *v, Node *block)
{
    if (v->kind == VALUE_states && v->n == 1)
        *v = v->many[0];
    int size;
    for (int i = 0; i < type->n; i++) /* only arguments give a size its value */
        if (type->kid[i]->kind == NODE_NAME && !size_of(c, body, type->kid[i], 0, &size))
            return false;
    if (fits(c, body, type, v))
        return true;
    Node *last = block->n ? block->kid[block->n - 1] : block, *value = last->kind == NODE_RETURN ? last->kid[0] : last;
    const char *subject = value->kind == NODE_CALL && value->kid[0]->kind == NODE_NAME
                              ? str_format(c->arena, "'%s'", value->kid[0]->text)
                              : "this";
    DIAG_AT(c->diags, NOT_AS_PROMISED, check_span(c, value), subject, value_text(c, v), name,
            type_node_text(c, body, type));
    if (!type->span.source->is_prelude)
        diag_note(c->diags, type->span, "promised here");
    return false;
}

static Value run_body(Check *c, Scope *body, Builder *b, const char *name, Node *decl, int type_kid)
{
    Value out = value_poison();
    Node *block = decl->kid[decl->n - 1];
    if (!run_block(c, body, b, block, &out)) {
        DIAG_AT(c->diags, NO_RETURN, check_span(c, decl), name);
        return value_poison();
    }
    if (!promised(c, body, name, decl->kid[type_kid], &out, block))
        return value_poison();
    if (!decl->span.source->is_prelude)
        scope_unused(c, body);
    return out;
}

/* ---- functions ---- */
static Instance *instance_of(Check *c, Symbol *fn, int n, const Value *arg, const Type *type)
{
    for (int i = 0; i < c->instances.n; i++) {
        Instance *at = c->instances.at[i];
        bool same = at->symbol == fn && at->training == c->training;
        for (int k = 0; same && k < n; k++)
            same = type_equal(at->type[k], type[k]);
        if (same)
            return at;
    }
    Instance *at = ARENA_NEW(c->arena, Instance, 1);
    *at = (Instance){fn, n, ARENA_NEW(c->arena, Type, n + 1), c->training, NULL, ARENA_NEW(c->arena, Keys, 1), 1};
    memcpy(at->type, type, sizeof(Type) * (size_t)n);
    list_push(c->arena, c->instances, at);
    Builder *b = build_new(c, fn->name, fn->node->span, NULL, at->keys);
    b->fn->note = str_format(c->arena, "fn %s", fn->name);
    Scope *body = scope_new(c, fn->scope, SCOPE_body);
    Node *head = fn->node->kid[0];
    for (int k = 0; k < n; k++) {
        Value v = value_val(b, build_input(c, b, type[k], head->kid[k]->text));
        v.classes = arg[k].classes;
        if (!fits(c, body, head->kid[k]->kid[0], &v)) /* binds sizes; the call has checked */
            return at;
        scope_add(c, body, head->kid[k]->text, head->kid[k]->name, v, "argument");
    }
    long calls = c->calls;
    c->calls = 0;
    Body saved = enter(c, fn->node, fn->node->span, str_format(c->arena, "%s.", fn->name));
    Value out = run_body(c, body, b, fn->name, fn->node, 1);
    leave(c, saved);
    at->calls += c->calls;
    c->calls = calls;
    Type t;
    if (out.kind == VALUE_poison || !value_type(c, &out, &t))
        return at;
    fn_out(c->module, b->fn, build_val(c, b, &out), NULL);
    at->fn = build_finish(c, b);
    return at;
}

static Value call_instance(Check *c, Builder *b, Symbol *fn, const Value *arg, Node *call)
{
    int n = fn->node->kid[0]->n;
    Type *type = ARENA_NEW(c->arena, Type, n + 1);
    for (int k = 0; k < n; k++)
        value_type(c, &arg[k], &type[k]);
    Instance *instance = instance_of(c, fn, n, arg, type);
    if (!instance->fn || build_too_many(c, call, instance->calls))
        return value_poison();
    Val *val = ARENA_NEW(c->arena, Val, n + instance->keys->at.n + 1);
    for (int k = 0; k < n; k++)
        val[k] = build_val(c, b, &arg[k]);
    int total = n + build_keys(c, b, instance->keys, val + n);
    Val at = fn_call(c->module, b->fn, instance->fn, total, val, check_span(c, call));
    return value_val(b, fn_result(c->module, b->fn, at, 0, fn_type(instance->fn, instance->fn->out.at[0])));
}

Value call_fn(Check *c, Scope *s, Builder *b, Symbol *fn, Node *call)
{
    Node *head = fn->node->kid[0];
    bool is_inlined = fn->node->span.source->is_prelude || is_static_head(head) || !b;
    Scope *body = scope_new(c, fn->scope, SCOPE_body);
    Value *arg = ARENA_NEW(c->arena, Value, head->n + 1);
    if (build_too_many(c, call, 1) || !bind_arguments(c, s, b, fn->name, head, call, body, arg))
        return value_poison();
    if (!is_inlined)
        return call_instance(c, b, fn, arg, call);
    Body saved = enter(c, fn->node, check_span(c, call), str_format(c->arena, "%s.", fn->name));
    Value out = run_body(c, body, b, fn->name, fn->node, 1);
    leave(c, saved);
    return out;
}

/* The body of a fn is checked where it stands, once, if its argument types say enough. */
static void check_fn(Check *c, Symbol *fn)
{
    Node *head = fn->node->kid[0];
    if (is_static_head(head))
        return;
    Type *type = ARENA_NEW(c->arena, Type, head->n + 1);
    Value *arg = ARENA_NEW(c->arena, Value, head->n + 1);
    Scope *sizes = scope_new(c, fn->scope, SCOPE_body);
    for (int k = 0; k < head->n; k++) {
        Node *t = head->kid[k]->kid[0];
        if (str_eq(t->text, "tensor"))
            return;
        for (int i = 0; i < t->n; i++)
            if (t->kid[i]->kind == NODE_NAME && !scope_lookup(sizes, t->kid[i]->text))
                return;
        long classes = 0;
        if (str_eq(t->text, "class")) {
            if (t->n != 1 || !eval_int(c, sizes, t->kid[0], "a number of classes", &classes))
                return;
            type[k] = type_scalar(true);
            arg[k].classes = (int)classes;
        } else if (!type_of(c, sizes, t, NULL, &type[k]))
            return;
        type[k].is_batched = true;
    }
    int n_fn = c->module->fns.n, n_instance = c->instances.n;
    instance_of(c, fn, head->n, arg, type);
    c->module->fns.n = n_fn; /* calls may have other types: they make their own */
    c->instances.n = n_instance;
}

/* ---- layers ---- */
Value make_layer(Check *c, Scope *s, Node *expr, const char *path)
{
    Node *callee = expr->kind == NODE_CALL ? expr->kid[0] : expr;
    Value recipe = eval(c, s, NULL, callee);
    if (recipe.kind == VALUE_poison)
        return recipe;
    if (recipe.kind == VALUE_builtin && expr->kind == NODE_CALL)
        return builtin_call(c, s, NULL, recipe.index, expr);
    if (recipe.kind != VALUE_recipe || expr->kind != NODE_CALL) {
        DIAG_AT(c->diags, NOT_A_RECIPE, check_span(c, expr), value_text(c, &recipe));
        return value_poison();
    }
    Scope *statics = scope_new(c, recipe.symbol->scope, SCOPE_body);
    if (!bind_arguments(c, s, NULL, recipe.symbol->name, recipe.symbol->node->kid[0], expr, statics, NULL))
        return value_poison();
    return (Value){
        .kind = VALUE_layer, .symbol = recipe.symbol, .path = path, .statics = statics, .is_frozen = c->is_frozen};
}

Value call_layer(Check *c, Scope *s, Builder *b, const Value *layer, Node *call)
{
    Node *decl = layer->symbol->node;
    Scope *body = scope_new(c, layer->statics, SCOPE_block);
    const char *name = layer->path;
    if (!b) {
        DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, call));
        return value_poison();
    }
    if (build_too_many(c, call, 1) || !bind_arguments(c, s, b, name, decl->kid[1], call, body, NULL))
        return value_poison();
    Body saved = enter(c, decl, check_span(c, call), str_format(c->arena, "%s.", layer->path));
    c->is_frozen |= layer->is_frozen;
    Value out = run_body(c, body, b, name, decl, 2);
    leave(c, saved);
    if (out.kind == VALUE_tensor && out.home == b && !b->fn->ins.at[out.val].name)
        b->fn->ins.at[out.val].name = name;
    return out;
}

static void declare_layer(Check *c, Scope *s, Node *node)
{
    bool was_frozen = c->is_frozen;
    c->is_frozen |= node->is_frozen;
    const char *path = str_format(c->arena, "%s%s", c->path, node->text);
    Value v;
    long n;
    if (!node->kid[0])
        v = make_layer(c, s, node->kid[1], path);
    else if (!eval_int(c, s, node->kid[0], "a number of layers", &n))
        v = value_poison();
    else if (n < 1 || n > 10000) {
        DIAG_AT(c->diags, SIZE_RANGE, check_span(c, node->kid[0]), n);
        v = value_poison();
    } else {
        v = (Value){.kind = VALUE_layers, .n = (int)n, .many = ARENA_NEW(c->arena, Value, n)};
        for (int i = 0; i < v.n; i++)
            v.many[i] = make_layer(c, s, node->kid[1], str_format(c->arena, "%s[%d]", path, i));
    }
    c->is_frozen = was_frozen;
    scope_add(c, s, node->text, node->name, v, node->span.source->is_prelude ? NULL : "layer");
}

/* ---- parameters ---- */
static void initialiser(Check *c, Scope *s, Node *node, Param *p)
{
    static const struct {
        const char *name;
        int n;
    } rows[] = {
#define INIT(name, n, ...) {#name, n},
#include "../runtime/init.def"
#undef INIT
    };
    Node *callee = node->kind == NODE_CALL ? node->kid[0] : NULL;
    for (size_t i = 0; callee && callee->kind == NODE_NAME && i < sizeof rows / sizeof *rows; i++)
        if (str_eq(callee->text, rows[i].name) && !str_eq(rows[i].name, "constant")) {
            p->init = rows[i].name;
            if (node->n - 1 != rows[i].n)
                DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, node), rows[i].name, rows[i].n, node->n - 1);
            for (int k = 1; k < node->n && k < 3; k++) {
                Node *arg = node->kid[k]->kind == NODE_GIVEN ? node->kid[k]->kid[0] : node->kid[k];
                Value v = eval_static(c, s, arg, "a number of an initial value");
                p->init_arg[k - 1] = v.kind == VALUE_number ? rat_to_double(v.num) : 0;
            }
            return;
        }
    Value v = eval(c, s, NULL, node);
    p->init = "constant";
    if (v.kind == VALUE_number)
        p->init_arg[0] = rat_to_double(v.num);
    else if (v.kind == VALUE_array && type_same_shape(v.type, p->type)) {
        p->init = "array";
        p->init_array = v.array;
    } else if (v.kind != VALUE_poison)
        DIAG_AT(c->diags, INITIAL_SHAPE, check_span(c, node), p->path, type_text(c->arena, p->type), value_text(c, &v));
}

static Value param_of(Check *c, Scope *s, Node *node)
{
    Param p = {.path = str_format(c->arena, "%s%s", c->path, node->text), .span = check_span(c, node)};
    p.is_frozen = node->is_frozen || c->is_frozen;
    if (!str_eq(node->kid[0]->text, "real")) {
        DIAG_AT(c->diags, PARAM_TYPE, check_span(c, node->kid[0]), node->kid[0]->text);
        return value_poison();
    }
    if (!type_of(c, s, node->kid[0], NULL, &p.type))
        return value_poison();
    for (int i = 0; i < c->model->params.n; i++) {
        const Param *there = &c->model->params.at[i];
        if (!str_eq(there->path, p.path))
            continue;
        if (!type_same_shape(there->type, p.type)) {
            DIAG_AT(c->diags, PARAM_SHAPES, p.span, p.path, type_text(c->arena, p.type),
                    type_text(c->arena, there->type));
            diag_note(c->diags, there->span, "first used here");
            return value_poison();
        }
        return (Value){.kind = VALUE_param, .index = i};
    }
    p.fan_in = p.type.rank > 1 ? p.type.dim[p.type.rank - 1] : type_size(p.type);
    p.fan_out = p.type.rank > 0 ? p.type.dim[0] : 1;
    initialiser(c, s, node->kid[1], &p);
    list_push(c->arena, c->model->params, p);
    return (Value){.kind = VALUE_param, .index = c->model->params.n - 1};
}

/* ---- data ---- */
static void declare_data(Check *c, Scope *s, Node *node)
{
    DataField f = {.name = node->text, .span = node->span};
    long classes = 0;
    Node *type = node->kid[0];
    Value v = {.kind = VALUE_data};
    f.is_class = str_eq(type->text, "class");
    if (f.is_class ? type->n != 1 || !eval_int(c, s, type->kid[0], "a number of classes", &classes)
                   : !str_eq(type->text, "real") || !type_of(c, s, type, NULL, &f.type)) {
        if (!f.is_class && !str_eq(type->text, "real"))
            DIAG_AT(c->diags, DATA_TYPE, type->span, type->text);
        scope_add(c, s, node->text, node->name, value_poison(), NULL);
        return;
    }
    if (f.is_class && (classes < 2 || classes > MAX_SIZE)) {
        DIAG_AT(c->diags, SIZE_RANGE, type->kid[0]->span, classes);
        scope_add(c, s, node->text, node->name, value_poison(), NULL);
        return;
    }
    f.type.is_batched = true;
    v.classes = f.classes = (int)classes;
    for (v.index = 0; v.index < c->model->data.n; v.index++)
        if (str_eq(c->model->data.at[v.index].name, f.name))
            break;
    if (v.index == c->model->data.n)
        list_push(c->arena, c->model->data, f);
    scope_add(c, s, node->text, node->name, v, "data field");
}

static void declare_sample(Check *c, Scope *s, Node *node)
{
    static const struct {
        const char *name;
        int n;
    } row[] = {{"normal", 0}, {"uniform", 2}, {"rademacher", 0}};
    SampleField f = {.name = node->text, .span = node->span};
    Node *call = node->kid[1];
    Value v = {.kind = VALUE_sample};
    bool ok = type_of(c, s, node->kid[0], NULL, &f.type);
    if (!str_eq(node->kid[0]->text, "real")) {
        DIAG_AT(c->diags, SAMPLE_TYPE, node->kid[0]->span, node->kid[0]->text);
        ok = false;
    }
    for (size_t i = 0; i < sizeof row / sizeof *row && call->kind == NODE_CALL && call->kid[0]->kind == NODE_NAME; i++)
        if (str_eq(call->kid[0]->text, row[i].name) && call->n - 1 == row[i].n)
            f.distribution = row[i].name;
    if (!f.distribution)
        DIAG_PLAIN(c->diags, DISTRIBUTION, call->span);
    for (int k = 1; f.distribution && k < call->n; k++) {
        Value x = eval_static(c, s, call->kid[k], "a bound of the noise");
        f.arg[k - 1] = x.kind == VALUE_number ? rat_to_double(x.num) : 0;
    }
    f.type.is_batched = true;
    for (v.index = 0; v.index < c->model->samples.n; v.index++)
        if (str_eq(c->model->samples.at[v.index].name, f.name))
            break;
    if (v.index == c->model->samples.n)
        list_push(c->arena, c->model->samples, f);
    scope_add(c, s, node->text, node->name, ok && f.distribution ? v : value_poison(), "sample");
}

/* ---- statements ---- */
static void declare_let(Check *c, Scope *s, Builder *b, Node *node)
{
    Value v = eval(c, s, b, node->kid[0]);
    if (v.kind == VALUE_tensor && v.home == b && !b->fn->ins.at[v.val].name)
        b->fn->ins.at[v.val].name = node->text;
    Symbol *symbol = scope_add(c, s, node->text, node->name, v, node->span.source->is_prelude ? NULL : "value");
    symbol->is_assignable = true;
}

static void assign(Check *c, Scope *s, Builder *b, Node *node)
{
    Value v = eval(c, s, b, node->kid[0]);
    Symbol *symbol = scope_lookup(s, node->text);
    if (!symbol) {
        DIAG_AT(c->diags, NO_SUCH_NAME, check_span(c, node), node->text);
        diag_help(c->diags, "a new value is declared with 'let'");
    } else if (symbol->value.kind == VALUE_param)
        DIAG_AT(c->diags, NOT_YET, check_span(c, node), "assigning to a parameter");
    else if (!symbol->is_assignable)
        DIAG_AT(c->diags, NOT_ASSIGNABLE, check_span(c, node), node->text, symbol->noun ? symbol->noun : "name");
    else
        symbol->value = v;
}

static void declare_const(Check *c, Scope *s, Node *node)
{
    Value v = eval(c, s, NULL, node->kid[0]);
    if (!value_is_static(&v)) {
        DIAG_AT(c->diags, NOT_STATIC_NUMBER, node->kid[0]->span, "a constant", value_text(c, &v));
        v = value_poison();
    }
    scope_add(c, s, node->text, node->name, v, node->span.source->is_prelude ? NULL : "constant");
}

static const Rat *constant(void *context, const char *name)
{
    Check *c = context;
    Symbol *symbol = scope_lookup(c->file, name);
    if (!symbol || symbol->value.kind != VALUE_number)
        return NULL;
    symbol->is_used = true;
    return symbol->value.num;
}

/* Those of the prelude are read and proved when a solve takes them. */
static void declare_tableau(Check *c, Scope *s, Node *node)
{
    Symbol *symbol = scope_add(c, s, node->text, node->name, (Value){.kind = VALUE_tableau},
                               node->span.source->is_prelude ? NULL : "tableau");
    symbol->node = node;
    if (!node->span.source->is_prelude)
        method_of(c, symbol);
}

const Tableau *method_of(Check *c, Symbol *symbol)
{
    Value *v = &symbol->value;
    if (v->kind == VALUE_tableau && !v->tableau) {
        const Tableau *t = tableau_check(c->arena, c->diags, symbol->node, constant, c);
        *v = t ? (Value){.kind = VALUE_tableau, .tableau = t} : value_poison();
    }
    return v->kind == VALUE_tableau ? v->tableau : NULL;
}

static void declare_named(Check *c, Scope *s, Node *node)
{
    static const char *const noun[] = {[NODE_FN] = "function", [NODE_LAYER] = "layer", [NODE_QUANTITY] = "quantity"};
    static const ValueKind kind[] = {
        [NODE_FN] = VALUE_fn, [NODE_LAYER] = VALUE_recipe, [NODE_QUANTITY] = VALUE_quantity};
    Symbol *symbol = ARENA_NEW(c->arena, Symbol, 1);
    symbol->node = node;
    symbol->scope = s;
    symbol->name = node->text;
    if (node->kind == NODE_FN && !node->span.source->is_prelude)
        check_fn(c, symbol); /* before its name is known: there is no recursion */
    scope_add(c, s, node->text, node->name, (Value){.kind = kind[node->kind], .symbol = symbol},
              node->span.source->is_prelude ? NULL : noun[node->kind]);
}

void declare(Check *c, Scope *s, Builder *b, Node *node)
{
    Value v;
    switch (node->kind) {
    case NODE_CONST: declare_const(c, s, node); return;
    case NODE_DATA: declare_data(c, s, node); return;
    case NODE_SAMPLE: declare_sample(c, s, node); return;
    case NODE_PARAM:
        v = param_of(c, s, node);
        scope_add(c, s, node->text, node->name, v, node->span.source->is_prelude ? NULL : "parameter");
        return;
    case NODE_FN:
    case NODE_LAYER:
    case NODE_QUANTITY: declare_named(c, s, node); return;
    case NODE_TABLEAU: declare_tableau(c, s, node); return;
    case NODE_INSTANCE: declare_layer(c, s, node); return;
    case NODE_LET: declare_let(c, s, b, node); return;
    case NODE_ASSIGN: assign(c, s, b, node); return;
    case NODE_SOLVE: declare_solve(c, s, b, node); return;
    case NODE_ERROR: return;
    default: BUG("'%s' is not a declaration", ast_kind_name(node->kind));
    }
}

static bool run_for(Check *c, Scope *s, Builder *b, Node *node, Value *out)
{
    long first, end;
    if (!eval_int(c, s, node->kid[0], "the first value of a loop", &first) ||
        !eval_int(c, s, node->kid[1], "the end of a loop", &end))
        return false;
    for (long i = first; i < end; i++) {
        if (++c->turns > 10000) {
            DIAG_AT(c->diags, LOOP_LENGTH, check_span(c, node), 10000);
            return true; /* one message */
        }
        Scope *inner = scope_new(c, s, SCOPE_block);
        scope_add(c, inner, node->text, node->name, value_int(c, i), NULL);
        if (run_block(c, inner, b, node->kid[2], out))
            return true;
    }
    return false;
}

static bool run_if(Check *c, Scope *s, Builder *b, Node *node, Value *out)
{
    Value v = eval_static(c, s, node->kid[0], "the condition of an 'if'");
    if (v.kind == VALUE_poison)
        return true; /* either branch may return */
    Node *branch = rat_sign(v.num) != 0 ? node->kid[1] : node->kid[2];
    if (!branch)
        return false;
    if (branch->kind == NODE_IF)
        return run_if(c, s, b, branch, out);
    return run_block(c, scope_new(c, s, SCOPE_block), b, branch, out);
}

bool run_block(Check *c, Scope *s, Builder *b, Node *block, Value *out)
{
    for (int i = 0; i < block->n; i++) {
        Node *node = block->kid[i];
        bool returned = false;
        if (node->kind == NODE_RETURN) {
            *out = eval(c, s, b, node->kid[0]);
            returned = true;
        } else if (node->kind == NODE_FOR)
            returned = run_for(c, s, b, node, out);
        else if (node->kind == NODE_IF)
            returned = run_if(c, s, b, node, out);
        else
            declare(c, s, b, node);
        if (returned && i + 1 < block->n && node->kind == NODE_RETURN)
            DIAG_PLAIN(c->diags, AFTER_RETURN, check_span(c, block->kid[i + 1]));
        if (returned)
            return true;
    }
    return false;
}
