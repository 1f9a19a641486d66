import { describe, expect, onTestFinished, test } from 'vitest';
import { toProxyError } from '../../platform/network-error.ts';
import {
  RegistryTransport,
  type Resolve,
  TargetForbiddenError,
  type TransportOptions,
} from '../../platform/transport.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { hanging, stalledAfter } from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { startRegistry } from '../support/registry.ts';

type Addresses = readonly string[];
const family = (address: string) => (address.includes(':') ? 6 : 4);

/** Answers with each list in turn, and then with the last one for ever. */
function resolver(...lists: Addresses[]) {
  const asked: string[] = [];
  const resolve: Resolve = async (hostname) => {
    asked.push(hostname);
    return (lists[asked.length - 1] ?? lists.at(-1) ?? []).map((address) => ({ address, family: family(address) }));
  };
  return { asked, resolve };
}

function open(origin: string, options: Partial<TransportOptions> = {}) {
  const transport = new RegistryTransport({ origin, ...options });
  onTestFinished(() => transport.destroy());
  const get = async (url: string) => {
    const target = await transport.target(url);
    const { statusCode, body } = await transport
      .dispatcherFor(target)
      .request({ origin: target.origin, path: target.pathname, method: 'GET' });
    await body.dump();
    return statusCode;
  };
  return Object.assign(transport, { get });
}

const forbidden = expect.objectContaining({ name: 'TargetForbiddenError' });
const places = { public: '203.0.113.1', private: '10.255.255.1', loopback: '127.0.0.1' } as const;

describe('where a registry sends us', () => {
  test.each<[from: string, location: string, url: string | undefined]>([
    ['https://r.example.com', '/token?a=b', 'https://r.example.com/token?a=b'],
    ['https://r.example.com', 'https://auth.example.com/token', 'https://auth.example.com/token'],
    ['https://r.example.com', '//auth.example.com/token', 'https://auth.example.com/token'],
    ['https://r.example.com', 'https://user:password@auth.example.com/', 'https://auth.example.com/'],
    ['https://r.example.com', 'http://auth.example.com/', undefined],
    ['https://r.example.com', 'http://r.example.com/', undefined],
    ['http://r.example.com', 'https://r.example.com/', 'https://r.example.com/'],
    ['http://r.example.com', 'ftp://r.example.com/', undefined],
    ['http://r.example.com', 'file:///etc/passwd', undefined],
    ['http://r.example.com', 'javascript:alert(1)', undefined],
    ['http://r.example.com', 'http://[', undefined],
    ['http://r.example.com', 'http://169.254.169.254./latest', undefined],
    [`http://${places.public}`, `http://${places.public}:99/`, `http://${places.public}:99/`],
    [`http://${places.public}`, `http://${places.private}/`, undefined],
    [`http://${places.public}`, `http://${places.loopback}/`, undefined],
    [`http://${places.public}`, 'http://2130706433/', undefined],
    [`http://${places.public}`, 'http://[::ffff:10.0.0.1]/', undefined],
    [`http://${places.private}`, 'http://10.0.0.2/', 'http://10.0.0.2/'],
    [`http://${places.private}`, `http://${places.public}/`, `http://${places.public}/`],
    [`http://${places.private}`, 'http://127.1/', undefined],
    [`http://${places.loopback}:5000`, 'http://127.1:5001/', 'http://127.0.0.1:5001/'],
    [`http://${places.loopback}:5000`, 'http://[::1]/', 'http://[::1]/'],
    [`http://${places.loopback}:5000`, `http://${places.private}/`, `http://${places.private}/`],
    [`http://${places.loopback}:5000`, 'http://169.254.169.254/', undefined],
    [`http://${places.loopback}:5000`, 'http://0/', undefined],
    [`http://${places.private}`, 'http://[fd00:ec2::254]/', undefined],
  ])('from %s to %s', async (from, location, url) => {
    const found = await open(from, resolver([places.public]))
      .target(location)
      .then(String, (error: Error) => error.name);
    expect(found).toBe(url ?? 'TargetForbiddenError');
  });

  test('is no http once it was https', async () => {
    const transport = open('http://r.example.com', resolver([places.public]));
    await expect(transport.target('http://b.example.com/', 'https://a.example.com/')).rejects.toEqual(forbidden);
    await expect(transport.target('/b', 'https://a.example.com/')).resolves.toMatchObject({ protocol: 'https:' });
  });

  test.each<[trusted: string, isTrusted: boolean]>([
    ['10.0.0.9', true],
    ['10.0.0.9:443', true],
    ['10.0.0.9:8443', false],
    ['10.0.0.8', false],
    ['9', false],
  ])('may be a host that is trusted: %s', async (trusted, isTrusted) => {
    const transport = open('https://r.example.com', {
      ...resolver([places.public]),
      trustedHosts: [trusted, '169.254.169.254'],
    });
    await expect(
      transport.target('https://10.0.0.9/').then(
        () => true,
        () => false,
      ),
    ).resolves.toBe(isTrusted);
    await expect(transport.target('https://169.254.169.254/')).rejects.toEqual(forbidden);
    await expect(transport.target('http://10.0.0.9/')).rejects.toEqual(forbidden);
  });

  test('is told with the way out, without path and query', async () => {
    const denied = open('http://r.example.com', resolver([places.public])).target('http://10.0.0.1:8080/s3cret?s3cret');
    await expect(denied).rejects.toThrow(
      'the registry, at a public address, sends us to 10.0.0.1:8080, which is at a private address; list the host in spec.params trustedHosts if that is right',
    );
  });
});

