import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseCallers } from '../../proxy/callers-file.ts';
import { basic, call } from '../support/call.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const tokens = { reader: 'reader-0123456789abc', pusher: 'pusher-0123456789abc' };
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

let registry: Registry;
let proxy: RunningProxy;

beforeEach(async () => {
  registry = await startRegistry();
  registry.seed('team/app', makeImage(), ['v1']);
  const callers = {
    callers: [
      { name: 'reader', token: tokens.reader, connectors: ['demo/registry', 'demo/absent'] },
      { name: 'pusher', token: tokens.pusher, connectors: ['*'], actions: ['push', 'delete'] },
    ],
  };
  proxy = await startProxy({
    documents: [...connectorTo(registry.origin), ...connectorTo(registry.origin, { key: 'other/registry' })],
    callers: parseCallers(JSON.stringify(callers), 'callers.json'),
  });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
});

const errorsOf = (body: Buffer) => JSON.parse(body.toString()).errors;

describe('a caller', () => {
  test.each<[string, Record<string, string>]>([
    ['Bearer', bearer(tokens.reader)],
    ['the password of Basic', basic('anybody', tokens.reader)],
    ['the password of Basic without a user', basic('', tokens.reader)],
  ])('is known by a token as %s', async (_form, headers) => {
    expect(await call(`${proxy.origin}/v2/`, { headers })).toMatchObject({
      status: 200,
      body: Buffer.from('{}'),
      headers: { 'docker-distribution-api-version': 'registry/2.0' },
    });
    expect(await call(proxy.url('team/app/manifests/v1'), { headers })).toMatchObject({ status: 200 });
    expect(proxy.operations.at(-1)).toMatchObject({ caller: 'reader' });
  });

  test.each<[string, Record<string, string>, string]>([
    ['no token', {}, 'a token is needed'],
    ['an unknown token', bearer('somebody-0123456789'), 'the token is not known here'],
    ['the token as user', basic(tokens.reader, 'x'), 'the token is not known here'],
    ['a token in another scheme', { authorization: `Token ${tokens.reader}` }, 'a token is needed'],
  ])('with %s is asked for one by a Basic challenge', async (_what, headers, message) => {
    for (const url of [
      `${proxy.origin}/v2/`,
      proxy.url('team/app/manifests/v1'),
      proxy.url('x/tags/list', 'no/where'),
    ]) {
      const found = await call(url, { headers });
      expect(found).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Basic realm="oci-connector"', 'content-type': 'application/json' },
      });
      expect(errorsOf(found.body)).toMatchObject([{ code: 'UNAUTHORIZED', message: expect.stringContaining(message) }]);
      const head = await call(url, { headers, method: 'HEAD' });
      expect(head).toMatchObject({ status: 401, body: Buffer.alloc(0), failure: undefined });
    }
    expect(registry.requests).toEqual([]);
    const code = message === 'a token is needed' ? 'TOKEN_REQUIRED' : 'CALLER_UNKNOWN';
    expect(new Set(proxy.operations.map(({ error }) => error))).toEqual(new Set([code]));
    expect(proxy.operations.every(({ caller }) => caller === undefined)).toBe(true);
  });

  test.each([
    ['another connector', 'other/registry', tokens.reader],
    ['another connector that there is not', 'other/absent', tokens.reader],
    ['a connector for other actions', 'demo/registry', tokens.pusher],
  ])('may not pull through %s, and is not told whether it is there', async (_which, key, token) => {
    const { status, body } = await call(proxy.url('team/app/manifests/v1', key), { headers: bearer(token) });
    expect(status).toBe(403);
    const name = token === tokens.reader ? 'reader' : 'pusher';
    expect(errorsOf(body)).toEqual([
      {
        code: 'DENIED',
        message: `connector ${key}: ${name} may not pull through it`,
        detail: { reason: 'ACCESS_DENIED', connector: key },
      },
    ]);
    expect(registry.requests).toEqual([]);
  });

  test('who may use a connector is told that it is not there', async () => {
    const { status, body } = await call(proxy.url('team/app/tags/list', 'demo/absent'), {
      headers: bearer(tokens.reader),
    });
    expect(status).toBe(404);
    expect(errorsOf(body)).toMatchObject([
      { code: 'NAME_UNKNOWN', detail: { reason: 'CONNECTOR_UNKNOWN', connector: 'demo/absent' } },
    ]);
  });
});

describe('an error', () => {
  const headers = bearer(tokens.reader);

  test.each(['PUT', 'POST', 'PATCH', 'DELETE', 'OPTIONS'])(
    'says that %s is not served, on every path',
    async (method) => {
      for (const url of [
        `${proxy.origin}/v2/`,
        proxy.url('team/app/blobs/uploads/'),
        proxy.url('team/app/manifests/v1'),
      ]) {
        const found = await call(url, { method, headers: { ...headers, 'content-length': 1 }, body: 'x' });
        expect(found).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' }, failure: undefined });
        expect(errorsOf(found.body)).toMatchObject([{ code: 'UNSUPPORTED', detail: { reason: 'METHOD_UNSUPPORTED' } }]);
      }
      expect(registry.requests).toEqual([]);
    },
  );

  test.each([
    ['/', 404, 'NAME_UNKNOWN'],
    ['/v2/team/app/manifests/v1', 404, 'NAME_UNKNOWN'],
    ['/v2/namespaces/demo/connectors/registry/Team/manifests/v1', 400, 'NAME_INVALID'],
    ['/v2/namespaces/demo/connectors/registry/team/blobs/%76', 400, 'MANIFEST_INVALID'],
  ])('of a path is an OCI error: %s', async (path, status, code) => {
    const found = await call(`${proxy.origin}${path}`, { headers });
    expect(found).toMatchObject({
      status,
      headers: {
        'content-type': 'application/json',
        'content-length': String(found.body.length),
        'docker-distribution-api-version': 'registry/2.0',
      },
    });
    expect(errorsOf(found.body)).toMatchObject([
      { code, message: expect.any(String), detail: { reason: expect.any(String) } },
    ]);
  });

  test('quotes what a caller wrote in a harmless form', async () => {
    const path = `/v2/namespaces/demo/connectors/registry/${'<b>%0d%0a'.repeat(100)}/manifests/v1`;
    const { body } = await call(`${proxy.origin}${path}`, { headers });
    expect(errorsOf(body)[0].message.length).toBeLessThan(150);
  });

  test('of ours is reported with its code, and once', async () => {
    await call(`${proxy.origin}/nowhere`, { headers });
    await call(proxy.url('team/app/manifests/v1', 'other/registry'), { headers });
    await proxy.operation(2);
    expect(proxy.operations).toMatchObject([
      { error: 'ROUTE_UNKNOWN', status: 404, bytes: 0 },
      { error: 'ACCESS_DENIED', status: 403, caller: 'reader', connector: { namespace: 'other' } },
    ]);
  });
});
