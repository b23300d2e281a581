package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sluice-gate/sluice/policies"
)

// AggregationLabel on a ClusterRole, with the value "true", gives Sluice the rights in it.
const AggregationLabel = "rbac.policy.sluice.dev/aggregate-to-sluice"

// Rights asks the API server what Sluice may do. Answers are kept for a short time.
type Rights struct {
	// Gained is told when Sluice may do something that it could not do before; nil tells nobody.
	Gained func()

	client client.Client
	mapper meta.RESTMapper
	now    func() time.Time

	mu   sync.Mutex
	kept map[right]answer
}

type right struct {
	resource schema.GroupResource
	verb     string
}

type answer struct {
	allowed bool
	until   time.Time
}

// rightsKept is how long an answer is used: rights change when somebody labels a ClusterRole.
const rightsKept = 10 * time.Second

// NewRights returns Rights that ask with the client.
func NewRights(c client.Client, mapper meta.RESTMapper) *Rights {
	return &Rights{client: c, mapper: mapper, now: time.Now, kept: map[right]answer{}}
}

type need struct {
	kinds []schema.GroupKind
	verbs []string
}

func needs(i policies.Interest) []need {
	out := []need{{i.State, []string{"list", "watch"}}}
	if len(i.Generates) > 0 {
		out = append(out, need{i.Kinds, []string{"list", "watch"}})
	}
	if i.Keeps {
		out = append(out, need{i.Generates, []string{"get", "list", "watch", "create", "update", "patch", "delete"}})
	} else {
		out = append(out, need{i.Generates, []string{"list", "watch"}})
	}
	if i.HoldsPods {
		out = append(out, need{[]schema.GroupKind{namespaceKind}, []string{"patch"}}, need{[]schema.GroupKind{podKind}, []string{"list", "watch", "patch"}})
	}
	return out
}

// Missing names what a policy needs and Sluice may not do, such as "list, watch ciliumnetworkpolicies.cilium.io"; "" if
// nothing is missing. Kinds that the API server doesn't serve need no rights.
func (r *Rights) Missing(ctx context.Context, i policies.Interest) (string, error) {
	var missing []string
	for _, need := range needs(i) {
		for _, kind := range need.kinds {
			mapping, err := r.mapper.RESTMapping(kind)
			if err != nil {
				continue
			}
			resource := mapping.Resource.GroupResource()
			var lacking []string
			for _, verb := range need.verbs {
				allowed, err := r.allowed(ctx, right{resource, verb})
				if err != nil {
					return "", err
				}
				if !allowed {
					lacking = append(lacking, verb)
				}
			}
			if len(lacking) > 0 {
				missing = append(missing, strings.Join(lacking, ", ")+" "+resource.String())
			}
		}
	}
	return strings.Join(missing, "; "), nil
}

func (r *Rights) allowed(ctx context.Context, asked right) (bool, error) {
	r.mu.Lock()
	kept, found := r.kept[asked]
	r.mu.Unlock()
	if found && r.now().Before(kept.until) {
		return kept.allowed, nil
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Group: asked.resource.Group, Resource: asked.resource.Resource, Verb: asked.verb}}}
	if err := r.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask for the right to %s %s: %w", asked.verb, asked.resource, err)
	}
	r.mu.Lock()
	gained := review.Status.Allowed && found && !r.kept[asked].allowed
	r.kept[asked] = answer{review.Status.Allowed, r.now().Add(rightsKept)}
	r.mu.Unlock()
	if gained && r.Gained != nil {
		r.Gained()
	}
	return review.Status.Allowed, nil
}
