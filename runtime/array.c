/* array.c: element types, arrays, NumPy's NPY files and NPZ archives.
 *
 * Needs: whole files (file.c), zlib. Gives: NdeType, NdeField, nde_npy_*, nde_npz_table.
 * The formats: NumPy's NEP 1, "A simple file format for NumPy arrays", versions 1.0 to 3.0; PKWARE's APPNOTE 6.3.
 * Elsewhere: which array is which field of a model (data.c). */
#include "io.h"

#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- types ---- */

static const struct {
    const char *name;
    char kind; /* NumPy's letter; 0: NumPy has no such type */
    int size;
} type_info[NDE_TYPE_COUNT] = {
    [NDE_BYTE] = {"uint8", 'u', 1},  [NDE_BOOL] = {"bool", 'b', 1},   [NDE_I8] = {"int8", 'i', 1},
    [NDE_I16] = {"int16", 'i', 2},   [NDE_I32] = {"int32", 'i', 4},   [NDE_I64] = {"int64", 'i', 8},
    [NDE_U16] = {"uint16", 'u', 2},  [NDE_U32] = {"uint32", 'u', 4},  [NDE_U64] = {"uint64", 'u', 8},
    [NDE_F16] = {"float16", 'f', 2}, [NDE_BF16] = {"bfloat16", 0, 2}, [NDE_F32] = {"float32", 'f', 4},
    [NDE_F64] = {"float64", 'f', 8},
};

size_t nde_type_size(NdeType type)
{
    return (size_t)type_info[type].size;
}

const char *nde_type_name(NdeType type)
{
    return type_info[type].name;
}

/* IEEE 754-2008 binary16: 1 sign, 5 exponent, 10 fraction bits. */
static double half(uint16_t bits)
{
    int power = bits >> 10 & 31, fraction = bits & 1023;
    double size = power == 31 ? (fraction ? (double)NAN : (double)INFINITY)
                  : power     ? ldexp(1024 + fraction, power - 25)
                              : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

/* bfloat16 is the upper half of a float. */
static double brain(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &wide, sizeof x);
    return (double)x;
}

#define EACH(id, T, value)                                                                                             \
    case id:                                                                                                           \
        for (size_t i = 0; i < n; i++) {                                                                               \
            T x;                                                                                                       \
            memcpy(&x, at + i * sizeof x, sizeof x);                                                                   \
            out[i] = value;                                                                                            \
        }                                                                                                              \
        break;

void nde_numbers(NdeType type, const unsigned char *at, size_t n, double *out)
{
    switch (type) {
        EACH(NDE_BYTE, uint8_t, x)
        EACH(NDE_BOOL, uint8_t, x != 0)
        EACH(NDE_I8, int8_t, x)
        EACH(NDE_I16, int16_t, x)
        EACH(NDE_I32, int32_t, x)
        EACH(NDE_I64, int64_t, (double)x)
        EACH(NDE_U16, uint16_t, x)
        EACH(NDE_U32, uint32_t, x)
        EACH(NDE_U64, uint64_t, (double)x)
        EACH(NDE_F16, uint16_t, half(x))
        EACH(NDE_BF16, uint16_t, brain(x))
        EACH(NDE_F32, float, (double)x)
        EACH(NDE_F64, double, x)
    case NDE_TYPE_COUNT:
        break;
    }
}

void nde_byte_order(unsigned char *at, size_t size, size_t n, bool is_big)
{
    const uint16_t one = 1;
    bool is_machine_big = *(const unsigned char *)&one == 0;
    if (size < 2 || is_big == is_machine_big)
        return;
    for (unsigned char *p = at; n > 0; n--, p += size)
        for (size_t i = 0; i < size / 2; i++) {
            unsigned char swap = p[i];
            p[i] = p[size - 1 - i];
            p[size - 1 - i] = swap;
        }
}

uint64_t nde_little(const unsigned char *at, int n)
{
    uint64_t x = 0;
    while (n-- > 0)
        x = x << 8 | at[n];
    return x;
}

/* ---- fields ---- */

