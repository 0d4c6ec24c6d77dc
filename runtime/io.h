/* io.h: what enters and leaves a program: files, arrays, tables, data sets, tensors, log lines.
 *
 * Owns: nothing of the model. Numbers are double in memory unless a type is stated; which precision the model has is
 * not known here. Every function that returns int gives 0, or the exit code with the message in the NdeError.
 * Nothing here is global: threads may use different objects at once, and read one object together.
 * Elsewhere: random numbers (rng.h), messages and memory (error.h). */
#ifndef NDE_IO_H
#define NDE_IO_H

#include "error.h"

#include <stdint.h>
#include <stdio.h>

/* ---- file.c: whole files ---- */

typedef struct NdeBytes {
    unsigned char *at; /* n bytes and one more, which is 0; freed with free() */
    size_t n;
} NdeBytes;

/* The whole file; inflated if its content is gzip. If `path` does not exist but `path`.gz does, that is read. */
int nde_file_read(const char *path, NdeBytes *out, NdeError *e);

/* A file that appears under its name only when it is complete: it is written under another name in the same folder.
 * A target that is not a regular file (/dev/stdout, a pipe) is written in place. Each created file ends in exactly one
 * commit or abort, and both free it. An error while writing shows at the commit, which then leaves the old file. */
typedef struct NdeFile NdeFile;
NdeFile *nde_file_create(const char *path, NdeError *e); /* NULL: failed */
FILE *nde_file_stream(const NdeFile *file);
int nde_file_commit(NdeFile *file, NdeError *e);
void nde_file_abort(NdeFile *file);

/* Makes a folder and those above it that are missing. */
int nde_folder_make(const char *path, NdeError *e);

/* Makes the first free one of base/0001, base/0002, … and writes its path to out[size]. */
int nde_new_run_dir(const char *base, char *out, size_t size, NdeError *e);

typedef struct NdePaths {
    char **at;
    int n;
} NdePaths;

/* The files that a name with `*` stands for, sorted by bytes; a name without `*` stands for itself. At least one. */
int nde_paths_find(const char *pattern, NdePaths *out, NdeError *e);
void nde_paths_free(NdePaths *paths);

/* ---- array.c: element types, NPY, NPZ ---- */

enum { NDE_RANK = 8 };

typedef enum NdeType {
    NDE_BYTE, /* unsigned, 8 bits: as a real it is value / 255 */
    NDE_BOOL,
    NDE_I8,
    NDE_I16,
    NDE_I32,
    NDE_I64,
    NDE_U16,
    NDE_U32,
    NDE_U64,
    NDE_F16,
    NDE_BF16,
    NDE_F32,
    NDE_F64,
    NDE_TYPE_COUNT
} NdeType;

size_t nde_type_size(NdeType type);
const char *nde_type_name(NdeType type); /* as NumPy writes it: "uint8", "float32" */
/* Numbers from memory in this machine's byte order, at any alignment. A byte is 0 … 255 here. */
void nde_numbers(NdeType type, const unsigned char *at, size_t n, double *out);
/* Reverses the bytes of n elements of `size` bytes each unless the machine's order is the one asked for. */
void nde_byte_order(unsigned char *at, size_t size, size_t n, bool is_big);

uint64_t nde_little(const unsigned char *at, int n); /* n <= 8 bytes, the lowest first */
/* Writes numbers lowest byte first; an error shows in ferror(to). */
void nde_write_little(FILE *to, NdeType type, const void *value, size_t count);
/* The bytes of an array; false if they, or the product of its axes that are not empty, are too many. */
bool nde_array_bytes(NdeType type, int rank, const long *dim, size_t *bytes);
void nde_shape_text(int rank, const long *dim, char *out, size_t size); /* "[28, 28]" */

/* An array of any type, rows first. In a data set dim[0] counts the samples. */
typedef struct NdeField {
    char *name; /* or NULL */
    NdeType type;
    int rank;
    long dim[NDE_RANK];
    const unsigned char *value; /* NULL: present in the file, but not asked for and not read */
    unsigned char *block;       /* what to free; value points into it */
    long *end;                  /* in a table: the samples up to the end of each of its files */
} NdeField;

size_t nde_field_count(const NdeField *field);             /* elements */
double nde_field_get(const NdeField *field, size_t index); /* element `index` in row-major order, as it is */
size_t nde_field_sample(const NdeField *field);            /* elements of a sample */
/* The elements of one sample; reals of bytes are value / 255, classes are the byte. */
void nde_field_row(const NdeField *field, long sample, bool is_class, double *out);
void nde_field_free(NdeField *field);

