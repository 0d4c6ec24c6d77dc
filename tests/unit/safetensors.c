/* safetensors.c: named arrays, written, read, cut short and forged.
 *
 * Needs: a folder for scratch files. Gives: nonzero if a test fails. */
#include "../../runtime/io.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[128];
static NdeError e;

static void put(const void *bytes, size_t n)
{
    FILE *to = fopen(path, "wb");
    ck_assert_ptr_nonnull(to);
    ck_assert_uint_eq(fwrite(bytes, 1, n, to), n);
    ck_assert_int_eq(fclose(to), 0);
}

/* A file of this header and n_data bytes 0, 1, 2, … */
static int read_made(const char *header, size_t n_data, NdeTensors *t)
{
    unsigned char bytes[2048] = {0};
    size_t n = strlen(header);
    ck_assert_uint_le(8 + n + n_data, sizeof bytes);
    bytes[0] = (unsigned char)n;
    bytes[1] = (unsigned char)(n >> 8);
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < n_data; i++)
        bytes[8 + n + i] = (unsigned char)i;
    put(bytes, 8 + n + n_data);
    return nde_tensors_read(path, t, &e);
}

static const float weight[6] = {1, -2.5f, 0.1f, 4, 5, 6};
static const double rate[1] = {0.1};

static void write_two(void)
{
    NdeTensor tensor[2] = {
        {.name = "field.hidden.W", .type = NDE_F32, .rank = 2, .dim = {2, 3}, .value = weight},
        {.name = "b[0] \"x\"", .type = NDE_F64, .rank = 0, .value = rate},
    };
    NdePair pair[2] = {{"format", "pt"}, {"step", "17\n\"\xC3\xA9\""}};
    NdeTensors t = {.tensor = tensor, .n = 2, .pair = pair, .n_pair = 2};
    ck_assert_msg(nde_tensors_write(path, &t, &e) == 0, "%s", e.text);
}

START_TEST(what_is_written_is_read)
{
    NdeTensors t;
    write_two();
    ck_assert_msg(nde_tensors_read(path, &t, &e) == 0, "%s", e.text);
    ck_assert_int_eq(t.n, 2);
    const NdeTensor *w = nde_tensors_find(&t, "field.hidden.W"), *b = nde_tensors_find(&t, "b[0] \"x\"");
    ck_assert(w && b && !nde_tensors_find(&t, "field.hidden"));
    ck_assert(w->type == NDE_F32 && w->rank == 2 && w->dim[0] == 2 && w->dim[1] == 3);
    ck_assert_mem_eq(w->value, weight, sizeof weight);
    double x[6];
    nde_tensor_get(w, x);
    ck_assert(x[2] == (double)0.1f);
    ck_assert(b->type == NDE_F64 && b->rank == 0 && nde_tensor_count(b) == 1);
    nde_tensor_get(b, x);
    ck_assert(x[0] == 0.1);
    ck_assert_str_eq(nde_tensors_pair(&t, "format"), "pt");
    ck_assert_str_eq(nde_tensors_pair(&t, "step"), "17\n\"\xC3\xA9\"");
    ck_assert_ptr_null(nde_tensors_pair(&t, "other"));
    nde_tensors_free(&t);
}
END_TEST

START_TEST(the_file_is_as_the_format_says)
{
    NdeBytes b;
    write_two();
    ck_assert_int_eq(nde_file_read(path, &b, &e), 0);
    size_t n = (size_t)nde_little(b.at, 8);
    ck_assert_uint_eq(n % 8, 0);
    ck_assert_uint_eq(b.n, 8 + n + 24 + 8);
    ck_assert(b.at[8] == '{' && (b.at[7 + n] == ' ' || b.at[7 + n] == '}'));
    static const char want[] = "\"field.hidden.W\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}";
    b.at[8 + n - 1] = '\0';
    ck_assert_ptr_nonnull(strstr((const char *)b.at + 8, want));
    ck_assert_mem_eq(b.at + 8 + n, weight, sizeof weight);
    free(b.at);
}
END_TEST

START_TEST(an_empty_set_is_written_and_read)
{
    NdeTensors none = {.n = 0}, t;
    ck_assert_int_eq(nde_tensors_write(path, &none, &e), 0);
    ck_assert_msg(nde_tensors_read(path, &t, &e) == 0, "%s", e.text);
    ck_assert(t.n == 0 && t.n_pair == 0);
    nde_tensors_free(&t);
}
END_TEST

