/* adjoint.c: the clause that says how a solve is differentiated, and the bounds of its tape.
 *
 * Needs: static expressions (expr.c), the words of clauses (clause.c).  Gives: the choice in Solve; each number is a
 * setting.
 * Elsewhere: the reverse of the steps (ad_solve.c), the tape (runtime/tape.c). */
#include "block.h"

/* ---- bounds of the tape ---- */
static void set_bound(Block *k, Node *node, const char *name, double value, bool is_slots)
{
    Solve *s = k->solve;
    if (s->set_memory >= 0) {
        DIAG_AT(k->c->diags, BOUND_TWICE, node->span, s->name);
        return;
    }
    s->set_memory = setting_add(k->c, clause_key(k, name), value, false, node->span);
    s->bound_is_slots = is_slots;
    clause_positive(k, node, s->set_memory);
}

/* The setting is in MiB, whatever the unit. */
void adjoint_memory(Block *k, Node *clause, Node *number, Node *unit)
{
    static const struct {
        const char *word;
        double mib;
    } row[] = {{"KiB", 1.0 / 1024}, {"MiB", 1}, {"GiB", 1024}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        if (!clause_is_word(unit, row[i].word) || unit->n)
            continue;
        Value v = eval_static(k->c, k->outer, number, "a size of memory");
        if (v.kind == VALUE_number)
            set_bound(k, number, "memory", rat_to_double(v.num) * row[i].mib, false);
        return;
    }
    DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "memory", "memory 64 MiB");
}

static void read_checkpoints(Block *k, Node *number)
{
    long n = 0;
    if (eval_int(k->c, k->outer, number, "a number of checkpoints", &n))
        set_bound(k, number, "checkpoints", (double)n, true);
}

/* ---- the clause ---- */
const char *const adjoint_name[ADJOINTS] = {"discrete",  "reversible",    "forward",
                                            "backsolve", "interpolating", "quadrature"};

/* The built-in methods whose steps can be undone, for a message. */
static const char *reversible_names(Check *c)
{
    const char *list = "";
    for (int i = 0; i < c->prelude->symbols.n; i++) {
        Symbol *symbol = c->prelude->symbols.at[i];
        const Tableau *t = symbol->value.kind == VALUE_tableau ? method_of(c, symbol) : NULL;
        if (t && t->is_reversible)
            list = str_format(c->arena, "%s%s%s", list, list[0] ? ", " : "", t->name);
    }
    return list;
}

static bool read_kind(Block *k, const Node *word)
{
    Solve *s = k->solve;
    int kind = 0;
    while (kind < ADJOINTS && !(clause_is_word(word, adjoint_name[kind]) && !word->n))
        kind++;
    if (kind == ADJOINTS)
        return false;
    s->adjoint = (AdjointKind)kind;
    if (kind == ADJOINT_reversible && s->method && !s->method->is_reversible) {
        DIAG_AT(k->c->diags, NOT_REVERSIBLE, word->span, s->method->name, reversible_names(k->c));
        s->adjoint = ADJOINT_discrete;
    }
    return true;
}

void adjoint_read(Block *k, Node *clause)
{
    Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    bool is_right = group && group->n > 0 && read_kind(k, group->kid[0]);
    k->adjoint = clause;
    for (int i = 1; is_right && i < group->n; i++) {
        Node *at = group->kid[i];
        bool is_seminorm = clause_is_word(at, "seminorm") && !at->n &&
                           (k->solve->adjoint == ADJOINT_backsolve || k->solve->adjoint == ADJOINT_interpolating);
        k->solve->is_seminorm |= is_seminorm;
        if (is_seminorm)
            continue;
        if (clause_is_word(at, "checkpoints") && at->n)
            read_checkpoints(k, at->kid[0]);
        else if (clause_is_word(at, "memory") && at->n && i + 1 < group->n)
            adjoint_memory(k, clause, at->kid[0], group->kid[++i]);
        else
            is_right = false;
    }
    if (!is_right)
        DIAG_AT(k->c->diags, CLAUSE_VALUE, clause->span, "adjoint", "adjoint discrete checkpoints 16");
}

/* Can the method step an adjoint system? It carries nothing but the slope where the next step starts. */
static bool steps_systems(const Tableau *m)
{
    return !m || !(m->share || (m->slope && !m->fsal));
}

void adjoint_check(Block *k)
{
    Solve *s = k->solve;
    Check *c = k->c;
    const char *name = adjoint_name[s->adjoint];
    if (s->adjoint == ADJOINT_discrete)
        return;
    bool is_refused = adjoint_is_continuous(s->adjoint) && !steps_systems(s->method);
    if (is_refused)
        clause_not_yet(k, k->node, str_format(c->arena, "method '%s' with 'adjoint %s'", s->method->name, name));
    if (s->is_per_sample && s->adjoint != ADJOINT_forward)
        DIAG_AT(c->diags, SAMPLE_ADJOINT, k->node->name, name);
    if (s->set_memory >= 0)
        DIAG_AT(c->diags, BOUND_ADJOINT, c->model->settings.at[s->set_memory].span, name);
    for (int i = 0; s->adjoint >= ADJOINT_forward && i < k->terms.at.n; i++)
        if (k->terms.at.at[i].draws == 0 && !k->terms.at.at[i].is_integral)
            DIAG_AT(c->diags, GLOBAL_ADJOINT, k->terms.at.at[i].clause->span, name);
    if (is_refused || (s->is_per_sample && s->adjoint != ADJOINT_forward))
        s->adjoint = ADJOINT_discrete; /* what is refused is not built */
}
