/* expr.c: the value of an expression: operators, indices, joined lists, calls.
 *
 * Needs: names resolved by scope.c.  Gives: static values exactly (rationals) where everything is known, instructions
 * where not, poison after a message.
 * Elsewhere: functions with a name of their own (builtin.c), bodies of fn and layer (declare.c), results of a solve
 * (equation.c). */
#include "checker.h"

#include <math.h>
#include <stdlib.h>

static Value eval_number(Check *c, Node *node)
{
    const Rat *r = rat_parse(c->arena, node->text);
    if (!r || !isfinite(rat_to_double(r))) {
        DIAG_AT(c->diags, CONST_EXPONENT, check_span(c, node), node->text);
        return value_poison();
    }
    if (!c->setting)
        return value_num(r);
    const char *name = c->setting;
    if (c->n_setting_literal > 1)
        name = str_format(c->arena, "%s.%d", name, ++c->setting_literal);
    return (Value){.kind = VALUE_setting, .index = setting_add(c, name, rat_to_double(r), false, node->span)};
}

static Value eval_name(Check *c, Scope *s, Node *node)
{
    int i;
    if (!scope_lookup(s, node->text)) {
        if ((i = builtin_find(node->text)) >= 0)
            return (Value){.kind = VALUE_builtin, .index = i};
        if ((i = op_find(node->text)) >= 0 && op_info[i].op_class == CLASS_map)
            return (Value){.kind = VALUE_op, .index = i};
    }
    Symbol *symbol = scope_find(c, s, node->text, check_span(c, node));
    return symbol ? symbol->value : value_poison();
}

/* ---- operators ---- */
/* An operator as the user wrote it. */
static const char *op_word(Op op, const Node *node)
{
    return node->kind == NODE_BINARY || node->kind == NODE_NEG ? node->text : op_info[op].name;
}

static double element(const Value *v, int i)
{
    return v->kind == VALUE_number ? rat_to_double(v->num) : v->array[i];
}

static Value apply_static(Check *c, Op op, int n, const Value *arg, Node *node)
{
    Type t = type_scalar(false);
    for (int k = 0; k < n; k++)
        if (arg[k].kind == VALUE_array) {
            if (t.rank && !type_same_shape(t, arg[k].type)) {
                DIAG_AT(c->diags, SHAPES_DIFFER, check_span(c, node), op_word(op, node), type_text(c->arena, t),
                        type_text(c->arena, arg[k].type));
                return value_poison();
            }
            t = arg[k].type;
        }
    int size = type_size(t);
    double *out = ARENA_NEW(c->arena, double, size);
    for (int i = 0; i < size; i++) {
        double x[3] = {0};
        for (int k = 0; k < n; k++)
            x[k] = element(&arg[k], i);
        out[i] = op_eval_map(op, x[0], x[1], x[2]);
        if (!isfinite(out[i])) {
            DIAG_PLAIN(c->diags, CONST_FINITE, check_span(c, node));
            return value_poison();
        }
    }
    if (t.rank == 0)
        return value_num(rat_double(c->arena, out[0]));
    return (Value){.kind = VALUE_array, .type = t, .array = out};
}

static Value apply_exact(Check *c, Op op, const Value *arg, Node *node)
{
    const Rat *a = arg[0].num, *b = arg[1].num, *r = NULL;
    if (op == OP_add)
        r = rat_add(c->arena, a, b);
    else if (op == OP_sub)
        r = rat_sub(c->arena, a, b);
    else if (op == OP_mul)
        r = rat_mul(c->arena, a, b);
    else if (op == OP_div)
        r = rat_div(c->arena, a, b);
    else
        r = rat_pow(c->arena, a, b);
    if (r && isfinite(rat_to_double(r)))
        return value_num(r);
    if (r)
        DIAG_PLAIN(c->diags, CONST_RANGE, check_span(c, node));
    else if (op == OP_div)
        DIAG_PLAIN(c->diags, CONST_DIVISION, check_span(c, node));
    else
        DIAG_PLAIN(c->diags, CONST_POWER, check_span(c, node));
    return value_poison();
}

