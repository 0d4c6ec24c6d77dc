/* emit_name.c: names and operands as C text.
 *
 * Needs: a planned function.  Gives: a C name for each value, and the text of a value as a double, a Real, a pointer or
 * the element of a loop; value texts of op.def with their operands put in.
 * User names are kept; one that could meet a name of the runtime or of C gets an underscore at its end, and no other
 * name has one there.
 * Elsewhere: statements (emit_group.c), functions (emit.c). */
#include "emit.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */
/* Loops have variables beside a value x: x_i, x_r, x_w, x_s0, x_k0. */
static bool is_of_loop(const char *s)
{
    const char *tail = strrchr(s, '_');
    if (!tail || tail == s || !tail[1])
        return false;
    return strchr("irw", tail[1]) ? !tail[2]
                                  : strchr("sk", tail[1]) && strspn(tail + 2, "0123456789") == strlen(tail + 2);
}

static bool is_reserved(const char *s)
{
    static const char *const word[] = {
        "auto",   "break",    "case",     "char",     "const",  "continue", "default", "do",     "double",
        "else",   "enum",     "extern",   "float",    "for",    "goto",     "if",      "inline", "int",
        "long",   "register", "restrict", "return",   "short",  "signed",   "sizeof",  "static", "struct",
        "switch", "typedef",  "union",    "unsigned", "void",   "volatile", "while",   "bool",   "true",
        "false",  "Vec",      "Real",     "NV",       "TILE",   "LANES",    "ROW",     "at",     "run",
        "work",   "tile",     "frame",    "kept",     "shared", "sum",      "i",       "q",      "code",
        "in",     "out",      "offsetof", "NULL",     "NAN",    "INFINITY", "main",    "asm",    "typeof",
        "linux",  "unix",     "Product",  "Panel",    "KEEP",   "INLINE",   "KERNEL",  "UNROLL", "SLICE"};
    static const char *const prefix[] = {"v_",      "r_",     "d_",      "w_",      "x_",       "s_",   "t_", "nde_",
                                         "Nde",     "fn_",    "part_",   "array_",  "product_", "add_", "p_", "pack_",
                                         "packed_", "panel_", "panels_", "shared_", "outer_",   "turn_"};
    size_t n = strlen(s);
    for (size_t k = 0; k < sizeof word / sizeof *word; k++)
        if (str_eq(s, word[k]))
            return true;
    for (size_t k = 0; k < sizeof prefix / sizeof *prefix; k++)
        if (strncmp(s, prefix[k], strlen(prefix[k])) == 0)
            return true;
    if ((s[0] == 'v' && isdigit((unsigned char)s[1])) || strstr(s, "__"))
        return true;
    bool is_macro = n > 2 && isupper((unsigned char)s[0]) && isupper((unsigned char)s[1]);
    return is_macro || is_of_loop(s) || s[n - 1] == '_';
}

/* A C identifier from a user's name or path. */
static const char *identifier(Arena *a, const char *name)
{
    char *s = (char *)str_copy(a, name, strlen(name));
    for (char *c = s; *c; c++)
        if (!isalnum((unsigned char)*c))
            *c = '_';
    if (!isalpha((unsigned char)s[0]))
        return str_format(a, "u%s_", s);
    return is_reserved(s) ? str_format(a, "%s_", s) : s;
}

static const char *unused(Emit *e, StrSet *taken, const char *s)
{
    const char *base = s;
    for (int k = 2; !str_set_add(taken, s); k++)
        s = str_format(e->a, "%s_%d_", base, k);
    return s;
}

static const char *user_name(const Emit *e, Val v)
{
    const Ins *ins = &e->f->fn->ins.at[v];
    if (ins->name)
        return ins->name;
    if (ins->op == OP_param)
        return e->p->model->params.at[ins->imm.index].path;
    if (ins->op == OP_data)
        return e->p->model->data.at[ins->imm.index].name;
    return ins->op == OP_sample ? e->p->model->samples.at[ins->imm.index].name : NULL;
}

