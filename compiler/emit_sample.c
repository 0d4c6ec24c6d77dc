/* emit_sample.c: values of one sample as C statements.
 *
 * Needs: a function without calls.  Gives: small arrays as variables, one for each element, so that what moves data is
 * a choice of names; larger ones in vectors, in loops that hold as much as they can; what is the same in all steps
 * apart. The names are made of a prefix and the value's number.
 * Elsewhere: what moves data, products (emit_form.c); the C function around it (emit_latency.c). */
#include "emit_sample.h"

#include <string.h>

/* ---- how a value is written ---- */
Rep rep_number(const char *name, const char *real)
{
    return (Rep){REP_number, name, real, NULL};
}

Rep rep_named(RepKind kind, const char *name)
{
    return (Rep){kind, name, NULL, NULL};
}

Rep rep_scalars(Arena *a, int n, const char *name)
{
    Rep rep = {REP_scalars, NULL, NULL, ARENA_NEW(a, const char *, n + 1)};
    for (int i = 0; i < n; i++)
        rep.element[i] = str_format(a, "%s_%d", name, i);
    return rep;
}

static int size_of(const Sample *s, Val v)
{
    return type_size(fn_type(s->fn, v));
}

bool sample_is_number(const Sample *s, Val v)
{
    return !fn_type(s->fn, v).is_batched && size_of(s, v) == 1;
}

static const char *name_of(Sample *s, Val v)
{
    return str_format(s->a, "%s%u", s->prefix, v);
}

Text *sample_text(Sample *s, Val v)
{
    return s->is_fixed[v] ? s->head : s->to;
}

const char *sample_element(Sample *s, Val v, int e)
{
    const Rep *rep = &s->rep[v];
    switch (rep->kind) {
    case REP_number: return rep->real;
    case REP_scalars: return rep->element[e];
    case REP_array: return str_format(s->a, "ELEMENT(%s, %d)", rep->name, e);
    case REP_raw: return str_format(s->a, "%s[%d]", rep->name, e);
    default: BUG("'%s': value %%%u is not written yet", s->fn->name, v);
    }
}

const char *sample_double(Sample *s, Val v)
{
    if (s->rep[v].kind == REP_number)
        return s->rep[v].name;
    return str_format(s->a, "(double)%s", sample_element(s, v, 0));
}

const char *sample_declare(Sample *s, Val v)
{
    const char *name = name_of(s, v);
    int n = size_of(s, v);
    text_line(sample_text(s, v), "Vec %s[VECS(%d)];", name, n);
    text_line(sample_text(s, v), "%s[VECS(%d) - 1] = v_set(0);", name, n);
    return name;
}

const char *sample_packed(Sample *s, const char *from, int m, int n, int row, int col)
{
    Weights *w = s->weights;
    int k = 0;
    for (; k < w->at.n; k++) {
        const SamplePack *p = &w->at.at[k];
        if (str_eq(p->from, from) && p->m == m && p->n == n && p->row == row && p->col == col)
            break;
    }
    if (k == w->at.n) {
        list_push(s->a, w->at, ((SamplePack){from, m, n, row, col}));
        text_line(s->head, "l_pack(&weights->w%d[0][0], %s, %d, %d, %d, %d);", k, from, m, n, row, col);
    }
    return str_format(s->a, "weights->w%d", k);
}

/* The shortest row that the elements are copies of; n: there is none. */
static int row_of(const Rep *rep, int n)
{
    for (int row = 2; n > LATENCY_SCALARS && row < n; row++) {
        int i = row;
        while (i < n && str_eq(rep->element[i], rep->element[i - row]))
            i++;
        if (i == n && n % row == 0)
            return row;
    }
    return n;
}

