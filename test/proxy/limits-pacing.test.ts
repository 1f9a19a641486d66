import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { Document } from '../../connectors/schema.ts';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { UpstreamLimits } from '../../proxy/upstream-limits.ts';
import { call } from '../support/call.ts';
import * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { type RecordedRequest, type Registry, startRegistry } from '../support/registry.ts';

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

const slow = 'demo/slow';
const other = 'demo/other';
const errorOf = (body: Buffer) => JSON.parse(body.toString()).errors[0];
const isManifest = ({ url }: RecordedRequest) => url.includes('/manifests/');
const manifestsAsked = (registry: Registry) => registry.requests.filter(isManifest).length;

/** Two connectors to a registry each, with limits whose clock stands still until it is set. */
async function arrange({ concurrent }: { concurrent?: number } = {}) {
  const registries = [stack.use(await startRegistry()), stack.use(await startRegistry())] as const;
  const image = makeImage();
  for (const registry of registries) registry.seed('team/app', image, ['v1']);
  const clock = { now: 1000 };
  const limits = new UpstreamLimits({ now: () => clock.now, random: () => 0 });
  const documents = [
    ...connectorTo(registries[0].origin, { key: slow }).map((each) => withLimit(each, concurrent)),
    ...connectorTo(registries[1].origin, { key: other }),
  ];
  const proxy = stack.use(await startProxy({ documents, limits, sealing: ephemeralSealingKeys() }));
  const pull = (key: string, tail = 'manifests/v1', signal?: AbortSignal) =>
    call(proxy.url(`team/app/${tail}`, key), { ...(signal && { signal }) });
  return { limited: registries[0], free: registries[1], proxy, pull, clock, image };
}

function withLimit(document: Document, concurrent: number | undefined): Document {
  if (concurrent === undefined || document.kind !== 'Connector') return document;
  const params = [{ name: 'maxConcurrentRequests', value: String(concurrent) }];
  return { ...document, spec: { ...document.spec, params } };
}

describe('a registry that answers 429', () => {
  test('is left alone for as long as it said, whoever calls, and its other requests and other registries are not', async () => {
    const { limited, free, pull, clock, image } = await arrange();
    limited.faults.add({ match: { path: /manifests/ }, times: 1, fault: faults.tooManyRequests(60) });
    const first = await pull(slow);
    expect(first).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    expect(errorOf(first.body)).toMatchObject({ code: 'TOOMANYREQUESTS' });
    const asked = manifestsAsked(limited);
    for (let elapsed = 0; elapsed < 28; elapsed += 7) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => pull(slow)));
      for (const answer of answers) {
        expect(answer).toMatchObject({ status: 429, headers: { 'retry-after': String(60 - elapsed) } });
        expect(errorOf(answer.body)).toMatchObject({ detail: { reason: 'UPSTREAM_LIMITED', connector: slow } });
      }
      expect(manifestsAsked(limited)).toBe(asked);
      expect(await pull(other)).toMatchObject({ status: 200 });
      expect(await pull(slow, `blobs/${image.config}`)).toMatchObject({ status: 200 });
      clock.now += 7_000;
    }
    clock.now += 32_000;
    expect(await pull(slow)).toMatchObject({ status: 200 });
    expect(manifestsAsked(limited)).toBe(asked + 1);
    expect(manifestsAsked(free)).toBe(4);
  });

  test('is left alone by pushes as well, which wait for it, and pulls go on', async () => {
    const { limited, proxy, pull, clock, image } = await arrange();
    limited.faults.add({ match: { method: 'POST' }, times: 1, fault: faults.tooManyRequests(60) });
    const begin = (key: string) => call(proxy.url('team/app/blobs/uploads/', key), { method: 'POST' });
    const posts = () => limited.requests.filter(({ method }) => method === 'POST').length;
    expect(await begin(slow)).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    clock.now += 59_800;
    const waiting = begin(slow);
    expect(await begin(other)).toMatchObject({ status: 202 });
    expect(await pull(slow)).toMatchObject({ status: 200 });
    expect(await pull(slow, `blobs/${image.config}`)).toMatchObject({ status: 200 });
    expect(posts()).toBe(1);
    clock.now += 200;
    expect(await waiting).toMatchObject({ status: 202 });
    expect(posts()).toBe(2);
  });
});

describe('a registry that is slow', () => {
  const hold = (registry: Registry) => {
    const goesOn = Promise.withResolvers<void>();
    const inflict: faults.Fault['inflict'] = async (answer) => {
      await goesOn.promise;
      return answer();
    };
    registry.faults.add({ match: { path: /manifests/ }, fault: { name: 'held up', inflict } });
    return goesOn.resolve;
  };

  test('with all of its requests in use keeps no other waiting, and gets no more than it may', async () => {
    const { limited, free, pull } = await arrange({ concurrent: 4 });
    const goOn = hold(limited);
    const held = Array.from({ length: 60 }, () => pull(slow));
    await limited.arrival(isManifest, 4);
    for (let count = 1; count <= 50; count += 1) {
      expect(await pull(other)).toMatchObject({ status: 200 });
      expect(manifestsAsked(free)).toBe(count);
    }
    expect(manifestsAsked(limited)).toBe(4);
    goOn();
    expect((await Promise.all(held)).map(({ status }) => status)).toEqual(held.map(() => 200));
    expect(manifestsAsked(limited)).toBe(60);
  });

  test('is not asked for what nobody waits for any more', async () => {
    const { limited, proxy, pull } = await arrange({ concurrent: 1 });
    const goOn = hold(limited);
    const first = pull(slow);
    await limited.arrival(isManifest);
    const leaving = new AbortController();
    const waiting = once(proxy.proxy.server, 'request');
    const left = pull(slow, 'manifests/v2', leaving.signal);
    const [, response] = await waiting;
    leaving.abort();
    await left;
    await once(response, 'close');
    goOn();
    expect(await first).toMatchObject({ status: 200 });
    expect(await pull(slow)).toMatchObject({ status: 200 });
    expect(limited.requests.filter(({ url }) => url.endsWith('/v2'))).toEqual([]);
  });
});