static Value apply_states(Check *c, Builder *b, Op op, int n, const Value *arg, Node *node)
{
    int n_state = 0;
    Value out = {.kind = VALUE_states};
    for (int k = 0; k < n; k++)
        if (arg[k].kind == VALUE_states)
            n_state = arg[k].n;
    out.n = n_state;
    out.many = ARENA_NEW(c->arena, Value, n_state);
    for (int i = 0; i < n_state; i++) {
        Value each[3];
        for (int k = 0; k < n; k++)
            each[k] = arg[k].kind == VALUE_states ? arg[k].many[i] : arg[k];
        out.many[i] = apply_op(c, b, op, n, each, node);
    }
    return out;
}

Value apply_op(Check *c, Builder *b, Op op, int n, const Value *arg, Node *node)
{
    bool all_static = true, all_numbers = true;
    Type t[3];
    Val val[3];
    for (int k = 0; k < n; k++) {
        if (arg[k].kind == VALUE_poison)
            return arg[k];
        all_static &= value_is_static(&arg[k]);
        all_numbers &= arg[k].kind == VALUE_number;
    }
    for (int k = 0; k < n; k++)
        if (arg[k].kind == VALUE_states)
            return apply_states(c, b, op, n, arg, node);
    for (int k = 0; k < n; k++)
        if (!value_type(c, &arg[k], &t[k]) || arg[k].classes) {
            DIAG_AT(c->diags, NOT_A_NUMBER, check_span(c, node), value_text(c, &arg[k]), op_word(op, node));
            return value_poison();
        }
    if (all_numbers && (op == OP_add || op == OP_sub || op == OP_mul || op == OP_div || op == OP_pow))
        return apply_exact(c, op, arg, node);
    if (all_static)
        return apply_static(c, op, n, arg, node);
    if (!b) {
        DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, node));
        return value_poison();
    }
    char why[256];
    Type out;
    if (!op_type(op, n, t, &(Imm){0}, &out, why)) {
        DIAG_AT(c->diags, SHAPES_DIFFER, check_span(c, node), op_word(op, node), type_text(c->arena, t[0]),
                type_text(c->arena, t[1]));
        if (op == OP_mul && op_type(OP_mm_nn, n, t, &(Imm){0}, &out, why))
            diag_help(c->diags, "the product of matrices and vectors is written  A @ x");
        return value_poison();
    }
    for (int k = 0; k < n; k++)
        val[k] = build_val(c, b, &arg[k]);
    return value_val(b, build_op(c, b, op, n, val, (Imm){0}, check_span(c, node)));
}

/* x^n for a whole n by repeated squaring: exact signs, and cheap. */
static Value power(Check *c, Builder *b, Value x, long n, Node *node)
{
    if (n < 0)
        return apply_op(c, b, OP_div, 2, (Value[]){value_int(c, 1), power(c, b, x, -n, node)}, node);
    if (n == 0)
        return value_int(c, 1);
    if (n == 1)
        return x;
    Value half = power(c, b, x, n / 2, node), square = apply_op(c, b, OP_square, 1, &half, node);
    return n % 2 ? apply_op(c, b, OP_mul, 2, (Value[]){square, x}, node) : square;
}

static Value eval_product(Check *c, Builder *b, const Value *arg, Node *node)
{
    Type t[2], out;
    char why[256];
    for (int k = 0; k < 2; k++) {
        if (arg[k].kind == VALUE_poison)
            return arg[k];
        if (value_type(c, &arg[k], &t[k]) && !arg[k].classes && !b) {
            DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, node));
            return value_poison();
        }
        if (!value_type(c, &arg[k], &t[k]) || arg[k].classes) {
            DIAG_AT(c->diags, NOT_A_NUMBER, check_span(c, node), value_text(c, &arg[k]), "@");
            return value_poison();
        }
    }
    bool is_row = t[0].rank == 1 && t[1].rank == 2; /* x @ A is A' x */
    Op op = is_row ? OP_mm_tn : OP_mm_nn;
    if (is_row) {
        Type swap = t[0];
        t[0] = t[1];
        t[1] = swap;
    }
    if (t[0].rank == 1 && t[1].rank == 1) {
        Value product = apply_op(c, b, OP_mul, 2, arg, node);
        if (product.kind == VALUE_poison)
            return product;
        return value_val(b, fn_op1(c->module, b->fn, OP_sum, build_val(c, b, &product)));
    }
    if (!op_type(op, 2, t, &(Imm){0}, &out, why)) {
        DIAG_AT(c->diags, PRODUCT_SIZES, check_span(c, node), value_text(c, &arg[0]), value_text(c, &arg[1]), why);
        return value_poison();
    }
    double rows = is_row ? t[0].dim[1] : t[0].dim[0], columns = t[1].rank > 1 ? t[1].dim[1] : 1;
    if (!build_fits(c, rows * columns, check_span(c, node)))
        return value_poison();
    Val left = build_val(c, b, &arg[is_row]), right = build_val(c, b, &arg[!is_row]);
    return value_val(b, build_op(c, b, op, 2, (Val[]){left, right}, (Imm){0}, check_span(c, node)));
}

