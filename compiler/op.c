/* op.c: what the rows of op.def mean: names, types of results, values of numbers, derivative rules.
 *
 * Needs: op.def, the parser (rules are written in the language).  Gives: op_info, op_type, op_eval_map, op_rule.
 * Elsewhere: reverse mode itself (ad.c), the C that is printed for a row (emit.c). */
#include "ir.h"

#include <math.h>
#include <string.h>

/* ---- values: each map row pasted into a function of numbers ---- */
static double where(double a, double b, double c)
{
    return a != 0 ? b : c;
}

static double gt(double a, double b)
{
    return a > b ? 1 : 0;
}

static double ge(double a, double b)
{
    return a >= b ? 1 : 0;
}

static double eq(double a, double b)
{
    return a == b ? 1 : 0;
}

/* The second operand where one of them is NaN. */
static double most(double a, double b)
{
    return a > b ? a : b;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double sigmoid(double a)
{
    return a < 0 ? exp(a) / (1 + exp(a)) : 1 / (1 + exp(-a));
}

static double softplus(double a)
{
    return fmax(a, 0) + log1p(exp(-fabs(a)));
}

/* With T = tanh(c): T (1 - b^2) / (1 + b T), which does not cancel for small c; for large ones the sum 1 + b T does. */
static double tanh_change(double a, double b, double c)
{
    double t = tanh(c);
    return fabs(c) > 1 ? tanh(a + c) - b : t * (1 - b * b) / (1 + b * t);
}

#define LEAF(id, what)
#define CALL(id, n, kind, type, value, rule, lo, hi, what)
#define REGION(id, what)
#define MAP(id, n, value, rule, lo, hi, what)             \
    static double eval_##id(double a, double b, double c) \
    {                                                     \
        (void)a, (void)b, (void)c;                        \
        return value;                                     \
    }
#include "op.def"
#undef MAP
#undef LEAF
#undef CALL
#undef REGION

double op_eval_map(Op op, double a, double b, double c)
{
    typedef double Eval(double, double, double);
    static Eval *const eval[OP_COUNT] = {
#define LEAF(id, what)
#define CALL(id, n, kind, type, value, rule, lo, hi, what)
#define REGION(id, what)
#define MAP(id, n, value, rule, lo, hi, what) [OP_##id] = eval_##id,
#include "op.def"
#undef MAP
#undef LEAF
#undef CALL
#undef REGION
    };
    if (!eval[op])
        BUG("'%s' is not a map", op_info[op].name);
    return eval[op](a, b, c);
}

/* ---- types ---- */
typedef bool TypeRule(int n, const Type *arg, const Imm *imm, Type *out, char *why);

static bool fits_to(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)why;
    *out = imm->to;
    out->is_batched = arg[0].is_batched;
    return true;
}

static bool fits_same(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)imm, (void)why;
    *out = arg[0];
    return true;
}

static bool fits_scalar(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)imm, (void)why;
    *out = type_scalar(arg[0].is_batched);
    return true;
}

static bool fits_shared(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)imm, (void)why;
    *out = arg[0];
    out->is_batched = false;
    return true;
}

static bool fits_sample(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)imm, (void)why;
    *out = arg[0];
    out->is_batched = true;
    return true;
}

static bool fits_drop(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n;
    if (imm->axis < 0 || imm->axis >= arg[0].rank) {
        snprintf(why, 256, "there is no axis %d", imm->axis);
        return false;
    }
    *out = arg[0];
    out->rank--;
    for (int i = imm->axis; i < out->rank; i++)
        out->dim[i] = arg[0].dim[i + 1];
    out->dim[out->rank] = 0;
    return true;
}

static bool fits_permute(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)why;
    *out = arg[0];
    for (int i = 0; i < out->rank; i++)
        out->dim[i] = arg[0].dim[imm->perm[i]];
    return true;
}

static bool fits_unpermute(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    (void)n, (void)why;
    *out = arg[0];
    for (int i = 0; i < out->rank; i++)
        out->dim[imm->perm[i]] = arg[0].dim[i];
    return true;
}

/* All axes but imm.axis agree; a scalar is one slice filled with it (the checker has filled it already). */
static bool fits_concat(int n, const Type *arg, const Imm *imm, Type *out, char *why)
{
    *out = arg[0];
    for (int k = 1; k < n; k++) {
        out->is_batched |= arg[k].is_batched;
        if (arg[k].rank != out->rank) {
            snprintf(why, 256, "entry 1 has %d axes and entry %d has %d", out->rank, k + 1, arg[k].rank);
            return false;
        }
        for (int i = 0; i < out->rank; i++)
            if (i != imm->axis && arg[k].dim[i] != out->dim[i]) {
                snprintf(why, 256, "entry 1 has %d along axis %d and entry %d has %d", out->dim[i], i, k + 1,
                         arg[k].dim[i]);
                return false;
            }
        out->dim[imm->axis] += arg[k].dim[imm->axis];
    }
    return true;
}

