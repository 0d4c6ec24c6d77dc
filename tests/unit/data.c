/* data.c: fields of a model bound to files by name and by order; what is wrong is said with its place.
 *
 * Needs: a folder for scratch files. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char dir[64];
static NdeError e;

static void put(const char *name, const void *bytes, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static void put_npy(const char *name, int rank, const long *dim, const double *value)
{
    char path[256];
    NdeField f = {.type = NDE_F64, .rank = rank, .value = (const unsigned char *)value};
    memcpy(f.dim, dim, sizeof *dim * (size_t)rank);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_int_eq(nde_npy_write(path, &f, &e), 0);
}

static const NdeDataSpec pixels = {"image", 0, 0, 1, {4}};
static const NdeDataSpec square = {"image", 0, 0, 2, {2, 2}};
static const NdeDataSpec digit = {"digit", 1, 3, 0, {0}};
static const NdeDataSpec number = {"x", 0, 0, 0, {0}};

static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 51, 102, 255, 1, 2, 3, 4};
static const unsigned char labels[] = {0, 0, 8, 1, 0, 0, 0, 2, 2, 0};

/* One source of up to two files, and up to two fields of the model. */
typedef struct Ask {
    const char *kind, *file[2];
    NdeDataSpec spec[2];
    int rows;
    double scale;
    unsigned char unwanted[2];
} Ask;

static int open_ask(const Ask *a, NdeData *d)
{
    NdeSourceSpec source = {a->kind, a->file, a->file[1] ? 2 : 1, a->scale, a->rows};
    const unsigned char wanted[2] = {!a->unwanted[0], !a->unwanted[1]};
    NdeDataRequest r = {&source, 1, a->spec, a->spec[1].name ? 2 : 1, dir, wanted};
    return nde_data_open(&r, d, &e);
}

static void assert_refused(const Ask *a, int exit_code, const char *const *words)
{
    NdeData d;
    ck_assert_int_eq(open_ask(a, &d), exit_code);
    for (; *words; words++)
        ck_assert_msg(strstr(e.text, *words) != NULL, "no \"%s\" in: %s", *words, e.text);
    ck_assert(!d.table && !d.view && d.count == 0);
}
#define REFUSED(ask, code, ...) assert_refused(&(ask), code, (const char *const[]){__VA_ARGS__, NULL})

static void assert_sample(const NdeData *d, int field, long sample, int n, const double *want)
{
    double x[16];
    nde_data_get(d, field, sample, x);
    for (int i = 0; i < n; i++)
        ck_assert_msg(x[i] == want[i], "field %d, sample %ld, element %d: %.17g", field, sample, i, x[i]);
}

START_TEST(images_and_labels_are_read_in_order)
{
    Ask a = {.kind = "idx", .file = {"images", "labels"}, .spec = {pixels, digit}};
    NdeData d;
    put("images", images, sizeof images);
    put("labels", labels, sizeof labels);
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    ck_assert_int_eq(nde_data_count(&d), 2);
    assert_sample(&d, 0, 0, 4, (const double[]){0, 0.2, 0.4, 1});
    assert_sample(&d, 0, 1, 4, (const double[]){1 / 255.0, 2 / 255.0, 3 / 255.0, 4 / 255.0});
    assert_sample(&d, 1, 0, 1, (const double[]){2});
    nde_data_close(&d);
    a.scale = 2; /* of reals, not of labels */
    a.spec[0] = square;
    ck_assert_int_eq(open_ask(&a, &d), 0);
    assert_sample(&d, 0, 0, 4, (const double[]){0, 0.4, 0.8, 2});
    assert_sample(&d, 1, 0, 1, (const double[]){2});
    nde_data_close(&d);
}
END_TEST

START_TEST(what_is_not_wanted_may_be_missing)
{
    Ask a = {.kind = "idx", .file = {"images"}, .spec = {digit, square}, .unwanted = {1, 0}};
    NdeData d;
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    ck_assert(!nde_data_has(&d, 0) && nde_data_has(&d, 1));
    assert_sample(&d, 1, 0, 4, (const double[]){0, 0.2, 0.4, 1});
    nde_data_close(&d);
    put_text("both.csv", "9,1,2,3,4\n0,5,6,7,8\n"); /* with labels that would be wrong */
    put_text("few.csv", "1,2,3,4\n5,6,7,8\n");
    for (int i = 0; i < 2; i++) {
        a.kind = "csv";
        a.file[0] = i ? "few.csv" : "both.csv";
        ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
        assert_sample(&d, 1, 1, 4, (const double[]){5, 6, 7, 8});
        nde_data_close(&d);
    }
}
END_TEST

