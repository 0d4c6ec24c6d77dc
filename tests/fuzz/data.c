/* data.c: every reader of foreign files on bytes that mean harm (libFuzzer).
 *
 * Needs: clang -fsanitize=fuzzer,address,undefined; with -DNDE_REPLAY any compiler makes a program that runs the files
 * given as arguments. The first byte chooses the reader, the second how it is called; the rest is the file. Whatever
 * is read must be readable to its last element. */
#include "../../runtime/io.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static char path[] = "/tmp/nde_fuzzXXXXXX";

static void write_file(const uint8_t *bytes, size_t n)
{
    static int fd = -1;
    if (fd < 0)
        fd = mkstemp(path);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, n, 0) != (ssize_t)n)
        abort();
}

static void read_tensors(void)
{
    NdeTensors t;
    NdeError e;
    if (nde_tensors_read(path, &t, &e))
        return;
    for (int i = 0; i < t.n; i++) {
        size_t count = nde_tensor_count(&t.tensor[i]);
        double *x = malloc(count * sizeof *x + 1);
        if (x)
            nde_tensor_get(&t.tensor[i], x);
        free(x);
        if (nde_tensors_find(&t, t.tensor[i].name) != &t.tensor[i])
            abort();
    }
    nde_tensors_free(&t);
}

static void read_table(int kind, int rows)
{
    int (*const reader[])(const char *, const NdeReadOptions *, NdeTable *,
                          NdeError *) = {nde_idx_table, nde_csv_table, nde_npy_table, nde_npz_table, nde_record_table};
    NdeReadOptions o = {.rows = rows};
    NdeTable t;
    NdeError e;
    if (reader[kind](path, &o, &t, &e))
        return;
    double sum = 0;
    for (int i = 0; i < t.n; i++)
        for (size_t k = 0, count = nde_field_count(&t.field[i]); k < count; k++)
            sum += nde_field_get(&t.field[i], k);
    if (isinf(sum) && kind == 4)
        abort(); /* bytes are finite; and the sum is used */
    nde_table_free(&t);
}

static void read_data(int kind, int rows)
{
    static const char *const name[] = {"idx", "csv", "npy", "npz", "records"};
    const char *const file[] = {path, path};
    const NdeDataSpec spec[] = {{"x", 0, 0, 2, {2, 2}}, {"digit", 1, 10, 0, {0}}};
    NdeSourceSpec source = {name[kind], file, 1 + (rows & 1), 1, rows / 2};
    const unsigned char wanted[] = {1, (unsigned char)(rows & 1)};
    NdeDataRequest r = {&source, 1, spec, 2, NULL, wanted};
    NdeData d;
    NdeError e;
    if (nde_data_open(&r, &d, &e)) {
        if (e.exit_code != NDE_EXIT_DATA && e.exit_code != NDE_EXIT_MEMORY)
            abort();
        return;
    }
    for (long s = 0; s < nde_data_count(&d); s++) {
        double x[4];
        nde_data_get(&d, 0, s, x);
        if (!isfinite(x[0] + x[3]))
            abort();
    }
    nde_data_close(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2)
        return 0;
    write_file(bytes + 2, n - 2);
    int kind = bytes[0] % 6, rows = bytes[1] % 8;
    if (kind == 5) {
        read_tensors();
    } else {
        read_table(kind, rows);
        read_data(kind, rows);
    }
    return 0;
}

#ifdef NDE_REPLAY
int main(int n, char **file)
{
    for (int i = 1; i < n; i++) {
        NdeBytes b;
        NdeError e;
        if (nde_file_read(file[i], &b, &e)) {
            fprintf(stderr, "%s\n", e.text);
            return e.exit_code;
        }
        LLVMFuzzerTestOneInput(b.at, b.n);
        free(b.at);
    }
    unlink(path);
    return 0;
}
#endif
