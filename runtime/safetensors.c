/* safetensors.c: named arrays in one file.
 *
 * Needs: whole files (file.c), cJSON. Gives: nde_tensors_*.
 * The format (Hugging Face, "safetensors"): 8 bytes, the length of the header, lowest first; the header, a JSON object
 * with "NAME": {"dtype", "shape", "data_offsets": [begin, end]} for each and "__metadata__", strings to strings, padded
 * with blanks; the data, with no gap and no overlap. A file from elsewhere is believed in nothing.
 * Elsewhere: which tensor is which parameter (the checkpoints of the training). */
#include "io.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    NdeType type;
} dtype_info[] = {{"F32", NDE_F32}, {"F64", NDE_F64}, {"F16", NDE_F16}, {"BF16", NDE_BF16}, {"I64", NDE_I64}};
enum { N_DTYPE = sizeof dtype_info / sizeof dtype_info[0] };

size_t nde_tensor_count(const NdeTensor *tensor)
{
    size_t n = 1;
    for (int i = 0; i < tensor->rank; i++)
        n *= (size_t)tensor->dim[i];
    return n;
}

void nde_tensor_get(const NdeTensor *tensor, double *out)
{
    nde_numbers(tensor->type, tensor->value, nde_tensor_count(tensor), out);
}

const NdeTensor *nde_tensors_find(const NdeTensors *tensors, const char *name)
{
    for (int i = 0; i < tensors->n; i++)
        if (strcmp(tensors->tensor[i].name, name) == 0)
            return &tensors->tensor[i];
    return NULL;
}

const char *nde_tensors_pair(const NdeTensors *tensors, const char *key)
{
    for (int i = 0; i < tensors->n_pair; i++)
        if (strcmp(tensors->pair[i].key, key) == 0)
            return tensors->pair[i].value;
    return NULL;
}

void nde_tensors_free(NdeTensors *tensors)
{
    free(tensors->tensor);
    free(tensors->pair);
    free(tensors->bytes.at);
    cJSON_Delete(tensors->header);
    *tensors = (NdeTensors){0};
}

/* ---- writing ---- */

static const char *dtype_name(NdeType type)
{
    for (int i = 0; i < N_DTYPE; i++)
        if (dtype_info[i].type == type)
            return dtype_info[i].name;
    return "F64";
}

/* Gives the bytes of the tensor. */
static size_t write_entry(NdeJson *j, const NdeTensor *t, size_t begin)
{
    size_t end = begin + nde_tensor_count(t) * nde_type_size(t->type);
    nde_json_open(j, t->name, '{');
    nde_json_text(j, "dtype", dtype_name(t->type));
    nde_json_open(j, "shape", '[');
    for (int i = 0; i < t->rank; i++)
        nde_json_integer(j, NULL, t->dim[i]);
    nde_json_close(j, ']');
    nde_json_open(j, "data_offsets", '[');
    nde_json_integer(j, NULL, (long long)begin);
    nde_json_integer(j, NULL, (long long)end);
    nde_json_close(j, ']');
    nde_json_close(j, '}');
    return end - begin;
}

static int write_header(const NdeTensors *tensors, NdeJson *j, const char *path, NdeError *e)
{
    nde_json_begin(j);
    if (tensors->n_pair > 0) {
        nde_json_open(j, "__metadata__", '{');
        for (int i = 0; i < tensors->n_pair; i++)
            nde_json_text(j, tensors->pair[i].key, tensors->pair[i].value);
        nde_json_close(j, '}');
    }
    size_t at = 0;
    for (int i = 0; i < tensors->n; i++)
        at += write_entry(j, &tensors->tensor[i], at);
    return nde_json_end(j, NULL, path, e);
}

