import { describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { digestOf } from '../support/digest.ts';
import { makeImage } from '../support/image.ts';
import { connectorTo, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import { startForwardProxy } from './support/forward-proxy.ts';

const login = { username: 'robot', password: 'correct horse' };
const detailOf = (body: Buffer) => JSON.parse(body.toString()).errors[0];
const portOf = (origin: string) => Number(new URL(origin).port);

describe('a registry with https', () => {
  test('is reached with the CA that the connector names', async () => {
    const tls = makeSelfSigned();
    await using registry = await startRegistry({ tls, hostname: 'localhost', auth: { kind: 'token', ...login } });
    const image = registry.seed('team/app', makeImage(), ['v1']);
    await using proxy = await startProxy({ documents: connectorTo(registry.origin, { ...login, ca: tls.cert }) });
    for (const [tail, digest] of [
      ['manifests/v1', image.digest],
      [`blobs/${image.config}`, image.config],
    ]) {
      const found = await call(proxy.url(`team/app/${tail}`));
      expect([found.status, digestOf(found.body)]).toEqual([200, digest]);
    }
  });

  test.each([
    ['without a CA', makeSelfSigned(), undefined, 'name its CA in caCertSecretRef'],
    ['with another CA', makeSelfSigned(), makeSelfSigned().cert, 'name its CA in caCertSecretRef'],
    [
      'with a certificate for another name',
      makeSelfSigned(['registry.example.com']),
      'own',
      'its certificate is for another name',
    ],
  ])('is not reached %s', async (_case, tls, ca, message) => {
    await using registry = await startRegistry({ tls, hostname: 'localhost', auth: { kind: 'token', ...login } });
    const trusted = ca === 'own' ? tls.cert : ca;
    await using proxy = await startProxy({
      documents: connectorTo(registry.origin, { ...login, ...(trusted && { ca: trusted }) }),
    });
    const { status, body } = await call(proxy.url('team/app/manifests/v1'));
    expect(status).toBe(502);
    expect(detailOf(body)).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(message),
      detail: { reason: 'UPSTREAM_UNREACHABLE', connector: 'demo/registry' },
    });
    expect(registry.requests).toEqual([]);
  });

  test('that speaks http is said to be none, and the other way round', async () => {
    const tls = makeSelfSigned();
    await using plain = await startRegistry();
    await using secure = await startRegistry({ tls, hostname: 'localhost' });
    await using proxy = await startProxy({
      documents: [
        ...connectorTo(plain.origin.replace('http:', 'https:'), { key: 'demo/plain' }),
        ...connectorTo(secure.origin.replace('https:', 'http:'), { key: 'demo/secure' }),
      ],
    });
    for (const key of ['demo/plain', 'demo/secure']) {
      const { status, body } = await call(proxy.url('team/app/manifests/v1', key));
      expect([status, detailOf(body).detail.reason]).toEqual([502, 'UPSTREAM_UNREACHABLE']);
    }
  });
});

describe('a registry that is not there', () => {
  test.each([
    ['nobody listens', 'http://127.0.0.1:1', 'the connection was refused'],
    ['its name is unknown', 'http://registry.invalid', 'its name cannot be resolved'],
    ['it is at a metadata service', 'http://169.254.169.254', 'is at a forbidden address'],
  ])('is named, with the reason: %s', async (_case, address, message) => {
    const resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    await using proxy = await startProxy({ documents: connectorTo(address), transports: { resolve } });
    const { status, body } = await call(proxy.url('team/app/manifests/v1'));
    expect(status).toBe(502);
    expect(detailOf(body).message).toContain(`connector demo/registry: ${new URL(address).host}`);
    expect(detailOf(body).message).toContain(message);
  });
});

describe('a proxy of the environment', () => {
  test('carries requests to http registries', async () => {
    await using registry = await startRegistry({
      auth: { kind: 'token', ...login, realm: () => 'http://auth.example.com/token' },
    });
    await using environment = await startForwardProxy(portOf(registry.origin));
    const image = registry.seed('team/app', makeImage(), ['v1']);
    const httpProxy = environment.url.replace('http://', 'http://user:secret@');
    await using proxy = await startProxy({
      documents: connectorTo('http://registry.example.com', login),
      transports: { proxies: { httpProxy } },
    });
    const found = await call(proxy.url('team/app/manifests/v1'), { headers: { 'proxy-authorization': 'Basic eA==' } });
    expect(digestOf(found.body)).toBe(image.digest);
    expect(environment.requests).toEqual([
      'GET http://registry.example.com/v2/',
      expect.stringMatching(/^GET http:\/\/auth\.example\.com\/token\?/),
      'GET http://registry.example.com/v2/team/app/manifests/v1',
    ]);
    expect(new Set(environment.authorizations)).toEqual(new Set([`Basic ${btoa('user:secret')}`]));
    expect(registry.requests.at(-1)?.headers.host).toBe('registry.example.com');
  });

  test('tunnels to Docker Hub, where a single component is an official image', async () => {
    const tls = makeSelfSigned(['registry-1.docker.io']);
    await using registry = await startRegistry({ tls });
    await using environment = await startForwardProxy(portOf(registry.origin));
    const image = registry.seed('library/nginx', makeImage(), ['v1']);
    registry.seed('team/app', image, ['v1']);
    await using proxy = await startProxy({
      documents: connectorTo('https://docker.io', { ca: tls.cert }),
      transports: { proxies: { httpsProxy: environment.url } },
    });
    for (const repository of ['nginx', 'library/nginx', 'team/app']) {
      const found = await call(proxy.url(`${repository}/manifests/v1`));
      expect([found.status, digestOf(found.body)]).toEqual([200, image.digest]);
    }
    expect(new Set(environment.requests)).toEqual(new Set(['CONNECT registry-1.docker.io:443']));
    expect(registry.requests.map(({ url }) => url).slice(1)).toEqual([
      '/v2/library/nginx/manifests/v1',
      '/v2/library/nginx/manifests/v1',
      '/v2/team/app/manifests/v1',
    ]);
    expect(proxy.operations[0]).toMatchObject({ repository: 'library/nginx' });
  });

  test('is left alone for hosts of NO_PROXY', async () => {
    await using registry = await startRegistry({ hostname: 'registry.test' });
    await using environment = await startForwardProxy(1);
    const image = registry.seed('team/app', makeImage(), ['v1']);
    await using proxy = await startProxy({
      documents: connectorTo(registry.origin),
      transports: {
        proxies: { httpProxy: environment.url, noProxy: '.test' },
        resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      },
    });
    expect(digestOf((await call(proxy.url('team/app/manifests/v1'))).body)).toBe(image.digest);
    expect(environment.requests).toEqual([]);
  });
});
