/* tableau.c: a `tableau` block becomes a Runge-Kutta method, or a message that says which condition it breaks.
 *
 * Owns: the shape rules of the rows and the proof of the claimed orders.  Needs: a TABLEAU node, exact rationals
 * (const.c).  Gives: the coefficients, rounded once, of a method that is what it claims to be.
 * Elsewhere: the methods themselves (prelude/methods.nde), the step made of them (step.c).
 *
 * The proof (Butcher 1963; Hairer, Norsett & Wanner 1993, II.2): b has order p if for each rooted tree t of at most p
 * nodes  sum_i b_i Phi_i(t) = 1 / gamma(t), where the root of t bears the subtrees t1, ..., tm and
 *   Phi_i(t) = prod_k sum_j a_ij Phi_j(tk),   gamma(t) = (nodes of t) gamma(t1) ... gamma(tm)   (Theorem 2.13).
 * Weights b_i(theta) of an interpolant must give theta^(nodes of t) / gamma(t) (II.6), which is one
 * condition for each power of theta. */
#include <math.h>

#include "tableau.h"

#define MOST_STAGES 64
#define MOST_DEGREE 16

/* A table of rounded decimals cannot meet a condition exactly. What it may miss is measured by the same sum over
 * absolute values, for terms of size 100 that cancel leave 100 times the error: correct published tables are within
 * 10^-14 of that sum, a wrong digit of a coefficient is far outside. */
#define ROUNDING (64 * 2.220446049250313e-16)
/* Only a decimal with this many digits counts as rounded: nobody writes 0.333 for a third. */
#define ROUNDED_DIGITS 12

static const NodeKind part_kind[] = {
#define PART(name, kind) NODE_##kind,
    PARTS(PART)
#undef PART
};

const char *const part_name[] = {
#define PART(name, kind) #name,
    PARTS(PART)
#undef PART
};

/* ---- reading ---- */

static void collect(Method *m)
{
    for (int i = 0; i < m->node->n; i++) {
        const Node *kid = m->node->kid[i];
        if (kid->kind == NODE_ERROR) {
            m->is_broken = true;
            continue;
        }
        int part = 0;
        while (part < PART_COUNT && !(kid->kind == part_kind[part] && str_eq(kid->text, part_name[part])))
            part++;
        if (part == PART_COUNT) {
            REPORT(m, TABLEAU_UNKNOWN, kid->span, kid->text ? kid->text : "this");
            const char *near = kid->text ? str_nearest(kid->text, part_name, PART_COUNT) : NULL;
            if (near)
                diag_help(m->diags, "did you mean '%s'?", near);
        } else if (m->part[part]) {
            REPORT(m, TABLEAU_TWICE, kid->span, part_name[part]);
            diag_note(m->diags, m->part[part]->span, "the first one is here");
        } else {
            m->part[part] = kid;
        }
    }
}

/* A whole number from 1 to MOST_ORDER, or 0 after reporting. */
static int read_order_number(Method *m, const Node *expr, const char *what)
{
    const Rat *value = const_scalar(m->arena, m->diags, expr, m->lookup, m->context);
    long n = 0;
    if (!value) {
        m->is_broken = true;
        return 0;
    }
    if (!rat_is_int(value, &n) || n < 1 || n > MOST_ORDER) {
        REPORT(m, TABLEAU_ORDER, expr->span, what, MOST_ORDER);
        return 0;
    }
    return (int)n;
}

