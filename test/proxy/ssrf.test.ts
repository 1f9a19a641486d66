import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { ephemeralSealingKeys } from '../../platform/sealing-keys.ts';
import type { Resolve } from '../../platform/transport.ts';
import { type CallResult, call } from '../support/call.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { startRegistry } from '../support/registry.ts';
import { type Dials, watchDials } from './support/dials.ts';
import { literals, names, type Zone, zones, zonesOf } from './support/forbidden-targets.ts';
import {
  httpAnswer,
  plainAnswer,
  startWireRegistry,
  valuesOf,
  type WireRegistry,
  type WireRequest,
} from './support/wire-registry.ts';

const login = { username: 'robot', password: 'correct horse/battery' };
/**
 * Addresses of registries. The first is where they are; what else their names resolve to puts them into a zone: the
 * outermost counts.
 */
const registryAddresses: Readonly<Record<Zone, readonly string[]>> = {
  public: ['127.0.0.1', '203.0.113.1'],
  private: ['127.0.0.1', '10.255.255.1'],
  loopback: ['127.0.0.1'],
};

/** The ways in which a registry can send us somewhere. */
const ways = ['the realm of its challenge', 'a redirect of a blob', 'the Location of an upload'] as const;
type Way = (typeof ways)[number];

/** A registry that sends us to `target` in one of these ways, and needs a credential for all else. */
const sendingTo = (way: Way, target: string) => (request: WireRequest) => {
  const isRealm = way === 'the realm of its challenge';
  if (valuesOf(request, 'authorization').length === 0) {
    const challenge = isRealm ? `Bearer realm="${target}",service="registry"` : 'Basic realm="registry"';
    return httpAnswer('401 Unauthorized', { 'WWW-Authenticate': challenge });
  }
  if (request.method === 'POST') return httpAnswer('202 Accepted', { Location: target });
  return httpAnswer('307 Temporary Redirect', { Location: target });
};

interface SceneOptions {
  readonly zone: Zone;
  readonly way: Way;
  /** Of the port where the trap is. */
  readonly target: (port: number) => string;
  /** What each question for another name than the registry’s is answered with, the last of them for ever. */
  readonly names?: readonly (readonly string[])[];
  readonly trustedHosts?: string;
}

interface Scene {
  readonly proxy: RunningProxy;
  /** Names that were looked up, but the registry’s. */
  readonly asked: readonly string[];
  /** What came to where the registry must not send us, since the scene was opened. */
  heard(): readonly WireRequest[];
  heardBytes(): string;
  /** Goes the way; an upload goes on where it was sent. */
  go(): Promise<CallResult>;
}

let dials: Dials;
let trap: WireRegistry;
let registry: WireRegistry;
let answer = plainAnswer;

