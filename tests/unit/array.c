/* array.c: element types, NPY files and NPZ archives, whole, cut short and damaged.
 *
 * Needs: a folder for scratch files. Gives: nonzero if a test fails. The files are made here, byte by byte. */
#include "../../runtime/io.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char dir[64], path[128];
static NdeError e;

typedef struct Made {
    unsigned char at[4096];
    size_t n;
} Made;

static void add(Made *m, const void *bytes, size_t n)
{
    ck_assert_uint_le(m->n + n, sizeof m->at);
    memcpy(m->at + m->n, bytes, n);
    m->n += n;
}

/* A number of n bytes, the lowest first. */
static void add_little(Made *m, uint64_t x, int n)
{
    for (int i = 0; i < n; i++) {
        unsigned char byte = (unsigned char)(i < 8 ? x >> (8 * i) : 0);
        add(m, &byte, 1);
    }
}

static void put(const Made *m, size_t n)
{
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(m->at, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

/* The NPY file of a header and data. */
static Made npy(int version, const char *header, const void *data, size_t n)
{
    Made m = {.n = 0};
    unsigned char start[8] = {0x93, 'N', 'U', 'M', 'P', 'Y', (unsigned char)version, 0};
    add(&m, start, 8);
    add_little(&m, strlen(header), version == 1 ? 2 : 4);
    add(&m, header, strlen(header));
    add(&m, data, n);
    return m;
}

static int read_made(const Made *m, NdeField *f)
{
    put(m, m->n);
    return nde_npy_read(path, f, &e);
}

/* ---- types ---- */

static const struct {
    const char *descr, *name;
    size_t n;
    unsigned char bytes[8];
    double value;
} typed[] = {
    {"|u1", "uint8", 1, {200}, 200},
    {"|b1", "bool", 1, {1}, 1},
    {"|i1", "int8", 1, {0xFE}, -2},
    {"<i2", "int16", 2, {0xFE, 0xFF}, -2},
    {">i2", "int16", 2, {0x01, 0x02}, 258},
    {"<i4", "int32", 4, {1, 0, 0, 0x80}, -2147483647},
    {">i8", "int64", 8, {0, 0, 0, 1, 0, 0, 0, 2}, 4294967298},
    {"<u2", "uint16", 2, {0xFF, 0xFF}, 65535},
    {">u4", "uint32", 4, {0xFF, 0, 0, 0}, 4278190080},
    {"<u8", "uint64", 8, {0, 0, 0, 0, 0, 0, 0, 0x80}, 9223372036854775808.0},
    {"<f2", "float16", 2, {0x00, 0x3E}, 1.5},
    {">f2", "float16", 2, {0x84, 0x00}, -0x1p-14}, /* the least normal one */
    {"<f2", "float16", 2, {0x01, 0x00}, 0x1p-24},
    {"<f2", "float16", 2, {0x00, 0xFC}, (double)-INFINITY},
    {"<f4", "float32", 4, {0, 0, 0xC0, 0xBF}, -1.5},
    {">f4", "float32", 4, {0x3F, 0x80, 0, 0}, 1},
    {"<f8", "float64", 8, {0, 0, 0, 0, 0, 0, 0xF8, 0x3F}, 1.5},
    {">f8", "float64", 8, {0xC0, 0, 0, 0, 0, 0, 0, 0}, -2},
};

START_TEST(every_type_is_read_in_both_byte_orders)
{
    char header[100];
    snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (1,), }\n", typed[_i].descr);
    Made m = npy(1, header, typed[_i].bytes, typed[_i].n);
    NdeField f;
    ck_assert_msg(read_made(&m, &f) == 0, "%s", e.text);
    ck_assert_int_eq(f.rank, 1);
    ck_assert_int_eq(f.dim[0], 1);
    ck_assert_str_eq(nde_type_name(f.type), typed[_i].name);
    ck_assert_msg(nde_field_get(&f, 0) == typed[_i].value, "%s gives %g", typed[_i].descr, nde_field_get(&f, 0));
    nde_field_free(&f);
}
END_TEST

START_TEST(brain_floats_and_nan_are_read)
{
    uint16_t bits[2] = {0x3FC0, 0x7FC0};
    double x[2];
    nde_numbers(NDE_BF16, (const unsigned char *)bits, 2, x);
    ck_assert(x[0] == 1.5 && isnan(x[1]));
    bits[0] = 0x7E00;
    nde_numbers(NDE_F16, (const unsigned char *)bits, 1, x);
    ck_assert(isnan(x[0]));
}
END_TEST

START_TEST(bytes_are_fractions_unless_they_are_classes)
{
    unsigned char bytes[4] = {0, 255, 51, 7};
    NdeField f = {.type = NDE_BYTE, .rank = 2, .dim = {2, 2}, .value = bytes};
    double x[2];
    nde_field_row(&f, 1, false, x);
    ck_assert(x[0] == 0.2 && x[1] == 7 / 255.0);
    nde_field_row(&f, 0, true, x);
    ck_assert(x[0] == 0 && x[1] == 255);
}
END_TEST

/* ---- NPY ---- */

START_TEST(columns_first_becomes_rows_first)
{
    /* x[i, j, k] = 100 i + 10 j + k of shape (2, 3, 2), i fastest */
    unsigned char data[12];
    size_t n = 0;
    for (int k = 0; k < 2; k++)
        for (int j = 0; j < 3; j++)
            for (int i = 0; i < 2; i++)
                data[n++] = (unsigned char)(100 * i + 10 * j + k);
    Made m = npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }\n", data, n);
    NdeField f;
    ck_assert_msg(read_made(&m, &f) == 0, "%s", e.text);
    n = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 3; j++)
            for (int k = 0; k < 2; k++)
                ck_assert(nde_field_get(&f, n++) == 100 * i + 10 * j + k);
    nde_field_free(&f);
}
END_TEST

