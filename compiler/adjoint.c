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
void adjoint_read(Block *k, Node *clause)
{
    Node *group = clause->n == 1 ? clause->kid[0] : NULL;
    bool is_right = group && group->n > 0 && clause_is_word(group->kid[0], "discrete") && !group->kid[0]->n;
    for (int i = 1; is_right && i < group->n; i++) {
        Node *at = group->kid[i];
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
