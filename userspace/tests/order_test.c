// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which stamp was first, whether it still holds, and whether to trust it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>

#include "pages.h"
#include "tap.h"
#include "vmclk-stamp.h"

/* An interval in ns, of one page and epoch, in TAI. */
static struct vmclk_stamp stamp(int64_t early, int64_t late)
{
	const int64_t second = 1000000000, base = 1767225637;

	return (struct vmclk_stamp){
		.valid = VMCLK_STAMP_TIME | VMCLK_STAMP_GENERATION,
		.time_type = VMCLOCK_PAGE_TIME_TAI,
		.clock_status = VMCLOCK_PAGE_STATUS_SYNCHRONIZED,
		.page_id = 1, .disruption_marker = 2, .vm_generation_counter = 3,
		.reference_sec = base,
		.earliest = { base + early / second, (uint32_t)(early % second) },
		.point = { base + early / second, (uint32_t)(early % second) },
		.latest = { base + late / second, (uint32_t)(late % second) },
	};
}

/* What all five functions say of @a and @b, and of @b and @a. */
static void is_ordered(const struct vmclk_stamp *a, const struct vmclk_stamp *b,
		       enum vmclk_order want)
{
	enum vmclk_order order = 55;

	is_int(vmclk_compare(a, b, &order), 0);
	is_int(order, want);
	is_int(vmclk_compare(b, a, &order), 0);
	is_int(order, -(int)want);
	is_int(vmclk_compare_across(a, b, &order), 0);
	is_int(order, want);
	is_int(vmclk_before(a, b), want == VMCLK_BEFORE);
	is_int(vmclk_after(a, b), want == VMCLK_AFTER);
	is_int(vmclk_overlaps(a, b), want == VMCLK_OVERLAPS);
	is_int(vmclk_before(b, a), want == VMCLK_AFTER);
}

TAP_TEST(an_interval_is_before_another_only_if_all_of_it_is)
{
	static const struct {
		int64_t a[2], b[2];
		enum vmclk_order want;
	} table[] = {
		{ { 10, 20 }, { 21, 30 }, VMCLK_BEFORE },
		{ { 10, 20 }, { 20, 30 }, VMCLK_OVERLAPS },	/* they touch */
		{ { 10, 20 }, { 19, 30 }, VMCLK_OVERLAPS },
		{ { 10, 40 }, { 20, 30 }, VMCLK_OVERLAPS },
		{ { 10, 10 }, { 10, 10 }, VMCLK_OVERLAPS },
		{ { 10, 10 }, { 11, 11 }, VMCLK_BEFORE },
		{ { 31, 40 }, { 20, 30 }, VMCLK_AFTER },
		{ { 30, 40 }, { 20, 30 }, VMCLK_OVERLAPS },
		/* the second decides before the nanosecond */
		{ { 10, 999999999 }, { 1000000000, 1000000000 }, VMCLK_BEFORE },
		{ { 3000000000, 3000000001 }, { 10, 2999999999 }, VMCLK_AFTER },
	};

	for (unsigned int i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct vmclk_stamp a = stamp(table[i].a[0], table[i].a[1]);
		struct vmclk_stamp b = stamp(table[i].b[0], table[i].b[1]);

		is_ordered(&a, &b, table[i].want);
	}
}

/* @a and @b are not ordered by one page, and by two clocks for @across. */
static void not_ordered(const struct vmclk_stamp *a, const struct vmclk_stamp *b, int error,
			int across)
{
	enum vmclk_order order = 55;

	is_int(vmclk_compare(a, b, &order), error);
	is_int(vmclk_compare(b, a, &order), error);
	is_int(order, 55);
	ok(!vmclk_before(a, b) && !vmclk_after(a, b) && !vmclk_overlaps(a, b));
	is_int(vmclk_compare_across(a, b, &order), across);
	is_int(order, across ? 55 : VMCLK_BEFORE);
}

#define NOT_ORDERED_TEST(name, change, error, across) \
	TAP_TEST(name) \
	{ \
		struct vmclk_stamp a = stamp(10, 20), b = stamp(30, 40); \
		\
		b.change; \
		not_ordered(&a, &b, error, across); \
	}

