/* scope.c: names and what they stand for.
 *
 * A body (of a fn, layer or quantity) sees constants, parameters, layers and functions of the file, but no value of a
 * sample: that comes in as an argument. The prelude sees only itself.
 * Elsewhere: what the values mean (expr.c). */
#include "checker.h"

Scope *scope_new(Check *c, Scope *parent, ScopeKind kind)
{
    Scope *s = ARENA_NEW(c->arena, Scope, 1);
    s->parent = parent;
    s->kind = kind;
    return s;
}

/* Where a message about `node` points: to the user's text, also if the node is the prelude's. */
Span check_span(const Check *c, const Node *node)
{
    return c->site.source ? c->site : node->span;
}

static Symbol *find_here(const Scope *s, const char *name)
{
    for (int i = s->symbols.n - 1; i >= 0; i--)
        if (str_eq(s->symbols.at[i]->name, name))
            return s->symbols.at[i];
    return NULL;
}

Symbol *scope_lookup(Scope *s, const char *name)
{
    for (; s; s = s->parent) {
        Symbol *symbol = find_here(s, name);
        if (symbol)
            return symbol;
    }
    return NULL;
}

Symbol *scope_add(Check *c, Scope *s, const char *name, Span span, Value value, const char *noun)
{
    Symbol *there = find_here(s, name);
    if (there) {
        DIAG_AT(c->diags, NAME_TWICE, span, name);
        diag_note(c->diags, there->span, "first declared here");
    }
    Symbol *symbol = ARENA_NEW(c->arena, Symbol, 1);
    symbol->name = name;
    symbol->span = span;
    symbol->value = value;
    symbol->noun = noun;
    symbol->scope = s;
    list_push(c->arena, s->symbols, symbol);
    return symbol;
}

static bool is_of_a_sample(const Value *v)
{
    switch (v->kind) {
    case VALUE_data:
    case VALUE_sample:
    case VALUE_solve:
    case VALUE_tensor:
    case VALUE_states:
    case VALUE_stages: return true;
    default: return false;
    }
}

static void report_unknown(Check *c, Scope *s, const char *name, Span span)
{
    enum { FEW = 100 }; /* errors; who has more will not read them all */
    LIST(const char *) names = {0};
    for (; s && diag_errors(c->diags) < FEW; s = s->parent)
        for (int i = 0; i < s->symbols.n; i++)
            list_push(c->arena, names, s->symbols.at[i]->name);
    DIAG_AT(c->diags, NO_SUCH_NAME, span, name);
    const char *near = str_nearest(name, names.at, names.n);
    if (!familiar_help(c->diags, "expression", name) && near)
        diag_help(c->diags, "did you mean '%s'?", near);
}

Symbol *scope_find(Check *c, Scope *s, const char *name, Span span)
{
    bool crosses_body = false;
    for (Scope *at = s; at; at = at->parent) {
        Symbol *symbol = find_here(at, name);
        if (symbol && crosses_body && is_of_a_sample(&symbol->value)) {
            DIAG_AT(c->diags, NOT_AN_ARGUMENT, span, name);
            diag_note(c->diags, symbol->span, "'%s' is declared here, outside the body", name);
            diag_help(c->diags, "pass it as an argument");
            symbol->is_used = true;
            return NULL;
        }
        if (symbol) {
            symbol->is_used = true;
            return symbol;
        }
        crosses_body |= at->kind == SCOPE_body;
    }
    report_unknown(c, s, name, span);
    return NULL;
}

void scope_unused(Check *c, const Scope *s)
{
    if (diag_errors(c->diags)) /* what could not be compiled may have used it */
        return;
    for (int i = 0; i < s->symbols.n; i++) {
        const Symbol *symbol = s->symbols.at[i];
        if (!symbol->is_used && symbol->noun)
            DIAG_AT(c->diags, UNUSED_NAME, symbol->span, symbol->noun, symbol->name);
    }
}
