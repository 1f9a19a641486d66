import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { basic, type CallOptions, call } from './call.ts';
import { digestOf } from './digest.ts';
import { hanging } from './faults.ts';
import { descriptorOf, type ImageIndex, makeImage, makeIndex, makeReferrer } from './image.ts';
import { type Registry, startRegistry } from './registry.ts';

let registry: Registry;
let index: ImageIndex;

beforeEach(async () => {
  registry = await startRegistry();
  index = registry.seed('team/app', makeIndex(), ['v1', 'v2', 'v3']);
});
afterEach(() => registry.close());

const layer = () => index.images[0]?.layers[0] ?? '';
const layerBytes = () => Buffer.from(index.blobs.get(layer()) ?? []);

describe('pulling', () => {
  test('a manifest is found by tag and by digest, with its type and digest', async () => {
    for (const reference of ['v1', index.digest]) {
      const found = await call(`${registry.origin}/v2/team/app/manifests/${reference}`);
      expect(found).toMatchObject({
        status: 200,
        headers: {
          'content-type': 'application/vnd.oci.image.index.v1+json',
          'docker-content-digest': index.digest,
          'docker-distribution-api-version': 'registry/2.0',
        },
      });
      expect(digestOf(found.body)).toBe(index.digest);
    }
  });

  test('HEAD has the headers of GET and no body', async () => {
    for (const path of ['manifests/v1', `blobs/${layer()}`]) {
      const url = `${registry.origin}/v2/team/app/${path}`;
      const [get, head] = [await call(url), await call(url, { method: 'HEAD' })];
      expect(head).toMatchObject({ status: 200, body: Buffer.alloc(0) });
      expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' });
    }
  });

  test.each<[string | undefined, number, number, number | undefined, string | undefined]>([
    [undefined, 200, 0, undefined, undefined],
    ['bytes=0-', 206, 0, undefined, 'bytes 0-SIZE_1/SIZE'],
    ['bytes=10-19', 206, 10, 20, 'bytes 10-19/SIZE'],
    ['bytes=-5', 206, -5, undefined, 'bytes SIZE_5-SIZE_1/SIZE'],
    ['bytes=10-999999', 206, 10, undefined, 'bytes 10-SIZE_1/SIZE'],
    ['bytes=999999-', 416, 0, 0, 'bytes */SIZE'],
    ['bytes=0-1,4-5', 200, 0, undefined, undefined],
  ])('a blob asked for with Range %s is answered %i', async (range, status, start, end, contentRange) => {
    const size = layerBytes().length;
    const found = await call(`${registry.origin}/v2/team/app/blobs/${layer()}`, { headers: range ? { range } : {} });
    expect(found.status).toBe(status);
    expect(found.body.equals(layerBytes().subarray(start, end))).toBe(true);
    const expected = contentRange?.replace(/SIZE_(\d)/g, (_, less) => String(size - less)).replace('SIZE', `${size}`);
    expect(found.headers['content-range']).toBe(expected);
  });

  test('a blob that the client has is answered 304, and If-Range with another tag gives the whole', async () => {
    const url = `${registry.origin}/v2/team/app/blobs/${layer()}`;
    expect(await call(url, { headers: { 'if-none-match': `"${layer()}"` } })).toMatchObject({ status: 304 });
    expect(await call(url, { headers: { range: 'bytes=1-', 'if-range': '"other"' } })).toMatchObject({ status: 200 });
  });

  test('tags come in pages with a Link to the next', async () => {
    const url = `${registry.origin}/v2/team/app/tags/list`;
    const first = await call(`${url}?n=2`);
    expect(JSON.parse(`${first.body}`)).toEqual({ name: 'team/app', tags: ['v1', 'v2'] });
    expect(first.headers.link).toBe('</v2/team/app/tags/list?last=v2&n=2>; rel="next"');
    const second = await call(`${url}?last=v2&n=2`);
    expect(JSON.parse(`${second.body}`)).toEqual({ name: 'team/app', tags: ['v3'] });
    expect(second.headers.link).toBeUndefined();
  });

  test('referrers are listed, and filtered by artifact type', async () => {
    const signature = registry.seed('team/app', makeReferrer(index, { artifactType: 'application/signature' }));
    registry.seed('team/app', makeReferrer(index, { artifactType: 'application/sbom' }));
    const url = `${registry.origin}/v2/team/app/referrers/${index.digest}`;
    expect(JSON.parse(`${(await call(url)).body}`).manifests).toHaveLength(2);
    const filtered = await call(`${url}?artifactType=application/signature`);
    expect(filtered.headers['oci-filters-applied']).toBe('artifactType');
    expect(JSON.parse(`${filtered.body}`).manifests).toEqual([
      { ...descriptorOf(signature), artifactType: 'application/signature' },
    ]);
  });

  test.each([
    ['GET', '/v2/', 200, undefined],
    ['GET', '/v2/_catalog', 200, undefined],
    ['GET', '/v2/team/app/manifests/none', 404, 'MANIFEST_UNKNOWN'],
    ['GET', `/v2/team/app/blobs/${digestOf('none')}`, 404, 'BLOB_UNKNOWN'],
    ['GET', '/v2/team/none/tags/list', 404, 'NAME_UNKNOWN'],
    ['GET', '/v2/Team/app/tags/list', 404, 'NAME_UNKNOWN'],
    ['GET', '/other', 404, 'NAME_UNKNOWN'],
    ['POST', '/v2/team/app/tags/list', 405, 'UNSUPPORTED'],
  ])('%s %s is answered %i %s', async (method, path, status, code) => {
    const found = await call(`${registry.origin}${path}`, { method });
    expect(found.status).toBe(status);
    if (code !== undefined) expect(JSON.parse(`${found.body}`).errors[0].code).toBe(code);
  });
});

