import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { basic, call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { type Image, makeImage, makeReferrer } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const login = { username: 'robot', password: 'correct horse' };
const hostForm = { host: 'c-registry.demo.svc.cluster.local' };

let registry: Registry;
let image: Image;
let proxy: RunningProxy;

beforeEach(async () => {
  registry = await startRegistry({ auth: { kind: 'token', ...login } });
  image = registry.seed('team/app', makeImage({ layerBytes: 50_000 }), ['v1', 'v2', 'v3', 'v4', 'v5']);
  const documents = [
    ...connectorTo(registry.origin, login),
    ...connectorTo(`${registry.origin}/team`, { ...login, key: 'demo/team' }),
    ...connectorTo('http://registry.example.com', { key: 'demo/unusable', redirect: 'sometimes' }),
  ];
  proxy = await startProxy({ documents });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
});

const layer = () => image.layers[0] ?? '';
const layerBytes = () => Buffer.from(image.blobs.get(layer()) ?? []);
const contentRequests = () => registry.requests.filter(({ repository }) => repository !== undefined);
const lastRequest = () => contentRequests().at(-1);
const errorOf = (body: Buffer) => JSON.parse(body.toString()).errors[0];

describe('a pull', () => {
  test('brings what the registry has, by tag and by digest, with its headers', async () => {
    for (const tail of [
      'manifests/v1',
      `manifests/${image.digest}`,
      `blobs/${layer()}`,
      'tags/list',
      `blobs/${image.config}`,
    ]) {
      const found = await call(proxy.url(`team/app/${tail}`));
      const authorization = `Bearer ${registry.issueToken(['repository:team/app:pull'])}`;
      const direct = await call(`${registry.origin}/v2/team/app/${tail}`, { headers: { authorization } });
      expect(found.status).toBe(200);
      expect(found.body.equals(direct.body)).toBe(true);
      expect({ ...found.headers, date: '' }).toEqual({ ...direct.headers, date: '' });
    }
  });

  test('by HEAD has the headers of GET, and no body', async () => {
    for (const tail of ['manifests/v1', `blobs/${layer()}`]) {
      const [get, head] = [
        await call(proxy.url(`team/app/${tail}`)),
        await call(proxy.url(`team/app/${tail}`), { method: 'HEAD' }),
      ];
      expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0), failure: undefined });
      expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' });
      expect(lastRequest()?.method).toBe('HEAD');
    }
  });

  test('in host form names the connector by Host, with any port and in any case', async () => {
    for (const host of [hostForm.host, `${hostForm.host}:8080`, hostForm.host.toUpperCase(), 'c-registry.demo']) {
      const found = await call(`${proxy.origin}/v2/team/app/manifests/v1`, { headers: { host } });
      expect(digestOf(found.body)).toBe(image.digest);
    }
    expect(lastRequest()?.headers.host).toBe(registry.authority);
  });

  test('in path form is of the connector in the path, whatever Host says', async () => {
    const headers = { host: 'c-nobody.nowhere.svc.cluster.local' };
    expect(await call(proxy.url('team/app/manifests/v1'), { headers })).toMatchObject({ status: 200 });
  });

  test('of a repository outside of the connector’s path is refused before the registry hears of it', async () => {
    expect(await call(proxy.url('team/app/manifests/v1', 'demo/team'))).toMatchObject({ status: 200 });
    const before = registry.requests.length;
    for (const repository of ['other/app', 'teams/app', 'app']) {
      const { status, body } = await call(proxy.url(`${repository}/manifests/v1`, 'demo/team'));
      expect(status).toBe(403);
      expect(errorOf(body)).toMatchObject({
        code: 'DENIED',
        detail: { reason: 'REPOSITORY_OUTSIDE', connector: 'demo/team' },
      });
    }
    expect(registry.requests).toHaveLength(before);
  });

  test('with a body is a pull without one', async () => {
    for (const headers of [{ 'content-length': 100_000 }, { 'transfer-encoding': 'chunked' }]) {
      const found = await call(proxy.url('team/app/manifests/v1'), { headers, body: 'x'.repeat(100_000) });
      expect(found).toMatchObject({ status: 200, failure: undefined });
      expect(lastRequest()?.headers).not.toHaveProperty('content-length');
      expect(lastRequest()?.headers).not.toHaveProperty('transfer-encoding');
    }
  });

  test('of what is not there gets the registry’s own words', async () => {
    const { status, headers, body } = await call(proxy.url('team/app/manifests/v9'));
    expect(status).toBe(404);
    expect(headers['content-type']).toBe('application/json');
    expect(JSON.parse(body.toString())).toEqual({
      errors: [{ code: 'MANIFEST_UNKNOWN', message: 'team/app has no manifest v9' }],
    });
    const head = await call(proxy.url('team/app/manifests/v9'), { method: 'HEAD' });
    expect(head).toMatchObject({ status: 404, headers: { 'content-length': String(body.length) }, failure: undefined });
  });

  test('through a connector that cannot be used says why', async () => {
    const { status, body } = await call(proxy.url('team/app/manifests/v1', 'demo/unusable'));
    expect(status).toBe(503);
    expect(errorOf(body)).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('connector demo/unusable: ParamInvalid: redirect is "sometimes"'),
      detail: { reason: 'CONNECTOR_UNUSABLE', connector: 'demo/unusable' },
    });
  });
});

