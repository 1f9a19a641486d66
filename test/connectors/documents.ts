import type { Connector, ConnectorClass, Secret } from '../../connectors/schema.ts';

/** A Connector `demo/harbor` of class `oci`, unless `spec` and `metadata` say otherwise. */
export const connectorOf = (spec: Partial<Connector['spec']> = {}, metadata: object = {}): Connector => ({
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'Connector',
  metadata: { namespace: 'demo', name: 'harbor', ...metadata },
  spec: { connectorClassName: 'oci', address: 'https://harbor.example.com', ...spec },
});

export const classOf = (name: string, spec: ConnectorClass['spec'] = {}): ConnectorClass => ({
  apiVersion: 'connectors.alauda.io/v1alpha1',
  kind: 'ConnectorClass',
  metadata: { name },
  spec,
});

/** A Secret in namespace `demo`; the type is that of the public documentation unless told otherwise. */
export const secretOf = (
  name: string,
  stringData: Record<string, string>,
  type = 'cpaas.io/distribution-registry-token',
): Secret => ({ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: 'demo', name }, type, stringData });

export const withSecret = (name: string) => ({ auth: { name: 'tokenAuth', secretRef: { name } } });