static Value eval_binary(Check *c, Scope *s, Builder *b, Node *node)
{
    static const struct {
        const char *text;
        Op op;
        bool swaps, negates;
    } row[] = {{"+", OP_add, false, false}, {"-", OP_sub, false, false}, {"*", OP_mul, false, false},
               {"/", OP_div, false, false}, {">", OP_gt, false, false},  {"<", OP_gt, true, false},
               {">=", OP_ge, false, false}, {"<=", OP_ge, true, false},  {"==", OP_eq, false, false},
               {"!=", OP_eq, false, true},  {"^", OP_pow, false, false}};
    Value arg[2] = {eval(c, s, b, node->kid[0])};
    const char *setting = c->setting;
    if (str_eq(node->text, "^") && arg[0].kind != VALUE_setting && node->kid[1]->kind == NODE_NUMBER)
        c->setting = NULL; /* an exponent such as x^2 is no setting */
    arg[1] = eval(c, s, b, node->kid[1]);
    c->setting = setting;
    if (str_eq(node->text, "@"))
        return eval_product(c, b, arg, node);
    long n;
    if (str_eq(node->text, "^") && !value_is_static(&arg[0]) && value_int_of(&arg[1], &n) && labs(n) <= 64)
        return power(c, b, arg[0], n, node);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (!str_eq(node->text, row[i].text))
            continue;
        Value ordered[2] = {arg[row[i].swaps], arg[!row[i].swaps]};
        Value out = apply_op(c, b, row[i].op, 2, ordered, node);
        if (row[i].negates && out.kind != VALUE_poison)
            out = apply_op(c, b, OP_sub, 2, (Value[]){value_int(c, 1), out}, node);
        return out;
    }
    BUG("no operator '%s'", node->text);
}

/* ---- lists ---- */
static Value concat_static(Check *c, int n, const Value *entry)
{
    int size = 0, at = 0;
    for (int i = 0; i < n; i++)
        size += entry[i].kind == VALUE_number ? 1 : type_size(entry[i].type);
    double *out = ARENA_NEW(c->arena, double, size + 1);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < (entry[i].kind == VALUE_number ? 1 : type_size(entry[i].type)); j++)
            out[at++] = element(&entry[i], j);
    return (Value){.kind = VALUE_array, .type = type_real(false, 1, &size), .array = out};
}

/* One entry with `rank` axes: a scalar becomes one slice filled with it. */
static Val concat_entry(Check *c, Builder *b, const Value *entry, Type shape)
{
    Val v = build_val(c, b, entry);
    Type t = fn_type(b->fn, v);
    if (t.rank > 0)
        return v;
    Type to = shape;
    to.dim[to.rank - 1] = 1;
    return fn_op(c->module, b->fn, OP_fill, 1, &v, (Imm){.to = to}, b->fn->ins.at[v].span);
}