void emit_names(Emit *e)
{
    const Fn *fn = e->f->fn;
    e->name = ARENA_NEW(e->a, const char *, fn->ins.n + 1);
    e->out_name = ARENA_NEW(e->a, const char *, fn->out.n + 1);
    StrSet taken = {.arena = e->a};
    for (int v = 0; v < fn->ins.n; v++) {
        const char *user = user_name(e, (Val)v);
        e->name[v] = unused(e, &taken, user ? identifier(e->a, user) : str_format(e->a, "v%d", v));
    }
    for (int i = 0; i < fn->out.n; i++) {
        const char *s = fn->out_name.at[i] ? identifier(e->a, fn->out_name.at[i]) : str_format(e->a, "y%d", i);
        e->out_name[i] = unused(e, &taken, s);
    }
    for (int v = 0; v < fn->ins.n; v++) /* a value that is an output is called so */
        if (e->f->place[v].where == WHERE_out)
            e->name[v] = e->out_name[e->f->place[v].offset];
}

const char *emit_fn_name(Emit *e, const PlanFn *f)
{
    return str_format(e->a, "fn_%s", f->name);
}

/* Training and evaluation have a solve each of the same name. */
const char *emit_solve_name(Emit *e, const Solve *s)
{
    int k = 0;
    while (e->p->m->solves.at[k] != s)
        k++;
    return str_format(e->a, "nde_solve_%s_%d", s->name, k);
}

/* ---- numbers ---- */
const char *emit_literal(Emit *e, double x, bool is_real)
{
    bool is_float = is_real && !e->p->is_double;
    if (isnan(x))
        return is_real ? "(Real)NAN" : "(double)NAN";
    if (isinf(x) || (is_float && fabs(x) > (double)FLT_MAX))
        return str_format(e->a, "(%s(%s)INFINITY)", x < 0 ? "-" : "", is_real ? "Real" : "double");
    const char *s = str_format(e->a, "%s%s", num_text(e->a, x, is_float), is_float ? "f" : "");
    return signbit(x) ? str_format(e->a, "(%s)", s) : s;
}

/* Is the base a number of its own (not an element of an array)? */
static bool is_own_number(const Emit *e, Val base)
{
    return plan_is_number(e->f, base);
}

static const char *leaf_number(Emit *e, Val v)
{
    const Ins *ins = &e->f->fn->ins.at[v];
    if (ins->op == OP_const)
        return emit_literal(e, ins->imm.num, false);
    if (ins->op == OP_array)
        return emit_literal(e, ins->imm.array[0], false);
    if (ins->op == OP_input || ins->op == OP_param) {
        e->is_leaf_used[v] = true;
        return e->name[v];
    }
    e->uses_run = true;
    if (ins->op == OP_setting)
        return str_format(e->a, "run->setting[%d]", ins->imm.index);
    if (ins->op == OP_train_step || ins->op == OP_train_steps || ins->op == OP_batch)
        return str_format(e->a, "run->%s", op_info[ins->op].name);
    BUG("'%s': %s is no shared number", e->f->name, op_info[ins->op].name);
}

const char *emit_number(Emit *e, Val v)
{
    int offset;
    Val b = plan_base(e->f, v, &offset);
    if (!is_own_number(e, b))
        return str_format(e->a, "(double)%s[%d]", emit_at(e, b, 0), offset);
    switch (e->f->place[b].where) {
    case WHERE_leaf: return leaf_number(e, b);
    case WHERE_local: return e->name[b];
    case WHERE_shared: e->uses_shared = true; return str_format(e->a, "shared->%s", e->name[b]);
    default: BUG("'%s': the number %%%u has no place", e->f->name, b);
    }
}

const char *emit_real(Emit *e, Val v)
{
    int offset;
    Val b = plan_base(e->f, v, &offset);
    const Ins *ins = &e->f->fn->ins.at[b];
    if (e->real[v])
        return e->real[v];
    if (!is_own_number(e, b))
        return str_format(e->a, "%s[%d]", emit_at(e, b, 0), offset);
    if (ins->op == OP_const)
        return emit_literal(e, ins->imm.num, true);
    if (ins->op == OP_array)
        return emit_literal(e, ins->imm.array[0], true);
    return str_format(e->a, "(Real)%s", emit_number(e, v));
}

/* ---- arrays ---- */
static const char *memory(Emit *e, Val b)
{
    switch (e->f->place[b].where) {
    case WHERE_leaf:
        e->is_leaf_used[b] = true;
        if (e->f->fn->ins.at[b].op == OP_array)
            return str_format(e->a, "array_%s_%u", e->f->name, b);
        return e->name[b];
    case WHERE_work:
    case WHERE_out: return e->name[b];
    case WHERE_kept: e->uses_kept = true; return str_format(e->a, "kept->%s", e->name[b]);
    case WHERE_shared: e->uses_shared = true; return str_format(e->a, "shared->%s", e->name[b]);
    default: BUG("'%s': value %%%u has no memory", e->f->name, b);
    }
}

