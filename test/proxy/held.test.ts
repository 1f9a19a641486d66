import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import type * as faults from '../support/faults.ts';
import { type Image, makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import type { HttpAnswer } from '../support/registry/answer.ts';
import { type RecordedRequest, type Registry, startRegistry } from '../support/registry.ts';
import { type BlobStorage, startStorage } from '../support/storage.ts';

let storage: BlobStorage;
let registry: Registry;
let image: Image;
let proxy: RunningProxy;

beforeEach(async () => {
  storage = await startStorage();
  registry = await startRegistry({ redirectBlobs: storage.publish });
  image = registry.seed('team/app', makeImage(), ['v1']);
  const documents = ['handover', 'follow'].flatMap((redirect) =>
    connectorTo(registry.origin, { key: `demo/${redirect}`, redirect }),
  );
  proxy = await startProxy({ documents });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
  await storage.close();
});

const layer = () => image.layers[0] ?? '';
const isContent = ({ repository }: RecordedRequest) => repository !== undefined;
const inflict = (name: string, change: (answer: HttpAnswer) => HttpAnswer): faults.Fault => ({
  name,
  inflict: async (answer) => change(await answer()),
});
/** The right head, and a body of which there is always more to come. */
const dribbling = inflict('dribbling', ({ status, headers }) => ({
  status,
  headers: { ...headers, 'content-length': '50000' },
  body: [Buffer.from('<a href="x">Temporary Redirect</a>')],
  ending: 'hang',
}));
/** Whether something has ended by now. */
const hasEnded = (ended: Promise<unknown>) => Promise.race([ended.then(() => true), Promise.resolve(false)]);

describe('a redirect whose body does not end', () => {
  test('is handed over at once', async () => {
    registry.faults.add({ match: { path: /blobs/ }, fault: dribbling });
    const found = await call(proxy.url(`team/app/blobs/${layer()}`, 'demo/handover'));
    expect(found).toMatchObject({ status: 307, body: Buffer.alloc(0), failure: undefined });
    expect(found.headers.location).toContain(`${storage.origin}/bucket/${layer()}?`);
    expect(await hasEnded((await registry.arrival(isContent)).ended)).toBe(false);
  });

  test('is followed at once', async () => {
    registry.faults.add({ match: { path: /blobs/ }, fault: dribbling });
    const found = await call(proxy.url(`team/app/blobs/${layer()}`, 'demo/follow'));
    expect([found.status, digestOf(found.body)]).toEqual([200, layer()]);
    expect(await hasEnded((await registry.arrival(isContent)).ended)).toBe(false);
  });

  test('is followed at once to the same registry', async () => {
    const location = `/v2/team/app/manifests/${image.digest}`;
    const redirect = inflict('dribbling redirect', () => ({
      status: 307,
      headers: { location },
      body: [Buffer.from('see')],
      ending: 'hang',
    }));
    registry.faults.add({ match: { path: /manifests\/v1$/ }, fault: redirect });
    const found = await call(proxy.url('team/app/manifests/v1', 'demo/follow'));
    expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
    expect(await hasEnded((await registry.arrival(isContent)).ended)).toBe(false);
  });

  test('is not read to its end', async () => {
    const digest = await registry.seedSyntheticBlob('team/app', 64 * 1024 * 1024);
    const endless = inflict('endless', ({ headers }) => ({
      status: 307,
      headers: { location: headers['location'] ?? '' },
      body: endlessly(Buffer.alloc(10_000, 'x')),
    }));
    registry.faults.add({ match: { path: /blobs/ }, fault: endless });
    const found = await call(proxy.url(`team/app/blobs/${digest}`, 'demo/handover'));
    expect(found.status).toBe(307);
    expect(await (await registry.arrival(isContent)).ended).toBe('broken');
  });
});

function* endlessly(chunk: Buffer): Generator<Buffer> {
  for (;;) yield chunk;
}

const longBody = 'x'.repeat(200_000);
const shortBody = JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'x'.repeat(2000) }] });
const notFound = (length: string, body: string, ending?: 'close' | 'reset' | 'hang') =>
  inflict('a 404', () => ({
    status: 404,
    headers: { 'content-type': 'text/html', 'content-length': length },
    body: [Buffer.from(body)],
    ...(ending && { ending }),
  }));

describe('a 404 whose body', () => {
  test.each([
    ['is longer than errors are', notFound('200000', longBody, 'hang')],
    ['is cut', notFound('5000', shortBody, 'close')],
    ['breaks off', notFound('5000', shortBody, 'reset')],
    // The only one that takes its time: as long as a body is waited for.
    ['does not end', notFound('5000', shortBody, 'hang')],
  ])('%s is still a 404, with a whole body of ours', async (_how, fault) => {
    registry.faults.add({ match: { path: /manifests/ }, fault });
    const startedAt = performance.now();
    const found = await call(proxy.url('team/app/manifests/v1', 'demo/follow'));
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    expect(found).toMatchObject({ status: 404, failure: undefined });
    expect(found.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(found.body.length),
    });
    expect(JSON.parse(found.body.toString()).errors).toEqual([
      {
        code: 'UNAVAILABLE',
        message: 'connector demo/follow: the registry answered 404 with a body that cannot be read',
        detail: { reason: 'UPSTREAM_PROTOCOL', connector: 'demo/follow' },
      },
    ]);
    expect(await (await registry.arrival(isContent)).ended).toBe('broken');
  });

  test('is as long as errors may be arrives as it is', async () => {
    const body = 'x'.repeat(60_000);
    registry.faults.add({ match: { path: /manifests/ }, fault: notFound('60000', body) });
    const found = await call(proxy.url('team/app/manifests/v1', 'demo/follow'));
    expect([found.status, found.body.toString()]).toEqual([404, body]);
  });
});
