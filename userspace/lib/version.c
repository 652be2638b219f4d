// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
#include "vmclk.h"

const char *vmclk_version(void)
{
	return VMCLK_VERSION;
}
