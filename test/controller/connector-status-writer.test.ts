import { expect, test } from 'vitest';
import type { Connector } from '../../connectors/schema.ts';
import type { ConnectorStatus } from '../../connectors/status.ts';
import { ConnectorStatusWriter } from '../../controller/connector-status-writer.ts';
import { KubernetesError } from '../../platform/kubernetes/error.ts';
import { connectorOf } from '../connectors/documents.ts';

const { signal } = new AbortController();
const generation = (observedGeneration: number) => (previous: ConnectorStatus) =>
  previous.observedGeneration === observedGeneration ? previous : { ...previous, observedGeneration };
const seen = (resourceVersion: string, status?: ConnectorStatus): Connector => ({
  ...connectorOf({}, { uid: 'uid-1', resourceVersion }),
  ...(status && { status }),
});

/** An API server with one Connector, of which the version counts up; the versions that writes were made over. */
function serverWith(start: Connector, versionOf = (object: Connector) => object.metadata.resourceVersion) {
  const state = { current: start as Connector | undefined };
  const writes: string[] = [];
  const client = {
    get: async () => state.current,
    patch: async (_resource: unknown, _key: unknown, patch: Connector) => {
      writes.push(`over ${patch.metadata.resourceVersion}`);
      const { current } = state;
      if (current === undefined) throw new KubernetesError('gone', { status: 404, reason: 'NotFound' });
      if (versionOf(current) !== patch.metadata.resourceVersion || current.metadata.uid !== patch.metadata.uid) {
        throw new KubernetesError('changed', { status: 409, reason: 'Conflict' });
      }
      const resourceVersion = String(Number(current.metadata.resourceVersion) + 1);
      state.current = { ...current, status: patch.status, metadata: { ...current.metadata, resourceVersion } };
      return state.current;
    },
  };
  const writer = new ConnectorStatusWriter(client as unknown as ConstructorParameters<typeof ConnectorStatusWriter>[0]);
  return { state, writes, writer };
}

test('a status is written over the version that it follows from, and not again', async () => {
  const { writes, writer } = serverWith(seen('1'));
  await writer.write(seen('1'), generation(3), signal);
  expect(await writer.write(seen('1'), generation(3), signal)).toBeUndefined();
  expect(writes).toEqual(['over 1']);
});

test('the next one follows from the last, before the watch has brought that', async () => {
  const { writes, writer } = serverWith(seen('1'));
  await writer.write(seen('1'), generation(3), signal);
  await writer.write(seen('1'), generation(4), signal);
  expect(writes).toEqual(['over 1', 'over 2']);
});

test('what somebody else has written meanwhile is read and kept', async () => {
  const { state, writes, writer } = serverWith(seen('7', { conditions: [{ type: 'Theirs', status: 'True' }] }));
  await writer.write(seen('1'), generation(3), signal);
  expect(writes).toEqual(['over 1', 'over 7']);
  expect(state.current?.status).toEqual({ conditions: [{ type: 'Theirs', status: 'True' }], observedGeneration: 3 });
});

test('somebody else may have written the same', async () => {
  const { writes, writer } = serverWith(seen('7', { observedGeneration: 3 }));
  expect(await writer.write(seen('1'), generation(3), signal)).toBeUndefined();
  expect(writes).toEqual(['over 1']);
});

test.each<[what: string, current: Connector | undefined]>([
  ['has gone', undefined],
  ['is another one of the same name', connectorOf({}, { uid: 'uid-2', resourceVersion: '9' })],
])('a connector that %s is left alone', async (_what, current) => {
  const { state, writes, writer } = serverWith(seen('1'));
  state.current = current;
  expect(await writer.write(seen('1'), generation(3), signal)).toBeUndefined();
  expect(writes).toEqual(['over 1']);
});

test('after some conflicts in a row it is left to the queue', async () => {
  const { writes, writer } = serverWith(seen('1'), () => 'ever another');
  await expect(writer.write(seen('1'), generation(3), signal)).rejects.toMatchObject({ reason: 'Conflict' });
  expect(writes).toHaveLength(4);
});