Value concat_values(Check *c, Builder *b, int n, Value *entry, Node *node)
{
    bool all_static = true;
    Type shape = type_real(false, 1, (int[]){1}), t;
    double size = 0;
    for (int i = 0; i < n; i++) {
        if (entry[i].kind == VALUE_poison)
            return entry[i];
        if (!value_type(c, &entry[i], &t) || entry[i].classes) {
            DIAG_AT(c->diags, NOT_A_NUMBER, check_span(c, node), value_text(c, &entry[i]), "[ ]");
            return value_poison();
        }
        all_static &= value_is_static(&entry[i]) && t.rank <= 1;
        size += type_size(t);
        if (t.rank > 0)
            shape = t;
    }
    if (!build_fits(c, size, check_span(c, node)))
        return value_poison();
    if (all_static)
        return concat_static(c, n, entry);
    if (!b) {
        DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, node));
        return value_poison();
    }
    Val *arg = ARENA_NEW(c->arena, Val, n);
    Type *type = ARENA_NEW(c->arena, Type, n), out;
    Imm imm = {.axis = shape.rank - 1};
    char why[256];
    for (int i = 0; i < n; i++) {
        arg[i] = concat_entry(c, b, &entry[i], shape);
        type[i] = fn_type(b->fn, arg[i]);
    }
    if (!op_type(OP_concat, n, type, &imm, &out, why)) {
        DIAG_AT(c->diags, JOIN_SIZES, check_span(c, node), why);
        return value_poison();
    }
    if (n == 1)
        return value_val(b, arg[0]);
    return value_val(b, build_op(c, b, OP_concat, n, arg, imm, check_span(c, node)));
}

static Value eval_array(Check *c, Scope *s, Builder *b, Node *node)
{
    Value *entry = ARENA_NEW(c->arena, Value, node->n + 1);
    for (int i = 0; i < node->n; i++)
        entry[i] = eval(c, s, b, node->kid[i]);
    return concat_values(c, b, node->n, entry, node);
}

/* ---- indices ---- */
typedef struct Subscript {
    long from, to;
    bool drops; /* the axis */
} Subscript;

static bool subscript(Check *c, Scope *s, Node *sub, int size, Subscript *out)
{
    *out = (Subscript){0, size, sub->kind != NODE_RANGE};
    if (out->drops) {
        if (!eval_int(c, s, sub, "an index", &out->from))
            return false;
        out->to = out->from + 1;
    } else if ((sub->kid[0] && !eval_int(c, s, sub->kid[0], "the start of a slice", &out->from)) ||
               (sub->kid[1] && !eval_int(c, s, sub->kid[1], "the end of a slice", &out->to)))
        return false;
    if (out->from >= 0 && out->to <= size && out->from < out->to)
        return true;
    if (out->drops)
        DIAG_AT(c->diags, INDEX_RANGE, check_span(c, sub), out->from, size, size - 1);
    else
        DIAG_AT(c->diags, SLICE_RANGE, check_span(c, sub), out->from, out->to, size);
    return false;
}

static Value index_static(Check *c, Scope *s, const Value *base, Node *node)
{
    Subscript sub;
    if (node->n != 2 || base->type.rank != 1) {
        DIAG_AT(c->diags, INDEX_COUNT, check_span(c, node), node->n - 1, value_text(c, base));
        return value_poison();
    }
    if (!subscript(c, s, node->kid[1], base->type.dim[0], &sub))
        return value_poison();
    if (sub.drops)
        return value_num(rat_double(c->arena, base->array[sub.from]));
    int n = (int)(sub.to - sub.from);
    return (Value){.kind = VALUE_array, .type = type_real(false, 1, &n), .array = base->array + sub.from};
}

static Value index_tensor(Check *c, Scope *s, Builder *b, const Value *base, Node *node)
{
    Val v = build_val(c, b, base);
    Type t = fn_type(b->fn, v), kept = t;
    kept.rank = 0;
    if (node->n - 1 > t.rank) {
        DIAG_AT(c->diags, INDEX_COUNT, check_span(c, node), node->n - 1, value_text(c, base));
        return value_poison();
    }
    for (int i = 0; i < t.rank; i++) {
        Subscript sub = {0, t.dim[i], false};
        if (i + 1 < node->n && !subscript(c, s, node->kid[i + 1], t.dim[i], &sub))
            return value_poison();
        if (sub.to - sub.from < t.dim[i]) {
            Imm imm = {.axis = i, .from = (int)sub.from, .to = fn_type(b->fn, v)};
            imm.to.dim[i] = (int)(sub.to - sub.from);
            v = build_op(c, b, OP_slice, 1, &v, imm, check_span(c, node));
        }
        if (!sub.drops)
            kept.dim[kept.rank++] = (int)(sub.to - sub.from);
    }
    if (kept.rank < t.rank)
        v = build_op(c, b, OP_reshape, 1, &v, (Imm){.to = kept}, check_span(c, node));
    return value_val(b, v);
}

