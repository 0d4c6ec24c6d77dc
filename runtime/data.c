/* data.c: the fields of a model bound to files.
 *
 * Needs: tables (table.c) and their readers (array.c, csv.c, idx.c). Gives: nde_data_*.
 * A field that a source has by name is taken from there; the others take what has no names, in order. First as if every
 * field of the model were in the files, and if that does not come out even, as if only the wanted ones were: so the
 * same order serves files with labels and without.
 *
 * Elsewhere: which samples make a batch (the training loop). */
#include "io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define FETCH(at) __builtin_prefetch(at)
#else
#define FETCH(at) ((void)(at))
#endif

/* ---- reading the sources ---- */

typedef struct Bind {
    const NdeDataRequest *r;
    NdeData *d;
    const NdeSourceSpec **source; /* of each table */
    NdeView *view;                /* one for each field of the model, wanted or not */
    bool *is_named;               /* the field was found by its name */
    NdeReadOptions options;
    NdeError *e;
} Bind;

typedef int Reader(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e);

static Reader *reader_of(const char *kind)
{
    static const struct {
        const char *kind;
        Reader *read;
    } known[] = {{"idx", nde_idx_table},
                 {"csv", nde_csv_table},
                 {"npy", nde_npy_table},
                 {"npz", nde_npz_table},
                 {"records", nde_record_table}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].kind, kind) == 0)
            return known[i].read;
    return NULL;
}

/* All files that the name in the model stands for, to one table. */
static int read_table(Bind *b, Reader *read, const char *name, NdeTable *out)
{
    const char *dir = b->r->dir && name[0] != '/' ? b->r->dir : "";
    size_t size = strlen(dir) + strlen(name) + 2;
    char *pattern = nde_allocate(size, 1, b->e);
    if (!pattern)
        return b->e->exit_code;
    snprintf(pattern, size, "%s%s%s", dir, dir[0] ? "/" : "", name);
    NdePaths paths;
    int status = nde_paths_find(pattern, &paths, b->e);
    free(pattern);
    for (int i = 0; !status && i < paths.n; i++) {
        NdeTable more;
        status = read(paths.at[i], &b->options, i ? &more : out, b->e);
        if (status || i == 0)
            continue;
        status = nde_table_join(out, &more, b->e);
        nde_table_free(&more);
    }
    nde_paths_free(&paths);
    if (status == NDE_EXIT_FILE && name[0] != '/') {
        NdeError plain = *b->e;
        nde_fail(b->e, status, "%.700s; names in the model are relative to --data DIR, here '%.200s'", plain.text,
                 dir[0] ? dir : ".");
    }
    return status;
}

static int read_sources(Bind *b)
{
    const NdeDataRequest *r = b->r;
    int n = 0;
    for (int i = 0; i < r->n_source; i++)
        n += r->source[i].n_file;
    b->d->table = nde_allocate((size_t)n, sizeof *b->d->table, b->e);
    b->source = nde_allocate((size_t)n, sizeof *b->source, b->e);
    if (!b->d->table || !b->source)
        return b->e->exit_code;
    for (int i = 0; i < r->n_source; i++) {
        const NdeSourceSpec *s = &r->source[i];
        Reader *read = reader_of(s->kind);
        if (!read)
            return nde_fail(b->e, NDE_EXIT_FILE, "there is no source '%s'; use idx, csv, npy, npz or records", s->kind);
        b->options.rows = s->rows;
        for (int k = 0; k < s->n_file; k++) {
            b->source[b->d->n_table] = s;
            int status = read_table(b, read, s->file[k], &b->d->table[b->d->n_table++]);
            if (status)
                return status;
        }
    }
    return 0;
}

/* ---- words for messages ---- */

static bool is_wanted(const Bind *b, int i)
{
    return !b->r->wanted || b->r->wanted[i];
}

static size_t spec_count(const NdeDataSpec *s)
{
    size_t n = 1;
    for (int i = 0; !s->is_class && i < s->rank; i++)
        n *= (size_t)s->dim[i];
    return n;
}

typedef struct Words {
    char text[400];
} Words;

/* "'image' : real[28, 28]" */
static Words spec_words(const NdeDataSpec *s)
{
    Words w;
    char shape[120] = "";
    long dim[4];
    for (int i = 0; i < s->rank && i < 4; i++)
        dim[i] = s->dim[i];
    if (s->is_class)
        snprintf(shape, sizeof shape, "[%d]", s->classes);
    else if (s->rank > 0)
        nde_shape_text(s->rank, dim, shape, sizeof shape);
    snprintf(w.text, sizeof w.text, "'%.200s : %s%s'", s->name, s->is_class ? "class" : "real", shape);
    return w;
}

