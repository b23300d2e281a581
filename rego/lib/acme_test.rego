package sluice.lib.acme_test

import data.sluice.lib.acme

users := ["system:serviceaccount:cert-manager:cert-manager"]

request := {
	"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
	"object": {
		"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true"}},
		"spec": {"rules": [{
			"host": "shop.example.com",
			"http": {"paths": [{"path": "/.well-known/acme-challenge/Zm9v_-1", "pathType": "Exact"}]},
		}]},
	},
}

with_path(path) := json.patch(request, [{"op": "replace", "path": "/object/spec/rules/0/http/paths/0", "value": path}])

with_spec(spec) := json.patch(request, [{"op": "replace", "path": "/object/spec", "value": spec}])

test_solver if acme.sends_solver(request, users)

test_another_user if not acme.sends_solver(object.union(request, {"userInfo": {"username": "ann"}}), users)

test_no_user if not acme.sends_solver(object.remove(request, ["userInfo"]), users)

test_no_user_is_trusted if not acme.sends_solver(request, [])

test_no_label if not acme.sends_solver(json.remove(request, ["object/metadata/labels"]), users)

test_label_is_false if {
	not acme.sends_solver(
		json.patch(request, [{
			"op": "replace",
			"path": "/object/metadata/labels/acme.cert-manager.io~1http01-solver",
			"value": "false",
		}]),
		users,
	)
}

test_implementation_specific if {
	acme.sends_solver(with_path({"path": "/.well-known/acme-challenge/a", "pathType": "ImplementationSpecific"}), users)
}

test_prefix if {
	not acme.sends_solver(with_path({"path": "/.well-known/acme-challenge/a", "pathType": "Prefix"}), users)
}

test_no_path_type if not acme.sends_solver(with_path({"path": "/.well-known/acme-challenge/a"}), users)

test_no_token if {
	not acme.sends_solver(with_path({"path": "/.well-known/acme-challenge/", "pathType": "Exact"}), users)
}

test_path_that_leaves_the_folder if {
	every path in [
		"/", "/.well-known/acme-challenge/../..", "/.well-known/acme-challenge/a/b",
		"/.well-known/acme-challenge/(.*)", "/x/.well-known/acme-challenge/a", "/xwell-known/acme-challenge/a",
	] {
		not acme.sends_solver(with_path({"path": path, "pathType": "ImplementationSpecific"}), users)
	}
}

test_another_path if {
	not acme.sends_solver(
		json.patch(request, [{
			"op": "add",
			"path": "/object/spec/rules/0/http/paths/-",
			"value": {"path": "/", "pathType": "Exact"},
		}]),
		users,
	)
}

test_another_rule if {
	not acme.sends_solver(
		json.patch(request, [{"op": "add", "path": "/object/spec/rules/-", "value": {"host": "www.example.com"}}]),
		users,
	)
}

test_no_paths if {
	not acme.sends_solver(
		json.patch(request, [{"op": "replace", "path": "/object/spec/rules/0/http/paths", "value": []}]),
		users,
	)
}

test_no_rules if {
	not acme.sends_solver(with_spec({}), users)
	not acme.sends_solver(with_spec({"rules": []}), users)
}

test_default_backend if {
	not acme.sends_solver(
		json.patch(request, [{
			"op": "add",
			"path": "/object/spec/defaultBackend",
			"value": {"service": {"name": "shop"}},
		}]),
		users,
	)
}

service_request := {
	"userInfo": {"username": "system:serviceaccount:cert-manager:cert-manager"},
	"object": {
		"metadata": {"labels": {"acme.cert-manager.io/http01-solver": "true", "acme.cert-manager.io/http-token": "1"}},
		"spec": {
			"type": "NodePort",
			"selector": {"acme.cert-manager.io/http01-solver": "true", "acme.cert-manager.io/http-token": "1"},
			"ports": [{"name": "http", "protocol": "TCP", "port": 8089, "targetPort": 8089, "nodePort": 31234}],
		},
	},
}

patched(op, path, value) := json.patch(service_request, [{"op": op, "path": path, "value": value}])

test_solver_service if acme.sends_solver_service(service_request, users)

test_service_by_another_user if {
	not acme.sends_solver_service(object.union(service_request, {"userInfo": {"username": "ann"}}), users)
	not acme.sends_solver_service(object.remove(service_request, ["userInfo"]), users)
	not acme.sends_solver_service(service_request, [])
}

test_service_without_label if {
	not acme.sends_solver_service(json.remove(service_request, ["object/metadata/labels"]), users)
	not acme.sends_solver_service(
		patched("replace", "/object/metadata/labels/acme.cert-manager.io~1http01-solver", "false"),
		users,
	)
}

test_service_for_other_pods if {
	every selector in [{"app": "shop"}, {"acme.cert-manager.io/http01-solver": "false"}, {}, null] {
		not acme.sends_solver_service(patched("replace", "/object/spec/selector", selector), users)
	}
}

test_service_of_another_port if {
	every ports in [
		null, [], [{"protocol": "TCP", "port": 8089, "targetPort": 8089}, {"protocol": "TCP", "port": 22, "targetPort": 22}],
		[{"protocol": "TCP", "port": 80, "targetPort": 8089}], [{"protocol": "TCP", "port": 8089, "targetPort": 22}],
		[{"protocol": "UDP", "port": 8089, "targetPort": 8089}], [{"port": 8089, "targetPort": 8089}],
	] {
		not acme.sends_solver_service(patched("replace", "/object/spec/ports", ports), users)
	}
}