START_TEST(columns_are_found_by_name)
{
    Ask a = {.kind = "csv", .file = {"named.csv"}, .spec = {number, digit}, .scale = 0.5};
    NdeData d;
    put_text("named.csv", "year,digit,x,note\n1900,2,3,blue\n1901,0,5,\n");
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text); /* the notes are not needed */
    assert_sample(&d, 0, 1, 1, (const double[]){2.5});
    assert_sample(&d, 1, 0, 1, (const double[]){2});
    nde_data_close(&d);
    a.spec[0].name = "note";
    REFUSED(a, 4, "named.csv", "line 2", "column 4", "note", "blue");
    a.spec[0].name = "yaer";
    REFUSED(a, 4, "yaer", "'year', 'digit', 'x', 'note'", "did you mean 'year'?");
    a.spec[0] = pixels;
    a.spec[0].name = "x";
    REFUSED(a, 4, "named.csv", "1 column", "real[4]");
}
END_TEST

START_TEST(rows_are_one_sample)
{
    Ask a = {.kind = "csv", .file = {"rows.csv"}, .rows = 2, .spec = {{"a", 0, 0, 1, {2}}, {"b", 0, 0, 1, {2}}}};
    NdeData d;
    put_text("rows.csv", "b,a\n1,2\n3,4\n5,6\n7,8\n");
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    ck_assert_int_eq(nde_data_count(&d), 2);
    assert_sample(&d, 0, 0, 2, (const double[]){2, 4});
    assert_sample(&d, 1, 1, 2, (const double[]){5, 7});
    nde_data_close(&d);
    put_text("rows.csv", "1,2\n3,4\n5,6\n7,8\n");
    a.spec[0] = square; /* without names: two columns, rows first */
    a.spec[1].name = NULL;
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    assert_sample(&d, 0, 1, 4, (const double[]){5, 6, 7, 8});
    nde_data_close(&d);
    a.spec[0] = digit;
    REFUSED(a, 4, "rows.csv", "2 rows", "class[3]");
}
END_TEST

START_TEST(columns_without_names_are_split_by_size)
{
    Ask a = {.kind = "csv", .file = {"plain.csv"}, .spec = {pixels, digit}};
    NdeData d;
    put_text("plain.csv", "1,2,3,4,0\n5,6,7,8,2\n");
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    assert_sample(&d, 0, 1, 4, (const double[]){5, 6, 7, 8});
    assert_sample(&d, 1, 1, 1, (const double[]){2});
    nde_data_close(&d);
    put_text("plain.csv", "1,2,3,4,0,7\n");
    REFUSED(a, 4, "plain.csv", "6 columns", "take 5");
    put_text("plain.csv", "1,2,3\n");
    REFUSED(a, 4, "plain.csv", "3 columns", "real[4]");
    put_text("plain.csv", "1,2,3,4\n");
    REFUSED(a, 4, "'digit : class[3]'", "used up");
    put_text("plain.csv", "1,2,,4,0\n");
    REFUSED(a, 4, "plain.csv", "line 1", "column 3", "blank");
}
END_TEST

START_TEST(records_are_cut_by_the_fields)
{
    Ask a = {.kind = "records", .file = {"batch_*.bin"}, .spec = {digit, square}};
    NdeData d;
    put("batch_2.bin", "\2\10\11\12\13", 5);
    put("batch_1.bin", "\0\0\63\146\377\1\1\2\3\4", 10);
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    ck_assert_int_eq(nde_data_count(&d), 3);
    assert_sample(&d, 0, 2, 1, (const double[]){2});
    assert_sample(&d, 1, 0, 4, (const double[]){0, 0.2, 0.4, 1});
    assert_sample(&d, 1, 2, 4, (const double[]){8 / 255.0, 9 / 255.0, 10 / 255.0, 11 / 255.0});
    nde_data_close(&d);
    put("batch_2.bin", "\3\10\11\12\13", 5);
    REFUSED(a, 4, "batch_2.bin", "value 3 at sample 0", "0 to 2");
    put("batch_2.bin", "\2\10\11\12", 4);
    REFUSED(a, 4, "batch_2.bin", "4 bytes", "records of 5", "4 are left over");
}
END_TEST