const char *emit_at(Emit *e, Val v, int offset)
{
    int at;
    Val b = plan_base(e->f, v, &at);
    offset += at;
    if (offset == 0)
        return memory(e, b);
    return str_format(e->a, "%s + %d%s", memory(e, b), offset, fn_type(e->f->fn, v).is_batched ? " * NV" : "");
}

const char *emit_array(Emit *e, Val v)
{
    if (plan_is_number(e->f, v))
        return str_format(e->a, "(const Real[]){%s}", emit_real(e, v));
    return emit_at(e, v, 0);
}

/* ---- elements in loops ---- */
bool emit_is_flat(Emit *e, const Loop *loop, Val v)
{
    int offset;
    Val b = plan_base(e->f, v, &offset);
    if (loop->is_variable[b] || plan_is_number(e->f, v))
        return true;
    return fn_type(e->f->fn, v).is_batched && plan_size(e->f, v) == loop->n;
}

const char *emit_element(Emit *e, const Loop *loop, Val v)
{
    int offset;
    Val b = plan_base(e->f, v, &offset);
    bool is_batched = fn_type(e->f->fn, v).is_batched, is_single = plan_size(e->f, v) == 1;
    if (loop->is_variable[b])
        return e->f->place[b].where == WHERE_local ? e->name[b] : str_format(e->a, "%s_i", e->name[b]);
    if (plan_is_number(e->f, v))
        return emit_real(e, v);
    const char *at = memory(e, b);
    if (is_batched && is_single)
        return offset ? str_format(e->a, "%s[%d * NV + q]", at, offset) : str_format(e->a, "%s[q]", at);
    if (!is_batched || !loop->is_batched)
        return offset ? str_format(e->a, "%s[i + %d]", at, offset) : str_format(e->a, "%s[i]", at);
    if (loop->is_flat)
        return offset ? str_format(e->a, "%s[i + %d * NV]", at, offset) : str_format(e->a, "%s[i]", at);
    return offset ? str_format(e->a, "%s[(i + %d) * NV + q]", at, offset) : str_format(e->a, "%s[i * NV + q]", at);
}

/* ---- value texts of op.def ---- */
static const char *number_token(Emit *e, const char *s, size_t n, char family, bool is_argument)
{
    double x = strtod(str_copy(e->a, s, n), NULL);
    const char *literal = emit_literal(e, x, family != 'd');
    return family == 'v' && is_argument ? str_format(e->a, "v_set(%s)", literal) : literal;
}

static size_t token_length(const char *s)
{
    size_t n = 1;
    bool is_word = isalnum((unsigned char)*s) || *s == '.';
    while (is_word && (isalnum((unsigned char)s[n]) || s[n] == '_' || s[n] == '.'))
        n++;
    return n;
}

const char *emit_map(Emit *e, Op op, char family, const char *const *arg)
{
    Text t = text_new(e->a);
    int depth = 0;
    if (op_info[op].op_class != CLASS_map)
        return arg[0]; /* fill, bcast */
    for (const char *s = op_info[op].value; *s;) {
        size_t n = token_length(s);
        depth += *s == '(' ? 1 : *s == ')' ? -1 : 0;
        if (isdigit((unsigned char)*s))
            text_add(&t, "%s", number_token(e, s, n, family, depth > 0));
        else if (n == 1 && *s >= 'a' && *s <= 'c')
            text_add(&t, "%s", arg[*s - 'a']);
        else if (isalpha((unsigned char)*s))
            text_add(&t, "%c_%.*s", family, (int)n, s);
        else
            text_add(&t, "%.*s", (int)n, s);
        s += n;
    }
    return t.at;
}

/* ---- CALL rows ---- */
typedef struct Sizes {
    int n, m, k, j, o, x, i, r, f;
} Sizes;