static int rows(Type t)
{
    return t.rank > 0 ? t.dim[0] : 1;
}

static int columns(Type t)
{
    return t.rank > 1 ? t.dim[1] : 1;
}

/* A vector is a column; the transposed operand of mm_tn and mm_nt is a or b. The result of a column on the right that
 * is not transposed is a vector again. */
static bool fits_product(Op op, const Type *arg, Type *out, char *why)
{
    bool ta = op == OP_mm_tn, tb = op == OP_mm_nt;
    int m = ta ? columns(arg[0]) : rows(arg[0]), k = ta ? rows(arg[0]) : columns(arg[0]);
    int l = tb ? columns(arg[1]) : rows(arg[1]), n = tb ? rows(arg[1]) : columns(arg[1]);
    if (arg[0].rank > 2 || arg[1].rank > 2 || arg[0].rank == 0 || arg[1].rank == 0) {
        snprintf(why, 256, "a product takes matrices and vectors");
        return false;
    }
    if (k != l) {
        snprintf(why, 256, "the left side has %d columns, the right side %d rows", k, l);
        return false;
    }
    bool is_vector = arg[1].rank == 1 && !tb;
    *out = type_real(arg[0].is_batched || arg[1].is_batched, is_vector ? 1 : 2, (int[]){m, n});
    return true;
}

static bool fits_map(int n, const Type *arg, Type *out, char *why)
{
    *out = arg[0];
    for (int k = 1; k < n; k++) {
        bool is_batched = out->is_batched || arg[k].is_batched;
        if (out->rank == 0)
            *out = arg[k];
        else if (arg[k].rank != 0 && !type_same_shape(*out, arg[k])) {
            snprintf(why, 256, "the shapes differ");
            return false;
        }
        out->is_batched = is_batched;
    }
    return true;
}

bool op_type(Op op, int n_arg, const Type *arg, const Imm *imm, Type *out, char *why)
{
    static const struct {
        const char *name;
        TypeRule *rule;
    } rule[] = {{"to", fits_to},           {"same", fits_same},           {"scalar", fits_scalar},
                {"shared", fits_shared},   {"sample", fits_sample},       {"drop", fits_drop},
                {"permute", fits_permute}, {"unpermute", fits_unpermute}, {"concat", fits_concat}};
    const OpInfo *info = &op_info[op];
    if (info->op_class == CLASS_map)
        return fits_map(n_arg, arg, out, why);
    if (info->op_class == CLASS_product)
        return fits_product(op, arg, out, why);
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++)
        if (info->type && str_eq(info->type, rule[i].name))
            return rule[i].rule(n_arg, arg, imm, out, why);
    BUG("no type rule '%s' for operator '%s'", info->type ? info->type : "", info->name);
}