size_t nde_field_sample(const NdeField *field)
{
    size_t n = 1;
    for (int i = 1; i < field->rank; i++)
        n *= (size_t)field->dim[i];
    return n;
}

size_t nde_field_count(const NdeField *field)
{
    return field->rank > 0 ? (size_t)field->dim[0] * nde_field_sample(field) : 1;
}

double nde_field_get(const NdeField *field, size_t index)
{
    double x = 0;
    nde_numbers(field->type, field->value + index * nde_type_size(field->type), 1, &x);
    return x;
}

void nde_field_row(const NdeField *field, long sample, bool is_class, double *out)
{
    size_t n = nde_field_sample(field);
    nde_numbers(field->type, field->value + (size_t)sample * n * nde_type_size(field->type), n, out);
    for (size_t i = 0; field->type == NDE_BYTE && !is_class && i < n; i++)
        out[i] /= 255;
}

void nde_field_free(NdeField *field)
{
    free(field->name);
    free(field->block);
    free(field->end);
    *field = (NdeField){0};
}

/* An axis of length 0 must not hide that the others are too large: every product of lengths fits afterwards. */
bool nde_array_bytes(NdeType type, int rank, const long *dim, size_t *bytes)
{
    size_t most = nde_type_size(type);
    bool is_empty = false;
    for (int i = 0; i < rank; i++) {
        is_empty |= dim[i] == 0;
        if (dim[i] < 0 || !nde_times(&most, dim[i] ? (size_t)dim[i] : 1))
            return false;
    }
    *bytes = is_empty ? 0 : most;
    return most <= PTRDIFF_MAX;
}

void nde_shape_text(int rank, const long *dim, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%ld", i ? ", " : "", dim[i]);
    if (n < size)
        snprintf(out + n, size - n, "]");
}

/* ---- the header: a Python dictionary with three keys ---- */

typedef struct Header {
    const char *at; /* NUL-terminated: what is not read yet */
    const char *fault;
    char type_text[24];
    NdeType type;
    bool is_big, is_fortran, has_type, has_order, has_shape;
    int rank;
    long dim[NDE_RANK];
} Header;

static bool fault(Header *h, const char *what)
{
    if (!h->fault)
        h->fault = what;
    return false;
}

static bool next_is(Header *h, char c)
{
    while (*h->at == ' ' || *h->at == '\n' || *h->at == '\t')
        h->at++;
    if (*h->at != c)
        return false;
    h->at++;
    return true;
}

static bool quoted(Header *h, char *out, size_t size)
{
    char quote = next_is(h, '\'') ? '\'' : next_is(h, '"') ? '"' : '\0';
    size_t n = 0;
    while (quote && h->at[n] && h->at[n] != quote)
        n++;
    if (!quote || !h->at[n])
        return fault(h, "a quoted word is missing in its header");
    if (n >= size)
        return fault(h, "a word in its header is too long");
    memcpy(out, h->at, n);
    out[n] = '\0';
    h->at += n + 1;
    return true;
}

/* "<f4": byte order, kind, bytes. */
static bool read_type(Header *h)
{
    if (!quoted(h, h->type_text, sizeof h->type_text))
        return false;
    h->has_type = true;
    const char *t = h->type_text;
    const uint16_t one = 1;
    h->is_big = *t == '>' || (*t == '=' && *(const unsigned char *)&one == 0);
    if (*t && strchr("<>|=", *t))
        t++;
    for (int i = 0; i < NDE_TYPE_COUNT; i++)
        if (*t && *t == type_info[i].kind && t[1] == (char)('0' + type_info[i].size) && !t[2]) {
            h->type = (NdeType)i;
            return true;
        }
    return fault(h, "its elements are of a type that cannot be read");
}

static bool read_shape(Header *h)
{
    if (!next_is(h, '('))
        return fault(h, "its shape is not a tuple");
    h->has_shape = true;
    h->rank = 0;
    while (!next_is(h, ')')) {
        char *end;
        if (next_is(h, '\0') || *h->at < '0' || *h->at > '9')
            return fault(h, "its shape is not a tuple of numbers");
        long n = strtol(h->at, &end, 10);
        h->at = end + (*end == 'L'); /* Python 2 wrote 3L */
        if (h->rank == NDE_RANK || n == LONG_MAX)
            return fault(h, "it has more than 8 axes, or an axis that is too long");
        h->dim[h->rank++] = n;
        if (!next_is(h, ',') && *h->at != ')')
            return fault(h, "its shape is not a tuple of numbers");
    }
    return true;
}

