// The definitions of custom resources come from these modules.
module holdfast.test/kubernetes

go 1.25.3

require (
	github.com/envoyproxy/gateway v1.6.0
	istio.io/api v1.28.0
)