static void read_order(Method *m)
{
    const Node *clause = m->part[PART_order];
    if (!clause) {
        if (!m->is_broken) {
            REPORT(m, TABLEAU_NO_ORDER, m->node->name, m->node->text);
            diag_help(m->diags, "add a line such as  order 4");
        }
        return;
    }
    const Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    const Node *word = group && group->n == 2 ? group->kid[1] : NULL;
    bool is_pair = word && word->kind == NODE_WORD && word->n == 1 && str_eq(word->text, "embedded");
    if (!group || group->n < 1 || group->n > 2 || group->kid[0]->kind == NODE_WORD || (word && !is_pair)) {
        REPORT(m, TABLEAU_CLAUSE, clause->span, "order 5", "order 5 embedded 4");
        return;
    }
    m->order = read_order_number(m, group->kid[0], "order");
    if (is_pair)
        m->embedded = read_order_number(m, word->kid[0], "embedded order");
    if (is_pair && !m->part[PART_bhat] && !m->is_broken)
        REPORT(m, TABLEAU_NO_BHAT, word->span, m->node->text);
    if (!is_pair && m->part[PART_bhat] && !m->is_broken) {
        REPORT(m, TABLEAU_NO_EMBEDDED, m->part[PART_bhat]->span, m->node->text);
        diag_help(m->diags, "write its order, such as  order %d embedded %d", m->order,
                  m->order > 1 ? m->order - 1 : 1);
    }
}

static void read_flags(Method *m)
{
    const Node *fsal = m->part[PART_fsal];
    if (fsal && !(fsal->n == 0 || (fsal->n == 1 && fsal->kid[0]->n == 0)))
        REPORT(m, TABLEAU_CLAUSE, fsal->span, "fsal", "is left out");
    const Node *clause = m->part[PART_stability];
    if (!clause)
        return;
    if (clause->n != 1 || clause->kid[0]->n != 1 || clause->kid[0]->kid[0]->kind == NODE_WORD) {
        REPORT(m, TABLEAU_CLAUSE, clause->span, "stability 3.3", "leave it out");
        return;
    }
    const Node *expr = clause->kid[0]->kid[0];
    const Rat *value = const_scalar(m->arena, m->diags, expr, m->lookup, m->context);
    if (!value) {
        m->is_broken = true;
        return;
    }
    m->stability = rat_to_double(value);
    if (rat_sign(value) <= 0 || m->stability == 0)
        REPORT(m, TABLEAU_STABILITY, expr->span, m->stability);
}

/* Is the value a decimal that was cut off after ROUNDED_DIGITS digits or more, or not rational in the first place?
 * The denominator of a decimal is 2^x 5^y with y > 0; a power of two alone was written as a fraction. */
static bool is_rounded(const Rat *value)
{
    if (!value->is_exact)
        return true;
    mpz_t rest, five, digits;
    mpz_init(rest);
    mpz_init_set_ui(five, 5);
    mpz_init_set_ui(digits, 10);
    mp_bitcnt_t fives = mpz_remove(rest, mpq_denref(value->q), five);
    mp_bitcnt_t twos = mpz_scan1(rest, 0);
    mpz_tdiv_q_2exp(rest, rest, twos);
    bool is_long = false;
    if (fives > 0 && mpz_cmp_ui(rest, 1) == 0) {
        mpz_pow_ui(digits, digits, (unsigned long)(fives > twos ? fives : twos));
        mpz_mul(digits, digits, mpq_numref(value->q));
        mpz_divexact(digits, digits, mpq_denref(value->q));
        mpz_abs(digits, digits);
        mpz_ui_pow_ui(rest, 10, ROUNDED_DIGITS - 1);
        is_long = mpz_cmp(digits, rest) >= 0;
    }
    mpz_clear(rest);
    mpz_clear(five);
    mpz_clear(digits);
    return is_long;
}

static void read_values(Method *m, const Node *list, const Rat **value)
{
    for (int i = 0; i < list->n; i++) {
        value[i] = const_scalar(m->arena, m->diags, list->kid[i], m->lookup, m->context);
        if (!value[i])
            m->is_broken = true;
        else if (is_rounded(value[i]))
            m->is_rounded = true;
    }
}

const Rat **tableau_row(Method *m, Part part, int n)
{
    const Node *row = m->part[part];
    if (!row)
        return NULL;
    if (row->n != n) {
        if (n == m->stages)
            REPORT(m, TABLEAU_ENTRIES, row->span, part_name[part], row->n, n);
        else
            REPORT(m, TABLEAU_SHARES, row->span, part_name[part], row->n, n);
        diag_note(m->diags, m->part[PART_b]->span, "'b' is here");
        return NULL;
    }
    const Rat **value = ARENA_NEW(m->arena, const Rat *, n);
    read_values(m, row, value);
    return value;
}