static bool read_order(Header *h)
{
    next_is(h, ' ');
    h->has_order = true;
    h->is_fortran = strncmp(h->at, "True", 4) == 0;
    if (!h->is_fortran && strncmp(h->at, "False", 5) != 0)
        return fault(h, "'fortran_order' is neither True nor False");
    h->at += h->is_fortran ? 4 : 5;
    return true;
}

static bool read_header(Header *h)
{
    if (!next_is(h, '{'))
        return fault(h, "its header is not a dictionary");
    while (!next_is(h, '}')) {
        char key[24];
        if (!quoted(h, key, sizeof key))
            return false;
        if (!next_is(h, ':'))
            return fault(h, "a colon is missing in its header");
        next_is(h, ' ');
        bool is_read = strcmp(key, "descr") == 0           ? read_type(h)
                       : strcmp(key, "fortran_order") == 0 ? read_order(h)
                       : strcmp(key, "shape") == 0         ? read_shape(h)
                                                           : fault(h, "its header has an unknown key");
        if (!is_read)
            return false;
        if (!next_is(h, ',') && *h->at != '}')
            return fault(h, "a comma is missing in its header");
    }
    return (h->has_type && h->has_order && h->has_shape) || fault(h, "its header is not complete");
}

/* ---- reading ---- */

/* Columns first to rows first: walks the result in order, keeping the offset of the source. */
static int to_rows_first(NdeField *f, NdeError *e)
{
    size_t size = nde_type_size(f->type), count = nde_field_count(f), from = 0, stride[NDE_RANK];
    long index[NDE_RANK] = {0};
    unsigned char *block = nde_allocate(count, size, e);
    if (!block)
        return e->exit_code;
    for (int i = 0; i < f->rank; i++)
        stride[i] = i ? stride[i - 1] * (size_t)f->dim[i - 1] : 1;
    for (size_t to = 0; to < count; to++) {
        memcpy(block + to * size, f->value + from * size, size);
        for (int i = f->rank - 1; i >= 0; i--) {
            from += stride[i];
            if (++index[i] < f->dim[i])
                break;
            from -= stride[i] * (size_t)f->dim[i];
            index[i] = 0;
        }
    }
    free(f->block);
    f->block = block;
    f->value = block;
    return 0;
}

/* Where the header's text and the data start; 0 if the file is no NPY of a known version or too short. */
static size_t header_start(const NdeBytes *bytes, size_t *data)
{
    if (bytes->n < 10 || memcmp(bytes->at, "\x93NUMPY", 6) != 0 || bytes->at[6] < 1 || bytes->at[6] > 3)
        return 0;
    size_t start = bytes->at[6] == 1 ? 10 : 12;
    if (bytes->n < start)
        return 0;
    uint64_t length = nde_little(bytes->at + 8, (int)start - 8);
    if (length > bytes->n - start)
        return 0;
    *data = start + (size_t)length;
    return start;
}

