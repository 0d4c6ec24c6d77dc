/* proof.c: is a Runge-Kutta method what its block claims?
 *
 * Needs: a method that was read.  Gives: a message that names the condition that fails and by how much, and the order
 * of the interpolant, which claims none.
 *
 * The proof (Butcher 1963; Hairer, Norsett & Wanner 1993, II.2): b has order p if for each rooted tree t of at most p
 * nodes  sum_i b_i Phi_i(t) = 1 / gamma(t), where the root of t bears the subtrees t1, ..., tm and
 *   Phi_i(t) = prod_k sum_j a_ij Phi_j(tk),   gamma(t) = (nodes of t) gamma(t1) ... gamma(tm)   (Theorem 2.13).
 * Weights b_i(theta) of an interpolant must give theta^(nodes of t) / gamma(t) (II.6), which is one
 * condition for each power of theta. Sums have 320 bits: order 9 takes milliseconds, fractions would take a second.
 * Elsewhere: reading the block (tableau.c). */
#include <float.h>
#include <math.h>

#include "tableau.h"

#define BITS 320

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

/* ---- sums ---- */

/* A number and what it would be if all terms were positive: the measure of rounding. */
typedef struct Real {
    mpf_t x;
    double size;
} Real;

static void real_init(Real *r)
{
    mpf_init2(r->x, BITS);
    r->size = 0;
}

static Real *reals(Arena *a, int n)
{
    Real *r = ARENA_NEW(a, Real, n);
    for (int i = 0; i < n; i++)
        real_init(&r[i]);
    return r;
}

static void clear(Real *r, int n)
{
    for (int i = 0; i < n; i++)
        mpf_clear(r[i].x);
}

static Real *rounded(Arena *a, const Rat *const *value, int n)
{
    Real *r = value ? reals(a, n) : NULL;
    for (int i = 0; value && i < n; i++) {
        mpf_set_q(r[i].x, value[i]->q);
        r[i].size = fabs(rat_to_double(value[i]));
    }
    return r;
}

/* up[t][i] is sum_j a_ij Phi_j(t), what tree t contributes as a subtree; phi is Phi_i of the tree at hand. */
typedef struct Proof {
    Method *m;
    Trees trees;
    double tolerance;
    Real *a, *c, *interpolant, *weights[PART_COUNT];
    Real *phi, *up, sum, product, wanted;
    int n_up; /* trees that can be subtrees */
} Proof;

static const Part weights_part[] = {PART_b, PART_bhat, PART_bhat2, PART_state, PART_slope};
enum { N_WEIGHTS = sizeof weights_part / sizeof *weights_part };

double proof_tolerance(const Method *m)
{
    double digits = pow(10, 1 - m->rounded_digits);
    return m->rounded_digits == 0 ? ldexp(1, -256) : 64 * fmin(DBL_EPSILON, digits);
}

static int most_order(const Method *m)
{
    int most = m->dense;
    for (int k = 0; k < N_WEIGHTS; k++) {
        int order = m->weights[weights_part[k]].order;
        most = order > most ? order : most;
    }
    return most;
}

static Proof proof_new(Method *m)
{
    Arena *a = m->arena;
    int order = most_order(m), s = m->all_stages;
    Proof p = {.m = m, .trees = make_trees(a, order), .tolerance = proof_tolerance(m)};
    while (p.n_up < p.trees.n && p.trees.at[p.n_up].order < order)
        p.n_up++;
    p.a = rounded(a, m->a, s * s);
    p.c = rounded(a, m->c, s);
    p.interpolant = rounded(a, m->interpolant, s * m->degree);
    for (int k = 0; k < N_WEIGHTS; k++)
        p.weights[weights_part[k]] = rounded(a, m->weights[weights_part[k]].value, m->stages);
    p.phi = reals(a, s);
    p.up = reals(a, p.n_up * s);
    real_init(&p.sum);
    real_init(&p.product);
    real_init(&p.wanted);
    return p;
}

static void proof_end(Proof *p)
{
    const Method *m = p->m;
    int s = m->all_stages;
    clear(p->a, s * s);
    clear(p->c, s);
    clear(p->interpolant, p->interpolant ? s * m->degree : 0);
    for (int k = 0; k < PART_COUNT; k++)
        clear(p->weights[k], p->weights[k] ? m->stages : 0);
    clear(p->phi, s);
    clear(p->up, p->n_up * s);
    clear(&p->sum, 1);
    clear(&p->product, 1);
    clear(&p->wanted, 1);
}

/* sum = sum_i weight_i x_i; the weights lie `stride` apart. */
static void sum_of(Proof *p, const Real *weight, int stride, const Real *x, int n)
{
    mpf_set_ui(p->sum.x, 0);
    p->sum.size = 0;
    for (int i = 0; i < n; i++) {
        const Real *w = &weight[i * stride];
        if (mpf_sgn(w->x) == 0)
            continue;
        mpf_mul(p->product.x, w->x, x[i].x);
        mpf_add(p->sum.x, p->sum.x, p->product.x);
        p->sum.size += w->size * x[i].size;
    }
}