static Value eval_index(Check *c, Scope *s, Builder *b, Node *node)
{
    Value base = eval(c, s, b, node->kid[0]);
    Type t;
    long i;
    if (base.kind == VALUE_poison)
        return base;
    if (base.kind == VALUE_array)
        return index_static(c, s, &base, node);
    if (base.kind == VALUE_layers || base.kind == VALUE_stages) {
        long first = base.kind == VALUE_stages; /* stages count from 1, as in every textbook */
        if (node->n != 2 || node->kid[1]->kind == NODE_RANGE) {
            DIAG_AT(c->diags, INDEX_COUNT, check_span(c, node), node->n - 1, value_text(c, &base));
            return value_poison();
        }
        if (!eval_int(c, s, node->kid[1], "an index", &i))
            return value_poison();
        if (i >= first && i < base.n + first)
            return base.many[i - first];
        DIAG_AT(c->diags, ENTRY_RANGE, check_span(c, node->kid[1]), i, first, base.n - 1 + first);
        return value_poison();
    }
    if (base.kind == VALUE_states && base.n == 1)
        base = base.many[0];
    if (value_type(c, &base, &t) && !base.classes && !b) {
        DIAG_PLAIN(c->diags, NOT_STATIC, check_span(c, node));
        return value_poison();
    }
    if (!value_type(c, &base, &t) || base.classes) {
        DIAG_AT(c->diags, NO_INDEX, check_span(c, node), value_text(c, &base));
        return value_poison();
    }
    return index_tensor(c, s, b, &base, node);
}

/* ---- calls ---- */
static Value call_op(Check *c, Scope *s, Builder *b, Op op, Node *node)
{
    Value arg[3];
    if (node->n - 1 != op_info[op].n_arg) {
        DIAG_AT(c->diags, ARGUMENT_COUNT, check_span(c, node), op_info[op].name, op_info[op].n_arg, node->n - 1);
        return value_poison();
    }
    for (int k = 1; k < node->n; k++) {
        if (node->kid[k]->kind == NODE_GIVEN) {
            DIAG_AT(c->diags, NO_SUCH_ARGUMENT, check_span(c, node->kid[k]), op_info[op].name, node->kid[k]->text);
            return value_poison();
        }
        arg[k - 1] = eval(c, s, b, node->kid[k]);
    }
    return apply_op(c, b, op, op_info[op].n_arg, arg, node);
}

static Value eval_call(Check *c, Scope *s, Builder *b, Node *node)
{
    Value callee = eval(c, s, b, node->kid[0]);
    switch (callee.kind) {
    case VALUE_poison: return callee;
    case VALUE_fn: return call_fn(c, s, b, callee.symbol, node);
    case VALUE_op: return call_op(c, s, b, (Op)callee.index, node);
    case VALUE_builtin: return builtin_call(c, s, b, callee.index, node);
    case VALUE_layer: return call_layer(c, s, b, &callee, node);
    case VALUE_series: return series_at(c, s, b, &callee, node);
    case VALUE_recipe:
        DIAG_AT(c->diags, RECIPE_CALL, check_span(c, node), callee.symbol->name, callee.symbol->name);
        return value_poison();
    default:
        DIAG_AT(c->diags, NOT_CALLABLE, check_span(c, node->kid[0]), value_text(c, &callee));
        return value_poison();
    }
}