static int parse(const NdeBytes *bytes, const char *path, NdeField *out, NdeError *e)
{
    size_t data = 0, start = header_start(bytes, &data), need = 0;
    if (start == 0)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is not a whole NPY file: its %zu bytes do not start with NumPy's header; "
                        "write it with numpy.save",
                        path, bytes->n);
    char *text = nde_allocate(data - start + 1, 1, e);
    if (!text)
        return e->exit_code;
    memcpy(text, bytes->at + start, data - start);
    Header h = {.at = text};
    bool is_read = read_header(&h);
    free(text);
    if (!is_read)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' cannot be read: %s%s%s%s; save it as an array of float32, float64, "
                        "integers or bool",
                        path, h.fault, h.has_type ? " ('" : "", h.type_text, h.has_type ? "')" : "");
    char shape[200];
    nde_shape_text(h.rank, h.dim, shape, sizeof shape);
    if (!nde_array_bytes(h.type, h.rank, h.dim, &need))
        return nde_fail(e, NDE_EXIT_DATA, "'%s' is damaged: its shape %s is too large for any file", path, shape);
    if (need != bytes->n - data)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is damaged: its shape %s of %s takes %zu bytes after the header, and "
                        "%zu are there",
                        path, shape, nde_type_name(h.type), need, bytes->n - data);
    out->type = h.type;
    out->rank = h.rank;
    memcpy(out->dim, h.dim, sizeof h.dim);
    out->block = bytes->at;
    out->value = bytes->at + data;
    nde_byte_order(bytes->at + data, nde_type_size(h.type), nde_field_count(out), h.is_big);
    return h.is_fortran && h.rank > 1 ? to_rows_first(out, e) : 0;
}

/* Takes the bytes over. */
static int take_npy(NdeBytes *bytes, const char *path, NdeField *out, NdeError *e)
{
    int status = parse(bytes, path, out, e);
    if (!out->block)
        free(bytes->at);
    *bytes = (NdeBytes){0};
    if (status)
        nde_field_free(out);
    return status;
}

int nde_npy_read(const char *path, NdeField *out, NdeError *e)
{
    *out = (NdeField){0};
    NdeBytes bytes;
    int status = nde_file_read(path, &bytes, e);
    return status ? status : take_npy(&bytes, path, out, e);
}

/* ---- NPZ: a zip archive of NPY files ---- */

typedef struct Member {
    const unsigned char *name;
    size_t n_name, n_extra;
    unsigned method, is_secret;
    uint64_t crc, packed, plain, offset;
} Member;

enum { ENTRY = 46, LOCAL = 30, END = 22, LOCATOR = 20, END64 = 56 }; /* the fixed part of each record */

static int bad_zip(const char *path, size_t at, NdeError *e)
{
    return nde_fail(e, NDE_EXIT_DATA,
                    "'%s' is not a whole NPZ archive: its directory is damaged at byte %zu; write it "
                    "again with numpy.savez",
                    path, at);
}

/* The directory: where it starts and how many entries it has. Its end record is the last thing in the file, but for a
 * comment; counts that do not fit there are in a 64-bit one before it (APPNOTE 4.3.14 to 4.3.16). */
static bool find_directory(const NdeBytes *b, uint64_t *start, uint64_t *n)
{
    if (b->n < END)
        return false;
    size_t end = b->n - END, last = b->n - END > 65535 ? b->n - END - 65535 : 0;
    while (memcmp(b->at + end, "PK\5\6", 4) != 0 || nde_little(b->at + end + 20, 2) != b->n - END - end)
        if (end-- == last)
            return false;
    *n = nde_little(b->at + end + 10, 2);
    *start = nde_little(b->at + end + 16, 4);
    if (*n != 0xFFFF && *start != 0xFFFFFFFF)
        return *start <= end;
    if (end < LOCATOR || memcmp(b->at + end - LOCATOR, "PK\6\7", 4) != 0)
        return false;
    uint64_t wide = nde_little(b->at + end - LOCATOR + 8, 8);
    if (b->n < END64 || wide > b->n - END64 || memcmp(b->at + wide, "PK\6\6", 4) != 0)
        return false;
    *n = nde_little(b->at + wide + 32, 8);
    *start = nde_little(b->at + wide + 48, 8);
    return *start <= wide;
}

/* Sizes that do not fit into 32 bits are in the extra field with id 1, in this order (APPNOTE 4.5.3). */
static bool read_wide(Member *m, const unsigned char *extra)
{
    uint64_t *wide[] = {&m->plain, &m->packed, &m->offset};
    for (size_t at = 0; at + 4 <= m->n_extra;) {
        size_t id = nde_little(extra + at, 2), n = nde_little(extra + at + 2, 2), used = 0;
        if (n > m->n_extra - at - 4)
            return false;
        for (int i = 0; id == 1 && i < 3; i++) {
            if (*wide[i] != 0xFFFFFFFF)
                continue;
            if (used + 8 > n)
                return false;
            *wide[i] = nde_little(extra + at + 4 + used, 8);
            used += 8;
        }
        at += 4 + n;
    }
    return true;
}

