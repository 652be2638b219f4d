// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Errors in words.
 */
#define _GNU_SOURCE
#include <string.h>

#include "vmclk.h"

int vmclk_errno(int err)
{
	return err < 0 ? -err & 0xffff : 0;
}

static const char *system_error(int errnum)
{
	const char *text = strerrordesc_np(errnum);

	return text ? text : "unknown error";
}

const char *vmclk_strerror(int err)
{
	switch (-err) {
	case VMCLK_ENOTINIT:
		return "not yet a VMClock page: no writer has initialised it";
	case VMCLK_EMALFORMED:
		return "not a VMClock page: its magic or its size is wrong";
	case VMCLK_EVERSION:
		return "a VMClock page of a version this library does not know";
	case VMCLK_EBUSY:
		return "an update of the page does not end: its writer is stuck or gone";
	case VMCLK_EGONE:
		return "the page is gone: its device was removed, or its file replaced";
	case VMCLK_ECOUNTER:
		return "the page's counter is not one that this machine can trust";
	case VMCLK_ENOTIME:
		return "the page gives no time that can be trusted";
	case VMCLK_EPAGES:
		return "the stamps are of two pages";
	case VMCLK_EEPOCHS:
		return "between the stamps the clock was disrupted, or the machine restored or cloned";
	case VMCLK_ESCALES:
		return "the stamp's time scale is not one for this";
	case VMCLK_EUTC:
		return "the page does not say how far UTC is from TAI at that time";
	case VMCLK_EDISRUPTED:
		return "the clock was disrupted since";
	case VMCLK_ECLONED:
		return "the machine was restored or cloned since";
	case VMCLK_ESTATUS:
		return "the clock's status is not one that the policy trusts";
	case VMCLK_EWIDE:
		return "the interval is wider than the policy trusts";
	case VMCLK_EAGED:
		return "the page was renewed longer ago than the policy trusts";
	case VMCLK_ELOCKED:
		return "another writer has this page";
	case VMCLK_EREPLACED:
		return "another page has taken the place of this one: open the path again";
	default:
		return system_error(err < 0 ? -err : err);
	}
}