/* Are all kids rows in brackets? */
static bool is_matrix(Method *m, const Node *row)
{
    for (int i = 0; i < row->n; i++) {
        if (row->kid[i]->kind != NODE_ARRAY) {
            REPORT(m, TABLEAU_BRACKETS, row->kid[i]->span, row->text);
            return false;
        }
    }
    return true;
}

static void read_a(Method *m)
{
    const Node *row = m->part[PART_a];
    int s = m->stages;
    m->a = ARENA_NEW(m->arena, const Rat *, s *s);
    const Rat *zero = rat_int(m->arena, 0);
    for (int i = 0; i < s * s; i++)
        m->a[i] = zero;
    if (!row || !is_matrix(m, row))
        return;
    if (row->n != s - 1) {
        REPORT(m, TABLEAU_A_ROWS, row->span, row->n, s - 1);
        diag_note(m->diags, m->part[PART_b]->span, "'b' has %d entries, so there are %d stages", s, s);
        return;
    }
    for (int i = 1; i < s; i++) {
        const Node *entries = row->kid[i - 1];
        if (entries->n > i)
            REPORT(m, TABLEAU_IMPLICIT, entries->span, i + 1, entries->n, i);
        else if (entries->n < i)
            REPORT(m, TABLEAU_A_SHORT, entries->span, i + 1, entries->n, i);
        else
            read_values(m, entries, &m->a[i * s]);
    }
}

static void read_interpolant(Method *m)
{
    const Node *row = m->part[PART_interpolant];
    if (!row || !is_matrix(m, row))
        return;
    if (row->n != m->stages) {
        REPORT(m, TABLEAU_ENTRIES, row->span, "interpolant", row->n, m->stages);
        diag_note(m->diags, m->part[PART_b]->span, "'b' is here");
        return;
    }
    int degree = row->kid[0]->n;
    if (degree < 1 || degree > MOST_DEGREE) {
        REPORT(m, TABLEAU_DEGREE, row->kid[0]->span, MOST_DEGREE, degree);
        return;
    }
    m->degree = degree;
    m->interpolant = ARENA_NEW(m->arena, const Rat *, m->stages *degree);
    for (int i = 0; i < m->stages; i++) {
        if (row->kid[i]->n != degree)
            REPORT(m, TABLEAU_RAGGED, row->kid[i]->span, i + 1, row->kid[i]->n, degree);
        else
            read_values(m, row->kid[i], &m->interpolant[i * degree]);
    }
}

static void need_row(Method *m, Part part)
{
    if (!m->part[part])
        REPORT(m, TABLEAU_NO_ROW, m->node->name, m->node->text, part_name[part]);
}

/* Everything but the proof. Nothing is reported as missing when a line could not be parsed: it may be that line. */
static void read_method(Method *m)
{
    collect(m);
    bool is_whole = !m->is_broken;
    read_order(m);
    read_flags(m);
    if (is_whole) {
        need_row(m, PART_c);
        need_row(m, PART_b);
    }
    const Node *b = m->part[PART_b];
    if (!b)
        return;
    if (b->n < 1 || b->n > MOST_STAGES) {
        REPORT(m, TABLEAU_STAGES, b->span, MOST_STAGES, b->n);
        return;
    }
    m->stages = b->n;
    if (is_whole && m->stages > 1)
        need_row(m, PART_a);
    m->b = tableau_row(m, PART_b, m->stages);
    m->c = tableau_row(m, PART_c, m->stages);
    m->bhat = tableau_row(m, PART_bhat, m->stages);
    carry_read(m);
    read_a(m);
    read_interpolant(m);
}

/* ---- rooted trees ---- */

typedef struct Tree {
    int order; /* number of nodes */
    long gamma;
    int n, child[MOST_ORDER - 1]; /* what the root bears, as indices in falling order; tree 0 is the single node */
} Tree;

