/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counter as the guest sees it, from the counter as the host reads it.
 */
#ifndef HOST_GUEST_COUNTER_H
#define HOST_GUEST_COUNTER_H

#include <stdbool.h>
#include <stdint.h>

#include "../lib/counter.h"

/**
 * struct guest_counter - how the hypervisor shows the counter to its guest
 * @ratio: fixed-point factor; 1 << @frac_bits when the guest's counter is not
 *	scaled
 * @frac_bits: binary places of @ratio, at most 63
 * @offset: added last, modulo 2^64: a guest that started late has a
 *	"negative" one
 */
struct guest_counter {
	uint64_t ratio;
	unsigned int frac_bits;
	uint64_t offset;
};

/**
 * guest_counter_from_host() - what the guest would have read
 * @guest: the conversion
 * @host: the host's reading
 *
 * The processor multiplies in 128 bits, shifts, and adds modulo 2^64; so does
 * this.
 *
 * Return: the guest's reading.
 */
static inline uint64_t guest_counter_from_host(const struct guest_counter *guest,
					       uint64_t host)
{
	unsigned __int128 scaled = (unsigned __int128)host * guest->ratio;

	return (uint64_t)(scaled >> guest->frac_bits) + guest->offset;
}

/**
 * guest_counter_ticks() - a number of host ticks in guest ticks, rounded up
 * @guest: the conversion
 * @ticks: host ticks
 *
 * Return: guest ticks.
 */
static inline uint64_t guest_counter_ticks(const struct guest_counter *guest,
					   uint64_t ticks)
{
	unsigned __int128 scaled = (unsigned __int128)ticks * guest->ratio;

	/* 1 for the fraction that was cut off, 1 for that of the other end. */
	return (uint64_t)(scaled >> guest->frac_bits) +
	       2 * (guest->ratio != 1ULL << guest->frac_bits);
}

/**
 * guest_counter_read() - the guest's counter, now
 * @guest: the conversion
 *
 * Ordered after all earlier loads, and after vmclk_writer_begin().
 *
 * Return: the reading.
 */
static inline uint64_t guest_counter_read(const struct guest_counter *guest)
{
	return guest_counter_from_host(guest, counter_read_ordered());
}

/**
 * guest_counter_exists() - does a page have a name for this machine's counter?
 *
 * Return: true on x86-64 and arm64.
 */
bool guest_counter_exists(void);

/**
 * guest_counter_is_trusted() - can a line be drawn over this host's counter?
 * @clocksource: path of the kernel's current_clocksource
 * @cpuinfo: path of /proc/cpuinfo
 *
 * Return: true if the counter runs at a constant rate on all CPUs: the kernel
 * keeps its own time by it, or the processor promises it.
 */
bool guest_counter_is_trusted(const char *clocksource, const char *cpuinfo);

#endif /* HOST_GUEST_COUNTER_H */