/* "'a.npy'", and which array of it or how many files more. */
static Words table_words(const NdeTable *t, const char *name)
{
    Words w;
    int n = snprintf(w.text, sizeof w.text, "'%.250s'", t->file[0]);
    if (t->n_file > 1)
        n += snprintf(w.text + n, sizeof w.text - (size_t)n, " (and %d more)", t->n_file - 1);
    if (name)
        snprintf(w.text + n, sizeof w.text - (size_t)n, ", '%.60s'", name);
    return w;
}

/* Levenshtein's distance of words of at most 63 letters; more for longer ones. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], n = strlen(b), m = strlen(a);
    if (n > 63 || m > 63)
        return 64;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= m; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]), least = row[j] < row[j - 1] ? row[j] : row[j - 1];
            diagonal = row[j];
            row[j] = least + 1 < change ? least + 1 : change;
        }
    }
    return row[n];
}

/* The k-th name in a table, or NULL behind the last. */
static const char *name_in(const NdeTable *t, int k)
{
    if (t->column)
        return k < t->n_column ? t->column[k] : NULL;
    return k < t->n ? t->field[k].name : NULL;
}

static int no_such_name(Bind *b, const NdeDataSpec *spec)
{
    char list[500] = "";
    const char *nearest = NULL;
    size_t n = 0, least = strlen(spec->name) / 3 + 2;
    int count = 0, file = -1;
    for (int t = 0; t < b->d->n_table; t++) {
        const char *name;
        for (int k = 0; (name = name_in(&b->d->table[t], k)); k++) {
            file = file < 0 ? t : file;
            if (count++ < 12 && n + 64 < sizeof list)
                n += (size_t)snprintf(list + n, 60, "%s'%.40s'", n ? ", " : "", name);
            if (distance(spec->name, name) < least) {
                least = distance(spec->name, name);
                nearest = name;
            }
        }
    }
    return nde_fail(b->e, NDE_EXIT_DATA, "%s is not in the data: %s has %d names: %s%s%s%.60s%s", spec_words(spec).text,
                    table_words(&b->d->table[file], NULL).text, count, list, count > 12 ? ", …" : "",
                    nearest ? "; did you mean '" : "; rename one, here or there", nearest ? nearest : "",
                    nearest ? "'?" : "");
}

/* ---- shapes ---- */

/* Lengths other than 1, for they do not change what an array is. Gives how many. */
static int long_axes(const long *dim, int n, long *out)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        if (dim[i] != 1)
            out[count++] = dim[i];
    return count;
}

/* The same shape, or the same number of elements when one of the two is flat. */
static bool does_fit(const NdeField *f, const NdeDataSpec *s)
{
    long dim[4], a[NDE_RANK], b[4];
    for (int i = 0; i < 4 && i < s->rank; i++)
        dim[i] = s->dim[i];
    if (nde_field_sample(f) != spec_count(s))
        return false;
    int n_a = long_axes(f->dim + 1, f->rank - 1, a), n_b = s->is_class ? 0 : long_axes(dim, s->rank, b);
    if (n_a <= 1 || n_b <= 1)
        return true;
    return n_a == n_b && memcmp(a, b, sizeof *a * (size_t)n_a) == 0;
}

/* Makes the view of spec i: `first` is an element or a column; `record` the bytes of a record. */
static void set_view(Bind *b, int i, int table, int field, size_t first, size_t record)
{
    const NdeTable *t = &b->d->table[table];
    NdeView *v = &b->view[i];
    double scale = b->source[table]->scale;
    *v = (NdeView){.spec = &b->r->spec[i], .table = t, .field = &t->field[field], .first = first, .rows = 1};
    v->n = spec_count(v->spec);
    v->scale = v->spec->is_class || scale == 0 ? 1 : scale;
    v->rows = t->form == NDE_CELLS ? (size_t)v->field->dim[1] : 1;
    v->columns = v->n / v->rows;
    v->stride = t->form == NDE_CELLS ? (size_t)t->n_column : t->form == NDE_RECORDS ? record : v->n;
    for (int x = 0; x < 256; x++)
        v->byte[x] = v->spec->is_class ? x : x / 255.0 * v->scale;
}