NOT_ORDERED_TEST(two_pages_are_compared_on_purpose_only, page_id = 9, -VMCLK_EPAGES, 0)
NOT_ORDERED_TEST(a_disruption_ends_the_order, disruption_marker = 9, -VMCLK_EEPOCHS, 0)
NOT_ORDERED_TEST(a_clone_ends_the_order, vm_generation_counter = 9, -VMCLK_EEPOCHS, 0)
NOT_ORDERED_TEST(a_generation_that_only_one_has_ends_the_order,
		 valid = VMCLK_STAMP_TIME, -VMCLK_EEPOCHS, 0)
NOT_ORDERED_TEST(a_stamp_without_time_has_no_order,
		 valid = VMCLK_STAMP_GENERATION, -VMCLK_ENOTIME, -VMCLK_ENOTIME)
NOT_ORDERED_TEST(two_scales_have_no_order,
		 time_type = VMCLOCK_PAGE_TIME_UTC, -VMCLK_ESCALES, -VMCLK_ESCALES)
NOT_ORDERED_TEST(what_ends_before_it_begins_has_no_order, latest.sec--, -EINVAL, -EINVAL)
NOT_ORDERED_TEST(too_many_nanoseconds_have_no_order,
		 latest.nsec = 1000000000, -EINVAL, -EINVAL)
NOT_ORDERED_TEST(a_point_outside_its_interval_has_no_order, point.nsec = 41, -EINVAL, -EINVAL)

TAP_TEST(monotonic_stamps_are_ordered_on_their_own_page_only)
{
	struct vmclk_stamp a = stamp(10, 20), b = stamp(30, 40);
	enum vmclk_order order = 55;

	a.time_type = b.time_type = VMCLOCK_PAGE_TIME_MONOTONIC;
	ok(vmclk_before(&a, &b));
	is_int(vmclk_compare_across(&a, &b, &order), -VMCLK_ESCALES);
	is_int(order, 55);
}

TAP_TEST(without_generation_counters_the_markers_decide)
{
	struct vmclk_stamp a = stamp(10, 20), b = stamp(30, 40);

	a.valid = b.valid = VMCLK_STAMP_TIME;
	b.vm_generation_counter = 9;	/* of no meaning then */
	ok(vmclk_before(&a, &b));
}

/* A stamp of a page, after @spoil happened to the page. */
static int validity(void (*spoil)(struct vmclock_page *page, struct vmclk_stamp *stamp))
{
	struct vmclock_page page = good_page();
	struct test_page t = page_make(&page, PAGE_BYTES, F_SEAL_SHRINK);
	struct vmclk_stamp then;
	struct vmclk *clk;
	int err = vmclk_open(t.path, &clk);

	if (!err) {
		(void)vmclk_now(clk, &then);
		is_int(vmclk_still_valid(clk, &then), 0);
		spoil(t.page, &then);
		errno = 123;
		err = vmclk_still_valid(clk, &then);
		is_int(errno, 123);
		vmclk_close(clk);
	}
	page_drop(&t);
	return err;
}

