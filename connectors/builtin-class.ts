import { type ConnectorClass, connectorApiVersion, secretTypes } from './schema.ts';

/** ConnectorClass `oci` as the product ships it; a class of the same name in a store takes its place. */
const oci: ConnectorClass = {
  apiVersion: connectorApiVersion,
  kind: 'ConnectorClass',
  metadata: { name: 'oci' },
  spec: { auth: { types: [{ name: 'tokenAuth', secretType: secretTypes.registryToken, optional: true }] } },
};

export const builtinClasses: readonly ConnectorClass[] = Object.freeze([oci]);