int nde_tensors_write(const char *path, const NdeTensors *tensors, NdeError *e)
{
    NdeJson j = {0};
    NdeFile *file = NULL;
    int status = write_header(tensors, &j, path, e);
    if (!status)
        file = nde_file_create(path, e);
    if (!file) {
        nde_json_free(&j);
        return e->exit_code;
    }
    FILE *to = nde_file_stream(file);
    size_t text = j.n - 1, length = (text + 7) / 8 * 8; /* without the line end */
    unsigned char start[8];
    for (int i = 0; i < 8; i++)
        start[i] = (unsigned char)((uint64_t)length >> (8 * i));
    fwrite(start, 1, sizeof start, to);
    fwrite(j.at, 1, text, to);
    fprintf(to, "%*s", (int)(length - text), "");
    for (int i = 0; i < tensors->n; i++)
        nde_write_little(to, tensors->tensor[i].type, tensors->tensor[i].value, nde_tensor_count(&tensors->tensor[i]));
    nde_json_free(&j);
    return nde_file_commit(file, e);
}

/* ---- reading ---- */

typedef struct Entry {
    NdeTensor tensor;
    size_t begin, end;
} Entry;

typedef struct Reading {
    const char *path;
    size_t n_data; /* bytes behind the header */
    Entry *entry;
    int n;
    NdeError *e;
} Reading;

static int bad(const Reading *r, const char *tensor, const char *what)
{
    return nde_fail(r->e, NDE_EXIT_DATA,
                    "'%.300s' is not a safetensors file that can be read: %s%.200s%s%s; save it again", r->path,
                    tensor ? "tensor '" : "", tensor ? tensor : "", tensor ? "': " : "", what);
}

/* A whole number from 0 to 2^53, which JSON's doubles hold exactly. */
static bool whole(const cJSON *item, size_t *out)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 0x1p53 ||
        item->valuedouble != floor(item->valuedouble))
        return false;
    *out = (size_t)item->valuedouble;
    return true;
}

static int read_shape(const Reading *r, const cJSON *shape, NdeTensor *t)
{
    if (!cJSON_IsArray(shape))
        return bad(r, t->name, "it has no shape");
    for (const cJSON *axis = shape->child; axis; axis = axis->next) {
        size_t n;
        if (t->rank == NDE_RANK || !whole(axis, &n))
            return bad(r, t->name, "its shape is not a list of at most 8 whole numbers");
        t->dim[t->rank++] = (long)n;
    }
    return 0;
}

static int read_entry(const Reading *r, const cJSON *item, Entry *entry)
{
    NdeTensor *t = &entry->tensor;
    t->name = item->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    int k = 0;
    while (k < N_DTYPE && !(cJSON_IsString(dtype) && strcmp(dtype->valuestring, dtype_info[k].name) == 0))
        k++;
    if (k == N_DTYPE)
        return bad(r, t->name, "its dtype is none of F32, F64, F16, BF16, I64");
    t->type = dtype_info[k].type;
    int status = read_shape(r, cJSON_GetObjectItemCaseSensitive(item, "shape"), t);
    if (status)
        return status;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 || !whole(offsets->child, &entry->begin) ||
        !whole(offsets->child->next, &entry->end))
        return bad(r, t->name, "its data_offsets are not two whole numbers");
    size_t need;
    if (!nde_array_bytes(t->type, t->rank, t->dim, &need))
        return bad(r, t->name, "its shape is too large for any file");
    if (entry->begin > entry->end || entry->end > r->n_data) {
        char what[160];
        snprintf(what, sizeof what,
                 "its data_offsets %zu to %zu do not lie in the %zu bytes of data; the file may be cut "
                 "short",
                 entry->begin, entry->end, r->n_data);
        return bad(r, t->name, what);
    }
    if (entry->end - entry->begin != need)
        return bad(r, t->name, "its data_offsets and its shape are of different sizes");
    return 0;
}

static int by_place(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->end != y->end ? (x->end < y->end ? -1 : 1) : strcmp(x->tensor.name, y->tensor.name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->tensor.name, ((const Entry *)b)->tensor.name);
}