/* The longest runs of one element that the elements consist of; 1: there are none. */
static int run_of(const Rep *rep, int n)
{
    for (int run = n / 2; n > LATENCY_SCALARS && run > 1; run--) {
        int i = 0;
        while (i < n && str_eq(rep->element[i], rep->element[i - i % run]))
            i++;
        if (i == n && n % run == 0)
            return run;
    }
    return 1;
}

static void set_elements(Sample *s, Text *to, const char *name, Val v, int n)
{
    text_line(to, "%s[VECS(%d) - 1] = v_set(0);", name, n);
    for (int i = 0; i < n; i++)
        text_line(to, "SET_ELEMENT(%s, %d, %s);", name, i, sample_element(s, v, i));
}

/* Elements into an array: copies of a row, or of each element, go in whole vectors and may write behind the last. */
static void gather(Sample *s, Text *to, const char *name, Val v)
{
    const Rep *rep = &s->rep[v];
    int n = size_of(s, v), row = row_of(rep, n), run = run_of(rep, n);
    int more = row < n ? row : run;
    text_line(to, more > 1 ? "Vec %s[VECS(%d) + VECS(%d)];" : "Vec %s[VECS(%d)];", name, n, more);
    if (more > 1)
        text_line(to, "%s[VECS(%d) - 1] = v_set(0);", name, n);
    if (row < n) {
        text_line(to, "Vec %s_row[VECS(%d)];", name, row);
        set_elements(s, to, str_format(s->a, "%s_row", name), v, row);
        text_line(to, "l_tile(%s, %s_row, %d, %d);", name, name, n / row, row);
    } else if (run > 1) {
        for (int i = 0; i < n; i += run)
            text_line(to, "l_fill(%s, %d, %s, %d);", name, i, sample_element(s, v, i), run);
    } else {
        set_elements(s, to, name, v, n);
    }
}

const char *sample_array(Sample *s, Val v)
{
    Rep *rep = &s->rep[v];
    if (rep->kind == REP_array)
        return rep->name;
    const char *name = str_format(s->a, "%s%u_v", s->prefix, v);
    if (rep->kind == REP_raw)
        name = str_format(s->a, "%s[0]", sample_packed(s, rep->name, 1, size_of(s, v), 0, 1));
    else
        gather(s, sample_text(s, v), name, v);
    *rep = rep_named(REP_array, name);
    return name;
}

const char *sample_pointer(Sample *s, Val v)
{
    if (s->rep[v].kind == REP_raw)
        return s->rep[v].name;
    return str_format(s->a, "(const Real *)%s", sample_array(s, v));
}

/* ---- the open loop ---- */
static bool is_in_loop(const Sample *s, Val v)
{
    return s->open && s->loop[v] == s->open;
}

static bool is_used_outside(const Sample *s, Val v)
{
    for (int i = 0; i < s->fn->out.n; i++)
        if (s->fn->out.at[i] == v)
            return true;
    for (int u = (int)v + 1; u < s->fn->ins.n; u++)
        for (int k = 0; k < s->fn->ins.at[u].n_arg; k++)
            if (s->fn->ins.at[u].arg[k] == v && s->loop[u] != s->loop[v])
                return true;
    return false;
}

static void paste(Text *to, const Text *lines)
{
    int depth = to->depth;
    to->depth = 0;
    text_add(to, "%s", lines->n ? lines->at : "");
    to->depth = depth;
}

static bool is_loop_map(const Sample *s, Val v);
static void loop_emit(Sample *s, Val v);

/* Later maps of the same length whose operands are there join the loop before it ends. */
static void extend_loop(Sample *s)
{
    for (int v = s->member.at[0] + 1; v < s->fn->ins.n; v++) {
        const Ins *ins = &s->fn->ins.at[v];
        bool fits = s->is_needed[v] && !s->is_done[v] && s->is_fixed[v] == s->is_fixed[s->member.at[0]] &&
                    is_loop_map(s, (Val)v) && size_of(s, (Val)v) == s->loop_n;
        for (int k = 0; fits && k < ins->n_arg; k++)
            fits = s->is_done[ins->arg[k]] && !(is_in_loop(s, ins->arg[k]) && s->is_sum[ins->arg[k]]);
        if (!fits)
            continue;
        s->is_done[v] = true;
        loop_emit(s, (Val)v);
    }
}

