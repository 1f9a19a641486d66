import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Document } from '../../connectors/schema.ts';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { parseCallers } from '../../proxy/callers-file.ts';
import { type CallOptions, call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, type RegistryOptions, startRegistry } from '../support/registry.ts';

const login = { username: 'robot', password: 'correct horse' };
const sealing = ephemeralSealingKeys();
const parts = new AsyncDisposableStack();
let stack = parts;

afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

async function arrange(options: RegistryOptions = {}, more: (registry: Registry) => Document[] = () => []) {
  const registry = stack.use(await startRegistry({ auth: { kind: 'token', ...login }, ...options }));
  const documents = [...connectorTo(registry.origin, login), ...more(registry)];
  const clock = { now: Date.now() };
  const proxy = stack.use(await startProxy({ documents, sealing, now: () => clock.now }));
  return { registry, proxy, clock };
}

const blob = Buffer.from('the bytes of a small blob');
const digest = digestOf(blob);
/** More than is held in memory. */
const large = Buffer.alloc(3_000_000, 'large blob, ');
const largeDigest = digestOf(large);

const begin = (proxy: RunningProxy, query = '', options: CallOptions = {}) =>
  call(proxy.url(`team/app/blobs/uploads/${query}`), { method: 'POST', ...options });
const at = (proxy: RunningProxy, location: string | undefined, query = '') =>
  `${new URL(location ?? '', proxy.origin).href}${query}`;
const octets = { 'content-type': 'application/octet-stream' };
const lastScopes = (registry: Registry) => registry.tokenRequests.at(-1)?.query.getAll('scope');
const errorOf = (body: Buffer) => JSON.parse(body.toString()).errors[0];

const locations: [string, NonNullable<RegistryOptions['uploadLocation']>][] = [
  ['relative', (path) => path],
  ['absolute', (path, origin) => origin + path],
  ['with parameters that have to stay as they are', (path) => `${path}&sig=a%2Fb%20c+d&x=%7e&empty=`],
];

describe.each(locations)('an upload whose Location is %s', (_form, uploadLocation) => {
  test('goes through us in three steps, of which none shows the registry’s address', async () => {
    const { registry, proxy } = await arrange({ uploadLocation });
    const begun = await begin(proxy);
    expect(begun).toMatchObject({ status: 202, headers: { range: '0-0' } });
    expect(begun.headers.location).toMatch(
      /^\/v2\/namespaces\/demo\/connectors\/registry\/team\/app\/blobs\/uploads\/[\w.-]+$/,
    );
    const patched = await call(at(proxy, begun.headers.location), { method: 'PATCH', body: blob, headers: octets });
    expect(patched).toMatchObject({ status: 202, headers: { range: `0-${blob.length - 1}` } });
    const done = await call(at(proxy, patched.headers.location, `?digest=${digest}`), { method: 'PUT' });
    expect(done).toMatchObject({
      status: 201,
      headers: {
        location: `/v2/namespaces/demo/connectors/registry/team/app/blobs/${digest}`,
        'docker-content-digest': digest,
      },
    });
    expect(registry.contents('team/app').blobs).toEqual([digest]);
    expect((await call(at(proxy, done.headers.location))).body.equals(blob)).toBe(true);
    expect([begun, patched, done].map((answer) => JSON.stringify(answer.headers)).join()).not.toContain(
      registry.authority,
    );
  });
});

describe('a blob', () => {
  test.each(['with its length', 'in chunks'])('that is large goes through in one request, %s', async (form) => {
    const { registry, proxy } = await arrange({ auth: { kind: 'none' } });
    const headers =
      form === 'in chunks'
        ? { ...octets, 'transfer-encoding': 'chunked' }
        : { ...octets, 'content-length': large.length };
    const pushed = await begin(proxy, `?digest=${largeDigest}`, { body: large, headers });
    expect(pushed).toMatchObject({ status: 201, headers: { 'docker-content-digest': largeDigest } });
    expect(registry.contents('team/app').blobs).toEqual([largeDigest]);
    expect(proxy.operations.at(-1)).toMatchObject({ received: large.length, action: 'push', endpoint: 'uploads' });
  });

  test('is mounted from another repository of the connector, in path form and as the registry names it', async () => {
    const { registry, proxy } = await arrange();
    const image = registry.seed('team/base', makeImage(), ['v1']);
    for (const from of ['namespaces/demo/connectors/registry/team/base', 'team/base']) {
      const mounted = await begin(proxy, `?mount=${image.config}&from=${encodeURIComponent(from)}`);
      expect(mounted).toMatchObject({ status: 201 });
      expect(mounted.headers.location).toBe(`/v2/namespaces/demo/connectors/registry/team/app/blobs/${image.config}`);
    }
    expect(lastScopes(registry)).toEqual(['repository:team/app:pull,push', 'repository:team/base:pull']);
  });

  test.each([
    ['another connector', 'namespaces/demo/connectors/other/team/base'],
    ['another namespace', 'namespaces/other/connectors/registry/team/base'],
    ['no repository', '../team/base'],
    ['nothing', ''],
  ])('that is to be mounted from %s is uploaded', async (_where, from) => {
    const { registry, proxy } = await arrange({}, (found) =>
      connectorTo(found.origin, { ...login, key: 'demo/other' }),
    );
    const image = registry.seed('team/base', makeImage(), ['v1']);
    expect(await begin(proxy, `?mount=${image.config}&from=${encodeURIComponent(from)}`)).toMatchObject({
      status: 202,
    });
    expect(registry.requests.at(-1)?.url).toBe('/v2/team/app/blobs/uploads/');
  });
});

