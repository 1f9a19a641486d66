import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type * as faults from '../support/faults.ts';
import { type Image, makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type AnswerHeaders, bytesAnswer } from '../support/registry/answer.ts';
import { type Registry, type RegistryAuth, startRegistry } from '../support/registry.ts';
import { type BlobStorage, startStorage } from '../support/storage.ts';
import { findSecrets } from './support/canary.ts';
import { exchangeRaw } from './support/raw-exchange.ts';

const login = { username: 'robot', password: 'correct horse/battery?' };
/** With every character that a Bearer token may have, also those that a query escapes. */
const token = 'tok-8s7f6g5h4j_3k2l~1q.2w+3e/4r5t==';
const secrets = { password: login.password, token };

const auths: readonly RegistryAuth[] = [
  { kind: 'basic', ...login },
  { kind: 'token', ...login, makeToken: () => token },
];

/** What a server might show of a request for debugging. */
const shown = (authorization: string | undefined) => `you sent Authorization: ${authorization} (${login.password})`;

/** An answer that repeats what it was asked with. */
const echoing = (answer: (echo: string) => [status: number, headers: AnswerHeaders, body: Uint8Array | string]) => ({
  match: { path: /^\/v2\/team\//, isAuthorized: true },
  fault: {
    name: 'echo',
    inflict: async (_answer, { headers }) => bytesAnswer(...answer(shown(headers.authorization))),
  } satisfies faults.Fault,
});

interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: Buffer;
  readonly bytes: Buffer;
}

/** Every text that a caller could read out of an answer. */
function textsOf({ bytes, body }: Answer): string {
  const texts = [bytes.toString('latin1'), bytes.toString('utf8')];
  for (const offset of [0, 1]) texts.push(body.subarray(offset).toString('utf16le'));
  for (const decode of [gunzipSync, brotliDecompressSync]) {
    try {
      texts.push(decode(body).toString('latin1'));
    } catch {
      // It is not of this coding.
    }
  }
  return texts.join('\n');
}