typedef LIST(Tree) Trees;

/* Adds to `trees` each tree whose root bears what `stem` has and more subtrees, none above `last`, with `left` nodes
 * in all. Falling indices name each multiset of subtrees once; low ones first gives [t,t,t] before [[[t]]]. */
static void grow(Arena *a, Trees *trees, Tree stem, int last, int left)
{
    if (left == 0) {
        list_push(a, *trees, stem);
        return;
    }
    for (int i = 0; i <= last && trees->at[i].order <= left; i++) {
        Tree more = stem;
        more.child[more.n++] = i;
        more.gamma *= trees->at[i].gamma;
        grow(a, trees, more, i, left - trees->at[i].order);
    }
}

/* All rooted trees of at most `order` nodes, smaller ones first. */
static Trees make_trees(Arena *a, int order)
{
    Trees trees = {0};
    list_push(a, trees, ((Tree){.order = 1, .gamma = 1}));
    for (int n = 2; n <= order; n++)
        grow(a, &trees, (Tree){.order = n, .gamma = n}, trees.n - 1, n - 1);
    return trees;
}

/* The tree in nested brackets, t being a single node: [[t],t]. */
static const char *tree_text(Arena *a, const Trees *trees, int t)
{
    if (t == 0)
        return "t";
    const Tree *tree = &trees->at[t];
    const char *text = "[";
    for (int k = 0; k < tree->n; k++)
        text = str_format(a, "%s%s%s", text, k > 0 ? "," : "", tree_text(a, trees, tree->child[k]));
    return str_format(a, "%s]", text);
}

/* Appends the factors of Phi for the node whose index letter is `me`: c_i^2 a_ij c_j. */
static const char *factors_text(Arena *a, const Trees *trees, int t, char me, char *next, const char *text)
{
    const Tree *tree = &trees->at[t];
    int leaves = 0;
    for (int k = 0; k < tree->n; k++)
        leaves += tree->child[k] == 0;
    if (leaves > 0)
        text = str_format(a, leaves > 1 ? "%s c_%c^%d" : "%s c_%c", text, me, leaves);
    for (int k = 0; k < tree->n - leaves; k++) {
        char other = (*next)++;
        text = str_format(a, "%s a_%c%c", text, me, other);
        text = factors_text(a, trees, tree->child[k], other, next, text);
    }
    return text;
}

/* The left side of the condition in words: sum b_i c_i a_ij c_j. */
static const char *sum_text(Arena *a, const Trees *trees, int t, const char *weight)
{
    char next = 'j';
    return factors_text(a, trees, t, 'i', &next, str_format(a, "sum %s", weight));
}

/* ---- the proof ---- */

/* For each tree and stage: phi is Phi_i(t), up is sum_j a_ij Phi_j(t), what the tree contributes as a subtree. The
 * doubles are the same over absolute values, the measure of rounding. */
typedef struct Proof {
    Method *m;
    Trees trees;
    mpq_t *phi, *up, sum, product;
    double *size_phi, *size_up, size;
} Proof;

static Proof proof_new(Method *m)
{
    Proof p = {.m = m, .trees = make_trees(m->arena, m->order > m->embedded ? m->order : m->embedded)};
    int n = p.trees.n * m->stages;
    p.phi = ARENA_NEW(m->arena, mpq_t, n);
    p.up = ARENA_NEW(m->arena, mpq_t, n);
    p.size_phi = ARENA_NEW(m->arena, double, n);
    p.size_up = ARENA_NEW(m->arena, double, n);
    for (int i = 0; i < n; i++) {
        mpq_init(p.phi[i]);
        mpq_init(p.up[i]);
    }
    mpq_init(p.sum);
    mpq_init(p.product);
    return p;
}

static void proof_end(Proof *p)
{
    for (int i = 0; i < p->trees.n * p->m->stages; i++) {
        mpq_clear(p->phi[i]);
        mpq_clear(p->up[i]);
    }
    mpq_clear(p->sum);
    mpq_clear(p->product);
}

