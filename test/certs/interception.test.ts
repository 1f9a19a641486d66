import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { type ConnectionOptions, connect, createServer } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { certificateDirectory, interceptionDirectory } from '../../certs/certificate-directory.ts';
import { type Interception, type InterceptionOptions, openInterception } from '../../certs/interception.ts';
import { serveFallback, sniFor } from '../../certs/sni.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { authorityMemory } from './text-memory.ts';

const HOUR_MS = 60 * 60_000;
const DAY_MS = 24 * HOUR_MS;
const start = Date.UTC(2026, 0, 1);
const host = 'harbor.example.com';
/** A CA of 30 days has a successor after 20, which signs from day 21 on. */
const short = { caLifeMs: 30 * DAY_MS };

async function open(options: Partial<InterceptionOptions> = {}): Promise<Interception> {
  const interception = await openInterception({
    store: authorityMemory(),
    now: () => start,
    onError: (error) => expect.unreachable(String(error)),
    ...options,
  });
  onTestFinished(() => interception.close());
  return interception;
}

const leafOf = async (interception: Interception, name = host) =>
  new X509Certificate((await interception.keyPairFor(name)).cert);
const issuersIn = (bundle: string) =>
  (bundle.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g) ?? []).map((pem) => new X509Certificate(pem));
const isTrusted = (leaf: X509Certificate, bundle: string) =>
  issuersIn(bundle).some((ca) => leaf.checkIssued(ca) && leaf.verify(ca.publicKey));