beforeAll(async () => {
  const caught = httpAnswer('200 OK', { Connection: 'close' }, '{"token":"of-the-trap"}');
  trap = await startWireRegistry({ answer: (_request, socket) => void socket.end(caught) });
  registry = await startWireRegistry({ answer: (request) => answer(request) });
  return async () => {
    await trap[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  };
});
beforeEach(() => {
  dials = watchDials();
  return () => dials[Symbol.dispose]();
});

async function openScene({ zone, way, target, names = [], trustedHosts }: SceneOptions): Promise<Scene> {
  const [requestsBefore, bytesBefore] = [trap.requests.length, trap.bytes().length];
  answer = sendingTo(way, target(trap.port));
  const asked: string[] = [];
  const resolve: Resolve = async (hostname) => {
    if (hostname !== 'registry.test') asked.push(hostname);
    const found =
      hostname === 'registry.test' ? registryAddresses[zone] : (names[asked.length - 1] ?? names.at(-1) ?? []);
    return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
  };
  const proxy = await startProxy({
    documents: connectorTo(`http://registry.test:${registry.port}`, {
      ...login,
      redirect: 'follow',
      ...(trustedHosts && { trustedHosts }),
    }),
    sealing: ephemeralSealingKeys(),
    transports: { resolve, timeouts: { connectMs: 2_000 } },
  });
  onTestFinished(() => proxy.close());
  const go = async () => {
    if (way !== 'the Location of an upload') return call(proxy.url(`team/app/blobs/sha256:${'a'.repeat(64)}`));
    const begun = await call(proxy.url('team/app/blobs/uploads/'), {
      method: 'POST',
      headers: { 'content-length': 0 },
    });
    if (begun.status !== 202) return begun;
    return call(new URL(begun.headers.location ?? '', proxy.origin).href, { method: 'PATCH', body: 'hello' });
  };
  const heard = () => trap.requests.slice(requestsBefore);
  return { proxy, asked, go, heard, heardBytes: () => trap.bytes().slice(bytesBefore) };
}

const reasonOf = ({ body }: CallResult): unknown => JSON.parse(body.toString()).errors?.[0]?.detail?.reason;

/** Nothing was connected to but the proxy and the registry, and the trap has heard nothing. */
async function expectForbidden(scene: Scene): Promise<void> {
  const got = await scene.go();
  expect([got.status, reasonOf(got)]).toEqual([502, 'TARGET_FORBIDDEN']);
  expect(got.body.toString()).not.toContain(login.password);
  expect(scene.heardBytes()).toBe('');
  expect(dials.begun.filter((dial) => !dial.startsWith('127.0.0.1:') || dial === `127.0.0.1:${trap.port}`)).toEqual([]);
}

const spellings = ['target.test', 'target.test.', 'target%E3%80%82test', 'TARGET.test', 'localhost'];

describe.each(ways)('by %s', (way) => {
  describe.each(zones)('a registry at a %s address', (zone) => {
    const hosts = Object.entries(literals).flatMap(([kind, all]) =>
      (zonesOf[kind as keyof typeof literals] as readonly Zone[]).includes(zone) ? all : [],
    );
    test.each(hosts)('does not send us to http://%s', async (host) => {
      await expectForbidden(await openScene({ zone, way, target: (port) => `http://${host}:${port}/x` }));
    });

    const lists = names.filter(([, from]) => from.includes(zone)).map(([addresses]) => addresses);
    test.each(lists)('does not send us to a name with %j, %j, %j', async (...addresses) => {
      const scene = { zone, way, names: [addresses.filter((address) => address !== undefined)] };
      await expectForbidden(await openScene({ ...scene, target: (port) => `http://target.test:${port}/x` }));
    });

    test.each(spellings)('does not send us to metadata by the name %s', async (host) => {
      const scene = await openScene({
        zone,
        way,
        names: [['169.254.169.254']],
        target: (port) => `http://${host}:${port}/x`,
      });
      await expectForbidden(scene);
      expect(new Set(scene.asked).size).toBe(1);
    });

    test('does not send us to metadata, whoever is trusted', async () => {
      const trustedHosts = 'target.test,169.254.169.254,[fe80::1]';
      for (const host of ['169.254.169.254', '[fe80::1]', 'target.test']) {
        const target = (port: number) => `http://${host}:${port}/x`;
        await expectForbidden(await openScene({ zone, way, trustedHosts, target, names: [['169.254.169.254']] }));
      }
    });

    test('sends us to a host that is trusted', async () => {
      const target = (port: number) => `http://target.test:${port}/x`;
      const scene = await openScene({ zone, way, target, names: [['127.0.0.1']], trustedHosts: 'target.test' });
      await scene.go();
      expect(scene.heard().length).toBeGreaterThan(0);
      expect(new Set(scene.asked)).toEqual(new Set(['target.test']));
    });

    test('does not send us to another port of a host that is trusted', async () => {
      const target = (port: number) => `http://target.test:${port}/x`;
      // Loopback is forbidden to those that are not there themselves.
      const addresses = [zone === 'loopback' ? '169.254.169.254' : '127.0.0.1'];
      await expectForbidden(await openScene({ zone, way, target, names: [addresses], trustedHosts: 'target.test:1' }));
    });

    test('gains nothing by a name that is public first and another one later', async () => {
      const target = (port: number) => `http://target.test:${port}/x`;
      const scene = await openScene({
        zone,
        way,
        target,
        names: [['127.0.0.1'], ['169.254.169.254']],
        trustedHosts: 'target.test',
      });
      await scene.go();
      // What was looked up once was checked, and is what was connected to.
      const [first] = scene.asked;
      expect(first).toBe('target.test');
      expect(scene.heard().length).toBeGreaterThan(0);
      const before = scene.heard().length;
      const again = await scene.go();
      const isCached = way === 'the realm of its challenge' && again.status !== 502;
      if (!isCached) expect([again.status, reasonOf(again)]).toEqual([502, 'TARGET_FORBIDDEN']);
      expect(scene.heard()).toHaveLength(before);
      expect(dials.begun.filter((dial) => !dial.startsWith('127.0.0.1:'))).toEqual([]);
    });

    test('sends what goes elsewhere no credential, but to its realm', async () => {
      const target = (port: number) => `http://target.test:${port}/x`;
      const scene = await openScene({ zone, way, target, names: [['127.0.0.1']], trustedHosts: 'target.test' });
      await scene.go();
      const credentials = scene.heard().flatMap((request) => valuesOf(request, 'authorization'));
      if (way === 'the realm of its challenge') expect(new Set(credentials).size).toBe(1);
      else expect([credentials, scene.heardBytes().includes('Basic')]).toEqual([[], false]);
    });
  });

  test.each([
    'ftp://203.0.113.1/x',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'gopher://127.0.0.1:1/x',
    'data:,x',
    'http://',
    'unix:/run/x.sock',
    'ws://127.0.0.1/x',
  ])('no registry sends us to %s', async (target) => {
    await expectForbidden(await openScene({ zone: 'loopback', way, target: () => target }));
  });
});

test('a registry in a network may begin an upload there, and on loopback at its own', async () => {
  const way = 'the Location of an upload';
  for (const [zone, host] of [
    ['private', '10.0.0.1'],
    ['private', '203.0.113.2'],
    ['public', '203.0.113.2'],
    ['loopback', '10.0.0.1'],
  ] as const) {
    const { proxy } = await openScene({ zone, way, target: () => `http://${host}/x` });
    const begun = await call(proxy.url('team/app/blobs/uploads/'), {
      method: 'POST',
      headers: { 'content-length': 0 },
    });
    expect([zone, host, begun.status]).toEqual([zone, host, 202]);
  }
  expect(dials.begun.filter((dial) => !dial.startsWith('127.0.0.1:'))).toEqual([]);
});

test('a registry with https sends us to no http, in none of these ways', async () => {
  await using plain = await startWireRegistry();
  const tls = makeSelfSigned(['registry.test']);
  const target = `${plain.origin}/x`;
  const resolve: Resolve = async () => [{ address: '127.0.0.1', family: 4 }];
  for (const options of [
    { auth: { kind: 'token', ...login, realm: target } as const },
    { redirectBlobs: () => target },
    { uploadLocation: () => target },
  ]) {
    await using secure = await startRegistry({ tls, hostname: 'registry.test', ...options } as Parameters<
      typeof startRegistry
    >[0]);
    const digest = await secure.seedSyntheticBlob('team/app', 10);
    await using proxy = await startProxy({
      documents: connectorTo(secure.origin, { ...login, ca: tls.cert, redirect: 'follow' }),
      sealing: ephemeralSealingKeys(),
      transports: { resolve },
    });
    const got =
      'uploadLocation' in options
        ? await call(proxy.url('team/app/blobs/uploads/'), { method: 'POST', headers: { 'content-length': 0 } })
        : await call(proxy.url(`team/app/blobs/${digest}`));
    expect([Object.keys(options)[0], got.status, reasonOf(got)]).toEqual([
      Object.keys(options)[0],
      502,
      'TARGET_FORBIDDEN',
    ]);
  }
  expect(plain.bytes()).toBe('');
});
