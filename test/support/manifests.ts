/** Manifests of a connector `demo/harbor` in a namespace that has opted in. */
export function manifestsOf(address: string, username: string, password: string): string {
  return `apiVersion: v1
kind: Namespace
metadata:
  name: demo
  labels: { connectors.cpaas.io/proxy-inject: "true" }
---
apiVersion: connectors.alauda.io/v1alpha1
kind: Connector
metadata: { name: harbor, namespace: demo }
spec:
  connectorClassName: oci
  address: ${address}
  auth: { name: tokenAuth, secretRef: { name: robot } }
---
apiVersion: v1
kind: Secret
metadata: { name: robot, namespace: demo }
type: cpaas.io/distribution-registry-token
stringData: { username: "${username}", password: "${password}" }
`;
}