/* ---- the table ---- */
const OpInfo op_info[OP_COUNT] = {
#define LEAF(id, what) [OP_##id] = {#id, CLASS_leaf, 0, NULL, NULL, NULL, 0, 0, what},
#define MAP(id, n, value, rule, lo, hi, what) [OP_##id] = {#id, CLASS_map, n, #value, NULL, rule, lo, hi, what},
#define CALL(id, n, kind, type, value, rule, lo, hi, what) \
    [OP_##id] = {#id, CLASS_##kind, n, value, #type, rule, lo, hi, what},
#define REGION(id, what) [OP_##id] = {#id, CLASS_region, -1, NULL, NULL, NULL, 0, 0, what},
#include "op.def"
#undef LEAF
#undef MAP
#undef CALL
#undef REGION
};

int op_find(const char *name)
{
    for (int i = 0; i < OP_COUNT; i++)
        if (str_eq(op_info[i].name, name))
            return i;
    return -1;
}

/* ---- derivative rules ---- */
struct OpRules {
    Node *rule[OP_COUNT][MAX_ARG];
};

static Node *parsed_rule(Module *m, Op op, int k)
{
    if (!m->rules)
        m->rules = ARENA_NEW(m->arena, OpRules, 1);
    Node **slot = &m->rules->rule[op][k];
    if (*slot)
        return *slot;
    const char *at = op_info[op].rule, *end;
    for (int i = 0; at && i < k; i++)
        at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL;
    if (!at)
        BUG("operator '%s' has no rule for operand %d", op_info[op].name, k + 1);
    end = strchr(at, ';');
    Source *source = ARENA_NEW(m->arena, Source, 1);
    source->name = str_format(m->arena, "rule of %s", op_info[op].name);
    source->text = str_copy(m->arena, at, end ? (size_t)(end - at) : strlen(at));
    source->n = strlen(source->text);
    source->is_prelude = true;
    int before = diag_errors(m->diags);
    *slot = parse_expr(m->arena, source, m->diags);
    if (diag_errors(m->diags) > before)
        BUG("the rule of operator '%s' does not parse: %s", op_info[op].name, source->text);
    return *slot;
}

/* An expression of a rule being built. */
typedef struct Rule {
    Module *m;
    Fn *to;
    const Ins *ins;
    Type operand; /* the shape of operators that take theirs from the instruction */
    int from;     /* where the operand begins in a concat */
    OpName *name;
    void *context;
} Rule;

static Val rule_value(const Rule *r, const Node *e);

static Val rule_call(const Rule *r, const Node *e)
{
    int op = op_find(e->kid[0]->text);
    if (op < 0)
        BUG("the rule of '%s' uses the unknown operator '%s'", op_info[r->ins->op].name, e->kid[0]->text);
    Val arg[MAX_ARG];
    for (int i = 1; i < e->n; i++)
        arg[i - 1] = rule_value(r, e->kid[i]);
    Imm imm = {0};
    if (op_info[op].op_class != CLASS_map) {
        imm = r->ins->imm;
        imm.to = r->operand;
        if (r->ins->op == OP_concat)
            imm.from = r->from;
    }
    return fn_op(r->m, r->to, (Op)op, e->n - 1, arg, imm, r->ins->span);
}

static Val rule_value(const Rule *r, const Node *e)
{
    static const struct {
        const char *text;
        Op op;
    } binary[] = {{"+", OP_add}, {"-", OP_sub}, {"*", OP_mul}, {"/", OP_div}};
    switch (e->kind) {
    case NODE_NUMBER: return fn_const(r->m, r->to, rat_to_double(rat_parse(r->m->arena, e->text)));
    case NODE_NAME: return r->name(r->context, e->text);
    case NODE_NEG: return fn_op1(r->m, r->to, OP_neg, rule_value(r, e->kid[0]));
    case NODE_CALL: return rule_call(r, e);
    default: break;
    }
    for (size_t i = 0; e->kind == NODE_BINARY && i < sizeof binary / sizeof *binary; i++)
        if (str_eq(e->text, binary[i].text)) {
            Val left = rule_value(r, e->kid[0]); /* C does not order operands of one call */
            Val right = rule_value(r, e->kid[1]);
            return fn_op2(r->m, r->to, binary[i].op, left, right);
        }
    BUG("the rule of '%s' uses what rules cannot", op_info[r->ins->op].name);
}

Val op_formula(Module *m, Fn *to, const Node *e, const Ins *ins, OpName *name, void *context)
{
    Rule r = {m, to, ins, {0}, 0, name, context};
    return rule_value(&r, e);
}

/* The names of a derivative rule: g, y, and the operands a b c. */
typedef struct RuleNames {
    const Ins *ins;
    Val v, g;
    RuleUse *use;
    void *context;
} RuleNames;

static Val rule_name(void *context, const char *name)
{
    const RuleNames *n = context;
    if (str_eq(name, "g"))
        return n->g;
    if (str_eq(name, "y"))
        return n->use(n->context, n->v);
    int k = name[0] - 'a';
    if (name[1] || k < 0 || k >= n->ins->n_arg)
        BUG("the rule of '%s' uses '%s'", op_info[n->ins->op].name, name);
    return n->use(n->context, n->ins->arg[k]);
}

Val op_rule(Module *m, Fn *to, const Fn *fn, Val v, int k, Val g, RuleUse *use, void *context)
{
    const Ins ins = fn->ins.at[v]; /* a copy: use may let fn grow */
    Node *e = parsed_rule(m, ins.op, op_info[ins.op].n_arg < 0 ? 0 : k);
    if (e->kind == NODE_NUMBER)
        return NO_VAL;
    RuleNames names = {&ins, v, g, use, context};
    Rule r = {m, to, &ins, fn_type(fn, ins.arg[k]), 0, rule_name, &names};
    for (int i = 0; ins.op == OP_concat && i < k; i++)
        r.from += fn_type(fn, ins.arg[i]).dim[ins.imm.axis];
    return rule_value(&r, e);
}
