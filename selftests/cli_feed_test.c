// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmclockctl on a page that a host writer feeds.
 */
#include <string.h>

#include <vmclk.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define RUN(...) t_run((char *const[]){ "/userspace/vmclockctl-static", __VA_ARGS__, NULL },	\
		       output, sizeof(output))
#define EXPECT_SAYS(text) \
	EXPECT_NE(NULL, strstr(output, text)) TH_LOG("output: %s", output)

/* Which scale it is depends on what the host knows of leap seconds. */
static const char *scale(void)
{
	struct vmclk_stamp stamp = { .time_type = 0xff };
	struct vmclk *clk;

	if (!vmclk_open(NULL, &clk)) {
		vmclk_now(clk, &stamp);
		vmclk_close(clk);
	}
	return vmclk_scale_str(stamp.time_type);
}

TEST(now_gives_the_time)
{
	char output[8192];

	EXPECT_EQ(0, RUN("now"));
	EXPECT_SAYS(scale());
	EXPECT_SAYS("synchronized");
}

TEST(check_is_content)
{
	char output[8192];

	EXPECT_EQ(0, RUN("check")) TH_LOG("output: %s", output);
}

TEST(watch_gives_as_many_lines_as_asked)
{
	char output[8192];
	int lines = 0;

	EXPECT_EQ(0, RUN("watch", "--json", "--count=3", "--interval=0.1"));
	for (char *p = output; (p = strchr(p, '\n')); p++)
		lines++;
	EXPECT_EQ(3, lines) TH_LOG("output: %s", output);
}

TEST_HARNESS_MAIN