static int take_array(Bind *b, int i, int table, int field)
{
    const NdeTable *t = &b->d->table[table];
    const NdeField *f = &t->field[field];
    char shape[200];
    if (f->rank > 0 && does_fit(f, &b->r->spec[i])) {
        set_view(b, i, table, field, 0, 0);
        return 0;
    }
    if (f->rank == 0)
        return nde_fail(b->e, NDE_EXIT_DATA, "%s is a single number: %s needs a first axis that counts samples",
                        table_words(t, f->name).text, spec_words(&b->r->spec[i]).text);
    nde_shape_text(f->rank, f->dim, shape, sizeof shape);
    size_t n = nde_field_sample(f);
    return nde_fail(b->e, NDE_EXIT_DATA,
                    "%s has the shape %s, whose first axis counts samples, so %zu number%s a sample; "
                    "%s takes %zu: change one of them",
                    table_words(t, f->name).text, shape, n, n == 1 ? "" : "s", spec_words(&b->r->spec[i]).text,
                    spec_count(&b->r->spec[i]));
}

/* Columns from `column` on, as many as the field needs. */
static int take_columns(Bind *b, int i, int table, int column, int *used)
{
    const NdeTable *t = &b->d->table[table];
    size_t n = spec_count(&b->r->spec[i]), rows = (size_t)t->field[0].dim[1], left = (size_t)(t->n_column - column);
    if (n % rows != 0)
        return nde_fail(b->e, NDE_EXIT_DATA,
                        "%s has samples of %zu rows, and %s takes %zu number%s, which are no whole "
                        "columns; change `rows` or the field",
                        table_words(t, NULL).text, rows, spec_words(&b->r->spec[i]).text, n, n == 1 ? "" : "s");
    if (n / rows > left || (t->column && n != rows))
        return nde_fail(
            b->e, NDE_EXIT_DATA, "%s has %zu column%s for %s, which takes %zu%s", table_words(t, NULL).text,
            t->column ? 1 : left, t->column || left == 1 ? "" : "s", spec_words(&b->r->spec[i]).text, n / rows,
            t->column ? "; a named column is one number of a row: say `rows = …`, or put vectors into an npz file"
                      : "; check the size of the field and the order of the columns");
    set_view(b, i, table, 0, (size_t)column, 0);
    *used = (int)(n / rows);
    return 0;
}

/* ---- by name ---- */

static int take_named(Bind *b, int i)
{
    const char *name = b->r->spec[i].name;
    for (int t = 0; t < b->d->n_table; t++) {
        const char *candidate;
        for (int k = 0, used; (candidate = name_in(&b->d->table[t], k)); k++) {
            if (strcmp(candidate, name) != 0)
                continue;
            if (b->is_named[i])
                return nde_fail(b->e, NDE_EXIT_DATA, "'%s' is there twice: in %s and in %s; rename one", name,
                                table_words(b->view[i].table, NULL).text, table_words(&b->d->table[t], NULL).text);
            int status = b->d->table[t].column ? take_columns(b, i, t, k, &used) : take_array(b, i, t, k);
            if (status)
                return status;
            b->is_named[i] = true;
        }
    }
    return 0;
}

/* ---- by order ---- */

typedef struct Order {
    bool only_wanted;
    int next; /* the field of the model that is looked at next */
} Order;

/* The next field of the model that has no place yet, or -1. */
static int next_spec(const Bind *b, Order *o)
{
    while (o->next < b->r->n_spec) {
        int i = o->next++;
        if (!b->is_named[i] && (!o->only_wanted || is_wanted(b, i)))
            return i;
    }
    return -1;
}

static int nothing_takes(Bind *b, int table, int n_used, int n, const char *what)
{
    return nde_fail(b->e, NDE_EXIT_DATA,
                    "%s has %d %s%s, and the model's fields take %d; declare data for the rest, or "
                    "leave it out",
                    table_words(&b->d->table[table], NULL).text, n, what, n == 1 ? "" : "s", n_used);
}

/* All fields that have no place are in the records, one after the other. */
static int take_records(Bind *b, Order *o, int table)
{
    const NdeTable *t = &b->d->table[table];
    size_t record = 0, first = 0;
    Order again = *o;
    for (int i; (i = next_spec(b, o)) >= 0;)
        record += spec_count(&b->r->spec[i]);
    if (record == 0)
        return nothing_takes(b, table, 0, 1, "kind of record");
    for (int k = 0; k < t->n_file; k++) {
        long bytes = t->field[0].end[k] - (k ? t->field[0].end[k - 1] : 0);
        if ((size_t)bytes % record != 0)
            return nde_fail(b->e, NDE_EXIT_DATA,
                            "'%s' has %ld bytes, which are not whole records of %zu bytes (one for "
                            "each number of a sample): %zu are left over; it is cut short, or the fields are not these",
                            t->file[k], bytes, record, (size_t)bytes % record);
    }
    for (int i; (i = next_spec(b, &again)) >= 0;) {
        set_view(b, i, table, 0, first, record);
        first += spec_count(&b->r->spec[i]);
    }
    return 0;
}

