/* emit_form.c: what moves data, reduces along an axis or multiplies matrices, for one sample.
 *
 * Needs: operands as they are written (emit_sample.c).  Gives: small results as other names for elements that are
 * there; products of a fixed matrix in the cheaper of two orders, in the open loop where they are short; anything else
 * by the functions of runtime/nde_kernel.h for shared arrays. Elsewhere: maps and sums (emit_sample.c). */
#include "emit_sample.h"

static const Ins *ins_of(const Sample *s, Val v)
{
    return &s->fn->ins.at[v];
}

static int size_of(const Sample *s, Val v)
{
    return type_size(fn_type(s->fn, v));
}

/* ---- where elements come from ---- */
typedef struct From {
    int operand, element; /* element -1: it is zero */
} From;

static int extent(Type t, int from, int to)
{
    int n = 1;
    for (int i = from; i < to && i < t.rank; i++)
        n *= t.dim[i];
    return n;
}

static int along(Type t, int axis)
{
    return t.rank > axis ? t.dim[axis] : 1;
}

static From from_permuted(const Sample *s, const Ins *ins, int e)
{
    Type a = fn_type(s->fn, ins->arg[0]);
    int at[MAX_RANK] = {0}, element = 0;
    for (int i = ins->type.rank - 1; i >= 0; e /= ins->type.dim[i--])
        at[ins->op == OP_permute ? ins->imm.perm[i] : i] = e % ins->type.dim[i];
    for (int i = 0; i < a.rank; i++)
        element = element * a.dim[i] + at[ins->op == OP_permute ? i : ins->imm.perm[i]];
    return (From){0, element};
}

static From from_concat(const Sample *s, const Ins *ins, int o, int place, int inner, int i)
{
    int k = 0;
    while (place >= along(fn_type(s->fn, ins->arg[k]), ins->imm.axis))
        place -= along(fn_type(s->fn, ins->arg[k++]), ins->imm.axis);
    return (From){k, (o * along(fn_type(s->fn, ins->arg[k]), ins->imm.axis) + place) * inner + i};
}

/* Where element e of a form comes from: (o, place, i) are its places before, at and behind the axis. */
static From from_of(const Sample *s, const Ins *ins, int e)
{
    if (ins->op == OP_permute || ins->op == OP_unpermute)
        return from_permuted(s, ins, e);
    if (ins->op == OP_fill)
        return (From){0, 0};
    int axis = ins->imm.axis, length = along(ins->type, axis), inner = extent(ins->type, axis + 1, MAX_RANK);
    int i = e % inner, place = e / inner % length, o = e / inner / length, x = along(fn_type(s->fn, ins->arg[0]), axis);
    if (ins->op == OP_concat)
        return from_concat(s, ins, o, place, inner, i);
    if (ins->op == OP_repeat)
        return (From){0, o * inner + i};
    if (ins->op == OP_slice)
        return (From){0, (o * x + place + ins->imm.from) * inner + i};
    bool is_inside = place >= ins->imm.from && place < ins->imm.from + x;
    return (From){0, is_inside ? (o * x + place - ins->imm.from) * inner + i : -1};
}

static const char *element_from(Sample *s, Val v, int e)
{
    From from = from_of(s, ins_of(s, v), e);
    return from.element < 0 ? emit_literal(s->e, 0, true)
                            : sample_element(s, ins_of(s, v)->arg[from.operand], from.element);
}

/* ---- forms ---- */
static void choose_names(Sample *s, Val v)
{
    int n = size_of(s, v);
    Rep rep = {REP_scalars, NULL, NULL, ARENA_NEW(s->a, const char *, n + 1)};
    for (int i = 0; i < n; i++)
        rep.element[i] = element_from(s, v, i);
    s->rep[v] = rep;
}

/* The same elements under another type. */
static void rename_value(Sample *s, Val v)
{
    Val a = ins_of(s, v)->arg[0];
    s->rep[v] = s->rep[a];
    if (sample_is_number(s, v) && s->rep[a].kind != REP_number)
        s->rep[v] = rep_number(sample_double(s, a), sample_element(s, a, 0));
}

static void put_parts(Sample *s, Val v)
{
    const Ins *ins = ins_of(s, v);
    Type y = ins->type;
    int axis = ins->imm.axis, from = 0, length = along(y, axis), inner = extent(y, axis + 1, MAX_RANK),
        outer = extent(y, 0, axis), n = size_of(s, v), k = 0;
    const char *name = sample_declare(s, v);
    for (k = 0; k < ins->n_arg; k++) {
        int x = along(fn_type(s->fn, ins->arg[k]), axis);
        bool is_whole = size_of(s, ins->arg[k]) > LATENCY_SCALARS;
        if (is_whole)
            text_line(sample_text(s, v), "r_put((Real *)%s, %s, %d, %d, %d, %d, %d);", name,
                      sample_pointer(s, ins->arg[k]), outer, x, inner, from, length);
        for (int e = 0; !is_whole && e < n; e++)
            if (from_of(s, ins, e).operand == k)
                text_line(sample_text(s, v), "SET_ELEMENT(%s, %d, %s);", name, e, element_from(s, v, e));
        from += x;
    }
    s->rep[v] = rep_named(REP_array, name);
}