describe('the address that was checked is the one that is dialled', () => {
  test('of a name that has it', async () => {
    await using registry = await startRegistry();
    const { asked, resolve } = resolver([places.loopback]);
    const origin = registry.origin.replace('127.0.0.1', 'r.test');
    expect(await open(origin, { resolve }).get('/v2/')).toBe(200);
    expect(asked).toEqual(['r.test']);
    expect(registry.requests[0]?.headers.host).toBe(new URL(origin).host);
  });

  test.each<[what: string, registry: Addresses, realm: Addresses]>([
    ['a public registry to loopback', [places.public], [places.loopback]],
    ['a public registry to a private address', [places.public], [places.private]],
    ['a registry in two zones to the inner one', [places.loopback, places.public], [places.loopback]],
    ['a public registry to a public and another address', [places.public], [places.public, places.loopback]],
    ['a private registry to loopback', [places.private], ['::1']],
    ['a registry on loopback to metadata', [places.loopback], ['169.254.169.254']],
    ['a registry that has no address to a private one', [], [places.private]],
  ])('not of a name that leads from %s', async (_what, from, to) => {
    await using other = await startRegistry();
    const resolve: Resolve = (hostname) => resolver(hostname === 'r.test' ? from : to).resolve(hostname);
    const realm = other.origin.replace('127.0.0.1', 'auth.test');
    await expect(open('http://r.test', { resolve }).get(realm)).rejects.toEqual(forbidden);
    expect(other.requests).toEqual([]);
  });

  test('not of a realm whose name is public first and loopback the next time', async () => {
    await using other = await startRegistry();
    const realm = other.origin.replace('127.0.0.1', 'auth.test');
    const auth = resolver([places.public], [places.loopback]);
    const resolve: Resolve = (hostname) => (hostname === 'r.test' ? resolver([places.public]) : auth).resolve(hostname);
    const transport = open('http://r.test', { resolve, timeouts: { connectMs: 100 } });
    const codes = [];
    for (let time = 0; time < 3; time += 1) codes.push(await transport.get(realm).catch((error: Error) => error.name));
    expect(codes.slice(1)).toEqual(['TargetForbiddenError', 'TargetForbiddenError']);
    expect(other.requests).toEqual([]);
    expect(auth.asked).toHaveLength(3);
  });

  test('and a registry that was public once gains nothing by a private name later', async () => {
    await using registry = await startRegistry();
    const { resolve } = resolver([places.loopback, places.public], [places.loopback]);
    const transport = open(registry.origin.replace('127.0.0.1', 'r.test'), { resolve });
    expect(await transport.get('/v2/')).toBe(200);
    await expect(transport.target(registry.origin)).rejects.toEqual(forbidden);
  });

  test.each(['http://169.254.169.254', 'http://[fe80::1]', 'http://0.0.0.0:1', 'http://metadata.test'])(
    'and no registry itself is at %s',
    async (origin) => {
      const error = await open(origin, resolver(['169.254.169.254']))
        .get('/v2/')
        .catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(TargetForbiddenError);
      expect(error).toMatchObject({
        message: expect.stringMatching(/is at a forbidden address, where no registry may be/),
      });
    },
  );
});