#define VALIDITY_TEST(name, error, ...) \
	static void spoil_##name(struct vmclock_page *page, struct vmclk_stamp *stamp) \
	{ \
		(void)page; \
		(void)stamp; \
		__VA_ARGS__; \
	} \
	TAP_TEST(name) \
	{ \
		is_int(validity(spoil_##name), error); \
	}

VALIDITY_TEST(a_stamp_outlives_an_update, 0,
	      page->time_sec = htole64(5), page->clock_status = 0)
VALIDITY_TEST(a_stamp_ends_with_a_disruption, -VMCLK_EDISRUPTED,
	      page->disruption_marker = htole64(9))
VALIDITY_TEST(a_stamp_ends_with_a_clone, -VMCLK_ECLONED,
	      page->vm_generation_counter = htole64(9))
VALIDITY_TEST(a_restore_is_more_than_a_disruption, -VMCLK_ECLONED,
	      page->vm_generation_counter = htole64(9), page->disruption_marker = htole64(9))
VALIDITY_TEST(a_stamp_ends_when_the_generation_goes_away, -VMCLK_ECLONED, page->flags = 0)
VALIDITY_TEST(a_stamp_of_another_page_was_never_valid, -VMCLK_EPAGES, stamp->page_id++)
VALIDITY_TEST(a_page_that_is_gone_tells_nothing, -VMCLK_EGONE,
	      page->magic = htole32(VMCLOCK_PAGE_MAGIC_GONE))

#define TRUST_TEST(name, change, error) \
	TAP_TEST(name) \
	{ \
		struct vmclk_stamp s = stamp(10, 20); \
		\
		s.change; \
		is_int(vmclk_trusts(NULL, &s), error); \
	}

TRUST_TEST(the_default_trusts_synchronized, clock_status = 2, 0)
TRUST_TEST(the_default_trusts_freerunning, clock_status = 3, 0)
TRUST_TEST(the_default_does_not_trust_initializing, clock_status = 1, -VMCLK_ESTATUS)
TRUST_TEST(the_default_does_not_trust_unreliable, clock_status = 4, -VMCLK_ESTATUS)
TRUST_TEST(the_default_trusts_a_line_of_a_minute, reference_sec -= 60, 0)
TRUST_TEST(the_default_does_not_trust_an_older_line, reference_sec -= 61, -VMCLK_EAGED)
TRUST_TEST(nor_one_that_far_ahead, reference_sec += 61, -VMCLK_EAGED)
TRUST_TEST(no_stamp_without_time_is_trusted, valid = 0, -VMCLK_ENOTIME)
TRUST_TEST(no_stamp_that_is_no_interval_is_trusted, latest.nsec = 1000000000, -EINVAL)

TAP_TEST(the_bound_is_half_the_width_rounded_down)
{
	struct vmclk_stamp s = stamp(10, 10 + 200000001);

	is_int(vmclk_trusts(NULL, &s), 0);
	s = stamp(10, 10 + 200000002);
	is_int(vmclk_trusts(NULL, &s), -VMCLK_EWIDE);
	s = stamp(999999999, 2000000000);
	is_int(vmclk_trusts(NULL, &s), -VMCLK_EWIDE);
}

TAP_TEST(the_widest_of_intervals_saturates)
{
	struct vmclk_policy policy = VMCLK_POLICY_DEFAULT;
	struct vmclk_stamp s = stamp(10, 20);

	s.earliest.sec = INT64_MIN;
	s.latest.sec = INT64_MAX;
	s.reference_sec = INT64_MIN;
	policy.bound_max_ns = UINT64_MAX - 1;
	is_int(vmclk_trusts(&policy, &s), -VMCLK_EWIDE);
	policy.bound_max_ns = UINT64_MAX;
	is_int(vmclk_trusts(&policy, &s), -VMCLK_EAGED);
	policy.age_max_sec = UINT64_MAX;
	is_int(vmclk_trusts(&policy, &s), 0);
}

TAP_TEST(a_policy_chooses_its_own_rules)
{
	struct vmclk_policy policy = VMCLK_POLICY_DEFAULT;
	struct vmclk_stamp s = stamp(10, 20);

	is_int(vmclk_trusts(&policy, &s), 0);
	policy.statuses = 1U << VMCLOCK_PAGE_STATUS_FREERUNNING;
	is_int(vmclk_trusts(&policy, &s), -VMCLK_ESTATUS);
	policy.statuses = UINT32_MAX;
	s.clock_status = 34;	/* no bit stands for it */
	is_int(vmclk_trusts(&policy, &s), -VMCLK_ESTATUS);
	s.clock_status = 31;
	is_int(vmclk_trusts(&policy, &s), 0);
	policy.bound_max_ns = 4;
	is_int(vmclk_trusts(&policy, &s), -VMCLK_EWIDE);
}

/* A policy of a later version of the header: on the heap, for the sanitizer. */
TAP_TEST(rules_the_library_does_not_know_are_refused_unless_empty)
{
	const struct vmclk_policy plain = VMCLK_POLICY_DEFAULT;
	struct vmclk_policy *policy = calloc(1, sizeof(plain) + 8);
	struct vmclk_stamp s = stamp(10, 20);

	need(policy);
	*policy = plain;
	policy->size += 8;
	is_int(vmclk_trusts(policy, &s), 0);
	((char *)policy)[sizeof(plain) + 7] = 1;
	is_int(vmclk_trusts(policy, &s), -E2BIG);
	policy->size = sizeof(plain) - 1;
	is_int(vmclk_trusts(policy, &s), -EINVAL);
	policy->size = 0;
	is_int(vmclk_trusts(policy, &s), -EINVAL);
	policy->size = UINT32_MAX;
	is_int(vmclk_trusts(policy, &s), -EINVAL);
	free(policy);
}

int main(void)
{
	return tap_main();
}
