import { readFile, stat } from 'node:fs/promises';
import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Folder, makeFolder, type RunningStandalone, startStandalone } from '../support/command.ts';
import { type Image, makeImage } from '../support/image.ts';
import { manifestsOf } from '../support/manifests.ts';
import { type Registry, startRegistry } from '../support/registry.ts';

const username = 'robot';
const password = 'canary-of-the-registry-credential';

describe('standalone with HTTPS', () => {
  let registry: Registry;
  let image: Image;
  let folder: Folder;
  let standalone: RunningStandalone;
  let proxyHttps: string;
  let ca: string;
  const start = () =>
    startStandalone(['--manifests', folder.path, '--certs', `${folder.path}/certs`, '--proxy-https', '127.0.0.1:0']);

  beforeAll(async () => {
    registry = await startRegistry({ auth: { kind: 'token', username, password } });
    image = registry.seed('team/app', makeImage(), ['v1']);
    folder = await makeFolder();
    await folder.write('harbor.yaml', manifestsOf(registry.origin, username, password));
    standalone = await start();
    const ready = JSON.parse(await standalone.line(/"msg":"ready"/));
    proxyHttps = ready.proxyHttps;
    ca = await readFile(ready.interceptionCaFile, 'utf8');
  });

  afterAll(async () => {
    await standalone?.stop();
    await registry?.close();
    await folder?.[Symbol.asyncDispose]();
  });

  const kept = <T extends Dispatcher>(dispatcher: T): T => {
    onTestFinished(() => dispatcher.close());
    return dispatcher;
  };
  /** A client that trusts this CA alone and finds every host where the proxy listens. */
  const trusting = () => {
    const lookup = (_host: string, _options: object, done: (error: null, found: object[]) => void) =>
      done(null, [{ address: '127.0.0.1', family: 4 }]);
    return kept(new Agent({ connect: { ca, lookup: lookup as never } }));
  };
  const get = async (url: string, dispatcher: Dispatcher) => {
    const response = await request(url, { dispatcher });
    return { status: response.statusCode, headers: response.headers, body: await response.body.text() };
  };

  test.each([
    ['localhost', '/v2/namespaces/demo/connectors/harbor/team/app/manifests/v1'],
    ['127.0.0.1', '/v2/namespaces/demo/connectors/harbor/team/app/manifests/v1'],
    ['c-harbor.demo.svc', '/v2/team/app/manifests/v1'],
    ['c-harbor.demo.svc.cluster.local', '/v2/team/app/manifests/v1'],
  ])('serves %s with its own certificate', async (host, path) => {
    const port = proxyHttps.split(':')[1];
    const pulled = await get(`https://${host}:${port}${path}`, trusting());
    expect(pulled).toMatchObject({ status: 200, headers: { 'docker-content-digest': image.digest } });
  });

  test('has no certificate for a host of no connector', async () => {
    const port = proxyHttps.split(':')[1];
    for (const host of ['c-other.demo.svc', 'harbor.example.com']) {
      await expect(get(`https://${host}:${port}/v2/`, trusting())).rejects.toThrow();
    }
  });

  test.each(['http', 'https'])(
    'takes images by the name of their registry, as a forward proxy by %s',
    async (scheme) => {
      const token = `Basic ${btoa('demo%2Fharbor:anybody')}`;
      const address = scheme === 'http' ? standalone.proxy : proxyHttps.replace('127.0.0.1', 'localhost');
      const dispatcher = kept(new ProxyAgent({ uri: `${scheme}://${address}`, token, proxyTls: { ca } }));
      const pulled = await get(`${registry.origin}/v2/team/app/manifests/v1`, dispatcher);
      expect(pulled).toMatchObject({ status: 200, headers: { 'docker-content-digest': image.digest } });
    },
  );

  test('keeps the authority and the keys to itself', async () => {
    for (const name of ['interception-ca.pem', 'interception-ca.crt', 'sealing-keys.json']) {
      expect((await stat(`${folder.path}/certs/${name}`)).mode & 0o777, name).toBe(0o600);
    }
    expect((await stat(`${folder.path}/certs`)).mode & 0o777).toBe(0o700);
  });

  test('goes on with an upload after a restart', async () => {
    const uploads = `http://${standalone.proxy}/v2/namespaces/demo/connectors/harbor/team/new/blobs/uploads/`;
    const begun = await request(uploads, { method: 'POST' });
    await begun.body.dump();
    expect(begun.statusCode).toBe(202);
    const location = new URL(String(begun.headers['location']), uploads);
    expect(await standalone.stop()).toBe(0);
    standalone = await start();
    const status = await request(`http://${standalone.proxy}${location.pathname}${location.search}`);
    await status.body.dump();
    expect(status.statusCode).toBe(204);
  });
});
