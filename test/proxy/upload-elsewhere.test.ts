import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const login = { username: 'robot', password: 'correct horse' };
const blob = Buffer.alloc(200_000, 'somewhere else ');
const digest = digestOf(blob);

interface Received {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

let parts: AsyncDisposableStack;
let registry: Registry;
let proxy: RunningProxy;
let received: Received[];
/** What the storage answers with, one after the other. */
let answers: [status: number, headers: Record<string, string>][];

beforeEach(async () => {
  parts = new AsyncDisposableStack();
  received = [];
  answers = [];
  const storage = createServer(async (request, response) => {
    const { method, url, headers } = request;
    received.push({ method, url, headers, body: await buffer(request) });
    const [status, answered] = answers.shift() ?? [500, {}];
    response.writeHead(status, answered).end();
  });
  storage.listen(0, '127.0.0.1');
  await once(storage, 'listening');
  parts.defer(() => void storage.close());
  const { port } = storage.address() as AddressInfo;
  const uploadLocation = (): string => `http://127.0.0.1:${port}/bucket/1?X-Signature=a%2Fb+c%7e`;
  registry = parts.use(await startRegistry({ auth: { kind: 'token', ...login }, uploadLocation }));
  const documents = [
    ...connectorTo(registry.origin, login),
    ...connectorTo(`${registry.origin}/team`, { ...login, key: 'demo/team' }),
  ];
  proxy = parts.use(await startProxy({ documents, sealing: ephemeralSealingKeys() }));
});
afterEach(() => parts.disposeAsync());

const at = (location: string | undefined, query = '') => `${proxy.origin}${location}${query}`;
const begin = async (key = 'demo/registry') => {
  const begun = await call(proxy.url('team/app/blobs/uploads/', key), { method: 'POST' });
  expect(begun.status).toBe(202);
  return begun.headers.location;
};

test('an upload on another host goes through us, and our grant and the caller’s token stay away from it', async () => {
  const location = await begin();
  expect(location).toMatch(/^\/v2\/namespaces\/demo\/connectors\/registry\/team\/app\/blobs\/uploads\/[\w.-]+$/);
  answers.push([202, { location: '?X-Signature=second%2F', range: '0-199999' }], [201, { location: '/bucket/1' }]);
  const headers = {
    'content-type': 'application/octet-stream',
    'content-range': '0-199999',
    authorization: `Basic ${Buffer.from('any:the-callers-token').toString('base64')}`,
    'x-other': 'of the caller',
  };
  const patched = await call(at(location), { method: 'PATCH', body: blob, headers });
  expect(patched).toMatchObject({ status: 202, headers: { range: '0-199999' } });
  const put = await call(at(patched.headers.location, `?digest=${digest}`), { method: 'PUT', headers });
  expect(put).toMatchObject({
    status: 201,
    headers: { location: `/v2/namespaces/demo/connectors/registry/team/app/blobs/${digest}` },
  });
  expect(received.map(({ method, url }) => `${method} ${url}`)).toEqual([
    'PATCH /bucket/1?X-Signature=a%2Fb+c%7e',
    `PUT /bucket/1?X-Signature=second%2F&digest=${digest}`,
  ]);
  expect(received[0]?.body.equals(blob)).toBe(true);
  for (const { headers: sent } of received) {
    expect(sent).not.toHaveProperty('authorization');
    expect(sent).not.toHaveProperty('x-other');
    expect(sent['content-type']).toBe('application/octet-stream');
  }
});

test('another host that refuses is named, and nobody’s credential is tried there', async () => {
  const location = await begin();
  answers.push([401, { 'www-authenticate': 'Basic realm="give it to me"' }]);
  const refused = await call(at(location), { method: 'PATCH', body: blob });
  expect(refused.status).toBe(502);
  expect(refused.headers).not.toHaveProperty('www-authenticate');
  expect(received).toHaveLength(1);
});

test.each([
  ['out of the connector’s path', 'demo/team', '/v2/other/app/manifests/v1'],
  ['out of it by an encoding', 'demo/team', '/v2/team/..%2fother/blobs/uploads/1'],
])('another host cannot lead our grant %s', async (_where, key, path) => {
  const location = await begin(key);
  answers.push([202, { location: `${registry.origin}${path}` }]);
  const patched = await call(at(location), { method: 'PATCH', body: blob });
  expect(patched).toMatchObject({ status: 403 });
  expect(JSON.parse(patched.body.toString()).errors[0].detail.reason).toBe('REPOSITORY_OUTSIDE');
});

test.each([
  ['to the registry’s other interfaces', '/api/v2.0/users/1', 502],
  ['past its own spelling', '/V2/other/app/blobs/uploads/1', 403],
  ['past doubled slashes', '//v2/other/app/blobs/uploads/1', 403],
  ['past encoded slashes', '/v2%2fother/app/blobs/uploads/1', 403],
  ['past parameters', '/v2;a=b/other/app/blobs/uploads/1', 403],
  ['to another repository', '/v2/team/other/blobs/uploads/1', 502],
])('another host cannot lead our grant %s', async (_where, path, status) => {
  const location = await begin('demo/team');
  answers.push([202, { location: `${registry.origin}${path}` }]);
  expect(await call(at(location), { method: 'PATCH', body: blob })).toMatchObject({ status });
  expect(registry.requests.some(({ url }) => url.includes(path))).toBe(false);
});

test('what another host calls an upload and is content comes back as content', async () => {
  const location = await begin();
  answers.push([202, { location: `${registry.origin}/v2/team/app/manifests/v1` }]);
  const patched = await call(at(location), { method: 'PATCH', body: blob });
  expect(patched).toMatchObject({ status: 202 });
  expect(patched.headers.location ?? '').not.toContain('/blobs/uploads/');
});

test('another host’s answers are read by nobody, but for how far the upload got', async () => {
  const location = await begin();
  const inside = { 'x-inside': 'secret', etag: 'secret', range: '0-9', 'content-type': 'text/html' };
  for (const status of [202, 404]) {
    answers.push([status, inside]);
    const found = await call(at(location), { method: 'PATCH', body: blob });
    expect(found).toMatchObject({ status, headers: { range: '0-9' } });
    expect(JSON.stringify(found.headers)).not.toContain('secret');
  }
  expect(await call(at(location), { method: 'POST', body: blob })).toMatchObject({ status: 405 });
});

test.each([
  ['another scheme', 'ftp://127.0.0.1/x', 502],
  ['a metadata service', 'http://169.254.169.254/latest', 502],
  ['nowhere', 'http://', 502],
])('an upload that is sent on to %s ends there', async (_where, target, status) => {
  const location = await begin();
  answers.push([202, { location: target }]);
  expect(await call(at(location), { method: 'PATCH', body: blob })).toMatchObject({ status });
});
