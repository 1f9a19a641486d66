import { describe, expect, onTestFinished, test } from 'vitest';
import { toProxyError } from '../../platform/network-error.ts';
import { RegistryTransport, type TransportOptions } from '../../platform/transport.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { hanging, hugeHeaders } from '../support/faults.ts';
import { type RegistryOptions, startRegistry } from '../support/registry.ts';
import { type HttpProxy, startHttpProxy } from './http-proxy.ts';

const password = 'c@nary/7f3a';
const login = `user:${encodeURIComponent(password)}@`;
const authorization = `Basic ${Buffer.from(`user:${password}`).toString('base64')}`;

/** A registry `r.test` that only the proxy can reach: nothing here resolves names. */
async function start(options: RegistryOptions & { wanted?: string; userinfo?: string; transport?: object } = {}) {
  const { wanted, userinfo = '', transport: more, ...registryOptions } = options;
  const registry = await startRegistry(registryOptions);
  const proxy = await startHttpProxy(wanted);
  const address = `http://${userinfo}${proxy.authority}`;
  const origin = registry.origin.replace('127.0.0.1', 'r.test');
  const transport = new RegistryTransport({
    origin,
    ca: options.tls?.cert.toString(),
    proxies: { httpProxy: address, httpsProxy: address },
    resolve: () => Promise.reject(Object.assign(new Error('no names here'), { code: 'ENOTFOUND' })),
    ...more,
  } satisfies TransportOptions);
  onTestFinished(async () => {
    await transport.destroy();
    await proxy[Symbol.asyncDispose]();
    await registry.close();
  });
  const get = async (url: string, headers = {}) => {
    const target = await transport.target(url);
    const dispatcher = transport.dispatcherFor(target);
    const request = { origin: target.origin, path: target.pathname, method: 'GET', headers } as const;
    const { statusCode, body } = await dispatcher.request(request);
    await body.text();
    return statusCode;
  };
  const failure = (url: string) =>
    get(url).then(String, (error: unknown) => toProxyError(error, 'r.test') as Error & { code: string });
  return { registry, proxy, transport, origin, get, failure };
}

const impatient = { timeouts: { connectMs: 100, headersMs: 100 } };
const tls = makeSelfSigned(['r.test', 'auth.test']);
const schemes = [
  ['http', {}],
  ['https', { tls }],
] as const;
const tunnelled = ({ requests }: HttpProxy) => requests.filter((line) => line.startsWith('CONNECT'));

describe('a registry behind an HTTP proxy', () => {
  test('over http is asked for through it, headers and all', async () => {
    const { registry, proxy, origin, get } = await start();
    expect(await get('/v2/', { authorization: 'Bearer t' })).toBe(200);
    expect(proxy.requests).toEqual([`GET ${origin}/v2/`]);
    expect(registry.requests[0]?.headers).toMatchObject({ host: new URL(origin).host, authorization: 'Bearer t' });
  });

  test('over https is reached through a tunnel, with the CA of the connector and its own name', async () => {
    const { registry, proxy, origin, get } = await start({ tls });
    expect([await get('/v2/'), await get('/v2/')]).toEqual([200, 200]);
    expect(new Set(proxy.requests)).toEqual(new Set([`CONNECT ${new URL(origin).host}`]));
    expect(registry.requests).toHaveLength(2);
  });

  test('is not trusted without that CA', async () => {
    const { failure } = await start({ tls, transport: { ca: undefined } });
    expect(await failure('/v2/')).toMatchObject({ message: expect.stringMatching(/self-signed: name its CA/) });
  });

  test('may send us elsewhere, through it as well', async () => {
    const { proxy, origin, get } = await start({ tls });
    const realm = origin.replace('r.test', 'auth.test');
    expect(await get(`${realm}/v2/`)).toBe(200);
    expect(tunnelled(proxy)).toEqual([`CONNECT ${new URL(realm).host}`]);
  });

  test('counts as public: its name may lead anywhere', async () => {
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    const { transport, registry } = await start({ transport: { resolve } });
    for (const literal of [registry.origin, 'http://10.0.0.1', 'http://169.254.169.254']) {
      await expect(transport.target(literal)).rejects.toMatchObject({ name: 'TargetForbiddenError' });
    }
  });

  test('is not where no registry may be', async () => {
    const { proxy, failure } = await start({ transport: { origin: 'http://169.254.169.254' } });
    expect(await failure('/latest')).toMatchObject({ code: 'TARGET_FORBIDDEN' });
    expect(proxy.requests).toEqual([]);
  });

  test('is dialled itself where NO_PROXY names it', async () => {
    const proxies = { httpProxy: 'http://127.0.0.1:1', noProxy: '.test' };
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
    const { proxy, get } = await start({ transport: { resolve, proxies } });
    expect(await get('/v2/')).toBe(200);
    expect(proxy.requests).toEqual([]);
  });
});

describe.each(schemes)('the password of the proxy, for %s', (_scheme, options) => {
  test('goes to the proxy, and never to the registry', async () => {
    const { registry, get } = await start({ ...options, wanted: authorization, userinfo: login });
    expect(await get('/v2/')).toBe(200);
    expect(registry.requests[0]?.headers['proxy-authorization']).toBeUndefined();
  });

  test('is in no error', async () => {
    const { registry, failure } = await start({ ...options, wanted: 'another', userinfo: login });
    const error = await failure('/v2/');
    expect(error).toMatchObject({ code: 'UPSTREAM_UNREACHABLE', message: 'r.test: the HTTP proxy answered 407' });
    const told = [String(error), (error as Error).stack, (error as Error).cause, JSON.stringify(error)].join('\n');
    for (const secret of [password, encodeURIComponent(password), authorization.slice(6)]) {
      expect(told).not.toContain(secret);
    }
    expect(registry.requests).toEqual([]);
  });
});

describe('a proxy', () => {
  test.each([403, 502, 301])('that answers %d to a tunnel is named', async (status) => {
    const { proxy, failure } = await start({ tls });
    proxy.tunnelStatus = status;
    expect(await failure('/v2/')).toMatchObject({ message: `r.test: the HTTP proxy answered ${status}` });
  });

  test('that says nothing is given up', async () => {
    const { proxy, failure } = await start({ tls, transport: impatient });
    proxy.tunnelStatus = 0;
    expect(await failure('/v2/')).toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
  });

  test.each(schemes)('before a registry that says nothing is given up, for %s', async (_scheme, options) => {
    const { failure } = await start({ ...options, transport: impatient, faults: [{ fault: hanging }] });
    expect(await failure('/v2/')).toMatchObject({ code: 'UPSTREAM_TIMEOUT' });
  });

  test.each(schemes)('changes no limit of headers, for %s', async (_scheme, options) => {
    const { get, failure } = await start({
      ...options,
      faults: [{ times: 1, fault: hugeHeaders(40_000) }, { fault: hugeHeaders(100_000) }],
    });
    expect(await get('/v2/')).toBe(200);
    expect(await failure('/v2/')).toMatchObject({ message: 'r.test: the headers of the answer are too large' });
  });

  test('that is not there is named by what failed', async () => {
    const { failure } = await start({ tls, transport: { proxies: { httpsProxy: 'http://127.0.0.1:1' } } });
    expect(await failure('/v2/')).toMatchObject({ message: 'r.test: the connection was refused' });
  });
});
