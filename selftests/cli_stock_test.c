// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmclockctl on a page that offers markers only, and on none.
 */
#include <string.h>

#include "kselftest_harness.h"
#include "helpers.h"

#define RUN(...) t_run((char *const[]){ "/userspace/vmclockctl-static", __VA_ARGS__, NULL },	\
		       output, sizeof(output))
#define EXPECT_SAYS(text) \
	EXPECT_NE(NULL, strstr(output, text)) TH_LOG("output: %s", output)

TEST(show_shows_the_markers)
{
	char output[8192];

	EXPECT_EQ(0, RUN("show"));
	EXPECT_SAYS("/dev/vmclock");
	EXPECT_SAYS("disruption_marker");
}

TEST(now_says_that_there_is_no_time)
{
	char output[8192];

	EXPECT_EQ(1, RUN("now"));
	EXPECT_SAYS("vmclock-hostd");
}

TEST(check_fails_and_says_why)
{
	char output[8192];

	EXPECT_EQ(1, RUN("check"));
	EXPECT_SAYS("markers");
}

TEST(check_passes_the_test_page)
{
	char output[8192], path[64];

	ASSERT_TRUE(t_node(T_KNOB, path, sizeof(path)));
	EXPECT_EQ(0, RUN("check", path)) TH_LOG("output: %s", output);
}

TEST(a_missing_device_is_told)
{
	char output[8192];

	EXPECT_EQ(2, RUN("now", "/dev/vmclock99"));
	EXPECT_SAYS("/dev/vmclock99");
}

TEST_HARNESS_MAIN
