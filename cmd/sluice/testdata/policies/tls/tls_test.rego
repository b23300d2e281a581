package sluice.team.tls_test

import data.sluice.team.tls

test_no_tls if {
	count(tls.deny) == 1 with input.request.object as {"spec": {}} with input.parameters.minimum as 1
}

test_tls if {
	count(tls.deny) == 0 with input.request.object as {"spec": {"tls": [{}]}} with input.parameters.minimum as 1
}
