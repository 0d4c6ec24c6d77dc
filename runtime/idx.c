/* idx.c: the two formats that are hardly more than bytes: IDX (of the MNIST data) and fixed-size records.
 *
 * Needs: whole files (file.c). Gives: nde_idx_table, nde_record_table.
 * IDX (LeCun, Cortes & Burges, "The MNIST database"): two bytes 0, the type, the number of axes, the length of each
 * axis (32 bits), the elements; everything with the highest byte first.
 *
 * Elsewhere: cutting records into fields (data.c, which knows their sizes). */
#include "io.h"

#include <stdlib.h>
#include <string.h>

static bool type_of(unsigned char code, NdeType *type)
{
    static const struct {
        unsigned char code;
        NdeType type;
    } known[] = {{0x08, NDE_BYTE}, {0x09, NDE_I8}, {0x0B, NDE_I16}, {0x0C, NDE_I32}, {0x0D, NDE_F32}, {0x0E, NDE_F64}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == code) {
            *type = known[i].type;
            return true;
        }
    return false;
}

static long big_32(const unsigned char *at)
{
    return (long)at[0] << 24 | (long)at[1] << 16 | (long)at[2] << 8 | (long)at[3];
}

/* Fills in the field but for its memory; the elements start at *data. */
static int read_header(const NdeBytes *b, const char *path, NdeField *f, size_t *data, NdeError *e)
{
    if (b->n < 4 || b->at[0] != 0 || b->at[1] != 0 || !type_of(b->at[2], &f->type))
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is not an IDX file: its first bytes must be 0, 0, a type (8, 9 or 11 to "
                        "14) and the number of axes",
                        path);
    f->rank = b->at[3];
    if (f->rank < 1 || f->rank > NDE_RANK)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' cannot be read: byte 3 says that it has %d axes, and 1 to %d can be read", path, f->rank,
                        NDE_RANK);
    *data = 4 + 4 * (size_t)f->rank;
    if (b->n < *data)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is cut short: its header takes %zu bytes, and the file has %zu; copy it "
                        "again",
                        path, *data, b->n);
    for (int i = 0; i < f->rank; i++)
        f->dim[i] = big_32(b->at + 4 + 4 * i);
    char shape[200];
    size_t need;
    nde_shape_text(f->rank, f->dim, shape, sizeof shape);
    if (!nde_array_bytes(f->type, f->rank, f->dim, &need))
        return nde_fail(e, NDE_EXIT_DATA, "'%s' is damaged: its shape %s is too large for any file", path, shape);
    if (need != b->n - *data)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is damaged: its shape %s of %s takes %zu bytes after the header, and %zu "
                        "are there; copy it again",
                        path, shape, nde_type_name(f->type), need, b->n - *data);
    return 0;
}

int nde_idx_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    (void)o; /* nothing to choose */
    int status = nde_table_begin(out, NDE_ARRAYS, 1, path, e);
    NdeBytes b = {0};
    size_t data = 0;
    if (!status)
        status = nde_file_read(path, &b, e);
    NdeField *f = out->field;
    if (!status)
        status = read_header(&b, path, f, &data, e);
    if (status) {
        free(b.at);
        return nde_table_end(out, status);
    }
    f->block = b.at;
    f->value = b.at + data;
    nde_byte_order(b.at + data, nde_type_size(f->type), nde_field_count(f), true);
    return nde_table_end(out, nde_table_ends(out, 0, e));
}

int nde_record_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    (void)o; /* nothing to choose */
    int status = nde_table_begin(out, NDE_RECORDS, 1, path, e);
    NdeBytes b = {0};
    if (!status)
        status = nde_file_read(path, &b, e);
    if (status)
        return nde_table_end(out, status);
    NdeField *f = out->field;
    f->type = NDE_BYTE;
    f->rank = 1;
    f->dim[0] = (long)b.n;
    f->block = b.at;
    f->value = b.at;
    return nde_table_end(out, nde_table_ends(out, 0, e));
}
