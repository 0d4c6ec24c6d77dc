/* table.c: what one source file holds, or several that are joined along their first axis.
 *
 * Needs: arrays (array.c). Gives: nde_table_*.
 * Elsewhere: the formats (array.c, csv.c, idx.c), which field of a model takes what (data.c). */
#include "io.h"

#include <stdlib.h>
#include <string.h>

int nde_table_begin(NdeTable *out, NdeForm form, int n, const char *path, NdeError *e)
{
    *out = (NdeTable){.form = form, .n = n};
    out->file = nde_allocate(1, sizeof *out->file, e);
    out->field = nde_allocate((size_t)n, sizeof *out->field, e);
    if (!out->file || !out->field)
        return nde_table_end(out, e->exit_code);
    out->file[0] = nde_copy_text(path, e);
    out->n_file = 1;
    return out->file[0] ? 0 : nde_table_end(out, e->exit_code);
}

int nde_table_ends(NdeTable *table, int field, NdeError *e)
{
    NdeField *f = &table->field[field];
    f->end = nde_allocate(1, sizeof *f->end, e);
    if (!f->end)
        return e->exit_code;
    f->end[0] = f->rank > 0 ? f->dim[0] : 0;
    return 0;
}

int nde_table_end(NdeTable *table, int status)
{
    if (status)
        nde_table_free(table);
    return status;
}

void nde_table_free(NdeTable *table)
{
    for (int i = 0; table->field && i < table->n; i++)
        nde_field_free(&table->field[i]);
    for (int i = 0; i < table->n_file; i++)
        free(table->file[i]);
    for (int i = 0; table->column && i < table->n_column; i++)
        free(table->column[i]);
    free(table->field);
    free(table->file);
    free(table->column);
    free(table->bad);
    *table = (NdeTable){0};
}

/* ---- joining along the first axis ---- */

static bool same_columns(const NdeTable *a, const NdeTable *b)
{
    if (a->n_column != b->n_column || !a->column != !b->column)
        return false;
    for (int i = 0; a->column && i < a->n_column; i++)
        if (strcmp(a->column[i], b->column[i]) != 0)
            return false;
    return true;
}

static int join_field(const NdeTable *into, NdeField *a, const NdeTable *more, const NdeField *b, NdeError *e)
{
    bool is_same = a->type == b->type && a->rank == b->rank && a->rank > 0;
    for (int i = 1; is_same && i < a->rank; i++)
        is_same = a->dim[i] == b->dim[i];
    if (!is_same) {
        char shape_a[200], shape_b[200];
        nde_shape_text(a->rank, a->dim, shape_a, sizeof shape_a);
        nde_shape_text(b->rank, b->dim, shape_b, sizeof shape_b);
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is %s of %s and '%s' is %s of %s: they cannot be joined; only the first "
                        "axis may differ",
                        into->file[0], shape_a, nde_type_name(a->type), more->file[0], shape_b, nde_type_name(b->type));
    }
    size_t size = nde_type_size(a->type), start = (size_t)(a->value - a->block);
    size_t old = nde_field_count(a) * size, add = nde_field_count(b) * size;
    long *end = nde_enlarge(a->end, (size_t)into->n_file + 1, sizeof *end, e);
    if (!end)
        return e->exit_code;
    a->end = end;
    unsigned char *block = nde_enlarge(a->block, start + old + add, 1, e);
    if (!block)
        return e->exit_code;
    a->block = block;
    a->value = block + start;
    if (add > 0)
        memcpy(block + start + old, b->value, add);
    a->dim[0] += b->dim[0];
    a->end[into->n_file] = a->dim[0];
    return 0;
}

static const NdeField *field_named(const NdeTable *table, const char *name)
{
    for (int i = 0; i < table->n; i++)
        if (table->field[i].name && strcmp(table->field[i].name, name) == 0)
            return &table->field[i];
    return NULL;
}

int nde_table_join(NdeTable *into, const NdeTable *more, NdeError *e)
{
    if (!same_columns(into, more))
        return nde_fail(e, NDE_EXIT_DATA, "'%s' and '%s' have different columns (%d and %d): they cannot be joined",
                        into->file[0], more->file[0], into->n_column, more->n_column);
    char **file = nde_enlarge(into->file, (size_t)into->n_file + 1, sizeof *file, e);
    if (!file)
        return e->exit_code;
    into->file = file;
    for (int i = 0; i < into->n; i++) {
        NdeField *a = &into->field[i];
        const NdeField *b = a->name ? field_named(more, a->name) : &more->field[i];
        if (!a->value)
            continue;
        if (!b || !b->value)
            return nde_fail(e, NDE_EXIT_DATA, "'%s' has no array '%s', and '%s' has one: they cannot be joined",
                            more->file[0], a->name, into->file[0]);
        int status = join_field(into, a, more, b, e);
        if (status)
            return status;
    }
    for (int i = 0; i < into->n_column; i++)
        if (into->bad[i].line == 0) {
            into->bad[i] = more->bad[i];
            into->bad[i].file = into->n_file;
        }
    into->file[into->n_file] = nde_copy_text(more->file[0], e);
    if (!into->file[into->n_file])
        return e->exit_code;
    into->n_file++;
    return 0;
}
