# METADATA
# title: Globs of names
# description: >
#   Parameters name namespaces as a policy's match does: by name, or by a glob in which * stands for any characters. A glob
#   is of the characters of names and *, which the schema of the parameter has to ensure.
# related_resources:
#   - https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-label-names
package sluice.lib.globs

# any_match holds if one of the globs matches the name.
any_match(globs, name) if name in globs

any_match(globs, _) if "*" in globs

any_match(globs, name) if {
	some glob in globs
	contains(glob, "*")
	regex.match(sprintf("^%s$", [replace(glob, "*", ".*")]), name)
}
