import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { probeLiveness } from '../../credentials/probe.ts';
import { RegistryTransport, type TransportOptions } from '../../platform/transport.ts';
import { makeSelfSigned as makeSelfSignedAt } from '../real/support/certificate.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import {
  closedBeforeHeaders,
  type Fault,
  hanging,
  malformedAnswer,
  redirectedTo,
  resetBeforeHeaders,
  status,
  tooManyRequests,
} from '../support/faults.ts';
import { type RegistryOptions, startRegistry } from '../support/registry.ts';
import { robot } from './fixtures.ts';

const credential = { kind: 'password', ...robot } as const;
const { signal } = new AbortController();

async function registryWith(options: RegistryOptions = {}) {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

function livenessOf(options: TransportOptions, limits: { timeoutMs?: number; signal?: AbortSignal } = {}) {
  const transport = new RegistryTransport(options);
  onTestFinished(() => transport.destroy());
  return probeLiveness(transport, credential, { signal, ...limits });
}

/** The origin of a server that is no registry. */
async function originOf(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port of 127.0.0.1 where nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('a registry is alive', () => {
  test.each<[what: string, options: RegistryOptions, schemes: string[]]>([
    ['that is open', {}, []],
    ['that wants Basic', { auth: { kind: 'basic', ...robot } }, ['basic']],
    ['that wants tokens', { auth: { kind: 'token', ...robot } }, ['bearer']],
  ])('%s', async (_what, options, schemes) => {
    const registry = await registryWith(options);
    const liveness = await livenessOf({ origin: registry.origin });
    expect(liveness).toMatchObject({ ok: true, challenges: schemes.map((scheme) => ({ scheme })) });
    expect(registry.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([['/v2/', undefined]]);
  });

  test('whose certificate is signed by the CA of the connector', async () => {
    const tls = makeSelfSigned(['127.0.0.1']);
    const registry = await registryWith({ tls });
    expect(await livenessOf({ origin: registry.origin, ca: tls.cert })).toMatchObject({ ok: true });
  });
});

const page = (headers = {}) =>
  status(200, { headers: { 'content-type': 'Text/HTML; charset=utf-8', ...headers }, body: '<html>hello</html>' });

test('a registry may answer a page if it says that it is one', async () => {
  const fault = page({ 'docker-distribution-api-version': 'registry/2.0' });
  const registry = await registryWith({ faults: [{ fault }] });
  expect(await livenessOf({ origin: registry.origin })).toEqual({ ok: true, challenges: [] });
});

describe('a registry is not alive', () => {
  test.each<[reason: string, fault: Fault, message: RegExp]>([
    ['NotARegistry', status(404), /answered 404 at \/v2\/, where a registry answers 200 or 401.*check scheme, host/],
    ['NotARegistry', status(401), /answered 401 at \/v2\/, without a challenge/],
    ['NotARegistry', redirectedTo('https://www.example.com/'), /answered 307/],
    ['NotARegistry', malformedAnswer(), /is not HTTP.*check scheme/],
    ['NotARegistry', page(), /answered a web page at \/v2\/.*check scheme, host/],
    ['RateLimited', tooManyRequests(7), /limits our requests.*asked again later/],
    ['ServerError', status(503), /answered 503 at \/v2\/.*the fault is in the registry/],
    ['Unreachable', resetBeforeHeaders, /the connection was (reset|closed).*check the network/],
    ['Unreachable', closedBeforeHeaders, /the connection was closed/],
  ])('%s: %s', async (reason, fault, message) => {
    const registry = await registryWith({ faults: [{ fault }] });
    const liveness = await livenessOf({ origin: registry.origin });
    expect(liveness).toMatchObject({ ok: false, reason, message: expect.stringMatching(message) });
    expect(liveness).toMatchObject({ message: expect.stringContaining(registry.authority) });
  });

  test('Timeout: one that is silent, after the time for a probe', async () => {
    const registry = await registryWith({ faults: [{ fault: hanging }] });
    const liveness = await livenessOf({ origin: registry.origin }, { timeoutMs: 50 });
    const message = `${registry.authority}: no answer came within 0.05 s: check that the registry runs, and that no firewall swallows the connection`;
    expect(liveness).toEqual({ ok: false, reason: 'Timeout', message });
  });

  test('RateLimited tells when to ask again', async () => {
    const registry = await registryWith({ faults: [{ fault: tooManyRequests(7) }] });
    expect(await livenessOf({ origin: registry.origin })).toMatchObject({ retryAfterMs: 7_000 });
  });

  test('ConnectionRefused: nobody listens', async () => {
    const origin = `http://127.0.0.1:${await closedPort()}`;
    const message = expect.stringMatching(/the connection was refused: check host and port in spec.address/);
    expect(await livenessOf({ origin })).toEqual({ ok: false, reason: 'ConnectionRefused', message });
  });

  test.each(['ENOTFOUND', 'EAI_AGAIN'])('AddressUnresolvable: its name is not known (%s)', async (code) => {
    const resolve = () => Promise.reject(Object.assign(new Error('no'), { code }));
    const liveness = await livenessOf({ origin: 'https://registry.example.com', resolve });
    const message = expect.stringMatching(/^registry.example.com: its name cannot be resolved.*spec.address.*DNS/);
    expect(liveness).toEqual({ ok: false, reason: 'AddressUnresolvable', message });
  });

  test.each<[what: string, options: TransportOptions]>([
    ['by literal address', { origin: 'http://169.254.169.254' }],
    ['by literal IPv6 address', { origin: 'http://[fe80::1]:5000' }],
    [
      'by name',
      { origin: 'http://metadata.example.com', resolve: async () => [{ address: '169.254.169.254', family: 4 }] },
    ],
  ])('AddressForbidden: a link-local one, %s', async (_what, options) => {
    const message = expect.stringMatching(/is at a forbidden address, where no registry may be: write an address/);
    expect(await livenessOf(options)).toEqual({ ok: false, reason: 'AddressForbidden', message });
  });

  test.each<[what: string, names: string[], isTrusted: boolean, message: RegExp]>([
    ['an unknown CA', ['127.0.0.1'], false, /self-signed: name its CA in caCertSecretRef/],
    ['another name', ['other.example.com'], true, /its certificate is for another name/],
  ])('TLSInvalid: %s', async (_what, names, isTrusted, message) => {
    const tls = makeSelfSigned(names);
    const registry = await registryWith({ tls });
    const liveness = await livenessOf({ origin: registry.origin, ca: isTrusted ? tls.cert : undefined });
    expect(liveness).toMatchObject({ ok: false, reason: 'TLSInvalid', message: expect.stringMatching(message) });
  });

  test('TLSInvalid: an expired certificate', async () => {
    const { certificatePem: cert, keyPem: key } = await makeSelfSignedAt(['127.0.0.1'], new Date('2020-01-01'));
    const registry = await registryWith({ tls: { cert, key } });
    const message = expect.stringMatching(/its certificate has expired: check the certificate of the registry/);
    const liveness = await livenessOf({ origin: registry.origin, ca: cert });
    expect(liveness).toMatchObject({ ok: false, reason: 'TLSInvalid', message });
  });

  test('TLSInvalid: https to a port that speaks http', async () => {
    const registry = await registryWith();
    const liveness = await livenessOf({ origin: registry.origin.replace('http:', 'https:') });
    expect(liveness).toMatchObject({ reason: 'TLSInvalid', message: expect.stringMatching(/does it speak https/) });
  });

  test('NotARegistry: a website', async () => {
    const origin = await originOf((_request, response) => response.writeHead(404).end('<html>nothing here</html>'));
    expect(await livenessOf({ origin })).toMatchObject({ ok: false, reason: 'NotARegistry' });
  });
});

test('a probe that is called off is no verdict', async () => {
  const registry = await registryWith({ faults: [{ fault: hanging }] });
  const caller = new AbortController();
  const liveness = livenessOf({ origin: registry.origin }, { signal: caller.signal });
  await registry.arrival(() => true);
  caller.abort(new Error('closed'));
  await expect(liveness).rejects.toThrow('closed');
});

test('a registry that repeats the credential does not get it into the message', async () => {
  const body = JSON.stringify({ errors: [{ code: 'UNAVAILABLE', message: `you are ${robot.password}` }] });
  const registry = await registryWith({ faults: [{ fault: status(503, { body }) }] });
  const liveness = await livenessOf({ origin: registry.origin });
  expect(liveness).toMatchObject({ message: expect.stringContaining('you are [redacted]') });
});
