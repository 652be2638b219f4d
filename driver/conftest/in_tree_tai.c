// SPDX-License-Identifier: GPL-2.0-only
/*
 * 7.0: the in-tree driver's PTP clock tells TAI instead of UTC. The series that
 * changed it gave the page's header this flag.
 */
#include <uapi/linux/vmclock-abi.h>

#ifndef VMCLOCK_FLAG_NOTIFICATION_PRESENT
#error "the in-tree driver, if there is one, tells UTC"
#endif
