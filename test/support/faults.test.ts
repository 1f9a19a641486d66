import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from './call.ts';
import { makeSelfSigned } from './certificate.ts';
import { digestOf } from './digest.ts';
import * as faults from './faults.ts';
import { type Image, makeImage } from './image.ts';
import { systemClock } from './registry/exchange.ts';
import { type Registry, startRegistry } from './registry.ts';

const slept: number[] = [];
const clock = {
  ...systemClock,
  sleep: async (milliseconds: number) => {
    slept.push(milliseconds);
  },
};

let registry: Registry;
let image: Image;

beforeEach(async () => {
  slept.length = 0;
  registry = await startRegistry({ clock });
  image = registry.seed('team/app', makeImage({ layers: 1, layerBytes: 500_000 }), ['v1']);
});
afterEach(() => registry.close());

const layer = () => image.layers[0] ?? '';
const layerBytes = () => Buffer.from(image.blobs.get(layer()) ?? []);
const pull = () => call(`${registry.origin}/v2/team/app/blobs/${layer()}`);

describe('a blob request', () => {
  test.each([
    [faults.resetBeforeHeaders, { status: undefined, failure: 'ECONNRESET' }, 0],
    [faults.closedBeforeHeaders, { status: undefined, failure: 'ECONNRESET' }, 0],
    [faults.answerLost, { status: undefined, failure: 'ECONNRESET' }, 0],
    [faults.resetAfter(0), { status: 200, failure: 'ECONNRESET' }, 0],
    [faults.resetAfter(1000), { status: 200, failure: 'ECONNRESET' }, 1000],
    [faults.resetAfter(400_000), { status: 200, failure: 'ECONNRESET' }, 400_000],
    [faults.truncatedAfter(1000), { status: 200, failure: 'ECONNRESET' }, 1000],
    [faults.status(503), { status: 503, failure: undefined }, undefined],
    [faults.tooManyRequests(7), { status: 429, headers: { 'retry-after': '7' } }, undefined],
    [faults.redirectedTo('http://other/'), { status: 307, headers: { location: 'http://other/' } }, 0],
    [faults.malformedAnswer(), { status: undefined, failure: 'HPE_INVALID_CONSTANT' }, 0],
    [faults.hugeHeaders(20_000), { status: undefined, failure: 'HPE_HEADER_OVERFLOW' }, 0],
    [faults.withStatus(206), { status: 206, failure: undefined }, undefined],
    [faults.withHeaders({ 'x-a': '1' }), { status: 200, headers: { 'x-a': '1' } }, undefined],
    [faults.wrongDigestHeader, { headers: { 'docker-content-digest': digestOf('something else') } }, undefined],
  ])('that meets $name ends as the fault says', async (fault, expected, length) => {
    registry.faults.add({ fault });
    const result = await pull();
    expect(result).toMatchObject(expected);
    if (length !== undefined) expect(result.body).toHaveLength(length);
    expect(registry.requests).toMatchObject([{ fault: fault.name }]);
  });

  test('that meets redirectLoop is sent to where it came from', async () => {
    registry.faults.add({ fault: faults.redirectLoop });
    const { headers } = await pull();
    expect(headers.location).toBe(`${registry.origin}/v2/team/app/blobs/${layer()}`);
  });

  test('that meets withHeaders loses the headers that are undefined', async () => {
    registry.faults.add({ fault: faults.withHeaders({ 'content-length': undefined, etag: undefined }) });
    const { headers, body } = await pull();
    expect(headers).toMatchObject({ 'transfer-encoding': 'chunked' });
    expect(headers.etag).toBeUndefined();
    expect(digestOf(body)).toBe(layer());
  });

  test('that meets corruptedBytes gets one byte wrong', async () => {
    registry.faults.add({ fault: faults.corruptedBytes });
    const { body } = await pull();
    expect(body[0]).not.toBe(layerBytes()[0]);
    expect(body.subarray(1).equals(layerBytes().subarray(1))).toBe(true);
  });

  test('that meets a delay or a slow body gets everything, late', async () => {
    registry.faults.add({ times: 1, fault: faults.delayed(5000) });
    registry.faults.add({ fault: faults.slowBody({ bytes: 100_000, everyMs: 100 }) });
    expect(digestOf((await pull()).body)).toBe(layer());
    expect(slept).toEqual([5000]);
    expect(digestOf((await pull()).body)).toBe(layer());
    expect(slept.slice(1).length).toBeGreaterThanOrEqual(5);
  });

  test('that meets a stalled body gets its first bytes and waits until somebody closes', async () => {
    registry.faults.add({ fault: faults.stalledAfter(1000) });
    const response = await fetch(`${registry.origin}/v2/team/app/blobs/${layer()}`);
    const reader = response.body?.getReader();
    expect((await reader?.read())?.value).toHaveLength(1000);
    const next = reader?.read().catch((error: Error) => error);
    await registry.close();
    expect(await next).toBeInstanceOf(Error);
  });
});