/* Is the sum what it must be? Leaves the difference in p->product. */
static bool sum_is(Proof *p, const Real *wanted)
{
    mpf_sub(p->product.x, p->sum.x, wanted->x);
    return fabs(mpf_get_d(p->product.x)) <= p->tolerance * (p->sum.size + wanted->size);
}

static void want(Proof *p, long numerator, long denominator)
{
    mpf_set_ui(p->wanted.x, (unsigned long)numerator);
    mpf_div_ui(p->wanted.x, p->wanted.x, (unsigned long)denominator);
    p->wanted.size = (double)numerator / (double)denominator;
}

/* ---- words ---- */

static const char *sum_number(const Proof *p)
{
    return str_format(p->m->arena, "%.9g", mpf_get_d(p->sum.x));
}

static const char *off_text(const Proof *p)
{
    return str_format(p->m->arena, "off by %.3g", fabs(mpf_get_d(p->product.x)));
}

static const char *fraction_text(Arena *a, const Rat *value)
{
    const mpq_t *q = &value->q;
    size_t room = mpz_sizeinbase(mpq_numref(*q), 10) + mpz_sizeinbase(mpq_denref(*q), 10) + 3;
    return room > 16 ? str_format(a, "%.9g", rat_to_double(value)) : mpq_get_str(arena_alloc(a, room), 10, *q);
}

static const char *wanted_text(Arena *a, long numerator, long denominator)
{
    long gcd = denominator, rest = numerator;
    while (rest != 0) {
        long next = gcd % rest;
        gcd = rest;
        rest = next;
    }
    return denominator > gcd ? str_format(a, "%ld/%ld", numerator / gcd, denominator / gcd) : "1";
}

/* The sum of n coefficients. */
static const char *total_text(Arena *a, const Rat *const *value, int n)
{
    const Rat *sum = rat_int(a, 0);
    for (int i = 0; i < n; i++)
        sum = rat_add(a, sum, value[i]);
    return fraction_text(a, sum);
}

/* ---- rows ---- */

static Real *ones(Arena *a, int n)
{
    Real *r = reals(a, n);
    for (int i = 0; i < n; i++) {
        mpf_set_ui(r[i].x, 1);
        r[i].size = 1;
    }
    return r;
}

static void prove_row_sums(Proof *p, const Real *one)
{
    Method *m = p->m;
    int s = m->all_stages;
    for (int i = 0; i < s; i++) {
        sum_of(p, p->a + i * s, 1, one, i);
        if (sum_is(p, &p->c[i]))
            continue;
        const Node *entry = m->part[PART_c]->kid[i];
        REPORT(m, TABLEAU_ROW_SUM, i > 0 ? m->part[PART_a]->kid[i - 1]->span : entry->span, i + 1,
               fraction_text(m->arena, m->c[i]), total_text(m->arena, m->a + i * s, i), off_text(p));
        if (i > 0)
            diag_note(m->diags, entry->span, "c of stage %d is here", i + 1);
    }
}

int fsal_difference(const Method *m)
{
    const Rat **b = m->weights[PART_b].value, **last = m->a + (m->stages - 1) * m->all_stages;
    for (int j = 0; j < m->stages; j++) {
        if (!mpq_equal(last[j]->q, b[j]->q))
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
              fraction_text(m->arena, m->weights[PART_b].value[j]),
              fraction_text(m->arena, m->a[(m->stages - 1) * m->all_stages + j]));
}

static void prove_estimate(Method *m, Part part)
{
    const Rat **b = m->weights[PART_b].value, **hat = m->weights[part].value;
    bool differs = !hat;
    for (int i = 0; i < m->stages && !differs; i++)
        differs = !mpq_equal(b[i]->q, hat[i]->q);
    if (!differs)
        REPORT(m, TABLEAU_SAME, m->part[part]->span, part_name[part], m->node->text);
}

/* b_i(1) = b_i, and 0 for stages that are not the step's: the interpolant meets the end of the step. Its start it meets
 * by having no constant terms. */
static void prove_end(Proof *p, const Real *one)
{
    Method *m = p->m;
    Arena *a = m->arena;
    for (int i = 0; i < m->all_stages && m->interpolant; i++) {
        const Rat **power = m->interpolant + i * m->degree;
        Span span = m->part[PART_interpolant]->kid[i]->span;
        bool is_extra = i >= m->stages;
        sum_of(p, p->interpolant + i * m->degree, 1, one, m->degree);
        want(p, 0, 1);
        if (sum_is(p, is_extra ? &p->wanted : &p->weights[PART_b][i]))
            continue;
        if (is_extra) {
            REPORT(m, TABLEAU_EXTRA_END, span, i + 1, total_text(a, power, m->degree), off_text(p));
            diag_note(m->diags, m->part[PART_b]->span, "'b' is here: its %d stages make the end of the step",
                      m->stages);
            continue;
        }
        REPORT(m, TABLEAU_INTERPOLANT_END, span, i + 1, total_text(a, power, m->degree),
               fraction_text(a, m->weights[PART_b].value[i]), off_text(p));
        diag_note(m->diags, m->part[PART_b]->kid[i]->span, "the entry of 'b' is here");
    }
}

