import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { call } from '../support/call.ts';
import { digestOf } from '../support/digest.ts';
import * as faults from '../support/faults.ts';
import { type Image, makeImage } from '../support/image.ts';
import { connectorTo, type RunningProxy, startProxy } from '../support/proxy.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const mebibyte = 1024 * 1024;

let registry: Registry;
let image: Image;
let proxy: RunningProxy;

beforeEach(async () => {
  registry = await startRegistry();
  image = registry.seed('team/app', makeImage({ layerBytes: 50_000 }), ['v1']);
  proxy = await startProxy({ documents: connectorTo(registry.origin) });
});
afterEach(async () => {
  await proxy.close();
  await registry.close();
});

const layer = () => image.layers[0] ?? '';
const match = { path: /^\/v2\/team\// };
const inChunks = faults.withHeaders({ 'content-length': undefined });
const raw = (bytes: string, ending: 'close' | 'reset'): faults.Fault => ({
  name: `raw answer, then ${ending}`,
  inflict: async () => ({ raw: bytes, ending }),
});
const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`;
/** The first of four mebibytes that the answer would have. */
const part = 'x'.repeat(mebibyte);

describe('an answer with neither length nor chunks', () => {
  const heads = [
    ['HTTP/1.1 200 OK', 'Connection: close'],
    ['HTTP/1.1 200 OK', 'Content-Type: application/octet-stream'],
    ['HTTP/1.1 206 Partial Content', `Content-Range: bytes 0-${4 * mebibyte - 1}/*`, 'Connection: close'],
    ['HTTP/1.0 200 OK'],
    ['HTTP/1.0 200 OK', 'Connection: keep-alive'],
  ];
  const rows = heads.flatMap((lines) => (['close', 'reset'] as const).map((ending) => [lines, ending] as const));

  test.each(rows)('%j that ends with a %s is an error, and never a part that looks whole', async (lines, ending) => {
    registry.faults.add({ match, fault: raw(head(...lines) + part, ending) });
    for (const tail of ['manifests/v1', `blobs/${layer()}`]) {
      const found = await call(proxy.url(`team/app/${tail}`));
      expect(found).toMatchObject({ status: 502, failure: undefined });
      expect(JSON.parse(found.body.toString()).errors).toEqual([
        {
          code: 'UNAVAILABLE',
          message: expect.stringMatching(/^connector demo\/registry: /),
          detail: { reason: expect.stringMatching(/^UPSTREAM_/), connector: 'demo/registry' },
        },
      ]);
    }
  });

  test('says what is wrong with it', async () => {
    registry.faults.add({ match, fault: raw(head('HTTP/1.0 200 OK') + part, 'close') });
    const { body } = await call(proxy.url('team/app/manifests/v1'));
    expect(JSON.parse(body.toString()).errors[0]).toMatchObject({
      message: 'connector demo/registry: the answer has neither a length nor chunks: its end could not be told',
      detail: { reason: 'UPSTREAM_PROTOCOL' },
    });
  });

  test('does not continue a blob that broke off', async () => {
    registry.faults.add({ match, times: 1, fault: faults.resetAfter(1000) });
    const rest = head('HTTP/1.1 206 Partial Content', 'Connection: close', 'Content-Range: bytes 1000-49999/50000');
    registry.faults.add({ match, fault: raw(rest + 'x'.repeat(100), 'close') });
    const found = await call(proxy.url(`team/app/blobs/${layer()}`));
    expect(found).toMatchObject({ status: 200, failure: 'ECONNRESET' });
    expect(found.body).toHaveLength(1000);
  });
});

describe('an answer that needs neither length nor chunks', () => {
  test.each<[string, string, number]>([
    ['HEAD', 'HTTP/1.1 200 OK', 200],
    ['HEAD', 'HTTP/1.0 200 OK', 200],
    ['GET', 'HTTP/1.1 204 No Content', 204],
    ['GET', 'HTTP/1.1 304 Not Modified', 304],
    ['HEAD', 'HTTP/1.1 304 Not Modified', 304],
  ])('to %s, %s, is passed on', async (method, line, status) => {
    registry.faults.add({ match, fault: raw(head(line, 'ETag: "x"', 'Connection: close'), 'close') });
    const found = await call(proxy.url('team/app/manifests/v1'), { method });
    expect(found).toMatchObject({ status, headers: { etag: '"x"' }, body: Buffer.alloc(0), failure: undefined });
  });
});

test('an answer in chunks arrives whole', async () => {
  registry.faults.add({ match, fault: inChunks });
  const found = await call(proxy.url(`team/app/blobs/${layer()}`));
  expect(found).toMatchObject({ status: 200, failure: undefined });
  expect(digestOf(found.body)).toBe(layer());
});

describe('a caller of HTTP/1.0, who knows no chunks', () => {
  /** How the connection ends: with a clean end, or with the code of an error. */
  const endingOf = (target: string): Promise<{ ending: string; bytes: Buffer }> =>
    new Promise((resolve) => {
      const chunks: Buffer[] = [];
      const settle = (ending: string) => resolve({ ending, bytes: Buffer.concat(chunks) });
      const socket = connect(proxy.port, '127.0.0.1');
      socket.on('data', (chunk: Buffer) => chunks.push(chunk));
      socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message));
      socket.on('end', () => settle('end'));
      socket.write(head(`GET ${new URL(target).pathname} HTTP/1.0`, 'Host: localhost'));
    });

  test('gets what came in chunks up to the end of the connection', async () => {
    registry.faults.add({ match, fault: inChunks });
    const { ending, bytes } = await endingOf(proxy.url(`team/app/blobs/${layer()}`));
    expect(ending).toBe('end');
    expect(digestOf(bytes.subarray(bytes.indexOf('\r\n\r\n') + 4))).toBe(layer());
  });

  test.each([faults.resetAfter(20_000), faults.truncatedAfter(20_000)])(
    'sees a reset when the answer breaks off ($name)',
    async (fault) => {
      const inflict: faults.Fault['inflict'] = (answer, exchange) =>
        fault.inflict(
          async () => (await inChunks.inflict(answer, exchange)) as Awaited<ReturnType<typeof answer>>,
          exchange,
        );
      registry.faults.add({ match, fault: { name: 'chunks that break off', inflict } });
      expect(await endingOf(proxy.url(`team/app/blobs/${layer()}`))).toMatchObject({ ending: 'ECONNRESET' });
      expect(await proxy.operation()).toMatchObject({ status: 200, error: 'BROKEN' });
    },
  );
});
