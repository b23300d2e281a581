# METADATA
# title: Egress does not reach the cloud's metadata service
# description: >
#   Whoever reaches the metadata service of a cloud gets the credentials of the node. An egress IP block must not hold its
#   address, once its own excepts are taken away, in a rule whose ports include one on which it answers. Each block is
#   judged alone, since another peer reopens what an except closes. The defaults are the addresses of AWS, which Azure, GCP,
#   OpenStack and others share, on TCP 80. Add what your cloud has beside them: fd20:ce::254 (GCP over IPv6), 100.100.100.200
#   (Alibaba), 192.0.0.192 (Oracle), 169.254.170.2 and 169.254.170.23 with fd00:ec2::23 (credentials of ECS tasks and EKS
#   pods, for pods that have none), 168.63.129.16 with port 32526 (Azure). A rule without destinations is what
#   networkpolicy-wildcard-egress refuses.
# related_resources:
#   - https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
#   - https://learn.microsoft.com/en-us/azure/virtual-machines/instance-metadata-service
#   - https://cloud.google.com/compute/docs/metadata/querying-metadata
#   - https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata
#   - https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm
#   - https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
# custom:
#   severity: high
#   kinds: [networking.k8s.io/NetworkPolicy]
#   parameters:
#     type: object
#     properties:
#       addresses:
#         description: the addresses at which the metadata service answers
#         type: array
#         items: {type: string, pattern: "^[0-9A-Fa-f.:]+$"}
#         minItems: 1
#         default: ["169.254.169.254", "fd00:ec2::254"]
#       ports:
#         description: the TCP ports on which it answers
#         type: array
#         items: {type: integer, minimum: 1, maximum: 65535}
#         minItems: 1
#         default: [80]
#     additionalProperties: false
package sluice.networkpolicy.metadata_service

deny contains {"msg": msg, "field": hit.field, "fix": fix} if {
	input.request.object.spec.egress[0]
	some hit in sluice.networkpolicy.egress_blocks(input.request.object, input.parameters)
	msg := sprintf("egress to %.80s reaches the metadata service at %s on TCP %d", [hit.cidr, hit.address, hit.port])
	fix := remedy(hit)
}

remedy(hit) := sprintf("except: [%s]", [hit.host]) if {
	not hit.single
	not hit.hasExcepts
}

remedy(hit) := sprintf("add %s to except", [hit.host]) if {
	not hit.single
	hit.hasExcepts
}

remedy(hit) := "remove this peer: the block has no other address" if {
	hit.single
	not hit.only
}

remedy(hit) := "remove this rule: its peers have no other address, and without peers it would reach everything" if hit.only
