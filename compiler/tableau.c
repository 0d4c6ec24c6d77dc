/* tableau.c: a `tableau` block becomes a Runge-Kutta method, or a message that says what is wrong with it.
 *
 * Owns: the shape rules of the rows, and which coefficients are rounded.  Needs: a TABLEAU node, exact rationals
 * (const.c).  Gives: the coefficients, rounded once, of a method that is what it claims to be.
 * Elsewhere: the proof of the claims (proof.c), the methods (the prelude), the step made of them (step.c). */
#include <ctype.h>
#include <float.h>
#include <string.h>

#include "tableau.h"

#define MOST_STAGES 64
#define MOST_DEGREE 16

/* A number with so many digits counts as rounded, and so does a fraction of two whole numbers of more than half as
 * many each: nobody writes 0.333 for a third. */
#define ROUNDED_DIGITS 12

const char *const part_name[] = {
#define PART(name, kind) #name,
    PARTS(PART)
#undef PART
};

static const NodeKind part_kind[] = {
#define PART(name, kind) NODE_##kind,
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

enum { CLAIM_order, CLAIM_embedded, CLAIM_second, CLAIM_dense, CLAIM_COUNT };

/* order P [ embedded Q [ and R ] ] [ dense D ]:  the claims, NULL where there is none; false: it is no such line. */
static bool find_claims(const Node *clause, const Node **claim)
{
    static const char *const word[] = {[CLAIM_embedded] = "embedded", [CLAIM_second] = "and", [CLAIM_dense] = "dense"};
    const Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    if (!group || group->n < 1 || group->kid[0]->kind == NODE_WORD)
        return false;
    claim[CLAIM_order] = group->kid[0];
    for (int i = 1; i < group->n; i++) {
        const Node *at = group->kid[i];
        int which = CLAIM_embedded;
        while (which < CLAIM_COUNT && !(at->kind == NODE_WORD && str_eq(at->text, word[which])))
            which++;
        if (which == CLAIM_COUNT || at->n != 1 || claim[which])
            return false;
        claim[which] = at->kid[0];
    }
    return claim[CLAIM_embedded] || !claim[CLAIM_second];
}

/* An embedded method has a claim and a row. */
static void match_claim(Method *m, Part part, const Node *claim)
{
    const char *name = part_name[part], *all = str_format(m->arena, "order %d embedded", m->weights[PART_b].order);
    int one = m->weights[PART_b].order > 1 ? m->weights[PART_b].order - 1 : 1, two = m->weights[PART_bhat].order;
    if (m->is_broken || !claim == !m->part[part])
        return;
    if (claim) {
        REPORT(m, TABLEAU_CLAIM, claim->span, m->node->text, "an embedded method", name);
        return;
    }
    REPORT(m, TABLEAU_NO_EMBEDDED, m->part[part]->span, m->node->text, name);
    if (part == PART_bhat)
        diag_help(m->diags, "write its order, such as  %s %d", all, one);
    else if (two > 1)
        diag_help(m->diags, "write its order, such as  %s %d and %d", all, two, two - 1);
}

static void read_order(Method *m)
{
    static const char *const what[] = {"order", "embedded order", "second embedded order", "dense order"};
    int *const to[] = {&m->weights[PART_b].order, &m->weights[PART_bhat].order, &m->weights[PART_bhat2].order,
                       &m->dense};
    const Node *clause = m->part[PART_order], *claim[CLAIM_COUNT] = {NULL};
    if (!clause) {
        if (!m->is_broken) {
            REPORT(m, TABLEAU_NO_ORDER, m->node->name, m->node->text);
            diag_help(m->diags, "add a line such as  order 4");
        }
        return;
    }
    if (!find_claims(clause, claim)) {
        REPORT(m, TABLEAU_CLAUSE, clause->span, "order 5", "order 5 embedded 4 dense 4");
        return;
    }
    for (int k = 0; k < CLAIM_COUNT; k++)
        *to[k] = claim[k] ? read_order_number(m, claim[k], what[k]) : 0;
    match_claim(m, PART_bhat, claim[CLAIM_embedded]);
    match_claim(m, PART_bhat2, claim[CLAIM_second]);
    if (claim[CLAIM_dense] && !m->is_broken && !m->part[PART_interpolant])
        REPORT(m, TABLEAU_CLAIM, claim[CLAIM_dense]->span, m->node->text, "dense output", "interpolant");
    if (claim[CLAIM_second] && !m->is_broken && m->weights[PART_bhat2].order >= m->weights[PART_bhat].order)
        REPORT(m, TABLEAU_SECOND, claim[CLAIM_second]->span, m->weights[PART_bhat].order, m->weights[PART_bhat2].order);
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

/* Digits of a number as written, from the first that is not 0, or 0 if it is no such number. */
static int digits_of(const Node *expr, bool is_decimal)
{
    int n = 0;
    if (expr->kind == NODE_NEG)
        return digits_of(expr->kid[0], is_decimal);
    if (expr->kind != NODE_NUMBER || (strchr(expr->text, '.') != NULL) != is_decimal)
        return 0;
    for (const char *s = expr->text; isdigit((unsigned char)*s) || *s == '.'; s++)
        n += *s != '.' && (n > 0 || *s != '0');
    return n;
}

/* Is the value a decimal of ROUNDED_DIGITS or more, or not rational in the first place? The denominator of a decimal is
 * 2^x 5^y with y > 0; a power of two alone was written as a fraction. */
static bool is_long_decimal(const Rat *value)
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

/* The digits of a rounded coefficient: of a long decimal, or of both sides of a fraction that stands for one as the
 * best of its size (its error is about 1 over the square of the denominator); of what is computed, those of a double.
 * 0: it is exact. */
static int rounded_digits(const Node *expr, const Rat *value)
{
    int n = digits_of(expr, true);
    if (expr->kind == NODE_NEG)
        return rounded_digits(expr->kid[0], value);
    if (expr->kind == NODE_NUMBER)
        return n >= ROUNDED_DIGITS ? n : 0;
    int above = str_eq(expr->text ? expr->text : "", "/") ? digits_of(expr->kid[0], false) : 0;
    int below = above ? digits_of(expr->kid[1], false) : 0;
    if (below)
        return 2 * above > ROUNDED_DIGITS && 2 * below > ROUNDED_DIGITS ? above + below : 0;
    return is_long_decimal(value) ? DBL_DIG : 0;
}

static void read_values(Method *m, const Node *list, const Rat **value)
{
    for (int i = 0; i < list->n; i++) {
        value[i] = const_scalar(m->arena, m->diags, list->kid[i], m->lookup, m->context);
        if (!value[i]) {
            m->is_broken = true;
            continue;
        }
        int digits = rounded_digits(list->kid[i], value[i]);
        if (digits > 0 && (m->rounded_digits == 0 || digits < m->rounded_digits))
            m->rounded_digits = digits;
    }
}

const Rat **tableau_row(Method *m, Part part, int n)
{
    const Node *row = m->part[part];
    if (!row)
        return NULL;
    if (row->n != n && part == PART_share) {
        REPORT(m, TABLEAU_SHARES, row->span, part_name[part], row->n, n);
        diag_note(m->diags, m->part[PART_b]->span, "'b' is here");
        return NULL;
    }
    if (row->n != n && n > m->stages) {
        REPORT(m, TABLEAU_EXTRA, row->span, part_name[part], row->n, n);
        diag_note(m->diags, m->part[PART_interpolant]->span, "the interpolant has %d rows: one for each stage", n);
        return NULL;
    }
    if (row->n != n) {
        REPORT(m, TABLEAU_ENTRIES, row->span, part_name[part], row->n, n);
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
    int s = m->all_stages;
    m->a = ARENA_NEW(m->arena, const Rat *, s *s);
    const Rat *zero = rat_int(m->arena, 0);
    for (int i = 0; i < s * s; i++)
        m->a[i] = zero;
    if (!row || !is_matrix(m, row))
        return;
    if (row->n != s - 1) {
        const char *of = s > m->stages ? "interpolant" : "b", *what = s > m->stages ? "rows" : "entries";
        REPORT(m, TABLEAU_A_ROWS, row->span, row->n, s - 1);
        diag_note(m->diags, m->part[s > m->stages ? PART_interpolant : PART_b]->span,
                  "'%s' has %d %s, so there are %d stages", of, s, what, s);
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
    if (row->n < m->stages) {
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
    m->interpolant = ARENA_NEW(m->arena, const Rat *, m->all_stages *degree);
    for (int i = 0; i < m->all_stages; i++) {
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

/* An interpolant may have more stages than the step: the rows that it has. */
static bool count_stages(Method *m)
{
    const Node *b = m->part[PART_b], *more = m->part[PART_interpolant];
    m->stages = m->all_stages = b->n;
    if (more && more->n > b->n)
        m->all_stages = more->n;
    if (m->stages >= 1 && m->all_stages <= MOST_STAGES)
        return true;
    const Node *row = m->stages == m->all_stages ? b : more;
    REPORT(m, TABLEAU_STAGES, row->span, MOST_STAGES, row->text, m->all_stages);
    return false;
}

static void read_rows(Method *m, bool is_whole)
{
    static const Part weights[] = {PART_b, PART_bhat, PART_bhat2};
    if (is_whole && m->all_stages > 1)
        need_row(m, PART_a);
    for (int k = 0; k < 3; k++)
        m->weights[weights[k]].value = tableau_row(m, weights[k], m->stages);
    m->c = tableau_row(m, PART_c, m->all_stages);
    carry_read(m);
    read_a(m);
    read_interpolant(m);
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
    if (m->part[PART_b] && count_stages(m))
        read_rows(m, is_whole);
}

/* ---- the result ---- */

static double *doubles(Arena *a, const Rat *const *value, int n)
{
    double *x = ARENA_NEW(a, double, n);
    for (int i = 0; i < n; i++)
        x[i] = rat_to_double(value[i]);
    return x;
}

/* b less other weights: an error estimate. */
static double *estimate(const Method *m, Part part)
{
    const Rat **b = m->weights[PART_b].value, **hat = m->weights[part].value;
    double *e = hat ? ARENA_NEW(m->arena, double, m->stages) : NULL;
    for (int i = 0; e && i < m->stages; i++)
        e[i] = rat_to_double(rat_sub(m->arena, b[i], hat[i]));
    return e;
}

static const Tableau *tableau_new(const Method *m)
{
    Arena *a = m->arena;
    int s = m->all_stages;
    const Rat **slope = m->weights[PART_slope].value, **state = m->weights[PART_state].value;
    bool is_fsal = !slope && !m->share && fsal_difference(m) < 0;
    Tableau *t = ARENA_NEW(a, Tableau, 1);
    *t = (Tableau){.name = m->node->text,
                   .span = m->node->span,
                   .stages = m->stages,
                   .all_stages = s,
                   .order = m->weights[PART_b].order,
                   .embedded = m->weights[PART_bhat].order,
                   .second = m->weights[PART_bhat2].order,
                   .fsal = is_fsal,
                   .is_reversible = carry_is_reversible(m),
                   .slope = slope ? doubles(a, slope, m->stages) : NULL,
                   .state = m->share ? doubles(a, state, m->stages) : NULL,
                   .share = m->share ? doubles(a, m->share, m->stages + 1) : NULL,
                   .stability = m->stability,
                   .c = doubles(a, m->c, s),
                   .b = doubles(a, m->weights[PART_b].value, m->stages),
                   .e = estimate(m, PART_bhat),
                   .e2 = estimate(m, PART_bhat2),
                   .degree = m->degree,
                   .interpolant_order = m->interpolant_order};
    t->a = ARENA_NEW(a, double *, s);
    for (int i = 0; i < s; i++)
        t->a[i] = doubles(a, m->a + i * s, s);
    if (is_fsal) { /* k_1 of the next step is the last k */
        t->slope = ARENA_NEW(a, double, m->stages);
        t->slope[m->stages - 1] = 1;
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

int tableau_evaluations(const Tableau *t)
{
    return t->stages - (t->slope != NULL);
}

int tableau_dense_evaluations(const Tableau *t)
{
    return t->degree ? t->all_stages - t->stages : !t->fsal;
}

bool tableau_reads_stage(const Tableau *t, int i)
{
    if (!t->degree)
        return i == 0 || (t->fsal && i == t->all_stages - 1);
    bool is_read = false;
    for (int k = 0; k < t->degree; k++)
        is_read |= t->interpolant[i][k] != 0;
    return is_read;
}

int tableau_n_dense(const Tableau *t)
{
    int n = !t->degree && !t->fsal;
    for (int i = 0; i < t->all_stages; i++)
        n += tableau_reads_stage(t, i);
    return n;
}

int tableau_estimate_order(const Tableau *t)
{
    return t->second ? 2 * t->embedded - t->second : t->embedded;
}