static void sum_start(Proof *p)
{
    mpq_set_ui(p->sum, 0, 1);
    p->size = 0;
}

/* Adds weight * x to the sum. */
static void sum_add(Proof *p, const Rat *weight, const mpq_t x, double size)
{
    if (rat_sign(weight) == 0)
        return;
    mpq_mul(p->product, weight->q, x);
    mpq_add(p->sum, p->sum, p->product);
    p->size += fabs(rat_to_double(weight)) * size;
}

/* Is the sum what it must be? Leaves the difference in p->product. */
static bool sum_is(Proof *p, const mpq_t wanted)
{
    mpq_sub(p->product, p->sum, wanted);
    if (mpq_sgn(p->product) == 0)
        return true;
    return p->m->is_rounded && fabs(mpq_get_d(p->product)) <= ROUNDING * (p->size + fabs(mpq_get_d(wanted)));
}

static const char *number_text(Arena *a, const mpq_t q, int digits)
{
    return str_format(a, "%.*g", digits, mpq_get_d(q));
}

static const char *off_text(const Proof *p)
{
    return str_format(p->m->arena, "off by %.3g", fabs(mpq_get_d(p->product)));
}

static const char *fraction_text(Arena *a, const mpq_t q)
{
    size_t room = mpz_sizeinbase(mpq_numref(q), 10) + mpz_sizeinbase(mpq_denref(q), 10) + 3;
    return room > 16 ? number_text(a, q, 9) : mpq_get_str(arena_alloc(a, room), 10, q);
}

static void prove_row_sums(Proof *p)
{
    Method *m = p->m;
    mpq_t one;
    mpq_init(one);
    mpq_set_ui(one, 1, 1);
    for (int i = 0; i < m->stages; i++) {
        sum_start(p);
        for (int j = 0; j < i; j++)
            sum_add(p, m->a[i * m->stages + j], one, 1);
        if (sum_is(p, m->c[i]->q))
            continue;
        const Node *entry = m->part[PART_c]->kid[i];
        REPORT(m, TABLEAU_ROW_SUM, i > 0 ? m->part[PART_a]->kid[i - 1]->span : entry->span, i + 1,
               fraction_text(m->arena, m->c[i]->q), fraction_text(m->arena, p->sum), off_text(p));
        if (i > 0)
            diag_note(m->diags, entry->span, "c of stage %d is here", i + 1);
    }
    mpq_clear(one);
}

/* The first stage whose weight differs between the last row of a and b, from 0, or -1: then the last stage is the
 * first of the next step, for its c is the row sum, which order 1 makes 1. */
static int fsal_difference(const Method *m)
{
    int s = m->stages;
    for (int j = 0; j < s; j++) {
        if (!mpq_equal(m->a[(s - 1) * s + j]->q, m->b[j]->q))
            return j;
    }
    return -1;
}

static void prove_fsal(Method *m)
{
    int j = fsal_difference(m);
    if (!m->part[PART_fsal] || j < 0)
        return;
    REPORT(m, TABLEAU_FSAL, m->part[PART_fsal]->span, m->node->text, j + 1);
    diag_note(m->diags, m->part[PART_b]->kid[j]->span, "this entry of 'b' is %s, not %s",
              fraction_text(m->arena, m->b[j]->q), fraction_text(m->arena, m->a[(m->stages - 1) * m->stages + j]->q));
}

static void prove_estimate(Method *m)
{
    bool differs = !m->bhat;
    for (int i = 0; i < m->stages && !differs; i++)
        differs = !mpq_equal(m->b[i]->q, m->bhat[i]->q);
    if (!differs)
        REPORT(m, TABLEAU_SAME, m->part[PART_bhat]->span, m->node->text);
}

