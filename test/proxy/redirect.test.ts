import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
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
  registry = await startRegistry({ auth: { kind: 'token', ...login }, redirectBlobs: storage.publish });
  image = registry.seed('team/app', makeImage(), ['v1']);
  const documents = [
    ...connectorTo(registry.origin, login),
    ...connectorTo(registry.origin, { ...login, key: 'demo/handover', redirect: 'handover' }),
    ...connectorTo(registry.origin, { ...login, key: 'demo/follow', redirect: 'follow' }),
  ];
  proxy = await startProxy({ documents });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
  await storage.close();
});

const layer = () => image.layers[0] ?? '';
const pullToken = () => ({ authorization: `Bearer ${registry.issueToken(['repository:team/app:pull'])}` });
const reasonOf = (body: Buffer) => JSON.parse(body.toString()).errors[0].detail.reason;
const redirectContent = (url: string, code?: number) =>
  registry.faults.add({
    match: { path: /^\/v2\/team\//, isAuthorized: true },
    times: 1,
    fault: faults.redirectedTo(url, code),
  });

describe('a blob in storage', () => {
  test.each(['demo/registry', 'demo/handover'])('is the caller’s to fetch, through %s', async (key) => {
    for (const method of ['GET', 'HEAD']) {
      const handed = await call(proxy.url(`team/app/blobs/${layer()}`, key), { method });
      expect(handed).toMatchObject({ status: 307, body: Buffer.alloc(0), failure: undefined });
      expect(Object.keys(handed.headers).sort()).toEqual(['connection', 'content-length', 'date', 'location']);
      expect(storage.requests).toEqual([]);
      const { location = '' } = handed.headers;
      expect(location).toContain(`${storage.origin}/bucket/${layer()}?X-Amz-`);
      expect(proxy.operations.at(-1)).toMatchObject({ status: 307, handedTo: storage.authority, bytes: 0 });
    }
  });

  test('is fetched for the caller where the connector says so, without the registry’s token', async () => {
    const url = proxy.url(`team/app/blobs/${layer()}`, 'demo/follow');
    const found = await call(url, { headers: { authorization: 'Bearer callers-own-token', cookie: 'a=1' } });
    expect(found.status).toBe(200);
    expect(digestOf(found.body)).toBe(layer());
    expect(found.headers).not.toHaveProperty('location');
    const head = await call(url, { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, headers: { 'content-length': String(found.body.length) } });
    const part = await call(url, { headers: { range: 'bytes=10-19' } });
    expect(part).toMatchObject({ status: 206, body: found.body.subarray(10, 20) });
    expect(storage.requests.map(({ method, status }) => [method, status])).toEqual([
      ['GET', 200],
      ['HEAD', 200],
      ['GET', 206],
    ]);
    expect(storage.requests[0]?.headers).toEqual({ host: storage.authority, connection: 'keep-alive' });
  });

  test.each([401, 403])(
    'that storage refuses with %i is a clear error, and not the registry’s refusal',
    async (code) => {
      storage.faults.add({ fault: faults.status(code, { body: '<Error><Code>AccessDenied</Code></Error>' }) });
      const { status, body } = await call(proxy.url(`team/app/blobs/${layer()}`, 'demo/follow'));
      expect(status).toBe(502);
      expect(JSON.parse(body.toString()).errors).toEqual([
        {
          code: 'UNAVAILABLE',
          message: `connector demo/follow: the blob storage ${storage.authority} refused with ${code}`,
          detail: { reason: 'UPSTREAM_PROTOCOL', connector: 'demo/follow' },
        },
      ]);
      expect(registry.tokenRequests).toHaveLength(1);
    },
  );

  test('that storage does not have is answered with its own words', async () => {
    storage.faults.add({ fault: faults.status(404, { body: '<Error><Code>NoSuchKey</Code></Error>' }) });
    const { status, body } = await call(proxy.url(`team/app/blobs/${layer()}`, 'demo/follow'));
    expect([status, body.toString()]).toEqual([404, '<Error><Code>NoSuchKey</Code></Error>']);
  });
});

describe('a redirect', () => {
  test.each([301, 302, 303, 307, 308])(
    '%i to the registry itself is followed with its token, in either mode',
    async (code) => {
      for (const key of ['demo/handover', 'demo/follow']) {
        for (const target of [
          `/v2/team/app/manifests/${image.digest}`,
          `${registry.origin}/v2/team/app/manifests/v1`,
        ]) {
          redirectContent(target, code);
          const found = await call(proxy.url('team/app/manifests/v1', key));
          expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
        }
      }
    },
  );

  test('of a manifest to another host is followed without the token, in either mode', async () => {
    await using mirror = await startRegistry();
    mirror.seed('team/app', image, ['v1']);
    for (const key of ['demo/handover', 'demo/follow']) {
      redirectContent(`${mirror.origin}/v2/team/app/manifests/v1`);
      const found = await call(proxy.url('team/app/manifests/v1', key));
      expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
    }
    expect(mirror.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  test('to another host goes along with nothing of the caller’s but what is about the bytes', async () => {
    const forBytes = {
      accept: 'application/octet-stream',
      'accept-encoding': 'identity',
      range: 'bytes=0-9',
      'if-range': '"a"',
      'user-agent': 'containerd/2',
    };
    const other = { 'x-custom': 'secret', 'accept-language': 'de', referer: 'http://inside/', 'if-none-match': '"b"' };
    const headers = { ...forBytes, ...other, authorization: 'Bearer callers-own-token', cookie: 'a=1' };
    await call(proxy.url(`team/app/blobs/${layer()}`, 'demo/follow'), { headers });
    expect(registry.requests.at(-1)?.headers).toMatchObject({ ...forBytes, 'accept-language': 'de' });
    expect(storage.requests.map((request) => request.headers)).toEqual([
      { ...forBytes, host: storage.authority, connection: 'keep-alive' },
    ]);
  });

  test('loses user and password on its way to the caller', async () => {
    redirectContent(`http://user:password@${storage.authority}/bucket/x?sig=1#part`);
    const { headers } = await call(proxy.url(`team/app/blobs/${layer()}`));
    expect(headers.location).toBe(`${storage.origin}/bucket/x?sig=1#part`);
  });

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[fd00:ec2::254]/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/',
    'http://2852039166/latest/meta-data/',
    'file:///etc/passwd',
    'http://[',
  ])('to %s goes nowhere, in either mode', async (target) => {
    for (const key of ['demo/handover', 'demo/follow']) {
      redirectContent(target);
      const { status, headers, body } = await call(proxy.url(`team/app/blobs/${layer()}`, key));
      expect([status, reasonOf(body)]).toEqual([502, 'TARGET_FORBIDDEN']);
      expect(headers).not.toHaveProperty('location');
    }
  });

  test.each(['handover', 'follow'])('from https to http goes nowhere (%s)', async (redirect) => {
    const tls = makeSelfSigned();
    await using secure = await startRegistry({ tls, hostname: 'localhost', redirectBlobs: storage.publish });
    secure.seed('team/app', image);
    await using other = await startProxy({ documents: connectorTo(secure.origin, { ca: tls.cert, redirect }) });
    const { status, body } = await call(other.url(`team/app/blobs/${layer()}`));
    expect([status, reasonOf(body)]).toEqual([502, 'TARGET_FORBIDDEN']);
    expect(storage.requests).toEqual([]);
  });

  test('of a blob that broke off is followed in either mode, because its head is with the caller', async () => {
    await using plain = await startRegistry();
    const digest = plain.seed('team/app', image).layers[0] ?? '';
    const { location } = (await call(`${registry.origin}/v2/team/app/blobs/${layer()}`, { headers: pullToken() }))
      .headers;
    await using other = await startProxy({ documents: connectorTo(plain.origin) });
    plain.faults.add({ match: { path: /blobs/ }, times: 1, fault: faults.resetAfter(100) });
    plain.faults.add({ match: { path: /blobs/ }, fault: faults.redirectedTo(String(location)) });
    const found = await call(other.url(`team/app/blobs/${digest}`));
    expect([found.status, digestOf(found.body)]).toEqual([200, digest]);
    expect(storage.requests.map(({ headers }) => headers.range)).toEqual([`bytes=100-${found.body.length - 1}`]);
  });

  test('is none without a Location, or with 304', async () => {
    const match = { path: /manifests/, isAuthorized: true };
    registry.faults.add({ match, times: 1, fault: faults.status(300, { body: 'choices' }) });
    registry.faults.add({ match, times: 1, fault: faults.status(304, { headers: { location: storage.origin } }) });
    const url = proxy.url('team/app/manifests/v1');
    expect(await call(url)).toMatchObject({ status: 300, body: Buffer.from('choices') });
    expect(await call(url)).toMatchObject({ status: 304 });
    expect(storage.requests).toEqual([]);
  });
});