static void close_loop(Sample *s)
{
    if (!s->open)
        return;
    extend_loop(s);
    for (int k = 0; k < s->member.n; k++) {
        Val v = s->member.at[k];
        if (s->is_sum[v] || !is_used_outside(s, v))
            continue;
        const char *name = name_of(s, v);
        text_line(s->to, "Vec %s[VECS(%d)];", name, s->loop_n);
        text_line(&s->body, "%s[i] = %s_i;", name, name);
        s->rep[v] = rep_named(REP_array, name);
    }
    paste(s->to, &s->before);
    text_open(s->to, "for (int i = 0; i < VECS(%d); i++) {", s->loop_n);
    paste(s->to, &s->body);
    text_close(s->to, "}");
    paste(s->to, &s->after);
    s->open = 0;
}

void sample_wait(Sample *s, const Ins *ins)
{
    for (int k = 0; k < ins->n_arg; k++)
        if (is_in_loop(s, ins->arg[k])) {
            close_loop(s);
            return;
        }
}

void sample_join(Sample *s, Val v, int n)
{
    const Ins *ins = &s->fn->ins.at[v];
    bool fits = s->open && s->loop_n == n;
    for (int k = 0; fits && k < ins->n_arg; k++)
        fits = !is_in_loop(s, ins->arg[k]) || !s->is_sum[ins->arg[k]];
    if (!fits) {
        close_loop(s);
        s->open = ++s->n_loop;
        s->loop_n = n;
        s->member.n = 0;
        s->before = text_new(s->a);
        s->body = text_new(s->a);
        s->after = text_new(s->a);
        s->before.depth = s->after.depth = s->to->depth;
        s->body.depth = s->to->depth + 1;
    }
    s->loop[v] = s->open;
    list_push(s->a, s->member, v);
}

const char *sample_lane(Sample *s, Val v)
{
    if (is_in_loop(s, v))
        return str_format(s->a, "%s_i", name_of(s, v));
    if (size_of(s, v) == 1)
        return str_format(s->a, "v_set(%s)", sample_element(s, v, 0));
    return str_format(s->a, "%s[i]", sample_array(s, v));
}

/* ---- maps ---- */
/* The reciprocal of operand b, in family v (Vec), r (Real) or d (double); that of a fixed number is formed once. */
static const char *reciprocal(Sample *s, Val b, char family, const char *text)
{
    if (!s->is_fixed[b] || size_of(s, b) > 1)
        return str_format(s->a, "(%s / %s)", family == 'v' ? "v_set(1)" : "1", text);
    if (!s->inverse[b]) {
        s->inverse[b] = str_format(s->a, "%s_inverse", name_of(s, b));
        text_line(s->head, "const double %s = 1 / %s;", s->inverse[b], sample_double(s, b));
    }
    const char *inverse = s->inverse[b], *real = str_format(s->a, "(Real)%s", inverse);
    return family == 'd' ? inverse : family == 'r' ? real : str_format(s->a, "v_set(%s)", real);
}

/* A quotient whose divisor is there early is a product: only that stands between the dividend and the result. */
static const char *map_text(Sample *s, Val v, char family, const char *const *arg)
{
    const Ins *ins = &s->fn->ins.at[v];
    if (ins->op == OP_div && (s->is_fixed[ins->arg[1]] || s->depth[ins->arg[1]] + 4 < s->depth[ins->arg[0]]))
        return str_format(s->a, "%s * %s", arg[0], reciprocal(s, ins->arg[1], family, arg[1]));
    return emit_map(s->e, ins->op, family, arg);
}

