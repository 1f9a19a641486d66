import { connectorName, namespace } from './scene.ts';

/** A namespace that nobody gave a right. */
export const strangerNamespace = 'stranger';

/** A volume that no pod gets: configuration `faulty` of connector `own` has a fault in its template, `broken` is never Ready. */
interface RefusedVolume {
  readonly pod: string;
  readonly because: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly inNamespace?: string;
  readonly csi?: object;
  readonly says: RegExp;
}

export const refusedVolumes: readonly RefusedVolume[] = [
  {
    pod: 'denied',
    because: 'its service account may not use the connector',
    inNamespace: strangerNamespace,
    attributes: { connectors: `${namespace}/${connectorName}` },
    says: /code = PermissionDenied .*harbor/,
  },
  {
    pod: 'no-connector',
    because: 'there is no such connector',
    attributes: { connectors: 'nowhere' },
    says: /code = NotFound .*nowhere/,
  },
  {
    pod: 'no-configuration',
    because: 'the class has no such configuration',
    attributes: { connectors: connectorName, 'configuration.names': 'unheard-of' },
    says: /code = NotFound .*unheard-of/,
  },
  {
    pod: 'faulty',
    because: 'the template has a fault',
    attributes: { connectors: 'own', 'configuration.names': 'faulty' },
    says: /code = FailedPrecondition .*"own".*"faulty".*faulty\.txt.*frobnicate/,
  },
  {
    pod: 'not-ready',
    because: 'the connector is not Ready',
    attributes: { connectors: 'broken' },
    says: /code = FailedPrecondition .*broken/,
  },
  {
    pod: 'writable',
    because: 'readOnly is not true',
    attributes: { connectors: connectorName },
    csi: { readOnly: false },
    says: /code = InvalidArgument .*readOnly/,
  },
  {
    pod: 'attribute',
    because: 'an attribute is unknown',
    attributes: { connectors: connectorName, colour: 'red' },
    says: /code = InvalidArgument .*colour/,
  },
  {
    pod: 'escape',
    because: 'a file name leads out of the volume',
    attributes: { connectors: connectorName, 'configuration.names': 'registry-config,!../../config.json' },
    says: /code = InvalidArgument .*\.\.\/config\.json/,
  },
];
