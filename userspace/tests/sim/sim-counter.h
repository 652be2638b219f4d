/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Read before every other line of a file of host/ that is built for the simulator:
 * there the counter is read from the simulated world.
 */
#ifndef TESTS_SIM_SIM_COUNTER_H
#define TESTS_SIM_SIM_COUNTER_H

#define guest_counter_read guest_counter_read_really
#include "guest-counter.h"
#undef guest_counter_read

uint64_t guest_counter_read(const struct guest_counter *guest);

#endif /* TESTS_SIM_SIM_COUNTER_H */
