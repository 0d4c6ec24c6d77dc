# ndec: everything is built in build/; nothing else is written but runs/ and installed files.
#   make demo    set-up, build, and a first trained model        make check   set-up, then every test
#   make build   the compiler and its runtime                    make bench   measurements
#   make test    the tests for every day                         make install DESTDIR= PREFIX=/usr/local
B       = build
SAY     = @echo '  $(@F)';   # make SAY= shows the commands
CC     ?= cc
PREFIX ?= /usr/local
V       = 0.1
WARN    = -pedantic -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
          -Wdouble-promotion -Wundef
CSTD    = -std=c11 -D_POSIX_C_SOURCE=200809L
CFLAGS ?= -O2 -g
ALL     = $(CSTD) $(WARN) $(CFLAGS) -MMD -MP -iquote compiler -iquote $(B)/gen -iquote runtime

# The runtime without a number type, the part that is compiled for float and for double, and the compiler.
REAL    = $(patsubst runtime/%.c,%,$(shell grep -l '"\(run\|batch\|optim\|param\|timing\|trial\)\.h"' runtime/*.c))
PLAIN   = $(filter-out $(REAL),$(patsubst runtime/%.c,%,$(wildcard runtime/*.c)))
RUNTIME = $(PLAIN:%=$(B)/runtime/%.o) $(REAL:%=$(B)/runtime/%_f32.o) $(REAL:%=$(B)/runtime/%_f64.o)
NDEC    = $(patsubst compiler/%.c,$(B)/compiler/%.o,$(wildcard compiler/*.c)) $(B)/gen/parser.o $(B)/gen/lexer.o \
          $(B)/gen/prelude.o
PRELUDE = compiler/prelude/functions.nde compiler/prelude/layers.nde compiler/prelude/methods.nde \
          compiler/prelude/high_order.nde compiler/prelude/quantities.nde
HEADERS = runtime/nde.h $(wildcard runtime/nde_*.h)

build: $(B)/ndec $(B)/libnde.a

$(B)/ndec: $(NDEC) | $(B)/libnde.a
	$(SAY)$(CC) $(CFLAGS) $^ $(B)/libnde.a -o $@ -pthread -lgmp -lcjson -lz -lm
$(B)/libnde.a: $(RUNTIME)
	@rm -f $@
	$(SAY)ar rcs $@ $^

$(B)/compiler/%.o: compiler/%.c | $(B)/gen/parser.h
	@mkdir -p $(@D)
	$(SAY)$(CC) $(ALL) -c $< -o $@
$(B)/gen/%.o: $(B)/gen/%.c
	$(SAY)$(CC) $(ALL) -Wno-overlength-strings -c $< -o $@
RFLAGS  = -O3 -pthread -ffp-contract=off -fno-math-errno
$(B)/runtime/%_f32.o: runtime/%.c
	@mkdir -p $(@D)
	$(SAY)$(CC) $(ALL) $(RFLAGS) -c $< -o $@
$(B)/runtime/%_f64.o: runtime/%.c
	@mkdir -p $(@D)
	$(SAY)$(CC) $(ALL) $(RFLAGS) -DNDE_DOUBLE -c $< -o $@
$(B)/runtime/%.o: runtime/%.c
	@mkdir -p $(@D)
	$(SAY)$(CC) $(ALL) $(RFLAGS) -c $< -o $@

$(B)/gen/parser.c $(B)/gen/parser.h: grammar/parser.y
	@mkdir -p $(@D)
	$(SAY)bison -Wall -Werror -Wcounterexamples -o $(B)/gen/parser.c --header=$(B)/gen/parser.h $<
$(B)/gen/lexer.c: grammar/lexer.l $(B)/gen/parser.h
	$(SAY)flex -o $@ $<
# The prelude as text, one string a line.
$(B)/gen/prelude.c: $(PRELUDE) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "prelude.h"'; echo 'const struct PreludeFile prelude_file[] = {'; \
	   for f in $(PRELUDE); do echo "{\"prelude/$$(basename $$f)\","; \
	     sed 's/\\/\\\\/g; s/"/\\"/g; s/^/"/; s/$$/\\n"/' $$f; echo '},'; done; \
	   echo '{0, 0}};'; } > $@

clean:
	rm -rf $(B)

-include $(wildcard $(B)/*/*.d)
.PHONY: build clean
.DELETE_ON_ERROR:

# ---- for people: set-up, demonstration, tests, installation ----
setup:
	@CC="$(CC)" sh .ci/setup
demo: setup
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@sh examples/demo.sh $(B)/ndec
check: setup
	@$(MAKE) --no-print-directory -j$$(nproc) build
	@CC="$(CC)" MAKE="$(MAKE)" sh tests/run.sh
test: build
	@CC="$(CC)" MAKE="$(MAKE)" sh tests/run.sh unit golden
bench: build
	@CC="$(CC)" JOBS=1 sh tests/run.sh bench

TO = $(DESTDIR)$(PREFIX)
install: build
	install -d $(TO)/bin $(TO)/lib/ndec $(TO)/lib/pkgconfig $(TO)/include/ndec $(TO)/share/man/man1 $(TO)/share/ndec/examples
	install -m 755 $(B)/ndec $(TO)/bin/ndec
	install -m 644 $(B)/libnde.a $(TO)/lib/ndec/libnde.a
	install -m 644 $(HEADERS) $(TO)/include/ndec/
	install -m 644 compiler/ndec.1 $(TO)/share/man/man1/ndec.1
	install -m 644 $(wildcard examples/*.nde examples/*.csv examples/*.gz examples/*.npz examples/*.npy examples/*.png examples/README.md) \
	    $(TO)/share/ndec/examples/
	install -m 755 examples/fetch_mnist.sh $(TO)/share/ndec/examples/fetch_mnist.sh
	sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(V)|' compiler/ndec.pc.in > $(TO)/lib/pkgconfig/ndec.pc
uninstall:
	rm -f $(TO)/bin/ndec $(TO)/lib/pkgconfig/ndec.pc $(TO)/share/man/man1/ndec.1
	rm -rf $(TO)/lib/ndec $(TO)/include/ndec $(TO)/share/ndec
.PHONY: setup demo check test bench install uninstall
