import { expect, test } from 'vitest';
import { connectorOfService, ensureConnectorService, type Service } from '../../controller/connector-service.ts';
import { KubernetesError } from '../../platform/kubernetes/error.ts';

const owner = { key: { namespace: 'demo', name: 'harbor' }, uid: 'uid-1' };
const proxyName = 'oci-connector.oci-connector.svc.cluster.local';
const { signal } = new AbortController();
const reference = { apiVersion: 'connectors.alauda.io/v1alpha1', kind: 'Connector', name: 'harbor', uid: 'uid-1' };
const failure = (status: number, reason: string) =>
  new KubernetesError(`create Service: ${reason}`, { status, reason });

const serviceOf = (more: object = {}, spec: Service['spec'] = { type: 'ExternalName', externalName: proxyName }) =>
  ({
    metadata: {
      namespace: 'demo',
      name: 'c-harbor',
      labels: { 'app.kubernetes.io/managed-by': 'oci-connector' },
      ownerReferences: [reference],
      ...more,
    },
    spec,
  }) as Service;

/** An API server with one Service at most; what was asked of it. */
function serverWith(present: Service | undefined, refusal?: KubernetesError) {
  const calls: string[] = [];
  const write = (verb: string) => async (_resource: unknown, object: object) => {
    calls.push(verb);
    if (refusal !== undefined) throw refusal;
    if (verb === 'create' && present !== undefined) throw failure(409, 'AlreadyExists');
    return object;
  };
  const read = async () => {
    calls.push('get');
    return present;
  };
  const client = { get: read, create: write('create'), replace: write('replace') };
  const ensure = (known?: Service) =>
    ensureConnectorService(client as Parameters<typeof ensureConnectorService>[0], owner, { proxyName, known, signal });
  return { calls, ensure };
}

test.each<[what: string, known: Service | undefined, present: Service | undefined, reason: string, calls: string[]]>([
  ['there is none', undefined, undefined, 'ServiceFound', ['create']],
  ['it is right', serviceOf(), serviceOf(), 'ServiceFound', []],
  ['it is right and not known yet', undefined, serviceOf(), 'ServiceFound', ['create', 'get']],
  ['it has lost its label', undefined, serviceOf({ labels: {} }), 'ServiceFound', ['create', 'get', 'replace']],
  [
    'it leads elsewhere',
    serviceOf({}, { type: 'ExternalName', externalName: 'x' }),
    undefined,
    'ServiceFound',
    ['replace'],
  ],
  ['it is of another type', serviceOf({}, { type: 'ClusterIP' }), undefined, 'ServiceFound', ['replace']],
  ['it is foreign', undefined, serviceOf({ ownerReferences: [] }), 'ServiceNotOurs', ['create', 'get']],
  [
    "it is another Connector's",
    undefined,
    serviceOf({ ownerReferences: [{ ...reference, name: 'other', uid: 'uid-2' }] }),
    'ServiceNotOurs',
    ['create', 'get'],
  ],
  [
    "it is a former Connector's",
    serviceOf({ ownerReferences: [{ ...reference, uid: 'uid-0' }] }),
    undefined,
    'ServiceOfFormerConnector',
    [],
  ],
])('the Service of a connector, when %s', async (_what, known, present, reason, calls) => {
  const server = serverWith(present);
  const verdict = await server.ensure(known);
  expect(verdict).toMatchObject({ reason, status: reason === 'ServiceFound' ? 'True' : 'False' });
  expect(server.calls).toEqual(calls);
});

test.each([
  [403, 'Forbidden'],
  [422, 'Invalid'],
])('a refusal with %i is told and not repeated in a hurry', async (status, reason) => {
  const message = `the Service cannot be written: create Service: ${reason}`;
  const verdict = await serverWith(undefined, failure(status, reason)).ensure();
  expect(verdict).toEqual({ status: 'False', reason: 'ServiceRefused', message });
});

test.each([
  [500, 'InternalError'],
  [409, 'Conflict'],
])('what may be right at the next try, as %i, is an error', async (status, reason) => {
  await expect(serverWith(undefined, failure(status, reason)).ensure()).rejects.toMatchObject({ status });
});

test('names of Services that could be ours lead to their connectors', () => {
  expect(connectorOfService({ namespace: 'demo', name: 'c-harbor' })).toEqual(owner.key);
  expect(connectorOfService({ namespace: 'demo', name: 'harbor' })).toBeUndefined();
});