static int take_in_order(Bind *b, Order *o, int table)
{
    const NdeTable *t = &b->d->table[table];
    if (t->form == NDE_RECORDS)
        return take_records(b, o, table);
    int n = t->form == NDE_CELLS ? t->n_column : t->n;
    for (int k = 0, used = 1; k < n; k += used) {
        int i = next_spec(b, o);
        if (i < 0)
            return nothing_takes(b, table, k, n, t->form == NDE_CELLS ? "column" : "array");
        int status = t->form == NDE_CELLS ? take_columns(b, i, table, k, &used) : take_array(b, i, table, k);
        if (status)
            return status;
    }
    return 0;
}

static int take_all_in_order(Bind *b, bool only_wanted)
{
    Order order = {.only_wanted = only_wanted};
    bool has_names = false;
    for (int t = 0; t < b->d->n_table; t++) {
        if (name_in(&b->d->table[t], 0)) {
            has_names = true;
            continue;
        }
        int status = take_in_order(b, &order, t);
        if (status)
            return status;
    }
    for (int i; (i = next_spec(b, &order)) >= 0;) {
        if (has_names && is_wanted(b, i))
            return no_such_name(b, &b->r->spec[i]);
        if (!has_names)
            return nde_fail(b->e, NDE_EXIT_DATA, "there is no data for %s: %s %s used up before it",
                            spec_words(&b->r->spec[i]).text,
                            b->r->n_source == 1 ? b->r->source[0].file[0] : "the files",
                            b->r->n_source == 1 && b->r->source[0].n_file == 1 ? "is" : "are");
    }
    return 0;
}

static int bind_fields(Bind *b)
{
    bool all_wanted = true;
    for (int i = 0; i < b->r->n_spec; i++) {
        int status = take_named(b, i);
        if (status && is_wanted(b, i))
            return status;
        all_wanted &= is_wanted(b, i);
    }
    int status = take_all_in_order(b, false);
    return status && !all_wanted ? take_all_in_order(b, true) : status;
}

/* ---- checks ---- */

/* What counts bytes for records, and samples otherwise, as samples. */
static long as_samples(const NdeView *v, long n)
{
    return v->table->form == NDE_RECORDS ? n / (long)v->stride : n;
}

static int bad_value(Bind *b, const NdeView *v, long sample, size_t element, double x)
{
    int k = 0;
    while (as_samples(v, v->field->end[k]) <= sample)
        k++;
    long before = k ? as_samples(v, v->field->end[k - 1]) : 0;
    char number[NDE_NUMBER_TEXT], range[120];
    nde_number_text(x, false, number);
    snprintf(range, sizeof range, "a label must be a whole number from 0 to %d", v->spec->classes - 1);
    return nde_fail(b->e, NDE_EXIT_DATA, "'%s': %s has the value %s at sample %ld, element %zu (both from 0); %s",
                    v->table->file[k], spec_words(v->spec).text, number, sample - before, element,
                    v->spec->is_class ? range : "fill such gaps before, or mark them with a mask of the model");
}

static int check_columns(Bind *b, const NdeView *v)
{
    for (size_t k = v->first; k < v->first + v->columns; k++) {
        const NdeBadCell *bad = &v->table->bad[k];
        if (bad->line == 0)
            continue;
        Words words = spec_words(v->spec);
        const char *name = v->table->column ? v->table->column[k] : words.text;
        char what[120];
        snprintf(what, sizeof what, bad->text[0] ? "it holds '%s', which is not a number%s" : "it is blank%s%s",
                 bad->text, strpbrk(bad->text, ";\t") ? " (cells are divided by commas)" : "");
        return nde_fail(b->e, NDE_EXIT_DATA, "'%s', line %ld, column %zu (%.200s): %s; fill such gaps before",
                        v->table->file[bad->file], bad->line, k + 1, name, what);
    }
    return 0;
}

static bool is_label(double x, int classes)
{
    return x >= 0 && x < classes && x == floor(x);
}

