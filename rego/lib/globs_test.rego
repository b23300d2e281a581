package sluice.lib.globs_test

import data.sluice.lib.globs

test_name if globs.any_match(["blog", "shop"], "shop")

test_part_of_a_name if {
	every name in ["sho", "shop-2", "my-shop", ""] {
		not globs.any_match(["shop"], name)
	}
}

test_glob if {
	globs.any_match(["blog", "shop-*"], "shop-eu")
	globs.any_match(["*-shop"], "my-shop")
	globs.any_match(["*"], "shop")
	globs.any_match(["s*p"], "sp")
}

test_glob_of_other_names if {
	every glob in ["shop-*", "*-shop", "s*q"] {
		not globs.any_match([glob], "shop")
	}
}

test_none if not globs.any_match([], "shop")
