/* npy.c: constants read from a NumPy file while compiling.
 *
 * Needs: the runtime's reader of arrays.  Elsewhere: the expression npy("A.npy") (builtin.c). */
#include "checker.h"

#include "error.h"
#include "io.h"

#include <math.h>
#include <string.h>

static bool take(Check *c, const NdeField *field, Value *out)
{
    Type t = type_scalar(false);
    if (field->rank > MAX_RANK)
        return false;
    t.rank = field->rank;
    for (int i = 0; i < field->rank; i++) {
        if (field->dim[i] < 1 || field->dim[i] > 100000000)
            return false;
        t.dim[i] = (int)field->dim[i];
    }
    size_t n = nde_field_count(field);
    double *array = ARENA_NEW(c->arena, double, n);
    for (size_t i = 0; i < n; i++)
        if (!isfinite(array[i] = nde_field_get(field, i)))
            return false;
    *out = (Value){.kind = VALUE_array, .type = t, .array = array};
    return true;
}

Value npy_value(Check *c, const char *name, const Node *node)
{
    const char *from = node->span.source->name, *slash = strrchr(from, '/');
    const char *path =
        name[0] == '/' || !slash ? name : str_format(c->arena, "%.*s/%s", (int)(slash - from), from, name);
    NdeError e = {0};
    NdeField field = {0};
    Value out = value_poison();
    if (nde_npy_read(path, &field, &e))
        DIAG_AT(c->diags, NPY_READ, check_span(c, node), e.text);
    else if (!take(c, &field, &out))
        DIAG_AT(c->diags, NPY_SHAPE, check_span(c, node), path, MAX_RANK);
    nde_field_free(&field);
    return out;
}