int nde_npy_read(const char *path, NdeField *out, NdeError *e);
/* field->type must be NDE_F32 or NDE_F64; name, block and end do not matter. Atomic. */
int nde_npy_write(const char *path, const NdeField *field, NdeError *e);

/* The first thing in a column that is not a number. */
typedef struct NdeBadCell {
    long line; /* from 1; 0: there is none */
    int file;
    char text[40];
} NdeBadCell;

/* What one source file, or several joined along the first axis, holds. */
typedef enum NdeForm {
    NDE_ARRAYS, /* each field is one thing */
    NDE_CELLS,  /* one field [samples, rows, columns] of a CSV */
    NDE_RECORDS /* one field [bytes], cut into samples by who knows their size */
} NdeForm;
typedef struct NdeTable {
    NdeForm form;
    NdeField *field;
    int n;
    char **file;
    int n_file;
    char **column;   /* CSV: names, or NULL without a header */
    NdeBadCell *bad; /* CSV: one for each column; the cell itself reads as NaN */
    int n_column;
} NdeTable;

typedef struct NdeReadOptions {
    int rows;                /* CSV: lines of a sample, 1 or more */
    bool nan_allowed;        /* CSV: blank, NA and NaN are NaN and not bad */
    const char *const *name; /* NPZ: members to read (the others are listed only); NULL: all */
    int n_name;
} NdeReadOptions;

/* Each reads one file to a new table, to be freed with nde_table_free (also after an error: then it is empty). */
int nde_npy_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e);
int nde_npz_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e);
int nde_csv_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e);    /* csv.c */
int nde_idx_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e);    /* idx.c */
int nde_record_table(const char *path, const NdeReadOptions *o, NdeTable *out, NdeError *e); /* idx.c */
void nde_table_free(NdeTable *table); /* table.c, as what follows */
/* For readers. Begins a table of one file, with n empty fields; notes that all samples
 * of a field come from that file; ends by freeing the table if the status is not 0, and gives the status. */
int nde_table_begin(NdeTable *out, NdeForm form, int n, const char *path, NdeError *e);
int nde_table_ends(NdeTable *table, int field, NdeError *e);
int nde_table_end(NdeTable *table, int status);
/* Appends the samples of one more file, which must agree in names, types and all but the first axis. */
int nde_table_join(NdeTable *into, const NdeTable *more, NdeError *e);

/* ---- csv.c: the way out ---- */

typedef struct NdeCells {
    const char *const *column; /* n_column names, or NULL: no header */
    int n_column;
    long n_row;
    const double *value; /* [n_row, n_column] */
    bool is_float;       /* the shortest text that is exact for a float, instead of a double */
} NdeCells;
int nde_csv_write(const char *path, const NdeCells *cells, NdeError *e); /* atomic */
/* A cell that is a text, in quotes if it would otherwise be read as something else. */
void nde_csv_text(FILE *to, const char *text);
void nde_csv_print(FILE *to, const NdeCells *cells);                     /* the caller checks ferror */

/* ---- data.c: the fields of a model bound to files ---- */

typedef struct NdeDataSpec {
    const char *name;
    int is_class; /* a label 0 … classes - 1: rank 0 */
    int classes;
    int rank;
    int dim[4];
} NdeDataSpec;

typedef struct NdeSourceSpec {
    const char *kind;        /* "idx", "csv", "npy", "npz", "records" */
    const char *const *file; /* each may hold `*`: all that match, joined along the first axis */
    int n_file;
    double scale; /* multiplies reals; 1 (or 0, for a zeroed struct) leaves them */
    int rows;     /* of a CSV sample; 0 or 1: a line is a sample */
} NdeSourceSpec;

typedef struct NdeDataRequest {
    const NdeSourceSpec *source;
    int n_source;
    const NdeDataSpec *spec; /* must outlive the NdeData, as must the names in it */
    int n_spec;
    const char *dir;             /* what relative paths are relative to; NULL: the current folder */
    const unsigned char *wanted; /* [n_spec] 0 where a field is not needed; NULL: all are */
} NdeDataRequest;

/* Where one field of the model comes from. */
typedef struct NdeView {
    const NdeDataSpec *spec;
    const NdeTable *table;
    const NdeField *field; /* NULL: not wanted */
    size_t first;          /* element within the first row of a sample */
    size_t rows, columns, stride;
    size_t n; /* rows * columns: elements of the model's field */
    double scale;
    double byte[256]; /* what a byte means */
} NdeView;

