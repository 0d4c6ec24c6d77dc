/* distance.c: the root mean square of (a - b) / (atol + rtol |b|) over two NPY files: an error in units of the
 * tolerance. distance A B ATOL RTOL */
#include "io.h"

#include <math.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    NdeField field[2] = {{0}};
    NdeError e = {0};
    if (argc != 5 || nde_npy_read(argv[1], &field[0], &e) || nde_npy_read(argv[2], &field[1], &e)) {
        fprintf(stderr, "distance A B ATOL RTOL: %s\n", e.text);
        return 2;
    }
    size_t n = nde_field_count(&field[0]);
    double atol = atof(argv[3]), rtol = atof(argv[4]), sum = 0;
    if (n != nde_field_count(&field[1]) || n < 1) {
        fprintf(stderr, "distance: %zu numbers and %zu\n", n, nde_field_count(&field[1]));
        return 2;
    }
    for (size_t i = 0; i < n; i++) {
        double a = nde_field_get(&field[0], i), b = nde_field_get(&field[1], i), d = (a - b) / (atol + rtol * fabs(b));
        sum += d * d;
    }
    printf("%.3g\n", sqrt(sum / (double)n));
    nde_field_free(&field[0]);
    nde_field_free(&field[1]);
    return 0;
}