describe('loopback that is closed', () => {
  test.each<[origin: string, hosts: string]>([
    ['http://127.0.0.1:1', '127.0.0.1'],
    ['http://127.9.9.9:1', '127.9.9.9'],
    ['http://[::1]:1', '[::1]'],
    ['http://[::ffff:7f00:1]:1', '[::ffff:7f00:1]'],
    ['http://localhost:1', 'localhost'],
    ['http://r.test:1', 'r.test'],
  ])('is no place for the registry %s, trusted or not; without the option it is one', async (origin, host) => {
    const resolve = origin.includes('r.test') ? resolver([places.loopback]) : {};
    for (const trustedHosts of [[], [host, `${host}:1`]]) {
      const closed = open(origin, { ...resolve, isLoopbackForbidden: true, trustedHosts });
      await expect(closed.get('/v2/')).rejects.toThrow(TargetForbiddenError);
      await expect(closed.get('/v2/')).rejects.toThrow(/is at a loopback address, where no registry may be/);
    }
    await expect(open(origin, resolve).get('/v2/')).rejects.not.toThrow(TargetForbiddenError);
  });

  test('is not where a registry may send us, trusted or not', async () => {
    await using other = await startRegistry();
    const resolve: Resolve = (hostname) =>
      resolver([hostname === 'r.test' ? '10.0.0.1' : '127.0.0.1']).resolve(hostname);
    const byName = other.origin.replace('127.0.0.1', 'auth.test');
    const transport = open('http://r.test', {
      ...{ resolve, isLoopbackForbidden: true },
      trustedHosts: [other.authority, 'auth.test'],
    });
    for (const realm of [other.origin, byName]) await expect(transport.get(realm)).rejects.toEqual(forbidden);
    const trusting = open('http://r.test', { resolve, trustedHosts: ['auth.test'] });
    expect(await trusting.get(`${byName}/v2/`)).toBe(200);
    expect(other.requests).toHaveLength(1);
  });
});

describe('a connection that cannot be made', () => {
  test.each<[what: string, resolve: Resolve, message: RegExp]>([
    ['a name without addresses', async () => [], /r.test: its name cannot be resolved/],
    ['a name that fails', () => Promise.reject(Object.assign(new Error('x'), { code: 'EAI_AGAIN' })), /at the moment/],
    ['a name that is never resolved', () => new Promise(() => {}), /was not made in time/],
    ['a port where nobody listens', async () => [{ address: '127.0.0.1', family: 4 }], /the connection was refused/],
  ])('to %s fails with a reason', async (_what, resolve, message) => {
    const transport = open('http://r.test:1', { resolve, timeouts: { connectMs: 100 } });
    const error = await transport.get('/v2/').catch((reason: unknown) => toProxyError(reason, 'r.test'));
    expect(error).toMatchObject({ message: expect.stringMatching(message) });
  });

  test.each([hanging, stalledAfter(1)])('or that says nothing is given up: %o', async (fault) => {
    await using registry = await startRegistry({ faults: [{ fault }] });
    registry.seed('a', makeImage(), ['v1']);
    const transport = open(registry.origin, { timeouts: { headersMs: 50, idleBodyMs: 50 } });
    const { dispatcher } = transport;
    const request = async () => {
      const { body } = await dispatcher.request({ origin: registry.origin, path: '/v2/a/manifests/v1', method: 'GET' });
      await body.text();
    };
    await expect(request()).rejects.toMatchObject({ code: expect.stringMatching(/^UND_ERR_(HEADERS|BODY)_TIMEOUT$/) });
  });
});

describe('TLS', () => {
  test.each<[what: string, options: (cert: string) => Partial<TransportOptions>, outcome: unknown]>([
    ['with the CA of the connector', (ca) => ({ ca }), 200],
    ['with that and another one', (ca) => ({ ca: ca + makeSelfSigned().cert }), 200],
    ['without', () => ({}), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['with another CA', () => ({ ca: makeSelfSigned(['x']).cert }), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ])('is trusted %s', async (_what, options, outcome) => {
    const tls = makeSelfSigned(['r.test']);
    await using registry = await startRegistry({ tls });
    const origin = registry.origin.replace('127.0.0.1', 'r.test');
    const transport = open(origin, { ...resolver([places.loopback]), ...options(tls.cert) });
    expect(await transport.get('/v2/').catch((error: { code: string }) => error.code)).toBe(outcome);
  });

  test('is not for another name', async () => {
    const tls = makeSelfSigned(['other.test']);
    await using registry = await startRegistry({ tls });
    const origin = registry.origin.replace('127.0.0.1', 'r.test');
    const transport = open(origin, { ...resolver([places.loopback]), ca: tls.cert });
    await expect(transport.get('/v2/')).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});

test('each origin keeps its connections, the registry those of its own', async () => {
  const transport = open('http://r.test', resolver([places.loopback]));
  expect(transport.dispatcherFor(new URL('http://r.test/x'))).toBe(transport.dispatcher);
  const other = transport.dispatcherFor(new URL('http://r.test:81/'));
  expect(other).not.toBe(transport.dispatcher);
  expect(transport.dispatcherFor(new URL('http://r.test:81/x'))).toBe(other);
});

test('a transport that is closed lets what is under way end; one that is destroyed does not', async () => {
  await using registry = await startRegistry({ faults: [{ fault: hanging }] });
  const transport = open(registry.origin);
  const asked = transport.get('/v2/');
  const failed = expect(asked).rejects.toThrow();
  const { ended } = await registry.arrival(() => true);
  const closed = transport.close();
  await transport.destroy();
  await Promise.all([failed, closed]);
  expect(await ended).toBe('broken');
});