describe('pushing', () => {
  const blob = Buffer.from('pushed bytes');
  const digest = digestOf(blob);
  const uploads = () => `${registry.origin}/v2/team/new/blobs/uploads/`;
  const post = (query = '', options: CallOptions = {}) => call(`${uploads()}${query}`, { method: 'POST', ...options });

  test('a blob is pushed in chunks, each to the newest Location', async () => {
    let { headers } = await post();
    for (const [start, end] of [[0, 5] as const, [5, 12] as const]) {
      const chunk = { body: blob.subarray(start, end), headers: { 'content-range': `${start}-${end - 1}` } };
      const stored = await call(`${registry.origin}${headers.location}`, { method: 'PATCH', ...chunk });
      expect(stored).toMatchObject({ status: 202, headers: { range: `0-${end - 1}` } });
      headers = stored.headers;
    }
    const finished = await call(`${registry.origin}${headers.location}&digest=${digest}`, { method: 'PUT' });
    expect(finished).toMatchObject({ status: 201, headers: { location: `/v2/team/new/blobs/${digest}` } });
    expect((await call(`${registry.origin}${finished.headers.location}`)).body).toEqual(blob);
  });

  test('a blob is pushed with one POST', async () => {
    expect(await post(`?digest=${digest}`, { body: blob })).toMatchObject({ status: 201 });
    expect(registry.contents('team/new').blobs).toEqual([digest]);
  });

  test('a blob of another repository is mounted, an unknown one opens an upload', async () => {
    expect(await post(`?mount=${layer()}&from=team/app`)).toMatchObject({ status: 201 });
    expect(await post(`?mount=${digest}&from=team/app`)).toMatchObject({ status: 202 });
  });

  test('an upload tells how far it got and can be cancelled', async () => {
    const { headers } = await post();
    const url = `${registry.origin}${headers.location}`;
    await call(url, { method: 'PATCH', body: blob });
    expect(await call(url)).toMatchObject({ status: 204, headers: { range: '0-11' } });
    expect(await call(url, { method: 'DELETE' })).toMatchObject({ status: 204 });
    expect(await call(url)).toMatchObject({ status: 404 });
  });

  test('a chunk out of order, a wrong digest and a lost query are refused', async () => {
    const { headers } = await post();
    const url = `${registry.origin}${headers.location}`;
    const late = { method: 'PATCH', body: blob, headers: { 'content-range': '7-18' } };
    expect(await call(url, late)).toMatchObject({ status: 416 });
    expect(await call(url.replace(/\?.*/, ''), { method: 'PATCH', body: blob })).toMatchObject({ status: 400 });
    expect(await call(`${url}&digest=${layer()}`, { method: 'PUT', body: blob })).toMatchObject({ status: 400 });
  });

  test('a manifest needs its blobs, is tagged, tells its subject, and can be deleted', async () => {
    const artifact = makeReferrer(index, { artifactType: 'application/signature' });
    const put = () =>
      call(`${registry.origin}/v2/team/new/manifests/signed`, {
        method: 'PUT',
        headers: { 'content-type': artifact.mediaType },
        body: artifact.manifests.get(artifact.digest)?.bytes ?? '',
      });
    expect(await put()).toMatchObject({ status: 400 });
    for (const [of, body] of artifact.blobs) await post(`?digest=${of}`, { body });
    expect(await put()).toMatchObject({ status: 201, headers: { 'oci-subject': index.digest } });
    expect(registry.contents('team/new').tags).toEqual({ signed: artifact.digest });
    await call(`${registry.origin}/v2/team/new/manifests/${artifact.digest}`, { method: 'DELETE' });
    expect(registry.contents('team/new')).toMatchObject({ tags: {}, manifests: [] });
  });

  test('the Location can be absolute, and pushed bytes can be forgotten', async () => {
    await using other = await startRegistry({
      uploadLocation: (path, origin) => `${origin}${path}`,
      keepsUploadedBytes: false,
    });
    const { headers } = await call(`${other.origin}/v2/team/new/blobs/uploads/`, { method: 'POST' });
    expect(headers.location).toMatch(`${other.origin}/v2/team/new/blobs/uploads/`);
    expect(await call(`${headers.location}&digest=${digest}`, { method: 'PUT', body: blob })).toMatchObject({
      status: 201,
    });
    const head = await call(`${other.origin}/v2/team/new/blobs/${digest}`, { method: 'HEAD' });
    expect(head.headers['content-length']).toBe('12');
  });
});