/* Reads the entry at *at of the directory, and moves on. */
static bool read_entry(const NdeBytes *b, size_t *at, Member *m)
{
    if (b->n - *at < ENTRY || memcmp(b->at + *at, "PK\1\2", 4) != 0)
        return false;
    const unsigned char *p = b->at + *at;
    m->is_secret = (unsigned)nde_little(p + 8, 2) & 1;
    m->method = (unsigned)nde_little(p + 10, 2);
    m->crc = nde_little(p + 16, 4);
    m->packed = nde_little(p + 20, 4);
    m->plain = nde_little(p + 24, 4);
    m->n_name = (size_t)nde_little(p + 28, 2);
    m->n_extra = (size_t)nde_little(p + 30, 2);
    m->offset = nde_little(p + 42, 4);
    m->name = p + ENTRY;
    size_t whole = ENTRY + m->n_name + m->n_extra + (size_t)nde_little(p + 32, 2);
    if (whole > b->n - *at || !read_wide(m, m->name + m->n_name))
        return false;
    *at += whole;
    return true;
}

static bool inflate_member(const unsigned char *from, size_t n_from, unsigned char *to, size_t n_to)
{
    z_stream z = {0};
    if (inflateInit2(&z, -15) != Z_OK)
        return false;
    int state = Z_OK;
    z.next_in = (unsigned char *)(uintptr_t)from; /* zlib does not write there */
    z.next_out = to;
    while (state == Z_OK) {
        size_t input = n_from - (size_t)(z.next_in - from), space = n_to - (size_t)(z.next_out - to);
        z.avail_in = input < UINT_MAX ? (uInt)input : UINT_MAX;
        z.avail_out = space < UINT_MAX ? (uInt)space : UINT_MAX;
        state = inflate(&z, Z_NO_FLUSH);
    }
    bool is_whole = state == Z_STREAM_END && z.next_out == to + n_to;
    inflateEnd(&z);
    return is_whole;
}

/* The content of a member, in memory of its own. `what` is the name for messages. */
static int unpack_member(const NdeBytes *b, const Member *m, const char *what, NdeBytes *out, NdeError *e)
{
    if (m->is_secret || (m->method != 0 && m->method != 8))
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is encrypted or packed by another method than deflate; write it again "
                        "with numpy.savez",
                        what);
    if (b->n < LOCAL || m->offset > b->n - LOCAL || memcmp(b->at + m->offset, "PK\3\4", 4) != 0)
        return bad_zip(what, (size_t)m->offset, e);
    size_t start = (size_t)m->offset + LOCAL;
    start += (size_t)(nde_little(b->at + m->offset + 26, 2) + nde_little(b->at + m->offset + 28, 2));
    if (start > b->n || m->packed > b->n - start)
        return nde_fail(e, NDE_EXIT_DATA,
                        "'%s' is cut short: %llu bytes should start at byte %zu of the archive, which "
                        "has %zu bytes",
                        what, (unsigned long long)m->packed, start, b->n);
    /* Deflate makes at most 1032 bytes of one (a 258-byte match in two bits): more is a lie about the size. */
    if (m->method == 0 ? m->plain != m->packed : m->plain / 1032 > m->packed)
        return bad_zip(what, (size_t)m->offset, e);
    out->n = (size_t)m->plain;
    out->at = nde_allocate(out->n + 1, 1, e);
    if (!out->at)
        return e->exit_code;
    bool is_whole = true;
    if (m->method == 0)
        memcpy(out->at, b->at + start, out->n);
    else
        is_whole = inflate_member(b->at + start, (size_t)m->packed, out->at, out->n);
    if (is_whole && crc32_z(0, out->at, out->n) == m->crc)
        return 0;
    free(out->at);
    *out = (NdeBytes){0};
    return nde_fail(e, NDE_EXIT_DATA, "'%s' is damaged: its checksum is wrong; copy the file again", what);
}