static void call_kernel(Sample *s, Val v)
{
    const Ins *ins = ins_of(s, v);
    const char *arg[MAX_ARG] = {0};
    for (int k = 0; k < ins->n_arg; k++)
        arg[k] = sample_pointer(s, ins->arg[k]);
    const char *name = sample_declare(s, v), *y = str_format(s->a, "(Real *)%s", name);
    text_line(sample_text(s, v), "%s;", emit_kernel_of(s->e, s->fn, v, arg, "r", y, ""));
    s->rep[v] = rep_named(REP_array, name);
    if (sample_is_number(s, v))
        s->rep[v] = rep_number(sample_double(s, v), sample_element(s, v, 0));
}

static void argmax_emit(Sample *s, Val v)
{
    const Ins *ins = ins_of(s, v);
    const char *name = str_format(s->a, "%s%u", s->prefix, v), *a = sample_pointer(s, ins->arg[0]);
    text_line(sample_text(s, v), "double %s;", name);
    text_line(sample_text(s, v), "d_argmax(&%s, %s, %d);", name, a, size_of(s, ins->arg[0]));
    s->rep[v] = rep_number(name, str_format(s->a, "(Real)%s", name));
}

/* Sums along an axis, each of a few elements. */
static void sum_axis_emit(Sample *s, Val v)
{
    const Ins *ins = ins_of(s, v);
    Type a = fn_type(s->fn, ins->arg[0]);
    int x = along(a, ins->imm.axis), inner = extent(a, ins->imm.axis + 1, MAX_RANK);
    const char *name = sample_declare(s, v);
    for (int e = 0; e < size_of(s, v); e++) {
        Text sum = text_new(s->a);
        for (int l = 0; l < x; l++)
            text_add(&sum, l ? " + %s" : "%s", sample_element(s, ins->arg[0], (e / inner * x + l) * inner + e % inner));
        text_line(sample_text(s, v), "SET_ELEMENT(%s, %d, %s);", name, e, sum.at);
    }
    s->rep[v] = rep_named(REP_array, name);
    if (sample_is_number(s, v))
        s->rep[v] = rep_number(sample_double(s, v), sample_element(s, v, 0));
}

/* Are the elements of a form better left where they are? Those of long arrays are copied in whole vectors. */
static bool is_scattered(const Sample *s, const Ins *ins)
{
    bool is_mixed = ins->op == OP_permute || ins->op == OP_unpermute, is_short = true;
    for (int k = 0; k < ins->n_arg; k++)
        is_short &= size_of(s, ins->arg[k]) <= LATENCY_SHORT || s->rep[ins->arg[k]].kind == REP_scalars;
    return type_size(ins->type) <= LATENCY_SCALARS ||
           (type_size(ins->type) <= LATENCY_UNROLLED && ins->op != OP_concat && (is_mixed || is_short));
}

void form_emit(Sample *s, Val v)
{
    const Ins *ins = ins_of(s, v);
    bool moves = ins->op == OP_concat || ins->op == OP_slice || ins->op == OP_pad || ins->op == OP_repeat ||
                 ins->op == OP_fill || ins->op == OP_permute || ins->op == OP_unpermute;
    sample_wait(s, ins);
    if (ins->op == OP_reshape || ins->op == OP_detach || ins->op == OP_bsum || ins->op == OP_bcast)
        rename_value(s, v);
    else if (moves && sample_is_number(s, v))
        s->rep[v] = rep_number(str_format(s->a, "(double)%s", element_from(s, v, 0)), element_from(s, v, 0));
    else if (moves && is_scattered(s, ins))
        choose_names(s, v);
    else if (ins->op == OP_concat)
        put_parts(s, v);
    else if (ins->op == OP_sum_axis && size_of(s, ins->arg[0]) <= LATENCY_UNROLLED)
        sum_axis_emit(s, v);
    else if (ins->op == OP_argmax)
        argmax_emit(s, v);
    else
        call_kernel(s, v);
}

/* ---- products ---- */
/* y(r) = sum over l of w(r, l) x(l): w(r, l) is number r * row + l * col of the fixed matrix w. */
typedef struct Product {
    Val w, x;
    int m, k, row, col;
} Product;

static bool find_product(const Sample *s, const Ins *ins, Product *p)
{
    Type a = fn_type(s->fn, ins->arg[0]), b = fn_type(s->fn, ins->arg[1]);
    int rows = along(a, 0), columns = along(a, 1), size = type_size(ins->type);
    int m = ins->op == OP_mm_tn ? columns : rows, k = ins->op == OP_mm_tn ? rows : columns;
    if (s->is_fixed[ins->arg[0]] && size == m) { /* one column */
        *p = (Product){ins->arg[0], ins->arg[1], m, k, k, 1};
        if (ins->op == OP_mm_tn)
            p->row = 1, p->col = m;
        return true;
    }
    if (!s->is_fixed[ins->arg[1]] || m != 1)
        return false;
    *p = (Product){ins->arg[1], ins->arg[0], size, type_size(a), 1, size}; /* one row: y' = b' a' */
    if (ins->op == OP_mm_nt)
        p->row = along(b, 1), p->col = 1;
    return true;
}