START_TEST(all_versions_and_spellings_are_read)
{
    const char *const header[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,)}",
        "{\"shape\":(2,),\"descr\":\"u1\",\"fortran_order\":False}",
        "{'fortran_order':True , 'shape' : ( 2L , ) , 'descr' : '=u1' , } \n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 1)}",
    };
    for (int i = 0; i < 4; i++)
        for (int version = 1; version <= 3; version++) {
            Made m = npy(version, header[i], "ab", 2);
            NdeField f;
            ck_assert_msg(read_made(&m, &f) == 0, "%s", e.text);
            ck_assert(nde_field_count(&f) == 2 && nde_field_get(&f, 1) == 'b');
            nde_field_free(&f);
        }
    Made m = npy(1, "{'descr': '|u1', 'fortran_order': True, 'shape': ()}", "a", 1);
    NdeField f;
    ck_assert_int_eq(read_made(&m, &f), 0);
    ck_assert(f.rank == 0 && nde_field_count(&f) == 1 && nde_field_get(&f, 0) == 'a');
    nde_field_free(&f);
    m = npy(1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 3)}", "", 0);
    ck_assert_int_eq(read_made(&m, &f), 0);
    ck_assert(nde_field_count(&f) == 0);
    nde_field_free(&f);
}
END_TEST

START_TEST(bad_headers_are_refused)
{
    const char *const header[] = {
        "",
        "{",
        "}",
        "{}",
        "[]",
        "{'descr': '|u1'}",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 2}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (0, 4294967296, 4294967296)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'more': 1}",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (2,)}",
        "{'descr', 'fortran_order': False, 'shape': (2,)}",
        "{'this_key_is_much_longer_than_any': False, 'shape': (2,)}",
    };
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
        Made m = npy(1, header[i], "ab", 2);
        NdeField f;
        ck_assert_msg(read_made(&m, &f) == 4, "accepted: %s", header[i]);
        ck_assert_ptr_nonnull(strstr(e.text, path));
        ck_assert_ptr_null(f.block);
    }
}
END_TEST

START_TEST(cut_arrays_say_how_much_is_missing)
{
    Made m = npy(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}\n", "0123456789abcdef01234567", 24);
    NdeField f;
    for (size_t n = 0; n < m.n; n++) {
        put(&m, n);
        ck_assert_msg(nde_npy_read(path, &f, &e) == 4, "%zu of %zu bytes were accepted", n, m.n);
    }
    put(&m, m.n - 1);
    ck_assert_int_eq(nde_npy_read(path, &f, &e), 4);
    ck_assert_ptr_nonnull(strstr(e.text, "24 bytes"));
    ck_assert_ptr_nonnull(strstr(e.text, "23 are there"));
}
END_TEST