static bool is_asked_for(const NdeReadOptions *o, const char *name)
{
    for (int i = 0; o->name && i < o->n_name; i++)
        if (strcmp(o->name[i], name) == 0)
            return true;
    return !o->name;
}

/* Adds a member to the table if it is an array; reads it only if it is asked for. */
static int add_member(const NdeBytes *b, const Member *m, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    if (m->n_name < 5 || memcmp(m->name + m->n_name - 4, ".npy", 4) != 0)
        return 0;
    NdeField *more = nde_enlarge(out->field, (size_t)out->n + 1, sizeof *more, e);
    if (!more)
        return e->exit_code;
    out->field = more;
    NdeField *f = &out->field[out->n++];
    *f = (NdeField){0};
    char *name = nde_allocate(m->n_name, 1, e);
    if (!name)
        return e->exit_code;
    memcpy(name, m->name, m->n_name - 4);
    f->name = name;
    if (!is_asked_for(o, name))
        return 0;
    char what[600];
    snprintf(what, sizeof what, "%.400s: %.150s", out->file[0], name);
    NdeBytes bytes = {0};
    int status = unpack_member(b, m, what, &bytes, e);
    if (status)
        return status;
    f->name = NULL; /* an error would free it */
    status = take_npy(&bytes, what, f, e);
    f->name = name;
    return status ? status : nde_table_ends(out, out->n - 1, e);
}

int nde_npz_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    NdeBytes b;
    int status = nde_table_begin(out, NDE_ARRAYS, 0, path, e);
    if (!status)
        status = nde_file_read(path, &b, e);
    if (status)
        return nde_table_end(out, status);
    uint64_t start = 0, n = 0;
    if (!find_directory(&b, &start, &n))
        status = bad_zip(path, b.n, e);
    size_t at = (size_t)start;
    for (uint64_t i = 0; i < n && !status; i++) {
        Member m;
        status = read_entry(&b, &at, &m) ? add_member(&b, &m, o, out, e) : bad_zip(path, at, e);
    }
    free(b.at);
    if (!status && out->n == 0)
        status = nde_fail(e, NDE_EXIT_DATA, "'%s' holds no arrays; write it with numpy.savez", path);
    return nde_table_end(out, status);
}

int nde_npy_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e)
{
    (void)o; /* nothing to choose */
    int status = nde_table_begin(out, NDE_ARRAYS, 1, path, e);
    if (!status)
        status = nde_npy_read(path, &out->field[0], e);
    if (!status)
        status = nde_table_ends(out, 0, e);
    return nde_table_end(out, status);
}

/* ---- writing ---- */

/* Numbers in little-endian order, piece by piece. */
void nde_write_little(FILE *to, NdeType type, const void *value, size_t count)
{
    unsigned char piece[4096];
    size_t size = nde_type_size(type);
    const unsigned char *from = value;
    while (count > 0) {
        size_t n = count < sizeof piece / size ? count : sizeof piece / size;
        memcpy(piece, from, n * size);
        nde_byte_order(piece, size, n, false);
        fwrite(piece, size, n, to);
        from += n * size;
        count -= n;
    }
}

int nde_npy_write(const char *path, const NdeField *field, NdeError *e)
{
    char shape[200] = "", header[400];
    size_t n = 0;
    for (int i = 0; i < field->rank; i++)
        n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%ld", i ? ", " : "", field->dim[i]);
    n = (size_t)snprintf(header, sizeof header, "{'descr': '<f%zu', 'fortran_order': False, 'shape': (%s%s), }",
                         nde_type_size(field->type), shape, field->rank == 1 ? "," : "");
    size_t length = (10 + n + 1 + 63) / 64 * 64 - 10; /* the data starts at a multiple of 64 */
    NdeFile *file = nde_file_create(path, e);
    if (!file)
        return e->exit_code;
    FILE *to = nde_file_stream(file);
    const unsigned char start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, length & 255, (unsigned char)(length >> 8)};
    fwrite(start, 1, sizeof start, to);
    fprintf(to, "%-*s\n", (int)length - 1, header);
    nde_write_little(to, field->type, field->value, nde_field_count(field));
    return nde_file_commit(file, e);
}