/* A multiple of a number is written where it is used, as a Real too. */
static bool number_multiple(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    for (int k = 0; ins->op == OP_mul && k < 2; k++) {
        const Rep *x = &s->rep[ins->arg[1 - k]], *c = &s->rep[ins->arg[k]];
        if (s->fn->ins.at[ins->arg[k]].op != OP_const || x->kind != REP_number)
            continue;
        s->rep[v] = rep_number(str_format(s->a, "(%s * %s)", x->name, c->name),
                               str_format(s->a, "(%s * %s)", x->real, c->real));
        return true;
    }
    return false;
}

static void number_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    const char *arg[MAX_ARG] = {0}, *name = name_of(s, v);
    if (number_multiple(s, v))
        return;
    for (int k = 0; k < ins->n_arg; k++)
        arg[k] = sample_double(s, ins->arg[k]);
    text_line(sample_text(s, v), "const double %s = %s;", name, map_text(s, v, 'd', arg));
    s->rep[v] = rep_number(name, str_format(s->a, "(Real)%s", name));
}

static const char *operand_of(Sample *s, Val a, int i)
{
    return sample_element(s, a, size_of(s, a) == 1 ? 0 : i);
}

/* A long function of one float32 is that of a vector: the one of C is slower. */
static void scalars_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    int n = size_of(s, v);
    bool is_vector = latency_is_long(ins->op) && !s->e->p->is_double;
    s->rep[v] = rep_scalars(s->a, n, name_of(s, v));
    for (int i = 0; i < n; i++) {
        const char *arg[MAX_ARG] = {0};
        for (int k = 0; k < ins->n_arg; k++) {
            arg[k] = operand_of(s, ins->arg[k], i);
            if (is_vector)
                arg[k] = str_format(s->a, "v_set(%s)", arg[k]);
        }
        text_line(sample_text(s, v), is_vector ? "const Real %s = l_first(%s);" : "const Real %s = %s;",
                  s->rep[v].element[i], map_text(s, v, is_vector ? 'v' : 'r', arg));
    }
}

/* ---- values that are picked from others, as those of all pairs are: each different one is computed once ---- */
/* a - a is 0, and b - a is -(a - b): so what is made of all pairs is made of half of them. */
static const char *known_difference(Sample *s, Val v, int i)
{
    const Ins *ins = &s->fn->ins.at[v];
    if (ins->op != OP_sub)
        return NULL;
    const char *a = operand_of(s, ins->arg[0], i), *b = operand_of(s, ins->arg[1], i);
    if (str_eq(a, b))
        return emit_literal(s->e, 0, true);
    for (int k = 0; k < i; k++)
        if (str_eq(operand_of(s, ins->arg[0], k), b) && str_eq(operand_of(s, ins->arg[1], k), a))
            return str_format(s->a, "(-%s)", s->rep[v].element[k]);
    return NULL;
}

/* Element i, of a quotient the reciprocal of its divisor. */
static const char *key_of(Sample *s, Val v, int i)
{
    const Ins *ins = &s->fn->ins.at[v];
    const char *arg[MAX_ARG] = {0};
    for (int k = 0; k < ins->n_arg; k++)
        arg[k] = operand_of(s, ins->arg[k], i);
    if (ins->op == OP_div)
        return str_format(s->a, "1 / %s", arg[1]);
    if (ins->op == OP_square && strncmp(arg[0], "(-", 2) == 0)
        arg[0] = str_copy(s->a, arg[0] + 2, strlen(arg[0]) - 3);
    return map_text(s, v, 'r', arg);
}