describe('the registry', () => {
  test('wants its user and password with Basic authentication, which can be changed', async () => {
    await using closed = await startRegistry({ auth: { kind: 'basic', username: 'user', password: 'one' } });
    const url = `${closed.origin}/v2/`;
    const challenge = { 'www-authenticate': 'Basic realm="test registry"' };
    expect(await call(url)).toMatchObject({ status: 401, headers: challenge });
    expect(await call(url, { headers: basic('user', 'one') })).toMatchObject({ status: 200 });
    closed.setCredential('user', 'two');
    expect(await call(url, { headers: basic('user', 'one') })).toMatchObject({ status: 401 });
    expect(await call(url, { headers: basic('user', 'two') })).toMatchObject({ status: 200 });
  });

  test('records each request in order, with what became of it', async () => {
    await call(`${registry.origin}/v2/?a=b`, { headers: { 'user-agent': 'tester' } });
    await call(`${registry.origin}/v2/team/app/blobs/${layer()}`);
    expect(registry.requests).toMatchObject([
      { method: 'GET', url: '/v2/?a=b', status: 200, headers: { 'user-agent': 'tester' } },
      { method: 'GET', repository: 'team/app', status: 200, bytesSent: layerBytes().length },
    ]);
    expect(await registry.requests[1]?.ended).toBe('complete');
  });

  test('notices a client that goes away', async () => {
    const big = await registry.seedSyntheticBlob('team/big', 64 * 1024 * 1024);
    const client = new AbortController();
    const pull = call(`${registry.origin}/v2/team/big/blobs/${big}`, { signal: client.signal });
    const request = await registry.arrival(({ repository }) => repository === 'team/big');
    client.abort();
    expect(await request.ended).toBe('broken');
    expect((await pull).failure).toBe('ABORT_ERR');
  });

  test('sends a synthetic blob in whole and in part without a difference', async () => {
    const size = 3 * 256 * 1024 + 17;
    const digest = await registry.seedSyntheticBlob('team/big', size);
    const url = `${registry.origin}/v2/team/big/blobs/${digest}`;
    const whole = (await call(url)).body;
    expect(whole).toHaveLength(size);
    expect(digestOf(whole)).toBe(digest);
    const part = await call(url, { headers: { range: 'bytes=262100-600000' } });
    expect(part.body.equals(whole.subarray(262100, 600001))).toBe(true);
  });

  test('sends no faster than the client reads', async () => {
    const size = 256 * 1024 * 1024;
    const digest = await registry.seedSyntheticBlob('team/big', size);
    const response = await fetch(`${registry.origin}/v2/team/big/blobs/${digest}`);
    const reader = response.body?.getReader();
    await reader?.read();
    const [request] = registry.requests;
    // Until the buffers of both sides are full, sending goes on; it has come to rest when a round trip adds nothing.
    let sent = -1;
    while (sent !== request?.bytesSent) {
      sent = request?.bytesSent ?? -1;
      await call(`${registry.origin}/v2/`);
      await call(`${registry.origin}/v2/`);
    }
    expect(sent).toBeLessThan(size / 4);
    await reader?.cancel();
    expect(await request?.ended).toBe('broken');
  });

  test('closes at once, also where an answer hangs', async () => {
    registry.faults.add({ fault: hanging });
    const pending = call(`${registry.origin}/v2/`);
    const request = await registry.arrival(() => true);
    await registry.close();
    expect(await pending).toMatchObject({ status: undefined, failure: 'ECONNRESET' });
    expect(await request.ended).toBe('broken');
  });

  test('leaves no timer or socket behind that would keep the process alive', async () => {
    const script = `
      import { startRegistry } from '${new URL('registry.ts', import.meta.url)}';
      import { delayed } from '${new URL('faults.ts', import.meta.url)}';
      const registry = await startRegistry({ faults: [{ fault: delayed(60_000) }] });
      const call = fetch(registry.origin + '/v2/').catch(() => undefined);
      await registry.arrival(() => true);
      await registry.close();
      await call;
      process.stdout.write('closed');
    `;
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { timeout: 20_000 });
    expect(stdout).toBe('closed');
  });
});

describe('a made image', () => {
  test('is the same each time, and another with another seed', () => {
    expect(makeIndex().digest).toBe(makeIndex().digest);
    expect(makeImage({ seed: 'other' }).digest).not.toBe(makeImage().digest);
  });

  test.each([
    ['oci', 'gzip', 'application/vnd.oci.image.layer.v1.tar+gzip'],
    ['docker', 'none', 'application/vnd.docker.image.rootfs.diff.tar'],
  ] as const)('in %s format with %s layers refers to blobs that it has', async (format, compression, mediaType) => {
    const image = makeImage({ format, compression, layers: 3, files: [{ path: 'run.sh', bytes: Buffer.from('x') }] });
    const manifest = JSON.parse(`${image.manifests.get(image.digest)?.bytes}`);
    expect(manifest.layers).toHaveLength(4);
    for (const { digest, size } of [manifest.config, ...manifest.layers]) {
      expect(image.blobs.get(digest)).toHaveLength(size);
    }
    expect(manifest.layers[0].mediaType).toBe(mediaType);
  });
});