START_TEST(files_are_joined)
{
    const long dim[2] = {1, 2}, wide[2] = {1, 3};
    const double x[] = {1, 2, 3, 4, 5};
    Ask a = {.kind = "npy", .file = {"part_*.npy"}, .spec = {{"x", 0, 0, 1, {2}}}};
    NdeData d;
    put_npy("part_b.npy", 2, dim, x + 2);
    put_npy("part_a.npy", 2, dim, x);
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    ck_assert_int_eq(nde_data_count(&d), 2);
    assert_sample(&d, 0, 1, 2, (const double[]){3, 4});
    nde_data_close(&d);
    const double gap[] = {1, (double)NAN};
    put_npy("part_b.npy", 2, dim, gap);
    REFUSED(a, 4, "part_b.npy", "nan at sample 0, element 1");
    put_npy("part_b.npy", 2, wide, x);
    REFUSED(a, 4, "part_a.npy", "part_b.npy", "[1, 2]", "[1, 3]");
    put_text("part_1.csv", "x,y\n1,2\n");
    put_text("part_2.csv", "x,z\n1,2\n");
    a.kind = "csv";
    a.file[0] = "part_*.csv";
    a.spec[0] = number;
    REFUSED(a, 4, "part_1.csv", "part_2.csv", "columns");
    put_text("part_2.csv", "x,y\n\"?\",2\n");
    REFUSED(a, 4, "part_2.csv", "line 2", "'?'");
}
END_TEST

START_TEST(sources_side_by_side_must_agree)
{
    const long dim[1] = {3};
    const double x[] = {1, 2, 3};
    const char *const npy[] = {"x.npy"}, *const csv[] = {"named.csv"};
    NdeSourceSpec source[2] = {{"npy", npy, 1, 1, 0}, {"csv", csv, 1, 10, 0}};
    NdeDataSpec spec[2] = {{"year", 0, 0, 0, {0}}, {"first", 0, 0, 0, {0}}};
    NdeDataRequest r = {source, 2, spec, 2, dir, NULL};
    NdeData d;
    put_npy("x.npy", 1, dim, x);
    put_text("named.csv", "year,other\n1900,1\n1901,2\n1902,3\n");
    ck_assert_msg(nde_data_open(&r, &d, &e) == 0, "%s", e.text);
    assert_sample(&d, 0, 2, 1, (const double[]){19020});
    assert_sample(&d, 1, 2, 1, (const double[]){3});
    nde_data_close(&d);
    put_text("named.csv", "year,other\n1900,1\n1901,2\n");
    ck_assert_int_eq(nde_data_open(&r, &d, &e), 4);
    ck_assert(strstr(e.text, "x.npy") && strstr(e.text, "named.csv") && strstr(e.text, "2 samples") &&
              strstr(e.text, "3"));
    spec[1].name = "year";
    spec[0].name = "other";
    ck_assert_int_eq(nde_data_open(&r, &d, &e), 4); /* nothing takes x.npy */
    ck_assert_ptr_nonnull(strstr(e.text, "x.npy"));
    put_text("again.csv", "year\n1\n2\n");
    const char *const twice[] = {"named.csv", "again.csv"};
    source[1] = (NdeSourceSpec){"csv", twice, 2, 1, 0};
    r.source = source + 1;
    r.n_source = 1;
    ck_assert_int_eq(nde_data_open(&r, &d, &e), 4);
    ck_assert(strstr(e.text, "twice") && strstr(e.text, "named.csv") && strstr(e.text, "again.csv"));
}
END_TEST

