/* trees.c: from files to trees to a checked model: what every command of ndec starts with.
 *
 * Needs: a path, the prelude, clauses of the command line.  Gives: trees, and models of them.
 * Elsewhere: parsing (parser.y), checking (check.c). */
#include "trees.h"

#include "prelude.h"

#include <errno.h>
#include <string.h>

const Source *source_read(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t room = 1 << 16, n = 0, got;
    char *text = ARENA_NEW(a, char, room);
    if (!f)
        return NULL;
    while ((got = fread(text + n, 1, room - n, f)) > 0) {
        n += got;
        if (n == room) {
            char *larger = ARENA_NEW(a, char, room * 2);
            memcpy(larger, text, n);
            text = larger;
            room *= 2;
        }
        if (n > 1u << 26) /* 64 MiB: no model is that long */
            break;
    }
    bool failed = ferror(f) != 0;
    fclose(f);
    if (failed || n > 1u << 26)
        return NULL;
    Source *source = ARENA_NEW(a, Source, 1);
    *source = (Source){str_copy(a, path, strlen(path)), str_copy(a, text, n), n, false};
    return source;
}

int trees_prelude(Arena *a, Diags *d, Node **file)
{
    int n = 0;
    for (; prelude_file[n].name; n++) {
        Source *source = ARENA_NEW(a, Source, 1);
        *source = (Source){prelude_file[n].name, prelude_file[n].text, strlen(prelude_file[n].text), true};
        file[n] = parse(a, source, d);
    }
    return n;
}

bool trees_read(Arena *a, Diags *d, const char *path, Trees *out)
{
    const Source *source = source_read(a, path);
    if (!source) {
        fprintf(stderr, "ndec: cannot read '%s': %s\n", path, errno ? strerror(errno) : "it is too large");
        return false;
    }
    out->n_prelude = trees_prelude(a, d, out->prelude);
    out->file = parse(a, source, d);
    return true;
}

void trees_choose(Arena *a, Diags *d, Choices *choices, const char *option, const char *value)
{
    Source *source = ARENA_NEW(a, Source, 1);
    const char *text = str_format(a, "%s %s", option, value);
    *source = (Source){"command line", text, strlen(text), false};
    Node *clause = parse_clause(a, source, d);
    Clauses kept = {0};
    for (int i = 0; clause->text && i < choices->clauses.n; i++)
        if (!str_eq(choices->clauses.at[i]->text, clause->text))
            list_push(a, kept, choices->clauses.at[i]);
    if (clause->kind == NODE_CLAUSE)
        list_push(a, kept, clause);
    choices->clauses = kept;
}

static bool has_differences(const Model *model)
{
    for (int i = 0; i < model->module->solves.n; i++)
        if (model->module->solves.at[i]->has_differences)
            return true;
    return false;
}

Model *trees_check(Arena *a, Diags *d, const Trees *t, const Choices *choices)
{
    Model *model = model_check(a, d, t->prelude, t->n_prelude, t->file, choices);
    if (!model || diag_errors(d))
        return NULL;
    /* Of the rows of a comparison there is no float64 code. */
    bool has_exact = !choices->only_check && !choices->is_compared;
    model->exact = model;
    if (has_exact && has_differences(model)) {
        Choices exact = *choices;
        exact.no_difference = true;
        model->exact = model_check(a, diag_new(a), t->prelude, t->n_prelude, t->file, &exact);
    }
    return model;
}