describe('what a caller says', () => {
  test('of the content goes to the registry exactly as it is', async () => {
    const headers = {
      accept:
        'application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json;q=0.5, */*',
      'accept-encoding': 'zstd;q=1.0, gzip;q=0',
      'if-none-match': 'W/"x", "y"',
      'if-range': '"etag"',
      range: 'bytes=5-',
      'user-agent': 'containerd/2.1 (linux)',
      'accept-language': 'caf\xe9',
    };
    await call(proxy.url(`team/app/blobs/${layer()}`), { headers });
    expect(lastRequest()?.headers).toMatchObject(headers);
  });

  test('of itself and of its connection stays here', async () => {
    const headers = {
      ...basic('anybody', 'callers-own-token'),
      cookie: 'session=1',
      forwarded: 'for=10.0.0.1;host=evil.example.com',
      'x-forwarded-for': '10.0.0.1',
      'x-forwarded-host': 'evil.example.com',
      'x-forwarded-proto': 'https',
      'x-custom': 'of this hop',
      connection: 'close, X-Custom',
      te: 'trailers',
      'proxy-authorization': 'Basic aG9wOmhvcA==',
    };
    await call(proxy.url('team/app/manifests/v1'), { headers });
    const { authorization, ...seen } = lastRequest()?.headers ?? {};
    expect(authorization).toMatch(/^Bearer \S+$/);
    expect(seen).toEqual({ host: registry.authority, connection: 'keep-alive', via: '1.1 oci-connector' });
  });

  test('in the query goes to the registry as it is', async () => {
    await call(proxy.url('team/app/tags/list?n=2&last=v%2F1&x=a+b&&y'));
    expect(lastRequest()?.url).toBe('/v2/team/app/tags/list?n=2&last=v%2F1&x=a+b&&y');
  });

  test.each<[object, number, [number, number?] | undefined]>([
    [{ range: 'bytes=10-19' }, 206, [10, 20]],
    [{ range: 'bytes=10-' }, 206, [10]],
    [{ range: 'bytes=-5' }, 206, [-5]],
    [{ range: 'bytes=10-19', 'if-range': '"other"' }, 200, [0]],
    [{ range: 'bytes=9999999-' }, 416, undefined],
    [{ 'if-none-match': '*' }, 304, undefined],
  ])('%j is answered with %i', async (headers, status, part) => {
    const found = await call(proxy.url(`team/app/blobs/${layer()}`), { headers: { ...headers } });
    expect(found).toMatchObject({ status, failure: undefined });
    expect(found.body.equals(part ? layerBytes().subarray(...part) : Buffer.alloc(0))).toBe(true);
  });
});