START_TEST(what_is_written_is_read)
{
    const float x[6] = {1, -2.5f, 0.1f, 1e-40f, 3e38f, 0};
    const double y[3] = {0.1, -1e300, 5e-324};
    NdeField f = {.type = NDE_F32, .rank = 2, .dim = {2, 3}, .value = (const unsigned char *)x}, back;
    NdeField g = {.type = NDE_F64, .rank = 1, .dim = {3}, .value = (const unsigned char *)y};
    NdeBytes b;
    ck_assert_int_eq(nde_npy_write(path, &f, &e), 0);
    ck_assert_int_eq(nde_file_read(path, &b, &e), 0);
    ck_assert_uint_eq(b.n % 64, 24); /* the data starts at a multiple of 64 and is 24 bytes long */
    ck_assert_ptr_nonnull(
        strstr((const char *)b.at + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }"));
    free(b.at);
    ck_assert_int_eq(nde_npy_read(path, &back, &e), 0);
    ck_assert(back.type == NDE_F32 && back.rank == 2 && back.dim[0] == 2 && back.dim[1] == 3);
    ck_assert_mem_eq(back.value, x, sizeof x);
    nde_field_free(&back);
    ck_assert_int_eq(nde_npy_write(path, &g, &e), 0);
    ck_assert_int_eq(nde_npy_read(path, &back, &e), 0);
    ck_assert(back.type == NDE_F64 && back.rank == 1 && back.dim[0] == 3);
    ck_assert_mem_eq(back.value, y, sizeof y);
    nde_field_free(&back);
    ck_assert_int_eq(nde_npy_write("/dev/full", &g, &e), 2);
}
END_TEST

/* ---- NPZ ---- */

enum { STORED = 0, DEFLATED = 8 };

typedef struct Zip {
    Made file, directory;
    int n;
    bool is_wide; /* sizes and places in 64-bit fields */
} Zip;

static size_t deflated(const Made *m, unsigned char *out, size_t room)
{
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (unsigned char *)(uintptr_t)m->at;
    z.avail_in = (uInt)m->n;
    z.next_out = out;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* Version, flags, method, time, date, checksum, sizes and lengths: what both records of a member have in common. */
static void add_facts(Made *m, unsigned method, uint64_t crc, const uint64_t size[2], size_t n_name, size_t n_extra)
{
    add_little(m, 20, 2);
    add_little(m, 0, 2);
    add_little(m, method, 2);
    add_little(m, 0, 4);
    add_little(m, crc, 4);
    add_little(m, size[0], 4);
    add_little(m, size[1], 4);
    add_little(m, n_name, 2);
    add_little(m, n_extra, 2);
}

static void zip_add(Zip *z, const char *name, const Made *m, unsigned method)
{
    unsigned char packed[4096];
    uint64_t n = method == DEFLATED ? deflated(m, packed, sizeof packed) : m->n, crc = crc32(0, m->at, (uInt)m->n);
    uint64_t size[2] = {z->is_wide ? 0xFFFFFFFF : n, z->is_wide ? 0xFFFFFFFF : m->n}, place = z->file.n;
    Made *d = &z->directory;
    add(d, "PK\1\2\24\0", 6);
    add_facts(d, method, crc, size, strlen(name), z->is_wide ? 28 : 0);
    add_little(d, 0, 10); /* no comment; disk, attributes */
    add_little(d, z->is_wide ? 0xFFFFFFFF : place, 4);
    add(d, name, strlen(name));
    if (z->is_wide) {
        add_little(d, 1, 2);
        add_little(d, 24, 2);
        add_little(d, m->n, 8);
        add_little(d, n, 8);
        add_little(d, place, 8);
    }
    add(&z->file, "PK\3\4", 4);
    add_facts(&z->file, method, crc, size, strlen(name), 0);
    add(&z->file, name, strlen(name));
    add(&z->file, method == DEFLATED ? packed : m->at, (size_t)n);
    z->n++;
}

static Made zip_end(Zip *z)
{
    Made *m = &z->file;
    uint64_t start = m->n;
    add(m, z->directory.at, z->directory.n);
    if (z->is_wide) {
        uint64_t end = m->n;
        add(m, "PK\6\6", 4);
        add_little(m, 44, 8);
        add_little(m, 0x002d002d, 4 + 8); /* versions; disks */
        add_little(m, (uint64_t)z->n, 8);
        add_little(m, (uint64_t)z->n, 8);
        add_little(m, z->directory.n, 8);
        add_little(m, start, 8);
        add(m, "PK\6\7\0\0\0\0", 8);
        add_little(m, end, 8);
        add_little(m, 1, 4);
    }
    add(m, "PK\5\6\0\0\0\0", 8);
    add_little(m, z->is_wide ? 0xFFFF : (uint64_t)z->n, 2);
    add_little(m, z->is_wide ? 0xFFFF : (uint64_t)z->n, 2);
    add_little(m, z->directory.n, 4);
    add_little(m, z->is_wide ? 0xFFFFFFFF : start, 4);
    add_little(m, 5, 2);
    add(m, "hello", 5);
    return *m;
}

static Made archive(bool is_wide, unsigned method)
{
    Zip z = {.is_wide = is_wide};
    Made x = npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "abc", 3);
    Made y = npy(1, "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1)}", "\1\0\2\0", 4);
    Made odd = npy(1, "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", "?", 1);
    zip_add(&z, "x.npy", &x, method);
    zip_add(&z, "notes.txt", &odd, method);
    zip_add(&z, "odd.npy", &odd, method);
    zip_add(&z, "long name/y.npy", &y, method);
    return zip_end(&z);
}

static const char *const both[] = {"x", "long name/y"};

static int read_archive(const Made *m, size_t n, NdeTable *t)
{
    put(m, n);
    NdeReadOptions o = {.name = both, .n_name = 2};
    return nde_npz_table(path, &o, t, &e);
}

START_TEST(archives_are_read)
{
    Made m = archive(_i & 1, _i & 2 ? DEFLATED : STORED);
    NdeTable t;
    ck_assert_msg(read_archive(&m, m.n, &t) == 0, "%s", e.text);
    ck_assert_int_eq(t.n, 3);
    ck_assert_str_eq(t.field[0].name, "x");
    ck_assert(t.field[0].type == NDE_BYTE && nde_field_get(&t.field[0], 2) == 'c' && t.field[0].end[0] == 3);
    ck_assert_str_eq(t.field[1].name, "odd"); /* listed, though it could not be read */
    ck_assert_ptr_null(t.field[1].value);
    ck_assert_str_eq(t.field[2].name, "long name/y");
    ck_assert(t.field[2].rank == 2 && nde_field_get(&t.field[2], 1) == 2);
    nde_table_free(&t);
    NdeReadOptions all = {0};
    ck_assert_int_eq(nde_npz_table(path, &all, &t, &e), 4);
    ck_assert_ptr_nonnull(strstr(e.text, "odd"));
    ck_assert_ptr_null(t.field);
}
END_TEST

START_TEST(cut_archives_are_refused)
{
    Made m = archive(_i & 1, DEFLATED);
    NdeTable t;
    for (size_t n = 0; n < m.n; n++) {
        ck_assert_msg(read_archive(&m, n, &t) == 4, "%zu of %zu bytes were accepted", n, m.n);
        ck_assert_ptr_nonnull(strstr(e.text, path));
    }
}
END_TEST

START_TEST(damaged_archives_do_no_harm)
{
    const unsigned char wrong[] = {0, 1, 0x7F, 0xFF};
    Made m = archive(_i & 1, _i & 2 ? DEFLATED : STORED);
    for (size_t k = 0; k < m.n * 4; k++) {
        NdeTable t;
        Made changed = m;
        changed.at[k / 4] = wrong[k % 4];
        int status = read_archive(&changed, m.n, &t);
        ck_assert_msg(status == 0 || status == 4, "byte %zu: %d, %s", k / 4, status, e.text);
        nde_table_free(&t);
    }
    size_t data = 4 + 26 + 5; /* of the first member */
    m.at[data + 20] ^= 1;
    NdeTable t;
    ck_assert_int_eq(read_archive(&m, m.n, &t), 4); /* its checksum sees it */
}
END_TEST

START_TEST(what_is_no_archive_is_refused)
{
    NdeTable t;
    Made m = npy(1, "{'descr': '|u1', 'fortran_order': False, 'shape': (3,)}", "abc", 3);
    ck_assert_int_eq(read_archive(&m, m.n, &t), 4);
    Zip z = {.n = 0};
    m = zip_end(&z);
    ck_assert_int_eq(read_archive(&m, m.n, &t), 4);
    ck_assert_ptr_nonnull(strstr(e.text, "no arrays"));
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_arrayXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/a", dir);
    Suite *s = suite_create("array");
    TCase *t = tcase_create("array");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, every_type_is_read_in_both_byte_orders, 0, (int)(sizeof typed / sizeof typed[0]));
    tcase_add_test(t, brain_floats_and_nan_are_read);
    tcase_add_test(t, bytes_are_fractions_unless_they_are_classes);
    tcase_add_test(t, columns_first_becomes_rows_first);
    tcase_add_test(t, all_versions_and_spellings_are_read);
    tcase_add_test(t, bad_headers_are_refused);
    tcase_add_test(t, cut_arrays_say_how_much_is_missing);
    tcase_add_test(t, what_is_written_is_read);
    tcase_add_loop_test(t, archives_are_read, 0, 4);
    tcase_add_loop_test(t, cut_archives_are_refused, 0, 2);
    tcase_add_loop_test(t, damaged_archives_do_no_harm, 0, 4);
    tcase_add_test(t, what_is_no_archive_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_set_fork_status(r, CK_NOFORK);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    unlink(path);
    rmdir(dir);
    return failed != 0;
}