/* b_i(1) = b_i: the interpolant meets the end of the step. */
static void prove_end(Proof *p)
{
    Method *m = p->m;
    mpq_t one;
    mpq_init(one);
    mpq_set_ui(one, 1, 1);
    for (int i = 0; i < m->stages && m->interpolant; i++) {
        sum_start(p);
        for (int k = 0; k < m->degree; k++)
            sum_add(p, m->interpolant[i * m->degree + k], one, 1);
        if (sum_is(p, m->b[i]->q))
            continue;
        REPORT(m, TABLEAU_INTERPOLANT_END, m->part[PART_interpolant]->kid[i]->span, i + 1,
               fraction_text(m->arena, p->sum), fraction_text(m->arena, m->b[i]->q), off_text(p));
        diag_note(m->diags, m->part[PART_b]->kid[i]->span, "the entry of 'b' is here");
    }
    mpq_clear(one);
}

/* Fills phi and up of one tree from those of its subtrees. */
static void weigh(Proof *p, int t)
{
    const Method *m = p->m;
    const Tree *tree = &p->trees.at[t];
    int s = m->stages;
    for (int i = 0; i < s; i++) {
        mpq_ptr phi = p->phi[t * s + i];
        double size = 1;
        mpq_set_ui(phi, 1, 1);
        for (int k = 0; k < tree->n; k++) {
            mpq_mul(phi, phi, p->up[tree->child[k] * s + i]);
            size *= p->size_up[tree->child[k] * s + i];
        }
        p->size_phi[t * s + i] = size;
        sum_start(p);
        for (int j = 0; j < i; j++)
            sum_add(p, m->a[i * s + j], p->phi[t * s + j], p->size_phi[t * s + j]);
        mpq_set(p->up[t * s + i], t == 0 ? m->c[i]->q : p->sum);
        p->size_up[t * s + i] = p->size;
    }
}

/* Does  sum_i weight_i Phi_i(t)  equal `wanted`? The weights lie `stride` apart. */
static bool meets(Proof *p, int t, const Rat *const *weight, int stride, const mpq_t wanted)
{
    int s = p->m->stages;
    sum_start(p);
    for (int i = 0; i < s; i++)
        sum_add(p, weight[i * stride], p->phi[t * s + i], p->size_phi[t * s + i]);
    return sum_is(p, wanted);
}

/* `weight`, if there is such a row, for the trees of at most `order` nodes. */
static void prove_weights(Proof *p, int t, Part part, const Rat *const *weight, int order, const mpq_t wanted)
{
    Method *m = p->m;
    bool is_embedded = part == PART_bhat;
    if (m->is_broken || !weight || p->trees.at[t].order > order || meets(p, t, weight, 1, wanted))
        return;
    const char *name = part_name[part];
    const char *sum = sum_text(m->arena, &p->trees, t, str_format(m->arena, "%s_i", name));
    const char *claim =
        str_format(m->arena, "%s %d", is_embedded ? "embedded order" : "order", is_embedded ? m->embedded : m->order);
    REPORT(m, TABLEAU_CONDITION, m->part[part]->span, m->node->text, claim, name, tree_text(m->arena, &p->trees, t),
           sum, number_text(m->arena, p->sum, 9), fraction_text(m->arena, wanted), off_text(p));
    diag_note(m->diags, m->part[PART_order]->span, "the order is claimed here");
    if (p->trees.at[t].order > 1)
        diag_help(m->diags, "'%s' meets the conditions up to order %d", name, p->trees.at[t].order - 1);
}

/* The interpolant claims no order: m->interpolant_order falls to the highest one that it has. */
static void prove_interpolant(Proof *p, int t, const mpq_t wanted)
{
    Method *m = p->m;
    int order = p->trees.at[t].order;
    if (m->is_broken || order > m->interpolant_order)
        return;
    mpq_t zero;
    mpq_init(zero);
    int k = 0;
    for (; k < m->degree; k++) {
        if (!meets(p, t, m->interpolant + k, m->degree, k + 1 == order ? wanted : zero))
            break;
    }
    mpq_clear(zero);
    if (k == m->degree && order <= m->degree)
        return;
    m->interpolant_order = order - 1;
    if (order == 1)
        REPORT(m, TABLEAU_INTERPOLANT, m->part[PART_interpolant]->span, m->node->text, k + 1,
               number_text(m->arena, p->sum, 9), k == 0 ? 1 : 0, off_text(p));
}