describe('an upload', () => {
  test('can be asked for, resumed and given up', async () => {
    const { registry, proxy } = await arrange();
    const begun = await begin(proxy);
    const headers = { ...octets, 'content-range': '0-9' };
    const first = await call(at(proxy, begun.headers.location), {
      method: 'PATCH',
      body: blob.subarray(0, 10),
      headers,
    });
    expect(first).toMatchObject({ status: 202 });
    const again = await call(at(proxy, first.headers.location), {
      method: 'PATCH',
      body: blob.subarray(0, 10),
      headers,
    });
    expect(again).toMatchObject({ status: 416, headers: { range: '0-9' } });
    expect(again.headers.location).toMatch(/^\/v2\/namespaces\//);
    const status = await call(at(proxy, begun.headers.location));
    expect(status).toMatchObject({ status: 204, headers: { range: '0-9' } });
    const rest = {
      method: 'PUT',
      body: blob.subarray(10),
      headers: { ...octets, 'content-range': `10-${blob.length - 1}` },
    };
    expect(await call(at(proxy, status.headers.location, `?digest=${digest}`), rest)).toMatchObject({ status: 201 });
    const other = await begin(proxy);
    expect(await call(at(proxy, other.headers.location), { method: 'DELETE' })).toMatchObject({ status: 204 });
    expect(await call(at(proxy, other.headers.location))).toMatchObject({ status: 404 });
    expect(registry.contents('team/app').blobs).toEqual([digest]);
  });

  test.each([
    ['that we did not make', 'abc.def'],
    ['as the registry names it', '0b3e1c5a-0000-4000-8000-000000000000'],
    ['without an end', `x.${'A'.repeat(100)}`],
  ])('at an address %s is unknown', async (_what, sealed) => {
    const { registry, proxy } = await arrange();
    const found = await call(proxy.url(`team/app/blobs/uploads/${sealed}`), { method: 'PATCH', body: blob });
    expect(found.status).toBe(404);
    expect(errorOf(found.body)).toMatchObject({ code: 'BLOB_UPLOAD_UNKNOWN', detail: { reason: 'UPLOAD_UNKNOWN' } });
    expect(registry.requests).toEqual([]);
  });

  test('belongs to its repository and connector', async () => {
    const { proxy } = await arrange({}, (found) => connectorTo(found.origin, { ...login, key: 'demo/other' }));
    const sealed = (await begin(proxy)).headers.location?.split('/').at(-1) ?? '';
    for (const url of [
      proxy.url(`team/other/blobs/uploads/${sealed}`),
      proxy.url(`team/app/blobs/uploads/${sealed}`, 'demo/other'),
    ]) {
      expect(await call(url, { method: 'PUT' })).toMatchObject({ status: 404 });
    }
  });
});

describe('content', () => {
  test('is pushed by tag and by digest, and deleted', async () => {
    const { registry, proxy } = await arrange();
    const image = makeImage();
    registry.seed('team/app', image, []);
    const headers = { 'content-type': image.mediaType };
    const body = image.manifests.get(image.digest)?.bytes ?? Buffer.alloc(0);
    for (const reference of ['v1', image.digest]) {
      const put = await call(proxy.url(`team/app/manifests/${reference}`), {
        method: 'PUT',
        body,
        headers,
      });
      expect(put).toMatchObject({ status: 201, headers: { 'docker-content-digest': image.digest } });
      expect(put.headers.location).toMatch(/^\/v2\/namespaces\/demo\/connectors\/registry\/team\/app\/manifests\//);
    }
    expect(lastScopes(registry)).toEqual(['repository:team/app:pull,push']);
    for (const tail of ['manifests/v1', `manifests/${image.digest}`, `blobs/${image.config}`]) {
      expect(await call(proxy.url(`team/app/${tail}`), { method: 'DELETE' })).toMatchObject({ status: 202 });
    }
    expect(lastScopes(registry)).toEqual(['repository:team/app:delete']);
  });
});

test('a deletion that the registry has done, and whose answer is lost, is not told to be of something unknown', async () => {
  const { registry, proxy } = await arrange();
  const { digest: deleted } = registry.seed('team/app', makeImage(), ['v1']);
  registry.faults.add({ match: { method: 'DELETE' }, times: 1, fault: faults.answerLost });
  const answer = await call(proxy.url(`team/app/manifests/${deleted}`), { method: 'DELETE' });
  expect(registry.contents('team/app').manifests).not.toContain(deleted);
  expect(answer).toMatchObject({ status: 502 });
});

describe('a body', () => {
  const tokens = { reader: 'reader-token-0123456789', pusher: 'pusher-token-0123456789' };
  const callers = parseCallers(
    JSON.stringify({
      callers: [
        { name: 'reader', token: tokens.reader, connectors: ['*'] },
        { name: 'pusher', token: tokens.pusher, connectors: ['*'], actions: ['push'] },
      ],
    }),
    'callers.json',
  );

  test('is not asked for before its caller is allowed', async () => {
    const registry = stack.use(await startRegistry({ auth: { kind: 'token', ...login } }));
    const proxy = stack.use(await startProxy({ documents: connectorTo(registry.origin, login), callers, sealing }));
    const headers = { ...octets, authorization: `Bearer ${tokens.reader}`, expect: '100-continue' };
    const refused = await begin(proxy, `?digest=${largeDigest}`, { body: large, headers });
    expect(refused).toMatchObject({ status: 403, headers: { connection: 'close' } });
    expect(registry.requests).toEqual([]);
    const allowed = { ...headers, authorization: `Bearer ${tokens.pusher}` };
    expect(await begin(proxy, `?digest=${largeDigest}`, { body: large, headers: allowed })).toMatchObject({
      status: 201,
    });
  });

  test('that nobody wants does not keep its caller from reading why', async () => {
    const registry = stack.use(await startRegistry({ auth: { kind: 'token', ...login } }));
    const proxy = stack.use(await startProxy({ documents: connectorTo(registry.origin, login), callers, sealing }));
    const headers = { ...octets, authorization: `Bearer ${tokens.reader}` };
    const refused = await begin(proxy, `?digest=${largeDigest}`, { body: large, headers });
    expect(refused.status).toBe(403);
    expect(errorOf(refused.body).message).toContain('reader may not push');
  });

  test('is sent again with another grant when the registry refuses the first', async () => {
    const { registry, proxy } = await arrange();
    expect(await begin(proxy)).toMatchObject({ status: 202 });
    registry.revokeTokens();
    expect(await begin(proxy, `?digest=${digest}`, { body: blob, headers: octets })).toMatchObject({ status: 201 });
  });

  test('that can be sent once is sent with another grant when the registry refuses the first before it', async () => {
    const { registry, proxy } = await arrange({ refusesBeforeBody: true });
    expect(await begin(proxy)).toMatchObject({ status: 202 });
    registry.revokeTokens();
    const pushed = await begin(proxy, `?digest=${largeDigest}`, { body: large, headers: octets });
    expect(pushed).toMatchObject({ status: 201 });
    expect(registry.contents('team/app').blobs).toEqual([largeDigest]);
  });

  test('is sent without being announced to a registry that knows no announcements', async () => {
    const bodies: number[] = [];
    const registry = createServer(async (request, response) => {
      const body = Buffer.concat(await request.toArray());
      if (request.method === 'POST') bodies.push(body.length);
      response.writeHead(request.method === 'POST' ? 201 : 200).end();
    });
    registry.on('checkContinue', (_request, response) => response.writeHead(417).end());
    stack.defer(() => void registry.close());
    await once(registry.listen(0, '127.0.0.1'), 'listening');
    const origin = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
    const proxy = stack.use(await startProxy({ documents: connectorTo(origin), sealing }));
    const pushed = await begin(proxy, `?digest=${largeDigest}`, { body: large, headers: octets });
    expect(pushed).toMatchObject({ status: 201 });
    expect(bodies).toEqual([large.length]);
  });

  test('that can be sent once is not sent with a grant that was not used lately', async () => {
    const { registry, proxy, clock } = await arrange();
    const push = () => begin(proxy, `?digest=${largeDigest}`, { body: large, headers: octets });
    expect(await begin(proxy)).toMatchObject({ status: 202 });
    registry.revokeTokens();
    // This registry lets bodies come before it looks at their tokens.
    const lapsed = await push();
    expect(lapsed).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(errorOf(lapsed.body)).toMatchObject({ detail: { reason: 'GRANT_LAPSED' } });
    expect(await push()).toMatchObject({ status: 201 });
    registry.revokeTokens();
    clock.now += 31_000;
    expect(await push()).toMatchObject({ status: 201 });
  });
});