typedef struct NdeData {
    NdeTable *table;
    int n_table;
    NdeView *view; /* one for each spec */
    int n_view;
    long count;
} NdeData;

/* Reads and checks everything that is wanted: names, shapes, number of samples, labels in range, no NaN or infinity.
 * After an error `out` is empty; nde_data_close may be called all the same. */
int nde_data_open(const NdeDataRequest *request, NdeData *out, NdeError *e);
void nde_data_close(NdeData *data);
long nde_data_count(const NdeData *data);
bool nde_data_has(const NdeData *data, int field);
/* One sample of a field that nde_data_has, row-major: as many elements as its spec says, 1 for a class or a scalar. */
void nde_data_get(const NdeData *data, int field, long sample, double *out);
/* Asks the memory for a sample that is got soon. */
void nde_data_fetch(const NdeData *data, int field, long sample);

/* ---- safetensors.c ---- */

typedef struct NdeTensor {
    const char *name;
    NdeType type; /* written: NDE_F32 or NDE_F64; read: also F16, BF16, I64 */
    int rank;
    long dim[NDE_RANK];
    const void *value; /* in this machine's byte order, row-major */
} NdeTensor;

typedef struct NdePair {
    const char *key, *value;
} NdePair;

/* A file that was read. Names, values and pairs belong to it. */
typedef struct NdeTensors {
    NdeTensor *tensor; /* in the order of their data */
    int n;
    NdePair *pair; /* of __metadata__ */
    int n_pair;
    NdeBytes bytes;
    void *header;
} NdeTensors;

/* `tensors` gives tensor, n, pair, n_pair; the rest does not matter. The data is in the given order. Atomic. */
int nde_tensors_write(const char *path, const NdeTensors *tensors, NdeError *e);
/* After an error `out` is empty. */
int nde_tensors_read(const char *path, NdeTensors *out, NdeError *e);
void nde_tensors_free(NdeTensors *tensors);
const NdeTensor *nde_tensors_find(const NdeTensors *tensors, const char *name); /* or NULL */
const char *nde_tensors_pair(const NdeTensors *tensors, const char *key);       /* or NULL */
size_t nde_tensor_count(const NdeTensor *tensor);                               /* elements */
void nde_tensor_get(const NdeTensor *tensor, double *out);                      /* all of them */

/* ---- json.c: numbers as text, objects as lines ---- */

enum { NDE_NUMBER_TEXT = 32 };
/* The shortest text that reads back as the same double (or float), in every locale: "0.1", "1e+20", "nan", "-inf". */
void nde_number_text(double x, bool is_float, char out[NDE_NUMBER_TEXT]);
/* A decimal number that fills text[n] but for blanks around it; false if it is none or too large for a double.
 * The same in every locale; no hexadecimal, no "inf", no "nan". */
bool nde_number_read(const char *text, size_t n, double *out);

/* One JSON object that grows; reuse it, and it allocates no more. Zeroed is ready. A key is NULL inside an array. */
typedef struct NdeJson {
    char *at; /* freed with nde_json_free */
    size_t n, room;
    bool is_short; /* there was no memory: nde_json_end reports it */
} NdeJson;
void nde_json_begin(NdeJson *j);                               /* forgets what was there and opens the outer object */
void nde_json_open(NdeJson *j, const char *key, char bracket); /* '{' or '[' */
void nde_json_close(NdeJson *j, char bracket);                 /* '}' or ']' */
void nde_json_number(NdeJson *j, const char *key, double x);   /* NaN and infinities are null */
void nde_json_figure(NdeJson *j, const char *key, double x);   /* the same to nine digits, in a third of the time */
void nde_json_integer(NdeJson *j, const char *key, long long x);
void nde_json_boolean(NdeJson *j, const char *key, bool x);
void nde_json_text(NdeJson *j, const char *key, const char *x); /* bytes that are not UTF-8 become U+FFFD */
/* Closes the outer object and writes it to `to` (NULL: only j->at) as one line, not flushed. 0 or an exit code. */
int nde_json_end(NdeJson *j, FILE *to, const char *path, NdeError *e);
int nde_json_flush(FILE *to, const char *path, NdeError *e); /* 0 or an exit code */
void nde_json_free(NdeJson *j);

#endif