/* The sum of n terms, long ones in halves: so fewer additions wait for one another. */
static const char *sum_of(Arena *a, int n, const char *const *term)
{
    if (n > 4)
        return str_format(a, "(%s) + (%s)", sum_of(a, n / 2, term), sum_of(a, n - n / 2, term + n / 2));
    Text sum = text_new(a);
    for (int l = 0; l < n; l++)
        text_add(&sum, "%s%s", l ? " + " : "", term[l]);
    return sum.at;
}

/* Small times small: one line for each row. */
static void product_of_scalars(Sample *s, Val v, const Product *p)
{
    const char *name = str_format(s->a, "%s%u", s->prefix, v), **term = ARENA_NEW(s->a, const char *, p->k + 1);
    sample_wait(s, ins_of(s, v));
    for (int r = 0; r < p->m; r++) {
        for (int l = 0; l < p->k; l++)
            term[l] = str_format(s->a, "%s * %s", sample_element(s, p->w, r * p->row + l * p->col),
                                 sample_element(s, p->x, l));
        text_line(sample_text(s, v), "const Real %s_%d = %s;", name, r, sum_of(s->a, p->k, term));
    }
    s->rep[v] = rep_scalars(s->a, p->m, name);
}

/* Outputs in lanes. */
static void product_by_columns(Sample *s, Val v, const Product *p)
{
    const char *w = sample_packed(s, sample_pointer(s, p->w), p->k, p->m, p->col, p->row);
    const char *name = str_format(s->a, "%s%u", s->prefix, v);
    if (p->k * (p->m + 7) / 8 > 64 || p->k > 2 * LATENCY_SCALARS) {
        sample_wait(s, ins_of(s, v));
        const char *x = sample_pointer(s, p->x);
        sample_declare(s, v);
        text_line(sample_text(s, v), "l_columns(%s, &%s[0][0], %s, %d, %d);", name, w, x, p->m, p->k);
        s->rep[v] = rep_named(REP_array, name);
        return;
    }
    Text sum = text_new(s->a);
    sample_wait(s, ins_of(s, v)); /* elements of x are needed one by one */
    sample_join(s, v, p->m);
    for (int l = 0; l < p->k; l++)
        text_add(&sum, "%s%s[%d][i] * v_set(%s)", l ? " + " : "", w, l, sample_element(s, p->x, l));
    text_line(&s->body, "const Vec %s_i = %s;", name, sum.at);
}

/* Inputs in lanes. */
static void product_by_rows(Sample *s, Val v, const Product *p)
{
    const char *w = sample_packed(s, sample_pointer(s, p->w), p->m, p->k, p->row, p->col);
    const char *name = str_format(s->a, "%s%u", s->prefix, v);
    if (p->m > LATENCY_SCALARS) {
        sample_wait(s, ins_of(s, v));
        const char *x = sample_array(s, p->x);
        sample_declare(s, v);
        text_line(sample_text(s, v), "l_rows(%s, &%s[0][0], %s, %d, %d);", name, w, x, p->m, p->k);
        s->rep[v] = rep_named(REP_array, name);
        return;
    }
    sample_join(s, v, p->k);
    s->is_sum[v] = true;
    text_line(&s->body, "const Vec %s_x = l_masked(%s, i, %d);", name, sample_lane(s, p->x), p->k);
    for (int r = 0; r < p->m; r++) {
        text_line(&s->before, "Vec %s_%d_v = v_set(0);", name, r);
        text_line(&s->body, "%s_%d_v += %s[%d][i] * %s_x;", name, r, w, r, name);
        text_line(&s->after, "const Real %s_%d = l_sum(%s_%d_v);", name, r, name, r);
    }
    s->rep[v] = rep_scalars(s->a, p->m, name);
}

void product_emit(Sample *s, Val v)
{
    Product p;
    if (s->is_fixed[v] || !find_product(s, ins_of(s, v), &p)) {
        sample_wait(s, ins_of(s, v));
        call_kernel(s, v);
    } else if (p.m <= LATENCY_SCALARS && p.k <= LATENCY_SHORT) {
        product_of_scalars(s, v, &p);
    } else if (p.m <= LATENCY_SCALARS || p.k > 4 * p.m) {
        product_by_rows(s, v, &p);
    } else {
        product_by_columns(s, v, &p);
    }
    if (sample_is_number(s, v) && s->rep[v].kind == REP_scalars) /* a shared number, of a matrix and the time */
        s->rep[v] = rep_number(str_format(s->a, "(double)%s", s->rep[v].element[0]), s->rep[v].element[0]);
}