/* A wrong coefficient breaks many conditions: the first that fails is the one that is told. */
static void prove_orders(Proof *p)
{
    Method *m = p->m;
    mpq_t wanted;
    mpq_init(wanted);
    m->interpolant_order = m->interpolant ? m->order : 0;
    for (int t = 0; t < p->trees.n && !m->is_broken; t++) {
        weigh(p, t);
        mpq_set_ui(wanted, 1, (unsigned long)p->trees.at[t].gamma);
        prove_weights(p, t, PART_b, m->b, m->order, wanted);
        prove_weights(p, t, PART_bhat, m->bhat, m->embedded, wanted);
        prove_interpolant(p, t, wanted);
        prove_weights(p, t, PART_state, m->state, m->order - 1, wanted);
        mpq_set_ui(wanted, (unsigned long)p->trees.at[t].order, (unsigned long)p->trees.at[t].gamma);
        mpq_canonicalize(wanted); /* of h f(u, t) at the end of the step */
        prove_weights(p, t, PART_slope, m->slope, m->order, wanted);
    }
    mpq_clear(wanted);
}

static void prove(Method *m)
{
    Proof p = proof_new(m);
    prove_row_sums(&p);
    prove_fsal(m);
    carry_prove(m);
    prove_estimate(m);
    prove_end(&p);
    prove_orders(&p);
    proof_end(&p);
}

/* ---- the result ---- */

static double *doubles(Arena *a, const Rat *const *value, int n)
{
    double *x = ARENA_NEW(a, double, n);
    for (int i = 0; i < n; i++)
        x[i] = rat_to_double(value[i]);
    return x;
}

static const Tableau *tableau_new(const Method *m)
{
    Arena *a = m->arena;
    int s = m->stages;
    Tableau *t = ARENA_NEW(a, Tableau, 1);
    bool is_fsal = !m->slope && !m->share && fsal_difference(m) < 0;
    *t = (Tableau){.name = m->node->text,
                   .span = m->node->span,
                   .stages = s,
                   .order = m->order,
                   .embedded = m->embedded,
                   .fsal = is_fsal,
                   .is_reversible = carry_is_reversible(m),
                   .slope = m->slope ? doubles(a, m->slope, s) : NULL,
                   .state = m->share ? doubles(a, m->state, s) : NULL,
                   .share = m->share ? doubles(a, m->share, s + 1) : NULL,
                   .stability = m->stability,
                   .c = doubles(a, m->c, s),
                   .b = doubles(a, m->b, s),
                   .degree = m->degree,
                   .interpolant_order = m->interpolant_order};
    t->a = ARENA_NEW(a, double *, s);
    for (int i = 0; i < s; i++)
        t->a[i] = doubles(a, m->a + i * s, s);
    if (is_fsal) { /* k_1 of the next step is the last k */
        t->slope = ARENA_NEW(a, double, s);
        t->slope[s - 1] = 1;
    }
    if (m->bhat) {
        t->e = ARENA_NEW(a, double, s);
        for (int i = 0; i < s; i++)
            t->e[i] = rat_to_double(rat_sub(a, m->b[i], m->bhat[i]));
    }
    if (m->interpolant) {
        t->interpolant = ARENA_NEW(a, double *, s);
        for (int i = 0; i < s; i++)
            t->interpolant[i] = doubles(a, m->interpolant + i * m->degree, m->degree);
    }
    return t;
}

const Tableau *tableau_check(Arena *a, Diags *d, const Node *node, RatLookup *lookup, void *context)
{
    Method m = {.arena = a, .diags = d, .lookup = lookup, .context = context, .node = node};
    read_method(&m);
    if (!m.is_broken)
        prove(&m);
    return m.is_broken ? NULL : tableau_new(&m);
}
