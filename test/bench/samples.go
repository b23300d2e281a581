package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// sample is one AdmissionReview as the API server sends it.
type sample struct {
	name    string
	body    []byte
	allowed bool // by restricted
}

// samples are an Ingress of about 1.5 KB with its certificate and the same without.
func samples() []sample {
	return []sample{
		{name: "Ingress, allowed", body: ingressReview(true), allowed: true},
		{name: "Ingress, denied", body: ingressReview(false)},
	}
}

func ingressReview(certificate bool) []byte {
	host := "shop.example.com"
	spec := map[string]any{"ingressClassName": "nginx", "rules": []any{map[string]any{"host": host, "http": map[string]any{"paths": []any{
		path("/", "storefront"), path("/cart", "cart"), path("/checkout", "checkout"),
	}}}}}
	if certificate {
		spec["tls"] = []any{map[string]any{"hosts": []any{host}, "secretName": "shop-tls"}}
	}
	kind := map[string]any{"group": "networking.k8s.io", "version": "v1", "kind": "Ingress"}
	resource := map[string]any{"group": "networking.k8s.io", "version": "v1", "resource": "ingresses"}
	object := map[string]any{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "spec": spec, "status": map[string]any{"loadBalancer": map[string]any{}},
		"metadata": map[string]any{"name": "shop", "namespace": "shop", "uid": "0b4cb2f6-5a2a-4c0f-a1e3-8f6d64e1b7a1", "generation": 1,
			"creationTimestamp": "2026-05-04T10:11:12Z", "labels": map[string]any{"app.kubernetes.io/name": "shop", "app.kubernetes.io/part-of": "store"},
			"annotations": map[string]any{"nginx.ingress.kubernetes.io/proxy-body-size": "8m"},
			"managedFields": []any{map[string]any{"manager": "kubectl", "operation": "Apply", "apiVersion": "networking.k8s.io/v1", "time": "2026-05-04T10:11:12Z",
				"fieldsType": "FieldsV1", "fieldsV1": map[string]any{"f:spec": map[string]any{"f:ingressClassName": map[string]any{}, "f:rules": map[string]any{}}}}}}}
	review := map[string]any{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": map[string]any{
		"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
		"name": "shop", "namespace": "shop", "operation": "CREATE", "dryRun": false, "object": object, "oldObject": nil,
		"userInfo": map[string]any{"username": "ann@example.com", "uid": "014fbff9a07c", "groups": []any{"system:authenticated", "team-shop"}},
		"options":  map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl"},
	}}
	body, err := json.Marshal(review)
	if err != nil {
		panic(fmt.Sprintf("the sample is no JSON: %v", err)) // it is made of maps and strings
	}
	return body
}

func path(at, service string) map[string]any {
	return map[string]any{"path": at, "pathType": "Prefix", "backend": map[string]any{
		"service": map[string]any{"name": strings.Trim(service, "/"), "port": map[string]any{"number": 8080}}}}
}