describe.each(auths)('to a registry with $kind authentication that repeats our Authorization', (auth) => {
  let storage: BlobStorage;
  let registry: Registry;
  let image: Image;
  let proxy: RunningProxy;

  beforeEach(async () => {
    storage = await startStorage();
    registry = await startRegistry({ auth });
    image = registry.seed('team/app', makeImage(), ['v1']);
    const documents = ['handover', 'follow'].flatMap((redirect) =>
      connectorTo(registry.origin, { ...login, key: `demo/${redirect}`, redirect }),
    );
    proxy = await startProxy({ documents });
  });
  afterEach(async () => {
    await proxy.close();
    await registry.close();
    await storage.close();
  });

  async function ask(tail: string, { key = 'demo/handover', method = 'GET' } = {}): Promise<Answer> {
    const { pathname, search } = new URL(proxy.url(`team/app/${tail}`, key));
    const request = `${method} ${pathname}${search} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    const bytes = await exchangeRaw(proxy.port, request);
    const end = bytes.indexOf('\r\n\r\n') + 4;
    const head = bytes.subarray(0, end).toString('latin1').toLowerCase();
    return { status: Number(head.slice(9, 12)), head, body: bytes.subarray(end), bytes };
  }

  const leaksOf = (answer: Answer) => findSecrets(textsOf(answer), secrets);

  const inJson = (echo: string) => JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: echo }] });
  test.each<[string, AnswerHeaders, (echo: string) => Uint8Array | string]>([
    ['plain', {}, inJson],
    ['with content-encoding: identity', { 'content-encoding': 'identity' }, inJson],
    ['in gzip', { 'content-encoding': 'gzip' }, (echo) => gzipSync(inJson(echo))],
    ['in gzip, by its old name', { 'content-encoding': 'x-gzip' }, (echo) => gzipSync(inJson(echo))],
    ['in brotli', { 'content-encoding': 'br' }, (echo) => brotliCompressSync(inJson(echo))],
    ['in gzip twice', { 'content-encoding': 'gzip, gzip' }, (echo) => gzipSync(gzipSync(inJson(echo)))],
    ['in gzip that is none', { 'content-encoding': 'gzip' }, inJson],
    ['in ISO 8859-1', { 'content-type': 'text/plain' }, (echo) => Buffer.from(`caf\xe9: ${echo}`, 'latin1')],
    ['in UTF-16', { 'content-type': 'text/plain;charset=utf-16' }, (echo) => Buffer.from(`\ufeff${echo}`, 'utf16le')],
    ['in base64', {}, (echo) => JSON.stringify({ debug: Buffer.from(echo).toString('base64') })],
  ])('a 404 body %s does not', async (_how, headers, body) => {
    registry.faults.add(echoing((echo) => [404, headers, body(echo)]));
    const found = await ask('manifests/v1');
    expect(found.status).toBe(404);
    expect(found.body.length).toBeGreaterThan(0);
    expect(leaksOf(found)).toEqual([]);
  });

  test.each([200, 206, 300, 304, 404, 429])('a header of %i does not', async (status) => {
    const headers = (echo: string) => ({ 'x-debug-authorization': echo, 'x-honest': 'kept' });
    registry.faults.add(echoing((echo) => [status, headers(echo), status === 304 ? '' : 'content']));
    for (const method of ['GET', 'HEAD']) {
      const found = await ask('manifests/v1', { method });
      expect([found.status, leaksOf(found)]).toEqual([status, []]);
      expect(found.head).toContain('x-honest: kept');
    }
  });

  test.each<[string, (text: string) => string]>([
    ['as they are', (text) => text],
    ['escaped', encodeURIComponent],
    ['escaped as in a form', (text) => new URLSearchParams({ '': text }).toString().slice(1)],
  ])('the query of a Link, a Location or a header does not, with characters %s', async (_how, escaped) => {
    const target = (echo: string) => `/v2/team/app/tags/list?n=1&debug=${escaped(echo)}`;
    registry.faults.add({
      ...echoing((echo) => [200, { link: `<${target(echo)}>; rel="next"`, 'x-debug': target(echo) }, '{}']),
      times: 1,
    });
    const page = await ask('tags/list');
    expect([page.status, leaksOf(page)]).toEqual([200, []]);
    for (const key of ['demo/handover', 'demo/follow']) {
      const location = (echo: string) => `${storage.origin}/bucket/x?debug=${escaped(echo)}`;
      registry.faults.add({ ...echoing((echo) => [307, { location: location(echo) }, location(echo)]), times: 1 });
      const found = await ask(`blobs/${image.layers[0]}`, { key });
      expect([found.status, leaksOf(found)]).toEqual([502, []]);
    }
    expect(storage.requests).toEqual([]);
  });

  test('the choices of a 300 do not', async () => {
    registry.faults.add(echoing((echo) => [300, {}, echo]));
    const found = await ask('manifests/v1');
    expect([found.status, leaksOf(found)]).toEqual([300, []]);
  });

  test('a body of 401 or 403 does not', async () => {
    for (const status of [401, 403]) {
      registry.faults.add({ ...echoing((echo) => [status, {}, inJson(echo)]), times: 2 });
      expect(leaksOf(await ask('manifests/v1'))).toEqual([]);
    }
  });

  test('and an honest 404 arrives readable, plain and in gzip', async () => {
    const honest = inJson('team/app has no manifest caf\xe9');
    for (const [headers, body] of [
      [{}, honest],
      [{ 'content-encoding': 'gzip' }, gzipSync(honest)],
    ] as const) {
      registry.faults.add({
        ...echoing(() => [404, { 'content-type': 'application/json', ...headers }, body]),
        times: 1,
      });
      const found = await ask('manifests/v1');
      expect(found).toMatchObject({ status: 404, head: expect.stringContaining('content-type: application/json') });
      expect(found.head).toContain(`content-length: ${Buffer.byteLength(honest)}\r\n`);
      expect(found.head).not.toContain('content-encoding');
      expect(found.body.toString()).toBe(honest);
    }
  });
});
