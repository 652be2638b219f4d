// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guest's counter from the host's, against whole numbers of any size, and
 * which counters are trusted.
 */
#include <fcntl.h>
#include <unistd.h>

#include "guest-counter.h"
#include "vectors.h"

static unsigned int each(const char *kind, void (*test)(const struct vector *v))
{
	FILE *table = popen("python3 tests/host_vectors.py", "r");
	char line[512];
	struct vector v;
	unsigned int n = 0;

	while (table && fgets(line, sizeof(line), table)) {
		if (!strncmp(line, "seed", 4))
			printf("# %s", line);
		if (strncmp(line, kind, strlen(kind)))
			continue;
		vector_parse(line + strlen(kind), &v);
		test(&v);
		n++;
	}
	is_int(table ? pclose(table) : -1, 0);
	return n;
}

static void guest_vector(const struct vector *v)
{
	struct guest_counter guest = {
		.ratio = v->args[1], .frac_bits = v->args[2], .offset = v->args[3],
	};

	is_u64(guest_counter_from_host(&guest, v->args[0]), v->results[0]);
}

TAP_TEST(conversion_agrees_with_big_integers)
{
	ok(each("guest", guest_vector) > 3500);
}

/* What the guest counts in between is never more than the ticks given. */
static void ticks_vector(const struct vector *v)
{
	struct guest_counter guest = { .ratio = v->args[2], .frac_bits = v->args[3] };
	uint64_t ticks = guest_counter_ticks(&guest, v->args[1] - v->args[0]);

	ok(ticks >= (uint64_t)v->results[0] && ticks <= (uint64_t)v->results[0] + 2);
}

TAP_TEST(a_distance_in_guest_ticks_is_rounded_up)
{
	ok(each("ticks", ticks_vector) == 3000);
}

TAP_TEST(a_counter_that_is_not_scaled_keeps_its_ticks)
{
	struct guest_counter guest = { .ratio = 1ULL << 48, .frac_bits = 48 };

	is_u64(guest_counter_ticks(&guest, 1234), 1234);
}

TAP_TEST(readings_go_forward)
{
	struct guest_counter guest = { .ratio = 1, .frac_bits = 0, .offset = 0 };
	uint64_t first = guest_counter_read(&guest);

	ok(guest_counter_read(&guest) >= first);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	is_int(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static bool trusted(const char *clocksource, const char *cpuinfo)
{
	char a[] = "/tmp/vmclock-source-XXXXXX", b[] = "/tmp/vmclock-cpuinfo-XXXXXX";
	bool answer;

	close(mkstemp(a));
	close(mkstemp(b));
	put(a, clocksource);
	put(b, cpuinfo);
	answer = guest_counter_is_trusted(a, b);
	unlink(a);
	unlink(b);
	return answer;
}

TAP_TEST(a_tsc_is_trusted_if_it_is_the_clocksource_or_invariant)
{
	if (COUNTER_ID != VMCLOCK_PAGE_COUNTER_X86_TSC)
		skip("not an x86 processor");
	ok(trusted("tsc\n", ""));
	ok(trusted("hpet\n", "processor : 0\nflags\t: fpu constant_tsc nonstop_tsc sse\n"));
	ok(!trusted("hpet\n", "flags\t: fpu constant_tsc sse\n"));
	ok(!trusted("hpet\n", "flags\t: fpu nonstop_tsc sse\n"));
	ok(!trusted("hpet\n", "flags\t: xconstant_tsc nonstop_tsc_s3 nonstop_tsc\n"));
	ok(!trusted("tsc-early\n", ""));
	ok(!trusted("", ""));
	ok(!guest_counter_is_trusted("/nonexistent", "/nonexistent"));
}

int main(void)
{
	return tap_main();
}