describe('a blob request over TLS', () => {
  test.each([
    [faults.resetBeforeHeaders, { status: undefined, failure: 'ECONNRESET' }, 0],
    [faults.resetAfter(400_000), { status: 200, failure: 'ECONNRESET' }, 400_000],
    [faults.truncatedAfter(1000), { status: 200, failure: 'ECONNRESET' }, 1000],
    [faults.malformedAnswer(), { status: undefined, failure: 'HPE_INVALID_CONSTANT' }, 0],
    [faults.withHeaders({}), { status: 200, failure: undefined }, 1_000_000],
  ])('that meets $name ends in the same way', async (fault, expected, length) => {
    const tls = makeSelfSigned();
    await using secure = await startRegistry({ tls, hostname: 'localhost', faults: [{ fault }] });
    const digest = await secure.seedSyntheticBlob('team/app', 1_000_000);
    const result = await call(`${secure.origin}/v2/team/app/blobs/${digest}`, { ca: tls.cert });
    expect(result).toMatchObject(expected);
    expect(result.body).toHaveLength(length);
  });
});

describe('an upload', () => {
  test.each([faults.resetUploadAfter(1000), faults.stalledUploadAfter(1000)])(
    'that meets $name stops',
    async (fault) => {
      registry.faults.add({ fault });
      const url = `${registry.origin}/v2/team/app/blobs/uploads/`;
      const push = call(url, { method: 'POST', body: Buffer.alloc(50_000_000) });
      await registry.arrival(() => true);
      if (fault.name.startsWith('stalled')) await registry.close();
      expect(await push).toMatchObject({ status: undefined, failure: expect.stringMatching(/ECONNRESET|EPIPE/) });
    },
  );
});

describe('a rule', () => {
  const statuses = async (...paths: string[]) => {
    const results = [];
    for (const path of paths) results.push((await call(`${registry.origin}${path}`)).status);
    return results;
  };

  test('holds for the requests it matches, as often as it says, after as many as it says', async () => {
    const withdraw = registry.faults.add({
      match: { method: 'GET', path: /manifests/ },
      skip: 1,
      times: 2,
      fault: faults.status(500),
    });
    const manifest = '/v2/team/app/manifests/v1';
    expect(await statuses(manifest, '/v2/', manifest, manifest, manifest)).toEqual([200, 200, 500, 500, 200]);
    withdraw();
    registry.faults.add({ match: ({ exchange }) => exchange.url.search === '?x', fault: faults.status(502) });
    expect(await statuses('/v2/', '/v2/?x')).toEqual([200, 502]);
    registry.faults.clear();
    expect(await statuses('/v2/?x')).toEqual([200]);
  });

  test('can leave alone the requests that get a challenge', async () => {
    const auth = { kind: 'token', username: 'user', password: 'password' } as const;
    await using closed = await startRegistry({
      auth,
      faults: [{ match: { isAuthorized: true }, fault: faults.status(500) }],
    });
    const url = `${closed.origin}/v2/team/app/manifests/v1`;
    const authorization = `Bearer ${closed.issueToken(['repository:team/app:pull'])}`;
    expect((await call(url)).status).toBe(401);
    expect((await call(url, { headers: { authorization } })).status).toBe(500);
  });
});