static int extent_of(const Type *t, int from, int to)
{
    int n = 1;
    for (int i = from; i < to && i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

static Sizes sizes_of(const Fn *fn, const Ins *ins)
{
    const Type *y = &ins->type, a = fn_type(fn, ins->arg[0]);
    int axis = ins->imm.axis;
    Sizes s = {.n = type_size(a), .f = ins->imm.from};
    bool adds_axis = ins->op == OP_repeat;
    s.o = extent_of(&a, 0, axis);
    s.x = adds_axis ? 1 : extent_of(&a, axis, axis + 1);
    s.i = extent_of(&a, adds_axis ? axis : axis + 1, a.rank);
    s.r = y->rank > axis ? y->dim[axis] : 1;
    if (op_info[ins->op].op_class != CLASS_product)
        return s;
    int rows = a.rank > 0 ? a.dim[0] : 1, columns = a.rank > 1 ? a.dim[1] : 1;
    s.m = ins->op == OP_mm_tn ? columns : rows;
    s.k = ins->op == OP_mm_tn ? rows : columns;
    s.j = type_size(*y) / s.m;
    return s;
}

static const char *size_token(Emit *e, const Sizes *s, char c)
{
    static const char letter[] = "nmkjoxirf";
    const int value[] = {s->n, s->m, s->k, s->j, s->o, s->x, s->i, s->r, s->f};
    const char *at = strchr(letter, c);
    if (!at)
        BUG("a value text of op.def uses '%c'", c);
    return str_format(e->a, "%d", value[at - letter]);
}

const char *emit_kernel_of(Emit *e, const Fn *fn, Val v, const char *const *arg, const char *prefix, const char *y,
                           const char *more)
{
    const Ins *ins = &fn->ins.at[v];
    const Sizes sizes = sizes_of(fn, ins);
    Text t = text_new(e->a);
    for (const char *s = op_info[ins->op].value; *s;) {
        size_t n = token_length(s);
        if (s == op_info[ins->op].value)
            text_add(&t, "%s_%.*s", prefix, (int)n, s);
        else if (*s == 'y')
            text_add(&t, "%s", y);
        else if (*s == 'a' || *s == 'b')
            text_add(&t, "%s", arg[*s - 'a']);
        else if (isalpha((unsigned char)*s))
            text_add(&t, "%s", size_token(e, &sizes, *s));
        else if (*s == ')')
            text_add(&t, "%s)", more);
        else
            text_add(&t, "%.*s", (int)n, s);
        s += n;
    }
    return t.at;
}

const char *emit_kernel(Emit *e, Val v, const char *prefix, const char *y, const char *const *arg, const char *more)
{
    const Ins *ins = &e->f->fn->ins.at[v];
    const char *own[MAX_ARG] = {0};
    for (int k = 0; k < ins->n_arg && !arg; k++)
        own[k] = emit_array(e, ins->arg[k]);
    return emit_kernel_of(e, e->f->fn, v, arg ? arg : own, prefix, y, more);
}

/* ---- text of others inside ours ---- */
int emit_line_of(const Emit *e, Span span)
{
    int line = 0, column = 0;
    if (!span.source || span.source != e->p->model->source)
        span = e->f->fn->span;
    if (span.source && span.source == e->p->model->source)
        span_line(span, &line, &column);
    return line;
}

const char *emit_comment(Arena *a, const char *s, size_t n)
{
    char *text = (char *)str_copy(a, s, n);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < ' ')
            text[i] = ' ';
        if (i > 0 && ((text[i - 1] == '*' && text[i] == '/') || (text[i - 1] == '/' && text[i] == '*')))
            text[i] = ' ';
        if (text[i] == '\\' || (text[i] == '?' && i > 0 && text[i - 1] == '?'))
            text[i] = '|'; /* neither a line that goes on nor a trigraph */
    }
    return text;
}

const char *emit_string(Arena *a, const char *s, size_t n)
{
    Text t = text_new(a);
    text_add(&t, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '"' || c == '\\' || c == '?')
            text_add(&t, "\\%c", c);
        else if (c < ' ' || c > '~')
            text_add(&t, "\\%03o", c);
        else
            text_add(&t, "%c", c);
    }
    text_add(&t, "\"");
    return t.at;
}

const char *emit_join(Emit *e, const char *head, int n, const char *const *item, const char *tail)
{
    Text t = text_new(e->a);
    text_add(&t, "%s", head);
    size_t line = strlen(head) + 4;
    for (int i = 0; i < n; i++) {
        if (line + strlen(item[i]) > 110) {
            text_add(&t, "\n        ");
            line = 12;
        }
        text_add(&t, "%s%s", item[i], i + 1 < n ? ", " : "");
        line += strlen(item[i]) + 2;
    }
    text_add(&t, "%s", tail);
    return t.at;
}
