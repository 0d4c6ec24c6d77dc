/* compile.c: a model from its text. See compile.h. */
#include "compile.h"

#include "trees.h"

#include <check.h>
#include <string.h>

Model *model_of(Arena *a, const char *text, bool no_reduce)
{
    Diags *d = diag_new(a);
    Node *prelude[16];
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){"test.nde", text, strlen(text), false};
    int n = trees_prelude(a, d, prelude);
    Model *model = model_check(a, d, prelude, n, parse(a, source, d), &(Choices){.no_reduce = no_reduce});
    diag_print(d, stderr, false);
    ck_assert_msg(model != NULL, "the model has errors");
    return model;
}

Fn *fn_named(const Module *m, const char *name)
{
    for (int i = 0; i < m->fns.n; i++)
        if (str_eq(m->fns.at[i]->name, name))
            return m->fns.at[i];
    ck_abort_msg("no function is called '%s'", name);
    return NULL;
}

const Node *tableau_node(Arena *a, int k)
{
    Node *file[16];
    int n = trees_prelude(a, diag_new(a), file);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < file[i]->n; j++)
            if (file[i]->kid[j]->kind == NODE_TABLEAU && k-- == 0)
                return file[i]->kid[j];
    return NULL;
}

int n_tableau(void)
{
    Arena *a = arena_new();
    int n = 0;
    while (tableau_node(a, n))
        n++;
    arena_free(a);
    return n;
}