/* Leaves the entries in the order of their data. */
static int check_entries(const Reading *r)
{
    if (r->n > 1)
        qsort(r->entry, (size_t)r->n, sizeof *r->entry, by_name);
    for (int i = 1; i < r->n; i++)
        if (by_name(&r->entry[i - 1], &r->entry[i]) == 0)
            return bad(r, r->entry[i].tensor.name, "there are two of this name");
    if (r->n > 1)
        qsort(r->entry, (size_t)r->n, sizeof *r->entry, by_place);
    size_t at = 0;
    for (int i = 0; i < r->n; i++) {
        if (r->entry[i].begin != at)
            return bad(r, r->entry[i].tensor.name,
                       r->entry[i].begin < at ? "its data overlaps the data of another"
                                              : "there is a gap before its data");
        at = r->entry[i].end;
    }
    return at == r->n_data ? 0 : bad(r, NULL, "there are bytes behind the data of the last tensor");
}

static int read_pairs(const Reading *r, const cJSON *item, NdeTensors *out)
{
    if (!cJSON_IsObject(item) || out->pair)
        return bad(r, NULL, "its __metadata__ is not one object");
    out->pair = nde_allocate((size_t)cJSON_GetArraySize(item), sizeof *out->pair, r->e);
    if (!out->pair)
        return r->e->exit_code;
    for (const cJSON *pair = item->child; pair; pair = pair->next) {
        if (!cJSON_IsString(pair))
            return bad(r, NULL, "its __metadata__ holds something that is not text");
        out->pair[out->n_pair++] = (NdePair){pair->string, pair->valuestring};
    }
    return 0;
}

static int read_entries(Reading *r, const cJSON *header, NdeTensors *out)
{
    int status = 0;
    for (const cJSON *item = header->child; item && !status; item = item->next) {
        if (strcmp(item->string, "__metadata__") == 0) {
            status = read_pairs(r, item, out);
        } else if (cJSON_IsObject(item)) {
            status = read_entry(r, item, &r->entry[r->n++]);
        } else {
            status = bad(r, item->string, "it is not described by an object");
        }
    }
    return status ? status : check_entries(r);
}

/* The header as a tree; the data starts at *data. */
static int parse_header(const Reading *r, NdeTensors *out, size_t *data)
{
    const NdeBytes *b = &out->bytes;
    if (b->n < 8)
        return bad(r, NULL, "it is shorter than 8 bytes");
    uint64_t length = nde_little(b->at, 8);
    if (length > b->n - 8) {
        char what[160];
        snprintf(what, sizeof what, "its header should take %llu bytes, and %zu are there", (unsigned long long)length,
                 b->n - 8);
        return bad(r, NULL, what);
    }
    const char *text = (const char *)b->at + 8, *end = text;
    out->header = cJSON_ParseWithLengthOpts(text, (size_t)length, &end, 0);
    for (; out->header && end < text + length; end++)
        if (!strchr(" \t\r\n", *end) || !*end)
            return bad(r, NULL, "something follows its header");
    if (!cJSON_IsObject(out->header)) {
        char what[160];
        snprintf(what, sizeof what, "its header is not a JSON object (byte %zu)", (size_t)(end - (const char *)b->at));
        return bad(r, NULL, what);
    }
    *data = 8 + (size_t)length;
    return 0;
}

static int read_tensors(Reading *r, NdeTensors *out)
{
    size_t data = 0;
    int status = parse_header(r, out, &data);
    if (status)
        return status;
    size_t n = (size_t)cJSON_GetArraySize(out->header);
    r->n_data = out->bytes.n - data;
    r->entry = nde_allocate(n, sizeof *r->entry, r->e);
    out->tensor = nde_allocate(n, sizeof *out->tensor, r->e);
    status = r->entry && out->tensor ? read_entries(r, out->header, out) : r->e->exit_code;
    if (status)
        return status;
    for (int i = 0; i < r->n; i++) {
        NdeTensor *t = &out->tensor[out->n++];
        *t = r->entry[i].tensor;
        unsigned char *value = out->bytes.at + data + r->entry[i].begin;
        nde_byte_order(value, nde_type_size(t->type), nde_tensor_count(t), false);
        t->value = value;
    }
    return 0;
}

int nde_tensors_read(const char *path, NdeTensors *out, NdeError *e)
{
    *out = (NdeTensors){0};
    Reading r = {.path = path, .e = e};
    int status = nde_file_read(path, &out->bytes, e);
    if (!status)
        status = read_tensors(&r, out);
    free(r.entry);
    if (status)
        nde_tensors_free(out);
    return status;
}
