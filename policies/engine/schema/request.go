package schema

// request returns the schema of an admission.k8s.io/v1 AdmissionRequest for objects with the
// given schema. Its source is k8s.io/api/admission/v1; the type isn't part of the API server's
// OpenAPI specification.
func request(body object) object {
	kind := closed(object{"group": text(), "version": text(), "kind": text()})
	resource := closed(object{"group": text(), "version": text(), "resource": text()})
	return closed(object{
		"uid":                text(),
		"kind":               kind,
		"resource":           resource,
		"subResource":        text(),
		"requestKind":        kind,
		"requestResource":    resource,
		"requestSubResource": text(),
		"name":               text(),
		"namespace":          text(),
		"operation":          text(),
		"userInfo": closed(object{
			"username": text(),
			"uid":      text(),
			"groups":   list(text()),
			"extra":    open(),
		}),
		"object":    body,
		"oldObject": body,
		"dryRun":    object{"type": "boolean"},
		"options":   open(),
	})
}

// closed returns the schema of an object with these fields only.
func closed(properties object) object {
	return object{"type": "object", "properties": properties}
}

// open returns the schema of an object with any fields.
func open() object { return object{"type": "object"} }

func text() object { return object{"type": "string"} }

func list(items object) object { return object{"type": "array", "items": items} }
