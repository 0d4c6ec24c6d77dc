/* compile.c: a model from its text. See compile.h. */
#include "compile.h"

#include "prelude.h"

#include <check.h>
#include <string.h>

int prelude_parse(Arena *a, Diags *d, Node **file)
{
    int n = 0;
    for (; prelude_file[n].name; n++) {
        Source *source = ARENA_NEW(a, Source, 1);
        *source = (Source){prelude_file[n].name, prelude_file[n].text, strlen(prelude_file[n].text), true};
        file[n] = parse(a, source, d);
    }
    return n;
}

Model *model_of(Arena *a, const char *text, bool no_reduce)
{
    Diags *d = diag_new(a);
    Node *prelude[16];
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){"test.nde", text, strlen(text), false};
    int n = prelude_parse(a, d, prelude);
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