static Value eval_member(Check *c, Scope *s, Builder *b, Node *node)
{
    if (node->kid[0]->kind == NODE_NAME || node->kid[0]->kind == NODE_MEMBER || node->kid[0]->kind == NODE_INDEX) {
        /* A parameter by its path: field.hidden.W */
        Node *at = node;
        const char *path = "";
        for (; at->kind == NODE_MEMBER; at = at->kid[0])
            path = str_format(c->arena, ".%s%s", at->text, path);
        if (at->kind == NODE_NAME) {
            path = str_format(c->arena, "%s%s", at->text, path);
            for (int i = 0; i < c->model->params.n; i++)
                if (str_eq(c->model->params.at[i].path, path)) {
                    scope_find(c, s, at->text, check_span(c, at));
                    return (Value){.kind = VALUE_param, .index = i};
                }
        }
    }
    Value base = eval(c, s, b, node->kid[0]);
    if (base.kind == VALUE_solve)
        return solve_member(c, b, &base, node);
    if (base.kind != VALUE_poison) {
        DIAG_AT(c->diags, NO_MEMBER, check_span(c, node), value_text(c, &base), node->text);
        familiar_help(c->diags, "member", node->text);
    }
    return value_poison();
}

Value eval(Check *c, Scope *s, Builder *b, Node *node)
{
    Value arg;
    switch (node->kind) {
    case NODE_NUMBER: return eval_number(c, node);
    case NODE_STRING: return (Value){.kind = VALUE_string, .text = node->text};
    case NODE_NAME: return eval_name(c, s, node);
    case NODE_BINARY: return eval_binary(c, s, b, node);
    case NODE_NEG:
        arg = eval(c, s, b, node->kid[0]);
        if (arg.kind == VALUE_number)
            return value_num(rat_neg(c->arena, arg.num));
        return apply_op(c, b, OP_neg, 1, &arg, node);
    case NODE_CALL: return eval_call(c, s, b, node);
    case NODE_INDEX: return eval_index(c, s, b, node);
    case NODE_MEMBER: return eval_member(c, s, b, node);
    case NODE_ARRAY: return eval_array(c, s, b, node);
    case NODE_SPAN: DIAG_PLAIN(c->diags, SPAN_VALUE, check_span(c, node)); return value_poison();
    case NODE_ERROR: return value_poison();
    default: BUG("'%s' is not an expression", ast_kind_name(node->kind));
    }
}

Value eval_static(Check *c, Scope *s, Node *node, const char *what)
{
    const char *setting = c->setting;
    c->setting = NULL;
    Value v = eval(c, s, NULL, node);
    c->setting = setting;
    if (v.kind == VALUE_number || v.kind == VALUE_poison)
        return v;
    DIAG_AT(c->diags, NOT_STATIC_NUMBER, check_span(c, node), what, value_text(c, &v));
    return value_poison();
}

bool eval_int(Check *c, Scope *s, Node *node, const char *what, long *out)
{
    Value v = eval_static(c, s, node, what);
    if (v.kind == VALUE_poison)
        return false;
    if (value_int_of(&v, out))
        return true;
    DIAG_AT(c->diags, NOT_WHOLE, check_span(c, node), what);
    return false;
}

Val eval_tensor(Check *c, Scope *s, Builder *b, Node *node, const char *what)
{
    Value v = eval(c, s, b, node);
    Type t;
    if (v.kind == VALUE_poison)
        return NO_VAL;
    if (v.kind == VALUE_states && v.n == 1)
        v = v.many[0];
    if (value_type(c, &v, &t) && !v.classes)
        return build_val(c, b, &v);
    DIAG_AT(c->diags, NOT_A_VALUE, check_span(c, node), what, value_text(c, &v));
    return NO_VAL;
}

static int numbers_in(const Node *e)
{
    int n = e->kind == NODE_NUMBER;
    for (int i = 0; i < e->n; i++)
        n += e->kid[i] ? numbers_in(e->kid[i]) : 0;
    return n;
}

Val eval_settings(Check *c, Scope *s, Builder *b, Node *node, const char *key, const char *what)
{
    c->setting = key;
    c->n_setting_literal = numbers_in(node);
    c->setting_literal = 0;
    Val v = eval_tensor(c, s, b, node, what);
    c->setting = NULL;
    if (v == NO_VAL || type_equal(fn_type(b->fn, v), type_scalar(false)))
        return v;
    DIAG_AT(c->diags, NOT_SHARED, node->span, what);
    return NO_VAL;
}