START_TEST(a_full_disk_is_reported)
{
    NdeTensor tensor = {.name = "w", .type = NDE_F32, .rank = 1, .dim = {6}, .value = weight};
    NdeTensors t = {.tensor = &tensor, .n = 1};
    ck_assert_int_eq(nde_tensors_write("/dev/full", &t, &e), 2);
    ck_assert_int_eq(nde_tensors_write("/no/such/folder/w", &t, &e), 2);
    ck_assert_int_eq(nde_tensors_read("/no/such/file", &t, &e), 2);
}
END_TEST

START_TEST(foreign_types_and_orders_are_read)
{
    NdeTensors t;
    double x[4];
    ck_assert_msg(read_made("{\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]}, "
                            "\"a\":{\"data_offsets\":[0,8],\"shape\":[1,1],\"dtype\":\"I64\"}, "
                            "\"e\":{\"data_offsets\":[12,12],\"shape\":[0,5],\"dtype\":\"F64\"}, "
                            "\"c\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[12,14]}}  \n",
                            14, &t) == 0,
                  "%s", e.text);
    ck_assert_str_eq(t.tensor[0].name, "a"); /* in the order of the data */
    nde_tensor_get(nde_tensors_find(&t, "a"), x);
    ck_assert(x[0] == (double)0x0706050403020100);
    nde_tensor_get(nde_tensors_find(&t, "b"), x);
    ck_assert(x[0] == 0x1.1p-109); /* 0x0908 is 2^(18 - 127) (1 + 8 / 128) */
    nde_tensor_get(nde_tensors_find(&t, "c"), x);
    ck_assert(x[0] == 0x1.43p-12); /* 0x0D0C is 2^(3 - 15) (1 + 268 / 1024) */
    ck_assert_uint_eq(nde_tensor_count(nde_tensors_find(&t, "e")), 0);
    nde_tensors_free(&t);
}
END_TEST

START_TEST(forged_headers_are_refused)
{
    static const char *const header[] = {
        "",
        " ",
        "[]",
        "1",
        "null",
        "\"x\"",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1}",
        "{\"a\":[]}",
        "{\"a\":{}}",
        "{} x",
        "{}", /* which leaves 8 bytes behind the last tensor */
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":8,\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,1e30]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
        "{\"__metadata__\":1,\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{\"x\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        "{\"__metadata__\":{},\"__metadata__\":{\"x\":\"y\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[0,8]}}",
    };
    NdeTensors t;
    for (size_t i = 0; i < sizeof header / sizeof header[0]; i++) {
        ck_assert_msg(read_made(header[i], 8, &t) == 4, "accepted: %s", header[i]);
        ck_assert_ptr_nonnull(strstr(e.text, path));
        ck_assert(!t.tensor && !t.header && !t.bytes.at);
    }
    ck_assert_int_eq(read_made("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, &t), 0);
    nde_tensors_free(&t);
}
END_TEST

START_TEST(deep_nesting_does_no_harm)
{
    char text[1600];
    memset(text, '[', sizeof text - 1);
    memcpy(text, "{\"a\":", 5);
    text[sizeof text - 1] = '\0';
    NdeTensors t;
    ck_assert_int_eq(read_made(text, 0, &t), 4);
}
END_TEST

START_TEST(cut_and_damaged_files_do_no_harm)
{
    static const unsigned char wrong[] = {0, '"', '9', 0xFF};
    NdeTensors t;
    NdeBytes b;
    write_two();
    ck_assert_int_eq(nde_file_read(path, &b, &e), 0);
    for (size_t n = 0; n < b.n; n++) {
        put(b.at, n);
        ck_assert_msg(nde_tensors_read(path, &t, &e) == 4, "%zu of %zu bytes were accepted", n, b.n);
    }
    for (size_t k = 0; k < b.n * 4; k++) {
        unsigned char old = b.at[k / 4];
        b.at[k / 4] = wrong[k % 4];
        put(b.at, b.n);
        int status = nde_tensors_read(path, &t, &e);
        ck_assert(status == 0 || status == 4);
        nde_tensors_free(&t);
        b.at[k / 4] = old;
    }
    free(b.at);
}
END_TEST

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.40s/nde_tensorsXXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(path, sizeof path, "%s/a.safetensors", dir);
    Suite *s = suite_create("safetensors");
    TCase *t = tcase_create("safetensors");
    tcase_add_test(t, what_is_written_is_read);
    tcase_add_test(t, the_file_is_as_the_format_says);
    tcase_add_test(t, an_empty_set_is_written_and_read);
    tcase_add_test(t, a_full_disk_is_reported);
    tcase_add_test(t, foreign_types_and_orders_are_read);
    tcase_add_test(t, forged_headers_are_refused);
    tcase_add_test(t, deep_nesting_does_no_harm);
    tcase_add_test(t, cut_and_damaged_files_do_no_harm);
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