/* ---- conditions ---- */

/* Phi of one tree, and its up, from those of its subtrees. */
static void weigh(Proof *p, int t)
{
    const Tree *tree = &p->trees.at[t];
    int s = p->m->all_stages;
    for (int i = 0; i < s; i++) {
        Real *phi = &p->phi[i];
        mpf_set_ui(phi->x, 1);
        phi->size = 1;
        for (int k = 0; k < tree->n; k++) {
            mpf_mul(phi->x, phi->x, p->up[tree->child[k] * s + i].x);
            phi->size *= p->up[tree->child[k] * s + i].size;
        }
    }
    for (int i = 0; i < s && t < p->n_up; i++) {
        Real *up = &p->up[t * s + i];
        sum_of(p, p->a + i * s, 1, p->phi, i);
        mpf_set(up->x, t == 0 ? p->c[i].x : p->sum.x);
        up->size = p->sum.size;
    }
}

static void prove_weights(Proof *p, int t, Part part)
{
    Method *m = p->m;
    const Weights *w = &m->weights[part];
    const Tree *tree = &p->trees.at[t];
    if (m->is_broken || tree->order > w->order)
        return;
    long wanted = part == PART_slope ? tree->order : 1; /* of h f(u, t) at the end of the step */
    sum_of(p, p->weights[part], 1, p->phi, m->stages);
    want(p, wanted, tree->gamma);
    if (sum_is(p, &p->wanted))
        return;
    const char *name = part_name[part];
    const char *sum = sum_text(m->arena, &p->trees, t, str_format(m->arena, "%s_i", name));
    bool is_embedded = part == PART_bhat || part == PART_bhat2;
    const char *claim = str_format(m->arena, "%s %d", is_embedded ? "embedded order" : "order",
                                   is_embedded ? w->order : m->weights[PART_b].order);
    REPORT(m, TABLEAU_CONDITION, m->part[part]->span, m->node->text, claim, name, tree_text(m->arena, &p->trees, t),
           sum, sum_number(p), wanted_text(m->arena, wanted, tree->gamma), off_text(p));
    diag_note(m->diags, m->part[PART_order]->span, "the order is claimed here");
    if (tree->order > 1)
        diag_help(m->diags, "'%s' meets the conditions up to order %d", name, tree->order - 1);
}

/* Power k of theta in the condition of the tree at hand. */
static bool interpolant_meets(Proof *p, const Tree *tree, int k)
{
    const Method *m = p->m;
    sum_of(p, p->interpolant + k, m->degree, p->phi, k < m->degree ? m->all_stages : 0);
    want(p, k + 1 == tree->order, tree->gamma);
    return sum_is(p, &p->wanted);
}

/* m->interpolant_order falls to the highest one that the interpolant has; below what is claimed that is an error. */
static void prove_interpolant(Proof *p, int t)
{
    Method *m = p->m;
    const Tree *tree = &p->trees.at[t];
    int k = 0, powers = m->degree > tree->order ? m->degree : tree->order;
    if (m->is_broken || tree->order > m->interpolant_order)
        return;
    while (k < powers && interpolant_meets(p, tree, k))
        k++;
    if (k == powers)
        return;
    Span span = m->part[PART_interpolant]->span;
    m->interpolant_order = tree->order - 1;
    if (tree->order <= m->dense) {
        REPORT(m, TABLEAU_DENSE, span, m->node->text, m->dense, tree_text(m->arena, &p->trees, t), k + 1, sum_number(p),
               sum_text(m->arena, &p->trees, t, "b_i(theta)"),
               k + 1 == tree->order ? wanted_text(m->arena, 1, tree->gamma) : "0", off_text(p));
        diag_note(m->diags, m->part[PART_order]->span, "the order is claimed here");
    } else if (tree->order == 1)
        REPORT(m, TABLEAU_INTERPOLANT, span, m->node->text, k + 1, sum_number(p), k == 0, off_text(p));
}

/* A wrong coefficient breaks many conditions: the first that fails is the one that is told. */
static void prove_orders(Proof *p)
{
    Method *m = p->m;
    int order = m->weights[PART_b].order;
    m->interpolant_order = !m->interpolant ? 0 : m->dense > order ? m->dense : order;
    for (int t = 0; t < p->trees.n && !m->is_broken; t++) {
        weigh(p, t);
        for (int k = 0; k < N_WEIGHTS; k++)
            prove_weights(p, t, weights_part[k]);
        prove_interpolant(p, t);
    }
}

void prove(Method *m)
{
    Proof p = proof_new(m);
    int n = m->all_stages > m->degree ? m->all_stages : m->degree;
    Real *one = ones(m->arena, n);
    prove_row_sums(&p, one);
    prove_fsal(m);
    carry_prove(m);
    prove_estimate(m, PART_bhat);
    prove_estimate(m, PART_bhat2);
    prove_end(&p, one);
    prove_orders(&p);
    clear(one, n);
    proof_end(&p);
}
