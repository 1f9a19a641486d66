import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import { call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { digestOf } from '../support/digest.ts';
import { makeImage } from '../support/image.ts';
import { findSecrets } from './support/canary.ts';
import {
  ask,
  connectThrough,
  login,
  openForwardScene,
  proxyBasic,
  readHead,
  reasonOf,
  secure,
  tokens,
} from './support/forward-proxy-scene.ts';

describe('a registry by its own name, through CONNECT', () => {
  test('is pulled from with the token of the proxy alone, and storage is met by the proxy only', async () => {
    const { proxy, registry, storage, image, ca } = await openForwardScene();
    const { socket, status } = await connectThrough(proxy.port, registry.authority);
    expect(status).toBe(200);
    const tls = await secure(socket, 'registry.test', ca);
    expect(tls.alpnProtocol).toBe('http/1.1');
    const get = (path: string, method = 'GET') =>
      ask(tls, registry.authority, path, { method, headers: { authorization: 'Bearer own-of-the-client' } });
    expect(await get('/v2/')).toMatchObject({ status: 200, body: Buffer.from('{}') });
    expect(await get('/v2/team/app/manifests/v1', 'HEAD')).toMatchObject({
      status: 200,
      headers: { 'docker-content-digest': image.digest },
    });
    const manifest = await get('/v2/team/app/manifests/v1');
    expect(digestOf(manifest.body)).toBe(image.digest);
    const [layer = ''] = image.layers;
    const blob = await get(`/v2/team/app/blobs/${layer}`);
    expect([blob.status, digestOf(blob.body)]).toEqual([200, layer]);
    expect(storage.requests.map((request) => request.status)).toEqual([200]);
    expect(proxy.exchanges).toHaveLength(1);
    expect(proxy.operations.map(({ caller, endpoint, connector }) => [caller, endpoint, connector?.name])).toEqual([
      ['member', 'base', undefined],
      ['member', 'manifests', 'registry'],
      ['member', 'manifests', 'registry'],
      ['member', 'blobs', 'registry'],
    ]);
  });

  test('neither the caller’s token nor the client’s own credential goes upstream, and the registry’s do not come out', async () => {
    const { proxy, registry, storage, image, ca } = await openForwardScene();
    const { socket, answer } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    const headers = {
      authorization: proxyBasic('someone', tokens.stranger),
      'proxy-authorization': proxyBasic('demo/registry', tokens.member),
      cookie: `a=${tokens.stranger}`,
    };
    const answers = [answer];
    for (const path of [
      '/v2/',
      '/v2/team/app/manifests/v1',
      `/v2/team/app/blobs/${image.layers[0]}`,
      '/v2/x/manifests/y',
    ]) {
      const { headers: said, body } = await ask(tls, registry.authority, path, { headers });
      answers.push(JSON.stringify(said), body.toString('latin1'));
    }
    const sent = [...registry.requests, ...registry.tokenRequests, ...storage.requests].map(({ url, headers: all }) =>
      JSON.stringify([url, all]),
    );
    expect(sent.length).toBeGreaterThanOrEqual(4);
    expect(findSecrets(sent.join('\n'), tokens)).toEqual([]);
    const issued = registry.requests.flatMap(({ headers: all }) => all.authorization?.replace('Bearer ', '') ?? []);
    expect(issued.length).toBeGreaterThan(0);
    const own = { password: login.password, ...Object.fromEntries(issued.map((token, at) => [`grant ${at}`, token])) };
    expect(findSecrets(answers.join('\n'), own)).toEqual([]);
    expect(findSecrets(JSON.stringify(proxy.operations), { ...tokens, ...own })).toEqual([]);
  });

  test('speaks HTTP without TLS in the tunnel as well', async () => {
    const { proxy, plain } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, plain.authority, { user: 'demo/plain' });
    expect(await ask(socket, plain.authority, '/v2/team/app/manifests/v1')).toMatchObject({ status: 200 });
  });

  test('takes what came together with the CONNECT', async () => {
    const { proxy, plain } = await openForwardScene();
    const head = `GET /v2/ HTTP/1.1\r\nHost: ${plain.authority}\r\n\r\n`;
    const { socket } = await connectThrough(proxy.port, plain.authority, { user: 'demo/plain', head });
    expect(await readHead(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test.each([
    ['/v2/team/app/manifests/none', 404, undefined],
    ['/v2/_catalog', 404, 'ROUTE_UNKNOWN'],
    ['/token?service=registry&scope=repository:team/app:pull', 404, 'ROUTE_UNKNOWN'],
    ['/', 404, 'ROUTE_UNKNOWN'],
    ['/v2/%2e%2e/x/manifests/v1', 400, 'NAME_INVALID'],
    ['https://registry.test/v2/', 400, 'REQUEST_INVALID'],
  ])('answers %s within a tunnel with %i', async (path, status, reason) => {
    const { proxy, registry, ca } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const found = await ask(await secure(socket, 'registry.test', ca), registry.authority, path);
    expect(found.status).toBe(status);
    if (reason !== undefined) expect(reasonOf(found.body)).toBe(reason);
    expect(found.headers['www-authenticate']).toBeUndefined();
  });

  test('a request for another host than the tunnel’s is misdirected', async () => {
    const { proxy, registry, other, ca } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    for (const host of [other.authority, 'registry.test:1', '', 'a b']) {
      expect((await ask(tls, host, '/v2/team/app/manifests/v1')).status).toBe(421);
    }
    expect(await ask(tls, 'REGISTRY.test.', '/v2/')).toMatchObject({ status: 200 });
    expect(registry.requests).toEqual([]);
  });

  test('rights that are withdrawn end with the next request, without a challenge', async () => {
    let isKnown = true;
    const member = { name: 'member', may: () => true };
    const callers = { identify: () => (isKnown ? member : undefined) };
    const { proxy, registry, ca } = await openForwardScene({ proxy: { callers } });
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    expect(await ask(tls, registry.authority, '/v2/')).toMatchObject({ status: 200 });
    isKnown = false;
    const refused = await ask(tls, registry.authority, '/v2/team/app/manifests/v1');
    expect(refused).toMatchObject({ status: 403, headers: { connection: 'close' } });
    expect(refused.headers).not.toHaveProperty('www-authenticate');
    expect(registry.requests).toEqual([]);
  });

  test('of several connectors the one whose path is longest serves', async () => {
    const { proxy, registry, ca } = await openForwardScene();
    const { socket } = await connectThrough(proxy.port, registry.authority, { user: 'demo/registry,demo/team' });
    const tls = await secure(socket, 'registry.test', ca);
    registry.seed('else/app', makeImage(), ['v1']);
    await ask(tls, registry.authority, '/v2/team/app/manifests/v1');
    await ask(tls, registry.authority, '/v2/else/app/manifests/v1');
    expect(proxy.operations.map(({ connector, status }) => [connector?.name, status])).toEqual([
      ['team', 200],
      ['registry', 200],
    ]);
    const narrow = await connectThrough(proxy.port, registry.authority, { user: 'demo/team' });
    const within = await secure(narrow.socket, 'registry.test', ca);
    const outside = await ask(within, registry.authority, '/v2/else/app/manifests/v1');
    expect([outside.status, reasonOf(outside.body)]).toEqual([403, 'REPOSITORY_OUTSIDE']);
  });
});

describe('a push through CONNECT', () => {
  const open = () => openForwardScene({ proxy: { sealing: ephemeralSealingKeys() } });

  test('stays on the registry’s own name from the upload’s beginning to the manifest', async () => {
    const { proxy, registry, ca, image } = await open();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    for (const [digest, bytes] of image.blobs) {
      const begun = await ask(tls, registry.authority, '/v2/team/new/blobs/uploads/', { method: 'POST' });
      expect(begun.status).toBe(202);
      const location = new URL(begun.headers.location ?? '', registry.origin);
      expect(location.href).toMatch(`${registry.origin}/v2/team/new/blobs/uploads/`);
      const path = `${location.pathname}${location.search}`;
      const half = bytes.length >> 1;
      const first = await ask(tls, registry.authority, path, { method: 'PATCH', body: bytes.subarray(0, half) });
      expect(first.status).toBe(202);
      const next = new URL(first.headers.location ?? '', registry.origin);
      next.searchParams.append('digest', digest);
      const done = await ask(tls, registry.authority, `${next.pathname}${next.search}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream' },
        body: bytes.subarray(half),
      });
      expect([done.status, done.headers['docker-content-digest']]).toEqual([201, digest]);
      expect(done.headers.location).toMatch(`/v2/team/new/blobs/${digest}`);
    }
    const [manifest] = image.manifests.values();
    if (manifest === undefined) throw new Error('no manifest');
    const put = await ask(tls, registry.authority, '/v2/team/new/manifests/v1', {
      method: 'PUT',
      headers: { 'content-type': manifest.mediaType, expect: '100-continue' },
      body: manifest.bytes,
    });
    expect(put).toMatchObject({ status: 201, headers: { 'docker-content-digest': image.digest } });
    expect(registry.contents('team/new').tags).toEqual({ v1: image.digest });
  });

  test('mounts a blob from a repository by the registry’s own name for it', async () => {
    const { proxy, registry, ca, image } = await open();
    const { socket } = await connectThrough(proxy.port, registry.authority);
    const tls = await secure(socket, 'registry.test', ca);
    const path = `/v2/team/mounted/blobs/uploads/?mount=${image.layers[0]}&from=team/app`;
    expect((await ask(tls, registry.authority, path, { method: 'POST' })).status).toBe(201);
    expect(registry.contents('team/mounted').blobs).toEqual([image.layers[0]]);
  });

  test('is refused to whoever may only pull', async () => {
    const { proxy, other, ca } = await open();
    const options = { user: 'demo/other', token: tokens.neighbour };
    const { socket } = await connectThrough(proxy.port, other.authority, options);
    const tls = await secure(socket, 'other.test', ca);
    const refused = await ask(tls, other.authority, '/v2/team/app/blobs/uploads/', { method: 'POST' });
    expect([refused.status, reasonOf(refused.body)]).toEqual([403, 'ACCESS_DENIED']);
    expect(other.requests).toEqual([]);
  });
});

describe('a proxy by https', () => {
  test('carries TLS in TLS, and absolute URLs', async () => {
    const own = makeSelfSigned(['localhost', '127.0.0.1']);
    const { proxy, registry, plain, ca } = await openForwardScene({ proxy: { tls: own } });
    const outer = connectTls({ host: '127.0.0.1', port: proxy.port, ca: own.cert });
    onTestFinished(() => void outer.destroy());
    await once(outer, 'secureConnect');
    const authorization = proxyBasic('demo/registry', tokens.member);
    outer.write(`CONNECT ${registry.authority} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${authorization}\r\n\r\n`);
    expect(await readHead(outer)).toMatch(/^HTTP\/1\.1 200 /);
    const inner = await secure(outer, 'registry.test', ca);
    expect(await ask(inner, registry.authority, '/v2/team/app/manifests/v1')).toMatchObject({ status: 200 });
    const found = await call(`https://127.0.0.1:${proxy.port}`, {
      ca: own.cert,
      path: `${plain.origin}/v2/team/app/manifests/v1`,
      headers: { 'proxy-authorization': proxyBasic('demo/plain', tokens.member) },
    });
    expect(found.status).toBe(200);
    const refused = connectTls({ host: '127.0.0.1', port: proxy.port, ca: own.cert });
    onTestFinished(() => void refused.destroy());
    refused.write(`CONNECT ${registry.authority} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(await readHead(refused)).toMatch(/^HTTP\/1\.1 407 /);
    await proxy.proxy.drain(20);
  });
});