describe('a certificate of the interception authority', () => {
  it('is for exactly one host, and for 24 hours', async () => {
    const interception = await open();
    const leaf = await leafOf(interception);
    expect(leaf.subjectAltName).toBe(`DNS:${host}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.validFromDate.getTime()).toBe(start - 5 * 60_000);
    expect(leaf.validToDate.getTime() - leaf.validFromDate.getTime()).toBe(DAY_MS);
    expect(isTrusted(leaf, interception.caBundle)).toBe(true);
    expect(issuersIn(interception.caBundle)[0]?.subject).toMatch(/^CN=oci-connector interception [0-9a-f]{8}$/);
  });

  it.each([
    ['192.0.2.1', 'IP Address:192.0.2.1'],
    ['2001:DB8::1', 'IP Address:2001:DB8:0:0:0:0:0:1'],
    ['Harbor.Example.com', `DNS:${host}`],
  ])('can be for %s', async (name, subjectAltName) => {
    expect((await leafOf(await open(), name)).subjectAltName).toBe(subjectAltName);
  });

  it.each(['', '*.example.com', 'harbor.example.com.', 'a b', '127.1', `${'a'.repeat(300)}`])(
    'is not made for %j',
    async (name) => {
      const interception = await open();
      await expect(interception.secureContextFor(name)).rejects.toThrow(/no certificate can be for .* no host name/);
    },
  );

  it('is made once for callers that ask at once, and kept', async () => {
    const interception = await open();
    const contexts = await Promise.all([1, 2, 3].map(() => interception.secureContextFor(host)));
    expect(new Set(contexts).size).toBe(1);
    expect(await interception.secureContextFor(host.toUpperCase())).toBe(contexts[0]);
  });

  it('is renewed at two thirds of its life', async () => {
    let now = start;
    const interception = await open({ now: () => now });
    const first = await leafOf(interception);
    now = start + 15 * HOUR_MS;
    expect((await leafOf(interception)).serialNumber).toBe(first.serialNumber);
    now = start + 16 * HOUR_MS;
    expect((await leafOf(interception)).serialNumber).not.toBe(first.serialNumber);
  });

  it('is forgotten when more hosts than the bound were asked for since', async () => {
    const interception = await open({ maxHosts: 2 });
    const first = await leafOf(interception, 'a.example');
    const second = await leafOf(interception, 'b.example');
    await leafOf(interception, 'a.example');
    await leafOf(interception, 'c.example');
    expect((await leafOf(interception, 'a.example')).serialNumber).toBe(first.serialNumber);
    expect((await leafOf(interception, 'b.example')).serialNumber).not.toBe(second.serialNumber);
  });
});

describe('the interception authority', () => {
  it('is one for all that share a store, at once and later', async () => {
    const store = authorityMemory();
    const replicas = await Promise.all([1, 2, 3, 4].map(() => open({ store })));
    expect(new Set(replicas.map(({ caBundle }) => caBundle)).size).toBe(1);
    expect(store.bundle).toBe(replicas[0]?.caBundle);
    for (const replica of replicas) expect(isTrusted(await leafOf(replica), store.bundle ?? '')).toBe(true);
  });

  it('is rotated so that what signs was trusted a day before, by every replica', async () => {
    let now = start;
    const store = authorityMemory();
    const replicas = [
      await open({ store, now: () => now, lifetimes: short }),
      await open({ store, now: () => now, lifetimes: short }),
    ];
    const bundles: string[] = [];
    const timeline: string[] = [];
    const stepMs = 4 * HOUR_MS;
    for (let step = 0; step <= 26 * 6; step += 1) {
      now = start + step * stepMs;
      const dayOld = bundles.at(-6) ?? bundles[0];
      // One is always later than the other.
      for (const replica of step % 2 === 0 ? replicas : replicas.toReversed()) {
        await replica.check();
        expect(isTrusted(await leafOf(replica), dayOld ?? replica.caBundle), `step ${step}`).toBe(true);
      }
      bundles.push(store.bundle ?? '');
      const count = issuersIn(store.bundle ?? '').length;
      if (!timeline.at(-1)?.endsWith(`: ${count}`)) timeline.push(`day ${step / 6}: ${count}`);
    }
    expect(timeline).toEqual(['day 0: 1', 'day 20: 2', 'day 22: 1']);
    expect(replicas[0]?.caBundle).toBe(replicas[1]?.caBundle);
  });

  it('drops certificates of a CA that signs no more', async () => {
    let now = start;
    const interception = await open({ now: () => now, lifetimes: short });
    now = start + 20 * DAY_MS;
    await interception.check();
    now = start + 21 * DAY_MS - HOUR_MS;
    const before = await leafOf(interception);
    now = start + 21 * DAY_MS;
    const after = await leafOf(interception);
    expect(after.issuer).not.toBe(before.issuer);
    expect(isTrusted(before, interception.caBundle) && isTrusted(after, interception.caBundle)).toBe(true);
  });

  it('tells of a new bundle once, and those that left no more', async () => {
    let now = start;
    const interception = await open({ now: () => now, lifetimes: short });
    const [stayed, left] = [vi.fn(), vi.fn()];
    interception.onChange(stayed);
    interception.onChange(left)();
    await interception.check();
    expect(stayed).not.toHaveBeenCalled();
    now = start + 20 * DAY_MS;
    await Promise.all([interception.check(), interception.check()]);
    expect(stayed).toHaveBeenCalledOnce();
    expect(left).not.toHaveBeenCalled();
  });

  it('is given back to a store that has lost it', async () => {
    const store = authorityMemory();
    const interception = await open({ store });
    const { text } = store.authority;
    store.authority.text = undefined;
    await interception.check();
    expect(store.authority.text).toBe(text);
  });

  it('goes on signing while the store is damaged, and the error says what to do', async () => {
    const store = authorityMemory();
    const interception = await open({ store });
    const { caBundle } = interception;
    store.authority.text = 'damaged';
    await expect(interception.check()).rejects.toThrow(/memory holds no certificate authority .* restore it/);
    expect(isTrusted(await leafOf(interception), caBundle)).toBe(true);
    await expect(open({ store })).rejects.toThrow('restore it');
  });

  it('is looked at every minute, and no more after its end', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const store = authorityMemory();
    const failed = Promise.withResolvers<unknown>();
    const interception = await open({ store, onError: failed.resolve });
    store.authority.text = 'damaged';
    vi.advanceTimersByTime(60_000);
    expect(String(await failed.promise)).toContain('restore it');
    await interception.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is in a directory beside the serving one; keys of its certificates are nowhere', async () => {
    const directory = await temporaryDirectory();
    const interception = await open({ store: interceptionDirectory(directory) });
    await leafOf(interception);
    expect((await readdir(directory)).sort()).toEqual(['interception-ca.crt', 'interception-ca.pem']);
    expect(await readFile(`${directory}/interception-ca.crt`, 'utf8')).toBe(interception.caBundle);
    expect((await stat(`${directory}/interception-ca.pem`)).mode & 0o777).toBe(0o600);
    // And the other authority still takes the directory for its own, to close it.
    await certificateDirectory(directory).open();
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });
});

describe('an HTTPS listener for many hosts', () => {
  const served = ['c-harbor.demo.svc', 'oci-connector.oci-connector.svc'];

  async function listen(interception: Interception) {
    const asked: string[] = [];
    const server = createServer({
      SNICallback: sniFor(interception, (name) => {
        asked.push(name);
        return served.includes(name);
      }),
    });
    const refusals: string[] = [];
    server.on('tlsClientError', ({ message }) => refusals.push(message));
    server.on('secureConnection', (socket) => socket.end());
    const fallbackHost = served[1] ?? '';
    const onError = (error: unknown) => expect.unreachable(String(error));
    onTestFinished(await serveFallback(server, interception, { fallbackHost, onError }));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    return { port: (server.address() as AddressInfo).port, asked, refusals };
  }

  /** The names of the certificate that a client meets. */
  async function meet(port: number, options: ConnectionOptions): Promise<string | undefined> {
    const socket = connect({ host: '127.0.0.1', port, ...options });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerX509Certificate()?.subjectAltName;
    } finally {
      socket.destroy();
    }
  }

  it('shows each its own certificate, which a client that trusts the bundle takes', async () => {
    const interception = await open({ now: Date.now });
    const { port } = await listen(interception);
    for (const servername of served) {
      expect(await meet(port, { servername, ca: interception.caBundle })).toBe(`DNS:${servername}`);
    }
    expect(await meet(port, { servername: 'C-Harbor.demo.svc', ca: interception.caBundle })).toBe(`DNS:${served[0]}`);
  });

  it('shows clients that name nobody the fallback', async () => {
    const interception = await open({ now: Date.now });
    const { port, asked } = await listen(interception);
    const checkServerIdentity = () => undefined;
    const options = { ca: interception.caBundle, checkServerIdentity, servername: '' };
    expect(await meet(port, options)).toBe(`DNS:${served[1]}`);
    expect(asked).toEqual([]);
  });

  it('cuts off clients that name anybody else, and makes nothing for them', async () => {
    const interception = await open({ now: Date.now });
    const secureContextFor = vi.spyOn(interception, 'secureContextFor');
    const { port, refusals } = await listen(interception);
    await expect(meet(port, { servername: 'bank.example.com', rejectUnauthorized: false })).rejects.toThrow();
    expect(secureContextFor).not.toHaveBeenCalled();
    expect(refusals).toEqual([expect.stringContaining('unrecognized_name')]);
  });

  it('speaks TLS 1.2 at least', async () => {
    const interception = await open({ now: Date.now });
    const { port } = await listen(interception);
    const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await expect(meet(port, { servername: served[0] ?? '', rejectUnauthorized: false, ...old })).rejects.toThrow();
  });
});
