import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { type Image, makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';
import { type BlobStorage, startStorage } from '../support/storage.ts';

const login = { username: 'robot', password: 'correct horse' };

let storage: BlobStorage;
let registry: Registry;
let image: Image;
let proxy: RunningProxy;

beforeEach(async () => {
  storage = await startStorage();
  registry = await startRegistry({ auth: { kind: 'token', ...login } });
  image = registry.seed('team/app', makeImage(), ['v1']);
  registry.seed('team/other', image, ['v1']);
  registry.seed('private/app', image, ['v1']);
  const documents = [
    ...connectorTo(registry.origin, { ...login, redirect: 'follow' }),
    ...connectorTo(`${registry.origin}/team`, { ...login, key: 'demo/team', redirect: 'follow' }),
  ];
  proxy = await startProxy({ documents });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
  await storage.close();
});

const errorOf = (body: Buffer) => JSON.parse(body.toString()).errors[0];
const seenAt = (path: string) => registry.requests.filter(({ url }) => url.split('?')[0] === path);
const sendTo = (url: string) =>
  registry.faults.add({
    match: { path: /^\/v2\/team\/app\//, isAuthorized: true },
    times: 1,
    fault: faults.redirectedTo(url),
  });

describe('a registry that storage sends us back to', () => {
  test.each(['/v2/team/other/manifests/v1', '/v2/team/app/manifests/v1', '/internal/tokens'])(
    'at %s does not get its grant',
    async (path) => {
      for (const tail of [`blobs/${image.layers[0]}`, 'manifests/v1']) {
        const before = seenAt(path).length;
        sendTo(`${storage.origin}/bucket/x`);
        storage.faults.add({ times: 1, fault: faults.redirectedTo(`${registry.origin}${path}`) });
        const found = await call(proxy.url(`team/app/${tail}`));
        expect(found.status).not.toBe(200);
        const last = seenAt(path).at(-1);
        expect(seenAt(path).length).toBeGreaterThan(before);
        expect(last?.headers).not.toHaveProperty('authorization');
      }
      expect(storage.requests).toHaveLength(2);
      expect(storage.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
      expect(registry.tokenRequests).toHaveLength(1);
    },
  );

  test('is the one that refused, and that is no reason for another grant', async () => {
    sendTo(`${storage.origin}/bucket/x`);
    storage.faults.add({ fault: faults.redirectedTo(`${registry.origin}/v2/team/other/manifests/v1`) });
    const { status, headers, body } = await call(proxy.url('team/app/manifests/v1'));
    expect([status, errorOf(body).detail.reason]).toEqual([502, 'UPSTREAM_PROTOCOL']);
    expect(headers).not.toHaveProperty('www-authenticate');
    expect(registry.tokenRequests).toHaveLength(1);
  });

  test('out of the connector’s path is not asked', async () => {
    sendTo(`${storage.origin}/bucket/x`);
    storage.faults.add({ fault: faults.redirectedTo(`${registry.origin}/v2/private/app/manifests/v1`) });
    const { status, body } = await call(proxy.url('team/app/manifests/v1', 'demo/team'));
    expect([status, errorOf(body).detail.reason]).toEqual([403, 'REPOSITORY_OUTSIDE']);
    expect(seenAt('/v2/private/app/manifests/v1')).toEqual([]);
  });
});

describe('a redirect within the registry', () => {
  test.each([
    '/v2/private/app/manifests/v1',
    '/v2/team/../private/app/manifests/v1',
    '/v2/team/%2e%2e/private/app/manifests/v1',
    '/v2/teams/app/manifests/v1',
    '/v2/team%2f..%2fprivate/app/manifests/v1',
    '/v2/_catalog',
    '/v2/',
  ])('out of the connector’s path, to %s, is refused', async (path) => {
    for (const location of [path, `${registry.origin}${path}`]) {
      sendTo(location);
      const before = registry.requests.length;
      const { status, body } = await call(proxy.url('team/app/manifests/v1', 'demo/team'));
      expect([status, errorOf(body)]).toMatchObject([
        403,
        { code: 'DENIED', detail: { reason: 'REPOSITORY_OUTSIDE', connector: 'demo/team' } },
      ]);
      const paths = registry.requests.slice(before).map(({ url }) => url);
      expect(paths.filter((asked) => asked !== '/v2/')).toEqual(['/v2/team/app/manifests/v1']);
    }
  });

  test('within the connector’s path is followed', async () => {
    sendTo(`/v2/team/app/manifests/${image.digest}`);
    const found = await call(proxy.url('team/app/manifests/v1', 'demo/team'));
    expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
  });
});

test('hundreds of callers who do not read keep nobody else of the same registry waiting', async () => {
  const chunk = Buffer.alloc(65_536);
  function* endless() {
    for (;;) yield chunk;
  }
  const headers = { 'content-length': String(2 ** 40) };
  registry.faults.add({
    match: { path: /blobs/, isAuthorized: true },
    fault: { name: 'endless blob', inflict: async () => ({ status: 200, headers, body: endless() }) },
  });
  // More than any usual bound of a pool.
  const stalled = Array.from({ length: 260 }, async () => {
    const request = get(proxy.url(`team/app/blobs/${image.layers[0]}`), { agent: false });
    const [response] = await once(request, 'response');
    // What is cut in the end, by the test itself, is told to the request as well.
    request.on('error', () => {});
    return response as IncomingMessage;
  });
  const responses = await Promise.all(stalled);
  for (const key of ['demo/registry', 'demo/team']) {
    const found = await call(proxy.url('team/app/manifests/v1', key));
    expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
  }
  expect(responses.filter(({ complete }) => complete)).toEqual([]);
  for (const response of responses) response.destroy();
}, 120_000);