static void picked_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    int n = size_of(s, v), n_key = 0;
    const char **key = ARENA_NEW(s->a, const char *, n), *name = name_of(s, v);
    s->rep[v] = rep_scalars(s->a, n, name);
    for (int i = 0; i < n; i++) {
        const char *known = known_difference(s, v, i), *text = known ? known : key_of(s, v, i);
        int k = 0;
        while (k < n_key && !str_eq(key[k], text))
            k++;
        if (!known && k == n_key) {
            key[n_key++] = text;
            text_line(sample_text(s, v), "const Real %s_%d = %s;", name, k, text);
        }
        s->rep[v].element[i] = known ? known : str_format(s->a, "%s_%d", name, k);
        if (ins->op == OP_div) {
            text_line(sample_text(s, v), "const Real %s_q%d = %s * %s;", name, i, operand_of(s, ins->arg[0], i),
                      s->rep[v].element[i]);
            s->rep[v].element[i] = str_format(s->a, "%s_q%d", name, i);
        }
    }
}

static void loop_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    const char *arg[MAX_ARG] = {0};
    sample_join(s, v, size_of(s, v));
    for (int k = 0; k < ins->n_arg; k++)
        arg[k] = sample_lane(s, ins->arg[k]);
    text_line(&s->body, "const Vec %s_i = %s;", name_of(s, v), map_text(s, v, 'v', arg));
}

/* In float64 they stay variables: gathering all of them takes longer than vectors of four gain. */
static bool is_picked(const Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    bool is_picked = s->e->p->is_double && size_of(s, v) > LATENCY_SCALARS && size_of(s, v) <= LATENCY_UNROLLED &&
                     !latency_is_long(ins->op),
         is_any = false;
    for (int k = 0; k < ins->n_arg; k++) {
        is_any |= size_of(s, ins->arg[k]) > 1;
        is_picked &= size_of(s, ins->arg[k]) == 1 || s->rep[ins->arg[k]].kind == REP_scalars;
    }
    return is_picked && is_any;
}

static bool is_loop_map(const Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    bool is_long = latency_is_long(ins->op) && !s->e->p->is_double;
    return op_info[ins->op].op_class == CLASS_map && !sample_is_number(s, v) &&
           size_of(s, v) > (is_long ? 2 : LATENCY_SCALARS) && !is_picked(s, v);
}

static void map_emit(Sample *s, Val v)
{
    if (is_loop_map(s, v)) {
        loop_emit(s, v);
        return;
    }
    sample_wait(s, &s->fn->ins.at[v]);
    if (sample_is_number(s, v))
        number_emit(s, v);
    else if (is_picked(s, v))
        picked_emit(s, v);
    else
        scalars_emit(s, v);
}

/* ---- sums ---- */
static void sum_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    Val a = ins->arg[0];
    int n = size_of(s, a);
    const char *name = name_of(s, v);
    bool is_number = sample_is_number(s, v);
    Text sum = text_new(s->a);
    if (n <= LATENCY_SCALARS) {
        sample_wait(s, ins);
        for (int i = 0; i < n; i++)
            text_add(&sum, i ? " + %s" : "%s", sample_element(s, a, i));
        text_line(sample_text(s, v), is_number ? "const double %s = (double)(%s);" : "const Real %s_0 = %s;", name,
                  sum.at);
    } else {
        sample_join(s, v, n);
        s->is_sum[v] = true;
        text_line(&s->before, "Vec %s_v = v_set(0);", name);
        text_line(&s->body, "%s_v += l_masked(%s, i, %d);", name, sample_lane(s, a), n);
        text_add(&sum, "l_sum(%s_v)", name);
        text_line(&s->after, is_number ? "const double %s = (double)(%s);" : "const Real %s_0 = %s;", name, sum.at);
    }
    s->rep[v] = is_number ? rep_number(name, str_format(s->a, "(Real)%s", name)) : rep_scalars(s->a, 1, name);
}

