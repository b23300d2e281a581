package webhook

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"
)

// answer is an AdmissionResponse (admission.k8s.io/v1) apart from its uid.
type answer struct {
	allowed  bool
	status   *status // of a denial
	patch    []byte  // RFC 6902; nil if there is none
	warnings []string
	audit    []annotation
}

// status is a metav1.Status.
type status struct {
	code              int
	retryAfter        int // seconds; 0 for none
	reason, message   string
	name, group, kind string
	causes            []cause
}

// cause is a metav1.StatusCause.
type cause struct{ reason, message, field string }

type annotation struct{ key, value string }

// appendReview appends an AdmissionReview that encoding/json would read back as a. Text that is no UTF-8
// becomes U+FFFD.
func appendReview(out []byte, uid string, a answer) []byte {
	out = append(out, `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":`...)
	out = appendString(out, uid)
	out = append(out, `,"allowed":`...)
	out = strconv.AppendBool(out, a.allowed)
	if a.status != nil {
		out = appendStatus(append(out, `,"status":`...), a.status)
	}
	if a.patch != nil {
		out = append(out, `,"patchType":"JSONPatch","patch":"`...)
		out = base64.StdEncoding.AppendEncode(out, a.patch)
		out = append(out, '"')
	}
	for i, warning := range a.warnings {
		out = append(out, separator(i, `,"warnings":[`)...)
		out = appendString(out, warning)
	}
	out = closeList(out, len(a.warnings), ']')
	for i, note := range a.audit {
		out = append(out, separator(i, `,"auditAnnotations":{`)...)
		out = appendMember(out, note.key, note.value)
	}
	out = closeList(out, len(a.audit), '}')
	return append(out, "}}\n"...)
}

func appendStatus(out []byte, s *status) []byte {
	out = append(out, `{"status":"Failure",`...)
	out = appendMember(out, "message", s.message)
	out = appendMember(append(out, ','), "reason", s.reason)
	out = appendMember(append(out, `,"details":{`...), "kind", s.kind)
	if s.name != "" {
		out = appendMember(append(out, ','), "name", s.name)
	}
	if s.group != "" {
		out = appendMember(append(out, ','), "group", s.group)
	}
	for i, c := range s.causes {
		out = append(out, separator(i, `,"causes":[`)...)
		out = appendMember(append(out, '{'), "reason", c.reason)
		out = appendMember(append(out, ','), "message", c.message)
		if c.field != "" {
			out = appendMember(append(out, ','), "field", c.field)
		}
		out = append(out, '}')
	}
	out = closeList(out, len(s.causes), ']')
	if s.retryAfter > 0 {
		out = strconv.AppendInt(append(out, `,"retryAfterSeconds":`...), int64(s.retryAfter), 10)
	}
	out = append(out, `},"code":`...)
	out = strconv.AppendInt(out, int64(s.code), 10)
	return append(out, '}')
}

func separator(i int, first string) string {
	if i == 0 {
		return first
	}
	return ","
}

func closeList(out []byte, length int, end byte) []byte {
	if length == 0 {
		return out
	}
	return append(out, end)
}

func appendMember(out []byte, key, value string) []byte {
	out = appendString(out, key)
	return appendString(append(out, ':'), value)
}

const hexDigits = "0123456789abcdef"

// appendString appends a JSON string.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	start := 0 // of what is not yet appended
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if c >= utf8.RuneSelf && (r != utf8.RuneError || size > 1) {
			i += size
			continue
		}
		out = append(out, s[start:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		default:
			if c >= utf8.RuneSelf {
				out = append(out, `\ufffd`...)
			} else {
				out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
		i++
		start = i
	}
	return append(append(out, s[start:]...), '"')
}
