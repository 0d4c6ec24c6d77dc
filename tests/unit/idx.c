/* idx.c: IDX files and records.
 *
 * Needs: a folder for scratch files. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char dir[64], path[128];
static NdeError e;

static int read_bytes(const void *bytes, size_t n, NdeTable *t)
{
    NdeReadOptions o = {0};
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
    return nde_idx_table(path, &o, t, &e);
}

static const struct {
    unsigned char code;
    size_t n;
    unsigned char bytes[8];
    double value;
} typed[] = {
    {0x08, 1, {200}, 200},
    {0x09, 1, {0xFF}, -1},
    {0x0B, 2, {0xFF, 0xFE}, -2},
    {0x0C, 4, {0, 1, 0, 1}, 65537},
    {0x0D, 4, {0xBF, 0xC0, 0, 0}, -1.5},
    {0x0E, 8, {0x3F, 0xF8, 0, 0, 0, 0, 0, 0}, 1.5},
};

START_TEST(every_type_is_read)
{
    unsigned char bytes[16] = {0, 0, typed[_i].code, 1, 0, 0, 0, 1};
    memcpy(bytes + 8, typed[_i].bytes, typed[_i].n);
    NdeTable t;
    ck_assert_msg(read_bytes(bytes, 8 + typed[_i].n, &t) == 0, "%s", e.text);
    ck_assert(t.n == 1 && t.field[0].dim[0] == 1 && t.field[0].end[0] == 1 && !t.field[0].name);
    ck_assert(nde_field_get(&t.field[0], 0) == typed[_i].value);
    nde_table_free(&t);
}
END_TEST

static const unsigned char images[] = {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60};

START_TEST(axes_are_read_in_order)
{
    NdeTable t;
    ck_assert_int_eq(read_bytes(images, sizeof images, &t), 0);
    const NdeField *f = &t.field[0];
    ck_assert(f->rank == 3 && f->dim[0] == 2 && f->dim[1] == 1 && f->dim[2] == 3);
    ck_assert_uint_eq(nde_field_sample(f), 3);
    for (size_t i = 0; i < 6; i++)
        ck_assert(nde_field_get(f, i) == 10 * (double)(i + 1));
    nde_table_free(&t);
}
END_TEST

START_TEST(gzip_is_read)
{
    NdeReadOptions o = {0};
    NdeTable t;
    gzFile to = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(to, images, sizeof images), sizeof images);
    gzclose(to);
    ck_assert_int_eq(nde_idx_table(path, &o, &t, &e), 0);
    ck_assert(nde_field_get(&t.field[0], 5) == 60);
    nde_table_free(&t);
}
END_TEST

START_TEST(cut_files_say_how_much_is_missing)
{
    NdeTable t;
    for (size_t n = 0; n < sizeof images; n++) {
        ck_assert_msg(read_bytes(images, n, &t) == 4, "%zu bytes were accepted", n);
        ck_assert_ptr_nonnull(strstr(e.text, path));
        ck_assert_ptr_null(t.field);
    }
    ck_assert_ptr_nonnull(strstr(e.text, "6 bytes"));
    ck_assert_ptr_nonnull(strstr(e.text, "5 are there"));
}
END_TEST

START_TEST(bad_headers_are_refused)
{
    static const struct {
        size_t n;
        unsigned char bytes[44];
    } made[] = {
        {9, {1, 0, 8, 1, 0, 0, 0, 1, 7}},     /* not two zeros */
        {9, {0, 0, 7, 1, 0, 0, 0, 1, 7}},     /* no such type */
        {5, {0, 0, 8, 0, 7}},                 /* no axis */
        {41, {0, 0, 8, 9}},                   /* too many axes */
        {10, {0, 0, 8, 1, 0, 0, 0, 1, 7, 7}}, /* too long */
        {16, {0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
        {20, {0, 0, 14, 4, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
    };
    for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
        NdeTable t;
        ck_assert_msg(read_bytes(made[i].bytes, made[i].n, &t) == 4, "header %zu was accepted", i);
    }
}
END_TEST

START_TEST(records_are_bytes)
{
    NdeReadOptions o = {0};
    NdeTable t;
    ck_assert_int_eq(read_bytes(images, sizeof images, &t), 0);
    nde_table_free(&t);
    ck_assert_int_eq(nde_record_table(path, &o, &t, &e), 0);
    ck_assert(t.form == NDE_RECORDS && t.field[0].rank == 1 && t.field[0].dim[0] == sizeof images);
    ck_assert_mem_eq(t.field[0].value, images, sizeof images);
    nde_table_free(&t);
    ck_assert_int_eq(nde_record_table("/no/such/file", &o, &t, &e), 2);
    ck_assert_int_eq(nde_idx_table("/no/such/file", &o, &t, &e), 2);
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_idxXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/a", dir);
    Suite *s = suite_create("idx");
    TCase *t = tcase_create("idx");
    tcase_add_loop_test(t, every_type_is_read, 0, (int)(sizeof typed / sizeof typed[0]));
    tcase_add_test(t, axes_are_read_in_order);
    tcase_add_test(t, gzip_is_read);
    tcase_add_test(t, cut_files_say_how_much_is_missing);
    tcase_add_test(t, bad_headers_are_refused);
    tcase_add_test(t, records_are_bytes);
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