/* ---- leaves ---- */
static void leaf_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    const char *name = name_of(s, v);
    int n = size_of(s, v);
    if (ins->op == OP_const || ins->op == OP_batch || (ins->op == OP_array && n == 1)) {
        double x = ins->op == OP_const ? ins->imm.num : ins->op == OP_batch ? 1 : ins->imm.array[0];
        s->rep[v] = rep_number(emit_literal(s->e, x, false), emit_literal(s->e, x, true));
        return;
    }
    if (ins->op == OP_array) {
        const char **item = ARENA_NEW(s->a, const char *, n + 1);
        for (int i = 0; i < n; i++)
            item[i] = emit_literal(s->e, ins->imm.array[i], true);
        text_line(s->head, "%s", emit_join(s->e, str_format(s->a, "static const Real %s[] = {", name), n, item, "};"));
        s->rep[v] = rep_named(REP_raw, name);
        return;
    }
    const char *from = ins->op == OP_setting ? str_format(s->a, "run->setting[%d]", ins->imm.index)
                                             : str_format(s->a, "run->%s", op_info[ins->op].name);
    text_line(s->head, "const double %s = %s;", name, from);
    s->rep[v] = rep_number(name, str_format(s->a, "(Real)%s", name));
}

/* ---- all values ---- */
static void value_emit(Sample *s, Val v)
{
    const Ins *ins = &s->fn->ins.at[v];
    switch (op_info[ins->op].op_class) {
    case CLASS_leaf: leaf_emit(s, v); break;
    case CLASS_map: map_emit(s, v); break;
    case CLASS_product: product_emit(s, v); break;
    default:
        if (ins->op == OP_fill && size_of(s, v) > LATENCY_SCALARS)
            loop_emit(s, v);
        else if (ins->op == OP_sum)
            sum_emit(s, v);
        else
            form_emit(s, v);
    }
    s->is_done[v] = true;
}

static void pass(Sample *s, bool is_fixed)
{
    for (int v = 0; v < s->fn->ins.n; v++)
        if (s->is_needed[v] && !s->is_done[v] && s->is_fixed[v] == is_fixed)
            value_emit(s, (Val)v);
    close_loop(s);
}

void sample_emit(Sample *s, Text *to, int from, int n)
{
    for (int i = 0; i < n; i++)
        s->is_needed[s->fn->out.at[from + i]] = true;
    for (int v = s->fn->ins.n - 1; v >= 0; v--)
        for (int k = 0; s->is_needed[v] && k < s->fn->ins.at[v].n_arg; k++)
            s->is_needed[s->fn->ins.at[v].arg[k]] = true;
    s->to = s->head;
    pass(s, true);
    s->to = to;
    pass(s, false);
}

Sample *sample_new(Emit *e, const Fn *fn, const char *prefix, Text *head, Weights *weights, const int *depth)
{
    Sample *s = ARENA_NEW(e->a, Sample, 1);
    int n = fn->ins.n + 1;
    *s = (Sample){.e = e, .a = e->a, .fn = fn, .prefix = prefix, .head = head, .weights = weights, .depth = depth};
    s->rep = ARENA_NEW(e->a, Rep, n);
    s->is_fixed = ARENA_NEW(e->a, bool, n);
    s->is_done = ARENA_NEW(e->a, bool, n);
    s->is_needed = ARENA_NEW(e->a, bool, n);
    s->is_sum = ARENA_NEW(e->a, bool, n);
    s->loop = ARENA_NEW(e->a, int, n);
    s->inverse = ARENA_NEW(e->a, const char *, n);
    return s;
}

void sample_input(Sample *s, int input, Rep rep, bool is_fixed)
{
    s->rep[input] = rep;
    s->is_done[input] = true;
    s->is_fixed[input] = is_fixed;
    if (input + 1 < s->fn->n_in)
        return;
    for (int v = s->fn->n_in; v < s->fn->ins.n; v++) { /* all inputs are known */
        s->is_fixed[v] = true;
        for (int k = 0; k < s->fn->ins.at[v].n_arg; k++)
            s->is_fixed[v] &= s->is_fixed[s->fn->ins.at[v].arg[k]];
    }
}
