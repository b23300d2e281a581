package sluice.lib.redirect_test

import data.sluice.lib.redirect

test_entry_points if {
	redirect.entry_points(" web , websecure,,web") == ["web", "websecure", "web"]
	redirect.entry_points(" , ") == []
}

test_listen_ports if {
	redirect.listen_ports(`[{"HTTP": 80}, {"HTTPS": 443, "HTTP": 8080}]`) == {["HTTP", 80], ["HTTP", 8080], ["HTTPS", 443]}
}

test_unreadable_listen_ports if {
	every text in [
		"", "80", "null", "[]", "[{}]", "[null]", `{"HTTP": 80}`, `{"a": {"HTTP": 80}}`, `[["HTTP", 80]]`, `[{"HTTP": 80}`, `[{"http": 80}]`,
		`[{"HTTP": "80"}]`, `[{"HTTP": 80.5}]`, `[{"HTTP": 0}]`, `[{"HTTP": 65536}]`, `[{"HTTP": 80}, {"TCP": 81}]`,
	] {
		not redirect.listen_ports(text)
	}
}