describe('what a registry says', () => {
  test('of its connection and of authentication stays here', async () => {
    const said = {
      'set-cookie': ['session=1', 'b=2'],
      'www-authenticate': 'Bearer realm="https://auth.example.com"',
      'strict-transport-security': 'max-age=1',
      connection: 'X-Custom',
      'x-custom': 'of that hop',
      'x-kept': ['1', '2'],
      'x-latin': 'caf\xe9',
    };
    registry.faults.add({ match: { path: /manifests/, isAuthorized: true }, fault: faults.withHeaders(said) });
    const { headers } = await call(proxy.url('team/app/manifests/v1'));
    for (const name of ['set-cookie', 'www-authenticate', 'strict-transport-security', 'x-custom']) {
      expect(headers).not.toHaveProperty(name);
    }
    expect(headers).toMatchObject({ 'x-kept': '1, 2', 'x-latin': 'caf\xe9' });
  });

  test('of authentication stays here with errors too', async () => {
    const headers = { 'www-authenticate': 'Bearer realm="https://auth.example.com"', 'set-cookie': 'session=1' };
    registry.faults.add({ match: { path: /manifests/, isAuthorized: true }, fault: faults.status(404, { headers }) });
    const found = await call(proxy.url('team/app/manifests/v1'));
    expect(found.status).toBe(404);
    expect(Object.keys(found.headers)).not.toEqual(expect.arrayContaining(['www-authenticate']));
    expect(Object.keys(found.headers)).not.toEqual(expect.arrayContaining(['set-cookie']));
  });

  test('before its answer is not the answer', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n';
    const raw = `${hints}HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok`;
    registry.faults.add({ match: { path: /manifests/, isAuthorized: true }, fault: faults.malformedAnswer(raw) });
    const found = await call(proxy.url('team/app/manifests/v1'));
    expect(found).toMatchObject({ status: 200, body: Buffer.from('ok') });
    expect(found.headers).not.toHaveProperty('link');
  });

  test('in an endless error is cut', async () => {
    const body = 'x'.repeat(10_000_000);
    registry.faults.add({ match: { path: /manifests/, isAuthorized: true }, fault: faults.status(404, { body }) });
    const found = await call(proxy.url('team/app/manifests/v1'));
    expect(found).toMatchObject({ status: 404, failure: undefined });
    expect(found.body.length).toBeLessThan(1_000_000);
    expect(await lastRequest()?.ended).toBe('broken');
  });

  test('of more tags is a Link that works here, in path form and in host form', async () => {
    for (const [start, headers] of [
      [proxy.url('team/app/tags/list?n=2'), {}],
      [`${proxy.origin}/v2/team/app/tags/list?n=2`, hostForm],
    ] as const) {
      const tags: string[] = [];
      for (let next: string | undefined = start; next !== undefined; ) {
        const page: Awaited<ReturnType<typeof call>> = await call(next, { headers });
        tags.push(...JSON.parse(page.body.toString()).tags);
        const target = /^<([^>]+)>; rel="next"$/.exec(String(page.headers.link))?.[1];
        next = target && new URL(target, next).href;
      }
      expect(tags).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
    }
  });

  test('of more tags somewhere else is left out', async () => {
    const link = '</v2/_catalog?last=a>; rel="next"';
    registry.faults.add({ match: { path: /tags/, isAuthorized: true }, fault: faults.withHeaders({ link }) });
    const found = await call(proxy.url('team/app/tags/list'));
    expect(found).toMatchObject({ status: 200 });
    expect(found.headers).not.toHaveProperty('link');
  });

  test('of referrers comes with the filters that it applied', async () => {
    const artifactType = 'application/spdx+json';
    const referrer = registry.seed('team/app', makeReferrer(image, { artifactType }));
    const query = new URLSearchParams({ artifactType });
    const { headers, body } = await call(proxy.url(`team/app/referrers/${image.digest}?${query}`));
    expect(headers['oci-filters-applied']).toBe('artifactType');
    expect(JSON.parse(body.toString()).manifests).toMatchObject([{ digest: referrer.digest }]);
  });
});

test('an operation says who pulled what, and what became of it', async () => {
  await call(proxy.url(`team/app/blobs/${layer()}?token=secret`));
  await call(proxy.url('team/app/manifests/v1'), { method: 'HEAD' });
  await call(proxy.url('team/app/manifests/v9'));
  expect(await proxy.operation(3)).toMatchObject({ status: 404, reference: 'v9' });
  const common = {
    caller: 'local',
    connector: { namespace: 'demo', name: 'registry' },
    repository: 'team/app',
    action: 'pull',
    isAdmitted: true,
    durationMs: expect.any(Number),
  };
  expect(proxy.operations.slice(0, 2)).toEqual([
    {
      ...common,
      method: 'GET',
      endpoint: 'blobs',
      reference: layer(),
      digest: layer(),
      status: 200,
      bytes: layerBytes().length,
    },
    { ...common, method: 'HEAD', endpoint: 'manifests', reference: 'v1', digest: image.digest, status: 200, bytes: 0 },
  ]);
});
