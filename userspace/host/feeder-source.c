// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "feeder.h"
#include "log.h"

static int open_phc(struct feeder *f)
{
	const struct options *o = &f->options;
	int err;

	f->phc = (struct source_phc){
		.bound_ns = o->assumed_ns, .is_utc = o->phc_is_utc,
		.tai_offset = f->scale.origin == SCALE_OPTION ||
			      f->scale.origin == SCALE_LIST ? f->scale.base : 0,
	};
	err = source_phc_open(&f->source, &f->phc, o->source_path);
	if (err)
		log_line("%s: %s", o->source_path,
			 err == -ENOTTY ? "not a PTP hardware clock" : strerror(-err));
	return err;
}

int feeder_open_source(struct feeder *f)
{
	const struct options *o = &f->options;

	switch (o->source) {
	case OPTIONS_KERNEL:
		source_kernel_open(&f->source, &f->kernel);
		break;
	case OPTIONS_CHRONY:
		f->chrony = (struct source_chrony){ o->chronyc, o->source_path, 0 };
		source_chrony_open(&f->source, &f->chrony);
		break;
	case OPTIONS_PHC:
		return open_phc(f);
	}
	return 0;
}

void feeder_close_source(struct feeder *f)
{
	if (f->source.close)
		f->source.close(&f->source);
}