START_TEST(shapes_must_fit)
{
    const double x[24] = {0};
    const long flat[2] = {2, 4}, long_way[3] = {2, 4, 1}, cube[3] = {1, 2, 3}, none[1] = {0}, scalar[1] = {0};
    Ask a = {.kind = "npy", .file = {"shape.npy"}, .spec = {square}};
    NdeData d;
    put_npy("shape.npy", 2, flat, x);
    ck_assert_int_eq(open_ask(&a, &d), 0);
    nde_data_close(&d);
    put_npy("shape.npy", 3, long_way, x);
    ck_assert_int_eq(open_ask(&a, &d), 0);
    nde_data_close(&d);
    put_npy("shape.npy", 3, cube, x);
    REFUSED(a, 4, "shape.npy", "[1, 2, 3]", "'image : real[2, 2]'");
    a.spec[0] = (NdeDataSpec){"m", 0, 0, 2, {3, 2}};
    REFUSED(a, 4, "[1, 2, 3]", "real[3, 2]"); /* six numbers, but in another order */
    a.spec[0] = digit;
    REFUSED(a, 4, "[1, 2, 3]", "class[3]");
    a.spec[0] = number;
    put_npy("shape.npy", 1, none, x);
    REFUSED(a, 4, "shape.npy", "no samples");
    put_npy("shape.npy", 0, scalar, x);
    REFUSED(a, 4, "shape.npy", "single number");
}
END_TEST

START_TEST(labels_must_be_in_range)
{
    Ask a = {.kind = "csv", .file = {"labels.csv"}, .spec = {digit}};
    put_text("labels.csv", "0\n2\n3\n");
    REFUSED(a, 4, "labels.csv", "'digit : class[3]'", "value 3 at sample 2", "0 to 2");
    put_text("labels.csv", "0\n-1\n");
    REFUSED(a, 4, "value -1 at sample 1");
    put_text("labels.csv", "0\n0.5\n");
    REFUSED(a, 4, "value 0.5 at sample 1");
}
END_TEST

START_TEST(missing_files_and_kinds_are_named)
{
    Ask a = {.kind = "idx", .file = {"nowhere"}, .spec = {pixels}};
    REFUSED(a, 2, "nowhere", "--data", dir);
    a.file[0] = "nowhere*";
    REFUSED(a, 2, "nowhere*");
    a.kind = "hdf5";
    REFUSED(a, 2, "hdf5", "npz");
}
END_TEST

/* An archive of one stored array x: the bytes 7 and 9. */
START_TEST(archives_give_names)
{
    static const char npy[] = "\x93NUMPY\1\0\x38\0{'descr':'<i1','fortran_order':False,'shape':(2,)}     \n\7\11";
    unsigned char zip[400] = "PK\3\4\24";
    enum { N = sizeof npy - 1 };
    uLong crc = crc32(0, (const unsigned char *)npy, N);
    for (int i = 0; i < 4; i++)
        zip[14 + i] = (unsigned char)(crc >> (8 * i));
    zip[18] = zip[22] = N;
    zip[26] = 5;
    memcpy(zip + 30, "x.npy", 5);
    memcpy(zip + 35, npy, N);
    unsigned char *directory = zip + 35 + N, *end = directory + 51;
    memcpy(directory, "PK\1\2\24\0", 6);
    memcpy(directory + 6, zip + 4, 26);
    memcpy(directory + 46, "x.npy", 5);
    memcpy(end, "PK\5\6\0\0\0\0\1\0\1\0\x33\0\0\0", 16);
    end[16] = 35 + N;
    put("a.npz", zip, 35 + N + 51 + 22);
    Ask a = {.kind = "npz", .file = {"a.npz"}, .spec = {number}};
    NdeData d;
    ck_assert_msg(open_ask(&a, &d) == 0, "%s", e.text);
    assert_sample(&d, 0, 1, 1, (const double[]){9});
    nde_data_close(&d);
    a.spec[0].name = "y";
    REFUSED(a, 4, "'y : real'", "a.npz", "1 names: 'x'");
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_dataXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    Suite *s = suite_create("data");
    TCase *t = tcase_create("data");
    const TTest *const test[] = {
        images_and_labels_are_read_in_order,
        what_is_not_wanted_may_be_missing,
        columns_are_found_by_name,
        rows_are_one_sample,
        columns_without_names_are_split_by_size,
        records_are_cut_by_the_fields,
        files_are_joined,
        sources_side_by_side_must_agree,
        shapes_must_fit,
        labels_must_be_in_range,
        missing_files_and_kinds_are_named,
        archives_give_names,
    };
    for (size_t i = 0; i < sizeof test / sizeof test[0]; i++)
        tcase_add_test(t, test[i]);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command) != 0 || failed != 0;
}