static int check_values(Bind *b, int i)
{
    const NdeView *v = &b->d->view[i];
    bool is_real_number = v->field->type >= NDE_F16;
    if (v->table->form == NDE_CELLS) {
        int status = check_columns(b, v);
        if (status)
            return status;
    }
    if (!v->spec->is_class && (!is_real_number || v->table->form == NDE_CELLS))
        return 0;
    double *x = nde_allocate(v->n, sizeof *x, b->e);
    if (!x)
        return b->e->exit_code;
    int status = 0;
    for (long s = 0; s < b->d->count && !status; s++) {
        nde_data_get(b->d, i, s, x);
        for (size_t k = 0; k < v->n && !status; k++)
            if (v->spec->is_class ? !is_label(x[k], v->spec->classes) : !isfinite(x[k]))
                status = bad_value(b, v, s, k, x[k]);
    }
    free(x);
    return status;
}

static int check_counts(Bind *b)
{
    const NdeView *first = NULL;
    for (int i = 0; i < b->d->n_view; i++) {
        const NdeView *v = &b->d->view[i];
        if (!v->field)
            continue;
        long n = as_samples(v, v->field->dim[0]);
        if (first && n != b->d->count)
            return nde_fail(b->e, NDE_EXIT_DATA,
                            "%s has %ld samples for '%.60s' and %s has %ld for '%.60s'; they are read "
                            "side by side and must agree",
                            table_words(first->table, NULL).text, b->d->count, first->spec->name,
                            table_words(v->table, NULL).text, n, v->spec->name);
        first = first ? first : v;
        b->d->count = n;
    }
    if (first && b->d->count == 0)
        return nde_fail(b->e, NDE_EXIT_DATA, "%s holds no samples", table_words(first->table, NULL).text);
    return 0;
}

/* ---- the data set ---- */

static int open_all(Bind *b)
{
    int n = b->r->n_spec;
    b->view = b->d->view = nde_allocate((size_t)n, sizeof *b->view, b->e);
    b->is_named = nde_allocate((size_t)n, sizeof *b->is_named, b->e);
    const char **name = nde_allocate((size_t)n, sizeof *name, b->e);
    int status = b->view && b->is_named && name ? 0 : b->e->exit_code;
    for (int i = 0; i < n && !status; i++)
        if (is_wanted(b, i))
            name[b->options.n_name++] = b->r->spec[i].name;
    b->options.name = name;
    if (!status)
        status = read_sources(b);
    free(name);
    if (!status)
        status = bind_fields(b);
    if (status)
        return status;
    b->d->n_view = n;
    for (int i = 0; i < n; i++)
        if (!is_wanted(b, i))
            b->view[i].field = NULL;
    status = check_counts(b);
    for (int i = 0; i < n && !status; i++)
        if (b->view[i].field)
            status = check_values(b, i);
    return status;
}

int nde_data_open(const NdeDataRequest *request, NdeData *out, NdeError *e)
{
    *out = (NdeData){0};
    Bind b = {.r = request, .d = out, .e = e};
    int status = open_all(&b);
    free(b.source);
    free(b.is_named);
    if (status)
        nde_data_close(out);
    return status;
}

void nde_data_close(NdeData *data)
{
    for (int i = 0; i < data->n_table; i++)
        nde_table_free(&data->table[i]);
    free(data->table);
    free(data->view);
    *data = (NdeData){0};
}

long nde_data_count(const NdeData *data)
{
    return data->count;
}

bool nde_data_has(const NdeData *data, int field)
{
    return data->view[field].field != NULL;
}

/* Where the row of a sample begins. */
static const unsigned char *row_of(const NdeView *v, long sample, size_t row)
{
    size_t at = ((size_t)sample * v->rows + row) * v->stride + v->first;
    return v->field->value + at * nde_type_size(v->field->type);
}

/* Of a large sample its beginning: what follows in order the machine foresees, and all of it would not fit a cache. */
void nde_data_fetch(const NdeData *data, int field, long sample)
{
    enum { LINE = 64, LINES = 16 };
    const NdeView *v = &data->view[field];
    size_t bytes = v->columns * nde_type_size(v->field->type), lines = 0;
    for (size_t row = 0; row < v->rows; row++)
        for (size_t i = 0; i < bytes; i += LINE, lines++) {
            if (lines == LINES)
                return;
            FETCH(row_of(v, sample, row) + i);
        }
}

void nde_data_get(const NdeData *data, int field, long sample, double *out)
{
    const NdeView *v = &data->view[field];
    for (size_t row = 0; row < v->rows; row++, out += v->columns) {
        const unsigned char *from = row_of(v, sample, row);
        if (v->field->type == NDE_BYTE) {
            for (size_t i = 0; i < v->columns; i++)
                out[i] = v->byte[from[i]];
            continue;
        }
        nde_numbers(v->field->type, from, v->columns, out);
        for (size_t i = 0; v->scale != 1 && i < v->columns; i++)
            out[i] *= v->scale;
    }
}
